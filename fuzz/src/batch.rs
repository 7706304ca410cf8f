//! `shortlink-batch`: its settings and its command line.

use std::collections::HashSet;

use clap::Parser;
use shortlink_batch::{
    cli::Cli,
    fuzz::{
        CodeCipher, ConfigError, ExposeSecret as _, Month, SecretString, addresses, database_config,
        last_success, redis_client,
    },
};
use shortlink_core::{Code, GENERATED_CODES};

use crate::sentence::assert_plain;

/// Stands for what nobody may see; where an input has it, no error does.
const SECRET: &str = "hunter2";

#[track_caller]
fn assert_refusal(error: &ConfigError, setting: &str) {
    let text = error.to_string();
    assert_plain(&text);
    assert!(text.starts_with(&format!("{setting} ")), "{text}");
    assert!(!text.contains(SECRET), "the error shows part of the value: {text}");
}

/// `DATABASE_URL` and `REDIS_CODES_URL`: a URL that is refused is named by its variable, and nothing of it is shown.
pub fn urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match database_config(text) {
        Ok(config) => {
            assert!(!config.get_hosts().is_empty() && config.get_connect_timeout().is_some());
            assert!(addresses(&config).split(", ").count() >= config.get_hosts().len());
        }
        Err(error) => assert_refusal(&error, "DATABASE_URL"),
    }
    match redis_client(text, None) {
        Ok(client) => drop(client.get_connection_info().addr().to_string()),
        Err(error) => assert_refusal(&error, "REDIS_CODES_URL"),
    }
}

/// The first 32 bytes are a key, or else its text; the rest are numbers. Different numbers have different codes.
pub fn key(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let hex = text.trim();
        let is_key = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        match cipher(text) {
            Ok(cipher) => assert!(is_key && !format!("{cipher:?}").contains(hex)),
            Err(error) => {
                assert!(!is_key);
                assert_refusal(&error, "SHORTLINK_CODES_KEY");
            }
        }
    }
    let Some((key, numbers)) = data.split_at_checked(32) else { return };
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let cipher = cipher(&hex).expect("64 hexadecimal digits");
    let numbers: HashSet<u64> = numbers
        .chunks_exact(8)
        .take(16)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight")))
        .collect();
    let codes: Vec<Code> = numbers.iter().filter_map(|number| cipher.encrypt(*number)).collect();
    assert_eq!(codes.len(), numbers.iter().filter(|number| **number < GENERATED_CODES).count());
    assert_eq!(
        codes.iter().collect::<HashSet<_>>().len(),
        codes.len(),
        "two numbers with one code: {codes:?}"
    );
    assert!(codes.iter().all(|code| Code::from_pool(code.as_str().as_bytes()).is_ok()));
}

fn cipher(key: &str) -> Result<CodeCipher, ConfigError> {
    let secret = SecretString::from(key);
    CodeCipher::new(&secret)
}

/// One argument a line; the whole is also read as a month and as a file of metrics.
pub fn command(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Month>() {
        Ok(month) => assert_eq!(month.to_string(), text),
        Err(error) => assert_plain(&error.to_string()),
    }
    let _ = last_success(text);
    match Cli::try_parse_from(std::iter::once("shortlink-batch").chain(text.lines())) {
        Ok(cli) => {
            // Debug is what a log would get.
            let settings = &cli.settings;
            let redis = [settings.redis_codes(), settings.redis_cache()];
            let urls = redis.map(|redis| redis.map(|redis| redis.url));
            let secrets = [settings.database_url(), settings.codes_key()].into_iter().chain(urls);
            if secrets.flatten().any(|secret| secret.expose_secret().contains(SECRET)) {
                assert!(!format!("{settings:?}").contains(SECRET));
            }
        }
        Err(error) => drop(error.to_string()),
    }
}
