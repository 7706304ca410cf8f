//! One client: creates, resolves, creates again what has expired, and checks each answer.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    dice::Dice,
    http::{Answer, Http},
    ledger::{Ledger, Link, now_millis},
};

/// How many of its own links a client follows again and again.
const REMEMBERED: usize = 200;

pub struct Client<'a> {
    number: u64,
    dice: Dice,
    http: Http,
    ledger: &'a Ledger,
    links: Vec<Link>,
    /// Aliases whose link has expired, so that they are free again.
    free: Vec<String>,
    created: u64,
}

impl<'a> Client<'a> {
    pub fn new(number: u64, seed: u64, address: SocketAddr, ledger: &'a Ledger) -> Self {
        let dice = Dice::new(seed, number + 1);
        Self { number, dice, http: Http::new(address), ledger, links: vec![], free: vec![], created: 0 }
    }

    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.dice.below(100) {
                0..4 => self.create(None, None),
                4..6 => self.create_alias(None),
                6..9 => {
                    let lifetime = 1_500 + self.dice.below(4_000);
                    self.create_alias(Some(lifetime));
                }
                9..10 => self.follow_nothing(),
                _ => self.follow(),
            }
        }
    }

    fn create_alias(&mut self, lifetime: Option<u64>) {
        let alias = self.free.pop().unwrap_or_else(|| format!("c{}-{}", self.number, self.created));
        self.create(Some(&alias), lifetime);
    }

    fn create(&mut self, alias: Option<&str>, lifetime: Option<u64>) {
        self.created += 1;
        let url = format!("https://client-{}.example/{}", self.number, self.created);
        let expires_at = lifetime.map(|lifetime| now_millis() + i64::try_from(lifetime).unwrap_or_default());
        let mut body = serde_json::json!({ "url": url, "alias": alias });
        if let Some(at) = expires_at.and_then(chrono::DateTime::from_timestamp_millis) {
            body["expires_at"] = at.to_rfc3339().into();
        }
        let answer = self.http.post(&body.to_string());
        self.ledger.count_request(answer.is_some());
        if answer.as_ref().is_none_or(|answer| answer.status == 503) {
            self.ledger.doubt(alias, &url);
        }
        let Some(answer) = answer else { return };
        match answer.status {
            201 => self.note(&answer, alias, url, expires_at),
            503 => self.ledger.unavailable(&answer),
            // A paused machine can let a short life end before the create is looked at.
            400 if expires_at.is_some_and(|at| at <= now_millis()) => {}
            status => self.ledger.wrong(&format!("{status} to a create of {alias:?}: {}", answer.body)),
        }
    }

    fn note(&mut self, answer: &Answer, alias: Option<&str>, url: String, expires_at: Option<i64>) {
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let Some(code) = body["data"]["code"].as_str() else {
            return self.ledger.wrong(&format!("a 201 without a code: {}", answer.body));
        };
        if alias.is_some_and(|alias| alias != code) {
            self.ledger.wrong(&format!("alias {alias:?} became {code}"));
        }
        let link = Link { code: code.to_owned(), url, expires_at, acknowledged: now_millis() };
        self.ledger.acknowledge(link.clone());
        if self.links.len() >= REMEMBERED {
            let forgotten = self.dice.below(REMEMBERED as u64);
            self.links.swap_remove(usize::try_from(forgotten).unwrap_or_default());
        }
        self.links.push(link);
    }

    fn follow(&mut self) {
        let index = usize::try_from(self.dice.below(self.links.len() as u64)).unwrap_or_default();
        let Some(link) = self.links.get(index).cloned() else { return self.create(None, None) };
        let asked = now_millis();
        let answer = self.http.get(&link.code);
        self.ledger.count_request(answer.is_some());
        if let Some(answer) = answer {
            self.ledger.check(&link, &answer, asked);
        }
        if link.is_over(asked) {
            self.links.swap_remove(index);
            self.free.push(link.code);
        }
    }

    fn follow_nothing(&mut self) {
        let code = format!("never-{}-{}", self.number, self.dice.below(1_000_000));
        let answer = self.http.get(&code);
        self.ledger.count_request(answer.is_some());
        match answer {
            Some(answer) if answer.status == 503 => self.ledger.unavailable(&answer),
            Some(answer) if answer.status != 404 => {
                self.ledger.wrong(&format!("{} for {code}, which was never created", answer.status));
            }
            _ => {}
        }
    }
}
