//! A rule of nf_tables as iptables-nft reads it (nft-shared.c of iptables 1.8.9). It was not necessarily made by iptables-nft: what
//! iptables has no word for is left out, where the real one leaves it out (sets), or makes the table incompatible, or ends the listing.

use super::compose::{NO_DEVICE, protocol_of};
use crate::nft::Names;
use kernel::PktType;
use kernel::netfilter::nftables::{
    BinaryOp, CmpOp, Data, Expr, Field, Header, MetaKey, NftLimit, NftLog, NftRule, NftVerdict, Right,
    Stateful, Stmt,
};
use kernel::netfilter::xtables::matches::{
    Icmp6Match, IcmpMatch, LIMIT_SCALE, Limit, MarkMatch, Match, PkttypeMatch, TcpFlagsMatch, TcpMatch,
    TtlMatch, UdpMatch,
};
use kernel::netfilter::xtables::targets::{Nflog, Target};
use kernel::netfilter::xtables::{ChainId, Counters, IfaceMatch, IpMatch, Neg, PortRange, Rule};
use packet::{Family, Protocol, TcpFlags};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a rule is to iptables.
pub(super) struct Decomposed {
    pub rule: Rule,
    pub counters: Counters,
    /// False if iptables-nft refuses to list it (`nft_is_rule_compatible`).
    pub compatible: bool,
    /// What it says, line by line, of that for which it has no word; then it gives up.
    pub errors: String,
}

/// Reads a rule; `chain` gives the number of a chain that it leads to.
pub(super) fn decompose(
    family: Family,
    rule: &NftRule,
    state: &[Stateful],
    names: Names<'_>,
    chain: &dyn Fn(kernel::netfilter::nftables::ChainKey) -> Option<ChainId>,
) -> Decomposed {
    let mut d = Reader { rule: Rule::default(), names, family, errors: String::new() };
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
            Stmt::MetaSet(MetaKey::Nftrace, Expr::Value(on, _)) if !on.is_zero() => {
                d.rule.target = Target::Trace;
            }
            Stmt::MetaSet(MetaKey::Nftrace, _) => d.error("trace is cleared"),
            Stmt::MetaSet(_, value) => {
                compatible &= known(value);
                d.error("meta sreg key not supported");
            }
            _ => compatible = false,
        }
    }
    if let Some(comment) = &rule.comment {
        d.rule.matches.push(Match::Comment(comment.to_string()));
    }
    Decomposed { rule: d.rule, counters, compatible, errors: d.errors }
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
    family: Family,
    errors: String,
}

impl Reader<'_> {
    fn error(&mut self, what: &str) {
        self.errors.extend(["Error: ", what, "\n"]);
    }

    /// `None` if the question is of a kind that makes the table incompatible.
    fn question(&mut self, left: &Expr, op: CmpOp, right: &Right) -> Option<()> {
        if !known(left) {
            return None;
        }
        self.implied(left);
        let not = op == CmpOp::Neq;
        let (inner, mask) = match left {
            Expr::Binary(BinaryOp::And, inner, mask) => match &**mask {
                Expr::Value(mask, _) => (&**inner, Some(mask)),
                _ => (left, None),
            },
            left => (left, None),
        };
        // The order of numbers is not that of their bytes, which have to be turned around first.
        if let Expr::Meta(key) = inner
            && key.names().1.len() == 4
            && (matches!(right, Right::Range(..)) || !matches!(op, CmpOp::Eq | CmpOp::Neq))
        {
            return None;
        }
        match (inner, right) {
            (_, Right::Set(_)) => {}
            (Expr::Meta(key), _) => self.meta(*key, not, right, mask),
            // Both ends are compared, one after the other.
            (Expr::Payload(field), Right::Range(a, b))
                if op == CmpOp::Eq && !(is_port(field) && self.has_ports()) =>
            {
                self.field(field, CmpOp::Gte, &Right::Value(*a), mask);
                self.field(field, CmpOp::Lte, &Right::Value(*b), mask);
            }
            (Expr::Payload(field), _) => self.field(field, op, right, mask),
            (Expr::Binary(..), _) => self.error("bitwise operations other than & are not modelled"),
            _ => {}
        }
        Some(())
    }

    /// A header of a protocol asks for the protocol.
    fn implied(&mut self, e: &Expr) {
        let mut protocol = None;
        let mut frame = false;
        e.walk(&mut |e| {
            protocol = e.header().and_then(protocol_of).or(protocol);
            frame |= e.header() == Some(Header::Ether);
        });
        // What the link is comes first.
        if frame {
            self.unknown_key();
        }
        if let Some(p) = protocol
            && self.rule.proto.is_none()
        {
            self.rule.proto = Some(Neg::plain(p));
        }
    }

    fn unknown_key(&mut self) {
        let what = if self.family == Family::V4 { "unknown ipv4 meta key" } else { "unknown ipv6 meta key" };
        // Once for all that is asked of a frame.
        if !self.errors.contains(what) {
            self.error(what);
        }
    }

    fn meta(&mut self, key: MetaKey, not: bool, right: &Right, mask: Option<&Data>) {
        let byte = |r: &Right| match r {
            Right::Value(v) | Right::Prefix(v, _) | Right::Range(_, v) => Some(v.as_u32()),
            _ => None,
        };
        match key {
            _ if not && matches!(right, Right::Range(..)) => self.error("range sreg type unsupported"),
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
                    let mask = match right {
                        Right::Prefix(_, bits) => !u32::MAX.checked_shr(u32::from(*bits)).unwrap_or(0),
                        _ => mask.map_or(u32::MAX, Data::as_u32),
                    };
                    let mark = Neg { not, value: (value, mask) };
                    self.rule.matches.push(Match::Mark(MarkMatch { mark }));
                }
            }
            MetaKey::Pkttype => {
                let kinds = [PktType::Host, PktType::Broadcast, PktType::Multicast, PktType::OtherHost];
                let kind = byte(right).and_then(|n| kinds.get(n as usize));
                let kind = kind.map(|kind| PkttypeMatch { kind: Neg { not, value: *kind } });
                self.rule.matches.extend(kind.map(Match::Pkttype));
            }
            _ => self.unknown_key(),
        }
    }

    fn device(&mut self, into: bool, value: Option<Neg<IfaceMatch>>) {
        if value.is_some() {
            *(if into { &mut self.rule.in_iface } else { &mut self.rule.out_iface }) = value;
        }
    }

    /// The header of a packet: what has a word; the value of a range is its end.
    fn field(&mut self, field: &'static Field, op: CmpOp, right: &Right, mask: Option<&Data>) {
        let not = op == CmpOp::Neq;
        let of_net = matches!(field.header, Header::Ip | Header::Ip6);
        match (field.name, right) {
            (_, Right::Range(..)) if of_net => self.error("range with unknown payload base"),
            ("saddr" | "daddr", Right::Value(v)) if of_net => {
                let all = v.combine(v, |_, _| 0xff);
                self.address(field.name, not, v, mask.unwrap_or(&all))
            }
            ("saddr" | "daddr", Right::Prefix(v, bits)) if of_net => {
                let len = v.bytes().len();
                let all = u128::MAX << (128 - u32::from(*bits).clamp(1, 128));
                let mask = Data::number(all >> (128 - 8 * len.min(16)), len);
                self.address(field.name, not, v, &mask);
            }
            ("protocol" | "nexthdr", Right::Value(v)) => {
                self.rule.proto = Some(Neg { not, value: Protocol(v.as_u32() as u8) });
            }
            ("ttl", Right::Value(v)) => {
                let n = v.as_u32() as u8;
                let ttl = match op {
                    CmpOp::Lt => Some(TtlMatch::Less(n)),
                    CmpOp::Lte => n.checked_add(1).map(TtlMatch::Less),
                    CmpOp::Gt => Some(TtlMatch::Greater(n)),
                    CmpOp::Gte => n.checked_sub(1).map(TtlMatch::Greater),
                    CmpOp::Neq => Some(TtlMatch::NotEqual(n)),
                    _ => Some(TtlMatch::Equal(n)),
                };
                match ttl {
                    Some(ttl) => self.rule.matches.push(Match::Ttl(ttl)),
                    None => self.error("invalid ttl field match"),
                }
            }
            ("frag-off", _) => {
                let value = ();
                self.rule.fragment = Some(Neg { not: mask.is_some() && op == CmpOp::Eq, value });
            }
            // iptables has a match for it, which is not modelled.
            ("hoplimit", _) => self.error("match hl is not modelled"),
            _ if of_net => self.error("unknown payload offset"),
            ("type" | "code", Right::Value(v)) if field.header != Header::Ether => {
                self.icmp(field, op, v.as_u32() as u8);
            }
            ("flags", Right::Value(v)) if mask.is_some() || matches!(op, CmpOp::Eq | CmpOp::Neq) => {
                let mask = mask.map_or(0xff, |m| m.as_u32() as u8);
                self.flags(Neg { not, value: (mask, v.as_u32() as u8) });
            }
            ("flags", Right::Value(v)) if matches!(op, CmpOp::Flags | CmpOp::NoFlags) => {
                self.flags(Neg { not: op == CmpOp::Flags, value: (v.as_u32() as u8, 0) });
            }
            ("sport" | "dport", Right::Range(..)) if not && !self.has_ports() => {}
            ("sport" | "dport", _) => {
                if let Some(range) = ports(op, right) {
                    self.port(field.name == "dport", Neg { not, value: range });
                }
            }
            _ if field.header == Header::Sctp => self.no_protocol(),
            _ => {}
        }
    }

    fn no_protocol(&mut self) {
        self.error("unsupported layer 4 protocol value");
    }

    /// The protocol is one whose ports have words.
    fn has_ports(&self) -> bool {
        self.rule.proto.is_some_and(|p| matches!(p.value, Protocol::TCP | Protocol::UDP))
    }

    /// `nft_parse_icmp`: a code belongs to the type in front of it; that a type is not asked for is lost.
    fn icmp(&mut self, field: &Field, op: CmpOp, value: u8) {
        let v4 = self.family == Family::V4;
        let new = |kind| match v4 {
            true => Match::Icmp(IcmpMatch { kind: Neg::plain(kind) }),
            false => Match::Icmp6(Icmp6Match { kind: Neg::plain(kind) }),
        };
        // In the table of the other family it would be no match that iptables takes.
        if (field.header == Header::Icmp) != v4 {
            return self.no_protocol();
        }
        if field.name == "type" {
            return self.rule.matches.push(new((value, 0, 255)));
        }
        match self.rule.matches.last_mut() {
            Some(
                Match::Icmp(IcmpMatch { kind: Neg { value: (_, min @ 0, max @ 255), .. } })
                | Match::Icmp6(Icmp6Match { kind: Neg { value: (_, min @ 0, max @ 255), .. } }),
            ) if op == CmpOp::Eq => (*min, *max) = (value, value),
            _ if v4 => self.rule.matches.push(new((IcmpMatch::ANY, value, value))),
            _ => self.error("icmp6 code with any type match not supported"),
        }
    }

    fn address(&mut self, name: &str, not: bool, addr: &Data, mask: &Data) {
        let (Some(addr), Some(mask)) = (ip(addr), ip(mask)) else { return };
        if mask.is_unspecified() {
            return;
        }
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
            return self.no_protocol();
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

/// A range of ports has a word.
fn is_port(field: &Field) -> bool {
    matches!(field.name, "sport" | "dport")
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
