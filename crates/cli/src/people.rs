//! Names of users and groups, each looked up once.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::output::printable;

#[derive(Debug, Default)]
pub(crate) struct People {
    users: RefCell<HashMap<u32, Option<String>>>,
    groups: RefCell<HashMap<u32, Option<String>>>,
}

impl People {
    pub(crate) fn user(&self, uid: u32) -> Option<String> {
        let find = || Some(printable(&uzers::get_user_by_uid(uid)?.name().to_string_lossy()));
        self.users.borrow_mut().entry(uid).or_insert_with(find).clone()
    }

    pub(crate) fn group(&self, gid: u32) -> Option<String> {
        let find = || Some(printable(&uzers::get_group_by_gid(gid)?.name().to_string_lossy()));
        self.groups.borrow_mut().entry(gid).or_insert_with(find).clone()
    }

    /// The name, or the number of a user without one.
    pub(crate) fn user_or_number(&self, uid: u32) -> String {
        self.user(uid).unwrap_or_else(|| uid.to_string())
    }

    pub(crate) fn group_or_number(&self, gid: u32) -> String {
        self.group(gid).unwrap_or_else(|| gid.to_string())
    }
}

/// The uid of a name or number.
pub(crate) fn uid_of(text: &str) -> Result<u32, String> {
    match uzers::get_user_by_name(text) {
        Some(user) => Ok(user.uid()),
        None => text.parse().map_err(|_| format!("no user is called `{text}`")),
    }
}

/// The gid of a name or number.
pub(crate) fn gid_of(text: &str) -> Result<u32, String> {
    match uzers::get_group_by_name(text) {
        Some(group) => Ok(group.gid()),
        None => text.parse().map_err(|_| format!("no group is called `{text}`")),
    }
}
