//! Lists of links.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Owner;
use crate::app::App;

fn codes(page: &Value) -> Vec<String> {
    let links = page["data"]["links"].as_array().unwrap();
    links.iter().map(|link| link["code"].as_str().unwrap().to_owned()).collect()
}

/// All codes, page by page; `between` runs after each page.
fn walk(owner: &Owner, query: &str, between: impl Fn(usize)) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = owner.get(&format!("/v1/links?{query}&cursor={cursor}"));
        assert_eq!(page.status, 200, "{}", page.body);
        all.extend(codes(&page.json()));
        match page.json()["data"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
        between(all.len());
    }
}

#[test]
fn pages_hold_every_link_once_while_others_are_created() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "read"]);
    for number in 0..10 {
        owner.link(&format!("old-{number}"));
    }
    // Several were created in the same microsecond.
    app.sql("update shortlink.short_link set created_at = '2026-11-01 00:00+00' where short_code < 'old-5' and created_at < now();
             update shortlink.short_code set created_at = '2026-11-01 00:00+00' where short_code < 'old-5'");
    let listed = walk(&owner, "limit=3", |count| owner.link(&format!("new-{count}")));
    let newest_first =
        ["old-9", "old-8", "old-7", "old-6", "old-5", "old-4", "old-3", "old-2", "old-1", "old-0"];
    assert_eq!(listed, newest_first);
    let all: BTreeSet<_> = walk(&owner, "limit=100", |_| {}).into_iter().collect();
    assert_eq!(all.len(), 13);
    let page = owner.get("/v1/links?limit=13").json();
    assert_eq!((codes(&page).len(), &page["data"]["next_cursor"]), (13, &json!(null)));
    assert!(page["data"].get("search").is_none());
}

#[test]
fn states_are_filtered() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    for state in ["live", "disabled", "expired", "deleted"] {
        owner.link(state);
    }
    owner.change("disabled", &json!({ "disabled": true }));
    owner.delete("deleted");
    app.sql(
        "update shortlink.short_code set expires_at = now() where short_code = 'expired';
         update shortlink.short_link set expires_at = now() where short_code = 'expired'",
    );
    for state in ["live", "disabled", "expired", "deleted"] {
        let page = owner.get(&format!("/v1/links?state={state}")).json();
        assert_eq!(codes(&page), [state]);
        assert_eq!(page["data"]["links"][0]["state"], state);
    }
    assert_eq!(codes(&owner.get("/v1/links").json()), ["expired", "disabled", "live"]);
    assert_eq!(codes(&owner.get("/v1/links?state=all").json()), ["deleted", "expired", "disabled", "live"]);
}

#[test]
fn a_code_that_was_taken_again_is_listed_once() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    owner.link("again");
    owner.delete("again");
    owner.link("again");
    let page = owner.get("/v1/links?state=all").json();
    assert_eq!(codes(&page), ["again"]);
    assert_eq!(page["data"]["links"][0]["state"], "live");
}

#[test]
fn an_admin_lists_the_links_of_everybody() {
    let app = App::own();
    let (one, two) = (Owner::with(&app, "one", &["create"]), Owner::with(&app, "two", &["create"]));
    one.link("a-one");
    app.create(&json!({ "url": "https://nobody.example", "alias": "b-nobody" })).code();
    two.link("c-two");
    one.link("d-one");
    let admin = Owner::with(&app, "root", &["admin"]);
    assert_eq!(walk(&admin, "limit=1", |_| {}), ["d-one", "c-two", "b-nobody", "a-one"]);
}

#[test]
fn a_search_without_its_index_is_for_the_beginning_of_codes_and_says_so() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    for alias in ["abc", "abd", "xabc", "ABC"] {
        owner.link(alias);
    }
    app.sql(
        "insert into shortlink.short_code (short_code, created_at, expires_at, key_id)
             select 'a_c', now(), 'infinity', key_id from shortlink.api_key;
         insert into shortlink.short_link (short_code, url, created_at, expires_at, is_custom, key_id)
             select short_code, 'https://u.example/', created_at, expires_at, true, key_id
             from shortlink.short_code where short_code = 'a_c'",
    );
    for (query, found) in [
        ("ab", &["abd", "abc"][..]),
        ("a_", &["a_c"]),
        ("a%25", &[]),
        ("%27%20or%20%27%27%3D%27", &[]),
        ("%22%5C%5C%3B--", &[]),
        ("%F0%9F%98%80", &[]),
    ] {
        let page = owner.get(&format!("/v1/links?q={query}")).json();
        assert_eq!(codes(&page), found, "{query}");
        assert_eq!(page["data"]["search"], "prefix of code");
    }
}

#[test]
fn a_query_that_cannot_be_is_refused() {
    let app = App::shared();
    let owner = Owner::with(app, "query", &["create", "manage"]);
    for alias in ["query-a", "query-b"] {
        owner.link(alias);
    }
    let page = owner.get("/v1/links?limit=1&q=query&state=live").json();
    let cursor = page["data"]["next_cursor"].as_str().unwrap();
    let next = owner.get(&format!("/v1/links?limit=1&q=query&state=live&cursor={cursor}")).json();
    assert_eq!(codes(&next), ["query-a"]);
    let other = Owner::with(app, "query-other", &["manage"]);
    let tampered = cursor.replacen(&cursor[..1], if &cursor[..1] == "0" { "1" } else { "0" }, 1);
    for (query, owner) in [
        (format!("q=query&cursor={cursor}"), &owner),
        (format!("q=quer&state=live&cursor={cursor}"), &owner),
        (format!("q=query&state=live&cursor={tampered}"), &owner),
        (format!("q=query&state=live&cursor={cursor}"), &other),
        ("cursor=x".to_owned(), &owner),
        ("limit=0".to_owned(), &owner),
        ("limit=101".to_owned(), &owner),
        ("limit=1&limit=2".to_owned(), &owner),
        ("state=dead".to_owned(), &owner),
        ("q=a%00b".to_owned(), &owner),
        (format!("q={}", "a".repeat(10 * 1024)), &owner),
    ] {
        let reply = owner.get(&format!("/v1/links?{query}"));
        assert_eq!(reply.status, 400, "{query}: {}", reply.body);
        assert!(reply.error().starts_with('`'), "{}", reply.error());
    }
}
