//! Whether a segment is a region, and which, without attaching it: attachments are counted, and programs act on the
//! count.

use coseg::{Label, Peek};
use coseg_sysv::Stat;

use crate::contents::sources;
use crate::view::View;

/// Looks at a segment's first bytes.
pub(crate) fn peek(view: &View, stat: &Stat) -> Peek {
    if stat.size_bytes < Label::BYTES_MIN {
        return Peek::Plain;
    }
    let looks = sources(view, stat).map(|source| Label::peek(|offset, bytes| source.read(offset, bytes)));
    looks.into_iter().find(|look| *look != Peek::Unknown).unwrap_or(Peek::Unknown)
}
