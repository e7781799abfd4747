//! What stands behind the qualifiers of a primitive: addresses, networks, ports, protocols (libpcap, `gen_scode` and its like).

use super::filter::{AddrOf, Dir, Expr, Link, bits};
use super::lex::Tok;
use super::parse::{Head, Kind, Parser};
use crate::diagnostic::{Diagnostic, q};
use crate::names::{protocols, services};
use packet::{Family, Port, Protocol};
use std::net::{IpAddr, Ipv4Addr};

const PORT_PROTOCOLS: &[Protocol] = &[Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// The EtherType of a name (libpcap, nametoaddr.c).
pub(super) fn ethertype(name: &str) -> Option<u16> {
    Some(match name {
        "ip" => 0x0800,
        "arp" => 0x0806,
        "rarp" => 0x8035,
        "ip6" => 0x86dd,
        "vlan" => 0x8100,
        "loopback" => 0x9000,
        _ => return None,
    })
}

/// The number of a protocol above IP that is a word of the language.
pub(super) fn ip_protocol(word: &str) -> Option<u8> {
    Some(match word {
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => 6,
        "igrp" => 9,
        "udp" => 17,
        "esp" => 50,
        "ah" => 51,
        "icmp6" => 58,
        "pim" => 103,
        "vrrp" | "carp" => 112,
        "sctp" => 132,
        _ => return None,
    })
}

/// The port behind a name, and whose it is: of one protocol, or of all (`pcap_nametoport`).
fn service(name: &str) -> Option<(Port, &'static [Protocol])> {
    match (services::service(name, Protocol::TCP), services::service(name, Protocol::UDP)) {
        (Some(t), Some(u)) if t == u => Some((t, PORT_PROTOCOLS)),
        (Some(t), _) => Some((t, &[Protocol::TCP])),
        (None, Some(u)) => Some((u, &[Protocol::UDP])),
        (None, None) => None,
    }
}

impl Parser<'_> {
    pub(super) fn address(
        &mut self,
        head: Head,
        kind: Kind,
        dir: Dir,
        tok: Tok<'_>,
    ) -> Result<Expr, Diagnostic> {
        if let Tok::Mac(mac) = tok {
            return match (head.proto, self.link) {
                (Some("ether"), Link::Ethernet) => Ok(Expr::Mac(dir, mac)),
                (Some("ether"), _) => Err(self.refuse(
                    "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel",
                    "expected a capture of one device",
                )),
                _ => Err(self.refuse("ethernet address used in non-ether expression", "expected \"ether host MAC\"")),
            };
        }
        if head.proto == Some("ether") {
            return Err(match tok {
                Tok::Name(name) => {
                    self.refuse(format!("unknown ether host '{name}'"), "expected a MAC address")
                }
                _ => self.refuse("illegal link layer address", "expected a MAC address"),
            });
        }
        let (addr, bits_given) = match tok {
            Tok::Number(n) if kind == Kind::Net => {
                // A number alone is the head of the address.
                let zeros = if n == 0 { 32 } else { n.leading_zeros() / 8 * 8 };
                let n = if n == 0 { 0 } else { n << zeros };
                (IpAddr::V4(Ipv4Addr::from_bits(n)), if zeros == 32 { 32 } else { 32 - zeros })
            }
            Tok::Number(n) => (IpAddr::V4(Ipv4Addr::from_bits(n)), 32),
            Tok::Dotted(text) => {
                let (addr, len) = self.dotted(text)?;
                (IpAddr::V4(addr), len)
            }
            Tok::V6(addr) => (IpAddr::V6(addr), 128),
            Tok::Name(name) => {
                let what = if kind == Kind::Net { "network" } else { "host" };
                return Err(self.refuse(
                    format!("unknown {what} '{name}'"),
                    "expected an address; names are not looked up",
                ));
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected("expected an address"));
            }
        };
        let mask = self.mask(kind, addr, bits_given)?;
        self.place_of(head, kind, dir, (addr, mask))
    }

    /// The parts of a dotted number, and how many bits they are.
    fn dotted(&self, text: &str) -> Result<(Ipv4Addr, u32), Diagnostic> {
        let parts: Vec<&str> = text.split('.').collect();
        let expected = "expected up to four numbers below 256";
        if parts.len() > 4 || parts.iter().any(|p| p.is_empty()) {
            return Err(self.refuse(format!("unknown host '{text}'"), expected));
        }
        let mut value = 0_u32;
        for part in &parts {
            let Ok(n) = part.parse::<u8>() else {
                return Err(self.refuse(format!("invalid IPv4 address '{text}'"), expected));
            };
            value = value << 8 | u32::from(n);
        }
        let len = 8 * u32::try_from(parts.len()).unwrap_or(4);
        Ok((Ipv4Addr::from_bits(value.checked_shl(32 - len).unwrap_or(value)), len))
    }

    /// `/LENGTH`, `mask MASK`, or as many bits as were written.
    fn mask(&mut self, kind: Kind, addr: IpAddr, given: u32) -> Result<u128, Diagnostic> {
        let written = self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |p| p.start);
        let full = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = |len: u32| if len == 0 { 0 } else { u128::MAX << (128 - len) };
        let mask = if self.take_op("/") {
            let Some(Tok::Number(n)) = self.tok(0) else {
                return Err(self.unexpected("expected the length of a prefix"));
            };
            let n = *n;
            self.at += 1;
            if n > full {
                return Err(
                    self.refuse(format!("mask length must be <= {full}"), format!("expected 0 to {full}"))
                );
            }
            prefix(n)
        } else if self.take_word("mask") {
            let Some(Tok::Dotted(text)) = self.tok(0) else {
                return Err(self.unexpected("expected a netmask"));
            };
            let text = *text;
            self.at += 1;
            let (mask, _) = self.dotted(text)?;
            bits(mask.into())
        } else {
            return Ok(prefix(given));
        };
        if bits(addr) & !mask != 0 {
            let end = self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(written, |p| p.end);
            let what = self.text.get(written..end).unwrap_or_default();
            let says = format!("non-network bits set in \"{what}\"");
            return Err(self.refuse(says, "expected an address whose bits behind the mask are 0"));
        }
        if kind != Kind::Net {
            return Err(self.refuse("Mask syntax for networks only", "expected \"net\" before a network"));
        }
        Ok(mask)
    }

    fn place_of(
        &self,
        head: Head,
        kind: Kind,
        dir: Dir,
        (addr, mask): (IpAddr, u128),
    ) -> Result<Expr, Diagnostic> {
        let of = match (head.proto, addr) {
            (None, _) => AddrOf::Any,
            (Some("ip"), IpAddr::V4(_)) | (Some("ip6"), IpAddr::V6(_)) => AddrOf::Ip,
            (Some("arp"), IpAddr::V4(_)) => AddrOf::Arp,
            (Some("rarp"), IpAddr::V4(_)) => AddrOf::Rarp,
            (Some("ip6"), IpAddr::V4(_)) => {
                return Err(self.refuse("'ip6' modifier applied to ip host", "expected an IPv6 address"));
            }
            (Some(proto), IpAddr::V6(_)) => {
                return Err(self
                    .refuse(format!("'{proto}' modifier applied to ip6 host"), "expected an IPv4 address"));
            }
            (Some(proto), _) => {
                let word = if kind == Kind::Net { "net" } else { "host" };
                let help = format!("expected \"port\" after \"{proto}\", or \"ip {word}\"");
                return Err(self.refuse(format!("'{proto}' modifier applied to {word}"), help));
            }
        };
        Ok(Expr::Addr { of, dir, net: addr, mask })
    }

    fn port_protocols(&self, head: Head, what: &str) -> Result<&'static [Protocol], Diagnostic> {
        match head.proto {
            None => Ok(PORT_PROTOCOLS),
            Some("tcp") => Ok(&[Protocol::TCP]),
            Some("udp") => Ok(&[Protocol::UDP]),
            Some("sctp") => Ok(&[Protocol::SCTP]),
            Some(_) => Err(self.refuse(
                format!("illegal qualifier of '{what}'"),
                "expected tcp, udp, sctp or nothing before it",
            )),
        }
    }

    pub(super) fn port_number(&self, head: Head, dir: Dir, n: u32) -> Result<Expr, Diagnostic> {
        let protos = self.port_protocols(head, "port")?;
        match u16::try_from(n) {
            Ok(port) => Ok(Expr::Port { protos, dir, low: port, high: port }),
            Err(_) => {
                Err(self.refuse(format!("illegal port number {n} > 65535"), "expected a number up to 65535"))
            }
        }
    }

    pub(super) fn port_name(&self, head: Head, dir: Dir, name: &str) -> Result<Expr, Diagnostic> {
        let protos = self.port_protocols(head, "port")?;
        let Some((port, of)) = service(name) else {
            let says = format!("unknown port '{name}'");
            return Err(self.refuse(says, "expected a number or a name of /etc/services"));
        };
        let of = if of.len() > protos.len() { protos } else { of };
        if head.proto.is_some() && !protos.iter().any(|p| of.contains(p)) {
            let is = of.first().map_or("tcp".to_owned(), ToString::to_string);
            return Err(
                self.refuse(format!("port '{name}' is {is}"), format!("expected \"{is} port {name}\""))
            );
        }
        Ok(Expr::Port { protos: of, dir, low: port, high: port })
    }

    pub(super) fn port_range(&self, head: Head, dir: Dir, text: &str) -> Result<Expr, Diagnostic> {
        let protos = self.port_protocols(head, "portrange")?;
        // A name is that of one protocol, or of all.
        let port = |word: &str| match word.parse() {
            Ok(port) => Some((port, PORT_PROTOCOLS)),
            Err(_) => service(word),
        };
        match text.split_once('-').and_then(|(a, b)| port(a).zip(port(b))) {
            Some(((a, of), (b, also))) => {
                let protos = if of == also && of.len() < protos.len() { of } else { protos };
                Ok(Expr::Port { protos, dir, low: a.min(b), high: a.max(b) })
            }
            None if !text.contains('-') => self.port_name(head, dir, text),
            None => {
                Err(self
                    .refuse(format!("unknown port in range '{text}'"), "expected two ports as in 1024-2048"))
            }
        }
    }

    pub(super) fn proto(&self, head: Head, n: u32) -> Result<Expr, Diagnostic> {
        let family = match head.proto {
            None => None,
            Some("ip") => Some(Family::V4),
            Some("ip6") => Some(Family::V6),
            Some("ether") => {
                return Ok(u16::try_from(n).map_or(Expr::Never, Expr::EtherType));
            }
            Some("arp" | "rarp") => {
                let says =
                    format!("{} does not encapsulate another protocol", head.proto.unwrap_or_default());
                return Err(self.refuse(says, "expected \"ip proto\", \"ip6 proto\" or \"ether proto\""));
            }
            Some(other) => {
                return Err(self.refuse(
                    format!("'{other} proto' is bogus"),
                    "expected \"ip proto\", \"ip6 proto\" or \"ether proto\"",
                ));
            }
        };
        // A number above 255 is in no packet.
        Ok(u8::try_from(n).map_or(Expr::Never, |n| Expr::Proto(family, n)))
    }

    pub(super) fn proto_name(&self, head: Head, name: &str) -> Result<Expr, Diagnostic> {
        if head.proto == Some("ether") {
            return match ethertype(name) {
                Some(t) => Ok(Expr::EtherType(t)),
                None => Err(self.refuse(
                    format!("unknown ether proto '{name}'"),
                    "expected \\ip, \\ip6, \\arp or a number",
                )),
            };
        }
        match protocols::protocol(name) {
            Some(p) => self.proto(head, u32::from(p.0)),
            None => Err(self.refuse(
                format!("unknown ip proto '{name}'"),
                format!("expected a number or a name of /etc/protocols, not {}", q(name)),
            )),
        }
    }
}
