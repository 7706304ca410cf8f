//! What requests a manifest wants answered, and by whom.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Deserialize;

/// One `[[trigger.http]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpTrigger {
    pub(crate) route: String,
    component: Option<String>,
    static_response: Option<StaticResponse>,
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(rename = "executor")]
    _executor: Option<Executor>,
}

impl HttpTrigger {
    /// What answers the route.
    pub(crate) fn target(&self) -> anyhow::Result<TriggerTarget<'_>> {
        match (&self.component, &self.static_response) {
            (Some(id), None) => Ok(TriggerTarget::Component(id)),
            (None, Some(response)) => Ok(TriggerTarget::Static(response)),
            _ => bail!("the trigger for {} needs either `component` or `static_response`", self.route),
        }
    }
}

/// What answers a route.
pub(crate) enum TriggerTarget<'m> {
    Component(&'m str),
    Static(&'m StaticResponse),
}

/// An answer that the host gives by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticResponse {
    #[serde(default = "ok")]
    pub(crate) status_code: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
}

fn ok() -> u16 {
    200
}

/// The only way of running a component that this host knows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "kebab-case")]
enum Executor {
    #[serde(alias = "spin")]
    Http {},
}
