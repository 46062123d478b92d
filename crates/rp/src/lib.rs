//! The relying party: registration, authentication, attestation, policy
