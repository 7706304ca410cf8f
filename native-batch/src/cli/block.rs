//! The arguments of `block`.

use clap::{Args, Subcommand};

use crate::block::BlockedHost;

/// The hosts that no new link may lead to.
#[derive(Debug, Subcommand)]
pub enum BlockCommand {
    /// Refuse links to hosts and to their subdomains from now on
    Add(AddBlockArgs),
    /// Show the blocked hosts
    List,
    /// Allow links to hosts again; links that were disabled stay so
    Remove(RemoveBlockArgs),
}

/// Which hosts to block.
#[derive(Debug, Args)]
pub struct AddBlockArgs {
    /// Hosts, such as evil.example: no URL, no port, no wildcard
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<BlockedHost>,
    /// Disable the links that lead there already, and print their codes
    #[arg(long)]
    pub disable_links: bool,
}

/// Which hosts to allow again.
#[derive(Debug, Args)]
pub struct RemoveBlockArgs {
    /// Hosts, as `block list` shows them
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<BlockedHost>,
}
