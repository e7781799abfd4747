//! A frame as it stands on the wire.

use crate::{Arp, ArpOp, Frame, Payload};

impl Frame {
    /// EtherType of the payload.
    pub fn ethertype(&self) -> u16 {
        match &self.payload {
            Payload::Arp(_) => 0x0806,
            Payload::Ip(ip) if ip.src.is_ipv4() => 0x0800,
            Payload::Ip(_) => 0x86dd,
        }
    }

    /// The bytes of the frame, without padding and FCS. Checksums are written; that of TCP and UDP is wrong if the value says so.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        out.extend(self.dst.0);
        out.extend(self.src.0);
        out.extend(self.ethertype().to_be_bytes());
        match &self.payload {
            Payload::Arp(arp) => out.extend(arp.to_bytes()),
            Payload::Ip(ip) => out.extend(ip.wire_bytes()),
        }
        out
    }
}

impl Arp {
    /// The packet's bytes (RFC 826).
    pub fn to_bytes(&self) -> [u8; 28] {
        let op = match self.op {
            ArpOp::Request => 1,
            ArpOp::Reply => 2,
        };
        let mut out = [0; 28];
        let parts: [&[u8]; 5] =
            [&[0, 1, 8, 0, 6, 4, 0, op], &self.sha.0, &self.spa.octets(), &self.tha.0, &self.tpa.octets()];
        for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ip, L4, Mac, Protocol, Udp};
    use std::net::Ipv4Addr;

    #[test]
    fn a_header_checksum_is_the_one_of_a_real_packet() {
        // From a capture: id 0x1c46, DF, TTL 64, TCP, 60 bytes.
        let mut ip = Ip::new(
            [172, 16, 10, 99].into(),
            [172, 16, 10, 12].into(),
            L4::Other(Protocol::TCP, vec![0; 40]),
        );
        ip.id = 0x1c46;
        ip.frag.df = true;
        assert_eq!(ip.wire_bytes().get(10..12), Some(&[0xb1, 0xe6][..]));
    }

    #[test]
    fn a_frame_has_as_many_bytes_as_it_says() {
        let l4 = L4::Udp(Udp { sport: 1, dport: 2, checksum_ok: true, payload: vec![7; 9].into() });
        let ip = Ip::new(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into(), l4);
        let frame = Frame { src: Mac::ZERO, dst: Mac::BROADCAST, payload: Payload::Ip(ip) };
        assert_eq!(frame.to_bytes().len(), frame.len());
    }
}
