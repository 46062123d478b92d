//! CTAP 2.3 §6.5.2.1 persistentPinUvAuthToken, §6.4 encIdentifier and encCredStoreState.

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use ctap::client_pin::Permissions;
use ctap::credential_management::{
    Request, Response, SubCommand, SubCommandParams, authenticated_message,
};
use ctap::entities::CredentialDescriptor;
use ctap::{Command, Raw, Status};

use crate::bench::{Bench, PIN, RP, sha256, user};

const KEY: &str = "fido-2.3-complete";
const PCMR: Permissions = Permissions::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY;

struct Sixteen;

impl aws_lc_rs::hkdf::KeyType for Sixteen {
    fn len(&self) -> usize {
        16
    }
}

/// As a platform decrypts it: HKDF and CBC of a library, not of the key.
fn decrypted(token: &[u8], info: &[u8], value: &[u8]) -> Vec<u8> {
    let mut key = [0; 16];
    Salt::new(HKDF_SHA256, &[0; 32])
        .extract(token)
        .expand(&[info], Sixteen)
        .unwrap()
        .fill(&mut key)
        .unwrap();
    let (iv, block) = value.split_first_chunk::<16>().unwrap();
    let mut block = block.to_vec();
    let key = UnboundCipherKey::new(&AES_128, &key).unwrap();
    DecryptingKey::cbc(key)
        .unwrap()
        .decrypt(&mut block, DecryptionContext::Iv128((*iv).into()))
        .unwrap();
    block
}

impl Bench {
    pub(crate) fn persistent(&mut self) -> Result<Vec<u8>, Status> {
        self.token(PIN, PCMR, None)
    }

    fn manage_with(
        &mut self,
        command: SubCommand,
        params: Option<SubCommandParams>,
        token: &[u8],
    ) -> Result<Response, Status> {
        let params = params.map(|params| Raw::new(params.encode()).unwrap());
        let message = authenticated_message(command.code(), params.as_ref());
        let request = Request {
            sub_command: command.code(),
            sub_command_params: params,
            pin_uv_auth_protocol: Some(self.protocol.number().into()),
            pin_uv_auth_param: Some(self.protocol.authenticate(token, &message)),
        };
        let answer = self.send(Command::CredentialManagement, &request.encode())?;
        Ok(if answer.is_empty() {
            Response::default()
        } else {
            Response::decode(&answer).unwrap()
        })
    }

    fn counted(&mut self, token: &[u8]) -> Result<u64, Status> {
        self.manage_with(SubCommand::GetCredsMetadata, None, token)
            .map(|answer| answer.existing_resident_credentials_count.unwrap())
    }

    /// Identifier and store state, decrypted.
    fn told(&mut self, token: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let info = self.info();
        (
            decrypted(token, b"encIdentifier", &info.enc_identifier.unwrap()),
            decrypted(
                token,
                b"encCredStoreState",
                &info.enc_cred_store_state.unwrap(),
            ),
        )
    }
}

#[test]
fn it_is_the_same_token_across_power_cycles() {
    let mut bench = Bench::with_pin(KEY);
    assert_eq!(bench.info().options.unwrap().per_cred_mgmt_ro, Some(true));
    bench.make_simply(true, 1, RP);
    let token = bench.persistent().unwrap();
    assert_eq!(bench.counted(&token), Ok(1));
    for _ in 0..2 {
        bench.restart();
        bench.now += core::time::Duration::from_secs(86_400);
        assert_eq!(bench.counted(&token), Ok(1));
        assert_eq!(bench.persistent().unwrap(), token);
    }
    bench.protocol = ctap::pin_protocol::PinUvAuthProtocol::One;
    assert_eq!(bench.counted(&token), Ok(1), "it is of no one protocol");
}

#[test]
fn it_reads_and_does_nothing_else() {
    let mut bench = Bench::with_pin(KEY);
    let made = bench.make_simply(true, 1, RP);
    let token = bench.persistent().unwrap();
    let of_rp = SubCommandParams {
        rp_id_hash: Some(sha256(RP.as_bytes())),
        ..SubCommandParams::default()
    };
    let named = SubCommandParams {
        credential_id: Some(CredentialDescriptor::public_key(made.id.clone())),
        user: Some(user(1)),
        ..SubCommandParams::default()
    };
    bench
        .manage_with(SubCommand::EnumerateRpsBegin, None, &token)
        .unwrap();
    let begin = SubCommand::EnumerateCredentialsBegin;
    let credential = bench.manage_with(begin, Some(of_rp), &token).unwrap();
    assert_eq!(credential.credential_id.unwrap().id, made.id);
    for command in [
        SubCommand::DeleteCredential,
        SubCommand::UpdateUserInformation,
    ] {
        let answer = bench.manage_with(command, Some(named.clone()), &token);
        assert_eq!(answer.unwrap_err(), Status::PIN_AUTH_INVALID);
    }
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    assert_eq!(
        bench.get(&bench.ga(Some(&token), &[])).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    assert_eq!(
        bench.config(2, None, Some(&token)),
        Err(Status::PIN_AUTH_INVALID)
    );
}

#[test]
fn it_is_asked_for_alone_and_leaves_the_other_token_alone() {
    let mut bench = Bench::with_pin(KEY);
    let session = bench.mc_token();
    assert_eq!(
        bench.token(PIN, PCMR | Permissions::CREDENTIAL_MANAGEMENT, None),
        Err(Status::UNAUTHORIZED_PERMISSION)
    );
    bench.persistent().unwrap();
    bench.make(&bench.mc(Some(&session))).unwrap();
    // Keys without the option do not give it.
    let mut bench = Bench::with_pin("fido-2.3");
    assert_eq!(bench.info().options.unwrap().per_cred_mgmt_ro, None);
    assert_eq!(bench.persistent(), Err(Status::UNAUTHORIZED_PERMISSION));
}

#[test]
fn it_ends_with_the_pin_and_with_a_reset() {
    let mut bench = Bench::with_pin(KEY);
    let old = bench.persistent().unwrap();
    bench.change_pin(PIN, "another pin").unwrap();
    assert_eq!(bench.counted(&old), Err(Status::PIN_AUTH_INVALID));
    bench.change_pin("another pin", PIN).unwrap();
    let new = bench.persistent().unwrap();
    assert_ne!(new, old);
    bench.restart();
    assert_eq!(bench.counted(&old), Err(Status::PIN_AUTH_INVALID));
    assert_eq!(bench.counted(&new), Ok(0));
    // A forced change ends it too.
    let config = bench.config_token();
    bench
        .set_min_pin_length(&config, None, None, Some(true))
        .unwrap();
    assert_eq!(bench.counted(&new), Err(Status::PIN_AUTH_INVALID));
    bench.change_pin(PIN, "another pin").unwrap();
    bench.change_pin("another pin", PIN).unwrap();
    let new = bench.persistent().unwrap();
    bench.power_cycle();
    bench.send(Command::Reset, &[]).unwrap();
    assert_eq!(bench.counted(&new), Err(Status::PIN_AUTH_INVALID));
    assert!(bench.info().enc_identifier.is_none());
}

#[test]
fn the_identifier_is_of_the_device_until_a_reset_and_looks_different_every_time() {
    let mut bench = Bench::with_pin(KEY);
    assert!(
        bench.info().enc_identifier.is_none(),
        "nobody could read it"
    );
    let token = bench.persistent().unwrap();
    let (one, two) = (bench.info(), bench.info());
    assert_ne!(one.enc_identifier, two.enc_identifier);
    assert_ne!(one.enc_cred_store_state, two.enc_cred_store_state);
    let (identifier, _) = bench.told(&token);
    assert_eq!(identifier.len(), 16);
    bench.restart();
    assert_eq!(bench.told(&token).0, identifier);
    bench.power_cycle();
    bench.send(Command::Reset, &[]).unwrap();
    bench.set_pin(PIN).unwrap();
    let token = bench.persistent().unwrap();
    assert_ne!(bench.told(&token).0, identifier);
}

#[test]
fn the_store_state_changes_with_the_discoverable_credentials_only() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.persistent().unwrap();
    let mut seen = vec![bench.told(&token).1];
    let made = bench.make_simply(true, 1, RP);
    seen.push(bench.told(&token).1);
    bench.restart();
    assert_eq!(&bench.told(&token).1, seen.last().unwrap());
    bench.make_simply(false, 2, RP);
    bench.get(&bench.ga(None, &[&made.id])).unwrap();
    assert_eq!(&bench.told(&token).1, seen.last().unwrap());
    let cm = Permissions::CREDENTIAL_MANAGEMENT;
    let named = SubCommandParams {
        credential_id: Some(CredentialDescriptor::public_key(made.id.clone())),
        user: Some(user(1)),
        ..SubCommandParams::default()
    };
    for command in [
        SubCommand::UpdateUserInformation,
        SubCommand::DeleteCredential,
    ] {
        let session = bench.token(PIN, cm, None).unwrap();
        bench
            .manage_with(command, Some(named.clone()), &session)
            .unwrap();
        seen.push(bench.told(&token).1);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}
