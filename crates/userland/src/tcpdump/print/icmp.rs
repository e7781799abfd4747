//! ICMP and ICMPv6 (print-icmp.c, print-icmp6.c).

use super::Printer;
use super::tcp::checksum;
use packet::{Icmp, Icmp6, IcmpBody, Ip, Protocol, icmp_type, icmp6_type};
use std::net::Ipv4Addr;

impl Printer {
    pub(super) fn icmp(&mut self, ip: &Ip, i: &Icmp, out: &mut String) {
        let what = match &i.body {
            IcmpBody::Error { gateway, mtu, inner, .. } => self.error(i, *gateway, *mtu, inner),
            IcmpBody::Query { .. } | IcmpBody::Raw(_) => query(i),
        };
        *out += &format!("{}: ICMP {what}, length {}", self.hosts(ip), ip.total_len() - 20);
        // An error quotes a packet, which is printed too.
        if let (1.., Some(inner)) = (self.look.verbose, i.inner()) {
            *out += "\n\t";
            let prefix = !self.look.ether;
            self.ip(inner, prefix, out);
        }
    }

    fn error(&self, i: &Icmp, gateway: Option<Ipv4Addr>, mtu: u16, inner: &Ip) -> String {
        let dst = self.host(inner.dst);
        match (i.kind, i.code) {
            (icmp_type::DEST_UNREACH, code) => {
                unreachable(code, &dst, mtu, inner, |port, proto| self.port(port, proto))
            }
            (icmp_type::SOURCE_QUENCH, _) => "source quench".to_owned(),
            (icmp_type::REDIRECT, code) => {
                let to = gateway.unwrap_or(Ipv4Addr::UNSPECIFIED);
                match code {
                    0 => format!("redirect {dst} to net {to}"),
                    1 => format!("redirect {dst} to host {to}"),
                    2 => format!("redirect-tos {dst} to net {to}"),
                    3 => format!("redirect-tos {dst} to host {to}"),
                    code => format!("redirect-#{code} {dst} to {to}"),
                }
            }
            (icmp_type::TIME_EXCEEDED, 0) => "time exceeded in-transit".to_owned(),
            (icmp_type::TIME_EXCEEDED, 1) => "ip reassembly time exceeded".to_owned(),
            (icmp_type::TIME_EXCEEDED, code) => format!("time exceeded-#{code}"),
            (_, 0) => format!("parameter problem - octet {}", gateway.map_or(0, |g| g.octets()[0])),
            (_, code) => format!("parameter problem - code {code}"),
        }
    }

    pub(super) fn icmp6(&mut self, ip: &Ip, i: &Icmp6, out: &mut String) {
        *out += &format!("{}: ", self.hosts(ip));
        if self.look.verbose > 0 && !self.look.trust {
            *out += &checksum(ip, 2, |given, right| match right {
                None => "[icmp6 sum ok] ".to_owned(),
                Some(right) => format!("[bad icmp6 cksum 0x{given:04x} -> 0x{right:04x}!] "),
            });
        }
        let what = match &i.body {
            IcmpBody::Query { id, seq, .. } => {
                let name = if i.kind == icmp6_type::ECHO_REQUEST { "echo request" } else { "echo reply" };
                format!("{name}, id {id}, seq {seq}")
            }
            IcmpBody::Error { mtu, inner, .. } => {
                let dst = inner.dst;
                match (i.kind, i.code) {
                    (icmp6_type::DEST_UNREACH, 0) => {
                        format!("destination unreachable, unreachable route {dst}")
                    }
                    (icmp6_type::DEST_UNREACH, 1) => {
                        format!("destination unreachable,  unreachable prohibited {dst}")
                    }
                    (icmp6_type::DEST_UNREACH, 3) => {
                        format!("destination unreachable, unreachable address {dst}")
                    }
                    (icmp6_type::DEST_UNREACH, 4) => {
                        let (proto, port) = (inner.protocol(), inner.ports().map_or(0, |p| p.1));
                        let port = self.port(port, proto);
                        format!("destination unreachable, unreachable port, {dst} {proto} port {port}")
                    }
                    (icmp6_type::DEST_UNREACH, code) => {
                        format!("destination unreachable, unknown unreach code ({code})")
                    }
                    (icmp6_type::PACKET_TOO_BIG, _) => format!("packet too big, mtu {mtu}"),
                    (icmp6_type::TIME_EXCEEDED, 0) => format!("time exceeded in-transit for {dst}"),
                    (kind, code) => format!("type-#{kind} code-#{code}"),
                }
            }
            IcmpBody::Raw(_) => format!("type-#{}", i.kind),
        };
        *out += &format!("ICMP6, {what}");
        if self.look.verbose == 0 {
            *out += &format!(", length {}", ip.total_len() - 40);
        }
    }
}

fn query(i: &Icmp) -> String {
    let (id, seq) = i.query().unwrap_or_default();
    match i.kind {
        icmp_type::ECHO => format!("echo request, id {id}, seq {seq}"),
        icmp_type::ECHO_REPLY => format!("echo reply, id {id}, seq {seq}"),
        icmp_type::TIMESTAMP => format!("time stamp query id {id} seq {seq}"),
        icmp_type::TIMESTAMP_REPLY => {
            format!(
                "time stamp reply id {id} seq {seq}: org 00:00:00.000, recv 00:00:00.000, xmit 00:00:00.000"
            )
        }
        15 => "information request".to_owned(),
        16 => "information reply".to_owned(),
        icmp_type::ADDRESS => "address mask request".to_owned(),
        icmp_type::ADDRESS_REPLY => "address mask is 0x00000000".to_owned(),
        kind => format!("type-#{kind}"),
    }
}

/// `unreach2str` and what is made of it.
fn unreachable(code: u8, dst: &str, mtu: u16, inner: &Ip, name: impl Fn(u16, Protocol) -> String) -> String {
    let proto = inner.protocol();
    match code {
        0 => format!("net {dst} unreachable"),
        1 => format!("host {dst} unreachable"),
        2 => format!("{dst} protocol {} unreachable", proto.0),
        3 => {
            // The two bytes behind the first two are the port, whatever the protocol says.
            let bytes = inner.payload_bytes();
            let port = bytes.get(2..4).map_or(0, |b| b.iter().fold(0, |n, b| n << 8 | u16::from(*b)));
            match proto {
                Protocol::TCP | Protocol::UDP => {
                    format!("{dst} {proto} port {} unreachable", name(port, proto))
                }
                proto => format!("{dst} protocol {} port {port} unreachable", proto.0),
            }
        }
        4 if mtu == 0 => format!("{dst} unreachable - need to frag"),
        4 => format!("{dst} unreachable - need to frag (mtu {mtu})"),
        5 => format!("{dst} unreachable - source route failed"),
        6 => format!("net {dst} unreachable - unknown"),
        7 => format!("host {dst} unreachable - unknown"),
        8 => format!("{dst} unreachable - source host isolated"),
        9 => format!("net {dst} unreachable - admin prohibited"),
        10 => format!("host {dst} unreachable - admin prohibited"),
        11 => format!("net {dst} unreachable - tos prohibited"),
        12 => format!("host {dst} unreachable - tos prohibited"),
        13 => format!("host {dst} unreachable - admin prohibited filter"),
        14 => format!("host {dst} unreachable - host precedence violation"),
        15 => format!("host {dst} unreachable - precedence cutoff"),
        code => format!("{dst} unreachable - #{code}"),
    }
}
