//! Requests and replies as tests see them.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// A reply, read whole.
pub struct Reply {
    pub status: u16,
    /// Names in lower case, sorted; without `date`.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The code of a new link.
    pub fn code(&self) -> String {
        assert_eq!(self.status, 201, "{}", self.body);
        self.json()["data"]["code"].as_str().expect("a code").to_owned()
    }

    /// The sentence of an error.
    pub fn error(&self) -> String {
        self.json()["data"]["error"].as_str().expect("an error").to_owned()
    }

    /// How many seconds a shared cache may keep it.
    pub fn edge_ttl(&self) -> i64 {
        let caching = self.header("cache-control").expect("a cache-control");
        let (_, seconds) = caching.rsplit_once("s-maxage=").expect("an s-maxage");
        seconds.parse().expect("a number of seconds")
    }

    /// Status, headers and body as one text, for snapshots.
    pub fn shown(&self) -> String {
        let mut text = format!("{}\n", self.status);
        for (name, value) in &self.headers {
            writeln!(text, "{name}: {value}").unwrap();
        }
        if !self.body.is_empty() {
            write!(text, "\n{}", self.body).unwrap();
        }
        text
    }
}

/// Sends a request and reads the reply; redirects are not followed.
pub fn send(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    if !body.is_empty() {
        write!(request, "content-length: {}\r\n", body.len()).unwrap();
    }
    request.push_str("\r\n");
    let reply = raw(addr, &[request.as_bytes(), body].concat());
    parse(&reply, method == "HEAD").unwrap_or_else(|| panic!("no reply to {method} {path}: {reply:?}"))
}

/// Sends bytes as they are and reads until the server closes the connection.
pub fn raw(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server may refuse a long body before it has read all of it; what it says still counts.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    reply
}

/// Reads a whole reply; `None` when it is none.
pub fn parse(reply: &[u8], head_only: bool) -> Option<Reply> {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&reply[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .filter(|(name, _)| name != "date" && name != "connection")
        .collect();
    headers.sort();
    let rest = &reply[end + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if head_only || !chunked { rest.to_vec() } else { unchunk(rest)? };
    Some(Reply { status, headers, body: String::from_utf8(body).ok()? })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
