//! Text with `{{ variable }}` in it, as manifests use it in component variables and allowed hosts.

/// A text whose expressions are known, ready to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TemplateError {
    #[error("`{0}` opens a `{{{{` that no `}}}}` closes")]
    Unclosed(String),
    #[error("`{{{{ {0} }}}}` names a variable that [variables] does not declare")]
    UnknownVariable(String),
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let (name, after) =
                expression.split_once("}}").ok_or_else(|| TemplateError::Unclosed(text.to_owned()))?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(Part::Variable(name.trim().to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether there is nothing to fill in.
    pub(crate) fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The text with each expression replaced by what `value_of` has for it.
    pub(crate) fn render<'v>(
        &self,
        value_of: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Variable(name) => {
                    value_of(name).ok_or_else(|| TemplateError::UnknownVariable(name.clone()))?
                }
            });
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, TemplateError> {
        Template::parse(text)?.render(|name| match name {
            "host" => Some("db.example"),
            "port" => Some("5432"),
            "none" => Some(""),
            _ => None,
        })
    }

    #[test]
    fn expressions_are_replaced_wherever_they_stand() {
        for (template, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{host}}", "db.example"),
            ("postgres://{{ host }}:{{port}}/x", "postgres://db.example:5432/x"),
            ("{{host}}{{ port }}", "db.example5432"),
            ("{{ none }}", ""),
            ("}} {", "}} {"),
        ] {
            assert_eq!(render(template).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn a_template_without_expressions_is_literal() {
        assert!(Template::parse("postgres://db").unwrap().is_literal());
        assert!(!Template::parse("{{ host }}").unwrap().is_literal());
    }

    #[test]
    fn an_unclosed_expression_is_refused() {
        assert_eq!(render("a {{ host"), Err(TemplateError::Unclosed("a {{ host".into())));
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let error = render("{{ hosst }}").unwrap_err();
        assert_eq!(error.to_string(), "`{{ hosst }}` names a variable that [variables] does not declare");
    }
}
