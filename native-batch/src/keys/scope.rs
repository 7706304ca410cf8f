//! What a key allows.

use clap::ValueEnum;

/// What a key allows. Keys hold their scopes in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scope {
    /// Create links
    Create,
    /// See the key's own links
    Read,
    /// Read, and change, disable and delete the key's own links
    Manage,
    /// The same for every link
    Admin,
}

impl Scope {
    /// As it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Admin => "admin",
        }
    }

    /// The names of some scopes in their order, each once.
    #[must_use]
    pub fn names(scopes: &[Self]) -> Vec<&'static str> {
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        scopes.into_iter().map(Self::name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_stored_in_their_order_and_once() {
        assert_eq!(Scope::names(&[Scope::Admin, Scope::Create, Scope::Admin]), ["create", "admin"]);
    }

    #[test]
    fn a_scope_is_stored_as_it_is_given() {
        for scope in Scope::value_variants() {
            assert_eq!(Scope::from_str(scope.name(), false).unwrap(), *scope);
        }
    }
}
