//! Challenge states that travel with the client: for nodes that keep nothing between `begin` and
//! `finish`.
//!
//! A sealed state is encrypted and authenticated (AES-256-GCM under a key derived by HKDF-SHA-256 for
//! this one state, so that any number of nodes can seal with the same secret). Nobody without the
//! secret can read, change or make one; a state of one ceremony does not open as the other's; and it
//! opens only in the *context* that it was sealed for. Put into the context what must not be swapped:
//! the session or cookie that began the ceremony, and the flow that the endpoint is for.
//!
//! **A sealed state can be opened again until it expires.** That a challenge counts once is still
//! something that all nodes have to remember together, if only as a set of
//! [challenges](crate::authentication::ChallengeState::challenge) with their time of expiry.
//!
//! ```
//! use rp::policy::Flow;
//! use rp::seal::{SealError, SealingKeys};
//! use rp::{RelyingParty, authentication};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! # let now = 1_800_000_000;
//! # let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
//! let keys = SealingKeys::new(&[7; 32]); // 32 random bytes that all nodes share
//! let policy = Flow::Passwordless.authentication();
//! let (_, state) = authentication::begin(&rp, policy, authentication::Who::Anyone, now, &mut rng)?;
//! let text = state.seal(&keys, b"session 17, passwordless", &mut rng)?;
//!
//! let open = authentication::ChallengeState::unseal;
//! assert_eq!(open(&text, &keys, b"session 17, passwordless")?, state);
//! assert_eq!(open(&text, &keys, b"session 18, passwordless"), Err(SealError::NotSealedHere));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use rand_core::CryptoRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use webauthn::base64url;

use crate::crypto::SealingSecret;
use crate::{authentication, registration};

/// Longer texts are not looked at.
const MOST_CHARACTERS: usize = 256 * 1024;

/// The first byte of what is sealed.
const VERSION: u8 = 1;

/// Each state is sealed with its own key, derived with so many random bytes.
const SALT: usize = 24;

/// Why a sealed state does not open, or one cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not text that a seal has.
    #[error("this is no sealed state")]
    Syntax,
    /// Sealed with another secret, for another ceremony or context, or changed.
    #[error("the state was sealed elsewhere or for something else, or was changed")]
    NotSealedHere,
    /// Sealed by a version whose states are written otherwise.
    #[error("the state was sealed by another version")]
    OtherVersion,
    /// The crypto library refused.
    #[error("the state cannot be sealed")]
    Failed,
}

/// The secrets: the newest seals, all open.
#[derive(Debug)]
pub struct SealingKeys {
    newest: SealingSecret,
    previous: Vec<SealingSecret>,
}

impl SealingKeys {
    /// One secret of 32 random bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            newest: SealingSecret::new(secret),
            previous: Vec::new(),
        }
    }

    /// Opens states that were sealed under the secret before, too. Drop it when they have expired.
    #[must_use]
    pub fn with_previous(mut self, secret: &[u8; 32]) -> Self {
        self.previous.push(SealingSecret::new(secret));
        self
    }

    fn seal<T: Serialize>(
        &self,
        state: &T,
        purpose: &'static str,
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<String, SealError> {
        let mut salt = [0; SALT];
        rng.fill_bytes(&mut salt);
        let plain = serde_json::to_vec(state).map_err(|_| SealError::Failed)?;
        let sealed = self
            .newest
            .seal(purpose, &salt, context, plain)
            .ok_or(SealError::Failed)?;
        Ok(base64url::encode([&[VERSION], &salt[..], &sealed].concat()))
    }

    fn open<T: DeserializeOwned>(
        &self,
        text: &str,
        purpose: &'static str,
        context: &[u8],
    ) -> Result<T, SealError> {
        if text.len() > MOST_CHARACTERS {
            return Err(SealError::Syntax);
        }
        let bytes = base64url::decode(text).map_err(|_| SealError::Syntax)?;
        let (version, rest) = bytes.split_first().ok_or(SealError::Syntax)?;
        if *version != VERSION {
            return Err(SealError::OtherVersion);
        }
        let (salt, sealed) = rest.split_at_checked(SALT).ok_or(SealError::Syntax)?;
        let plain = core::iter::once(&self.newest)
            .chain(&self.previous)
            .find_map(|secret| secret.open(purpose, salt, context, sealed.to_vec()))
            .ok_or(SealError::NotSealedHere)?;
        serde_json::from_slice(&plain).map_err(|_| SealError::OtherVersion)
    }
}

const REGISTRATION: &str = "pinward registration state";
const AUTHENTICATION: &str = "pinward authentication state";

impl registration::ChallengeState {
    /// Seals the state for a context: see [`seal`](crate::seal).
    ///
    /// # Errors
    /// [`SealError::Failed`]
    pub fn seal(
        &self,
        keys: &SealingKeys,
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<String, SealError> {
        keys.seal(self, REGISTRATION, context, rng)
    }

    /// Opens a sealed state.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn unseal(text: &str, keys: &SealingKeys, context: &[u8]) -> Result<Self, SealError> {
        keys.open(text, REGISTRATION, context)
    }
}

impl authentication::ChallengeState {
    /// Seals the state for a context: see [`seal`](crate::seal).
    ///
    /// # Errors
    /// [`SealError::Failed`]
    pub fn seal(
        &self,
        keys: &SealingKeys,
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<String, SealError> {
        keys.seal(self, AUTHENTICATION, context, rng)
    }

    /// Opens a sealed state.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn unseal(text: &str, keys: &SealingKeys, context: &[u8]) -> Result<Self, SealError> {
        keys.open(text, AUTHENTICATION, context)
    }
}
