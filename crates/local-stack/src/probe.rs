//! Checks whether a server answers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::tls::Tls;

const TIMEOUT: Duration = Duration::from_secs(3);

/// The whole answer to a `GET` of the path from 127.0.0.1, as text: status line, headers and body.
///
/// # Errors
/// Nothing listens there, or it does not answer within three seconds.
pub fn get(port: u16, path: &str) -> io::Result<String> {
    exchange(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"))
}

/// The status of the answer to a `GET` of the path from 127.0.0.1, if there is one.
#[must_use]
pub fn status_of(port: u16, path: &str) -> Option<u16> {
    parse_status(&get(port, path).ok()?)
}

/// Whether a Redis lets the user in and has finished loading.
pub(crate) fn redis_answers(tls: Option<&Tls>, port: u16, user: &str, password: &str) -> bool {
    let request = format!("AUTH {user} {password}\r\nPING\r\nQUIT\r\n");
    let answer = match tls {
        None => exchange(port, &request),
        Some(tls) => exchange_over_tls(tls, port, &request),
    };
    answer.is_ok_and(|answer| answer.starts_with("+OK\r\n+PONG\r\n"))
}

fn exchange(port: u16, request: &str) -> io::Result<String> {
    send_and_read(&mut connect(port)?, request)
}

fn exchange_over_tls(tls: &Tls, port: u16, request: &str) -> io::Result<String> {
    let config = tls.client_config().map_err(io::Error::other)?;
    let server = ServerName::try_from(tls.server_name().to_owned()).map_err(io::Error::other)?;
    let client = ClientConnection::new(config, server).map_err(io::Error::other)?;
    send_and_read(&mut StreamOwned::new(client, connect(port)?), request)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn send_and_read(stream: &mut (impl Read + Write), request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // Redis ends a connection without the close_notify of TLS.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse_status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(parse_status("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some(503));
        assert_eq!(parse_status("HTTP/1.0 200\r\n"), None);
        assert_eq!(parse_status("-NOAUTH"), None);
    }

    #[test]
    fn a_port_without_a_server_has_no_status() {
        assert_eq!(status_of(crate::free_port().unwrap(), "/"), None);
    }
}
