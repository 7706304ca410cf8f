//! Nothing stale: what the cache holds follows what is changed.

use std::thread;

use serde_json::json;
use shortlink_local_stack::fault_proxy::Fault;

use super::{Owner, followed};
use crate::{
    app::{App, wait_until},
    faults::{LOCKS, RELEASE, Rig},
};

/// From here on a look-up of a redirect reads, and is held back with what it read until [`RELEASE`].
const HOLD_READERS: &str = "
    alter function shortlink.resolve_short_links(text[]) rename to read_short_links;
    create function shortlink.resolve_short_links(p_codes text[]) returns text[]
    language plpgsql volatile security definer as $$
    declare
        v_found text[] := shortlink.read_short_links(p_codes);
    begin
        if session_user = 'shortlink_app' then
            insert into public.held values (v_found[1]);
            perform pg_notify('held', '');
            for round in 1..1200 loop
                exit when exists (select from public.released);
                perform pg_sleep(0.005);
            end loop;
        end if;
        return v_found;
    end $$;
    create table public.held (found text);
    grant execute on function shortlink.resolve_short_links(text[]) to shortlink_app, shortlink_manage";
/// How many redirects are held back.
const HELD: &str =
    "select count(*) from pg_stat_activity where usename = 'shortlink_app' and wait_event = 'PgSleep'
    and datname = current_database()";

#[test]
fn a_reader_that_was_held_back_does_not_cover_a_change() {
    for deletes in [false, true] {
        // Its look-up has 3 s; on a machine that is busy beyond that, it is tried again.
        let held_in_time = (0..20).any(|_| {
            let app = App::own();
            let owner = Owner::with(&app, "ci", &["create", "manage"]);
            owner.link("held");
            app.sql(&format!("{LOCKS}; {HOLD_READERS}"));
            app.uncache("held");
            let reply = thread::scope(|scope| {
                let reader = scope.spawn(|| followed(&app, "held"));
                wait_until("the reader has read", || reader.is_finished() || app.count(HELD) == 1);
                if deletes {
                    assert_eq!(owner.delete("held").status, 204);
                } else {
                    assert_eq!(owner.change("held", &json!({ "url": "https://new.example" })).status, 200);
                }
                app.sql(RELEASE);
                reader.join().unwrap()
            });
            let now = if deletes { (410, None) } else { (302, Some("https://new.example/".into())) };
            for _ in 0..50 {
                assert_eq!(followed(&app, "held"), now);
            }
            reply == (302, Some("https://held.example/".into()))
        });
        assert!(held_in_time, "no reader came back with what it had read");
    }
}

#[test]
fn a_change_covers_what_a_reader_cached_before() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    owner.link("read");
    app.uncache("read");
    app.resolve_until_cached("read");
    owner.change("read", &json!({ "url": "https://new.example" }));
    assert_eq!(followed(&app, "read"), (302, Some("https://new.example/".into())));
    owner.change("read", &json!({ "disabled": true }));
    assert_eq!(followed(&app, "read"), (410, None));
    owner.change("read", &json!({ "disabled": false }));
    assert_eq!(followed(&app, "read"), (302, Some("https://new.example/".into())));
}

#[test]
fn of_changes_at_the_same_time_the_last_one_is_followed() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    owner.link("busy");
    for round in 0..10 {
        thread::scope(|scope| {
            for number in 0..6 {
                let owner = &owner;
                scope.spawn(move || {
                    let url = format!("https://{round}-{number}.example");
                    assert_eq!(owner.change("busy", &json!({ "url": url })).status, 200);
                });
            }
        });
        let stored = owner.get("/v1/links/busy").json()["data"]["url"].as_str().unwrap().to_owned();
        assert_eq!(followed(&app, "busy"), (302, Some(stored)));
    }
}

#[test]
fn the_batch_makes_up_for_a_cache_that_was_away() {
    let direct = App::own();
    let owner = Owner::with(&direct, "ci", &["create", "manage"]);
    owner.link("away");
    direct.resolve_until_cached("away");
    let rig = Rig::beside(&direct);
    let through = Owner { app: &rig.app, key: owner.key.clone() };
    for fault in [Fault::Refuse, Fault::Hang] {
        let url = format!("https://{fault:?}.example/").to_lowercase();
        rig.cache.set(fault);
        assert_eq!(through.change("away", &json!({ "url": url })).status, 200);
        rig.cache.set(Fault::None);
        assert_ne!(followed(&direct, "away").1.as_ref(), Some(&url), "the cache was told nothing");
        // Nothing is done to a change for five seconds: its look-ups in flight have to end first.
        direct.batch(&["changes", "apply"]).success();
        assert_ne!(followed(&direct, "away").1.as_ref(), Some(&url));
        direct.sql("update shortlink.link_change set changed_at = changed_at - interval '5 seconds'");
        direct.batch(&["changes", "apply"]).success();
        assert_eq!(followed(&direct, "away"), (302, Some(url)));
        assert_eq!(direct.count("select count(*) from shortlink.link_change"), 0);
    }
    // Where everything works a change waits for its second application too, and that changes nothing.
    through.delete("away");
    assert_eq!(followed(&direct, "away"), (410, None));
    direct.sql("update shortlink.link_change set changed_at = changed_at - interval '5 seconds'");
    direct.batch(&["changes", "apply"]).success();
    assert_eq!(followed(&direct, "away"), (410, None));
}
