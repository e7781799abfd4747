//! Protocol names: the facts of Debian's /etc/protocols (netbase 6.4) and those that iptables adds.

use packet::Protocol;

/// Name, number, other names. The first row with a number gives its name.
const PROTOCOLS: &[(&str, u8, &[&str])] = &[
    ("icmp", 1, &["ICMP"]),
    ("igmp", 2, &["IGMP"]),
    ("ggp", 3, &["GGP"]),
    ("ipencap", 4, &["IP-ENCAP"]),
    ("st", 5, &["ST"]),
    ("tcp", 6, &["TCP"]),
    ("egp", 8, &["EGP"]),
    ("igp", 9, &["IGP"]),
    ("pup", 12, &["PUP"]),
    ("udp", 17, &["UDP"]),
    ("hmp", 20, &["HMP"]),
    ("xns-idp", 22, &["XNS-IDP"]),
    ("rdp", 27, &["RDP"]),
    ("iso-tp4", 29, &["ISO-TP4"]),
    ("dccp", 33, &["DCCP"]),
    ("xtp", 36, &["XTP"]),
    ("ddp", 37, &["DDP"]),
    ("idpr-cmtp", 38, &["IDPR-CMTP"]),
    ("ipv6", 41, &["IPv6"]),
    ("ipv6-route", 43, &["IPv6-Route"]),
    ("ipv6-frag", 44, &["IPv6-Frag"]),
    ("idrp", 45, &["IDRP"]),
    ("rsvp", 46, &["RSVP"]),
    ("gre", 47, &["GRE"]),
    ("esp", 50, &["IPSEC-ESP"]),
    ("ah", 51, &["IPSEC-AH"]),
    ("skip", 57, &["SKIP"]),
    ("ipv6-icmp", 58, &["IPv6-ICMP"]),
    ("ipv6-nonxt", 59, &["IPv6-NoNxt"]),
    ("ipv6-opts", 60, &["IPv6-Opts"]),
    ("rspf", 73, &["RSPF", "CPHB"]),
    ("vmtp", 81, &["VMTP"]),
    ("eigrp", 88, &["EIGRP"]),
    ("ospf", 89, &["OSPFIGP"]),
    ("ax.25", 93, &["AX.25"]),
    ("ipip", 94, &["IPIP"]),
    ("etherip", 97, &["ETHERIP"]),
    ("encap", 98, &["ENCAP"]),
    ("pim", 103, &["PIM"]),
    ("ipcomp", 108, &["IPCOMP"]),
    ("vrrp", 112, &["VRRP"]),
    ("l2tp", 115, &["L2TP"]),
    ("isis", 124, &["ISIS"]),
    ("sctp", 132, &["SCTP"]),
    ("fc", 133, &["FC"]),
    ("mobility-header", 135, &["Mobility-Header"]),
    ("udplite", 136, &["UDPLite"]),
    ("mpls-in-ip", 137, &["MPLS-in-IP"]),
    ("manet", 138, &[]),
    ("hip", 139, &["HIP"]),
    ("shim6", 140, &["Shim6"]),
    ("wesp", 141, &["WESP"]),
    ("rohc", 142, &["ROHC"]),
    ("ethernet", 143, &["Ethernet"]),
];

/// What iptables knows although /etc/protocols does not say so.
const EXTRA: &[(&str, u8)] = &[("icmpv6", 58), ("mh", 135)];

/// The number behind a name, or a number as text. 0 is `all`.
pub(crate) fn protocol(text: &str) -> Option<Protocol> {
    if let Some(n) = super::number::unsigned(text, 0, 255) {
        return u8::try_from(n).ok().map(Protocol);
    }
    let lower = text.to_ascii_lowercase();
    let known = PROTOCOLS.iter().find(|(name, _, other)| *name == lower || other.contains(&text));
    known
        .map(|(_, n, _)| *n)
        .or_else(|| EXTRA.iter().find(|(name, _)| *name == lower).map(|(_, n)| *n))
        .or_else(|| ["all", "ip", "hopopt"].contains(&lower.as_str()).then_some(0))
        .map(Protocol)
}

/// The name of a protocol, if it has one.
pub(crate) fn protocol_name(proto: Protocol) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(_, n, _)| *n == proto.0).map(|(name, _, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        for (text, n) in
            [("tcp", 6), ("TCP", 6), ("6", 6), ("0x11", 17), ("icmpv6", 58), ("all", 0), ("0", 0)]
        {
            assert_eq!(protocol(text), Some(Protocol(n)), "{text}");
        }
        for text in ["", " tcp", "256", "-1", "tcp,udp", "nosuch"] {
            assert_eq!(protocol(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_file() {
        assert_eq!(protocol_name(Protocol(58)), Some("ipv6-icmp"));
        assert_eq!(protocol_name(Protocol(253)), None);
        assert_eq!(protocol_name(Protocol(0)), None);
    }
}
