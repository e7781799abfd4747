//! A rule: `struct ipt_entry` with its matches and target, as checked values.

use super::matches::Match;
use super::targets::Target;
use crate::netfilter::conntrack::CtState;
use packet::{Port, Protocol};
use std::net::IpAddr;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP header included.
    pub bytes: u64,
}

impl Counters {
    /// Counts one packet of that many bytes.
    pub fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Takes that back.
    pub fn subtract(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }
}

/// Something that `!` can invert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neg<T> {
    /// True if written with `!`.
    pub not: bool,
    /// The value.
    pub value: T,
}

impl<T> Neg<T> {
    /// Not inverted.
    pub fn plain(value: T) -> Neg<T> {
        Neg { not: false, value }
    }

    /// The result of a test with the inversion applied.
    pub fn apply(&self, test: impl FnOnce(&T) -> bool) -> bool {
        test(&self.value) != self.not
    }
}

/// `-s`, `-d`: an address with a mask, which need not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpMatch {
    /// Address; bits outside the mask may be set where the tool keeps them.
    pub addr: IpAddr,
    /// Mask of the same family.
    pub mask: IpAddr,
}

impl IpMatch {
    /// True if the address lies in it; never for another family.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.addr, self.mask, ip) {
            (IpAddr::V4(a), IpAddr::V4(m), IpAddr::V4(x)) => (x.to_bits() ^ a.to_bits()) & m.to_bits() == 0,
            (IpAddr::V6(a), IpAddr::V6(m), IpAddr::V6(x)) => (x.to_bits() ^ a.to_bits()) & m.to_bits() == 0,
            _ => false,
        }
    }
}

/// `-i`, `-o`: a device name; a final `+` matches any continuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfaceMatch {
    /// The name without the `+`.
    pub name: String,
    /// Written with a final `+`.
    pub wildcard: bool,
}

impl IfaceMatch {
    /// True if a device name matches. No device is the empty name.
    pub fn matches(&self, name: &str) -> bool {
        if self.wildcard { name.starts_with(self.name.as_str()) } else { name == self.name }
    }
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// First.
    pub min: Port,
    /// Last.
    pub max: Port,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange { min: 0, max: 65535 };

    /// True if the port lies in it.
    pub fn contains(self, port: Port) -> bool {
        self.min <= port && port <= self.max
    }
}

/// A rule of a chain.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Rule {
    /// `-s`
    pub src: Option<Neg<IpMatch>>,
    /// `-d`
    pub dst: Option<Neg<IpMatch>>,
    /// `-i`
    pub in_iface: Option<Neg<IfaceMatch>>,
    /// `-o`
    pub out_iface: Option<Neg<IfaceMatch>>,
    /// `-p`
    pub proto: Option<Neg<Protocol>>,
    /// `-f` (true means `! -f`)
    pub fragment: Option<Neg<()>>,
    /// Match extensions in order.
    pub matches: Vec<Match>,
    /// What to do.
    pub target: Target,
}

impl Rule {
    /// True if the rule makes the kernel turn conntrack on.
    pub fn uses_conntrack(&self) -> bool {
        self.matches.iter().any(Match::uses_conntrack) || self.target.uses_conntrack()
    }

    /// True if nothing restricts the rule (`unconditional` in ip_tables.c).
    pub fn is_unconditional(&self) -> bool {
        self.src.is_none()
            && self.dst.is_none()
            && self.in_iface.is_none()
            && self.out_iface.is_none()
            && self.proto.is_none()
            && self.fragment.is_none()
            && self.matches.is_empty()
    }
}

/// Which part of a rule a check was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOf {
    /// `-s`
    Src,
    /// `-d`
    Dst,
    /// `-i`
    InIface,
    /// `-o`
    OutIface,
    /// `-p`
    Proto,
    /// `-f`
    Fragment,
    /// The match extension at this place in [`Rule::matches`]; `part` counts its options (0 for the first).
    Match {
        /// Index into [`Rule::matches`].
        index: u8,
        /// Which of its options, in the order in which iptables prints them.
        part: u8,
    },
}

/// The value of the packet that a check looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An address.
    Addr(IpAddr),
    /// A device name, empty if there is none.
    Iface(String),
    /// A protocol.
    Proto(Protocol),
    /// A port.
    Port(Port),
    /// A mark.
    Mark(u32),
    /// Conntrack state.
    State(CtState),
    /// A word: an address type, a flag list, a reason.
    Word(&'static str),
    /// Text made from the packet.
    Text(String),
    /// A number drawn: value, and the value below which the rule matches, both out of 2^31.
    Draw(u32, u32),
    /// A counter and the value at which the rule matches.
    Count(u32, u32),
    /// Nothing to look at (a comment).
    Nothing,
}

/// One check of a rule against a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part of the rule.
    pub of: CheckOf,
    /// Did it hold?
    pub ok: bool,
    /// The packet's value.
    pub seen: Seen,
}
