//! IPv4 and IPv6 (print-ip.c, print-ip6.c).

use super::Printer;
use crate::names::{protocols, services};
use packet::{Ip, L4, Protocol};
use std::net::{IpAddr, Ipv4Addr};

impl Printer {
    pub(super) fn ip(&mut self, ip: &Ip, prefix: bool, out: &mut String) {
        let four = ip.src.is_ipv4();
        if prefix {
            *out += if four { "IP " } else { "IP6 " };
        }
        if self.look.verbose > 0 {
            *out += &if four { details(ip) } else { details6(ip) };
        }
        if ip.frag.offset != 0 {
            let name = match protocols::protocol_name(ip.protocol()).filter(|_| !self.look.numeric) {
                Some(name) => name.to_owned(),
                None => format!("ip-proto-{}", ip.protocol().0),
            };
            *out += &format!("{}: {name}", self.hosts(ip));
            return;
        }
        match &*ip.headers() {
            L4::Tcp(t) => self.tcp(ip, t, out),
            L4::Udp(u) => self.udp(ip, u, out),
            L4::Icmp(i) => self.icmp(ip, i, out),
            L4::Icmp6(i) => self.icmp6(ip, i, out),
            L4::Other(proto, bytes) => self.other(ip, *proto, bytes, out),
        }
    }

    fn other(&mut self, ip: &Ip, proto: Protocol, bytes: &[u8], out: &mut String) {
        *out += &format!("{}: ", self.hosts(ip));
        let word = |at: usize| {
            bytes.get(at..at + 4).map_or(0, |b| b.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)))
        };
        match proto {
            Protocol::IPIP => match Ip::from_bytes(bytes) {
                Some(inner) => self.ip(&inner, true, out),
                None => *out += "IP  [|ip]",
            },
            Protocol::ESP => {
                *out += &format!("ESP(spi=0x{:08x},seq=0x{:x}), length {}", word(0), word(4), bytes.len());
            }
            proto => match protocols::protocol_name(proto).filter(|_| !self.look.numeric) {
                Some(name) => *out += &format!(" {name} {}", bytes.len()),
                None => *out += &format!(" ip-proto-{} {}", proto.0, bytes.len()),
            },
        }
    }

    /// `10.0.0.1 > 10.0.0.2`
    pub(super) fn hosts(&self, ip: &Ip) -> String {
        format!("{} > {}", self.host(ip.src), self.host(ip.dst))
    }

    /// `10.0.0.1.40000 > 10.0.0.2.80`
    pub(super) fn ends(&self, ip: &Ip, (sport, dport): (u16, u16)) -> String {
        let proto = ip.protocol();
        let (src, dst) = (self.host(ip.src), self.host(ip.dst));
        format!("{src}.{} > {dst}.{}", self.port(sport, proto), self.port(dport, proto))
    }

    pub(super) fn host(&self, addr: IpAddr) -> String {
        // The one name that /etc/hosts always has.
        if addr == IpAddr::V4(Ipv4Addr::LOCALHOST) && !self.look.numeric {
            return "localhost".to_owned();
        }
        addr.to_string()
    }

    pub(super) fn port(&self, port: u16, proto: Protocol) -> String {
        let name = if self.look.numeric { None } else { services::service_name(port, proto) };
        name.map_or_else(|| port.to_string(), str::to_owned)
    }
}

/// What tcpdump calls a protocol (ipproto.c).
fn protocol_name(proto: Protocol) -> Option<&'static str> {
    Some(match proto.0 {
        0 => "Options",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        17 => "UDP",
        33 => "DCCP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPv6",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        _ => return None,
    })
}

fn named(proto: Protocol) -> String {
    format!("{} ({})", protocol_name(proto).unwrap_or("unknown"), proto.0)
}

fn details(ip: &Ip) -> String {
    let ecn = ["", ",ECT(1)", ",ECT(0)", ",CE"].get(usize::from(ip.tos & 3)).copied().unwrap_or_default();
    let flags: Vec<&str> =
        [(ip.frag.mf, "+"), (ip.frag.df, "DF")].iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
    format!(
        "(tos 0x{:x}{ecn}, ttl {}, id {}, offset {}, flags [{flags}], proto {}, length {})\n    ",
        ip.tos,
        ip.ttl,
        ip.id,
        ip.frag.offset,
        named(ip.protocol()),
        ip.total_len()
    )
}

fn details6(ip: &Ip) -> String {
    let class = if ip.tos == 0 { String::new() } else { format!("class 0x{:02x}, ", ip.tos) };
    let len = ip.total_len() - 40;
    format!("({class}hlim {}, next-header {} payload length: {len}) ", ip.ttl, named(ip.protocol()))
}
