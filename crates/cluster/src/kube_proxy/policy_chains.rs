//! A Service port's rules since 1.24: KUBE-SVC and KUBE-SVL per policy, KUBE-EXT for traffic from outside.

use super::endpoints::{Usable, usable};
use super::iptables::{Subject, Writer};
use super::text::{EXTERNAL_SERVICES, MARK_MASQ, NODEPORTS, PROXY_FIREWALL, SERVICES};
use ipnet::IpNet;

/// The counter of packets to node ports on loopback.
const LOCALHOST_PACKETS: &str = "localhost_nps_accepted_pkts";
const DST_LOCAL: [&str; 4] = ["-m", "addrtype", "--dst-type", "LOCAL"];
const SRC_LOCAL: [&str; 4] = ["-m", "addrtype", "--src-type", "LOCAL"];

/// Where traffic of each kind goes.
struct Plan<'s> {
    endpoints: Usable,
    /// The chain for the cluster IP, if there is an endpoint for it.
    internal: Option<&'s str>,
    /// The chain behind KUBE-EXT, if there is an endpoint for it.
    external: Option<&'s str>,
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
        true => Some(s.chains.svl.as_str()).filter(|_| !endpoints.local.is_empty()),
        false => Some(s.chains.svc.as_str()).filter(|_| reachable),
    };
    let plan = Plan {
        internal: of_policy(info.internal_policy_local),
        external: of_policy(info.external_policy_local),
        uses_ext: reachable && info.externally_accessible(),
        uses_fw: reachable && !info.load_balancer_vips.is_empty() && !info.source_ranges.is_empty(),
        endpoints,
    };
    capture_cluster_ip(w, s, &plan);
    capture_external(w, s, &plan);
    capture_node_port(w, s, &plan);
    chain_lines(w, s, &plan);
    if s.changed {
        contents(w, s, &plan);
    }
}

/// Why traffic is not served, and the target for it.
fn refusal(s: &Subject<'_>, plan: &Plan<'_>) -> (String, &'static str) {
    if plan.endpoints.reachable.is_empty() && !plan.endpoints.any {
        (format!("{} has no endpoints", s.info.name), "REJECT")
    } else {
        (format!("{} has no local endpoints", s.info.name), "DROP")
    }
}

fn capture_cluster_ip(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    let ip = w.host(s.info.cluster_ip);
    let port = s.info.port.to_string();
    let to = ["-d", &ip, "--dport", &port];
    if let Some(chain) = plan.internal {
        w.nat.rule(SERVICES, &[&s.comment(" cluster IP").words(), &s.proto(), &to, &["-j", chain]]);
    } else {
        let (why, target) = refusal(s, plan);
        let comment = super::text::Comment::new(&[&why]);
        w.filter.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &["-j", target]]);
    }
}

/// External IPs and load balancer addresses.
fn capture_external(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    let port = s.info.port.to_string();
    let (why, refuse) = refusal(s, plan);
    let why = super::text::Comment::new(&[&why]);
    for ip in &s.info.external_ips {
        let to = ["-d", &ip.to_string(), "--dport", &port];
        if plan.uses_ext {
            let comment = s.comment(" external IP");
            w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &["-j", &s.chains.ext]]);
        }
        if plan.external.is_none() {
            w.filter.rule(EXTERNAL_SERVICES, &[&why.words(), &s.proto(), &to, &["-j", refuse]]);
        }
    }
    let behind = if plan.uses_fw { &s.chains.fw } else { &s.chains.ext };
    for ip in &s.info.load_balancer_vips {
        let to = ["-d", &ip.to_string(), "--dport", &port];
        if plan.uses_ext {
            let comment = s.comment(" loadbalancer IP");
            w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &["-j", behind]]);
        }
        if plan.uses_fw {
            let comment = s.comment(&format!(" traffic not accepted by {}", s.chains.fw));
            w.filter.rule(PROXY_FIREWALL, &[&comment.words(), &s.proto(), &to, &["-j", "DROP"]]);
        }
    }
    if plan.external.is_none() {
        for ip in &s.info.load_balancer_vips {
            let to = ["-d", &ip.to_string(), "--dport", &port];
            w.filter.rule(EXTERNAL_SERVICES, &[&why.words(), &s.proto(), &to, &["-j", refuse]]);
        }
    }
}

fn capture_node_port(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    if s.info.node_port != 0 {
        let port = s.info.node_port.to_string();
        let to = ["--dport", &port];
        if plan.uses_ext {
            let (comment, jump) = (s.comment(""), ["-j", s.chains.ext.as_str()]);
            if w.features.nfacct && w.config.nfacct && w.config.node_ports_on_loopback(w.family) {
                let loopback = ["-d", "127.0.0.0/8", "--dport", &port];
                let counted = ["-m", "nfacct", "--nfacct-name", LOCALHOST_PACKETS];
                w.nat.rule(NODEPORTS, &[&comment.words(), &s.proto(), &loopback, &counted, &jump]);
            }
            w.nat.rule(NODEPORTS, &[&comment.words(), &s.proto(), &to, &jump]);
        }
        if plan.external.is_none() {
            let (why, refuse) = refusal(s, plan);
            let why = super::text::Comment::new(&[&why]);
            w.filter.rule(EXTERNAL_SERVICES, &[&why.words(), &DST_LOCAL, &s.proto(), &to, &["-j", refuse]]);
        }
    }
    if s.info.health_check_node_port != 0 {
        let port = s.info.health_check_node_port.to_string();
        let tcp = ["-m", "tcp", "-p", "tcp", "--dport", &port, "-j", "ACCEPT"];
        w.filter.rule(NODEPORTS, &[&s.comment(" health check node port").words(), &tcp]);
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
        (&s.chains.ext, plan.uses_ext),
        (&s.chains.fw, plan.uses_fw),
        (&s.chains.svc, has_svc(s, plan)),
        (&s.chains.svl, has_svl(s, plan)),
    ] {
        if wanted {
            w.chain(chain, s.changed);
        }
    }
    for e in &plan.endpoints.reachable {
        let sep = w.sep(s, e);
        w.chain(&sep, s.changed);
    }
}

fn contents(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    if let Some(chain) = plan.internal {
        masquerade_cluster_ip(w, s, chain);
    }
    if plan.uses_ext {
        external_chain(w, s, plan);
    }
    if plan.uses_fw {
        firewall_chain(w, s);
    }
    if has_svc(s, plan) {
        w.balance(&s.chains.svc, s, &plan.endpoints.cluster);
    }
    if has_svl(s, plan) {
        w.balance(&s.chains.svl, s, &plan.endpoints.local);
    }
    for e in &plan.endpoints.reachable {
        w.endpoint(s, e);
    }
}

/// Traffic to the cluster IP that is not a local pod's must come back through this node.
fn masquerade_cluster_ip(w: &mut Writer<'_>, s: &Subject<'_>, chain: &str) {
    let others = w.local.as_ref().map(|l| l.others().map(str::to_owned));
    let others: Vec<&str> = others.iter().flatten().map(String::as_str).collect();
    let who = if w.config.masquerade_all { &[] } else { &others[..] };
    if !w.config.masquerade_all && who.is_empty() {
        return;
    }
    let (ip, port) = (w.host(s.info.cluster_ip), s.info.port.to_string());
    let to = ["-d", &ip, "--dport", &port];
    w.nat.rule(chain, &[&s.comment(" cluster IP").words(), &s.proto(), &to, who, &["-j", MARK_MASQ]]);
}

fn external_chain(w: &mut Writer<'_>, s: &Subject<'_>, plan: &Plan<'_>) {
    let (ext, svc) = (&s.chains.ext, s.chains.svc.as_str());
    let comment = |what: &str| {
        super::text::Comment::new(&[what, " traffic for ", &s.info.name, " external destinations"])
    };
    if s.info.external_policy_local {
        if let Some(local) = &w.local {
            w.nat.rule(ext, &[&comment("pod").words(), &local.local(), &["-j", svc]]);
        }
        w.nat.rule(ext, &[&comment("masquerade LOCAL").words(), &SRC_LOCAL, &["-j", MARK_MASQ]]);
        w.nat.rule(ext, &[&comment("route LOCAL").words(), &SRC_LOCAL, &["-j", svc]]);
    } else {
        w.nat.rule(ext, &[&comment("masquerade").words(), &["-j", MARK_MASQ]]);
    }
    if let Some(chain) = plan.external {
        w.nat.rule(ext, &[&["-j", chain]]);
    }
}

fn firewall_chain(w: &mut Writer<'_>, s: &Subject<'_>) {
    let comment = s.comment(" loadbalancer IP");
    let jump = ["-j", s.chains.ext.as_str()];
    for range in &s.info.source_ranges {
        w.nat.rule(&s.chains.fw, &[&comment.words(), &["-s", &range.to_string()], &jump]);
    }
    // Some load balancers leave the packet as it is: then the node's own traffic has the VIP as its source.
    if allows(&s.info.source_ranges, w) {
        for ip in &s.info.load_balancer_vips {
            w.nat.rule(&s.chains.fw, &[&comment.words(), &["-s", &ip.to_string()], &jump]);
        }
    }
    if w.features.firewall_note {
        let note = ["other traffic to ", &s.info.name, " will be dropped by ", PROXY_FIREWALL];
        w.nat.rule(&s.chains.fw, &[&super::text::Comment::new(&note).words()]);
    }
}

/// The node itself lies in one of the ranges.
pub(super) fn allows(ranges: &[IpNet], w: &Writer<'_>) -> bool {
    w.node_ip.is_some_and(|ip| ranges.iter().any(|r| r.contains(&ip)))
}
