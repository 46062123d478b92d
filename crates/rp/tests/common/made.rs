//! An authenticator and client of which every part can be changed before the Relying Party sees it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, PqdsaKeyPair, RsaKeyPair};
use rp::authentication::{self, Who};
use rp::policy::{AuthenticationPolicy, RegistrationPolicy, UserVerificationPolicy};
use rp::{CredentialRecord, Refusal, RelyingParty, TrustAnchors, registration};
use webauthn::Base64Url;
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{self, Aaguid, AttestedCredentialData, Flags};
use webauthn::cbor::Value;
use webauthn::client_data;
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use webauthn::options::{AuthenticationExtensionsClientOutputsJson, PublicKeyCredentialUserEntity};
use webauthn::response::{
    AuthenticationResponseJson, AuthenticatorAssertionResponseJson,
    AuthenticatorAttestationResponseJson, RegistrationResponseJson,
};

use super::{Fixed, NOW};

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

/// A key pair of one of the algorithms.
pub enum Signer {
    Ecdsa(EcdsaKeyPair, CoseAlgorithm, i32),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, CoseAlgorithm),
    MlDsa(PqdsaKeyPair, CoseAlgorithm),
}

impl Signer {
    /// A key pair; of EdDSA always the same one, otherwise a new one.
    pub fn new(alg: CoseAlgorithm) -> Self {
        let ecdsa = |scheme, crv| Self::Ecdsa(EcdsaKeyPair::generate(scheme).unwrap(), alg, crv);
        match alg {
            CoseAlgorithm::EDDSA => {
                Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
            }
            CoseAlgorithm::ES256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, curve::P256),
            CoseAlgorithm::ES384 => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, curve::P384),
            CoseAlgorithm::ES512 => ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING, curve::P521),
            CoseAlgorithm::RS256 | CoseAlgorithm::PS256 => {
                Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), alg)
            }
            CoseAlgorithm::ML_DSA_44 => Self::MlDsa(
                PqdsaKeyPair::generate(&signature::ML_DSA_44_SIGNING).unwrap(),
                alg,
            ),
            CoseAlgorithm::ML_DSA_65 => Self::MlDsa(
                PqdsaKeyPair::generate(&signature::ML_DSA_65_SIGNING).unwrap(),
                alg,
            ),
            CoseAlgorithm::ML_DSA_87 => Self::MlDsa(
                PqdsaKeyPair::generate(&signature::ML_DSA_87_SIGNING).unwrap(),
                alg,
            ),
            _ => panic!("no signer for {alg}"),
        }
    }

    pub fn cose(&self) -> CoseKey {
        match self {
            Self::Ecdsa(pair, alg, crv) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                CoseKey::Ec2 {
                    alg: *alg,
                    crv: *crv,
                    x: x.to_vec(),
                    y: y.to_vec(),
                }
            }
            Self::Ed25519(pair) => CoseKey::Okp {
                alg: CoseAlgorithm::EDDSA,
                crv: curve::ED25519,
                x: pair.public_key().as_ref().to_vec(),
            },
            Self::Rsa(pair, alg) => CoseKey::Rsa {
                alg: *alg,
                // `RSAPublicKey` in DER, of 2,048 bits and exponent 65,537.
                n: pair.public_key().as_ref()[9..265].to_vec(),
                e: pair.public_key().as_ref()[267..].to_vec(),
            },
            Self::MlDsa(pair, alg) => CoseKey::Akp {
                alg: *alg,
                pub_: pair.public_key().as_ref().to_vec(),
            },
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Self::Ecdsa(pair, ..) => pair.sign(&rng, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair, alg) => {
                let mut out = vec![0; pair.public_modulus_len()];
                let scheme: &'static dyn signature::RsaEncoding = if *alg == CoseAlgorithm::PS256 {
                    &signature::RSA_PSS_SHA256
                } else {
                    &signature::RSA_PKCS1_SHA256
                };
                pair.sign(scheme, &rng, message, &mut out).unwrap();
                out
            }
            Self::MlDsa(pair, _) => {
                let mut out = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut out).unwrap();
                out.truncate(length);
                out
            }
        }
    }
}

/// What the client collects, or would not.
#[derive(Clone)]
pub struct ClientData {
    pub type_: String,
    pub challenge: Option<Vec<u8>>,
    pub origin: String,
    pub cross_origin: bool,
    pub top_origin: Option<String>,
    /// Instead of all that.
    pub raw: Option<Vec<u8>>,
    pub prefix: Vec<u8>,
}

impl ClientData {
    fn new(type_: &str) -> Self {
        Self {
            type_: type_.to_owned(),
            challenge: None,
            origin: "https://example.org".to_owned(),
            cross_origin: false,
            top_origin: None,
            raw: None,
            prefix: vec![],
        }
    }

    fn bytes(&self, challenge: &[u8]) -> Vec<u8> {
        let challenge = self.challenge.as_deref().unwrap_or(challenge);
        let (type_, top) = (&self.type_, self.top_origin.as_deref());
        let data = client_data::serialize(type_, challenge, &self.origin, self.cross_origin, top);
        [&self.prefix[..], self.raw.as_deref().unwrap_or(&data)].concat()
    }
}

pub fn rp() -> RelyingParty {
    RelyingParty::new(
        "example.org",
        "Example",
        ["https://example.org".parse().unwrap()],
    )
    .unwrap()
}

pub const USER: [u8; 16] = [1; 16];
pub const AAGUID: Aaguid = Aaguid([0xaa; 16]);

/// What a statement is made from: authenticator data, hash of the client data, credential.
pub type Attest = Box<dyn Fn(&[u8], &[u8; 32], &Signer) -> Vec<u8>>;

/// A registration.
pub struct Registration {
    pub rp: RelyingParty,
    pub policy: RegistrationPolicy,
    pub signer: Signer,
    pub client_data: ClientData,
    pub type_: String,
    pub id: Option<String>,
    pub reported_id: Option<Vec<u8>>,
    pub rp_id: String,
    pub flags: Flags,
    pub sign_count: u32,
    pub with_credential: bool,
    pub aaguid: Aaguid,
    pub credential_id: Vec<u8>,
    pub public_key: Vec<u8>,
    pub extensions: Option<Vec<u8>>,
    pub auth_data_tail: Vec<u8>,
    pub fmt: String,
    pub attest: Attest,
    pub object_tail: Vec<u8>,
    /// Instead of all that.
    pub object: Option<Vec<u8>>,
    pub outputs: AuthenticationExtensionsClientOutputsJson,
    pub id_is_taken: bool,
    pub seconds: u64,
    pub anchors: TrustAnchors,
}

/// Without attestation, a key of EdDSA, user present.
pub fn registration(policy: UserVerificationPolicy) -> Registration {
    let signer = Signer::new(CoseAlgorithm::EDDSA);
    Registration {
        rp: rp(),
        policy: RegistrationPolicy::new(policy),
        public_key: signer.cose().encode(),
        signer,
        client_data: ClientData::new(client_data::TYPE_CREATE),
        type_: "public-key".into(),
        id: None,
        reported_id: None,
        rp_id: "example.org".into(),
        flags: Flags::UP,
        sign_count: 5,
        with_credential: true,
        aaguid: AAGUID,
        credential_id: vec![3; 32],
        extensions: None,
        auth_data_tail: vec![],
        fmt: "none".into(),
        attest: Box::new(|_, _, _| vec![0xa0]),
        object_tail: vec![],
        object: None,
        outputs: AuthenticationExtensionsClientOutputsJson::default(),
        id_is_taken: false,
        seconds: 1,
        anchors: TrustAnchors::none(),
    }
}

/// `packed` with the credential's own signature.
pub fn packed_self() -> Attest {
    Box::new(|auth_data, hash, signer| {
        let alg = signer.cose().algorithm();
        packed(alg, signer.sign(&[auth_data, hash].concat()), &[])
    })
}

pub fn packed(alg: CoseAlgorithm, sig: Vec<u8>, x5c: &[Vec<u8>]) -> Vec<u8> {
    let mut members = vec![
        (Value::from("alg"), Value::from(i64::from(alg.0))),
        (Value::from("sig"), Value::Bytes(sig)),
    ];
    if !x5c.is_empty() {
        let x5c = x5c.iter().map(|der| Value::Bytes(der.clone())).collect();
        members.push((Value::from("x5c"), Value::Array(x5c)));
    }
    Value::Map(members).encode()
}

impl Registration {
    pub fn with_key(mut self, alg: CoseAlgorithm) -> Self {
        self.signer = Signer::new(alg);
        self.public_key = self.signer.cose().encode();
        self
    }

    /// The answer to a challenge.
    pub fn answer(&self, challenge: &[u8]) -> RegistrationResponseJson {
        let client_data_json = self.client_data.bytes(challenge);
        let attested = AttestedCredentialData {
            aaguid: self.aaguid,
            credential_id: &self.credential_id,
            credential_public_key: &self.public_key,
        };
        let mut auth_data = authenticator_data::encode(
            &sha256(self.rp_id.as_bytes()),
            self.flags,
            self.sign_count,
            self.with_credential.then_some(&attested),
            self.extensions.as_deref(),
        );
        auth_data.extend_from_slice(&self.auth_data_tail);
        let att_stmt = (self.attest)(&auth_data, &sha256(&client_data_json), &self.signer);
        let object = AttestationObject {
            fmt: &self.fmt,
            att_stmt: &att_stmt,
            auth_data: &auth_data,
        }
        .encode();
        let object = self
            .object
            .clone()
            .unwrap_or([&object[..], &self.object_tail].concat());
        let mut response = RegistrationResponseJson::new(
            self.reported_id
                .clone()
                .unwrap_or(self.credential_id.clone()),
            AuthenticatorAttestationResponseJson {
                client_data_json: client_data_json.into(),
                authenticator_data: Some(auth_data.into()),
                transports: vec!["usb".into()],
                public_key: None,
                public_key_algorithm: None,
                attestation_object: object.into(),
            },
        );
        response.type_.clone_from(&self.type_);
        response.client_extension_results = self.outputs.clone();
        if let Some(id) = &self.id {
            response.id.clone_from(id);
        }
        response
    }

    pub fn begin(&self) -> registration::ChallengeState {
        let user = PublicKeyCredentialUserEntity {
            id: USER.into(),
            name: "kim@example.org".into(),
            display_name: "Kim".into(),
        };
        let mut rng = Fixed((0..32).collect());
        registration::begin(&self.rp, self.policy.clone(), user, &[], NOW, &mut rng)
            .unwrap()
            .1
    }

    pub fn run(&self) -> Result<registration::Verdict, Refusal> {
        let state = self.begin();
        let response = self.answer(state.challenge());
        registration::finish(
            state,
            &response,
            self.id_is_taken,
            &self.anchors,
            NOW + self.seconds,
        )
    }
}

/// An authentication.
pub struct Authentication {
    pub rp: RelyingParty,
    pub policy: AuthenticationPolicy,
    pub signer: Signer,
    /// What the store has under the credential ID of the answer.
    pub record: Option<CredentialRecord>,
    /// The user who was identified before, and the credentials of that user.
    pub user: Option<(Vec<u8>, Vec<CredentialRecord>)>,
    pub client_data: ClientData,
    pub type_: String,
    pub id: Option<String>,
    pub credential_id: Vec<u8>,
    pub user_handle: Option<Base64Url>,
    pub rp_id: String,
    pub flags: Flags,
    pub sign_count: u32,
    pub extensions: Option<Vec<u8>>,
    pub auth_data_tail: Vec<u8>,
    pub auth_data: Option<Vec<u8>>,
    pub signature: Option<Vec<u8>>,
    pub outputs: AuthenticationExtensionsClientOutputsJson,
    pub seconds: u64,
}

/// By the credential of [`registration`], for a named user.
pub fn authentication(policy: UserVerificationPolicy) -> Authentication {
    let record = registration(UserVerificationPolicy::Never)
        .run()
        .unwrap()
        .record;
    Authentication {
        rp: rp(),
        policy: AuthenticationPolicy::new(policy),
        signer: Signer::new(CoseAlgorithm::EDDSA),
        user: Some((USER.to_vec(), vec![record.clone()])),
        credential_id: record.id.to_vec(),
        record: Some(record),
        client_data: ClientData::new(client_data::TYPE_GET),
        type_: "public-key".into(),
        id: None,
        user_handle: Some(USER.into()),
        rp_id: "example.org".into(),
        flags: Flags::UP,
        sign_count: 6,
        extensions: None,
        auth_data_tail: vec![],
        auth_data: None,
        signature: None,
        outputs: AuthenticationExtensionsClientOutputsJson::default(),
        seconds: 1,
    }
}

impl Authentication {
    pub fn answer(&self, challenge: &[u8]) -> AuthenticationResponseJson {
        let client_data_json = self.client_data.bytes(challenge);
        let hash = sha256(self.rp_id.as_bytes());
        let extensions = self.extensions.as_deref();
        let data = authenticator_data::encode(&hash, self.flags, self.sign_count, None, extensions);
        let data = self
            .auth_data
            .clone()
            .unwrap_or([&data[..], &self.auth_data_tail].concat());
        let signed = [&data[..], &sha256(&client_data_json)].concat();
        let mut response = AuthenticationResponseJson::new(
            self.credential_id.clone(),
            AuthenticatorAssertionResponseJson {
                client_data_json: client_data_json.into(),
                authenticator_data: data.into(),
                signature: self
                    .signature
                    .clone()
                    .unwrap_or_else(|| self.signer.sign(&signed))
                    .into(),
                user_handle: self.user_handle.clone(),
            },
        );
        response.type_.clone_from(&self.type_);
        response.client_extension_results = self.outputs.clone();
        if let Some(id) = &self.id {
            response.id.clone_from(id);
        }
        response
    }

    pub fn begin(&self) -> authentication::ChallengeState {
        let who = match &self.user {
            Some((handle, credentials)) => Who::User {
                handle,
                credentials,
            },
            None => Who::Anyone,
        };
        let mut rng = Fixed((100..132).collect());
        authentication::begin(&self.rp, self.policy.clone(), who, NOW, &mut rng)
            .unwrap()
            .1
    }

    pub fn run(&self) -> Result<authentication::Verdict, Refusal> {
        let state = self.begin();
        let response = self.answer(state.challenge());
        authentication::finish(state, &response, self.record.as_ref(), NOW + self.seconds)
    }
}
