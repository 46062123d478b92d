//! CTAP 2.3 §6.8 authenticatorCredentialManagement.

use ctap::client_pin::Permissions;
use ctap::credential_management::{
    Request, Response, SubCommand, SubCommandParams, authenticated_message,
};
use ctap::entities::UserEntity;
use ctap::{Command, Raw, Status};

use crate::bench::{Bench, ONE, PIN, RP, TWO, descriptor, sha256};

const CM: Permissions = Permissions::CREDENTIAL_MANAGEMENT;

impl Bench {
    pub(crate) fn manage(
        &mut self,
        sub_command: SubCommand,
        params: Option<SubCommandParams>,
        token: Option<&[u8]>,
    ) -> Result<Response, Status> {
        let params = params.map(|params| Raw::new(params.encode()).unwrap());
        let message = authenticated_message(sub_command.code(), params.as_ref());
        let request = Request {
            sub_command: sub_command.code(),
            sub_command_params: params,
            pin_uv_auth_protocol: token.map(|_| self.protocol.number().into()),
            pin_uv_auth_param: token.map(|token| self.protocol.authenticate(token, &message)),
        };
        let command = if self.key.profile().options.cred_mgmt {
            Command::CredentialManagement
        } else {
            Command::CredentialManagementPreview
        };
        let answer = self.send(command, &request.encode())?;
        Ok(if answer.is_empty() {
            Response::default()
        } else {
            Response::decode(&answer).unwrap()
        })
    }

    pub(crate) fn delete(&mut self, token: &[u8], id: &[u8]) -> Result<(), Status> {
        let params = SubCommandParams {
            credential_id: Some(descriptor(id)),
            ..Default::default()
        };
        self.manage(SubCommand::DeleteCredential, Some(params), Some(token))
            .map(drop)
    }

    fn cm_token(&mut self) -> Vec<u8> {
        if self.key.profile().options.pin_uv_auth_token {
            self.token(PIN, CM, None).unwrap()
        } else {
            self.plain_token(PIN).unwrap()
        }
    }
}

fn of_rp(rp_id: &str) -> Option<SubCommandParams> {
    Some(SubCommandParams {
        rp_id_hash: Some(sha256(rp_id.as_bytes())),
        ..Default::default()
    })
}

fn filled(id: &str) -> Bench {
    let mut bench = Bench::with_pin(id);
    bench.make_simply(true, 1, RP);
    bench.make_simply(true, 1, "other.example");
    bench.make_simply(true, 2, RP);
    bench.make_simply(false, 3, RP);
    bench
}

#[test]
fn all_passkeys_are_listed_by_the_final_command_and_by_the_preview() {
    for id in ["fido-2.1", "fido-2.1-pre"] {
        let mut bench = filled(id);
        let token = bench.cm_token();
        let metadata = bench
            .manage(SubCommand::GetCredsMetadata, None, Some(&token))
            .unwrap();
        assert_eq!(metadata.existing_resident_credentials_count, Some(3));
        let first = bench
            .manage(SubCommand::EnumerateRpsBegin, None, Some(&token))
            .unwrap();
        assert_eq!(
            (first.total_rps, first.rp.unwrap().id.as_str()),
            (Some(2), RP)
        );
        assert_eq!(first.rp_id_hash, Some(sha256(RP.as_bytes())));
        let second = bench
            .manage(SubCommand::EnumerateRpsGetNextRp, None, None)
            .unwrap();
        assert_eq!(
            (second.total_rps, second.rp.unwrap().id.as_str()),
            (None, "other.example")
        );
        let over = bench.manage(SubCommand::EnumerateRpsGetNextRp, None, None);
        assert_eq!(over.unwrap_err(), Status::NOT_ALLOWED);

        let first = bench
            .manage(
                SubCommand::EnumerateCredentialsBegin,
                of_rp(RP),
                Some(&token),
            )
            .unwrap();
        assert_eq!(first.total_credentials, Some(2));
        assert_eq!(
            first.user.unwrap().name.as_deref(),
            Some("user1@example.com")
        );
        assert!(first.public_key.is_some() && first.cred_protect == Some(1));
        let next = SubCommand::EnumerateCredentialsGetNextCredential;
        let second = bench.manage(next, None, None).unwrap();
        assert_eq!(
            second.user.unwrap().name.as_deref(),
            Some("user2@example.com")
        );
        assert_eq!(
            bench.manage(next, None, None).unwrap_err(),
            Status::NOT_ALLOWED
        );
    }
}

#[test]
fn the_listed_public_key_is_the_one_that_was_made() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = bench.make_simply(true, 1, RP);
    let token = bench.cm_token();
    let listed = bench
        .manage(
            SubCommand::EnumerateCredentialsBegin,
            of_rp(RP),
            Some(&token),
        )
        .unwrap();
    assert_eq!(listed.public_key, Some(made.key));
    assert_eq!(listed.credential_id.unwrap().id, made.id);
}

#[test]
fn a_token_is_needed_with_the_permission_and_for_everybody() {
    let mut bench = filled("fido-2.1");
    let metadata = SubCommand::GetCredsMetadata;
    assert_eq!(
        bench.manage(metadata, None, None).unwrap_err(),
        Status::PUAT_REQUIRED
    );
    let token = bench.mc_token();
    assert_eq!(
        bench.manage(metadata, None, Some(&token)).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    let token = bench.token(PIN, CM, Some(RP)).unwrap();
    for command in [metadata, SubCommand::EnumerateRpsBegin] {
        assert_eq!(
            bench.manage(command, None, Some(&token)).unwrap_err(),
            Status::PIN_AUTH_INVALID
        );
    }
    let begin = SubCommand::EnumerateCredentialsBegin;
    let other = bench.manage(begin, of_rp("other.example"), Some(&token));
    assert_eq!(other.unwrap_err(), Status::PIN_AUTH_INVALID);
    bench.manage(begin, of_rp(RP), Some(&token)).unwrap();
}

#[test]
fn enumerations_are_bound_to_channel_and_command() {
    let mut bench = filled("fido-2.1");
    let token = bench.cm_token();
    let begin = |bench: &mut Bench| {
        bench
            .manage(SubCommand::EnumerateRpsBegin, None, Some(&token))
            .unwrap();
    };
    begin(&mut bench);
    bench.channel = TWO;
    let next = bench.manage(SubCommand::EnumerateRpsGetNextRp, None, None);
    assert_eq!(next.unwrap_err(), Status::NOT_ALLOWED);
    bench.channel = ONE;
    bench
        .manage(SubCommand::EnumerateRpsGetNextRp, None, None)
        .unwrap();
    begin(&mut bench);
    let next = bench.manage(
        SubCommand::EnumerateCredentialsGetNextCredential,
        None,
        None,
    );
    assert_eq!(
        next.unwrap_err(),
        Status::NOT_ALLOWED,
        "another enumeration"
    );
    begin(&mut bench);
    assert_eq!(
        bench.next().unwrap_err(),
        Status::NOT_ALLOWED,
        "another command"
    );
    begin(&mut bench);
    bench.power_cycle();
    let next = bench.manage(SubCommand::EnumerateRpsGetNextRp, None, None);
    assert_eq!(next.unwrap_err(), Status::NOT_ALLOWED);
}

#[test]
fn a_deleted_credential_is_gone_for_good() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = bench.make_simply(true, 1, RP);
    let kept = bench.make_simply(true, 2, RP);
    let token = bench.cm_token();
    bench.delete(&token, &made.id).unwrap();
    assert_eq!(bench.delete(&token, &made.id), Err(Status::NO_CREDENTIALS));
    bench.restart();
    assert_eq!(
        bench.get(&bench.ga(None, &[&made.id])).unwrap_err(),
        Status::NO_CREDENTIALS
    );
    bench.get(&bench.ga(None, &[&kept.id])).unwrap();
}

#[test]
fn names_can_be_changed_but_not_the_account() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = bench.make_simply(true, 1, RP);
    let token = bench.cm_token();
    let update = |bench: &mut Bench, user: UserEntity| {
        let params = SubCommandParams {
            credential_id: Some(descriptor(&made.id)),
            user: Some(user),
            ..Default::default()
        };
        bench
            .manage(
                SubCommand::UpdateUserInformation,
                Some(params),
                Some(&token),
            )
            .map(drop)
    };
    let other = UserEntity {
        id: vec![9; 16],
        name: None,
        display_name: None,
    };
    assert_eq!(update(&mut bench, other), Err(Status::INVALID_PARAMETER));
    let renamed = UserEntity {
        id: vec![1; 16],
        name: Some("new".into()),
        display_name: None,
    };
    update(&mut bench, renamed.clone()).unwrap();
    let listed = bench
        .manage(
            SubCommand::EnumerateCredentialsBegin,
            of_rp(RP),
            Some(&token),
        )
        .unwrap();
    assert_eq!(listed.user, Some(renamed), "an absent name is removed");
    let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
    assert!(made.signed(&assertion));
}

#[test]
fn an_empty_key_lists_nothing() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.cm_token();
    let metadata = bench
        .manage(SubCommand::GetCredsMetadata, None, Some(&token))
        .unwrap();
    assert_eq!(metadata.existing_resident_credentials_count, Some(0));
    assert_eq!(
        metadata.max_possible_remaining_resident_credentials_count,
        Some(100)
    );
    for (command, params) in [
        (SubCommand::EnumerateRpsBegin, None),
        (SubCommand::EnumerateCredentialsBegin, of_rp(RP)),
    ] {
        assert_eq!(
            bench.manage(command, params, Some(&token)).unwrap_err(),
            Status::NO_CREDENTIALS
        );
    }
    let missing = bench.manage(SubCommand::EnumerateCredentialsBegin, None, Some(&token));
    assert_eq!(missing.unwrap_err(), Status::MISSING_PARAMETER);
}

#[test]
fn the_preview_cannot_rename_and_the_final_command_is_not_there() {
    let mut bench = filled("fido-2.1-pre");
    let token = bench.cm_token();
    let renamed = bench.manage(SubCommand::UpdateUserInformation, None, Some(&token));
    assert_eq!(renamed.unwrap_err(), Status::INVALID_SUBCOMMAND);
    assert_eq!(
        bench.send(Command::CredentialManagement, &[0xa1, 0x01, 0x01]),
        Err(Status::INVALID_COMMAND)
    );
    let mut bench = filled("fido-2.1");
    assert_eq!(
        bench.send(Command::CredentialManagementPreview, &[0xa1, 0x01, 0x01]),
        Err(Status::INVALID_COMMAND)
    );
}
