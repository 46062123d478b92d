//! WebAuthn L3 §5.11: a page that is not below the RP ID, and what the site of the RP ID says of it.

use std::sync::Arc;

use rand_core::CryptoRng;
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
};
use webauthn::related_origins::{self, RelatedOrigins};
use webauthn::rp_id::RpIdError;

use crate::ceremony::{Caller, Ceremony, Request};
use crate::create::CreateRequest;
use crate::get::GetRequest;
use crate::outcome::{Failure, FailureReason};
use crate::report::{Party, Reason};

/// What the page passed.
#[derive(Clone)]
pub(crate) enum Options {
    Create(PublicKeyCredentialCreationOptionsJson),
    Get(PublicKeyCredentialRequestOptionsJson),
}

impl Options {
    fn check(self, caller: &Caller, claim: RpIdClaim) -> Result<Arc<Request>, Failure> {
        let request = match self {
            Self::Create(options) => {
                Request::Create(Box::new(CreateRequest::check(options, caller, claim)?))
            }
            Self::Get(options) => {
                Request::Get(Box::new(GetRequest::check(options, caller, claim)?))
            }
        };
        Ok(Arc::new(request))
    }

    fn rp_id(&self) -> Option<&str> {
        match self {
            Self::Create(options) => options.rp.id.as_deref(),
            Self::Get(options) => options.rp_id.as_deref(),
        }
    }
}

/// Why a page may use an RP ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RpIdClaim {
    /// Its origin is at or below it.
    Suffix,
    /// The site of the RP ID names its origin (WebAuthn L3 §5.11).
    Related,
}

/// A page that is not below its RP ID, until the site has said whether it is one of its own.
pub(crate) struct Unrelated {
    options: Options,
    caller: Caller,
    pub(crate) url: String,
}

impl Ceremony {
    /// WebAuthn L3 §5.11.1: the page goes on if the site of its RP ID names it.
    pub(crate) fn on_related_origins(
        &mut self,
        document: Option<Vec<u8>>,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(unrelated) = self.unrelated.take() else {
            return;
        };
        let Unrelated {
            options, caller, ..
        } = *unrelated;
        let related = document.and_then(|bytes| RelatedOrigins::parse(&bytes).ok());
        if related.is_some_and(|related| related.allows(&caller.origin)) {
            self.reasons.push(Reason::specified(
                Party::Site,
                format!(
                    "The site of the RP ID names {} as one of its own.",
                    caller.origin
                ),
                "WebAuthn L3 §5.11 Using Web Authentication across related origins",
            ));
            self.request = options.check(&caller, RpIdClaim::Related);
        }
        self.start_checked(rng);
    }
}

/// Checks the options, and finds out whether the site of the RP ID has to be asked about the page.
pub(crate) fn check(
    options: Options,
    caller: Caller,
) -> (Result<Arc<Request>, Failure>, Option<Box<Unrelated>>) {
    let elsewhere = options.rp_id().is_some_and(|rp_id| {
        let valid = webauthn::rp_id::validate(rp_id, &caller.origin);
        matches!(valid, Err(RpIdError::NotASuffix { .. }))
    });
    let kept = elsewhere.then(|| options.clone());
    let request = options.check(&caller, RpIdClaim::Suffix);
    let for_that = matches!(
        &request,
        Err(Failure {
            reason: FailureReason::RpId(_),
            ..
        })
    );
    let unrelated = kept.filter(|_| for_that).map(|options| {
        let rp_id = options.rp_id().unwrap_or_default();
        let url = format!("https://{rp_id}{}", related_origins::PATH);
        Box::new(Unrelated {
            options,
            caller,
            url,
        })
    });
    (request, unrelated)
}
