//! The bounds that the figures must keep to.

use serde::Serialize;

use crate::plan::CREATE_CLIENTS;
use crate::results::Results;

/// A figure and its bound.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub what: String,
    pub value: f64,
    #[serde(flatten)]
    pub bound: Bound,
    pub passed: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}
use Bound::{AtLeast, AtMost};

impl Check {
    pub fn new(what: String, value: f64, bound: Bound) -> Self {
        let passed = match bound {
            AtLeast(least) => value >= least,
            AtMost(most) => value <= most,
        };
        Self { what, value, bound, passed }
    }
}

/// Every check whose figures were measured.
pub fn checks(results: &Results, host: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |what: String, value: Option<f64>, bound| {
        checks.extend(value.map(|value| Check::new(what, value, bound)));
    };
    let ratio = |name, base, clients| results.ratio(name, base, clients);
    let p99 = |name, clients| results.get(name, clients)?.p99_ms();
    for clients in results.all("hot").map(|hot| hot.clients) {
        let least = AtLeast(if clients <= 8 { 0.80 } else { 0.75 });
        add(format!("hot / bare, {clients} clients"), ratio("hot", "bare", clients), least);
        let slower = p99("hot", clients).zip(p99("bare", clients)).map(|(hot, bare)| hot / bare.max(0.001));
        add(format!("p99 of hot / p99 of bare, {clients} clients"), slower, AtMost(2.0));
        // With more clients each waits longer for the others, so a p99 of 40 ms is no stall.
        if clients <= 64 {
            add(format!("p99 of hot in ms, {clients} clients"), p99("hot", clients), AtMost(40.0));
        }
        add(format!("proxy-hot / hot, {clients} clients"), ratio("proxy-hot", "hot", clients), AtLeast(3.0));
    }
    for clients in results.all("zipf").map(|zipf| zipf.clients) {
        add(format!("zipf / bare, {clients} clients"), ratio("zipf", "bare", clients), AtLeast(0.45));
    }
    for (name, base) in [("root-hot", "hot"), ("root-zipf", "zipf")] {
        for clients in results.all(name).map(|measured| measured.clients) {
            add(format!("{name} / {base}, {clients} clients"), ratio(name, base, clients), AtLeast(0.95));
        }
    }
    for (name, base, least) in [
        ("create-owned", "create", 0.9),
        ("create-several", "create", 5.0),
        ("list", "create", 0.2),
        ("list-deep", "list", 0.9),
    ] {
        add(format!("{name} / {base}"), ratio(name, base, CREATE_CLIENTS), AtLeast(least));
    }
    let (create, least) = if host == "spin" { ("proxy-create", 0.25) } else { ("create", 0.35) };
    let creates = ratio(create, "pgbench", CREATE_CLIENTS);
    add(format!("creates / pgbench, on {host}"), creates, AtLeast(least));
    for scale in results.all("scale").filter(|scale| scale.clients > 1) {
        let growth = scale.p99_ms().zip(p99("scale", 1)).map(|(more, one)| more / one.max(0.001));
        add(format!("growth of the p99 of {}", scale.title()), growth, AtMost(f64::from(scale.clients)));
    }
    add("codes fill / redis-cli --pipe".to_owned(), ratio("fill", "pipe", 1), AtLeast(0.4));
    for measured in &results.0 {
        let errors = f64::from(measured.errors());
        add(format!("errors of {}", measured.title()), Some(errors), AtMost(0.0));
    }
    checks
}
