//! Statements of a rule.

use super::super::value::{ICMP_CODES, ICMPV6_CODES, ICMPX_CODES};
use super::expr::prefix_len;
use super::{Parsed, Parser, RuleCx};
use crate::diagnostic::q;
use kernel::netfilter::nftables::{
    BinaryOp, CmpOp, CtKey, Data, DataType, Dynset, DynsetOp, Expr, Header, MapData, MetaKey, NatFlags,
    NatKind, NftFamily, NftLimit, NftLog, NftNat, NftTable, NftVerdict, RejectKind, Right, Stmt,
};

/// Statements that begin with a word of their own.
const WORDS: &[&str] = &[
    "accept",
    "drop",
    "continue",
    "return",
    "jump",
    "goto",
    "counter",
    "limit",
    "log",
    "reject",
    "masquerade",
    "snat",
    "dnat",
    "redirect",
    "add",
    "update",
    "delete",
    "set",
    "notrack",
    "comment",
    "meta",
    "ct",
    "fib",
    "numgen",
];

/// The words of `log level`.
pub(in crate::nft) const LOG_LEVELS: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/// The words of `log flags`, by their bits.
pub(in crate::nft) const LOG_FLAGS: [(&str, u8); 5] =
    [("tcp sequence", 1), ("tcp options", 2), ("ip options", 4), ("skuid", 8), ("ether", 0x20)];

impl Parser<'_> {
    /// One statement.
    pub(super) fn stmt(&mut self, rule: &mut RuleCx<'_>, out: &mut Vec<Stmt>) -> Parsed<()> {
        if self.begins_expr() {
            return self.expr_stmt(rule, out);
        }
        let from = self.at;
        let word = self.peek();
        let stmt = match word {
            "accept" | "drop" | "continue" | "return" | "jump" | "goto" => {
                Stmt::Verdict(self.verdict(rule.table)?)
            }
            "counter" => {
                self.at += 1;
                if self.peek() == "name" {
                    return Err(self.not_modelled("counter name", &["counter without a name"]));
                }
                let from = self.counter()?;
                Stmt::Counter(rule.slot(), from)
            }
            "limit" => {
                self.at += 1;
                let limit = self.limit()?;
                Stmt::Limit(limit, rule.slot())
            }
            "log" => {
                self.at += 1;
                Stmt::Log(Box::new(self.log()?))
            }
            "reject" => {
                self.at += 1;
                let kind = self.reject(rule, out)?;
                Stmt::Reject(kind)
            }
            "notrack" => {
                self.at += 1;
                Stmt::Notrack
            }
            "masquerade" | "redirect" => {
                self.at += 1;
                let ports = self.ports_after_to()?;
                if ports.is_some() {
                    self.after_transport(from, out, rule)?;
                }
                let flags = self.nat_flags()?;
                if word == "masquerade" {
                    Stmt::Masquerade(ports, flags)
                } else {
                    Stmt::Redirect(ports, flags)
                }
            }
            "snat" | "dnat" => {
                self.at += 1;
                let manip = if word == "dnat" { NatKind::Dnat } else { NatKind::Snat };
                Stmt::Nat(Box::new(self.nat(manip, from, rule, out)?))
            }
            "add" | "update" | "delete" => {
                self.at += 1;
                let op = match word {
                    "add" => DynsetOp::Add,
                    "update" => DynsetOp::Update,
                    _ => DynsetOp::Delete,
                };
                Stmt::Dynset(Box::new(self.dynset(op, rule)?))
            }
            _ if self.at_end() => return Err(self.unexpected("a statement")),
            "@" => return Err(self.not_modelled("@", &["fields of headers by their names"])),
            _ if word.is_empty() => return Err(self.unexpected("a statement")),
            _ if NOT_MODELLED.contains(&word) => return Err(self.not_modelled(word, WORDS)),
            _ => return Err(self.unexpected("a statement")),
        };
        out.push(stmt);
        Ok(())
    }

    /// A verdict; the chain that it names must exist.
    pub(super) fn verdict(&mut self, table: &NftTable) -> Parsed<NftVerdict> {
        let word = self.peek();
        let simple = match word {
            "accept" => NftVerdict::Accept,
            "drop" => NftVerdict::Drop,
            "continue" => NftVerdict::Continue,
            "return" => NftVerdict::Return,
            "jump" | "goto" => {
                self.at += 1;
                let from = self.at;
                let name = self.name("the name of a chain")?;
                let Some(chain) = table.chain(name) else {
                    let message = "Could not process rule: No such file or directory";
                    return Err(self.wrong(
                        from,
                        message,
                        format!("expected a chain of the table; {} is none", q(name)),
                    ));
                };
                if chain.base.is_some() {
                    let message = "Could not process rule: Operation not supported";
                    return Err(self.wrong(from, message, "expected a chain without a hook"));
                }
                let key = chain.key;
                return Ok(if word == "jump" { NftVerdict::Jump(key) } else { NftVerdict::Goto(key) });
            }
            _ => return Err(self.unexpected("a verdict")),
        };
        self.at += 1;
        Ok(simple)
    }

    /// A question, a verdict map, or `meta`/`ct` that is set.
    fn expr_stmt(&mut self, rule: &mut RuleCx<'_>, out: &mut Vec<Stmt>) -> Parsed<()> {
        let from = self.at;
        let left = self.expr(rule)?;
        if self.take("vmap") {
            let map = self.map_of(&left, rule, Some(MapData::Verdict), from)?;
            out.push(Stmt::Vmap(left, map));
            return Ok(());
        }
        if self.take("set") {
            let stmt = match left {
                Expr::Meta(MetaKey::Mark) => {
                    rule.wanted = Some(MapData::Values(vec![DataType::Mark]));
                    Stmt::MetaSet(MetaKey::Mark, self.set_value(DataType::Mark, rule)?)
                }
                Expr::Ct(CtKey::Mark, None) => {
                    rule.wanted = Some(MapData::Values(vec![DataType::Mark]));
                    Stmt::CtSet(CtKey::Mark, self.set_value(DataType::Mark, rule)?)
                }
                _ => {
                    let message = "setting this is not modelled";
                    return Err(self.wrong(from, message, "expected meta mark set or ct mark set"));
                }
            };
            rule.wanted = None;
            out.push(stmt);
            return Ok(());
        }
        let mut op = self.relation(left.dtype());
        // `flags VALUE / MASK`
        let mut right = self.right(&left, op.unwrap_or(CmpOp::Eq), rule)?;
        let mut left = left;
        if left.dtype() == DataType::TcpFlag && self.take("/") {
            let mask = self.flag_list(DataType::TcpFlag)?;
            left =
                Expr::Binary(BinaryOp::And, Box::new(left), Box::new(Expr::Value(mask, DataType::TcpFlag)));
            op = op.or(Some(CmpOp::Eq));
        }
        if matches!(right, Right::Set(_)) && !matches!(op, None | Some(CmpOp::Eq | CmpOp::Neq)) {
            return Err(self.wrong(from, "a set has no order", "expected == or !="));
        }
        let is_plain = !matches!(left, Expr::Binary(..));
        let implicit = if left.dtype().is_bitmask() && is_plain && matches!(right, Right::Value(_)) {
            CmpOp::Flags
        } else {
            CmpOp::Eq
        };
        let (left, op) = simpler(left, op.unwrap_or(implicit), &mut right);
        out.push(Stmt::Match { left, op, right });
        Ok(())
    }

    fn relation(&mut self, dtype: DataType) -> Option<CmpOp> {
        let op = match self.peek() {
            "==" | "eq" => CmpOp::Eq,
            "!=" | "ne" => CmpOp::Neq,
            "<" | "lt" => CmpOp::Lt,
            ">" | "gt" => CmpOp::Gt,
            "<=" | "le" => CmpOp::Lte,
            ">=" | "ge" => CmpOp::Gte,
            "!" if dtype.is_bitmask() => CmpOp::NoFlags,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    /// What a mark is set to: a value, or an expression.
    fn set_value(&mut self, dtype: DataType, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
        self.expand()?;
        if self.begins_expr() {
            return self.expr(rule);
        }
        Ok(Expr::Value(self.value(dtype)?, dtype))
    }

    fn limit(&mut self) -> Parsed<NftLimit> {
        self.need("rate")?;
        let over = self.take("over");
        let from = self.at;
        let rate = self.number("a number of packets")?;
        if !self.take("/") {
            return Err(self.not_modelled(self.peek(), &["RATE/second", "RATE/minute", "RATE/hour"]));
        }
        let unit = match self.peek() {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            "week" => 604_800,
            _ => return Err(self.unexpected("second, minute, hour, day or week")),
        };
        self.at += 1;
        let mut burst = 5;
        if self.take("burst") {
            burst = self.number("a number of packets")?;
            self.need("packets")?;
        }
        if rate == 0 || burst == 0 {
            return Err(self.wrong(from, "the rate must not be 0", "expected a number from 1 on"));
        }
        Ok(NftLimit { rate, unit, burst, over })
    }

    fn log(&mut self) -> Parsed<NftLog> {
        let mut log = NftLog::default();
        loop {
            if self.take("prefix") {
                log.prefix = Some(self.quoted("a prefix")?.into());
            } else if self.take("level") {
                let word = self.peek();
                let Some(n) = LOG_LEVELS.iter().position(|l| *l == word) else {
                    return Err(self.unexpected(&LOG_LEVELS.join(", ")));
                };
                self.at += 1;
                log.level = Some(n as u8);
            } else if self.take("group") {
                log.group = Some(self.number32("a group")? as u16);
            } else if self.take("snaplen") {
                log.snaplen = Some(self.number32("a length")?);
            } else if self.take("queue-threshold") {
                log.qthreshold = Some(self.number32("a number")? as u16);
            } else if self.take("flags") {
                log.flags |= self.log_flags()?;
            } else {
                return Ok(log);
            }
        }
    }

    fn log_flags(&mut self) -> Parsed<u8> {
        if self.take("all") {
            return Ok(0x2f);
        }
        let word = self.peek();
        self.at += 1;
        let mut flags = 0;
        match word {
            "tcp" | "ip" => loop {
                let full = format!("{word} {}", self.peek());
                let Some((_, bit)) = LOG_FLAGS.into_iter().find(|(w, _)| *w == full) else {
                    return Err(self.unexpected("sequence or options"));
                };
                flags |= bit;
                self.at += 1;
                if !self.take(",") {
                    return Ok(flags);
                }
            },
            "skuid" => Ok(8),
            "ether" => Ok(0x20),
            _ => {
                self.at -= 1;
                Err(self.unexpected("all, tcp, ip, skuid or ether"))
            }
        }
    }

    fn reject(&mut self, rule: &RuleCx<'_>, before: &[Stmt]) -> Parsed<RejectKind> {
        let family = rule.table.family;
        let default = match family {
            NftFamily::Ip => RejectKind::Icmp(3),
            NftFamily::Ip6 => RejectKind::Icmpv6(4),
            NftFamily::Inet => match net_of(before) {
                Some(Header::Ip) => RejectKind::Icmp(3),
                Some(_) => RejectKind::Icmpv6(4),
                None => RejectKind::Icmpx(1),
            },
        };
        if !self.take("with") {
            return Ok(default);
        }
        let from = self.at;
        let word = self.peek();
        self.at += 1;
        if word == "tcp" {
            self.need("reset")?;
            let other = before.iter().rev().flat_map(Stmt::exprs).find_map(|e| e.header()?.protocol());
            let udp = other.filter(|p| *p != packet::Protocol::TCP);
            if udp.is_some() {
                let message = "you cannot use tcp reset with this protocol";
                return Err(self.wrong(from, message, "expected a rule about TCP"));
            }
            return Ok(RejectKind::TcpReset);
        }
        let codes = match word {
            "icmp" => ICMP_CODES,
            "icmpv6" => ICMPV6_CODES,
            "icmpx" => ICMPX_CODES,
            _ => {
                self.at -= 1;
                return Err(self.unexpected("tcp reset, icmp, icmpv6 or icmpx"));
            }
        };
        // `type` is the older way to write it.
        self.take("type");
        let text = self.peek();
        let code = codes.iter().find(|(name, _)| *name == text).map(|(_, n)| *n as u8);
        let Some(code) = code.or_else(|| text.parse().ok()) else {
            let names: Vec<&str> = codes.iter().map(|(n, _)| *n).collect();
            return Err(self.unexpected(&names.join(", ")));
        };
        self.at += 1;
        let conflict = match (word, family) {
            ("icmp", NftFamily::Ip6) => Some("ip6"),
            ("icmpv6", NftFamily::Ip) => Some("ip"),
            ("icmpx", NftFamily::Ip | NftFamily::Ip6) => Some("icmpx"),
            _ => None,
        };
        if conflict.is_some() {
            let message = match word {
                "icmpx" => "abstracted ICMP unreachable not supported".to_owned(),
                _ => format!("conflicting protocols specified: {} vs {word}", rule.family()),
            };
            return Err(self.wrong(from, message, "expected an answer of the table's family"));
        }
        Ok(match word {
            "icmp" => RejectKind::Icmp(code),
            "icmpv6" => RejectKind::Icmpv6(code),
            _ => RejectKind::Icmpx(code),
        })
    }

    /// `to :PORT[-PORT]`
    fn ports_after_to(&mut self) -> Parsed<Option<(u16, u16)>> {
        if !self.take("to") {
            return Ok(None);
        }
        self.take(":");
        let (first, last) = self.interval(DataType::InetService)?;
        Ok(Some((first.as_u32() as u16, last.as_u32() as u16)))
    }

    fn nat_flags(&mut self) -> Parsed<NatFlags> {
        let mut flags = NatFlags::default();
        loop {
            match self.peek() {
                "random" => flags.random = true,
                "fully-random" => flags.fully_random = true,
                "persistent" => flags.persistent = true,
                _ => return Ok(flags),
            }
            self.at += 1;
            if !self.take(",") {
                return Ok(flags);
            }
        }
    }

    /// `snat`, `dnat`
    fn nat(&mut self, manip: NatKind, from: usize, rule: &mut RuleCx<'_>, before: &[Stmt]) -> Parsed<NftNat> {
        let family = match self.peek() {
            "ip" => Some(packet::Family::V4),
            "ip6" => Some(packet::Family::V6),
            _ => None,
        };
        self.at += usize::from(family.is_some());
        let mut pairs = false;
        if self.take("addr") {
            self.need(".")?;
            self.need("port")?;
            pairs = true;
        }
        self.take("prefix");
        self.need("to")?;
        let v6 = match (family, rule.table.family) {
            (Some(f), _) => f == packet::Family::V6,
            (None, NftFamily::Inet) => net_of(before) == Some(Header::Ip6),
            (None, f) => f == NftFamily::Ip6,
        };
        let addr = if v6 { DataType::Ipv6Addr } else { DataType::Ipv4Addr };
        let mut nat = NftNat {
            manip,
            family,
            addr: None,
            addr_last: None,
            port: None,
            port_last: None,
            flags: NatFlags::default(),
        };
        let value = |d: Data, t: DataType| Some(Expr::Value(d, t));
        if self.peek() != ":" {
            if self.begins_expr() && self.peek() != "(" {
                let data = if pairs { vec![addr, DataType::InetService] } else { vec![addr] };
                // Whether its values have ports is seen by the values.
                rule.wanted = pairs.then_some(MapData::Values(data));
                nat.addr = Some(self.expr(rule)?);
                rule.wanted = None;
            } else {
                let (first, last) = self.interval(addr)?;
                nat.addr = value(first, addr);
                nat.addr_last = if first == last { None } else { value(last, addr) };
            }
            let inet = rule.table.family == NftFamily::Inet;
            if inet && family.is_none() && net_of(before).is_none() {
                let message = "ip or ip6 must be specified with address for inet tables.";
                return Err(self.wrong(from, message, "expected dnat ip to or dnat ip6 to"));
            }
            // The kernel is told of which family the address is.
            if inet && family.is_none() {
                nat.family = Some(if v6 { packet::Family::V6 } else { packet::Family::V4 });
            }
        }
        if self.take(":") {
            if self.begins_expr() {
                nat.port = Some(self.expr(rule)?);
            } else {
                let (first, last) = self.interval(DataType::InetService)?;
                nat.port = value(first, DataType::InetService);
                nat.port_last = if first == last { None } else { value(last, DataType::InetService) };
            }
        }
        if nat.port.is_some() {
            self.after_transport(from, before, rule)?;
        }
        nat.flags = self.nat_flags()?;
        Ok(nat)
    }

    /// Ports can be chosen only of protocols that have some.
    fn after_transport(&self, from: usize, before: &[Stmt], _rule: &RuleCx<'_>) -> Parsed<()> {
        let known = before.iter().any(|s| {
            s.exprs().into_iter().any(|e| {
                let mut found = false;
                e.walk(&mut |e| {
                    found |= match e {
                        Expr::Meta(MetaKey::L4proto) => true,
                        Expr::Payload(f) => {
                            f.header.protocol().is_some()
                                || f.header == Header::Th
                                || f.name == "protocol"
                                || f.name == "nexthdr"
                        }
                        _ => false,
                    };
                });
                found
            })
        });
        if known {
            return Ok(());
        }
        let message = "transport protocol mapping is only valid after transport protocol match";
        Err(self.wrong(from, message, "expected meta l4proto or a port in front of it"))
    }

    /// `add @SET { KEY [timeout T] [counter] [: DATA] }`
    fn dynset(&mut self, op: DynsetOp, rule: &mut RuleCx<'_>) -> Parsed<Dynset> {
        let from = self.at;
        self.need("@")?;
        let name = self.name("the name of a set")?;
        let Some((set, found)) = rule.table.set(name) else {
            let help = format!("expected a set of the table; {} is none", q(name));
            return Err(self.wrong(from, "No such file or directory", help));
        };
        let (name, spec) = (found.name.clone(), found.spec.clone());
        self.need("{")?;
        let at = self.at;
        let key = self.expr(rule)?;
        let types = key.types();
        if types.len() != spec.key.len() || !types.iter().zip(&spec.key).all(|(a, b)| a.fits(*b)) {
            return Err(self.wrong(at, "datatype mismatch", "expected a key of the set's type"));
        }
        let mut dynset = Dynset { op, set, name, key, timeout: None, data: None, stateful: Vec::new() };
        loop {
            if self.take("timeout") {
                dynset.timeout = Some(self.time()?);
            } else if self.take("counter") {
                dynset.stateful.push(self.counter()?);
            } else if self.peek() == "limit" {
                return Err(self.not_modelled("limit of a member", &["timeout", "counter"]));
            } else {
                break;
            }
        }
        if self.take(":") {
            let MapData::Values(types) = &spec.data else {
                return Err(self.wrong(from, "the set does not lead to values", "expected a map"));
            };
            let dtype = types.first().copied().unwrap_or(DataType::Mark);
            dynset.data = Some(self.set_value(dtype, rule)?);
        }
        self.need("}")?;
        Ok(dynset)
    }
}

/// Statements of nft that are not modelled.
const NOT_MODELLED: &[&str] = &[
    "queue",
    "dup",
    "fwd",
    "tproxy",
    "synproxy",
    "quota",
    "flow",
    "exthdr",
    "rt",
    "socket",
    "osf",
    "ipsec",
    "xfrm",
    "jhash",
    "symhash",
    "arp",
    "vlan",
    "igmp",
    "esp",
    "ah",
    "comp",
    "hour",
    "day",
    "time",
    "secmark",
    "hbh",
    "frag",
    "dst",
    "mh",
    "rt0",
    "iiftype",
    "oiftype",
    "iifgroup",
    "oifgroup",
    "cgroup",
    "nftrace",
    "rtclassid",
    "pkttype",
];

/// The family that a rule has asked for.
fn net_of(before: &[Stmt]) -> Option<Header> {
    let mut found = None;
    for stmt in before {
        if let Stmt::Match {
            left: Expr::Meta(MetaKey::Nfproto | MetaKey::Protocol),
            op: CmpOp::Eq,
            right: Right::Value(v),
        } = stmt
        {
            found = Some(if matches!(v.as_u32(), 2 | 0x0800) { Header::Ip } else { Header::Ip6 });
        }
        // These protocols are of one family.
        if let Stmt::Match { left: Expr::Meta(MetaKey::L4proto), op: CmpOp::Eq, right: Right::Value(v) } =
            stmt
        {
            match v.as_u32() {
                1 => found = Some(Header::Ip),
                58 => found = Some(Header::Ip6),
                _ => {}
            }
        }
        for e in stmt.exprs() {
            e.walk(&mut |e| match e.header() {
                Some(Header::Ip | Header::Icmp) => found = Some(Header::Ip),
                Some(Header::Ip6 | Header::Icmpv6) => found = Some(Header::Ip6),
                _ => {}
            });
        }
    }
    found
}

/// A question as nft lists it: `X & BITS != 0` asks for bits, an address under a mask is a prefix.
fn simpler(left: Expr, op: CmpOp, right: &mut Right) -> (Expr, CmpOp) {
    let Expr::Binary(BinaryOp::And, inner, mask) = &left else { return (left, op) };
    let (Expr::Value(mask, _), Right::Value(value)) = (&**mask, &*right) else { return (left, op) };
    let dtype = inner.dtype();
    if dtype.is_bitmask() && value.is_zero() && matches!(op, CmpOp::Eq | CmpOp::Neq) {
        let op = if op == CmpOp::Eq { CmpOp::NoFlags } else { CmpOp::Flags };
        let inner = (**inner).clone();
        *right = Right::Value(*mask);
        return (inner, op);
    }
    if dtype.has_prefixes() && matches!(op, CmpOp::Eq | CmpOp::Neq) {
        let last = value.combine(mask, |v, m| v | !m);
        if let Some(bits) = prefix_len(value, &last).filter(|bits| *bits > 0) {
            let inner = (**inner).clone();
            *right = Right::Prefix(*value, bits);
            return (inner, op);
        }
    }
    (left, op)
}
