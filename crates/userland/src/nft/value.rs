//! Values as text, in and out (src/datatype.c and its siblings in nftables).

use super::Names;
use crate::diagnostic::{Fault, q};
use crate::names::{any_service, number};
use kernel::netfilter::nftables::{Data, DataType};
use std::fmt::Write;
use std::net::IpAddr;

type Symbols = &'static [(&'static str, u32)];

const ICMP_TYPES: Symbols = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

const ICMPV6_TYPES: Symbols = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("mld-listener-reduction", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];

/// `icmp_code`
pub(super) const ICMP_CODES: Symbols = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
    ("frag-needed", 4),
];

/// `icmpv6_code`
pub(super) const ICMPV6_CODES: Symbols = &[
    ("no-route", 0),
    ("admin-prohibited", 1),
    ("addr-unreachable", 3),
    ("port-unreachable", 4),
    ("policy-fail", 5),
    ("reject-route", 6),
];

/// `icmpx_code`
pub(super) const ICMPX_CODES: Symbols =
    &[("port-unreachable", 1), ("admin-prohibited", 3), ("no-route", 0), ("host-unreachable", 2)];

const DSCP: Symbols = &[
    ("cs0", 0x00),
    ("cs1", 0x08),
    ("cs2", 0x10),
    ("cs3", 0x18),
    ("cs4", 0x20),
    ("cs5", 0x28),
    ("cs6", 0x30),
    ("cs7", 0x38),
    ("df", 0x00),
    ("be", 0x00),
    ("lephb", 0x01),
    ("af11", 0x0a),
    ("af12", 0x0c),
    ("af13", 0x0e),
    ("af21", 0x12),
    ("af22", 0x14),
    ("af23", 0x16),
    ("af31", 0x1a),
    ("af32", 0x1c),
    ("af33", 0x1e),
    ("af41", 0x22),
    ("af42", 0x24),
    ("af43", 0x26),
    ("va", 0x2c),
    ("ef", 0x2e),
];

/// Protocols by the names of /etc/protocols.
const PROTOCOLS: Symbols = &[
    ("ip", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("udp", 17),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("rspf", 73),
    ("vmtp", 81),
    ("eigrp", 88),
    ("ospf", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
    ("ethernet", 143),
];

/// The names of a type's values, in the order in which nft looks for one.
pub(super) fn symbols(dtype: DataType) -> Symbols {
    match dtype {
        DataType::NfProto => &[("ipv4", 2), ("ipv6", 10)],
        DataType::EtherType => {
            &[("ip", 0x0800), ("arp", 0x0806), ("ip6", 0x86dd), ("8021q", 0x8100), ("8021ad", 0x88a8)]
        }
        DataType::InetProto => PROTOCOLS,
        DataType::IcmpType => ICMP_TYPES,
        DataType::IcmpCode => ICMP_CODES,
        DataType::Icmpv6Type => ICMPV6_TYPES,
        DataType::Icmpv6Code => ICMPV6_CODES,
        DataType::TcpFlag => &[
            ("fin", 1),
            ("syn", 2),
            ("rst", 4),
            ("psh", 8),
            ("ack", 0x10),
            ("urg", 0x20),
            ("ecn", 0x40),
            ("cwr", 0x80),
        ],
        DataType::Dscp => DSCP,
        DataType::Ecn => &[("not-ect", 0), ("ect1", 1), ("ect0", 2), ("ce", 3)],
        DataType::PktType => &[("host", 0), ("unicast", 0), ("broadcast", 1), ("multicast", 2), ("other", 3)],
        DataType::CtState => {
            &[("invalid", 1), ("new", 8), ("established", 2), ("related", 4), ("untracked", 0x40)]
        }
        DataType::CtDir => &[("original", 0), ("reply", 1)],
        DataType::CtStatus => &[
            ("expected", 1),
            ("seen-reply", 2),
            ("assured", 4),
            ("confirmed", 8),
            ("snat", 0x10),
            ("dnat", 0x20),
            ("dying", 0x200),
        ],
        DataType::FibAddrtype => &[
            ("unspec", 0),
            ("unicast", 1),
            ("local", 2),
            ("broadcast", 3),
            ("anycast", 4),
            ("multicast", 5),
            ("blackhole", 6),
            ("unreachable", 7),
            ("prohibit", 8),
        ],
        DataType::Boolean => &[("missing", 0), ("exists", 1)],
        DataType::Uid | DataType::Gid => &[("root", 0)],
        _ => &[],
    }
}

/// Reads a value from one word.
pub(super) fn read(text: &str, dtype: DataType, names: &Names<'_>) -> Result<Data, Fault> {
    let bad = |what: &str| Fault::new(format!("{} is not {what}", q(text)), format!("expected {what}"));
    if let Some((_, n)) = symbols(dtype).iter().find(|(name, _)| *name == text) {
        return Ok(Data::number(u128::from(*n), dtype.len()));
    }
    match dtype {
        DataType::Ipv4Addr | DataType::Ipv6Addr => match text.parse::<IpAddr>() {
            Ok(addr) if addr.is_ipv4() == (dtype == DataType::Ipv4Addr) => Ok(Data::addr(addr)),
            other => {
                let why = match other {
                    Ok(_) => "Address family for hostname not supported",
                    Err(_) => "Name or service not known",
                };
                let help = format!("expected an {}", dtype.names().1);
                Err(Fault::new(format!("Could not resolve hostname: {why}"), help))
            }
        },
        DataType::EtherAddr => match text.parse::<packet::Mac>() {
            Ok(mac) => Ok(Data::new(&mac.0)),
            Err(_) => Err(bad("a MAC address")),
        },
        DataType::Ifname => match text.len() {
            1..=15 => Ok(Data::ifname(text)),
            _ => Err(bad("the name of a device, 1 to 15 characters")),
        },
        DataType::IfIndex => match names.devices.iter().position(|d| d == text) {
            Some(n) => Ok(Data::u32(n as u32 + 1)),
            None => match number::u32_of(text) {
                Some(n) => Ok(Data::u32(n)),
                None => Err(Fault::new("Interface does not exist", "expected the name of a device")),
            },
        },
        DataType::Time => time(text).map(|ms| Data::number(u128::from(ms), 8)).ok_or_else(|| bad("a time")),
        _ => {
            let (_, words) = dtype.names();
            let max = match dtype {
                DataType::Dscp => 63,
                DataType::Ecn => 3,
                _ => u64::MAX >> (64 - 8 * dtype.len().min(8)),
            };
            let service = any_service(text).filter(|_| dtype == DataType::InetService).map(u64::from);
            let Some(n) = service.or_else(|| number::unsigned(text, 0, u64::MAX)) else {
                return Err(match dtype {
                    DataType::InetService => Fault::new(
                        "Could not resolve service: Servname not supported for ai_socktype",
                        "expected a port or the name of a service",
                    ),
                    DataType::InetProto => {
                        Fault::new("Could not resolve protocol name", "expected a protocol or its number")
                    }
                    DataType::Uid => Fault::new("User does not exist", "expected a user or a number"),
                    DataType::Gid => Fault::new("Group does not exist", "expected a group or a number"),
                    _ => Fault::new(format!("Could not parse {words}"), format!("expected {words}")),
                });
            };
            if n > max {
                let message = match dtype {
                    DataType::InetService => "Service out of range".to_owned(),
                    DataType::InetProto => "Protocol out of range".to_owned(),
                    _ => format!("Value {n} exceeds valid range 0-{max}"),
                };
                return Err(Fault::new(message, format!("expected {words}")));
            }
            Ok(Data::number(u128::from(n), dtype.len()))
        }
    }
}

/// A time: `3h`, `1h30m`, `10s`, `500ms`, or seconds; in milliseconds.
pub(super) fn time(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("ms", 1), ("m", 60_000), ("s", 1000)];
    let mut rest = text;
    let mut sum: u64 = 0;
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return text.parse::<u64>().ok()?.checked_mul(1000);
    }
    while !rest.is_empty() {
        let len = rest.find(|c: char| !c.is_ascii_digit())?;
        let n: u64 = rest[..len].parse().ok()?;
        rest = &rest[len..];
        let (unit, ms) = UNITS.into_iter().find(|(u, _)| {
            rest.strip_prefix(u).is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphabetic()))
        })?;
        rest = &rest[unit.len()..];
        sum = sum.checked_add(n.checked_mul(ms)?)?;
    }
    (!text.is_empty()).then_some(sum)
}

/// A time as nft prints it (`time_print`).
pub(super) fn time_text(ms: u64) -> String {
    let mut out = String::new();
    let (days, hours) = (ms / 86_400_000, ms / 3_600_000 % 24);
    let (minutes, seconds, millis) = (ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    for (n, unit) in [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"), (millis, "ms")] {
        if n > 0 {
            let _ = write!(out, "{n}{unit}");
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A value as nft prints it.
pub(super) fn text(data: &Data, dtype: DataType, names: &Names<'_>) -> String {
    let n = data.as_u32();
    if dtype.is_bitmask() {
        return bits(n, dtype, ",");
    }
    if let Some((name, _)) = symbols(dtype).iter().find(|(_, v)| *v == n)
        && !matches!(dtype, DataType::Uid | DataType::Gid)
        && data.bytes().len() <= 4
    {
        return (*name).to_owned();
    }
    match dtype {
        DataType::Ipv4Addr | DataType::Ipv6Addr => data.as_addr().map(|a| a.to_string()).unwrap_or_default(),
        DataType::EtherAddr => {
            let bytes: Vec<String> = data.bytes().iter().map(|b| format!("{b:02x}")).collect();
            bytes.join(":")
        }
        DataType::Ifname => format!("\"{}\"", data.as_text()),
        DataType::IfIndex => match n.checked_sub(1).and_then(|i| names.devices.get(i as usize)) {
            Some(name) => format!("\"{name}\""),
            None => n.to_string(),
        },
        DataType::Mark => format!("0x{n:08x}"),
        DataType::Dscp | DataType::Ecn => format!("0x{n:02x}"),
        DataType::EtherType => format!("0x{n:04x}"),
        DataType::Time => time_text(data.as_number() as u64),
        _ => data.as_number().to_string(),
    }
}

/// The end of a range: nobody has to know the order of names.
pub(super) fn end_text(data: &Data, dtype: DataType, names: &Names<'_>) -> String {
    match symbols(dtype).is_empty() || dtype.is_bitmask() {
        true => text(data, dtype, names),
        false => data.as_number().to_string(),
    }
}

/// The names of bits, the lowest first; what has no name as a number.
pub(super) fn bits(value: u32, dtype: DataType, between: &str) -> String {
    let mut named: Vec<(u32, &str)> =
        symbols(dtype).iter().filter(|(_, v)| value & v == *v).map(|(name, v)| (*v, *name)).collect();
    sorted::sort_by_key(&mut named, |(v, _)| *v);
    let known = named.iter().fold(0, |sum, (v, _)| sum | v);
    let rest = value & !known;
    let mut words: Vec<String> = named.into_iter().map(|(_, name)| name.to_owned()).collect();
    if rest != 0 || words.is_empty() {
        words.push(format!("0x{rest:x}"));
    }
    words.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_printed() {
        for t in ["3h", "1h30m", "10s", "500ms", "1d2h3m4s"] {
            assert_eq!(time_text(time(t).unwrap()), t);
        }
        assert_eq!(time("10800").map(time_text).as_deref(), Some("3h"));
        assert_eq!(time("3x"), None);
    }
}
