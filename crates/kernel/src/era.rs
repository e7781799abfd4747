//! Kernel versions that behave differently: what differs, and since when.

use crate::netfilter::conntrack::Limits;
use std::time::Duration;

/// A kernel version, by what differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Linux 3.10, as in Red Hat Enterprise Linux 7.
    V3_10,
    /// Linux 4.19, as in Debian 10.
    V4_19,
    /// Linux 6.18, by which the recordings were made.
    #[default]
    V6_18,
}

impl Era {
    /// Every era, oldest first.
    pub const ALL: [Era; 3] = [Era::V3_10, Era::V4_19, Era::V6_18];

    /// The version: `3.10`, `4.19`, `6.18`.
    pub fn name(self) -> &'static str {
        match self {
            Era::V3_10 => "3.10",
            Era::V4_19 => "4.19",
            Era::V6_18 => "6.18",
        }
    }

    /// The era of that name.
    pub fn from_name(name: &str) -> Option<Era> {
        Era::ALL.into_iter().find(|e| e.name() == name)
    }

    /// What the answers for this era are held against.
    pub fn held_against(self) -> &'static str {
        match self {
            Era::V3_10 => "published captures and kernel history",
            Era::V4_19 => "kernel history",
            Era::V6_18 => "recordings of the kernel",
        }
    }

    /// `net.netfilter.nf_conntrack_helper` at boot: 1 until 4.7, then 0; gone since 6.0.
    pub fn helper_sysctl(self) -> Option<bool> {
        match self {
            Era::V3_10 => Some(true),
            Era::V4_19 => Some(false),
            Era::V6_18 => None,
        }
    }

    /// `nf_conntrack_udp_timeout_stream`: 180 s, since 5.0 it is 120 s.
    pub fn udp_timeout_stream(self) -> u32 {
        if self < Era::V6_18 { 180 } else { 120 }
    }

    /// How old a UDP flow must be before an answer makes it a stream: any age, since 5.0 two seconds.
    pub fn udp_stream_after(self) -> Duration {
        Duration::from_secs(if self < Era::V6_18 { 0 } else { 2 })
    }

    /// Conntrack runs in every namespace once it is loaded; since 4.11 it runs where a rule asks for it.
    pub fn conntrack_everywhere(self) -> bool {
        self == Era::V3_10
    }

    /// ipset's hashes have the options bucketsize and initval: since 5.11.
    pub fn ipset_bucket_options(self) -> bool {
        self >= Era::V6_18
    }

    /// `uname -r`, as the distribution calls this kernel; for 6.18 as kernel.org does.
    pub fn release(self) -> &'static str {
        match self {
            Era::V3_10 => "3.10.0-1062.1.2.el7.x86_64",
            Era::V4_19 => "4.19.0-27-amd64",
            Era::V6_18 => "6.18.0",
        }
    }

    /// What the name of a module's file ends with: Red Hat compresses them.
    pub fn module_suffix(self) -> &'static str {
        if self == Era::V3_10 { ".ko.xz" } else { ".ko" }
    }

    /// POSTROUTING knows the device by which a routed packet came in: since 5.7.
    pub fn postrouting_knows_indev(self) -> bool {
        self >= Era::V6_18
    }

    /// A SYN that is sent again does not renew the time-out of an unanswered flow; since 5.11.
    pub fn syn_keeps_timeout(self) -> bool {
        self == Era::V6_18
    }

    /// `nf_conntrack_max` and `nf_conntrack_buckets` of a machine with more than 4 GB: 65536 entries in 16384 buckets, since 4.7
    /// 262144 in 65536, since 5.15 one bucket for each.
    pub fn conntrack_limits(self) -> Limits {
        let (max, buckets) = match self {
            Era::V3_10 => (65_536, 16_384),
            Era::V4_19 => (262_144, 65_536),
            Era::V6_18 => (262_144, 262_144),
        };
        Limits { max, buckets, expect_max: buckets / 256 * 4 }
    }

    /// `nf_conntrack_events=2`, the default: changes are noted if somebody listens when an entry is made; since 5.19.
    pub fn events_on_demand(self) -> bool {
        self == Era::V6_18
    }

    /// `nf_conntrack_tcp_ignore_invalid_rst` exists: since 5.14.
    pub fn has_ignore_invalid_rst(self) -> bool {
        self == Era::V6_18
    }

    /// The message about a full conntrack table names the namespace, if it is not the first one; since 6.17.
    pub fn table_full_names_netns(self) -> bool {
        self == Era::V6_18
    }

    /// The RST of `-j REJECT --reject-with tcp-reset` closes the flow in conntrack too; since 6.3.
    pub fn reject_closes_flow(self) -> bool {
        self == Era::V6_18
    }

    /// Sending from an address that is not the host's own fails with ENETUNREACH; before 6.18 with EINVAL.
    pub fn foreign_source_is_unreachable(self) -> bool {
        self == Era::V6_18
    }

    /// The copy that a promiscuous bridge hands up keeps its conntrack entry; since 6.8 it loses it.
    pub fn promisc_copy_keeps_conntrack(self) -> bool {
        self < Era::V6_18
    }
}
