//! Finding a tuple that nobody uses (`get_unique_tuple`, net/netfilter/nf_nat_core.c).

use super::{Manip, NatRange};
use crate::netfilter::conntrack::{L4Key, TcpState, Tuple, status};
use crate::netfilter::xtables::PortRange;
use crate::{ConnId, Cx, Netns};
use rand_core::Rng;
use std::net::{IpAddr, Ipv4Addr};

/// The tuple to use instead of `orig`: one whose answers collide with no other flow, if there is one, and the flow
/// that has to make room for it, if one does. If every one is taken the result is taken too, and the packet ends when
/// its entry cannot be inserted. `orig` is the flow's original direction as it stands, the other manipulation included.
pub(super) fn get_unique_tuple(
    ns: &Netns,
    orig: &Tuple,
    range: &NatRange,
    conn: ConnId,
    manip: Manip,
    cx: &mut Cx<'_>,
) -> (Tuple, Option<ConnId>) {
    let wish = with_addr(orig, range, manip);
    if !range.random && !range.random_fully {
        let keeps_port = match range.ports {
            None => holder(ns, &wish, conn, cx).is_none(),
            Some(ports) => {
                ports.contains(port_of(&wish, manip))
                    && (ports.min == ports.max || holder(ns, &wish, conn, cx).is_none())
            }
        };
        if keeps_port {
            return (wish, None);
        }
    }
    unique_port(ns, wish, range, conn, manip, cx)
}

/// `find_best_ips_proto`: one address is taken as it is; of several, one by the flow's addresses.
fn with_addr(orig: &Tuple, range: &NatRange, manip: Manip) -> Tuple {
    let mut t = *orig;
    let Some((min, max)) = range.addr else { return t };
    let addr = match (min, max) {
        (IpAddr::V4(a), IpAddr::V4(b)) if a != b => {
            let (lo, hi) = (a.to_bits(), b.to_bits());
            // The kernel hashes with a seed of its own; which address a flow gets is stable, not predictable.
            let key = |ip: IpAddr| match ip {
                IpAddr::V4(v) => v.to_bits(),
                IpAddr::V6(_) => 0,
            };
            let other = if range.persistent { 0 } else { key(orig.dst) };
            let h = key(orig.src).wrapping_mul(0x9e37_79b1) ^ other.wrapping_mul(0x85eb_ca6b);
            let n = u64::from(hi.saturating_sub(lo)) + 1;
            let at = (u64::from(h) * n) >> 32;
            IpAddr::V4(Ipv4Addr::from_bits(lo.wrapping_add(u32::try_from(at).unwrap_or(0))))
        }
        _ => min,
    };
    match manip {
        Manip::Src => t.src = addr,
        Manip::Dst => t.dst = addr,
    }
    t
}

fn port_of(t: &Tuple, manip: Manip) -> u16 {
    match (t.key, manip) {
        (L4Key::Echo { id, .. }, _) => id,
        (key, Manip::Src) => key.sport(),
        (key, Manip::Dst) => key.dport(),
    }
}

fn with_port(t: &Tuple, manip: Manip, port: u16) -> Tuple {
    let key = match (t.key, manip) {
        (L4Key::Ports { dport, .. }, Manip::Src) => L4Key::Ports { sport: port, dport },
        (L4Key::Ports { sport, .. }, Manip::Dst) => L4Key::Ports { sport, dport: port },
        (L4Key::Echo { kind, code, .. }, _) => L4Key::Echo { kind, code, id: port },
        (L4Key::Other, _) => L4Key::Other,
    };
    Tuple { key, ..*t }
}

/// `nf_nat_used_tuple`: the flow with whose packets the answers to this tuple would collide.
fn holder(ns: &Netns, t: &Tuple, conn: ConnId, cx: &Cx<'_>) -> Option<ConnId> {
    ns.ct.taken(&t.invert()?, conn, cx.now)
}

/// `nf_nat_may_kill`, `nf_seq_has_advanced`: a translated TCP connection that is over makes room for one whose sequence
/// numbers are ahead of its own, so that no segment of the old one fits the new one.
fn makes_room(ns: &Netns, holder: ConnId, conn: ConnId) -> bool {
    let (Some(old), Some(new)) = (ns.ct.get(holder), ns.ct.get(conn)) else { return false };
    let (Some(old_tcp), Some(new_tcp)) = (old.tcp, new.tcp) else { return false };
    let over = matches!(old_tcp.state, TcpState::TimeWait | TcpState::Close);
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
/// from several starts.
fn unique_port(
    ns: &Netns,
    wish: Tuple,
    range: &NatRange,
    conn: ConnId,
    manip: Manip,
    cx: &mut Cx<'_>,
) -> (Tuple, Option<ConnId>) {
    let span = match (wish.key, range.ports) {
        (L4Key::Other, _) => return (wish, None),
        (_, Some(ports)) => ports,
        (L4Key::Echo { .. }, None) => PortRange::ALL,
        // A destination port is never drawn.
        (L4Key::Ports { .. }, None) if manip == Manip::Dst => return (wish, None),
        (L4Key::Ports { sport, .. }, None) => port_class(sport),
    };
    let size = u32::from(span.max.saturating_sub(span.min)) + 1;
    let mut attempts = size.min(MAX_ATTEMPTS);
    let mut tuple = wish;
    // A destination is searched from the beginning of its range, a source from anywhere.
    let drawn = range.random || range.random_fully || manip == Manip::Src;
    let mut start = if drawn { cx.rng.next_u32() % size } else { 0 };
    loop {
        for i in 0..attempts {
            let port = span.min.wrapping_add(u16::try_from((start + i) % size).unwrap_or(0));
            tuple = with_port(&wish, manip, port);
            match holder(ns, &tuple, conn, cx) {
                None => return (tuple, None),
                Some(old) if attempts - i <= HARDER && makes_room(ns, old, conn) => {
                    return (tuple, Some(old));
                }
                Some(_) => {}
            }
        }
        if attempts >= size || attempts < 16 {
            return (tuple, None);
        }
        attempts /= 2;
        start = cx.rng.next_u32() % size;
    }
}
