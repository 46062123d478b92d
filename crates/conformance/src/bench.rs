//! One check's view of the key: send, look at the answer, say what is wrong with it.

use core::time::Duration;

use ctap::hid::Report;
use ctap::pin_protocol::PinUvAuthProtocol;
use ctap::{Command, Status, get_info, request_bytes, split_response};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use webauthn::cbor::{self, Value};
use webauthn::cose::CoseAlgorithm;

use crate::check::{Finding, Need, Outcome, failed, not_applicable};
use crate::subject::{Person, Subject};
use crate::verify::sha256;

/// The PIN that checks set: long enough for every minimum that keys are delivered with, and not
/// simple.
pub(crate) const PIN: &str = "pinward-4711";

/// What is known of a key before any check: its getInfo as new.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// `None` for a key that speaks only U2F.
    pub(crate) info: Option<get_info::Response>,
    /// The same, as it came.
    pub(crate) raw: Option<Value>,
}

/// One check's view of the key.
pub(crate) struct Bench<'a> {
    pub(crate) key: &'a mut dyn Subject,
    pub(crate) facts: &'a Facts,
    pub(crate) rng: ChaCha20Rng,
    /// The PIN that this check has set.
    pub(crate) pin: Option<String>,
    /// The channel on which it talks.
    pub(crate) channel: usize,
    /// The PIN/UV auth protocol that it uses.
    pub(crate) protocol: PinUvAuthProtocol,
    hashes: u8,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(key: &'a mut dyn Subject, facts: &'a Facts, id: &str) -> Self {
        let preferred = facts
            .info
            .as_ref()
            .and_then(|info| info.pin_uv_auth_protocols.as_ref()?.first().copied())
            .and_then(PinUvAuthProtocol::from_number);
        Self {
            key,
            facts,
            rng: ChaCha20Rng::from_seed(sha256(id.as_bytes())),
            pin: None,
            channel: 0,
            protocol: preferred.unwrap_or(PinUvAuthProtocol::One),
            hashes: 0,
        }
    }

    /// Whether a need is met; what is missing if not.
    pub(crate) fn meets(&self, need: Need) -> bool {
        let info = self.facts.info.as_ref();
        let offers = self.key.offers();
        match need {
            Need::Ctap2 => info.is_some(),
            Need::U2f => info.is_none_or(|info| info.has_version("U2F_V2")),
            Need::Option(name) => self.option(name).is_some(),
            Need::On(name) => self.option(name) == Some(true),
            Need::NotOn(name) => info.is_some() && self.option(name) != Some(true),
            Need::Lacks(name) => info.is_some() && self.option(name).is_none(),
            Need::Extension(name) => info.is_some_and(|info| info.has_extension(name)),
            Need::NoExtension(name) => info.is_some_and(|info| !info.has_extension(name)),
            Need::Protocol(number) => info
                .and_then(|info| info.pin_uv_auth_protocols.as_ref())
                .is_some_and(|all| all.contains(&number)),
            Need::Version(name) => info.is_some_and(|info| info.has_version(name)),
            Need::NotVersion(name) => info.is_some_and(|info| !info.has_version(name)),
            Need::Member(key) => self.member(key).is_some(),
            Need::Algorithm(alg) => self.algorithms().iter().any(|a| i64::from(a.0) == alg),
            Need::Config(code) => self.has_config(code),
            Need::Management => {
                self.option("credMgmt") == Some(true)
                    || self.option("credentialMgmtPreview") == Some(true)
            }
            Need::Power => offers.power,
            Need::Clock => offers.clock,
            Need::Person => offers.person,
            Need::Reports => offers.reports,
            Need::Card => offers.card,
        }
    }

    fn has_config(&self, code: u64) -> bool {
        let listed = self.facts.info.as_ref();
        match listed.and_then(|info| info.authenticator_config_commands.as_ref()) {
            Some(commands) => commands.contains(&code),
            None => {
                self.option("authnrCfg") == Some(true)
                    && match code {
                        1 => self.option("ep").is_some(),
                        2 => self.option("alwaysUv").is_some(),
                        3 => self.option("setMinPINLength") == Some(true),
                        _ => false,
                    }
            }
        }
    }

    /// getInfo of the key as new.
    pub(crate) fn new_info(&self) -> Outcome<&'a get_info::Response> {
        match &self.facts.info {
            Some(info) => Ok(info),
            None => not_applicable("the key speaks only U2F"),
        }
    }

    /// An option of getInfo as new.
    pub(crate) fn option(&self, name: &str) -> Option<bool> {
        self.member(4)?.get_text(name)?.as_bool()
    }

    /// A member of getInfo as new.
    pub(crate) fn member(&self, key: i64) -> Option<&'a Value> {
        self.facts.raw.as_ref()?.get_int(key)
    }

    /// The algorithms of the key; ES256 when it does not list them.
    pub(crate) fn algorithms(&self) -> Vec<CoseAlgorithm> {
        let listed = self.facts.info.as_ref().and_then(|i| i.algorithms.as_ref());
        match listed {
            Some(listed) => listed.iter().map(|params| params.alg).collect(),
            None => vec![CoseAlgorithm::ES256],
        }
    }

    /// ES256 if the key has it, else its first algorithm.
    pub(crate) fn algorithm(&self) -> CoseAlgorithm {
        let all = self.algorithms();
        if all.contains(&CoseAlgorithm::ES256) {
            CoseAlgorithm::ES256
        } else {
            all.first().copied().unwrap_or(CoseAlgorithm::ES256)
        }
    }

    /// Sends bytes as they are; the status and the members of the answer.
    ///
    /// Whatever is sent, every answer has a status, an error has nothing else, and members are one
    /// canonical map (CTAP 2.3 §8).
    pub(crate) fn raw(&mut self, request: &[u8]) -> Outcome<(Status, Vec<u8>)> {
        let answer = self.key.ctap2(self.channel, request)?;
        let Some((status, members)) = split_response(&answer) else {
            return failed("the answer is empty: not even a status");
        };
        if status != Status::OK && !members.is_empty() {
            return failed(format!("{status:?} with {} more bytes", members.len()));
        }
        if !members.is_empty() {
            match cbor::check(members) {
                Ok(()) if members[0] >> 5 == 5 => {}
                Ok(()) => return failed("the members of the answer are no map"),
                Err(e) => return failed(format!("the answer is not canonical CBOR: {e}")),
            }
        }
        Ok((status, members.to_vec()))
    }

    /// Sends a command; its status and members.
    pub(crate) fn send(
        &mut self,
        command: Command,
        parameters: &[u8],
    ) -> Outcome<(Status, Vec<u8>)> {
        self.raw(&request_bytes(command, parameters))
    }

    /// Sends a command that must work; its members.
    pub(crate) fn call(&mut self, command: Command, parameters: &[u8]) -> Outcome<Vec<u8>> {
        match self.send(command, parameters)? {
            (Status::OK, members) => Ok(members),
            (status, _) => failed(format!("{} answered {status:?}", command.name())),
        }
    }

    /// Sends a command that must be answered with this status.
    pub(crate) fn expect(&mut self, command: Command, parameters: &[u8], due: Status) -> Outcome {
        self.expect_any(command, parameters, &[due])
    }

    /// Sends a command that must be answered with one of these.
    pub(crate) fn expect_any(
        &mut self,
        command: Command,
        parameters: &[u8],
        due: &[Status],
    ) -> Outcome {
        let (status, _) = self.send(command, parameters)?;
        is_one_of(command.name(), status, due)
    }

    /// Sends bytes that must be answered with one of these.
    pub(crate) fn expect_raw(&mut self, request: &[u8], due: &[Status]) -> Outcome {
        let (status, _) = self.raw(request)?;
        is_one_of("the key", status, due)
    }

    /// getInfo now.
    pub(crate) fn info(&mut self) -> Outcome<get_info::Response> {
        let members = self.call(Command::GetInfo, &[])?;
        parsed("getInfo", get_info::Response::decode(&members))
    }

    /// An option of getInfo now.
    pub(crate) fn option_now(&mut self, name: &str) -> Outcome<Option<bool>> {
        let members = self.call(Command::GetInfo, &[])?;
        let value = Value::decode(&members).ok();
        Ok(value
            .as_ref()
            .and_then(|v| v.get_int(4)?.get_text(name)?.as_bool()))
    }

    /// A fresh client data hash: no two of a check are the same.
    pub(crate) fn hash(&mut self) -> [u8; 32] {
        self.hashes = self.hashes.wrapping_add(1);
        sha256(&[self.hashes, 0xcd])
    }

    /// Tells the person how to behave.
    pub(crate) fn person(&mut self, person: Person) -> Outcome {
        Ok(self.key.person(person)?)
    }

    /// How often a person was asked while `act` ran, if somebody counts.
    pub(crate) fn asked_in<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<(T, Option<u32>)> {
        let before = self.key.asked();
        let result = act(self)?;
        let after = self.key.asked();
        Ok((result, after.zip(before).map(|(a, b)| a - b)))
    }

    /// Takes the power and gives it back.
    pub(crate) fn power_cycle(&mut self) -> Outcome {
        Ok(self.key.power_cycle()?)
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: f64) -> Outcome {
        Ok(self.key.advance(Duration::from_secs_f64(seconds))?)
    }

    /// Sends a report.
    pub(crate) fn report(&mut self, report: &Report) -> Outcome {
        Ok(self.key.send_report(report)?)
    }

    /// Runs something on another channel.
    pub(crate) fn on<T>(
        &mut self,
        channel: usize,
        act: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<T> {
        let before = core::mem::replace(&mut self.channel, channel);
        let result = act(self);
        self.channel = before;
        result
    }
}

/// Whether the status is one that is due.
pub(crate) fn is_one_of(who: &str, status: Status, due: &[Status]) -> Outcome {
    if due.contains(&status) {
        return Ok(());
    }
    let due: Vec<_> = due.iter().map(|s| format!("{s:?}")).collect();
    failed(format!(
        "{who} answered {status:?}; due is {}",
        due.join(" or ")
    ))
}

/// What the key answered, read.
pub(crate) fn parsed<T, E: core::fmt::Debug>(what: &str, result: Result<T, E>) -> Outcome<T> {
    result.map_err(|e| Finding::Failed(format!("the answer of {what} does not read: {e:?}")))
}

/// What must be in an answer.
pub(crate) fn present<T>(what: &str, value: Option<T>) -> Outcome<T> {
    match value {
        Some(value) => Ok(value),
        None => failed(format!("{what} is missing in the answer")),
    }
}
