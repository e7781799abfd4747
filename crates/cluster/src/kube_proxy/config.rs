//! What kube-proxy is told about itself and its node (KubeProxyConfiguration, pkg/proxy/apis/config/types.go).

use super::version::{Features, Version};
use crate::object::Node;
use ipnet::IpNet;
use litemap::LiteMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address family: each has its own rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    #[default]
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Whether an address is of this family.
    pub fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Family::V4)
    }

    /// The first of some addresses that is of this family.
    pub fn first(self, addresses: &[IpAddr]) -> Option<IpAddr> {
        addresses.iter().copied().find(|a| self.has(*a))
    }
}

/// `detectLocalMode`: how to see that a packet comes from a pod of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DetectLocal {
    /// By its source: the pods' network.
    #[default]
    ClusterCidr,
    /// Not at all.
    None,
    /// By the bridge that it comes from.
    BridgeInterface(String),
    /// By the first letters of the interface's name.
    InterfaceNamePrefix(String),
}

/// `nodePortAddresses`: on which addresses of the node node ports answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// Not given: all; in mode nftables the node's own addresses.
    #[default]
    Default,
    /// The node's own addresses.
    Primary,
    /// Addresses in these networks.
    Networks(Vec<IpNet>),
}

/// `healthzBindAddress` by default: everywhere.
pub(super) const HEALTHZ: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 10256);

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which kube-proxy.
    pub version: Version,
    /// The node's name.
    pub node_name: String,
    /// The node's own addresses.
    pub node_ips: Vec<IpAddr>,
    /// All addresses of the node's interfaces, but not those that kube-proxy itself puts on kube-ipvs0.
    pub interface_ips: Vec<IpAddr>,
    /// `clusterCIDR`.
    pub cluster_cidrs: Vec<IpNet>,
    /// `detectLocalMode`.
    pub detect_local: DetectLocal,
    /// `nodePortAddresses`.
    pub node_port_addresses: NodePortAddresses,
    /// `healthzBindAddress`.
    pub healthz_bind_address: SocketAddr,
    /// `iptables.localhostNodePorts`.
    pub localhost_node_ports: bool,
    /// `iptables.masqueradeAll`.
    pub masquerade_all: bool,
    /// `iptables.masqueradeBit`, 0 to 31.
    pub masquerade_bit: u8,
    /// The installed iptables knows `--random-fully`.
    pub random_fully: bool,
    /// The kernel knows nfacct.
    pub nfacct: bool,
    /// `conntrack.tcpBeLiberal`: packets in state INVALID are not dropped.
    pub conntrack_tcp_be_liberal: bool,
    /// `ipvs.scheduler`.
    pub ipvs_scheduler: String,
    /// The node's labels that topology looks at.
    pub topology_labels: LiteMap<String, String>,
    /// The families that the cluster has.
    pub families: Vec<Family>,
}

const LABEL_ZONE: &str = "topology.kubernetes.io/zone";
const NODE_IP: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 168, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0x192, 0, 0, 0, 0, 0, 2))];

/// A node `node1` with eth0 192.168.0.2, fd00:192::2 and the bridge cni0 10.244.1.254, fd00:10:244:1::fe, as the recordings of
/// the real kube-proxy have it.
impl Default for Config {
    fn default() -> Config {
        let bridge = [
            IpAddr::V4(Ipv4Addr::new(10, 244, 1, 254)),
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x244, 1, 0, 0, 0, 0xfe)),
        ];
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Config {
            version: Version::default(),
            node_name: "node1".to_owned(),
            node_ips: NODE_IP.to_vec(),
            interface_ips: local.into_iter().chain(NODE_IP).chain(bridge).collect(),
            cluster_cidrs: [
                IpNet::new(IpAddr::V4(Ipv4Addr::new(10, 244, 0, 0)), 16),
                IpNet::new(IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, 0)), 56),
            ]
            .into_iter()
            .flatten()
            .collect(),
            detect_local: DetectLocal::default(),
            node_port_addresses: NodePortAddresses::default(),
            healthz_bind_address: HEALTHZ,
            localhost_node_ports: true,
            masquerade_all: false,
            masquerade_bit: 14,
            random_fully: true,
            nfacct: true,
            conntrack_tcp_be_liberal: false,
            ipvs_scheduler: "rr".to_owned(),
            topology_labels: LiteMap::new(),
            families: vec![Family::V4],
        }
    }
}

impl Config {
    /// Takes name, addresses and labels from a Node. Its interfaces are not part of it: they stay the loopback and the
    /// addresses of the Node.
    pub fn on_node(mut self, node: &Node) -> Config {
        self.node_name.clone_from(&node.metadata.name);
        self.node_ips.clone_from(&node.internal_ips);
        self.interface_ips = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].to_vec();
        self.interface_ips.extend(&node.internal_ips);
        self.topology_labels = node.metadata.labels.clone();
        self
    }

    /// What the version does.
    pub fn features(&self) -> Features {
        self.version.features()
    }

    /// The mark of packets to masquerade, as kube-proxy prints it.
    pub(super) fn mark(&self) -> String {
        format!("{:#010x}", 1u32.checked_shl(u32::from(self.masquerade_bit)).unwrap_or(0))
    }

    /// How to see packets of local pods (pkg/proxy/util, `LocalTrafficDetector`). None if there is no way.
    pub(super) fn local_traffic(&self, family: Family) -> Option<LocalTraffic> {
        let local = match &self.detect_local {
            DetectLocal::ClusterCidr => format!("-s {}", self.cluster_cidr(family)?),
            DetectLocal::None => return None,
            DetectLocal::BridgeInterface(name) => format!("-i {name}"),
            DetectLocal::InterfaceNamePrefix(prefix) => format!("-i {prefix}+"),
        };
        Some(LocalTraffic { others: format!("! {local}"), local })
    }

    /// The pods' network as text.
    pub(super) fn cluster_cidr(&self, family: Family) -> Option<String> {
        self.cluster_cidrs.iter().find(|c| family.has(c.addr())).map(|c| c.trunc().to_string())
    }

    /// The node's zone; empty if its labels do not say.
    pub(super) fn zone(&self) -> &str {
        self.topology_labels.get(LABEL_ZONE).map_or("", String::as_str)
    }

    /// The networks of node ports in a family; None is every address (pkg/proxy/util/nodeport_addresses.go).
    fn node_port_networks(&self, family: Family) -> Option<Vec<IpNet>> {
        let networks: Vec<IpNet> = match &self.node_port_addresses {
            NodePortAddresses::Default => Vec::new(),
            NodePortAddresses::Primary => self.node_ips.iter().map(|ip| IpNet::from(*ip)).collect(),
            NodePortAddresses::Networks(all) => all.clone(),
        };
        let networks: Vec<IpNet> = networks.into_iter().filter(|n| family.has(n.addr())).collect();
        let all = networks.is_empty() || networks.iter().any(|n| n.prefix_len() == 0);
        (!all).then_some(networks)
    }

    /// Node ports answer on every address of the node.
    pub(super) fn node_ports_everywhere(&self, family: Family) -> bool {
        self.node_port_networks(family).is_none()
    }

    /// Node ports answer on 127.0.0.1.
    pub fn node_ports_on_loopback(&self, family: Family) -> bool {
        let v4 = family == Family::V4;
        let wanted = self.localhost_node_ports || !self.features().localhost_node_ports;
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        v4 && wanted
            && self
                .node_port_networks(family)
                .is_none_or(|all| all.iter().any(|n| n.contains(&loopback) || n.addr().is_loopback()))
    }

    /// The addresses of the node where node ports answer, sorted as text.
    pub(super) fn node_port_ips(&self, family: Family) -> Vec<IpAddr> {
        let networks = self.node_port_networks(family);
        let mut found: LiteMap<String, IpAddr> = LiteMap::new();
        for ip in self.interface_ips.iter().filter(|ip| family.has(**ip)) {
            if networks.as_ref().is_none_or(|all| all.iter().any(|n| n.contains(ip))) {
                found.insert(ip.to_string(), *ip);
            }
        }
        found.into_iter().map(|(_, ip)| ip).collect()
    }
}

/// How packets of this node's pods are told apart.
#[derive(Clone, Debug)]
pub(super) struct LocalTraffic {
    /// Matches packets of local pods.
    pub local: String,
    /// Matches all other packets.
    pub others: String,
}
