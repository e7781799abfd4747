//! Rules that a packet met.

use super::{Met, typed};
use crate::session::Typed;
use kernel::DropReason;
use kernel::event::{NftOutcome, NftStep, RuleOutcome, RuleStep, What};
use kernel::netfilter::nftables::NftVerdict;
use kernel::netfilter::xtables::Verdict;
use kernel::netfilter::xtables::targets::Target;
use packet::{Family, L4};
use sim::{Entry, World};

/// Against the rule or policy that ended the packet: without it, or with one before it that lets the packet pass.
pub(super) fn that_ended(met: &Met<'_>) -> Vec<Typed> {
    if met.end.reason != DropReason::NetfilterDrop {
        return Vec::new();
    }
    let lines = met.before().find_map(|what| match what {
        What::Rule(step) if ends(step) => Some(without(step)),
        What::Nft(step) => without_nft(step),
        _ => None,
    });
    lines.unwrap_or_default().into_iter().map(|line| met.here(line)).collect()
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

fn without(step: &RuleStep) -> Vec<String> {
    let (iptables, chain, n) = (iptables(step), &step.chain, step.n);
    let policy = matches!(step.outcome, RuleOutcome::Policy(_));
    let mut out = vec![match policy {
        true => format!("{iptables} -P {chain} ACCEPT"),
        false => format!("{iptables} -D {chain} {n}"),
    }];
    if let Some(ip) = step.frame.ip() {
        let ports = match &ip.l4 {
            L4::Tcp(t) => format!(" -p tcp --dport {}", t.dport),
            L4::Udp(u) => format!(" -p udp --dport {}", u.dport),
            L4::Icmp(_) => " -p icmp".to_owned(),
            _ => String::new(),
        };
        let what = format!("{ports} -d {} -j ACCEPT", ip.dst);
        out.push(match policy {
            true => format!("{iptables} -A {chain}{what}"),
            false => format!("{iptables} -I {chain} {n}{what}"),
        });
    }
    out
}

fn without_nft(step: &NftStep) -> Option<Vec<String>> {
    let at = format!("{} {} {}", step.family, step.table, step.chain);
    match &step.outcome {
        NftOutcome::Match { rule, verdict: NftVerdict::Drop, .. } => {
            Some(vec![format!("nft delete rule {at} handle {}", rule.handle)])
        }
        NftOutcome::Policy(Verdict::Drop) => Some(vec![format!("nft chain {at} '{{ policy accept; }}'")]),
        _ => None,
    }
}

/// Against rules that made something else of a packet on its way: another address, mark or TTL, or a packet that conntrack does not see.
/// What kube-proxy and the kubelet write is left alone: they would write it again.
pub(super) fn that_changed(world: &World, entries: &[Entry]) -> Vec<Typed> {
    let changes = |target: &Target| match target {
        Target::Ct(ct) => ct.notrack,
        target => matches!(
            target,
            Target::Notrack
                | Target::Dnat(_)
                | Target::Redirect(_)
                | Target::Snat(_)
                | Target::Masquerade(_)
                | Target::Netmap(_)
                | Target::Mark(_)
                | Target::Connmark(_)
                | Target::Ttl(_)
        ),
    };
    let mut out = Vec::new();
    for entry in entries {
        if let Some(What::Rule(step)) = entry.what()
            && let RuleOutcome::Match { rule, .. } = &step.outcome
            && changes(&rule.target)
            && !step.chain.starts_with("KUBE-")
        {
            let on = world.host(entry.host).map(|ns| &*ns.name);
            out.push(typed(on, format!("{} -D {} {}", iptables(step), step.chain, step.n)));
        }
    }
    out
}
