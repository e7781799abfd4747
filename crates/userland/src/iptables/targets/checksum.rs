//! `-j CHECKSUM`.

use crate::diagnostic::Fault;
use crate::iptables::text::{Opt, Seen};

/// Its options: the one thing that it does.
pub(super) const OPTIONS: &[Opt] = &[Opt::flag(&["checksum-fill"])];

pub(super) fn finish(seen: &Seen) -> Result<(), Fault> {
    seen.need("CHECKSUM", "checksum-fill")
}
