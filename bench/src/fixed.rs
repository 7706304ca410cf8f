//! An nginx that gives every request one answer with the headers of a redirect: what the front door, which has to look into
//! its cache, is to be seen beside.

use anyhow::Result;
use shortlink_local_stack::{Nginx, Site, free_port, nginx::user_directive, render};

use crate::links;

/// Starts it.
///
/// # Errors
/// It does not start; the message quotes its log.
pub fn start(site: &Site) -> Result<Nginx> {
    let (user, port) = (user_directive(site), free_port()?);
    let values = [("user", &*user), ("port", &port.to_string()), ("target", links::TARGET)];
    let configuration = render(include_str!("../nginx/fixed.conf"), &values)?;
    Nginx::start_with(site, "nginx-fixed", port, &configuration)
}
