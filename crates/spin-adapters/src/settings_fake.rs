//! Variables for the tests of settings.

use std::collections::BTreeMap;

use shortlink_guest::settings::{SettingError, Variables};

/// Variables by name.
pub struct Map(BTreeMap<&'static str, &'static str>);

impl Map {
    /// Usable values of all that this crate reads, but for these.
    pub fn with(changes: &[(&'static str, &'static str)]) -> Self {
        let mut map = BTreeMap::from([
            ("postgres_host", "db.example"),
            ("postgres_port", "5432"),
            ("postgres_user", "shortlink_app"),
            ("postgres_password", "it's \\ secret"),
            ("postgres_database", "short_link"),
            ("postgres_sslmode", "require"),
            ("redis_cache_host", "cache.example"),
            ("redis_cache_port", "6379"),
            ("redis_cache_user", "shortlink_app"),
            ("redis_cache_password", "p@ss/word"),
            ("redis_cache_database", "0"),
            ("redis_cache_tls", "require"),
        ]);
        map.extend(changes.iter().copied());
        Self(map)
    }
}

impl Variables for Map {
    async fn get(&self, name: &str) -> Result<String, SettingError> {
        let value = self.0.get(name).map(ToString::to_string);
        value.ok_or_else(|| SettingError::unusable(name, "is not defined for this component"))
    }
}
