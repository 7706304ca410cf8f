//! A component that traps or takes all the memory it can get: its own requests fail, and nothing else.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use super::{measured, recovery, timed};
use crate::{
    app::{App, component},
    http::parse,
};

const FAULTS: usize = 8;

/// The application with one component more.
fn with_faulty(manifest: &str) -> String {
    let source = component("faulty");
    format!(
        "{manifest}\n[[trigger.http]]\nroute = \"/faulty/...\"\ncomponent = \"faulty\"\n\n\
         [component.faulty]\nsource = \"{}\"\n",
        source.display()
    )
}

/// The status of the answer; `None` when the connection ends without one.
fn ask(app: &App, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(app.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut reply = Vec::new();
    let _may_break = stream.read_to_end(&mut reply);
    parse(&reply, false).map(|reply| reply.status)
}

fn other_components_go_on_while(fault: &str) {
    let app = App::with(with_faulty, &[]);
    assert_eq!(ask(&app, "/faulty/fine"), Some(204));
    app.create(&json!({ "url": "https://example.com", "alias": "before" })).code();

    let (over, served) = (AtomicBool::new(false), AtomicU32::new(0));
    let ((), took) = timed(|| {
        thread::scope(|scope| {
            for client in 0..4 {
                let (app, over, served) = (&app, &over, &served);
                scope.spawn(move || {
                    for number in 0.. {
                        let alias = format!("during-{client}-{number}");
                        app.create(&json!({ "url": "https://example.com", "alias": alias })).code();
                        assert_eq!(app.get(&format!("/v1/shortlink/{alias}")).status, 302);
                        served.fetch_add(1, Ordering::Relaxed);
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            for _ in 0..FAULTS {
                let status = ask(&app, &format!("/faulty/{fault}"));
                assert!(status.is_none_or(|status| status >= 500), "{status:?}");
            }
            over.store(true, Ordering::Relaxed);
        });
    });
    let back = recovery(|| ask(&app, "/faulty/fine") == Some(204));
    assert_eq!(app.get("/v1/shortlink/before").status, 302);
    let served = served.load(Ordering::Relaxed);
    measured(&format!("{FAULTS} times {fault}, {served} links beside it"), took, back);
}

#[test]
fn a_component_that_traps_fails_its_own_requests_and_no_other() {
    other_components_go_on_while("trap");
}

#[test]
fn a_component_that_takes_all_the_memory_it_gets_fails_its_own_requests_and_no_other() {
    other_components_go_on_while("grow");
}
