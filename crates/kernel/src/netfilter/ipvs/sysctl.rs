//! `net.ipv4.vs.*` (net/netfilter/ipvs/ip_vs_ctl.c, Documentation/networking/ipvs-sysctl.rst).

use super::Ipvs;

/// A setting that changes what happens to a packet; the number is its place in [`NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vs {
    /// Connections keep their conntrack entry. Without it their packets become untracked.
    Conntrack,
    /// A new TCP connection with the addresses and ports of one that is over gets a server anew.
    ConnReuseMode,
    /// Connections to a server that was deleted end at once, instead of being dropped until they expire.
    ExpireNodestConn,
    /// Templates of a server whose weight is 0 are not used.
    ExpireQuiescentTemplate,
    /// A real server whose packet belongs to no connection is told so.
    NatIcmpSend,
    /// Answers are routed anew after their source has become the virtual server.
    SnatReroute,
    /// ICMP errors may begin connections.
    ScheduleIcmp,
    /// Connections may begin without a SYN.
    SloppyTcp,
    /// The director forwards nothing.
    BackupOnly,
}

/// All settings with their defaults, those of [`Vs`] first. The others are kept and change nothing here.
const NAMES: [(&str, i64); 26] = [
    ("conntrack", 0),
    ("conn_reuse_mode", 1),
    ("expire_nodest_conn", 0),
    ("expire_quiescent_template", 0),
    ("nat_icmp_send", 0),
    ("snat_reroute", 1),
    ("schedule_icmp", 0),
    ("sloppy_tcp", 0),
    ("backup_only", 0),
    ("am_droprate", 10),
    ("amemthresh", 1024),
    ("cache_bypass", 0),
    ("drop_entry", 0),
    ("drop_packet", 0),
    ("ignore_tunneled", 0),
    ("pmtu_disc", 1),
    ("run_estimation", 1),
    ("secure_tcp", 0),
    ("sloppy_sctp", 0),
    ("sync_persist_mode", 0),
    ("sync_ports", 1),
    ("sync_qlen_max", 5371),
    ("sync_refresh_period", 0),
    ("sync_retries", 0),
    ("sync_sock_size", 0),
    ("sync_version", 1),
];

/// The values, in the order of [`NAMES`].
pub(super) type Settings = [i64; NAMES.len()];

pub(super) const DEFAULTS: Settings = {
    let mut values = [0; NAMES.len()];
    let mut i = 0;
    while i < NAMES.len() {
        values[i] = NAMES[i].1;
        i += 1;
    }
    values
};

impl Ipvs {
    /// The setting `net.ipv4.vs.NAME`.
    pub fn setting(&mut self, name: &str) -> Option<&mut i64> {
        let at = NAMES.iter().position(|(n, _)| *n == name)?;
        self.settings.get_mut(at)
    }

    /// The names of all settings.
    pub fn setting_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The value of a setting.
    pub fn vs(&self, which: Vs) -> i64 {
        self.settings[which as usize]
    }

    /// True if a setting is on.
    pub(super) fn on(&self, which: Vs) -> bool {
        self.vs(which) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_the_name_of_its_place() {
        let mut ipvs = Ipvs::default();
        for (which, name) in
            [(Vs::Conntrack, "conntrack"), (Vs::BackupOnly, "backup_only"), (Vs::SnatReroute, "snat_reroute")]
        {
            *ipvs.setting(name).unwrap() = 7;
            assert_eq!(ipvs.vs(which), 7, "{name}");
        }
        assert_eq!(ipvs.setting("am_droprate"), Some(&mut 10));
        assert_eq!(ipvs.setting("nosuch"), None);
    }
}
