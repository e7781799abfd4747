//! What a packet costs as Services grow: how many rules are looked at, and how often something is looked up, in each of
//! kube-proxy's modes. These are counts of one run, not times; a rule that is looked at and a lookup in a hash are different work.

use crate::kube::{self, Cni, Kube, Mode};
use cluster::kube_proxy::Version;
use kernel::event::{NftOutcome, NftStep, Origin, RuleOutcome, RuleStep, What};
use kernel::netfilter::nftables::{Expr, NftRule, Right, Stmt};
use kernel::netfilter::xtables::CheckOf;
use kernel::netfilter::xtables::matches::Match;
use kernel::{Era, Modules, PacketId};
use sim::{CloseHow, Run, Scenario, Seen, ServerMode, ServerSpec, Stimulus};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// What one packet costs on its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Rules that were asked, of iptables or nf_tables, up to the one that matched in each chain.
    pub rules: usize,
    /// Lookups: in sets of ipset, in sets and maps of nf_tables, in IPVS's tables of virtual servers and of connections.
    pub lookups: usize,
}

/// The cost of connections from a pod to Services, of which each has one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// How many Services there are.
    pub services: usize,
    /// The first packet to the Service whose rules come first.
    pub first: Work,
    /// The first packet to the one whose rules come last.
    pub last: Work,
    /// A later packet of either.
    pub later: Work,
}

const NODE: &str = "node-1";
const CLIENT: &str = "client";
const SERVER: &str = "web";

/// The address of the Service with that number, from 0.
fn service(n: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 1, 0).to_bits() + u32::try_from(n).unwrap_or(0))
}

fn yaml(services: usize) -> String {
    let mut out = String::from(
        "apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\nspec: {podCIDR: 10.244.1.0/24}\n\
         status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}\n",
    );
    for (name, addr) in [(CLIENT, "10.244.1.10"), (SERVER, "10.244.1.11")] {
        let _ = write!(
            out,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: default}}\nspec: {{nodeName: node-1}}\n\
             status: {{phase: Running, podIP: {addr}, podIPs: [{{ip: {addr}}}]}}\n"
        );
    }
    for n in 0..services {
        let ip = service(n);
        let _ = write!(
            out,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s-{n:05}, namespace: default}}\n\
             spec: {{clusterIP: {ip}, clusterIPs: [{ip}], type: ClusterIP, ports: [{{name: http, port: 80, targetPort: 8080, protocol: TCP}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: s-{n:05}-x, namespace: default, labels: {{kubernetes.io/service-name: s-{n:05}}}}}\n\
             addressType: IPv4\nports: [{{name: http, port: 8080, protocol: TCP}}]\n\
             endpoints: [{{addresses: [10.244.1.11], conditions: {{ready: true}}, nodeName: node-1}}]\n"
        );
    }
    out
}

/// Builds a node with so many Services in that mode, and counts what packets of two connections cost.
///
/// # Errors
/// The node could not be built: too many Services for their network (60,000), or a mode that is not modelled.
pub fn cost(mode: Mode, services: usize) -> Result<Cost, String> {
    if services == 0 || services > 60_000 {
        return Err(format!("expected 1 to 60000 Services, found {services}"));
    }
    let kube = Kube {
        objects: kube::objects(&yaml(services))?,
        mode: Some(mode),
        version: Version::default(),
        kubelet: Version::default(),
        era: Era::default(),
        modules: Modules { br_netfilter: true, ..Modules::default() },
        cni: &Cni::BRIDGE,
        cluster_cidr: "10.244.0.0/16".parse().ok(),
        nat_outgoing: false,
        hairpin: false,
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(192, 168, 0, 1),
        outside: Vec::new(),
        uplink: kube::UPLINK.to_owned(),
    };
    let mut boxes = kube.boxes()?;
    let bind = (Ipv4Addr::UNSPECIFIED, 8080);
    boxes.serve(SERVER, ServerSpec { tcp: true, bind, mode: ServerMode::Echo, closes: false });
    let call = |n| Stimulus::Tcp {
        host: CLIENT.to_owned(),
        src: (Ipv4Addr::UNSPECIFIED, 0),
        dst: (service(n), 80),
        request: b"GET".to_vec(),
        close: CloseHow::Client,
        timeout_ms: 1000,
    };
    // The first connection only lets everybody meet their neighbours.
    let stimuli = vec![call(0), call(0), call(services - 1)];
    let (hosts, links) = (boxes.hosts, boxes.links);
    let run = Scenario { hosts, links, stimuli, settle_ms: 5 }.run().map_err(|e| e.to_string())?;
    let [first, later] = client_packets(&run, 1);
    let [last, _] = client_packets(&run, 2);
    Ok(Cost { services, first, last, later })
}

/// What the client's first two packets of a stimulus cost on the node.
fn client_packets(run: &Run, stimulus: usize) -> [Work; 2] {
    let world = &run.world;
    let (node, client) = (world.host_by_name(NODE), world.host_by_name(CLIENT));
    let Some(step) = run.steps.get(stimulus) else { return [Work::default(); 2] };
    let entries = world.log().entries().get(step.first.index()..step.end.index()).unwrap_or_default();
    let sent = entries.iter().filter(|e| Some(e.host) == client).filter_map(|e| match e.what() {
        Some(What::Created { origin: Origin::Socket(_), .. }) => e.packet,
        _ => None,
    });
    let sent: Vec<PacketId> = sent.take(2).collect();
    let mut out = [Work::default(); 2];
    for (work, packet) in out.iter_mut().zip(&sent) {
        for entry in entries.iter().filter(|e| Some(e.host) == node && e.packet == Some(*packet)) {
            match &*entry.seen {
                Seen::Kernel(What::Rule(step)) => count_rule(step, work),
                Seen::Kernel(What::Nft(step)) => count_nft(step, work),
                // The virtual server; the connection, which is found or made.
                Seen::Kernel(What::Ipvs { .. }) => work.lookups += 1,
                _ => {}
            }
        }
    }
    out
}

fn count_rule(step: &RuleStep, work: &mut Work) {
    let (RuleOutcome::Match { rule, checks } | RuleOutcome::NoMatch { rule, checks }) = &step.outcome else {
        return;
    };
    work.rules += 1;
    // A match of several parts is one lookup.
    work.lookups += (0u8..)
        .zip(&rule.matches)
        .filter(|(i, m)| {
            let asked = |of: CheckOf| matches!(of, CheckOf::Match { index, .. } if index == *i);
            matches!(m, Match::Set(_)) && checks.iter().any(|c| asked(c.of))
        })
        .count();
}

fn count_nft(step: &NftStep, work: &mut Work) {
    let (NftOutcome::Match { rule, checks, .. } | NftOutcome::NoMatch { rule, checks }) = &step.outcome
    else {
        return;
    };
    work.rules += 1;
    let reached = checks.iter().map(|c| c.stmt).max().map_or(0, |last| last + 1);
    work.lookups += lookups(rule, reached);
}

/// How many of a rule's first statements look something up.
fn lookups(rule: &NftRule, statements: usize) -> usize {
    let looks = |stmt: &&Stmt| match stmt {
        Stmt::Vmap(..) | Stmt::Dynset(_) => true,
        Stmt::Match { left, right, .. } => matches!(right, Right::Set(_)) || matches!(left, Expr::Map(..)),
        _ => false,
    };
    rule.stmts.iter().take(statements).filter(looks).count()
}
