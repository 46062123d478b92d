//! What a platform will do with a key, before anybody tries: the decision of [`crate::uv`] for plain
//! requests.

use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement};

use crate::policy::HostPolicy;
use crate::profile::PlatformProfile;
use crate::uv::{Ceremony, CredentialList, Disposition, Expected, Facts, KeyFacts, disposition};

/// One cell: a ceremony, a wish of the site, and what comes of it.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// Which ceremony.
    pub ceremony: Ceremony,
    /// What the site says.
    pub user_verification: UserVerificationRequirement,
    /// What the platform decides, and why.
    pub disposition: Disposition,
    /// What the person goes through.
    pub expected: Expected,
}

/// Registering (not discoverable, nothing excluded) and signing in (this key is on the list), each at
/// `discouraged`, `preferred` and `required`, in this order.
pub fn outlook(key: KeyFacts, platform: &PlatformProfile) -> Vec<Outlook> {
    use UserVerificationRequirement::{Discouraged, Preferred, Required};
    let mut cells = Vec::with_capacity(6);
    for ceremony in [Ceremony::Create, Ceremony::Get] {
        for user_verification in [Discouraged, Preferred, Required] {
            let facts = Facts {
                ceremony,
                user_verification,
                resident_key: ResidentKeyRequirement::Discouraged,
                list: match ceremony {
                    Ceremony::Create => CredentialList::Empty,
                    Ceremony::Get => CredentialList::Match,
                },
                prf: false,
                key,
                policy: HostPolicy::default(),
            };
            let disposition = disposition(&facts, platform);
            let expected = disposition.expected(&facts, platform);
            cells.push(Outlook {
                ceremony,
                user_verification,
                disposition,
                expected,
            });
        }
    }
    cells
}
