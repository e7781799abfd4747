//! What the kernel checks when a table is loaded (`translate_table`): circles, and for every rule whether its matches
//! and target may stand there. Chains that no built-in chain reaches are reached from no hook and so may hold
//! anything.

use super::graph::{Hooks, JumpGraph, target_word};
use super::matches::physdev::not_from_output;
use super::matches::{self, multiport};
use super::parse::Objects;
use super::targets;
use crate::diagnostic::{Fault, ToolError};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::matches::{AddrType, Addrtype, Match};
use kernel::netfilter::xtables::targets::{RejectWith, Target};
use kernel::netfilter::xtables::{Neg, Rule, RuleSet, TableId};
use packet::{Family, Protocol, TcpFlags};

/// A rule that the kernel refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Index of the chain.
    pub chain: usize,
    /// Index of the rule.
    pub rule: usize,
    /// The word of the rule that it is about.
    pub word: String,
    /// Why.
    pub fault: Fault,
}

/// More than this many refusals help nobody.
const MAX: usize = 100;

/// Everything in a table that the kernel refuses. `line` says where a rule was written, so that a circle can be
/// blamed on the rule that closed it.
pub(super) fn translate_table(
    set: &RuleSet,
    objects: Objects<'_>,
    line: &dyn Fn(usize, usize) -> Option<u32>,
) -> Vec<Rejected> {
    let graph = JumpGraph::new(set);
    let out = circles(set, &graph, line);
    if !out.is_empty() {
        return out;
    }
    let reach = graph.reach();
    rules_of(set, objects, false, &|c, r| match r <= graph.last_visited(c) {
        true => reach.get(c).copied().unwrap_or_default(),
        false => Hooks::default(),
    })
}

/// What nft_compat checks when a rule is made: circles are found later, and only a rule of a base chain is known to be reached from
/// its hook.
#[cfg(feature = "nft")]
pub(super) fn translate_rules(set: &RuleSet, objects: Objects<'_>) -> Vec<Rejected> {
    let hook = |c: usize| set.chains.get(c).and_then(|c| c.base).map(|(hook, _)| hook);
    rules_of(set, objects, true, &|c, _| hook(c).map_or(Hooks::default(), Hooks::of))
}

fn rules_of(
    set: &RuleSet,
    objects: Objects<'_>,
    compat: bool,
    hooks: &dyn Fn(usize, usize) -> Hooks,
) -> Vec<Rejected> {
    let mut out = Vec::new();
    for (c, chain) in set.chains.iter().enumerate() {
        for (r, rule) in chain.rules.iter().enumerate() {
            let hooks = hooks(c, r);
            let place = Place {
                family: set.family,
                table: set.table,
                hooks,
                chain: &chain.name,
                base: chain.base.is_some(),
                compat,
            };
            if let Err((word, fault)) = check_rule(rule, &place, objects) {
                out.push(Rejected { chain: c, rule: r, word, fault });
            }
            if out.len() >= MAX {
                return out;
            }
        }
    }
    out
}

fn circles(
    set: &RuleSet,
    graph: &JumpGraph<'_>,
    line: &dyn Fn(usize, usize) -> Option<u32>,
) -> Vec<Rejected> {
    let loops = graph.loops();
    let rejected = loops.iter().take(MAX).filter_map(|l| {
        let jumps = l.chains.iter().map(|c| usize::from(c.0)).zip(l.rules.iter().copied());
        // The rule that came last closed the circle.
        let (chain, rule) = jumps.max_by_key(|(c, r)| line(*c, *r))?;
        let word = set.chains.get(chain)?.rules.get(rule).map(|r| target_word(set, &r.target))?;
        let fault = Fault::new(
            format!("the jumps make a loop: {}", l.path(set)),
            "expected jumps that never lead back to a chain they came from",
        );
        Some(Rejected { chain, rule, word, fault: fault.says(ToolError::LOOP) })
    });
    rejected.collect()
}

/// Where a rule stands.
struct Place<'a> {
    family: Family,
    table: TableId,
    hooks: Hooks,
    chain: &'a str,
    base: bool,
    /// The rule is one of nf_tables.
    compat: bool,
}

impl Place<'_> {
    /// "in PREROUTING", or how a user-defined chain is reached.
    fn from(&self, hook: InetHook) -> String {
        if self.base {
            format!("in {hook}")
        } else {
            format!("in chain {}, which {hook} reaches", self.chain)
        }
    }

    /// A line of x_tables about an extension.
    fn says(&self, kind: &str, name: &str, what: &str) -> String {
        let tables = if self.family == Family::V6 { "ip6_tables" } else { "ip_tables" };
        format!("x_tables: {tables}: {name} {kind}: {what}")
    }
}

type Checked = Result<(), (String, Fault)>;

fn invalid(word: &str, message: String, help: impl Into<String>) -> Checked {
    Err((word.to_owned(), Fault::new(message, help).says(ToolError::INVALID)))
}

/// The same, and what the kernel writes into its ring buffer.
fn logged(word: &str, message: String, help: impl Into<String>, line: String) -> Checked {
    invalid(word, message, help).map_err(|(word, fault)| (word, fault.logs(line)))
}

fn check_rule(rule: &Rule, place: &Place<'_>, objects: Objects<'_>) -> Checked {
    for m in &rule.matches {
        fits("match", m.name(), m.tables(), m.hooks(), place)?;
        check_match(m, rule, place, objects)?;
    }
    check_target(rule, place, objects)
}

/// `xt_check_match`, `xt_check_target`: the tables and hooks for which an extension is made.
fn fits(
    kind: &str,
    name: &str,
    tables: Option<&[TableId]>,
    hooks: Option<&[InetHook]>,
    place: &Place<'_>,
) -> Checked {
    if let Some(tables) = tables.filter(|t| !t.contains(&place.table)) {
        let names = tables.iter().map(|t| t.name()).collect::<Vec<_>>().join(" or ");
        let message = format!("{kind} {name} in table {}", place.table);
        let line = place.says(kind, name, &format!("only valid in {names} table, not {}", place.table));
        return logged(name, message, format!("expected it in table {names}"), line);
    }
    if let Some(hooks) = hooks
        && let Some(bad) = place.hooks.iter().find(|h| !hooks.contains(h))
    {
        let names: Vec<&str> = hooks.iter().map(|h| h.chain()).collect();
        let message = format!("{kind} {name} {}", place.from(bad));
        let help = format!("expected {name} only where {} leads", names.join(" or "));
        let only = if kind == "match" { "valid" } else { "usable" };
        let (used, may) = (in_order(place.hooks.iter()), in_order(hooks.iter().copied()));
        let line = place.says(kind, name, &format!("used from hooks {used}, but only {only} from {may}"));
        return logged(name, message, help, line);
    }
    Ok(())
}

/// `textify_hooks`
fn in_order(hooks: impl Iterator<Item = InetHook>) -> String {
    let hooks: Vec<InetHook> = hooks.collect();
    let known = InetHook::ALL.iter().filter(|h| hooks.contains(h));
    known.map(|h| h.chain()).collect::<Vec<_>>().join("/")
}

fn check_match(m: &Match, rule: &Rule, place: &Place<'_>, objects: Objects<'_>) -> Checked {
    match m {
        Match::Tcp(_) | Match::Tcpmss(_) => needs(m, rule, place, Protocol::TCP),
        Match::Udp(_) => needs(m, rule, place, Protocol::UDP),
        Match::Icmp(_) => needs(m, rule, place, Protocol::ICMP),
        Match::Icmp6(_) => needs(m, rule, place, Protocol::ICMPV6),
        Match::Multiport(_) => match rule.proto {
            Some(Neg { not: false, value }) if multiport::PROTOCOLS.contains(&value.0) => Ok(()),
            _ => invalid(
                "multiport",
                "match multiport needs a protocol with ports".to_owned(),
                "expected -p tcp or -p udp",
            ),
        },
        Match::Addrtype(a) if place.family == Family::V6 && types_without_ipv6(*a).is_some() => {
            let word = types_without_ipv6(*a).map_or("", |t| t.name());
            let message = format!("the address type {word}, which IPv6 does not know here");
            invalid(word, message, "expected UNSPEC, UNICAST, LOCAL, ANYCAST, MULTICAST or UNREACHABLE")
        }
        Match::Addrtype(a) => {
            use InetHook::{LocalIn, LocalOut, PostRouting, PreRouting};
            let limits = [
                (
                    a.limit_iface_out,
                    "--limit-iface-out",
                    [PreRouting, LocalIn],
                    "leaves",
                    "output interface limitation not valid in PREROUTING and INPUT",
                ),
                (
                    a.limit_iface_in,
                    "--limit-iface-in",
                    [PostRouting, LocalOut],
                    "came in",
                    "input interface limitation not valid in POSTROUTING and OUTPUT",
                ),
            ];
            for (set, option, hooks, direction, limitation) in limits {
                if let Some(hook) = hooks.into_iter().find(|h| set && place.hooks.contains(*h)) {
                    let message = format!(
                        "{option} {}, where no device is known by which the packet {direction}",
                        place.from(hook)
                    );
                    let line = format!("xt_addrtype: {limitation}");
                    return logged(option, message, "expected it without this option, or in FORWARD", line);
                }
            }
            Ok(())
        }
        Match::Physdev(p) if not_from_output(p) && place.hooks.contains(InetHook::LocalOut) => logged(
            "physdev",
            format!(
                "the bridge port of the way out {}, where it is not known",
                place.from(InetHook::LocalOut)
            ),
            "expected --physdev-is-bridged as well, or a rule in FORWARD or POSTROUTING",
            "xt_physdev: --physdev-out and --physdev-is-out only supported in the FORWARD and POSTROUTING chains with \
             bridged traffic"
                .to_owned(),
        ),
        Match::Limit(l) if !l.is_valid() => {
            let message =
                format!("a burst of {} packets at this rate is more than the kernel can count", l.burst);
            let help = "expected a smaller --limit-burst, at least 1, or a faster --limit";
            Err(("limit".to_owned(), Fault::new(message, help).says(ToolError::RANGE)))
        }
        Match::Owner(o) => match [("--uid-owner", o.uid), ("--gid-owner", o.gid)]
            .into_iter()
            .find(|(_, r)| r.is_some_and(|n| n.value.0 > n.value.1))
        {
            Some((option, _)) => invalid(
                option,
                format!("the range of {option} runs backwards"),
                "expected the smaller number first",
            ),
            None => Ok(()),
        },
        Match::Recent(r) => match r.why_invalid() {
            Some(why) => invalid("recent", why.to_owned(), "expected it without what it does not allow"),
            None => Ok(()),
        },
        Match::Nfacct(n) => match objects.nfacct {
            Some(known) if !known.contains(&n.name) => {
                Err((n.name.clone(), matches::missing_nfacct(&n.name)))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// `addrtype_mt_checkentry_v1`: broadcast, and kinds of routes that only IPv4 is asked for.
fn types_without_ipv6(a: Addrtype) -> Option<AddrType> {
    use AddrType::{Blackhole, Broadcast, Nat, Prohibit, Throw, Xresolve};
    let named = |t: &AddrType| [a.src, a.dst].into_iter().flatten().any(|set| set.value.contains(*t));
    [Broadcast, Blackhole, Prohibit, Throw, Nat, Xresolve].into_iter().find(named)
}

fn needs(m: &Match, rule: &Rule, place: &Place<'_>, proto: Protocol) -> Checked {
    let (message, help) = match rule.proto {
        Some(Neg { not: false, value }) if value == proto => return Ok(()),
        Some(Neg { not: true, .. }) => {
            (format!("match {} with ! -p", m.name()), format!("expected -p {proto} without !"))
        }
        _ => (format!("match {} needs -p {proto}", m.name()), format!("expected -p {proto} before it")),
    };
    let line = place.says("match", m.name(), &format!("only valid for protocol {}", proto.0));
    logged(m.name(), message, help, line)
}

fn check_target(rule: &Rule, place: &Place<'_>, objects: Objects<'_>) -> Checked {
    let Some(name) = targets::name(&rule.target) else { return Ok(()) };
    fits("target", name, rule.target.tables(), rule.target.hooks(), place)?;
    if let Target::Reject(r) = &rule.target
        && r.with == RejectWith::TcpReset
        && rule.proto != Some(Neg::plain(Protocol::TCP))
    {
        return invalid("tcp-reset", "tcp-reset without -p tcp".to_owned(), "expected -p tcp in the rule");
    }
    if let Target::Ct(ct) = &rule.target
        && let Some(helper) = ct.template.helper.filter(|_| !ct.notrack)
    {
        let (name, proto) = (helper.name(), helper.proto());
        let fault = if rule.proto != Some(Neg::plain(proto)) {
            let message = format!("helper {name} without -p {proto}");
            Fault::new(message, format!("expected -p {proto} in the rule"))
        } else if let Some(known) = objects.helpers.filter(|known| !known.contains(&helper)) {
            let names: Vec<String> = known.iter().map(|h| h.name()).collect();
            let message = format!("no helper {name} is registered");
            Fault::new(message, format!("expected {}", names.join(" or ")))
        } else {
            return Ok(());
        };
        return Err((name.clone(), targets::ct::refused(fault, &name, rule.proto)));
    }
    if let Target::Tcpmss(_) = &rule.target
        && place.compat
        && rule.proto != Some(Neg::plain(Protocol::TCP))
    {
        return invalid("TCPMSS", "TCPMSS without -p tcp".to_owned(), "expected -p tcp in the rule");
    }
    if let Target::Tcpmss(_) = &rule.target
        && !place.compat
        && !finds_syn(rule)
    {
        let message = "TCPMSS in a rule that does not look for SYN".to_owned();
        return invalid("TCPMSS", message, "expected -p tcp and --syn, or --tcp-flags with SYN, in the rule");
    }
    if let Target::Connmark(c) = &rule.target {
        targets::connmark::check(c).map_err(|fault| ("CONNMARK".to_owned(), fault))?;
    }
    Ok(())
}

/// `find_syn_match`: the rule asks for TCP segments with SYN set.
fn finds_syn(rule: &Rule) -> bool {
    let syn = |m: &Match| match m {
        Match::Tcp(t) => t.flags.is_some_and(|f| !f.not && f.value.comp.has(TcpFlags::SYN)),
        _ => false,
    };
    rule.proto == Some(Neg::plain(Protocol::TCP)) && rule.matches.iter().any(syn)
}
