//! The manifest that the host runs: the project's own, with two routes to compare it with.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use shortlink_local_stack::Site;

/// A redirect out of the manifest: the host answers it without a component.
pub const STATIC: &str = "/bench/static";
/// A redirect of the fixture.
pub const BARE: &str = "/bench/redirect";

const BUILT: &str = "wasm32-wasip2/component";
const FIXTURE: &str = "shortlink_bare_redirect.wasm";

/// Writes the manifest into the site.
///
/// # Errors
/// The fixture is not built, or a file cannot be read or written.
pub fn write(site: &Site, components: Option<&Path>) -> Result<PathBuf> {
    let components = match components {
        Some(directory) => directory.to_owned(),
        None => target_directory(site).join(BUILT),
    };
    let fixture = components.join(FIXTURE);
    ensure!(
        fixture.is_file(),
        "there is no {}: cargo build --profile component --target wasm32-wasip2 -p shortlink-bare-redirect",
        fixture.display()
    );
    let components = components.canonicalize()?;
    let own = site.root().join("spin.toml");
    let own = fs::read_to_string(&own).with_context(|| format!("cannot read {}", own.display()))?;
    let directory = site.dir().join("manifest");
    fs::create_dir_all(&directory)?;
    let path = directory.join("spin.toml");
    fs::write(&path, with_bench_routes(&own, &components))?;
    Ok(path)
}

fn target_directory(site: &Site) -> PathBuf {
    let directory = env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty());
    site.root().join(directory.map_or_else(|| "target".into(), PathBuf::from))
}

fn with_bench_routes(own: &str, components: &Path) -> String {
    let components = components.display();
    let own = own.replace(&format!("\"target/{BUILT}/"), &format!("\"{components}/"));
    format!(
        r#"{own}
[[trigger.http]]
id = "bench-static"
route = "{STATIC}"
[trigger.http.static_response]
status_code = 302
headers = {{ location = "https://example.com/" }}

[[trigger.http]]
route = "{BARE}"
component = "bench-redirect"

[component.bench-redirect]
source = "{components}/{FIXTURE}"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_from_anywhere() {
        let own = "source = \"target/wasm32-wasip2/component/shortlink_create.wasm\"\n";
        let written = with_bench_routes(own, Path::new("/built"));
        assert!(written.starts_with("source = \"/built/shortlink_create.wasm\"\n"), "{written}");
        assert!(written.contains("source = \"/built/shortlink_bare_redirect.wasm\"\n"), "{written}");
    }
}
