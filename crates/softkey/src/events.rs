//! What happens at a key, for those who follow it

use std::sync::Arc;
use std::time::Duration;

use authenticator::{Interaction, UserEvent};

use crate::Ended;
use crate::prompts::Prompts;
use crate::remote::Shared;

/// Something that happened at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyEvent {
    /// It asks its user for something.
    Asking(Interaction),
    /// What it asked for is over.
    Idle,
    /// A platform made it wink.
    Wink,
    /// Its power was cut and given back.
    PowerCycled,
    /// It was taken off its wire.
    Unplugged,
    /// It was put on a wire, here.
    Plugged(String),
    /// It ended.
    Ended(Ended),
}

/// Prompts that tell the followers first.
pub(crate) struct Announced {
    inner: Box<dyn Prompts>,
    shared: Arc<Shared>,
}

impl Announced {
    pub(crate) fn new(inner: Box<dyn Prompts>, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl Prompts for Announced {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        self.shared.announce(&KeyEvent::Asking(interaction.clone()));
        self.inner.asked(interaction)
    }

    fn later(&mut self) -> Option<(Duration, UserEvent)> {
        self.inner.later()
    }

    fn ended(&mut self) {
        self.shared.announce(&KeyEvent::Idle);
        self.inner.ended();
    }

    fn wink(&mut self) {
        self.shared.announce(&KeyEvent::Wink);
        self.inner.wink();
    }
}
