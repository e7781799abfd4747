//! One flow.

use super::node::Node;
use kernel::event::HookCtx;
use kernel::netfilter::hook::InetHook;
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
            Proto::Udp => L4::Udp(Udp { sport, dport, checksum_ok: true, payload: Vec::new() }),
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
pub(super) fn judge_one(node: &mut Node, flow: &Flow) -> Result<Outcome, String> {
    if packet::Family::of(flow.src) != node.family || packet::Family::of(flow.dst) != node.family {
        return Err(format!("flow {:?}: its addresses are of the other family", flow.name));
    }
    let mut chance = Chance::Script(Script::default());
    let mut output: Vec<String> = Vec::new();
    let (mut masq, mut first) = (false, None);
    for _ in 0..WAYS_MAX {
        let skb = prerouting(node, flow, &mut chance);
        if let Some(skb) = skb {
            masq |= skb.mark & node.masquerade != 0;
            if let Some(to) = destination(node, flow, &skb, &chance)
                && !output.contains(&to)
            {
                output.push(to);
            }
            first.get_or_insert(skb);
        }
        let Chance::Script(script) = &mut chance else { break };
        if !script.again() {
            let kind = if output.is_empty() { Kind::Verdict } else { Kind::Dnat };
            let Some(skb) = first else { return Ok(Outcome { kind, output: vec!["DROP".to_owned()], masq }) };
            output.extend(filter(node, flow, skb));
            let kind = if output.is_empty() { Kind::None } else { kind };
            return Ok(Outcome { kind, output, masq });
        }
    }
    Err(format!("flow {:?}: chance can do more than {WAYS_MAX} things with it", flow.name))
}

/// Lends the node a context in which nothing is kept.
fn with<T>(node: &mut Node, chance: &mut Chance, f: impl FnOnce(&mut Node, &mut Cx<'_>) -> T) -> T {
    let (mut ids, mut out) = (Ids::default(), Vec::new());
    let id = node.ns.id;
    f(node, &mut Cx { now: Instant(0), netns: id, rng: chance, ids: &mut ids, log: None, out: &mut out })
}

fn skb(node: &Node, flow: &Flow) -> Skb {
    let mut skb = Skb::local(PacketId(0), flow.packet(), SkbOwner::None);
    skb.dev = Some(node.device_from(flow.src));
    skb
}

/// The packet behind PREROUTING; `None` if it ended there.
fn prerouting(node: &mut Node, flow: &Flow, chance: &mut Chance) -> Option<Skb> {
    node.ns.forget_flows();
    let skb = skb(node, flow);
    with(node, chance, |node, cx| node.ns.run_hook(InetHook::PreRouting, skb.clone(), skb.dev, None, cx).ok())
}

/// The packet's new destination, if a rule gave it one.
fn destination(node: &mut Node, flow: &Flow, skb: &Skb, chance: &Chance) -> Option<String> {
    let ip = skb.ip()?;
    let port = ip.ports().map(|(_, dport)| dport)?;
    if (ip.dst, port) != (flow.dst, flow.port) {
        return Some(endpoint(ip.dst, port));
    }
    // The rule may have named what the packet had. The same way once more, with an eye on the rule.
    let mut chance = match chance {
        Chance::Script(script) => Chance::Script(script.same()),
        drawn @ Chance::Drawn(_) => drawn.clone(),
    };
    node.ns.forget_flows();
    let mut again = self::skb(node, flow);
    let ctx = ctx(node, InetHook::PreRouting, &again);
    let end = with(node, &mut chance, |node, cx| {
        node.ns.walk_chain(TableId::Nat, InetHook::PreRouting.chain(), &mut again, &ctx, cx)
    });
    match end {
        Some(ChainEnd::Verdict { rule, .. }) if matches!(rule.target, Target::Dnat(_)) => {
            Some(endpoint(ip.dst, port))
        }
        _ => None,
    }
}

fn ctx(node: &Node, hook: InetHook, skb: &Skb) -> HookCtx {
    HookCtx { family: node.family, hook, indev: skb.dev, outdev: None, physin: None, physout: None }
}

/// What kube-proxy's chains in filter say, one after the other, of a packet that has its new address and its old port.
fn filter(node: &mut Node, flow: &Flow, mut skb: Skb) -> Vec<String> {
    let dst = skb.ip().map_or(flow.dst, |ip| ip.dst);
    if let Some(ip) = skb.ip_mut() {
        *ip = Flow { dst, ..flow.clone() }.packet();
    }
    let ctx = ctx(node, InetHook::Forward, &skb);
    let mut output = Vec::new();
    for chain in FILTER_CHAINS {
        let mut chance = Chance::Script(Script::default());
        let mut skb = skb.clone();
        let end = with(node, &mut chance, |node, cx| {
            node.ns.walk_chain(TableId::Filter, chain, &mut skb, &ctx, cx)
        });
        if let Some(ChainEnd::Verdict { verdict, rule, .. }) = end {
            output.push(word(verdict, &rule.target).to_owned());
        }
    }
    output
}

/// A verdict as kube-proxy's rules spell it.
fn word(verdict: Verdict, target: &Target) -> &'static str {
    match (verdict, target) {
        (Verdict::Accept, _) => "ACCEPT",
        (Verdict::Drop, Target::Reject(_)) => "REJECT",
        (Verdict::Drop, _) => "DROP",
    }
}
