//! Many callers at once.

use std::{collections::BTreeSet, sync::Barrier, thread};

use serde_json::json;

use crate::app::App;

#[test]
fn of_100_racing_creates_of_one_alias_exactly_one_wins() {
    let app = App::shared();
    for round in 0..3 {
        let alias = format!("race-{round}");
        let start = Barrier::new(100);
        let replies: Vec<(usize, u16)> = thread::scope(|scope| {
            let racers: Vec<_> = (0..100)
                .map(|racer| {
                    let (start, alias) = (&start, &alias);
                    scope.spawn(move || {
                        let body = json!({ "url": format!("https://racer-{racer}.example"), "alias": alias });
                        start.wait();
                        (racer, app.create(&body).status)
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let winners: Vec<usize> =
            replies.iter().filter(|reply| reply.1 == 201).map(|reply| reply.0).collect();
        assert_eq!(winners.len(), 1, "{replies:?}");
        assert_eq!(replies.iter().filter(|reply| reply.1 == 409).count(), 99, "{replies:?}");
        app.uncache(&alias);
        let target = format!("https://racer-{}.example/", winners[0]);
        assert_eq!(app.get(&format!("/v1/shortlink/{alias}")).header("location"), Some(target.as_str()));
    }
}

#[test]
fn no_two_creates_share_a_code_even_when_the_pool_runs_dry_under_them() {
    let app = App::own();
    app.fill(100);
    let codes: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|client| {
                let app = &app;
                scope.spawn(move || {
                    let url = format!("https://client-{client}.example");
                    (0..25).map(|_| app.create(&json!({ "url": url })).code()).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(codes.len(), 400);
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 400);
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 400);
}

/// An instance of `create` takes 256 requests; here several come to their end while others wait.
#[test]
fn an_instance_that_comes_to_its_end_leaves_no_create_unanswered() {
    let app = App::own();
    thread::scope(|scope| {
        for client in 0..16 {
            let app = &app;
            scope.spawn(move || {
                for _ in 0..100 {
                    let url = format!("https://client-{client}.example");
                    assert_eq!(app.create(&json!({ "url": url })).status, 201);
                }
            });
        }
    });
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 1600);
}
