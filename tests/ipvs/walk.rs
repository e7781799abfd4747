//! Facts V1 and V5: the hook functions and rules that each packet meets on node1, line by line as a Linux 6.1 showed them by
//! kprobes and TRACE (`data/ipvs/V1.txt`, `V5.txt`).

use kernel::event::{CtStep, IpvsStep, RuleOutcome, RuleStep, What};
use kernel::netfilter::conntrack::CtState;
use kernel::netfilter::hook::{HookFn, InetHook};
use kernel::netfilter::xtables::TableId;
use kernel::{NetnsId, PacketId};
use packet::{Ip, L4, TcpFlags, icmp_type};
use sim::Run;

/// Kinds of line of the transcript that the engine's log can tell.
const KNOWN: [&str; 10] = [
    "defrag",
    "ipt",
    "ct_in",
    "ct_confirm",
    "nat",
    "ipvs_in",
    "ipvs_out",
    "ipvs_fwd_icmp",
    "ipvs_schedule",
    "TRACE",
];

/// The lines of a block of a transcript, without those that are not known here and without the numbers of buffers.
pub fn expected(block: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for line in block {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["TRACE", ..] => out.push(words.join(" ")),
            [skb, kind, ..] if skb.starts_with("skb") && KNOWN.contains(kind) => {
                out.push(words[1..].join(" "))
            }
            _ => {}
        }
    }
    out
}

/// What is registered at a hook and not yet reported.
struct Walk {
    packet: Option<PacketId>,
    hook: InetHook,
    left: Vec<HookFn>,
    /// nf_nat_inet_fn is asked about it.
    asked: bool,
    /// Whether the packet went on by itself.
    stolen: bool,
    /// IPVS has no server for it.
    refused: bool,
}

/// The same lines from the log of a run: those of one box between two entries.
pub fn lines(run: &Run, host: &str, first: usize, end: usize) -> Vec<String> {
    let id = run.world.host_by_name(host).unwrap();
    let mut out = Vec::new();
    let mut walks: Vec<Walk> = Vec::new();
    // The packets about which nf_nat_inet_fn is asked: those with an entry, but no ICMP errors.
    let mut asked: Vec<Option<PacketId>> = Vec::new();
    for entry in &run.world.log().entries()[first..end] {
        let (Some(what), true) = (entry.what(), entry.host == id) else { continue };
        let walk = walks.iter().rposition(|w| w.packet == entry.packet);
        match what {
            What::Hook(ctx) => {
                if let Some(old) = walk {
                    let old = walks.remove(old);
                    finish(&old, &mut out);
                } else {
                    // Another packet: those that were at their last hook are through it.
                    let last =
                        |w: &Walk| matches!(w.hook, InetHook::LocalIn | InetHook::PostRouting) && !w.refused;
                    walks.iter().filter(|w| last(w)).for_each(|w| finish(w, &mut out));
                    walks.retain(|w| !last(w));
                }
                let left = run.world.host(id).unwrap().hooks_at(ctx.hook);
                let left =
                    left.into_iter().filter(|f| !matches!(f, HookFn::Sabotage | HookFn::CtProbe)).collect();
                walks.push(Walk {
                    packet: entry.packet,
                    hook: ctx.hook,
                    left,
                    asked: asked.contains(&entry.packet),
                    stolen: false,
                    refused: false,
                });
            }
            What::Conntrack { step, state, conn, .. } => {
                upto(&mut walks, walk, HookFn::ConntrackIn, &mut out);
                let error = matches!(step, CtStep::Related | CtStep::Attached) && *state == CtState::Related;
                asked.retain(|p| *p != entry.packet);
                if conn.is_some() && !error {
                    asked.push(entry.packet);
                }
                if let Some(w) = walk.and_then(|w| walks.get_mut(w)) {
                    w.asked = asked.contains(&entry.packet);
                }
            }
            What::Rule(step) => rule(run, id, step, &mut walks, walk, &mut out),
            What::Ipvs { step, .. } => {
                let answers = match step {
                    IpvsStep::Rewritten { before, after, .. } => {
                        before.ip().map(|i| i.src) != after.ip().map(|i| i.src)
                    }
                    _ => false,
                };
                let func = if answers { HookFn::IpvsOut } else { HookFn::IpvsIn };
                upto(&mut walks, walk, func, &mut out);
                if matches!(step, IpvsStep::Scheduled(..) | IpvsStep::NoServer(_)) {
                    out.push("ipvs_schedule".to_owned());
                }
                if let (Some(w), false, IpvsStep::Rewritten { .. }) =
                    (walk.and_then(|w| walks.get_mut(w)), answers, step)
                {
                    w.stolen = true;
                }
                if let IpvsStep::Rewritten { conn, .. } = step
                    && !conn.nfct
                {
                    asked.retain(|p| *p != entry.packet);
                }
                if let (Some(w), IpvsStep::NoServer(_)) = (walk.and_then(|w| walks.get_mut(w)), step) {
                    w.refused = true;
                }
            }
            What::Confirmed(_) => upto(&mut walks, walk, HookFn::Confirm, &mut out),
            // An answer of the kernel: the packet is through, unless IPVS itself refuses it.
            What::Created { parent: Some(parent), .. } => {
                if let Some(old) = walks.iter().rposition(|w| w.packet == Some(*parent) && !w.refused) {
                    let old = walks.remove(old);
                    finish(&old, &mut out);
                }
            }
            // The bridge has run this hook.
            What::Drop { .. } | What::HookSkipped(_) => {
                if let Some(w) = walk {
                    walks.remove(w);
                }
            }
            What::Forward { .. } | What::Tap { .. } | What::Bridge { .. } | What::Neigh { .. } => {
                if let Some(w) = walk {
                    let old = walks.remove(w);
                    finish(&old, &mut out);
                }
            }
            _ => {}
        }
    }
    for w in &walks {
        finish(w, &mut out);
    }
    out
}

fn finish(walk: &Walk, out: &mut Vec<String>) {
    if !walk.stolen {
        for f in &walk.left {
            function(*f, walk, out);
        }
    }
}

/// The functions of a walk up to and including this one.
fn upto(walks: &mut [Walk], at: Option<usize>, func: HookFn, out: &mut Vec<String>) {
    let Some(walk) = at.and_then(|at| walks.get_mut(at)) else { return };
    let Some(n) = walk.left.iter().position(|f| *f == func) else { return };
    let done: Vec<HookFn> = walk.left.drain(..=n).collect();
    for f in done {
        function(f, walk, out);
    }
}

fn function(f: HookFn, walk: &Walk, out: &mut Vec<String>) {
    let hook = walk.hook.chain();
    let name = match f {
        HookFn::ConntrackIn => "ct_in",
        HookFn::Defrag => "defrag",
        HookFn::Confirm => "ct_confirm",
        HookFn::Nat if !walk.asked => return,
        HookFn::Nat => "nat",
        HookFn::IpvsIn => "ipvs_in",
        HookFn::IpvsOut => "ipvs_out",
        HookFn::IpvsForwardIcmp => "ipvs_fwd_icmp",
        HookFn::Table(t) => return out.push(format!("ipt @{hook} table={}", t.name())),
        _ => return,
    };
    out.push(format!("{name} @{hook}"));
}

fn rule(
    run: &Run,
    id: NetnsId,
    step: &RuleStep,
    walks: &mut [Walk],
    walk: Option<usize>,
    out: &mut Vec<String>,
) {
    let func = if step.table == TableId::Nat { HookFn::Nat } else { HookFn::Table(step.table) };
    let fresh = walk.and_then(|w| walks.get(w)).is_some_and(|w| w.left.contains(&func));
    upto(walks, walk, func, out);
    if fresh && func == HookFn::Nat {
        out.push(format!("ipt @{} table=nat", step.ctx.hook.chain()));
    }
    let kind = match &step.outcome {
        _ if !step.traced => return,
        RuleOutcome::NoMatch { .. } => return,
        RuleOutcome::Match { .. } => "rule",
        RuleOutcome::Return => "return",
        RuleOutcome::Policy(_) => "policy",
    };
    let ns = run.world.host(id).unwrap();
    let name = |d: Option<kernel::DevId>| d.map_or("-", |d| ns.dev_name(d));
    let ctx = &step.ctx;
    let mut line = format!("TRACE {}:{}:{kind}:{}", step.table.name(), step.chain, step.n);
    line += &format!(" in={} out={}", name(ctx.indev), name(ctx.outdev));
    for (word, dev) in [("physin", ctx.physin), ("physout", ctx.physout)] {
        if dev.is_some() {
            line += &format!(" {word}={}", name(dev));
        }
    }
    line += &packet_words(step.frame.ip().unwrap());
    if step.mark != 0 {
        line += &format!(" mark={:#x}", step.mark);
    }
    out.push(line);
}

/// `udp 10.244.1.10:4001>10.96.0.10:80`, as the transcript's formatter writes it.
fn packet_words(ip: &Ip) -> String {
    let mut text = format!(" {} ", ip.protocol());
    match (&ip.l4, ip.ports()) {
        (L4::Icmp(icmp), _) => {
            // The formatter takes ports where it finds them: in the quoted packet.
            match icmp.inner().and_then(Ip::ports) {
                Some((sport, dport)) => text += &format!("{}:{sport}>{}:{dport}", ip.src, ip.dst),
                None => text += &format!("{}>{}", ip.src, ip.dst),
            }
            if icmp.kind != icmp_type::ECHO {
                text += &format!(" icmp {}/{}", icmp.kind, icmp.code);
            }
        }
        (_, Some((sport, dport))) => text += &format!("{}:{sport}>{}:{dport}", ip.src, ip.dst),
        _ => text += &format!("{}>{}", ip.src, ip.dst),
    }
    if let L4::Tcp(t) = &ip.l4 {
        let names = [
            (TcpFlags::SYN, " SYN"),
            (TcpFlags::ACK, " ACK"),
            (TcpFlags::PSH, " PSH"),
            (TcpFlags::FIN, " FIN"),
            (TcpFlags::RST, " RST"),
        ];
        text.extend(names.into_iter().filter(|(flag, _)| t.flags.has(*flag)).map(|(_, name)| name));
    }
    text
}
