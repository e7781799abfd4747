//! A frame as it stands on the wire.

use crate::{Arp, ArpOp, Frame, Ip, Payload};

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

impl Ip {
    /// Header and payload with all checksums.
    pub fn wire_bytes(&self) -> Vec<u8> {
        let mut out = self.bytes_without_checksum();
        if self.src.is_ipv4() {
            let sum = out.get(..20).map_or(0, header_checksum);
            if let Some(place) = out.get_mut(10..12) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        }
        out
    }
}

/// The checksum of an IPv4 header whose own field is zero (RFC 1071).
fn header_checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{L4, Mac, Udp};
    use std::net::Ipv4Addr;

    #[test]
    fn a_header_checksum_is_the_one_of_the_kernel() {
        // From a capture: 10.0.0.1 > 10.0.0.2, id 0x1c46, DF, TTL 64, TCP, 60 bytes.
        let header = [
            0x45, 0, 0, 0x3c, 0x1c, 0x46, 0x40, 0, 0x40, 6, 0, 0, 0xac, 0x10, 0x0a, 0x63, 0xac, 0x10, 0x0a,
            0x0c,
        ];
        assert_eq!(header_checksum(&header), 0xb1e6);
    }

    #[test]
    fn a_frame_has_as_many_bytes_as_it_says() {
        let l4 = L4::Udp(Udp { sport: 1, dport: 2, checksum_ok: true, payload: vec![7; 9] });
        let ip = Ip::new(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into(), l4);
        let frame = Frame { src: Mac::ZERO, dst: Mac::BROADCAST, payload: Payload::Ip(ip) };
        assert_eq!(frame.to_bytes().len(), frame.len());
    }
}
