//! Packets in words.

use kernel::Instant;
use packet::{ArpOp, Frame, Icmp, Ip, L4, Payload, Tcp, TcpFlags, icmp_type, icmp6_type};
use std::net::IpAddr;

/// What kind of segment it is, in one or two words: `SYN`, `SYN-ACK`, `HTTP GET`, `ARP request`.
pub fn segment(frame: &Frame) -> String {
    match &frame.payload {
        Payload::Arp(arp) => match arp.op {
            ArpOp::Request => "ARP request".to_owned(),
            ArpOp::Reply => "ARP reply".to_owned(),
        },
        Payload::Ip(ip) => match &ip.l4 {
            L4::Tcp(tcp) => tcp_segment(tcp),
            L4::Udp(udp) => tftp_message(&udp.payload).unwrap_or_else(|| "UDP".to_owned()),
            L4::Icmp(icmp) => icmp_message(icmp).to_owned(),
            L4::Icmp6(icmp) => icmp6_name(icmp.kind, icmp.code).to_owned(),
            L4::Other(p, _) => p.to_string(),
        },
    }
}

/// The name of a TFTP message (RFC 1350). `None` if it is something else: TFTP leaves its port with the first answer, so
/// the bytes have to tell.
pub(crate) fn tftp_message(payload: &[u8]) -> Option<String> {
    let (opcode, rest) = payload.split_at_checked(2)?;
    let block = |rest: &[u8]| Some(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    match opcode {
        // A file and a mode, each ended by a zero.
        [0, 1] if rest.iter().filter(|b| **b == 0).count() >= 2 => Some("RRQ".to_owned()),
        [0, 3] if rest.len() <= 514 => Some(format!("DATA {}", block(rest)?)),
        [0, 4] if rest.len() == 2 => Some(format!("ACK {}", block(rest)?)),
        [0, 5] if rest.len() > 2 && rest.ends_with(&[0]) => Some("ERROR".to_owned()),
        _ => None,
    }
}

fn tcp_segment(tcp: &Tcp) -> String {
    if !tcp.payload.is_empty() {
        return format!("data {}", tcp.payload.len());
    }
    let names = [(TcpFlags::RST, "RST"), (TcpFlags::SYN, "SYN"), (TcpFlags::FIN, "FIN")];
    let name = names.iter().find(|(f, _)| tcp.flags.has(*f)).map(|(_, n)| *n);
    match (name, tcp.flags.has(TcpFlags::ACK)) {
        (Some(n), true) => format!("{n}-ACK"),
        (Some(n), false) => n.to_owned(),
        (None, true) => "ACK".to_owned(),
        (None, false) => "TCP".to_owned(),
    }
}

/// The name of an ICMP message.
pub(crate) fn icmp_message(icmp: &Icmp) -> &'static str {
    icmp_name(icmp.kind, icmp.code)
}

/// What a type and code of ICMP say.
pub(crate) fn icmp_name(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (icmp_type::ECHO, _) => "echo request",
        (icmp_type::ECHO_REPLY, _) => "echo reply",
        (icmp_type::DEST_UNREACH, 0) => "net unreachable",
        (icmp_type::DEST_UNREACH, 1) => "host unreachable",
        (icmp_type::DEST_UNREACH, 3) => "port unreachable",
        (icmp_type::DEST_UNREACH, _) => "unreachable",
        (icmp_type::TIME_EXCEEDED, _) => "time exceeded",
        (icmp_type::REDIRECT, _) => "redirect",
        _ => "ICMP",
    }
}

/// What a type and code of ICMPv6 say.
pub(crate) fn icmp6_name(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (icmp6_type::ECHO_REQUEST, _) => "echo request",
        (icmp6_type::ECHO_REPLY, _) => "echo reply",
        (icmp6_type::DEST_UNREACH, 4) => "port unreachable",
        (icmp6_type::DEST_UNREACH, _) => "unreachable",
        (icmp6_type::TIME_EXCEEDED, _) => "time exceeded",
        (icmp6_type::PACKET_TOO_BIG, _) => "packet too big",
        _ => "ICMPv6",
    }
}

/// `10.0.0.1:80`, `[fd00::1]:80`, or the address alone.
pub fn endpoint(addr: IpAddr, port: Option<u16>) -> String {
    match port {
        Some(port) if addr.is_ipv6() => format!("[{addr}]:{port}"),
        Some(port) => format!("{addr}:{port}"),
        None => addr.to_string(),
    }
}

/// Source and destination, with ports where there are any.
pub(crate) fn endpoints(ip: &Ip) -> (String, String) {
    let ports = ip.ports();
    (endpoint(ip.src, ports.map(|p| p.0)), endpoint(ip.dst, ports.map(|p| p.1)))
}

/// `10.0.0.1:41000 → 10.0.0.2:80`, or who asks whom for ARP.
pub fn flow_text(frame: &Frame) -> String {
    match &frame.payload {
        Payload::Arp(arp) => format!("{} → {}", arp.spa, arp.tpa),
        Payload::Ip(ip) => {
            let (src, dst) = endpoints(ip);
            format!("{src} → {dst}")
        }
    }
}

/// Time since the start as tcpdump prints the time of day.
pub fn clock(at: Instant) -> String {
    let s = at.0 / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", s / 3600 % 24, s / 60 % 60, s % 60, at.0 % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tftp_is_known_by_its_bytes() {
        let name = |bytes: &[u8]| tftp_message(bytes);
        assert_eq!(name(b"\0\x01file\0octet\0").as_deref(), Some("RRQ"));
        assert_eq!(name(b"\0\x03\0\x07data").as_deref(), Some("DATA 7"));
        assert_eq!(name(b"\0\x04\x01\0").as_deref(), Some("ACK 256"));
        for other in [&b"ping"[..], b"", b"\0", b"\0\x01file", b"\0\x04\0\x01more", b"\0\x09"] {
            assert_eq!(name(other), None, "{other:?}");
        }
    }

    #[test]
    fn time_is_printed_as_tcpdump_does() {
        assert_eq!(clock(Instant(123)), "00:00:00.000123");
        assert_eq!(clock(Instant(3_661_500_000)), "01:01:01.500000");
    }
}
