//! What tcpdump prints: `tcpdump -i any -nn -e`.

use super::assoc::Assoc;
use super::text::clock;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{TapDir, What};
use kernel::{DevId, NetnsId, PacketId};
use packet::{Arp, ArpOp, Frame, Icmp, IcmpBody, Ip, L4, Mac, Payload, Tcp, TcpFlags};
use std::net::IpAddr;

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureLine {
    /// The event.
    pub event: EventId,
    /// The box.
    pub host: NetnsId,
    /// The packet.
    pub packet: PacketId,
    /// ARP.
    pub noise: bool,
    /// Time.
    pub time: String,
    /// Device.
    pub dev: String,
    /// `In`, `Out`, `P` (to somebody else), `B`, `M`.
    pub dir: &'static str,
    /// The rest of the line.
    pub text: String,
}

impl CaptureLine {
    /// The line as tcpdump prints it.
    pub fn line(&self) -> String {
        format!("{} {:<5} {:<3} {}", self.time, self.dev, self.dir, self.text)
    }
}

/// What captures on all devices of all boxes saw; each box has a tcpdump of its own.
pub fn capture(world: &World) -> Vec<CaptureLine> {
    let mut seqs: Assoc<NetnsId, Sequences> = Assoc::default();
    let mut out = Vec::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Seen::Kernel(What::Tap { dev, dir, frame }), Some(packet)) = (&entry.seen, entry.packet) else {
            continue;
        };
        let Some(ns) = world.host(entry.host) else { continue };
        out.push(CaptureLine {
            event,
            host: entry.host,
            packet,
            noise: frame.ip().is_none(),
            time: clock(entry.at),
            dev: ns.dev_name(*dev).to_owned(),
            dir: match dir {
                TapDir::Out => "Out",
                TapDir::In => "In",
                TapDir::InBroadcast => "B",
                TapDir::InMulticast => "M",
                TapDir::InOther => "P",
            },
            text: rest(*dev, frame, seqs.or_default(entry.host)),
        });
    }
    out
}

fn rest(dev: DevId, frame: &Frame, seqs: &mut Sequences) -> String {
    // LINUX_SLL2 has a header of 20 bytes in place of Ethernet's 14.
    let len = frame.len() - 14 + 20;
    let head = |mac: Mac, kind: &str| format!("ifindex {} {mac} ethertype {kind}, length {len}: ", dev.0 + 1);
    match &frame.payload {
        Payload::Arp(arp) => head(frame.src, "ARP (0x0806)") + &arp_text(arp),
        Payload::Ip(ip) => {
            let kind = if ip.src.is_ipv4() { "IPv4 (0x0800)" } else { "IPv6 (0x86dd)" };
            head(frame.src, kind) + &ip_text(ip, seqs)
        }
    }
}

fn arp_text(arp: &Arp) -> String {
    match arp.op {
        ArpOp::Request => format!("Request who-has {} tell {}, length 28", arp.tpa, arp.spa),
        ArpOp::Reply => format!("Reply {} is-at {}, length 28", arp.spa, arp.sha),
    }
}

fn ip_text(ip: &Ip, seqs: &mut Sequences) -> String {
    match &ip.l4 {
        L4::Tcp(t) => {
            format!("{}.{} > {}.{}: {}", ip.src, t.sport, ip.dst, t.dport, seqs.print(ip.src, ip.dst, t))
        }
        L4::Udp(u) => {
            format!("{}.{} > {}.{}: UDP, length {}", ip.src, u.sport, ip.dst, u.dport, u.payload.len())
        }
        L4::Icmp(i) => {
            format!("{} > {}: ICMP {}, length {}", ip.src, ip.dst, icmp_text(i), ip.total_len() - 20)
        }
        L4::Icmp6(i) => {
            let (name, len) = (super::text::icmp6_name(i.kind, i.code), ip.total_len() - 40);
            format!("{} > {}: ICMP6, {name}, length {len}", ip.src, ip.dst)
        }
        L4::Other(p, data) => format!("{} > {}: {p}, length {}", ip.src, ip.dst, data.len()),
    }
}

fn icmp_text(icmp: &Icmp) -> String {
    let name = super::text::icmp_message(icmp);
    match &icmp.body {
        IcmpBody::Query { id, seq, .. } => format!("{name}, id {id}, seq {seq}"),
        IcmpBody::Error { inner, .. } => match (icmp.kind, icmp.code, inner.ports()) {
            (3, 3, Some((_, port))) => {
                format!("{} {} port {port} unreachable", inner.dst, inner.protocol())
            }
            (3, 1, _) => format!("host {} unreachable", inner.dst),
            (3, 0, _) => format!("net {} unreachable", inner.dst),
            (11, ..) => "time exceeded in-transit".to_owned(),
            _ => name.to_owned(),
        },
        IcmpBody::Raw(_) => name.to_owned(),
    }
}

type End = (IpAddr, u16);

/// Where tcpdump counts from: it prints sequence numbers relative to the first acknowledgement of a conversation
/// that it has seen (print-tcp.c).
#[derive(Debug, Default)]
struct Sequences {
    base: Assoc<(End, End), (u32, u32)>,
}

impl Sequences {
    fn relative(&mut self, src: IpAddr, dst: IpAddr, t: &Tcp) -> (u32, u32) {
        let (mut seq, mut ack) = (t.seq, t.ack);
        if !t.flags.has(TcpFlags::ACK) {
            return (seq, ack);
        }
        let (a, b) = ((src, t.sport), (dst, t.dport));
        let rev = if t.sport == t.dport { src > dst } else { t.sport > t.dport };
        let key = if rev { (b, a) } else { (a, b) };
        match self.base.get(&key) {
            Some((base_seq, base_ack)) if !t.flags.has(TcpFlags::SYN) => {
                let (s, k) = if rev { (base_ack, base_seq) } else { (base_seq, base_ack) };
                seq = seq.wrapping_sub(*s);
                ack = ack.wrapping_sub(*k);
            }
            _ => {
                let (s, k) = (seq, ack.wrapping_sub(1));
                self.base.set(key, if rev { (k, s) } else { (s, k) });
            }
        }
        (seq, ack)
    }

    fn print(&mut self, src: IpAddr, dst: IpAddr, t: &Tcp) -> String {
        let (seq, ack) = self.relative(src, dst, t);
        let len = u32::try_from(t.payload.len()).unwrap_or(u32::MAX);
        let mut out = format!("Flags [{}]", flags(t.flags));
        let control = [TcpFlags::SYN, TcpFlags::FIN, TcpFlags::RST].iter().any(|f| t.flags.has(*f));
        if len > 0 {
            out.push_str(&format!(", seq {seq}:{}", seq.wrapping_add(len)));
        } else if control {
            out.push_str(&format!(", seq {seq}"));
        }
        if t.flags.has(TcpFlags::ACK) {
            out.push_str(&format!(", ack {ack}"));
        }
        out.push_str(&format!(", win {}", t.window));
        let options = options(t);
        if !options.is_empty() {
            out.push_str(&format!(", options [{}]", options.join(",")));
        }
        out.push_str(&format!(", length {len}"));
        if len > 0 && (t.sport == 80 || t.dport == 80) {
            let text = String::from_utf8_lossy(&t.payload);
            let line = text.lines().next().unwrap_or_default();
            if line.contains("HTTP/1.") {
                out.push_str(&format!(": HTTP: {line}"));
            }
        }
        out
    }
}

/// tcpdump's letters: `.` is ACK.
fn flags(f: TcpFlags) -> String {
    let letters = [
        (TcpFlags::FIN, 'F'),
        (TcpFlags::SYN, 'S'),
        (TcpFlags::RST, 'R'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::ACK, '.'),
        (TcpFlags::URG, 'U'),
        (TcpFlags::ECE, 'E'),
        (TcpFlags::CWR, 'W'),
    ];
    let text: String = letters.iter().filter(|(b, _)| f.has(*b)).map(|(_, c)| *c).collect();
    if text.is_empty() { "none".to_owned() } else { text }
}

fn options(t: &Tcp) -> Vec<String> {
    let o = &t.options;
    let mut out = Vec::new();
    if let Some(mss) = o.mss {
        out.push(format!("mss {mss}"));
    }
    match (o.sack_ok, o.ts) {
        (true, _) => out.push("sackOK".to_owned()),
        (false, Some(_)) => out.extend(["nop".to_owned(), "nop".to_owned()]),
        (false, None) => {}
    }
    if let Some((value, echo)) = o.ts {
        out.push(format!("TS val {value} ecr {echo}"));
    }
    if let Some(shift) = o.wscale {
        out.push("nop".to_owned());
        out.push(format!("wscale {shift}"));
    }
    out
}
