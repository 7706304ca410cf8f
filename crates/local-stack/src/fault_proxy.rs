//! A TCP proxy that misbehaves on demand, to stand between the service and one of its dependencies.
//!
//! It changes its behaviour at run time, for connections that are open as well as for new ones. What it holds back
//! while it hangs or delays is not lost: it goes on its way when the proxy forwards again, late, as from a server
//! that was merely slow.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

/// How often the proxy looks for new connections and, while it waits, whether its behaviour has changed.
const POLL: Duration = Duration::from_millis(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How a [`FaultProxy`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Passes everything on.
    None,
    /// Nothing listens, and the open connections are closed.
    Refuse,
    /// Connections are accepted and reset at once; so are the open ones.
    Reset,
    /// Connections are accepted, and nothing is passed on in either direction.
    Hang,
    /// Each piece of data waits that long, in both directions.
    Delay(Duration),
    /// Each connection is closed after the server has sent that many bytes on it.
    CutAfter(usize),
    /// The server's data arrives a byte at a time, with that pause between bytes.
    Trickle(Duration),
}

/// A running proxy. Dropped, it closes everything.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    fault: Mutex<Fault>,
    changed: Condvar,
    closed: AtomicBool,
    links: Mutex<Vec<Weak<Link>>>,
    accepted: AtomicUsize,
}

/// A connection through the proxy.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    stranded: AtomicBool,
}

impl FaultProxy {
    /// Starts one in front of that port of 127.0.0.1, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start(target: u16) -> anyhow::Result<Self> {
        Self::listening(Ipv4Addr::LOCALHOST.into(), target)
    }

    /// The same, where clients reach it by another address of this machine.
    ///
    /// # Errors
    /// The machine has no such address, or no free port.
    pub fn listening(ip: IpAddr, target: u16) -> anyhow::Result<Self> {
        let address = SocketAddr::new(ip, crate::free_port()?);
        let listener = listen(address)?;
        let shared = Arc::new(Shared {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, target)),
            fault: Mutex::new(Fault::None),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
            links: Mutex::default(),
            accepted: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        let acceptor = thread::spawn(move || accepting.accept(address, Some(listener)));
        Ok(Self { shared, address, acceptor: Some(acceptor) })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes its behaviour; returns once new connections meet it.
    pub fn set(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
        self.shared.changed.notify_all();
        if matches!(fault, Fault::Refuse | Fault::Reset) {
            self.break_connections();
        }
        // The listener comes and goes with the acceptor's next look.
        let deadline = Instant::now() + CONNECT_LIMIT;
        let refuses = || TcpStream::connect(self.address).is_err();
        while matches!(fault, Fault::Refuse) != refuses() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }

    /// Resets the open connections; new ones are possible.
    pub fn break_connections(&self) {
        for link in self.shared.open_links() {
            reset(&link.client);
            close(&link);
        }
    }

    /// From now on the open connections carry nothing and are never closed, as behind a firewall that has forgotten
    /// them; new ones are served.
    pub fn strand_connections(&self) {
        for link in self.shared.open_links() {
            link.stranded.store(true, Ordering::Relaxed);
        }
    }

    /// How many connections it has accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open_links().len()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
        self.break_connections();
        if let Some(acceptor) = self.acceptor.take() {
            let _finished = acceptor.join();
        }
        // One that was accepted meanwhile.
        self.break_connections();
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *lock(&self.fault)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn open_links(&self) -> Vec<Arc<Link>> {
        let mut links = lock(&self.links);
        links.retain(|link| link.strong_count() > 0);
        links.iter().filter_map(Weak::upgrade).collect()
    }

    fn accept(self: &Arc<Self>, address: SocketAddr, mut listener: Option<TcpListener>) {
        while !self.is_closed() {
            let refuses = self.fault() == Fault::Refuse;
            listener = if refuses { None } else { listener.or_else(|| listen(address).ok()) };
            match listener.as_ref().map(TcpListener::accept) {
                Some(Ok((client, _))) => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    let shared = self.clone();
                    thread::spawn(move || shared.serve(client));
                }
                Some(Err(_)) | None => thread::sleep(POLL),
            }
        }
    }

    /// Carries one connection until either side has closed it.
    fn serve(&self, client: TcpStream) {
        if self.fault() == Fault::Reset {
            reset(&client);
            return;
        }
        let Ok(server) = TcpStream::connect_timeout(&self.target, CONNECT_LIMIT) else { return };
        let settled = client.set_nonblocking(false).is_ok()
            && client.set_nodelay(true).is_ok()
            && server.set_nodelay(true).is_ok();
        if !settled {
            return;
        }
        let link = Arc::new(Link { client, server, stranded: AtomicBool::new(false) });
        lock(&self.links).push(Arc::downgrade(&link));
        thread::scope(|scope| {
            scope.spawn(|| self.pump(&link, &link.client, &link.server, false));
            self.pump(&link, &link.server, &link.client, true);
        });
    }

    fn pump(&self, link: &Link, mut from: &TcpStream, mut to: &TcpStream, from_server: bool) {
        let (mut buffer, mut said) = ([0; 16 * 1024], 0);
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if !self.pass(link, &mut to, &buffer[..length], from_server, &mut said) {
                break;
            }
        }
        close(link);
    }

    /// Passes data on as the current fault demands; `false` when the connection is to be closed.
    fn pass(
        &self,
        link: &Link,
        to: &mut &TcpStream,
        data: &[u8],
        from_server: bool,
        said: &mut usize,
    ) -> bool {
        if let Fault::Delay(delay) = self.fault() {
            self.wait(delay, |fault| matches!(fault, Fault::Delay(_)));
        }
        while !self.is_closed() && (self.fault() == Fault::Hang || link.stranded.load(Ordering::Relaxed)) {
            self.wait(Duration::from_millis(200), |fault| fault == Fault::Hang);
        }
        if from_server {
            *said += data.len();
        }
        match self.fault() {
            Fault::CutAfter(limit) if from_server && *said > limit => {
                let kept = data.len().saturating_sub(*said - limit);
                let _cut_anyway = to.write_all(&data[..kept]);
                false
            }
            Fault::Trickle(pause) if from_server => data.chunks(1).all(|byte| {
                self.wait(pause, |fault| matches!(fault, Fault::Trickle(_)));
                to.write_all(byte).is_ok()
            }),
            _ => !self.is_closed() && to.write_all(data).is_ok(),
        }
    }

    /// Waits that long, or until the fault is another.
    fn wait(&self, limit: Duration, same: impl Fn(Fault) -> bool) {
        let held = |fault: &mut Fault| same(*fault) && !self.is_closed();
        drop(self.changed.wait_timeout_while(lock(&self.fault), limit, held));
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Closes with a reset instead of in order.
fn reset(stream: &TcpStream) {
    let _closed_anyway = set_socket_linger(stream, Some(Duration::ZERO));
    let _wakes_its_reader = stream.shutdown(Shutdown::Read);
}

/// Ends a connection. Of the client's side only the reading: what ends the rest, in order or by a reset, is the close.
fn close(link: &Link) {
    let _already_closed = link.client.shutdown(Shutdown::Read);
    let _already_closed = link.server.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything back, and a client of it through a proxy.
    fn echo() -> (FaultProxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = FaultProxy::start(listener.local_addr().unwrap().port()).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        let client = connect(&proxy).unwrap();
        (proxy, client)
    }

    fn connect(proxy: &FaultProxy) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        Ok(stream)
    }

    fn said_back(mut stream: &TcpStream) -> io::Result<[u8; 4]> {
        let mut answer = [0; 4];
        stream.write_all(b"ping")?;
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn without_a_fault_everything_passes() {
        let (_proxy, client) = echo();
        assert_eq!(said_back(&client).unwrap(), *b"ping");
    }

    #[test]
    fn refused_and_reset_connections_come_back() {
        let (proxy, client) = echo();
        said_back(&client).unwrap();
        proxy.set(Fault::Refuse);
        said_back(&client).unwrap_err();
        assert_eq!(connect(&proxy).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        proxy.set(Fault::Reset);
        said_back(&connect(&proxy).unwrap()).unwrap_err();
        proxy.set(Fault::None);
        said_back(&connect(&proxy).unwrap()).unwrap();
    }

    #[test]
    fn data_held_back_arrives_late() {
        let (proxy, mut client) = echo();
        proxy.set(Fault::Hang);
        said_back(&client).unwrap_err();
        proxy.set(Fault::None);
        let mut answer = [0; 4];
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"ping");
    }

    #[test]
    fn a_cut_lets_the_first_bytes_through() {
        let (proxy, mut client) = echo();
        proxy.set(Fault::CutAfter(2));
        client.write_all(b"ping").unwrap();
        let mut answer = Vec::new();
        let _cut = client.read_to_end(&mut answer);
        assert_eq!(answer, b"pi");
    }

    #[test]
    fn stranded_connections_are_silent_and_new_ones_served() {
        let (proxy, client) = echo();
        said_back(&client).unwrap();
        proxy.strand_connections();
        assert_ne!(said_back(&client).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        said_back(&connect(&proxy).unwrap()).unwrap();
    }

    #[test]
    fn a_trickle_and_a_delay_take_their_time() {
        let (proxy, client) = echo();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        for fault in [Fault::Trickle(Duration::from_millis(20)), Fault::Delay(Duration::from_millis(40))] {
            proxy.set(fault);
            let began = Instant::now();
            said_back(&client).unwrap();
            assert!(began.elapsed() >= Duration::from_millis(80), "{fault:?}");
        }
    }
}
