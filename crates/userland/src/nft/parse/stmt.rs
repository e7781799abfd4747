//! Statements of a rule.

use super::super::value::{ICMP_CODES, ICMPV6_CODES, ICMPX_CODES};
use super::expr::prefix_len;
use super::nat::net_of;
use super::rule::asks_protocol;
use super::{KEYWORDS, Kind, Parsed, Parser, RuleCx, blame};
use crate::diagnostic::{Fault, q};
use kernel::netfilter::nftables::{
    BinaryOp, CmpOp, CtKey, DataType, DynsetOp, Expr, Header, MapData, MetaKey, NatKind, NftFamily, NftLimit,
    NftLog, NftTable, NftVerdict, RejectKind, Right, Stmt,
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
            "xt" => {
                // `xt match NAME`, `xt target NAME`
                self.at += 3;
                let message = "unsupported xtables compat expression, use iptables-nft with this ruleset";
                return Err(self.wrong(
                    from,
                    message,
                    "expected statements of nf_tables; iptables-nft-save prints this rule",
                ));
            }
            _ if self.at_end() => return Err(self.unexpected("a statement")),
            "@" => return Err(self.not_modelled("@", &["fields of headers by their names"])),
            _ if word.is_empty() => return Err(self.unexpected("a statement")),
            _ if NOT_MODELLED.contains(&word) => return Err(self.not_modelled(word, WORDS)),
            // Such a word is a value to nft, which would be compared with what follows.
            _ if self.tok().kind != Kind::Sign && !KEYWORDS.contains(&word) => {
                self.at += 1;
                return Err(match self.at_end() || self.peek() == "}" {
                    true => self.unexpected("a statement"),
                    false => self.wrong(from, "No symbol type information", "expected a statement"),
                });
            }
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
                Expr::Meta(MetaKey::Nftrace) => {
                    let dtype = DataType::Integer(1);
                    Stmt::MetaSet(MetaKey::Nftrace, Expr::Value(self.value(dtype)?, dtype))
                }
                _ => {
                    let message = "setting this is not modelled";
                    let help = "expected meta mark set, meta nftrace set or ct mark set";
                    return Err(self.wrong(from, message, help));
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
    pub(super) fn set_value(&mut self, dtype: DataType, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
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
        let at = self.at;
        if self.take("burst") {
            burst = self.number("a number of packets")?;
            self.need("packets")?;
        }
        if burst == 0 {
            return Err(self.wrong(at, "packet limit burst must be > 0", "expected a number from 1 on"));
        }
        if rate == 0 {
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
            // That `meta l4proto icmp` is of one family does not count here.
            NftFamily::Inet => {
                match net_of(&mut before.iter().filter(|s| asks_protocol(s, NftFamily::Inet).is_none())) {
                    Some(Header::Ip) => RejectKind::Icmp(3),
                    Some(_) => RejectKind::Icmpv6(4),
                    None => RejectKind::Icmpx(1),
                }
            }
        };
        if !self.take("with") {
            return Ok(default);
        }
        let from = self.at;
        let word = self.peek();
        self.at += 1;
        if word == "tcp" {
            self.need("reset")?;
            let other = before.iter().rev().find_map(|s| {
                let asked = asks_protocol(s, NftFamily::Ip).map(packet::Protocol);
                asked.or_else(|| s.exprs().iter().find_map(|e| e.header()?.protocol()))
            });
            let udp = other.filter(|p| *p != packet::Protocol::TCP);
            if udp.is_some() {
                let message = "you cannot use tcp reset with this protocol";
                let (start, end) = self.place(from - 2);
                return Err(blame(self.src, start, end, Fault::new(message, "expected a rule about TCP")));
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
            let mut d = self.unexpected(&names.join(", "));
            if self.tok().kind == Kind::Word {
                d.message = format!("Could not parse {word} code");
            }
            return Err(d);
        };
        self.at += 1;
        let of = match family {
            NftFamily::Ip => Some(Header::Ip),
            NftFamily::Ip6 => Some(Header::Ip6),
            NftFamily::Inet => net_of(&mut before.iter()),
        };
        let message = match (word, of) {
            ("icmp", Some(Header::Ip6)) | ("icmpv6", Some(Header::Ip)) => {
                "conflicting protocols specified: ip vs ip6"
            }
            ("icmpx", _) if family != NftFamily::Inet => "abstracted ICMP unreachable not supported",
            _ => "",
        };
        if !message.is_empty() {
            return Err(self.wrong(self.at - 1, message, "expected an answer of the packet's family"));
        }
        Ok(match word {
            "icmp" => RejectKind::Icmp(code),
            "icmpv6" => RejectKind::Icmpv6(code),
            _ => RejectKind::Icmpx(code),
        })
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
    "rtclassid",
];

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
