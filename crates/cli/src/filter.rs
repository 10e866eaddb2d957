//! Which segments `ls` shows and `rm` takes where none is named.

use clap::Args;
use coseg_sysv::{Key, Listed, caller};

use crate::{selector, size};

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only those you own
    #[arg(long, help_heading = "Filters")]
    pub(crate) mine: bool,
    /// Only those nobody is attached to
    #[arg(long, help_heading = "Filters")]
    pub(crate) unattached: bool,
    /// Only those removed and still attached
    #[arg(long, help_heading = "Filters")]
    pub(crate) removed: bool,
    /// Only the one of this key
    #[arg(long, help_heading = "Filters", value_parser = selector::parse_key, allow_hyphen_values = true)]
    pub(crate) key: Option<Key>,
    /// Only those larger than this, such as 1M
    #[arg(long, help_heading = "Filters", value_name = "SIZE", value_parser = size::parse)]
    pub(crate) larger: Option<u64>,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        !(self.mine || self.unattached || self.removed) && self.key.is_none() && self.larger.is_none()
    }

    pub(crate) fn accepts(&self, listed: &Listed) -> bool {
        let stat = &listed.stat;
        (!self.mine || stat.uid == caller::effective_uid())
            && (!self.unattached || stat.attachment_count == 0)
            && (!self.removed || stat.removed)
            && self.key.is_none_or(|key| stat.key == key)
            && self.larger.is_none_or(|limit| stat.size_bytes as u64 > limit)
    }
}
