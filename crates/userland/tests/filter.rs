//! Filters of tcpdump, held against tcpdump 4.99.3 with libpcap 1.10.3: which of the recorded frames pass.
//!
//! `data/filter/record.py` makes the answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use packet::{
    Arp, ArpOp, Frame, Icmp, Icmp6, IcmpBody, Ip, L4, Mac, Payload, Protocol, Tcp, TcpFlags, TcpOptions, Udp,
};
use std::net::IpAddr;
use userland::ToolError;
use userland::tcpdump::{Filter, Link};

fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

fn ip(src: &str, dst: &str, l4: L4) -> Ip {
    Ip::new(src.parse::<IpAddr>().unwrap(), dst.parse::<IpAddr>().unwrap(), l4)
}

fn frame(ip: Ip) -> Frame {
    Frame { src: mac(1), dst: mac(2), payload: Payload::Ip(ip) }
}

fn tcp(sport: u16, dport: u16, flags: TcpFlags, payload: &[u8]) -> L4 {
    let options = if flags.has(TcpFlags::SYN) {
        TcpOptions { mss: Some(1460), sack_ok: true, ts: Some((9, 0)), wscale: Some(7) }
    } else {
        TcpOptions::default()
    };
    let payload = payload.to_vec();
    L4::Tcp(Tcp { sport, dport, seq: 1000, ack: 77, flags, window: 502, options, checksum_ok: true, payload })
}

fn udp(sport: u16, dport: u16, payload: &[u8]) -> L4 {
    L4::Udp(Udp { sport, dport, checksum_ok: true, payload: payload.to_vec() })
}

fn icmp(kind: u8, code: u8, body: IcmpBody) -> L4 {
    L4::Icmp(Icmp { kind, code, checksum_ok: true, body })
}

fn arp(op: ArpOp, src: &str, dst: &str) -> Frame {
    let (spa, tpa) = (src.parse().unwrap(), dst.parse().unwrap());
    let arp = Arp { op, sha: mac(1), spa, tha: Mac::ZERO, tpa };
    Frame { src: mac(1), dst: Mac::BROADCAST, payload: Payload::Arp(arp) }
}

/// Packets of every kind, with addresses and ports that many filters ask for.
fn frames() -> Vec<Frame> {
    let (a, b, c) = ("10.0.0.1", "10.0.0.2", "192.168.1.9");
    let (six, seven) = ("fd00::1", "fd00::2");
    let all = [TcpFlags::SYN, TcpFlags::SYN | TcpFlags::ACK, TcpFlags::ACK, TcpFlags::PSH | TcpFlags::ACK]
        .into_iter()
        .chain([TcpFlags::FIN | TcpFlags::ACK, TcpFlags::RST, TcpFlags::RST | TcpFlags::ACK, TcpFlags::URG])
        .chain([TcpFlags::ECE | TcpFlags::CWR | TcpFlags::SYN]);
    let mut out: Vec<Frame> = all.map(|f| frame(ip(a, b, tcp(40000, 80, f, b"")))).collect();
    out.push(frame(ip(b, a, tcp(80, 40000, TcpFlags::PSH | TcpFlags::ACK, &[b'x'; 900]))));
    out.push(frame(ip(a, c, tcp(22, 443, TcpFlags::ACK, b"GET / HTTP/1.1\r\n"))));
    out.push(frame(ip(c, a, udp(53, 5353, b"answer"))));
    out.push(frame(ip(a, c, udp(5353, 53, b""))));
    out.push(frame(ip(a, b, udp(1069, 69, b"\0\x01file\0octet\0"))));
    out.push(frame(ip(b, b, udp(80, 80, &[0; 40]))));
    out.push(frame(ip(a, "224.0.0.251", udp(5353, 5353, b"m"))));
    out.push(frame(ip(a, "255.255.255.255", udp(68, 67, &[1; 240]))));
    let query = IcmpBody::Query { id: 7, seq: 1, payload: vec![0; 56] };
    out.push(frame(ip(a, b, icmp(8, 0, query.clone()))));
    out.push(frame(ip(b, a, icmp(0, 0, query.clone()))));
    let inner = ip(a, c, udp(5353, 53, b"q"));
    for (kind, code, mtu) in [(3, 3, 0), (3, 4, 1400), (3, 1, 0), (11, 0, 0)] {
        let body = IcmpBody::Error { gateway: None, mtu, inner: Box::new(inner.clone()), quoted: None };
        out.push(frame(ip(c, a, icmp(kind, code, body))));
    }
    let mut first = ip(a, b, udp(9, 80, &[3; 64]));
    let bytes = first.payload_bytes();
    out.extend([(0, 24), (24, 72)].map(|(from, to)| frame(first.part(&bytes, from, to))));
    first.frag.df = true;
    out.push(frame(first));
    let mut odd = ip(a, b, tcp(1, 2, TcpFlags::default(), b""));
    (odd.ttl, odd.tos, odd.id) = (1, 0xb8, 0xbeef);
    out.push(frame(odd));
    out.push(frame(ip(
        a,
        b,
        L4::Other(Protocol::SCTP, vec![0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 4]),
    )));
    out.push(frame(ip(a, b, L4::Other(Protocol::GRE, vec![0, 0, 8, 0]))));
    out.push(frame(ip(a, b, L4::Other(Protocol::ESP, vec![1; 20]))));
    out.push(frame(ip(a, b, L4::Other(Protocol::DCCP, vec![0, 80, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0]))));
    out.push(frame(ip(a, "224.0.0.1", L4::Other(Protocol::IGMP, vec![0x11, 0, 0, 0, 0, 0, 0, 0]))));
    out.push(frame(ip(six, seven, tcp(40000, 80, TcpFlags::SYN, b""))));
    out.push(frame(ip(seven, six, tcp(80, 40000, TcpFlags::SYN | TcpFlags::ACK, b""))));
    out.push(frame(ip(six, "ff02::fb", udp(53, 53, b"six"))));
    out.push(frame(ip(six, seven, L4::Icmp6(Icmp6 { kind: 128, code: 0, checksum_ok: true, body: query }))));
    out.push(arp(ArpOp::Request, a, b));
    out.push(arp(ArpOp::Reply, b, a));
    out.push(arp(ArpOp::Request, c, "10.1.0.0"));
    let mut back = frame(ip(b, a, tcp(443, 22, TcpFlags::ACK, b"")));
    (back.src, back.dst) = (mac(2), mac(1));
    out.push(back);
    let mut group = frame(ip(c, "239.1.2.3", udp(4789, 8472, &[9; 100])));
    group.dst = Mac([1, 0, 0x5e, 1, 2, 3]);
    out.push(group);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_frames_are_those_that_tcpdump_was_shown() {
    let made: String = frames().iter().map(|f| hex(&f.to_bytes()) + "\n").collect();
    if let Ok(path) = std::env::var("WRITE_FRAMES") {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(made, include_str!("data/filter/frames.txt"));
}

#[test]
fn a_filter_lets_pass_what_tcpdump_lets_pass() {
    let frames = frames();
    let mut wrong = String::new();
    for line in include_str!("data/filter/filters.txt").lines() {
        let (text, expected) = line.split_once('\t').unwrap();
        let got = match Filter::parse(text) {
            Ok(filter) => {
                let numbers = (0..frames.len()).filter(|n| filter.matches(&frames[*n]));
                numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(d) => match &d.tool {
                Some(ToolError::Usage(says)) => format!("! {says}"),
                _ => format!("! {d}"),
            },
        };
        if got != expected {
            wrong += &format!("{text}\n  tcpdump: {expected}\n  we:      {got}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_is_not_modelled_is_named() {
    for word in ["vlan", "mpls", "gateway", "protochain", "inbound"] {
        let text = format!("tcp and {word} 5");
        let d = Filter::parse(&text).unwrap_err();
        assert_eq!((d.span.col, d.token.as_str()), (9, word));
        assert!(d.message.contains("not modelled"), "{d}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    for (text, col, token) in [
        ("port 80 443", 9, "443"),
        ("tcp[13 & 2", 11, "(end of the line)"),
        ("host foo", 6, "foo"),
        ("net 10.1.0.0/8", 14, "8"),
        ("tcp and (udp or)", 16, ")"),
        ("port 80 @", 9, "@"),
    ] {
        let d = Filter::parse(text).unwrap_err();
        assert_eq!((d.span.col, d.token.as_str()), (col, token), "{text}: {d}");
    }
}

#[test]
fn a_capture_of_all_devices_has_no_ethernet_header() {
    let d = Filter::parse_for("ether host 02:00:00:00:00:01", Link::Cooked2).unwrap_err();
    let says = "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel";
    assert_eq!(d.tool, Some(ToolError::Usage(says.to_owned())));
    let syn = &frames()[0];
    assert_eq!(syn.len(), 74);
    for (link, len) in [(Link::Ethernet, 74), (Link::Cooked, 76), (Link::Cooked2, 80)] {
        let filter = Filter::parse_for(&format!("len == {len} and tcp[tcpflags] == tcp-syn"), link).unwrap();
        assert!(filter.matches(syn), "{link:?}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{}tcp{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Filter::parse(&text).is_err());
    assert!(Filter::parse(&"not ".repeat(5000)).is_err());
}
