//! Unix and TCP wires over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::host::{ReportPort, StreamPort};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

fn tcp(inbox: Inbox) -> (Wire, String) {
    let wire = listen_tcp("127.0.0.1:0", inbox).unwrap();
    let address = wire.address().strip_prefix("tcp:").unwrap().to_owned();
    (wire, address)
}

fn report(arrivals: &Receiver<Arrival>) -> Report {
    match arrivals.recv_timeout(SOON).unwrap() {
        Arrival::Report(report) => report,
        other => panic!("{other:?}"),
    }
}

fn exchange(wire: &Wire, arrivals: &Receiver<Arrival>, clients: &mut [&mut dyn ReportPort]) {
    for n in 0..clients.len() {
        let n8 = u8::try_from(n).unwrap();
        clients[n].write(&[n8; 64]).unwrap();
        assert_eq!(report(arrivals), [n8; 64]);
        wire.send(&[n8 + 100; 64]);
        for client in clients.iter_mut() {
            assert_eq!(
                client.read(SOON).unwrap(),
                Some([n8 + 100; 64]),
                "everybody hears it"
            );
        }
    }
}

#[test]
fn several_tcp_clients_share_the_key() {
    let (inbox, arrivals) = Inbox::channel(8);
    let (wire, address) = tcp(inbox);
    let mut a = StreamPort::tcp(&address).unwrap();
    let mut b = StreamPort::tcp(&address).unwrap();
    // A report from each, so that both are accepted before the key speaks.
    a.write(&[1; 64]).unwrap();
    report(&arrivals);
    b.write(&[2; 64]).unwrap();
    report(&arrivals);
    exchange(&wire, &arrivals, &mut [&mut a, &mut b]);
    drop(a);
    exchange(&wire, &arrivals, &mut [&mut b]);
    assert_eq!(b.read(Duration::from_millis(1)).unwrap(), None);
    drop(wire);
    assert_eq!(
        b.read(SOON).unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );
}

#[test]
fn a_unix_socket_is_private_and_goes_with_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let (inbox, arrivals) = Inbox::channel(8);
    let wire = listen_unix(&path, inbox).unwrap();
    assert_eq!(wire.address(), format!("unix:{}", path.display()));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut client = StreamPort::unix(&path).unwrap();
    client.write(&[1; 64]).unwrap();
    report(&arrivals);
    exchange(&wire, &arrivals, &mut [&mut client]);
    drop(wire);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_but_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a killed program leaves its socket behind");
    let (inbox, _arrivals) = Inbox::channel(8);
    let wire = listen_unix(&path, inbox.clone()).unwrap();
    let taken = listen_unix(&path, inbox.clone()).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    drop(wire);
    fs::write(&path, "precious").unwrap();
    let file = listen_unix(&path, inbox).unwrap_err();
    assert_eq!(file.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn reports_are_put_together_from_any_pieces() {
    let (inbox, arrivals) = Inbox::channel(8);
    let (_wire, address) = tcp(inbox);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_nodelay(true).unwrap();
    let bytes = [[1; 64], [2; 64], [3; 64]].concat();
    for piece in bytes.chunks(37) {
        stream.write_all(piece).unwrap();
    }
    for n in 1..=3 {
        assert_eq!(report(&arrivals), [n; 64]);
    }
    // Half a report from a client that goes: forgotten.
    stream.write_all(&[9; 30]).unwrap();
    drop(stream);
    let mut other = StreamPort::tcp(&address).unwrap();
    other.write(&[4; 64]).unwrap();
    assert_eq!(report(&arrivals), [4; 64]);
}

#[test]
fn a_client_that_does_not_read_is_given_up_and_the_others_are_served() {
    let (inbox, arrivals) = Inbox::channel(8);
    let (wire, address) = tcp(inbox);
    let mut stuck = TcpStream::connect(&address).unwrap();
    stuck.write_all(&[1; 64]).unwrap();
    report(&arrivals);
    let mut good = StreamPort::tcp(&address).unwrap();
    good.write(&[2; 64]).unwrap();
    report(&arrivals);
    // Far more than any socket buffer takes; the good client reads along.
    let reader = std::thread::spawn(move || {
        let mut got = 0_u64;
        while let Ok(Some(report)) = good.read(SOON) {
            got += 1;
            if report[0] == 0xEE {
                return got;
            }
        }
        0
    });
    let end = Instant::now() + 4 * SOON;
    let mut sent = 0_u64;
    while sent < 300_000 && Instant::now() < end {
        wire.send(&[5; 64]);
        sent += 1;
        if sent.is_multiple_of(512) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    wire.send(&[0xEE; 64]);
    assert!(
        reader.join().unwrap() > 0,
        "the last report reached the good client"
    );
    let mut sink = Vec::new();
    stuck.set_read_timeout(Some(SOON)).unwrap();
    let end = stuck.read_to_end(&mut sink);
    let reset = matches!(&end, Err(e) if e.kind() == io::ErrorKind::ConnectionReset);
    assert!(
        end.is_ok() || reset,
        "the stuck client was disconnected: {end:?}"
    );
}

#[test]
fn a_key_that_has_stopped_ends_its_wire() {
    let (inbox, arrivals) = Inbox::channel(8);
    let (wire, address) = tcp(inbox);
    drop(arrivals);
    let mut client = StreamPort::tcp(&address).unwrap();
    client.write(&[1; 64]).unwrap();
    assert!(
        client.read(SOON).is_err(),
        "the wire's thread ended and closed its sockets"
    );
    drop(wire);
}
