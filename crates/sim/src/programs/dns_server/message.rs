//! Messages: what fits, in what order, and what their parts are called.

use crate::programs::Run;
use packet::{Dns, DnsRecord, dns_type, rcode};

/// The longest datagram that somebody takes who does not say (RFC 1035), and the longest message over TCP.
pub(super) const DATAGRAM: usize = 512;
pub(super) const MESSAGE: usize = 65_535;

/// A datagram above that is compressed even if its receiver would take more (request.Scrub).
const UNFRAGMENTED: usize = 1480;

/// The pseudo record by which a message says how long a datagram its sender takes.
pub(super) fn edns(message: &Dns) -> Option<&DnsRecord> {
    message.additional.iter().find(|r| r.kind == dns_type::OPT)
}

/// The bytes of an answer for somebody who takes so many. Names are compressed only if it would not fit otherwise; what does not
/// fit then either is left out from the end, but for EDNS, and the answer says so (miekg/dns, `Truncate`).
pub(super) fn fitted(mut answer: Dns, room: usize) -> Vec<u8> {
    let plain = answer.to_plain_bytes();
    if plain.len() <= room {
        let long = room < MESSAGE && plain.len() > UNFRAGMENTED;
        return if long { answer.to_bytes() } else { plain };
    }
    let mut bytes = answer.to_bytes();
    while bytes.len() > room {
        let last = answer.additional.iter().rposition(|r| r.kind != dns_type::OPT);
        if let Some(last) = last {
            answer.additional.remove(last);
        } else if answer.authority.pop().is_none() && answer.answers.pop().is_none() {
            break;
        }
        answer.truncated = true;
        bytes = answer.to_bytes();
    }
    bytes
}

/// The flags of a message, by the names that dig and CoreDNS's log have for them.
pub(in crate::programs) fn flags(answer: &Dns) -> Vec<&'static str> {
    let flags = [
        (answer.response, "qr"),
        (answer.authoritative, "aa"),
        (answer.truncated, "tc"),
        (answer.recursion_desired, "rd"),
        (answer.recursion_available, "ra"),
        (answer.authentic, "ad"),
        (answer.checking_disabled, "cd"),
    ];
    flags.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect()
}

/// `loadbalance round_robin`: A and AAAA change places among themselves.
pub(super) fn shuffle(records: &mut [DnsRecord], run: &mut Run<'_, '_>) {
    let is_address = |r: &DnsRecord| r.kind == dns_type::A || r.kind == dns_type::AAAA;
    let places: Vec<usize> = (0..records.len()).filter(|i| records.get(*i).is_some_and(is_address)).collect();
    for (i, from) in places.iter().enumerate() {
        let left = u32::try_from(places.len() - i).unwrap_or(1);
        let to = i + (run.random() % left.max(1)) as usize;
        if let Some(to) = places.get(to) {
            records.swap(*from, *to);
        }
    }
}

/// The name of a record type.
pub(in crate::programs) fn type_name(kind: u16) -> String {
    let name = match kind {
        dns_type::A => "A",
        dns_type::NS => "NS",
        dns_type::CNAME => "CNAME",
        dns_type::SOA => "SOA",
        dns_type::PTR => "PTR",
        dns_type::HINFO => "HINFO",
        dns_type::MX => "MX",
        dns_type::TXT => "TXT",
        dns_type::AAAA => "AAAA",
        dns_type::SRV => "SRV",
        dns_type::OPT => "OPT",
        dns_type::ANY => "ANY",
        n => return format!("TYPE{n}"),
    };
    name.to_owned()
}

/// The name of a response code.
pub(crate) fn rcode_name(code: u8) -> String {
    let name = match code {
        rcode::NOERROR => "NOERROR",
        rcode::FORMERR => "FORMERR",
        rcode::SERVFAIL => "SERVFAIL",
        rcode::NXDOMAIN => "NXDOMAIN",
        rcode::NOTIMP => "NOTIMP",
        rcode::REFUSED => "REFUSED",
        n => return format!("RESERVED{n}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::{DnsData, DnsName};
    use std::net::Ipv4Addr;

    /// An answer with that many addresses, and EDNS.
    fn long(addresses: u8) -> Dns {
        let name = DnsName::new("web.default.svc.cluster.local").unwrap();
        let mut answer = Dns::query(1, name.clone(), dns_type::A).answer();
        let record = |name, kind, data| DnsRecord { name, kind, class: 1, ttl: 5, data };
        let a = |i| record(name.clone(), dns_type::A, DnsData::A(Ipv4Addr::new(10, 0, 0, i)));
        answer.answers = (0..addresses).map(a).collect();
        answer.additional = vec![record(DnsName::default(), dns_type::OPT, DnsData::Raw(Vec::new()))];
        answer
    }

    #[test]
    fn names_are_compressed_only_where_an_answer_would_not_fit() {
        // Head and question 47 bytes, EDNS 11, an address 16, or 45 with its name in full.
        assert_eq!(fitted(long(9), 512).len(), 47 + 11 + 9 * 45);
        assert_eq!(fitted(long(11), 512).len(), 47 + 11 + 11 * 16);
        // What would be cut into fragments is compressed even though it is taken.
        assert_eq!(fitted(long(33), 4096).len(), 47 + 11 + 33 * 16);
        assert_eq!(fitted(long(33), MESSAGE).len(), 47 + 11 + 33 * 45);
    }

    #[test]
    fn what_does_not_fit_is_left_out_but_for_edns() {
        let whole = Dns::parse(&fitted(long(28), 512)).unwrap();
        assert_eq!((whole.answers.len(), whole.truncated), (28, false));
        let cut = Dns::parse(&fitted(long(40), 512)).unwrap();
        assert_eq!((cut.answers.len(), cut.additional.len(), cut.truncated), (28, 1, true));
    }
}
