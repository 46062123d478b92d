//! UDP: one datagram, one report
//!
//! The simulators of other projects do it this way (SoloKeys' listens on port 8111 and its clients
//! send from 7112), so their tools can drive this key. Answers go to everybody who has sent a report
//! lately: CTAPHID channels tell them apart.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::outbox::{Outbox, Waker, wait};
use crate::{Arrival, Inbox, Kind, REPORT_SIZE, Report, Wire};

/// The port that simulated keys of other projects listen on.
pub const SIMULATOR_PORT: u16 = 8111;

/// How many senders are answered at once.
const MAX_PEERS: usize = 8;
/// A sender that was silent for so long is not answered any more.
const PEER_MEMORY: Duration = Duration::from_secs(120);

/// Binds a UDP socket; port 0 takes any free one, which [`Wire::address`] tells.
///
/// Whoever can send to it can use the key: bind to loopback unless you mean it.
///
/// # Errors
///
/// When the address cannot be resolved or bound.
pub fn bind(address: impl ToSocketAddrs, inbox: Inbox) -> io::Result<Wire> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let address = format!("udp:{}", socket.local_addr()?);
    let (outbox, waker) = Outbox::new()?;
    Wire::start(Kind::Hid, address, outbox, move || {
        run(&socket, waker, &inbox)
    })
}

/// Who has sent lately, the latest first.
#[derive(Debug, Default)]
struct Peers(Vec<(SocketAddr, Instant)>);

impl Peers {
    fn heard(&mut self, peer: SocketAddr, now: Instant) {
        self.0
            .retain(|(known, heard)| *known != peer && now - *heard < PEER_MEMORY);
        self.0.insert(0, (peer, now));
        self.0.truncate(MAX_PEERS);
    }
}

fn run(socket: &UdpSocket, mut waker: Waker, inbox: &Inbox) {
    let mut peers = Peers::default();
    loop {
        let mut fds = [waker.poll_fd(), PollFd::new(socket, PollFlags::IN)];
        if let Err(e) = wait(&mut fds, None) {
            let _ = inbox.deliver(Arrival::Closed(Some(e.to_string())));
            return;
        }
        let Some(messages) = waker.take() else { return };
        for message in &messages {
            for (peer, _) in &peers.0 {
                // Lost datagrams are in the nature of UDP; clients repeat.
                let _ = socket.send_to(message, peer);
            }
        }
        // A bounded number of datagrams, so that answers go out under a flood too.
        for _ in 0..MAX_PEERS {
            let Some((report, peer)) = receive(socket) else {
                break;
            };
            let Some(report) = report else { continue };
            peers.heard(peer, Instant::now());
            if !inbox.deliver(Arrival::Report(report)) {
                return;
            }
        }
    }
}

/// One datagram: a report, alone or with a report number of 0 before it. `None` when none waits.
fn receive(socket: &UdpSocket) -> Option<(Option<Report>, SocketAddr)> {
    let mut buffer = [0; REPORT_SIZE + 2];
    match socket.recv_from(&mut buffer) {
        Ok((n, peer)) => {
            let report = match buffer.get(..n) {
                Some([0, report @ ..]) if n == REPORT_SIZE + 1 => report.try_into().ok(),
                Some(report) => report.try_into().ok(),
                None => None,
            };
            Some((report, peer))
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::host::ReportPort;

    const SOON: Duration = Duration::from_secs(5);

    fn local(wire: &Wire) -> SocketAddr {
        wire.address()
            .strip_prefix("udp:")
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn reports_arrive_and_all_recent_senders_are_answered() {
        let (inbox, arrivals) = Inbox::channel(8);
        let wire = bind("127.0.0.1:0", inbox).unwrap();
        let mut a = crate::host::UdpPort::connect(local(&wire)).unwrap();
        let mut b = crate::host::UdpPort::connect(local(&wire)).unwrap();
        a.write(&[1; 64]).unwrap();
        assert_eq!(
            arrivals.recv_timeout(SOON).unwrap(),
            Arrival::Report([1; 64])
        );
        b.write(&[2; 64]).unwrap();
        assert_eq!(
            arrivals.recv_timeout(SOON).unwrap(),
            Arrival::Report([2; 64])
        );
        wire.send(&[3; 64]);
        assert_eq!(a.read(SOON).unwrap(), Some([3; 64]));
        assert_eq!(b.read(SOON).unwrap(), Some([3; 64]));
        assert_eq!(a.read(Duration::from_millis(1)).unwrap(), None);
    }

    #[test]
    fn a_report_number_is_taken_off_and_other_sizes_are_ignored() {
        let (inbox, arrivals) = Inbox::channel(8);
        let wire = bind("127.0.0.1:0", inbox).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for bad in [&[][..], &[1; 63], &[1; 65], &[1; 66], &[1; 2000]] {
            socket.send_to(bad, local(&wire)).unwrap();
        }
        socket
            .send_to(&[&[0][..], &[7; 64]].concat(), local(&wire))
            .unwrap();
        assert_eq!(
            arrivals.recv_timeout(SOON).unwrap(),
            Arrival::Report([7; 64])
        );
    }

    #[test]
    fn senders_are_few_and_forgotten_in_time() {
        let mut peers = Peers::default();
        let start = Instant::now();
        for port in 0..20 {
            peers.heard(SocketAddr::from(([127, 0, 0, 1], port)), start);
        }
        assert_eq!(peers.0.len(), MAX_PEERS);
        assert_eq!(peers.0[0].0.port(), 19);
        peers.heard(SocketAddr::from(([127, 0, 0, 1], 1)), start + PEER_MEMORY);
        assert_eq!(peers.0.len(), 1);
    }
}
