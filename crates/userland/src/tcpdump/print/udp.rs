//! UDP and what is known on its ports (print-udp.c, print-tftp.c, print-vxlan.c, print-otv.c).

use super::tcp::checksum;
use super::{Printer, dns};
use packet::{Ip, Udp, Vxlan};

/// TFTP's error codes (RFC 1350).
const TFTP_ERRORS: &[&str] =
    &["EUNDEF", "ENOTFOUND", "EACCESS", "ENOSPACE", "EBADOP", "EBADID", "EEXISTS", "ENOUSER"];

impl Printer {
    pub(super) fn udp(&mut self, ip: &Ip, u: &Udp, out: &mut String) {
        *out += &format!("{}: ", self.ends(ip, (u.sport, u.dport)));
        let len = match &ip.l4 {
            // The header of a first fragment tells the length of the whole.
            packet::L4::Other(_, b) => {
                b.get(4..6).map_or(0, |b| b.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b))) - 8
            }
            _ => u.payload.len(),
        };
        if self.look.quiet {
            *out += &format!("UDP, length {len}");
            return;
        }
        // In IPv6 the checksum is no choice, and is looked at earlier.
        let from = if ip.src.is_ipv4() { 2 } else { 1 };
        if self.look.verbose >= from && !self.look.trust && !ip.is_fragment() {
            *out += &checksum(ip, 6, |given, right| match right {
                None => "[udp sum ok] ".to_owned(),
                Some(right) => format!("[bad udp cksum 0x{given:04x} -> 0x{right:04x}!] "),
            });
        }
        let on = |port| u.sport == port || u.dport == port;
        if on(53) {
            *out += &dns::text(&u.payload, self.look.verbose);
        } else if on(69) {
            *out += &tftp(&u.payload);
        } else if on(4789) || on(8472) {
            self.tunnel(u, if on(4789) { "VXLAN" } else { "OTV" }, out);
        } else {
            *out += &format!("UDP, length {len}");
        }
    }

    /// VXLAN; its older port is that of OTV, whose header looks the same.
    fn tunnel(&mut self, u: &Udp, name: &str, out: &mut String) {
        let Some(v) = Vxlan::from_bytes(&u.payload) else {
            *out += &format!("UDP, length {}", u.payload.len());
            return;
        };
        *out += &match name {
            "VXLAN" => format!("VXLAN, flags [I] (0x08), vni {}\n", v.vni),
            _ => format!("OTV, flags [I] (0x08), overlay 0, instance {}\n", v.vni),
        };
        if self.look.ether {
            let kind = if v.frame.ip().is_some() { "IPv4 (0x0800)" } else { "ARP (0x0806)" };
            *out +=
                &format!("{} > {}, ethertype {kind}, length {}: ", v.frame.src, v.frame.dst, v.frame.len());
        }
        let prefix = !self.look.ether;
        self.payload(&v.frame, prefix, out);
    }
}

fn tftp(b: &[u8]) -> String {
    let head = format!("TFTP, length {}", b.len());
    let [high, low, rest @ ..] = b else { return format!("{head} [|tftp]") };
    let word = |b: &[u8]| b.get(..2).map(|b| b.iter().fold(0_u16, |n, b| n << 8 | u16::from(*b)));
    let strings = |b: &[u8]| -> Vec<String> {
        let text = b.strip_suffix(&[0]).unwrap_or(b);
        text.split(|b| *b == 0).map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    };
    let body = match (u16::from_be_bytes([*high, *low]), word(rest)) {
        (op @ (1 | 2), _) => {
            let mut words = strings(rest);
            if let Some(file) = words.first_mut() {
                *file = format!("\"{file}\"");
            }
            format!("{} {}", if op == 1 { "RRQ" } else { "WRQ" }, words.join(" "))
        }
        (3, Some(block)) => format!("DATA block {block}"),
        (4, Some(block)) => format!("ACK block {block}"),
        (5, Some(code)) => {
            let text = strings(rest.get(2..).unwrap_or_default()).concat();
            match TFTP_ERRORS.get(usize::from(code)) {
                Some(name) => format!("ERROR {name} \"{text}\""),
                None => format!("ERROR tftp-err-#{code} \" \"{text}\""),
            }
        }
        (6, _) => format!("OACK {}", strings(rest).join(" ")),
        (op, _) => format!("tftp-#{op}"),
    };
    format!("{head}, {body}")
}
