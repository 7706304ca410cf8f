//! Several links in one request.

use serde_json::{Value, json};

use super::{Owner, followed};
use crate::app::App;

fn create(owner: &Owner, links: &Value) -> Vec<Value> {
    let reply = owner.send("POST", "/v1/links", &json!({ "links": links }).to_string());
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"]["results"].as_array().unwrap().clone()
}

#[test]
fn each_link_is_answered_in_its_place() {
    let app = App::with(str::to_owned, &[("public_url", "https://sho.rt")]);
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    app.push_codes(&["AAAAAAA", "BBBBBBB"]);
    app.store("taken");
    // Somebody has asked for it, so that the cache holds "no such link".
    assert_eq!(followed(&app, "wanted"), (404, None));
    app.wait_until_cached("wanted", |entry| entry == b"-");
    let results = create(
        &owner,
        &json!([
            { "url": "https://z.example", "alias": "wanted" },
            { "url": "https://one.example" },
            { "url": "https://x.example", "alias": "taken" },
            { "url": "mailto:x", "alias": "-" },
            "https://no-object.example",
            { "url": "https://two.example", "expires_at": null },
            { "url": "https://y.example", "alias": "wanted" },
            { "url": "https://three.example" },
        ]),
    );
    let created = |code: &str| json!({ "status": 201, "data": { "code": code, "short_url": format!("https://sho.rt/{code}") } });
    let refused = |status: u16, error: &str| json!({ "status": status, "data": { "error": error } });
    assert_eq!(results[0], created("wanted"));
    assert_eq!(results[1], created("AAAAAAA"));
    assert_eq!(results[2], refused(409, "`alias` is in use; choose another"));
    let problems =
        "`url` must begin with http:// or https://; `alias` must begin and end with a letter or a digit";
    assert_eq!(results[3], refused(400, problems));
    assert_eq!(results[4], refused(400, "the link must be a JSON object"));
    assert_eq!(results[5], created("BBBBBBB"));
    assert_eq!(results[6], refused(409, "`alias` is in use; choose another"));
    // The pool is empty.
    let random = results[7]["data"]["code"].as_str().unwrap();
    assert_eq!((results[7]["status"].clone(), random.len()), (json!(201), 7));
    assert_eq!(results.len(), 8);
    for (code, url) in [("wanted", "z"), ("AAAAAAA", "one"), ("BBBBBBB", "two"), (random, "three")] {
        assert_eq!(followed(&app, code), (302, Some(format!("https://{url}.example/"))), "{code}");
    }
    assert_eq!(owner.get("/v1/links").json()["data"]["links"].as_array().unwrap().len(), 4);
}

#[test]
fn a_hundred_links_are_one_transaction() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create"]);
    create(&owner, &json!([{ "url": "https://first.example" }]));
    let links: Vec<_> =
        (0..100).map(|number| json!({ "url": format!("https://{number}.example") })).collect();
    app.push_codes(&["AAAAAAA"]);
    let results = create(&owner, &json!(links));
    assert!(results.iter().all(|result| result["status"] == 201), "{results:?}");
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 101);
    // All in one transaction, which xmin names.
    assert_eq!(app.count("select count(distinct xmin::text) from shortlink.short_link"), 2);
}

#[test]
fn codes_that_the_pool_hands_out_again_are_replaced() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create"]);
    app.store("AAAAAAA");
    app.push_codes(&["AAAAAAA", "bad", "BBBBBBB"]);
    let results = create(
        &owner,
        &json!([{ "url": "https://1.example" }, { "url": "https://2.example" }, { "url": "https://3.example" }]),
    );
    assert!(results.iter().all(|result| result["status"] == 201), "{results:?}");
    assert!(results.iter().all(|result| result["data"]["code"] != "AAAAAAA"), "{results:?}");
    assert_eq!(followed(&app, "AAAAAAA").1.as_deref(), Some("https://AAAAAAA.example/"));
}

#[test]
fn a_request_that_cannot_be_is_refused_as_a_whole() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create"]);
    let many = json!({ "links": vec![json!({ "url": "https://x.example" }); 101] }).to_string();
    for (body, status) in [
        (many.as_str(), 400),
        (r#"{"links":[]}"#, 400),
        (r#"{"links":{}}"#, 400),
        ("{}", 400),
        (r#"{"links":[{"url":"https://x.example"}]"#, 400),
        (&" ".repeat((1 << 20) + 1), 413),
        (&" ".repeat(2 << 20), 413),
    ] {
        assert_eq!(owner.send("POST", "/v1/links", body).status, status);
    }
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 0);
}
