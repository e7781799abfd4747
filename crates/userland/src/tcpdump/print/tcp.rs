//! TCP (print-tcp.c).

use super::{Printer, dns, text};
use litemap::LiteMap;
use packet::{Ip, Tcp, TcpFlags};
use std::net::IpAddr;

type End = (IpAddr, u16);

/// Where tcpdump counts from: it prints sequence numbers relative to the first acknowledgement of a conversation that it
/// has seen.
pub(super) type Bases = LiteMap<(End, End), (u32, u32)>;

/// The numbers that are printed; notes the first of a conversation.
fn relative(bases: &mut Bases, ip: &Ip, t: &Tcp) -> (u32, u32) {
    if !t.flags.has(TcpFlags::ACK) {
        return (t.seq, t.ack);
    }
    let (a, b) = ((ip.src, t.sport), (ip.dst, t.dport));
    let rev = if t.sport == t.dport { ip.src > ip.dst } else { t.sport > t.dport };
    let key = if rev { (b, a) } else { (a, b) };
    match bases.get(&key) {
        Some((seq, ack)) if !t.flags.has(TcpFlags::SYN) => {
            let (s, k) = if rev { (ack, seq) } else { (seq, ack) };
            (t.seq.wrapping_sub(*s), t.ack.wrapping_sub(*k))
        }
        _ => {
            let (s, k) = (t.seq, t.ack.wrapping_sub(1));
            bases.insert(key, if rev { (k, s) } else { (s, k) });
            (t.seq, t.ack)
        }
    }
}

impl Printer {
    pub(super) fn tcp(&mut self, ip: &Ip, t: &Tcp, out: &mut String) {
        *out += &format!("{}: ", self.ends(ip, (t.sport, t.dport)));
        let len = t.payload.len();
        if self.look.quiet {
            *out += &format!("tcp {len}");
            return;
        }
        *out += &format!("Flags [{}]", flags(t.flags));
        let (seq, ack) = if self.look.absolute { (t.seq, t.ack) } else { relative(&mut self.bases, ip, t) };
        if self.look.verbose > 0 && !self.look.trust && !ip.is_fragment() {
            *out += &checksum(ip, 16, |given, right| match right {
                None => format!(", cksum 0x{given:04x} (correct)"),
                Some(right) => format!(", cksum 0x{given:04x} (incorrect -> 0x{right:04x})"),
            });
        }
        let control = [TcpFlags::SYN, TcpFlags::FIN, TcpFlags::RST].iter().any(|f| t.flags.has(*f));
        if len > 0 || control || self.look.verbose > 1 {
            *out += &format!(", seq {seq}");
            if len > 0 {
                *out += &format!(":{}", seq.wrapping_add(u32::try_from(len).unwrap_or(u32::MAX)));
            }
        }
        if t.flags.has(TcpFlags::ACK) {
            *out += &format!(", ack {ack}");
        }
        *out += &format!(", win {}", t.window);
        if t.flags.has(TcpFlags::URG) {
            *out += ", urg 0";
        }
        let options = options(t);
        if !options.is_empty() {
            *out += &format!(", options [{}]", options.join(","));
        }
        *out += &format!(", length {len}");
        if len == 0 {
            return;
        }
        if t.sport == 53 || t.dport == 53 {
            *out += &format!(" {}", dns::text(t.payload.get(2..).unwrap_or_default(), self.look.verbose));
        } else {
            text::lines([t.sport, t.dport], &t.payload, self.look.verbose > 0, out);
        }
    }
}

/// What is said of the checksum that stands at that place: given the one in the packet, and the right one if that is
/// another.
pub(super) fn checksum(ip: &Ip, at: usize, say: impl FnOnce(u16, Option<u16>) -> String) -> String {
    let read = |ip: &Ip| {
        let bytes = ip.payload_bytes();
        bytes.get(at..at + 2).map_or(0, |b| b.iter().fold(0, |n, b| n << 8 | u16::from(*b)))
    };
    let given = read(ip);
    let mut right = ip.clone();
    match &mut right.l4 {
        packet::L4::Tcp(t) => t.checksum_ok = true,
        packet::L4::Udp(u) => u.checksum_ok = true,
        packet::L4::Icmp6(i) => i.checksum_ok = true,
        _ => {}
    }
    let right = read(&right);
    say(given, (given != right).then_some(right))
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
        (true, Some(_)) => out.push("sackOK".to_owned()),
        (true, None) => out.extend(["nop", "nop", "sackOK"].map(str::to_owned)),
        (false, Some(_)) => out.extend(["nop", "nop"].map(str::to_owned)),
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
