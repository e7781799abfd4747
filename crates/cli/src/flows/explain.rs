//! One packet on a node, explained: `nflab flow`.
//!
//! Unlike the tracers that `nflab flows` follows, this is the packet's real way: what the node itself sends begins at OUTPUT, what it
//! receives at PREROUTING; then INPUT, or FORWARD, and POSTROUTING. Where chance decides, it is drawn once; what else could have
//! happened is said beside it.

use super::judge::{Flow, Kind, Outcome, Proto, endpoint, judge_one};
use super::node::Node;
use cluster::kube_proxy::Mode;
use kernel::event::{NftOutcome, NftStep, RuleOutcome, RuleStep, What};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nat::Manip;
use kernel::{Chance, Cx, DevId, Event, Ids, Instant, PacketId, Skb, SkbOwner};
use packet::Ip;
use serde::Serialize;
use sim::view::{nft_rule_parts, rule_parts};
use std::net::IpAddr;

/// A part of a rule, and what the packet had there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// As it is printed.
    pub text: String,
    /// Did it hold? Absent if it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// The packet's value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub seen: String,
}

/// What happened at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Step {
    /// A rule was asked.
    Rule {
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule's number in it, from 1.
        number: u32,
        /// Did it match?
        matched: bool,
        /// The rule as text.
        rule: String,
        /// Its parts.
        parts: Vec<Part>,
    },
    /// A built-in chain came to its end.
    Policy {
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// `ACCEPT` or `DROP`.
        verdict: String,
    },
    /// An address was translated.
    Translated {
        /// `source` or `destination`.
        side: &'static str,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// The packet ended.
    Dropped {
        /// Why.
        reason: String,
    },
}

/// What happened at one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// The hook's name.
    pub hook: &'static str,
    /// In order.
    pub steps: Vec<Step>,
}

/// The explanation of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Source and source port.
    pub src: String,
    /// Destination and port.
    pub dst: String,
    /// The protocol.
    pub proto: &'static str,
    /// The node.
    pub node: String,
    /// The device by which it came in; absent if the node sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The hooks.
    pub hooks: Vec<Visit>,
    /// What became of it.
    pub answer: String,
    /// The rule that decided, and what is known besides.
    pub reason: String,
    /// What can become of such a packet, as `nflab flows` judges.
    pub outcome: Outcome,
}

/// Follows a packet.
pub(super) fn explain(node: &mut Node, mode: Mode, flow: &Flow, seed: u64) -> Result<Explanation, String> {
    let outcome = judge_one(node, mode, flow)?;
    node.ns.forget_flows();
    let mut way = Way { node, chance: Chance::new(seed, 1), ids: Ids::default(), visits: Vec::new() };
    let sent = way.node.ns.has_local_addr(flow.src);
    let mut skb =
        Skb::local(PacketId(0), flow.packet(), if sent { SkbOwner::Program } else { SkbOwner::None });
    let device = way.node.device_from(flow.src);
    if !sent {
        skb.dev = Some(device);
        skb.iif = Some(device);
    }
    let end = way.go(skb, (!sent).then_some(device), flow.dst);
    let visits = way.visits;
    let (answer, reason) = answer(node, flow, &visits, end.as_ref(), &outcome);
    let src = flow.packet().ports().map_or(0, |(sport, _)| sport);
    Ok(Explanation {
        src: endpoint(flow.src, src),
        dst: endpoint(flow.dst, flow.port),
        proto: flow.proto.name(),
        node: node.ns.name.clone(),
        device: (!sent).then(|| node.ns.dev_name(device).to_owned()),
        hooks: visits,
        answer,
        reason,
        outcome,
    })
}

/// A packet under way.
struct Way<'a> {
    node: &'a mut Node,
    chance: Chance,
    ids: Ids,
    visits: Vec<Visit>,
}

impl Way<'_> {
    /// All hooks; the packet as it leaves, or `None`.
    fn go(&mut self, skb: Skb, indev: Option<DevId>, dst: IpAddr) -> Option<Skb> {
        const LO: DevId = DevId(0);
        let to = |node: &Node, skb: &Skb| node.device_from(skb.ip().map_or(dst, |ip| ip.dst));
        let Some(indev) = indev else {
            let out = self.node.device_from(dst);
            let skb = self.hook(InetHook::LocalOut, skb, None, Some(out))?;
            let out = to(self.node, &skb);
            let skb = self.hook(InetHook::PostRouting, skb, None, Some(out))?;
            if out != LO {
                return Some(skb);
            }
            let skb = self.hook(InetHook::PreRouting, skb, Some(LO), None)?;
            return self.hook(InetHook::LocalIn, skb, Some(LO), None);
        };
        let skb = self.hook(InetHook::PreRouting, skb, Some(indev), None)?;
        let out = to(self.node, &skb);
        if out == LO {
            return self.hook(InetHook::LocalIn, skb, Some(indev), None);
        }
        let skb = self.hook(InetHook::Forward, skb, Some(indev), Some(out))?;
        self.hook(InetHook::PostRouting, skb, Some(indev), Some(out))
    }

    fn hook(&mut self, hook: InetHook, skb: Skb, indev: Option<DevId>, outdev: Option<DevId>) -> Option<Skb> {
        let (mut log, mut out) = (Vec::new(), Vec::new());
        let (ns, id) = (&mut self.node.ns, skb.id);
        let mut cx = Cx {
            now: Instant(0),
            netns: ns.id,
            rng: &mut self.chance,
            ids: &mut self.ids,
            log: Some(&mut log),
            out: &mut out,
        };
        let end = ns.run_hook(hook, skb, indev, outdev, &mut cx);
        let mine = log.iter().filter(|e| e.packet == id);
        // What REJECT sends walks other hooks.
        let steps = mine.filter_map(|e| self.step(hook, e)).collect();
        self.visits.push(Visit { hook: hook.chain(), steps });
        end.ok()
    }

    fn step(&self, hook: InetHook, event: &Event) -> Option<Step> {
        match &event.what {
            What::Rule(step) if step.ctx.hook == hook => self.rule(step),
            What::Nft(step) if step.ctx.hook == hook => self.nft(step),
            What::Nat { manip, before, after, .. } => {
                let side = |ip: &Ip| {
                    let (sport, dport) = ip.ports().unwrap_or_default();
                    match manip {
                        Manip::Src => endpoint(ip.src, sport),
                        Manip::Dst => endpoint(ip.dst, dport),
                    }
                };
                let word = if *manip == Manip::Src { "source" } else { "destination" };
                Some(Step::Translated { side: word, from: side(before.ip()?), to: side(after.ip()?) })
            }
            What::Drop { reason, .. } => Some(Step::Dropped { reason: reason.to_string() }),
            _ => None,
        }
    }

    fn nft(&self, step: &NftStep) -> Option<Step> {
        let (table, chain) = (format!("{} {}", step.family.name(), step.table), step.chain.to_string());
        if let NftOutcome::Policy(verdict) = &step.outcome {
            return Some(Step::Policy { table, chain, verdict: verdict.to_string() });
        }
        let (rule, parts) = nft_rule_parts(&self.node.ns, step)?;
        let parts = parts.into_iter().map(|t| Part { text: t.text, ok: t.ok, seen: t.seen }).collect();
        let matched = matches!(step.outcome, NftOutcome::Match { .. });
        Some(Step::Rule { table, chain, number: step.n, matched, rule, parts })
    }

    fn rule(&self, step: &RuleStep) -> Option<Step> {
        let (table, chain) = (step.table.to_string(), step.chain.to_string());
        match &step.outcome {
            RuleOutcome::Policy(verdict) => Some(Step::Policy { table, chain, verdict: verdict.to_string() }),
            RuleOutcome::Match { rule, .. } | RuleOutcome::NoMatch { rule, .. } => {
                let set = &self.node.ns.table_of(step.ctx.family, step.table)?.rules;
                let parts = rule_parts(&self.node.ns, step).into_iter();
                let parts = parts.map(|t| Part { text: t.text, ok: t.ok, seen: t.seen }).collect();
                Some(Step::Rule {
                    table,
                    chain,
                    number: step.n,
                    matched: matches!(step.outcome, RuleOutcome::Match { .. }),
                    rule: userland::iptables::print_rule(set, rule),
                    parts,
                })
            }
            _ => None,
        }
    }
}

/// Does a rule say this, in the words of iptables or in those of nft?
fn says(rule: &str, target: &str, statement: &str) -> bool {
    // A comment may say anything.
    let rule = rule.split(" comment \"").next().unwrap_or_default();
    rule.contains(&format!("-j {target}")) || format!(" {rule} ").contains(&format!(" {statement} "))
}

/// What became of the packet, and why.
fn answer(
    node: &Node,
    flow: &Flow,
    visits: &[Visit],
    end: Option<&Skb>,
    outcome: &Outcome,
) -> (String, String) {
    let steps = || visits.iter().flat_map(|v| v.steps.iter().map(move |s| (v.hook, s)));
    let translated = |wanted: &str| {
        steps().find_map(|(_, s)| match s {
            Step::Translated { side, to, .. } if *side == wanted => Some(to.clone()),
            _ => None,
        })
    };
    // The last rule with a target that says something, before an address changed or the packet ended.
    let decider = |target: &dyn Fn(&str) -> bool| {
        let rules = steps().filter_map(|(_, s)| match s {
            Step::Rule { table, chain, number, matched: true, rule, .. } if target(rule) => {
                Some(format!("{table} {chain}, rule {number}: {rule}"))
            }
            _ => None,
        });
        rules.last()
    };
    if end.is_none() {
        let rule = decider(&|r| says(r, "DROP", "drop") || says(r, "REJECT", "reject"));
        let rejected = rule.as_ref().is_some_and(|r| says(r, "REJECT", "reject"));
        let policy = || {
            let mut dropped = steps().filter_map(|(_, s)| match s {
                Step::Policy { table, chain, verdict } if verdict == "DROP" => {
                    Some(format!("the policy of {table} {chain}"))
                }
                Step::Dropped { reason } => Some(reason.clone()),
                _ => None,
            });
            dropped.next_back().unwrap_or_default()
        };
        let word = if rejected { "rejected" } else { "dropped" };
        let hook = visits.last().map_or("", |v| v.hook);
        return (format!("{word}: it does not get beyond {hook}"), rule.unwrap_or_else(policy));
    }
    let own = |addr: IpAddr| node.ns.has_local_addr(addr);
    let ip = end.and_then(Skb::ip);
    let to = ip.map_or(flow.dst, |ip| ip.dst);
    let port = ip.and_then(Ip::ports).map_or(flow.port, |(_, dport)| dport);
    let place = if own(to) { "the node itself" } else { "on its way by" };
    let device = if own(to) { String::new() } else { format!(" {}", node.ns.dev_name(node.device_from(to))) };
    let mut answer = match translated("destination") {
        Some(to) => format!("goes to {to} instead of {}", endpoint(flow.dst, flow.port)),
        None => format!("goes to {}, as it was sent", endpoint(to, port)),
    };
    answer += &format!(": {place}{device}");
    if let Some(src) = translated("source") {
        answer += &format!(", from {src} (masqueraded)");
    }
    let translates = |r: &str| says(r, "DNAT", "dnat to") || says(r, "REDIRECT", "redirect");
    let mut reason = decider(&translates)
        .or_else(|| decider(&|r| says(r, "ACCEPT", "accept")))
        .unwrap_or_else(|| "no rule that matched ends its way or changes it".to_owned());
    if outcome.kind == Kind::Dnat && outcome.output.len() > 1 {
        reason +=
            &format!("; chance chose it out of {}: {}", outcome.output.len(), outcome.output.join(", "));
    }
    (answer, reason)
}

impl Explanation {
    /// For people. `all` shows the rules that did not match as well.
    pub fn text(&self, all: bool) -> String {
        let from = match &self.device {
            Some(device) => format!("in by {device}"),
            None => "sent by the node itself".to_owned(),
        };
        let mut out = format!("{} {} -> {} on {}, {from}\n", self.proto, self.src, self.dst, self.node);
        for visit in &self.hooks {
            out += &format!("{}\n", visit.hook);
            let mut passed = 0;
            for step in &visit.steps {
                if let Step::Rule { matched: false, .. } = step
                    && !all
                {
                    passed += 1;
                    continue;
                }
                if passed > 0 {
                    out +=
                        &format!("    {passed} rule{} did not match\n", if passed == 1 { "" } else { "s" });
                    passed = 0;
                }
                out += &step.text();
            }
        }
        out += &format!("answer: {}\nreason: {}\n", self.answer, self.reason);
        out
    }
}

impl Step {
    fn text(&self) -> String {
        match self {
            Step::Rule { table, chain, number, matched: true, rule, .. } => {
                format!("  * {table} {chain} {number}: {rule}\n")
            }
            Step::Rule { table, chain, number, rule, parts, .. } => {
                let failed = parts.iter().find(|p| p.ok == Some(false));
                let why = failed.map(|p| format!("      no: {} (the packet: {})\n", p.text, p.seen));
                format!("    {table} {chain} {number}: {rule}\n{}", why.unwrap_or_default())
            }
            Step::Policy { table, chain, verdict } => format!("    {table} {chain}: policy {verdict}\n"),
            Step::Translated { side, from, to } => format!("  > {side} {from} becomes {to}\n"),
            Step::Dropped { reason } => format!("  x the packet ends: {reason}\n"),
        }
    }
}

impl Proto {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Sctp => "sctp",
        }
    }
}
