//! CTAP 2.3 §6.8 authenticatorCredentialManagement, and its prototype (§6.12).

use ctap::credential_management::{
    Request, Response, SubCommand, SubCommandParams, authenticated_message,
};
use ctap::entities::{CredentialDescriptor, UserEntity};
use ctap::{Command, Raw, Status};
use webauthn::cbor::Value;

use crate::bench::{Bench, is_one_of, parsed, present};
use crate::ceremonies::{Made, RP};
use crate::check::Need::{self, Extension, Management, Member, On, Option as Has, Reports};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::{bytes, int, map, text};
use crate::pins::{CM, Token};
use crate::verify::sha256;

const CM_SECTION: &str = "CTAP 2.3 §6.8";
const META: &str = "CTAP 2.3 §6.8.2";
const RPS: &str = "CTAP 2.3 §6.8.3";
const CREDS: &str = "CTAP 2.3 §6.8.4";
const DELETE: &str = "CTAP 2.3 §6.8.5";
const UPDATE: &str = "CTAP 2.3 §6.8.6";
const NEEDS: &[Need] = &[Management];
const STANDARD: &[Need] = &[On("credMgmt")];

/// The command, or its prototype on older keys.
fn command(b: &Bench<'_>) -> Command {
    if b.option("credMgmt") == Some(true) {
        Command::CredentialManagement
    } else {
        Command::CredentialManagementPreview
    }
}

fn request(code: SubCommand, params: Option<Raw>, token: Option<&Token>) -> Request {
    let message = authenticated_message(code.code(), params.as_ref());
    Request {
        sub_command: code.code(),
        sub_command_params: params,
        pin_uv_auth_protocol: token.map(Token::number),
        pin_uv_auth_param: token.map(|token| token.sign(&message)),
    }
}

/// The status and members of a subcommand.
fn send(
    b: &mut Bench<'_>,
    code: SubCommand,
    params: Option<&SubCommandParams>,
    token: Option<&Token>,
) -> Outcome<(Status, Vec<u8>)> {
    let params = match params {
        Some(params) => Some(parsed("the parameters", Raw::new(params.encode()))?),
        None => None,
    };
    let command = command(b);
    b.send(command, &request(code, params, token).encode())
}

/// A subcommand that must work.
fn call(
    b: &mut Bench<'_>,
    code: SubCommand,
    params: Option<&SubCommandParams>,
    token: Option<&Token>,
) -> Outcome<Response> {
    let (status, members) = send(b, code, params, token)?;
    is_one_of("credentialManagement", status, &[Status::OK])?;
    if members.is_empty() {
        return Ok(Response::default());
    }
    parsed("credentialManagement", Response::decode(&members))
}

/// A subcommand that must be refused.
fn refuse(
    b: &mut Bench<'_>,
    code: SubCommand,
    params: Option<&SubCommandParams>,
    token: Option<&Token>,
    due: &[Status],
) -> Outcome {
    let (status, _) = send(b, code, params, token)?;
    is_one_of("credentialManagement", status, due)
}

/// The status of getCredsMetadata with this token.
pub(super) fn metadata_status(b: &mut Bench<'_>, token: &Token) -> Outcome<Status> {
    Ok(send(b, SubCommand::GetCredsMetadata, None, Some(token))?.0)
}

/// getCredsMetadata: how many there are, and how many fit.
pub(super) fn metadata(b: &mut Bench<'_>, token: &Token) -> Outcome<(u64, u64)> {
    let response = call(b, SubCommand::GetCredsMetadata, None, Some(token))?;
    let existing = response.existing_resident_credentials_count;
    let room = response.max_possible_remaining_resident_credentials_count;
    Ok((present("the count", existing)?, present("the room", room)?))
}

pub(super) fn of_rp(rp: &str) -> SubCommandParams {
    SubCommandParams {
        rp_id_hash: Some(sha256(rp.as_bytes())),
        ..SubCommandParams::default()
    }
}

fn of_credential(id: &[u8], user: Option<UserEntity>) -> SubCommandParams {
    SubCommandParams {
        credential_id: Some(CredentialDescriptor::public_key(id)),
        user,
        ..SubCommandParams::default()
    }
}

/// Credentials: two of `example.com`, one of `example.org`.
fn three(b: &mut Bench<'_>) -> Outcome<Vec<Made>> {
    b.set_pin()?;
    let mut all = Vec::new();
    for (account, rp) in [(1, RP), (2, RP), (3, "example.org")] {
        let mut request = b.mc_rk(account);
        request.rp.id = rp.to_owned();
        all.push(b.make(request)?);
    }
    Ok(all)
}

/// All relying parties as they are enumerated.
pub(super) fn rps(b: &mut Bench<'_>, token: &Token) -> Outcome<Vec<String>> {
    let first = call(b, SubCommand::EnumerateRpsBegin, None, Some(token))?;
    let total = present("totalRPs", first.total_rps)?;
    let mut all = vec![first];
    for _ in 1..total {
        all.push(call(b, SubCommand::EnumerateRpsGetNextRp, None, None)?);
    }
    let mut ids = Vec::new();
    for response in all {
        let rp = present("rp", response.rp)?;
        let hash = present("rpIDHash", response.rp_id_hash)?;
        same(hash, sha256(rp.id.as_bytes()), "rpIDHash")?;
        ids.push(rp.id);
    }
    ids.sort();
    Ok(ids)
}

/// All credentials of a relying party as they are enumerated.
fn credentials(b: &mut Bench<'_>, rp: &str, token: &Token) -> Outcome<Vec<Response>> {
    let first = call(
        b,
        SubCommand::EnumerateCredentialsBegin,
        Some(&of_rp(rp)),
        Some(token),
    )?;
    let total = present("totalCredentials", first.total_credentials)?;
    let mut all = vec![first];
    for _ in 1..total {
        all.push(call(
            b,
            SubCommand::EnumerateCredentialsGetNextCredential,
            None,
            None,
        )?);
    }
    Ok(all)
}

fn renamed(account: u8) -> UserEntity {
    UserEntity {
        id: vec![account; 16],
        name: Some("renamed@example.com".to_owned()),
        display_name: None,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "cm.no-subcommand",
        CM_SECTION,
        "subCommand is mandatory",
        NEEDS,
        |b| {
            let command = command(b);
            b.expect(command, &map(&[]).encode(), Status::MISSING_PARAMETER)
        },
    ),
    check(
        "cm.unknown-subcommand",
        CM_SECTION,
        "Subcommands that do not exist are invalid",
        NEEDS,
        |b| {
            let command = command(b);
            let due = &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER];
            b.expect_any(command, &map(&[(1, int(0x33))]).encode(), due)
        },
    ),
    check(
        "cm.subcommand-type",
        CM_SECTION,
        "subCommand is an integer",
        NEEDS,
        |b| {
            let command = command(b);
            b.expect(
                command,
                &map(&[(1, text("1"))]).encode(),
                Status::CBOR_UNEXPECTED_TYPE,
            )
        },
    ),
    check(
        "cm.no-token",
        CM_SECTION,
        "Managing credentials wants a token",
        NEEDS,
        |b| {
            b.set_pin()?;
            let due = &[Status::PUAT_REQUIRED, Status::MISSING_PARAMETER];
            refuse(b, SubCommand::GetCredsMetadata, None, None, due)
        },
    ),
    check(
        "cm.wrong-param",
        CM_SECTION,
        "A pinUvAuthParam that does not verify is refused",
        NEEDS,
        |b| {
            let mut token = b.token(CM, None)?;
            token.value[0] ^= 1;
            refuse(
                b,
                SubCommand::GetCredsMetadata,
                None,
                Some(&token),
                &[Status::PIN_AUTH_INVALID],
            )
        },
    ),
    check(
        "cm.no-protocol",
        CM_SECTION,
        "pinUvAuthParam wants its protocol",
        NEEDS,
        |b| {
            let token = b.token(CM, None)?;
            let mut request = request(SubCommand::GetCredsMetadata, None, Some(&token));
            request.pin_uv_auth_protocol = None;
            let command = command(b);
            b.expect(command, &request.encode(), Status::MISSING_PARAMETER)
        },
    ),
    check(
        "cm.param-of-other-subcommand",
        CM_SECTION,
        "pinUvAuthParam is about the subcommand",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            let mut request = request(SubCommand::EnumerateRpsBegin, None, Some(&token));
            request.sub_command = SubCommand::GetCredsMetadata.code();
            let command = command(b);
            b.expect(command, &request.encode(), Status::PIN_AUTH_INVALID)
        },
    ),
    check(
        "cm.params-authenticated",
        CM_SECTION,
        "pinUvAuthParam is about the parameters, too",
        NEEDS,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let raw = parsed(
                "the parameters",
                Raw::new(of_credential(&all[0].id, None).encode()),
            )?;
            let mut request = request(SubCommand::DeleteCredential, Some(raw), Some(&token));
            let other = parsed(
                "the parameters",
                Raw::new(of_credential(&all[1].id, None).encode()),
            )?;
            request.sub_command_params = Some(other);
            let command = command(b);
            b.expect(command, &request.encode(), Status::PIN_AUTH_INVALID)
        },
    ),
    check(
        "cm.metadata-empty",
        META,
        "A key as new has no discoverable credential, and room",
        NEEDS,
        |b| {
            let token = b.token(CM, None)?;
            let (existing, room) = metadata(b, &token)?;
            same(existing, 0, "the count")?;
            ensure(room > 0, "no room")
        },
    ),
    check(
        "cm.metadata",
        META,
        "getCredsMetadata counts the discoverable credentials",
        NEEDS,
        |b| {
            b.set_pin()?;
            let request = b.mc();
            b.make(request)?;
            three(b)?;
            let token = b.token(CM, None)?;
            same(metadata(b, &token)?.0, 3, "the count")
        },
    ),
    check(
        "cm.metadata-agrees",
        META,
        "Its room is no less than getInfo's",
        &[On("credMgmt"), Member(20)],
        |b| {
            three(b)?;
            let told = b.info()?.remaining_discoverable_credentials;
            let token = b.token(CM, None)?;
            let (_, room) = metadata(b, &token)?;
            ensure(
                Some(room) >= told,
                format!("{room}, and getInfo says {told:?}"),
            )
        },
    ),
    check(
        "cm.rps",
        RPS,
        "All relying parties are enumerated, each once",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            same(
                rps(b, &token)?,
                vec![RP.to_owned(), "example.org".to_owned()],
                "the relying parties",
            )
        },
    ),
    check(
        "cm.rps-none",
        RPS,
        "Without credentials there is nothing to enumerate",
        NEEDS,
        |b| {
            let token = b.token(CM, None)?;
            refuse(
                b,
                SubCommand::EnumerateRpsBegin,
                None,
                Some(&token),
                &[Status::NO_CREDENTIALS],
            )
        },
    ),
    check(
        "cm.rps-next-alone",
        RPS,
        "The next relying party without the first is not allowed",
        NEEDS,
        |b| {
            b.set_pin()?;
            refuse(
                b,
                SubCommand::EnumerateRpsGetNextRp,
                None,
                None,
                &[Status::NOT_ALLOWED],
            )
        },
    ),
    check(
        "cm.rps-next-too-often",
        RPS,
        "After the last relying party there is no next one",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            rps(b, &token)?;
            refuse(
                b,
                SubCommand::EnumerateRpsGetNextRp,
                None,
                None,
                &[Status::NOT_ALLOWED],
            )
        },
    ),
    check(
        "cm.rps-interrupted",
        RPS,
        "Another command in between ends the enumeration",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            call(b, SubCommand::EnumerateRpsBegin, None, Some(&token))?;
            b.info()?;
            refuse(
                b,
                SubCommand::EnumerateRpsGetNextRp,
                None,
                None,
                &[Status::NOT_ALLOWED],
            )
        },
    ),
    check(
        "cm.rps-channel",
        RPS,
        "Another channel cannot go on with the enumeration",
        &[Management, Reports],
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            call(b, SubCommand::EnumerateRpsBegin, None, Some(&token))?;
            b.on(1, |b| {
                refuse(
                    b,
                    SubCommand::EnumerateRpsGetNextRp,
                    None,
                    None,
                    &[Status::NOT_ALLOWED],
                )
            })
        },
    ),
    check(
        "cm.rps-wrong-next",
        RPS,
        "Credentials do not follow relying parties",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            call(b, SubCommand::EnumerateRpsBegin, None, Some(&token))?;
            refuse(
                b,
                SubCommand::EnumerateCredentialsGetNextCredential,
                None,
                None,
                &[Status::NOT_ALLOWED],
            )
        },
    ),
    check(
        "cm.creds",
        CREDS,
        "All credentials of a relying party are enumerated, with their accounts",
        NEEDS,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let found = credentials(b, RP, &token)?;
            same(found.len(), 2, "the number")?;
            for made in &all[..2] {
                let one = found
                    .iter()
                    .find(|r| r.credential_id.as_ref().is_some_and(|c| c.id == made.id));
                let one = present("a credential", one)?;
                same(one.public_key.as_ref(), Some(&made.key), "the public key")?;
                let name = one.user.as_ref().and_then(|u| u.name.clone());
                ensure(
                    name.is_some_and(|n| n.ends_with("@example.com")),
                    "the name is missing",
                )?;
            }
            Ok(())
        },
    ),
    check(
        "cm.creds-unknown-rp",
        CREDS,
        "A relying party without credentials has none",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            let params = of_rp("nobody.example");
            refuse(
                b,
                SubCommand::EnumerateCredentialsBegin,
                Some(&params),
                Some(&token),
                &[Status::NO_CREDENTIALS],
            )
        },
    ),
    check(
        "cm.creds-no-rp",
        CREDS,
        "enumerateCredentialsBegin wants rpIDHash",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            refuse(
                b,
                SubCommand::EnumerateCredentialsBegin,
                None,
                Some(&token),
                &[Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "cm.creds-hash-type",
        CREDS,
        "rpIDHash is a byte string of 32 bytes",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            for (value, due) in [
                (text("example.com"), Status::CBOR_UNEXPECTED_TYPE),
                (bytes(&[1; 31]), Status::INVALID_LENGTH),
            ] {
                let params = Raw::from(&map(&[(1, value)]));
                let request = request(
                    SubCommand::EnumerateCredentialsBegin,
                    Some(params),
                    Some(&token),
                );
                let command = command(b);
                b.expect_any(
                    command,
                    &request.encode(),
                    &[due, Status::INVALID_PARAMETER],
                )?;
            }
            Ok(())
        },
    ),
    check(
        "cm.creds-next-alone",
        CREDS,
        "The next credential without the first is not allowed",
        NEEDS,
        |b| {
            b.set_pin()?;
            refuse(
                b,
                SubCommand::EnumerateCredentialsGetNextCredential,
                None,
                None,
                &[Status::NOT_ALLOWED],
            )
        },
    ),
    check(
        "cm.creds-channel",
        CREDS,
        "Another channel cannot go on with the credentials",
        &[Management, Reports],
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            call(
                b,
                SubCommand::EnumerateCredentialsBegin,
                Some(&of_rp(RP)),
                Some(&token),
            )?;
            b.on(1, |b| {
                refuse(
                    b,
                    SubCommand::EnumerateCredentialsGetNextCredential,
                    None,
                    None,
                    &[Status::NOT_ALLOWED],
                )
            })
        },
    ),
    check(
        "cm.creds-protect",
        CREDS,
        "The credProtect level is told",
        &[Management, Extension("credProtect")],
        |b| {
            b.set_pin()?;
            let mut request = b.mc_rk(1);
            request.extensions.get_or_insert_default().cred_protect = Some(2);
            b.make(request)?;
            let token = b.token(CM, None)?;
            same(
                credentials(b, RP, &token)?[0].cred_protect,
                Some(2),
                "credProtect",
            )
        },
    ),
    check(
        "cm.creds-payment",
        CREDS,
        "thirdPartyPayment is told",
        &[On("credMgmt"), Extension("thirdPartyPayment")],
        |b| {
            b.set_pin()?;
            let mut request = b.mc_rk(1);
            request
                .extensions
                .get_or_insert_default()
                .third_party_payment = Some(true);
            b.make(request)?;
            let token = b.token(CM, None)?;
            same(
                credentials(b, RP, &token)?[0].third_party_payment,
                Some(true),
                "thirdPartyPayment",
            )
        },
    ),
    check(
        "cm.creds-not-others",
        CREDS,
        "Credentials that are not discoverable are not enumerated",
        NEEDS,
        |b| {
            three(b)?;
            let request = b.mc();
            b.make(request)?;
            let token = b.token(CM, None)?;
            same(credentials(b, RP, &token)?.len(), 2, "the number")
        },
    ),
    check(
        "cm.delete",
        DELETE,
        "A deleted credential is gone, the others are not",
        NEEDS,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            call(
                b,
                SubCommand::DeleteCredential,
                Some(&of_credential(&all[0].id, None)),
                Some(&token),
            )?;
            same(metadata(b, &token)?.0, 2, "the count")?;
            let request = b.ga_of(&all[0]);
            b.refuse_ga(request, &[Status::NO_CREDENTIALS])?;
            let request = b.ga_of(&all[1]);
            ensure(b.get(request)?.is_by(&all[1]), "the other is gone, too")
        },
    ),
    check(
        "cm.delete-unknown",
        DELETE,
        "An unknown credential cannot be deleted",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&[7; 32], None);
            refuse(
                b,
                SubCommand::DeleteCredential,
                Some(&params),
                Some(&token),
                &[Status::NO_CREDENTIALS],
            )
        },
    ),
    check(
        "cm.delete-twice",
        DELETE,
        "Nor one that is gone",
        NEEDS,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&all[2].id, None);
            call(b, SubCommand::DeleteCredential, Some(&params), Some(&token))?;
            refuse(
                b,
                SubCommand::DeleteCredential,
                Some(&params),
                Some(&token),
                &[Status::NO_CREDENTIALS],
            )
        },
    ),
    check(
        "cm.delete-no-id",
        DELETE,
        "deleteCredential wants credentialID",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            refuse(
                b,
                SubCommand::DeleteCredential,
                None,
                Some(&token),
                &[Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "cm.delete-id-type",
        DELETE,
        "credentialID is a descriptor",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            let params = Raw::from(&map(&[(2, bytes(&[1; 32]))]));
            let request = request(SubCommand::DeleteCredential, Some(params), Some(&token));
            let command = command(b);
            b.expect(command, &request.encode(), Status::CBOR_UNEXPECTED_TYPE)
        },
    ),
    check(
        "cm.delete-no-token",
        DELETE,
        "Nothing is deleted without a token",
        NEEDS,
        |b| {
            let all = three(b)?;
            let params = of_credential(&all[0].id, None);
            refuse(
                b,
                SubCommand::DeleteCredential,
                Some(&params),
                None,
                &[Status::PUAT_REQUIRED, Status::MISSING_PARAMETER],
            )?;
            let request = b.ga_of(&all[0]);
            ensure(b.get(request)?.is_by(&all[0]), "it is gone")
        },
    ),
    check(
        "cm.bound-token",
        CM_SECTION,
        "A token bound to a relying party does not manage another's",
        STANDARD,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, Some(RP))?;
            refuse(
                b,
                SubCommand::EnumerateRpsBegin,
                None,
                Some(&token),
                &[Status::PIN_AUTH_INVALID],
            )?;
            let params = of_credential(&all[2].id, None);
            refuse(
                b,
                SubCommand::DeleteCredential,
                Some(&params),
                Some(&token),
                &[Status::PIN_AUTH_INVALID],
            )
        },
    ),
    check(
        "cm.bound-token-own",
        CM_SECTION,
        "A token bound to a relying party manages its own",
        STANDARD,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, Some(RP))?;
            let params = of_credential(&all[0].id, None);
            call(b, SubCommand::DeleteCredential, Some(&params), Some(&token)).map(drop)
        },
    ),
    check(
        "cm.update",
        UPDATE,
        "Names can be changed, absent ones are removed",
        STANDARD,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&all[0].id, Some(renamed(1)));
            call(
                b,
                SubCommand::UpdateUserInformation,
                Some(&params),
                Some(&token),
            )?;
            let found = credentials(b, RP, &token)?;
            let one = found
                .iter()
                .find(|r| r.credential_id.as_ref().is_some_and(|c| c.id == all[0].id));
            let user = present("user", one.and_then(|r| r.user.clone()))?;
            same(user, renamed(1), "the account")
        },
    ),
    check(
        "cm.update-signs",
        UPDATE,
        "A renamed credential still signs",
        STANDARD,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&all[0].id, Some(renamed(1)));
            call(
                b,
                SubCommand::UpdateUserInformation,
                Some(&params),
                Some(&token),
            )?;
            let request = b.ga_of(&all[0]);
            ensure(
                b.get(request)?.is_by(&all[0]),
                "the signature does not verify",
            )
        },
    ),
    check(
        "cm.update-other-user",
        UPDATE,
        "The user handle cannot be changed",
        STANDARD,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&all[0].id, Some(renamed(9)));
            refuse(
                b,
                SubCommand::UpdateUserInformation,
                Some(&params),
                Some(&token),
                &[Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "cm.update-unknown",
        UPDATE,
        "An unknown credential cannot be renamed",
        STANDARD,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&[7; 32], Some(renamed(1)));
            refuse(
                b,
                SubCommand::UpdateUserInformation,
                Some(&params),
                Some(&token),
                &[Status::NO_CREDENTIALS],
            )
        },
    ),
    check(
        "cm.update-no-user",
        UPDATE,
        "updateUserInformation wants user",
        STANDARD,
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&all[0].id, None);
            refuse(
                b,
                SubCommand::UpdateUserInformation,
                Some(&params),
                Some(&token),
                &[Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "cm.preview",
        "CTAP 2.3 §6.12",
        "The prototype has no updateUserInformation",
        &[
            On("credentialMgmtPreview"),
            Need::Lacks("credMgmt"),
            Has("clientPin"),
        ],
        |b| {
            let all = three(b)?;
            let token = b.token(CM, None)?;
            let params = of_credential(&all[0].id, Some(renamed(1)));
            refuse(
                b,
                SubCommand::UpdateUserInformation,
                Some(&params),
                Some(&token),
                &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "cm.params-type",
        CM_SECTION,
        "subCommandParams is a map",
        NEEDS,
        |b| {
            three(b)?;
            let token = b.token(CM, None)?;
            let request = request(
                SubCommand::DeleteCredential,
                Some(Raw::from(&Value::Array(Vec::new()))),
                Some(&token),
            );
            let command = command(b);
            b.expect(command, &request.encode(), Status::CBOR_UNEXPECTED_TYPE)
        },
    ),
];
