//! The test automation of the official FIDO conformance tool: it posts to port 3000 of this computer what
//! it wants done at the key (`docs/FIDO2/Automation.md` in the tool's public repository)

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use softkey::Remote;
use softkey::control::asking_json;

use crate::say::escaped;

/// Where the tool looks.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:3000";

/// The longest head and the longest body of a request.
const MAX_HEAD: u64 = 16 << 10;
const MAX_BODY: u64 = 1 << 20;
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the key may take to ask, once a touch was announced.
const ASKS_WITHIN: Duration = Duration::from_secs(30);

/// A port that takes the tool's calls. It is closed when the program ends.
#[derive(Debug)]
pub(crate) struct Automation {
    address: SocketAddr,
}

impl Automation {
    /// Listens, on loopback only: whoever can call it is the person at the key.
    pub(crate) fn listen(address: SocketAddr, key: Remote) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the automation has no authentication; it listens on loopback only, as 127.0.0.1:3000",
            ));
        }
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        std::thread::Builder::new()
            .name("automation".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let key = key.clone();
                    // Without a thread there is no answer, and the tool says so.
                    let _ = std::thread::Builder::new()
                        .name("automation call".to_owned())
                        .spawn(move || serve(&stream, &key));
                }
            })?;
        Ok(Self { address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A status line's number and the body.
type Answer = (u16, Value);

fn refuse(status: u16, why: &str) -> Answer {
    (status, json!({ "ok": false, "error": why }))
}

fn serve(stream: &TcpStream, key: &Remote) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (status, body) = match read(&mut reader) {
        Ok(call) => act(&call, key),
        Err(refusal) => refusal,
    };
    let body = body.to_string();
    let reason = match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        504 => "Gateway Timeout",
        _ => "Bad Request",
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    out.flush()
}

/// A request that was let in.
struct Call {
    path: String,
    body: Vec<u8>,
}

fn read(reader: &mut impl BufRead) -> Result<Call, Answer> {
    let bad = |why: &'static str| move |_| refuse(400, why);
    let mut head = reader.by_ref().take(MAX_HEAD);
    let mut line = String::new();
    head.read_line(&mut line)
        .map_err(bad("the request does not read"))?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next(), words.next());
    let (Some(method), Some(path)) = (method, path) else {
        return Err(refuse(400, "this is no HTTP request"));
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let (mut length, mut host) = (0, None);
    loop {
        line.clear();
        let read = head
            .read_line(&mut line)
            .map_err(bad("the head does not read"))?;
        if read == 0 {
            return Err(refuse(400, "the head of the request does not end"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value.parse().map_err(|_| refuse(400, "no such length"))?;
            }
            "host" => host = Some(value.to_owned()),
            // A page in a browser can post to this computer too; the tool is no page of a site.
            "origin" if !value.starts_with("file:") => {
                return Err(refuse(403, "pages of the web are not let in"));
            }
            "transfer-encoding" => return Err(refuse(400, "say how long the body is")),
            _ => {}
        }
    }
    if !host.is_some_and(|host| is_this_computer(&host)) {
        return Err(refuse(403, "call it localhost"));
    }
    if method != "POST" {
        return Err(refuse(405, "post it"));
    }
    if length > MAX_BODY {
        return Err(refuse(413, "the body is too long"));
    }
    let mut body = Vec::new();
    reader
        .take(length)
        .read_to_end(&mut body)
        .map_err(bad("the body does not read"))?;
    Ok(Call { path, body })
}

/// A name that somebody else's DNS makes point here is not ours.
fn is_this_computer(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn act(call: &Call, key: &Remote) -> Answer {
    match call.path.as_str() {
        "/conformance/userpresence" => {
            let Some(interaction) = key.wait_asking(ASKS_WITHIN) else {
                return refuse(504, "the key asks for nothing");
            };
            key.user(interaction.consent());
            key.sync();
            (
                200,
                json!({ "ok": true, "asked": asking_json(&interaction) }),
            )
        }
        "/conformance/powercycle" => {
            key.power_cycle();
            match key.sync() {
                true => (200, json!({ "ok": true })),
                false => refuse(504, "the key does not answer"),
            }
        }
        "/conformance/results" => {
            eprintln!(
                "conformance results: {}",
                escaped(&String::from_utf8_lossy(&call.body))
            );
            (200, json!({ "ok": true }))
        }
        _ => refuse(
            404,
            "there is userpresence, powercycle and results, below /conformance/",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn status(request: &str) -> u16 {
        match read(&mut request.as_bytes()) {
            Ok(_) => 200,
            Err((status, _)) => status,
        }
    }

    #[test]
    fn the_tool_is_let_in_and_pages_of_the_web_are_not() {
        let post = |more: &str| format!("POST /conformance/powercycle HTTP/1.1\r\n{more}\r\n");
        assert_eq!(status(&post("Host: localhost:3000\r\n")), 200);
        assert_eq!(status(&post("host: 127.0.0.1\r\norigin: file://\r\n")), 200);
        assert_eq!(status(&post("Host: [::1]:3000\r\n")), 200);
        for bad in [
            "Host: localhost:3000\r\nOrigin: https://example.com\r\n",
            "Host: localhost:3000\r\nOrigin: null\r\n",
            "Host: rebound.example:3000\r\n",
            "",
        ] {
            assert_eq!(status(&post(bad)), 403, "{bad}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(status(""), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
        assert_eq!(status("POST / HTTP/1.1\r\nHost: localhost\r\n"), 400);
        let long = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
            "x".repeat(20_000)
        );
        assert_ne!(status(&long), 200);
        let body = |length: &str| {
            status(&format!(
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
            ))
        };
        assert_eq!(body("-1"), 400);
        assert_eq!(body("9999999"), 413);
        let call = "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nabc";
        let call = read(&mut call.as_bytes()).unwrap_or_else(|(status, _)| panic!("{status}"));
        assert_eq!((call.path.as_str(), &call.body[..]), ("/x", &b"ab"[..]));
    }
}
