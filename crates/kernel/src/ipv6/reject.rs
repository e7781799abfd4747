//! What REJECT sends (net/ipv6/netfilter/nf_reject_ipv6.c).

use super::output::ip6_local_out;
use crate::event::{Origin, What};
use crate::netfilter::conntrack::{attach, set_closing};
use crate::{Cx, Netns, Skb, SkbOwner};
use packet::{Icmp6, IcmpBody, Ip, L4, Protocol, icmp6_type};
use std::net::IpAddr;
use std::rc::Rc;

/// `nf_send_unreach6`: an ICMPv6 "destination unreachable" to the sender (`icmp6_send`).
pub(crate) fn nf_send_unreach6(ns: &mut Netns, about: &Skb, code: u8, cx: &mut Cx<'_>) {
    let Some(cause) = about.ip() else { return };
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (cause.src, cause.dst) else { return };
    // RFC 4443, 2.4 (e): never about an error, nor to what is no single sender, nor about a multicast.
    let is_error = matches!(&cause.l4, L4::Icmp6(i) if Icmp6::is_error_type(i.kind));
    if is_error || src.is_unspecified() || src.is_multicast() || dst.is_multicast() {
        return;
    }
    // From the address that was asked if it is ours, else from that of the device the answer leaves by.
    let near = || ns.route6(src).and_then(|dev| ns.source6(dev, src));
    let Some(own) = ns.is_local6(dst, None).then_some(dst).or_else(near) else { return };
    let body = IcmpBody::Error { gateway: None, mtu: 0, inner: Box::new(cause.clone()), quoted: None };
    let icmp = Icmp6 { kind: icmp6_type::DEST_UNREACH, code, checksum_ok: true, body };
    let answer = Ip::new(IpAddr::V6(own), cause.src, L4::Icmp6(icmp));
    send(ns, about, answer, SkbOwner::Kernel, Origin::Icmp, cx);
}

/// `nf_send_reset6`: a RST as from the destination.
pub(crate) fn nf_send_reset6(ns: &mut Netns, about: &Skb, cx: &mut Cx<'_>) {
    let Some(answer) = about.ip().and_then(crate::socket::reset_for) else { return };
    let to_one = |addr| matches!(addr, IpAddr::V6(a) if !a.is_multicast() && !a.is_unspecified());
    if !to_one(answer.src) || !to_one(answer.dst) || answer.protocol() != Protocol::TCP {
        return;
    }
    set_closing(ns, about, cx);
    send(ns, about, answer, SkbOwner::None, Origin::Reject, cx);
}

fn send(ns: &mut Netns, about: &Skb, answer: Ip, owner: SkbOwner, origin: Origin, cx: &mut Cx<'_>) {
    let id = cx.ids.packet();
    let mut skb = Skb::local(id, answer, owner);
    attach(&mut skb, about);
    let (parent, frame) = (Some(about.id), Rc::clone(&skb.frame));
    cx.emit(id, || What::Created { origin, parent, frame });
    let _ = ip6_local_out(ns, skb, cx);
}
