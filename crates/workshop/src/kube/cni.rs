//! How pods are connected to their node, and nodes to each other: network plugins as named profiles.
//!
//! A profile is data and functions, so that who links one does not carry the others.

use super::{NodeView, link_route, node_ip, pod_addr, pod_net, route, rules, sysctl, v4};
use cluster::cni::{calico, container_id, docker, flannel, ip_masq, kubenet, portmap};
use cluster::object::{Node, Pod};
use ipnet::{IpNet, Ipv4Net};
use sim::{HostSpec, Setup};
use std::net::Ipv4Addr;
use userland::ip::{IpCommand, LinkChange, LinkCommand, parse_ip};

/// The name of the bridge plugin's network configuration, as in Kubernetes the Hard Way.
const BRIDGE_NETWORK: &str = "bridge";
/// The name of flannel's (kube-flannel.yml).
const FLANNEL_NETWORK: &str = "cbr0";
/// The name of Calico's (calico.yaml).
const CALICO_NETWORK: &str = "k8s-pod-network";
/// What Calico tells its pods to use as their gateway; nobody has it, the node answers ARP for it.
const CALICO_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// A network plugin, or who does its work, with the configuration that decides.
#[derive(Debug)]
pub struct Cni {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// The bridge of a node's pods, which bears their gateway's address; without one each pod has a route of its own.
    pub bridge: Option<&'static str>,
    /// The name of a pod's device on the node, by its namespace and name.
    pub(super) port: fn(&str, &str) -> String,
    /// The gateway that pods are told, if it is not the node's first address in their network.
    pub(super) gateway: Option<Ipv4Addr>,
    /// The MTU of pods and bridge, if not 1500.
    pub mtu: Option<u32>,
    /// The bridge is promiscuous unless somebody says otherwise.
    pub promisc: bool,
    /// Routes to a node's own pods.
    pub(super) pods: fn(&NodeView<'_>, &mut HostSpec),
    /// Rules that are there before the kubelet's and kube-proxy's.
    pub(super) before: fn(&NodeView<'_>, &mut HostSpec),
    /// Devices and routes that lead to other nodes' pods.
    pub(super) routes: fn(&NodeView<'_>, &mut HostSpec) -> Result<(), String>,
    /// What is done on the node when a pod is started, kube-proxy's rules being there.
    pub(super) started: fn(&NodeView<'_>, &mut HostSpec) -> Result<(), String>,
    /// Rules that come when kube-proxy's are there, with the plugin's agent and with each pod.
    pub(super) after: fn(&NodeView<'_>, &mut HostSpec) -> Result<(), String>,
}

/// Linux's names of devices have 15 bytes; of a long name the end tells pods of one Deployment apart. (The plugins draw eight digits.)
fn named_port(_: &str, pod: &str) -> String {
    let end = pod.char_indices().rev().nth(9).map_or(0, |(at, _)| at);
    format!("veth-{}", pod.get(end..).unwrap_or_default())
}

/// Nothing of what a profile may do.
const NONE: Cni = Cni {
    name: "",
    summary: "",
    bridge: None,
    port: named_port,
    gateway: None,
    mtu: None,
    promisc: false,
    pods: |_, _| {},
    before: |_, _| {},
    routes: node_routes,
    started: |_, _| Ok(()),
    after: |_, _| Ok(()),
};

/// Docker's bridge.
const DOCKER_BRIDGE: &str = "docker0";

impl Cni {
    /// The bridge plugin with host-local addresses, as in Kubernetes the Hard Way: routes between the nodes are there already.
    pub const BRIDGE: Cni = Cni {
        name: "bridge",
        summary: "the bridge plugin with host-local, bridge cnio0, ipMasq, portmap; routes between nodes by hand",
        bridge: Some("cnio0"),
        started: bridge_after,
        after: bridge_after,
        ..NONE
    };
    /// Docker's own bridge, as in a minikube of its time.
    pub const DOCKER: Cni = Cni {
        name: "docker",
        summary: "Docker's bridge docker0 and its rules; routes between nodes by hand",
        bridge: Some(DOCKER_BRIDGE),
        before: docker_before,
        started: docker_after,
        after: docker_after,
        ..NONE
    };
    /// The kubelet's own plugin, until 1.24: bridge and routes as a cloud has them.
    pub const KUBENET: Cni = Cni {
        name: "kubenet",
        summary: "the kubelet's own plugin until 1.24: promiscuous bridge cbr0, the cloud's routes, KUBE-HOSTPORTS",
        bridge: Some("cbr0"),
        promisc: true,
        started: kubenet_pods,
        after: kubenet_after,
        ..NONE
    };
    /// flannel with its backend vxlan, 0.21 or later.
    pub const FLANNEL: Cni = Cni {
        name: "flannel",
        summary: "flannel 0.21 or later, backend vxlan: flannel.1 with its entries, chains FLANNEL-POSTRTG and FLANNEL-FWD",
        bridge: Some("cni0"),
        mtu: Some(1450),
        routes: flannel_vxlan,
        started: |v, spec| host_ports(v, FLANNEL_NETWORK, v.net.prefix_len(), spec),
        after: |v, spec| flannel_after(v, flannel::Era::OwnChains, spec),
        ..NONE
    };
    /// The same with the rules of releases until 0.19.
    pub const FLANNEL_0_19: Cni = Cni {
        name: "flannel-0.19",
        summary: "flannel until 0.19, backend vxlan: its rules stand in POSTROUTING and FORWARD themselves",
        after: |v, spec| flannel_after(v, flannel::Era::Plain, spec),
        ..Cni::FLANNEL
    };
    /// flannel with its backend host-gw: plain routes.
    pub const FLANNEL_HOST_GW: Cni = Cni {
        name: "flannel-host-gw",
        summary: "flannel 0.21 or later, backend host-gw: a route to each node, no tunnel",
        mtu: None,
        routes: flannel_host_gw,
        ..Cni::FLANNEL
    };
    /// Calico without an overlay: BIRD's routes.
    pub const CALICO: Cni = Cni {
        name: "calico",
        summary: "Calico without overlay: veths cali*, routes of 32 bits, proxy ARP, BGP routes, natOutgoing by sets",
        port: calico::veth_name,
        gateway: Some(CALICO_GATEWAY),
        pods: calico_pods,
        routes: |v, spec| calico_routes(v, None, spec),
        started: |v, spec| host_ports(v, CALICO_NETWORK, 32, spec),
        after: |v, spec| calico_after(v, None, spec),
        ..NONE
    };
    /// Calico with IPIP always: tunl0.
    pub const CALICO_IPIP: Cni = Cni {
        name: "calico-ipip",
        summary: "Calico with ipipMode Always: routes to other nodes lead into tunl0",
        mtu: Some(1480),
        routes: |v, spec| calico_routes(v, Some("tunl0"), spec),
        after: |v, spec| calico_after(v, Some("tunl0"), spec),
        ..Cni::CALICO
    };
    /// Calico's veths and proxy ARP, and of its rules only that one which decides about natOutgoing, without its sets.
    pub const CALICO_VETHS: Cni = Cni {
        name: "calico-veths",
        summary: "Calico's veths, routes of 32 bits and proxy ARP; natOutgoing as one rule",
        routes: node_routes,
        started: |_, _| Ok(()),
        after: one_masquerade_rule,
        ..Cni::CALICO
    };
}

/// All profiles.
pub static PROFILES: [&Cni; 9] = [
    &Cni::BRIDGE,
    &Cni::DOCKER,
    &Cni::KUBENET,
    &Cni::FLANNEL,
    &Cni::FLANNEL_0_19,
    &Cni::FLANNEL_HOST_GW,
    &Cni::CALICO,
    &Cni::CALICO_IPIP,
    &Cni::CALICO_VETHS,
];

/// The profile of that name.
///
/// # Errors
/// Names those that there are.
pub fn profile(name: &str) -> Result<&'static Cni, String> {
    PROFILES.into_iter().find(|p| p.name == name).ok_or_else(|| {
        let known: Vec<&str> = PROFILES.iter().map(|p| p.name).collect();
        format!("there is no CNI profile {name:?}; these are: {}", known.join(", "))
    })
}

impl<'a> NodeView<'a> {
    /// The pods that have a network of their own; while one is started, that alone.
    pub(super) fn pods(&self) -> impl Iterator<Item = &'a Pod> + 'a {
        let only = self.starting;
        self.kube
            .pods(&self.node.metadata.name)
            .filter(move |p| only.is_none_or(|(pod, _)| pod.metadata.key() == p.metadata.key()))
    }

    /// A pod with ports of the node was there before the one that is started.
    fn has_host_ports(&self) -> bool {
        self.starting.is_some_and(|(pod, earlier)| {
            let there =
                self.kube.pods(&self.node.metadata.name).filter(|p| earlier.contains(&p.metadata.key()));
            there.into_iter().any(|p| p.metadata.key() != pod.metadata.key() && !p.host_ports.is_empty())
        })
    }

    fn others(&self) -> impl Iterator<Item = &'a Node> + 'a {
        let name = &self.node.metadata.name;
        self.kube.objects.nodes.values().filter(move |n| n.metadata.name != *name)
    }

    /// The cluster's pod network, or the node's own where nobody knows it.
    fn cluster(&self) -> Ipv4Net {
        self.kube.cluster_cidr.unwrap_or(self.net)
    }
}

/// A line of `ip`, as the plugin's agent would have it.
fn ip(line: &str, spec: &mut HostSpec) -> Result<(), String> {
    let argv: Vec<&str> = ["ip"].into_iter().chain(line.split(' ')).collect();
    let parsed = parse_ip(&argv).map_err(|d| format!("ip {line}: {}", d.message))?;
    spec.ip.push(parsed.command);
    Ok(())
}

/// A route to each other node's pods, by its address.
fn node_routes(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    for other in v.others() {
        spec.ip.push(route(pod_net(other)?, node_ip(other)?));
    }
    Ok(())
}

/// portmap's rules, for pods that ask for ports of the node. `device` is what leads to a pod.
fn host_ports(v: &NodeView<'_>, network: &str, prefix: u8, spec: &mut HostSpec) -> Result<(), String> {
    let mapped = || v.pods().filter(|p| !p.host_ports.is_empty());
    if mapped().next().is_some() && !v.has_host_ports() {
        spec.setup.push(Setup::Iptables(portmap::shared(portmap::MARK_MASQ_BIT)));
    }
    for pod in mapped() {
        let id = container_id(&pod.metadata.namespace, &pod.metadata.name);
        let address = Ipv4Net::new_assert(pod_addr(pod, v.net)?.addr(), prefix);
        let text = portmap::rules(network, &id, IpNet::V4(address), &pod.host_ports);
        spec.setup.push(Setup::Iptables(text));
        // What comes from 127/8 may cross to the pod.
        let dev = v.kube.cni.bridge.map_or_else(|| v.kube.port_of(pod), str::to_owned);
        spec.sysctl.push(sysctl(&format!("net/ipv4/conf/{dev}/route_localnet"), 1));
    }
    Ok(())
}

/// When each pod is started: what the bridge plugin writes, then portmap.
fn bridge_after(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    for pod in v.pods().filter(|_| v.kube.nat_outgoing) {
        let id = container_id(&pod.metadata.namespace, &pod.metadata.name);
        let text = ip_masq(BRIDGE_NETWORK, &id, IpNet::V4(pod_addr(pod, v.net)?));
        spec.setup.push(Setup::Iptables(text));
    }
    host_ports(v, BRIDGE_NETWORK, v.net.prefix_len(), spec)
}

/// Docker's rules. Its library makes the bridge without a length of its queue.
fn docker_before(v: &NodeView<'_>, spec: &mut HostSpec) {
    let changes = vec![LinkChange::TxQueueLen(0)];
    spec.ip.push(IpCommand::Link(LinkCommand::Set { dev: DOCKER_BRIDGE.to_owned(), changes }));
    spec.setup.push(Setup::Iptables(docker::rules(v.net)));
}

fn docker_after(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    for pod in v.pods().filter(|p| !p.host_ports.is_empty()) {
        let own = pod_addr(pod, v.net)?.addr();
        spec.setup.push(Setup::Iptables(docker::publish(own, &pod.host_ports)));
    }
    Ok(())
}

fn kubenet_after(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    let private = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
    spec.setup.push(Setup::Iptables(kubenet::masq_rule(private)));
    kubenet_pods(v, spec)
}

fn kubenet_pods(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    let mut chains = v.has_host_ports();
    for pod in v.pods().filter(|p| !p.host_ports.is_empty()) {
        if !std::mem::replace(&mut chains, true) {
            spec.setup.push(Setup::Iptables(kubenet::hostport_chains("cbr0")));
        }
        let id = container_id(&pod.metadata.namespace, &pod.metadata.name);
        let name = format!("{}_{}", pod.metadata.name, pod.metadata.namespace);
        let own = pod_addr(pod, v.net)?.addr();
        spec.setup.push(Setup::Iptables(kubenet::hostports(&id, &name, own, &pod.host_ports)));
    }
    Ok(())
}

/// The MAC of a node's flannel.1. Linux draws one; here it follows from the node's address, so that the same cluster always has
/// the same.
fn vtep_mac(node: Ipv4Addr) -> String {
    let [a, b, c, d] = node.octets();
    format!("0e:f1:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// flanneld's backend vxlan (backend/vxlan/device.go, vxlan_network.go): the device, and for each other node a neighbour, an entry of
/// the forwarding database and a route.
fn flannel_vxlan(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    let (own, net, uplink) = (v.own, v.net.network(), &v.kube.uplink);
    let mac = vtep_mac(own);
    ip(
        &format!(
            "link add flannel.1 address {mac} type vxlan id 1 dev {uplink} dstport 8472 local {own} nolearning"
        ),
        spec,
    )?;
    ip(&format!("addr add {net}/32 dev flannel.1"), spec)?;
    ip("link set flannel.1 up", spec)?;
    for other in v.others() {
        let (to, at) = (pod_net(other)?.trunc(), node_ip(other)?);
        let (gateway, mac) = (to.network(), vtep_mac(at));
        ip(&format!("neigh replace {gateway} lladdr {mac} dev flannel.1 nud permanent"), spec)?;
        ip(&format!("route add {to} via {gateway} dev flannel.1 onlink"), spec)?;
        let argv = ["bridge", "fdb", "append", &mac, "dev", "flannel.1", "dst", &at.to_string()];
        let argv = argv.map(str::to_owned).to_vec();
        spec.setup.push(Setup::Command { shell: sim::operator::shell, argv, stdin: None });
    }
    Ok(())
}

/// The backend host-gw (backend/hostgw).
fn flannel_host_gw(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    for other in v.others() {
        let (to, at, uplink) = (pod_net(other)?.trunc(), node_ip(other)?, &v.kube.uplink);
        ip(&format!("route add {to} via {at} dev {uplink}"), spec)?;
    }
    Ok(())
}

fn flannel_after(v: &NodeView<'_>, era: flannel::Era, spec: &mut HostSpec) -> Result<(), String> {
    if v.kube.nat_outgoing {
        spec.setup.push(Setup::Iptables(flannel::rules(era, v.cluster(), v.net)));
    }
    // The plugin hands on to the bridge plugin, with `ipMasq` off and the gateway's prefix.
    host_ports(v, FLANNEL_NETWORK, v.net.prefix_len(), spec)
}

fn calico_pods(v: &NodeView<'_>, spec: &mut HostSpec) {
    for pod in v.pods() {
        let dev = v.kube.port_of(pod);
        if let Some(own) = v4(&pod.pod_ips) {
            spec.ip.push(link_route(own, &dev));
        }
        spec.sysctl.push(sysctl(&format!("net/ipv4/conf/{dev}/proxy_arp"), 1));
        spec.sysctl.push(sysctl(&format!("net/ipv4/neigh/{dev}/proxy_delay"), 0));
    }
}

/// BIRD's routes: the node's own block is nowhere but where a pod has a route; other nodes' blocks are behind them, or behind the
/// tunnel, whose address is the first of the block.
fn calico_routes(v: &NodeView<'_>, tunnel: Option<&str>, spec: &mut HostSpec) -> Result<(), String> {
    if let Some(dev) = tunnel {
        ip(&format!("tunnel add {dev} mode ipip"), spec)?;
        ip(&format!("link set {dev} mtu 1480"), spec)?;
        ip(&format!("addr add {}/32 dev {dev}", v.net.network()), spec)?;
        ip(&format!("link set {dev} up"), spec)?;
    }
    ip(&format!("route add blackhole {} proto bird", v.net.trunc()), spec)?;
    for other in v.others() {
        let (to, at, uplink) = (pod_net(other)?.trunc(), node_ip(other)?, &v.kube.uplink);
        match tunnel {
            Some(dev) => ip(&format!("route add {to} via {at} dev {dev} proto bird onlink"), spec)?,
            None => ip(&format!("route add {to} via {at} dev {uplink} proto bird"), spec)?,
        }
    }
    Ok(())
}

fn calico_after(v: &NodeView<'_>, tunnel: Option<&str>, spec: &mut HostSpec) -> Result<(), String> {
    spec.setup.push(Setup::Ipset(calico::sets(&[v.cluster()], v.kube.nat_outgoing)));
    // Pods' addresses have 32 bits here.
    host_ports(v, CALICO_NETWORK, 32, spec)?;
    spec.setup.push(Setup::Iptables(calico::rules(tunnel)));
    Ok(())
}

fn one_masquerade_rule(v: &NodeView<'_>, spec: &mut HostSpec) -> Result<(), String> {
    if v.kube.nat_outgoing {
        let cidr = v.cluster();
        let line = format!("-A POSTROUTING -s {cidr} ! -d {cidr} -j MASQUERADE");
        spec.setup.push(rules("nat", &[line]));
    }
    Ok(())
}

/// Profiles are told apart by their names.
impl PartialEq for Cni {
    fn eq(&self, other: &Cni) -> bool {
        self.name == other.name
    }
}

impl Eq for Cni {}
