//! Disables the links that lead to blocked hosts.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::partitions::{Place, partitions};

/// Links disabled in one transaction, which others who change the same links wait for.
const CHUNK: i64 = 5_000;

/// Whether a link is live and leads to one of the hosts or their subdomains. `is_blocked` decides, and as it is slow, it is
/// asked only about URLs that hold one of the hosts.
const IS_CONCERNED: &str = "
    link.disabled_at is null and link.deleted_at is null and link.expires_at > now()
    and case
        when exists (
            select 1 from unnest($1::text[]) wanted (host)
            cross join rtrim(substring(link.url from '^https?://(\\[[^]]*\\]|[^/:?#]*)'), '.') name
            where strpos(link.url, wanted.host) > 0
                and right('.' || name, length(wanted.host) + 1) = '.' || wanted.host
        ) then shortlink.is_blocked(link.url)
        else false
    end";

/// Disables the live links that lead to one of the hosts or their subdomains, and adds their codes to `disabled`.
pub async fn links_to(client: &mut Client, hosts: &[&str], disabled: &mut Vec<String>) -> Result<()> {
    let attached = partitions(client).await?.into_iter().filter(|one| one.place == Place::Attached);
    for partition in attached.map(|one| one.name) {
        let mut done = String::new();
        loop {
            let codes = candidates(client, &partition, hosts, &done)
                .await
                .with_context(|| format!("cannot look for links in {partition}"))?;
            let Some(last) = codes.last() else { break };
            done.clone_from(last);
            let chunk = disable(client, &partition, hosts, &codes).await;
            disabled.extend(chunk.with_context(|| format!("cannot disable links in {partition}"))?);
        }
    }
    Ok(())
}

/// Codes after `done`, in their order. Reads without a lock.
async fn candidates(
    client: &Client,
    partition: &str,
    hosts: &[&str],
    done: &str,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = format!(
        "select link.short_code from shortlink.{partition} link
         where link.short_code > $2 and {IS_CONCERNED} order by link.short_code limit {CHUNK}"
    );
    let rows = client.query(&sql, &[&hosts, &done]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Disables those that lead there still, and notes the changes. Locks as `change_link` does, the registry before the link,
/// and codes in ascending order as creates take them: no two sessions wait for each other.
async fn disable(
    client: &mut Client,
    partition: &str,
    hosts: &[&str],
    codes: &[String],
) -> Result<Vec<String>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let sql = "select 1 from shortlink.short_code where short_code = any($1) order by short_code for update";
    transaction.execute(sql, &[&codes]).await?;
    let sql = format!(
        "with disabled as (
             update shortlink.{partition} link set disabled_at = statement_timestamp(), updated_at = statement_timestamp()
             from shortlink.short_code held
             where held.short_code = any($2) and link.short_code = held.short_code
                 and link.created_at = held.created_at and {IS_CONCERNED}
             returning link.short_code
         ), noted as (
             insert into shortlink.link_change (short_code) select short_code from disabled
         )
         select short_code from disabled order by short_code"
    );
    let rows = transaction.query(&sql, &[&hosts, &codes]).await?;
    transaction.commit().await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
