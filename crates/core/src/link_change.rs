//! The body of a request to change a link.

use crate::{
    expiry::{Expiry, LifetimeLimits},
    members::{Members, Problems, parse_text, problems},
    target_url::{Authority, TargetUrl},
    time::Timestamp,
};

/// What is to change of a link; what is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// Where it is to lead.
    pub target: Option<TargetUrl>,
    /// When it is to end.
    pub expiry: Option<Expiry>,
    /// Whether it is to lead nowhere until it is enabled again.
    pub disabled: Option<bool>,
}

impl LinkChange {
    /// Reads `{"url"?, "expires_at"?, "disabled"?}`, of which one at least must be there. `null` stands for an absent member;
    /// any other member is refused, as somebody means it to change something.
    ///
    /// # Errors
    /// [`Problems`] naming every problem at once.
    pub fn from_json(
        body: &[u8],
        now: Timestamp,
        limits: LifetimeLimits,
        own: &[Authority],
    ) -> Result<Self, Problems> {
        let members = Members::read(body, ["url", "expires_at", "disabled"], "the body")?;
        let others =
            members.has_others.then(|| "only `url`, `expires_at` and `disabled` can be changed".to_owned());
        let target = parse_text("url", members.text("url"), |url| TargetUrl::parse(url, own));
        let expiry =
            parse_text("expires_at", members.text("expires_at"), |at| Expiry::parse(at, now, limits));
        let disabled = members.parsed("disabled", |_| "must be true or false".into());
        match (others, target, expiry, disabled) {
            (None, Ok(None), Ok(None), Ok(None)) => {
                Err(Problems("nothing to change: give `url`, `expires_at` or `disabled`".into()))
            }
            (None, Ok(target), Ok(expiry), Ok(disabled)) => Ok(Self { target, expiry, disabled }),
            (others, target, expiry, disabled) => {
                Err(problems([target.err(), expiry.err(), disabled.err(), others]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
    const LIMITS: LifetimeLimits = LifetimeLimits { default_ttl_days: 14, max_ttl_days: Some(1826) };

    fn read(body: &str) -> Result<LinkChange, String> {
        LinkChange::from_json(body.as_bytes(), NOW, LIMITS, &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn each_member_alone_is_a_change() {
        let nothing = LinkChange { target: None, expiry: None, disabled: None };
        let target = TargetUrl::parse("https://example.com", &[]).ok();
        assert_eq!(read(r#"{"url":"https://example.com"}"#), Ok(LinkChange { target, ..nothing.clone() }));
        assert_eq!(
            read(r#"{"disabled":false,"url":null}"#),
            Ok(LinkChange { disabled: Some(false), ..nothing.clone() })
        );
        let expiry = Some(Expiry::At(NOW.plus_days(1)));
        let at = r#"{"expires_at":"2027-01-16T08:00:00Z"}"#;
        assert_eq!(read(at), Ok(LinkChange { expiry, ..nothing }));
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        let nothing = "nothing to change: give `url`, `expires_at` or `disabled`";
        let others = "only `url`, `expires_at` and `disabled` can be changed";
        let all = format!(
            "`url` must not be empty; `expires_at` must be a string; `disabled` must be true or false; {others}"
        );
        for (body, problem) in [
            ("{}", nothing),
            (r#"{"url":null,"disabled":null}"#, nothing),
            (r#"{"code":"abc"}"#, others),
            (r#"{"code":null,"disabled":true}"#, others),
            (r#"{"url":"","expires_at":1,"disabled":"yes","x":1}"#, &all),
            (r#"{"disabled":true,"disabled":false}"#, "`disabled` is given more than once"),
            ("true", "the body must be a JSON object"),
        ] {
            assert_eq!(read(body), Err(problem.into()), "{body}");
        }
    }
}
