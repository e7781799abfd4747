//! What statements do: limits, the log, NAT, answers, members of sets (net/netfilter/nft_{limit,log,nat,reject,dynset}.c).

use super::data::Data;
use super::expr::EvalCx;
use super::set::ElemData;
use super::stmt::{Dynset, DynsetOp, NatKind, NftLimit, NftLog, NftNat, NftVerdict, Ran, RejectKind, Seen};
use crate::netfilter::hook::InetHook;
use crate::netfilter::nat::{Manip, NatRange, nf_nat_setup_info};
use crate::netfilter::xtables::PortRange;
use crate::netfilter::xtables::targets::{Log, Reject, RejectWith};
use crate::route::Flow;
use crate::{Ct, Skb};
use packet::Protocol;
use std::net::IpAddr;

impl NftLimit {
    /// `nft_limit_eval`: time fills the bucket, each packet takes its share out.
    pub(super) fn eval(self, tokens: &mut u64, last: &mut Option<u64>, now: u64) -> Ran {
        let cost = self.cost();
        let max = cost * self.burst.max(1);
        let filled = match *last {
            Some(since) => (*tokens + (now - since)).min(max),
            None => max,
        };
        *last = Some(now);
        let within = filled >= cost;
        *tokens = if within { filled - cost } else { filled };
        if within != self.over { Ran::Next } else { Ran::Break }
    }

    /// Nanoseconds for one packet.
    fn cost(self) -> u64 {
        self.unit * 1_000_000_000 / self.rate.max(1)
    }
}

impl NftLog {
    pub(super) fn eval(&self, skb: &Skb, e: &mut EvalCx<'_, '_>) {
        if self.group.is_some() {
            return;
        }
        let flag = |n: u8| self.flags >> n & 1 == 1;
        let log = Log {
            prefix: self.prefix.as_deref().unwrap_or_default().to_owned(),
            level: self.level.unwrap_or(4),
            tcp_sequence: flag(0),
            tcp_options: flag(1),
            ip_options: flag(2),
            uid: flag(3),
            macdecode: flag(5),
        };
        log.eval(e.ns, skb, e.ctx, e.cx);
    }
}

impl NftNat {
    /// `nft_nat_eval`
    pub(super) fn eval(&self, skb: &mut Skb, e: &mut EvalCx<'_, '_>) -> Ran {
        let Ct::Tracked { conn, .. } = skb.ct else { return Ran::Verdict(NftVerdict::Accept) };
        let mut range = NatRange {
            random: self.flags.random,
            random_fully: self.flags.fully_random,
            persistent: self.flags.persistent,
            ..NatRange::default()
        };
        let mut port = None;
        if let Some(expr) = &self.addr {
            let Some(first) = expr.eval(skb, e) else { return Ran::Break };
            let types = expr.all_types();
            let parts = first.parts(&types);
            let first = parts.first().and_then(Data::as_addr);
            port = parts.get(1).map(|p| p.as_u32() as u16);
            let last = match &self.addr_last {
                Some(expr) => match expr.eval(skb, e) {
                    Some(data) => data.as_addr(),
                    None => return Ran::Break,
                },
                None => first,
            };
            range.addr = first.zip(last);
        }
        if let Some(expr) = &self.port {
            let Some(data) = expr.eval(skb, e) else { return Ran::Break };
            port = Some(data.as_u32() as u16);
        }
        if let Some(min) = port {
            let max = match &self.port_last {
                Some(expr) => match expr.eval(skb, e) {
                    Some(data) => data.as_u32() as u16,
                    None => return Ran::Break,
                },
                None => min,
            };
            range.ports = Some(PortRange { min, max });
        }
        let manip = if self.manip == NatKind::Dnat { Manip::Dst } else { Manip::Src };
        match nf_nat_setup_info(e.ns, skb, conn, &range, manip, false, e.cx) {
            Ok(()) => Ran::Verdict(NftVerdict::Accept),
            Err(reason) => Ran::Dropped(reason),
        }
    }
}

impl RejectKind {
    /// The code of the message of ICMP (`nft_reject_icmp_code`), or of ICMPv6 (`nft_reject_icmpv6_code`).
    fn icmp_code(self, v4: bool) -> Option<u8> {
        match self {
            RejectKind::TcpReset => None,
            RejectKind::Icmp(code) | RejectKind::Icmpv6(code) => Some(code),
            RejectKind::Icmpx(x) if v4 => [0, 3, 1, 13].get(usize::from(x)).copied(),
            RejectKind::Icmpx(x) => [0, 4, 3, 1].get(usize::from(x)).copied(),
        }
    }

    pub(super) fn eval(self, skb: &Skb, e: &mut EvalCx<'_, '_>) -> Ran {
        let v4 = skb.ip().is_some_and(|ip| ip.src.is_ipv4());
        let fits = match self {
            RejectKind::TcpReset => skb.ip().is_some_and(|ip| ip.protocol() == Protocol::TCP),
            RejectKind::Icmp(_) => v4,
            RejectKind::Icmpv6(_) => !v4,
            RejectKind::Icmpx(_) => true,
        };
        if !fits {
            return Ran::Break;
        }
        let code = self.icmp_code(v4);
        let kinds: &[RejectWith] = if v4 { &RejectWith::ALL } else { &RejectWith::ALL6 };
        let with = kinds.iter().find(|w| w.icmp_code() == code).copied().unwrap_or_default();
        let reject = Reject { with };
        match skb.ip().map(|ip| ip.src) {
            // Over the loopback a packet brings along the route that it was sent by.
            Some(IpAddr::V4(src)) if e.ctx.hook == InetHook::PreRouting && skb.dst.is_none() => {
                if let Ok((route, _)) = e.ns.ip_route_output(&Flow::to(src)) {
                    // nf_reject_fill_skb_dst: nobody has looked for a route yet, so that to the sender stands in for it.
                    let mut routed = skb.clone();
                    routed.dst = Some(route);
                    reject.eval(e.ns, &routed, e.cx);
                }
            }
            _ => drop(reject.eval(e.ns, skb, e.cx)),
        }
        Ran::Verdict(NftVerdict::Drop)
    }
}

impl Dynset {
    /// `nft_dynset_eval`
    pub(super) fn eval(&self, skb: &Skb, e: &mut EvalCx<'_, '_>, seen: &mut Seen, len: usize) -> Ran {
        let Some(key) = self.key.eval(skb, e) else { return Ran::Break };
        seen.value = Some(key);
        let data = match &self.data {
            Some(expr) => match expr.eval(skb, e) {
                Some(data) => Some(ElemData::Value(data)),
                None => return Ran::Break,
            },
            None => None,
        };
        let now = e.cx.now;
        let Some(set) = e.ns.nft.table_by_key_mut(e.table).and_then(|t| t.set_by_key_mut(self.set)) else {
            return Ran::Break;
        };
        if self.op == DynsetOp::Delete {
            set.remove(&key, now);
            return Ran::Next;
        }
        let refresh = self.op == DynsetOp::Update;
        let Some(at) = set.update(key, refresh, self.timeout, (&self.stateful, data), now) else {
            return Ran::Break;
        };
        set.count_at(at, len);
        Ran::Next
    }
}
