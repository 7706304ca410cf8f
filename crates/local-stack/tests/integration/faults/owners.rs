//! Owners of links while something is away.

use serde_json::json;
use shortlink_local_stack::fault_proxy::Fault;

use super::{OUTAGES, Rig, assert_unavailable, measured, recovery, timed};
use crate::{app::App, manage::Owner};

#[test]
fn while_postgres_is_away_owners_are_told_to_retry() {
    let direct = App::own();
    let owner = Owner::with(&direct, "ci", &["create", "manage"]);
    owner.link("kept");
    let before = owner.get("/v1/links/kept").json();
    for fault in [Fault::Refuse, Fault::Hang, Fault::CutAfter(2)] {
        let rig = Rig::beside(&direct);
        let through = Owner { app: &rig.app, key: owner.key.clone() };
        assert_eq!(through.get("/v1/links/kept").status, 200);
        rig.postgres.set(fault);
        let ((), took) = timed(|| {
            for reply in [
                through.get("/v1/links"),
                through.get("/v1/links/kept"),
                through.change("kept", &json!({ "url": "https://changed.example" })),
                through.create(&json!({ "url": "https://example.com" })),
                through.send("POST", "/v1/links", r#"{"links":[{"url":"https://example.com"}]}"#),
            ] {
                assert_unavailable(&reply);
            }
        });
        rig.postgres.set(Fault::None);
        let recovered = recovery(|| through.get("/v1/links/kept").status == 200);
        measured(&format!("owners, Postgres: {fault:?}"), took, recovered);
    }
    // A change that was answered 503 may have been stored, as any other request may; nothing else may have come of it.
    let after = owner.get("/v1/links/kept").json();
    let is_changed = after["data"]["url"] == "https://changed.example/" && after["data"]["state"] == "live";
    assert!(after == before || is_changed, "{after}");
}

#[test]
fn a_key_is_not_taken_for_bad_when_nobody_can_be_asked() {
    let direct = App::own();
    let key = direct.key("ci", &["create"]);
    let rig = Rig::beside(&direct);
    rig.app.warm();
    rig.postgres.set(Fault::Refuse);
    let create = |key: &str| {
        let headers = [("content-type", "application/json"), ("x-api-key", key)];
        rig.app.exchange("POST", "/v1/shortlink", &headers, br#"{"url":"https://example.com"}"#)
    };
    assert_unavailable(&create(&key));
    // What has not the form of a key is refused all the same: nobody has to be asked.
    assert_eq!(create("slk_short").status, 401);
    rig.postgres.set(Fault::None);
    recovery(|| create(&key).status == 201);
}

#[test]
fn while_the_cache_is_away_changes_go_on() {
    let direct = App::own();
    let owner = Owner::with(&direct, "ci", &["create", "manage"]);
    for fault in OUTAGES {
        let rig = Rig::beside(&direct);
        let through = Owner { app: &rig.app, key: owner.key.clone() };
        let alias = format!("{fault:?}").to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
        owner.link(&alias);
        assert_eq!(through.get(&format!("/v1/links/{alias}")).status, 200);
        rig.cache.set(fault);
        assert_eq!(through.change(&alias, &json!({ "disabled": true })).status, 200, "{fault:?}");
        assert_eq!(through.delete(&alias).status, 204, "{fault:?}");
        rig.cache.set(Fault::None);
    }
    let waiting = "select count(*) from shortlink.link_change";
    assert_eq!(direct.count(waiting), 2 * i64::try_from(OUTAGES.len()).unwrap());
}
