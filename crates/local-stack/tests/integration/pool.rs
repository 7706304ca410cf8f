//! The pool of codes makes creates faster and never decides whether they work.

use std::collections::BTreeSet;

use serde_json::json;

use crate::app::App;

#[test]
fn codes_come_from_the_pool_in_order() {
    let app = App::own();
    app.push_codes(&["AAAAAAA", "BBBBBBB"]);
    assert_eq!(app.create(&json!({ "url": "https://example.com" })).code(), "AAAAAAA");
    assert_eq!(app.create(&json!({ "url": "https://example.com" })).code(), "BBBBBBB");
}

#[test]
fn an_alias_takes_no_code_from_the_pool() {
    let app = App::own();
    app.push_codes(&["AAAAAAA"]);
    app.create(&json!({ "url": "https://example.com", "alias": "own-name" })).code();
    assert_eq!(app.pool_length(), 1);
}

#[test]
fn an_empty_pool_does_not_stop_creates() {
    let app = App::own();
    let codes: BTreeSet<String> =
        (0..50).map(|_| app.create(&json!({ "url": "https://example.com" })).code()).collect();
    assert_eq!(codes.len(), 50);
}

#[test]
fn a_code_that_the_pool_hands_out_again_is_refused_and_the_next_is_taken() {
    let app = App::own();
    app.push_codes(&["AAAAAAA"]);
    assert_eq!(app.create(&json!({ "url": "https://one.example" })).code(), "AAAAAAA");
    app.push_codes(&["AAAAAAA", "BBBBBBB"]);
    assert_eq!(app.create(&json!({ "url": "https://two.example" })).code(), "BBBBBBB");
    app.uncache("AAAAAAA");
    assert_eq!(app.get("/v1/shortlink/AAAAAAA").header("location"), Some("https://one.example/"));
}

#[test]
fn a_code_that_somebody_chose_as_an_alias_is_passed_over() {
    let app = App::own();
    app.create(&json!({ "url": "https://one.example", "alias": "CCCCCCC" })).code();
    app.push_codes(&["CCCCCCC", "DDDDDDD"]);
    assert_eq!(app.create(&json!({ "url": "https://two.example" })).code(), "DDDDDDD");
}

#[test]
fn malformed_entries_are_passed_over_and_never_stored() {
    let app = App::own();
    app.push_codes(&["", "too-short", "EEEEEEE"]);
    assert_eq!(app.create(&json!({ "url": "https://example.com" })).code(), "EEEEEEE");
    assert_eq!(app.count("select count(*) from shortlink.short_code"), 1);
}

#[test]
fn a_pool_of_another_type_does_not_stop_creates() {
    let app = App::own();
    let _: () = redis::cmd("SET").arg("shortlink:codes").arg("x").query(&mut app.codes()).unwrap();
    assert_eq!(app.create(&json!({ "url": "https://example.com" })).code().len(), 7);
}
