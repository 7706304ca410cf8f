//! `POST /v1/shortlink`: creates a link.
//!
//! The body is parsed into a [`Draft`], which holds every rule of the contract; [`create_link`] takes a code from the pool
//! in Redis, or the alias, stores the link in Postgres and writes it to the redirect cache. With an `Idempotency-Key` the
//! link and what was answered are stored together.

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

mod bindings;
mod request_budget;

use std::time::Duration;

use shortlink_core::{
    Authority, Code, CreateError, Creation, Draft, IdempotencyKey, KeyId, Link, NewLink, Problems, Scope,
    Timestamp, cache_created, create_link, ports::CodePool, refresh_cache,
};
use shortlink_guest::{
    answer::{Answer, LINKS},
    create_answers as answers,
    deadline::Deadline,
    host,
    http::{self, Incoming, Verb},
    identity,
    instance::{self, Slot},
    settings::{self, AllowedOrigins, CreateAccess, LinkSettings, SettingError, SpinVariables},
};
use shortlink_spin_adapters::{
    postgres::{Created, Idempotent, Item, ItemResult, Postgres, PostgresSettings, PostgresStore},
    redis::{Redis, RedisCache, RedisPool, RedisSettings},
};
use spin_sdk::wasip3::{
    http::types::{ErrorCode, Request, Response},
    random::random::get_random_u64,
};

use request_budget::RequestBudget;

const METHODS: &str = "POST, OPTIONS";
/// The longest body, in bytes.
const BODY_LIMIT: usize = 32 * 1024;
/// How long a request may take until its last statement begins, with an idempotency key until that ends. A statement takes 4 s at
/// most, and a front door waits for 15 s: an answer that it no longer waits for must not come with a stored link.
const BUDGET: Duration = Duration::from_secs(10);

struct State {
    access: CreateAccess,
    links: LinkSettings,
    cache_ttl: Duration,
    origins: AllowedOrigins,
    cache: RedisCache,
    pool: RedisPool,
    store: PostgresStore,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
    static REQUEST_BUDGET: RequestBudget = const { RequestBudget::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        let links = LinkSettings::read(variables).await?;
        Ok(Self {
            access: CreateAccess::read(variables).await?,
            cache_ttl: settings::cache_ttl(variables).await?,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            pool: RedisPool::new(
                Redis::new(RedisSettings::read(variables, "redis_codes").await?),
                settings::pool_prefetch(variables).await?,
            ),
            store: PostgresStore::new(
                Postgres::new(PostgresSettings::read(variables).await?),
                links.quarantine_days,
            ),
            links,
        })
    }

    async fn respond(&self, request: Incoming, deadline: Deadline) -> Result<Response, ErrorCode> {
        let origin = request.origin(&self.origins);
        let answer = match request.verb() {
            Verb::Post => self.create(request, deadline).await.unwrap_or_else(|refusal| refusal),
            Verb::Options => Answer::options(METHODS),
            Verb::Get | Verb::Patch | Verb::Delete | Verb::Other => {
                request.refuse(Answer::wrong_method(METHODS)).await
            }
        };
        http::response(answer.with_cors(&self.origins, origin.as_deref()))
    }

    async fn create(&self, request: Incoming, deadline: Deadline) -> Result<Answer, Answer> {
        let (owner, idempotency_key) = match self.check(&request, deadline).await {
            Ok(checked) => checked,
            Err(refusal) => return Err(request.refuse(refusal).await),
        };
        let mut own = self.links.public_hosts.clone();
        own.extend(request.authority().as_deref().and_then(Authority::parse));
        let body = request.body(BODY_LIMIT, deadline).await;
        let body = body.map_err(|error| answers::body_failed(&error, BODY_LIMIT))?;
        let now = host::now();
        let draft = Draft::from_json(&body, now, self.links.limits, &own);
        if let Some(key) = idempotency_key {
            return self.create_once(&key, &body, draft, owner, now, deadline).await;
        }
        let draft = draft.map_err(|problems| Answer::error(400, &problems.to_string()))?;
        let store = self.store.until(deadline);
        let creation = Creation { draft, owner, now, cache_ttl: self.cache_ttl };
        create_link(creation, &store, &self.cache, &self.pool, get_random_u64)
            .await
            .map(|code| self.created(&code))
            .map_err(|error| answers::create_failed(&error))
    }

    /// Whose the link is to be, and the request's idempotency key, or the answer to a request whose headers alone show that
    /// it is refused.
    async fn check(
        &self,
        request: &Incoming,
        deadline: Deadline,
    ) -> Result<(KeyId, Option<IdempotencyKey>), Answer> {
        let owner = match (self.store.until(deadline).authenticate(request).await?, self.access) {
            (Some(holder), _) if holder.may(Scope::Create) => holder.id,
            (Some(_), _) => return Err(identity::no_scope(Scope::Create)),
            (None, CreateAccess::Open) => KeyId::NONE,
            (None, CreateAccess::Key) => return Err(identity::no_key()),
        };
        let content_type = request.header("content-type");
        match answers::refusal(content_type.as_deref(), request.content_length(), BODY_LIMIT) {
            Some(refusal) => Err(refusal),
            None => identity::idempotency_key(request).map(|key| (owner, key)),
        }
    }

    /// Creates a link once, however often the request is sent. A body that was good the first time may not be so any more,
    /// as its expiry has passed: what was answered then counts.
    async fn create_once(
        &self,
        key: &IdempotencyKey,
        body: &[u8],
        draft: Result<Draft, Problems>,
        owner: KeyId,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Answer, Answer> {
        let store = self.store.until(deadline);
        let idempotent = Idempotent { key, request: [LINKS.as_bytes(), body] };
        let store_failed = |error| answers::create_failed(&CreateError::Store(error));
        let item = match draft {
            Ok(draft) => self.item(draft).await,
            Err(problems) => {
                let before = store.repeated(owner, idempotent).await.map_err(store_failed)?;
                let created = before.ok_or_else(|| Answer::error(400, &problems.to_string()))?;
                return first(created).map(|code| self.created(&code));
            }
        };
        let created = store.create_each(owner, &[Ok(item.clone())], Some(idempotent)).await;
        let created = created.map_err(store_failed)?;
        let is_new = matches!(created, Created::Now(_));
        let code = first(created)?;
        if is_new {
            let link = Link { target: item.draft.target, expiry: item.draft.expiry };
            let new = NewLink { code, link, is_custom: item.spare.is_none(), owner };
            cache_created(&new, now, self.cache_ttl, &self.cache).await;
            return Ok(self.created(&new.code));
        }
        // Whoever sent it first may have died before it wrote the cache; since then the link may have changed.
        if let Ok(lookup) = store.find_now(&code).await {
            let find = async || store.find_now(&code).await;
            // Only this request's own copy would be late: the link is stored.
            let _ = refresh_cache(&code, lookup, now, self.cache_ttl, &self.cache, find).await;
        }
        Ok(self.created(&code))
    }

    async fn item(&self, draft: Draft) -> Item {
        if let Some(alias) = draft.alias.clone() {
            return Item { draft, code: alias.into_code(), spare: None };
        }
        let random = || Code::from_number(get_random_u64());
        let code = self.pool.next().await.unwrap_or_else(random);
        Item { draft, code, spare: Some(random()) }
    }

    fn created(&self, code: &Code) -> Answer {
        answers::created(code, self.links.public_url.as_deref())
    }
}

/// The code of the link that was to be created once, or the answer when there is none.
fn first(created: Created) -> Result<Code, Answer> {
    let results = match created {
        Created::Now(results) | Created::Before(results) => results,
        Created::UnderWay => return Err(answers::under_way()),
        Created::Differs => return Err(answers::differs()),
    };
    match results.into_iter().next() {
        Some(ItemResult::Created(code)) => Ok(code),
        Some(result) => Err(result.answer(None)),
        None => Err(Answer::internal()),
    }
}

/// Answers a request.
async fn respond(request: Request) -> Result<Response, ErrorCode> {
    REQUEST_BUDGET.with(RequestBudget::count);
    let deadline = Deadline::after(BUDGET);
    let request = Incoming::new(request);
    // The host's router takes `//v1/shortlink/` for this path. A front door does not, and would not limit such requests.
    if request.path() != LINKS {
        return http::response(request.refuse(Answer::no_such_path()).await);
    }
    match instance::state(&STATE, deadline, State::build).await {
        Ok(state) => state.respond(request, deadline).await,
        Err(answer) => http::response(request.refuse(answer).await),
    }
}
