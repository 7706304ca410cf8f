//! The pool of codes: without it creates take random codes.

use std::collections::BTreeSet;

use serde_json::json;
use shortlink_local_stack::fault_proxy::Fault;

use super::{OUTAGES, Rig, assert_skipped, measured, recovery};
use crate::app::{App, on_spin};

#[test]
fn without_the_pool_creates_go_on_and_it_is_used_again_by_itself() {
    let rig = Rig::start();
    let mut codes = BTreeSet::new();
    for fault in OUTAGES {
        rig.codes.set(fault);
        let mut replies = Vec::new();
        let took = assert_skipped(&rig.codes, &format!("{fault:?}"), 20, || {
            replies.extend((0..20).map(|_| rig.create()));
        });
        for reply in replies {
            assert!(codes.insert(reply.code()), "a code came twice");
        }
        let ready = rig.app.get("/v1/health/ready");
        assert_eq!((ready.status, &ready.json()["checks"]["redis_codes"]), (200, &json!("degraded")));
        rig.codes.set(Fault::None);
        rig.app.push_codes(&["ZZZZZZZ"]);
        let back = recovery(|| {
            assert!(codes.insert(rig.create().code()), "a code came twice");
            rig.app.pool_length() == 0
        });
        measured(&format!("codes {fault:?}, 20 creates"), took, back);
        // What a pop took without an answer is lost, and only then can be had again here.
        codes.remove("ZZZZZZZ");
        rig.app.sql("delete from shortlink.short_code where short_code = 'ZZZZZZZ'");
    }
}

#[test]
fn a_pool_restored_from_an_old_snapshot_never_gives_a_code_to_two_links() {
    let app = App::own();
    app.fill(60);
    let snapshot: Vec<String> =
        redis::cmd("LRANGE").arg("shortlink:codes").arg(0).arg(-1).query(&mut app.codes()).unwrap();
    let create = |number: usize| {
        let url = format!("https://{number}.example/");
        (app.create(&json!({ "url": url })).code(), url)
    };
    let mut links: Vec<_> = (0..40).map(create).collect();
    app.empty_pool();
    app.push_codes(&snapshot.iter().map(String::as_str).collect::<Vec<_>>());
    links.extend((40..100).map(create));
    assert_eq!(links.iter().map(|link| &link.0).collect::<BTreeSet<_>>().len(), 100);
    let () = redis::cmd("FLUSHDB").query(&mut app.cache()).unwrap();
    for (code, url) in links {
        assert_eq!(app.get(&format!("/v1/shortlink/{code}")).header("location"), Some(url.as_str()));
    }
}

#[test]
fn each_malformed_entry_is_logged_once_and_shown_to_nobody() {
    let app = App::own();
    app.push_codes(&["<script>", "too-short", "GGGGGGG"]);
    assert_eq!(app.create(&json!({ "url": "https://example.com" })).code(), "GGGGGGG");
    // Spin writes what a component prints into a file and to its own output.
    let places = if on_spin() { 2 } else { 1 };
    recovery(|| app.log().matches("skipped an entry").count() == 2 * places);
    assert!(!app.log().contains("<script>"));
}
