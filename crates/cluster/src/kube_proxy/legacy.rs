//! A Service port's rules before 1.24: KUBE-SVC for every endpoint, KUBE-XLB for `externalTrafficPolicy: Local`.

use super::endpoints::{EndpointInfo, hinted};
use super::iptables::{Subject, Writer};
use super::policy_chains::allows;
use super::text::{Comment, EXTERNAL_SERVICES, MARK_DROP, MARK_MASQ, NODEPORTS, SERVICES};
use super::version::Layout;

const DST_LOCAL: [&str; 4] = ["-m", "addrtype", "--dst-type", "LOCAL"];
const SRC_LOCAL: [&str; 4] = ["-m", "addrtype", "--src-type", "LOCAL"];
const LOOPBACK: &str = "127.0.0.0/8";

/// The endpoints that a Service port had on a node.
struct Chosen {
    /// All that are ready.
    ready: Vec<EndpointInfo>,
    /// Those of them on this node; only for `externalTrafficPolicy: Local`.
    local: Vec<EndpointInfo>,
}

/// `externalTrafficPolicy: Local` overrules `internalTrafficPolicy: Local`, which overrules hints; each of them filters the
/// endpoints for traffic of every kind.
fn chosen(w: &Writer<'_>, s: &Subject<'_>) -> Chosen {
    let all = s.endpoints;
    let of = |wanted: &dyn Fn(&EndpointInfo) -> bool| -> Vec<EndpointInfo> {
        all.iter().filter(|e| e.ready && wanted(e)).cloned().collect()
    };
    if s.info.external_policy_local {
        return Chosen { ready: of(&|_| true), local: of(&|e| e.local) };
    }
    let ready = match (s.info.internal_policy_local, w.features.layout) {
        (true, _) => of(&|e| e.local),
        (false, Layout::Flat) => of(&|_| true),
        (false, _) => hinted(w.config, s.info, all),
    };
    Chosen { ready, local: Vec::new() }
}

/// Writes the rules of one Service port.
pub(super) fn write(w: &mut Writer<'_>, s: &Subject<'_>) {
    let chosen = chosen(w, s);
    let flat = w.features.layout == Layout::Flat;
    if !flat {
        for e in &chosen.ready {
            let sep = w.sep(s, e);
            w.chain(&sep, true);
            w.endpoint(s, e);
        }
    }
    let served = !chosen.ready.is_empty();
    if served {
        w.chain(&s.chains.svc, true);
    }
    if s.info.external_policy_local {
        w.chain(&s.chains.xlb, true);
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
    let (ip, port) = (w.host(s.info.cluster_ip), s.info.port.to_string());
    let to = ["-d", &ip, "--dport", &port];
    let comment = s.comment(" cluster IP");
    let masquerades = match w.features.layout {
        Layout::Flat => SERVICES,
        _ => &s.chains.svc,
    };
    if w.config.masquerade_all {
        w.nat.rule(masquerades, &[&comment.words(), &s.proto(), &to, &["-j", MARK_MASQ]]);
    } else if let Some(local) = &w.local {
        let others = local.others();
        w.nat.rule(masquerades, &[&comment.words(), &s.proto(), &to, &others, &["-j", MARK_MASQ]]);
    }
    w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &["-j", &s.chains.svc]]);
}

fn external_ips(w: &mut Writer<'_>, s: &Subject<'_>) {
    let port = s.info.port.to_string();
    let comment = s.comment(" external IP");
    let to_local = s.info.external_policy_local && w.features.external_ips_local;
    let target = if to_local { &s.chains.xlb } else { &s.chains.svc };
    let jump = ["-j", target.as_str()];
    for ip in &s.info.external_ips {
        let ip = w.host(*ip);
        let to = ["-d", &ip, "--dport", &port];
        let masq = ["-j", MARK_MASQ];
        if w.features.layout == Layout::Flat {
            if !to_local {
                w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &masq]);
            }
            // From outside only: neither from a bridge, which a container would be behind, nor from the node itself.
            let outside =
                ["-m", "physdev", "!", "--physdev-is-in", "-m", "addrtype", "!", "--src-type", "LOCAL"];
            w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &outside, &jump]);
            w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &DST_LOCAL, &jump]);
            continue;
        }
        if !to_local {
            let others = w.local.as_ref().map(super::config::LocalTraffic::others);
            let others: &[&str] = others.as_ref().map_or(&[], |o| o.as_slice());
            w.nat.rule(&s.chains.svc, &[&comment.words(), &s.proto(), &to, others, &masq]);
        }
        w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &to, &jump]);
    }
}

fn load_balancer(w: &mut Writer<'_>, s: &Subject<'_>) {
    let port = s.info.port.to_string();
    let comment = s.comment(" loadbalancer IP");
    let fw = &s.chains.fw;
    let target = if s.info.external_policy_local { &s.chains.xlb } else { &s.chains.svc };
    let jump = ["-j", target.as_str()];
    for ip in &s.info.load_balancer_vips {
        // The chain line and the rules stand there once for each address.
        w.chain(fw, true);
        let ip = w.host(*ip);
        w.nat.rule(SERVICES, &[&comment.words(), &s.proto(), &["-d", &ip, "--dport", &port], &["-j", fw]]);
        if !s.info.external_policy_local {
            w.nat.rule(fw, &[&comment.words(), &["-j", MARK_MASQ]]);
        }
        if s.info.source_ranges.is_empty() {
            w.nat.rule(fw, &[&comment.words(), &jump]);
        }
        for range in &s.info.source_ranges {
            w.nat.rule(fw, &[&comment.words(), &["-s", &range.to_string()], &jump]);
        }
        if allows(&s.info.source_ranges, w) {
            w.nat.rule(fw, &[&comment.words(), &["-s", &ip], &jump]);
        }
        w.nat.rule(fw, &[&comment.words(), &["-j", MARK_DROP]]);
    }
}

/// No endpoint: the addresses answer with an error.
fn refuse_addresses(w: &mut Writer<'_>, s: &Subject<'_>) {
    let comment = s.comment(" has no endpoints");
    let port = s.info.port.to_string();
    let outside =
        s.info.external_ips.iter().chain(&s.info.load_balancer_vips).map(|ip| (EXTERNAL_SERVICES, *ip));
    for (chain, ip) in core::iter::once((SERVICES, s.info.cluster_ip)).chain(outside) {
        let to = ["-d", &w.host(ip), "--dport", &port];
        w.filter.rule(chain, &[&comment.words(), &s.proto(), &to, &["-j", "REJECT"]]);
    }
}

fn node_port(w: &mut Writer<'_>, s: &Subject<'_>, served: bool) {
    if s.info.node_port == 0 {
        return;
    }
    let port = s.info.node_port.to_string();
    let to = ["--dport", &port];
    let masq = ["-j", MARK_MASQ];
    let comment = s.comment("");
    let head: [&[&str]; 3] = [&comment.words(), &s.proto(), &to];
    let [comment_words, proto, to] = head;
    if !served {
        let comment = s.comment(" has no endpoints");
        let refuse = ["-j", "REJECT"];
        w.filter.rule(EXTERNAL_SERVICES, &[&comment.words(), &DST_LOCAL, proto, to, &refuse]);
    } else if s.info.external_policy_local {
        w.nat.rule(NODEPORTS, &[comment_words, proto, to, &["-s", LOOPBACK], &masq]);
        w.nat.rule(NODEPORTS, &[comment_words, proto, to, &["-j", &s.chains.xlb]]);
    } else {
        let masquerades = match w.features.layout {
            Layout::Flat => NODEPORTS,
            _ => &s.chains.svc,
        };
        w.nat.rule(masquerades, &[comment_words, proto, to, &masq]);
        w.nat.rule(NODEPORTS, &[comment_words, proto, to, &["-j", &s.chains.svc]]);
    }
}

fn health_check(w: &mut Writer<'_>, s: &Subject<'_>) {
    if w.features.accepts_health_check && s.info.health_check_node_port != 0 {
        let port = s.info.health_check_node_port.to_string();
        let tcp = ["-m", "tcp", "-p", "tcp", "--dport", &port, "-j", "ACCEPT"];
        w.filter.rule(NODEPORTS, &[&s.comment(" health check node port").words(), &tcp]);
    }
}

/// KUBE-SVC with each endpoint's chain after its jump.
fn flat_endpoints(w: &mut Writer<'_>, s: &Subject<'_>, list: &[EndpointInfo]) {
    for e in list {
        let sep = w.sep(s, e);
        w.chain(&sep, true);
    }
    let comment = s.comment("");
    recent(w, s, &s.chains.svc, list, w.endpoint_comments);
    for (i, e) in list.iter().enumerate() {
        let sep = w.sep(s, e);
        let odds = w.odds(list.len() - i);
        let odds: Vec<&str> = odds.iter().map(String::as_str).collect();
        let words = w.endpoint_comment(&comment);
        w.nat.rule(&s.chains.svc, &[&words, &odds, &["-j", &sep]]);
        w.endpoint(s, e);
    }
}

/// A client goes to the endpoint that it had before.
fn recent(w: &mut Writer<'_>, s: &Subject<'_>, chain: &str, list: &[EndpointInfo], commented: bool) {
    let Some(seconds) = s.info.affinity_seconds else { return };
    let comment = s.comment("");
    for e in list {
        let sep = w.sep(s, e);
        let words = comment.words();
        let words = if commented { &words[..] } else { &[] };
        let seen = ["-m", "recent", "--name", &sep, "--rcheck", "--seconds", &seconds.to_string(), "--reap"];
        w.nat.rule(chain, &[words, &seen, &["-j", &sep]]);
    }
}

fn xlb(w: &mut Writer<'_>, s: &Subject<'_>, local: &[EndpointInfo]) {
    let (chain, svc) = (&s.chains.xlb, s.chains.svc.as_str());
    if let Some(pods) = &w.local {
        let comment = Comment::new(&["Redirect pods trying to reach external loadbalancer VIP to clusterIP"]);
        w.nat.rule(chain, &[&comment.words(), &pods.local(), &["-j", svc]]);
    }
    if w.features.xlb_local_traffic {
        let masquerade = Comment::new(&["masquerade LOCAL traffic for ", &s.info.name, " LB IP"]);
        w.nat.rule(chain, &[&masquerade.words(), &SRC_LOCAL, &["-j", MARK_MASQ]]);
        let route = Comment::new(&["route LOCAL traffic for ", &s.info.name, " LB IP to service chain"]);
        w.nat.rule(chain, &[&route.words(), &SRC_LOCAL, &["-j", svc]]);
    }
    if local.is_empty() {
        let comment = s.comment(" has no local endpoints");
        w.nat.rule(chain, &[&comment.words(), &["-j", MARK_DROP]]);
        return;
    }
    if w.features.layout != Layout::Flat {
        w.balance(chain, s, local);
        return;
    }
    recent(w, s, chain, local, true);
    for (i, e) in local.iter().enumerate() {
        let comment = Comment::new(&["Balancing rule ", &i.to_string(), " for ", &s.info.name]);
        let sep = w.sep(s, e);
        let odds = w.odds(local.len() - i);
        let odds: Vec<&str> = odds.iter().map(String::as_str).collect();
        w.nat.rule(chain, &[&comment.words(), &odds, &["-j", &sep]]);
    }
}
