//! What sysctls set, besides time-outs (Documentation/networking/nf_conntrack-sysctl.rst).

/// Limits that all namespaces of a machine share; only the first one may change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `nf_conntrack_max`: entries of each namespace; 0 means no limit.
    pub max: u32,
    /// `nf_conntrack_buckets`
    pub buckets: u32,
    /// `nf_conntrack_expect_max`: expectations of each namespace.
    pub expect_max: u32,
}

impl Default for Limits {
    /// A machine with more than 4 GB of memory.
    fn default() -> Limits {
        Limits { max: 262_144, buckets: 262_144, expect_max: 4096 }
    }
}

impl Limits {
    /// `nf_conntrack_hash_resize`: the table of buckets fills whole pages.
    pub fn set_buckets(&mut self, wanted: u32) {
        let page = 4096 / 8;
        self.buckets = wanted.max(1).checked_next_multiple_of(page).unwrap_or(wanted);
    }
}

/// Settings of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtSettings {
    /// `nf_conntrack_acct`: entries count packets and bytes.
    pub acct: bool,
    /// `nf_conntrack_timestamp`: entries remember when they began.
    pub timestamp: bool,
    /// `nf_conntrack_checksum`: packets with a wrong checksum are invalid.
    pub checksum: bool,
    /// `nf_conntrack_log_invalid`: the protocol whose invalid packets are logged, 255 for all, 0 for none.
    pub log_invalid: u8,
    /// `nf_conntrack_events`: 0 nobody is told of changes, 1 yes, 2 if anybody listens.
    pub events: u8,
    /// `nf_conntrack_tcp_ignore_invalid_rst`
    pub tcp_ignore_invalid_rst: bool,
    /// Settings that are kept and change nothing, as what they are about is not modelled: in the order of [`UNUSED`].
    pub unused: [u32; UNUSED.len()],
}

/// Names behind `nf_conntrack_` of [`CtSettings::unused`], and their defaults.
pub const UNUSED: [(&str, u32); 5] = [
    ("gre_timeout", 30),
    ("gre_timeout_stream", 180),
    ("frag6_timeout", 60),
    ("frag6_low_thresh", 3_145_728),
    ("frag6_high_thresh", 4_194_304),
];

impl Default for CtSettings {
    fn default() -> CtSettings {
        CtSettings {
            acct: false,
            timestamp: false,
            checksum: true,
            log_invalid: 0,
            events: 2,
            tcp_ignore_invalid_rst: false,
            unused: UNUSED.map(|(_, default)| default),
        }
    }
}
