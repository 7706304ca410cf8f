//! `allowed_outbound_hosts`: which servers a component may reach.

mod address;
mod network;
mod pattern;

use anyhow::Context;

use self::address::Address;
use self::pattern::HostPattern;
use crate::template::Template;
use crate::variables::AppVariables;

/// The hosts one component may reach.
#[derive(Debug)]
pub(crate) struct AllowedHosts {
    component: String,
    patterns: Vec<HostPattern>,
}

impl AllowedHosts {
    pub(crate) fn parse(
        component: &str,
        entries: &[String],
        variables: &AppVariables,
    ) -> anyhow::Result<Self> {
        let mut patterns = Vec::with_capacity(entries.len());
        for entry in entries {
            let context = || format!("allowed_outbound_hosts entry `{entry}`");
            let template = Template::parse(entry).with_context(context)?;
            let text = variables.render(&template).with_context(context)?;
            // A template may come out empty: an endpoint that is optional and not configured.
            if template.is_literal() || !matches!(text.as_str(), "" | "http://" | "https://") {
                patterns.push(HostPattern::parse(&text).with_context(context)?);
            }
        }
        Ok(Self { component: component.to_owned(), patterns })
    }

    /// Whether the component may reach `url`; `scheme` is that of an address without one. A refusal is logged.
    pub(crate) fn allows_url(&self, url: &str, scheme: &str) -> bool {
        self.allows(Address::parse(url, scheme))
    }

    /// Whether the component may reach this host and port.
    pub(crate) fn allows_host(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.allows(Address::new(scheme, host, port))
    }

    fn allows(&self, address: Option<Address>) -> bool {
        let id = &self.component;
        // What cannot be read may hold a password anywhere: it is not shown.
        let Some(address) = address else {
            tracing::warn!("component `{id}` asked for an outbound address that has no valid host");
            return false;
        };
        let allowed = self.patterns.iter().any(|pattern| pattern.matches(&address));
        if !allowed {
            tracing::warn!(
                "component `{id}` may not reach {address}; to allow it, add \"{address}\" to allowed_outbound_hosts \
                 of [component.{id}] in the manifest"
            );
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::VariableSources;

    fn allowed(entries: &[&str]) -> anyhow::Result<AllowedHosts> {
        let declared =
            toml::from_str("host = { default = \"db.example\" }\nempty = { default = \"\" }").unwrap();
        let variables = AppVariables::resolve(&declared, &VariableSources::default()).unwrap();
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        AllowedHosts::parse("web", &entries, &variables)
    }

    #[test]
    fn templates_are_filled_in() {
        let hosts = allowed(&["postgres://{{ host }}:5432"]).unwrap();
        assert!(hosts.allows_host("postgres", "db.example", None));
        assert!(!hosts.allows_host("postgres", "db.example", Some(5433)));
        assert!(!hosts.allows_host("postgres", "db2.example", None));
    }

    #[test]
    fn only_a_template_may_come_out_empty() {
        assert!(allowed(&["{{ empty }}"]).unwrap().patterns.is_empty());
        assert!(allowed(&["https://{{ empty }}"]).unwrap().patterns.is_empty());
        assert!(allowed(&[""]).is_err());
        assert!(allowed(&["{{ nope }}"]).is_err());
    }

    #[test]
    fn without_entries_nothing_is_allowed() {
        assert!(!allowed(&[]).unwrap().allows_url("redis://127.0.0.1", "redis"));
    }

    #[test]
    fn an_address_without_a_scheme_takes_the_callers() {
        let hosts = allowed(&["redis://localhost:6379"]).unwrap();
        assert!(hosts.allows_url("redis://user:p#ss?@localhost:6379/0", "redis"));
        assert!(hosts.allows_url("localhost:6379", "redis"));
        assert!(!hosts.allows_url("rediss://localhost:6379", "redis"));
        assert!(!hosts.allows_url("::", "redis"));
    }
}
