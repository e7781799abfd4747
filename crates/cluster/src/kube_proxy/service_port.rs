//! One port of one Service as kube-proxy sees it (pkg/proxy/serviceport.go, pkg/proxy/util/utils.go).

use super::config::{Config, Family};
use crate::object::{
    ClusterIp, IpMode, NamespacedName, Protocol, Service, ServiceType, SessionAffinity, TrafficPolicy,
};
use ipnet::IpNet;
use std::net::IpAddr;

/// A Service port in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortInfo {
    /// The Service.
    pub service: NamespacedName,
    /// The port's name.
    pub port_name: String,
    /// `namespace/name:port`, which is in comments and hashes.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// The cluster IP.
    pub cluster_ip: IpAddr,
    /// The port there.
    pub port: u16,
    /// The node port; 0 is none.
    pub node_port: u16,
    /// External IPs of the family.
    pub external_ips: Vec<IpAddr>,
    /// Load balancer addresses that nodes capture.
    pub load_balancer_vips: Vec<IpAddr>,
    /// Source ranges of the family; empty allows all.
    pub source_ranges: Vec<IpNet>,
    /// `externalTrafficPolicy: Local` counts.
    pub external_policy_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_policy_local: bool,
    /// Seconds of ClientIP affinity.
    pub affinity_seconds: Option<u32>,
    /// Health check port; 0 is none.
    pub health_check_node_port: u16,
    /// Topology hints may be used.
    pub uses_hints: bool,
}

/// The ports of one Service; none if kube-proxy leaves it alone.
pub(super) fn ports_of(config: &Config, family: Family, service: &Service) -> Vec<ServicePortInfo> {
    let ClusterIp::Addresses(cluster_ips) = &service.cluster_ip else { return Vec::new() };
    let Some(cluster_ip) = family.first(cluster_ips) else { return Vec::new() };
    if service.service_type == ServiceType::ExternalName {
        return Vec::new();
    }
    let features = config.features();
    let exposed = matches!(service.service_type, ServiceType::NodePort | ServiceType::LoadBalancer);
    let balanced = service.service_type == ServiceType::LoadBalancer;
    let external_local = service.external_traffic_policy == TrafficPolicy::Local
        && (exposed || features.policy_of_cluster_ip && !service.external_ips.is_empty());
    let captured = |mode: IpMode| mode == IpMode::Vip || !features.ip_mode;
    let info = |port: &crate::object::ServicePort| ServicePortInfo {
        service: service.metadata.key(),
        port_name: port.name.clone(),
        name: port_name(service, &port.name, features.trailing_colon),
        protocol: port.protocol,
        cluster_ip,
        port: port.port,
        node_port: port.node_port,
        external_ips: service.external_ips.iter().copied().filter(|ip| family.has(*ip)).collect(),
        load_balancer_vips: service
            .ingress
            .iter()
            .filter(|i| family.has(i.ip) && captured(i.ip_mode))
            .map(|i| i.ip)
            .collect(),
        source_ranges: source_ranges(config, family, service),
        external_policy_local: external_local,
        internal_policy_local: features.internal_policy
            && service.internal_traffic_policy == TrafficPolicy::Local,
        affinity_seconds: match service.session_affinity {
            SessionAffinity::None => None,
            SessionAffinity::ClientIp(seconds) => Some(seconds),
        },
        health_check_node_port: if balanced && external_local { service.health_check_node_port } else { 0 },
        uses_hints: features.hints_always || asks_for_hints(service),
    };
    service.ports.iter().map(info).collect()
}

fn port_name(service: &Service, port: &str, trailing_colon: bool) -> String {
    let mut name = format!("{}/{}", service.metadata.namespace, service.metadata.name);
    if !port.is_empty() || trailing_colon {
        name.push(':');
        name.push_str(port);
    }
    name
}

fn source_ranges(config: &Config, family: Family, service: &Service) -> Vec<IpNet> {
    let features = config.features();
    let ranges = service.load_balancer_source_ranges.iter().filter(|r| family.has(r.addr()));
    let ranges: Vec<IpNet> = ranges.map(|r| if features.masks_ranges { r.trunc() } else { *r }).collect();
    if features.open_range && ranges.iter().any(|r| r.prefix_len() == 0) {
        return Vec::new();
    }
    ranges
}

/// Before hints counted always, a Service had to ask for them.
fn asks_for_hints(service: &Service) -> bool {
    ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"]
        .into_iter()
        .any(|key| service.metadata.annotations.get(key).is_some_and(|v| v == "Auto" || v == "auto"))
}

impl ServicePortInfo {
    /// Traffic can reach it from outside the cluster.
    pub fn externally_accessible(&self) -> bool {
        self.node_port != 0 || !self.external_ips.is_empty() || !self.load_balancer_vips.is_empty()
    }

    /// Some of its traffic may go to any endpoint.
    pub fn uses_cluster_endpoints(&self) -> bool {
        !self.internal_policy_local || self.externally_accessible()
    }

    /// Some of its traffic may only go to endpoints on this node.
    pub fn uses_local_endpoints(&self) -> bool {
        self.internal_policy_local || self.external_policy_local && self.externally_accessible()
    }
}
