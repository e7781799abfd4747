//! net/ipv4: the way of a packet through the network layer.

mod defrag;
mod forward;
mod fragment;
mod icmp;
mod icmp_limit;
mod input;
mod output;
mod reject;

pub(crate) use defrag::{FragQueues, frag_timer};
pub(crate) use forward::ip_decrease_ttl;
pub(crate) use fragment::{ip_do_fragment, ip_finish_output};
pub(crate) use icmp::{icmp_frag_needed, icmp_send};
pub(crate) use icmp_limit::IcmpCredit;
pub(crate) use input::{ip_local_deliver_finish, ip_rcv, ip_rcv_finish};
pub(crate) use output::{
    dev_loopback_xmit, dst_output, ip_local_out, ip_local_out_from, ip_local_out_tunnel, ip_output,
    ip_route_me_harder,
};
pub(crate) use reject::nf_send_reset;

use crate::netfilter::hook::InetHook;
use crate::{Cut, Cx, Netns, Skb};
use defrag::{DefragUser, ip_defrag};

/// `ipv4_conntrack_defrag` (net/ipv4/netfilter/nf_defrag_ipv4.c): conntrack sees whole datagrams, and so does every table.
pub(crate) fn ipv4_conntrack_defrag(
    ns: &mut Netns,
    skb: Skb,
    hook: InetHook,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    if !skb.ip().is_some_and(packet::Ip::is_fragment) {
        return Ok(skb);
    }
    let user = match hook {
        InetHook::PreRouting if skb.nf_bridge.is_some_and(|b| b.in_prerouting) => {
            DefragUser::ConntrackBridgeIn
        }
        InetHook::PreRouting => DefragUser::ConntrackIn,
        _ => DefragUser::ConntrackOut,
    };
    let mut skb = ip_defrag(ns, skb, user, cx)?;
    skb.ignore_df = true;
    Ok(skb)
}
