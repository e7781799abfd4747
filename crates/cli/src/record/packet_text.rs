//! Packets as one line of text.

use packet::{Arp, ArpOp, Frame, IcmpBody, Ip, L4, Payload, Protocol, Udp, icmp_type};
use std::fmt::Write;

/// A frame's payload as the recordings print it.
pub fn frame_text(frame: &Frame) -> String {
    match &frame.payload {
        Payload::Arp(arp) => arp_text(arp),
        Payload::Ip(ip) => ip_text(ip, true),
    }
}

fn arp_text(arp: &Arp) -> String {
    let op = match arp.op {
        ArpOp::Request => "request",
        ArpOp::Reply => "reply",
    };
    format!("arp {op} who-has {} tell {}", arp.tpa, arp.spa)
}

/// An IP packet; a packet quoted in an ICMP error (`whole` false) shows only what is certain to be in the quote.
pub fn ip_text(ip: &Ip, whole: bool) -> String {
    let mut s = String::new();
    let (proto, src, dst) = (proto_text(ip.protocol()), ip.src, ip.dst);
    // Writing to a string cannot fail.
    let headers = ip.headers();
    let _ = match &*headers {
        _ if ip.frag.offset != 0 => write!(s, "{proto} {src}>{dst}"),
        L4::Tcp(t) => {
            let _ = write!(s, "tcp {src}:{}>{dst}:{}", t.sport, t.dport);
            if whole {
                let _ = write!(s, " [{}]", t.flags);
            }
            length(&mut s, t.payload.len(), whole)
        }
        L4::Udp(u) => {
            let _ = write!(s, "udp {src}:{}>{dst}:{}", u.sport, u.dport);
            length(&mut s, udp_len(ip, u), whole)
        }
        L4::Icmp(i) => {
            let _ = write!(s, "icmp {src}>{dst} type={} code={}", i.kind, i.code);
            match &i.body {
                IcmpBody::Query { id, .. } if is_query(i.kind) => write!(s, " id={id}"),
                IcmpBody::Error { inner, .. } if whole => write!(s, " {{{}}}", ip_text(inner, false)),
                _ => Ok(()),
            }
        }
        L4::Icmp6(i) => {
            let _ = write!(s, "icmpv6 {src}>{dst} type={} code={}", i.kind, i.code);
            match &i.body {
                IcmpBody::Query { id, .. } => write!(s, " id={id}"),
                IcmpBody::Error { inner, .. } if whole => write!(s, " {{{}}}", ip_text(inner, false)),
                _ => Ok(()),
            }
        }
        // Eight bytes of TCP tell the ports.
        L4::Other(Protocol::TCP, bytes) if bytes.len() >= 8 => {
            let (sport, dport) = ip.ports().unwrap_or_default();
            write!(s, "tcp {src}:{sport}>{dst}:{dport}")
        }
        L4::Other(..) => write!(s, "{proto} {src}>{dst}"),
    };
    if ip.frag.offset != 0 || ip.frag.mf {
        let _ = write!(s, " frag={}{}", ip.frag.offset, if ip.frag.mf { "+" } else { "" });
    }
    s
}

/// The length that a datagram's header tells: a first fragment has only a part of it.
fn udp_len(ip: &Ip, udp: &Udp) -> usize {
    match &ip.l4 {
        L4::Other(_, bytes) => match bytes[..] {
            [_, _, _, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])).saturating_sub(8),
            _ => 0,
        },
        _ => udp.payload.len(),
    }
}

/// A protocol as the recordings name it: all but the three of a host by number.
pub fn proto_text(proto: Protocol) -> String {
    match proto {
        Protocol::ICMP | Protocol::TCP | Protocol::UDP => proto.to_string(),
        Protocol(number) => number.to_string(),
    }
}

fn is_query(kind: u8) -> bool {
    matches!(
        kind,
        icmp_type::ECHO
            | icmp_type::ECHO_REPLY
            | icmp_type::TIMESTAMP
            | icmp_type::TIMESTAMP_REPLY
            | icmp_type::ADDRESS
            | icmp_type::ADDRESS_REPLY
    )
}

fn length(s: &mut String, len: usize, whole: bool) -> std::fmt::Result {
    if whole && len > 0 { write!(s, " len={len}") } else { Ok(()) }
}

/// What ping got.
pub fn icmp_answer(ip: &Ip) -> String {
    ip_text(ip, true)
}
