//! `block add`: no link to the hosts is created any more once it returns.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{BlockedHost, disable};
use crate::cli::AddBlockArgs;
use crate::config::Settings;
use crate::database;
use crate::report::Report;

pub async fn add(settings: &Settings, args: &AddBlockArgs, report: &Report) -> Result<()> {
    let mut client = database::connect(settings).await?;
    database::keep_commits(&client).await?;
    let hosts: Vec<&str> = args.hosts.iter().map(BlockedHost::as_str).collect();
    let added = database::retry_locked(report, async || block(&mut client, &hosts).await).await?;
    let mut fields = json!({"hosts": hosts, "added": added});
    let mut lines = vec![if added.is_empty() {
        "nothing was added: blocked already".to_owned()
    } else {
        format!("blocked {}", added.join(", "))
    }];
    let mut disabled = Vec::new();
    let mut outcome = Ok(());
    if args.disable_links {
        // What was disabled before a failure is listed too: the next run does not find it any more.
        outcome = disable::links_to(&mut client, &hosts, &mut disabled).await;
        lines.push(format!("disabled {} links", disabled.len()));
        fields["count"] = disabled.len().into();
        fields["disabled"] = Value::from(disabled.clone());
    }
    disabled.extend(lines);
    report.say("blocked", &fields, &disabled.join("\n"));
    outcome
}

/// The hosts that were not blocked before.
async fn block(client: &mut Client, hosts: &[&str]) -> Result<Vec<String>> {
    let work = async {
        let transaction = client.transaction().await?;
        // A create reads this table and holds its lock until it ends: this waits for those in flight, which may not have
        // seen the host, and those to come wait for this commit.
        let lock =
            "set local lock_timeout = '1s'; lock table shortlink.blocked_host in access exclusive mode";
        transaction.batch_execute(lock).await?;
        let sql = "insert into shortlink.blocked_host (host) select unnest($1::text[])
                   on conflict do nothing returning host";
        let rows = transaction.query(sql, &[&hosts]).await?;
        transaction.commit().await?;
        Ok::<_, tokio_postgres::Error>(rows.iter().map(|row| row.get(0)).collect())
    };
    work.await.context("cannot block the hosts (has `shortlink-batch migrate` run?)")
}
