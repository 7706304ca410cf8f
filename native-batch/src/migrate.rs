//! `migrate`: runs the SQL files of `migrations/`, which the binary carries.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use refinery::Migration;
use serde_json::json;
use tokio_postgres::Client;

use crate::config::{ConfigError, Settings};
use crate::database::{self, Lock};
use crate::report::Report;

const APP_ROLE: &str = "shortlink_app";
/// What has run.
const HISTORY: &str = "shortlink.schema_history";

mod embedded {
    refinery::embed_migrations!("../migrations");
}

pub async fn migrate(settings: &Settings, report: &Report) -> Result<()> {
    let mut client = database::connect(settings).await?;
    // The second of two at once waits here, and then finds nothing left to do.
    Lock::Migrate.acquire(&client).await?;
    check_app_role(&client).await?;
    check_owner(&client).await?;
    prepare(&client).await?;
    // A database migrated by a newer release is fine: migrations suit the release before them too.
    let mut runner = embedded::migrations::runner().set_abort_missing(false);
    check_order(&client, runner.get_migrations()).await?;
    let outcome = runner
        .set_migration_table_name(HISTORY)
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

/// Refuses to create objects that another role than the owner of all the others would own: the batch, which connects as
/// that owner, could not use them. Before there is a schema, it is the owner of the database.
async fn check_owner(client: &Client) -> Result<()> {
    let sql = "
        with objects as (
            select nspowner as owner, 'schema shortlink' as name from pg_namespace where nspname = 'shortlink'
            union all
            select relowner, 'table ' || relname from pg_class
                where relnamespace = to_regnamespace('shortlink') and relkind in ('r', 'p')
            union all
            select proowner, 'function ' || proname from pg_proc where pronamespace = to_regnamespace('shortlink')
            union all
            select datdba, 'database ' || datname from pg_database
                where datname = current_database() and to_regnamespace('shortlink') is null
        )
        select pg_get_userbyid(owner)::text, min(name), count(*), current_user::text from objects
        where pg_get_userbyid(owner) <> current_user group by owner order by owner";
    let rows = client.query(sql, &[]).await.context("cannot find out who owns the schema")?;
    let Some(row) = rows.first() else { return Ok(()) };
    let owned = rows.iter().map(|row| {
        let (owner, name, count): (&str, &str, i64) = (row.get(0), row.get(1), row.get(2));
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        format!("{owner} owns {name}{more}")
    });
    let owned = owned.collect::<Vec<_>>().join("; ");
    let user: &str = row.get(3);
    let problem =
        format!("names {user}, but {owned}; connect as the owner, or have a superuser change the owner");
    Err(ConfigError::new("DATABASE_URL", problem).into())
}

/// The schema has to be there before the first migration, for the table of what has run.
async fn prepare(client: &Client) -> Result<()> {
    client
        .batch_execute("set lock_timeout = '10s'; set client_min_messages = warning; create schema if not exists shortlink")
        .await
        .context("cannot create the schema shortlink: DATABASE_URL must name the owner of the database")
}

/// Refuses a migration that came after one with a higher number: it would be skipped.
async fn check_order(client: &Client, migrations: &[Migration]) -> Result<()> {
    let has_history = client.query_one("select to_regclass($1) is not null", &[&HISTORY]).await?;
    if !has_history.get::<_, bool>(0) {
        return Ok(());
    }
    let rows = client.query(&format!("select version::bigint from {HISTORY}"), &[]).await?;
    let applied: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let late: Vec<String> = late(migrations, &applied).map(ToString::to_string).collect();
    ensure!(
        late.is_empty(),
        "never applied, and the database is beyond it: {}; give it the next number",
        late.join(", ")
    );
    Ok(())
}

/// Those that have not been applied while a later one has.
fn late<'a>(migrations: &'a [Migration], applied: &'a BTreeSet<i64>) -> impl Iterator<Item = &'a Migration> {
    let last = applied.last().copied();
    migrations.iter().filter(move |migration| {
        let version = i64::from(migration.version());
        Some(version) < last && !applied.contains(&version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(applied: &[i64]) -> Vec<String> {
        let migrations = ["V1__one", "V2__two", "V3__three"];
        let migrations = migrations.map(|name| Migration::unapplied(name, "select").unwrap());
        let applied = applied.iter().copied().collect();
        late(&migrations, &applied).map(ToString::to_string).collect()
    }

    #[test]
    fn a_migration_that_comes_after_a_later_one_is_noticed() {
        assert_eq!(shown(&[1, 3]), ["V2__two"]);
        assert_eq!(shown(&[3, 4]), ["V1__one", "V2__two"]);
        for in_order in [&[][..], &[1], &[1, 2, 3], &[1, 2, 3, 4]] {
            assert!(shown(in_order).is_empty(), "{in_order:?}");
        }
    }

    #[test]
    fn no_two_migrations_have_the_same_number() {
        let runner = embedded::migrations::runner();
        let versions: BTreeSet<_> = runner.get_migrations().iter().map(Migration::version).collect();
        assert_eq!(versions.len(), runner.get_migrations().len());
    }
}
