//! `pinward blobs`: what sites keep on a key beside their passkeys

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use client::manage::{BlobArray, ManageError, Passkey};
use ctap::client_pin::Permissions;
use ctap::{SecretBytes, Status};
use serde_json::json;
use webauthn::base64url;

use crate::authorise::PinArg;
use crate::device::{self, DeviceArg};
use crate::exit::{Exit, Fault};
use crate::passkeys::{self, Open, account, short_id};
use crate::secret::Named;
use crate::{confirm, say, table};

/// No blob that a key could keep is larger.
const MOST: u64 = 1 << 20;

/// Large blobs: a certificate, say, that a site keeps on the key with its passkey.
///
/// Each is encrypted for its own passkey, packed and written as CTAP §6.10 has it; `fido2-token -G -b`
/// reads what is put here, and the other way round.
#[derive(Debug, Subcommand)]
pub(crate) enum BlobsCommand {
    /// Lists which passkeys have one.
    List(ListArgs),
    /// Writes the blob of a passkey to the standard output, or into a file.
    Get(GetArgs),
    /// Puts a file in the place of the blob of a passkey.
    Put(PutArgs),
    /// Deletes the blob of a passkey.
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Print JSON, schema `pinward.blobs/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The passkey: its id in the list, or the whole credential ID.
    #[arg(required_unless_present = "blob_key")]
    id: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Into this file, which must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the largeBlobKey is, in base64, for a credential that is not in the list: env:NAME, stdin,
    /// fd:N, file:PATH or cmd:COMMAND. No PIN is asked then.
    #[arg(long, value_name = "WHERE", conflicts_with = "id")]
    blob_key: Option<Named>,
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The passkey: its id in the list, or the whole credential ID.
    id: String,
    /// The file; `-` for the standard input.
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The passkey: its id in the list, or the whole credential ID.
    id: String,
    #[command(flatten)]
    common: Common,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(command: &BlobsCommand) -> Result<(), Fault> {
    match command {
        BlobsCommand::List(args) => open(&args.common, false, |open, blobs| {
            print(open, blobs, &args.common, args.csv)
        }),
        BlobsCommand::Get(args) => get(args),
        BlobsCommand::Put(args) => {
            let blob = read(&args.file)?;
            open(&args.common, true, |open, blobs| {
                put(open, blobs, args, &blob)
            })
        }
        BlobsCommand::Delete(args) => {
            open(&args.common, true, |open, blobs| delete(open, blobs, args))
        }
    }
}

/// Opens the key, verifies its user and reads the array.
fn open(
    common: &Common,
    writes: bool,
    act: impl FnOnce(&mut Open<'_, '_>, BlobArray) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let listed = device::choose(common.device.device.as_deref())?;
    let mut permissions = Permissions::CREDENTIAL_MANAGEMENT;
    if writes {
        permissions = permissions | Permissions::LARGE_BLOB_WRITE;
    }
    let mut key = device::Key::open(listed.clone())?;
    // Said before a PIN is asked in vain.
    key.manager(&mut device::rng())?.keeps_blobs()?;
    drop(key);
    passkeys::with_permissions(&listed, &common.pin, permissions, |open| {
        let blobs = open.manager.blobs()?;
        act(open, blobs)
    })
}

fn key_of(passkey: &Passkey) -> Result<&SecretBytes, Fault> {
    passkey.large_blob_key.as_ref().ok_or_else(|| {
        Fault::refused(
            "this passkey has no largeBlobKey: its site did not ask for large blobs when it was made",
        )
    })
}

fn no_blob() -> Fault {
    Fault::new(
        Exit::NoKey,
        "this passkey has no blob; `pinward blobs list` shows which have",
    )
}

fn get(args: &GetArgs) -> Result<(), Fault> {
    let Some(named) = &args.blob_key else {
        return open(&args.common, false, |open, blobs| {
            let passkey = open.find(args.id.as_deref().unwrap_or_default())?;
            deliver(&blobs.blob(key_of(&passkey)?).ok_or_else(no_blob)?, args)
        });
    };
    let text = named.read()?;
    let plain = text
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    let key = base64url::decode(plain)
        .map(SecretBytes::from)
        .map_err(|_| Fault::usage("a largeBlobKey is 32 bytes in base64"))?;
    let mut device = args.common.device.open()?;
    let mut rng = device::rng();
    let blobs = device.manager(&mut rng)?.blobs()?;
    let none = || {
        Fault::new(
            Exit::NoKey,
            "no blob on this key opens with that largeBlobKey",
        )
    };
    deliver(&blobs.blob(&key).ok_or_else(none)?, args)
}

fn deliver(blob: &[u8], args: &GetArgs) -> Result<(), Fault> {
    if args.common.json {
        let json = json!({
            "schema": "pinward.blob/1",
            "bytes": blob.len(),
            "blob": base64url::encode(blob),
        });
        return Ok(say::json(&json)?);
    }
    let Some(path) = &args.out else {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(blob)?;
        return Ok(stdout.flush()?);
    };
    let at = |error| Fault::new(Exit::Failed, format!("{}: {error}", path.display()));
    let mut file = std::fs::File::create_new(path).map_err(at)?;
    file.write_all(blob).map_err(at)?;
    say::note(&format!(
        "{} bytes are in {}.\n",
        blob.len(),
        path.display()
    ));
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Fault> {
    let mut blob = Vec::new();
    let at = |error| Fault::usage(format!("{}: {error}", path.display()));
    if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MOST + 1)
            .read_to_end(&mut blob)?;
    } else {
        let file = std::fs::File::open(path).map_err(at)?;
        file.take(MOST + 1).read_to_end(&mut blob).map_err(at)?;
    }
    if blob.len() as u64 > MOST {
        return Err(Fault::usage("no key keeps so large a blob"));
    }
    Ok(blob)
}

fn put(
    open: &mut Open<'_, '_>,
    mut blobs: BlobArray,
    args: &PutArgs,
    blob: &[u8],
) -> Result<(), Fault> {
    let passkey = open.find(&args.id)?;
    let key = key_of(&passkey)?;
    if blobs.blob(key).as_deref() == Some(blob) {
        say::note(&format!(
            "{}: the blob was so already.\n",
            open.listed.name()
        ));
    } else {
        open.manager.put_blob(&mut blobs, key, blob)?;
        let room = open.manager.info().max_serialized_large_blob_array;
        if let Some(room) = room
            && blobs.size() as u64 > room
        {
            return Err(too_large(blobs.size(), Some(room)));
        }
        let written = open.manager.write_blobs(&blobs, Some(&open.token));
        written.map_err(|error| full(error, blobs.size(), room))?;
        say::note(&format!("{}: the blob is written.\n", open.listed.name()));
    }
    if args.common.json {
        print(open, blobs, &args.common, false)
    } else {
        Ok(())
    }
}

fn full(error: ManageError, size: usize, room: Option<u64>) -> Fault {
    match error.status() {
        Some(Status::LARGE_BLOB_STORAGE_FULL) => too_large(size, room),
        _ => error.into(),
    }
}

fn too_large(size: usize, room: Option<u64>) -> Fault {
    let room = room.map_or_else(|| "less".to_owned(), |room| room.to_string());
    Fault::refused(format!(
        "all blobs together would take {size} bytes, and this key has room for {room}; nothing was \
         changed"
    ))
}

fn delete(open: &mut Open<'_, '_>, mut blobs: BlobArray, args: &DeleteArgs) -> Result<(), Fault> {
    let passkey = open.find(&args.id)?;
    if !blobs.remove(key_of(&passkey)?) {
        return Err(no_blob());
    }
    let sentence = format!(
        "What {} keeps on this key with the passkey of {} is lost. The passkey stays.",
        passkey.rp_id,
        account(&passkey)
    );
    say::note(&say::wrapped("- ", 2, &sentence));
    confirm::word(args.yes, "yes")?;
    open.manager.write_blobs(&blobs, Some(&open.token))?;
    say::note(&format!("{}: the blob is deleted.\n", open.listed.name()));
    if args.common.json {
        print(open, blobs, &args.common, false)
    } else {
        Ok(())
    }
}

fn print(
    open: &mut Open<'_, '_>,
    blobs: BlobArray,
    common: &Common,
    csv: bool,
) -> Result<(), Fault> {
    let with_key = open.all.iter().filter_map(|passkey| {
        let key = passkey.large_blob_key.as_ref()?;
        Some((passkey, blobs.entry(key).map(|entry| entry.original_size)))
    });
    let with_key: Vec<_> = with_key.collect();
    let taken = with_key.iter().filter(|(_, size)| size.is_some()).count();
    let strangers = blobs.len() - taken;
    let room = open.manager.info().max_serialized_large_blob_array;
    if common.json {
        let list: Vec<_> = with_key
            .iter()
            .map(|(passkey, size)| {
                json!({
                    "id": short_id(passkey, &open.all),
                    "site": passkey.rp_id,
                    "name": passkey.user.name,
                    "credentialId": base64url::encode(&passkey.credential_id),
                    "bytes": size,
                })
            })
            .collect();
        let json = json!({
            "schema": "pinward.blobs/1",
            "key": open.listed.id,
            "arrayBytes": blobs.size(),
            "maxArrayBytes": room,
            "strangers": strangers,
            "blobs": list,
        });
        return Ok(say::json(&json)?);
    }
    let rows: Vec<_> = with_key
        .iter()
        .map(|(passkey, size)| {
            vec![
                short_id(passkey, &open.all),
                passkey.rp_id.clone(),
                account(passkey),
                size.map_or_else(|| "-".to_owned(), |size| size.to_string()),
            ]
        })
        .collect();
    let head = ["ID", "SITE", "ACCOUNT", "BYTES"];
    if csv {
        say::out(&table::csv(&head, &rows))?;
    } else if !rows.is_empty() {
        say::out(&table::text(&head, &rows))?;
    }
    let room = room.map_or_else(String::new, |room| format!(" of {room}"));
    let mut words = format!(
        "{}: the array takes {}{room} bytes",
        open.listed.name(),
        blobs.size()
    );
    if strangers > 0 {
        words.push_str(&format!(
            "; {strangers} entries belong to no passkey that is listed"
        ));
    }
    say::note(&format!("{words}.\n"));
    Ok(())
}
