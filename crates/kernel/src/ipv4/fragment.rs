//! Cutting datagrams that are too long for a device (net/ipv4/ip_output.c), and how long they may be.

use super::icmp::icmp_frag_needed;
use super::output::ip_finish_output2;
use crate::event::{FragStep, Origin, What};
use crate::route::Dst;
use crate::socket::resume_tcp;
use crate::{Cx, Delivery, DropReason, Journey, Netns, Output, Rest, Skb};
use packet::{L4, TcpFlags};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Header of an IP packet without options.
const HEADER: usize = 20;
/// `IP_MAX_MTU`
const IP_MAX_MTU: u32 = 0xffff;

impl Netns {
    /// `ip_dst_mtu_maybe_forward`: bytes of a packet that may go this way: what this host was told of the path, else what the
    /// route says, else the device. What is forwarded does not heed what this host was told.
    pub(crate) fn dst_mtu(&self, dst: &Dst, to: Ipv4Addr, forwarded: bool, cx: &Cx<'_>) -> usize {
        let heeds = !forwarded || self.sysctl.ip_forward_use_pmtu != 0 || self.mtu_locked(dst, to, cx);
        let learned = if heeds { self.pmtu_to(to, cx.now).map(|p| p.mtu) } else { None };
        let device = || self.device(dst.dev).map_or(1500, |d| d.mtu);
        learned.or(dst.mtu.map(|(mtu, _)| mtu)).unwrap_or_else(device).min(IP_MAX_MTU) as usize
    }

    /// `ip_mtu_locked`: the MTU of this way is fixed, so that packets do not say DF.
    pub(crate) fn mtu_locked(&self, dst: &Dst, to: Ipv4Addr, cx: &Cx<'_>) -> bool {
        dst.mtu.is_some_and(|(_, lock)| lock) || self.pmtu_to(to, cx.now).is_some_and(|p| p.locked)
    }
}

/// `ip_finish_output`, `ip_fragment`: out, in pieces if it is too long or was put together from pieces.
pub(crate) fn ip_finish_output(ns: &mut Netns, skb: Skb, forwarded: bool, cx: &mut Cx<'_>) -> Journey {
    let (Some(dst), Some(ip)) = (skb.dst, skb.ip()) else { return ip_finish_output2(ns, skb, cx) };
    let Some(to) = ip.dst_v4() else { return ip_finish_output2(ns, skb, cx) };
    let mtu = ns.dst_mtu(&dst, to, forwarded, cx);
    let len = ip.total_len();
    if ip.gso_size != 0 {
        return ip_finish_output_gso(ns, skb, mtu, cx);
    }
    if len <= mtu && skb.frag_max_size == 0 {
        return ip_finish_output2(ns, skb, cx);
    }
    if ip.frag.df && (!skb.ignore_df || skb.frag_max_size > mtu) {
        icmp_frag_needed(ns, &skb, mtu, cx);
        return Err(cx.drop(&skb, DropReason::PacketTooBig));
    }
    ip_do_fragment(ns, skb, mtu, ip_finish_output2, cx)
}

/// `ip_finish_output_gso`: what stands for several segments leaves as it is if each of them fits; else they are made here, and
/// each goes its way.
fn ip_finish_output_gso(ns: &mut Netns, skb: Skb, mtu: usize, cx: &mut Cx<'_>) -> Journey {
    let Some((ip, tcp)) = skb.ip().and_then(|ip| Some((ip, ip.tcp()?))) else {
        return ip_finish_output2(ns, skb, cx);
    };
    let size = usize::from(ip.gso_size);
    if ip.total_len() - tcp.payload.len() + size <= mtu || size == 0 {
        return ip_finish_output2(ns, skb, cx);
    }
    let payload = tcp.payload.clone();
    let last = payload.chunks(size).count().saturating_sub(1);
    let mut sent = Ok(Delivery::Transmitted);
    for (n, data) in payload.chunks(size).enumerate() {
        let mut segment = skb.clone();
        if n > 0 {
            segment.id = cx.ids.packet();
        }
        if let Some(ip) = segment.ip_mut() {
            ip.gso_size = 0;
            ip.id = ip.id.wrapping_add(n as u16);
            if let L4::Tcp(t) = &mut ip.l4 {
                t.seq = t.seq.wrapping_add((n * size) as u32);
                t.payload = data.to_vec();
                if n < last {
                    t.flags = t.flags.without(TcpFlags::PSH | TcpFlags::FIN);
                }
            }
        }
        if n > 0 {
            let (parent, frame) = (Some(skb.id), Rc::clone(&segment.frame));
            cx.emit(segment.id, || What::Created { origin: Origin::Fragment, parent, frame });
        }
        sent = ip_finish_output(ns, segment, true, cx);
    }
    sent
}

/// `ip_do_fragment`: each piece goes to `output`. Pieces that were put together here before leave as they came; others are
/// cut as long as fits.
pub(crate) fn ip_do_fragment(
    ns: &mut Netns,
    skb: Skb,
    mtu: usize,
    output: fn(&mut Netns, Skb, &mut Cx<'_>) -> Journey,
    cx: &mut Cx<'_>,
) -> Journey {
    let Some(ip) = skb.ip() else { return output(ns, skb, cx) };
    let mtu = if skb.frag_max_size == 0 { mtu } else { mtu.min(skb.frag_max_size) };
    let room = mtu.saturating_sub(HEADER);
    let (whole, bytes) = (ip.clone(), ip.payload_bytes());
    let old = skb.frag_list.clone().filter(|parts| {
        let (last, others) = match parts.split_last() {
            Some((last, others)) => (last.1, others),
            None => return false,
        };
        last <= room
            && others.iter().all(|(_, len)| *len <= room && len % 8 == 0)
            && others.iter().map(|(_, len)| *len).sum::<usize>() + last == bytes.len()
    });
    let cuts: Vec<usize> = match &old {
        Some(parts) => parts.iter().map(|(_, len)| *len).collect(),
        None if room < 8 => return Err(cx.drop(&skb, DropReason::PacketTooBig)),
        None => cut(bytes.len(), room),
    };
    let frame = skb.frame.clone();
    let pieces = cuts.len();
    cx.emit(skb.id, || What::Fragment(FragStep::Cut { pieces, frame }));
    let mut from = 0;
    let mut out = Vec::with_capacity(pieces);
    for (n, len) in cuts.into_iter().enumerate() {
        let mut piece = skb.clone();
        piece.frag_list = None;
        let part = whole.part(&bytes, from, from + len);
        from += len;
        if let Some(ip) = piece.ip_mut() {
            *ip = part;
            // Only pieces that are made anew, of a sender that looks for the path MTU, keep it.
            ip.frag.df &= skb.frag_max_size != 0 && old.is_none();
        }
        match &old {
            Some(parts) => piece.id = parts.get(n).map_or(skb.id, |(id, _)| *id),
            None if n > 0 => piece.id = cx.ids.packet(),
            None => {}
        }
        if n > 0 {
            let (parent, frame) = (Some(skb.id), Rc::clone(&piece.frame));
            cx.emit(piece.id, || match old {
                Some(_) => What::Fragment(FragStep::Reused),
                None => What::Created { origin: Origin::Fragment, parent, frame },
            });
        }
        out.push(piece);
    }
    let mut rest = out.into_iter();
    let mut sent = Ok(Delivery::Transmitted);
    while let Some(piece) = rest.next() {
        sent = output(ns, piece, cx);
        if sent.is_err() {
            break;
        }
        if !ns.softirq && skb.nf_bridge.is_none() {
            // A program's call is interrupted by what its first piece leads to.
            cx.out.push(Output::Resume(Rest::Pieces(rest.collect())));
            break;
        }
    }
    sent
}

impl Netns {
    /// Goes on with what a program was sending.
    pub fn resume(&mut self, rest: Rest, cx: &mut Cx<'_>) {
        let mut rest = match rest {
            Rest::Pieces(pieces) => pieces.into_iter(),
            Rest::Tcp(id) => return resume_tcp(self, id, cx),
            Rest::Neigh(dev, addr) => return self.neigh_send(dev, Ipv4Addr::from_bits(addr), cx),
        };
        if let Some(piece) = rest.next() {
            let _ = ip_finish_output2(self, piece, cx);
            if rest.len() > 0 {
                cx.out.push(Output::Resume(Rest::Pieces(rest.collect())));
            }
        }
    }
}

/// Lengths of the pieces: all but the last are multiples of eight bytes.
fn cut(len: usize, room: usize) -> Vec<usize> {
    let mut left = len;
    let mut out = Vec::new();
    while left > room {
        out.push(room & !7);
        left -= room & !7;
    }
    out.push(left);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pieces_but_the_last_are_multiples_of_eight() {
        assert_eq!(cut(3008, 1480), [1480, 1480, 48]);
        assert_eq!(cut(1383 + 1376, 1383), [1376, 1383]);
        assert_eq!(cut(100, 1480), [100]);
    }
}
