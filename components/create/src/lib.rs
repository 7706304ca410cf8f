//! The create component.
