//! Each component asks for nothing beyond its world in `wit/`.

use std::{fs, path::Path};

use wit_parser::Resolve;

use crate::app::{component, root};

/// Whether the component of this file fits the world of that name.
fn targets(world: &str, wasm: &Path) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).map_err(|error| format!("{error:#}"))?;
    let world = resolve.select_world(&[package], Some(world)).map_err(|error| format!("{error:#}"))?;
    let wasm = fs::read(wasm).map_err(|error| format!("{}: {error}", wasm.display()))?;
    wit_component::targets(&resolve, world, &wasm).map_err(|error| format!("{error:#}"))
}

#[test]
fn each_component_fits_its_world() {
    for name in ["create", "resolve", "manage", "health"] {
        assert_eq!(targets(&format!("built-{name}"), &component(name)), Ok(()), "{name}");
    }
}

#[test]
fn a_component_that_asks_for_more_is_found_out() {
    let error = targets("built-resolve", &component("create")).unwrap_err();
    assert!(error.contains("wasi:random"), "{error}");
}
