//! `/v1/links` and `/v1/links/{code}`: what the owner of links does with them, by an API key.
//!
//! A change is one statement in Postgres, which also notes that the link's entry in the redirect cache has to follow. Then
//! [`refresh_cache`] replaces that entry; should this fail, the batch does it in its next round.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a panic in a guest fails the requests beside it too"
    )
)]

mod answers;
mod bindings;

use std::{rc::Rc, time::Duration};

use futures::future::join_all;
use shortlink_core::{
    Authority, Code, CodeError, Draft, KeyHolder, Link, LinkChange, LinkQuery, Lookup, NewLink, Problems,
    Scope, Timestamp, cache_created, refresh_cache,
};
use shortlink_guest::{
    answer::Answer,
    create_answers,
    deadline::Deadline,
    host,
    http::{self, Incoming, Verb},
    identity,
    instance::{self, Slot},
    log,
    settings::{self, AllowedOrigins, LinkSettings, SettingError, SpinVariables},
};
use shortlink_spin_adapters::{
    postgres::{Change, Created, Idempotent, Item, ItemResult, Postgres, PostgresSettings, PostgresStore},
    redis::{Redis, RedisCache, RedisPool, RedisSettings},
};
use spin_sdk::wasip3::{
    http::types::{ErrorCode, Request, Response},
    random::random::get_random_u64,
};

/// The path of links as their owner sees them: each has its code for a further segment.
const OWN_LINKS: &str = "/v1/links";
const METHODS: &str = "GET, HEAD, POST, OPTIONS";
const LINK_METHODS: &str = "GET, HEAD, PATCH, DELETE, OPTIONS";
/// The longest body of a change, in bytes.
const BODY_LIMIT: usize = 32 * 1024;
/// The longest body with several links, in bytes.
const SEVERAL_LIMIT: usize = 1024 * 1024;
/// How long a request may take. A front door waits for 15 s.
const BUDGET: Duration = Duration::from_secs(10);

struct State {
    links: LinkSettings,
    cache_ttl: Duration,
    origins: AllowedOrigins,
    cache: RedisCache,
    pool: RedisPool,
    store: PostgresStore,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        let links = LinkSettings::read(variables).await?;
        let postgres = Postgres::new(PostgresSettings::read(variables).await?);
        Ok(Self {
            cache_ttl: settings::cache_ttl(variables).await?,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            pool: RedisPool::new(Redis::new(RedisSettings::read(variables, "redis_codes").await?), 1),
            store: PostgresStore::new(postgres, links.quarantine_days),
            links,
        })
    }

    async fn respond(
        &self,
        request: Incoming,
        place: Place,
        deadline: Deadline,
    ) -> Result<Response, ErrorCode> {
        let origin = request.origin(&self.origins);
        let (Ok(answer) | Err(answer)) = self.answer(request, place, deadline).await;
        http::response(answer.with_cors(&self.origins, origin.as_deref()))
    }

    async fn answer(&self, request: Incoming, place: Place, deadline: Deadline) -> Result<Answer, Answer> {
        match (place, request.verb()) {
            (Place::Links, Verb::Options) => Ok(Answer::options(METHODS)),
            (Place::Links, Verb::Get) => self.list(request, deadline).await,
            (Place::Links, Verb::Post) => self.create(request, deadline).await,
            (Place::Links, Verb::Patch | Verb::Delete | Verb::Other) => {
                Err(request.refuse(Answer::wrong_method(METHODS)).await)
            }
            (_, Verb::Options) => Ok(Answer::options(LINK_METHODS)),
            (_, Verb::Post | Verb::Other) => Err(request.refuse(Answer::wrong_method(LINK_METHODS)).await),
            (Place::NoCode(error), _) => Err(request.refuse(answers::not_a_code(error)).await),
            (Place::Link(code), Verb::Get) => self.show(request, &code, deadline).await,
            (Place::Link(code), Verb::Patch) => self.change(request, &code, deadline).await,
            (Place::Link(code), Verb::Delete) => self.delete(request, &code, deadline).await,
        }
    }

    async fn list(&self, request: Incoming, deadline: Deadline) -> Result<Answer, Answer> {
        let (holder, request) = self.authenticate(request, Scope::Read, deadline).await?;
        let reach = holder.reach();
        let query = LinkQuery::from_query(&request.query(), reach);
        drop(request);
        let mut query = query.map_err(|problems| answers::problems(&problems))?;
        // One more than are shown tells whether there is another page.
        let shown = query.limit;
        query.limit = shown.saturating_add(1);
        let page = self.store.until(deadline).list(reach, &query).await;
        let mut page = page.map_err(|error| Answer::store_failed("list", &error))?;
        let has_more = page.links.len() > shown as usize;
        page.links.truncate(shown as usize);
        let last = page.links.last().filter(|_| has_more);
        let next_cursor = last.map(|last| query.cursor(&last.position(), reach));
        Ok(answers::listed(&page, next_cursor, query.search.is_some()))
    }

    async fn show(&self, request: Incoming, code: &Code, deadline: Deadline) -> Result<Answer, Answer> {
        let (holder, _) = self.authenticate(request, Scope::Read, deadline).await?;
        let link = self.store.until(deadline).link(holder.reach(), code).await;
        let link = link.map_err(|error| Answer::store_failed("show", &error))?;
        link.as_ref().map(answers::link).ok_or_else(answers::no_link)
    }

    async fn change(&self, request: Incoming, code: &Code, deadline: Deadline) -> Result<Answer, Answer> {
        let (holder, request) = self.authenticate(request, Scope::Manage, deadline).await?;
        let own = self.own_authorities(&request);
        let body = self.body(request, BODY_LIMIT, deadline).await?;
        let now = host::now();
        let change = LinkChange::from_json(&body, now, self.links.limits, &own)
            .map_err(|problems| answers::problems(&problems))?;
        let changed = self.store.until(deadline).change(holder.reach(), code, &change).await;
        match changed.map_err(|error| Answer::store_failed("change", &error))? {
            Change::Done(link) => {
                log::event("change", &holder.name, code.as_str());
                if let Some(lookup) = link.lookup() {
                    self.refresh(code, lookup, now, deadline).await;
                }
                Ok(answers::link(&link))
            }
            Change::NoLink => Err(answers::no_link()),
            Change::AlreadyExpired => Err(create_answers::already_expired()),
            Change::Blocked => Err(create_answers::blocked()),
        }
    }

    async fn delete(&self, request: Incoming, code: &Code, deadline: Deadline) -> Result<Answer, Answer> {
        let (holder, request) = self.authenticate(request, Scope::Manage, deadline).await?;
        let no_body = request.refuse(Answer::no_content()).await;
        let deleted = self.store.until(deadline).delete(holder.reach(), code).await;
        if !deleted.map_err(|error| Answer::store_failed("delete", &error))? {
            return Err(answers::no_link());
        }
        log::event("delete", &holder.name, code.as_str());
        self.refresh(code, Lookup::Expired, host::now(), deadline).await;
        Ok(no_body)
    }

    /// Replaces the cache entry of a link that was changed.
    async fn refresh(&self, code: &Code, lookup: Lookup, now: Timestamp, deadline: Deadline) {
        let store = self.store.until(deadline);
        let find = async || store.find_now(code).await;
        if let Err(error) = refresh_cache(code, lookup, now, self.cache_ttl, &self.cache, find).await {
            // The change is stored, and the batch writes the entry once more.
            log::failure("refresh", &error.to_string());
        }
    }

    async fn create(&self, request: Incoming, deadline: Deadline) -> Result<Answer, Answer> {
        let (holder, request) = self.authenticate(request, Scope::Create, deadline).await?;
        let key = match identity::idempotency_key(&request) {
            Ok(key) => key,
            Err(refusal) => return Err(request.refuse(refusal).await),
        };
        let own = self.own_authorities(&request);
        let body = self.body(request, SEVERAL_LIMIT, deadline).await?;
        let idempotent = key.as_ref().map(|key| Idempotent { key, request: [OWN_LINKS.as_bytes(), &body] });
        let now = host::now();
        let drafts = Draft::several_from_json(&body, now, self.links.limits, &own)
            .map_err(|problems| answers::problems(&problems))?;
        let items = self.items(drafts).await;
        let created = self.store.until(deadline).create_each(holder.id, &items, idempotent).await;
        let results = match created.map_err(|error| Answer::store_failed("create", &error))? {
            Created::Now(results) => {
                self.cache_aliases(&items, &results, &holder, now).await;
                results
            }
            Created::Before(results) => results,
            Created::UnderWay => return Err(create_answers::under_way()),
            Created::Differs => return Err(create_answers::differs()),
        };
        let public_url = self.links.public_url.as_deref();
        Ok(answers::results(results.iter().map(|result| result.answer(public_url))))
    }

    /// The links to create, each with its code: one from the pool, and while it has none, a random one.
    async fn items(&self, drafts: Vec<Result<Draft, Problems>>) -> Vec<Result<Item, Problems>> {
        let generated = drafts.iter().flatten().filter(|draft| draft.alias.is_none()).count();
        let mut codes = self.pool.take(generated).await.into_iter();
        let random = || Code::from_number(get_random_u64());
        let mut item = |draft: Draft| match draft.alias.clone() {
            Some(alias) => Item { draft, code: alias.into_code(), spare: None },
            None => Item { draft, code: codes.next().unwrap_or_else(random), spare: Some(random()) },
        };
        drafts.into_iter().map(|draft| draft.map(&mut item)).collect()
    }

    /// Writes the new links with an alias to the cache: somebody may have asked for one, so that "no such link" is cached.
    async fn cache_aliases(
        &self,
        items: &[Result<Item, Problems>],
        results: &[ItemResult],
        holder: &KeyHolder,
        now: Timestamp,
    ) {
        let new = items.iter().zip(results).filter_map(|(item, result)| match (item, result) {
            (Ok(item), ItemResult::Created(code)) if item.spare.is_none() => {
                let link = Link { target: item.draft.target.clone(), expiry: item.draft.expiry };
                Some(NewLink { code: code.clone(), link, is_custom: true, owner: holder.id })
            }
            _ => None,
        });
        let new: Vec<_> = new.collect();
        join_all(new.iter().map(|new| cache_created(new, now, self.cache_ttl, &self.cache))).await;
    }

    /// Who sends a request, if the key allows this.
    async fn authenticate(
        &self,
        request: Incoming,
        scope: Scope,
        deadline: Deadline,
    ) -> Result<(Rc<KeyHolder>, Incoming), Answer> {
        let refusal = match self.store.until(deadline).authenticate(&request).await {
            Ok(Some(holder)) if holder.may(scope) => return Ok((holder, request)),
            Ok(Some(_)) => identity::no_scope(scope),
            Ok(None) => identity::no_key(),
            Err(refusal) => refusal,
        };
        Err(request.refuse(refusal).await)
    }

    fn own_authorities(&self, request: &Incoming) -> Vec<Authority> {
        let mut own = self.links.public_hosts.clone();
        own.extend(request.authority().as_deref().and_then(Authority::parse));
        own
    }

    async fn body(&self, request: Incoming, limit: usize, deadline: Deadline) -> Result<Vec<u8>, Answer> {
        let content_type = request.header("content-type");
        if let Some(refusal) =
            create_answers::refusal(content_type.as_deref(), request.content_length(), limit)
        {
            return Err(request.refuse(refusal).await);
        }
        let body = request.body(limit, deadline).await;
        body.map_err(|error| create_answers::body_failed(&error, limit))
    }
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// All links of an owner.
    Links,
    /// One of them.
    Link(Code),
    /// One, by what is no code.
    NoCode(CodeError),
}

impl Place {
    /// What `/v1/links` or `/v1/links/<code>` asks for; `None` for any other path, such as `//v1/links`, which the host's
    /// router takes for the same.
    fn at(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(OWN_LINKS)?;
        if rest.is_empty() {
            return Some(Self::Links);
        }
        let code = rest.strip_prefix('/').filter(|code| !code.contains('/'))?;
        Some(Code::parse(code).map_or_else(Self::NoCode, Self::Link))
    }
}

/// Answers a request.
async fn respond(request: Request) -> Result<Response, ErrorCode> {
    let deadline = Deadline::after(BUDGET);
    let request = Incoming::new(request);
    let Some(place) = Place::at(&request.path()) else {
        return http::response(request.refuse(Answer::no_such_path()).await);
    };
    match instance::state(&STATE, deadline, State::build).await {
        Ok(state) => state.respond(request, place, deadline).await,
        Err(answer) => http::response(request.refuse(answer).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_all_links_or_one() {
        assert_eq!(Place::at("/v1/links"), Some(Place::Links));
        assert_eq!(Place::at("/v1/links/a_b"), Code::parse("a_b").ok().map(Place::Link));
        for path in ["/v1/links/", "/v1/links/a.b", "/v1/links/a%62"] {
            assert!(matches!(Place::at(path), Some(Place::NoCode(_))), "{path}");
        }
        for path in ["//v1/links", "/v1/links/a/", "/v1/links//a", "/v1/linksx", "/v1", "/"] {
            assert_eq!(Place::at(path), None, "{path}");
        }
    }
}
