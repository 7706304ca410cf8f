//! What the fuzz targets in `fuzz/` call and no component does.

pub use spin_sdk::pg::DbValue;

pub use crate::{
    answer::{Answer, RedirectCaching},
    settings::{
        AllowedOrigins, CachingSettings, LinkSettings, PostgresSettings, RedisSettings, SettingError,
        Variables, pool_prefetch,
    },
    store::{claims, lookups},
};
