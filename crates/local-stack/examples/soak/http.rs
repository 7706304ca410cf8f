//! A client on a connection that is kept alive, and that distinguishes an answer from none.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Far above every budget of the service.
const TIMEOUT: Duration = Duration::from_secs(15);
const LONGEST_BODY: usize = 1 << 20;

pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub retry_after: bool,
    pub body: String,
}

pub struct Http {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Http {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    pub fn get(&mut self, code: &str) -> Option<Answer> {
        self.exchange(&format!("GET /v1/shortlink/{code} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address))
    }

    /// A request with a JSON body; each header is a whole line.
    pub fn send(&mut self, method: &str, path: &str, headers: &[String], body: &str) -> Option<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for header in headers {
            head += header;
            head += "\r\n";
        }
        self.exchange(&format!(
            "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// `None`: the connection broke before the whole answer arrived, so the outcome is unknown.
    fn exchange(&mut self, request: &str) -> Option<Answer> {
        let answer = self.try_exchange(request);
        if answer.is_none() {
            self.stream = None;
        }
        answer
    }

    fn try_exchange(&mut self, request: &str) -> Option<Answer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.address, TIMEOUT).ok()?;
            stream.set_read_timeout(Some(TIMEOUT)).ok()?;
            stream.set_write_timeout(Some(TIMEOUT)).ok()?;
            stream.set_nodelay(true).ok()?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut()?;
        stream.get_mut().write_all(request.as_bytes()).ok()?;
        read_answer(stream)
    }
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> Option<Answer> {
    let status = line(stream)?.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, location: None, retry_after: false, body: String::new() };
    let mut length: usize = 0;
    loop {
        let header = line(stream)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "location" => answer.location = Some(value.trim().to_owned()),
            "retry-after" => answer.retry_after = true,
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length.min(LONGEST_BODY)];
    stream.read_exact(&mut body).ok()?;
    answer.body = String::from_utf8(body).ok()?;
    Some(answer)
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.ends_with('\n').then(|| line.trim_end().to_owned())
}
