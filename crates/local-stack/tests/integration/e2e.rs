//! The service as its users meet it: behind nginx, with the batch beside it, and started by `local-stack`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use serde_json::{Value, json};
use shortlink_local_stack::{
    Nginx, Ports, free_port,
    nginx::{Limit, Limits, Options},
};

use crate::{
    app::{App, Output, SERVERS, manifest_for, port_variables, rfc3339_in, root, unix_millis},
    http::{Reply, parse, raw, send},
};

/// nginx before a service.
pub struct FrontDoor {
    nginx: Nginx,
}

impl FrontDoor {
    pub fn before(app: &App) -> Self {
        Self::limited(app, Limits::OFF)
    }

    pub fn limited(app: &App, limits: Limits) -> Self {
        let port = free_port().unwrap();
        let name = format!("nginx-{port}");
        let options = Options { name, port, upstream: app.addr().port(), limits };
        Self { nginx: Nginx::start(&SERVERS.site, &options).unwrap() }
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nginx.port()))
    }

    pub fn get(&self, path: &str) -> Reply {
        send(self.addr(), "GET", path, &[], b"")
    }

    pub fn create(&self, body: &Value) -> Reply {
        create_at(self.addr(), body)
    }
}

fn create_at(addr: SocketAddr, body: &Value) -> Reply {
    send(addr, "POST", "/v1/shortlink", &[("content-type", "application/json")], body.to_string().as_bytes())
}

#[test]
fn a_link_is_created_and_followed_and_the_second_time_nginx_answers() {
    let door = FrontDoor::before(App::shared());
    let created = door.create(&json!({ "url": "https://example.com", "alias": "e2e-link" }));
    assert_eq!((created.status, created.header("location")), (201, Some("/v1/shortlink/e2e-link")));
    let followed = |expected: &str| {
        let reply = door.get("/v1/shortlink/e2e-link");
        assert_eq!(reply.header("x-cache"), Some(expected));
        assert_eq!((reply.status, reply.header("location")), (302, Some("https://example.com/")));
        assert_eq!((reply.header("content-length"), reply.body.as_str()), (Some("0"), ""));
    };
    followed("MISS");
    followed("HIT");
    let head = send(door.addr(), "HEAD", "/v1/shortlink/e2e-link", &[], b"");
    assert_eq!((head.status, head.header("location")), (302, Some("https://example.com/")));
}

#[test]
fn a_code_that_was_unknown_is_seen_as_soon_as_it_exists() {
    let door = FrontDoor::before(App::shared());
    assert_eq!(door.get("/v1/shortlink/e2e-new").status, 404);
    door.create(&json!({ "url": "https://example.com", "alias": "e2e-new" })).code();
    assert_eq!(door.get("/v1/shortlink/e2e-new").status, 302);
}

#[test]
fn nginx_never_leads_on_after_the_expiry() {
    let door = FrontDoor::before(App::shared());
    App::shared().warm();
    let (expires_at, end) = rfc3339_in(Duration::from_secs(4));
    door.create(&json!({ "url": "https://example.com", "alias": "e2e-short", "expires_at": expires_at }))
        .code();
    let mut hits = 0;
    loop {
        let before = unix_millis();
        let reply = door.get("/v1/shortlink/e2e-short");
        if reply.status == 410 {
            break;
        }
        assert_eq!(reply.status, 302, "{}", reply.body);
        assert!(before < end, "a redirect {} ms after the expiry", before - end);
        hits += u32::from(reply.header("x-cache") == Some("HIT"));
        sleep(Duration::from_millis(20));
    }
    assert!(hits > 10, "{hits} answers came from nginx");
    door.create(&json!({ "url": "https://new.example", "alias": "e2e-short" })).code();
    assert_eq!(door.get("/v1/shortlink/e2e-short").header("location"), Some("https://new.example/"));
}

#[test]
fn a_location_of_8_kib_goes_through() {
    let door = FrontDoor::before(App::shared());
    let url = format!("https://example.com/{}", "a".repeat(8192 - 20));
    let code = door.create(&json!({ "url": url })).code();
    for _ in 0..2 {
        assert_eq!(door.get(&format!("/v1/shortlink/{code}")).header("location"), Some(url.as_str()));
    }
}

#[test]
fn what_nginx_refuses_itself_is_in_the_envelope() {
    let door = FrontDoor::before(App::shared());
    let huge = send(
        door.addr(),
        "POST",
        "/v1/shortlink",
        &[("content-type", "application/json")],
        &vec![b'x'; 1_100_000],
    );
    assert_snapshot!(huge.shown(), @r#"
    413
    access-control-allow-origin: *
    access-control-expose-headers: Retry-After, Location
    cache-control: no-store
    content-length: 63
    content-type: application/json
    server: nginx
    x-content-type-options: nosniff

    {"status":413,"data":{"error":"the request body is too large"}}
    "#);
    let hidden = door.get("/.well-known/spin/info");
    assert_eq!((hidden.status, hidden.header("content-type")), (404, Some("application/json")));
    assert_eq!(hidden.json()["status"], 404);
    let zero = door.get("/v1/shortlink/%00");
    assert_eq!((zero.status, &zero.json()["status"]), (400, &json!(400)));
}

#[test]
fn what_the_components_refuse_goes_through_as_it_is() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    let without_cache = |mut reply: Reply| {
        reply.headers.retain(|(name, _)| name != "x-cache" && name != "server");
        reply.shown()
    };
    for path in ["/", "/v1/shortlink/a%20b", "/v1/shortlink/no-such-e2e", "/v1/shortlink//x", "/v1/shortlink"]
    {
        assert_eq!(without_cache(door.get(path)), without_cache(app.get(path)), "{path}");
    }
    let long = "x".repeat(300_000);
    let post =
        |addr| send(addr, "POST", "/v1/shortlink", &[("content-type", "application/json")], long.as_bytes());
    assert_eq!(post(door.addr()).status, 413);
    assert_eq!(
        door.create(&json!({ "url": format!("http://{}/x", door.addr()) })).error(),
        "`url` must not lead back to this service"
    );
}

#[test]
fn two_lengths_in_one_request_are_refused() {
    let door = FrontDoor::before(App::shared());
    for lengths in
        ["content-length: 5\r\ncontent-length: 6", "content-length: 5\r\ntransfer-encoding: chunked"]
    {
        let request =
            format!("POST /v1/shortlink HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lengths}\r\n\r\nhello");
        let reply = parse(&raw(door.addr(), request.as_bytes()), false).unwrap();
        assert_eq!(reply.status, 400, "{lengths}");
    }
}

#[test]
fn without_the_host_the_answer_is_503_and_what_nginx_keeps_goes_on() {
    let mut app = App::own();
    let door = FrontDoor::before(&app);
    door.create(&json!({ "url": "https://example.com", "alias": "kept" })).code();
    assert_eq!(door.get("/v1/shortlink/kept").status, 302);
    app.stop_host();
    assert_eq!(door.get("/v1/shortlink/kept").header("x-cache"), Some("HIT"));
    for reply in [door.get("/v1/shortlink/other"), door.create(&json!({ "url": "https://example.com" }))] {
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{}", reply.body);
        assert_eq!(reply.json()["status"], 503);
    }
}

#[test]
fn a_client_that_creates_too_fast_is_told_to_wait() {
    let create = Limit { rate: Some(1), burst: 2 };
    let door = FrontDoor::limited(App::shared(), Limits { create, ..Limits::OFF });
    let replies: Vec<Reply> = (0..6).map(|_| door.create(&json!({ "url": "https://example.com" }))).collect();
    assert_eq!(replies.first().map(|reply| reply.status), Some(201));
    let refused = replies.iter().find(|reply| reply.status == 429).expect("one was refused");
    assert_eq!((refused.header("retry-after"), &refused.json()["status"]), (Some("1"), &json!(429)));
}

#[test]
fn a_client_that_asks_for_too_much_that_nginx_does_not_hold_is_told_to_wait() {
    let app = App::shared();
    let miss = Limit { rate: Some(1), burst: 2 };
    let statuses = |paths: [&str; 6]| {
        let door = FrontDoor::limited(app, Limits { miss, ..Limits::OFF });
        paths.map(|path| door.get(path).status)
    };
    app.create(&json!({ "url": "https://example.com", "alias": "limited" })).code();
    let link = "/v1/shortlink/limited";
    assert_eq!(statuses([link; 6]), [302; 6], "a hit is never limited");
    let guesses = ["a", "b", "c", "d", "e", "f"].map(|guess| format!("/guess-{guess}"));
    for paths in [guesses.each_ref().map(String::as_str), ["/v1/health/ready"; 6]] {
        let statuses = statuses(paths);
        assert!(statuses[0] != 429 && statuses.contains(&429), "{paths:?}: {statuses:?}");
    }
    assert_eq!(statuses(["/v1/health"; 6]), [200; 6]);
}

/// The whole stack, as `make startlocal` starts it, in a checkout of links to this one.
struct Stack {
    root: PathBuf,
    ports: Ports,
}

impl Stack {
    fn new(name: &str) -> Self {
        let root = SERVERS.site.dir().join(name);
        fs::create_dir_all(&root).unwrap();
        symlink(crate::app::root().join("infra"), root.join("infra")).unwrap();
        fs::write(root.join("spin.toml"), manifest_for(&crate::app::manifest())).unwrap();
        Self { root, ports: Ports::free().unwrap() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-stack"));
        command.arg("--root").arg(&self.root).args(arguments);
        command.envs(port_variables(&self.ports)).env("SHORT_LINK_CODES_TARGET", "5000");
        command.env("SPIN_VARIABLE_EDGE_TTL_SECONDS", "7").env("SPIN_VARIABLE_REDIS_CODES_DATABASE", "1");
        Output::of(command)
    }

    fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.proxy))
    }

    fn ready(&self) -> Value {
        send(self.addr(), "GET", "/v1/health/ready", &[], b"").json()
    }

    fn processes(&self) -> Vec<(String, u64)> {
        let status: Value = serde_json::from_str(&self.run(&["status", "--json"]).stdout).unwrap();
        let processes = status["processes"].as_array().expect("processes").iter();
        processes
            .map(|process| (process["name"].as_str().unwrap().to_owned(), process["pid"].as_u64().unwrap()))
            .collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

#[test]
fn the_local_stack_starts_serves_heals_and_stops() {
    let stack = Stack::new("whole-stack");
    let started = stack.run(&["start"]).success();
    assert!(started.stdout.contains("curl"), "{}", started.stdout);
    assert_eq!(stack.ready()["codes_available"], 5000);

    let body = json!({ "url": "https://example.com", "alias": "my-link" });
    assert_eq!(create_at(stack.addr(), &body).code(), "my-link");
    assert_eq!(create_at(stack.addr(), &body).status, 409);
    let followed = || send(stack.addr(), "GET", "/v1/shortlink/my-link", &[], b"");
    assert_eq!((followed().status, followed().header("location")), (302, Some("https://example.com/")));
    assert_eq!(create_at(stack.addr(), &json!({ "url": "https://example.com" })).code().len(), 7);
    assert_eq!(followed().edge_ttl(), 7, "a setting of the caller's");
    for port in [stack.ports.proxy, stack.ports.api] {
        let body = json!({ "url": format!("http://localhost:{port}/") });
        assert_eq!(
            create_at(stack.addr(), &body).status,
            400,
            "the service itself, by another name than it was asked"
        );
    }

    let before = stack.processes();
    assert!(before.len() >= 6, "{before:?}");
    stack.run(&["start"]).success();
    assert_eq!(stack.processes(), before, "starting twice is harmless");

    let (_, cache) = before.iter().find(|(name, _)| name == "cache").expect("the cache");
    assert!(Command::new("kill").args(["-KILL", &cache.to_string()]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(5);
    while stack.run(&["status"]).status.success() && Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    assert_eq!(followed().status, 302, "without the cache links are still followed");
    stack.run(&["start"]).success();
    assert_eq!(followed().status, 302, "a new start keeps the links");

    let status: Value =
        serde_json::from_str(&stack.run(&["batch", "--json", "codes", "status"]).success().stdout).unwrap();
    assert!(status["available"].as_u64().is_some_and(|codes| codes > 4000), "{status}");

    stack.run(&["stop"]).success();
    stack.run(&["stop"]).success();
    assert!(std::net::TcpStream::connect(stack.addr()).is_err());
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, stack.ports.postgres)).is_ok());
}

#[test]
fn a_port_in_use_is_named_with_the_variable_that_changes_it_and_nothing_is_left_running() {
    let stack = Stack::new("port-in-use");
    let _occupied = TcpListener::bind((Ipv4Addr::LOCALHOST, stack.ports.codes)).unwrap();
    let started = stack.run(&["start"]);
    assert!(!started.status.success());
    assert!(started.stderr.contains("SHORT_LINK_CODES_PORT"), "{}", started.stderr);
    assert!(started.stderr.contains(&stack.ports.codes.to_string()), "{}", started.stderr);
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, stack.ports.postgres)).is_ok());
}

#[test]
fn the_documents_name_every_variable_and_every_make_target() {
    let mut files = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    files.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let documents: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let manifest = crate::app::manifest();
    let variables = manifest.split("[variables]").nth(1).unwrap().split("[[trigger").next().unwrap();
    for name in variables.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name) {
        assert!(documents.contains(&format!("`{name}`")), "{name}");
    }
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let listed = makefile.lines().filter(|line| line.contains(": ## ") || line.contains(" ## "));
    let targets: Vec<&str> =
        listed.filter_map(|line| line.split_once(':')).map(|(target, _)| target).collect();
    assert!(targets.contains(&"startlocal"), "{targets:?}");
    for target in targets {
        assert!(documents.contains(&format!("`make {target}")), "make {target}");
    }
}
