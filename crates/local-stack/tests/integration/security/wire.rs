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
const PATIENCE: Duration = Duration::from_secs(12);

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
    converse(addr, bytes, PATIENCE)
}

/// The same with bytes that a server may wait for more after.
pub fn provoke(addr: SocketAddr, bytes: &[u8]) -> Answers {
    converse(addr, bytes, SILENCE)
}

/// `patience` is for the first byte.
fn converse(addr: SocketAddr, bytes: &[u8], patience: Duration) -> Answers {
    let mut stream = TcpStream::connect(addr).expect("connect");
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    // A server may refuse a request before it has read all of it.
    let _ = stream.write_all(bytes);
    let ends = bytes.windows(CLOSE.len()).any(|window| window == CLOSE);
    let read = |received: &[u8]| replies(received, bytes.starts_with(b"HEAD "));
    let (mut received, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let closed = loop {
        let patience = match read(&received) {
            _ if received.is_empty() => patience,
            Some((all, _)) if !all.is_empty() && !ends => SILENCE,
            _ => PATIENCE,
        };
        stream.set_read_timeout(Some(patience)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    let cut_off = || panic!("an answer that was cut off: {:?}", String::from_utf8_lossy(&received));
    let (all, heads) = read(&received).unwrap_or_else(cut_off);
    Answers { all, closed, heads }
}

/// Takes what a server has sent apart; `None` while an answer is not whole. Fails on what is no sequence of answers: that
/// is what a client would stumble on.
fn replies(mut bytes: &[u8], first_is_head: bool) -> Option<(Vec<Reply>, Vec<String>)> {
    let (mut replies, mut heads) = (Vec::new(), Vec::new());
    // A line without a version is a request of HTTP/0.9, and nginx answers it with a body alone.
    if bytes.starts_with(b"{\"status\":") {
        return Some((replies, heads));
    }
    while !bytes.is_empty() {
        let shown = String::from_utf8_lossy(bytes).into_owned();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, rest) = bytes.split_at(end + 4);
        let mut reply = parse(head, true).unwrap_or_else(|| panic!("no answer: {shown:?}"));
        let length = match (reply.header("content-length"), reply.header("transfer-encoding")) {
            _ if first_is_head && replies.is_empty() => 0,
            (Some(length), None) => length.parse().unwrap(),
            (None, Some("chunked")) => 5 + rest.windows(5).position(|window| window == b"0\r\n\r\n")?,
            // Only an answer that has no body, or ends with its connection, says nothing.
            (None, None) if matches!(reply.status, 100 | 204) => 0,
            (None, None) => rest.len(),
            both => panic!("two lengths: {both:?}"),
        };
        reply.body = String::from_utf8_lossy(rest.get(..length)?).into_owned();
        bytes = &rest[length..];
        if reply.status != 100 {
            heads.push(String::from_utf8(head.to_vec()).expect("a head of text"));
            replies.push(reply);
        }
    }
    Some((replies, heads))
}
