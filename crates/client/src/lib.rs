//! The platform: `create()` and `get()` of [WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/) as
//! state machines, and the decision about user verification as a pure function.
//!
//! Nothing here does I/O: a program moves the bytes between a ceremony and its keys, shows the prompts and
//! says what time it is. The same code behaves as other platforms do when given their profile.

pub mod policy;
pub mod profile;
pub mod report;
pub mod rules;
pub mod uv;
