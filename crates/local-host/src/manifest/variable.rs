//! What variables a manifest has.

use anyhow::bail;
use serde::Deserialize;

/// One entry of `[variables]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariableDeclaration {
    default: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default, rename = "secret")]
    _secret: bool,
    #[serde(rename = "description")]
    _description: Option<String>,
}

impl VariableDeclaration {
    /// The default, or `None` where a value is required; a variable has one of the two.
    pub(crate) fn default_value(&self, name: &str) -> anyhow::Result<Option<&String>> {
        match (&self.default, self.required) {
            (Some(_), true) => bail!("variable `{name}` has both `required` and a `default`"),
            (None, false) => bail!("variable `{name}` needs a `default` or `required = true`"),
            (default, _) => Ok(default.as_ref()),
        }
    }
}
