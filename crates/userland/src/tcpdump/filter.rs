//! What a filter asks of a frame (libpcap, gencode.c).

use super::parse;
use crate::diagnostic::Diagnostic;
use packet::{Family, Frame, Ip, Mac, Payload, Protocol};
use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr};

/// What frames look like to a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// `DLT_EN10MB`: a device of its own.
    #[default]
    Ethernet,
    /// `DLT_LINUX_SLL`: a header of 16 bytes, without the destination's address.
    Cooked,
    /// `DLT_LINUX_SLL2`, of `-i any`: a header of 20 bytes.
    Cooked2,
}

impl Link {
    /// Length of the header in front of the packet, in bytes.
    pub fn header_len(self) -> usize {
        match self {
            Link::Ethernet => 14,
            Link::Cooked => 16,
            Link::Cooked2 => 20,
        }
    }
}

/// A filter expression, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub(crate) link: Link,
    /// `None` for the empty expression, which every frame passes.
    pub(crate) expr: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// A number that no field can hold was asked for.
    Never,
    /// The EtherType.
    EtherType(u16),
    /// The protocol above IP, of one family or both.
    Proto(Option<Family>, u8),
    /// An address in an IP header, or in ARP.
    Addr {
        of: AddrOf,
        dir: Dir,
        net: IpAddr,
        mask: u128,
    },
    /// A MAC address of the Ethernet header.
    Mac(Dir, Mac),
    /// A port of one of these protocols.
    Port {
        protos: &'static [Protocol],
        dir: Dir,
        low: u16,
        high: u16,
    },
    /// A destination that is a group: of the link, of IPv4, of IPv6.
    Group(Group),
    /// Left, operator, right. It holds only for packets that have what it reads.
    Relation(Arith, Relation, Arith),
}

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddrOf {
    /// IPv4, ARP and RARP, or IPv6, by the address.
    Any,
    /// The IP header.
    Ip,
    /// ARP.
    Arp,
    /// RARP, which nobody here sends.
    Rarp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dir {
    Src,
    Dst,
    Either,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    EtherBroadcast,
    EtherMulticast,
    Ipv4Multicast,
    Ipv6Multicast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arith {
    Number(u32),
    Len,
    /// `proto[offset:size]`
    Load {
        layer: Layer,
        offset: Box<Arith>,
        size: u8,
    },
    Op(Box<Arith>, ArithOp, Box<Arith>),
    Minus(Box<Arith>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArithOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    Xor,
    Shl,
    Shr,
}

/// From where an accessor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Link,
    /// The header with this EtherType.
    Network(u16),
    /// The header behind IPv4's, of packets of this protocol that are no later fragments.
    Transport(u8),
    /// The ICMPv6 header.
    Icmp6,
}

/// A frame, and its bytes once somebody needs them.
struct Looked<'a> {
    frame: &'a Frame,
    link: Link,
    bytes: OnceCell<Vec<u8>>,
}

/// The program read beyond the end of the packet or divided by zero: it refuses the packet, whatever the rest says.
struct Aborted;

impl Filter {
    /// Reads an expression for captures of Ethernet frames.
    ///
    /// # Errors
    /// The place and what was expected; what tcpdump says is in [`crate::Details::tool`].
    pub fn parse(text: &str) -> Result<Filter, Diagnostic> {
        Filter::parse_for(text, Link::Ethernet)
    }

    /// Reads an expression for captures of that kind.
    ///
    /// # Errors
    /// As for [`Filter::parse`].
    pub fn parse_for(text: &str, link: Link) -> Result<Filter, Diagnostic> {
        Ok(Filter { link, expr: parse::parse(text, link)? })
    }

    /// True if the frame passes.
    pub fn matches(&self, frame: &Frame) -> bool {
        let Some(expr) = &self.expr else { return true };
        let looked = Looked { frame, link: self.link, bytes: OnceCell::new() };
        expr.holds(&looked).unwrap_or(false)
    }
}

impl Dir {
    fn holds(self, src: bool, dst: bool) -> bool {
        match self {
            Dir::Src => src,
            Dir::Dst => dst,
            Dir::Either => src || dst,
            Dir::Both => src && dst,
        }
    }
}

impl Expr {
    fn holds(&self, p: &Looked<'_>) -> Result<bool, Aborted> {
        Ok(match self {
            Expr::And(a, b) => a.holds(p)? && b.holds(p)?,
            Expr::Or(a, b) => a.holds(p)? || b.holds(p)?,
            Expr::Not(a) => !a.holds(p)?,
            Expr::Never => false,
            Expr::EtherType(t) => p.frame.ethertype() == *t,
            Expr::Proto(family, n) => p
                .frame
                .ip()
                .is_some_and(|ip| ip.protocol().0 == *n && family.is_none_or(|f| ip.family() == f)),
            Expr::Addr { of, dir, net, mask } => p.addresses(*of).is_some_and(|(src, dst)| {
                let is = |addr: IpAddr| addr.is_ipv4() == net.is_ipv4() && bits(addr) & mask == bits(*net);
                dir.holds(is(src), is(dst))
            }),
            Expr::Mac(dir, mac) => dir.holds(p.frame.src == *mac, p.frame.dst == *mac),
            Expr::Port { protos, dir, low, high } => {
                let is = |port| (*low..=*high).contains(&port);
                let ports = p.frame.ip().filter(|ip| protos.contains(&ip.protocol())).and_then(Ip::ports);
                ports.is_some_and(|(src, dst)| dir.holds(is(src), is(dst)))
            }
            Expr::Group(group) => p.is_for(*group),
            Expr::Relation(a, relation, b) => {
                // What is read has to be there; the layers are asked before anything is read.
                if !a.layers_are_there(p) || !b.layers_are_there(p) {
                    return Ok(false);
                }
                let (a, b) = (a.value(p)?, b.value(p)?);
                match relation {
                    Relation::Less => a < b,
                    Relation::LessEqual => a <= b,
                    Relation::Greater => a > b,
                    Relation::GreaterEqual => a >= b,
                    Relation::Equal => a == b,
                    Relation::NotEqual => a != b,
                }
            }
        })
    }
}

/// An address as a number; that of IPv4 stands in the upper bits.
pub(crate) fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u128::from(a.to_bits()) << 96,
        IpAddr::V6(a) => a.to_bits(),
    }
}

impl Arith {
    fn layers_are_there(&self, p: &Looked<'_>) -> bool {
        match self {
            Arith::Number(_) | Arith::Len => true,
            Arith::Load { layer, offset, .. } => p.start_of(*layer).is_some() && offset.layers_are_there(p),
            Arith::Op(a, _, b) => a.layers_are_there(p) && b.layers_are_there(p),
            Arith::Minus(a) => a.layers_are_there(p),
        }
    }

    fn value(&self, p: &Looked<'_>) -> Result<u32, Aborted> {
        Ok(match self {
            Arith::Number(n) => *n,
            Arith::Len => u32::try_from(p.len()).unwrap_or(u32::MAX),
            Arith::Load { layer, offset, size } => {
                let start = p.start_of(*layer).ok_or(Aborted)?;
                p.load(start, offset.value(p)?, *size)?
            }
            Arith::Op(a, op, b) => op.of(a.value(p)?, b.value(p)?)?,
            Arith::Minus(a) => a.value(p)?.wrapping_neg(),
        })
    }
}

impl ArithOp {
    fn of(self, a: u32, b: u32) -> Result<u32, Aborted> {
        Ok(match self {
            ArithOp::Add => a.wrapping_add(b),
            ArithOp::Sub => a.wrapping_sub(b),
            ArithOp::Mul => a.wrapping_mul(b),
            ArithOp::Div => a.checked_div(b).ok_or(Aborted)?,
            ArithOp::Rem => a.checked_rem(b).ok_or(Aborted)?,
            ArithOp::And => a & b,
            ArithOp::Or => a | b,
            ArithOp::Xor => a ^ b,
            ArithOp::Shl => a.checked_shl(b).unwrap_or(0),
            ArithOp::Shr => a.checked_shr(b).unwrap_or(0),
        })
    }
}

impl Looked<'_> {
    /// Length as the capture counts it.
    fn len(&self) -> usize {
        self.frame.len() - 14 + self.link.header_len()
    }

    fn addresses(&self, of: AddrOf) -> Option<(IpAddr, IpAddr)> {
        match (&self.frame.payload, of) {
            (Payload::Ip(ip), AddrOf::Any | AddrOf::Ip) => Some((ip.src, ip.dst)),
            (Payload::Arp(arp), AddrOf::Any | AddrOf::Arp) => Some((arp.spa.into(), arp.tpa.into())),
            _ => None,
        }
    }

    fn is_for(&self, group: Group) -> bool {
        let dst = self.frame.ip().map(|ip| ip.dst);
        match group {
            Group::EtherBroadcast => self.frame.dst.is_broadcast(),
            Group::EtherMulticast => self.frame.dst.is_multicast(),
            Group::Ipv4Multicast => matches!(dst, Some(IpAddr::V4(a)) if a >= Ipv4Addr::new(224, 0, 0, 0)),
            Group::Ipv6Multicast => matches!(dst, Some(IpAddr::V6(a)) if a.is_multicast()),
        }
    }

    /// Where the layer begins, if the packet has it.
    fn start_of(&self, layer: Layer) -> Option<usize> {
        let link = self.link.header_len();
        let ip = self.frame.ip();
        match layer {
            Layer::Link => Some(0),
            Layer::Network(t) => (self.frame.ethertype() == t).then_some(link),
            Layer::Transport(proto) => {
                let ip = ip.filter(|ip| ip.family() == Family::V4 && ip.frag.offset == 0)?;
                (ip.protocol().0 == proto).then_some(link + 20)
            }
            Layer::Icmp6 => ip.filter(|ip| ip.protocol() == Protocol::ICMPV6).map(|_| link + 40),
        }
    }

    fn load(&self, start: usize, offset: u32, size: u8) -> Result<u32, Aborted> {
        let bytes = self.bytes.get_or_init(|| {
            let frame = self.frame.to_bytes();
            let link = self.link.header_len();
            if link == 14 {
                return frame;
            }
            let mut cooked = vec![0; link];
            cooked.extend(frame.get(14..).unwrap_or_default());
            cooked
        });
        let from = usize::try_from(offset).ok().and_then(|o| start.checked_add(o)).ok_or(Aborted)?;
        let part = from.checked_add(usize::from(size)).and_then(|to| bytes.get(from..to)).ok_or(Aborted)?;
        Ok(part.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }
}
