//! TLS to Postgres and Redis: who is trusted, and who is not. The suite as a whole runs over TLS with
//! `make integrationtesttls`; these tests bring servers of their own and do not depend on it.

use std::collections::BTreeMap;

use serde_json::json;
use shortlink_local_stack::{
    Durability, Host, Ports, Postgres, Redis, RedisKind, Secrets, Site, batch, batch_environment,
    database_url, host, redis_url, spin_variables,
};

use crate::{
    app::{Output, manifest, manifest_for},
    http::{Reply, send},
};

const DATABASE: &str = "short_link";

/// Servers of one site, with a migrated database where the batch can get in.
struct World {
    site: Site,
    ports: Ports,
    secrets: Secrets,
    _postgres: Postgres,
    _redis: [Redis; 2],
}

impl World {
    fn start(site: Site) -> Self {
        let (ports, secrets) = (Ports::free().unwrap(), Secrets::generate().unwrap());
        let postgres = Postgres::start(&site, ports.postgres, &secrets, Durability::Fast).unwrap();
        postgres.create_roles(&secrets).unwrap();
        postgres.create_database(DATABASE).unwrap();
        let redis = [(RedisKind::Cache, ports.cache), (RedisKind::Codes, ports.codes)]
            .map(|(kind, port)| Redis::start(&site, kind, port, &secrets).unwrap());
        Self { site, ports, secrets, _postgres: postgres, _redis: redis }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        batch_environment(self.site.tls(), &self.ports, &self.secrets, DATABASE, 0)
    }

    fn batch(&self, changes: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut environment = self.environment();
        environment.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Output::of(batch::command(&batch::find().unwrap(), &environment, arguments))
    }

    /// The batch is refused, and says so with all of these words.
    fn refused(&self, changes: &[(&str, &str)], arguments: &[&str], words: &[&str]) {
        let output = self.batch(changes, arguments);
        assert!(!output.status.success(), "{changes:?}: {}", output.stdout);
        for word in words {
            assert!(output.stderr.contains(word), "{word} is not in {:?}", output.stderr);
        }
        assert!(!output.stderr.contains(&self.secrets.batch), "{}", output.stderr);
    }

    /// A host that trusts whom `trusting` does, and the answers of a create and of the readiness check.
    fn served(&self, trusting: &Site) -> (Reply, Reply) {
        let mut variables = spin_variables(self.site.tls(), &self.ports, &self.secrets, DATABASE);
        for name in ["postgres_sslmode", "redis_cache_tls", "redis_codes_tls"] {
            variables.insert(name.to_owned(), "require".to_owned());
        }
        let mut options =
            host::Options::new(trusting, shortlink_local_stack::free_port().unwrap(), variables);
        options.manifest = trusting.dir().join("spin.toml");
        std::fs::write(&options.manifest, manifest_for(&manifest())).unwrap();
        let host = Host::start(trusting, &host::Program::find().unwrap(), &options).unwrap();
        let addr = std::net::SocketAddr::from(([127, 0, 0, 1], host.port()));
        let body = json!({ "url": "https://example.com", "alias": "over-tls" }).to_string();
        let headers = [("content-type", "application/json")];
        let created = send(addr, "POST", "/v1/shortlink", &headers, body.as_bytes());
        let ready = send(addr, "GET", "/v1/health/ready", &[], b"");
        host.stop().unwrap();
        (created, ready)
    }
}

fn with_tls(names: &[&str]) -> Site {
    Site::temporary_with_tls(names).unwrap()
}

#[test]
fn with_the_right_authority_everything_works_and_without_tls_nothing_does() {
    let world = World::start(with_tls(&[]));
    world.batch(&[], &["migrate"]).success();
    world.batch(&[], &["run", "--target", "50"]).success();
    let (created, ready) = world.served(&world.site);
    assert_eq!(created.status, 201, "{}", created.body);
    let ready = ready.json();
    for check in ["postgres", "redis_cache", "redis_codes", "partition"] {
        assert_eq!(ready["checks"][check], "ok", "{ready}");
    }

    let plain = database_url(None, world.ports.postgres, "shortlink_batch", &world.secrets.batch, DATABASE);
    world.refused(&[("DATABASE_URL", &plain)], &["migrate"], &["DATABASE_URL", "sslmode=disable"]);
    let plain = redis_url(None, world.ports.codes, "shortlink_batch", &world.secrets.batch, 0);
    world.refused(&[("REDIS_CODES_URL", &plain)], &["codes", "status"], &["REDIS_CODES_URL"]);
}

#[test]
fn an_authority_that_did_not_sign_is_refused_by_the_name_of_its_setting() {
    let (world, other) = (World::start(with_tls(&[])), with_tls(&[]));
    let authority = other.tls().unwrap().authority();
    let authority = authority.to_str().unwrap();
    world.refused(&[("DATABASE_CA_FILE", authority)], &["migrate"], &["no authority in DATABASE_CA_FILE"]);
    world.refused(
        &[("REDIS_CODES_CA_FILE", authority)],
        &["codes", "status"],
        &["no authority in REDIS_CODES_CA_FILE"],
    );
    let prefer = world.environment()["DATABASE_URL"].replace("sslmode=require", "sslmode=prefer");
    let changes = [("DATABASE_URL", prefer.as_str()), ("DATABASE_CA_FILE", authority)];
    world.refused(&changes, &["migrate"], &["DATABASE_CA_FILE"]);

    let (created, ready) = world.served(&other);
    assert_eq!((created.status, ready.status), (503, 503), "{}{}", created.body, ready.body);
    assert_eq!(ready.json()["checks"]["redis_cache"], "degraded");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let world = World::start(with_tls(&["db.example"]));
    world.refused(&[], &["migrate"], &["another host than the one in DATABASE_URL"]);
    world.refused(&[], &["codes", "status"], &["another host than the one in REDIS_CODES_URL"]);
    let (created, ready) = world.served(&world.site);
    assert_eq!((created.status, ready.status), (503, 503), "{}{}", created.body, ready.body);
    assert_eq!(ready.json()["checks"]["redis_cache"], "degraded");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_required() {
    let (world, other) = (World::start(Site::temporary().unwrap()), with_tls(&[]));
    let required = world.environment()["DATABASE_URL"].replace("sslmode=disable", "sslmode=require");
    world.refused(&[("DATABASE_URL", &required)], &["migrate"], &["DATABASE_URL, sslmode=require"]);
    let required = redis_url(other.tls(), world.ports.codes, "shortlink_batch", &world.secrets.batch, 0);
    world.refused(&[("REDIS_CODES_URL", &required)], &["codes", "status"], &["REDIS_CODES_URL"]);
    let (created, ready) = world.served(&other);
    assert_eq!((created.status, ready.status), (503, 503), "{}{}", created.body, ready.body);
}
