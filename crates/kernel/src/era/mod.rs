//! Kernel versions that behave differently: what differs, and since when.

mod difference;

pub use difference::{Difference, Held, Switch};

use crate::netfilter::conntrack::Limits;
use std::time::Duration;

/// A kernel version, by what differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Linux 3.10, as in Red Hat Enterprise Linux 7.
    V3_10,
    /// Linux 4.19, as in Debian 10.
    V4_19,
    /// Linux 5.15, as in Ubuntu 22.04.
    V5_15,
    /// Linux 6.1, as in Debian 12.
    V6_1,
    /// Linux 6.18, by which the recordings were made.
    #[default]
    V6_18,
}

impl Era {
    /// Every era, oldest first.
    pub const ALL: [Era; 5] = [Era::V3_10, Era::V4_19, Era::V5_15, Era::V6_1, Era::V6_18];

    /// Major and minor number.
    pub fn version(self) -> (u8, u8) {
        match self {
            Era::V3_10 => (3, 10),
            Era::V4_19 => (4, 19),
            Era::V5_15 => (5, 15),
            Era::V6_1 => (6, 1),
            Era::V6_18 => (6, 18),
        }
    }

    /// The version: `3.10`, `4.19`, `5.15`, `6.1`, `6.18`.
    pub fn name(self) -> &'static str {
        match self {
            Era::V3_10 => "3.10",
            Era::V4_19 => "4.19",
            Era::V5_15 => "5.15",
            Era::V6_1 => "6.1",
            Era::V6_18 => "6.18",
        }
    }

    /// The era of that name.
    pub fn from_name(name: &str) -> Option<Era> {
        Era::ALL.into_iter().find(|e| e.name() == name)
    }

    /// What the answers for this era are held against. Each [`Difference`] says it of itself as well.
    pub fn held_against(self) -> &'static str {
        match self {
            Era::V3_10 => {
                "a published article's captures and listings; the kernel's source and history for the rest"
            }
            Era::V4_19 | Era::V5_15 => "the kernel's source and history",
            Era::V6_1 => {
                "recordings of IPVS, helpers, br_netfilter and conntrack's limits; the kernel's source for the rest"
            }
            Era::V6_18 => "recordings of the kernel",
        }
    }

    /// True if the kernel is as new as what this switch brought.
    pub fn has(self, switch: Switch) -> bool {
        self.version() >= switch.difference().since
    }

    /// `net.netfilter.nf_conntrack_helper` at boot; absent once the sysctl is gone.
    pub fn helper_sysctl(self) -> Option<bool> {
        (!self.has(Switch::NoHelperSysctl)).then_some(!self.has(Switch::HelpersOffByDefault))
    }

    /// `nf_conntrack_udp_timeout_stream` in seconds.
    pub fn udp_timeout_stream(self) -> u32 {
        if self.has(Switch::UdpStreamTimeout) { 120 } else { 180 }
    }

    /// How old a UDP flow must be before a packet makes it a stream.
    pub fn udp_stream_after(self) -> Duration {
        Duration::from_secs(if self.has(Switch::UdpStreamLater) { 2 } else { 0 })
    }

    /// Conntrack runs in every namespace once it is loaded.
    pub fn conntrack_everywhere(self) -> bool {
        !self.has(Switch::ConntrackOnDemand)
    }

    /// ipset's hashes have the options bucketsize and initval.
    pub fn ipset_bucket_options(self) -> bool {
        self.has(Switch::IpsetBucketsize)
    }

    /// `uname -r`, as the distribution calls this kernel; for 6.18 as kernel.org does.
    pub fn release(self) -> &'static str {
        match self {
            Era::V3_10 => "3.10.0-1062.1.2.el7.x86_64",
            Era::V4_19 => "4.19.0-27-amd64",
            Era::V5_15 => "5.15.0-119-generic",
            Era::V6_1 => "6.1.0-56-amd64",
            Era::V6_18 => "6.18.0",
        }
    }

    /// What the name of a module's file ends with: Red Hat compresses them.
    pub fn module_suffix(self) -> &'static str {
        if self == Era::V3_10 { ".ko.xz" } else { ".ko" }
    }

    /// Addresses of 0.0.0.0/8 are no addresses at all; later only 0.0.0.0 is none.
    pub fn zeronet_is_no_address(self) -> bool {
        !self.has(Switch::Zeronet)
    }

    /// POSTROUTING knows the device by which a routed packet came in.
    pub fn postrouting_knows_indev(self) -> bool {
        self.has(Switch::PostroutingInput)
    }

    /// A SYN that is sent again does not renew the time-out of an unanswered flow.
    pub fn syn_keeps_timeout(self) -> bool {
        self.has(Switch::SynKeepsTimeout)
    }

    /// `nf_conntrack_max` and `nf_conntrack_buckets` of a machine with more than 4 GB.
    pub fn conntrack_limits(self) -> Limits {
        let max = if self.has(Switch::ConntrackMax) { 262_144 } else { 65_536 };
        let buckets = if self.has(Switch::ConntrackBuckets) { max } else { max / 4 };
        Limits { max, buckets, expect_max: buckets / 256 * 4 }
    }

    /// The message about a full conntrack table has the module's name twice (`pr_fmt`).
    pub fn conntrack_names_itself_twice(self) -> bool {
        self.has(Switch::ConntrackLogPrefix)
    }

    /// A full conntrack table gives up one entry for another, not all of a bucket that are not assured.
    pub fn early_drop_takes_one(self) -> bool {
        !self.has(Switch::EarlyDropBucket)
    }

    /// Each conntrack entry has a timer, and leaves the table when it fires.
    pub fn conntrack_has_timers(self) -> bool {
        !self.has(Switch::ConntrackScan)
    }

    /// `icmp_msgs_per_sec`: there is a limit on ICMP messages to all destinations together.
    pub fn limits_icmp_globally(self) -> bool {
        self.has(Switch::IcmpGlobalLimit)
    }

    /// `nf_conntrack_events=2`, the default: changes are noted if somebody listens when an entry is made.
    pub fn events_on_demand(self) -> bool {
        self.has(Switch::EventsOnDemand)
    }

    /// `nf_conntrack_tcp_ignore_invalid_rst` exists.
    pub fn has_ignore_invalid_rst(self) -> bool {
        self.has(Switch::IgnoreInvalidRst)
    }

    /// A SYN that an old connection has answered goes again soon (`tcp_rcv_synsent_state_process`).
    pub fn syn_again_soon(self) -> bool {
        self.has(Switch::SynAgainSoon)
    }

    /// By how many bits TCP scales its window (`tcp_select_initial_window`), which follows from `tcp_rmem`.
    pub fn tcp_window_scale(self) -> u8 {
        if self.has(Switch::TcpReceiveMemory) { 10 } else { 7 }
    }

    /// The message about a full conntrack table names the namespace, if it is not the first one.
    pub fn table_full_names_netns(self) -> bool {
        self.has(Switch::TableFullNetns)
    }

    /// The RST of `-j REJECT --reject-with tcp-reset` closes the flow in conntrack too.
    pub fn reject_closes_flow(self) -> bool {
        self.has(Switch::RejectClosesFlow)
    }

    /// Sending from an address that is not the host's own fails with ENETUNREACH, not with EINVAL.
    pub fn foreign_source_is_unreachable(self) -> bool {
        self.has(Switch::ForeignSource)
    }

    /// The copy that a promiscuous bridge hands up keeps its conntrack entry.
    pub fn promisc_copy_keeps_conntrack(self) -> bool {
        !self.has(Switch::PromiscCopyUntracked)
    }

    /// Two entries for one flow get along, if its protocol allows (`nf_ct_resolve_clash`).
    pub fn resolves_clashes(self) -> bool {
        self.has(Switch::ClashResolution)
    }

    /// An entry that clashes in its original direction only is entered in the other (`nf_ct_resolve_clash_harder`).
    pub fn clash_enters_reply(self) -> bool {
        self.has(Switch::ClashReplyOnly)
    }

    /// `clash_resolve` counts clashes that cost no packet, and `insert_failed` only the others.
    pub fn counts_clashes(self) -> bool {
        self.has(Switch::ClashCounter)
    }

    /// Two packets that go opposite ways may share an entry, if NAT allows.
    pub fn merges_reverse_clash(self) -> bool {
        self.has(Switch::ClashReverse)
    }

    /// Protocols that conntrack does not know allow clashes.
    pub fn generic_allows_clash(self) -> bool {
        self.has(Switch::ClashGeneric)
    }

    /// NAT gives two packets of one flow the same tuple, though another processor has entered the first by then.
    pub fn nat_shares_with_own_flow(self) -> bool {
        self.has(Switch::NatSameOrigin)
    }

    /// `ip route get` of a packet that rp_filter drops fails with EXDEV.
    pub fn rp_filter_is_exdev(self) -> bool {
        !self.has(Switch::RouteGetReason)
    }
}
