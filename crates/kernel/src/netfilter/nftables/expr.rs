//! Expressions: what a rule reads from a packet (net/netfilter/nft_{payload,meta,ct,fib,numgen,bitwise,lookup}.c).

use super::data::{Data, DataType};
use super::fib::{Fib, FibResult};
use super::payload::{Field, Header};
use super::set::{ElemData, SetRef};
use super::table::TableKey;
use crate::event::HookCtx;
use crate::netfilter::conntrack::{CtState, Direction};
use crate::netfilter::hook::InetHook;
#[cfg(feature = "nft")]
use crate::netfilter::xtables::MatchMemory;
use crate::{Ct, Cx, DevId, Netns, PktType, Skb, SkbOwner};
use packet::Protocol;
use std::net::IpAddr;

/// `meta` (`enum nft_meta_keys`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey {
    /// `mark`
    Mark,
    /// `iif`
    Iif,
    /// `oif`
    Oif,
    /// `iifname`
    Iifname,
    /// `oifname`
    Oifname,
    /// `l4proto`
    L4proto,
    /// `nfproto`
    Nfproto,
    /// `protocol`
    Protocol,
    /// `length`
    Length,
    /// `pkttype`
    Pkttype,
    /// `skuid`
    Skuid,
    /// `skgid`
    Skgid,
    /// `cpu`
    Cpu,
    /// `nftrace`
    Nftrace,
    /// `random`
    Random,
}

impl MetaKey {
    /// All of them.
    pub const ALL: [MetaKey; 15] = [
        MetaKey::Mark,
        MetaKey::Iif,
        MetaKey::Oif,
        MetaKey::Iifname,
        MetaKey::Oifname,
        MetaKey::L4proto,
        MetaKey::Nfproto,
        MetaKey::Protocol,
        MetaKey::Length,
        MetaKey::Pkttype,
        MetaKey::Skuid,
        MetaKey::Skgid,
        MetaKey::Cpu,
        MetaKey::Nftrace,
        MetaKey::Random,
    ];

    /// Its name and what its values are.
    pub fn names(self) -> (&'static str, DataType) {
        match self {
            MetaKey::Mark => ("mark", DataType::Mark),
            MetaKey::Iif => ("iif", DataType::IfIndex),
            MetaKey::Oif => ("oif", DataType::IfIndex),
            MetaKey::Iifname => ("iifname", DataType::Ifname),
            MetaKey::Oifname => ("oifname", DataType::Ifname),
            MetaKey::L4proto => ("l4proto", DataType::InetProto),
            MetaKey::Nfproto => ("nfproto", DataType::NfProto),
            MetaKey::Protocol => ("protocol", DataType::EtherType),
            MetaKey::Length => ("length", DataType::Integer(4)),
            MetaKey::Pkttype => ("pkttype", DataType::PktType),
            MetaKey::Skuid => ("skuid", DataType::Uid),
            MetaKey::Skgid => ("skgid", DataType::Gid),
            MetaKey::Cpu => ("cpu", DataType::Integer(4)),
            MetaKey::Nftrace => ("nftrace", DataType::Integer(1)),
            MetaKey::Random => ("random", DataType::Integer(4)),
        }
    }
}

/// `ct` (`enum nft_ct_keys`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtKey {
    /// `state`
    State,
    /// `direction`
    Direction,
    /// `status`
    Status,
    /// `mark`
    Mark,
    /// `expiration`
    Expiration,
    /// `l3proto`
    L3proto,
    /// `protocol`
    Protocol,
    /// `zone`
    Zone,
    /// `ip saddr`
    Saddr,
    /// `ip daddr`
    Daddr,
    /// `proto-src`
    ProtoSrc,
    /// `proto-dst`
    ProtoDst,
}

impl CtKey {
    /// All of them.
    pub const ALL: [CtKey; 12] = [
        CtKey::State,
        CtKey::Direction,
        CtKey::Status,
        CtKey::Mark,
        CtKey::Expiration,
        CtKey::L3proto,
        CtKey::Protocol,
        CtKey::Zone,
        CtKey::Saddr,
        CtKey::Daddr,
        CtKey::ProtoSrc,
        CtKey::ProtoDst,
    ];

    /// Its name and what its values are.
    pub fn names(self) -> (&'static str, DataType) {
        match self {
            CtKey::State => ("state", DataType::CtState),
            CtKey::Direction => ("direction", DataType::CtDir),
            CtKey::Status => ("status", DataType::CtStatus),
            CtKey::Mark => ("mark", DataType::Mark),
            CtKey::Expiration => ("expiration", DataType::Time),
            CtKey::L3proto => ("l3proto", DataType::NfProto),
            CtKey::Protocol => ("protocol", DataType::InetProto),
            CtKey::Zone => ("zone", DataType::Integer(2)),
            CtKey::Saddr => ("ip saddr", DataType::Ipv4Addr),
            CtKey::Daddr => ("ip daddr", DataType::Ipv4Addr),
            CtKey::ProtoSrc => ("proto-src", DataType::InetService),
            CtKey::ProtoDst => ("proto-dst", DataType::InetService),
        }
    }

    /// It asks for one of the two directions, which a rule has to name.
    pub fn needs_direction(self) -> bool {
        matches!(self, CtKey::Saddr | CtKey::Daddr | CtKey::ProtoSrc | CtKey::ProtoDst)
    }

    /// It may ask for one of the two directions.
    pub fn takes_direction(self) -> bool {
        self.needs_direction() || matches!(self, CtKey::L3proto | CtKey::Protocol | CtKey::Zone)
    }
}

/// Operators between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    Lshift,
    /// `>>`
    Rshift,
}

impl BinaryOp {
    /// All of them, with their signs.
    pub const SIGNS: [(BinaryOp, &'static str); 5] = [
        (BinaryOp::And, "&"),
        (BinaryOp::Or, "|"),
        (BinaryOp::Xor, "^"),
        (BinaryOp::Lshift, "<<"),
        (BinaryOp::Rshift, ">>"),
    ];
}

/// What a rule reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A field of a header.
    Payload(&'static Field),
    /// `meta KEY`
    Meta(MetaKey),
    /// `ct [DIRECTION] KEY`
    Ct(CtKey, Option<Direction>),
    /// `fib`
    Fib(Fib),
    /// `numgen`
    Numgen {
        /// `random`, not `inc`.
        random: bool,
        /// `mod`
        modulus: u32,
        /// `offset`
        offset: u32,
        /// Where the rule keeps the last number.
        slot: usize,
    },
    /// A constant.
    Value(Data, DataType),
    /// `LEFT OP CONSTANT`, or with two expressions on the newest kernels.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `A . B`
    Concat(Vec<Expr>),
    /// `KEY map { ... }`
    Map(Box<Expr>, SetRef),
}

/// What a rule remembers between packets, in the order of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stateful {
    /// `counter`
    Counter {
        /// Packets.
        packets: u64,
        /// Bytes.
        bytes: u64,
    },
    /// `numgen inc`: the next number.
    Number(u32),
    /// `limit`: what is left in the bucket, in nanoseconds, and since when.
    Limit {
        /// Left.
        tokens: u64,
        /// Since when, in nanoseconds; `None` before the first packet.
        last: Option<u64>,
    },
    /// What a match of iptables remembers.
    #[cfg(feature = "nft")]
    Xt(MatchMemory),
}

/// A packet under a rule of a table.
pub(super) struct EvalCx<'a, 'b> {
    pub ns: &'a mut Netns,
    pub table: TableKey,
    /// The rule's handle.
    pub rule: u64,
    pub ctx: &'a HookCtx,
    pub state: &'a mut [Stateful],
    pub cx: &'a mut Cx<'b>,
}

impl Expr {
    /// What values it gives, part by part.
    pub fn types(&self) -> Vec<DataType> {
        match self {
            Expr::Concat(parts) => parts.iter().flat_map(Expr::types).collect(),
            other => vec![other.dtype()],
        }
    }

    /// What value it gives; of a concatenation the first.
    pub fn dtype(&self) -> DataType {
        match self {
            Expr::Payload(field) => field.dtype,
            Expr::Meta(key) => key.names().1,
            Expr::Ct(key, _) => key.names().1,
            Expr::Fib(f) if f.presence => DataType::Boolean,
            Expr::Fib(f) => match f.result {
                FibResult::Oif => DataType::IfIndex,
                FibResult::Oifname => DataType::Ifname,
                FibResult::Type => DataType::FibAddrtype,
            },
            Expr::Numgen { .. } => DataType::Integer(4),
            Expr::Value(_, dtype) => *dtype,
            Expr::Binary(_, left, _) => left.dtype(),
            Expr::Concat(parts) => parts.first().map_or(DataType::Integer(4), Expr::dtype),
            Expr::Map(_, map) => match map {
                SetRef::Named(_, _, data) => data.first().copied().unwrap_or(DataType::Integer(4)),
                SetRef::Anonymous(set) => set.data_types().first().copied().unwrap_or(DataType::Integer(4)),
            },
        }
    }

    /// All values that it gives, a map's included.
    pub fn all_types(&self) -> Vec<DataType> {
        match self {
            Expr::Map(_, SetRef::Named(_, _, data)) => data.to_vec(),
            Expr::Map(_, SetRef::Anonymous(set)) => set.data_types().to_vec(),
            other => other.types(),
        }
    }

    /// The expression and all in it.
    pub fn walk<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        see(self);
        match self {
            Expr::Binary(_, a, b) => {
                a.walk(see);
                b.walk(see);
            }
            Expr::Concat(parts) => parts.iter().for_each(|p| p.walk(see)),
            Expr::Map(key, _) => key.walk(see),
            _ => {}
        }
    }

    /// The value, or `None` if the packet has none: the rule does not match then.
    pub(super) fn eval(&self, skb: &Skb, e: &mut EvalCx<'_, '_>) -> Option<Data> {
        match self {
            Expr::Payload(field) => field.read(skb),
            Expr::Meta(key) => meta(*key, skb, e),
            Expr::Ct(key, dir) => ct(*key, *dir, skb, e),
            Expr::Fib(f) => f.eval(skb, e),
            Expr::Numgen { random, modulus, offset, slot } => {
                let modulus = (*modulus).max(1);
                let n = match random {
                    // reciprocal_scale
                    true => e.cx.rng.one_of(modulus),
                    false => match e.state.get_mut(*slot) {
                        Some(Stateful::Number(next)) => {
                            let n = *next;
                            *next = (n + 1) % modulus;
                            n
                        }
                        _ => 0,
                    },
                };
                Some(Data::u32(n.wrapping_add(*offset)))
            }
            Expr::Value(data, _) => Some(*data),
            Expr::Binary(op, left, right) => {
                let (a, b) = (left.eval(skb, e)?, right.eval(skb, e)?);
                Some(binary(*op, &a, &b))
            }
            Expr::Concat(parts) => {
                let mut key = Data::default();
                for part in parts {
                    key.push(&part.eval(skb, e)?);
                }
                Some(key)
            }
            Expr::Map(key, map) => {
                let key = key.eval(skb, e)?;
                let (table, now) = (e.table, e.cx.now);
                match map.lookup(e.ns, table, &key, now)?.data? {
                    ElemData::Value(data) => Some(data),
                    ElemData::Verdict(_) => None,
                }
            }
        }
    }
}

fn binary(op: BinaryOp, a: &Data, b: &Data) -> Data {
    let shift = b.as_u32().min(127);
    let len = a.bytes().len();
    match op {
        BinaryOp::And => a.combine(b, |x, y| x & y),
        BinaryOp::Or => a.combine(b, |x, y| x | y),
        BinaryOp::Xor => a.combine(b, |x, y| x ^ y),
        BinaryOp::Lshift => Data::number(a.as_number() << shift, len),
        BinaryOp::Rshift => Data::number(a.as_number() >> shift, len),
    }
}

/// `nft_meta_get_eval`
fn meta(key: MetaKey, skb: &Skb, e: &mut EvalCx<'_, '_>) -> Option<Data> {
    let ip = skb.ip()?;
    let index = |d: Option<DevId>| d.map(|d| Data::u32(u32::from(d.0) + 1));
    // Without a device the name is empty.
    let name = |d: Option<DevId>| Some(Data::ifname(d.map_or("", |d| e.ns.dev_name(d))));
    let byte = |n: u8| Some(Data::number(u128::from(n), 1));
    match key {
        MetaKey::Mark => Some(Data::u32(skb.mark)),
        MetaKey::Iif => index(e.ctx.indev).or(Some(Data::u32(0))),
        MetaKey::Oif => index(e.ctx.outdev).or(Some(Data::u32(0))),
        MetaKey::Iifname => name(e.ctx.indev),
        MetaKey::Oifname => name(e.ctx.outdev),
        MetaKey::L4proto => byte(ip.protocol().0),
        MetaKey::Nfproto => byte(if ip.src.is_ipv4() { 2 } else { 10 }),
        MetaKey::Protocol => Some(Data::new(if ip.src.is_ipv4() { &[8, 0] } else { &[0x86, 0xdd] })),
        MetaKey::Length => Some(Data::u32(ip.total_len() as u32)),
        MetaKey::Pkttype => byte(pkttype(skb, e.ctx, ip.dst)),
        // Programs run as root; without a program's socket there is no user.
        MetaKey::Skuid | MetaKey::Skgid => (skb.owner == SkbOwner::Program).then(|| Data::u32(0)),
        MetaKey::Cpu => Some(Data::u32(0)),
        MetaKey::Nftrace => byte(u8::from(skb.nf_trace)),
        MetaKey::Random => Some(Data::u32(e.cx.rng.next_u32())),
    }
}

/// `NFT_META_PKTTYPE`. A host's own copy of what it sends to all (`PACKET_LOOPBACK`), which still has its owner, is told by its
/// address.
fn pkttype(skb: &Skb, ctx: &HookCtx, dst: IpAddr) -> u8 {
    let own_copy = ctx.indev.is_some_and(|d| d != DevId(0)) && skb.owner != SkbOwner::None;
    if own_copy && ctx.hook != InetHook::PostRouting {
        return if dst.is_multicast() { 2 } else { 1 };
    }
    match skb.pkt_type {
        PktType::Host => 0,
        PktType::Broadcast => 1,
        PktType::Multicast => 2,
        PktType::OtherHost => 3,
    }
}

/// Bits of `ct state` (`NF_CT_STATE_BIT`).
pub fn state_bit(state: CtState) -> u32 {
    match state {
        CtState::Invalid => 1,
        CtState::Established => 2,
        CtState::Related => 4,
        CtState::New => 8,
        CtState::Untracked => 64,
    }
}

/// `nft_ct_get_eval`
fn ct(key: CtKey, dir: Option<Direction>, skb: &Skb, e: &EvalCx<'_, '_>) -> Option<Data> {
    if key == CtKey::State {
        return Some(Data::u32(state_bit(skb.ct.state())));
    }
    let Ct::Tracked { conn, info } = skb.ct else { return None };
    let c = e.ns.ct.get(conn)?;
    let tuple = c.tuple(dir.unwrap_or(Direction::Original));
    match key {
        CtKey::State => None,
        CtKey::Direction => Some(Data::number(u128::from(info.dir == Direction::Reply), 1)),
        CtKey::Status => Some(Data::u32(c.status)),
        CtKey::Mark => Some(Data::u32(c.mark)),
        CtKey::Expiration => {
            let left = if c.is_confirmed() { c.expires.since(e.cx.now).as_millis() } else { 0 };
            Some(Data::number(left, 8))
        }
        CtKey::L3proto => Some(Data::number(if tuple.src().is_ipv4() { 2 } else { 10 }, 1)),
        CtKey::Protocol => Some(Data::number(u128::from(tuple.proto().0), 1)),
        CtKey::Zone => Some(Data::number(u128::from(c.zone.id), 2)),
        CtKey::Saddr => Some(Data::addr(tuple.src())),
        CtKey::Daddr => Some(Data::addr(tuple.dst())),
        CtKey::ProtoSrc => Some(Data::number(u128::from(tuple.sport()), 2)),
        CtKey::ProtoDst => Some(Data::number(u128::from(tuple.dport()), 2)),
    }
}

impl Expr {
    /// The protocol that a header asks for.
    pub fn header(&self) -> Option<Header> {
        match self {
            Expr::Payload(field) => Some(field.header),
            _ => None,
        }
    }

    /// True if conntrack has to run.
    pub fn uses_conntrack(&self) -> bool {
        let mut uses = false;
        self.walk(&mut |e| uses |= matches!(e, Expr::Ct(..)));
        uses
    }
}

/// True for protocols of which NAT can choose ports.
pub fn has_ports(protocol: u8) -> bool {
    Protocol(protocol).has_ports()
}
