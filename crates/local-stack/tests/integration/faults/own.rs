//! Servers of a test's own, which it may kill.

use std::{fs, net::SocketAddr, path::PathBuf};

use serde_json::json;
use shortlink_local_stack::{
    Durability, Host, Ports, Postgres, Redis, RedisKind, Secrets, Site, batch, batch_environment, host,
    spin_variables,
};

use crate::{
    app::{Output, manifest, manifest_for},
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

    pub fn host_log(&self) -> PathBuf {
        self.site.log(&self.options.name)
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.api))
    }

    pub fn create(&self, alias: &str) -> Reply {
        create(self.addr(), alias)
    }

    pub fn resolve(&self, alias: &str) -> Reply {
        send(self.addr(), "GET", &format!("/v1/shortlink/{alias}"), &[], b"")
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
