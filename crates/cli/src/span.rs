//! Which bytes of a segment are meant: `--offset` and `--length`.

use std::ops::Range;

use clap::Args;
use coseg_sysv::Stat;

use crate::failure::{Failure, Result};
use crate::output;
use crate::size;
use crate::view::title;

#[derive(Clone, Debug, Args)]
pub(crate) struct Span {
    /// Start here: 4096, 4K or 0x1000
    #[arg(long, default_value = "0", value_name = "BYTES", value_parser = size::parse_place)]
    offset: usize,
    /// So many bytes [default: to the end]
    #[arg(long, value_name = "BYTES", value_parser = size::parse_place)]
    length: Option<usize>,
}

impl Span {
    /// The bytes, if the segment has them.
    pub(crate) fn within(&self, command: &str, stat: &Stat) -> Result<Range<usize>> {
        let rest = stat.size_bytes.saturating_sub(self.offset);
        let length = self.length.unwrap_or(rest);
        if self.offset > stat.size_bytes || length > rest {
            // In both notations, as the offset may have come from a line of `coseg hex`.
            return Err(Failure::error(format!(
                "{command} {}: ERANGE: {} at offset {} ({:#x}) do not lie in a segment of {} ({:#x})",
                title(stat),
                output::count(length as u64, "byte", "bytes"),
                self.offset,
                self.offset,
                output::count(stat.size_bytes as u64, "byte", "bytes"),
                stat.size_bytes,
            ))
            .hint("a smaller --offset or --length"));
        }
        Ok(self.offset..self.offset + length)
    }
}
