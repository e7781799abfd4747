//! VXLAN (RFC 7348): an Ethernet frame as the payload of a UDP datagram.

use crate::{Arp, ArpOp, Frame, Ip, Mac, Payload};
use std::net::Ipv4Addr;

/// Bytes of the VXLAN header.
const HEADER: usize = 8;
/// The flag I: the network identifier is valid.
const VNI_VALID: u8 = 0x08;

/// A frame of one virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vxlan {
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
    /// The frame.
    pub frame: Frame,
}

impl Vxlan {
    /// The payload of the datagram; `None` for a frame that has no bytes here (IPv6).
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if self.frame.ip().is_some_and(|ip| !ip.src.is_ipv4()) {
            return None;
        }
        let mut out = Vec::with_capacity(HEADER + self.frame.len());
        out.extend([VNI_VALID, 0, 0, 0]);
        out.extend((self.vni << 8).to_be_bytes());
        out.extend(self.frame.to_bytes());
        Some(out)
    }

    /// Reads a datagram's payload; `None` if it is no VXLAN, or carries something that is neither ARP nor IPv4.
    pub fn from_bytes(b: &[u8]) -> Option<Vxlan> {
        let (header, frame) = (b.first_chunk::<HEADER>()?, b.get(HEADER..)?);
        let [VNI_VALID, 0, 0, 0, high, mid, low, 0] = *header else { return None };
        let (dst, rest) = frame.split_first_chunk::<6>()?;
        let (src, rest) = rest.split_first_chunk::<6>()?;
        let payload = match rest {
            [0x08, 0x00, packet @ ..] => Payload::Ip(Ip::from_bytes(packet)?),
            [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, op @ (1 | 2), arp @ ..] => {
                let (sha, arp) = arp.split_first_chunk::<6>()?;
                let (spa, arp) = arp.split_first_chunk::<4>()?;
                let (tha, arp) = arp.split_first_chunk::<6>()?;
                let tpa = arp.first_chunk::<4>()?;
                Payload::Arp(Arp {
                    op: if *op == 1 { ArpOp::Request } else { ArpOp::Reply },
                    sha: Mac(*sha),
                    spa: Ipv4Addr::from(*spa),
                    tha: Mac(*tha),
                    tpa: Ipv4Addr::from(*tpa),
                })
            }
            _ => return None,
        };
        let vni = u32::from_be_bytes([0, high, mid, low]);
        Some(Vxlan { vni, frame: Frame { src: Mac(*src), dst: Mac(*dst), payload } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{L4, Udp};
    use std::net::IpAddr;

    fn frames() -> Vec<Frame> {
        let (src, dst) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let udp = Udp { sport: 5000, dport: 53, checksum_ok: true, payload: b"question".to_vec().into() };
        let ip = Ip::new(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), L4::Udp(udp));
        let (spa, tpa) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let arp = Arp { op: ArpOp::Reply, sha: src, spa, tha: dst, tpa };
        vec![
            Frame { src, dst, payload: Payload::Ip(ip) },
            Frame { src, dst: Mac::BROADCAST, payload: Payload::Arp(arp) },
        ]
    }

    #[test]
    fn a_frame_comes_out_as_it_went_in() {
        for frame in frames() {
            let value = Vxlan { vni: 0x12_3456, frame };
            let bytes = value.to_bytes().unwrap();
            assert_eq!(bytes.len(), 8 + value.frame.len());
            // RFC 7348, figure 1: flags, reserved, VNI, reserved.
            assert_eq!(bytes[..8], [8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
            assert_eq!(Vxlan::from_bytes(&bytes), Some(value));
        }
    }

    #[test]
    fn what_is_no_vxlan_is_not_read() {
        let bytes = Vxlan { vni: 1, frame: frames().remove(0) }.to_bytes().unwrap();
        for n in 0..bytes.len() {
            assert_eq!(Vxlan::from_bytes(&bytes[..n]), None, "{n} bytes");
        }
        let mut other = bytes.clone();
        other[0] = 0;
        assert_eq!(Vxlan::from_bytes(&other), None);
    }
}
