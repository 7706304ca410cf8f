//! nginx, the front door.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::probe;
use crate::process::Running;
use crate::programs::Programs;
use crate::signal::Signal;
use crate::site::Site;
use crate::template::{escape, render};

const READY_LIMIT: Duration = Duration::from_secs(20);

/// How many requests a second one client may make, and how many at once beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Requests a second; nothing for no limit.
    pub rate: Option<u32>,
    /// Requests that may come at once before the rate counts.
    pub burst: u32,
}

/// The two limits of the front door. A redirect that nginx answers from its cache is never limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Creating links, and everything below `/v1/links`: `SHORT_LINK_CREATE_RATE` (5000, or `off`) and `SHORT_LINK_CREATE_BURST` (5000).
    pub create: Limit,
    /// Redirects and readiness checks that the components must answer: `SHORT_LINK_MISS_RATE` (20000, or `off`) and
    /// `SHORT_LINK_MISS_BURST` (20000).
    pub miss: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            create: Limit { rate: Some(5_000), burst: 5_000 },
            miss: Limit { rate: Some(20_000), burst: 20_000 },
        }
    }
}

impl Limits {
    /// No limits.
    pub const OFF: Self =
        Self { create: Limit { rate: None, burst: 0 }, miss: Limit { rate: None, burst: 0 } };

    /// The defaults, changed by the environment.
    ///
    /// # Errors
    /// A variable that is neither a number nor `off`.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let number = |name: &str, default: Option<u32>| match variable(name).as_deref() {
            None | Some("") => Ok(default),
            Some("off") => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => bail!("{name} is {text:?}: it can be a number above 0, or off"),
            },
        };
        let Self { create, miss } = Self::default();
        Ok(Self {
            create: Limit {
                rate: number("SHORT_LINK_CREATE_RATE", create.rate)?,
                burst: number("SHORT_LINK_CREATE_BURST", Some(create.burst))?.unwrap_or(0),
            },
            miss: Limit {
                rate: number("SHORT_LINK_MISS_RATE", miss.rate)?,
                burst: number("SHORT_LINK_MISS_BURST", Some(miss.burst))?.unwrap_or(0),
            },
        })
    }
}

impl Limit {
    /// The zone, which keeps the clients' counts in 10 MB, some 160,000 of them.
    fn zone(self, name: &str, key: &str) -> String {
        self.rate
            .map_or_else(String::new, |rate| format!("limit_req_zone {key} zone={name}:10m rate={rate}r/s;"))
    }

    fn use_of(self, name: &str) -> String {
        match self {
            Self { rate: None, .. } => String::new(),
            Self { burst: 0, .. } => format!("limit_req zone={name};"),
            Self { burst, .. } => format!("limit_req zone={name} burst={burst} nodelay;"),
        }
    }
}

/// What nginx does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the process, its log and its directory.
    pub name: String,
    /// The port it listens on.
    pub port: u16,
    /// The port of the host.
    pub upstream: u16,
    /// The limits.
    pub limits: Limits,
}

impl Options {
    /// Between those two ports, with the default limits.
    #[must_use]
    pub fn new(port: u16, upstream: u16) -> Self {
        Self { name: "nginx".to_owned(), port, upstream, limits: Limits::default() }
    }
}

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Running,
    port: u16,
}

impl Nginx {
    /// Starts it with `infra/local/nginx.conf` and waits until it answers. Its cache is empty.
    ///
    /// # Errors
    /// It is not installed or does not start; the message quotes its log.
    pub fn start(site: &Site, options: &Options) -> Result<Self> {
        Self::start_with(site, &options.name, options.port, &configuration(site, options)?)
    }

    /// The same with a configuration of the caller's, which has it listen on that port of 127.0.0.1.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(site: &Site, name: &str, port: u16, configuration: &str) -> Result<Self> {
        let program = Programs::find()?.nginx;
        let directory = site.server_directory(name)?;
        for left in ["cache", "tmp"] {
            let path = directory.join(left);
            if path.exists() {
                fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        // The socket of an nginx that was killed stays behind, and no other can listen on it.
        let _none = fs::remove_file(directory.join("resolve.sock"));
        fs::create_dir(directory.join("tmp"))?;
        site.user().own(&directory.join("tmp"))?;
        site.write(&directory.join("nginx.conf"), configuration)?;

        let mut command = Command::new(program);
        command.args(["-c", "nginx.conf", "-e", "stderr", "-p"]).arg(&directory).current_dir(&directory);
        let mut process = site.spawn(name, command, Signal::Term)?;
        process.wait_ready(READY_LIMIT, || probe::status_of(port, "/v1/health").is_some())?;
        Ok(Self { process, port })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Stops it.
    ///
    /// # Errors
    /// It runs on, even so.
    pub fn stop(self) -> Result<()> {
        self.process.stop()
    }

    pub(crate) fn into_process(self) -> Running {
        self.process
    }
}

/// What a configuration has to say about the user: as root the master may bind low ports and write the logs; its workers
/// are the servers' user.
#[must_use]
pub fn user_directive(site: &Site) -> String {
    site.user().name().map_or_else(String::new, |name| format!("user {name};"))
}

fn configuration(site: &Site, options: &Options) -> Result<String> {
    let Limits { create, miss } = options.limits;
    let access_log = quotable(&site.log(&format!("{}-access", options.name)))?;
    render(
        &site.template("nginx.conf")?,
        &[
            ("user", &user_directive(site)),
            ("port", &options.port.to_string()),
            ("upstream", &options.upstream.to_string()),
            ("access_log", &access_log),
            ("create_zone", &create.zone("create", "$limited_client")),
            ("create_limit", &create.use_of("create")),
            ("miss_zone", &miss.zone("miss", "$http_x_forwarded_for")),
            ("miss_limit", &miss.use_of("miss")),
        ],
    )
    .context("infra/local/nginx.conf")
}

/// The path for a double-quoted string. nginx reads a `$` as the start of a variable and has no escape for it.
fn quotable(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("nginx needs a path in UTF-8: {}", path.display()))?;
    ensure!(!text.contains('$'), "nginx cannot use a path with a $ in it: {text}");
    Ok(escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped_or_refused_by_name() {
        assert_eq!(quotable(Path::new(r#"/a "b"/c"#)).unwrap(), r#"/a \"b\"/c"#);
        let error = quotable(Path::new("/a$b/c")).unwrap_err().to_string();
        assert_eq!(error, "nginx cannot use a path with a $ in it: /a$b/c");
    }

    #[test]
    fn without_variables_the_limits_are_the_documented_ones() {
        assert_eq!(Limits::from_variables(|_| None).unwrap(), Limits::default());
    }

    #[test]
    fn off_means_no_limit_and_no_zone() {
        let limits =
            Limits::from_variables(|name| name.ends_with("_RATE").then(|| "off".to_owned())).unwrap();
        assert_eq!(limits.create.rate, None);
        assert_eq!(limits.create.zone("create", "$key"), "");
        assert_eq!(limits.create.use_of("create"), "");
    }

    #[test]
    fn a_rate_becomes_a_zone_and_its_use() {
        let limit = Limit { rate: Some(7), burst: 3 };
        assert_eq!(limit.zone("a", "$b"), "limit_req_zone $b zone=a:10m rate=7r/s;");
        assert_eq!(limit.use_of("a"), "limit_req zone=a burst=3 nodelay;");
        assert_eq!(Limit { burst: 0, ..limit }.use_of("a"), "limit_req zone=a;");
    }

    #[test]
    fn what_is_no_rate_is_refused_by_the_variables_name() {
        for text in ["0", "-1", "1.5", "many"] {
            let error =
                Limits::from_variables(|name| (name == "SHORT_LINK_MISS_RATE").then(|| text.to_owned()));
            assert!(error.unwrap_err().to_string().contains("SHORT_LINK_MISS_RATE"));
        }
    }
}
