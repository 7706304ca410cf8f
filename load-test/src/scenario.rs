//! What one user does, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use goose::prelude::*;
use reqwest::Client;

use crate::links::{CREATE, Links, NewLink};

/// Users that create links, resting for `pause` after each.
///
/// # Errors
/// None: what goose refuses does not happen here.
pub fn create(client: &Client, pause: Duration) -> Result<Scenario, GooseError> {
    let pages = Arc::new(AtomicUsize::new(0));
    let function: TransactionFunction = Arc::new(move |user| {
        let page = NewLink::to_page(pages.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let url = user.build_url(CREATE)?;
            let builder = user.client.post(url).json(&page);
            let request = GooseRequest::builder()
                .method(GooseMethod::Post)
                .path(CREATE)
                .set_request_builder(builder)
                .expect_status_code(201);
            read(user.request(request.build()).await?).await
        })
    });
    scenario("create", client, function, pause)
}

/// Users that ask where links lead to, and do not go there.
///
/// # Errors
/// As [`create`].
pub fn redirect(client: &Client, links: Links, pause: Duration) -> Result<Scenario, GooseError> {
    let function: TransactionFunction = Arc::new(move |user| {
        let links = links.clone();
        Box::pin(async move {
            let request = GooseRequest::builder()
                .path(links.next())
                .name("/v1/shortlink/{code}")
                .expect_status_code(302);
            read(user.request(request.build()).await?).await
        })
    });
    scenario("redirect", client, function, pause)
}

fn scenario(
    name: &str,
    client: &Client,
    function: TransactionFunction,
    pause: Duration,
) -> Result<Scenario, GooseError> {
    let client = client.clone();
    // goose's own clients follow redirects.
    let use_client: TransactionFunction = Arc::new(move |user| {
        user.client = client.clone();
        Box::pin(async { Ok(()) })
    });
    Ok(Scenario::new(name)
        .set_wait_time(pause, pause)?
        .register_transaction(Transaction::new(use_client).set_name("begin").set_on_start())
        .register_transaction(Transaction::new(function).set_name(name)))
}

/// Reads the body, so that the connection can be used again.
async fn read(answer: goose::goose::GooseResponse) -> TransactionResult {
    answer.response?.bytes().await?;
    Ok(())
}
