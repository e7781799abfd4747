//! NAT's half of the helpers (net/netfilter/nf_nat_helper.c, nf_nat_tftp.c).

use super::{Manip, NatRange, nf_nat_setup_info};
use crate::netfilter::conntrack::{Conn, Direction, Expect, ExpectNat};
use crate::netfilter::xtables::PortRange;
use crate::{ConnId, Cx, DropReason, Netns, Skb};

/// The data comes back to the port from which the client really asked.
pub(crate) fn nf_nat_tftp(master: &Conn, expect: &mut Expect) {
    expect.nat = Some(ExpectNat { dir: Direction::Reply, port: master.orig.key.sport() });
}

/// `nf_nat_follow_master`: both directions of an expected flow are decided at its first packet, before any rule is
/// asked: it seems to come from the address that the client had asked, and goes to the client's own port.
pub(crate) fn nf_nat_follow_master(
    ns: &mut Netns,
    skb: &Skb,
    conn: ConnId,
    master: ConnId,
    nat: ExpectNat,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    let Some(asked) = ns.ct.get(master).map(|m| *m.tuple(nat.dir.flip())) else { return Ok(()) };
    let from = NatRange { addr: Some((asked.dst, asked.dst)), ..NatRange::default() };
    nf_nat_setup_info(ns, skb, conn, &from, Manip::Src, false, cx)?;
    let to = NatRange {
        addr: Some((asked.src, asked.src)),
        ports: Some(PortRange { min: nat.port, max: nat.port }),
        ..NatRange::default()
    };
    nf_nat_setup_info(ns, skb, conn, &to, Manip::Dst, false, cx)
}
