//! What nft 1.0.6 prints for a target of iptables (`xlate` of libxt_*.c and libipt_*.c).

use crate::nft::{NftLog, log_text};
use kernel::netfilter::xtables::PortRange;
use kernel::netfilter::xtables::targets::{
    Connmark, ConnmarkOp, Log, Mark, Reject, RejectWith, Shift, Target, Tcpmss,
};
use std::net::IpAddr;

/// A target as nft prints it; `None` if the extension has no words for it.
pub(crate) fn xlate_target(t: &Target) -> Option<String> {
    Some(match t {
        Target::Mark(m) => format!("meta mark set {}", mark("mark", *m, false)),
        Target::Connmark(c) => connmark(c)?,
        Target::Dnat(d) if d.base.is_none() => {
            nat("dnat", d.addr, d.ports, &[(d.random, "random"), (d.persistent, "persistent")])
        }
        Target::Snat(s) if s.base.is_none() => {
            let flags =
                [(s.random, "random"), (s.random_fully, "fully-random"), (s.persistent, "persistent")];
            nat("snat", s.addr, s.ports, &flags)
        }
        Target::Masquerade(m) => {
            let flags = [(m.random, "random"), (m.random_fully, "fully-random")];
            format!("masquerade{}{}", to_ports(m.ports), words(&flags))
        }
        Target::Redirect(r) => format!("redirect{}{}", to_ports(r.ports), words(&[(r.random, "random")])),
        Target::Reject(r) => reject(*r),
        Target::Log(l) => log_text(&log(l)),
        Target::Notrack => "notrack".to_owned(),
        Target::Ct(ct) if ct.notrack => "notrack".to_owned(),
        Target::Tcpmss(Tcpmss::Set(n)) => format!("tcp option maxseg size set {n}"),
        Target::Tcpmss(Tcpmss::ClampToPmtu) => "tcp option maxseg size set rt mtu".to_owned(),
        _ => return None,
    })
}

/// The name of a target.
pub(crate) fn target_name(t: &Target) -> &'static str {
    crate::iptables::targets::name(t).unwrap_or_default()
}

/// What becomes of a mark of that name; CONNMARK and MARK do the two halves in different order.
fn mark(name: &str, m: Mark, flips_first: bool) -> String {
    let Mark { value, mask } = m;
    match (value, mask) {
        (value, u32::MAX) => format!("0x{value:x}"),
        (0, mask) => format!("{name} and 0x{:x}", !mask),
        (value, mask) if value == mask => format!("{name} or 0x{value:x}"),
        (value, 0) => format!("{name} xor 0x{value:x}"),
        (value, mask) if flips_first => format!("{name} xor 0x{value:x} and 0x{:x}", !mask),
        (value, mask) => format!("{name} and 0x{:x} xor 0x{value:x}", !mask),
    }
}

fn connmark(c: &Connmark) -> Option<String> {
    let masked = |name: &str, nfmask: u32, ctmask: u32| match (nfmask, ctmask) {
        (u32::MAX, u32::MAX) => Some(name.to_owned()),
        (nf, ct) if nf == ct => Some(format!("{name} and 0x{nf:x}")),
        _ => None,
    };
    let (set, value) = match c.op {
        ConnmarkOp::Set(m) => {
            let plain = m.mask == u32::MAX;
            // A plain value is printed with a blank of its own.
            let blank = if plain && c.shift.bits != 0 { " " } else { "" };
            ("ct", mark("ct mark", m, true) + blank)
        }
        ConnmarkOp::Save { nfmask, ctmask } => ("ct", masked("mark", nfmask, ctmask)?),
        ConnmarkOp::Restore { nfmask, ctmask } => ("meta", masked("ct mark", nfmask, ctmask)?),
    };
    Some(match c.shift {
        Shift { bits: 0, .. } => format!("{set} mark set {value}"),
        Shift { right, bits } => {
            format!("{set} mark set ( {value} ) {} {bits}", if right { ">>" } else { "<<" })
        }
    })
}

fn words(flags: &[(bool, &str)]) -> String {
    let words: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, w)| *w).collect();
    if words.is_empty() { String::new() } else { format!(" {}", words.join(",")) }
}

fn range(r: PortRange) -> String {
    if r.min == r.max { r.min.to_string() } else { format!("{}-{}", r.min, r.max) }
}

fn to_ports(ports: Option<PortRange>) -> String {
    ports.map_or(String::new(), |r| format!(" to :{}", range(r)))
}

fn nat(
    word: &str,
    addr: Option<(IpAddr, IpAddr)>,
    ports: Option<PortRange>,
    flags: &[(bool, &str)],
) -> String {
    let mut to = String::new();
    if let Some((first, last)) = addr {
        to = if first == last { first.to_string() } else { format!("{first}-{last}") };
        if first.is_ipv6() && ports.is_some() {
            to = format!("[{to}]");
        }
    }
    if let Some(ports) = ports {
        to += &format!(":{}", range(ports));
    }
    let blank = if to.is_empty() { "" } else { " to " };
    format!("{word}{blank}{to}{}", words(flags))
}

fn reject(r: Reject) -> String {
    let (header, code) = match r.with {
        RejectWith::PortUnreachable | RejectWith::PortUnreachable6 => return "reject".to_owned(),
        RejectWith::TcpReset => return "reject with tcp reset".to_owned(),
        RejectWith::NetUnreachable => ("icmp", "net-unreachable"),
        RejectWith::HostUnreachable => ("icmp", "host-unreachable"),
        RejectWith::ProtoUnreachable => ("icmp", "prot-unreachable"),
        RejectWith::NetProhibited => ("icmp", "net-prohibited"),
        RejectWith::HostProhibited => ("icmp", "host-prohibited"),
        RejectWith::AdminProhibited => ("icmp", "admin-prohibited"),
        RejectWith::NoRoute => ("icmpv6", "no-route"),
        RejectWith::AdmProhibited => ("icmpv6", "admin-prohibited"),
        RejectWith::AddrUnreachable => ("icmpv6", "addr-unreachable"),
        RejectWith::PolicyFail => ("icmpv6", "policy-fail"),
        RejectWith::RejectRoute => ("icmpv6", "reject-route"),
    };
    format!("reject with {header} type {code}")
}

fn log(l: &Log) -> NftLog {
    let bits = [(l.tcp_sequence, 0), (l.tcp_options, 1), (l.ip_options, 2), (l.uid, 3), (l.macdecode, 5)];
    NftLog {
        prefix: (!l.prefix.is_empty()).then(|| l.prefix.as_str().into()),
        level: Some(l.level),
        flags: bits.iter().filter(|(on, _)| *on).map(|(_, bit)| 1u8 << bit).sum(),
        ..NftLog::default()
    }
}
