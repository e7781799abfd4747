//! How the way of a packet through one box ends.

use crate::route::Unreachable;
use std::fmt;

/// The packet went somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Left the box by a device.
    Transmitted,
    /// Waits for a neighbour's address.
    Queued,
    /// Taken by a socket or by a part of the kernel.
    Local,
    /// Copied to several bridge ports.
    Flooded,
}

/// The packet ended here; the reason is in the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut(pub DropReason);

/// The result of every function on the packet's way: a dropped packet leaves by `?`.
pub type Journey = Result<Delivery, Cut>;

/// Why a packet ended (the names follow `enum skb_drop_reason`, include/net/dropreason-core.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Addressed to another host's MAC; only the bridge or a capture looks at it.
    OtherHost,
    /// A rule, a policy or netfilter itself dropped it.
    NetfilterDrop,
    /// Conntrack could not insert the entry: a tuple is taken.
    CtInsertFailed,
    /// Conntrack has no room for another entry.
    CtTableFull,
    /// A conntrack helper could not announce the flow that will follow.
    CtHelper,
    /// IPVS has no server for it.
    IpvsNoServer,
    /// A hook function has taken the packet and sent it on by itself (`NF_STOLEN`); never logged as a drop.
    Stolen,
    /// NAT drops an ICMP redirect about a translated flow.
    NatIcmpRedirect,
    /// A masqueraded flow leaves by another device than the one whose address it has (`nf_nat_oif_changed`).
    MasqueradeMoved,
    /// No route; the packet would have had to be forwarded or sent.
    Unreachable(Unreachable),
    /// Not for us, and `ip_forward` is off on the input device.
    ForwardingDisabled,
    /// The source or destination cannot appear on the input device (loopback addresses, our own address, ...).
    MartianSource,
    /// Destination is not valid on the wire.
    MartianDestination,
    /// `rp_filter`: the way back leads elsewhere.
    RpFilter,
    /// TTL reached zero.
    TtlExpired,
    /// Forwarding asked for a frame that was not addressed to this host.
    ForwardNotHost,
    /// No device, or the device is down.
    DevDown,
    /// The bridge has no port for it: the only way is back out of the port it came in by, without hairpin mode.
    BridgeNoHairpin,
    /// The source address of the frame is that of a group, or none.
    BridgeSource,
    /// The bridge has no other port.
    BridgeNoPort,
    /// Nobody answered ARP.
    NeighFailed,
    /// Too many packets wait for the neighbour.
    NeighQueueFull,
    /// No socket listens; the answer is a RST or an ICMP port unreachable.
    NoSocket,
    /// The socket exists but does not want it (state, sequence number, foreign peer of a connected socket).
    SocketRefused,
    /// Checksum wrong.
    BadChecksum,
    /// No handler for the protocol.
    NoProtocol,
    /// Longer than the way allows, and not to be cut (`PKT_TOO_BIG`).
    PacketTooBig,
    /// The other end of the veth takes no frame of this length.
    TooLongForPeer,
    /// A tunnel's way leads into the tunnel.
    TunnelLoop,
    /// No host is known that the destination of the frame would be behind (`VXLAN_NO_REMOTE`).
    VxlanNoRemote,
    /// No device here is part of this virtual network (`VXLAN_VNI_NOT_FOUND`).
    VxlanVniNotFound,
    /// The source of the frame in the tunnel is this host's own, or no single address (`MAC_INVALID_SOURCE`).
    VxlanSource,
    /// A fragment that brings nothing new (`DUP_FRAG`).
    FragDuplicate,
    /// Fragments that contradict each other: the datagram is given up.
    FragOverlap,
    /// The datagram would be longer than 65535 bytes.
    FragTooLong,
    /// Too much else of the sender came between its fragments (`FRAG_TOO_FAR`).
    FragTooFar,
    /// The other fragments did not come in time (`FRAG_REASM_TIMEOUT`).
    FragTimeout,
    /// Too many fragments wait already (`ipfrag_high_thresh`).
    FragMemory,
    /// Not modelled (IPv6, unknown ICMP).
    NotModelled,
    /// Not answered on purpose: an ICMP query to a broadcast address, ARP for somebody else.
    NotForUs,
}

impl DropReason {
    /// Every reason, in the order of its declaration.
    pub const ALL: [DropReason; 43] = [
        DropReason::OtherHost,
        DropReason::NetfilterDrop,
        DropReason::CtInsertFailed,
        DropReason::CtTableFull,
        DropReason::CtHelper,
        DropReason::IpvsNoServer,
        DropReason::Stolen,
        DropReason::NatIcmpRedirect,
        DropReason::MasqueradeMoved,
        DropReason::Unreachable(Unreachable::Net),
        DropReason::Unreachable(Unreachable::Host),
        DropReason::Unreachable(Unreachable::Prohibited),
        DropReason::Unreachable(Unreachable::Invalid),
        DropReason::ForwardingDisabled,
        DropReason::MartianSource,
        DropReason::MartianDestination,
        DropReason::RpFilter,
        DropReason::TtlExpired,
        DropReason::ForwardNotHost,
        DropReason::DevDown,
        DropReason::BridgeNoHairpin,
        DropReason::BridgeSource,
        DropReason::BridgeNoPort,
        DropReason::NeighFailed,
        DropReason::NeighQueueFull,
        DropReason::NoSocket,
        DropReason::SocketRefused,
        DropReason::BadChecksum,
        DropReason::NoProtocol,
        DropReason::PacketTooBig,
        DropReason::TooLongForPeer,
        DropReason::TunnelLoop,
        DropReason::VxlanNoRemote,
        DropReason::VxlanVniNotFound,
        DropReason::VxlanSource,
        DropReason::FragDuplicate,
        DropReason::FragOverlap,
        DropReason::FragTooLong,
        DropReason::FragTooFar,
        DropReason::FragTimeout,
        DropReason::FragMemory,
        DropReason::NotModelled,
        DropReason::NotForUs,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::OtherHost => "addressed to another host's MAC",
            DropReason::NetfilterDrop => "dropped by netfilter",
            DropReason::CtInsertFailed => "conntrack could not insert the entry: a tuple is taken",
            DropReason::CtTableFull => "the conntrack table is full",
            DropReason::CtHelper => "the helper cannot add an expectation",
            DropReason::IpvsNoServer => "IPVS has no server for it",
            DropReason::Stolen => "sent on by a hook function",
            DropReason::NatIcmpRedirect => "NAT drops a redirect about a translated flow",
            DropReason::MasqueradeMoved => "a masqueraded flow would leave by another device",
            DropReason::Unreachable(u) => return write!(f, "no route: {u}"),
            DropReason::ForwardingDisabled => "ip_forward is off",
            DropReason::MartianSource => "martian source",
            DropReason::MartianDestination => "martian destination",
            DropReason::RpFilter => "rp_filter: the way back leads elsewhere",
            DropReason::TtlExpired => "TTL expired",
            DropReason::ForwardNotHost => "not addressed to this host, not forwarded",
            DropReason::DevDown => "device is down",
            DropReason::BridgeNoHairpin => {
                "the bridge does not send a frame back out of its port (hairpin mode off)"
            }
            DropReason::BridgeSource => "the frame's source is no single address",
            DropReason::BridgeNoPort => "the bridge has no port for it",
            DropReason::NeighFailed => "no answer to ARP",
            DropReason::NeighQueueFull => "too many packets wait for ARP",
            DropReason::NoSocket => "no socket",
            DropReason::SocketRefused => "the socket does not accept it",
            DropReason::BadChecksum => "bad checksum",
            DropReason::NoProtocol => "protocol not supported",
            DropReason::PacketTooBig => "too long for the way, and not to be cut",
            DropReason::TooLongForPeer => "too long for the other end of the veth",
            DropReason::TunnelLoop => "the tunnel's way leads into itself",
            DropReason::VxlanNoRemote => "no host is known behind which the frame's destination is",
            DropReason::VxlanVniNotFound => "no device for this virtual network",
            DropReason::VxlanSource => "the inner frame's source is no other host's address",
            DropReason::FragDuplicate => "this fragment is there already",
            DropReason::FragOverlap => "fragments that contradict each other",
            DropReason::FragTooLong => "the fragments make more than a datagram",
            DropReason::FragTooFar => "the other fragments are too far away",
            DropReason::FragTimeout => "the other fragments did not come in time",
            DropReason::FragMemory => "too many fragments wait",
            DropReason::NotModelled => "not modelled",
            DropReason::NotForUs => "not for us",
        })
    }
}
