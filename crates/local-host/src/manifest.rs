//! `spin.toml`, as far as this host can do what it asks for. Everything else in it is an error.

mod trigger;
mod variable;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;

pub(crate) use self::trigger::{HttpTrigger, StaticResponse, TriggerTarget};
pub(crate) use self::variable::VariableDeclaration;

/// A manifest that this host can run.
#[derive(Debug)]
pub struct Manifest {
    pub(crate) directory: PathBuf,
    pub(crate) variables: BTreeMap<String, VariableDeclaration>,
    pub(crate) triggers: Vec<HttpTrigger>,
    pub(crate) components: BTreeMap<String, ComponentDeclaration>,
    name: String,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    ///
    /// There is no such file, it is no manifest of version 2, or it asks for something this host lacks.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the manifest {}", path.display()))?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, directory).with_context(|| format!("local-host cannot run {}", path.display()))
    }

    /// The application's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn parse(text: &str, directory: PathBuf) -> anyhow::Result<Self> {
        let VersionOnly { spin_manifest_version: version } = toml::from_str(text)?;
        ensure!(version == 2, "spin_manifest_version is {version}; only version 2 is supported");
        let document: Document = toml::from_str(text)?;
        let manifest = Self {
            directory,
            variables: document.variables,
            triggers: document.trigger.http,
            components: document.component,
            name: document.application.name,
        };
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.triggers.is_empty(), "there is no [[trigger.http]], so nothing would be served");
        for (name, variable) in &self.variables {
            variable.default_value(name)?;
        }
        for trigger in &self.triggers {
            if let TriggerTarget::Component(id) = trigger.target()? {
                ensure!(
                    self.components.contains_key(id),
                    "the trigger for {} names the component `{id}`, which has no [component.{id}]",
                    trigger.route
                );
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    spin_manifest_version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "spin_manifest_version")]
    _version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, VariableDeclaration>,
    trigger: Triggers,
    #[serde(default)]
    component: BTreeMap<String, ComponentDeclaration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    #[serde(rename = "version")]
    _version: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
}

/// One `[component.<id>]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComponentDeclaration {
    /// The path of the `.wasm`, from the manifest's directory.
    pub(crate) source: PathBuf,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// For `spin build` and `spin watch`; running does not look at it.
    #[serde(rename = "build")]
    _build: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "app"
        [[trigger.http]]
        route = "/..."
        component = "web"
        [component.web]
        source = "web.wasm"
    "#;

    fn error_of(text: &str) -> String {
        format!("{:#}", Manifest::parse(text, PathBuf::new()).unwrap_err())
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let text = r#"
            spin_manifest_version = 2
            [application]
            name = "app"
            version = "1.0.0"
            authors = ["someone"]
            description = "what it is"
            [variables]
            host = { default = "localhost" }
            password = { required = true, secret = true }
            [[trigger.http]]
            id = "first"
            route = "/a/:b"
            component = "web"
            executor = { type = "http" }
            [[trigger.http]]
            route = "/..."
            static_response = { status_code = 404, headers = { x = "y" }, body = "no" }
            [component.web]
            source = "web.wasm"
            description = "the web"
            allowed_outbound_hosts = ["redis://{{ host }}:6379"]
            [component.web.variables]
            password = "{{ password }}"
            [component.web.build]
            command = "cargo build"
            watch = ["src/**/*.rs"]
        "#;
        let manifest = Manifest::parse(text, PathBuf::new()).unwrap();
        assert_eq!(manifest.name(), "app");
        assert_eq!(manifest.triggers.len(), 2);
        assert!(matches!(manifest.triggers[0].target(), Ok(TriggerTarget::Component("web"))));
        let Ok(TriggerTarget::Static(response)) = manifest.triggers[1].target() else { panic!() };
        assert_eq!((response.status_code, response.body.as_str()), (404, "no"));
    }

    #[test]
    fn what_is_not_supported_is_an_error_that_names_it() {
        assert!(Manifest::parse(MINIMAL, PathBuf::new()).is_ok());
        for unsupported in [
            "files = [\"a\"]",
            "key_value_stores = [\"default\"]",
            "sqlite_databases = [\"default\"]",
            "ai_models = [\"a\"]",
            "environment = { A = \"b\" }",
            "dependencies = {}",
        ] {
            let field = unsupported.split(' ').next().unwrap();
            let error = error_of(&format!("{MINIMAL}\n{unsupported}"));
            assert!(error.contains(&format!("unknown field `{field}`")), "{error}");
        }
    }

    #[test]
    fn other_triggers_executors_and_sources_are_errors() {
        for (from, to, expected) in [
            ("[[trigger.http]]", "[[trigger.redis]]", "unknown field `redis`"),
            ("\"web.wasm\"", "{ url = \"u\", digest = \"d\" }", "source = { url"),
            ("route = \"/...\"", "route = { private = true }", "route = { private"),
            ("component = \"web\"", "component = \"web\"\nexecutor = { type = \"wagi\" }", "wagi"),
            ("spin_manifest_version = 2", "spin_manifest_version = 1", "only version 2"),
            ("component = \"web\"", "component = \"wev\"", "no [component.wev]"),
            ("component = \"web\"", "", "either `component` or `static_response`"),
        ] {
            let error = error_of(&MINIMAL.replace(from, to));
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_variable_has_either_a_default_or_is_required() {
        for declaration in ["{ required = true, default = \"x\" }", "{}", "{ required = false }"] {
            let error = error_of(&format!("{MINIMAL}\n[variables]\nhost = {declaration}"));
            assert!(error.contains("variable `host`"), "{error}");
        }
    }
}
