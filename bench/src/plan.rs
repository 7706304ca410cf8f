//! What is measured, in which order, and what each rate is divided by. bench/README.md explains the names.

use crate::links::{EACH_FILE, HOT, ROOT_HOT, ROOT_ZIPF_FILE, ZIPF_FILE};
use crate::servers::{BARE, STATIC};

use Clients::{Exactly, First, Given};
use Load::{Create, CreateAlias, CreateOwned, CreateSeveral, From, List, Round, Same, Unknown};
use Target::{Fixed, Host, Proxy};
use Work::{Fill, Pgbench, Pipe, Wrk};

/// A row of the table, or several, with other numbers of clients.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    pub name: &'static str,
    /// The measurement whose rate this one's is divided by, or nothing.
    pub base: &'static str,
    pub clients: Clients,
    pub work: Work,
}

#[derive(Clone, Copy, Debug)]
pub enum Clients {
    /// Those of `--clients`.
    Given,
    /// The first of them.
    First,
    Exactly(&'static [u32]),
}

/// The load generator.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Wrk(Target, Load),
    /// With this value of its `--protocol`.
    Pgbench(&'static str),
    /// `codes fill`.
    Fill,
    /// `redis-cli --pipe`.
    Pipe,
}

/// The server that `wrk` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Host,
    /// nginx, the front door.
    Proxy,
    /// The nginx with one answer.
    Fixed,
}

/// What `wrk` asks for.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// One path.
    Same(&'static str),
    /// The paths in a file, again and again.
    Round(&'static str),
    /// The paths in a file, from the one of that number, counted from 0.
    From(&'static str, u32),
    /// Codes that do not exist, each once.
    Unknown,
    /// New links with generated codes.
    Create,
    /// New links with aliases.
    CreateAlias,
    /// New links that belong to an API key.
    CreateOwned,
    /// The same, [`SEVERAL`] in one request.
    CreateSeveral,
    /// A page of the links of an API key, after the cursor that [`links::cursor`](crate::links::cursor) gives for this many.
    List(u32),
}

impl Load {
    /// Whether the requests have an API key.
    pub fn has_key(self) -> bool {
        matches!(self, CreateOwned | CreateSeveral | List(_))
    }

    /// How many links one request creates.
    pub fn creates(self) -> u32 {
        match self {
            Create | CreateAlias | CreateOwned => 1,
            CreateSeveral => SEVERAL,
            Same(_) | Round(_) | From(..) | Unknown | List(_) => 0,
        }
    }
}

/// How many links a request of `create-several` creates.
pub const SEVERAL: u32 = 100;
/// How many links are before the page of `list-deep`: 9,999 pages of 50.
pub const DEEP: u32 = 499_950;

/// The clients of the creates.
pub const CREATE_CLIENTS: u32 = 32;
const CREATES: Clients = Exactly(&[CREATE_CLIENTS]);

pub const MEASUREMENTS: [Measurement; 24] = [
    row("static", "bare", Given, Wrk(Host, Same(STATIC))),
    row("bare", "", Given, Wrk(Host, Same(BARE))),
    row("cold", "bare", First, Wrk(Host, From(EACH_FILE, 0))),
    row("hot", "bare", Given, Wrk(Host, Same(HOT))),
    row("root-hot", "hot", Given, Wrk(Host, Same(ROOT_HOT))),
    row("zipf", "bare", Given, Wrk(Host, Round(ZIPF_FILE))),
    row("root-zipf", "zipf", Given, Wrk(Host, Round(ROOT_ZIPF_FILE))),
    row("unknown", "bare", Given, Wrk(Host, Unknown)),
    row("nginx-fixed", "hot", Given, Wrk(Fixed, Same(HOT))),
    row("proxy-hot", "hot", Given, Wrk(Proxy, Same(HOT))),
    row("proxy-zipf", "zipf", Given, Wrk(Proxy, Round(ZIPF_FILE))),
    row("pgbench", "", CREATES, Pgbench("extended")),
    row("pgbench-prepared", "pgbench", CREATES, Pgbench("prepared")),
    row("create", "pgbench", CREATES, Wrk(Host, Create)),
    row("create-alias", "pgbench", CREATES, Wrk(Host, CreateAlias)),
    row("create-owned", "create", CREATES, Wrk(Host, CreateOwned)),
    row("create-several", "create", CREATES, Wrk(Host, CreateSeveral)),
    row("list", "create", CREATES, Wrk(Host, List(0))),
    row("list-deep", "list", CREATES, Wrk(Host, List(DEEP))),
    row("proxy-create", "pgbench", CREATES, Wrk(Proxy, Create)),
    row("proxy-create-alias", "pgbench", CREATES, Wrk(Proxy, CreateAlias)),
    row("scale", "", Exactly(&[1, 8, 32, 128, 256, 512]), Wrk(Proxy, Create)),
    row("fill", "pipe", Exactly(&[1]), Fill),
    row("pipe", "", Exactly(&[1]), Pipe),
];

const fn row(name: &'static str, base: &'static str, clients: Clients, work: Work) -> Measurement {
    Measurement { name, base, clients, work }
}

impl Measurement {
    /// Whether components of the service answer, whose instances can be counted.
    pub fn has_instances(&self) -> bool {
        matches!(self.work, Wrk(Host | Proxy, load) if !matches!(load, Same(STATIC | BARE)))
    }
}

/// The measurements of one round, each with its number of clients. Those that are compared are near each other, so that
/// whatever slows the machine down for a while slows down both.
pub fn round(given: &[u32], only: &[String]) -> Vec<(Measurement, u32)> {
    let wanted = |measurement: &Measurement| {
        let users: &[&str] = match measurement.name {
            // It fills the cache for the Zipf mix.
            "cold" => &["cold", "zipf", "root-zipf", "proxy-zipf"],
            // It leaves the codes that `redis-cli` pushes.
            "fill" => &["fill", "pipe"],
            _ => &[measurement.name],
        };
        only.is_empty() || only.iter().any(|name| users.contains(&name.as_str()))
    };
    let mut round = Vec::new();
    for (index, &clients) in given.iter().enumerate() {
        let redirects = MEASUREMENTS.into_iter().filter(|measurement| match measurement.clients {
            Given => true,
            First => index == 0,
            Exactly(_) => false,
        });
        round.extend(redirects.map(|measurement| (measurement, clients)));
    }
    for measurement in MEASUREMENTS {
        if let Exactly(numbers) = measurement.clients {
            round.extend(numbers.iter().map(|clients| (measurement, *clients)));
        }
    }
    round.retain(|(measurement, _)| wanted(measurement));
    round
}
