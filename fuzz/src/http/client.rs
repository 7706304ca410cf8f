//! A connection to the host.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use super::case::Case;

/// Longer than any deadline that a component sets for its dependencies.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The sentence in the envelope.
    pub fn error(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["data"]["error"].as_str()?.to_owned())
    }
}

/// Kept alive from one request to the next.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self(stream))
    }

    pub fn exchange(&mut self, case: &Case) -> io::Result<Reply> {
        let mut request =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", case.method, case.target, case.host).into_bytes();
        for (name, value) in &case.headers {
            request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if case.is_chunked {
            request.extend(b"transfer-encoding: chunked\r\n\r\n");
            for chunk in case.body.chunks(1000) {
                request.extend(
                    format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"),
                );
            }
            request.extend(b"0\r\n\r\n");
        } else {
            request.extend(format!("content-length: {}\r\n\r\n", case.body.len()).bytes());
            request.extend(&case.body);
        }
        // An answer may come, and the connection end, before all of it is sent.
        let sent = self.0.write_all(&request);
        let mut first = [0];
        match self.0.read_exact(&mut first) {
            Ok(()) => self.reply(first[0], case.method == "HEAD"),
            Err(error) => sent.and(Err(error)),
        }
    }

    /// The rest of an answer that has begun.
    fn reply(&mut self, first: u8, is_head: bool) -> io::Result<Reply> {
        let mut head = vec![first];
        while !head.ends_with(b"\r\n\r\n") {
            self.read(1, &mut head)?;
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        assert!(reply.header("transfer-encoding").is_none(), "an answer without a length: {reply:?}");
        if !is_head {
            self.read(length, &mut reply.body)?;
        }
        Ok(reply)
    }

    fn read(&mut self, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).map_err(|error| io::Error::other(format!("cut off: {error}")))?;
        into.extend(bytes);
        Ok(())
    }
}

/// Whether an error says that the server has closed a connection before it answered anything.
pub fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
