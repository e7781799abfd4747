//! Statements: what a rule asks and does (net/netfilter/nft_{cmp,range,lookup,immediate,counter,limit,nat,masq,redir,reject,
//! dynset,log}.c).

#[cfg(feature = "nft")]
use super::compat::{self, XtMatch};
use super::data::Data;
use super::expr::{BinaryOp, CtKey, EvalCx, Expr, MetaKey, Stateful};
use super::set::{ElemData, SetRef};
use super::table::{ChainKey, SetKey};
use crate::netfilter::conntrack::ipct;
use crate::netfilter::hook::InetHook;
use crate::netfilter::xtables::Check;
use crate::netfilter::xtables::PortRange;
use crate::netfilter::xtables::Verdict;
#[cfg(feature = "nft")]
use crate::netfilter::xtables::targets::Target;
use crate::netfilter::xtables::targets::{Masquerade, Redirect, TargetVerdict};
use crate::{Ct, DropReason, Skb};
use packet::Family;
use std::rc::Rc;

/// A verdict of a rule or of a verdict map (`enum nft_verdicts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NftVerdict {
    /// `accept`
    Accept,
    /// `drop`
    Drop,
    /// `continue`
    Continue,
    /// `return`
    Return,
    /// `jump CHAIN`
    Jump(ChainKey),
    /// `goto CHAIN`
    Goto(ChainKey),
}

impl NftVerdict {
    /// The chain that it leads to.
    pub fn chain(self) -> Option<ChainKey> {
        match self {
            NftVerdict::Jump(c) | NftVerdict::Goto(c) => Some(c),
            _ => None,
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmpOp {
    /// Equal, or in the set.
    Eq,
    /// `!=`
    Neq,
    /// `<`
    Lt,
    /// `>`
    Gt,
    /// `<=`
    Lte,
    /// `>=`
    Gte,
    /// At least one of the bits is set.
    Flags,
    /// `!`: none of the bits is set.
    NoFlags,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Right {
    /// One value.
    Value(Data),
    /// The first bits of a value.
    Prefix(Data, u16),
    /// Everything from the first to the second.
    Range(Data, Data),
    /// The members of a set.
    Set(SetRef),
}

/// `limit`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NftLimit {
    /// Packets
    pub rate: u64,
    /// in so many seconds.
    pub unit: u64,
    /// `burst`
    pub burst: u64,
    /// `over`
    pub over: bool,
}

/// `log`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NftLog {
    /// `prefix`
    pub prefix: Option<Rc<str>>,
    /// `level`
    pub level: Option<u8>,
    /// `flags`: tcp sequence, tcp options, ip options, skuid, ether.
    pub flags: u8,
    /// `group`: not into the kernel's ring buffer.
    pub group: Option<u16>,
    /// `snaplen`
    pub snaplen: Option<u32>,
    /// `queue-threshold`
    pub qthreshold: Option<u16>,
}

/// `random`, `fully-random`, `persistent`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatFlags {
    /// `random`
    pub random: bool,
    /// `fully-random`
    pub fully_random: bool,
    /// `persistent`
    pub persistent: bool,
}

/// `snat`, `dnat`
#[derive(Clone, Debug, PartialEq)]
pub struct NftNat {
    /// Which side is changed.
    pub manip: NatKind,
    /// `ip` or `ip6`, where the rule says so.
    pub family: Option<Family>,
    /// The address, or the first one; or address and port from a map.
    pub addr: Option<Expr>,
    /// The last address.
    pub addr_last: Option<Expr>,
    /// The port, or the first one.
    pub port: Option<Expr>,
    /// The last port.
    pub port_last: Option<Expr>,
    /// Flags.
    pub flags: NatFlags,
}

/// Which side a NAT statement changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// `snat`
    Snat,
    /// `dnat`
    Dnat,
}

/// The answer of `reject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// `tcp reset`
    TcpReset,
    /// `icmp CODE`
    Icmp(u8),
    /// `icmpv6 CODE`
    Icmpv6(u8),
    /// `icmpx CODE`: the kernel's own numbers, for both families.
    Icmpx(u8),
}

/// What happens to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynsetOp {
    /// `add`
    Add,
    /// `update`
    Update,
    /// `delete`
    Delete,
}

/// `add @SET { ... }`
#[derive(Clone, Debug, PartialEq)]
pub struct Dynset {
    /// What happens.
    pub op: DynsetOp,
    /// To which set.
    pub set: SetKey,
    /// Its name.
    pub name: Rc<str>,
    /// The key.
    pub key: Expr,
    /// `timeout`, in milliseconds
    pub timeout: Option<u64>,
    /// What a map's member leads to.
    pub data: Option<Expr>,
    /// What the member counts.
    pub stateful: Vec<Stateful>,
}

/// One part of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// A question: the rule goes on if the answer is yes.
    Match {
        /// What is read.
        left: Expr,
        /// How it is compared.
        op: CmpOp,
        /// With what.
        right: Right,
    },
    /// A verdict.
    Verdict(NftVerdict),
    /// `KEY vmap MAP`
    Vmap(Expr, SetRef),
    /// `counter`: where the rule keeps it, and what it began with.
    Counter(usize, Stateful),
    /// `limit`, and where the rule keeps what is left.
    Limit(NftLimit, usize),
    /// `log`
    Log(Box<NftLog>),
    /// `meta KEY set VALUE`
    MetaSet(MetaKey, Expr),
    /// `ct KEY set VALUE`
    CtSet(CtKey, Expr),
    /// `snat`, `dnat`
    Nat(Box<NftNat>),
    /// `masquerade [to :PORTS]`
    Masquerade(Option<(u16, u16)>, NatFlags),
    /// `redirect [to :PORTS]`
    Redirect(Option<(u16, u16)>, NatFlags),
    /// `reject`
    Reject(RejectKind),
    /// `add`, `update`, `delete` of a set
    Dynset(Box<Dynset>),
    /// `notrack`
    Notrack,
    /// A match of iptables.
    #[cfg(feature = "nft")]
    XtMatch(Box<XtMatch>),
    /// A target of iptables that is no verdict.
    #[cfg(feature = "nft")]
    XtTarget(Box<Target>),
}

/// What a statement said.
pub(super) enum Ran {
    /// The next one.
    Next,
    /// The rule does not match (`NFT_BREAK`).
    Break,
    /// A verdict.
    Verdict(NftVerdict),
    /// The packet is dropped, for a reason of its own.
    Dropped(DropReason),
}

/// What a statement saw, for the log.
#[derive(Clone, Debug, PartialEq)]
pub struct NftCheck {
    /// Which statement of the rule, from 0.
    pub stmt: usize,
    /// The rule went on.
    pub ok: bool,
    /// The value that it read; `None` if the packet has none.
    pub seen: Option<Data>,
    /// What a verdict map said.
    pub verdict: Option<NftVerdict>,
    /// What a match of iptables looked at.
    pub xt: Vec<Check>,
}

impl Right {
    fn holds(&self, op: CmpOp, seen: &Data, e: &mut EvalCx<'_, '_>, len: usize) -> bool {
        let yes = match self {
            Right::Value(v) => match op {
                CmpOp::Eq | CmpOp::Neq => seen == v,
                CmpOp::Lt => return seen < v,
                CmpOp::Gt => return seen > v,
                CmpOp::Lte => return seen <= v,
                CmpOp::Gte => return seen >= v,
                CmpOp::Flags => !seen.combine(v, |a, b| a & b).is_zero(),
                CmpOp::NoFlags => return seen.combine(v, |a, b| a & b).is_zero(),
            },
            Right::Prefix(v, bits) => same_prefix(seen, v, *bits),
            Right::Range(a, b) => a <= seen && seen <= b,
            Right::Set(set) => find(set, seen, e, len).is_some(),
        };
        yes != (op == CmpOp::Neq)
    }
}

/// Looks a key up; a set that counts counts the packet.
fn find(set: &SetRef, key: &Data, e: &mut EvalCx<'_, '_>, len: usize) -> Option<Option<ElemData>> {
    let (table, now) = (e.table, e.cx.now);
    let hit = set.lookup(e.ns, table, key, now)?;
    if hit.counts
        && let SetRef::Named(id, ..) = set
        && let Some(set) = e.ns.nft.table_by_key_mut(table).and_then(|t| t.set_by_key_mut(*id))
    {
        set.count(key, len, now);
    }
    Some(hit.data)
}

fn same_prefix(a: &Data, b: &Data, bits: u16) -> bool {
    let (whole, rest) = (usize::from(bits / 8), bits % 8);
    let (a, b) = (a.bytes(), b.bytes());
    if a.len() < whole || a.get(..whole) != b.get(..whole) {
        return false;
    }
    let top = |x: &[u8]| x.get(whole).map(|n| n >> (8 - rest));
    rest == 0 || top(a) == top(b)
}

/// `meta random & 0x7fffffff < N`, as `-m statistic` is translated: the number with which the draw is compared.
fn drawn_below(left: &Expr, op: CmpOp, right: &Right) -> Option<u32> {
    let (Expr::Binary(BinaryOp::And, drawn, mask), Right::Value(below)) = (left, right) else { return None };
    let half = matches!(&**mask, Expr::Value(m, _) if m.as_u32() == 0x7fff_ffff);
    let compares = matches!(op, CmpOp::Lt | CmpOp::Gte) && matches!(**drawn, Expr::Meta(MetaKey::Random));
    (half && compares).then(|| below.as_u32())
}

impl Stmt {
    /// The expressions in it.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Stmt::Match { left, .. } => vec![left],
            Stmt::Vmap(e, _) | Stmt::MetaSet(_, e) | Stmt::CtSet(_, e) => vec![e],
            Stmt::Nat(n) => [&n.addr, &n.addr_last, &n.port, &n.port_last].into_iter().flatten().collect(),
            Stmt::Dynset(d) => std::iter::once(&d.key).chain(&d.data).collect(),
            _ => Vec::new(),
        }
    }

    /// The sets that it looks into.
    pub fn sets(&self) -> Vec<&SetRef> {
        let mut out = Vec::new();
        for e in self.exprs() {
            e.walk(&mut |e| {
                if let Expr::Map(_, set) = e {
                    out.push(set);
                }
            });
        }
        match self {
            Stmt::Match { right: Right::Set(set), .. } | Stmt::Vmap(_, set) => out.push(set),
            _ => {}
        }
        out
    }

    /// The table's sets that it uses.
    pub fn named_sets(&self) -> Vec<SetKey> {
        let dynset = match self {
            Stmt::Dynset(d) => Some(d.set),
            _ => None,
        };
        self.sets().into_iter().filter_map(SetRef::named).chain(dynset).collect()
    }

    /// The chains to which it leads by itself or by a map of its own.
    pub fn chains(&self) -> Vec<ChainKey> {
        match self {
            Stmt::Verdict(v) => v.chain().into_iter().collect(),
            Stmt::Vmap(_, SetRef::Anonymous(map)) => map.elems().iter().filter_map(|e| e.chain()).collect(),
            _ => Vec::new(),
        }
    }

    /// True if conntrack has to run (`nf_ct_netns_get`).
    pub fn uses_conntrack(&self) -> bool {
        let nat = matches!(self, Stmt::Nat(_) | Stmt::Masquerade(..) | Stmt::Redirect(..) | Stmt::CtSet(..));
        #[cfg(feature = "nft")]
        match self {
            Stmt::XtMatch(x) => return x.m.uses_conntrack(),
            Stmt::XtTarget(t) => return t.uses_conntrack(),
            _ => {}
        }
        nat || self.exprs().into_iter().any(Expr::uses_conntrack)
    }

    /// True if the rule keeps something for it between packets.
    pub(super) fn remembers(&self) -> bool {
        #[cfg(feature = "nft")]
        if let Stmt::XtMatch(x) = self {
            return x.m.remembers();
        }
        matches!(self, Stmt::Counter(..) | Stmt::Limit(..))
            || self.exprs().into_iter().any(|e| {
                let mut found = false;
                e.walk(&mut |e| found |= matches!(e, Expr::Numgen { random: false, .. }));
                found
            })
    }

    /// In chains of type nat only.
    pub fn is_nat(&self) -> bool {
        matches!(self, Stmt::Nat(_) | Stmt::Masquerade(..) | Stmt::Redirect(..))
    }

    /// From which hooks it may be reached; `None` means all.
    pub fn hooks(&self) -> Option<&'static [InetHook]> {
        use InetHook::*;
        let mut fib = None;
        for e in self.exprs() {
            e.walk(&mut |e| {
                if let Expr::Fib(f) = e {
                    fib = f.hooks();
                }
            });
        }
        if fib.is_some() {
            return fib;
        }
        match self {
            Stmt::Nat(n) if n.manip == NatKind::Dnat => Some(&[PreRouting, LocalOut]),
            Stmt::Nat(_) => Some(&[PostRouting, LocalIn]),
            Stmt::Redirect(..) => Some(&[PreRouting, LocalOut]),
            Stmt::Masquerade(..) => Some(&[PostRouting]),
            Stmt::Reject(_) => Some(&[LocalIn, Forward, LocalOut, PreRouting]),
            _ => None,
        }
    }

    /// Runs it. What it saw goes into `seen`.
    pub(super) fn run(&self, skb: &mut Skb, e: &mut EvalCx<'_, '_>, seen: &mut Seen) -> Ran {
        let len = skb.ip().map_or(0, packet::Ip::total_len);
        match self {
            Stmt::Match { left, op, right } => {
                let value = match drawn_below(left, *op, right) {
                    Some(below) => Some(Data::u32(e.cx.rng.draw(below))),
                    None => left.eval(skb, e),
                };
                let Some(value) = value else { return Ran::Break };
                seen.value = Some(value);
                if right.holds(*op, &value, e, len) { Ran::Next } else { Ran::Break }
            }
            Stmt::Verdict(v) => Ran::Verdict(*v),
            Stmt::Vmap(key, map) => {
                let Some(value) = key.eval(skb, e) else { return Ran::Break };
                seen.value = Some(value);
                match find(map, &value, e, len) {
                    Some(Some(ElemData::Verdict(v))) => {
                        seen.verdict = Some(v);
                        Ran::Verdict(v)
                    }
                    _ => Ran::Break,
                }
            }
            Stmt::Counter(slot, _) => {
                if let Some(Stateful::Counter { packets, bytes }) = e.state.get_mut(*slot) {
                    *packets += 1;
                    *bytes += len as u64;
                }
                Ran::Next
            }
            Stmt::Limit(limit, slot) => {
                let now = e.cx.now.0 * 1000;
                match e.state.get_mut(*slot) {
                    Some(Stateful::Limit { tokens, last }) => limit.eval(tokens, last, now),
                    _ => Ran::Next,
                }
            }
            Stmt::Log(log) => {
                log.eval(skb, e);
                Ran::Next
            }
            Stmt::MetaSet(key, value) => {
                let Some(value) = value.eval(skb, e) else { return Ran::Break };
                seen.value = Some(value);
                match key {
                    MetaKey::Mark => skb.mark = value.as_u32(),
                    MetaKey::Nftrace => skb.nf_trace = !value.is_zero(),
                    _ => {}
                }
                Ran::Next
            }
            Stmt::CtSet(_, value) => {
                let Some(value) = value.eval(skb, e) else { return Ran::Break };
                seen.value = Some(value);
                let mark = value.as_u32();
                if let Ct::Tracked { conn, .. } = skb.ct
                    && let Some(c) = e.ns.ct.get_mut(conn).filter(|c| c.mark != mark)
                {
                    c.mark = mark;
                    c.pending |= ipct::MARK;
                }
                Ran::Next
            }
            Stmt::Nat(nat) => nat.eval(skb, e),
            Stmt::Masquerade(ports, flags) => {
                let target = Masquerade {
                    ports: ports.map(|(min, max)| PortRange { min, max }),
                    random: flags.random,
                    random_fully: flags.fully_random,
                };
                ran(target.eval(e.ns, skb, e.ctx, e.cx))
            }
            Stmt::Redirect(ports, flags) => {
                let target = Redirect {
                    ports: ports.map(|(min, max)| PortRange { min, max }),
                    random: flags.random || flags.fully_random,
                };
                ran(target.eval(e.ns, skb, e.ctx, e.cx))
            }
            Stmt::Reject(kind) => kind.eval(skb, e),
            Stmt::Dynset(d) => d.eval(skb, e, seen, len),
            Stmt::Notrack => {
                if matches!(skb.ct, Ct::None) {
                    skb.ct = Ct::Untracked;
                }
                Ran::Next
            }
            #[cfg(feature = "nft")]
            Stmt::XtMatch(x) => x.eval(skb, e, seen),
            #[cfg(feature = "nft")]
            Stmt::XtTarget(target) => compat::eval_target(target, skb, e),
        }
    }
}

/// What the statement that just ran has seen.
#[derive(Default)]
pub(super) struct Seen {
    pub value: Option<Data>,
    pub verdict: Option<NftVerdict>,
    pub xt: Vec<Check>,
}

pub(super) fn ran(said: Result<TargetVerdict, DropReason>) -> Ran {
    match said {
        Ok(TargetVerdict::Continue) => Ran::Next,
        Ok(TargetVerdict::Final(Verdict::Accept)) => Ran::Verdict(NftVerdict::Accept),
        Ok(TargetVerdict::Final(Verdict::Drop)) => Ran::Verdict(NftVerdict::Drop),
        Err(reason) => Ran::Dropped(reason),
    }
}
