//! What is measured, and against what.

use clap::ValueEnum;
use serde::Serialize;

use crate::links::{self, Paths};
use crate::manifest::{BARE, STATIC};
use crate::options::Options;

/// The clients of the creates.
pub const CREATORS: u32 = 32;
/// The clients of the creates that show how the service copes with more and more of them.
const SCALE: [u32; 6] = [1, 8, 32, 128, 256, 512];

/// A measurement's name, on the command line too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// A redirect that the host answers out of its manifest
    Static,
    /// A component that answers 302 and does nothing else
    Bare,
    /// Resolving one link after the other: none is in the cache
    Cold,
    /// Resolving one link
    Hot,
    /// Resolving 100k links by Zipf's law
    Zipf,
    /// Resolving codes that do not exist, each once
    Unknown,
    /// One answer with the headers of a redirect, out of the configuration of an nginx
    NginxFixed,
    /// Resolving one link, through nginx
    ProxyHot,
    /// Resolving 100k links by Zipf's law, through nginx
    ProxyZipf,
    /// Creating links with generated codes
    Create,
    /// Creating links with aliases
    CreateAlias,
    /// Creating links with generated codes, through nginx
    ProxyCreate,
    /// Creating links with aliases, through nginx
    ProxyCreateAlias,
    /// Calling `create_short_link` from pgbench, prepared anew for each call, as every statement of a component is
    Pgbench,
    /// Calling `create_short_link` from pgbench, prepared once: more than a component can do
    PgbenchPrepared,
    /// Creating links through nginx with 1 to 512 clients
    Scale,
    /// Filling the pool with `codes fill`
    Fill,
    /// Filling the pool with `redis-cli --pipe`, one RPUSH a code
    Pipe,
}

/// What makes the load.
#[derive(Clone, Debug)]
pub enum Work {
    /// `wrk`.
    Http(Door, Load),
    /// `pgbench`.
    Pgbench(Protocol),
    /// The batch.
    Fill,
    /// `redis-cli --pipe`.
    Pipe,
}

/// How `pgbench` sends its statement.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// Parsed and planned for each call.
    Extended,
    /// Parsed once.
    Prepared,
}

/// Whom `wrk` asks.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// The host.
    Host,
    /// nginx.
    Proxy,
    /// An nginx that has one answer and no cache.
    Fixed,
}

/// What `wrk` asks for.
#[derive(Clone, Debug)]
pub enum Load {
    /// One redirect.
    Same(String),
    /// The paths in a file, again and again.
    Round(std::path::PathBuf),
    /// The paths in a file from the one of that number, counted from 0.
    From(std::path::PathBuf, u64),
    /// Codes that do not exist.
    Unknown,
    /// New links with generated codes.
    Create,
    /// New links with aliases.
    CreateAlias,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Its name.
    pub group: Group,
    /// How many clients there are at a time.
    pub clients: u32,
    /// What its rate is divided by.
    pub base: Option<Group>,
    /// How the load is made.
    pub work: Work,
}

impl Measurement {
    /// Whether it makes links.
    #[must_use]
    pub fn creates(&self) -> bool {
        matches!(self.work, Work::Http(_, Load::Create | Load::CreateAlias))
    }

    /// Whether it reaches components of the service, whose instances can be counted.
    #[must_use]
    pub fn has_instances(&self) -> bool {
        matches!(self.work, Work::Http(..))
            && !matches!(self.group, Group::Static | Group::Bare | Group::NginxFixed)
    }

    /// Whether only its first run means anything.
    #[must_use]
    pub fn once(&self) -> bool {
        matches!(self.work, Work::Http(_, Load::From(..)))
    }
}

/// All that the options ask for. One round of runs goes through it from the first to the last, so that whatever slows
/// the machine down for a while slows down both sides of a ratio.
#[must_use]
pub fn measurements(options: &Options, paths: &Paths) -> Vec<Measurement> {
    let mut plan = Vec::new();
    let mut add = |group, clients, base, work| plan.push(Measurement { group, clients, base, work });
    let one = || Load::Same(links::hot());
    let zipf = || Load::Round(paths.zipf.clone());
    let (host, proxy) = (Door::Host, Door::Proxy);
    let bare = Some(Group::Bare);

    for (position, &clients) in options.clients.iter().enumerate() {
        add(Group::Static, clients, bare, Work::Http(host, Load::Same(STATIC.to_owned())));
        add(Group::Bare, clients, None, Work::Http(host, Load::Same(BARE.to_owned())));
        if position == 0 {
            add(Group::Cold, clients, bare, Work::Http(host, Load::From(paths.each.clone(), 0)));
        }
        add(Group::Hot, clients, bare, Work::Http(host, one()));
        add(Group::Zipf, clients, bare, Work::Http(host, zipf()));
        add(Group::Unknown, clients, bare, Work::Http(host, Load::Unknown));
        add(Group::NginxFixed, clients, Some(Group::Hot), Work::Http(Door::Fixed, one()));
        add(Group::ProxyHot, clients, Some(Group::Hot), Work::Http(proxy, one()));
        add(Group::ProxyZipf, clients, Some(Group::Zipf), Work::Http(proxy, zipf()));
    }
    let pgbench = Some(Group::Pgbench);
    add(Group::Pgbench, CREATORS, None, Work::Pgbench(Protocol::Extended));
    add(Group::PgbenchPrepared, CREATORS, pgbench, Work::Pgbench(Protocol::Prepared));
    add(Group::Create, CREATORS, pgbench, Work::Http(host, Load::Create));
    add(Group::CreateAlias, CREATORS, pgbench, Work::Http(host, Load::CreateAlias));
    add(Group::ProxyCreate, CREATORS, pgbench, Work::Http(proxy, Load::Create));
    add(Group::ProxyCreateAlias, CREATORS, pgbench, Work::Http(proxy, Load::CreateAlias));
    for clients in SCALE {
        add(Group::Scale, clients, None, Work::Http(proxy, Load::Create));
    }
    add(Group::Fill, 1, Some(Group::Pipe), Work::Fill);
    add(Group::Pipe, 1, None, Work::Pipe);

    // The cold run also fills the cache for the Zipf mix, and the batch makes the codes that `redis-cli` pushes.
    let only = |groups: &[Group]| groups.iter().any(|group| options.only.contains(group));
    let wanted = |group: Group| match group {
        _ if options.only.is_empty() => true,
        Group::Cold => only(&[Group::Cold, Group::Zipf, Group::ProxyZipf]),
        Group::Fill => only(&[Group::Fill, Group::Pipe]),
        group => only(&[group]),
    };
    plan.retain(|measurement| wanted(measurement.group));
    plan
}
