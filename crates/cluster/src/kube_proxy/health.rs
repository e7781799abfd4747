//! What kube-proxy answers to health checks (pkg/proxy/healthcheck): of itself on `healthzBindAddress`, and of each Service of type
//! LoadBalancer with the policy Local on its `healthCheckNodePort`, by which a load balancer finds the nodes that have endpoints.

use super::config::{Config, Family, NodePortAddresses};
use super::tracker::Ports;
use super::{Mode, Version};
use crate::object::{NamespacedName, Node};
use sorted::{Map, Set};
use std::net::{IpAddr, Ipv4Addr};

/// The cluster autoscaler's taint of a node that is to go.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthAnswer {
    /// The status is 200, else 503.
    pub healthy: bool,
    /// The header fields, but those that any server adds.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON.
    pub body: String,
}

/// The health check of a Service on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// The Service.
    pub service: NamespacedName,
    /// Its `healthCheckNodePort`.
    pub port: u16,
    /// The addresses of the node that a check is answered on; None for all.
    pub addresses: Option<Vec<Ipv4Addr>>,
    /// How many endpoints the node has that are ready, by their addresses.
    pub local_endpoints: usize,
}

impl ServiceHealth {
    /// What is said on any path (`hcHandler.ServeHTTP`). kube-proxy itself is healthy.
    pub fn answer(&self, version: Version) -> HealthAnswer {
        let features = version.features();
        let mut headers = headers(version);
        if features.health_weight {
            headers.push(("X-Load-Balancing-Endpoint-Weight", self.local_endpoints.to_string()));
        }
        let ((namespace, name), count) = (&self.service, self.local_endpoints);
        let proxy = if features.health_of_proxy { ",\n\t\"serviceProxyHealthy\": true" } else { "" };
        let body = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\"localEndpoints\": {count}{proxy}\n}}"
        );
        HealthAnswer { healthy: count > 0, headers, body }
    }
}

/// Times, as an answer of kube-proxy about itself has them. Since 1.33 they are written as RFC 3339 has it, before as Go's
/// `time.Time` prints itself ([`json_times`]).
#[derive(Clone, Copy, Debug)]
pub struct HealthTimes<'t> {
    /// Of the answer.
    pub now: &'t str,
    /// Of the last sync.
    pub synced: &'t str,
}

/// Times are those of RFC 3339.
pub fn json_times(version: Version) -> bool {
    version.features().health_json
}

/// What kube-proxy says of itself by path (`healthzHandler`, `livezHandler`): each change is written by the time that it is asked.
pub fn proxy_health(
    version: Version,
    node: Option<&Node>,
    times: HealthTimes<'_>,
) -> Vec<(&'static str, HealthAnswer)> {
    let features = version.features();
    let HealthTimes { now, synced } = times;
    let updated = if features.health_says_now { now } else { synced };
    let eligible = !features.health_eligible
        || node.is_some_and(|n| !n.taints.iter().any(|taint| taint == TO_BE_DELETED));
    let answer = |eligible: Option<bool>| {
        let node = |separator: &str| {
            eligible.map_or(String::new(), |e| format!(",{separator}\"nodeEligible\":{separator}{e}"))
        };
        let body = match features.health_json {
            false => format!("{{\"lastUpdated\": \"{updated}\",\"currentTime\": \"{now}\"{}}}", node(" ")),
            true => format!(
                "{{\"lastUpdated\":\"{now}\",\"currentTime\":\"{now}\"{},\"healthy\":true,\"status\":{{\"IPv4\":{{\"lastUpdated\":\"{synced}\",\"healthy\":true}}}}}}",
                node("")
            ),
        };
        HealthAnswer { healthy: eligible != Some(false), headers: headers(version), body }
    };
    let mut all = vec![("/healthz", answer(features.health_eligible.then_some(eligible)))];
    if features.health_eligible {
        all.push(("/livez", answer(None)));
    }
    all
}

fn headers(version: Version) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Content-Type", "application/json".to_owned())];
    if version.features().health_nosniff {
        headers.push(("X-Content-Type-Options", "nosniff".to_owned()));
    }
    headers
}

/// The health checks of the Services (`HealthCheckNodePorts`, `LocalReadyEndpoints`), by their names.
pub(super) fn service_health(config: &Config, mode: Mode, ports: &Ports) -> Vec<ServiceHealth> {
    let mut found: Map<NamespacedName, (u16, Set<IpAddr>)> = Map::new();
    for port in ports.ports.values().filter(|p| p.info.health_check_node_port != 0) {
        let (_, ips) = found
            .entry(port.info.service.clone())
            .or_insert_with(|| (port.info.health_check_node_port, Set::new()));
        for endpoint in port.endpoints.iter().filter(|e| e.local && e.ready) {
            ips.insert(endpoint.ip);
        }
    }
    let addresses = addresses(config, mode);
    let one = |(service, (port, ips)): (NamespacedName, (u16, Set<IpAddr>))| ServiceHealth {
        service,
        port,
        addresses: addresses.clone(),
        local_endpoints: ips.len(),
    };
    found.into_iter().map(one).collect()
}

/// Where node ports answer there are the health checks too (1.23); by default that is everywhere, in mode nftables the node's own address.
fn addresses(config: &Config, mode: Mode) -> Option<Vec<Ipv4Addr>> {
    let primary;
    let config = match config.node_port_addresses {
        NodePortAddresses::Default if mode == Mode::Nftables => {
            primary = Config { node_port_addresses: NodePortAddresses::Primary, ..config.clone() };
            &primary
        }
        _ => config,
    };
    if !config.features().health_on_node_port_addresses || config.node_ports_everywhere(Family::V4) {
        return None;
    }
    let ipv4 = |ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    };
    Some(config.node_port_ips(Family::V4).into_iter().filter_map(ipv4).collect())
}
