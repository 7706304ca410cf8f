//! One client: creates, resolves, changes and deletes links, creates again what has ended, and checks each answer.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    dice::Dice,
    http::{Answer, Http},
    ledger::{Change, Ledger, Link, now_millis},
};

/// How many of its own links a client follows again and again.
const REMEMBERED: usize = 200;
/// How often a create with an idempotency key is sent until it is answered.
const RETRIES: usize = 20;

pub struct Client<'a> {
    number: u64,
    dice: Dice,
    http: Http,
    ledger: &'a Ledger,
    key: &'a str,
    links: Vec<Link>,
    /// Aliases whose link has ended, so that they are free again.
    free: Vec<String>,
    created: u64,
}

impl<'a> Client<'a> {
    pub fn new(number: u64, seed: u64, address: SocketAddr, key: &'a str, ledger: &'a Ledger) -> Self {
        let (dice, http) = (Dice::new(seed, number + 1), Http::new(address));
        Self { number, dice, http, ledger, key, links: vec![], free: vec![], created: 0 }
    }

    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.dice.below(100) {
                0..4 => self.create(None, None, false),
                4..6 => self.create_alias(None, false),
                6..9 => {
                    let lifetime = 1_500 + self.dice.below(4_000);
                    self.create_alias(Some(lifetime), false);
                }
                9..12 => self.create_alias(None, true),
                12..13 => self.create_once(),
                13..18 => self.change(),
                18..19 => self.follow_nothing(),
                _ => self.follow(),
            }
        }
    }

    fn create_alias(&mut self, lifetime: Option<u64>, is_owned: bool) {
        let alias = self.free.pop().unwrap_or_else(|| format!("c{}-{}", self.number, self.created));
        self.create(Some(&alias), lifetime, is_owned);
    }

    fn next_url(&mut self) -> String {
        self.created += 1;
        format!("https://client-{}.example/{}", self.number, self.created)
    }

    fn headers(&self, is_owned: bool) -> Vec<String> {
        if is_owned { vec![format!("authorization: Bearer {}", self.key)] } else { Vec::new() }
    }

    fn create(&mut self, alias: Option<&str>, lifetime: Option<u64>, is_owned: bool) {
        let url = self.next_url();
        let expires_at = lifetime.map(|lifetime| now_millis() + i64::try_from(lifetime).unwrap_or_default());
        let mut body = json!({ "url": url, "alias": alias });
        if let Some(at) = expires_at.and_then(chrono::DateTime::from_timestamp_millis) {
            body["expires_at"] = at.to_rfc3339().into();
        }
        let headers = self.headers(is_owned);
        let answer = self.http.send("POST", "/v1/shortlink", &headers, &body.to_string());
        self.ledger.count_request(answer.is_some());
        if answer.as_ref().is_none_or(|answer| answer.status == 503) {
            self.ledger.doubt(alias, &url);
        }
        let Some(answer) = answer else { return };
        match answer.status {
            201 => self.note(&answer, alias, url, expires_at, is_owned),
            503 => self.ledger.unavailable(&answer),
            // A paused machine can let a short life end before the create is looked at.
            400 if expires_at.is_some_and(|at| at <= now_millis()) => {}
            status => self.ledger.wrong(&format!("{status} to a create of {alias:?}: {}", answer.body)),
        }
    }

    /// Creates a link by the same request again and again until it is answered. That it is stored once is checked at the end.
    fn create_once(&mut self) {
        let url = format!("{}#once", self.next_url());
        // Half of them with an alias, whose cache entry is written by each of the requests.
        let alias = self.created.is_multiple_of(2).then(|| format!("once{}-{}", self.number, self.created));
        let idempotency_key = format!("idempotency-key: {}-{}", self.number, self.created);
        let headers = [&self.headers(true)[..], &[idempotency_key]].concat();
        for _ in 0..RETRIES {
            let body = json!({ "url": url, "alias": alias }).to_string();
            let answer = self.http.send("POST", "/v1/shortlink", &headers, &body);
            self.ledger.count_request(answer.is_some());
            match answer {
                Some(answer) if answer.status == 201 => {
                    return self.note(&answer, alias.as_deref(), url, None, true);
                }
                Some(answer) if matches!(answer.status, 409 | 503) => self.ledger.unavailable(&answer),
                Some(answer) => {
                    return self.ledger.wrong(&format!("{} to a retry: {}", answer.status, answer.body));
                }
                None => {}
            }
        }
    }

    fn note(
        &mut self,
        answer: &Answer,
        alias: Option<&str>,
        url: String,
        expires_at: Option<i64>,
        is_owned: bool,
    ) {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let Some(code) = body["data"]["code"].as_str() else {
            return self.ledger.wrong(&format!("a 201 without a code: {}", answer.body));
        };
        if alias.is_some_and(|alias| alias != code) {
            self.ledger.wrong(&format!("alias {alias:?} became {code}"));
        }
        let (code, acknowledged) = (code.to_owned(), now_millis());
        let link = Link { code, url, expires_at, acknowledged, is_owned, changes: Vec::new() };
        self.ledger.acknowledge(link.clone());
        if self.links.len() >= REMEMBERED {
            let forgotten = self.dice.below(REMEMBERED as u64);
            self.links.swap_remove(usize::try_from(forgotten).unwrap_or_default());
        }
        self.links.push(link);
    }

    /// Changes, disables, enables or deletes one of its own links.
    fn change(&mut self) {
        let own: Vec<usize> = (0..self.links.len()).filter(|index| self.links[*index].is_owned).collect();
        let index = usize::try_from(self.dice.below(own.len() as u64)).unwrap_or_default();
        let Some(index) = own.get(index).copied() else { return self.create_alias(None, true) };
        let code = self.links[index].code.clone();
        let (deletes, body, to) = match self.dice.below(8) {
            0 => (true, Value::Null, None),
            1..3 => (false, json!({ "disabled": true }), None),
            _ => {
                let url = self.next_url();
                (false, json!({ "disabled": false, "url": url }), Some(url))
            }
        };
        let (method, body) = if deletes { ("DELETE", String::new()) } else { ("PATCH", body.to_string()) };
        let path = format!("/v1/links/{code}");
        let answer = self.http.send(method, &path, &self.headers(true), &body);
        self.ledger.count_request(answer.is_some());
        let is_certain = answer.as_ref().is_some_and(|answer| matches!(answer.status, 200 | 204));
        match &answer {
            Some(answer) if answer.status == 503 => self.ledger.unavailable(answer),
            Some(answer) if !is_certain => {
                return self
                    .ledger
                    .wrong(&format!("{} to {method} of {code}: {}", answer.status, answer.body));
            }
            _ => {}
        }
        let change = Change { to, answered: now_millis(), is_certain, deletes };
        self.ledger.change(&code, change.clone(), is_certain);
        self.links[index].changes.push(change);
        if deletes {
            let former = self.links.swap_remove(index);
            // A generated code may be given to anybody now: old codes come back into the pool. Of the aliases some are used again,
            // unless nobody knows what the delete did, and some go on being followed: they must lead nowhere.
            match (code.contains('-'), self.dice.below(2)) {
                (false, _) => {}
                (true, 0) => self.free.extend(is_certain.then_some(code)),
                (true, _) => self.links.push(Link { is_owned: false, ..former }),
            }
        }
    }

    fn follow(&mut self) {
        let index = usize::try_from(self.dice.below(self.links.len() as u64)).unwrap_or_default();
        let Some(link) = self.links.get(index).cloned() else { return self.create(None, None, false) };
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
