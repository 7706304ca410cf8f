//! Requests as bytes, and all the answers that came back for them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
    time::Duration,
};

use crate::{
    app::App,
    e2e::FrontDoor,
    http::{Reply, parse},
};

/// How long a connection may be silent before all answers count as read. It only passes where a server waits for more.
const SILENCE: Duration = Duration::from_millis(400);
/// The header that asks a server to close the connection.
const CLOSE: &[u8] = b"connection: close\r\n";
/// How long an answer that has to come may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(12);

static DOOR: LazyLock<FrontDoor> = LazyLock::new(|| FrontDoor::before(App::shared()));

/// A way to the shared service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    Nginx,
}

pub const WAYS: [Way; 2] = [Way::Direct, Way::Nginx];

impl Way {
    pub fn addr(self) -> SocketAddr {
        match self {
            Self::Direct => App::shared().addr(),
            Self::Nginx => DOOR.addr(),
        }
    }
}

/// What came back on one connection.
pub struct Answers {
    pub all: Vec<Reply>,
    /// Whether the last answer came to its end.
    pub whole: bool,
    /// Whether the server has closed the connection.
    pub closed: bool,
    /// The heads of all answers as they came.
    pub heads: Vec<String>,
}

impl Answers {
    pub fn statuses(&self) -> Vec<u16> {
        self.all.iter().map(|reply| reply.status).collect()
    }
}

/// Sends a request and reads what comes: at least an answer, and until the server closes the connection, where the request
/// asks for that, or waits for more.
pub fn exchange(addr: SocketAddr, bytes: &[u8]) -> Answers {
    let answers = converse(addr, bytes, TIMEOUT);
    assert!(answers.whole, "an answer that was cut off, after {:?}", answers.heads);
    answers
}

/// The same with bytes that a server may wait for more after. What it says of them may be cut off.
pub fn provoke(addr: SocketAddr, bytes: &[u8]) -> Answers {
    converse(addr, bytes, SILENCE)
}

/// `timeout` is for the first byte.
fn converse(addr: SocketAddr, bytes: &[u8], timeout: Duration) -> Answers {
    let mut stream = TcpStream::connect(addr).expect("connect");
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    // A server may refuse a request before it has read all of it.
    let _ = stream.write_all(bytes);
    let ends = bytes.windows(CLOSE.len()).any(|window| window == CLOSE);
    let read = |received: &[u8]| replies(received, bytes.starts_with(b"HEAD "));
    let (mut received, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let closed = loop {
        let answers = read(&received);
        let timeout = match answers.all.len() {
            _ if received.is_empty() => timeout,
            1.. if answers.whole && !ends => SILENCE,
            _ => TIMEOUT,
        };
        stream.set_read_timeout(Some(timeout)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    Answers { closed, ..read(&received) }
}

/// Takes what a server has sent apart. Fails on what is no sequence of answers: that is what a client would stumble on.
fn replies(mut bytes: &[u8], first_is_head: bool) -> Answers {
    let mut answers = Answers { all: Vec::new(), whole: true, closed: false, heads: Vec::new() };
    // A line without a version is a request of HTTP/0.9, and nginx answers it with a body alone.
    if bytes.starts_with(b"{\"status\":") {
        return answers;
    }
    while !bytes.is_empty() {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            answers.whole = false;
            break;
        };
        let (head, rest) = bytes.split_at(end + 4);
        let mut reply =
            parse(head, true).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let length = match (reply.header("content-length"), reply.header("transfer-encoding")) {
            _ if first_is_head && answers.all.is_empty() => 0,
            (Some(length), None) => length.parse().unwrap(),
            (None, Some("chunked")) => {
                let last = rest.windows(5).position(|window| window == b"0\r\n\r\n");
                last.map_or(usize::MAX, |last| last + 5)
            }
            // Only an answer that has no body, or ends with its connection, says nothing.
            (None, None) if matches!(reply.status, 100 | 204) => 0,
            (None, None) => rest.len(),
            both => panic!("two lengths: {both:?}"),
        };
        answers.whole = length <= rest.len();
        let (body, rest) = rest.split_at(length.min(rest.len()));
        reply.body = String::from_utf8_lossy(body).into_owned();
        bytes = rest;
        if reply.status != 100 {
            answers.heads.push(String::from_utf8(head.to_vec()).expect("a head of text"));
            answers.all.push(reply);
        }
    }
    answers
}
