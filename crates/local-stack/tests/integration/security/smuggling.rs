//! Requests that two servers could read differently: a second one hidden in the first is never carried out.

use std::{collections::BTreeSet, thread};

use serde_json::json;

use super::wire::{Answers, WAYS, Way, exchange, provoke};
use crate::{
    app::{App, on_spin},
    http::send,
};

/// A request, with a second one where a reader that errs about its length or its lines would find it.
struct Attack {
    name: String,
    bytes: Vec<u8>,
}

/// How many attackers come at the same time.
const AT_ONCE: usize = 32;
const CANARY: &str = "/v1/shortlink/smuggling-canary";

/// The request to hide, with these headers too: it creates a link, so that its effect can be seen.
fn hidden(headers: &str, alias: &str) -> String {
    let body = json!({ "url": "https://smuggled.example", "alias": alias }).to_string();
    format!(
        "POST /v1/shortlink HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A create with these headers and that body.
fn create(headers: &str, body: &str) -> Vec<u8> {
    let head = "POST /v1/shortlink HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    format!("{head}\r\n{headers}\r\n\r\n{body}").into_bytes()
}

/// Values of `Content-Length` that are none, or could be read as two.
const LENGTHS: [&str; 12] = [
    "5, 6",
    "+5",
    "-5",
    "-1",
    "5 5",
    "0x5",
    "5;",
    "5\u{b}",
    "",
    "five",
    "99999999999999999999999",
    "5\r\n 6",
];

/// Headers that some readers take for `Transfer-Encoding: chunked` and others do not.
const ENCODINGS: [&str; 18] = [
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding:\r\n chunked",
    "X-Folded: x\r\n Transfer-Encoding: chunked",
    "X-Bare: x\rTransfer-Encoding: chunked",
    "X-Nul: x\0Transfer-Encoding: chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
];

/// Bodies in chunks that are none.
const CHUNKS: [&str; 11] = [
    "-1\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "g\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5,5\r\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "fffffffffffffffff0\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
];

/// Requests whose bodies nobody wants.
const UNWANTED: [&str; 12] = [
    "GET /v1/shortlink/smuggling-canary",
    "HEAD /v1/shortlink/smuggling-canary",
    "OPTIONS /v1/shortlink/smuggling-canary",
    "DELETE /v1/shortlink/smuggling-canary",
    "POST /v1/shortlink/smuggling-canary",
    "GET /v1/shortlink/smuggling-unknown",
    "GET /v1/health",
    "GET /v1/health/ready",
    "PUT /v1/shortlink",
    "POST /v1/shortlink",
    "POST /elsewhere",
    "GET /.well-known/spin/health",
];

/// Every attack; `alias` gives the alias of the hidden request for the number of its attack.
fn attacks(alias: impl Fn(usize) -> String) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut add = |name: String, bytes: &dyn Fn(&str) -> Vec<u8>| {
        let hidden = hidden("", &alias(attacks.len()));
        attacks.push(Attack { name, bytes: bytes(&hidden) });
    };
    for short_first in [true, false] {
        add(format!("two lengths, the short one first: {short_first}"), &|hidden| {
            let (short, long) = (5, 5 + hidden.len());
            let (one, two) = if short_first { (short, long) } else { (long, short) };
            create(&format!("content-length: {one}\r\ncontent-length: {two}"), &format!("hello{hidden}"))
        });
    }
    for length in LENGTHS {
        add(format!("content-length {length:?}"), &|hidden| {
            create(&format!("content-length: {length}"), &format!("hello{hidden}"))
        });
    }
    add("a space before the colon of the length".to_owned(), &|hidden| {
        create("content-length : 5", &format!("hello{hidden}"))
    });
    for encoding in ENCODINGS {
        add(format!("{encoding:?} with a length"), &|hidden| {
            let body = format!("0\r\n\r\n{hidden}");
            create(&format!("content-length: {}\r\n{encoding}", body.len()), &body)
        });
    }
    for encoding in
        ["Transfer-Encoding: chunked", "Transfer-Encoding: CHUNKED", "Transfer-Encoding:\tchunked"]
    {
        add(format!("chunks and a length to the end: {encoding:?}"), &|hidden| {
            let body = format!("0\r\n\r\n{hidden}");
            create(&format!("content-length: {}\r\n{encoding}", body.len()), &body)
        });
        add(format!("a length of the first line, and chunks: {encoding:?}"), &|hidden| {
            let size = format!("{:x}\r\n", hidden.len());
            let body = format!("{size}{hidden}\r\n0\r\n\r\n");
            create(&format!("{encoding}\r\ncontent-length: {}", size.len()), &body)
        });
    }
    for chunks in CHUNKS {
        add(format!("chunks {chunks:?}"), &|hidden| {
            create("transfer-encoding: chunked", &format!("{chunks}{hidden}"))
        });
    }
    for start in UNWANTED {
        for (more, size) in [("", 0), ("", 70_000), ("expect: 100-continue\r\n", 0), ("upgrade: h2c\r\n", 0)]
        {
            add(format!("{start} with a body it does not want, {more:?} {size}"), &|hidden| {
                let body = format!("{}{hidden}", hidden.repeat(size / hidden.len()));
                let length = body.len();
                let head = format!("{start} HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {length}");
                format!("{head}\r\n\r\n{body}").into_bytes()
            });
        }
    }
    add("a body of more than anybody reads".to_owned(), &|hidden| {
        let body = hidden.repeat(1_200_000 / hidden.len());
        create(&format!("content-length: {}", body.len()), &body)
    });
    add("the hidden request in the path".to_owned(), &|hidden| {
        let hidden = hidden.replace('\r', "%0d").replace('\n', "%0a").replace(' ', "%20");
        format!(
            "GET {CANARY}%20HTTP/1.1%0d%0ahost:%20x%0d%0a%0d%0a{hidden} HTTP/1.1\r\nhost: localhost\r\n\r\n"
        )
        .into_bytes()
    });
    for line in [
        format!("GET {CANARY}\rX HTTP/1.1"),
        format!("GET {CANARY}\0 HTTP/1.1"),
        format!("GET {CANARY} HTTP/1.1 HTTP/1.1"),
        format!("GET\u{b}{CANARY} HTTP/1.1"),
        format!("GET {CANARY} HTTP/1.1\r\n folded: yes"),
        format!("GET {CANARY} HTTP/1.1\r\nhost localhost"),
        format!("GET {CANARY} HTTP/1.1\r\n: no name"),
        format!("GET {CANARY} HTTP/3.7"),
    ] {
        add(format!("{line:?}"), &|hidden| {
            let head = format!("{line}\r\nhost: localhost\r\ncontent-length: {}", hidden.len());
            format!("{head}\r\n\r\n{hidden}").into_bytes()
        });
    }
    attacks
}

/// The next clients are led where they wanted, whoever had their connection before.
fn assert_unharmed(way: Way, after: usize) {
    for number in 0..8 {
        // Through nginx a query of its own goes past the cache, over a connection that nginx keeps to the host.
        let path = format!("{CANARY}?after={after}-{number}");
        let reply = send(way.addr(), "GET", &path, &[], b"");
        assert_eq!((reply.status, reply.header("location")), (302, Some("https://canary.example/")));
    }
}

fn created(prefix: &str) -> BTreeSet<String> {
    let sql = format!("select short_code from shortlink.short_code where short_code like '{prefix}%'");
    App::shared().sql(&sql).lines().map(str::to_owned).collect()
}

fn canary() {
    // Whichever test comes first creates it.
    let made = App::shared().create(&json!({ "url": "https://canary.example", "alias": "smuggling-canary" }));
    assert!(matches!(made.status, 201 | 409), "{}", made.body);
}

#[test]
fn what_is_hidden_would_be_carried_out_if_it_were_a_request() {
    for way in WAYS {
        let alias = format!("control-{way:?}");
        let second = hidden("connection: close\r\n", &alias);
        let open = format!("GET /v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n{second}");
        assert_eq!(exchange(way.addr(), open.as_bytes()).statuses(), [200, 201], "{way:?}");
        assert_eq!(created(&alias).len(), 1);
    }
}

#[test]
fn a_request_hidden_in_another_is_never_carried_out() {
    canary();
    let mut told = BTreeSet::new();
    for way in WAYS {
        let alias = |number: usize| format!("hidden-{way:?}-{number}");
        let attacks = attacks(alias);
        for (number, some) in attacks.chunks(AT_ONCE).enumerate() {
            let answered: Vec<Answers> = thread::scope(|scope| {
                let attackers: Vec<_> =
                    some.iter().map(|attack| scope.spawn(|| provoke(way.addr(), &attack.bytes))).collect();
                attackers.into_iter().map(|attacker| attacker.join().unwrap()).collect()
            });
            for (place, (attack, answers)) in some.iter().zip(answered).enumerate() {
                let is_of_spin = way == Way::Direct && on_spin();
                // Spin may close the connection of a request that breaks off before it has said all of what it says of it.
                assert!(answers.whole || is_of_spin, "{way:?} {}: cut off: {:?}", attack.name, answers.heads);
                if answers.all.len() > 1 {
                    // Spin may read a request with both lengths as chunks, and what follows as the client's next, and
                    // tell the client so; alone it hides nothing from anybody. nginx lets no such request through.
                    assert!(is_of_spin, "{way:?} {}: {:?}", attack.name, answers.statuses());
                    told.insert(alias(number * AT_ONCE + place));
                }
            }
            assert_unharmed(way, number);
        }
    }
    let hidden: Vec<_> = created("hidden-").difference(&told).cloned().collect();
    assert!(hidden.is_empty(), "hidden requests were carried out: {hidden:?}");
}
