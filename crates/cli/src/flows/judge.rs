//! One flow.

use super::node::Node;
use cluster::kube_proxy::Mode;
use kernel::event::{Event, HookCtx, NftOutcome, RuleOutcome, What};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{NatKind, NftFamily, NftVerdict, Nftables, Stmt};
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{ChainEnd, TableId, Verdict};
use kernel::{Chance, Cx, Ids, Instant, PacketId, Script, Skb, SkbOwner};
use packet::{Ip, L4, Protocol, Tcp, TcpFlags, TcpOptions, Udp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Flow {
    /// What it is called; needs not be unique.
    pub name: String,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Destination port.
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub proto: Proto,
}

/// The protocols of Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Proto {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

/// What kind of outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No rule did anything.
    None,
    /// The packet got another destination.
    Dnat,
    /// It was accepted, dropped or rejected, and kept its destination.
    Verdict,
}

/// What can become of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Of which kind.
    pub kind: Kind,
    /// The endpoints that can be reached, in the order of the rules, and `ACCEPT`, `DROP` or `REJECT`.
    pub output: Vec<String>,
    /// The packet bears the mark by which it will be masqueraded, for at least one endpoint.
    pub masq: bool,
}

/// The source port of every flow; no rule of kube-proxy asks for it.
const SPORT: u16 = 41_000;
/// More ways than that are not gone: nothing that kube-proxy writes has so many.
const WAYS_MAX: usize = 1 << 17;

/// kube-proxy's own chains in filter, in the order in which its tracer visits them.
const FILTER_CHAINS: [&str; 4] =
    ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL"];

impl Flow {
    /// Its first packet.
    pub fn packet(&self) -> Ip {
        let (sport, dport) = (SPORT, self.port);
        let l4 = match self.proto {
            Proto::Tcp => L4::Tcp(Tcp {
                sport,
                dport,
                seq: 1,
                ack: 0,
                flags: TcpFlags::SYN,
                window: 64240,
                options: TcpOptions::default(),
                payload: Vec::new(),
                checksum_ok: true,
            }),
            Proto::Udp => L4::Udp(Udp { sport, dport, checksum_ok: true, payload: Vec::new().into() }),
            Proto::Sctp => L4::Other(Protocol::SCTP, sctp_init(sport, dport)),
        };
        Ip::new(self.src, self.dst, l4)
    }
}

/// An SCTP packet with the chunk INIT (RFC 9260, 3.3.2).
fn sctp_init(sport: u16, dport: u16) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    // INIT, no flags, 20 bytes: tag, window, streams out and in, first number.
    bytes.extend([1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    packet::Sctp::set_ports(&mut bytes, sport, dport);
    bytes
}

/// An endpoint as kube-proxy writes it.
pub(super) fn endpoint(addr: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(addr, port).to_string()
}

/// Follows a flow through the rules of a node.
pub(super) fn judge_one(node: &mut Node, mode: Mode, flow: &Flow) -> Result<Outcome, String> {
    if packet::Family::of(flow.src) != node.family || packet::Family::of(flow.dst) != node.family {
        return Err(format!("flow {:?}: its addresses are of the other family", flow.name));
    }
    let before = node.ns.nft.clone();
    let outcome = all_ways(node, mode, flow, &before);
    node.ns.nft = before;
    outcome
}

fn all_ways(node: &mut Node, mode: Mode, flow: &Flow, before: &Nftables) -> Result<Outcome, String> {
    let mut script = Script::default();
    let (mut output, mut masq, mut first) = (Vec::new(), false, None);
    for _ in 0..WAYS_MAX {
        // Sets of a table remember sources.
        node.ns.nft = before.clone();
        let mut chance = Chance::Script(std::mem::take(&mut script));
        let end = prerouting(node, flow, &mut chance, None);
        if let Chance::Script(asked) = chance {
            script = asked;
        }
        let said = match &end {
            Some(skb) => {
                masq |= skb.mark & node.masquerade != 0;
                destination(node, flow, skb, &script)
            }
            None => Some(verdict_of(&again(node, flow, &script)).to_owned()),
        };
        output.extend(said.filter(|s| !output.contains(s)));
        let passed = end.is_some();
        first.get_or_insert(end);
        if !passed || !script.again() {
            let kind = match first.flatten() {
                // It never came to the other chains.
                None => Kind::Verdict,
                Some(skb) => {
                    let kind = if output.is_empty() { Kind::Verdict } else { Kind::Dnat };
                    output.extend(filter(node, mode, flow, skb));
                    if output.is_empty() { Kind::None } else { kind }
                }
            };
            return Ok(Outcome { kind, output, masq });
        }
    }
    Err(format!("flow {:?}: chance can do more than {WAYS_MAX} things with it", flow.name))
}

/// Lends the node a context.
fn with<T>(
    node: &mut Node,
    chance: &mut Chance,
    log: Option<&mut Vec<Event>>,
    f: impl FnOnce(&mut Node, &mut Cx<'_>) -> T,
) -> T {
    let (mut ids, mut out) = (Ids::default(), Vec::new());
    let id = node.ns.id;
    f(node, &mut Cx { now: Instant(0), netns: id, rng: chance, ids: &mut ids, log, out: &mut out })
}

/// The packet behind PREROUTING; `None` if it ended there.
fn prerouting(
    node: &mut Node,
    flow: &Flow,
    chance: &mut Chance,
    log: Option<&mut Vec<Event>>,
) -> Option<Skb> {
    node.ns.forget_flows();
    let mut skb = Skb::local(PacketId(0), flow.packet(), SkbOwner::None);
    let indev = Some(node.device_from(flow.src));
    skb.dev = indev;
    with(node, chance, log, |node, cx| node.ns.run_hook(InetHook::PreRouting, skb, indev, None, cx).ok())
}

/// The same way once more, with an eye on the rules.
fn again(node: &mut Node, flow: &Flow, script: &Script) -> Vec<Event> {
    let mut log = Vec::new();
    prerouting(node, flow, &mut Chance::Script(script.same()), Some(&mut log));
    log
}

/// The packet's new destination, if a rule gave it one.
fn destination(node: &mut Node, flow: &Flow, skb: &Skb, script: &Script) -> Option<String> {
    let ip = skb.ip()?;
    let port = ip.ports().map(|(_, dport)| dport)?;
    // A rule may have named what the packet had.
    let named = (ip.dst, port) != (flow.dst, flow.port) || again(node, flow, script).iter().any(translates);
    named.then(|| endpoint(ip.dst, port))
}

/// A rule that gives destinations has matched.
fn translates(event: &Event) -> bool {
    match &event.what {
        What::Rule(step) => {
            matches!(&step.outcome, RuleOutcome::Match { rule, .. } if matches!(rule.target, Target::Dnat(_)))
        }
        What::Nft(step) => match &step.outcome {
            NftOutcome::Match { rule, .. } => {
                rule.stmts.iter().any(|s| matches!(s, Stmt::Nat(nat) if nat.manip == NatKind::Dnat))
            }
            _ => false,
        },
        _ => false,
    }
}

/// What kube-proxy's filter chains say, one after the other, of a packet that has its new address and its old port.
fn filter(node: &mut Node, mode: Mode, flow: &Flow, mut skb: Skb) -> Vec<String> {
    let dst = skb.ip().map_or(flow.dst, |ip| ip.dst);
    if let Some(ip) = skb.ip_mut() {
        *ip = Flow { dst, ..flow.clone() }.packet();
    }
    match mode {
        Mode::Nftables => {
            let chains = [("filter-forward", InetHook::Forward), ("filter-input", InetHook::LocalIn)];
            let mut ends = chains.into_iter().filter_map(|chain| nft_filter(node, chain, skb.clone()));
            // The first that ends it ends it.
            ends.next().into_iter().collect()
        }
        _ => FILTER_CHAINS.into_iter().filter_map(|chain| xt_filter(node, chain, skb.clone())).collect(),
    }
}

fn ctx(node: &Node, hook: InetHook, skb: &Skb) -> HookCtx {
    HookCtx { family: node.family, hook, indev: skb.dev, outdev: None, physin: None, physout: None }
}

fn xt_filter(node: &mut Node, chain: &str, mut skb: Skb) -> Option<String> {
    let mut chance = Chance::Script(Script::default());
    let ctx = ctx(node, InetHook::Forward, &skb);
    let end = with(node, &mut chance, None, |node, cx| {
        node.ns.walk_chain(TableId::Filter, chain, &mut skb, &ctx, cx)
    });
    match end? {
        ChainEnd::Verdict { verdict: Verdict::Accept, .. } => Some("ACCEPT".to_owned()),
        ChainEnd::Verdict { rule, .. } => {
            Some(drop_word(matches!(rule.target, Target::Reject(_))).to_owned())
        }
        ChainEnd::Policy(_) | ChainEnd::Return => None,
    }
}

fn nft_filter(node: &mut Node, (chain, hook): (&str, InetHook), mut skb: Skb) -> Option<String> {
    let mut chance = Chance::Script(Script::default());
    let ctx = ctx(node, hook, &skb);
    let family = match node.family {
        packet::Family::V4 => NftFamily::Ip,
        packet::Family::V6 => NftFamily::Ip6,
    };
    let mut log = Vec::new();
    let end = with(node, &mut chance, Some(&mut log), |node, cx| {
        node.ns.walk_nft_chain((family, "kube-proxy", chain), &mut skb, &ctx, cx)
    });
    let verdict = match end? {
        Err(_) => verdict_of(&log),
        Ok(()) if log.iter().any(accepts) => "ACCEPT",
        Ok(()) => return None,
    };
    Some(verdict.to_owned())
}

fn accepts(event: &Event) -> bool {
    matches!(&event.what, What::Nft(step) if matches!(step.outcome, NftOutcome::Match { verdict: NftVerdict::Accept, .. }))
}

/// How the rule that ended a packet spells it: the last that matched.
fn verdict_of(log: &[Event]) -> &'static str {
    let rejects = log.iter().rev().find_map(|event| match &event.what {
        What::Rule(step) => match &step.outcome {
            RuleOutcome::Match { rule, .. } => Some(matches!(rule.target, Target::Reject(_))),
            _ => None,
        },
        What::Nft(step) => match &step.outcome {
            NftOutcome::Match { rule, .. } => Some(rule.stmts.iter().any(|s| matches!(s, Stmt::Reject(_)))),
            _ => None,
        },
        _ => None,
    });
    drop_word(rejects == Some(true))
}

fn drop_word(rejects: bool) -> &'static str {
    if rejects { "REJECT" } else { "DROP" }
}
