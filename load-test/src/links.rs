//! What is sent, and the links that are followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// The path that creates links.
pub const CREATE: &str = "/v1/shortlink";
/// How many links there are to follow.
const LINKS: usize = 200;

/// The body of a create.
#[derive(Serialize)]
pub struct NewLink {
    url: String,
}

impl NewLink {
    /// A link to a page of that number.
    #[must_use]
    pub fn to_page(number: usize) -> Self {
        Self { url: format!("https://example.com/load-test/page-{number}") }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Created,
}

#[derive(Deserialize)]
struct Created {
    code: String,
}

/// Links that exist, handed out in turn to all users.
#[derive(Clone, Debug)]
pub struct Links {
    paths: Arc<[String]>,
    next: Arc<AtomicUsize>,
}

impl Links {
    /// Creates them.
    ///
    /// # Errors
    /// The service does not answer, or refuses.
    pub async fn create(client: &Client, target: &Target) -> Result<Self> {
        let url = target.join(CREATE)?;
        let mut paths = Vec::with_capacity(LINKS);
        for number in 0..LINKS {
            let request = client.post(url.clone()).json(&NewLink::to_page(number));
            let answer = request.send().await.context("no answer: `make startlocal` starts the service")?;
            ensure!(answer.status() == StatusCode::CREATED, "a create was answered {}", answer.status());
            let answer: Answer = answer.json().await.context("a create was answered with something else")?;
            paths.push(format!("{CREATE}/{}", answer.data.code));
        }
        Ok(Self { paths: paths.into(), next: Arc::default() })
    }

    /// The path of the next one.
    #[must_use]
    pub fn next(&self) -> &str {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.paths.get(index % self.paths.len().max(1)).map_or("", String::as_str)
    }
}
