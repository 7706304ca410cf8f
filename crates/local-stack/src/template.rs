//! The templates of `infra/local`: `{{ name }}` is replaced, nothing else is understood.

use anyhow::{Context, Result, ensure};

/// Fills in the template.
///
/// # Errors
/// A name in the template without a value, a value that no place uses, or a `{{` that is not closed: a template and
/// the code that fills it must not drift apart.
pub fn render(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut rendered = String::with_capacity(template.len());
    let mut used = vec![false; values.len()];
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push_str(before);
        let (name, behind) = after.split_once("}}").context("a `{{` without its `}}`")?;
        let name = name.trim();
        let found = values.iter().zip(&mut used).find(|((key, _), _)| *key == name);
        let ((_, value), used) = found.with_context(|| format!("no value for `{name}`"))?;
        rendered.push_str(value);
        *used = true;
        rest = behind;
    }
    rendered.push_str(rest);
    let unused: Vec<&str> =
        values.iter().zip(used).filter(|(_, used)| !used).map(|((name, _), _)| *name).collect();
    ensure!(unused.is_empty(), "the template has no place for {}", unused.join(", "));
    Ok(rendered)
}

/// Escapes a text for a double-quoted string in nginx.conf, redis.conf or TOML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(escape(r#"/a "b"\c"#), r#"/a \"b\"\\c"#);
    }

    #[test]
    fn every_place_gets_its_value() {
        let rendered =
            render("{ listen {{ port }}; {{port}} {{ name }} }", &[("port", "80"), ("name", "x{{")]);
        assert_eq!(rendered.unwrap(), "{ listen 80; 80 x{{ }");
    }

    #[test]
    fn a_name_without_a_value_is_refused() {
        assert_eq!(render("{{ port }}", &[]).unwrap_err().to_string(), "no value for `port`");
    }

    #[test]
    fn a_value_without_a_place_is_refused() {
        let error = render("", &[("port", "80")]).unwrap_err().to_string();
        assert_eq!(error, "the template has no place for port");
    }

    #[test]
    fn an_open_brace_is_refused() {
        render("{{ port", &[("port", "80")]).unwrap_err();
    }
}
