//! Two packets of one flow made an entry each, and both come to confirm them (`nf_ct_resolve_clash`,
//! net/netfilter/nf_conntrack_core.c). That takes two processors, or a packet that has waited on its way.

use super::expect::remove_expectations;
use super::table::Conn;
use super::{ConnInfo, Direction, status};
use crate::event::{ClashStep, What};
use crate::{ConnId, Ct, Cut, Cx, DropReason, Era, Netns, Skb};
use packet::Protocol;

/// `nf_conn.allow_clash` of the protocol: it does not matter which of two entries counts a packet.
fn allow_clash(era: Era, proto: Protocol) -> bool {
    match proto {
        Protocol::UDP | Protocol::UDPLITE => era.resolves_clashes(),
        Protocol::GRE => era.clash_enters_reply(),
        Protocol::TCP | Protocol::SCTP | Protocol::ICMP | Protocol::ICMPV6 => false,
        _ => era.generic_allows_clash(),
    }
}

/// `nf_ct_resolve_clash`: the packet goes on with the entry that is in the table, or with its own one, which answers find; or it
/// is lost.
#[cold]
#[inline(never)]
pub(super) fn resolve_clash(
    ns: &mut Netns,
    skb: Skb,
    (loser, info): (ConnId, ConnInfo),
    winner: ConnId,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let era = ns.era();
    if !era.counts_clashes() {
        ns.ct.stats.insert_failed += 1;
    }
    let allowed = ns.ct.get(winner).is_some_and(|c| allow_clash(era, c.orig.proto()));
    if allowed && can_merge(ns, winner, loser) {
        return Ok(merge(ns, skb, (loser, info), winner, cx));
    }
    if allowed && era.clash_enters_reply() {
        match ns.ct.insert_reply(loser, cx.now) {
            Ok(()) => {
                ns.ct.stats.clash_resolve += 1;
                cx.emit(skb.id, || What::Clash { conn: loser, winner, step: ClashStep::ReplyOnly });
                return Ok(skb);
            }
            Err(other) if can_merge(ns, other, loser) => {
                return Ok(merge(ns, skb, (loser, info), other, cx));
            }
            Err(_) => {}
        }
    }
    if era.counts_clashes() {
        ns.ct.stats.insert_failed += 1;
    }
    if era.resolves_clashes() {
        ns.ct.stats.drop += 1;
    }
    cx.emit(skb.id, || What::Clash { conn: loser, winner, step: ClashStep::Lost });
    // What the helper has announced for it goes with it.
    remove_expectations(ns, skb.id, loser, cx);
    Err(cx.drop(&skb, DropReason::CtInsertFailed))
}

/// `nf_ct_can_merge`: both say the same of the flow; until 6.12 also if the one in the table is of a host without NAT, since then also
/// if they have seen it from its two ends.
fn can_merge(ns: &Netns, winner: ConnId, loser: ConnId) -> bool {
    let (Some(winner), Some(loser)) = (ns.ct.get(winner), ns.ct.get(loser)) else { return false };
    let (orig, reply) = (Direction::Original, Direction::Reply);
    let same = |theirs, ours| {
        let tuple = |c: &Conn, dir| (*c.tuple(dir), c.zone.id(dir));
        tuple(winner, theirs) == tuple(loser, ours)
    };
    let matches = same(orig, orig) && same(reply, reply);
    match ns.era().merges_reverse_clash() {
        true => matches || same(orig, reply) && same(reply, orig),
        false => matches || winner.status & (status::SRC_NAT_DONE | status::DST_NAT_DONE) == 0,
    }
}

/// `__nf_ct_resolve_clash`: the packet belongs to the winner from now on, which counts it too (`nf_ct_acct_merge`).
fn merge(
    ns: &mut Netns,
    mut skb: Skb,
    (loser, info): (ConnId, ConnInfo),
    winner: ConnId,
    cx: &mut Cx<'_>,
) -> Skb {
    let counted = ns.ct.get(loser).is_some_and(|c| c.counters.is_some());
    let bytes = skb.ip().map_or(0, packet::Ip::total_len);
    if counted && let Some(c) = ns.ct.get_mut(winner) {
        c.account(info.dir, bytes);
    }
    ns.ct.stats.clash_resolve += u64::from(ns.era().counts_clashes());
    remove_expectations(ns, skb.id, loser, cx);
    skb.ct = Ct::Tracked { conn: winner, info };
    cx.emit(skb.id, || What::Clash { conn: loser, winner, step: ClashStep::Merged });
    skb
}
