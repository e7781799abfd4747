//! The RST of `-j REJECT --reject-with tcp-reset` (`nf_send_reset`, net/ipv4/netfilter/nf_reject_ipv4.c).

use super::ip_local_out;
use crate::dev::dev_queue_xmit;
use crate::event::{Origin, What};
use crate::netfilter::conntrack::{attach, set_closing};
use crate::route::Flow;
use crate::socket::reset_for;
use crate::{Cx, Netns, Skb, SkbOwner};
use std::rc::Rc;

/// Answers a TCP segment with a RST, unless it is one itself, is damaged, or went to everybody.
pub(crate) fn nf_send_reset(ns: &mut Netns, about: &Skb, cx: &mut Cx<'_>) {
    if about.dst.is_some_and(|d| d.is_group()) {
        return;
    }
    let Some(mut ip) = about.ip().and_then(reset_for) else { return };
    let (Some(src), Some(dst)) = (ip.src_v4(), ip.dst_v4()) else { return };
    ip.frag.df = true;
    ip.ttl = ns.default_ttl();
    let id = cx.ids.packet();
    let mut skb = Skb::local(id, ip, SkbOwner::None);
    let flow = Flow { any_src: true, ..Flow::to(dst).from(src) };
    let Ok((route, _)) = ns.ip_route_output(&flow) else { return };
    skb.dst = Some(route);
    attach(&mut skb, about);
    set_closing(ns, about, cx);
    let (parent, frame) = (Some(about.id), Rc::clone(&skb.frame));
    cx.emit(id, || What::Created { origin: Origin::Reject, parent, frame });
    if let Some(bridge) = about.nf_bridge {
        // Straight out of the port, with the victim's address as source; no hook sees it.
        let (src, dst) = (about.frame.dst, about.frame.src);
        let frame = skb.frame_mut();
        frame.src = src;
        frame.dst = dst;
        let _ = dev_queue_xmit(ns, skb, bridge.physin, cx);
    } else {
        let _ = ip_local_out(ns, skb, cx);
    }
}
