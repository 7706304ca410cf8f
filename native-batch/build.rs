//! A new migration file changes what the binary carries, though no source file says so.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
