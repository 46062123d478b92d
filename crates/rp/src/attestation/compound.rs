//! WebAuthn L3 §8.9 `compound`: several statements about one credential. All must be correct; the
//! strongest counts.

use webauthn::cbor::Value;

use super::{AttestationError, AttestationType, Input, Verified, verify_single};

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    let value = Value::decode(input.att_stmt)?;
    let statements = value
        .as_array()
        .filter(|statements| statements.len() >= 2)
        .ok_or(AttestationError::Syntax(
            "the statement is not an array of two or more",
        ))?;
    let mut strongest: Option<Verified> = None;
    for statement in statements {
        let verified = verify_inside(input, statement)?;
        if strongest
            .as_ref()
            .is_none_or(|found| rank(found) < rank(&verified))
        {
            strongest = Some(verified);
        }
    }
    strongest.ok_or(AttestationError::Syntax("the statement is empty"))
}

fn verify_inside(input: &Input<'_>, statement: &Value) -> Result<Verified, AttestationError> {
    let syntax = AttestationError::Syntax("a statement inside is not `fmt` and `attStmt`");
    let (Some(2), Some(fmt), Some(inner)) = (
        statement.entries().map(<[_]>::len),
        statement.get_text("fmt").and_then(Value::as_text),
        statement.get_text("attStmt"),
    ) else {
        return Err(syntax);
    };
    let att_stmt = inner.encode();
    match verify_single(
        fmt,
        &Input {
            att_stmt: &att_stmt,
            ..*input
        },
    ) {
        Some(Ok(verified)) => Ok(verified),
        Some(Err(error)) => Err(AttestationError::Inside {
            fmt: fmt.to_owned(),
            error: Box::new(error),
        }),
        None => Err(AttestationError::InsideUnsupported(fmt.to_owned())),
    }
}

/// A certificate says more than a self signature, and that more than nothing.
fn rank(verified: &Verified) -> u8 {
    match verified.attestation_type {
        AttestationType::None => 0,
        AttestationType::SelfAttestation => 1,
        AttestationType::Basic
        | AttestationType::AttestationCa
        | AttestationType::AnonymizationCa => 2,
    }
}
