//! kube-proxy's answers to health checks, as sites of a web server on its node.

use cluster::kube_proxy::{HealthAnswer, HealthTimes, KubeProxy, json_times, proxy_health};
use cluster::object::Node;
use kernel::Instant;
use sim::programs::Daemon;
use sim::programs::http_server::{HttpServer, Page, Site, Style, go_time, rfc3339};
use std::net::{IpAddr, Ipv4Addr};

/// kube-proxy's process, as far as others on the network see it.
pub(super) fn process(sites: Vec<Site>) -> Daemon {
    Daemon::new(HttpServer::new(Style::Go("kube-proxy"), sites))
}

/// Where a kube-proxy answers to health checks after a sync, and what it says.
pub(super) fn sites(proxy: &KubeProxy, node: Option<&Node>, synced: Instant) -> Vec<Site> {
    let version = proxy.config().version;
    let (now, synced) = match json_times(version) {
        true => ("{utc}", rfc3339(synced)),
        false => ("{now}", go_time(synced)),
    };
    let pages = proxy_health(version, node, HealthTimes { now, synced: &synced });
    let pages = pages.into_iter().map(|(path, answer)| page(path, answer)).collect();
    let healthz = proxy.config().healthz_bind_address;
    let ip = match healthz.ip() {
        IpAddr::V4(ip) => ip,
        // A socket of IPv6 that is bound to no address takes IPv4 too.
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let mut all = vec![Site { bind: (ip, healthz.port()), pages, otherwise: Page::go_not_found() }];
    for check in proxy.service_health() {
        let addresses = check.addresses.clone().unwrap_or_else(|| vec![Ipv4Addr::UNSPECIFIED]);
        let site = |ip| Site {
            bind: (ip, check.port),
            pages: Vec::new(),
            otherwise: page("", check.answer(version)),
        };
        all.extend(addresses.into_iter().map(site));
    }
    all
}

fn page(path: &str, answer: HealthAnswer) -> Page {
    let HealthAnswer { healthy, mut headers, body } = answer;
    let at = headers.iter().position(|(name, _)| *name == "Content-Type");
    let content_type = at.map(|at| headers.remove(at).1).unwrap_or_default();
    let status = if healthy { "200 OK" } else { "503 Service Unavailable" };
    Page { status, headers, ..Page::ok(path, &content_type, body) }
}
