//! Why a step went as it did.

use super::questions::questions;
use super::step::Tone;
use super::text::endpoint;
use super::title::{entry, target_text};
use crate::apps::AppEvent;
use crate::log::Seen;
use crate::operator::route_text;
use crate::view::Step;
use crate::{Entry, EventId, World};
use kernel::Netns;
use kernel::event::{BrNfStep, BridgeStep, ClashStep, CtStep, IpvsStep, Origin, RuleOutcome, RuleStep, What};
use kernel::netfilter::xtables::{Check, CheckOf, Rule, RuleSet, Seen as Value};
use kernel::route::Verdict;
use packet::Frame;
use std::rc::Rc;

/// A part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As iptables prints it.
    pub text: String,
    /// Did it hold? `None`: it was not looked at, or there is nothing to look at.
    pub ok: Option<bool>,
    /// The packet's value.
    pub seen: String,
}

/// A rule that did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its chain.
    pub chain: Rc<str>,
    /// Its number.
    pub n: u32,
    /// The part that did not hold.
    pub token: Token,
    /// What it would have done.
    pub target: String,
}

/// What a rule of nf_tables looked up in a set or map of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftLookup {
    /// The set's name.
    pub set: Rc<str>,
    /// The member as it is listed, or the value that no member has.
    pub key: String,
    /// There is such a member.
    pub found: bool,
    /// It is a verdict map.
    pub vmap: bool,
}

/// The explanation of a step.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Why {
    /// The chain and number of the rule.
    pub rule: Option<(Rc<str>, u32)>,
    /// The rule's parts.
    pub tokens: Vec<Token>,
    /// Rules tried before.
    pub skipped: Vec<Skipped>,
    /// The packet before and after, if this step changed it.
    pub change: Option<(Rc<Frame>, Rc<Frame>)>,
    /// Sentences.
    pub text: Vec<String>,
    /// The packet that caused this one.
    pub parent: Option<kernel::PacketId>,
}

/// Explains a step.
pub fn why(world: &World, step: &Step) -> Why {
    let mut out = Why::default();
    let (Some(ns), Some(e)) = (world.host(step.host), world.log().get(step.key)) else { return out };
    for id in &step.skipped {
        match world.log().get(*id).map(|e| &*e.seen) {
            Some(Seen::Kernel(What::Rule(r))) => out.skipped.extend(skipped(ns, r)),
            Some(Seen::Kernel(What::Nft(r))) => out.skipped.extend(super::nft::skipped(ns, r)),
            _ => {}
        }
    }
    let Seen::Kernel(what) = &*e.seen else {
        out.text = if step.tone == Tone::Bad { asked(world, step) } else { Vec::new() };
        return out;
    };
    explain(world, ns, what, &mut out);
    out
}

/// The names that a program has asked for before it complains, if one of them came to nothing.
fn asked(world: &World, step: &Step) -> Vec<String> {
    let begun = |e: &&Entry| e.host == step.host && matches!(&*e.seen, Seen::App(AppEvent::Started { .. }));
    let before = world.log().entries().get(..step.key.index()).unwrap_or_default();
    let since = before.iter().rev().take_while(|e| !begun(e)).count();
    let since = EventId(step.key.0.saturating_sub(u32::try_from(since).unwrap_or(u32::MAX)));
    let all = questions(world.log(), step.host, since..step.key);
    if all.iter().all(|q| q.is_answered()) {
        return Vec::new();
    }
    all.iter().map(|q| format!("{} asked for {}: {}.", q.server, q.name.as_str(), q.said)).collect()
}

/// Two packets made an entry each, as neither found one.
fn clash(step: ClashStep, winner: &str) -> String {
    let then = match step {
        ClashStep::Merged => "Both say the same of the flow, so this packet goes on with that one.",
        ClashStep::ReplyOnly => {
            "Answers to this packet come from elsewhere, so its own entry goes into the table for them, for one second; \
             conntrack -L does not show it."
        }
        ClashStep::Lost => "There can be only one, so this packet is dropped: insert_failed of conntrack -S.",
    };
    format!("When this packet came in, nobody had an entry with its tuple; now entry {winner} has it. {then}")
}

fn explain(world: &World, ns: &Netns, what: &What, out: &mut Why) {
    match what {
        What::Rule(r) => rule(ns, r, out),
        What::Nft(r) => super::nft::why(ns, r, out),
        What::Nat { conn, before, after, .. } => {
            out.text.push(format!("Entry {} of conntrack says so, for this packet and all that follow it.", entry(*conn)));
            out.change = Some((Rc::clone(before), Rc::clone(after)));
        }
        What::Ipvs { step, .. } => match step {
            IpvsStep::Scheduled(..) => out.text.push(
                "No connection of IPVS has this packet's addresses and ports, so the scheduler chooses a server.".to_owned(),
            ),
            IpvsStep::Forwarded(_) => {
                out.text.push("Direct routing: only the frame is addressed to the real server.".to_owned());
            }
            IpvsStep::NoServer(_) => out.text.push("The sender is told that the port is unreachable.".to_owned()),
            IpvsStep::Rewritten { before, after, .. } => {
                out.text.push("IPVS's own connection table says so.".to_owned());
                out.change = Some((Rc::clone(before), Rc::clone(after)));
            }
        },
        What::Route(r) => {
            match &r.route {
                Some(route) => out.text.push(format!("{} matches the route “{}”.", r.dst, route_text(ns, route))),
                None => out.text.push(format!("No route matches {}.", r.dst)),
            }
            if let Ok(dst) = &r.outcome
                && dst.verdict == Verdict::Out
            {
                let next = dst.gateway.unwrap_or(r.dst);
                out.text.push(format!("Next hop {next} by {}.", ns.dev_name(dst.dev)));
            }
        }
        What::Conntrack { step, state, conn, row, .. } => {
            out.text.push(conntrack(*step, *state, conn.map(entry)));
            if let Some(row) = row {
                let (o, r) = (&row.orig, &row.reply);
                let port = |p| Some(p);
                out.text.push(format!(
                    "original {} → {}, expects reply {} → {}",
                    endpoint(o.src(), port(o.sport())),
                    endpoint(o.dst(), port(o.dport())),
                    endpoint(r.src(), port(r.sport())),
                    endpoint(r.dst(), port(r.dport())),
                ));
            }
        }
        What::Confirmed(_) => out.text.push(
            "The packet has passed its last hook, so the entry that was made for it goes into the table.".to_owned(),
        ),
        What::Parked { .. } => out.text.push(
            "One processor is busy with this packet while another runs a packet of its own: what this one has decided, the \
             other does not see yet."
                .to_owned(),
        ),
        What::Clash { winner, step, .. } => out.text.push(clash(*step, &entry(*winner))),
        What::Bridge { bridge, from, step } => bridge_text(ns, *bridge, *from, step, out),
        What::BrNetfilter { step, .. } => out.text.push(br_netfilter(step)),
        What::HookSkipped(_) => out.text.push(
            "The bridge has lent this packet to PREROUTING already; the IP stack does not run it a second time.".to_owned(),
        ),
        What::Created { origin, parent, .. } => {
            out.parent = *parent;
            if let Some(text) = created(*origin) {
                out.text.push(text.to_owned());
            }
        }
        What::Drop { reason, dev, .. } => {
            let at = dev.map(|d| format!(" at {}", ns.dev_name(d))).unwrap_or_default();
            out.text.push(format!("The packet ends here{at}: {reason}."));
        }
        What::Tap { dev, .. } => {
            let device = ns.device(*dev);
            if let Some((host, peer)) = world.peer((ns.id, *dev))
                && let Some(other) = world.host(host)
            {
                out.text.push(format!("The other end is {} of {}.", other.dev_name(peer), other.name));
            }
            if let Some(master) = device.and_then(|d| d.master) {
                out.text.push(format!("It is a port of the bridge {}.", ns.dev_name(master)));
            }
        }
        _ => {}
    }
}

fn created(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::TcpReset => Some("TCP answers a segment that fits no socket with a RST to its sender."),
        Origin::Reject => Some("A rule with the target REJECT asked for it."),
        Origin::Icmp => Some("The kernel itself makes it."),
        _ => None,
    }
}

fn conntrack(step: CtStep, state: kernel::netfilter::conntrack::CtState, n: Option<String>) -> String {
    let n = n.unwrap_or_default();
    match step {
        CtStep::New => {
            format!("No entry has this packet's addresses and ports: {n} is made, and not yet in the table.")
        }
        CtStep::Expected => {
            format!("A helper has announced a connection like this: {n} is made, and belongs to its master.")
        }
        CtStep::Found => {
            format!("Entry {n} has this packet's addresses and ports. Its state for rules: {state}.")
        }
        CtStep::Ignored => format!(
            "Entry {n} does not allow this packet now. It passes all the same, for the other side to answer it."
        ),
        CtStep::Attached => format!("The packet brings its entry {n} with it."),
        CtStep::Related => format!("The packet is an error about entry {n}."),
        CtStep::Invalid(reason) => format!("No state of the connection allows this packet: {reason}."),
        CtStep::Untracked => "A rule asked not to track it.".to_owned(),
        CtStep::TableFull => "nf_conntrack_max is reached.".to_owned(),
    }
}

fn bridge_text(
    ns: &Netns,
    bridge: kernel::DevId,
    from: Option<kernel::DevId>,
    step: &BridgeStep,
    out: &mut Why,
) {
    let name = ns.dev_name(bridge);
    match step {
        BridgeStep::Forwarded(to) => {
            out.text
                .push(format!("The forwarding database of {name} has the address on {}.", ns.dev_name(*to)));
        }
        BridgeStep::Flooded(ports) => {
            out.text.push(format!(
                "The forwarding database of {name} has no entry for it. A copy goes to every port but the one it came in by{}.",
                from.map(|f| format!(" ({})", ns.dev_name(f))).unwrap_or_default()
            ));
            let names: Vec<&str> = ports.iter().map(|p| ns.dev_name(*p)).collect();
            out.text.push(format!("Copies: {}.", names.join(", ")));
        }
        BridgeStep::PassedUp => out.text.push(format!("The frame carries the address of {name} itself.")),
        BridgeStep::PassedUpPromiscuous => out.text.push(format!("{name} is in promiscuous mode.")),
        BridgeStep::Learned { .. } => {}
    }
}

fn br_netfilter(step: &BrNfStep) -> String {
    match step {
        BrNfStep::NotCalled { loaded: false, hook } => format!(
            "The module br_netfilter is not loaded, so a frame on the bridge does not meet {hook}: no conntrack, no NAT, no rules."
        ),
        BrNfStep::NotCalled { loaded: true, hook } => {
            format!("net.bridge.bridge-nf-call-iptables is 0, so a frame on the bridge does not meet {hook}.")
        }
        BrNfStep::Calls(hook) => {
            format!("br_netfilter runs the IP hook {hook} for a frame that is still on the bridge.")
        }
        BrNfStep::BridgedDnat { to } => {
            format!(
                "The route to the new destination {to} leads back to this bridge: only the destination MAC changes."
            )
        }
        BrNfStep::RoutedDnat { to } => format!("The route to the new destination {to} leads elsewhere."),
    }
}

fn rule(ns: &Netns, r: &RuleStep, out: &mut Why) {
    match &r.outcome {
        RuleOutcome::Match { rule, checks } => {
            let Some(set) = ns.table_of(r.ctx.family, r.table).map(|t| &*t.rules) else { return };
            out.rule = Some((Rc::clone(&r.chain), r.n));
            out.tokens = tokens(set, rule, checks);
            if rule.is_unconditional() {
                out.text.push("The rule has no condition: every packet matches.".to_owned());
            }
        }
        RuleOutcome::Policy(v) => {
            let tried =
                if out.skipped.is_empty() { "The chain has no rule that ends it" } else { "No rule matched" };
            out.text.push(format!("{tried}, so the policy of {} applies: {v}.", r.chain));
        }
        _ => out
            .text
            .push(format!("{} is at its end; the walk goes on behind the rule that led here.", r.chain)),
    }
}

/// The parts of a rule that was asked, and what the packet had; nothing for the end of a chain.
pub fn rule_parts(ns: &Netns, step: &RuleStep) -> Vec<Token> {
    let (RuleOutcome::Match { rule, checks } | RuleOutcome::NoMatch { rule, checks }) = &step.outcome else {
        return Vec::new();
    };
    let set = ns.table_of(step.ctx.family, step.table).map(|t| &*t.rules);
    set.map(|set| tokens(set, rule, checks)).unwrap_or_default()
}

fn tokens(set: &RuleSet, rule: &Rule, checks: &[Check]) -> Vec<Token> {
    userland::iptables::rule_tokens(set, rule)
        .into_iter()
        .map(|t| {
            let check = t.of.and_then(|of| checks.iter().find(|c| c.of == of));
            Token {
                text: t.text,
                ok: check.filter(|c| c.seen != Value::Nothing).map(|c| c.ok),
                seen: check.map(|c| value(&c.seen)).unwrap_or_default(),
            }
        })
        .collect()
}

/// The parts of a rule that names no chain, such as a match of iptables in a rule of nf_tables.
#[cfg(feature = "nft")]
pub(super) fn xt_tokens(rule: &Rule, checks: &[Check]) -> Vec<Token> {
    let nowhere = RuleSet::empty(kernel::netfilter::xtables::TableId::Filter);
    tokens(&nowhere, rule, checks)
}

fn skipped(ns: &Netns, r: &RuleStep) -> Option<Skipped> {
    let RuleOutcome::NoMatch { rule, checks } = &r.outcome else { return None };
    let set = &*ns.table_of(r.ctx.family, r.table)?.rules;
    let all = tokens(set, rule, checks);
    let failed = checks.iter().find(|c| !c.ok);
    let token = all.into_iter().find(|t| t.ok == Some(false)).unwrap_or_else(|| Token {
        text: failed.map_or("?", |c| part_name(c.of)).to_owned(),
        ok: Some(false),
        seen: failed.map(|c| value(&c.seen)).unwrap_or_default(),
    });
    let target = target_text(Some(set), rule);
    Some(Skipped { chain: Rc::clone(&r.chain), n: r.n, token, target })
}

fn part_name(of: CheckOf) -> &'static str {
    match of {
        CheckOf::Src => "-s",
        CheckOf::Dst => "-d",
        CheckOf::InIface => "-i",
        CheckOf::OutIface => "-o",
        CheckOf::Proto => "-p",
        CheckOf::Fragment => "-f",
        CheckOf::Match { .. } => "-m",
    }
}

/// A value of the packet in words.
fn value(seen: &Value) -> String {
    match seen {
        Value::Addr(a) => a.to_string(),
        Value::Iface(name) if name.is_empty() => "no device".to_owned(),
        Value::Iface(name) => name.clone(),
        Value::Proto(p) => p.to_string(),
        Value::Port(p) => p.to_string(),
        Value::Mark(m) => format!("mark {m:#x}"),
        Value::State(s) => s.to_string(),
        Value::Word(w) => (*w).to_owned(),
        Value::Text(t) => t.clone(),
        Value::Draw(drew, below) => format!("drew {}, matches below {}", fraction(*drew), fraction(*below)),
        Value::Count(n, at) => format!("packet {n}, matches at {at}"),
        Value::Nothing => String::new(),
    }
}

/// A fraction of 2^31 with two digits.
fn fraction(x: u32) -> String {
    let hundredths = (u64::from(x) * 100) >> 31;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
