//! The health component.
