//! Putting fragments together (net/ipv4/ip_fragment.c, net/ipv4/inet_fragment.c).

use super::icmp_send;
use crate::event::{FragStep, What};
use crate::route::Verdict;
use crate::{Cut, Cx, DevId, DropReason, Netns, PacketId, Skb, Timer};
use litemap::LiteMap;
use packet::{Protocol, icmp_type};
use std::net::Ipv4Addr;
use std::time::Duration;

impl Netns {
    /// How many datagrams wait for fragments.
    pub fn waiting_datagrams(&self) -> usize {
        self.frags.queues.len()
    }
}

/// Who collects (`enum ip_defrag_users`): each has queues of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DefragUser {
    /// `IP_DEFRAG_LOCAL_DELIVER`
    LocalDeliver,
    /// `IP_DEFRAG_CONNTRACK_IN`
    ConntrackIn,
    /// `IP_DEFRAG_CONNTRACK_OUT`
    ConntrackOut,
    /// `IP_DEFRAG_CONNTRACK_BRIDGE_IN`
    ConntrackBridgeIn,
}

/// What the fragments of one datagram have in common (`struct frag_v4_compare_key`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    user: DefragUser,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    id: u16,
    proto: Protocol,
}

/// A fragment that came in: its packet, and which bytes of the datagram it has.
#[derive(Clone, Debug)]
struct Piece {
    skb: Skb,
    from: usize,
    bytes: Vec<u8>,
}

impl Piece {
    fn end(&self) -> usize {
        self.from + self.bytes.len()
    }
}

/// A datagram whose fragments are not all there (`struct ipq`).
#[derive(Clone, Debug)]
struct Queue {
    number: u32,
    /// Runs of fragments that came in one behind the other (`FRAG_CB(skb)->frag_run_len`), by place.
    runs: Vec<Vec<Piece>>,
    /// The end of the datagram as far as it is known.
    len: usize,
    last_in: bool,
    max_size: usize,
    max_df_size: usize,
    /// How many fragments of this sender had come in when the last one of this datagram did.
    rid: u32,
    /// `IPFRAG_ECN_*`: which codepoints the fragments bear.
    ecn: u8,
    indev: Option<DevId>,
    mem: usize,
}

/// Datagrams of a namespace that wait for fragments (`struct fqdir`).
#[derive(Clone, Debug, Default)]
pub(crate) struct FragQueues {
    queues: LiteMap<Key, Queue>,
    /// Fragments of each sender so far (`inet_peer.rid`).
    rid: LiteMap<Ipv4Addr, u32>,
    mem: usize,
    next: u32,
}

/// What a fragment costs beside its bytes, about (`skb->truesize`).
const OVERHEAD: usize = 768;
/// The longest datagram.
const MAX_LEN: usize = 65_535;
/// Header of an IP packet without options.
const HEADER: usize = 20;

/// How a fragment fits.
enum Fit {
    Fits,
    /// There is nothing new in it.
    Duplicate,
    /// It contradicts what is there: the datagram is given up.
    Corrupt,
}

impl FragQueues {
    fn remove(&mut self, key: &Key) -> Option<Queue> {
        let q = self.queues.remove(key)?;
        self.mem = self.mem.saturating_sub(q.mem);
        Some(q)
    }
}

impl Queue {
    /// `ip_frag_queue`, `inet_frag_queue_insert`: puts a fragment to its place. `more` is its MF bit.
    fn insert(&mut self, mut piece: Piece, more: bool) -> Fit {
        if more {
            // All but the last are multiples of eight bytes.
            piece.bytes.truncate(piece.bytes.len() & !7);
        }
        let (from, end) = (piece.from, piece.end());
        let beyond = if more { self.last_in && end > self.len } else { end < self.len };
        if beyond || (!more && self.last_in && end != self.len) {
            return Fit::Corrupt;
        }
        self.len = self.len.max(end);
        self.last_in |= !more;
        if end == from {
            return Fit::Corrupt;
        }
        let tail = self.runs.last().and_then(|r| r.last()).map(Piece::end);
        match tail {
            Some(tail) if tail >= end => {
                let start = |run: &Vec<Piece>| run.first().map_or(0, |p| p.from);
                let stop = |run: &Vec<Piece>| run.last().map_or(0, Piece::end);
                let touches = |run: &&Vec<Piece>| from < stop(run) && start(run) < end;
                match self.runs.iter().find(touches) {
                    Some(run) if start(run) <= from && end <= stop(run) => return Fit::Duplicate,
                    Some(_) => return Fit::Corrupt,
                    None => {}
                }
                let at = self.runs.partition_point(|run| start(run) < from);
                self.runs.insert(at, vec![piece]);
            }
            Some(tail) if from < tail => return Fit::Corrupt,
            Some(tail) if from == tail => {
                if let Some(run) = self.runs.last_mut() {
                    run.push(piece);
                }
            }
            _ => self.runs.push(vec![piece]),
        }
        Fit::Fits
    }

    fn first(&self) -> Option<&Piece> {
        self.runs.first()?.first().filter(|p| p.from == 0)
    }

    fn is_complete(&self) -> bool {
        let have: usize = self.runs.iter().flatten().map(|p| p.bytes.len()).sum();
        self.last_in && self.first().is_some() && have == self.len
    }
}

/// `ip_defrag`: takes a fragment. `Ok` is the datagram that it completes, with the identity, the link-layer header and
/// the notes of its first fragment; otherwise the packet ends here or waits.
pub(crate) fn ip_defrag(ns: &mut Netns, skb: Skb, user: DefragUser, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let Some(ip) = skb.ip() else { return Ok(skb) };
    let (Some(src), Some(dst)) = (ip.src_v4(), ip.dst_v4()) else { return Ok(skb) };
    let key = Key { user, src, dst, id: ip.id, proto: ip.protocol() };
    let limit = usize::try_from(ns.sysctl.ipfrag_high_thresh).unwrap_or(0);
    if limit == 0 || ns.frags.mem > limit {
        return Err(cx.drop(&skb, DropReason::FragMemory));
    }
    let (more, df, tos, offset) = (ip.frag.mf, ip.frag.df, ip.tos, usize::from(ip.frag.offset));
    let piece = Piece { from: offset, bytes: ip.payload_bytes(), skb };
    let (id, dev) = (piece.skb.id, piece.skb.dev);
    let frags = &mut ns.frags;
    if frags.queues.get(&key).is_none() {
        let number = frags.next;
        frags.next = frags.next.wrapping_add(1);
        let rid = frags.rid.get(&src).copied().unwrap_or(0);
        let new = Queue {
            number,
            runs: Vec::new(),
            len: 0,
            last_in: false,
            max_size: 0,
            max_df_size: 0,
            rid,
            ecn: 0,
            indev: None,
            mem: 0,
        };
        frags.queues.insert(key, new);
        start_timer(ns.sysctl.ipfrag_time, number, cx);
    }
    let (max_dist, time) = (ns.sysctl.ipfrag_max_dist, ns.sysctl.ipfrag_time);
    let Some(q) = ns.frags.queues.get_mut(&key) else { return Err(Cut(DropReason::Stolen)) };
    // ip_frag_too_far: so much else of this sender has come in between that the id may be that of another datagram.
    if max_dist > 0 {
        let count = ns.frags.rid.entry(src).or_default();
        *count = count.wrapping_add(1);
        let distance = i64::from(count.wrapping_sub(q.rid));
        q.rid = *count;
        if !q.runs.is_empty() && distance > max_dist {
            let gone = std::mem::take(&mut q.runs);
            ns.frags.mem = ns.frags.mem.saturating_sub(q.mem);
            *q = Queue {
                rid: q.rid,
                number: ns.frags.next,
                max_size: 0,
                max_df_size: 0,
                len: 0,
                ecn: 0,
                mem: 0,
                last_in: false,
                indev: None,
                runs: Vec::new(),
            };
            ns.frags.next = ns.frags.next.wrapping_add(1);
            start_timer(time, q.number, cx);
            drop_all(gone, DropReason::FragTooFar, cx);
        }
    }
    let cost = piece.bytes.len() + OVERHEAD;
    let size = piece.bytes.len() + HEADER;
    let waiting = piece.skb.clone();
    match q.insert(piece, more) {
        Fit::Fits => {}
        Fit::Duplicate => return Err(cx.drop(&waiting, DropReason::FragDuplicate)),
        Fit::Corrupt => {
            if let Some(q) = ns.frags.remove(&key) {
                drop_all(q.runs, DropReason::FragOverlap, cx);
            }
            return Err(cx.drop(&waiting, DropReason::FragOverlap));
        }
    }
    q.indev = dev.or(q.indev);
    q.mem += cost;
    q.ecn |= 1 << (tos & 3);
    q.max_size = q.max_size.max(size);
    if df {
        q.max_df_size = q.max_df_size.max(size);
    }
    let complete = q.is_complete();
    ns.frags.mem += cost;
    if !complete {
        cx.emit(id, || What::Fragment(FragStep::Waits));
        return Err(Cut(DropReason::Stolen));
    }
    match ns.frags.remove(&key) {
        Some(q) => reassemble(q, dev, cx),
        None => Err(Cut(DropReason::Stolen)),
    }
}

fn start_timer(seconds: i64, number: u32, cx: &mut Cx<'_>) {
    let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    cx.set_timer(time, Timer::Frag(number));
}

fn drop_all(runs: Vec<Vec<Piece>>, reason: DropReason, cx: &mut Cx<'_>) {
    for piece in runs.into_iter().flatten() {
        cx.drop(&piece.skb, reason);
    }
}

/// `ip_frag_reasm`
fn reassemble(q: Queue, dev: Option<DevId>, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let mut pieces: Vec<Piece> = q.runs.into_iter().flatten().collect();
    let ecn = ecn_of(q.ecn);
    if q.len + HEADER > MAX_LEN || ecn.is_none() {
        let reason = if ecn.is_none() { DropReason::FragOverlap } else { DropReason::FragTooLong };
        drop_all(vec![std::mem::take(&mut pieces)], reason, cx);
        return Err(Cut(reason));
    }
    let mut bytes = Vec::with_capacity(q.len);
    let parts: Vec<(PacketId, usize)> = pieces.iter().map(|p| (p.skb.id, p.bytes.len())).collect();
    for p in &pieces {
        bytes.extend(&p.bytes);
    }
    if pieces.is_empty() {
        return Err(Cut(DropReason::FragOverlap));
    }
    let mut skb = pieces.swap_remove(0).skb;
    skb.dev = dev;
    skb.frag_max_size = q.max_size.max(q.max_df_size);
    // Sent with DF: the sender looks for the path MTU by fragments of this size.
    let df = q.max_df_size == q.max_size;
    if let Some(ip) = skb.ip_mut() {
        *ip = ip.whole(bytes);
        ip.frag.df = df;
        ip.tos |= ecn.unwrap_or(0);
    }
    let others: Vec<PacketId> = parts.iter().skip(1).map(|(id, _)| *id).collect();
    for (id, _) in parts.iter().skip(1) {
        let into = skb.id;
        cx.emit(*id, || What::Fragment(FragStep::Joined { into }));
    }
    skb.frag_list = Some(parts.into());
    let frame = skb.frame.clone();
    cx.emit(skb.id, || What::Fragment(FragStep::Reassembled { others, frame }));
    Ok(skb)
}

/// `ip_frag_ecn_table`: the congestion bits of the datagram, to be added to those of the first fragment; `None` for a
/// combination that no router makes.
fn ecn_of(seen: u8) -> Option<u8> {
    const NOT_ECT: u8 = 1;
    const ECT_1: u8 = 1 << 1;
    const ECT_0: u8 = 1 << 2;
    const CE: u8 = 1 << 3;
    match seen {
        s if s & CE != 0 && s & NOT_ECT != 0 => None,
        s if s & CE != 0 && s & (ECT_0 | ECT_1) != 0 => Some(3),
        s if s & NOT_ECT != 0 && s & (ECT_0 | ECT_1) != 0 => Some(0),
        _ => Some(0),
    }
}

/// `ip_expire`: not all fragments came. The sender is told if the first one did, and if this host was to put them together
/// for itself.
pub(crate) fn frag_timer(ns: &mut Netns, number: u32, cx: &mut Cx<'_>) {
    let Some(key) = ns.frags.queues.iter().find(|(_, q)| q.number == number).map(|(k, _)| *k) else { return };
    let Some(q) = ns.frags.remove(&key) else { return };
    if let (Some(first), Some(dev)) = (q.first(), q.indev) {
        let mut skb = first.skb.clone();
        skb.dev = Some(dev);
        if let Ok(skb) = ns.ip_route_input(skb, dev, cx) {
            let here = skb.dst.is_some_and(|d| d.verdict == Verdict::Local);
            let for_us = matches!(key.user, DefragUser::LocalDeliver | DefragUser::ConntrackOut);
            if here || for_us {
                icmp_send(ns, &skb, icmp_type::TIME_EXCEEDED, 1, None, cx);
            }
        }
    }
    drop_all(q.runs, DropReason::FragTimeout, cx);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_marks_of_fragments_are_combined_as_in_rfc_3168() {
        assert_eq!(ecn_of(1 << 3 | 1 << 2), Some(3), "CE and ECT(0)");
        assert_eq!(ecn_of(1 << 3 | 1), None, "CE and not-ECT");
        assert_eq!(ecn_of(1), Some(0));
    }
}
