//! TFTP: the server answers a request from a port of its own choice, so the data is a flow of its own
//! (net/netfilter/nf_conntrack_tftp.c, RFC 1350).

use super::{Helper, nf_ct_helper_drop};
use crate::netfilter::conntrack::expect::{Expect, nf_ct_expect_related};
use crate::netfilter::conntrack::{L4Key, Tuple, status};
use crate::netfilter::nat::nf_nat_tftp;
use crate::{ConnId, Cut, Cx, Netns, Skb};
use packet::{L4, Protocol};
use std::time::Duration;

/// Opcodes of a request to read and to write a file.
const REQUESTS: [u16; 2] = [1, 2];

/// A request announces a flow from the server's address, any port, to the port from which the client asked. Both as
/// the answer will have them: behind the NAT.
pub(super) fn help(
    ns: &mut Netns,
    skb: Skb,
    conn: ConnId,
    helper: Helper,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let opcode = skb.ip().and_then(|ip| match &ip.l4 {
        L4::Udp(udp) => Some(u16::from_be_bytes([*udp.payload.first()?, *udp.payload.get(1)?])),
        _ => None,
    });
    let Some(c) = ns.ct.get(conn).filter(|_| opcode.is_some_and(|o| REQUESTS.contains(&o))) else {
        return Ok(skb);
    };
    let key = L4Key::Ports { sport: 0, dport: c.reply.dport() };
    let mut expect = Expect {
        master: conn,
        tuple: Tuple::new(c.reply.src(), c.reply.dst(), Protocol::UDP, key),
        helper,
        nat: None,
        expires: cx.now + Duration::from_secs(helper.timeout()),
    };
    // NAT's half looks for a NAT bit; IPVS, which sets none, is no NAT to it.
    if ns.modules.nf_nat_tftp && c.status & status::NAT_MASK != 0 {
        nf_nat_tftp(c, &mut expect);
    }
    match nf_ct_expect_related(ns, &skb, expect, cx) {
        Ok(()) => Ok(skb),
        Err(_) => Err(nf_ct_helper_drop(ns, &skb, helper, "cannot add expectation", cx)),
    }
}
