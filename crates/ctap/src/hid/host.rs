//! CTAP 2.3 §11.2 the platform's end of one CTAPHID channel

use super::{
    Assembly, BROADCAST, Capabilities, Command, ErrorCode, MAX_PAYLOAD, NONCE_SIZE, Packet, Report,
    fragment, parse,
};

/// What INIT tells about an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitResponse {
    /// The channel for further requests.
    pub channel: u32,
    /// CTAPHID protocol version.
    pub protocol: u8,
    /// Major, minor and build number of the device.
    pub version: [u8; 3],
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What came from the authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEvent {
    /// INIT was answered; requests may be sent.
    Opened(InitResponse),
    /// The answer to the request.
    Reply {
        /// The command of the request.
        command: Command,
        /// The whole payload.
        payload: Vec<u8>,
    },
    /// Still at work; see [`super::keepalive`].
    KeepAlive(u8),
    /// The request was refused on the CTAPHID level.
    Error(ErrorCode),
}

/// A request that cannot be sent, or an answer that is not CTAPHID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No channel yet: [`Host::open`] first.
    #[error("the CTAPHID channel is not open")]
    NotOpen,
    /// An earlier request has not been answered.
    #[error("a request is already under way on this CTAPHID channel")]
    Busy,
    /// More than CTAPHID can carry.
    #[error("a message of {0} bytes does not fit CTAPHID")]
    TooLong(usize),
    /// Packets of the answer came out of order.
    #[error("the key's answer has packets missing or out of order")]
    Sequence,
    /// An answer to another command, or of an impossible length.
    #[error("the key answered something else than was asked")]
    Unexpected,
}

#[derive(Debug)]
enum State {
    Idle,
    /// Waits for the answer to INIT with this nonce.
    Opening([u8; NONCE_SIZE]),
    /// Waits for the answer to a request.
    Waiting {
        command: Command,
        assembly: Option<Assembly>,
    },
}

/// The platform's end of one channel: one request at a time.
#[derive(Debug)]
pub struct Host {
    channel: u32,
    state: State,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host without a channel.
    #[must_use]
    pub fn new() -> Self {
        Self {
            channel: BROADCAST,
            state: State::Idle,
        }
    }

    /// The channel that INIT gave, once it did.
    #[must_use]
    pub fn channel(&self) -> Option<u32> {
        (self.channel != BROADCAST).then_some(self.channel)
    }

    /// Asks for a channel, or resynchronises the one there is (its running request is given up).
    ///
    /// `nonce` has to be random: it tells this host's answer from those of others.
    #[must_use]
    pub fn open(&mut self, nonce: [u8; NONCE_SIZE]) -> Report {
        self.state = State::Opening(nonce);
        super::report(
            self.channel,
            &[Command::INIT.0 | super::TYPE_INIT, 0, 8],
            &nonce,
        )
    }

    /// Starts a request: the reports to send.
    ///
    /// # Errors
    ///
    /// Without a channel, while another request runs, or for a payload of more than
    /// [`MAX_PAYLOAD`] bytes.
    pub fn request(&mut self, command: Command, payload: &[u8]) -> Result<Vec<Report>, HostError> {
        let channel = self.channel().ok_or(HostError::NotOpen)?;
        if !matches!(self.state, State::Idle) {
            return Err(HostError::Busy);
        }
        if payload.len() > MAX_PAYLOAD {
            return Err(HostError::TooLong(payload.len()));
        }
        self.state = State::Waiting {
            command,
            assembly: None,
        };
        Ok(fragment(channel, command, payload))
    }

    /// CANCEL for a running CBOR request; the request still gets an answer.
    #[must_use]
    pub fn cancel(&self) -> Option<Report> {
        match self.state {
            State::Waiting {
                command: Command::CBOR,
                ..
            } => fragment(self.channel, Command::CANCEL, &[]).pop(),
            _ => None,
        }
    }

    /// Takes one report. Reports for others, and spurious ones, give `Ok(None)`.
    ///
    /// # Errors
    ///
    /// When the answer is broken; the request is over then, and [`Host::open`] resynchronises.
    pub fn receive(&mut self, report: &Report) -> Result<Option<HostEvent>, HostError> {
        let (channel, packet) = parse(report);
        if channel != self.channel {
            return Ok(None);
        }
        match (&mut self.state, packet) {
            (
                State::Opening(nonce),
                Packet::Init {
                    command: Command::INIT,
                    length,
                    data,
                },
            ) => {
                let Some(opened) = init_response(nonce, length, data) else {
                    return Ok(None);
                };
                self.channel = opened.channel;
                self.state = State::Idle;
                Ok(Some(HostEvent::Opened(opened)))
            }
            (
                State::Waiting { assembly: None, .. },
                Packet::Init {
                    command: Command::KEEPALIVE,
                    length: 1,
                    data,
                },
            ) => Ok(Some(HostEvent::KeepAlive(data[0]))),
            // Errors on broadcast are refusals of anybody's INIT: they carry no nonce.
            (
                State::Opening(_) | State::Waiting { assembly: None, .. },
                Packet::Init {
                    command: Command::ERROR,
                    length: 1,
                    data,
                },
            ) => {
                self.state = State::Idle;
                Ok(Some(HostEvent::Error(ErrorCode(data[0]))))
            }
            (State::Waiting { .. }, _) => self.collect(packet),
            _ => Ok(None),
        }
    }

    fn collect(&mut self, packet: Packet<'_>) -> Result<Option<HostEvent>, HostError> {
        let State::Waiting {
            command: asked,
            assembly: mut gathered,
        } = core::mem::replace(&mut self.state, State::Idle)
        else {
            return Ok(None);
        };
        match (packet, &mut gathered) {
            (
                Packet::Init {
                    command,
                    length,
                    data,
                },
                None,
            ) => {
                if command != asked || length > MAX_PAYLOAD {
                    return Err(HostError::Unexpected);
                }
                gathered = Some(Assembly::new(command, length, data));
            }
            (Packet::Cont { sequence, data }, Some(assembly)) => {
                if !assembly.next(sequence, data) {
                    return Err(HostError::Sequence);
                }
            }
            (Packet::Init { .. }, Some(_)) => return Err(HostError::Sequence),
            (Packet::Cont { .. }, None) => {}
        }
        match gathered {
            Some(assembly) if assembly.is_complete() => Ok(Some(HostEvent::Reply {
                command: asked,
                payload: assembly.data,
            })),
            gathered => {
                self.state = State::Waiting {
                    command: asked,
                    assembly: gathered,
                };
                Ok(None)
            }
        }
    }
}

/// The answer to our INIT, or `None` when it is not ours or not whole.
fn init_response(
    nonce: &[u8; NONCE_SIZE],
    length: usize,
    data: &[u8; super::INIT_DATA],
) -> Option<InitResponse> {
    // Later versions may append to the 17 bytes.
    let (answered, data) = data.split_first_chunk::<NONCE_SIZE>()?;
    let (&channel, data) = data.split_first_chunk::<4>()?;
    let &[protocol, major, minor, build, flags] = data.first_chunk()?;
    let channel = u32::from_be_bytes(channel);
    if length < 17 || answered != nonce || channel == 0 || channel == BROADCAST {
        return None;
    }
    Some(InitResponse {
        channel,
        protocol,
        version: [major, minor, build],
        capabilities: Capabilities(flags),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn init_answer(channel: u32, nonce: u8, given: u32) -> Report {
        let payload = [&[nonce; 8][..], &given.to_be_bytes(), &[2, 5, 6, 7, 4]].concat();
        fragment(channel, Command::INIT, &payload)[0]
    }

    fn opened() -> Host {
        let mut host = Host::new();
        let report = host.open([1; 8]);
        assert_eq!(
            report[..15],
            [255, 255, 255, 255, 0x86, 0, 8, 1, 1, 1, 1, 1, 1, 1, 1]
        );
        assert_eq!(
            host.receive(&init_answer(BROADCAST, 2, 8)),
            Ok(None),
            "another's nonce"
        );
        let answer = host.receive(&init_answer(BROADCAST, 1, 9)).unwrap();
        let expected = InitResponse {
            channel: 9,
            protocol: 2,
            version: [5, 6, 7],
            capabilities: Capabilities::CBOR,
        };
        assert_eq!(answer, Some(HostEvent::Opened(expected)));
        host
    }

    #[test]
    fn requests_need_a_channel_and_run_one_at_a_time() {
        let mut host = Host::new();
        assert_eq!(host.request(Command::PING, &[]), Err(HostError::NotOpen));
        let mut host = opened();
        assert_eq!(host.channel(), Some(9));
        let long = vec![0; MAX_PAYLOAD + 1];
        assert_eq!(
            host.request(Command::PING, &long),
            Err(HostError::TooLong(7610))
        );
        assert_eq!(host.request(Command::PING, &[1]).unwrap().len(), 1);
        assert_eq!(host.request(Command::PING, &[1]), Err(HostError::Busy));
        assert_eq!(host.cancel(), None, "only CBOR requests can be cancelled");
    }

    #[test]
    fn answers_are_gathered_among_foreign_reports_and_keepalives() {
        let mut host = opened();
        host.request(Command::CBOR, &[4]).unwrap();
        assert_eq!(host.cancel().unwrap()[..7], [0, 0, 0, 9, 0x91, 0, 0]);
        let answer = fragment(9, Command::CBOR, &[3; 100]);
        let foreign = fragment(8, Command::CBOR, &[9; 100]);
        let alive = fragment(9, Command::KEEPALIVE, &[2])[0];
        assert_eq!(host.receive(&foreign[0]), Ok(None));
        assert_eq!(host.receive(&alive), Ok(Some(HostEvent::KeepAlive(2))));
        assert_eq!(host.receive(&answer[1]), Ok(None), "spurious continuation");
        assert_eq!(host.receive(&answer[0]), Ok(None));
        assert_eq!(host.receive(&foreign[1]), Ok(None));
        let reply = HostEvent::Reply {
            command: Command::CBOR,
            payload: vec![3; 100],
        };
        assert_eq!(host.receive(&answer[1]), Ok(Some(reply)));
        assert_eq!(host.receive(&answer[0]), Ok(None), "nothing is asked now");
    }

    #[test]
    fn errors_end_the_request() {
        let mut host = opened();
        host.request(Command::CBOR, &[4]).unwrap();
        let busy = fragment(9, Command::ERROR, &[6])[0];
        assert_eq!(
            host.receive(&busy),
            Ok(Some(HostEvent::Error(ErrorCode::CHANNEL_BUSY)))
        );
        assert!(host.request(Command::CBOR, &[4]).is_ok());
    }

    #[test]
    fn broken_answers_are_errors_and_open_resynchronises() {
        let mut host = opened();
        let answer = fragment(9, Command::CBOR, &[3; 200]);
        for (broken, error) in [
            (
                vec![fragment(9, Command::PING, &[1])[0]],
                HostError::Unexpected,
            ),
            (
                vec![fragment(9, Command::KEEPALIVE, &[1, 2])[0]],
                HostError::Unexpected,
            ),
            (vec![answer[0], answer[2]], HostError::Sequence),
            (vec![answer[0], answer[0]], HostError::Sequence),
        ] {
            host.request(Command::CBOR, &[4]).unwrap();
            let mut last = Ok(None);
            for report in &broken {
                last = host.receive(report);
            }
            assert_eq!(last, Err(error));
            let resync = host.open([5; 8]);
            assert_eq!(resync[..5], [0, 0, 0, 9, 0x86]);
            assert!(matches!(
                host.receive(&init_answer(9, 5, 9)),
                Ok(Some(HostEvent::Opened(InitResponse { channel: 9, .. })))
            ));
        }
    }

    #[test]
    fn a_channel_of_zero_or_broadcast_is_not_taken() {
        for given in [0, BROADCAST] {
            let mut host = Host::new();
            let _ = host.open([1; 8]);
            assert_eq!(host.receive(&init_answer(BROADCAST, 1, given)), Ok(None));
        }
    }
}
