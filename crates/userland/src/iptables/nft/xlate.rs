//! What nft 1.0.6 prints for a match of iptables: the translation by the extension itself (`xlate` of libxt_*.c), which is not always
//! true. Those of targets stand in [`super::xlate_target`].

use crate::names::addr;
use kernel::netfilter::conntrack::Direction;
use kernel::netfilter::xtables::matches::{
    AddrType, AddrTypes, Addrtype, Conntrack, CtStates, CtStatus, Iprange, Match, Multiport, Owner, PortSide,
    Rpfilter, SctpMatch, Statistic, StatisticMode, TcpMatch, TtlMatch,
};
use kernel::netfilter::xtables::{IpMatch, Neg, PortRange};
use packet::{Protocol, TcpFlags};
use std::fmt::Display;

/// Types of ICMP that have a name.
const ICMP: &[(u8, &str)] = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
];
const ICMP6: &[(u8, &str)] = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
];

/// A match as nft prints it in a rule of a protocol; `None` if the extension has no words for it.
pub(crate) fn xlate_match(m: &Match, proto: Option<Protocol>) -> Option<String> {
    Some(match m {
        Match::Comment(_) => String::new(),
        Match::Tcp(t) => tcp(t),
        Match::Udp(u) => ports("udp", u.sport, u.dport),
        Match::Sctp(s) => sctp(s)?,
        Match::Icmp(i) => match i.kind.value {
            // Any type.
            (255, ..) => "ip protocol icmp".to_owned(),
            kind => format!("icmp type {}", icmp(ICMP, i.kind.not, kind)?),
        },
        Match::Icmp6(i) => format!("icmpv6 type {}", icmp(ICMP6, i.kind.not, i.kind.value)?),
        Match::Multiport(m) => multiport(m, proto?)?,
        Match::Conntrack(c) => conntrack(c),
        Match::State(s) => format!("ct state {}{}", sign(s.not, "! "), states(s.value)),
        Match::Addrtype(a) => addrtype(*a)?,
        Match::Statistic(s) => statistic(s),
        Match::Connmark(c) => {
            let (value, mask) = c.mark.value;
            match mask {
                u32::MAX => format!("ct mark {}0x{value:x}", sign(c.mark.not, "!= ")),
                mask => {
                    format!("ct mark and 0x{mask:x} {}0x{value:x}", if c.mark.not { "!= " } else { "== " })
                }
            }
        }
        Match::Ttl(t) => match t {
            TtlMatch::Equal(n) => format!("ip ttl {n}"),
            TtlMatch::NotEqual(n) => format!("ip ttl != {n}"),
            TtlMatch::Less(n) => format!("ip ttl lt {n}"),
            TtlMatch::Greater(n) => format!("ip ttl gt {n}"),
        },
        Match::Length(l) => format!("meta length {}", range(l.range)),
        Match::Helper(h) => format!("ct helper {}\"{}\"", sign(h.name.not, "!= "), h.name.value),
        Match::Iprange(r) => iprange(r),
        Match::Mac(m) => format!("ether saddr {}{}", sign(m.source.not, "!= "), m.source.value),
        Match::Owner(o) => owner(o)?,
        Match::Pkttype(p) => {
            use kernel::PktType;
            let kind = match p.kind.value {
                PktType::Host => "unicast",
                PktType::Broadcast => "broadcast",
                PktType::Multicast => "multicast",
                PktType::OtherHost => "3",
            };
            format!("pkttype {}{kind}", sign(p.kind.not, "!= "))
        }
        Match::Rpfilter(r) => rpfilter(*r),
        Match::Tcpmss(t) => format!("tcp option maxseg size {}", range(t.mss)),
        // nf_tables has these itself.
        Match::Mark(_) | Match::Limit(_) => return None,
        Match::Physdev(_) | Match::Recent(_) | Match::Set(_) | Match::Ipvs(_) | Match::Nfacct(_) => {
            return None;
        }
    })
}

fn sign(not: bool, text: &'static str) -> &'static str {
    if not { text } else { "" }
}

/// `[!= ]A[-B]`
fn range<T: Display + PartialEq>(r: Neg<(T, T)>) -> String {
    let (min, max) = &r.value;
    let last = if min == max { String::new() } else { format!("-{max}") };
    format!("{}{min}{last}", sign(r.not, "!= "))
}

fn port_range(r: Neg<PortRange>) -> String {
    range(Neg { not: r.not, value: (r.value.min, r.value.max) })
}

/// Ports that are not all ports.
fn ports(header: &str, sport: Option<Neg<PortRange>>, dport: Option<Neg<PortRange>>) -> String {
    let asked = |r: Neg<PortRange>| (r.not || r.value != PortRange::ALL).then(|| port_range(r));
    let named = [("sport", sport), ("dport", dport)];
    let parts = named.into_iter().filter_map(|(name, r)| Some(format!("{header} {name} {}", asked(r?)?)));
    parts.collect::<Vec<_>>().join(" ")
}

fn tcp(t: &TcpMatch) -> String {
    let mut parts = vec![ports("tcp", t.sport, t.dport)];
    if let Some(o) = t.option {
        parts.push(format!("tcp option {} {}", o.value, if o.not { "missing" } else { "exists" }));
    }
    if let Some(f) = t.flags.filter(|f| f.value.mask.0 != 0 || f.not) {
        let (mask, comp) = (flags(f.value.mask), flags(f.value.comp));
        parts.push(format!("tcp flags {}{comp} / {mask}", sign(f.not, "!= ")));
    }
    parts.retain(|p| !p.is_empty());
    parts.join(" ")
}

fn flags(f: TcpFlags) -> String {
    let names = ["fin", "syn", "rst", "psh", "ack", "urg"];
    let set: Vec<&str> =
        (0u8..).zip(names).filter(|(bit, _)| f.0 >> bit & 1 == 1).map(|(_, name)| name).collect();
    if set.is_empty() { "0x0".to_owned() } else { set.join(",") }
}

/// Of chunks only the ports' part is translated here.
fn sctp(s: &SctpMatch) -> Option<String> {
    s.chunks.is_none().then(|| ports("sctp", s.sport, s.dport))
}

/// A type of which every code is meant, if it has a name.
fn icmp(names: &[(u8, &str)], not: bool, (kind, min, max): (u8, u8, u8)) -> Option<String> {
    let name = names.iter().find(|(n, _)| *n == kind)?.1;
    (min == 0 && max == 255).then(|| format!("{}{name}", sign(not, "!= ")))
}

fn multiport(m: &Multiport, proto: Protocol) -> Option<String> {
    let header = match proto.0 {
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        33 => "dccp",
        136 => "udplite",
        _ => return None,
    };
    let each: Vec<String> = m.ports.value.iter().map(|r| port_range(Neg::plain(*r))).collect();
    let side = match m.side {
        PortSide::Source => "sport",
        PortSide::Destination => "dport",
        // The sign is lost.
        PortSide::Either => {
            // Of a range both ends are taken for ports.
            let ends = m
                .ports
                .value
                .iter()
                .flat_map(|r| [Some(r.min), (r.max != r.min).then_some(r.max)].into_iter().flatten());
            let pairs: Vec<String> = ends.map(|p| format!("0-65535 . {p}, {p} . 0-65535")).collect();
            return Some(format!("{header} sport . {header} dport {{ {} }}", pairs.join(", ")));
        }
    };
    let set = match &each[..] {
        [one] => one.clone(),
        many => format!("{{ {} }}", many.join(", ")),
    };
    Some(format!("{header} {side} {}{set}", sign(m.ports.not, "!= ")))
}

/// States in the order of their names in the extension.
fn states(s: CtStates) -> String {
    let named = [(1, "invalid"), (8, "new"), (4, "related"), (2, "established"), (16, "untracked")];
    named.iter().filter(|(bit, _)| s.0 & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

fn conntrack(c: &Conntrack) -> String {
    let mut parts = Vec::new();
    if let Some(dir) = c.dir {
        parts.push(format!("ct direction {}", if dir == Direction::Original { "original" } else { "reply" }));
    }
    if let Some(p) = c.proto {
        parts.push(format!("ct original protocol {}{}", sign(p.not, "!= "), p.value.0));
    }
    if let Some(s) = c.state {
        // NAT takes the place of everything else, and of the sign.
        parts.push(match s.value.0 & (CtStates::SNAT | CtStates::DNAT) {
            0 => format!("ct state {}{}", sign(s.not, "! "), states(s.value)),
            nat if nat & CtStates::SNAT != 0 => "ct status snat".to_owned(),
            _ => "ct status dnat".to_owned(),
        });
    }
    if let Some(s) = c.status {
        let text = status(s.value);
        let blank = if text.is_empty() { "" } else { " " };
        parts.push(format!("ct status{}{blank}{text}", sign(s.not, " !")));
    }
    if let Some(e) = c.expire {
        parts.push(format!("ct expiration {}", range(e)));
    }
    let nets = [
        ("original saddr", c.orig_src),
        ("original daddr", c.orig_dst),
        ("reply saddr", c.repl_src),
        ("reply daddr", c.repl_dst),
    ];
    parts.extend(nets.into_iter().filter_map(|(name, net)| {
        let net: Neg<IpMatch> = net?;
        Some(format!("ct {name} {}{}{}", sign(net.not, "!= "), net.value.addr, addr::mask_suffix(&net.value)))
    }));
    let sides = [
        ("original proto-src", c.orig_sport),
        ("original proto-dst", c.orig_dport),
        ("reply proto-src", c.repl_sport),
        ("reply proto-dst", c.repl_dport),
    ];
    parts.extend(sides.into_iter().filter_map(|(name, r)| Some(format!("ct {name} {}", port_range(r?)))));
    parts.join(" ")
}

fn status(s: CtStatus) -> String {
    let named = [(1, "expected"), (2, "seen-reply"), (4, "assured"), (8, "confirmed")];
    named.iter().filter(|(bit, _)| s.0 & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

/// Of source and destination only the first is said.
fn addrtype(a: Addrtype) -> Option<String> {
    let (side, types) = match (a.src, a.dst) {
        (Some(t), _) => ("saddr", t),
        (None, Some(t)) => ("daddr", t),
        (None, None) => return None,
    };
    let dev = if a.limit_iface_in { " . iif" } else { sign(a.limit_iface_out, " . oif") };
    Some(format!("fib {side}{dev} type {}{}", sign(types.not, "!= "), address_types(types.value)))
}

fn address_types(types: AddrTypes) -> String {
    let known = AddrType::ALL.into_iter().take(9).filter(|t| types.contains(*t));
    let names: Vec<String> = known.map(|t| t.name().to_ascii_lowercase()).collect();
    match types.0.count_ones() {
        1 if !names.is_empty() => names.concat(),
        _ => format!("{{ {} }}", names.join(", ")),
    }
}

fn statistic(s: &Statistic) -> String {
    match s.mode {
        StatisticMode::Random(below) => {
            format!("meta random & 2147483647 {} {below}", if s.not { ">=" } else { "<" })
        }
        StatisticMode::Nth { every, packet } => {
            format!("numgen inc mod {every} {}{packet}", sign(s.not, "!= "))
        }
    }
}

fn iprange(r: &Iprange) -> String {
    let sides = [("saddr", r.src), ("daddr", r.dst)];
    let parts = sides.into_iter().filter_map(|(name, range)| {
        let range = range?;
        let (min, max) = range.value;
        Some(format!("ip {name} {}{min}-{max}", sign(range.not, "!= ")))
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn owner(o: &Owner) -> Option<String> {
    match (o.uid, o.gid) {
        _ if o.socket_exists.is_some() || o.suppl_groups => None,
        (Some(uid), None) => Some(format!("skuid {}", range(uid))),
        (None, Some(gid)) => Some(format!("skgid {}", range(gid))),
        _ => None,
    }
}

fn rpfilter(r: Rpfilter) -> String {
    let local = sign(r.accept_local, "fib saddr type != local ");
    let (mark, iif) = (sign(r.validmark, " . mark"), sign(!r.loose, " . iif"));
    format!("{local}fib saddr{mark}{iif} oif {}0", sign(!r.invert, "!= "))
}
