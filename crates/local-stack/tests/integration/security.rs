//! Attacks, directly on the host and through nginx.

mod answers;
mod injection;
mod leaks;
mod poisoning;
mod roles;
mod smuggling;
mod wire;
