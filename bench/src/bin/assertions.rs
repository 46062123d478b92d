//! What the Relying Party's checks cost beside the signature that they end in: ES256 assertions through
//! `rp::authentication::finish`, and the same signatures by the crypto library alone, in turns.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin assertions` prints Markdown. Time is CPU
//! time of the one thread, so that other work on the machine counts little. Nothing is asserted.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    UnparsedPublicKey,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rp::authentication::{self, Who};
use rp::policy::Flow;
use rp::seal::SealingKeys;
use rp::{CredentialRecord, RelyingParty, TrustAnchors, registration};
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{self, Aaguid, AttestedCredentialData, Flags};
use webauthn::client_data::{self, TYPE_CREATE, TYPE_GET};
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use webauthn::options::PublicKeyCredentialUserEntity;
use webauthn::response::{
    AuthenticationResponseJson, AuthenticatorAssertionResponseJson,
    AuthenticatorAttestationResponseJson, RegistrationResponseJson,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const NOW: u64 = 1_800_000_000;
const BATCH: usize = 1_000;
const ROUNDS: usize = 40;
const ID: [u8; 32] = [3; 32];
const SEALED_FOR: &[u8] = b"session";

/// A registration and a sign-in, ready to be checked.
struct Material {
    registration_state: String,
    registration: RegistrationResponseJson,
    state: String,
    sealed: String,
    keys: SealingKeys,
    response: AuthenticationResponseJson,
    response_text: String,
    record: CredentialRecord,
    record_text: String,
    point: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

fn main() -> Result<()> {
    let m = material()?;
    let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &m.point)?;
    let unparsed = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &m.point);
    let states = || -> Result<Vec<authentication::ChallengeState>> {
        let read = |_| Ok(serde_json::from_str(&m.state)?);
        (0..BATCH).map(read).collect()
    };
    let mut rows: [(&str, Vec<f64>); 6] = [
        ("the signature alone, key parsed before", vec![]),
        ("the signature alone, key from its bytes", vec![]),
        ("`authentication::finish`", vec![]),
        ("the same, state, answer and record from JSON", vec![]),
        ("the same, state unsealed", vec![]),
        ("`registration::finish`, no attestation", vec![]),
    ];
    for _ in 0..ROUNDS {
        let mut states_of_round = states()?.into_iter();
        rows[0]
            .1
            .push(each(|| Ok(parsed.verify_sig(&m.signed, &m.signature)?))?);
        rows[1]
            .1
            .push(each(|| Ok(unparsed.verify(&m.signed, &m.signature)?))?);
        rows[2].1.push(each(|| {
            let state = states_of_round.next().ok_or("no state")?;
            finish(state, &m.response, &m.record)
        })?);
        rows[3].1.push(each(|| {
            let response = serde_json::from_str(&m.response_text)?;
            let record = serde_json::from_str(&m.record_text)?;
            finish(serde_json::from_str(&m.state)?, &response, &record)
        })?);
        rows[4].1.push(each(|| {
            let open = authentication::ChallengeState::unseal;
            let response = serde_json::from_str(&m.response_text)?;
            let record = serde_json::from_str(&m.record_text)?;
            finish(open(&m.sealed, &m.keys, SEALED_FOR)?, &response, &record)
        })?);
        let mut registrations = (0..BATCH)
            .map(|_| serde_json::from_str(&m.registration_state))
            .collect::<std::result::Result<Vec<_>, _>>()?
            .into_iter();
        rows[5].1.push(each(|| {
            let state = registrations.next().ok_or("no state")?;
            let anchors = TrustAnchors::none();
            black_box(registration::finish(
                state,
                &m.registration,
                false,
                &anchors,
                NOW,
            )?);
            Ok(())
        })?);
    }
    let limit = median(&rows[0].1);
    println!("| ES256, one core | microseconds | per second | of the limit |\n|---|---|---|---|");
    for (what, times) in &rows {
        let time = median(times);
        let rate = 1e6 / time;
        println!("| {what} | {time:.2} | {rate:.0} | {:.3} |", limit / time);
    }
    Ok(())
}

fn finish(
    state: authentication::ChallengeState,
    response: &AuthenticationResponseJson,
    record: &CredentialRecord,
) -> Result<()> {
    black_box(authentication::finish(state, response, Some(record), NOW)?);
    Ok(())
}

/// Microseconds of CPU time for one of a batch.
fn each(mut one: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = cpu();
    for _ in 0..BATCH {
        one()?;
    }
    Ok((cpu() - start).as_secs_f64() * 1e6 / BATCH as f64)
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn material() -> Result<Material> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let user = PublicKeyCredentialUserEntity {
        id: vec![1; 16].into(),
        name: "kim@example.org".into(),
        display_name: "Kim".into(),
    };
    let policy = Flow::Passwordless.registration();
    let (_, state) = registration::begin(&rp, policy, user, &[], NOW, &mut rng)?;
    let registration_state = serde_json::to_string(&state)?;
    let registration = created(&pair, state.challenge());
    let verdict = registration::finish(state, &registration, false, &TrustAnchors::none(), NOW)?;
    let record = verdict.record;

    let policy = Flow::Passwordless.authentication();
    let (_, state) = authentication::begin(&rp, policy, Who::Anyone, NOW, &mut rng)?;
    let client_data = client_data::serialize(
        TYPE_GET,
        state.challenge(),
        "https://example.org",
        false,
        None,
    );
    let flags = Flags::UP.with(Flags::UV, true);
    let auth_data = authenticator_data::encode(&sha256(b"example.org"), flags, 7, None, None);
    let signed = [&auth_data[..], &sha256(&client_data)].concat();
    let signature = pair.sign(&SystemRandom::new(), &signed)?.as_ref().to_vec();
    let response = AuthenticationResponseJson::new(
        ID.to_vec(),
        AuthenticatorAssertionResponseJson {
            client_data_json: client_data.into(),
            authenticator_data: auth_data.into(),
            signature: signature.clone().into(),
            user_handle: Some(record.user_handle.clone()),
        },
    );
    let keys = SealingKeys::new(&[7; 32]);
    Ok(Material {
        registration_state,
        registration,
        sealed: state.seal(&keys, SEALED_FOR, &mut rng)?,
        state: serde_json::to_string(&state)?,
        keys,
        response_text: serde_json::to_string(&response)?,
        response,
        record_text: serde_json::to_string(&record)?,
        record,
        point: pair.public_key().as_ref().to_vec(),
        signed,
        signature,
    })
}

fn created(pair: &EcdsaKeyPair, challenge: &[u8]) -> RegistrationResponseJson {
    let point = &pair.public_key().as_ref()[1..];
    let key = CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        crv: curve::P256,
        x: point[..32].to_vec(),
        y: point[32..].to_vec(),
    }
    .encode();
    let attested = AttestedCredentialData {
        aaguid: Aaguid::ZERO,
        credential_id: &ID,
        credential_public_key: &key,
    };
    let flags = Flags::UP.with(Flags::UV, true);
    let hash = sha256(b"example.org");
    let auth_data = authenticator_data::encode(&hash, flags, 0, Some(&attested), None);
    let object = AttestationObject {
        fmt: "none",
        att_stmt: &[0xa0],
        auth_data: &auth_data,
    };
    let client_data =
        client_data::serialize(TYPE_CREATE, challenge, "https://example.org", false, None);
    RegistrationResponseJson::new(
        ID.to_vec(),
        AuthenticatorAttestationResponseJson {
            client_data_json: client_data.into(),
            authenticator_data: None,
            transports: vec![],
            public_key: None,
            public_key_algorithm: None,
            attestation_object: object.encode().into(),
        },
    )
}
