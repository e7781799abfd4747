//! Service (api/core/v1/types.go, pkg/apis/core/v1/defaults.go).

use super::Metadata;
use crate::diagnostic::Read;
use crate::fields::{Fields, address, dns_name, each, network, text};
use crate::yaml::{Value, Yaml};
use core::fmt;
use ipnet::IpNet;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// SCTP.
    Sctp,
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    pub(crate) const WORDS: [(&'static str, Protocol); 3] =
        [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];
}

impl Protocol {
    /// In lower case, as rules and hashes have it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Sctp => "sctp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// In lower case, as rules and hashes have it.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceType {
    /// ClusterIP.
    #[default]
    ClusterIp,
    /// NodePort.
    NodePort,
    /// LoadBalancer.
    LoadBalancer,
    /// ExternalName.
    ExternalName,
}

/// `internalTrafficPolicy` and `externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrafficPolicy {
    /// Any endpoint.
    #[default]
    Cluster,
    /// Only endpoints on the node where the packet is.
    Local,
}

/// `sessionAffinity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionAffinity {
    /// None.
    #[default]
    None,
    /// ClientIP, for this many seconds.
    ClientIp(u32),
}

/// `trafficDistribution`: which endpoints are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrafficDistribution {
    /// None.
    #[default]
    None,
    /// PreferClose, or PreferSameZone.
    SameZone,
    /// PreferSameNode.
    SameNode,
}

/// `clusterIPs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterIp {
    /// Not given: the API server would choose one, and until then there is nothing to translate.
    #[default]
    Unset,
    /// `None`: the Service is headless.
    None,
    /// One address per family.
    Addresses(Vec<IpAddr>),
}

/// `ipMode` of a load balancer's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpMode {
    /// The packet arrives with that destination: nodes capture it.
    #[default]
    Vip,
    /// The load balancer rewrites the destination: nodes leave the address alone.
    Proxy,
}

/// One of `status.loadBalancer.ingress` that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingress {
    /// `ip`.
    pub ip: IpAddr,
    /// `ipMode`.
    pub ip_mode: IpMode,
}

/// One of `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// `name`; may be empty.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `nodePort`; 0 is none.
    pub node_port: u16,
    /// `targetPort`. Only what makes endpoints asks for it: they hold the number.
    pub target: TargetPort,
}

/// `targetPort`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetPort {
    /// Not given: the Service's own port.
    #[default]
    Same,
    /// A number.
    Number(u16),
    /// The name of a container's port.
    Name(String),
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// `type`.
    pub service_type: ServiceType,
    /// `clusterIPs`, or `clusterIP`.
    pub cluster_ip: ClusterIp,
    /// `ports`.
    pub ports: Vec<ServicePort>,
    /// `selector`: labels of the pods that are its endpoints.
    pub selector: LiteMap<String, String>,
    /// `trafficDistribution`. It is a matter of what makes endpoints, which puts hints on them.
    pub traffic_distribution: TrafficDistribution,
    /// `publishNotReadyAddresses`: its endpoints count as ready.
    pub publish_not_ready: bool,
    /// `externalName`; empty if it has none.
    #[serde(default)]
    pub external_name: String,
    /// `externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `externalTrafficPolicy`.
    pub external_traffic_policy: TrafficPolicy,
    /// `internalTrafficPolicy`.
    pub internal_traffic_policy: TrafficPolicy,
    /// `sessionAffinity` with its timeout.
    pub session_affinity: SessionAffinity,
    /// `loadBalancerSourceRanges`, with host bits as given.
    pub load_balancer_source_ranges: Vec<IpNet>,
    /// `healthCheckNodePort`; 0 is none.
    pub health_check_node_port: u16,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<Ingress>,
}

pub(super) const SPEC: [&str; 22] = [
    "allocateLoadBalancerNodePorts",
    "clusterIP",
    "clusterIPs",
    "externalIPs",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamily",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "topologyKeys",
    "trafficDistribution",
    "type",
];

pub(super) const PORT: [&str; 6] = ["name", "protocol", "appProtocol", "port", "targetPort", "nodePort"];

const POLICY: [(&str, TrafficPolicy); 2] =
    [("Cluster", TrafficPolicy::Cluster), ("Local", TrafficPolicy::Local)];

const DISTRIBUTION: [(&str, TrafficDistribution); 3] = [
    ("PreferClose", TrafficDistribution::SameZone),
    ("PreferSameZone", TrafficDistribution::SameZone),
    ("PreferSameNode", TrafficDistribution::SameNode),
];

impl Service {
    pub(super) fn read(document: &Yaml) -> Read<Service> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let metadata = Metadata::read(object, true)?;
        let spec = Fields::new(object.need("spec")?, &SPEC)?;
        let types = [
            ("ClusterIP", ServiceType::ClusterIp),
            ("NodePort", ServiceType::NodePort),
            ("LoadBalancer", ServiceType::LoadBalancer),
            ("ExternalName", ServiceType::ExternalName),
        ];
        Ok(Service {
            metadata,
            service_type: spec.word("type", &types)?.unwrap_or_default(),
            cluster_ip: cluster_ip(spec)?,
            ports: ports(spec)?,
            selector: spec.texts("selector")?,
            traffic_distribution: spec.word("trafficDistribution", &DISTRIBUTION)?.unwrap_or_default(),
            publish_not_ready: spec.boolean("publishNotReadyAddresses")?.unwrap_or(false),
            external_name: spec.text("externalName")?.unwrap_or_default().to_owned(),
            external_ips: each(spec.list("externalIPs")?, address)?,
            external_traffic_policy: spec.word("externalTrafficPolicy", &POLICY)?.unwrap_or_default(),
            internal_traffic_policy: spec.word("internalTrafficPolicy", &POLICY)?.unwrap_or_default(),
            session_affinity: session_affinity(spec)?,
            load_balancer_source_ranges: each(spec.list("loadBalancerSourceRanges")?, network)?,
            health_check_node_port: spec.port("healthCheckNodePort", 0)?.unwrap_or(0),
            ingress: ingress(object)?,
        })
    }
}

fn cluster_ip(spec: Fields<'_>) -> Read<ClusterIp> {
    let list = spec.list("clusterIPs")?;
    let one = spec.get("clusterIP");
    if let (Some(one), Some(first)) = (one, list.first())
        && text(one)? != text(first)?
    {
        return Err(one.blame("expected the first of clusterIPs"));
    }
    let given: Vec<&Yaml> = if list.is_empty() { one.into_iter().collect() } else { list.iter().collect() };
    let mut addresses = Vec::new();
    for v in given {
        match text(v)? {
            "None" => return Ok(ClusterIp::None),
            "" => return Ok(ClusterIp::Unset),
            _ => addresses.push(address(v)?),
        }
    }
    Ok(if addresses.is_empty() { ClusterIp::Unset } else { ClusterIp::Addresses(addresses) })
}

fn ports(spec: Fields<'_>) -> Read<Vec<ServicePort>> {
    let items = spec.list("ports")?;
    let mut ports: Vec<ServicePort> = Vec::new();
    for item in items {
        let port = Fields::new(item, &PORT)?;
        let name = match port.get("name") {
            Some(v) => dns_name(v, 63)?,
            None if items.len() > 1 => return Err(item.place.blame("", "one of several ports needs a name")),
            None => String::new(),
        };
        let Some(number) = port.port("port", 1)? else {
            return Err(item.place.blame("", "the field port is missing"));
        };
        if ports.iter().any(|p| p.name == name) {
            return Err(item.place.blame(&name, "another port has the same name"));
        }
        ports.push(ServicePort {
            name,
            protocol: port.word("protocol", &Protocol::WORDS)?.unwrap_or_default(),
            port: number,
            node_port: port.port("nodePort", 0)?.unwrap_or(0),
            target: port.get("targetPort").map_or(Ok(TargetPort::Same), target_port)?,
        });
    }
    Ok(ports)
}

fn target_port(v: &Yaml) -> Read<TargetPort> {
    match &v.value {
        Value::Plain(t) if t.bytes().all(|b| b.is_ascii_digit()) => {
            let number = crate::fields::number(v, 0, u32::from(u16::MAX))?;
            // Headless Services may have 0, which is none.
            Ok(u16::try_from(number).ok().filter(|n| *n != 0).map_or(TargetPort::Same, TargetPort::Number))
        }
        _ => dns_name(v, 63).map(TargetPort::Name),
    }
}

fn session_affinity(spec: Fields<'_>) -> Read<SessionAffinity> {
    /// pkg/apis/core/types.go, `DefaultClientIPServiceAffinitySeconds`: three hours.
    const DEFAULT_SECONDS: u32 = 10_800;
    const MAX_SECONDS: u32 = 86_400;
    let mut seconds = DEFAULT_SECONDS;
    if let Some(config) = spec.fields("sessionAffinityConfig", &["clientIP"])?
        && let Some(client) = config.fields("clientIP", &["timeoutSeconds"])?
    {
        seconds = client.number("timeoutSeconds", 1, MAX_SECONDS)?.unwrap_or(DEFAULT_SECONDS);
    }
    let words = [("None", SessionAffinity::None), ("ClientIP", SessionAffinity::ClientIp(seconds))];
    Ok(spec.word("sessionAffinity", &words)?.unwrap_or_default())
}

fn ingress(object: Fields<'_>) -> Read<Vec<Ingress>> {
    let mut found = Vec::new();
    let Some(status) = object.fields("status", &["loadBalancer", "conditions"])? else { return Ok(found) };
    let Some(balancer) = status.fields("loadBalancer", &["ingress"])? else { return Ok(found) };
    for item in balancer.list("ingress")? {
        let one = Fields::new(item, &["ip", "ipMode", "hostname", "ports"])?;
        let ip_mode =
            one.word("ipMode", &[("VIP", IpMode::Vip), ("Proxy", IpMode::Proxy)])?.unwrap_or_default();
        if let Some(v) = one.get("ip") {
            found.push(Ingress { ip: address(v)?, ip_mode });
        }
    }
    Ok(found)
}
