//! What differs between kernel versions in IPVS, by the switches of [`crate::Switch`].

use crate::{Era, Switch};

/// What becomes of a new TCP connection whose addresses and ports are those of one that is over (`conn_reuse_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortReuse {
    /// It goes on with the old server.
    Never,
    /// It gets a server anew. If conntrack follows connections, its first packet is dropped (one second is lost).
    Tracked,
    /// The same, but dropped only if conntrack's entry is an old one.
    Unconfirmed,
}

impl Era {
    pub(super) fn ipvs_port_reuse(self) -> PortReuse {
        match (self.has(Switch::IpvsPortReuse), self.has(Switch::IpvsReuseUnconfirmed)) {
            (false, _) => PortReuse::Never,
            (true, false) => PortReuse::Tracked,
            (true, true) => PortReuse::Unconfirmed,
        }
    }

    pub(super) fn ipvs_counts_syn(self) -> bool {
        self.has(Switch::IpvsSynActive)
    }

    pub(super) fn ipvs_assures_templates(self) -> bool {
        self.has(Switch::IpvsAssured)
    }

    pub(super) fn ipvs_decrements_ttl(self) -> bool {
        self.has(Switch::IpvsTtl)
    }

    pub(super) fn ipvs_flushes_nodest(self) -> bool {
        self.has(Switch::IpvsFlushNodest)
    }

    pub(super) fn ipvs_hashes_low_bits(self) -> bool {
        !self.has(Switch::IpvsHash)
    }

    pub(crate) fn ipvs_hooks_with_services(self) -> bool {
        self.has(Switch::IpvsHooks)
    }
}
