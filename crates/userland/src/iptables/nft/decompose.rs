//! A rule of nf_tables as iptables-nft reads it (nft-shared.c of iptables 1.8.9). It was not necessarily made by iptables-nft: what
//! iptables has no word for is left out, or makes the table incompatible.

use super::compose::{NO_DEVICE, protocol_of};
use crate::nft::Names;
use kernel::netfilter::nftables::{
    BinaryOp, CmpOp, Data, Expr, Field, MetaKey, NftLimit, NftLog, NftRule, NftVerdict, Right, Stateful, Stmt,
};
use kernel::netfilter::xtables::matches::{
    LIMIT_SCALE, Limit, MarkMatch, Match, TcpFlagsMatch, TcpMatch, UdpMatch,
};
use kernel::netfilter::xtables::targets::{Nflog, Target};
use kernel::netfilter::xtables::{ChainId, Counters, IfaceMatch, IpMatch, Neg, PortRange, Rule};
use packet::{Protocol, TcpFlags};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a rule is to iptables.
pub(super) struct Decomposed {
    pub rule: Rule,
    pub counters: Counters,
    /// False if iptables-nft refuses to list it (`nft_is_rule_compatible`).
    pub compatible: bool,
}

/// Reads a rule; `chain` gives the number of a chain that it leads to.
pub(super) fn decompose(
    rule: &NftRule,
    state: &[Stateful],
    names: Names<'_>,
    chain: &dyn Fn(kernel::netfilter::nftables::ChainKey) -> Option<ChainId>,
) -> Decomposed {
    let mut d = Reader { rule: Rule::default(), names };
    let (mut counters, mut compatible) = (Counters::default(), true);
    for stmt in &rule.stmts {
        match stmt {
            Stmt::Match { left, op, right } => {
                compatible &= d.question(left, *op, right).is_some();
            }
            Stmt::Verdict(v) => {
                d.rule.target = match *v {
                    NftVerdict::Accept => Target::Accept,
                    NftVerdict::Drop => Target::Drop,
                    NftVerdict::Return => Target::Return,
                    NftVerdict::Continue => Target::None,
                    NftVerdict::Jump(to) => chain(to).map_or(Target::None, Target::Jump),
                    NftVerdict::Goto(to) => chain(to).map_or(Target::None, Target::Goto),
                }
            }
            Stmt::Counter(slot, from) => {
                if let Stateful::Counter { packets, bytes } = *state.get(*slot).unwrap_or(from) {
                    counters = Counters { packets, bytes };
                }
            }
            Stmt::Limit(l, _) if !l.over => d.rule.matches.push(Match::Limit(limit(*l))),
            Stmt::Log(log) if log.group.is_some() => d.rule.target = Target::Nflog(nflog(log)),
            Stmt::XtMatch(x) => d.rule.matches.push(x.m.clone()),
            Stmt::XtTarget(t) => d.rule.target = (**t).clone(),
            // A lookup is known, as `-m among` of ebtables is one.
            Stmt::Vmap(key, _) => {
                d.implied(key);
                compatible &= known(key);
            }
            Stmt::MetaSet(MetaKey::Nftrace, _) => d.rule.target = Target::Trace,
            Stmt::MetaSet(_, value) => compatible &= matches!(value, Expr::Value(..)) || known(value),
            _ => compatible = false,
        }
    }
    Decomposed { rule: d.rule, counters, compatible }
}

/// True if all that is read is known to iptables-nft (`supported_exprs`).
fn known(e: &Expr) -> bool {
    let mut ok = true;
    e.walk(&mut |e| {
        ok &= matches!(
            e,
            Expr::Payload(_)
                | Expr::Meta(_)
                | Expr::Value(..)
                | Expr::Binary(..)
                | Expr::Concat(_)
                | Expr::Map(..)
        )
    });
    ok
}

struct Reader<'n> {
    rule: Rule,
    names: Names<'n>,
}

impl Reader<'_> {
    /// `None` if the question is of a kind that makes the table incompatible.
    fn question(&mut self, left: &Expr, op: CmpOp, right: &Right) -> Option<()> {
        if !known(left) {
            return None;
        }
        self.implied(left);
        let not = op == CmpOp::Neq;
        match (left, right) {
            (_, Right::Set(_)) => {}
            (Expr::Meta(key), _) => self.meta(*key, not, right),
            (Expr::Payload(field), _) => self.field(field, op, right),
            (Expr::Binary(BinaryOp::And, inner, mask), Right::Value(value)) => {
                if let Expr::Value(mask, _) = &**mask {
                    self.masked(inner, mask, not, value);
                }
            }
            _ => {}
        }
        Some(())
    }

    /// A header of a protocol asks for the protocol.
    fn implied(&mut self, e: &Expr) {
        let mut protocol = None;
        e.walk(&mut |e| protocol = e.header().and_then(protocol_of).or(protocol));
        if let Some(p) = protocol
            && self.rule.proto.is_none()
        {
            self.rule.proto = Some(Neg::plain(p));
        }
    }

    fn meta(&mut self, key: MetaKey, not: bool, right: &Right) {
        let byte = |r: &Right| match r {
            Right::Value(v) => Some(v.as_u32()),
            _ => None,
        };
        match key {
            MetaKey::Iifname | MetaKey::Oifname => {
                let value = match right {
                    Right::Value(v) if v.as_text() == NO_DEVICE => {
                        // Shown as `! -i +`.
                        Some(Neg { not: true, value: IfaceMatch { name: "+".to_owned(), wildcard: false } })
                    }
                    Right::Value(v) => {
                        Some(Neg { not, value: IfaceMatch { name: v.as_text(), wildcard: false } })
                    }
                    Right::Prefix(v, bits) => {
                        let name = v.as_text().chars().take(usize::from(*bits / 8)).collect();
                        Some(Neg { not, value: IfaceMatch { name, wildcard: true } })
                    }
                    _ => None,
                };
                self.device(key == MetaKey::Iifname, value);
            }
            MetaKey::Iif | MetaKey::Oif => {
                let at = byte(right).and_then(|n| usize::try_from(n).ok()?.checked_sub(1));
                let name = at.and_then(|at| self.names.devices.get(at)).cloned();
                let value = name.map(|name| Neg { not, value: IfaceMatch { name, wildcard: false } });
                self.device(key == MetaKey::Iif, value);
            }
            MetaKey::L4proto => {
                if let Some(p) = byte(right) {
                    self.rule.proto = Some(Neg { not, value: Protocol(p as u8) });
                }
            }
            MetaKey::Mark => {
                if let Some(value) = byte(right) {
                    let mark = Neg { not, value: (value, u32::MAX) };
                    self.rule.matches.push(Match::Mark(MarkMatch { mark }));
                }
            }
            _ => {}
        }
    }

    fn device(&mut self, into: bool, value: Option<Neg<IfaceMatch>>) {
        if value.is_some() {
            *(if into { &mut self.rule.in_iface } else { &mut self.rule.out_iface }) = value;
        }
    }

    fn field(&mut self, field: &'static Field, op: CmpOp, right: &Right) {
        let not = op == CmpOp::Neq;
        match (field.name, right) {
            ("saddr" | "daddr", Right::Value(v)) => {
                self.address(field.name, not, v, &v.combine(v, |_, _| 0xff))
            }
            ("saddr" | "daddr", Right::Prefix(v, bits)) => {
                let len = v.bytes().len();
                let all = u128::MAX << (128 - u32::from(*bits).clamp(1, 128));
                let mask = Data::number(all >> (128 - 8 * len.min(16)), len);
                self.address(field.name, not, v, &mask);
            }
            ("protocol" | "nexthdr", Right::Value(v)) => {
                self.rule.proto = Some(Neg { not, value: Protocol(v.as_u32() as u8) });
            }
            ("sport" | "dport", _) => {
                if let Some(range) = ports(op, right) {
                    self.port(field.name == "dport", Neg { not, value: range });
                }
            }
            ("flags", Right::Value(v)) if matches!(op, CmpOp::Eq | CmpOp::Neq) => {
                self.flags(Neg { not, value: (0xff, v.as_u32() as u8) });
            }
            ("flags", Right::Value(v)) if matches!(op, CmpOp::Flags | CmpOp::NoFlags) => {
                self.flags(Neg { not: op == CmpOp::Flags, value: (v.as_u32() as u8, 0) });
            }
            _ => {}
        }
    }

    fn masked(&mut self, inner: &Expr, mask: &Data, not: bool, value: &Data) {
        match inner {
            Expr::Payload(f) if matches!(f.name, "saddr" | "daddr") => self.address(f.name, not, value, mask),
            Expr::Payload(f) if f.name == "frag-off" => {
                self.rule.fragment = Some(Neg { not: !not, value: () })
            }
            Expr::Payload(f) if f.name == "flags" => {
                self.flags(Neg { not, value: (mask.as_u32() as u8, value.as_u32() as u8) });
            }
            Expr::Meta(MetaKey::Mark) => {
                let mark = Neg { not, value: (value.as_u32(), mask.as_u32()) };
                self.rule.matches.push(Match::Mark(MarkMatch { mark }));
            }
            _ => {}
        }
    }

    fn address(&mut self, name: &str, not: bool, addr: &Data, mask: &Data) {
        let (Some(addr), Some(mask)) = (ip(addr), ip(mask)) else { return };
        let place = if name == "saddr" { &mut self.rule.src } else { &mut self.rule.dst };
        *place = Some(Neg { not, value: IpMatch { addr, mask } });
    }

    /// All that is asked about a header of TCP stands in one match, at the place of the first question.
    fn tcp(&mut self) -> Option<&mut TcpMatch> {
        let native = |m: &Match| matches!(m, Match::Tcp(t) if t.option.is_none());
        let at = match self.rule.matches.iter().position(native) {
            Some(at) => at,
            None => {
                self.rule.matches.push(Match::Tcp(TcpMatch::default()));
                self.rule.matches.len() - 1
            }
        };
        match self.rule.matches.get_mut(at) {
            Some(Match::Tcp(t)) => Some(t),
            _ => None,
        }
    }

    fn udp(&mut self) -> Option<&mut UdpMatch> {
        let at = match self.rule.matches.iter().position(|m| matches!(m, Match::Udp(_))) {
            Some(at) => at,
            None => {
                self.rule.matches.push(Match::Udp(UdpMatch::default()));
                self.rule.matches.len() - 1
            }
        };
        match self.rule.matches.get_mut(at) {
            Some(Match::Udp(u)) => Some(u),
            _ => None,
        }
    }

    fn port(&mut self, dst: bool, range: Neg<PortRange>) {
        let proto = self.rule.proto.map(|p| p.value);
        let place = if proto == Some(Protocol::TCP) {
            self.tcp().map(|t| if dst { &mut t.dport } else { &mut t.sport })
        } else if proto == Some(Protocol::UDP) {
            self.udp().map(|u| if dst { &mut u.dport } else { &mut u.sport })
        } else {
            None
        };
        if let Some(place) = place {
            *place = Some(range);
        }
    }

    fn flags(&mut self, flags: Neg<(u8, u8)>) {
        let (mask, comp) = flags.value;
        let value = TcpFlagsMatch { mask: TcpFlags(mask & 0x3f), comp: TcpFlags(comp & 0x3f) };
        if let Some(t) = self.tcp() {
            t.flags = Some(Neg { not: flags.not, value });
        }
    }
}

fn ip(data: &Data) -> Option<IpAddr> {
    match data.bytes().len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from_bits(data.as_u32()))),
        16 => Some(IpAddr::V6(Ipv6Addr::from_bits(data.as_number()))),
        _ => None,
    }
}

fn ports(op: CmpOp, right: &Right) -> Option<PortRange> {
    let port = |d: &Data| d.as_u32() as u16;
    Some(match (op, right) {
        (CmpOp::Eq | CmpOp::Neq, Right::Value(v)) => PortRange { min: port(v), max: port(v) },
        (CmpOp::Lt, Right::Value(v)) => PortRange { min: 0, max: port(v).saturating_sub(1) },
        (CmpOp::Lte, Right::Value(v)) => PortRange { min: 0, max: port(v) },
        (CmpOp::Gt, Right::Value(v)) => PortRange { min: port(v).saturating_add(1), max: u16::MAX },
        (CmpOp::Gte, Right::Value(v)) => PortRange { min: port(v), max: u16::MAX },
        (_, Right::Range(a, b)) => PortRange { min: port(a), max: port(b) },
        _ => return None,
    })
}

/// `nft_parse_limit`
fn limit(l: NftLimit) -> Limit {
    let avg = u64::from(LIMIT_SCALE) * l.unit / l.rate.max(1);
    Limit { avg: avg.max(1) as u32, burst: l.burst as u32 }
}

/// `nft_parse_log`
fn nflog(log: &NftLog) -> Nflog {
    Nflog {
        group: log.group.unwrap_or(0),
        prefix: log.prefix.as_deref().unwrap_or_default().to_owned(),
        len: log.snaplen.unwrap_or(0),
        copy_len: log.snaplen.is_some(),
        threshold: log.qthreshold.unwrap_or(0),
    }
}
