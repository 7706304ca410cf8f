//! `local-host` with the compiled components, and the dependencies that it is told of.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use super::{
    case::{Case, Target},
    client::{Connection, Reply, is_closed},
    dependencies::{Answers, Dependencies},
    postgres, redis,
};

/// The password of everything: it is in no answer. No code and no host looks like it.
pub const SECRET: &str = "hunter_2!";

/// A running host.
pub struct Server {
    address: SocketAddr,
    connection: Option<Connection>,
    dependencies: Dependencies,
    /// The host ends when its standard input closes, so it never outlives this process.
    _host: Child,
    answered: u64,
}

/// Ends the program when its own standard input ends.
const LIVE_AS_LONG_AS_STDIN: &str = r#"exec 3<&0; "$@" </dev/null & cat <&3 >/dev/null; kill $!"#;

impl Server {
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout");
        let build = env::var_os("FUZZ_BUILD").map_or_else(|| root.join("target"), PathBuf::from);
        let dependencies = Dependencies::default();
        let mut command = Command::new("sh");
        command.args(["-c", LIVE_AS_LONG_AS_STDIN, "sh"]).arg(build.join("debug/local-host")).arg("up");
        command.arg("--from").arg(manifest(&root, &build)).args(["--listen", "127.0.0.1:0"]);
        // Without optimisation an instance takes seconds to start, so instances are kept.
        command.args(["--max-instance-reuse-count", "100000", "--idle-instance-timeout", "1h"]);
        for (name, port) in [
            ("POSTGRES", listen(&dependencies, postgres::serve)),
            ("REDIS_CACHE", listen(&dependencies, redis::serve)),
            ("REDIS_CODES", listen(&dependencies, redis::serve)),
        ] {
            command.env(format!("SPIN_VARIABLE_{name}_PORT"), port.to_string());
            command.env(format!("SPIN_VARIABLE_{name}_PASSWORD"), SECRET);
            command.env(format!("SPIN_VARIABLE_MANAGE_{name}_PASSWORD"), SECRET);
        }
        // What one case leaves behind must not change what another one finds.
        command.env("SPIN_VARIABLE_HOT_LINK_TTL_MILLIS", "0").env("SPIN_VARIABLE_POOL_PREFETCH", "1");
        command.env("RUST_LOG", "off").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut host = command.spawn().expect("sh runs");
        let mut output = BufReader::new(host.stdout.take().expect("it is piped")).lines();
        let line = output.next().and_then(Result::ok);
        let line =
            line.expect("local-host does not start: it and the components are built by `make testbuild`");
        let address = line.rsplit("//").next().and_then(|address| address.parse().ok());
        thread::spawn(move || output.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("local-host says {line:?}"));
        Self { address, connection: None, dependencies, _host: host, answered: 0 }
    }

    /// Sends a request. An answer always comes, unless the host itself may refuse a part of it: then it may close the
    /// connection.
    pub fn answer(&mut self, case: &Case) -> Option<Reply> {
        self.dependencies.set(case);
        self.answered += 1;
        let kept = self.connection.take().map(|mut connection| (connection.exchange(case), connection));
        let (reply, connection) = match kept {
            // The host may have closed the kept connection.
            Some((Err(error), _)) if is_closed(&error) => self.answer_anew(case),
            None => self.answer_anew(case),
            Some((reply, connection)) => (reply, connection),
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) if !case.is_plain && is_closed(&error) => return None,
            Err(error) => panic!("no answer: {error}, to {case:?}"),
        };
        if case.is_plain && reply.header("connection") != Some("close") && reply.status < 400 {
            self.connection = Some(connection);
        }
        Some(reply)
    }

    fn answer_anew(&self, case: &Case) -> (io::Result<Reply>, Connection) {
        let mut connection = Connection::open(self.address).expect("the host is there");
        (connection.exchange(case), connection)
    }

    /// What the dependencies were told during the last request.
    pub fn told(&self) -> Answers {
        self.dependencies.get()
    }

    pub fn assert_alive(&mut self) {
        let reply =
            self.answer(&Case::read(b"GET", |_| Target::with_query("/v1/health", ""))).expect("an answer");
        assert_eq!((reply.status, reply.body.as_slice()), (200, br#"{"status":"ok"}"#.as_slice()));
    }

    pub fn assert_alive_sometimes(&mut self) {
        if self.answered.is_multiple_of(64) {
            self.assert_alive();
        }
    }
}

/// The checkout's manifest with the components where they were built.
fn manifest(root: &Path, build: &Path) -> PathBuf {
    let text = fs::read_to_string(root.join("spin.toml")).expect("the manifest");
    let components = build.join("wasm32-wasip2/component/");
    let text =
        text.replace("target/wasm32-wasip2/component/", components.to_str().expect("a path that is text"));
    let directory = build.join("fuzz");
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(format!("spin-{}.toml", std::process::id()));
    fs::write(&path, text).expect("a manifest can be written");
    path
}

fn listen(
    dependencies: &Dependencies,
    serve: fn(std::net::TcpStream, &Dependencies) -> std::io::Result<()>,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let dependencies = dependencies.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let dependencies = dependencies.clone();
            // A client may close its connection at any time.
            thread::spawn(move || serve(stream, &dependencies).ok());
        }
    });
    port
}
