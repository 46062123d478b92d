//! The same suite on a key that runs in a thread, over a Unix socket and in real time.

#![allow(clippy::unwrap_used, clippy::panic)]

use authenticator::profile;
use conformance::{Framed, Verdict};
use softkey::Options;
use subjects::AtAddress;
use transport::host::Address;
use transport::stream;

#[test]
fn a_key_on_a_socket_passes_what_applies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let profile = profile::find("fido-2.3-complete").unwrap().unwrap();
    let key = Options::ephemeral(profile)
        .start(|inbox| stream::listen_unix(&path, inbox))
        .unwrap();
    let remote = key.remote();
    let replug = Box::new(move || {
        remote.power_cycle();
        remote.sync()
    });
    let at = AtAddress::new(Address::Unix(path), Some(replug));
    let mut subject = Framed::new(at);
    let checks = conformance::all().step_by(3);
    let report = conformance::run(&mut subject, checks, &mut |_| {}).unwrap();
    let failed: Vec<_> = report
        .rows
        .iter()
        .filter_map(|row| match &row.verdict {
            Verdict::Fail(why) => Some(format!("{}: {why}", row.check.id)),
            _ => None,
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(report.counts().0 > 150, "{:?}", report.counts());
    key.stop();
}
