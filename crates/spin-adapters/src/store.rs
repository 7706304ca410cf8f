//! The durable record of links, in Postgres. Each call is one statement that runs one function of the database.

use shortlink_core::{
    Code, Expiry, Link, Lookup, NewLink, TargetUrl, Timestamp,
    ports::{Claim, LinkStore, StoreError},
};
use spin_sdk::pg::{Connection, DbValue, Error, ParameterValue};

use crate::postgres::{Failure, Postgres};

const CREATE: &str = "select from shortlink.create_short_link(\
    $1, $2, timestamptz 'epoch' + $3::bigint * interval '1 millisecond', $4)";
const RESOLVE: &str = "select url, (extract(epoch from expires_at) * 1000)::bigint, expired \
    from shortlink.resolve_short_link($1)";
const CREATE_PARTITION: &str = "select shortlink.create_short_link_partition(now())";
const HAS_PARTITION: &str = "select where shortlink.short_link_partition_exists(now())";

/// The links in Postgres.
pub struct PostgresStore(pub Postgres);

impl PostgresStore {
    /// Whether links can be stored this month.
    ///
    /// # Errors
    /// [`Failure`] when Postgres does not answer.
    pub async fn has_partition(&self) -> Result<bool, Failure> {
        self.0.run(async |connection| Ok(connection.execute(HAS_PARTITION, []).await? > 0)).await
    }

    async fn claim(&self, link: &NewLink) -> Result<Claim, Failure> {
        let parameters = [
            ParameterValue::Str(link.code.to_string()),
            ParameterValue::Str(link.link.target.to_string()),
            ParameterValue::Int64(link.link.expiry.at().unix_millis()),
            ParameterValue::Boolean(link.is_custom),
        ];
        let rows = self.0.run(async |connection| connection.execute(CREATE, parameters).await).await?;
        Ok(if rows == 0 { Claim::Taken } else { Claim::Created })
    }

    async fn create_partition(&self) -> Result<u64, Failure> {
        self.0.run(async |connection| connection.execute(CREATE_PARTITION, []).await).await
    }
}

impl LinkStore for PostgresStore {
    async fn create(&self, link: &NewLink) -> Result<Claim, StoreError> {
        let claim = match self.claim(link).await {
            // Creates go on when the batch has not made this month's partition.
            Err(Failure::NoPartition) => match self.create_partition().await {
                Ok(_) => self.claim(link).await,
                Err(failure) => Err(failure),
            },
            claim => claim,
        };
        match claim {
            // Code and URL were checked on the way here, so it is the expiry, and the clocks differ.
            Err(Failure::Refused) => Ok(Claim::Over),
            claim => claim.map_err(|failure| unavailable(&failure)),
        }
    }

    async fn find(&self, code: &Code) -> Result<Lookup, StoreError> {
        let parameters = [ParameterValue::Str(code.to_string())];
        let row = self.0.run(async |connection| first_row(connection, RESOLVE, parameters).await).await;
        match row.map_err(|failure| unavailable(&failure))?.as_deref() {
            None => Ok(Lookup::Unknown),
            Some([_, _, DbValue::Boolean(true)]) => Ok(Lookup::Expired),
            Some([DbValue::Str(url), DbValue::Int64(at), DbValue::Boolean(false)]) => {
                let target = TargetUrl::stored(url)
                    .ok_or_else(|| StoreError::Unusable(format!("the URL of {code}")))?;
                let expiry = Expiry::stored(Timestamp::from_unix_millis(*at));
                Ok(Lookup::Live(Link { target, expiry }))
            }
            Some(_) => Err(StoreError::Unusable(format!("a column of {code} has another type"))),
        }
    }
}

fn unavailable(failure: &Failure) -> StoreError {
    StoreError::Unavailable(failure.to_string())
}

async fn first_row(
    connection: &Connection,
    statement: &str,
    parameters: impl Into<Vec<ParameterValue>>,
) -> Result<Option<Vec<DbValue>>, Error> {
    let mut result = connection.query(statement, parameters).await?;
    let mut first = None;
    while let Some(row) = result.rows().next().await {
        first.get_or_insert(row);
    }
    result.result().await?;
    Ok(first)
}
