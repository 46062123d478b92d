//! No panic and no confusion on mutated requests. `PINWARD_MUTATIONS` sets how many per command.

use authenticator::{Progress, UserEvent};
use ctap::client_pin::{Permissions, SubCommand};
use ctap::{Command, Raw};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::bench::{Bench, PIN, RP, descriptor, mc_options};

fn count() -> usize {
    std::env::var("PINWARD_MUTATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(1500)
}

/// Valid requests of every command, to be spoiled.
fn seeds(bench: &mut Bench, id: &[u8]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let token = bench.mc_token();
    let mut mc = bench.mc(Some(&token));
    mc.options = Some(mc_options(true));
    mc.exclude_list = Some(vec![descriptor(id)]);
    mc.extensions = Some(ctap::make_credential::ExtensionsInput {
        cred_protect: Some(2),
        hmac_secret: Some(true),
        min_pin_length: Some(true),
        cred_blob: Some(vec![1; 20].into()),
        ..Default::default()
    });
    seeds.push(ctap::request_bytes(Command::MakeCredential, &mc.encode()));
    seeds.push(ctap::request_bytes(
        Command::MakeCredential,
        &bench.mc(None).encode(),
    ));
    seeds.push(ctap::request_bytes(
        Command::GetAssertion,
        &bench.ga(None, &[id]).encode(),
    ));
    seeds.push(ctap::request_bytes(
        Command::GetAssertion,
        &bench.ga(Some(&token), &[]).encode(),
    ));
    for request in [
        bench.pin_request(SubCommand::GetKeyAgreement),
        bench.set_pin_request(PIN),
        bench.change_pin_request("wrong", "another"),
        bench
            .token_request(PIN, Some(Permissions(0x7f)), Some(RP))
            .0,
        bench.token_request(PIN, None, None).0,
    ] {
        seeds.push(ctap::request_bytes(Command::ClientPin, &request.encode()));
    }
    let params = ctap::config::SetMinPinLengthParams {
        new_min_pin_length: Some(8),
        min_pin_length_rp_ids: Some(vec![RP.into()]),
        ..Default::default()
    };
    let config = ctap::config::Request {
        sub_command: 3,
        sub_command_params: Some(Raw::new(params.encode()).unwrap()),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(vec![1; 32]),
    };
    seeds.push(ctap::request_bytes(Command::Config, &config.encode()));
    let params = ctap::credential_management::SubCommandParams {
        rp_id_hash: Some([1; 32]),
        credential_id: Some(descriptor(id)),
        user: Some(crate::bench::user(1)),
    };
    let manage = ctap::credential_management::Request {
        sub_command: 7,
        sub_command_params: Some(Raw::new(params.encode()).unwrap()),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(vec![1; 32]),
    };
    seeds.push(ctap::request_bytes(
        Command::CredentialManagement,
        &manage.encode(),
    ));
    seeds.extend(enrolments());
    seeds.extend(large_blobs());
    seeds.extend(
        [
            Command::GetInfo,
            Command::Reset,
            Command::GetNextAssertion,
            Command::Selection,
        ]
        .map(|c| vec![c.code()]),
    );
    seeds
}

/// Every sub-command of authenticatorBioEnrollment.
fn enrolments() -> impl Iterator<Item = Vec<u8>> {
    let params = ctap::bio_enrollment::SubCommandParams {
        template_id: Some(vec![0, 1]),
        template_friendly_name: Some("thumb".into()),
        timeout_milliseconds: Some(1000),
    };
    let params = Raw::new(params.encode()).unwrap();
    ctap::bio_enrollment::SubCommand::ALL
        .into_iter()
        .map(move |sub_command| {
            let bio = ctap::bio_enrollment::Request {
                modality: Some(1),
                sub_command: Some(sub_command.code()),
                sub_command_params: Some(params.clone()),
                pin_uv_auth_protocol: Some(2),
                pin_uv_auth_param: Some(vec![1; 32]),
                get_modality: None,
            };
            ctap::request_bytes(Command::BioEnrollment, &bio.encode())
        })
}

/// Writing and reading large blobs.
fn large_blobs() -> [Vec<u8>; 2] {
    let blobs = ctap::large_blobs::Request {
        get: None,
        set: Some(vec![1; 17]),
        offset: 0,
        length: Some(17),
        pin_uv_auth_param: Some(vec![1; 32]),
        pin_uv_auth_protocol: Some(2),
    };
    let write = ctap::request_bytes(Command::LargeBlobs, &blobs.encode());
    let read = ctap::large_blobs::Request {
        get: Some(17),
        set: None,
        length: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        ..blobs
    };
    [
        write,
        ctap::request_bytes(Command::LargeBlobs, &read.encode()),
    ]
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha20Rng) {
    for _ in 0..=rng.next_u32() % 3 {
        let at = rng.next_u32() as usize % (bytes.len() + 1);
        match rng.next_u32() % 6 {
            0 if at < bytes.len() => bytes[at] ^= 1 << (rng.next_u32() % 8),
            1 if at < bytes.len() => bytes[at] = rng.next_u32() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.next_u32() as u8),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let end = (at + rng.next_u32() as usize % 32).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.extend(copy);
            }
        }
    }
}

#[test]
fn mutated_requests_get_answers_and_no_panic() {
    let mut rng = ChaCha20Rng::seed_from_u64(2024);
    let mut bench = Bench::with_pin("fido-2.3-complete");
    let made = bench.make_simply(true, 1, RP);
    for seed in seeds(&mut bench, &made.id) {
        for _ in 0..count() {
            let mut request = seed.clone();
            mutate(&mut request, &mut rng);
            let mut progress = bench.handle(&request);
            for _ in 0..8 {
                match progress {
                    Progress::Reply(ref answer) => {
                        let (status, members) = ctap::split_response(answer).unwrap();
                        assert!(status == ctap::Status::OK || members.is_empty());
                        break;
                    }
                    Progress::Waiting(_) => progress = bench.user(UserEvent::Touch),
                    Progress::Idle => panic!("a request without an answer"),
                }
            }
            // Keep the key usable: the point is the parser, not the lock-out.
            if bench.key.state().pin_retries() < 3 || bench.key.state().stored_count() > 50 {
                bench = Bench::with_pin("fido-2.3");
            }
        }
    }
}

#[test]
fn mutated_u2f_requests_get_a_status_word() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut bench = Bench::new("u2f-only");
    let register = ctap::u2f::Request::Register {
        challenge: [1; 32],
        application: [2; 32],
    };
    let authenticate = ctap::u2f::Request::Authenticate {
        control: ctap::u2f::Control::DontEnforceUserPresence,
        challenge: [1; 32],
        application: [2; 32],
        key_handle: vec![1; 64],
    };
    for seed in [register, authenticate, ctap::u2f::Request::Version] {
        for _ in 0..count() {
            let mut apdu = seed.encode().unwrap();
            mutate(&mut apdu, &mut rng);
            let channel = bench.channel;
            assert!(
                bench
                    .env(|key, env| key.handle_u2f(channel, &apdu, env))
                    .len()
                    >= 2
            );
            if rng.next_u32().is_multiple_of(4) {
                bench.user(UserEvent::Touch);
            }
        }
    }
}
