//! Types of sets, and what their members are made of.

use super::SetError;
use ::packet::{Port, Protocol};
use std::net::Ipv4Addr;

/// A type of set that is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetType {
    /// `bitmap:port`
    BitmapPort,
    /// `hash:ip`
    HashIp,
    /// `hash:ip,port`
    HashIpPort,
    /// `hash:ip,port,ip`
    HashIpPortIp,
    /// `hash:ip,port,net`
    HashIpPortNet,
    /// `hash:net`
    HashNet,
    /// `hash:net,port`
    HashNetPort,
}

impl SetType {
    /// Every type.
    pub const ALL: [SetType; 7] = [
        SetType::BitmapPort,
        SetType::HashIp,
        SetType::HashIpPort,
        SetType::HashIpPortIp,
        SetType::HashIpPortNet,
        SetType::HashNet,
        SetType::HashNetPort,
    ];

    /// Its name in `create`.
    pub fn name(self) -> &'static str {
        match self {
            SetType::BitmapPort => "bitmap:port",
            SetType::HashIp => "hash:ip",
            SetType::HashIpPort => "hash:ip,port",
            SetType::HashIpPortIp => "hash:ip,port,ip",
            SetType::HashIpPortNet => "hash:ip,port,net",
            SetType::HashNet => "hash:net",
            SetType::HashNetPort => "hash:net,port",
        }
    }

    /// How many parts a member has; a rule needs as many directions.
    pub fn dimension(self) -> u8 {
        match self {
            SetType::BitmapPort | SetType::HashIp | SetType::HashNet => 1,
            SetType::HashIpPort | SetType::HashNetPort => 2,
            SetType::HashIpPortIp | SetType::HashIpPortNet => 3,
        }
    }

    /// True if a member has an address before its port.
    pub fn has_addr(self) -> bool {
        self != SetType::BitmapPort
    }

    /// True if that address is a network.
    pub fn first_is_net(self) -> bool {
        matches!(self, SetType::HashNet | SetType::HashNetPort)
    }

    /// True if a member has a port.
    pub fn has_port(self) -> bool {
        !matches!(self, SetType::HashIp | SetType::HashNet)
    }

    /// True if a member has an address behind its port.
    pub fn has_second(self) -> bool {
        self.dimension() == 3
    }

    /// True if `nomatch` is known (`IPSET_TYPE_NOMATCH`): a part of the member is a network.
    pub fn has_nomatch(self) -> bool {
        self.first_is_net() || self == SetType::HashIpPortNet
    }
}

/// A member. Parts that its type does not have are zero, prefixes of single addresses 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elem {
    /// The first address, masked.
    pub ip: Ipv4Addr,
    /// Its prefix length.
    pub cidr: u8,
    /// The protocol of the port.
    pub proto: Protocol,
    /// The port; for ICMP type and code.
    pub port: Port,
    /// The second address, masked.
    pub ip2: Ipv4Addr,
    /// Its prefix length.
    pub cidr2: u8,
}

impl Elem {
    /// Nothing yet.
    pub(super) const ZERO: Elem = Elem {
        ip: Ipv4Addr::UNSPECIFIED,
        cidr: 32,
        proto: Protocol(0),
        port: 0,
        ip2: Ipv4Addr::UNSPECIFIED,
        cidr2: 32,
    };
}

/// Addresses as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addrs {
    /// `ADDRESS/LENGTH`; without a length it is 32.
    Net(Ipv4Addr, u8),
    /// `FROM-TO`
    Range(Ipv4Addr, Ipv4Addr),
}

/// One or many members as they are typed. Parts that the type of the set does not have are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elems {
    /// The first part.
    pub first: Addrs,
    /// The protocol.
    pub proto: Protocol,
    /// Ports from, to.
    pub ports: (Port, Port),
    /// The part behind the port.
    pub second: Addrs,
}

/// `ip_set_netmask`
pub(super) fn masked(ip: Ipv4Addr, cidr: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(u32::from(32u8.saturating_sub(cidr))).unwrap_or(0);
    Ipv4Addr::from_bits(ip.to_bits() & mask)
}

/// The end that is smaller, and the other.
fn ordered<T: PartialOrd>(a: T, b: T) -> (T, T) {
    if b < a { (b, a) } else { (a, b) }
}

impl Addrs {
    /// The first address, and its prefix length, for a type that takes networks.
    fn one_net(self) -> Result<(Ipv4Addr, u8), SetError> {
        match self {
            Addrs::Net(_, 0) => Err(SetError::InvalidCidr),
            Addrs::Net(ip, cidr) => Ok((masked(ip, cidr), cidr)),
            Addrs::Range(from, _) => Ok((from, 32)),
        }
    }

    /// Networks that are just these addresses (`ip_set_range_to_cidr`), one after the other to `each`.
    fn nets(self, each: &mut dyn FnMut(Ipv4Addr, u8) -> Result<(), SetError>) -> Result<(), SetError> {
        let Addrs::Range(from, to) = self else {
            let (ip, cidr) = self.one_net()?;
            return each(ip, cidr);
        };
        let (from, to) = ordered(from.to_bits(), to.to_bits());
        if (from, to) == (0, u32::MAX) {
            return Err(SetError::HashRange);
        }
        let mut next = Some(from);
        while let Some(ip) = next.filter(|ip| *ip <= to) {
            let fits = |cidr: &u8| {
                let last = ip | u32::MAX.checked_shr(u32::from(*cidr)).unwrap_or(0);
                masked(Ipv4Addr::from_bits(ip), *cidr).to_bits() == ip && last <= to
            };
            let cidr = (1..=32).find(fits).unwrap_or(32);
            each(Ipv4Addr::from_bits(ip), cidr)?;
            next = (ip | u32::MAX.checked_shr(u32::from(cidr)).unwrap_or(0)).checked_add(1);
        }
        Ok(())
    }

    /// Single addresses, of which a set keeps the first `keep` bits.
    fn single(
        self,
        keep: u8,
        each: &mut dyn FnMut(Ipv4Addr, u8) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        let (from, to) = match self {
            Addrs::Net(_, 0) => return Err(SetError::InvalidCidr),
            Addrs::Net(ip, cidr) => {
                let from = masked(ip, cidr).to_bits();
                (from, from | u32::MAX.checked_shr(u32::from(cidr)).unwrap_or(0))
            }
            Addrs::Range(from, to) => ordered(from.to_bits(), to.to_bits()),
        };
        let step = 1u32.checked_shl(u32::from(32u8.saturating_sub(keep))).unwrap_or(0);
        let mut next = Some(masked(Ipv4Addr::from_bits(from), keep).to_bits());
        while let Some(ip) = next.filter(|ip| *ip <= to) {
            each(Ipv4Addr::from_bits(ip), 32)?;
            next = ip.checked_add(step).filter(|_| step > 0);
        }
        Ok(())
    }
}

/// True if the ports of a protocol are a range (`ip_set_proto_with_ports`).
pub(super) fn with_ports(proto: Protocol) -> bool {
    // SCTP and UDP-Lite count as well.
    matches!(proto, Protocol::TCP | Protocol::UDP | Protocol(132) | Protocol(136))
}

impl Elems {
    /// The first of them, as `test` looks at it.
    pub(super) fn first_of(&self, kind: SetType, netmask: u8) -> Result<Elem, SetError> {
        let mut elem = Elem::ZERO;
        if kind.first_is_net() {
            (elem.ip, elem.cidr) = self.first.one_net()?;
        } else if kind.has_addr() {
            let (ip, _) = self.first.one_net()?;
            elem.ip = masked(ip, netmask);
        }
        if kind == SetType::HashIpPortNet {
            (elem.ip2, elem.cidr2) = self.second.one_net()?;
        } else if kind == SetType::HashIpPortIp {
            elem.ip2 = self.second.one_net()?.0;
        }
        if kind.has_port() {
            elem.port = self.ports.0;
        }
        if kind.has_port() && kind.has_addr() {
            elem.proto = self.checked_proto()?;
        }
        Ok(elem)
    }

    fn checked_proto(&self) -> Result<Protocol, SetError> {
        if self.proto.0 == 0 { Err(SetError::InvalidProto) } else { Ok(self.proto) }
    }

    /// All of them in the kernel's order, one after the other to `each`, until it refuses one.
    pub(super) fn each(
        &self,
        kind: SetType,
        netmask: u8,
        each: &mut dyn FnMut(Elem) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        let ports = match () {
            () if !kind.has_port() => (0, 0),
            () if !kind.has_addr() => ordered(self.ports.0, self.ports.1),
            () if with_ports(self.checked_proto()?) => ordered(self.ports.0, self.ports.1),
            () if self.proto == Protocol::ICMP => (self.ports.0, self.ports.0),
            () => (0, 0),
        };
        let proto = if kind.has_port() && kind.has_addr() { self.proto } else { Protocol(0) };
        let mut with_second = |ip: Ipv4Addr, cidr: u8| {
            for port in ports.0..=ports.1 {
                let elem = Elem { ip, cidr, proto, port, ..Elem::ZERO };
                match kind {
                    SetType::HashIpPortNet => {
                        self.second.nets(&mut |ip2, cidr2| each(Elem { ip2, cidr2, ..elem }))?;
                    }
                    SetType::HashIpPortIp => each(Elem { ip2: self.second.one_net()?.0, ..elem })?,
                    _ => each(elem)?,
                }
            }
            Ok(())
        };
        if !kind.has_addr() {
            with_second(Ipv4Addr::UNSPECIFIED, 32)
        } else if kind.first_is_net() {
            self.first.nets(&mut with_second)
        } else {
            self.first.single(netmask, &mut with_second)
        }
    }
}
