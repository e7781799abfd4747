//! A Service port's rules before 1.24: KUBE-SVC for every endpoint, KUBE-XLB for `externalTrafficPolicy: Local`.

use super::config::{Family, LocalTraffic};
use super::endpoints::{EndpointInfo, hinted};
use super::iptables::{Subject, Writer, with_chains};
use super::names::ChainName;
use super::policy_chains::{allows, health_check};
use super::text::{
    Comment, DST_LOCAL, EXTERNAL_SERVICES, FROM_OUTSIDE, MARK_DROP, MARK_MASQ, NODEPORTS, SERVICES, SRC_LOCAL,
};
use super::version::Layout;

/// The endpoints that a Service port had on a node.
struct Chosen<'e> {
    /// All that are ready.
    ready: List<'e>,
    /// Those of them on this node; only for `externalTrafficPolicy: Local`.
    local: List<'e>,
}

/// Endpoints with their chains.
type List<'e> = Vec<(&'e EndpointInfo, ChainName)>;

/// `externalTrafficPolicy: Local` overrules `internalTrafficPolicy: Local`, which overrules hints; each of them filters the
/// endpoints for traffic of every kind.
fn chosen<'e>(w: &Writer<'_>, s: &Subject<'e>) -> Chosen<'e> {
    let all = s.endpoints;
    let of = |wanted: &dyn Fn(&EndpointInfo) -> bool| -> Vec<&'e EndpointInfo> {
        all.iter().filter(|e| e.ready && wanted(e)).collect()
    };
    if s.info.external_policy_local {
        let ready = with_chains(s, &of(&|_| true));
        return Chosen { local: ready.iter().filter(|(e, _)| e.local).copied().collect(), ready };
    }
    let ready = match (s.info.internal_policy_local, w.features.layout) {
        (true, _) => of(&|e| e.local),
        (false, Layout::Flat) => of(&|_| true),
        (false, _) => hinted(w.config, s.info, all),
    };
    Chosen { ready: with_chains(s, &ready), local: Vec::new() }
}

/// Writes the rules of one Service port.
pub(super) fn write(w: &mut Writer<'_>, s: &Subject<'_>) {
    let chosen = chosen(w, s);
    let flat = w.features.layout == Layout::Flat;
    if !flat {
        for e in &chosen.ready {
            w.chain(e.1);
            w.endpoint(s, *e);
        }
    }
    let served = !chosen.ready.is_empty();
    if served {
        w.chain(s.chains.svc);
    }
    if s.info.external_policy_local {
        w.chain(s.chains.xlb);
    }
    if served {
        cluster_ip(w, s);
        external_ips(w, s);
        load_balancer(w, s);
    } else {
        refuse_addresses(w, s);
    }
    node_port(w, s, served);
    health_check(w, s);
    if !served {
        return;
    }
    if flat {
        flat_endpoints(w, s, &chosen.ready);
    } else {
        w.balance(&s.chains.svc, s, &chosen.ready);
    }
    if s.info.external_policy_local {
        xlb(w, s, &chosen.local);
    }
}

fn cluster_ip(w: &mut Writer<'_>, s: &Subject<'_>) {
    let (svc, about) = (&s.chains.svc, s.about(" cluster IP"));
    let comment = Comment(&about);
    let to = format!("{} -d {} --dport {}", s.proto, w.host(s.info.cluster_ip), s.info.port);
    let masquerades = match w.features.layout {
        Layout::Flat => SERVICES,
        _ => svc,
    };
    if w.config.masquerade_all {
        w.nat.rule(format_args!("-A {masquerades} {comment} {to} -j {MARK_MASQ}"));
    } else if let Some(LocalTraffic { others, .. }) = &w.local {
        w.nat.rule(format_args!("-A {masquerades} {comment} {to} {others} -j {MARK_MASQ}"));
    }
    w.nat.rule(format_args!("-A {SERVICES} {comment} {to} -j {svc}"));
}

fn external_ips(w: &mut Writer<'_>, s: &Subject<'_>) {
    let about = s.about(" external IP");
    let comment = Comment(&about);
    let to_local = s.info.external_policy_local && w.features.external_ips_local;
    let svc = &s.chains.svc;
    let target = if to_local { &s.chains.xlb } else { svc };
    for ip in &s.info.external_ips {
        let to = format!("{} -d {} --dport {}", s.proto, w.host(*ip), s.info.port);
        if w.features.layout == Layout::Flat {
            if !to_local {
                w.nat.rule(format_args!("-A {SERVICES} {comment} {to} -j {MARK_MASQ}"));
            }
            w.nat.rule(format_args!("-A {SERVICES} {comment} {to} {FROM_OUTSIDE} -j {target}"));
            w.nat.rule(format_args!("-A {SERVICES} {comment} {to} {DST_LOCAL} -j {target}"));
            continue;
        }
        match &w.local {
            _ if to_local => {}
            Some(LocalTraffic { others, .. }) => {
                w.nat.rule(format_args!("-A {svc} {comment} {to} {others} -j {MARK_MASQ}"));
            }
            None => w.nat.rule(format_args!("-A {svc} {comment} {to} -j {MARK_MASQ}")),
        }
        w.nat.rule(format_args!("-A {SERVICES} {comment} {to} -j {target}"));
    }
}

fn load_balancer(w: &mut Writer<'_>, s: &Subject<'_>) {
    let about = s.about(" loadbalancer IP");
    let comment = Comment(&about);
    let (fw, proto, port) = (&s.chains.fw, &s.proto, s.info.port);
    let target = if s.info.external_policy_local { &s.chains.xlb } else { &s.chains.svc };
    for ip in &s.info.load_balancer_vips {
        // The chain line and the rules stand there once for each address.
        w.chain(*fw);
        let ip = w.host(*ip);
        w.nat.rule(format_args!("-A {SERVICES} {comment} {proto} -d {ip} --dport {port} -j {fw}"));
        if !s.info.external_policy_local {
            w.nat.rule(format_args!("-A {fw} {comment} -j {MARK_MASQ}"));
        }
        if s.info.source_ranges.is_empty() {
            w.nat.rule(format_args!("-A {fw} {comment} -j {target}"));
        }
        for range in &s.info.source_ranges {
            w.nat.rule(format_args!("-A {fw} {comment} -s {range} -j {target}"));
        }
        if allows(&s.info.source_ranges, w) {
            w.nat.rule(format_args!("-A {fw} {comment} -s {ip} -j {target}"));
        }
        w.nat.rule(format_args!("-A {fw} {comment} -j {MARK_DROP}"));
    }
}

/// No endpoint: the addresses answer with an error.
fn refuse_addresses(w: &mut Writer<'_>, s: &Subject<'_>) {
    let about = s.about(" has no endpoints");
    let comment = Comment(&about);
    let (port, proto) = (s.info.port, &s.proto);
    let outside =
        s.info.external_ips.iter().chain(&s.info.load_balancer_vips).map(|ip| (EXTERNAL_SERVICES, *ip));
    for (chain, ip) in core::iter::once((SERVICES, s.info.cluster_ip)).chain(outside) {
        let ip = w.host(ip);
        w.filter.rule(format_args!("-A {chain} {comment} {proto} -d {ip} --dport {port} -j REJECT"));
    }
}

fn node_port(w: &mut Writer<'_>, s: &Subject<'_>, served: bool) {
    if s.info.node_port == 0 {
        return;
    }
    let comment = Comment(&s.info.name);
    let to = format!("{} --dport {}", s.proto, s.info.node_port);
    let (svc, xlb) = (&s.chains.svc, &s.chains.xlb);
    if !served {
        let about = s.about(" has no endpoints");
        let comment = Comment(&about);
        w.filter.rule(format_args!("-A {EXTERNAL_SERVICES} {comment} {DST_LOCAL} {to} -j REJECT"));
    } else if s.info.external_policy_local {
        let loopback = if w.family == Family::V4 { "127.0.0.0/8" } else { "::1/128" };
        w.nat.rule(format_args!("-A {NODEPORTS} {comment} {to} -s {loopback} -j {MARK_MASQ}"));
        w.nat.rule(format_args!("-A {NODEPORTS} {comment} {to} -j {xlb}"));
    } else {
        let masquerades = match w.features.layout {
            Layout::Flat => NODEPORTS,
            _ => svc,
        };
        w.nat.rule(format_args!("-A {masquerades} {comment} {to} -j {MARK_MASQ}"));
        w.nat.rule(format_args!("-A {NODEPORTS} {comment} {to} -j {svc}"));
    }
}

/// KUBE-SVC with each endpoint's chain after its jump.
fn flat_endpoints(w: &mut Writer<'_>, s: &Subject<'_>, list: &List<'_>) {
    for (_, sep) in list {
        w.chain(*sep);
    }
    let svc = &s.chains.svc;
    let comment = w.endpoint_comment(&s.info.name);
    recent(w, s, svc, list, &comment);
    for (i, e) in list.iter().enumerate() {
        let odds = w.odds(list.len() - i);
        w.nat.line(&["-A ", svc, &comment, &odds, " -j ", &e.1]);
        w.endpoint(s, *e);
    }
}

fn recent(w: &mut Writer<'_>, s: &Subject<'_>, chain: &str, list: &List<'_>, comment: &str) {
    let Some(seconds) = s.info.affinity_seconds else { return };
    for (_, sep) in list {
        w.recent(chain, sep, comment, seconds);
    }
}

fn xlb(w: &mut Writer<'_>, s: &Subject<'_>, local: &List<'_>) {
    let (chain, svc, name) = (&s.chains.xlb, &s.chains.svc, &s.info.name);
    if let Some(LocalTraffic { local, .. }) = &w.local {
        let comment = Comment("Redirect pods trying to reach external loadbalancer VIP to clusterIP");
        w.nat.rule(format_args!("-A {chain} {comment} {local} -j {svc}"));
    }
    if w.features.xlb_local_traffic {
        let masquerade = format!("masquerade LOCAL traffic for {name} LB IP");
        w.nat.rule(format_args!("-A {chain} {} {SRC_LOCAL} -j {MARK_MASQ}", Comment(&masquerade)));
        let route = format!("route LOCAL traffic for {name} LB IP to service chain");
        w.nat.rule(format_args!("-A {chain} {} {SRC_LOCAL} -j {svc}", Comment(&route)));
    }
    if local.is_empty() {
        let about = s.about(" has no local endpoints");
        w.nat.rule(format_args!("-A {chain} {} -j {MARK_DROP}", Comment(&about)));
        return;
    }
    if w.features.layout != Layout::Flat {
        w.balance(chain, s, local);
        return;
    }
    recent(w, s, chain, local, &format!(" {}", Comment(name)));
    for (i, (_, sep)) in local.iter().enumerate() {
        let about = format!("Balancing rule {i} for {name}");
        let odds = w.odds(local.len() - i);
        w.nat.rule(format_args!("-A {chain} {}{odds} -j {sep}", Comment(&about)));
    }
}
