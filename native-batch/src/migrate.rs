//! `migrate`: runs the SQL files of `migrations/`, which the binary carries.

use anyhow::{Context, Result};
use serde_json::json;
use tokio_postgres::Client;

use crate::config::{ConfigError, Settings};
use crate::database::{self, Lock};
use crate::report::Report;

const APP_ROLE: &str = "shortlink_app";

mod embedded {
    refinery::embed_migrations!("../migrations");
}

pub async fn migrate(settings: &Settings, report: &Report) -> Result<()> {
    let mut client = database::connect(settings).await?;
    // The second of two at once waits here, and then finds nothing left to do.
    Lock::Migrate.acquire(&client).await?;
    check_app_role(&client).await?;
    prepare(&client).await?;
    // A database migrated by a newer release is fine: migrations suit the release before them too.
    let mut runner = embedded::migrations::runner().set_abort_missing(false);
    let outcome = runner
        .set_migration_table_name("shortlink.schema_history")
        .run_async(&mut client)
        .await
        .context("a migration failed and was rolled back")?;
    let applied: Vec<String> = outcome.applied_migrations().iter().map(ToString::to_string).collect();
    let human = match applied.as_slice() {
        [] => "the schema is up to date".to_owned(),
        names => names.iter().map(|name| format!("applied {name}")).collect::<Vec<_>>().join("\n"),
    };
    report.say("migrated", &json!({"applied": applied}), &human);
    Ok(())
}

async fn check_app_role(client: &Client) -> Result<()> {
    let row = client
        .query_one(
            "select exists (select from pg_roles where rolname = $1), current_user::text",
            &[&APP_ROLE],
        )
        .await?;
    if !row.get::<_, bool>(0) {
        anyhow::bail!(
            "the role {APP_ROLE} does not exist; as a superuser run: create role {APP_ROLE} login password '...'; \
             alter role {APP_ROLE} set statement_timeout = '2s'"
        );
    }
    if row.get::<_, &str>(1) == APP_ROLE {
        return Err(ConfigError::new("DATABASE_URL", format!("must name the owner, not {APP_ROLE}")).into());
    }
    Ok(())
}

/// The schema has to be there before the first migration, for the table of what has run.
async fn prepare(client: &Client) -> Result<()> {
    client
        .batch_execute("set lock_timeout = '10s'; set client_min_messages = warning; create schema if not exists shortlink")
        .await
        .context("cannot create the schema shortlink: DATABASE_URL must name the owner of the database")
}
