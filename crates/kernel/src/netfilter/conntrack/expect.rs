//! Expectations: flows that a helper has announced (net/netfilter/nf_conntrack_expect.c).

use super::expect_table::ExpectTable;
use super::{Direction, Helper, Tuple, Zone};
use crate::event::{ExpectEvent, ExpectEventKind, What};
use crate::netfilter::conntrack::L4Key;
use crate::{ConnId, Cx, Instant, Netns, PacketId, Skb};

/// An announced flow (`struct nf_conntrack_expect`). Its source port is not known: any one fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The flow that announced it.
    pub master: ConnId,
    /// What its first packet will look like.
    pub tuple: Tuple,
    /// Who announced it.
    pub helper: Helper,
    /// How NAT's half of the helper wants it to be translated; `None` without one.
    pub nat: Option<ExpectNat>,
    /// When it is given up.
    pub expires: Instant,
}

/// The new flow follows the translation of its master (`nf_nat_follow_master`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectNat {
    /// The direction of the master in which the new flow goes.
    pub dir: Direction,
    /// The client's own port, before NAT.
    pub port: u16,
}

/// A line of `conntrack -L expect`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectRow {
    /// The master's original direction.
    pub master: Tuple,
    /// The announced tuple; source port 0 means any.
    pub tuple: Tuple,
    /// Who announced it.
    pub helper: Helper,
    /// See [`ExpectNat`].
    pub nat: Option<ExpectNat>,
    /// Seconds left.
    pub timeout: u32,
}

impl Expect {
    /// True if the packet is the first of this flow.
    pub fn matches(&self, t: &Tuple) -> bool {
        let ports = match (self.tuple.key(), t.key()) {
            (L4Key::Ports { dport: a, .. }, L4Key::Ports { dport: b, .. }) => a == b,
            _ => false,
        };
        ports && (t.src(), t.dst(), t.proto()) == (self.tuple.src(), self.tuple.dst(), self.tuple.proto())
    }
}

impl Netns {
    /// What `conntrack -L expect` prints.
    pub fn expect_rows(&self, now: Instant) -> Vec<ExpectRow> {
        self.ct.expects.iter().filter_map(|e| row(self, e, now)).collect()
    }
}

fn row(ns: &Netns, e: &Expect, now: Instant) -> Option<ExpectRow> {
    let timeout = u32::try_from(e.expires.since(now).as_secs()).unwrap_or(u32::MAX);
    let master = ns.ct.get(e.master)?.orig;
    Some(ExpectRow { master, tuple: e.tuple, helper: e.helper, nat: e.nat, timeout })
}

fn report(ns: &Netns, packet: PacketId, kind: ExpectEventKind, e: &Expect, cx: &mut Cx<'_>) {
    // IPEXP_NEW is bit 0, IPEXP_DESTROY bit 1.
    let bit = if kind == ExpectEventKind::New { 1 } else { 2 };
    let told = ns.ct.get(e.master).is_some_and(|m| !m.silent && m.events.expect & bit != 0);
    if let Some(row) = row(ns, e, cx.now).filter(|_| told) {
        cx.emit(packet, || What::ExpectEvent(Box::new(ExpectEvent { kind, row })));
    }
}

/// Takes out one, with its message.
fn unlink(ns: &mut Netns, packet: PacketId, at: u32, cx: &mut Cx<'_>) {
    if let Some(e) = ns.ct.expects.remove(at) {
        ns.ct.stats.expect_delete += 1;
        report(ns, packet, ExpectEventKind::Destroy, &e, cx);
    }
}

/// Why an announcement is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unexpected {
    /// Another flow has announced the same.
    Busy,
    /// There are too many.
    Full,
}

/// `nf_ct_expect_related`: adds an expectation. A master that has as many as its helper allows loses its oldest one;
/// an announcement that another flow has made already, or a full table, is an error.
pub(crate) fn nf_ct_expect_related(
    ns: &mut Netns,
    skb: &Skb,
    expect: Expect,
    cx: &mut Cx<'_>,
) -> Result<(), Unexpected> {
    expire(ns, cx);
    let same = |t: &ExpectTable| t.of(expect.master).find(|(_, e)| e.tuple == expect.tuple).map(|(at, _)| at);
    while let Some(at) = same(&ns.ct.expects) {
        unlink(ns, skb.id, at, cx);
    }
    // nf_ct_zone_equal_any: another zone may expect the same.
    let zone = |e: &Expect| ns.ct.get(e.master).map(|m| m.zone.id);
    if ns.ct.expects.like(&expect.tuple).any(|(_, e)| e.tuple == expect.tuple && zone(e) == zone(&expect)) {
        return Err(Unexpected::Busy);
    }
    let oldest = ns.ct.expects.of(expect.master).next().map(|(at, _)| at);
    if let Some(oldest) = oldest
        && ns.ct.expects.of(expect.master).count() >= expect.helper.max_expected()
    {
        unlink(ns, skb.id, oldest, cx);
    }
    if ns.ct.expects.len() >= ns.ct.limits.expect_max as usize {
        ns.net_warn(skb.id, format_args!("nf_conntrack: expectation table full"), cx);
        return Err(Unexpected::Full);
    }
    report(ns, skb.id, ExpectEventKind::New, &expect, cx);
    ns.ct.expects.push(expect);
    ns.ct.stats.expect_create += 1;
    Ok(())
}

/// `nf_ct_find_expectation`: the announcement of a flow that begins; it is used up by that.
pub(super) fn nf_ct_find_expectation(
    ns: &mut Netns,
    packet: PacketId,
    tuple: &Tuple,
    zone: Zone,
    cx: &mut Cx<'_>,
) -> Option<Expect> {
    expire(ns, cx);
    // nf_ct_zone_equal_any: the id of the master's zone, in whichever direction it counts.
    let here = |e: &Expect| ns.ct.get(e.master).is_some_and(|m| m.zone.id == zone.id);
    let (at, found) = ns.ct.expects.like(tuple).find(|(_, e)| e.matches(tuple) && here(e))?;
    let found = found.clone();
    if !ns.ct.get(found.master).is_some_and(super::Conn::is_listed) {
        return None;
    }
    unlink(ns, packet, at, cx);
    ns.ct.stats.expect_new += 1;
    Some(found)
}

/// `nf_ct_remove_expectations`: what a flow has announced goes with it.
pub(super) fn remove_expectations(ns: &mut Netns, packet: PacketId, master: ConnId, cx: &mut Cx<'_>) {
    let next = |t: &ExpectTable| t.of(master).next().map(|(at, _)| at);
    while let Some(at) = next(&ns.ct.expects) {
        unlink(ns, packet, at, cx);
    }
}

/// `conntrack -F expect`: nothing that was announced is awaited any longer.
pub(crate) fn flush(ns: &mut Netns, cx: &mut Cx<'_>) {
    while let Some(at) = ns.ct.expects.first() {
        unlink(ns, PacketId::default(), at, cx);
    }
}

/// Gives up what did not come in time.
pub(crate) fn expire(ns: &mut Netns, cx: &mut Cx<'_>) {
    while let Some(at) = ns.ct.expects.over(cx.now) {
        unlink(ns, PacketId::default(), at, cx);
    }
}
