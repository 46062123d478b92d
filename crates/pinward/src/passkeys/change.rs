//! Renaming and deleting a passkey

use client::manage::ManageError;

use super::{DeleteArgs, Open, RenameArgs, account, details};
use crate::exit::Fault;
use crate::say::noteln;
use crate::{confirm, say};

pub(super) fn rename(open: &mut Open<'_, '_>, args: &RenameArgs) -> Result<(), Fault> {
    let passkey = open.find(&args.one.id)?;
    let mut user = passkey.user.clone();
    // A name that is not given stays: an absent one would be removed.
    user.name = args.name.clone().or(user.name);
    user.display_name = args.display_name.clone().or(user.display_name);
    if user == passkey.user {
        noteln!("{}: it has that name already.", open.listed.name());
    } else {
        open.manager
            .rename_passkey(&passkey.credential_id, user.clone(), &open.token)?;
        open.read_back()?;
        let now = open
            .all
            .iter()
            .find(|p| p.credential_id == passkey.credential_id);
        match now {
            Some(now) if now.user == user => {
                noteln!("{}: the passkey is renamed.", open.listed.name());
            }
            // Keys may cut long names (WebAuthn L3 §6.4.1).
            Some(_) => noteln!(
                "{}: the passkey is renamed, but the key did not keep the whole name.",
                open.listed.name()
            ),
            None => return Err(ManageError::NotAsSaid("the passkey is gone").into()),
        }
    }
    let now: Vec<_> = open
        .all
        .iter()
        .filter(|p| p.credential_id == passkey.credential_id)
        .cloned()
        .collect();
    if args.one.json {
        open.print(&now, true, details)?;
    }
    Ok(())
}

pub(super) fn delete(open: &mut Open<'_, '_>, args: &DeleteArgs) -> Result<(), Fault> {
    let passkey = open.find(&args.one.id)?;
    let sentence = format!(
        "With this key you can then no longer sign in to {} as {} without another way in. Nobody can \
         bring it back.",
        passkey.rp_id,
        account(&passkey)
    );
    say::note(&say::wrapped("- ", 2, &sentence));
    confirm::word(args.yes, "yes")?;
    open.manager
        .delete_passkey(&passkey.credential_id, &open.token)?;
    open.read_back()?;
    if open
        .all
        .iter()
        .any(|p| p.credential_id == passkey.credential_id)
    {
        return Err(ManageError::NotAsSaid("the passkey is still there").into());
    }
    noteln!("{}: the passkey is deleted.", open.listed.name());
    if args.one.json {
        let all = open.all.clone();
        open.print(&all, true, details)?;
    }
    Ok(())
}
