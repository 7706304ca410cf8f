//! The host's side of the interfaces in `wit/deps`, generated.

wasmtime::component::bindgen!({
    path: [
        "../../wit/deps/spin-postgres",
        "../../wit/deps/spin-redis",
        "../../wit/deps/spin-variables",
        "wit",
    ],
    world: "short-link:local-host/host",
    imports: {
        "spin:postgres/postgres.[constructor]connection-builder": async | trappable,
        default: async,
    },
    with: {
        "spin:postgres/postgres.connection": crate::connections::PostgresConnection,
        "spin:postgres/postgres.connection-builder": crate::connections::PostgresBuilder,
        "spin:redis/redis.connection": crate::connections::RedisConnection,
    },
});

pub(crate) use spin::{postgres::postgres, redis::redis, variables::variables};
