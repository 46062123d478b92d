//! A software key and a platform in front of a site: the options of a ceremony go in, the credential
//! of `toJSON()` comes out. Also used by the tests of the program.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test file takes its part

use std::sync::Arc;

use lab::authenticator::{Profile, profile};
use lab::client::policy::HostPolicy;
use lab::client::profile::PlatformProfile;
use lab::client::prompt::Secret;
use lab::client::{Caller, Ceremony, Credential};
use lab::{Bench, Key, KeyState, Person, UserAction};
use serde_json::Value;

/// A person with a key, at a browser that shows a page of `origin`.
pub struct Desk {
    key: Option<Key>,
    pin: Option<Secret>,
    pub origin: String,
    platform: Arc<PlatformProfile>,
    seed: u8,
}

impl Desk {
    /// With a FIDO 2.1 key in this state. The platform makes nobody create a PIN.
    pub fn new(origin: &str, state: KeyState, seed: u8) -> Self {
        let (_, text) = profile::shipped()
            .iter()
            .find(|(id, _)| *id == "fido-2.1")
            .unwrap();
        let mut key = Key::fresh(&Profile::from_toml(text).unwrap(), [seed; 32]).unwrap();
        state.establish(&mut key).unwrap();
        Self {
            key: Some(key),
            pin: (state == KeyState::PinSet).then(|| Secret::from(KeyState::PIN)),
            origin: origin.to_owned(),
            platform: platform("chromium-linux"),
            seed,
        }
    }

    /// The same with another platform.
    pub fn on(mut self, id: &str) -> Self {
        self.platform = platform(id);
        self
    }

    /// The owner sets a PIN.
    pub fn set_pin(&mut self) {
        self.key.as_mut().unwrap().set_pin(KeyState::PIN).unwrap();
        self.pin = Some(Secret::from(KeyState::PIN));
    }

    /// `navigator.credentials.create()`.
    pub fn create(&mut self, options: &Value) -> Value {
        let options = serde_json::from_value(options.clone()).unwrap();
        let caller = self.caller();
        let platform = Arc::clone(&self.platform);
        self.run(Ceremony::create(
            options,
            caller,
            platform,
            HostPolicy::default(),
        ))
    }

    /// `navigator.credentials.get()`.
    pub fn get(&mut self, options: &Value) -> Value {
        let options = serde_json::from_value(options.clone()).unwrap();
        let caller = self.caller();
        let platform = Arc::clone(&self.platform);
        self.run(Ceremony::get(
            options,
            caller,
            platform,
            HostPolicy::default(),
        ))
    }

    fn caller(&self) -> Caller {
        Caller::top_level(self.origin.parse().unwrap())
    }

    fn run(&mut self, ceremony: Ceremony) -> Value {
        self.seed = self.seed.wrapping_add(1);
        let mut person = Person::new(UserAction::Accepts, self.pin.clone());
        let mut bench = Bench::start(self.key.take().unwrap(), ceremony, [self.seed; 32]);
        for _ in 0..60 {
            if bench.outcome().is_some() {
                break;
            }
            let answer = person.answer(&bench);
            bench.answer(answer).unwrap();
        }
        let outcome = bench.outcome().expect("an end");
        let credential = match &outcome.result {
            Ok(Credential::Registration(made)) => serde_json::to_value(made).unwrap(),
            Ok(Credential::Authentication(made)) => serde_json::to_value(made).unwrap(),
            Err(failure) => panic!("{failure:?}"),
        };
        self.key = Some(bench.into_key());
        credential
    }
}

fn platform(id: &str) -> Arc<PlatformProfile> {
    let mut all = lab::client::profile::all().into_iter();
    all.find(|platform| platform.id == id).unwrap()
}
