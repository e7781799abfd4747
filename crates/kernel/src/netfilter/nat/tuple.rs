//! Finding a tuple that nobody uses (`get_unique_tuple`, net/netfilter/nf_nat_core.c).

use super::{Manip, NatRange};
use crate::jhash::jhash2;
use crate::netfilter::conntrack::{Direction, L4Key, TcpState, Tuple, status};
use crate::netfilter::xtables::PortRange;
use crate::{ConnId, Cx, Netns};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a flow's original direction becomes.
pub(super) enum Unique {
    /// What it is.
    Same,
    /// Another tuple, and the flow that has to make room for it, if one does.
    Changed(Tuple, Option<ConnId>),
}

/// The tuple to use instead of `orig`: one whose answers collide with no other flow, if there is one. If every one is taken
/// the result is taken too, and the packet ends when its entry cannot be inserted. `orig` is the flow's original direction as
/// it stands, the other manipulation included.
pub(super) fn get_unique_tuple(
    ns: &Netns,
    orig: &Tuple,
    range: &NatRange,
    conn: ConnId,
    manip: Manip,
    cx: &mut Cx<'_>,
) -> Unique {
    let free = |t: &Tuple| holder(ns, t, conn, cx).is_none();
    let keeps = !range.random && !range.random_fully;
    // A source stays as it is, or becomes what it has become for another destination.
    if manip == Manip::Src && keeps {
        if in_range(orig, range) {
            if free(orig) || reverse_is_known(ns, orig, conn, cx) {
                return Unique::Same;
            }
        } else if let Some(t) = find_appropriate_src(ns, orig, range, conn).filter(free) {
            return Unique::Changed(t, None);
        }
    }
    let wish = find_best_ips_proto(ns, orig, range, conn, manip);
    let keeps_port = keeps
        && match range.ports {
            None => free(&wish),
            Some(_) if range.base.is_some() => false,
            Some(ports) => port_in(&wish, manip, ports) && (ports.min == ports.max || free(&wish)),
        };
    let (t, old) = if keeps_port { (wish, None) } else { unique_port(ns, wish, range, conn, manip, cx) };
    if t == *orig && old.is_none() { Unique::Same } else { Unique::Changed(t, old) }
}

/// `nf_nat_used_tuple_new`: a flow that is not translated is this one seen from its other end, as zones of one direction allow.
/// Another port would be of no use.
fn reverse_is_known(ns: &Netns, orig: &Tuple, conn: ConnId, cx: &Cx<'_>) -> bool {
    let Some(new) = ns.ct.get(conn) else { return false };
    let find = |t: &Tuple| ns.ct.find(t, new.zone, cx.now).and_then(|(id, _)| ns.ct.get(id));
    let known = find(orig).or_else(|| find(&new.reply));
    known.is_none_or(|known| known.status & status::NAT_MASK == 0 && known.orig == new.reply)
}

/// `nf_in_range`: the source is one that the range allows.
fn in_range(t: &Tuple, range: &NatRange) -> bool {
    range.addr.is_none_or(|(min, max)| min <= t.src() && t.src() <= max)
        && range.ports.is_none_or(|ports| port_in(t, Manip::Src, ports))
}

/// `l4proto_in_range`: a protocol without ports is in every range.
fn port_in(t: &Tuple, manip: Manip, ports: PortRange) -> bool {
    t.key() == L4Key::Other || ports.contains(port_of(t, manip))
}

/// `find_appropriate_src`: what another flow from the same source has become, if the range allows that.
fn find_appropriate_src(ns: &Netns, orig: &Tuple, range: &NatRange, conn: ConnId) -> Option<Tuple> {
    let source = |t: &Tuple| (t.proto(), t.src(), t.sport());
    let zone = ns.ct.get(conn)?.zone.id(Direction::Original);
    let same = ns.ct.by_source.of(orig).filter_map(|id| ns.ct.get(id));
    let same = same.filter(|c| source(&c.orig) == source(orig) && c.zone.id(Direction::Original) == zone);
    let mut as_there = same.filter_map(|c| {
        let t = with_port(orig, Manip::Src, port_of(&c.reply.invert()?, Manip::Src));
        Some(t.with_src(c.reply.dst()))
    });
    as_there.find(|t| in_range(t, range))
}

/// `find_best_ips_proto`: one address is taken as it is; of several, one by a hash of the flow's addresses, with
/// `--persistent` of the source alone. The hash has no seed, so the choice is the same on every machine.
fn find_best_ips_proto(ns: &Netns, orig: &Tuple, range: &NatRange, conn: ConnId, manip: Manip) -> Tuple {
    let Some((min, max)) = range.addr else { return *orig };
    let addr = match (min, max, orig.src(), orig.dst()) {
        (IpAddr::V4(min), IpAddr::V4(max), IpAddr::V4(src), IpAddr::V4(dst)) if min != max => {
            let zone = ns.ct.get(conn).map_or(0, |c| u32::from(c.zone.id));
            let initval = if range.persistent { 0 } else { dst.to_bits().swap_bytes() ^ zone };
            let hash = u64::from(jhash2(&[src.to_bits().swap_bytes(), 0, 0, 0], initval));
            let size = u64::from(max.to_bits().wrapping_sub(min.to_bits()).wrapping_add(1));
            // reciprocal_scale
            let at = u32::try_from((hash * size) >> 32).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(min.to_bits().wrapping_add(at)))
        }
        (IpAddr::V6(min), IpAddr::V6(max), IpAddr::V6(src), IpAddr::V6(dst)) if min != max => {
            let zone = ns.ct.get(conn).map_or(0, |c| u32::from(c.zone.id));
            IpAddr::V6(best_of6((min, max), (src, dst), zone, range.persistent, manip))
        }
        _ => min,
    };
    match manip {
        Manip::Src => orig.with_src(addr),
        Manip::Dst => orig.with_dst(addr),
    }
}

/// The same for IPv6: word after word, each within the range as long as all before it are the range's last.
fn best_of6(
    (min, max): (Ipv6Addr, Ipv6Addr),
    (src, dst): (Ipv6Addr, Ipv6Addr),
    zone: u32,
    persistent: bool,
    manip: Manip,
) -> Ipv6Addr {
    let words = |a: Ipv6Addr| [96, 64, 32, 0].map(|shift| (a.to_bits() >> shift & 0xffff_ffff) as u32);
    let raw = |a: Ipv6Addr| words(a).map(u32::swap_bytes);
    let (dst, initval) = (raw(dst), if persistent { 0 } else { raw(dst)[3] ^ zone });
    let mut hash = jhash2(&raw(src), initval);
    let mut full = false;
    let mut out = 0u128;
    for ((min, max), dst) in words(min).into_iter().zip(words(max)).zip(dst) {
        let (first, size) = if full { (0, u32::MAX) } else { (min, max.wrapping_sub(min).wrapping_add(1)) };
        let word = first.wrapping_add(((u64::from(hash) * u64::from(size)) >> 32) as u32);
        full |= word != max;
        // The kernel writes into the tuple that it hashes: a destination is the new one already.
        hash ^= match manip {
            _ if persistent => 0,
            Manip::Src => dst,
            Manip::Dst => word.swap_bytes(),
        };
        out = out << 32 | u128::from(word);
    }
    Ipv6Addr::from_bits(out)
}

fn port_of(t: &Tuple, manip: Manip) -> u16 {
    match (t.key(), manip) {
        (L4Key::Echo { id, .. }, _) => id,
        (_, Manip::Src) => t.sport(),
        (_, Manip::Dst) => t.dport(),
    }
}

fn with_port(t: &Tuple, manip: Manip, port: u16) -> Tuple {
    match (t.key(), manip) {
        (L4Key::Ports { .. }, Manip::Dst) => t.with_dport(port),
        // The id is the port of both sides.
        _ => t.with_sport(port),
    }
}

/// `nf_nat_used_tuple`: the flow with whose packets the answers to this tuple would collide.
fn holder(ns: &Netns, t: &Tuple, conn: ConnId, cx: &Cx<'_>) -> Option<ConnId> {
    ns.ct.taken(&t.invert()?, conn, ns.era().nat_shares_with_own_flow(), cx.now)
}

/// `nf_nat_may_kill`, `nf_seq_has_advanced`: a translated TCP connection that is over makes room for one whose sequence
/// numbers are ahead of its own, so that no segment of the old one fits the new one.
fn makes_room(ns: &Netns, holder: ConnId, conn: ConnId) -> bool {
    let (Some(old), Some(new)) = (ns.ct.get(holder), ns.ct.get(conn)) else { return false };
    let (Some(old_tcp), Some(new_tcp)) = (old.tcp.as_deref(), new.tcp.as_deref()) else { return false };
    let over = matches!(old_tcp.state, TcpState::TimeWait | TcpState::Close | TcpState::SynSent2);
    let ahead = new_tcp.seen[0].end.wrapping_sub(old_tcp.seen[0].end);
    over && old.status & status::SRC_NAT != 0 && (1..1 << 31).contains(&ahead)
}

/// The ports that may be drawn when none is given: the class of the old port, as other programs rely on
/// privileged ports staying privileged.
fn port_class(port: u16) -> PortRange {
    match port {
        0..512 => PortRange { min: 1, max: 511 },
        512..1024 => PortRange { min: 600, max: 1023 },
        1024.. => PortRange { min: 1024, max: 65535 },
    }
}

/// At most this many ports are tried before giving up (`NF_NAT_MAX_ATTEMPTS`).
const MAX_ATTEMPTS: u32 = 128;
/// With so few left, connections that are over have to make room (`NF_NAT_HARDER_THRESH`).
const HARDER: u32 = MAX_ATTEMPTS / 4;

/// `nf_nat_l4proto_unique_tuple`: from a start in the range one after the other; of a large range only a part is tried,
/// from several starts. Places are counted in 16 bits, as in the kernel.
fn unique_port(
    ns: &Netns,
    wish: Tuple,
    range: &NatRange,
    conn: ConnId,
    manip: Manip,
    cx: &mut Cx<'_>,
) -> (Tuple, Option<ConnId>) {
    let span = match (wish.key(), range.ports) {
        (L4Key::Other, _) => return (wish, None),
        (_, Some(ports)) => ports,
        (L4Key::Echo { .. }, None) => PortRange::ALL,
        // A destination port is never drawn.
        (L4Key::Ports { .. }, None) if manip == Manip::Dst => return (wish, None),
        (L4Key::Ports { sport, .. }, None) => port_class(sport),
    };
    let size = u32::from(span.max.saturating_sub(span.min)) + 1;
    let draw = |cx: &mut Cx<'_>| (cx.rng.next_u32() & 0xffff) as u16;
    // A destination is searched from the beginning of its range, a source from anywhere.
    let mut start = match range.base {
        Some(base) => port_of(&wish, manip).wrapping_sub(base),
        None if range.random || range.random_fully || manip == Manip::Src => draw(cx),
        None => 0,
    };
    let mut attempts = size.min(MAX_ATTEMPTS);
    let mut tuple = wish;
    loop {
        for (left, at) in (1..=attempts).rev().zip(0u16..) {
            let off = u32::from(start.wrapping_add(at)) % size;
            let port = span.min.wrapping_add((off & 0xffff) as u16);
            tuple = with_port(&wish, manip, port);
            match holder(ns, &tuple, conn, cx) {
                None => return (tuple, None),
                Some(old) if left <= HARDER && makes_room(ns, old, conn) => return (tuple, Some(old)),
                Some(_) => {}
            }
        }
        if attempts >= size || attempts < 16 {
            return (tuple, None);
        }
        attempts /= 2;
        start = draw(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_drawn_from_the_class_of_the_old_one() {
        for (port, min, max) in
            [(1, 1, 511), (511, 1, 511), (512, 600, 1023), (1023, 600, 1023), (1024, 1024, 65535)]
        {
            assert_eq!(port_class(port), PortRange { min, max }, "{port}");
        }
    }
}
