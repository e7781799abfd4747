//! Values in registers and sets (`struct nft_data`), and what they stand for.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `NFT_DATA_VALUE_MAXLEN`: so many bytes fit into a register or a key.
const MAX: usize = 64;

/// A value: bytes, the most significant first. Parts of a concatenation begin at multiples of four bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Data {
    bytes: [u8; MAX],
    len: u8,
}

impl Default for Data {
    fn default() -> Data {
        Data { bytes: [0; MAX], len: 0 }
    }
}

/// By the bytes. Sets compare in many places: it is not made anew in each.
impl Ord for Data {
    #[inline(never)]
    fn cmp(&self, other: &Data) -> Ordering {
        self.bytes.as_slice().cmp(other.bytes.as_slice()).then(self.len.cmp(&other.len))
    }
}

impl PartialOrd for Data {
    fn partial_cmp(&self, other: &Data) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.bytes())
    }
}

impl Data {
    /// These bytes; what does not fit is cut off.
    pub fn new(bytes: &[u8]) -> Data {
        let mut data = Data::default();
        let len = bytes.len().min(MAX);
        data.bytes[..len].copy_from_slice(&bytes[..len]);
        data.len = len as u8;
        data
    }

    /// A number of that many bytes, at most 16.
    pub fn number(value: u128, len: usize) -> Data {
        let bytes = value.to_be_bytes();
        Data::new(&bytes[16 - len.min(16)..])
    }

    /// A number of 32 bits.
    pub fn u32(value: u32) -> Data {
        Data::new(&value.to_be_bytes())
    }

    /// An address.
    pub fn addr(addr: IpAddr) -> Data {
        match addr {
            IpAddr::V4(a) => Data::new(&a.octets()),
            IpAddr::V6(a) => Data::new(&a.octets()),
        }
    }

    /// The name of a device: 16 bytes.
    pub fn ifname(name: &str) -> Data {
        let mut bytes = [0; 16];
        let len = name.len().min(16);
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Data::new(&bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// As a number, if it has at most 16 bytes.
    pub fn as_number(&self) -> u128 {
        self.bytes().iter().take(16).fold(0, |n, b| n << 8 | u128::from(*b))
    }

    /// As a number of 32 bits; the lower bits if there are more.
    pub fn as_u32(&self) -> u32 {
        self.bytes().iter().fold(0, |n, b| n << 8 | u32::from(*b))
    }

    /// As an address, if it has the length of one.
    pub fn as_addr(&self) -> Option<IpAddr> {
        match self.len {
            4 => Some(IpAddr::V4(Ipv4Addr::from_bits(self.as_u32()))),
            16 => Some(IpAddr::V6(Ipv6Addr::from_bits(self.as_number()))),
            _ => None,
        }
    }

    /// As a text that ends at the first zero byte.
    pub fn as_text(&self) -> String {
        let text = self.bytes().split(|b| *b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// Adds the next part of a concatenation.
    pub fn push(&mut self, part: &Data) {
        let at = usize::from(self.len).next_multiple_of(4);
        let end = (at + part.bytes().len()).min(MAX);
        self.bytes[at.min(MAX)..end].copy_from_slice(&part.bytes[..end.saturating_sub(at)]);
        self.len = end as u8;
    }

    /// The parts of a concatenation of these types.
    pub fn parts(&self, types: &[DataType]) -> Vec<Data> {
        let mut at = 0;
        let mut out = Vec::with_capacity(types.len());
        for t in types {
            let end = (at + t.len()).min(MAX);
            out.push(Data::new(self.bytes.get(at..end).unwrap_or_default()));
            at = end.next_multiple_of(4);
        }
        out
    }

    /// Combines the bytes of two values of the same length.
    pub fn combine(&self, other: &Data, op: impl Fn(u8, u8) -> u8) -> Data {
        let mut out = *self;
        for (a, b) in out.bytes.iter_mut().zip(other.bytes) {
            *a = op(*a, b);
        }
        let len = usize::from(self.len);
        out.bytes[len..].fill(0);
        out
    }

    /// True if all bytes are zero.
    pub fn is_zero(&self) -> bool {
        self.bytes.iter().all(|b| *b == 0)
    }
}

/// What a value stands for (`enum datatypes` of nft).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `nf_proto`
    NfProto,
    /// `ether_type`
    EtherType,
    /// `ether_addr`
    EtherAddr,
    /// `ipv4_addr`
    Ipv4Addr,
    /// `ipv6_addr`
    Ipv6Addr,
    /// `inet_proto`
    InetProto,
    /// `inet_service`
    InetService,
    /// `icmp_type`
    IcmpType,
    /// `icmp_code`
    IcmpCode,
    /// `icmpv6_type`
    Icmpv6Type,
    /// `icmpv6_code`
    Icmpv6Code,
    /// `tcp_flag`
    TcpFlag,
    /// `dscp`
    Dscp,
    /// `ecn`
    Ecn,
    /// `mark`
    Mark,
    /// `iface_index`
    IfIndex,
    /// `ifname`
    Ifname,
    /// `uid`
    Uid,
    /// `gid`
    Gid,
    /// `pkt_type`
    PktType,
    /// `ct_state`
    CtState,
    /// `ct_dir`
    CtDir,
    /// `ct_status`
    CtStatus,
    /// `time`: milliseconds
    Time,
    /// `fib_addrtype`
    FibAddrtype,
    /// `boolean`
    Boolean,
    /// `integer` of that many bytes
    Integer(u8),
}

impl DataType {
    /// The types that a set may be declared with.
    pub const NAMED: [DataType; 25] = [
        DataType::NfProto,
        DataType::EtherType,
        DataType::EtherAddr,
        DataType::Ipv4Addr,
        DataType::Ipv6Addr,
        DataType::InetProto,
        DataType::InetService,
        DataType::IcmpType,
        DataType::IcmpCode,
        DataType::Icmpv6Type,
        DataType::Icmpv6Code,
        DataType::TcpFlag,
        DataType::Dscp,
        DataType::Ecn,
        DataType::Mark,
        DataType::IfIndex,
        DataType::Ifname,
        DataType::Uid,
        DataType::Gid,
        DataType::PktType,
        DataType::CtState,
        DataType::CtDir,
        DataType::CtStatus,
        DataType::Time,
        DataType::FibAddrtype,
    ];

    /// The name that nft has for it, and the words of its messages.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            DataType::NfProto => ("nf_proto", "netfilter protocol"),
            DataType::EtherType => ("ether_type", "Ethernet protocol"),
            DataType::EtherAddr => ("ether_addr", "Ethernet address"),
            DataType::Ipv4Addr => ("ipv4_addr", "IPv4 address"),
            DataType::Ipv6Addr => ("ipv6_addr", "IPv6 address"),
            DataType::InetProto => ("inet_proto", "Internet protocol"),
            DataType::InetService => ("inet_service", "internet network service"),
            DataType::IcmpType => ("icmp_type", "ICMP type"),
            DataType::IcmpCode => ("icmp_code", "icmp code"),
            DataType::Icmpv6Type => ("icmpv6_type", "ICMPv6 type"),
            DataType::Icmpv6Code => ("icmpv6_code", "icmpv6 code"),
            DataType::TcpFlag => ("tcp_flag", "TCP flag"),
            DataType::Dscp => ("dscp", "Differentiated Services Code Point"),
            DataType::Ecn => ("ecn", "Explicit Congestion Notification"),
            DataType::Mark => ("mark", "packet mark"),
            DataType::IfIndex => ("iface_index", "network interface index"),
            DataType::Ifname => ("ifname", "network interface name"),
            DataType::Uid => ("uid", "user ID"),
            DataType::Gid => ("gid", "group ID"),
            DataType::PktType => ("pkt_type", "packet type"),
            DataType::CtState => ("ct_state", "conntrack state"),
            DataType::CtDir => ("ct_dir", "conntrack direction"),
            DataType::CtStatus => ("ct_status", "conntrack status"),
            DataType::Time => ("time", "relative time"),
            DataType::FibAddrtype => ("fib_addrtype", "fib address type"),
            DataType::Boolean => ("boolean", "boolean type"),
            DataType::Integer(_) => ("integer", "integer"),
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<DataType> {
        DataType::NAMED.into_iter().find(|t| t.names().0 == name)
    }

    /// How many bytes a value has.
    pub fn len(self) -> usize {
        match self {
            DataType::EtherType | DataType::InetService => 2,
            DataType::EtherAddr => 6,
            DataType::Ipv6Addr | DataType::Ifname => 16,
            DataType::Time => 8,
            DataType::Ipv4Addr
            | DataType::Mark
            | DataType::IfIndex
            | DataType::Uid
            | DataType::Gid
            | DataType::CtState
            | DataType::CtStatus
            | DataType::FibAddrtype => 4,
            DataType::Integer(n) => usize::from(n),
            _ => 1,
        }
    }

    /// A value is never empty.
    pub fn is_empty(self) -> bool {
        false
    }

    /// Its values are sets of bits, of which a rule may name several.
    pub fn is_bitmask(self) -> bool {
        matches!(self, DataType::CtState | DataType::CtStatus | DataType::TcpFlag)
    }

    /// Ranges of it are written as prefixes where they are some.
    pub fn has_prefixes(self) -> bool {
        self.is_addr() || self == DataType::Mark
    }

    /// An address of IP.
    pub fn is_addr(self) -> bool {
        matches!(self, DataType::Ipv4Addr | DataType::Ipv6Addr)
    }

    /// The host keeps it in its own byte order, here little-endian.
    pub fn is_host_endian(self) -> bool {
        matches!(
            self,
            DataType::Mark
                | DataType::IfIndex
                | DataType::Ifname
                | DataType::Uid
                | DataType::Gid
                | DataType::CtState
                | DataType::CtStatus
                | DataType::Time
                | DataType::FibAddrtype
        )
    }

    /// True if a value of one type may stand where the other is asked for.
    pub fn fits(self, other: DataType) -> bool {
        self == other || matches!((self, other), (DataType::Integer(_), DataType::Integer(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_concatenation_begin_at_multiples_of_four_bytes() {
        let mut key = Data::addr(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        key.push(&Data::number(6, 1));
        key.push(&Data::number(80, 2));
        assert_eq!(key.bytes(), [10, 0, 0, 1, 6, 0, 0, 0, 0, 80]);
        let types = [DataType::Ipv4Addr, DataType::InetProto, DataType::InetService];
        let parts: Vec<u128> = key.parts(&types).iter().map(Data::as_number).collect();
        assert_eq!(parts, [0x0a00_0001, 6, 80]);
    }
}
