//! Rules that a packet met.

use super::services::open;
use super::{Met, Tries};
use crate::fact::is_kubernetes;
use cluster::object::Protocol;
use kernel::event::{NftOutcome, NftStep, RuleOutcome, RuleStep, What};
use kernel::netfilter::conntrack::CtState;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::ipset::SetType;
use kernel::netfilter::nftables::{NftVerdict, Stmt};
use kernel::netfilter::xtables::matches::Match;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{CheckOf, TableId, Verdict};
use kernel::{DropReason, Netns};
use packet::{Family, Frame};
use sim::view::{NftLookup, nft_lookups};
use sim::{Entry, World};

/// Against the rule or policy that ended the packet: without it, or with one before it that lets the packet pass.
pub(super) fn that_ended(met: &Met<'_>, tries: &mut Tries) {
    if met.end.reason != DropReason::NetfilterDrop {
        return;
    }
    let last = met.last(&|what| match what {
        What::Rule(step) => ends(step),
        What::Nft(step) => matches!(
            step.outcome,
            NftOutcome::Match { verdict: NftVerdict::Drop, .. } | NftOutcome::Policy(Verdict::Drop)
        ),
        _ => false,
    });
    match last {
        // What kube-proxy and the kubelet write they would write again.
        Some(What::Rule(step)) if !is_kubernetes(&step.chain) => {
            members(met, step, tries);
            let answered = spared(met, step.ctx.hook, tries).0;
            without(met, step, answered, tries);
        }
        Some(What::Nft(step)) if !step.table.starts_with("kube-proxy") => {
            elements(met.ns, step, tries);
            let answered = spared(met, step.ctx.hook, tries).1;
            without_nft(met, step, answered, tries);
        }
        _ => {}
    }
}

/// Against the sets by which a rule did not match that would have let the packet pass, in the hook in which it ended. Whether such a rule of
/// iptables, or of nf_tables, asks conntrack: it lets answers pass.
fn spared(met: &Met<'_>, hook: InetHook, tries: &mut Tries) -> (bool, bool) {
    let mut answered = (false, false);
    let log = met.world.log().entries().get(..met.end.event.index()).unwrap_or_default();
    for entry in log.iter().filter(|e| e.packet == met.end.entry.packet && e.host == met.ns.id) {
        match entry.what() {
            Some(What::Rule(step)) if step.ctx.hook == hook => match &step.outcome {
                RuleOutcome::NoMatch { rule, .. } if spares(&rule.target) => {
                    if rule.target == Target::Accept {
                        members(met, step, tries);
                    }
                    answered.0 |= rule.uses_conntrack();
                }
                _ => {}
            },
            Some(What::Nft(step)) if step.ctx.hook == hook => match &step.outcome {
                NftOutcome::NoMatch { rule, .. } if rule.stmts.iter().any(accepts) => {
                    elements(met.ns, step, tries);
                    answered.1 |= rule.stmts.iter().any(Stmt::uses_conntrack);
                }
                _ => {}
            },
            _ => {}
        }
    }
    answered
}

fn accepts(stmt: &Stmt) -> bool {
    matches!(stmt, Stmt::Verdict(NftVerdict::Accept) | Stmt::Vmap(..))
}

/// Whether a packet ends at this rule.
fn ends(step: &RuleStep) -> bool {
    match &step.outcome {
        RuleOutcome::Match { rule, .. } => matches!(rule.target, Target::Drop | Target::Reject(_)),
        RuleOutcome::Policy(verdict) => *verdict == Verdict::Drop,
        RuleOutcome::NoMatch { .. } | RuleOutcome::Return => false,
    }
}

fn iptables(step: &RuleStep) -> String {
    let program = if step.ctx.family == Family::V6 { "ip6tables" } else { "iptables" };
    format!("{program} -t {}", step.table.name())
}

fn without(met: &Met<'_>, step: &RuleStep, answered: bool, tries: &mut Tries) {
    let (iptables, chain, n) = (iptables(step), &step.chain, step.n);
    let (delete, before, by_default) = match &step.outcome {
        RuleOutcome::Match { rule, .. } => {
            let names =
                |m: &Match| matches!(m, Match::Tcp(_) | Match::Udp(_) | Match::Multiport(_) | Match::Set(_));
            let by_default = rule.src.is_none() && !rule.matches.iter().any(names);
            (format!("-D {chain} {n}"), format!("-I {chain} {n}"), by_default)
        }
        _ => (format!("-P {chain} ACCEPT"), format!("-A {chain}"), true),
    };
    let rule = |asks: String| format!("{iptables} {before} {asks} -j ACCEPT");
    let this = step.frame.ip().map(|ip| {
        let dport = ip.ports().map(|p| format!(" --dport {}", p.1)).unwrap_or_default();
        rule(format!("-p {}{dport} -d {}", ip.protocol(), ip.dst))
    });
    let answers = rule("-m conntrack --ctstate RELATED,ESTABLISHED".to_owned());
    let too = by_default && !answered && step.ctx.hook == InetHook::Forward;
    both(met, &step.frame, (by_default, too), format!("{iptables} {delete}"), (this, answers), tries);
}

fn without_nft(met: &Met<'_>, step: &NftStep, answered: bool, tries: &mut Tries) {
    let (delete, by_default) = match &step.outcome {
        NftOutcome::Match { rule, .. } => {
            let by_default = !rule.stmts.iter().any(|s| matches!(s, Stmt::Match { .. } | Stmt::Vmap(..)));
            (delete_nft(step, rule.handle), by_default)
        }
        _ => (format!("nft chain {} '{{ policy accept; }}'", at(step)), true),
    };
    let rule = |asks: String| format!("nft insert rule {} {asks} accept", at(step));
    // What comes in is for this very box.
    let inside = step.ctx.hook == InetHook::LocalIn;
    let this = step.frame.ip().map(|ip| {
        let family = if ip.dst.is_ipv4() { "ip" } else { "ip6" };
        let to = if inside { String::new() } else { format!("{family} daddr {} ", ip.dst) };
        let proto = ip.protocol();
        rule(match ip.ports() {
            Some((_, port)) => format!("{to}{proto} dport {port}"),
            None => format!("{to}meta l4proto {proto}"),
        })
    });
    let answers = rule("ct state established,related".to_owned());
    let too = by_default && !answered && step.ctx.hook == InetHook::Forward;
    both(met, &step.frame, (by_default, too), delete, (this, answers), tries);
}

/// Who forbids everything is to let this pass as well, and answers if they come through the same hook, before that is given up; what forbids this
/// very thing is taken back first.
fn both(
    met: &Met<'_>,
    frame: &Frame,
    (by_default, too): (bool, bool),
    mut delete: String,
    (this, answers): (Option<String>, String),
    tries: &mut Tries,
) {
    let mut accept = match this {
        Some(_) if is_answer(met, frame) => answers,
        Some(this) if too => [this, answers].join(" && "),
        this => this.unwrap_or_default(),
    };
    if by_default {
        std::mem::swap(&mut delete, &mut accept);
    }
    tries.add(&met.ns.name, delete);
    tries.add(&met.ns.name, accept);
}

/// The packet belongs to a connection that conntrack knows, or goes to a port that the kernel has chosen: the next call has another one.
fn is_answer(met: &Met<'_>, frame: &Frame) -> bool {
    let known = met.last(&|what| matches!(what, What::Conntrack { .. }));
    let waits = |port: u16| {
        let boxes = met.begun.map(|b| b.world.hosts()).unwrap_or_default().iter();
        boxes.flat_map(|ns| [open(ns, Protocol::Tcp), open(ns, Protocol::Udp)]).any(|all| all.contains(&port))
    };
    matches!(known, Some(What::Conntrack { state: CtState::Established | CtState::Related, .. }))
        || frame.ip().and_then(|ip| ip.ports()).is_some_and(|(_, to)| to >= 32_768 && !waits(to))
}

/// Against a member that a set should not have, or one that it lacks: of the sets that the rule has asked, or of the one by which it did not match.
fn members(met: &Met<'_>, step: &RuleStep, tries: &mut Tries) {
    let (rule, failed) = match &step.outcome {
        RuleOutcome::Match { rule, .. } => (rule, None),
        RuleOutcome::NoMatch { rule, checks } => (rule, checks.last().map(|c| c.of)),
        _ => return,
    };
    let Some(ip) = step.frame.ip() else { return };
    for (n, m) in rule.matches.iter().enumerate() {
        let at = |of| matches!(of, CheckOf::Match { index, .. } if usize::from(index) == n);
        if let Match::Set(set) = m
            && failed.is_none_or(at)
            && let Some(kind) = met.ns.ipsets.get(&set.name).map(|s| s.kind)
        {
            let addr = |n: u8| if set.query.dirs.is_src(n) { ip.src } else { ip.dst };
            let port = |n: u8| ip.ports().map(|(s, d)| if set.query.dirs.is_src(n) { s } else { d });
            let (key, is_net) = match (kind, port(0), port(1)) {
                (SetType::HashIp | SetType::HashNet | SetType::BitmapIp, ..) => {
                    (addr(0).to_string(), kind == SetType::HashNet)
                }
                (SetType::BitmapPort, Some(port), _) => (port.to_string(), false),
                (SetType::HashIpPort | SetType::HashNetPort, _, Some(port)) => {
                    (format!("{},{}:{port}", addr(0), ip.protocol()), kind == SetType::HashNetPort)
                }
                (SetType::HashIpPortIp | SetType::HashIpPortNet, _, Some(port)) => {
                    let key = format!("{},{}:{port},{}", addr(0), ip.protocol(), addr(2));
                    (key, kind == SetType::HashIpPortNet)
                }
                _ => continue,
            };
            let line = match (set.not == failed.is_none(), is_net) {
                (true, _) => format!("add {} {key}", set.name),
                (false, true) => format!("add {} {key} nomatch", set.name),
                (false, false) => format!("del {} {key}", set.name),
            };
            tries.add(&met.ns.name, format!("ipset {line}"));
        }
    }
}

/// The same of sets and verdict maps of nf_tables.
fn elements(on: &Netns, step: &NftStep, tries: &mut Tries) {
    for asked in nft_lookups(on, step) {
        let NftLookup { set, key, found, vmap } = asked;
        let data = match (vmap, found) {
            (false, _) => "",
            (true, true) => " : drop",
            (true, false) => " : accept",
        };
        let verb = if found { "delete" } else { "add" };
        let at = format!("{} {} {set}", step.family, step.table);
        tries.add(&on.name, format!("nft {verb} element {at} '{{ {key}{data} }}'"));
    }
}

fn at(step: &NftStep) -> String {
    format!("{} {} {}", step.family, step.table, step.chain)
}

fn delete_nft(step: &NftStep, handle: u64) -> String {
    format!("nft delete rule {} handle {handle}", at(step))
}

/// Against rules that made something else of a packet on its way: another address, mark or TTL, or a packet that conntrack does not see; or
/// that spared it the translation.
/// What kube-proxy and the kubelet write is left alone: they would write it again.
pub(super) fn that_changed(world: &World, entries: &[Entry], tries: &mut Tries) {
    for entry in entries {
        if let Some(What::Rule(step)) = entry.what()
            && let RuleOutcome::Match { rule, .. } = &step.outcome
            && (changes(&rule.target) || step.table == TableId::Nat && spares(&rule.target))
            && !is_kubernetes(&step.chain)
            && let Some(ns) = world.host(entry.host)
        {
            tries.add(&ns.name, format!("{} -D {} {}", iptables(step), step.chain, step.n));
        }
        if let Some(What::Nft(step)) = entry.what()
            && let NftOutcome::Match { rule, .. } = &step.outcome
            && rule.stmts.iter().any(changes_nft)
            && !step.table.starts_with("kube-proxy")
            && let Some(ns) = world.host(entry.host)
        {
            tries.add(&ns.name, delete_nft(step, rule.handle));
        }
    }
}

fn changes_nft(stmt: &Stmt) -> bool {
    matches!(
        stmt,
        Stmt::Notrack
            | Stmt::MetaSet(..)
            | Stmt::CtSet(..)
            | Stmt::Nat(_)
            | Stmt::Masquerade(..)
            | Stmt::Redirect(..)
    )
}

/// In table nat the rules behind it are not asked then.
fn spares(target: &Target) -> bool {
    matches!(target, Target::Accept | Target::Return)
}

fn changes(target: &Target) -> bool {
    matches!(
        target,
        Target::Ct(_)
            | Target::Notrack
            | Target::Dnat(_)
            | Target::Redirect(_)
            | Target::Snat(_)
            | Target::Masquerade(_)
            | Target::Netmap(_)
            | Target::Mark(_)
            | Target::Connmark(_)
            | Target::Ttl(_)
    )
}
