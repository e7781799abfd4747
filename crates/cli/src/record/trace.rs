//! The walk of packets through the rules, as the TRACE target reports it.

use super::packet_text::ip_text;
use kernel::event::{HookCtx, RuleOutcome, RuleStep, What};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{RuleSet, TableId};
use kernel::{DevId, Netns};
use packet::{IcmpBody, Ip, L4};
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// Collects the steps of one box; consecutive steps of one packet stand together.
#[derive(Default)]
pub struct Tracer {
    groups: Vec<Value>,
    steps: Vec<Value>,
    key: Option<Key>,
    first: String,
    last: String,
}

/// By this the recordings tell packets apart.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    proto: u8,
    id: u16,
    numbers: (u32, u32, u32),
    payload: Vec<u8>,
    frag: u16,
}

fn key_of(ip: &Ip) -> Key {
    let (numbers, payload) = match &*ip.headers() {
        L4::Tcp(t) => ((t.seq, t.ack, u32::from(t.flags.0)), Vec::new()),
        L4::Udp(u) => ((0, 0, 0), u.payload.to_vec()),
        L4::Icmp(i) => match &i.body {
            IcmpBody::Query { id, seq, .. } => ((u32::from(*id), u32::from(*seq), 0), Vec::new()),
            _ => ((0, 0, 0), Vec::new()),
        },
        L4::Icmp6(_) | L4::Other(..) => ((0, 0, 0), Vec::new()),
    };
    Key { proto: ip.protocol().0, id: ip.id, numbers, payload, frag: ip.frag.offset }
}

impl Tracer {
    /// Takes an event, if it is one that TRACE or the probe would report; gives its packet then. `rules` are the tables
    /// that the recording knows, by their ids.
    pub fn see<'a>(&mut self, ns: &Netns, rules: &[Option<Rc<RuleSet>>], what: &'a What) -> Option<&'a Ip> {
        match what {
            What::Rule(step) if step.traced => self.rule(ns, rules, step),
            What::CtProbe { ctx, state, info, frame, mark } => {
                let ip = frame.ip()?;
                let mut map = hook(ctx);
                map.insert("kind".to_owned(), json!("ctstate"));
                let word = state.name().to_lowercase();
                let text = match info {
                    Some(info) => format!("{word} {}", info.dir.name()),
                    None => word,
                };
                map.insert("state".to_owned(), json!(text));
                self.push(ip, map, ctx, ns, *mark);
                Some(ip)
            }
            What::NfLog(said) => {
                let ip = said.frame.ip()?;
                // Conntrack names no hook: 0, which is PREROUTING.
                let mut map = hook(&HookCtx { hook: InetHook::PreRouting, ..said.ctx.clone() });
                map.insert("kind".to_owned(), json!("log"));
                map.insert("text".to_owned(), json!(said.prefix));
                self.push(ip, map, &said.ctx, ns, said.mark);
                Some(ip)
            }
            _ => None,
        }
    }

    fn rule<'a>(&mut self, ns: &Netns, rules: &[Option<Rc<RuleSet>>], step: &'a RuleStep) -> Option<&'a Ip> {
        let ip = step.ip()?;
        let mut map = hook(&step.ctx);
        let hidden = step.table == TableId::Raw && matches!(&*step.chain, "PREROUTING" | "OUTPUT");
        let n = step.n - u32::from(hidden);
        let base = step.ctx.hook.chain() == &*step.chain;
        // TRACE takes a verdict without a condition for the end of the chain.
        let said = match &step.outcome {
            RuleOutcome::NoMatch { .. } => return None,
            RuleOutcome::Match { rule, .. } if hidden && n == 0 && rule.target == Target::Trace => {
                return None;
            }
            RuleOutcome::Match { rule, .. }
                if rule.is_unconditional() && rule.target.is_standard_verdict() =>
            {
                if base {
                    "policy"
                } else {
                    "return"
                }
            }
            RuleOutcome::Match { .. } => "rule",
            RuleOutcome::Return => "return",
            RuleOutcome::Policy(_) => "policy",
        };
        let text = rule_text(rules.get(step.table as usize).and_then(Option::as_deref), &step.chain, n);
        let kind = if text.is_some() { "rule" } else { said };
        map.insert("table".to_owned(), json!(step.table.name()));
        map.insert("chain".to_owned(), json!(&*step.chain));
        map.insert("kind".to_owned(), json!(kind));
        map.insert("n".to_owned(), json!(n));
        if let Some(text) = text {
            map.insert("rule".to_owned(), json!(text));
            if said != "rule" {
                map.insert("trace_said".to_owned(), json!(said));
            }
        }
        self.push(ip, map, &step.ctx, ns, step.mark);
        Some(ip)
    }

    fn push(&mut self, ip: &Ip, mut map: Map<String, Value>, ctx: &HookCtx, ns: &Netns, mark: u32) {
        let name = |d: DevId| ns.dev_name(d).to_owned();
        // nfnetlink_log names a bridge port only beside the device of the same direction.
        let (physin, physout) = (ctx.indev.and(ctx.physin), ctx.outdev.and(ctx.physout));
        for (key, dev) in [("in", ctx.indev), ("out", ctx.outdev), ("physin", physin), ("physout", physout)] {
            if let Some(dev) = dev {
                map.insert(key.to_owned(), json!(name(dev)));
            }
        }
        if mark != 0 {
            map.insert("mark".to_owned(), json!(format!("{mark:#x}")));
        }
        let (key, text) = (key_of(ip), ip_text(ip, true));
        if self.key.as_ref() != Some(&key) {
            self.flush();
            self.key = Some(key);
            self.first = text.clone();
            self.last = text.clone();
        }
        if text != self.last {
            map.insert("pkt".to_owned(), json!(text));
            self.last = text;
        }
        map.insert("ttl".to_owned(), json!(ip.ttl));
        self.steps.push(Value::Object(map));
    }

    fn flush(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        if !steps.is_empty() {
            self.groups.push(json!({ "pkt": self.first, "steps": steps }));
        }
    }

    /// The groups, in order.
    pub fn finish(mut self) -> Vec<Value> {
        self.flush();
        self.groups
    }
}

/// The text of a chain's rule by its number, TRACE rules left out.
fn rule_text(set: Option<&RuleSet>, chain: &str, n: u32) -> Option<String> {
    let set = set?;
    let chain = set.chains.iter().find(|c| &*c.name == chain)?;
    let mut rules = chain.rules.iter().filter(|r| r.target != Target::Trace);
    let rule = rules.nth(usize::try_from(n.checked_sub(1)?).ok()?)?;
    Some(userland::iptables::print_rule(set, rule))
}

fn hook(ctx: &HookCtx) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("hook".to_owned(), json!(ctx.hook.chain()));
    map
}
