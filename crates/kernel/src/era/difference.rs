//! The differences between kernels, each by its name, with what it is held against.

use super::Era;

/// What a statement about a kernel is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A recording of that kernel.
    Recorded,
    /// What a published article captured on that kernel.
    Article,
    /// The kernel's source and its history.
    Source,
}

impl Held {
    /// `recorded`, `article`, `source`.
    pub fn name(self) -> &'static str {
        match self {
            Held::Recorded => "recorded",
            Held::Article => "article",
            Held::Source => "source",
        }
    }
}

/// A behaviour that changed from one kernel to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: &'static str,
    /// The first release that has it, major and minor number.
    pub since: (u8, u8),
    /// What kernels before that do.
    pub before: &'static str,
    /// What kernels since then do.
    pub after: &'static str,
    /// The change in Linux that brought it, or the file that shows it.
    pub source: &'static str,
    recorded: &'static [Era],
    article: &'static [Era],
}

impl Difference {
    /// What a kernel of that era does.
    pub fn says(&self, era: Era) -> &'static str {
        if era.version() >= self.since { self.after } else { self.before }
    }

    /// What that is held against.
    pub fn held_against(&self, era: Era) -> Held {
        if self.recorded.contains(&era) {
            Held::Recorded
        } else if self.article.contains(&era) {
            Held::Article
        } else {
            Held::Source
        }
    }
}

/// The differences that the engine models, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// There is a limit on all ICMP errors.
    IcmpGlobalLimit,
    /// A port that is used again gets a server anew.
    IpvsPortReuse,
    /// IPVS is a hop.
    IpvsTtl,
    /// Helpers need a rule or a sysctl.
    HelpersOffByDefault,
    /// A big machine's table takes 262144 entries.
    ConntrackMax,
    /// Of two entries for one flow none is lost.
    ClashResolution,
    /// SYN_RECV is active.
    IpvsSynActive,
    /// The message of a full table begins with the module's name twice.
    ConntrackLogPrefix,
    /// early_drop takes all of a bucket.
    EarlyDropBucket,
    /// A scan finds entries that are over.
    ConntrackScan,
    /// Conntrack runs where a rule asks for it.
    ConntrackOnDemand,
    /// sh and dh use the high bits.
    IpvsHash,
    /// Templates are ASSURED.
    IpvsAssured,
    /// A UDP stream lives for 120 seconds.
    UdpStreamTimeout,
    /// A UDP flow becomes a stream after two seconds.
    UdpStreamLater,
    /// NAT gives two packets of one flow the same tuple.
    NatSameOrigin,
    /// 0.0.0.0/8 has addresses.
    Zeronet,
    /// An entry may be in the table in its reply direction alone.
    ClashReplyOnly,
    /// POSTROUTING sees the input device.
    PostroutingInput,
    /// A SYN that got an old answer goes again soon.
    SynAgainSoon,
    /// Reused ports lose no packet.
    IpvsReuseUnconfirmed,
    /// Connections end with their server.
    IpvsFlushNodest,
    /// IPVS's hooks come with a virtual server.
    IpvsHooks,
    /// conntrack -S counts clashes.
    ClashCounter,
    /// ipset's hashes have bucketsize and initval.
    IpsetBucketsize,
    /// A repeated SYN does not renew the entry.
    SynKeepsTimeout,
    /// nf_conntrack_tcp_ignore_invalid_rst.
    IgnoreInvalidRst,
    /// A bucket for each entry.
    ConntrackBuckets,
    /// Events are noted for listeners.
    EventsOnDemand,
    /// nf_conntrack_helper is gone.
    NoHelperSysctl,
    /// REJECT's RST closes the flow.
    RejectClosesFlow,
    /// The copy of a promiscuous bridge loses its entry.
    PromiscCopyUntracked,
    /// Packets from both ends share an entry.
    ClashReverse,
    /// `ip route get` does not know EXDEV.
    RouteGetReason,
    /// TCP has up to 32 MB for what it receives.
    TcpReceiveMemory,
    /// The message of a full table names the namespace.
    TableFullNetns,
    /// Protocols that conntrack does not know allow clashes.
    ClashGeneric,
    /// A foreign source is ENETUNREACH.
    ForeignSource,
}

const NEW: &[Era] = &[Era::V6_18];
const BOTH: &[Era] = &[Era::V6_1, Era::V6_18];
/// IPVS was recorded on 6.1.
const SIX1: &[Era] = &[Era::V6_1];
const RHEL7: &[Era] = &[Era::V3_10];

impl Switch {
    /// Every switch.
    pub const ALL: [Switch; 38] = [
        Switch::IcmpGlobalLimit,
        Switch::IpvsPortReuse,
        Switch::IpvsTtl,
        Switch::HelpersOffByDefault,
        Switch::ConntrackMax,
        Switch::ClashResolution,
        Switch::IpvsSynActive,
        Switch::ConntrackLogPrefix,
        Switch::EarlyDropBucket,
        Switch::ConntrackScan,
        Switch::ConntrackOnDemand,
        Switch::IpvsHash,
        Switch::IpvsAssured,
        Switch::UdpStreamTimeout,
        Switch::UdpStreamLater,
        Switch::NatSameOrigin,
        Switch::Zeronet,
        Switch::ClashReplyOnly,
        Switch::PostroutingInput,
        Switch::SynAgainSoon,
        Switch::IpvsReuseUnconfirmed,
        Switch::IpvsFlushNodest,
        Switch::IpvsHooks,
        Switch::ClashCounter,
        Switch::IpsetBucketsize,
        Switch::SynKeepsTimeout,
        Switch::IgnoreInvalidRst,
        Switch::ConntrackBuckets,
        Switch::EventsOnDemand,
        Switch::NoHelperSysctl,
        Switch::RejectClosesFlow,
        Switch::PromiscCopyUntracked,
        Switch::ClashReverse,
        Switch::RouteGetReason,
        Switch::TcpReceiveMemory,
        Switch::TableFullNetns,
        Switch::ClashGeneric,
        Switch::ForeignSource,
    ];

    /// What it is about.
    pub fn difference(self) -> &'static Difference {
        match self {
            Switch::IcmpGlobalLimit => &Difference {
                name: "icmp-global-limit",
                since: (3, 18),
                before: "ICMP errors are limited for each destination only",
                after: "ICMP errors are limited for each destination and for all together",
                source: "icmp: add a global rate limitation",
                recorded: NEW,
                article: &[],
            },
            Switch::IpvsPortReuse => &Difference {
                name: "ipvs-port-reuse",
                since: (4, 1),
                before: "a TCP connection that uses the ports of one that is over goes to its server",
                after: "a TCP connection that uses the ports of one that is over is scheduled anew (conn_reuse_mode)",
                source: "ipvs: reschedule new connections if port reuse is detected",
                recorded: SIX1,
                article: &[],
            },
            Switch::IpvsTtl => &Difference {
                name: "ipvs-ttl",
                since: (4, 4),
                before: "IPVS leaves the TTL as it is",
                after: "IPVS takes one from the TTL",
                source: "ipvs: Decrement ttl",
                recorded: SIX1,
                article: &[],
            },
            Switch::HelpersOffByDefault => &Difference {
                name: "helpers-off-by-default",
                since: (4, 7),
                before: "a loaded helper is assigned by port",
                after: "a helper needs a CT rule",
                source: "netfilter: nf_ct_helper: disable automatic helper assignment",
                recorded: BOTH,
                article: RHEL7,
            },
            Switch::ConntrackMax => &Difference {
                name: "conntrack-max",
                since: (4, 7),
                before: "a machine with more than 4 GB has nf_conntrack_max 65536",
                after: "a machine with more than 4 GB has nf_conntrack_max 262144",
                source: "net/netfilter/nf_conntrack_core.c of 4.7, nf_conntrack_init_start",
                recorded: NEW,
                article: &[],
            },
            Switch::ClashResolution => &Difference {
                name: "clash-resolution",
                since: (4, 7),
                before: "of two UDP packets that make the same entry at once, one is dropped",
                after: "two UDP packets that make the same entry at once share it",
                source: "netfilter: conntrack: introduce clash resolution on insertion race",
                recorded: NEW,
                article: &[],
            },
            Switch::IpvsSynActive => &Difference {
                name: "ipvs-syn-active",
                since: (4, 8),
                before: "only ESTABLISHED is an ActiveConn of IPVS",
                after: "SYN_RECV and SYN_SENT are ActiveConn of IPVS, too",
                source: "ipvs: count pre-established TCP states as active",
                recorded: SIX1,
                article: &[],
            },
            Switch::ConntrackLogPrefix => &Difference {
                name: "conntrack-log-prefix",
                since: (4, 8),
                before: "the line about a full conntrack table begins with nf_conntrack:",
                after: "the line about a full conntrack table begins with nf_conntrack: nf_conntrack:",
                source: "net/netfilter/nf_conntrack_core.c: pr_fmt",
                recorded: BOTH,
                article: RHEL7,
            },
            Switch::EarlyDropBucket => &Difference {
                name: "early-drop",
                since: (4, 8),
                before: "a full table gives up one entry that is not assured, among eight entries",
                after: "a full table gives up all entries of a bucket that are not assured, among eight buckets",
                source: "netfilter: conntrack: simplify early_drop",
                recorded: BOTH,
                article: &[],
            },
            Switch::ConntrackScan => &Difference {
                name: "conntrack-gc",
                since: (4, 9),
                before: "each conntrack entry has a timer, and goes when it fires",
                after: "a conntrack entry that is over goes when somebody comes upon it, or a scan of the table",
                source: "netfilter: conntrack: add gc worker to remove timed-out entries",
                recorded: BOTH,
                article: &[],
            },
            Switch::ConntrackOnDemand => &Difference {
                name: "conntrack-on-demand",
                since: (4, 10),
                before: "conntrack tracks in every namespace",
                after: "conntrack tracks where a rule asks for it",
                source: "netfilter: conntrack: register hooks in netns when needed by ruleset",
                recorded: BOTH,
                article: &[],
            },
            Switch::IpvsHash => &Difference {
                name: "ipvs-hash",
                since: (4, 18),
                before: "sh and dh take the low bits of their product",
                after: "sh and dh take the high bits of their product",
                source: "ipvs: fix multiplicative hashing in sh/dh/lblc/lblcr algorithms",
                recorded: SIX1,
                article: &[],
            },
            Switch::IpvsAssured => &Difference {
                name: "ipvs-assured",
                since: (4, 19),
                before: "the template of a persistent client is NONE",
                after: "the template of a persistent client is ASSURED once a connection was answered",
                source: "ipvs: add assured state for conn templates",
                recorded: SIX1,
                article: &[],
            },
            Switch::UdpStreamTimeout => &Difference {
                name: "udp-stream-timeout",
                since: (5, 0),
                before: "a UDP stream is kept for 180 s",
                after: "a UDP stream is kept for 120 s",
                source: "netfilter: conntrack: udp: set stream timeout to 2 minutes",
                recorded: BOTH,
                article: &[],
            },
            Switch::UdpStreamLater => &Difference {
                name: "udp-stream-after",
                since: (5, 0),
                before: "the first answer makes a UDP flow a stream and ASSURED",
                after: "a UDP flow becomes a stream and ASSURED when it is two seconds old",
                source: "netfilter: conntrack: udp: only extend timeout to stream mode after 2s",
                recorded: BOTH,
                article: &[],
            },
            Switch::NatSameOrigin => &Difference {
                name: "nat-same-origin",
                since: (5, 0),
                before: "NAT draws another port for a packet whose flow another processor is just entering",
                after: "NAT gives packets of one flow the same port, whichever processor is first",
                source: "netfilter: nf_nat: skip nat clash resolution for same-origin entries",
                recorded: NEW,
                article: &[],
            },
            Switch::Zeronet => &Difference {
                name: "zeronet",
                since: (5, 3),
                before: "packets from or to 0.0.0.0/8 are martians",
                after: "0.0.0.1 to 0.255.255.255 are addresses as any",
                source: "inet: Allow 0.0.0.0/8 as a valid address range",
                recorded: NEW,
                article: &[],
            },
            Switch::ClashReplyOnly => &Difference {
                name: "clash-reply-only",
                since: (5, 6),
                before: "of two UDP packets of one socket that are sent to two endpoints at once, one is dropped",
                after: "two UDP packets of one socket that are sent to two endpoints at once both arrive: the second's entry sees answers only",
                source: "netfilter: conntrack: allow insertion of clashing entries",
                recorded: NEW,
                article: &[],
            },
            Switch::PostroutingInput => &Difference {
                name: "postrouting-input-device",
                since: (5, 7),
                before: "-i never matches in POSTROUTING",
                after: "-i matches in POSTROUTING for a routed packet",
                source: "netfilter: Support iif matches in POSTROUTING",
                recorded: BOTH,
                article: &[],
            },
            Switch::SynAgainSoon => &Difference {
                name: "syn-again-soon",
                since: (5, 7),
                before: "a SYN that an old connection answers goes again after a second",
                after: "a SYN that an old connection answers goes again after two ticks",
                source: "tcp: Reduce SYN resend delay if a suspicious ACK is received",
                recorded: NEW,
                article: &[],
            },
            Switch::IpvsReuseUnconfirmed => &Difference {
                name: "ipvs-reuse-unconfirmed",
                since: (5, 9),
                before: "with vs.conntrack the first packet of a connection that is scheduled anew is dropped",
                after: "the first packet is dropped only if conntrack's entry is an old one",
                source: "ipvs: allow connection reuse for unconfirmed conntrack",
                recorded: SIX1,
                article: &[],
            },
            Switch::IpvsFlushNodest => &Difference {
                name: "ipvs-flush-nodest",
                since: (5, 9),
                before: "with expire_nodest_conn a deleted server's connection ends with its next packet, which is lost",
                after: "with expire_nodest_conn connections end when their server is deleted",
                source: "ipvs: queue delayed work to expire no destination connections if expire_nodest_conn=1",
                recorded: SIX1,
                article: &[],
            },
            Switch::IpvsHooks => &Difference {
                name: "ipvs-hooks",
                since: (5, 9),
                before: "IPVS's hooks come with its module",
                after: "IPVS's hooks come with the first virtual server and go with the last",
                source: "ipvs: register hooks only with services",
                recorded: SIX1,
                article: &[],
            },
            Switch::ClashCounter => &Difference {
                name: "clash-counter",
                since: (5, 10),
                before: "insert_failed counts every clash, also one that costs no packet",
                after: "clash_resolve counts clashes that cost no packet, insert_failed the others",
                source: "netfilter: conntrack: add clash resolution stat counter",
                recorded: NEW,
                article: &[],
            },
            Switch::IpsetBucketsize => &Difference {
                name: "ipset-bucketsize",
                since: (5, 11),
                before: "ipset's hashes have no bucketsize and no initval",
                after: "ipset's hashes have bucketsize and initval",
                source: "netfilter: ipset: Add bucketsize parameter to all hash types",
                recorded: NEW,
                article: RHEL7,
            },
            Switch::SynKeepsTimeout => &Difference {
                name: "syn-keeps-timeout",
                since: (5, 14),
                before: "a repeated SYN renews the entry of an unanswered connection",
                after: "a repeated SYN does not renew the entry of an unanswered connection",
                source: "netfilter: conntrack: do not renew entry stuck in tcp SYN_SENT state",
                recorded: NEW,
                article: &[],
            },
            Switch::IgnoreInvalidRst => &Difference {
                name: "ignore-invalid-rst",
                since: (5, 14),
                before: "there is no nf_conntrack_tcp_ignore_invalid_rst",
                after: "nf_conntrack_tcp_ignore_invalid_rst can keep a connection over a RST out of its window",
                source: "netfilter: conntrack: add new sysctl to disable RST check",
                recorded: BOTH,
                article: &[],
            },
            Switch::ConntrackBuckets => &Difference {
                name: "conntrack-buckets",
                since: (5, 15),
                before: "conntrack has a bucket for four entries",
                after: "conntrack has a bucket for each entry",
                source: "net/netfilter/nf_conntrack_core.c of 5.15, nf_conntrack_init_start",
                recorded: BOTH,
                article: &[],
            },
            Switch::EventsOnDemand => &Difference {
                name: "events-on-demand",
                since: (5, 19),
                before: "nf_conntrack_events is 1: every entry notes its events",
                after: "nf_conntrack_events is 2: an entry that is made while somebody listens notes its events",
                source: "netfilter: conntrack: add nf_conntrack_events autodetect mode",
                recorded: BOTH,
                article: &[],
            },
            Switch::NoHelperSysctl => &Difference {
                name: "helper-sysctl-gone",
                since: (6, 0),
                before: "nf_conntrack_helper says whether helpers are assigned by port",
                after: "there is no nf_conntrack_helper",
                source: "netfilter: remove nf_conntrack_helper sysctl and modparam toggles",
                recorded: BOTH,
                article: &[],
            },
            Switch::RejectClosesFlow => &Difference {
                name: "reject-closes-flow",
                since: (6, 3),
                before: "the RST of REJECT leaves the flow's entry as it is",
                after: "the RST of REJECT closes the flow's entry",
                source: "netfilter: let reset rules clean out conntrack entries",
                recorded: NEW,
                article: &[],
            },
            Switch::PromiscCopyUntracked => &Difference {
                name: "promisc-copy-untracked",
                since: (6, 8),
                before: "the copy that a promiscuous bridge hands up keeps its conntrack entry",
                after: "the copy that a promiscuous bridge hands up is INVALID",
                source: "netfilter: bridge: confirm multicast packets before passing them up the stack",
                recorded: NEW,
                article: &[],
            },
            Switch::ClashReverse => &Difference {
                name: "clash-reverse",
                since: (6, 12),
                before: "packets that cross between two hosts, before either has an entry, clash",
                after: "packets that cross between two hosts, before either has an entry, share one",
                source: "netfilter: conntrack: add clash resolution for reverse collisions",
                recorded: &[],
                article: &[],
            },
            Switch::RouteGetReason => &Difference {
                name: "route-get-reason",
                since: (6, 13),
                before: "ip route get of what rp_filter drops answers Invalid cross-device link",
                after: "ip route get of what rp_filter drops answers Invalid argument",
                source: "net: ip: make ip_route_input_rcu() return drop reasons",
                recorded: NEW,
                article: &[],
            },
            Switch::TcpReceiveMemory => &Difference {
                name: "tcp-receive-memory",
                since: (6, 16),
                before: "tcp_rmem ends at 6 MB: windows are scaled by 7 bits",
                after: "tcp_rmem ends at 32 MB: windows are scaled by 10 bits",
                source: "tcp: increase tcp_rmem[2] to 32 MB",
                recorded: NEW,
                article: &[],
            },
            Switch::TableFullNetns => &Difference {
                name: "table-full-netns",
                since: (6, 17),
                before: "the message that conntrack's table is full does not name the namespace",
                after: "the message that conntrack's table is full names the namespace, but for the first",
                source: "net/netfilter/nf_conntrack_core.c of 6.18, __nf_conntrack_alloc",
                recorded: NEW,
                article: &[],
            },
            Switch::ClashGeneric => &Difference {
                name: "clash-generic",
                since: (6, 18),
                before: "of two packets of an unknown protocol that make the same entry at once, one is dropped",
                after: "two packets of an unknown protocol that make the same entry at once share it",
                source: "net/netfilter/nf_conntrack_proto_generic.c of 6.18",
                recorded: NEW,
                article: &[],
            },
            Switch::ForeignSource => &Difference {
                name: "foreign-source",
                since: (6, 18),
                before: "sending from an address of another host fails with EINVAL",
                after: "sending from an address of another host fails with ENETUNREACH",
                source: "net/ipv4/route.c of 6.18, ip_route_output_key_hash_rcu",
                recorded: NEW,
                article: &[],
            },
        }
    }
}
