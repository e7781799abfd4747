//! A Service port's rules since 1.24: KUBE-SVC and KUBE-SVL per policy, KUBE-EXT for traffic from outside.

use super::config::LocalTraffic;
use super::endpoints::EndpointInfo;
use super::endpoints::{Usable, usable};
use super::iptables::{Subject, Writer, with_chains};
use super::names::ChainName;
use super::text::{
    Comment, DST_LOCAL, EXTERNAL_SERVICES, MARK_MASQ, NODEPORTS, PROXY_FIREWALL, SERVICES, SRC_LOCAL,
};
use ipnet::IpNet;

/// The counter of packets to node ports on loopback.
const LOCALHOST_PACKETS: &str = "-m nfacct --nfacct-name localhost_nps_accepted_pkts";

/// Where traffic of each kind goes.
struct Plan<'s> {
    endpoints: Usable<'s>,
    /// The endpoints that either policy uses, with their chains.
    reachable: Vec<(&'s EndpointInfo, ChainName)>,
    /// The chain for the cluster IP, if there is an endpoint for it.
    internal: Option<ChainName>,
    /// The chain behind KUBE-EXT, if there is an endpoint for it.
    external: Option<ChainName>,
    /// KUBE-EXT is there. It is even without an endpoint for outside traffic: the node's own traffic may go on.
    uses_ext: bool,
    /// KUBE-FW is there.
    uses_fw: bool,
}

/// Writes the rules of one Service port.
pub(super) fn write(w: &mut Writer<'_>, s: &Subject<'_>) {
    let info = s.info;
    let endpoints = usable(w.config, info, s.endpoints);
    let reachable = !endpoints.reachable.is_empty();
    let of_policy = |local: bool| match local {
        true => Some(s.chains.svl).filter(|_| !endpoints.local.is_empty()),
        false => Some(s.chains.svc).filter(|_| reachable),
    };
    let plan = Plan {
        internal: of_policy(info.internal_policy_local),
        external: of_policy(info.external_policy_local),
        uses_ext: reachable && info.externally_accessible(),
        uses_fw: reachable && !info.load_balancer_vips.is_empty() && !info.source_ranges.is_empty(),
        reachable: with_chains(s, &endpoints.reachable),
        endpoints,
    };
    capture_cluster_ip(w, s, &plan);
    capture_external(w, s, &plan);
    capture_node_port(w, s, &plan);
    chain_lines(w, s, &plan);
    w.own_chains_follow();
    contents(w, s, &plan);
}

/// Why traffic is not served, and the target for it.
fn refusal(s: &Subject<'_>, plan: &Plan<'_>) -> (String, &'static str) {
    match plan.endpoints.any {
        false => (s.about(" has no endpoints"), "REJECT"),
        true => (s.about(" has no local endpoints"), "DROP"),
    }
}

fn capture_cluster_ip(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    let (ip, port, proto) = (s.info.cluster_ip, s.info.port, &s.proto);
    if let Some(chain) = &plan.internal {
        let about = s.about(" cluster IP");
        let comment = Comment(&about);
        w.nat.rule(format_args!("-A {SERVICES} {comment} {proto} -d {ip} --dport {port} -j {chain}"));
    } else {
        let (why, target) = refusal(s, plan);
        let comment = Comment(&why);
        w.filter.rule(format_args!("-A {SERVICES} {comment} {proto} -d {ip} --dport {port} -j {target}"));
    }
}

/// External IPs and load balancer addresses.
fn capture_external(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    if s.info.external_ips.is_empty() && s.info.load_balancer_vips.is_empty() {
        return;
    }
    let (port, proto) = (s.info.port, &s.proto);
    let (why, refuse) = refusal(s, plan);
    let why = Comment(&why);
    let about = s.about(" external IP");
    let comment = Comment(&about);
    let ext = &s.chains.ext;
    for ip in &s.info.external_ips {
        if plan.uses_ext {
            w.nat.rule(format_args!("-A {SERVICES} {comment} {proto} -d {ip} --dport {port} -j {ext}"));
        }
        if plan.external.is_none() {
            w.filter.rule(format_args!(
                "-A {EXTERNAL_SERVICES} {why} {proto} -d {ip} --dport {port} -j {refuse}"
            ));
        }
    }
    let about = s.about(" loadbalancer IP");
    let comment = Comment(&about);
    let behind = if plan.uses_fw { &s.chains.fw } else { ext };
    let rest = s.about(&format!(" traffic not accepted by {}", s.chains.fw));
    let rest = Comment(&rest);
    for ip in &s.info.load_balancer_vips {
        if plan.uses_ext {
            w.nat.rule(format_args!("-A {SERVICES} {comment} {proto} -d {ip} --dport {port} -j {behind}"));
        }
        if plan.uses_fw {
            w.filter.rule(format_args!("-A {PROXY_FIREWALL} {rest} {proto} -d {ip} --dport {port} -j DROP"));
        }
    }
    if plan.external.is_none() {
        for ip in &s.info.load_balancer_vips {
            w.filter.rule(format_args!(
                "-A {EXTERNAL_SERVICES} {why} {proto} -d {ip} --dport {port} -j {refuse}"
            ));
        }
    }
}

fn capture_node_port(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    let (port, proto, ext) = (s.info.node_port, &s.proto, &s.chains.ext);
    if port != 0 && plan.uses_ext {
        let comment = Comment(&s.info.name);
        if w.features.nfacct && w.config.nfacct && w.config.node_ports_on_loopback(w.family) {
            w.nat.rule(format_args!(
                "-A {NODEPORTS} {comment} {proto} -d 127.0.0.0/8 --dport {port} {LOCALHOST_PACKETS} -j {ext}"
            ));
        }
        w.nat.rule(format_args!("-A {NODEPORTS} {comment} {proto} --dport {port} -j {ext}"));
    }
    if port != 0 && plan.external.is_none() {
        let (why, refuse) = refusal(s, plan);
        let why = Comment(&why);
        w.filter.rule(format_args!(
            "-A {EXTERNAL_SERVICES} {why} {DST_LOCAL} {proto} --dport {port} -j {refuse}"
        ));
    }
    health_check(w, s);
}

/// The load balancer may ask whether this node has endpoints.
pub(super) fn health_check(w: &mut Writer<'_>, s: &Subject<'_>) {
    let port = s.info.health_check_node_port;
    if port != 0 && w.features.accepts_health_check {
        let about = s.about(" health check node port");
        let comment = Comment(&about);
        w.filter.rule(format_args!("-A {NODEPORTS} {comment} -m tcp -p tcp --dport {port} -j ACCEPT"));
    }
}

/// KUBE-SVC is there.
fn has_svc(s: &Subject<'_>, plan: &Plan<'_>) -> bool {
    s.info.uses_cluster_endpoints() && !plan.endpoints.cluster.is_empty()
}

/// KUBE-SVL is there.
fn has_svl(s: &Subject<'_>, plan: &Plan<'_>) -> bool {
    s.info.uses_local_endpoints() && !plan.endpoints.local.is_empty()
}

fn chain_lines(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    for (chain, wanted) in [
        (s.chains.ext, plan.uses_ext),
        (s.chains.fw, plan.uses_fw),
        (s.chains.svc, has_svc(s, plan)),
        (s.chains.svl, has_svl(s, plan)),
    ] {
        if wanted {
            w.chain(chain);
        }
    }
    for (_, sep) in &plan.reachable {
        w.chain(*sep);
    }
}

fn contents(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    if let Some(chain) = &plan.internal {
        masquerade_cluster_ip(w, s, chain);
    }
    if plan.uses_ext {
        external_chain(w, s, plan);
    }
    if plan.uses_fw {
        firewall_chain(w, s);
    }
    let of = |list: &[&EndpointInfo]| -> Vec<(&EndpointInfo, ChainName)> {
        plan.reachable.iter().filter(|(e, _)| list.iter().any(|l| l.text == e.text)).copied().collect()
    };
    if has_svc(s, plan) {
        match plan.endpoints.cluster.len() == plan.reachable.len() {
            true => w.balance(&s.chains.svc, s, &plan.reachable),
            false => w.balance(&s.chains.svc, s, &of(&plan.endpoints.cluster)),
        }
    }
    if has_svl(s, plan) {
        w.balance(&s.chains.svl, s, &of(&plan.endpoints.local));
    }
    for e in &plan.reachable {
        w.endpoint(s, *e);
    }
}

/// Traffic to the cluster IP that is not a local pod's must come back through this node.
fn masquerade_cluster_ip(w: &mut Writer<'_>, s: &Subject<'_>, chain: &str) {
    let (ip, port, proto) = (s.info.cluster_ip, s.info.port, &s.proto);
    let about = s.about(" cluster IP");
    let comment = Comment(&about);
    let to = format!("{proto} -d {ip} --dport {port}");
    if w.config.masquerade_all {
        w.nat.rule(format_args!("-A {chain} {comment} {to} -j {MARK_MASQ}"));
    } else if let Some(LocalTraffic { others, .. }) = &w.local {
        w.nat.rule(format_args!("-A {chain} {comment} {to} {others} -j {MARK_MASQ}"));
    }
}

fn external_chain(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    let (ext, svc) = (&s.chains.ext, &s.chains.svc);
    let about = |what: &str| [what, " traffic for ", &s.info.name, " external destinations"].concat();
    if s.info.external_policy_local {
        if let Some(LocalTraffic { local, .. }) = &w.local {
            w.nat.rule(format_args!("-A {ext} {} {local} -j {svc}", Comment(&about("pod"))));
        }
        let (masquerade, route) = (about("masquerade LOCAL"), about("route LOCAL"));
        w.nat.rule(format_args!("-A {ext} {} {SRC_LOCAL} -j {MARK_MASQ}", Comment(&masquerade)));
        w.nat.rule(format_args!("-A {ext} {} {SRC_LOCAL} -j {svc}", Comment(&route)));
    } else {
        w.nat.rule(format_args!("-A {ext} {} -j {MARK_MASQ}", Comment(&about("masquerade"))));
    }
    if let Some(chain) = &plan.external {
        w.nat.rule(format_args!("-A {ext} -j {chain}"));
    }
}

fn firewall_chain(w: &mut Writer<'_>, s: &Subject<'_>) {
    let about = s.about(" loadbalancer IP");
    let comment = Comment(&about);
    let (fw, ext) = (&s.chains.fw, &s.chains.ext);
    for range in &s.info.source_ranges {
        w.nat.rule(format_args!("-A {fw} {comment} -s {range} -j {ext}"));
    }
    // Some load balancers leave the packet as it is: then the node's own traffic has the VIP as its source.
    if allows(&s.info.source_ranges, w) {
        for ip in &s.info.load_balancer_vips {
            w.nat.rule(format_args!("-A {fw} {comment} -s {ip} -j {ext}"));
        }
    }
    if w.features.firewall_note {
        let note = format!("other traffic to {} will be dropped by {PROXY_FIREWALL}", s.info.name);
        w.nat.rule(format_args!("-A {fw} {}", Comment(&note)));
    }
}

/// The node itself lies in one of the ranges.
pub(super) fn allows(ranges: &[IpNet], w: &Writer<'_>) -> bool {
    w.node_ip.is_some_and(|ip| ranges.iter().any(|r| r.contains(&ip)))
}
