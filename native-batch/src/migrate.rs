//! `migrate`: runs the SQL files of `migrations/`, which the binary carries, and builds the indexes of partitions.

mod indexes;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use refinery::{Migration, Runner};
use serde_json::json;
use tokio_postgres::Client;

use crate::config::{ConfigError, Settings};
use crate::database::{self, Lock};
use crate::report::Report;

/// The roles of the components, to which migrations grant their rights.
const ROLES: [&str; 2] = ["shortlink_app", "shortlink_manage"];
/// What has run.
const HISTORY: &str = "shortlink.schema_history";

mod embedded {
    refinery::embed_migrations!("../migrations");
}

pub async fn migrate(settings: &Settings, report: &Report) -> Result<()> {
    let mut client = database::connect(settings).await?;
    // The second of two at once waits here, and then finds nothing left to do.
    Lock::Migrate.acquire(&client).await?;
    check_roles(&client).await?;
    check_owner(&client).await?;
    prepare(&client).await?;
    // A database migrated by a newer release is fine: migrations suit the release before them too.
    let mut runner = embedded::migrations::runner().set_abort_missing(false);
    check_order(&client, runner.get_migrations()).await?;
    runner.set_migration_table_name(HISTORY);
    let mut applied = Vec::new();
    database::retry_locked(report, async || apply(&runner, &mut client, &mut applied).await).await?;
    let human = match applied.as_slice() {
        [] => "the schema is up to date".to_owned(),
        names => names.iter().map(|name| format!("applied {name}")).collect::<Vec<_>>().join("\n"),
    };
    report.say("migrated", &json!({"applied": applied}), &human);
    indexes::build(&client, report).await
}

/// Applies the migrations that are left, and adds their names also when a later one fails.
async fn apply(runner: &Runner, client: &mut Client, applied: &mut Vec<String>) -> Result<()> {
    let outcome = runner.run_async(client).await;
    let done = outcome.as_ref().map_or_else(refinery::Error::report, Some);
    let done = done.into_iter().flat_map(refinery::Report::applied_migrations);
    applied.extend(done.map(ToString::to_string));
    outcome.map(|_| ()).context("a migration failed and was rolled back")
}

async fn check_roles(client: &Client) -> Result<()> {
    let sql = "select name, exists (select from pg_roles where rolname = name), name = current_user
               from unnest($1::text[]) name";
    for row in client.query(sql, &[&ROLES.as_slice()]).await? {
        let (role, exists, is_user): (&str, bool, bool) = (row.get(0), row.get(1), row.get(2));
        ensure!(
            exists,
            "the role {role} does not exist; as a superuser run: create role {role} login password '...'; \
             alter role {role} set statement_timeout = '2s'"
        );
        if is_user {
            return Err(ConfigError::new("DATABASE_URL", format!("must name the owner, not {role}")).into());
        }
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
        .batch_execute("set lock_timeout = '1s'; set client_min_messages = warning; create schema if not exists shortlink")
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
