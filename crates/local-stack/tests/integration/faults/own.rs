//! Servers of a test's own, which it may kill.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::json;
use shortlink_local_stack::{
    Durability, Host, Ports, Postgres, Redis, RedisKind, Secrets, Signal, Site, batch, batch_environment,
    host, spin_variables,
};

use crate::{
    app::{Output, files, manifest, manifest_for, redis_connection, wait_until},
    http::{Reply, send},
};

const DATABASE: &str = "short_link";

/// A whole service of its own.
pub struct Own {
    pub site: Site,
    pub postgres: Option<Postgres>,
    pub cache: Option<Redis>,
    pub codes: Option<Redis>,
    pub host: Option<Host>,
    ports: Ports,
    secrets: Secrets,
    options: host::Options,
}

impl Own {
    pub fn start() -> Self {
        let site = Site::temporary_as_chosen().unwrap();
        let (ports, secrets) = (Ports::free().unwrap(), Secrets::generate().unwrap());
        let manifest_path = site.dir().join("spin.toml");
        fs::write(&manifest_path, manifest_for(&manifest())).unwrap();
        let mut options =
            host::Options::new(&site, ports.api, spin_variables(site.tls(), &ports, &secrets, DATABASE));
        options.manifest = manifest_path;
        let mut own =
            Self { site, postgres: None, cache: None, codes: None, host: None, ports, secrets, options };
        own.start_postgres();
        let postgres = own.postgres.as_ref().unwrap();
        postgres.create_roles(&own.secrets).unwrap();
        postgres.create_database(DATABASE).unwrap();
        own.start_redis(RedisKind::Cache);
        own.start_redis(RedisKind::Codes);
        let environment = batch_environment(own.site.tls(), &own.ports, &own.secrets, DATABASE, 0);
        for arguments in [&["migrate"][..], &["run", "--target", "2000"]] {
            Output::of(batch::command(&batch::find().unwrap(), &environment, arguments)).success();
        }
        own.start_host(&host::Program::find().unwrap());
        own
    }

    /// With what a former one has stored, durably: a crash of the process must lose nothing.
    pub fn start_postgres(&mut self) {
        let started = Postgres::start(&self.site, self.ports.postgres, &self.secrets, Durability::Safe);
        self.postgres = Some(started.unwrap());
    }

    pub fn start_redis(&mut self, kind: RedisKind) {
        let (place, port) = match kind {
            RedisKind::Cache => (&mut self.cache, self.ports.cache),
            RedisKind::Codes => (&mut self.codes, self.ports.codes),
        };
        *place = Some(Redis::start(&self.site, kind, port, &self.secrets).unwrap());
    }

    pub fn start_host(&mut self, program: &host::Program) {
        self.host = Some(Host::start(&self.site, program, &self.options).unwrap());
    }

    /// A connection of the operator to one of the two Redis.
    pub fn operator(&self, kind: RedisKind) -> redis::Connection {
        let port = match kind {
            RedisKind::Cache => self.ports.cache,
            RedisKind::Codes => self.ports.codes,
        };
        redis_connection(self.site.tls(), port, "shortlink_operator", &self.secrets.operator, 0)
    }

    /// What the components and the host have logged.
    pub fn log(&self) -> String {
        let name = &self.options.name;
        let logs = [self.site.log(name), self.site.component_logs(name)];
        logs.iter().flat_map(|path| files(path)).filter_map(|file| fs::read_to_string(file).ok()).collect()
    }

    pub fn host_log(&self) -> PathBuf {
        self.site.log(&self.options.name)
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.api))
    }

    pub fn create(&self, alias: &str) -> Reply {
        create(self.addr(), alias)
    }

    /// A create that lets the service choose the code.
    pub fn create_any(&self) -> Reply {
        let body = br#"{"url":"https://example.com"}"#;
        send(self.addr(), "POST", "/v1/shortlink", &[("content-type", "application/json")], body)
    }

    pub fn get(&self, path: &str) -> Reply {
        send(self.addr(), "GET", path, &[], b"")
    }

    pub fn resolve(&self, alias: &str) -> Reply {
        self.get(&format!("/v1/shortlink/{alias}"))
    }

    /// Resolves a link until the cache holds it.
    pub fn wait_until_cached(&self, cache: &mut redis::Connection, alias: &str) {
        wait_until(&format!("{alias} is cached"), || {
            assert_eq!(self.resolve(alias).status, 302, "{alias}");
            redis::cmd("EXISTS").arg(format!("link:{alias}")).query(cache).unwrap()
        });
    }

    /// Tells Postgres and all of its children.
    pub fn signal_postgres(&mut self, signal: Signal) {
        let postmaster = self.postgres.as_mut().unwrap().process().pid();
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        // Each session of Postgres is a process group of its own.
        let told = Command::new("kill")
            .arg(format!("-{}", if signal == Signal::Stop { "STOP" } else { "CONT" }))
            .arg(postmaster.to_string())
            .args(children.split_whitespace())
            .stderr(Stdio::null())
            .status();
        told.unwrap();
    }

    /// Each of these links leads where [`Own::create`] said.
    pub fn assert_links(&self, aliases: &[String]) {
        for alias in aliases {
            let (reply, target) = (self.resolve(alias), format!("https://{alias}.example/"));
            assert_eq!((reply.status, reply.header("location")), (302, Some(target.as_str())), "{alias}");
        }
    }
}

pub fn create(addr: SocketAddr, alias: &str) -> Reply {
    let body = json!({ "url": format!("https://{alias}.example"), "alias": alias }).to_string();
    send(addr, "POST", "/v1/shortlink", &[("content-type", "application/json")], body.as_bytes())
}
