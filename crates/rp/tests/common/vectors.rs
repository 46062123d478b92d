//! The test vectors of WebAuthn Level 3.

use rp::attestation::TrustAnchors;
use rp::policy::{
    AttestationTrustPolicy, AuthenticationPolicy, RegistrationPolicy, UserVerificationPolicy,
};
use rp::{
    ALGORITHMS, CredentialRecord, Embedding, Refusal, RelyingParty, authentication, registration,
};
use serde_json::Value;
use webauthn::options::PublicKeyCredentialUserEntity;
use webauthn::response::{
    AuthenticationResponseJson, AuthenticatorAssertionResponseJson,
    AuthenticatorAttestationResponseJson, RegistrationResponseJson,
};

use super::{Fixed, NOW, data, hex};

#[derive(Clone)]
pub struct Vector {
    pub id: String,
    pub fmt: String,
    pub registration_challenge: Vec<u8>,
    pub registration_client_data: Vec<u8>,
    pub attestation_object: Vec<u8>,
    pub credential_id: Vec<u8>,
    pub authentication_challenge: Vec<u8>,
    pub authentication_client_data: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
}

pub struct Vectors {
    pub rp: RelyingParty,
    pub root: Vec<u8>,
    pub cases: Vec<Vector>,
}

/// All vectors, or nothing if the data is not there.
pub fn load() -> Option<Vectors> {
    let json: Value = serde_json::from_str(&data("webauthn-l3-vectors.json")?).unwrap();
    let text = |name: &str| json[name].as_str().unwrap();
    let rp = RelyingParty::new(text("rpId"), "Vectors", [text("origin").parse().unwrap()])
        .unwrap()
        .with_embedding(Embedding::Within(vec![text("topOrigin").parse().unwrap()]));
    let root = &json["attestationRoot"]["fields"]["attestation_ca_cert"];
    let cases = json["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(vector)
        .collect();
    Some(Vectors {
        rp,
        root: hex(root.as_str().unwrap()),
        cases,
    })
}

fn vector(case: &Value) -> Vector {
    let field = |ceremony: &str, name: &str| {
        hex(case[ceremony]["fields"][name]
            .as_str()
            .unwrap_or_else(|| panic!("{ceremony} {name}")))
    };
    Vector {
        id: case["id"].as_str().unwrap().to_owned(),
        fmt: case["derived"]["fmt"].as_str().unwrap().to_owned(),
        registration_challenge: field("registration", "challenge"),
        registration_client_data: field("registration", "clientDataJSON"),
        attestation_object: field("registration", "attestationObject"),
        credential_id: field("registration", "credential_id"),
        authentication_challenge: field("authentication", "challenge"),
        authentication_client_data: field("authentication", "clientDataJSON"),
        authenticator_data: field("authentication", "authenticatorData"),
        signature: field("authentication", "signature"),
    }
}

/// A stored state with another challenge: those of the vectors are of several lengths.
fn with_challenge<S: serde::Serialize + serde::de::DeserializeOwned>(
    state: &S,
    challenge: &[u8],
) -> S {
    let mut json = serde_json::to_value(state).unwrap();
    json["challenge"] = webauthn::base64url::encode(challenge).into();
    serde_json::from_value(json).unwrap()
}

impl Vectors {
    pub fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_der([self.root.clone()]).unwrap()
    }

    pub fn register(
        &self,
        vector: &Vector,
        trust: AttestationTrustPolicy,
    ) -> Result<registration::Verdict, Refusal> {
        let mut policy = RegistrationPolicy::new(UserVerificationPolicy::IfSet);
        policy.algorithms = ALGORITHMS.to_vec();
        policy.attestation_trust = trust;
        let user = PublicKeyCredentialUserEntity {
            id: vec![7; 16].into(),
            name: "kim".into(),
            display_name: "Kim".into(),
        };
        let (_, state) =
            registration::begin(&self.rp, policy, user, &[], NOW, &mut Fixed(vec![0])).unwrap();
        let state = with_challenge(&state, &vector.registration_challenge);
        let response = RegistrationResponseJson::new(
            vector.credential_id.clone(),
            AuthenticatorAttestationResponseJson {
                client_data_json: vector.registration_client_data.clone().into(),
                authenticator_data: None,
                transports: vec![],
                public_key: None,
                public_key_algorithm: None,
                attestation_object: vector.attestation_object.clone().into(),
            },
        );
        registration::finish(state, &response, false, &self.anchors(), NOW)
    }

    pub fn authenticate(
        &self,
        vector: &Vector,
        record: &CredentialRecord,
    ) -> Result<authentication::Verdict, Refusal> {
        let policy = AuthenticationPolicy::new(UserVerificationPolicy::IfSet);
        let credentials = [record.clone()];
        let who = authentication::Who::User {
            handle: &record.user_handle,
            credentials: &credentials,
        };
        let (_, state) =
            authentication::begin(&self.rp, policy, who, NOW, &mut Fixed(vec![0])).unwrap();
        let state = with_challenge(&state, &vector.authentication_challenge);
        let response = AuthenticationResponseJson::new(
            vector.credential_id.clone(),
            AuthenticatorAssertionResponseJson {
                client_data_json: vector.authentication_client_data.clone().into(),
                authenticator_data: vector.authenticator_data.clone().into(),
                signature: vector.signature.clone().into(),
                user_handle: None,
            },
        );
        authentication::finish(state, &response, Some(record), NOW)
    }
}
