//! `coseg chown`: owner and group.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use coseg_sysv::Change;

use super::for_each;
use crate::args::Global;
use crate::failure::Result;
use crate::people::{gid_of, uid_of};
use crate::selector::Selector;
use crate::view::{View, named};

const EXAMPLES: &str = "\
Examples:
  coseg chown postgres 0x4242          the owner
  coseg chown postgres:dba id:3        owner and group
  coseg chown :dba id:3                the group alone
  coseg chown 1000:1000 id:3           by number
The creator keeps the owner's rights: System V remembers both.";

/// Change owner and group
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chown {
    /// USER, USER:GROUP or :GROUP, names or numbers
    owner: Owner,
    /// The segments
    #[arg(required = true, value_name = "SEGMENT")]
    selectors: Vec<Selector>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Owner, String> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let some = |part: &str, find: fn(&str) -> Result<u32, String>| match part {
            "" => Ok(None),
            part => find(part).map(Some),
        };
        let owner = Owner { uid: some(user, uid_of)?, gid: some(group, gid_of)? };
        if owner.uid.is_none() && owner.gid.is_none() {
            return Err("write USER, USER:GROUP or :GROUP".to_owned());
        }
        Ok(owner)
    }
}

pub(crate) fn run(args: &Chown, global: &Global) -> Result<ExitCode> {
    let view = View::open(global)?;
    for_each(&args.selectors, |selector| {
        for listed in selector.all(&view)? {
            let stat = &listed.stat;
            let uid = args.owner.uid.unwrap_or(stat.uid);
            let gid = args.owner.gid.unwrap_or(stat.gid);
            view.segment(stat).set(Change { uid, gid, mode: stat.mode }).map_err(named(stat))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_by_name_and_number() {
        assert_eq!("root".parse(), Ok(Owner { uid: Some(0), gid: None }));
        assert_eq!("0:5".parse(), Ok(Owner { uid: Some(0), gid: Some(5) }));
        assert_eq!(":root".parse(), Ok(Owner { uid: None, gid: Some(0) }));
        assert!("no-such-user-here".parse::<Owner>().unwrap_err().contains("no-such-user-here"));
        assert!(":".parse::<Owner>().is_err());
    }
}
