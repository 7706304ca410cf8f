//! The resolve component.
