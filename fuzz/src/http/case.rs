//! Parses an input.

use http::HeaderName;

use std::time::{SystemTime, UNIX_EPOCH};

use shortlink_core::Timestamp;

use super::keys;

/// A request and what the dependencies answer while it is in flight.
#[derive(Debug)]
pub struct Case {
    pub method: String,
    pub target: String,
    pub host: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// The body goes in chunks, without a Content-Length.
    pub is_chunked: bool,
    /// No part of it is one that the host itself may refuse.
    pub is_plain: bool,
    /// It says itself that it has no API key.
    pub is_anonymous: bool,
    pub cache: Option<Vec<u8>>,
    pub pool: Vec<Vec<u8>>,
    pub rows: Rows,
    /// What Postgres says when it is asked where links lead.
    pub later: Rows,
}

/// What Postgres answers: `!` and an SQLSTATE for an error, `-` for null or no row, `{}` for an empty array, else the
/// elements of an array, one a line; `\N` is null.
#[derive(Clone, Debug)]
pub struct Rows(String);

/// Where a request goes.
pub struct Target {
    text: String,
    /// The host itself does not refuse it.
    is_plain: bool,
}

/// What belongs to the connection and not to the request.
const NOT_THE_CALLERS: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
];

impl Target {
    /// The path with the input's query.
    pub fn with_query(path: &str, rest: &str) -> Self {
        let separator = if rest.is_empty() || rest.starts_with('?') { "" } else { "?" };
        Self { text: format!("{path}{separator}{rest}"), is_plain: is_plain_target(rest) }
    }

    /// The path, which ends in a slash, and whatever the input adds.
    pub fn below(path: &str, rest: &str) -> Self {
        let is_plain = is_plain_target(rest) && !rest.is_empty() && !rest.starts_with('?');
        Self { text: format!("{path}{rest}"), is_plain }
    }
}

impl Case {
    /// Reads an input; `target` is where a request goes that names this text for it.
    pub fn read(data: &[u8], target: impl FnOnce(&str) -> Target) -> Self {
        let mut sections = split(data, b"\n~\n");
        let (request, cache) = (sections.next().unwrap_or_default(), sections.next());
        let (pool, rows) = (sections.next().unwrap_or_default(), sections.next());
        let (head, body) = match request.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => (&request[..at], &request[at + 2..]),
            None => (request, &[][..]),
        };
        let mut lines = split(head, b"\n");
        let (method, rest) = first_line(lines.next().unwrap_or_default());
        let Target { text: target, is_plain } = target(&rest);
        let mut case = Self {
            method,
            target,
            host: "sho.rt".into(),
            headers: Vec::new(),
            body: body.to_vec(),
            is_chunked: false,
            is_plain,
            is_anonymous: false,
            cache: cache.map(dated),
            pool: split(pool, b"\n").filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect(),
            rows: Rows::read(rows),
            later: Rows::read(sections.next()),
        };
        lines.take(16).for_each(|line| case.add_header(line));
        case
    }

    fn add_header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let Ok(name) = HeaderName::from_bytes(&line[..colon]) else { return };
        let is_sendable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        let value: Vec<u8> = line[colon + 1..].iter().copied().filter(is_sendable).collect();
        let value = value.trim_ascii();
        match name.as_str() {
            "host" => {
                self.host = String::from_utf8_lossy(value).replace(|c: char| !c.is_ascii_graphic(), "");
                self.is_plain &= is_plain_host(&self.host);
            }
            "transfer-encoding" => self.is_chunked = true,
            // White space behind the body: a seed for what is too long need not be.
            "pad" => {
                let count = std::str::from_utf8(value).ok().and_then(|count| count.parse::<u16>().ok());
                self.body.extend(std::iter::repeat_n(b' ', count.unwrap_or(0).into()));
            }
            // An API key by its letter; no letter is no key.
            "key" => match value.first().copied().map(char::from).filter(char::is_ascii_alphanumeric) {
                Some(letter) => self.headers.push(("x-api-key".into(), keys::text(letter).into_bytes())),
                None => self.is_anonymous = true,
            },
            name if NOT_THE_CALLERS.contains(&name) => {}
            name => self.headers.push((name.to_owned(), value.to_vec())),
        }
    }

    /// The values of a header.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    /// The target without its query, and without a fragment, which no request should have.
    pub fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    /// The query, without a fragment.
    pub fn query(&self) -> &str {
        let target = self.target.split('#').next().unwrap_or_default();
        target.split_once('?').map(|(_, query)| query).unwrap_or_default()
    }
}

impl Rows {
    fn read(section: Option<&[u8]>) -> Self {
        Self(section.map_or_else(|| "\\N".into(), |text| String::from_utf8_lossy(&dated(text)).into_owned()))
    }

    /// The SQLSTATE, for an error.
    pub fn failure(&self) -> Option<&str> {
        let code = self.0.strip_prefix('!')?.get(..5)?;
        code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()).then_some(code)
    }

    /// Whether there is null, or no row at all.
    pub fn is_none(&self) -> bool {
        self.0 == "-"
    }

    /// The elements.
    pub fn texts(&self) -> Vec<Option<String>> {
        if self.0 == "{}" {
            return Vec::new();
        }
        self.0.split('\n').map(|line| (line != "\\N").then(|| line.to_owned())).collect()
    }

    /// How many rows there are, for a statement of which no row is read.
    pub fn count(&self) -> u64 {
        self.0.parse().unwrap_or(0)
    }
}

fn split<'a>(data: &'a [u8], separator: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let all = rest?;
        match all.windows(separator.len()).position(|part| part == separator) {
            Some(at) => {
                rest = Some(&all[at + separator.len()..]);
                Some(&all[..at])
            }
            None => rest.take(),
        }
    })
}

/// The same with `+<milliseconds>` at the beginnings of lines turned into that time from now.
fn dated(text: &[u8]) -> Vec<u8> {
    let lines = split(text, b"\n").map(|line| {
        let digits = line.strip_prefix(b"+").and_then(|rest| rest.split(|byte| *byte == b' ').next());
        let ahead = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
        let (Some(digits), Some(ahead)) = (digits, ahead) else { return line.to_vec() };
        let at = now().unix_millis().saturating_add(ahead.into());
        [at.to_string().as_bytes(), &line[1 + digits.len()..]].concat()
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

fn first_line(line: &[u8]) -> (String, String) {
    let line = String::from_utf8_lossy(line);
    let (method, target) = line.split_once(' ').unwrap_or((&line, ""));
    let method: String = method.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    let method = match method.as_str() {
        "" => "GET".into(),
        // Its target is no path.
        "CONNECT" => "TRACE".into(),
        _ => method,
    };
    (method, target.chars().filter(char::is_ascii_graphic).take(4000).collect())
}

fn is_plain_target(target: &str) -> bool {
    target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%=&+?".contains(&byte))
}

fn is_plain_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "1"));
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    !name.is_empty()
        && name.bytes().all(is_name)
        && !name.ends_with(".spin.internal")
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

/// The time of the system clock.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
