//! `-j NFLOG` (net/netfilter/xt_NFLOG.c): nobody listens to the group here, so the packet only passes by.

/// Options of NFLOG.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nflog {
    /// `--nflog-group`
    pub group: u16,
    /// `--nflog-prefix`, cut at 63 bytes when the rule is loaded.
    pub prefix: String,
    /// `--nflog-size` or `--nflog-range`: how many bytes are copied.
    pub len: u32,
    /// Written as `--nflog-size`: the kernel heeds the length (`XT_NFLOG_F_COPY_LEN`).
    pub copy_len: bool,
    /// `--nflog-threshold`
    pub threshold: u16,
}
