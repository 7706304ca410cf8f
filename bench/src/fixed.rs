//! An nginx that gives every request one answer with the headers of a redirect: what the front door, which has to look into
//! its cache, is to be seen beside.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use shortlink_local_stack::{Nginx, Site, free_port, get, nginx::user_directive, render};

use crate::{links, stage::Stage};

/// Starts it.
///
/// # Errors
/// It does not start; the message quotes its log.
pub fn start(site: &Site) -> Result<Nginx> {
    let (user, port) = (user_directive(site), free_port()?);
    let values = [("user", &*user), ("port", &port.to_string()), ("target", &links::hot_target())];
    let configuration = render(include_str!("../nginx/fixed.conf"), &values)?;
    Nginx::start_with(site, "nginx-fixed", port, &configuration)
}

/// That its headers are those of a redirect that the front door has kept: their rates can be compared then.
///
/// # Errors
/// They differ, or one of the two does not answer.
pub fn expect_headers_of_a_hit(stage: &Stage) -> Result<()> {
    let path = links::hot();
    // This brings the link in.
    get(stage.ports.proxy, &path)?;
    let kept = headers(&get(stage.ports.proxy, &path)?);
    let fixed = headers(&get(stage.fixed.port(), &path)?);
    ensure!(kept == fixed, "nginx-fixed answers {fixed:?}, and the front door {kept:?}");
    Ok(())
}

/// The headers of an answer but for the date, their names in small letters.
fn headers(answer: &str) -> BTreeSet<String> {
    let lines = answer.lines().skip(1).take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
        .filter(|header| !header.starts_with("date:"))
        .collect()
}
