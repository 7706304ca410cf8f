//! What somebody who means harm can do, straight at the host and through nginx.

mod answers;
mod injection;
mod leaks;
mod poisoning;
mod roles;
mod smuggling;
mod wire;
