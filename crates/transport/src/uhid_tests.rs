//! UHID events against the layout of `linux/uhid.h`, and a device whose kernel is the test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// An event as the kernel writes it: always the whole structure.
fn from_kernel(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut event = kind.to_ne_bytes().to_vec();
    event.extend_from_slice(body);
    event.resize(EVENT_SIZE, 0);
    event
}

fn output_event(data: &[u8]) -> Vec<u8> {
    let mut body = data.to_vec();
    body.resize(4096, 0);
    body.extend_from_slice(&u16::try_from(data.len()).unwrap().to_ne_bytes());
    body.push(1); // UHID_OUTPUT_REPORT
    from_kernel(6, &body)
}

/// A device and the kernel's end of it, with the device's first event.
fn device() -> (
    Wire,
    UnixDatagram,
    std::sync::mpsc::Receiver<Arrival>,
    Vec<u8>,
) {
    let (ours, kernel) = UnixDatagram::pair().unwrap();
    kernel.set_read_timeout(Some(SOON)).unwrap();
    let (inbox, arrivals) = Inbox::channel(8);
    let wire = from_fd(ours.into(), &Identity::default(), inbox).unwrap();
    let created = receive(&kernel);
    (wire, kernel, arrivals, created)
}

fn receive(kernel: &UnixDatagram) -> Vec<u8> {
    let mut buffer = [0; EVENT_SIZE + 1];
    let n = kernel.recv(&mut buffer).unwrap();
    buffer[..n].to_vec()
}

#[test]
#[cfg(target_endian = "little")]
fn create2_is_laid_out_as_the_kernel_reads_it() {
    let identity = Identity {
        name: "A key".to_owned(),
        serial: "S1".to_owned(),
        vendor: 0x1209,
        product: 0xA1B2,
        version: 0x0304,
    };
    let event = create2(&identity);
    assert_eq!(event[..4], [11, 0, 0, 0]); // type
    assert_eq!(event[4..10], *b"A key\0"); // name[128]
    assert!(event[10..132].iter().all(|b| *b == 0));
    assert_eq!(event[132..140], *b"pinward\0"); // phys[64]
    assert_eq!(event[196..199], *b"S1\0"); // uniq[64]
    assert_eq!(event[260..262], [34, 0]); // rd_size
    assert_eq!(event[262..264], [3, 0]); // bus
    assert_eq!(event[264..268], [0x09, 0x12, 0, 0]); // vendor
    assert_eq!(event[268..272], [0xB2, 0xA1, 0, 0]); // product
    assert_eq!(event[272..276], [0x04, 0x03, 0, 0]); // version
    assert_eq!(event[276..280], [0, 0, 0, 0]); // country
    assert_eq!(event[280..], REPORT_DESCRIPTOR); // rd_data
    assert_eq!(280 + 4096, EVENT_SIZE, "rd_data is the end of the event");
}

#[test]
#[cfg(target_endian = "little")]
fn input2_is_laid_out_as_the_kernel_reads_it() {
    let event = input2(&[0xAB; 64]);
    assert_eq!(event[..6], [12, 0, 0, 0, 64, 0]);
    assert_eq!(event[6..], [0xAB; 64]);
}

#[test]
fn long_names_are_cut_between_characters() {
    let mut event = Vec::new();
    push_text(&mut event, &"ä".repeat(100), 128);
    assert_eq!(event.len(), 128);
    assert_eq!(event[..126], *"ä".repeat(63).as_bytes());
    assert_eq!(event[126..], [0, 0]);
}

#[test]
fn reports_come_with_and_without_their_number() {
    let report: Report = core::array::from_fn(|i| u8::try_from(i).unwrap());
    let numbered = output_event(&[&[0][..], &report].concat());
    assert_eq!(Event::parse(&numbered), Event::Output(report));
    assert_eq!(Event::parse(&output_event(&report)), Event::Output(report));
    let first_is_zero = [0; 64];
    assert_eq!(
        Event::parse(&output_event(&first_is_zero)),
        Event::Output(first_is_zero)
    );
    for wrong in [
        output_event(&[]),
        output_event(&report[..63]),
        output_event(&[1; 65]),
        output_event(&[0; 66]),
        output_event(&report)[..4099].to_vec(),
        from_kernel(2, &[0; 8]),
        from_kernel(3, &[]),
        from_kernel(4, &[]),
        from_kernel(5, &[]),
        vec![6, 0],
        Vec::new(),
    ] {
        assert_eq!(Event::parse(&wrong), Event::Other);
    }
}

#[test]
#[cfg(target_endian = "little")]
fn questions_for_reports_are_refused_under_their_number() {
    let question = from_kernel(9, &[1, 2, 3, 4, 0, 0]);
    let refusal = vec![10, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0];
    assert_eq!(Event::parse(&question), Event::Asks(refusal));
    let question = from_kernel(13, &[1, 2, 3, 4, 0, 0, 1, 0, 9]);
    let refusal = vec![14, 0, 0, 0, 1, 2, 3, 4, 5, 0];
    assert_eq!(Event::parse(&question), Event::Asks(refusal));
}

#[test]
fn a_device_is_created_carries_reports_and_is_destroyed() {
    let (wire, kernel, arrivals, created) = device();
    assert_eq!(created, create2(&Identity::default()));
    assert_eq!(wire.address(), "uhid:Pinward software security key");
    assert_eq!(wire.kind(), Kind::Hid);
    // Drivers come and go (START, STOP), so do clients (OPEN, CLOSE): all the same to the key.
    for kind in [2, 3, 2, 4, 5, 4] {
        let event = from_kernel(kind, &[]);
        kernel.send(&event).unwrap();
    }
    kernel
        .send(&output_event(&[&[0][..], &[7; 64]].concat()))
        .unwrap();
    let arrived = arrivals.recv_timeout(SOON).unwrap();
    assert_eq!(arrived, Arrival::Report([7; 64]));
    kernel.send(&from_kernel(9, &[9, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!(
        receive(&kernel)[..8],
        [&10_u32.to_ne_bytes()[..], &[9, 0, 0, 0]].concat()
    );
    wire.send(&[8; 64]);
    assert_eq!(receive(&kernel), input2(&[8; 64]));
    drop(wire);
    assert_eq!(receive(&kernel), 1_u32.to_ne_bytes());
    assert!(
        arrivals.recv_timeout(SOON).is_err(),
        "our own wish is not told"
    );
}

#[test]
fn a_missing_device_says_what_to_do() {
    let (inbox, _arrivals) = Inbox::channel(1);
    let missing = Path::new("/nonexistent/uhid");
    let error = create_at(missing, &Identity::default(), inbox).unwrap_err();
    assert!(error.to_string().contains("modprobe uhid"), "{error}");
    let denied = advise(&io::ErrorKind::PermissionDenied.into()).to_string();
    assert!(denied.contains("udev rule"), "{denied}");
    let absent = advise(&Errno::NODEV.into()).to_string();
    assert!(absent.contains("this kernel has no UHID"), "{absent}");
    let other = advise(&io::Error::from_raw_os_error(24)).to_string();
    assert!(other.contains("open files"), "{other}");
}
