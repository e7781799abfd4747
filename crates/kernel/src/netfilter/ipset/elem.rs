//! What members are made of.

use super::SetError;
use super::kind::SetType;
use super::options::SetOptions;
use ::packet::{Port, Protocol};
use std::net::Ipv4Addr;

/// A member. Parts that its type does not have are zero or empty, prefixes of single addresses 32.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// `physdev:`: the device is a bridge port.
    pub physdev: bool,
    /// `wildcard`: every device whose name begins so.
    pub wildcard: bool,
    /// The name of the device, or of the set.
    pub name: Box<str>,
}

impl Default for Elem {
    fn default() -> Elem {
        Elem {
            ip: Ipv4Addr::UNSPECIFIED,
            cidr: 32,
            proto: Protocol(0),
            port: 0,
            ip2: Ipv4Addr::UNSPECIFIED,
            cidr2: 32,
            physdev: false,
            wildcard: false,
            name: Box::default(),
        }
    }
}

impl Elem {
    /// `mtype_data_equal`: a member against what is looked for. `near` becomes true if they differ at most in the device.
    pub(super) fn equals(&self, wanted: &Elem, near: &mut u32) -> bool {
        if (self.ip, self.cidr, self.proto, self.port) != (wanted.ip, wanted.cidr, wanted.proto, wanted.port)
            || (self.ip2, self.cidr2) != (wanted.ip2, wanted.cidr2)
        {
            return false;
        }
        *near += 1;
        let name = match self.wildcard {
            true => wanted.name.starts_with(&*self.name),
            false => self.name == wanted.name,
        };
        name && self.physdev == wanted.physdev
    }

    /// The prefix length that the type keeps a list of.
    pub(super) fn net(&self, kind: SetType) -> u8 {
        if kind.first_is_net() { self.cidr } else { self.cidr2 }
    }

    /// The member with a shorter prefix.
    pub(super) fn shortened(&self, kind: SetType, cidr: u8) -> Elem {
        match kind.first_is_net() {
            true => Elem { ip: masked(self.ip, cidr), cidr, ..self.clone() },
            false => Elem { ip2: masked(self.ip2, cidr), cidr2: cidr, ..self.clone() },
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elems {
    /// The first part.
    pub first: Addrs,
    /// The protocol.
    pub proto: Protocol,
    /// Ports from, to.
    pub ports: (Port, Port),
    /// The part behind the port.
    pub second: Addrs,
    /// `physdev:`
    pub physdev: bool,
    /// `wildcard`
    pub wildcard: bool,
    /// The device or the set.
    pub name: Box<str>,
    /// `before SET` (true) or `after SET`.
    pub place: Option<(bool, Box<str>)>,
}

impl Default for Elems {
    fn default() -> Elems {
        let nothing = Addrs::Net(Ipv4Addr::UNSPECIFIED, 32);
        Elems {
            first: nothing,
            proto: Protocol(0),
            ports: (0, 0),
            second: nothing,
            physdev: false,
            wildcard: false,
            name: Box::default(),
            place: None,
        }
    }
}

/// How many members may be typed at once: the kernel would be busy for minutes with more, or full.
const TYPED_MAX: u32 = 1 << 20;

/// Takes members one after the other, until it refuses one.
type Each<'a> = dyn FnMut(Elem) -> Result<(), SetError> + 'a;

/// The bits of a prefix (`ip_set_hostmask`).
pub(super) fn mask(cidr: u8) -> u32 {
    u32::MAX.checked_shl(u32::from(32u8.saturating_sub(cidr))).unwrap_or(0)
}

/// `ip_set_netmask`
pub(super) fn masked(ip: Ipv4Addr, cidr: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(ip.to_bits() & mask(cidr))
}

/// The end that is smaller, and the other.
fn ordered<T: PartialOrd>(a: T, b: T) -> (T, T) {
    if b < a { (b, a) } else { (a, b) }
}

impl Addrs {
    /// The first address, and its prefix length, for a type that takes networks.
    fn one_net(self, kind: SetType) -> Result<(Ipv4Addr, u8), SetError> {
        match self {
            Addrs::Net(ip, 0) if kind == SetType::HashNetIface => Ok((masked(ip, 0), 0)),
            Addrs::Net(_, 0) => Err(SetError::InvalidCidr),
            Addrs::Net(ip, cidr) => Ok((masked(ip, cidr), cidr)),
            Addrs::Range(from, _) => Ok((from, 32)),
        }
    }

    /// Networks that are just these addresses (`ip_set_range_to_cidr`), one after the other to `each`.
    fn nets(
        self,
        kind: SetType,
        each: &mut dyn FnMut(Ipv4Addr, u8) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        let Addrs::Range(from, to) = self else {
            let (ip, cidr) = self.one_net(kind)?;
            return each(ip, cidr);
        };
        let (from, to) = ordered(from.to_bits(), to.to_bits());
        if (from, to) == (0, u32::MAX) {
            return Err(SetError::HashRange);
        }
        let mut next = Some(from);
        while let Some(ip) = next.filter(|ip| *ip <= to) {
            let fits = |cidr: &u8| ip & mask(*cidr) == ip && ip | !mask(*cidr) <= to;
            let cidr = (1..=32).find(fits).unwrap_or(32);
            each(Ipv4Addr::from_bits(ip), cidr)?;
            next = (ip | !mask(cidr)).checked_add(1);
        }
        Ok(())
    }

    /// The first and the last address, for a type that takes single ones.
    pub(super) fn ends(self) -> Result<(u32, u32), SetError> {
        match self {
            Addrs::Net(_, 0) => Err(SetError::InvalidCidr),
            Addrs::Net(ip, cidr) => {
                let from = ip.to_bits() & mask(cidr);
                Ok((from, from | !mask(cidr)))
            }
            Addrs::Range(from, to) => Ok(ordered(from.to_bits(), to.to_bits())),
        }
    }
}

/// True if the ports of a protocol are a range (`ip_set_proto_with_ports`).
pub(super) fn with_ports(proto: Protocol) -> bool {
    // SCTP and UDP-Lite count as well.
    matches!(proto, Protocol::TCP | Protocol::UDP | Protocol(132) | Protocol(136))
}

impl Elems {
    /// The first of them, as `test` looks at it.
    pub(super) fn first_of(&self, kind: SetType, options: &SetOptions) -> Result<Elem, SetError> {
        let mut elem = self.plain();
        if kind.first_is_net() {
            (elem.ip, elem.cidr) = self.first.one_net(kind)?;
        } else if kind.has_addr() {
            let (ip, _) = self.first.one_net(kind)?;
            elem.ip = Ipv4Addr::from_bits(ip.to_bits() & options.mask.bits());
        }
        if kind == SetType::HashIpPortNet {
            (elem.ip2, elem.cidr2) = self.second.one_net(kind)?;
        } else if kind == SetType::HashIpPortIp {
            elem.ip2 = self.second.one_net(kind)?.0;
        }
        if kind.has_port() {
            elem.port = self.ports.0;
        }
        if kind.has_port() && kind.has_addr() {
            elem.proto = self.checked_proto()?;
        }
        Ok(elem)
    }

    /// What all of them share.
    fn plain(&self) -> Elem {
        let (physdev, wildcard) = (self.physdev, self.wildcard);
        Elem { physdev, wildcard, name: self.name.clone(), ..Elem::default() }
    }

    fn checked_proto(&self) -> Result<Protocol, SetError> {
        if self.proto.0 == 0 { Err(SetError::InvalidProto) } else { Ok(self.proto) }
    }

    /// All of them in the kernel's order, one after the other to `each`, until it refuses one.
    pub(super) fn each(
        &self,
        kind: SetType,
        options: &SetOptions,
        each: &mut Each<'_>,
    ) -> Result<(), SetError> {
        // A prefix that cannot be is found before a protocol that cannot.
        if kind.first_is_net() {
            self.first.one_net(kind)?;
        } else if kind == SetType::HashIpPortNet {
            self.second.one_net(kind)?;
        }
        let ports = match () {
            () if !kind.has_port() => (0, 0),
            () if !kind.has_addr() => ordered(self.ports.0, self.ports.1),
            () if with_ports(self.checked_proto()?) => ordered(self.ports.0, self.ports.1),
            () if self.proto == Protocol::ICMP => (self.ports.0, self.ports.0),
            () => (0, 0),
        };
        let mut left = TYPED_MAX;
        let mut each = |elem: Elem| {
            left = left.checked_sub(1).ok_or(SetError::NoMemory)?;
            each(elem)
        };
        let mut base = self.plain();
        if kind.has_port() && kind.has_addr() {
            base.proto = self.proto;
        }
        let mut with_second = |ip: Ipv4Addr, cidr: u8| {
            for port in ports.0..=ports.1 {
                let elem = Elem { ip, cidr, port, ..base.clone() };
                match kind {
                    SetType::HashIpPortNet => {
                        self.second
                            .nets(kind, &mut |ip2, cidr2| each(Elem { ip2, cidr2, ..elem.clone() }))?;
                    }
                    SetType::HashIpPortIp => each(Elem { ip2: self.second.one_net(kind)?.0, ..elem })?,
                    _ => each(elem)?,
                }
            }
            Ok(())
        };
        if !kind.has_addr() {
            with_second(Ipv4Addr::UNSPECIFIED, 32)
        } else if kind.first_is_net() {
            self.first.nets(kind, &mut with_second)
        } else {
            self.singles(kind, options, &mut with_second)
        }
    }

    /// Single addresses. A hash masks only the first and goes on from there: hash:ip by the size of a network, hash:ip,port
    /// by one.
    fn singles(
        &self,
        kind: SetType,
        options: &SetOptions,
        each: &mut dyn FnMut(Ipv4Addr, u8) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        let keep = options.mask.bits();
        let (from, to) = match self.first {
            Addrs::Net(..) if kind == SetType::BitmapIp => self.first.ends()?,
            Addrs::Net(ip, cidr) => Addrs::Net(Ipv4Addr::from_bits(ip.to_bits() & keep), cidr).ends()?,
            Addrs::Range(from, to) if kind == SetType::BitmapIp => ordered(from.to_bits(), to.to_bits()),
            Addrs::Range(from, to) => ordered(from.to_bits() & keep, to.to_bits()),
        };
        if matches!(self.first, Addrs::Net(_, 32)) {
            return each(Ipv4Addr::from_bits(from & keep), 32);
        }
        let by_nets = matches!(kind, SetType::HashIp | SetType::BitmapIp);
        let step = if by_nets { options.mask.hosts() } else { 1 };
        let mut next = Some(from);
        while let Some(ip) = next.filter(|ip| *ip <= to) {
            let kept = if kind == SetType::BitmapIp { ip & keep } else { ip };
            each(Ipv4Addr::from_bits(kept), 32)?;
            next = ip.checked_add(step).filter(|_| step > 0);
        }
        Ok(())
    }
}
