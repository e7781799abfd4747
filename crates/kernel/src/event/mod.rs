//! The event log: append-only plain values. Page, terminal text, captures and tests are views of it.

mod rule;

pub use rule::{NftOutcome, NftStep, RuleOutcome, RuleStep};

use crate::netfilter::Stop;
use crate::netfilter::conntrack::{ConnInfo, CtState, Direction, ExpectRow, Row};
use crate::netfilter::hook::InetHook;
use crate::netfilter::ipvs::{Endpoint, IpvsConn, ServiceId};
use crate::netfilter::nat::Manip;
use crate::route::RouteEvent;
use crate::{ConnId, DevId, DropReason, Instant, NetnsId, PacketId, SocketId};
use packet::{Family, Frame, Mac};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Something that happened to one packet (or, for timers and commands, to none: then `packet` is the last one).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// In which box.
    pub netns: NetnsId,
    /// To which packet.
    pub packet: PacketId,
    /// What.
    pub what: What,
}

/// Names of devices that a hook sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCtx {
    /// Address family of the packet.
    pub family: Family,
    /// The hook.
    pub hook: InetHook,
    /// Input device.
    pub indev: Option<DevId>,
    /// Output device.
    pub outdev: Option<DevId>,
    /// Bridge port in (br_netfilter).
    pub physin: Option<DevId>,
    /// Bridge port out (br_netfilter).
    pub physout: Option<DevId>,
}

/// The direction in which a capture on a device sees a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapDir {
    /// `PACKET_OUTGOING`
    Out,
    /// `PACKET_HOST`
    In,
    /// `PACKET_BROADCAST`
    InBroadcast,
    /// `PACKET_MULTICAST`
    InMulticast,
    /// `PACKET_OTHERHOST`
    InOther,
}

/// Who made a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A socket.
    Socket(SocketId),
    /// TCP, for a segment that fits no socket: a RST.
    TcpReset,
    /// The ICMP layer: an error or an echo reply.
    Icmp,
    /// ARP.
    Arp,
    /// The REJECT target.
    Reject,
    /// A crafted packet.
    Raw,
    /// IP, which cut a datagram into pieces.
    Fragment,
}

/// What conntrack says of a packet without being asked by a rule (`nf_log_packet`). Who reads it depends on the logger: the ring
/// buffer has it as a line of its own, nfnetlink_log as this.
#[derive(Clone, Debug, PartialEq)]
pub struct NfLog {
    /// The devices.
    pub ctx: HookCtx,
    /// The words, with a blank at the end.
    pub prefix: String,
    /// The packet.
    pub frame: Rc<Frame>,
    /// Its mark.
    pub mark: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The packet was made. `parent` is the packet that it answers, if any.
    Created {
        /// By whom.
        origin: Origin,
        /// The packet that caused it.
        parent: Option<PacketId>,
        /// The packet as made.
        frame: Rc<Frame>,
    },
    /// A capture on `dev` sees the frame (AF_PACKET).
    Tap {
        /// Device.
        dev: DevId,
        /// Direction.
        dir: TapDir,
        /// The frame as it passes.
        frame: Rc<Frame>,
    },
    /// An nf_hook with at least one registered function begins.
    Hook(HookCtx),
    /// br_netfilter's sabotage: the IP PREROUTING hook is skipped because the bridge ran it already.
    HookSkipped(HookCtx),
    /// A table looked at a rule, or came to the end of a chain.
    Rule(Box<RuleStep>),
    /// nf_tables looked at a rule, or came to the end of a chain.
    Nft(Box<NftStep>),
    /// Conntrack says something of the packet.
    NfLog(Box<NfLog>),
    /// Conntrack looked the packet up.
    Conntrack {
        /// Where.
        ctx: HookCtx,
        /// The outcome.
        state: CtState,
        /// Direction, if it belongs to an entry.
        dir: Option<Direction>,
        /// The entry.
        conn: Option<ConnId>,
        /// What conntrack did.
        step: CtStep,
        /// The entry as it stands after the lookup.
        row: Option<Box<Row>>,
    },
    /// The probe that reports conntrack's opinion at priority -199 (an nft rule in the recorded scenarios).
    CtProbe {
        /// Where.
        ctx: HookCtx,
        /// State.
        state: CtState,
        /// Direction.
        info: Option<ConnInfo>,
        /// The packet as it stood there.
        frame: Rc<Frame>,
        /// Mark.
        mark: u32,
    },
    /// What ctnetlink tells its listeners (`conntrack -E`).
    CtEvent(Box<CtEvent>),
    /// A helper announced a flow, or an announcement is gone (`conntrack -E expect`).
    ExpectEvent(Box<ExpectEvent>),
    /// The entry of this packet was put into the table.
    Confirmed(ConnId),
    /// The entry of this packet has a tuple that another packet's entry has taken since.
    Clash {
        /// Its own entry.
        conn: ConnId,
        /// The one in the table.
        winner: ConnId,
        /// What came of it.
        step: ClashStep,
    },
    /// NAT decided one direction of an entry.
    NatSetup {
        /// The entry.
        conn: ConnId,
        /// Source or destination.
        manip: Manip,
        /// True if no rule asked for it: a null binding.
        null: bool,
        /// The reply tuple that the entry now waits for, and all the rest.
        row: Box<Row>,
    },
    /// The packet was rewritten. Exists only if the two differ.
    Nat {
        /// Where.
        hook: InetHook,
        /// The entry.
        conn: ConnId,
        /// Source or destination.
        manip: Manip,
        /// Before.
        before: Rc<Frame>,
        /// After.
        after: Rc<Frame>,
    },
    /// IPVS looked at the packet.
    Ipvs {
        /// Where.
        ctx: HookCtx,
        /// What it did.
        step: IpvsStep,
    },
    /// The packet stops between two hook functions, while others go on.
    Parked {
        /// Where.
        ctx: HookCtx,
        /// The processor that it is on.
        cpu: usize,
        /// At which point.
        stop: Stop,
    },
    /// It goes on.
    Resumed {
        /// Where.
        ctx: HookCtx,
        /// The processor that it is on.
        cpu: usize,
        /// From which point.
        stop: Stop,
    },
    /// A routing decision.
    Route(RouteEvent),
    /// The bridge decided.
    Bridge {
        /// The bridge device.
        bridge: DevId,
        /// The port that it came in by; `None` if the box itself sends.
        from: Option<DevId>,
        /// What it did.
        step: BridgeStep,
    },
    /// br_netfilter lends a bridged packet to the IP hooks, or does not.
    BrNetfilter {
        /// The bridge device.
        bridge: DevId,
        /// What it did.
        step: BrNfStep,
    },
    /// The neighbour table.
    Neigh {
        /// Device.
        dev: DevId,
        /// Address.
        addr: Ipv4Addr,
        /// What happened.
        step: NeighStep,
    },
    /// A tunnel's device took the packet.
    Tunnel {
        /// The device.
        dev: DevId,
        /// What it did.
        step: TunnelStep,
    },
    /// TTL was decremented by forwarding.
    Forward {
        /// New TTL.
        ttl: u8,
    },
    /// A fragment was kept, or a datagram put together or cut.
    Fragment(FragStep),
    /// A socket took the packet.
    Socket {
        /// The socket.
        socket: SocketId,
        /// What it did with it, in the words of the protocol.
        step: SocketStep,
    },
    /// The packet ended.
    Drop {
        /// Why.
        reason: DropReason,
        /// The device at which it was.
        dev: Option<DevId>,
        /// The packet as it was.
        frame: Rc<Frame>,
    },
    /// A line in the kernel's ring buffer.
    KernelLog(String),
}

/// Fragments (net/ipv4/ip_fragment.c, `ip_do_fragment`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FragStep {
    /// It waits for the others.
    Waits,
    /// It is part of a datagram now, which goes on as the first fragment.
    Joined {
        /// That one.
        into: PacketId,
    },
    /// All are there: this, the first one, is the whole datagram from now on.
    Reassembled {
        /// The others, in order.
        others: Vec<PacketId>,
        /// The datagram.
        frame: Rc<Frame>,
    },
    /// The datagram leaves in pieces.
    Cut {
        /// How many.
        pieces: usize,
        /// The datagram as it was.
        frame: Rc<Frame>,
    },
    /// A fragment that was part of a datagram leaves again, in the same memory, with a new header: who has not yet read
    /// what was captured of it before reads the new one.
    Reused,
}

/// What a tunnel did (net/ipv4/ip_tunnel_core.c).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelStep {
    /// The packet goes on inside another one.
    Encapsulated {
        /// The inner one.
        before: Rc<Frame>,
        /// The outer one.
        after: Rc<Frame>,
    },
    /// The packet came out of another one.
    Decapsulated {
        /// The outer one.
        before: Rc<Frame>,
        /// The inner one.
        after: Rc<Frame>,
    },
}

/// What conntrack did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtStep {
    /// Made a new, unconfirmed entry.
    New,
    /// Made a new, unconfirmed entry for a flow that a helper has announced.
    Expected,
    /// Found the entry.
    Found,
    /// Found the entry, which does not believe the packet but lets it pass, until the other side has spoken.
    Ignored,
    /// An ICMP error about a known flow.
    Related,
    /// The packet already had its entry (loopback, or the kernel's answer to a packet).
    Attached,
    /// Not valid for its flow, or no flow can begin like this; the text is conntrack's reason.
    Invalid(&'static str),
    /// A rule said not to track it.
    Untracked,
    /// The table is full.
    TableFull,
}

/// How two entries that want the same tuple get along (`nf_ct_resolve_clash`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClashStep {
    /// The packet goes on with the entry that is in the table; its own one is gone.
    Merged,
    /// Its entry is entered in its reply direction alone, for a second: enough for an answer.
    ReplyOnly,
    /// The packet is dropped.
    Lost,
}

/// A ctnetlink message.
#[derive(Clone, Debug, PartialEq)]
pub struct CtEvent {
    /// New, update or destroy.
    pub kind: CtEventKind,
    /// The entry.
    pub row: Row,
    /// It tells the protocol's state.
    pub proto: bool,
    /// It tells the mark even if that is 0, as it has changed.
    pub mark: bool,
}

/// A ctnetlink message about an expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectEvent {
    /// New or destroy.
    pub kind: ExpectEventKind,
    /// The expectation.
    pub row: ExpectRow,
}

/// Kinds of ctnetlink messages about expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectEventKind {
    /// `[NEW]`
    New,
    /// `[DESTROY]`: it came, or was given up.
    Destroy,
}

/// Kinds of ctnetlink messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtEventKind {
    /// `[NEW]`
    New,
    /// `[UPDATE]`
    Update,
    /// `[DESTROY]`
    Destroy,
}

/// What the bridge did with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeStep {
    /// Learned or refreshed: this address is behind this port.
    Learned {
        /// The source address of the frame.
        mac: Mac,
        /// The port.
        port: DevId,
    },
    /// The destination is known: sent out of one port.
    Forwarded(DevId),
    /// The destination is unknown, or a group: copied to these ports, in this order.
    Flooded(Vec<DevId>),
    /// Handed to the box's own IP stack.
    PassedUp,
    /// A copy handed up because the bridge device is promiscuous.
    PassedUpPromiscuous,
}

/// What br_netfilter did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrNfStep {
    /// The module is not loaded, or `bridge-nf-call-iptables` is 0: a bridged packet meets no IP hook here.
    NotCalled {
        /// The module is loaded.
        loaded: bool,
        /// The hook that it would have met.
        hook: InetHook,
    },
    /// The IP hook runs for a bridged packet.
    Calls(InetHook),
    /// PREROUTING changed the destination to a host behind the same bridge: the packet stays on the bridge.
    BridgedDnat {
        /// The new destination.
        to: Ipv4Addr,
    },
    /// PREROUTING changed the destination to something else: the packet goes up to be routed.
    RoutedDnat {
        /// The new destination.
        to: Ipv4Addr,
    },
}

/// What IPVS did.
#[derive(Clone, Debug, PartialEq)]
pub enum IpvsStep {
    /// A new connection of this virtual server goes to this real server.
    Scheduled(ServiceId, Endpoint),
    /// The virtual server has no real server that takes connections.
    NoServer(ServiceId),
    /// The packet was rewritten: a request to the real server, an answer as from the virtual one.
    Rewritten {
        /// Before.
        before: Rc<Frame>,
        /// After.
        after: Rc<Frame>,
        /// Its connection, as the packet leaves it.
        conn: IpvsConn,
    },
    /// The packet goes on to the real server as it is (direct routing).
    Forwarded(IpvsConn),
}

/// What the neighbour table did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighStep {
    /// The address is known.
    Resolved(Mac),
    /// The packet waits while ARP asks.
    Waiting,
    /// An answer (or a request from that neighbour) filled the entry.
    Learned(Mac),
    /// Nobody answered.
    Failed,
}

/// What a socket did with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketStep {
    /// A TCP socket changed its state.
    TcpState {
        /// Before.
        from: &'static str,
        /// After.
        to: &'static str,
    },
    /// Payload was put into the receive queue: bytes.
    Received(usize),
    /// An acknowledgement, or another segment without payload.
    Segment,
    /// An ICMP error was reported to the socket.
    IcmpError {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// An echo reply arrived.
    EchoReply,
}
