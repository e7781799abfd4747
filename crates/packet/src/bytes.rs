//! Bytes of the layer above IP: what fragments carry. Everything else in the engine is values.

use crate::{Icmp, Icmp6, IcmpBody, Ip, L4, Protocol, Tcp, TcpFlags, TcpOptions, Udp, icmp6_type};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// A damaged checksum differs from the right one by these bits.
const DAMAGE: u16 = 0x5555;

fn be16(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*b.get(at)?, *b.get(at + 1)?]))
}

fn be32(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(be16(b, at)?) << 16 | u32::from(be16(b, at + 2)?))
}

/// The one's complement sum of RFC 1071, carried on from `sum`.
fn ones_sum(sum: u32, bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum = sum + words.map(|w| w & 0xffff).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// The checksum of a transport segment; the pseudo header counts for all but ICMP.
fn checksum(src: IpAddr, dst: IpAddr, proto: Protocol, bytes: &[u8]) -> u16 {
    let mut sum = 0;
    if proto != Protocol::ICMP {
        sum = add_addr(add_addr(sum, src), dst);
        sum += u32::from(proto.0) + (bytes.len() & 0xffff) as u32;
    }
    !(ones_sum(sum, bytes) as u16)
}

/// Other ports at the head of these bytes, and the checksum that goes with them and with other addresses (`csum_replace4`).
pub fn set_ports(
    bytes: &mut [u8],
    proto: Protocol,
    old: (IpAddr, IpAddr),
    new: (IpAddr, IpAddr),
    (sport, dport): (u16, u16),
) {
    let at = checksum_at(proto);
    let had = at.and_then(|at| be16(bytes, at));
    let before = bytes.get(..4).map_or(0, |b| ones_sum(0, b));
    let [a, b] = sport.to_be_bytes();
    let [c, d] = dport.to_be_bytes();
    if let Some(place) = bytes.get_mut(..4) {
        place.copy_from_slice(&[a, b, c, d]);
    }
    let sum_of = |(x, y): (IpAddr, IpAddr)| [x, y].into_iter().fold(0, add_addr);
    let (Some(at), Some(had)) = (at, had) else { return };
    // RFC 1624: HC' = ~(~HC + ~m + m').
    let less = ones_sum(before, &[]) + sum_of(old);
    let more = ones_sum(u32::from(sport) + u32::from(dport), &[]) + sum_of(new);
    let sum = ones_sum(u32::from(!had) + u32::from(!(ones_sum(less, &[]) as u16)) + more, &[]);
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}

fn add_addr(sum: u32, addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(a) => ones_sum(sum, &a.octets()),
        IpAddr::V6(a) => ones_sum(sum, &a.octets()),
    }
}

/// Where the checksum stands.
fn checksum_at(proto: Protocol) -> Option<usize> {
    match proto {
        Protocol::ICMP | Protocol::ICMPV6 => Some(2),
        Protocol::TCP => Some(16),
        Protocol::UDP | Protocol::UDPLITE => Some(6),
        _ => None,
    }
}

fn options_bytes(o: &TcpOptions, out: &mut Vec<u8>) {
    if let Some(mss) = o.mss {
        out.extend([2, 4]);
        out.extend(mss.to_be_bytes());
    }
    if let Some((value, echo)) = o.ts {
        // SACK-permitted takes the place of the padding.
        out.extend(if o.sack_ok { [4, 2, 8, 10] } else { [1, 1, 8, 10] });
        out.extend(value.to_be_bytes());
        out.extend(echo.to_be_bytes());
    } else if o.sack_ok {
        out.extend([1, 1, 4, 2]);
    }
    if let Some(shift) = o.wscale {
        out.extend([1, 3, 3, shift]);
    }
}

fn parse_options(mut b: &[u8]) -> TcpOptions {
    let mut o = TcpOptions::default();
    while let [kind, rest @ ..] = b {
        let len = match kind {
            0 => return o,
            1 => 1,
            _ => usize::from(rest.first().copied().unwrap_or(0)),
        };
        if len == 0 || len > b.len() {
            return o;
        }
        match (kind, len) {
            (2, 4) => o.mss = be16(b, 2),
            (3, 3) => o.wscale = b.get(2).copied(),
            (4, 2) => o.sack_ok = true,
            (8, 10) => o.ts = be32(b, 2).zip(be32(b, 6)),
            _ => {}
        }
        b = &b[len..];
    }
    o
}

/// A message of ICMP or ICMPv6 of that length, without its checksum.
fn icmp_bytes((kind, code): (u8, u8), body: &IcmpBody, len: usize, out: &mut Vec<u8>) {
    out.extend([kind, code, 0, 0]);
    match body {
        IcmpBody::Query { id, seq, payload } => {
            out.extend(id.to_be_bytes());
            out.extend(seq.to_be_bytes());
            out.extend(payload);
        }
        IcmpBody::Error { gateway, mtu, inner, .. } => {
            match gateway {
                Some(g) => out.extend(g.octets()),
                None => out.extend(u32::from(*mtu).to_be_bytes()),
            }
            inner.write(out);
            out.truncate(len);
        }
        IcmpBody::Raw(data) => out.extend(data),
    }
}

impl Ip {
    /// What follows the IP header, as it stands on the wire.
    pub fn payload_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.total_len());
        let intact = match &self.l4 {
            L4::Other(_, data) => {
                out.extend(data);
                return out;
            }
            L4::Udp(u) => {
                for word in [u.sport, u.dport, (8 + u.payload.len()) as u16, 0] {
                    out.extend(word.to_be_bytes());
                }
                out.extend(&*u.payload);
                u.checksum_ok
            }
            L4::Tcp(t) => {
                out.extend(t.sport.to_be_bytes());
                out.extend(t.dport.to_be_bytes());
                out.extend(t.seq.to_be_bytes());
                out.extend(t.ack.to_be_bytes());
                out.extend([((20 + t.options.len()) * 4) as u8, t.flags.0]);
                out.extend(t.window.to_be_bytes());
                out.extend([0; 4]);
                options_bytes(&t.options, &mut out);
                out.extend(&t.payload);
                t.checksum_ok
            }
            L4::Icmp(i) => {
                icmp_bytes((i.kind, i.code), &i.body, i.len(), &mut out);
                i.checksum_ok
            }
            L4::Icmp6(i) => {
                icmp_bytes((i.kind, i.code), &i.body, i.len(), &mut out);
                i.checksum_ok
            }
        };
        let sum = checksum(self.src, self.dst, self.protocol(), &out);
        // UDP: a sum of zero would mean "none".
        let sum = if sum == 0 && self.protocol() == Protocol::UDP { u16::MAX } else { sum };
        let sum = if intact { sum } else { sum ^ DAMAGE };
        if let Some(at) = checksum_at(self.protocol())
            && let Some(place) = out.get_mut(at..at + 2)
        {
            place.copy_from_slice(&sum.to_be_bytes());
        }
        out
    }

    /// True if the checksum of these bytes is right as far as it covers them (UDP-Lite, RFC 3828), with this protocol and the
    /// whole length in the pseudo header.
    pub fn checksum_covers(&self, proto: Protocol, bytes: &[u8], covered: usize) -> bool {
        let missing = (bytes.len() & 0xffff) as u32;
        let part = bytes.get(..covered).unwrap_or(bytes);
        let sum = !checksum(self.src, self.dst, proto, part);
        let sum = ones_sum(u32::from(sum) + missing, &(!(covered as u16)).to_be_bytes());
        sum == 0xffff
    }

    /// The packet as another one carries it: header and payload. `None` if it is not IPv4.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        self.src_v4().map(|_| self.wire_bytes())
    }

    /// The packet that [`Ip::to_bytes`] wrote; `None` if these bytes are no whole IPv4 packet.
    pub fn from_bytes(b: &[u8]) -> Option<Ip> {
        let total = usize::from(be16(b, 2)?);
        if b.first()? >> 4 != 4 || b.first()? & 15 < 5 || b.len() < total {
            return None;
        }
        Ip::parse_quoted(b.get(..total)?)
    }

    /// Header and payload of either family, checksums included.
    pub fn wire_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.total_len());
        self.write(&mut out);
        out
    }

    /// Header and payload.
    fn write(&self, out: &mut Vec<u8>) {
        if let (IpAddr::V6(src), IpAddr::V6(dst)) = (self.src, self.dst) {
            let payload = self.payload_bytes();
            out.extend((6 << 28 | u32::from(self.tos) << 20).to_be_bytes());
            out.extend((payload.len() as u16).to_be_bytes());
            out.extend([self.protocol().0, self.ttl]);
            out.extend(src.octets());
            out.extend(dst.octets());
            out.extend(payload);
            return;
        }
        let flags = u16::from(self.frag.mf) << 13 | u16::from(self.frag.df) << 14;
        let frag = flags | (self.frag.offset / 8);
        let start = out.len();
        out.extend([0x45, self.tos]);
        for word in [self.total_len() as u16, self.id, frag] {
            out.extend(word.to_be_bytes());
        }
        out.extend([self.ttl, self.protocol().0, 0, 0]);
        for addr in [self.src, self.dst] {
            match addr {
                IpAddr::V4(a) => out.extend(a.octets()),
                IpAddr::V6(_) => out.extend([0; 4]),
            }
        }
        let sum = !(ones_sum(0, out.get(start..).unwrap_or_default()) as u16);
        if let Some(place) = out.get_mut(start + 10..start + 12) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
        out.extend(self.payload_bytes());
    }

    /// The packet quoted in an ICMP error; what is missing behind its first eight bytes reads as zeros.
    fn parse_quoted(b: &[u8]) -> Option<Ip> {
        if b.first()? >> 4 == 6 {
            return Ip::parse_quoted6(b);
        }
        let addr = |at| Some(IpAddr::V4(Ipv4Addr::from_bits(be32(b, at)?)));
        let (word, proto) = (be16(b, 6)?, Protocol(*b.get(9)?));
        let header = usize::from(b.first()? & 15) * 4;
        let total = usize::from(be16(b, 2)?);
        let mut data = b.get(header..)?.to_vec();
        data.resize(total.saturating_sub(header).max(data.len()), 0);
        let mut ip = Ip::new(addr(12)?, addr(16)?, L4::Other(proto, data));
        (ip.tos, ip.id, ip.ttl) = (*b.get(1)?, be16(b, 4)?, *b.get(8)?);
        ip.frag.df = word & 0x4000 != 0;
        ip.frag.mf = word & 0x2000 != 0;
        ip.frag.offset = (word & 0x1fff) * 8;
        if !ip.is_fragment() {
            ip.l4 = ip.headers().into_owned();
        }
        Some(ip)
    }

    /// The same in an error of ICMPv6.
    fn parse_quoted6(b: &[u8]) -> Option<Ip> {
        let addr = |at: usize| {
            let octets: [u8; 16] = b.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::from(octets))
        };
        let mut data = b.get(40..)?.to_vec();
        data.resize(usize::from(be16(b, 4)?).max(data.len()), 0);
        let mut ip = Ip::new(addr(8)?, addr(24)?, L4::Other(Protocol(*b.get(6)?), data));
        (ip.tos, ip.ttl) = ((be16(b, 0)? >> 4) as u8, *b.get(7)?);
        ip.l4 = ip.headers().into_owned();
        Some(ip)
    }

    /// True for a part of a datagram (`ip_is_fragment`). Its payload is bytes ([`L4::Other`]).
    pub fn is_fragment(&self) -> bool {
        self.frag.mf || self.frag.offset != 0
    }

    /// The layer above, read from the bytes if the packet is the first fragment of a datagram, as far as they go. Later
    /// fragments have no header.
    pub fn headers(&self) -> Cow<'_, L4> {
        match &self.l4 {
            L4::Other(proto, bytes) if self.frag.offset == 0 => {
                match parse(self.src, self.dst, *proto, bytes) {
                    Some(l4) => Cow::Owned(l4),
                    None => Cow::Borrowed(&self.l4),
                }
            }
            l4 => Cow::Borrowed(l4),
        }
    }

    /// A part of the datagram (or of the fragment) whose payload is `bytes`: `from..to` of it, with everything else as
    /// it is.
    pub fn part(&self, bytes: &[u8], from: usize, to: usize) -> Ip {
        let piece = bytes.get(from..to).unwrap_or_default().to_vec();
        let mut part = Ip { l4: L4::Other(self.protocol(), piece), ..self.head() };
        part.frag.mf |= to < bytes.len();
        part.frag.offset = part.frag.offset.wrapping_add((from & 0xfff8) as u16);
        part
    }

    /// The datagram that these bytes make: the header of this fragment, which is none any more. If the bytes are not what
    /// their protocol says they stay bytes.
    pub fn whole(&self, bytes: Vec<u8>) -> Ip {
        let mut ip = Ip { l4: L4::Other(self.protocol(), bytes), ..self.head() };
        ip.frag.mf = false;
        ip.frag.offset = 0;
        let fits = match &ip.l4 {
            L4::Other(Protocol::UDP, b) => be16(b, 4).is_some_and(|len| usize::from(len) == b.len()),
            _ => true,
        };
        if fits {
            ip.l4 = ip.headers().into_owned();
        }
        ip
    }

    /// True if the packet is of a protocol that has a value here, but its bytes are not such a value.
    pub fn is_malformed(&self) -> bool {
        let known =
            matches!(self.protocol(), Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6);
        known && !self.is_fragment() && matches!(self.l4, L4::Other(..))
    }

    /// The header alone.
    fn head(&self) -> Ip {
        let l4 = L4::Other(self.protocol(), Vec::new());
        let &Ip { src, dst, ttl, tos, id, frag, gso_size, .. } = self;
        Ip { src, dst, ttl, tos, id, frag, gso_size, l4 }
    }
}

/// The bytes as values; `None` if there is no whole header, or if the protocol has no value here.
fn parse(src: IpAddr, dst: IpAddr, proto: Protocol, b: &[u8]) -> Option<L4> {
    // Zero where the sum is right; UDP may do without.
    let checksum_ok = checksum(src, dst, proto, b) == 0;
    Some(match proto {
        Protocol::UDP => {
            let (sport, dport) = (be16(b, 0)?, be16(b, 2)?);
            let checksum_ok = checksum_ok || be16(b, 6)? == 0;
            L4::Udp(Udp { sport, dport, checksum_ok, payload: b[8..].into() })
        }
        Protocol::TCP => {
            let header = usize::from(*b.get(12)? >> 4) * 4;
            L4::Tcp(Tcp {
                sport: be16(b, 0)?,
                dport: be16(b, 2)?,
                seq: be32(b, 4)?,
                ack: be32(b, 8)?,
                flags: TcpFlags(*b.get(13)?),
                window: be16(b, 14)?,
                options: parse_options(b.get(20..header)?),
                checksum_ok,
                payload: b.get(header..)?.to_vec(),
            })
        }
        Protocol::ICMP => {
            let (kind, code) = (*b.first()?, *b.get(1)?);
            let quoted = Ip::parse_quoted(b.get(8..)?);
            let body = match quoted.filter(|_| Icmp::is_error_type(kind)) {
                Some(inner) => IcmpBody::Error {
                    gateway: Icmp::has_gateway(kind).then_some(Ipv4Addr::from_bits(be32(b, 4)?)),
                    mtu: be16(b, 6)?,
                    inner: Box::new(inner),
                    quoted: u16::try_from(b.len() - 8).ok(),
                },
                None => IcmpBody::Query { id: be16(b, 4)?, seq: be16(b, 6)?, payload: b[8..].to_vec() },
            };
            L4::Icmp(Icmp { kind, code, checksum_ok, body })
        }
        Protocol::ICMPV6 => {
            let (kind, code) = (*b.first()?, *b.get(1)?);
            let body = match kind {
                icmp6_type::ECHO_REQUEST | icmp6_type::ECHO_REPLY => {
                    IcmpBody::Query { id: be16(b, 4)?, seq: be16(b, 6)?, payload: b.get(8..)?.to_vec() }
                }
                _ => match Ip::parse_quoted(b.get(8..)?).filter(|_| Icmp6::is_error_type(kind)) {
                    Some(inner) => IcmpBody::Error {
                        gateway: None,
                        mtu: be16(b, 6)?,
                        inner: Box::new(inner),
                        quoted: u16::try_from(b.len() - 8).ok(),
                    },
                    None => IcmpBody::Raw(b.get(4..)?.to_vec()),
                },
            };
            L4::Icmp6(Icmp6 { kind, code, checksum_ok, body })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(l4: L4) -> Ip {
        Ip { id: 7, ttl: 9, ..Ip::new(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), l4) }
    }

    fn values() -> Vec<Ip> {
        let udp = |checksum_ok| {
            ip(L4::Udp(Udp { sport: 5000, dport: 53, checksum_ok, payload: vec![0x61; 31].into() }))
        };
        let tcp = Tcp {
            sport: 1,
            dport: 80,
            seq: 0xdead_beef,
            ack: 3,
            flags: TcpFlags::SYN | TcpFlags::ECE,
            window: 64240,
            options: TcpOptions { mss: Some(1460), sack_ok: true, ts: Some((1, 2)), wscale: Some(7) },
            checksum_ok: true,
            payload: b"odd".to_vec(),
        };
        let echo = IcmpBody::Query { id: 5, seq: 6, payload: vec![1, 2, 3] };
        let error =
            IcmpBody::Error { gateway: None, mtu: 1400, inner: Box::new(udp(true)), quoted: Some(59) };
        let icmp = |kind, body| ip(L4::Icmp(Icmp { kind, code: 4, checksum_ok: true, body }));
        vec![udp(true), udp(false), ip(L4::Tcp(tcp)), icmp(8, echo), icmp(3, error)]
    }

    #[test]
    fn bytes_and_values_are_the_same_packet() {
        for value in values() {
            assert_eq!(value.whole(value.payload_bytes()), value);
        }
    }

    #[test]
    fn a_packet_in_a_packet_stays_what_it_is() {
        for value in values() {
            let bytes = value.to_bytes().unwrap();
            assert_eq!(bytes.len(), value.total_len());
            assert_eq!(Ip::from_bytes(&bytes), Some(value));
            assert_eq!(Ip::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn a_part_keeps_its_place_in_the_datagram() {
        let whole = &values()[0];
        let bytes = whole.payload_bytes();
        let (first, rest) = (whole.part(&bytes, 0, 16), whole.part(&bytes, 16, 39));
        assert_eq!((first.frag.offset, first.frag.mf, first.total_len()), (0, true, 36));
        assert_eq!((rest.frag.offset, rest.frag.mf, rest.total_len()), (16, false, 43));
        // A fragment of a fragment: the last part of a middle one still has others behind it.
        let middle = first.part(&first.payload_bytes(), 8, 16);
        assert_eq!((middle.frag.offset, middle.frag.mf), (8, true));
    }

    #[test]
    fn only_the_first_part_has_ports() {
        let whole = &values()[0];
        let bytes = whole.payload_bytes();
        let ports = |ip: &Ip| match &*ip.headers() {
            L4::Udp(u) => Some((u.sport, u.dport)),
            _ => None,
        };
        assert_eq!(ports(&whole.part(&bytes, 0, 16)), Some((5000, 53)));
        assert_eq!(ports(&whole.part(&bytes, 16, 39)), None);
        assert_eq!(ports(&whole.part(&bytes, 0, 0)), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for value in values() {
            let bytes = value.payload_bytes();
            for n in 0..bytes.len() {
                for proto in [1, 6, 17, 132] {
                    let piece = Ip { l4: L4::Other(Protocol(proto), bytes[..n].to_vec()), ..value.clone() };
                    let _ = piece.headers();
                }
            }
        }
    }
}
