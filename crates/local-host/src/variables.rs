//! The values of the manifest's variables: where they come from and what each component sees of them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail};

use crate::manifest::VariableDeclaration;
use crate::template::Template;

/// What the environment calls the variable `name`.
const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE_";

/// Values from outside the manifest. It has no `Debug`: half of them are passwords.
#[derive(Default, Clone)]
pub struct VariableSources {
    given: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl VariableSources {
    /// Takes every `SPIN_VARIABLE_*` of this process's environment.
    ///
    /// # Errors
    ///
    /// One of them is not UTF-8.
    pub fn from_environment() -> anyhow::Result<Self> {
        let mut environment = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(ENVIRONMENT_PREFIX)) else {
                continue;
            };
            let Ok(value) = value.into_string() else { bail!("{name} is not UTF-8") };
            environment.insert(name.to_owned(), value);
        }
        Ok(Self { given: BTreeMap::new(), environment })
    }

    /// Sets the variable `name`, over whatever the environment and the manifest say.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.insert(name.into(), value.into());
        self
    }

    fn value_of(&self, name: &str) -> Option<&String> {
        self.given.get(name).or_else(|| self.environment.get(&environment_name(name)))
    }
}

/// The application's variables, all with a value.
pub(crate) struct AppVariables(HashMap<String, String>);

impl AppVariables {
    pub(crate) fn resolve(
        declared: &BTreeMap<String, VariableDeclaration>,
        sources: &VariableSources,
    ) -> anyhow::Result<Self> {
        if let Some(unknown) = sources.given.keys().find(|name| !declared.contains_key(*name)) {
            bail!("--variable {unknown}: the manifest's [variables] has no `{unknown}`");
        }
        let mut values = HashMap::with_capacity(declared.len());
        let mut missing = Vec::new();
        for (name, declaration) in declared {
            check_name(name).map_err(anyhow::Error::msg).with_context(|| format!("[variables] {name}"))?;
            if let Some(value) = sources.value_of(name).or(declaration.default_value(name)?) {
                values.insert(name.clone(), value.clone());
            } else {
                missing.push(format!("`{name}` (set {} or --variable {name}=..)", environment_name(name)));
            }
        }
        if !missing.is_empty() {
            bail!("required variables without a value: {}", missing.join(", "));
        }
        Ok(Self(values))
    }

    /// Fills the application's variables into `text`.
    pub(crate) fn render(&self, template: &Template) -> anyhow::Result<String> {
        Ok(template.render(|name| self.0.get(name).map(String::as_str))?)
    }

    /// What a component with this `[component.x.variables]` sees.
    pub(crate) fn for_component(
        &self,
        templates: &BTreeMap<String, String>,
    ) -> anyhow::Result<ComponentVariables> {
        let mut values = HashMap::with_capacity(templates.len());
        for (name, text) in templates {
            let value = check_name(name)
                .map_err(anyhow::Error::msg)
                .and_then(|()| self.render(&Template::parse(text)?))
                .with_context(|| format!("variable `{name}`"))?;
            values.insert(name.clone(), value);
        }
        Ok(ComponentVariables(values))
    }
}

/// The variables of one component.
pub(crate) struct ComponentVariables(HashMap<String, String>);

impl ComponentVariables {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn environment_name(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase())
}

/// Spin's rule for names, which lets each also be an environment variable or a file.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        Err("a variable's name begins with a lower-case letter")
    } else if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        Err("a variable's name has only lower-case letters, digits and underscores")
    } else if name.ends_with('_') || name.contains("__") {
        Err("underscores in a variable's name stand one at a time between other characters")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> BTreeMap<String, VariableDeclaration> {
        toml::from_str(
            r#"
            host = { default = "127.0.0.1" }
            password = { required = true, secret = true }
            "#,
        )
        .unwrap()
    }

    fn rendered(sources: &VariableSources, text: &str) -> anyhow::Result<String> {
        AppVariables::resolve(&declared(), sources)?.render(&Template::parse(text)?)
    }

    #[test]
    fn a_given_value_beats_the_environment_which_beats_the_default() {
        let mut sources = VariableSources::default().with("password", "p");
        assert_eq!(rendered(&sources, "{{host}}").unwrap(), "127.0.0.1");
        sources.environment.insert("SPIN_VARIABLE_HOST".into(), "env".into());
        assert_eq!(rendered(&sources, "{{host}}").unwrap(), "env");
        assert_eq!(rendered(&sources.with("host", "flag"), "{{host}}").unwrap(), "flag");
    }

    #[test]
    fn a_missing_required_variable_is_named_with_its_environment_variable() {
        let error = rendered(&VariableSources::default(), "").unwrap_err().to_string();
        assert!(error.contains("`password`") && error.contains("SPIN_VARIABLE_PASSWORD"), "{error}");
    }

    #[test]
    fn only_a_flag_for_an_undeclared_variable_is_an_error() {
        let mut sources = VariableSources::default().with("password", "p");
        sources.environment.insert("SPIN_VARIABLE_OTHER".into(), "x".into());
        assert!(rendered(&sources, "").is_ok());
        let error = rendered(&sources.with("other", "x"), "").unwrap_err().to_string();
        assert!(error.contains("--variable other"), "{error}");
    }

    #[test]
    fn a_component_sees_only_what_it_declares() {
        let variables =
            AppVariables::resolve(&declared(), &VariableSources::default().with("password", "p")).unwrap();
        let seen = BTreeMap::from([("url".to_owned(), "db://{{ host }}/{{ password }}".to_owned())]);
        let component = variables.for_component(&seen).unwrap();
        assert_eq!(component.get("url"), Some("db://127.0.0.1/p"));
        assert_eq!(component.get("password"), None);
        let bad = BTreeMap::from([("url".to_owned(), "{{ nope }}".to_owned())]);
        assert!(variables.for_component(&bad).is_err());
    }

    #[test]
    fn names_follow_the_rule_of_spin() {
        for good in ["a", "a_b", "a1", "a_1"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "_a", "a_", "a__b", "A", "a-b", "1a", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
