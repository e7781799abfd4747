//! `-j REJECT` (net/ipv4/netfilter/ipt_REJECT.c, nf_reject_ipv4.c).

use super::super::Verdict;
use super::TargetVerdict;
use crate::ipv4::{icmp_send, nf_send_reset};
use crate::ipv6::{nf_send_reset6, nf_send_unreach6};
use crate::{Cx, Netns, Skb};
use packet::icmp_type;

/// `--reject-with`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RejectWith {
    /// `icmp-net-unreachable`
    NetUnreachable,
    /// `icmp-host-unreachable`
    HostUnreachable,
    /// `icmp-proto-unreachable`
    ProtoUnreachable,
    /// `icmp-port-unreachable`, the default
    #[default]
    PortUnreachable,
    /// `icmp-net-prohibited`
    NetProhibited,
    /// `icmp-host-prohibited`
    HostProhibited,
    /// `icmp-admin-prohibited`
    AdminProhibited,
    /// `tcp-reset`
    TcpReset,
    /// `icmp6-no-route`
    NoRoute,
    /// `icmp6-adm-prohibited`
    AdmProhibited,
    /// `icmp6-addr-unreachable`
    AddrUnreachable,
    /// `icmp6-port-unreachable`, the default for IPv6
    PortUnreachable6,
    /// `icmp6-policy-fail`
    PolicyFail,
    /// `icmp6-reject-route`
    RejectRoute,
}

impl RejectWith {
    /// Every kind for IPv4.
    pub const ALL: [RejectWith; 8] = [
        RejectWith::NetUnreachable,
        RejectWith::HostUnreachable,
        RejectWith::ProtoUnreachable,
        RejectWith::PortUnreachable,
        RejectWith::NetProhibited,
        RejectWith::HostProhibited,
        RejectWith::AdminProhibited,
        RejectWith::TcpReset,
    ];

    /// Every kind for IPv6.
    pub const ALL6: [RejectWith; 7] = [
        RejectWith::NoRoute,
        RejectWith::AdmProhibited,
        RejectWith::AddrUnreachable,
        RejectWith::PortUnreachable6,
        RejectWith::TcpReset,
        RejectWith::PolicyFail,
        RejectWith::RejectRoute,
    ];

    /// The word after `--reject-with`.
    pub fn name(self) -> &'static str {
        match self {
            RejectWith::NetUnreachable => "icmp-net-unreachable",
            RejectWith::HostUnreachable => "icmp-host-unreachable",
            RejectWith::ProtoUnreachable => "icmp-proto-unreachable",
            RejectWith::PortUnreachable => "icmp-port-unreachable",
            RejectWith::NetProhibited => "icmp-net-prohibited",
            RejectWith::HostProhibited => "icmp-host-prohibited",
            RejectWith::AdminProhibited => "icmp-admin-prohibited",
            RejectWith::TcpReset => "tcp-reset",
            RejectWith::NoRoute => "icmp6-no-route",
            RejectWith::AdmProhibited => "icmp6-adm-prohibited",
            RejectWith::AddrUnreachable => "icmp6-addr-unreachable",
            RejectWith::PortUnreachable6 => "icmp6-port-unreachable",
            RejectWith::PolicyFail => "icmp6-policy-fail",
            RejectWith::RejectRoute => "icmp6-reject-route",
        }
    }

    /// The code of the destination unreachable message of ICMP, or of ICMPv6; `None` for a TCP reset.
    pub fn icmp_code(self) -> Option<u8> {
        Some(match self {
            RejectWith::NetUnreachable => 0,
            RejectWith::HostUnreachable => 1,
            RejectWith::ProtoUnreachable => 2,
            RejectWith::PortUnreachable => 3,
            RejectWith::NetProhibited => 9,
            RejectWith::HostProhibited => 10,
            RejectWith::AdminProhibited => 13,
            RejectWith::NoRoute => 0,
            RejectWith::AdmProhibited => 1,
            RejectWith::AddrUnreachable => 3,
            RejectWith::PortUnreachable6 => 4,
            RejectWith::PolicyFail => 5,
            RejectWith::RejectRoute => 6,
            RejectWith::TcpReset => return None,
        })
    }
}

/// Options of REJECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reject {
    /// The answer.
    pub with: RejectWith,
}

impl Reject {
    /// Sends the answer and drops the packet.
    pub(crate) fn eval(self, ns: &mut Netns, skb: &Skb, cx: &mut Cx<'_>) -> TargetVerdict {
        let v6 = skb.ip().is_some_and(|ip| ip.dst.is_ipv6());
        match self.with.icmp_code() {
            Some(code) if v6 => {
                if checksum_ok(skb) {
                    nf_send_unreach6(ns, skb, code, cx);
                }
            }
            None if v6 => nf_send_reset6(ns, skb, cx),
            Some(code) => {
                // nf_send_unreach: no answer to what may not have come from its source.
                let intact = skb.ip().is_some_and(|ip| ip.frag.offset == 0) && checksum_ok(skb);
                if intact {
                    icmp_send(ns, skb, icmp_type::DEST_UNREACH, code, None, cx);
                }
            }
            None => nf_send_reset(ns, skb, cx),
        }
        TargetVerdict::Final(Verdict::Drop)
    }
}

fn checksum_ok(skb: &Skb) -> bool {
    match skb.ip().map(|ip| &ip.l4) {
        Some(packet::L4::Tcp(t)) => t.checksum_ok,
        Some(packet::L4::Udp(u)) => u.checksum_ok,
        Some(packet::L4::Icmp(i)) => i.checksum_ok,
        Some(packet::L4::Icmp6(i)) => i.checksum_ok,
        Some(packet::L4::Other(proto, payload)) => OWN_CHECKSUM.contains(&proto.0) || sums_up(payload),
        _ => true,
    }
}

/// Protocols with a checksum of their own, or none (`nf_reject_verify_csum`): DCCP, GRE, ESP, AH, SCTP, UDP-Lite.
const OWN_CHECKSUM: [u8; 6] = [33, 47, 50, 51, 132, 136];

/// Of any other protocol the kernel thinks that its 16-bit words add up to nothing, as those of ICMP do.
fn sums_up(payload: &[u8]) -> bool {
    let word = |w: &[u8]| {
        u64::from(u16::from_be_bytes([w.first().copied().unwrap_or(0), w.get(1).copied().unwrap_or(0)]))
    };
    payload.chunks(2).map(word).sum::<u64>() % 0xffff == 0
}
