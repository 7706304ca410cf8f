//! Error texts for the log, without what they must not hold.

use secrecy::{ExposeSecret, SecretString};

/// The text with each of these values replaced.
pub fn redact(text: &str, hidden: &[SecretString]) -> String {
    let secrets = hidden.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_replaced_and_an_empty_value_replaces_nothing() {
        let hidden = ["cache.example", "", "shortlink_app"].map(SecretString::from);
        assert_eq!(redact("cannot reach cache.example as shortlink_app", &hidden), "cannot reach *** as ***");
    }
}
