//! What the figures have to show.

use serde::Serialize;

use crate::plan::{CREATORS, Group};
use crate::results::Results;

/// A figure and its bound.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What the figure is.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// Its bound.
    #[serde(flatten)]
    pub bound: Bound,
    /// Whether the figure keeps to it.
    pub passed: bool,
}

/// How far a figure may go.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Not below.
    AtLeast(f64),
    /// Not above.
    AtMost(f64),
}

/// Every check whose figures were measured.
#[must_use]
pub fn checks(results: &Results, host: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |what: String, value: Option<f64>, bound: Bound| {
        if let Some(value) = value {
            let passed = match bound {
                Bound::AtLeast(least) => value >= least,
                Bound::AtMost(most) => value <= most,
            };
            checks.push(Check { what, value, bound, passed });
        }
    };
    for hot in results.all(Group::Hot) {
        let clients = hot.measurement.clients;
        let least = if clients <= 8 { 0.80 } else { 0.75 };
        let bare = results.ratio(Group::Hot, Group::Bare, clients);
        add(format!("hot / bare, {clients} clients"), bare, Bound::AtLeast(least));
        let bare_p99 = results.get(Group::Bare, clients).and_then(crate::results::Result::p99_ms);
        let slower = hot.p99_ms().zip(bare_p99).map(|(hot, bare)| hot / bare.max(0.001));
        add(format!("p99 of hot / p99 of bare, {clients} clients"), slower, Bound::AtMost(2.0));
        // With so many clients that each waits longer for its turn, a p99 of 40 ms is no stall.
        if clients <= 64 {
            add(format!("p99 of hot in ms, {clients} clients"), hot.p99_ms(), Bound::AtMost(40.0));
        }
        let proxy = results.ratio(Group::ProxyHot, Group::Hot, clients);
        add(format!("proxy-hot / hot, {clients} clients"), proxy, Bound::AtLeast(3.0));
    }
    for zipf in results.all(Group::Zipf) {
        let clients = zipf.measurement.clients;
        let ratio = results.ratio(Group::Zipf, Group::Bare, clients);
        add(format!("zipf / bare, {clients} clients"), ratio, Bound::AtLeast(0.45));
    }
    let (create, least) = if host == "spin" { (Group::ProxyCreate, 0.25) } else { (Group::Create, 0.35) };
    let of_pgbench = results.ratio(create, Group::Pgbench, CREATORS);
    add(format!("creates / pgbench, on {host}"), of_pgbench, Bound::AtLeast(least));
    let scale = results.all(Group::Scale);
    if let Some(fewest) = scale.first() {
        for more in scale.iter().skip(1) {
            let clients = f64::from(more.measurement.clients) / f64::from(fewest.measurement.clients);
            let growth = more.p99_ms().zip(fewest.p99_ms()).map(|(more, few)| more / few.max(0.001));
            add(format!("growth of the p99 of {}", more.title()), growth, Bound::AtMost(clients));
        }
    }
    let fill = results.ratio(Group::Fill, Group::Pipe, 1);
    add("codes fill / redis-cli --pipe".to_owned(), fill, Bound::AtLeast(0.4));
    for result in &results.0 {
        let errors = u32::try_from(result.errors()).unwrap_or(u32::MAX);
        add(format!("errors of {}", result.title()), Some(f64::from(errors)), Bound::AtMost(0.0));
    }
    checks
}
