//! The statements of the components, with the types that Postgres describes.

const BOOL: u32 = 16;
const BYTES: u32 = 17;
const INT8: u32 = 20;
const INT4: u32 = 23;
pub const TEXT: u32 = 25;
const TEXT_ARRAY: u32 = 1009;
const INT8_ARRAY: u32 = 1016;

/// A statement, as far as it has an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    CheckKey,
    Create,
    CreateEach,
    Repeated,
    Resolve,
    Preview,
    Find,
    List,
    Change,
    Delete,
    /// One row without columns.
    Other,
}

const FUNCTIONS: [(&str, Statement); 10] = [
    ("check_api_key(", Statement::CheckKey),
    ("create_short_link(", Statement::Create),
    ("create_short_links_each(", Statement::CreateEach),
    ("claim_idempotency_key(", Statement::Repeated),
    ("resolve_short_links(", Statement::Resolve),
    ("preview_short_link(", Statement::Preview),
    ("find_link(", Statement::Find),
    ("list_links(", Statement::List),
    ("change_link(", Statement::Change),
    ("delete_link(", Statement::Delete),
];

impl Statement {
    /// Told apart by the function that it calls.
    pub fn read(text: &str) -> Self {
        let known = FUNCTIONS.iter().find(|(function, _)| text.contains(function));
        known.map_or(Self::Other, |(_, statement)| *statement)
    }

    /// The types of its parameters.
    pub fn parameters(self) -> &'static [u32] {
        match self {
            Self::CheckKey => &[BYTES],
            Self::Create => &[TEXT, TEXT, INT8, BOOL, INT4, INT4],
            Self::CreateEach => {
                &[TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY, TEXT_ARRAY, INT4, INT4, TEXT, BYTES]
            }
            Self::Repeated => &[INT4, TEXT, BYTES],
            Self::Resolve => &[TEXT_ARRAY],
            Self::Preview => &[TEXT],
            Self::Find | Self::Delete => &[INT4, TEXT],
            Self::List => &[INT4, TEXT, TEXT, INT8, TEXT, INT4],
            Self::Change => &[INT4, TEXT, TEXT, TEXT, BOOL],
            Self::Other => &[],
        }
    }

    /// The type of its column, if it has one.
    pub fn column(self) -> Option<u32> {
        match self {
            Self::Create | Self::Other => None,
            Self::Delete => Some(BOOL),
            _ => Some(TEXT_ARRAY),
        }
    }
}
