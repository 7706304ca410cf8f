//! The durable record of links, in Postgres. What the requests of an instance want at the same time goes into one
//! statement, which runs one function of the database for each of them.

use std::rc::Rc;

use shortlink_core::{
    Code, Expiry, Link, Lookup, NewLink, TargetUrl, Timestamp,
    ports::{Claim, LinkStore, StoreError},
};
use spin_sdk::{
    pg::{Connection, DbValue, Error, ParameterValue},
    wasip3::wit_bindgen::spawn,
};

use crate::{
    batch::Batch,
    postgres::{Failure, Postgres},
};

/// Says with the number of its rows what became of the links: a statement of which no row is read costs the host less.
const CREATE: &str = "select from shortlink.create_short_links($1, $2, $3, $4)";
const RESOLVE: &str = "select shortlink.resolve_short_links($1)";
const CREATE_PARTITION: &str = "select shortlink.create_current_partition()";
const HAS_PARTITION: &str = "select where shortlink.short_link_partition_exists(now())";
/// The most in one statement. A host sends an instance no more than 16 requests at a time.
const MOST_FINDS: usize = 16;
/// As many rows as a power of two to this come back, at the most.
const MOST_CREATES: usize = 8;

/// The links in Postgres.
pub struct PostgresStore {
    links: Rc<Links>,
    creates: Rc<Batch<NewLink, Result<Claim, Failure>>>,
    finds: Rc<Batch<Code, Result<Lookup, StoreError>>>,
}

/// The statements.
struct Links(Postgres);

impl PostgresStore {
    /// The links in this Postgres.
    pub fn new(postgres: Postgres) -> Self {
        Self {
            links: Rc::new(Links(postgres)),
            creates: Batch::new(MOST_CREATES, spawn),
            finds: Batch::new(MOST_FINDS, spawn),
        }
    }

    /// Whether links can be stored this month.
    ///
    /// # Errors
    /// [`Failure`] when Postgres does not answer.
    pub async fn has_partition(&self) -> Result<bool, Failure> {
        self.links.0.run(async |connection| Ok(connection.execute(HAS_PARTITION, []).await? > 0)).await
    }
}

impl LinkStore for PostgresStore {
    async fn create(&self, link: &NewLink) -> Result<Claim, StoreError> {
        let links = self.links.clone();
        let claim = self.creates.ask(link.clone(), async move |new| links.create_all(new).await).await;
        claim.unwrap_or_else(|| Err(abandoned())).map_err(|failure| unavailable(&failure))
    }

    async fn find(&self, code: &Code) -> Result<Lookup, StoreError> {
        let links = self.links.clone();
        let lookup = self.finds.ask(code.clone(), async move |codes| links.find_all(codes).await).await;
        lookup.unwrap_or_else(|| Err(unavailable(&abandoned())))
    }
}

impl Links {
    /// Claims codes; whatever fails, fails all of them together.
    async fn claim(&self, links: &[NewLink]) -> Result<Vec<Claim>, Failure> {
        let parameters = create_parameters(links);
        let rows = self.0.run(async |connection| connection.execute(CREATE, parameters).await).await?;
        claims(links.len(), rows)
            .ok_or_else(|| Failure::Unavailable("the database did not say what it created".into()))
    }

    async fn claim_in_a_partition(&self, links: &[NewLink]) -> Result<Vec<Claim>, Failure> {
        match self.claim(links).await {
            // Creates go on when the batch has not made this month's partition.
            Err(Failure::NoPartition) => {
                self.0.run(async |connection| connection.execute(CREATE_PARTITION, []).await).await?;
                self.claim(links).await
            }
            claims => claims,
        }
    }

    async fn create_all(&self, mut links: Vec<NewLink>) -> Vec<Result<Claim, Failure>> {
        // In one order everywhere: two statements that wait for each other's codes would never end.
        let mut order: Vec<usize> = (0..links.len()).collect();
        order.sort_by(|a, b| links.get(*a).map(|link| &link.code).cmp(&links.get(*b).map(|link| &link.code)));
        links.sort_by(|a, b| a.code.cmp(&b.code));
        let claims = match self.claim_in_a_partition(&links).await {
            Ok(claims) => claims.into_iter().map(Ok).collect(),
            // One of them was refused, and the others had to fail with it.
            Err(Failure::Refused) => self.create_each(links).await,
            Err(failure) => vec![Err(failure); links.len()],
        };
        let mut in_order: Vec<_> = order.into_iter().zip(claims).collect();
        in_order.sort_by_key(|(position, _)| *position);
        in_order.into_iter().map(|(_, claim)| claim).collect()
    }

    async fn create_each(&self, links: Vec<NewLink>) -> Vec<Result<Claim, Failure>> {
        let mut claims = Vec::new();
        for link in links {
            claims.push(match self.claim_in_a_partition(&[link]).await {
                Ok(claimed) => claimed.first().copied().ok_or(Failure::Refused),
                // Code and URL were checked on the way here, so it is the expiry, and the clocks differ.
                Err(Failure::Refused) => Ok(Claim::Over),
                Err(failure) => Err(failure),
            });
        }
        claims
    }

    async fn find_all(&self, codes: Vec<Code>) -> Vec<Result<Lookup, StoreError>> {
        let asked = codes.iter().map(|code| Some(code.to_string())).collect();
        let parameters = vec![ParameterValue::ArrayStr(asked)];
        match self.0.run(async |connection| value(connection, RESOLVE, parameters).await).await {
            Ok(found) => lookups(&codes, found),
            Err(failure) => vec![Err(unavailable(&failure)); codes.len()],
        }
    }
}

/// The task that ran the statement for this request was cancelled.
fn abandoned() -> Failure {
    Failure::Unavailable("the statement was cancelled".into())
}

fn create_parameters(links: &[NewLink]) -> Vec<ParameterValue> {
    let texts = |text: fn(&NewLink) -> String| {
        ParameterValue::ArrayStr(links.iter().map(|link| Some(text(link))).collect())
    };
    let expiries = links.iter().map(|link| Some(link.link.expiry.at().unix_millis())).collect();
    let custom = links.iter().map(|link| Some(i32::from(link.is_custom))).collect();
    vec![
        texts(|link| link.code.to_string()),
        texts(|link| link.link.target.to_string()),
        ParameterValue::ArrayInt64(expiries),
        ParameterValue::ArrayInt32(custom),
    ]
}

/// What became of each of `count` links: there is one row, and another 2^n for each link n, from 0, whose code was taken.
pub fn claims(count: usize, rows: u64) -> Option<Vec<Claim>> {
    let taken = rows.checked_sub(1)?;
    let bits = u32::try_from(count).ok()?;
    if taken.checked_shr(bits)? > 0 {
        return None;
    }
    let claim = |n: u32| if taken >> n & 1 == 0 { Claim::Created } else { Claim::Taken };
    Some((0..bits).map(claim).collect())
}

/// What is known about each code, from what the database says about each.
pub fn lookups(codes: &[Code], found: Option<DbValue>) -> Vec<Result<Lookup, StoreError>> {
    match found {
        Some(DbValue::ArrayStr(found)) if found.len() == codes.len() => {
            codes.iter().zip(&found).map(|(code, found)| read(code, found.as_deref())).collect()
        }
        _ => vec![Err(StoreError::Unusable("not one answer for each code".into())); codes.len()],
    }
}

fn read(code: &Code, found: Option<&str>) -> Result<Lookup, StoreError> {
    let link = |found: &str| {
        let (at, url) = found.split_once(' ')?;
        let expiry = Expiry::stored(Timestamp::from_unix_millis(at.parse().ok()?));
        Some(Link { target: TargetUrl::stored(url)?, expiry })
    };
    match found {
        None => Ok(Lookup::Unknown),
        Some("") => Ok(Lookup::Expired),
        Some(found) => {
            link(found).map(Lookup::Live).ok_or_else(|| StoreError::Unusable(format!("the URL of {code}")))
        }
    }
}

fn unavailable(failure: &Failure) -> StoreError {
    StoreError::Unavailable(failure.to_string())
}

/// The first value of the first row.
async fn value(
    connection: &Connection,
    statement: &str,
    parameters: Vec<ParameterValue>,
) -> Result<Option<DbValue>, Error> {
    let mut result = connection.query(statement, parameters).await?;
    let mut first = None;
    while let Some(row) = result.rows().next().await {
        first = first.or_else(|| row.into_iter().next());
    }
    result.result().await?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_is_told_from_the_others_by_the_number_of_rows() {
        use Claim::{Created, Taken};
        assert_eq!(claims(1, 1), Some(vec![Created]));
        assert_eq!(claims(1, 2), Some(vec![Taken]));
        assert_eq!(claims(3, 1 + 0b101), Some(vec![Taken, Created, Taken]));
        assert_eq!(claims(MOST_CREATES, 1 << MOST_CREATES), Some(vec![Taken; MOST_CREATES]));
    }

    #[test]
    fn no_link_was_created_unless_the_database_says_so() {
        assert_eq!(claims(1, 0), None);
        assert_eq!(claims(1, 3), None);
        assert_eq!(claims(2, u64::MAX), None);
        assert_eq!(claims(64, 1), None);
    }

    #[test]
    fn each_code_gets_its_own_link() {
        let codes: Vec<Code> = (0..4).map(Code::from_number).collect();
        let found = ["", "1000 javascript:alert(1)", "1000 https://three.example/"];
        let found = found.iter().map(|text| Some((*text).to_owned())).chain([None]).collect();
        let lookups = lookups(&codes, Some(DbValue::ArrayStr(found)));
        assert_eq!(lookups[0], Ok(Lookup::Expired));
        assert!(matches!(lookups[1], Err(StoreError::Unusable(_))));
        let Ok(Lookup::Live(link)) = &lookups[2] else { panic!("{:?}", lookups[2]) };
        assert_eq!(link.target.to_string(), "https://three.example/");
        assert_eq!(lookups[3], Ok(Lookup::Unknown));
    }

    #[test]
    fn a_lack_of_answers_is_never_taken_for_a_lack_of_links() {
        let codes: Vec<Code> = (0..2).map(Code::from_number).collect();
        for found in [Some(DbValue::ArrayStr(vec![None])), Some(DbValue::DbNull), None] {
            assert!(lookups(&codes, found).iter().all(Result::is_err));
        }
    }
}
