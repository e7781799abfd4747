//! Declarations: what stands in the braces of a table, a chain or a set.

use super::{Kind, Parsed, Parser, RuleCx};
use crate::diagnostic::{Fault, q};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{BaseChain, ChainType, DataType, MapData, NftFamily, NftTable, SetSpec};
use kernel::netfilter::xtables::Verdict;
use std::rc::Rc;

/// Hooks by nft's words.
pub(in crate::nft) const HOOKS: [(&str, InetHook); 5] = [
    ("prerouting", InetHook::PreRouting),
    ("input", InetHook::LocalIn),
    ("forward", InetHook::Forward),
    ("output", InetHook::LocalOut),
    ("postrouting", InetHook::PostRouting),
];

/// Priorities with a name (`std_prios`).
pub(in crate::nft) const PRIORITIES: [(&str, i32); 6] =
    [("raw", -300), ("mangle", -150), ("dstnat", -100), ("filter", 0), ("security", 50), ("srcnat", 100)];

/// True if a name of a priority may stand at a hook.
pub(in crate::nft) fn priority_fits(name: &str, hook: InetHook) -> bool {
    match name {
        "dstnat" => hook == InetHook::PreRouting,
        "srcnat" => hook == InetHook::PostRouting,
        _ => true,
    }
}

/// What the head of a chain says.
#[derive(Clone, Debug, Default)]
pub(in crate::nft) struct ChainSpec {
    pub base: Option<BaseChain>,
    pub sets_policy: bool,
    pub policy: Option<Verdict>,
    pub comment: Option<Rc<str>>,
}

impl Parser<'_> {
    /// `ip`, `ip6`, `inet`, or nothing, which is `ip`.
    pub(super) fn family(&mut self) -> Parsed<NftFamily> {
        let family = match self.peek() {
            "ip" => NftFamily::Ip,
            "ip6" => NftFamily::Ip6,
            "inet" => NftFamily::Inet,
            word @ ("arp" | "bridge" | "netdev") => {
                return Err(self.not_modelled(&format!("family {word}"), &["ip", "ip6", "inet"]));
            }
            _ => return Ok(NftFamily::Ip),
        };
        self.at += 1;
        Ok(family)
    }

    /// One line in the head of a chain: `type ...;`, `policy ...;`, `comment ...;`. False if it is something else.
    pub(super) fn chain_line(&mut self, chain: &mut ChainSpec, family: NftFamily) -> Parsed<bool> {
        match self.peek() {
            "type" => {
                self.at += 1;
                chain.base = Some(self.hook_line(family)?);
            }
            "policy" => {
                self.at += 1;
                let policy = match self.peek() {
                    "accept" => Verdict::Accept,
                    "drop" => Verdict::Drop,
                    _ => {
                        let mut d = self.unexpected("accept or drop");
                        d.message.push_str(", expecting accept or drop or '$'");
                        return Err(d);
                    }
                };
                self.at += 1;
                (chain.policy, chain.sets_policy) = (Some(policy), true);
            }
            "comment" => {
                self.at += 1;
                chain.comment = Some(self.quoted("a comment")?.into());
            }
            _ => return Ok(false),
        }
        if let (Some(base), Some(policy)) = (&mut chain.base, chain.policy) {
            base.policy = policy;
        }
        Ok(true)
    }

    fn hook_line(&mut self, family: NftFamily) -> Parsed<BaseChain> {
        let first = self.at;
        let word = self.peek();
        let Some(kind) = ChainType::ALL.into_iter().find(|t| t.name() == word) else {
            self.at += 1;
            let message = "unknown chain type";
            return Err(self.wrong(first, message, "expected filter, nat or route"));
        };
        self.at += 1;
        self.need("hook")?;
        let at = self.at;
        let word = self.peek();
        let Some((_, hook)) = HOOKS.into_iter().find(|(name, _)| *name == word) else {
            if matches!(word, "ingress" | "egress") {
                return Err(self.not_modelled(&format!("hook {word}"), &HOOKS.map(|(n, _)| n)));
            }
            self.at += 1;
            let message = "unknown chain hook";
            return Err(self.wrong(
                at,
                message,
                "expected prerouting, input, forward, output or postrouting",
            ));
        };
        self.at += 1;
        if self.peek() == "device" {
            return Err(self.not_modelled("device", &["a hook without a device"]));
        }
        self.need("priority")?;
        let priority = self.priority(hook, family)?;
        Ok(BaseChain::new(kind, hook, priority, Verdict::Accept))
    }

    /// `-110`, `filter`, `dstnat - 10`
    fn priority(&mut self, hook: InetHook, family: NftFamily) -> Parsed<i32> {
        const INVALID: &str = "invalid priority expression value in this context.";
        // The word itself belongs to what is wrong.
        let from = self.at - 1;
        let word = self.peek();
        let named = PRIORITIES.into_iter().find(|(name, _)| *name == word);
        if let Some((name, base)) = named {
            self.at += 1;
            if !priority_fits(name, hook) {
                let hook = HOOKS.iter().find(|(_, h)| *h == hook).map_or("", |(n, _)| n);
                let help =
                    format!("expected a priority of hook {hook} in family {family}, which {name} is not");
                return Err(self.wrong(from, INVALID, help));
            }
            let sign = if self.take("+") {
                1
            } else if self.take("-") {
                -1
            } else {
                return Ok(base);
            };
            let n = self.number32("a number")?;
            return i32::try_from(i64::from(base) + sign * i64::from(n))
                .map_err(|_| self.wrong(from, "the priority is too large", "expected a number of 32 bits"));
        }
        let sign = if self.take("-") { -1 } else { 1 };
        if sign > 0 {
            self.take("+");
        }
        if self.tok().kind == Kind::Word {
            self.at += 1;
            return Err(self.wrong(
                from,
                INVALID,
                "expected a number, or raw, mangle, dstnat, filter, security, srcnat",
            ));
        }
        let n = self.number("a priority")? as i64 * sign;
        i32::try_from(n)
            .map_err(|_| self.wrong(from, "the priority is too large", "expected a number of 32 bits"))
    }

    /// One line of a set's or map's declaration. False if it is something else.
    pub(super) fn set_line(&mut self, spec: &mut SetSpec, is_map: bool, table: &NftTable) -> Parsed<bool> {
        match self.peek() {
            "type" => {
                self.at += 1;
                spec.key = self.types()?;
                if is_map {
                    if !self.take(":") {
                        let mut d = self.unexpected("a colon and what the map leads to");
                        d.message.push_str(", expecting colon or .");
                        return Err(d);
                    }
                    spec.data = match self.take("verdict") {
                        true => MapData::Verdict,
                        false => MapData::Values(self.types()?),
                    };
                }
            }
            "typeof" => {
                self.at += 1;
                let mut cx = RuleCx::new(table);
                let key = self.expr(&mut cx)?;
                spec.key = key.types();
                let mut data = None;
                if is_map {
                    self.need(":")?;
                    if self.take("verdict") {
                        spec.data = MapData::Verdict;
                    } else {
                        let expr = self.expr(&mut cx)?;
                        spec.data = MapData::Values(expr.types());
                        data = Some(expr);
                    }
                }
                spec.typeof_ = Some((key, data));
            }
            "flags" => {
                self.at += 1;
                loop {
                    match self.peek() {
                        "constant" => spec.constant = true,
                        "interval" => spec.interval = true,
                        "timeout" => spec.timeouts = true,
                        "dynamic" => spec.dynamic = true,
                        _ => return Err(self.unexpected("constant, interval, timeout or dynamic")),
                    }
                    self.at += 1;
                    if !self.take(",") {
                        break;
                    }
                }
            }
            "timeout" => {
                self.at += 1;
                spec.timeout = Some(self.time()?);
                spec.timeouts = true;
            }
            "gc-interval" => {
                self.at += 1;
                spec.gc_interval = Some(self.time()?);
            }
            "size" => {
                self.at += 1;
                spec.size = Some(self.number32("a number of members")?).filter(|n| *n > 0);
            }
            "policy" => {
                self.at += 1;
                if !self.take("performance") {
                    self.need("memory")?;
                    spec.memory = true;
                }
            }
            "auto-merge" => {
                self.at += 1;
                spec.auto_merge = true;
            }
            "counter" => {
                self.at += 1;
                let counter = self.counter()?;
                spec.stateful.push(counter);
            }
            "comment" => {
                self.at += 1;
                spec.comment = Some(self.quoted("a comment")?.into());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `ipv4_addr . inet_service`
    fn types(&mut self) -> Parsed<Vec<DataType>> {
        let mut out = Vec::new();
        loop {
            let from = self.at;
            // A dot may belong to the word when no blank stands in front of it.
            let t = self.tok();
            if t.kind != Kind::Word {
                return Err(self.unexpected("a type"));
            }
            self.at += 1;
            let word = self.text_of(t);
            let Some(t) = DataType::from_name(word) else {
                let known: Vec<&str> = DataType::NAMED.iter().map(|t| t.names().0).collect();
                let help = format!("expected one of {}; {} is none", known.join(", "), q(word));
                return Err(self.wrong(from, format!("unknown datatype {word}"), help));
            };
            out.push(t);
            if !self.take(".") {
                return Ok(out);
            }
        }
    }

    /// What a set needs to be one.
    pub(super) fn check_set(&self, spec: &SetSpec, is_map: bool, from: usize) -> Parsed<()> {
        // Of a command nft marks what is between the braces, with the first of them; of a line in a table's block the name.
        let word = |n: usize| self.toks.get(n).map_or("", |t| self.text_of(*t));
        let alone = (self.began..self.began + 2).any(|n| matches!(word(n), "set" | "map"));
        let last = (from..self.at).rev().find(|n| self.toks.get(*n).is_some_and(|t| t.kind != Kind::End));
        let (start, end) = match alone {
            true => (self.place(from + 1).0, self.place(last.unwrap_or(from)).1),
            false => self.place(from),
        };
        let wrong =
            |message: &str, help: &str| Err(super::blame(self.src, start, end, Fault::new(message, help)));
        if spec.key.is_empty() {
            return wrong("set definition does not specify key", "expected a type or typeof");
        }
        if spec.auto_merge && !spec.interval {
            return wrong("auto-merge only works with interval sets", "expected flags interval");
        }
        if is_map && spec.data == MapData::None {
            return wrong("map definition does not specify mapping data type", "expected KEY : DATA");
        }
        Ok(())
    }
}
