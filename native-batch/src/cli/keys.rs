//! The arguments of `keys`.

use clap::{Args, Subcommand};

use crate::keys::{KeyExpiry, KeyName, Scope};

/// The API keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key and print it: the only time that it is shown
    Create(CreateKeyArgs),
    /// Show every key with its scopes and its state
    List,
    /// Refuse a key from now on; its links stay
    Revoke(RevokeKeyArgs),
}

/// Which key to create.
#[derive(Debug, Args)]
pub struct CreateKeyArgs {
    /// What the key is called; a name is used once, even when its key is revoked
    #[arg(long, value_name = "NAME")]
    pub name: KeyName,
    /// What the key allows; can be repeated
    #[arg(long, value_name = "SCOPE", value_enum, required = true)]
    pub scope: Vec<Scope>,
    /// When it expires: a date, which begins at midnight UTC, or an RFC 3339 time; never without it
    #[arg(long, value_name = "TIME")]
    pub expires: Option<KeyExpiry>,
}

/// Which key to revoke.
#[derive(Debug, Args)]
pub struct RevokeKeyArgs {
    /// The key's name, as `keys list` shows it
    pub name: KeyName,
}
