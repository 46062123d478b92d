//! Sign-ins per second over HTTP, durable, beside what the store does alone.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin sign_ins -- [postgres://URL]` prints
//! Markdown. Every client is an honest one: its own key and account, a fresh challenge each time, a
//! fresh signature over it, a connection that it keeps. Nodes are processes of their own. Clients,
//! nodes and database share the machine, so the figures are what one machine does with all three.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use server::{Rate, Service, ServiceConfig, Storage, UserVerificationPolicy};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{self, Aaguid, AttestedCredentialData, Flags};
use webauthn::base64url;
use webauthn::client_data::{self, TYPE_CREATE, TYPE_GET};
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ORIGIN: &str = "http://localhost:4433";
const HOST: &str = "localhost:4433";
const CLIENTS: [usize; 2] = [16, 128];
const TIME: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, storage] = &args[..]
        && word == "node"
    {
        return node(storage).await;
    }
    let postgres = args.first().cloned();
    println!(
        "| store | nodes | clients | sign-ins a second | median ms | p99 ms | shed | store alone | of it |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let directory = tempfile::tempdir_in(".")?;
    for clients in CLIENTS {
        let file = |name: &str| {
            directory
                .path()
                .join(format!("{name}-{clients}"))
                .display()
                .to_string()
        };
        row("SQLite", &file("http"), &file("alone"), 1, clients).await?;
        if let Some(url) = &postgres {
            for nodes in [1, 2] {
                row("PostgreSQL", url, url, nodes, clients).await?;
            }
        }
    }
    Ok(())
}

fn storage(text: &str) -> Storage {
    if text.starts_with("postgres") {
        Storage::Postgres {
            url: text.to_owned(),
            connections: 16,
        }
    } else {
        Storage::File(text.into())
    }
}

/// A node: says where it listens, and runs until it is killed.
async fn node(at: &str) -> Result<()> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let policy = UserVerificationPolicy::Always;
    let mut config = ServiceConfig::new(listen, ORIGIN, "Example", policy, storage(at));
    // Every client says that it is somebody else's, as behind a proxy.
    config.trusted_proxies = vec![listen.ip()];
    config.address_rate = Rate::new(1_000_000, 1_000_000);
    config.account_rate = Rate::new(1_000_000, 1_000_000);
    let service = Service::bind(config).await?;
    println!("{}", service.address());
    Ok(service.run(std::future::pending()).await?)
}

async fn row(name: &str, at: &str, alone: &str, nodes: usize, clients: usize) -> Result<()> {
    let limit = server::measure_store(&storage(alone), clients, TIME).await?;
    let mut children = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..nodes {
        let mut child = tokio::process::Command::new(std::env::current_exe()?)
            .args(["node", at])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let line = BufReader::new(out).lines().next_line().await?;
        addresses.push(line.ok_or("the node ended")?.parse::<SocketAddr>()?);
        children.push(child);
    }
    let mut everybody = Vec::new();
    for n in 0..clients {
        everybody.push(Client::sign_up(addresses[n % nodes], n).await?);
    }
    let shed = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = everybody
        .into_iter()
        .map(|client| tokio::spawn(client.sign_in_until(start + TIME, shed.clone())))
        .collect();
    let mut taken: Vec<Duration> = Vec::new();
    for task in tasks {
        taken.extend(task.await??);
    }
    let rate = taken.len() as f64 / start.elapsed().as_secs_f64();
    taken.sort_unstable();
    let at = |percent: usize| {
        let index = (taken.len() * percent / 100).min(taken.len().saturating_sub(1));
        taken
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    println!(
        "| {name} | {nodes} | {clients} | {rate:.0} | {:.1} | {:.1} | {} | {limit:.0} | {:.2} |",
        at(50),
        at(99),
        shed.load(Ordering::Relaxed),
        rate / limit
    );
    for child in &mut children {
        child.kill().await?;
    }
    Ok(())
}

/// A person with a key, at a browser that keeps its connection and cookie.
struct Client {
    stream: BufReader<TcpStream>,
    cookie: String,
    caller: String,
    name: String,
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    count: u32,
}

impl Client {
    async fn sign_up(address: SocketAddr, n: usize) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut id = vec![0; 32];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| "no random numbers")?;
        let mut client = Self {
            stream: BufReader::new(stream),
            cookie: String::new(),
            caller: format!("198.18.{}.{}", n / 250, n % 250 + 1),
            name: format!("load-{}", base64url::encode(&id[..12])),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            id,
            count: 0,
        };
        let name = json!({ "userName": client.name });
        let (status, begun) = client.post("/api/registration/options", &name).await?;
        if status != 200 {
            return Err(format!("{status}: {begun}").into());
        }
        let body = client.created(&begun)?;
        let (status, answer) = client.post("/api/registration/verification", &body).await?;
        if status != 200 {
            return Err(format!("{status}: {answer}").into());
        }
        Ok(client)
    }

    async fn sign_in_until(mut self, end: Instant, shed: Arc<AtomicU64>) -> Result<Vec<Duration>> {
        let mut taken = Vec::new();
        while Instant::now() < end {
            let start = Instant::now();
            match self.sign_in().await? {
                200 => taken.push(start.elapsed()),
                429 | 503 => {
                    shed.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return Err(format!("a sign-in ended with {other}").into()),
            }
        }
        Ok(taken)
    }

    async fn sign_in(&mut self) -> Result<u16> {
        let name = json!({ "userName": self.name });
        let (status, begun) = self.post("/api/authentication/options", &name).await?;
        if status != 200 {
            return Ok(status);
        }
        let body = self.signed(&begun)?;
        Ok(self
            .post("/api/authentication/verification", &body)
            .await?
            .0)
    }

    fn created(&self, begun: &Value) -> Result<Value> {
        let point = &self.pair.public_key().as_ref()[1..];
        let key = CoseKey::Ec2 {
            alg: CoseAlgorithm::ES256,
            crv: curve::P256,
            x: point[..32].to_vec(),
            y: point[32..].to_vec(),
        }
        .encode();
        let attested = AttestedCredentialData {
            aaguid: Aaguid::ZERO,
            credential_id: &self.id,
            credential_public_key: &key,
        };
        let flags = Flags::UP.with(Flags::UV, true);
        let hash = sha256(b"localhost");
        let auth_data = authenticator_data::encode(&hash, flags, 0, Some(&attested), None);
        let object = AttestationObject {
            fmt: "none",
            att_stmt: &[0xa0],
            auth_data: &auth_data,
        };
        let client_data =
            client_data::serialize(TYPE_CREATE, &challenge(begun)?, ORIGIN, false, None);
        Ok(json!({ "ceremony": begun["ceremony"], "credential": {
            "id": base64url::encode(&self.id),
            "rawId": base64url::encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": base64url::encode(&client_data),
                "attestationObject": base64url::encode(&object.encode()),
                "authenticatorData": base64url::encode(&auth_data),
                "transports": ["usb"],
                "publicKeyAlgorithm": -7,
            },
            "clientExtensionResults": {},
        }}))
    }

    fn signed(&mut self, begun: &Value) -> Result<Value> {
        self.count += 1;
        let client_data = client_data::serialize(TYPE_GET, &challenge(begun)?, ORIGIN, false, None);
        let flags = Flags::UP.with(Flags::UV, true);
        let hash = sha256(b"localhost");
        let auth_data = authenticator_data::encode(&hash, flags, self.count, None, None);
        let signed = [&auth_data[..], &sha256(&client_data)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed)?;
        Ok(json!({ "ceremony": begun["ceremony"], "credential": {
            "id": base64url::encode(&self.id),
            "rawId": base64url::encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": base64url::encode(&client_data),
                "authenticatorData": base64url::encode(&auth_data),
                "signature": base64url::encode(signature.as_ref()),
            },
            "clientExtensionResults": {},
        }}))
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\nCookie: {}\r\n\
             X-Forwarded-For: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.cookie,
            self.caller,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err("the connection ended".into());
            }
            let text = line.trim_end();
            if let Some(code) = text.strip_prefix("HTTP/1.1 ") {
                status = code.get(..3).ok_or("no status")?.parse()?;
            } else if let Some(value) = text.strip_prefix("content-length: ") {
                length = value.parse()?;
            } else if let Some(value) = text.strip_prefix("set-cookie: ") {
                self.cookie = value.split(';').next().unwrap_or_default().to_owned();
            } else if text.is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await?;
        Ok((status, serde_json::from_slice(&bytes)?))
    }
}

fn challenge(begun: &Value) -> Result<Vec<u8>> {
    let text = begun["publicKey"]["challenge"]
        .as_str()
        .ok_or("no challenge")?;
    Ok(base64url::decode(text)?)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
