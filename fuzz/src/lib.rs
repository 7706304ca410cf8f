//! What must hold of every parser of short-link and of every answer of its components, whatever comes in.
//!
//! Each function takes one input and panics where a property does not hold. A target in `fuzz_targets/` is a call of one
//! of them; libFuzzer finds the inputs.

pub mod batch;
pub mod domain;
pub mod guest;
pub mod host;
pub mod http;
pub mod owned;

mod sentence;
