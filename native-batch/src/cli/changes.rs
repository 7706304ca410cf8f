//! The arguments of `changes`.

use clap::Subcommand;

/// Changed links that the redirect cache has to follow.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ChangesCommand {
    /// Write each link that changed five seconds ago or earlier to the redirect cache once more
    Apply,
}
