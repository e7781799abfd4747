//! DNS messages (RFC 1035, RFC 3596, RFC 2782, RFC 6891).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Record types by their numbers.
pub mod dns_type {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// The true name.
    pub const CNAME: u16 = 5;
    /// The start of a zone.
    pub const SOA: u16 = 6;
    /// A pointer to a name.
    pub const PTR: u16 = 12;
    /// Host information.
    pub const HINFO: u16 = 13;
    /// A mail exchanger.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// Where a service is.
    pub const SRV: u16 = 33;
    /// The pseudo record of EDNS.
    pub const OPT: u16 = 41;
    /// Whatever there is.
    pub const ANY: u16 = 255;
}

/// Response codes by their numbers.
pub mod rcode {
    /// No error.
    pub const NOERROR: u8 = 0;
    /// The query cannot be read.
    pub const FORMERR: u8 = 1;
    /// The server has failed.
    pub const SERVFAIL: u8 = 2;
    /// There is no such name.
    pub const NXDOMAIN: u8 = 3;
    /// The kind of query is not implemented.
    pub const NOTIMP: u8 = 4;
    /// The server refuses.
    pub const REFUSED: u8 = 5;
}

/// A domain name: labels joined by dots, without the dot at the end; the root is empty. Letters keep their case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsName(String);

impl DnsName {
    /// The name of a text with or without the dot at the end. `None` if a label is empty or longer than 63 bytes, or the
    /// whole longer than 253.
    pub fn new(text: &str) -> Option<DnsName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let good = |label: &str| !label.is_empty() && label.len() <= 63;
        (text.len() <= 253 && (text.is_empty() || text.split('.').all(good)))
            .then(|| DnsName(text.to_owned()))
    }

    /// Without the dot at the end; the root is empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if both are the same name: case does not matter.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// How many dots it has.
    pub fn dots(&self) -> usize {
        self.0.matches('.').count()
    }

    /// What is left of the zone at the end: `Some("")` if it is the zone itself, `None` if it is not below it.
    pub fn below(&self, zone: &str) -> Option<&str> {
        if zone.is_empty() {
            return Some(&self.0);
        }
        let at = self.0.len().checked_sub(zone.len())?;
        let (head, tail) = self.0.split_at_checked(at)?;
        if !tail.eq_ignore_ascii_case(zone) {
            return None;
        }
        if head.is_empty() { Some("") } else { head.strip_suffix('.') }
    }
}

/// With the dot at the end, as tools print it.
impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.0)
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuestion {
    /// The name.
    pub name: DnsName,
    /// The type, see [`dns_type`].
    pub kind: u16,
    /// The class; 1 is the Internet.
    pub class: u16,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A name: of CNAME, NS or PTR.
    Name(DnsName),
    /// SRV: priority, weight, port, target.
    Srv(u16, u16, u16, DnsName),
    /// SOA: primary server, mailbox, serial, refresh, retry, expire, minimum.
    Soa(Box<(DnsName, DnsName, [u32; 5])>),
    /// TXT: its strings.
    Txt(Vec<Vec<u8>>),
    /// Anything else.
    Raw(Vec<u8>),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// Whose.
    pub name: DnsName,
    /// The type, see [`dns_type`].
    pub kind: u16,
    /// The class; of OPT the size of UDP messages that the sender takes.
    pub class: u16,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// What.
    pub data: DnsData,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Identifier.
    pub id: u16,
    /// It is a response (QR).
    pub response: bool,
    /// Kind of query; 0 is a standard one.
    pub opcode: u8,
    /// Authoritative answer (AA).
    pub authoritative: bool,
    /// Truncated (TC).
    pub truncated: bool,
    /// Recursion desired (RD).
    pub recursion_desired: bool,
    /// Recursion available (RA).
    pub recursion_available: bool,
    /// Authentic data (AD).
    pub authentic: bool,
    /// Checking disabled (CD).
    pub checking_disabled: bool,
    /// Response code, see [`rcode`].
    pub rcode: u8,
    /// Questions.
    pub questions: Vec<DnsQuestion>,
    /// Answers.
    pub answers: Vec<DnsRecord>,
    /// Authority.
    pub authority: Vec<DnsRecord>,
    /// Additional records.
    pub additional: Vec<DnsRecord>,
}

/// Names may point this often on their way.
const POINTERS: usize = 32;

/// The offsets of names that were written before, for compression; `None` if every name is written out.
type Written = Option<Vec<(String, u16)>>;

impl Dns {
    /// A standard query for one name, recursion desired.
    pub fn query(id: u16, name: DnsName, kind: u16) -> Dns {
        let questions = vec![DnsQuestion { name, kind, class: 1 }];
        Dns { id, recursion_desired: true, questions, ..Dns::default() }
    }

    /// The head of an answer to this query: same identifier, question and RD, no records.
    pub fn answer(&self) -> Dns {
        Dns {
            id: self.id,
            response: true,
            opcode: self.opcode,
            recursion_desired: self.recursion_desired,
            questions: self.questions.clone(),
            ..Dns::default()
        }
    }

    /// The message's bytes. Names are compressed against those before them.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Some(Vec::new()))
    }

    /// The message's bytes with every name written out.
    pub fn to_plain_bytes(&self) -> Vec<u8> {
        self.write(None)
    }

    fn write(&self, mut written: Written) -> Vec<u8> {
        let bit = |is: bool, at: u16| u16::from(is) << at;
        let flags = bit(self.response, 15)
            | u16::from(self.opcode & 15) << 11
            | bit(self.authoritative, 10)
            | bit(self.truncated, 9)
            | bit(self.recursion_desired, 8)
            | bit(self.recursion_available, 7)
            | bit(self.authentic, 5)
            | bit(self.checking_disabled, 4)
            | u16::from(self.rcode & 15);
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let counts = [&self.answers, &self.authority, &self.additional].map(|l| count(l.len()));
        let mut out = Vec::new();
        for word in [self.id, flags, count(self.questions.len())].into_iter().chain(counts) {
            out.extend(word.to_be_bytes());
        }
        for q in &self.questions {
            put_name(&q.name, &mut out, &mut written);
            out.extend(q.kind.to_be_bytes());
            out.extend(q.class.to_be_bytes());
        }
        for r in self.answers.iter().chain(&self.authority).chain(&self.additional) {
            put_record(r, &mut out, &mut written);
        }
        out
    }

    /// Reads a message. `None` if the bytes are not one.
    pub fn parse(bytes: &[u8]) -> Option<Dns> {
        let mut at = 12;
        let word = |at: usize| be16(bytes, at);
        let flags = word(2)?;
        let bit = |at: u16| flags >> at & 1 == 1;
        let mut dns = Dns {
            id: word(0)?,
            response: bit(15),
            opcode: (flags >> 11 & 15) as u8,
            authoritative: bit(10),
            truncated: bit(9),
            recursion_desired: bit(8),
            recursion_available: bit(7),
            authentic: bit(5),
            checking_disabled: bit(4),
            rcode: (flags & 15) as u8,
            ..Dns::default()
        };
        for _ in 0..word(4)? {
            let name = get_name(bytes, &mut at)?;
            dns.questions.push(DnsQuestion { name, kind: word(at)?, class: word(at + 2)? });
            at += 4;
        }
        let counts = [word(6)?, word(8)?, word(10)?];
        for (count, list) in
            counts.into_iter().zip([&mut dns.answers, &mut dns.authority, &mut dns.additional])
        {
            for _ in 0..count {
                list.push(get_record(bytes, &mut at)?);
            }
        }
        Some(dns)
    }
}

fn be16(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*b.get(at)?, *b.get(at + 1)?]))
}

fn be32(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(be16(b, at)?) << 16 | u32::from(be16(b, at + 2)?))
}

fn put_name(name: &DnsName, out: &mut Vec<u8>, written: &mut Written) {
    let mut rest = name.as_str();
    while !rest.is_empty() {
        if let Some(written) = written {
            if let Some((_, offset)) = written.iter().find(|(n, _)| n == rest) {
                return out.extend((0xc000 | offset).to_be_bytes());
            }
            if let Ok(offset) = u16::try_from(out.len())
                && offset < 0x4000
            {
                written.push((rest.to_owned(), offset));
            }
        }
        let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
        rest = tail;
    }
    out.push(0);
}

fn put_record(r: &DnsRecord, out: &mut Vec<u8>, written: &mut Written) {
    put_name(&r.name, out, written);
    out.extend(r.kind.to_be_bytes());
    out.extend(r.class.to_be_bytes());
    out.extend(r.ttl.to_be_bytes());
    let length_at = out.len();
    out.extend([0, 0]);
    match &r.data {
        DnsData::A(a) => out.extend(a.octets()),
        DnsData::Aaaa(a) => out.extend(a.octets()),
        DnsData::Name(name) => put_name(name, out, written),
        DnsData::Srv(priority, weight, port, target) => {
            for word in [priority, weight, port] {
                out.extend(word.to_be_bytes());
            }
            // RFC 2782: the target is not compressed.
            put_name(target, out, &mut None);
        }
        DnsData::Soa(soa) => {
            put_name(&soa.0, out, written);
            put_name(&soa.1, out, written);
            for n in soa.2 {
                out.extend(n.to_be_bytes());
            }
        }
        DnsData::Txt(strings) => {
            for s in strings {
                let s = s.get(..255).unwrap_or(s);
                out.push(s.len() as u8);
                out.extend(s);
            }
        }
        DnsData::Raw(bytes) => out.extend(bytes),
    }
    let len = (out.len() - length_at - 2) as u16;
    if let Some(place) = out.get_mut(length_at..length_at + 2) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

fn get_name(bytes: &[u8], at: &mut usize) -> Option<DnsName> {
    let mut name = String::new();
    let (mut here, mut jumps) = (*at, 0);
    loop {
        let len = usize::from(*bytes.get(here)?);
        if len >= 0xc0 {
            let to = usize::from(be16(bytes, here)? & 0x3fff);
            if jumps == 0 {
                *at = here + 2;
            }
            jumps += 1;
            if jumps > POINTERS {
                return None;
            }
            here = to;
            continue;
        }
        here += 1;
        if len == 0 {
            if jumps == 0 {
                *at = here;
            }
            return DnsName::new(&name);
        }
        let label = std::str::from_utf8(bytes.get(here..here + len)?).ok()?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(label);
        here += len;
    }
}

fn get_record(bytes: &[u8], at: &mut usize) -> Option<DnsRecord> {
    let name = get_name(bytes, at)?;
    let (kind, class, ttl) = (be16(bytes, *at)?, be16(bytes, *at + 2)?, be32(bytes, *at + 4)?);
    let from = *at + 10;
    let end = from + usize::from(be16(bytes, *at + 8)?);
    let raw = bytes.get(from..end)?;
    let mut inside = from;
    let data = match kind {
        dns_type::A => DnsData::A(Ipv4Addr::from_bits(be32(raw, 0)?)),
        dns_type::AAAA => DnsData::Aaaa(Ipv6Addr::from(<[u8; 16]>::try_from(raw).ok()?)),
        dns_type::NS | dns_type::CNAME | dns_type::PTR => DnsData::Name(get_name(bytes, &mut inside)?),
        dns_type::SRV => {
            inside += 6;
            DnsData::Srv(be16(raw, 0)?, be16(raw, 2)?, be16(raw, 4)?, get_name(bytes, &mut inside)?)
        }
        dns_type::SOA => {
            let (primary, mailbox) = (get_name(bytes, &mut inside)?, get_name(bytes, &mut inside)?);
            let mut numbers = [0; 5];
            for (i, n) in numbers.iter_mut().enumerate() {
                *n = be32(bytes, inside + 4 * i)?;
            }
            DnsData::Soa(Box::new((primary, mailbox, numbers)))
        }
        dns_type::TXT => {
            let (mut strings, mut rest) = (Vec::new(), raw);
            while let Some((len, tail)) = rest.split_first() {
                let (string, tail) = tail.split_at_checked(usize::from(*len))?;
                strings.push(string.to_vec());
                rest = tail;
            }
            DnsData::Txt(strings)
        }
        _ => DnsData::Raw(raw.to_vec()),
    };
    *at = end;
    Some(DnsRecord { name, kind, class, ttl, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::new(text).unwrap()
    }

    fn record(owner: &str, kind: u16, data: DnsData) -> DnsRecord {
        DnsRecord { name: name(owner), kind, class: 1, ttl: 30, data }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut dns =
            Dns::query(7, name("_dns._udp.kube-dns.kube-system.svc.cluster.local"), dns_type::SRV).answer();
        let target = name("kube-dns.kube-system.svc.cluster.local");
        dns.answers.push(record("a.example", dns_type::SRV, DnsData::Srv(0, 100, 53, target.clone())));
        dns.answers.push(record("a.example", dns_type::CNAME, DnsData::Name(target.clone())));
        dns.additional.push(record(
            "kube-dns.kube-system.svc.cluster.local",
            dns_type::A,
            DnsData::A(Ipv4Addr::LOCALHOST),
        ));
        dns.additional.push(record("b", dns_type::AAAA, DnsData::Aaaa(Ipv6Addr::LOCALHOST)));
        dns.additional.push(record("", dns_type::TXT, DnsData::Txt(vec![b"x y".to_vec(), Vec::new()])));
        dns.additional.push(record("", dns_type::OPT, DnsData::Raw(vec![1, 2, 3])));
        dns.authority.push(record(
            "local",
            dns_type::SOA,
            DnsData::Soa(Box::new((target, name("h.local"), [1, 2, 3, 4, 5]))),
        ));
        (dns.authoritative, dns.truncated, dns.rcode) = (true, true, rcode::NXDOMAIN);
        assert_eq!(Dns::parse(&dns.to_bytes()), Some(dns));
    }

    #[test]
    fn a_query_has_the_bytes_of_a_real_one() {
        let expected =
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01";
        assert_eq!(
            Dns::query(0x1234, name("web.default.svc.cluster.local."), dns_type::A).to_bytes(),
            expected
        );
    }

    #[test]
    fn names_are_compressed() {
        let mut dns = Dns::query(1, name("web.local"), dns_type::A).answer();
        dns.answers.push(record("web.local", dns_type::A, DnsData::A(Ipv4Addr::LOCALHOST)));
        assert_eq!(dns.to_bytes().len(), 12 + 15 + 16);
    }

    #[test]
    fn names_can_be_written_out() {
        let mut dns = Dns::query(1, name("web.local"), dns_type::A).answer();
        dns.answers.push(record("web.local", dns_type::A, DnsData::A(Ipv4Addr::LOCALHOST)));
        assert_eq!(dns.to_plain_bytes().len(), 12 + 15 + 11 + 14);
        assert_eq!(Dns::parse(&dns.to_plain_bytes()), Some(dns));
    }

    #[test]
    fn a_loop_of_pointers_is_no_message() {
        let mut bytes = Dns::query(1, name("a"), dns_type::A).to_bytes();
        bytes.truncate(12);
        bytes.extend([0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(Dns::parse(&bytes), None);
    }

    #[test]
    fn every_cut_is_no_message_and_does_no_harm() {
        let bytes = Dns::query(1, name("www.example.com"), dns_type::A).to_bytes();
        for len in 0..bytes.len() {
            assert_eq!(Dns::parse(&bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_name_is_below_a_zone_at_a_dot() {
        let n = name("web.default.svc.Cluster.local");
        assert_eq!(n.below("cluster.local"), Some("web.default.svc"));
        assert_eq!(n.below("uster.local"), None);
        assert_eq!(name("cluster.local").below("cluster.local"), Some(""));
        assert_eq!(n.below(""), Some("web.default.svc.Cluster.local"));
        assert_eq!(name("local").below("cluster.local"), None);
    }

    #[test]
    fn a_name_is_checked() {
        assert_eq!(DnsName::new("a..b"), None);
        assert_eq!(DnsName::new(&"a".repeat(64)), None);
        assert_eq!(name("a.b.").as_str(), "a.b");
        assert_eq!(name(".").to_string(), ".");
    }
}
