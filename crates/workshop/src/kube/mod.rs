//! A cluster as boxes: what kubelet, the CNI plugin and kube-proxy leave on every node.
//!
//! Nodes stand on one LAN, each with a bridge for its pods. kube-proxy's text goes in by the same door as an operator's:
//! ipset, ipvsadm and iptables read it.

mod cni;
mod start;

pub use cni::{Cni, PROFILES, profile};

use cluster::kube_proxy::{
    Config, Family, LocalMode, NotModelled, Version, first_iptables, iptables_canary, iptables_jumps, ipvs,
    ipvs_jumps,
};
use cluster::object::{NamespacedName, Node, Pod, TrafficPolicy, read_document};
use cluster::yaml::Yaml;
use cluster::{Object, Objects, Read, kubelet, read_objects};
use ipnet::{IpNet, Ipv4Net};
use kernel::netfilter::xtables::TableId;
use kernel::route::Scope;
use kernel::{Era, Modules};
use packet::Mac;
use sim::{BridgePort, HostSpec, LinkSpec, ServerSpec, Setup};
use std::net::{IpAddr, Ipv4Addr};
use userland::ip::{
    AddrCommand, AddrSpec, IpCommand, LinkChange, LinkCommand, LinkKind, NewLink, RouteCommand, RouteSpec,
};

/// The usual name of a box's device on the LAN.
pub const UPLINK: &str = "eth0";
/// The box that is the LAN's switch.
pub const LAN: &str = "lan";

/// kube-proxy's mode, one of those whose text a box reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// iptables rules.
    #[default]
    Iptables,
    /// IPVS virtual servers.
    Ipvs,
    /// A table of nf_tables.
    #[cfg(feature = "nft")]
    Nftables,
}

impl Mode {
    /// The mode of that name, as kube-proxy's option `--proxy-mode` has it.
    pub fn from_name(name: &str) -> Option<Mode> {
        match name {
            "iptables" => Some(Mode::Iptables),
            "ipvs" => Some(Mode::Ipvs),
            #[cfg(feature = "nft")]
            "nftables" => Some(Mode::Nftables),
            _ => None,
        }
    }
}

impl From<Mode> for cluster::kube_proxy::Mode {
    fn from(mode: Mode) -> cluster::kube_proxy::Mode {
        match mode {
            Mode::Iptables => cluster::kube_proxy::Mode::Iptables,
            Mode::Ipvs => cluster::kube_proxy::Mode::Ipvs,
            #[cfg(feature = "nft")]
            Mode::Nftables => cluster::kube_proxy::Mode::Nftables,
        }
    }
}

/// A cluster, and how its nodes are set up.
#[derive(Clone, Debug)]
pub struct Kube {
    /// Nodes, pods, Services and their endpoints.
    pub objects: Objects,
    /// kube-proxy's mode; without one neither kube-proxy nor the kubelet writes rules.
    pub mode: Option<Mode>,
    /// kube-proxy's version.
    pub version: Version,
    /// The kubelet's version.
    pub kubelet: Version,
    /// The nodes' device on the LAN.
    pub uplink: String,
    /// The nodes' kernel.
    pub era: Era,
    /// The modules that are loaded on the nodes.
    pub modules: Modules,
    /// How pods are connected.
    pub cni: &'static Cni,
    /// `clusterCIDR`: the pods' networks, if kube-proxy is told.
    pub cluster_cidr: Option<Ipv4Net>,
    /// The nodes masquerade what pods send outside: with the bridge plugin (its ipMasq) what leaves the node's own pod
    /// network, by a chain for each pod; with flannel (`--ip-masq`) and Calico (natOutgoing) what leaves the cluster, or without
    /// a `cluster_cidr` the node's own network. Docker and kubenet do it anyway.
    pub nat_outgoing: bool,
    /// Hairpin mode of the pods' bridge ports.
    pub hairpin: bool,
    /// The pods' bridge is promiscuous (the kubelet's `--hairpin-mode=promiscuous-bridge`, the plugin's `promiscMode`).
    pub promisc: bool,
    /// `CT --helper tftp` for requests to this port.
    pub tftp_rule: Option<u16>,
    /// The LAN's way to the world, if it has one (not 0.0.0.0); proxy ARP answers only for what has a way elsewhere.
    pub gateway: Ipv4Addr,
    /// Computers on the LAN that are no nodes, with the pods' networks they have a route to.
    pub outside: Vec<Outside>,
}

/// A computer on the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Its name.
    pub name: String,
    /// Its address and the LAN's prefix.
    pub addr: Ipv4Net,
    /// It knows the way to the pods.
    pub knows_pods: bool,
}

/// What stands on the LAN.
#[derive(Clone, Debug, Default)]
pub struct Boxes {
    /// The boxes.
    pub hosts: Vec<HostSpec>,
    /// Their links.
    pub links: Vec<LinkSpec>,
}

/// The objects of a YAML text.
///
/// # Errors
/// Names the place of the first thing that cannot be used.
pub fn objects(yaml: &str) -> Result<Objects, String> {
    Ok(all(read_objects(yaml).map_err(|d| d.to_string())?))
}

fn all(list: Vec<Object>) -> Objects {
    let mut objects = Objects::default();
    for object in list {
        objects.apply(object);
    }
    objects
}

/// The objects of YAML documents that have been read.
///
/// # Errors
/// Names the place of the first thing that cannot be used.
pub fn of_documents(documents: &[Yaml]) -> Read<Objects> {
    let mut list = Vec::new();
    documents.iter().try_for_each(|document| read_document(document, &mut list))?;
    Ok(all(list))
}

/// Sets `externalTrafficPolicy` of every Service.
pub fn set_external_traffic_policy(objects: &mut Objects, policy: TrafficPolicy) {
    for service in objects.services.iter_mut().map(|(_, s)| s) {
        service.external_traffic_policy = policy;
    }
}

/// The length of the prefix of the nodes' addresses.
pub(crate) const LAN_PREFIX: u8 = 24;

/// `ip addr add ADDR brd + dev DEV`: network plugins and DHCP clients name the broadcast address, where there is one.
fn addr(addr: Ipv4Net, dev: &str) -> IpCommand {
    let broadcast = (addr.prefix_len() < 31).then(|| addr.broadcast());
    IpCommand::Addr(AddrCommand::Add(AddrSpec { broadcast, ..AddrSpec::new(addr, dev) }))
}

/// `ip route add DST via VIA`
fn route(dst: Ipv4Net, via: Ipv4Addr) -> IpCommand {
    IpCommand::Route(RouteCommand::Add(RouteSpec::to(dst).via(via)))
}

/// `ip route add DST dev DEV scope link`
fn link_route(dst: Ipv4Addr, dev: &str) -> IpCommand {
    let spec = RouteSpec::to(Ipv4Net::from(dst)).dev(dev);
    IpCommand::Route(RouteCommand::Add(RouteSpec { scope: Some(Scope::Link), ..spec }))
}

/// `ip link set DEV mtu N`
fn set_mtu(dev: &str, mtu: u32) -> IpCommand {
    IpCommand::Link(LinkCommand::Set { dev: dev.to_owned(), changes: vec![LinkChange::Mtu(mtu)] })
}

/// A node, for what a network plugin does on it.
struct NodeView<'a> {
    kube: &'a Kube,
    node: &'a Node,
    /// Its pods' network.
    net: Ipv4Net,
    /// Its address on the LAN.
    own: Ipv4Addr,
    /// A pod that is started now, and those that run already; without it, all are there from the start.
    starting: Option<(&'a Pod, &'a [NamespacedName])>,
}

/// `0.0.0.0/0`
fn everywhere() -> Ipv4Net {
    Ipv4Net::default()
}

/// Rules of one table, in the words of `iptables`.
fn rules(table: &str, lines: &[String]) -> Setup {
    Setup::Iptables(format!("*{table}\n{}\nCOMMIT\n", lines.join("\n")))
}

fn v4(addrs: &[IpAddr]) -> Option<Ipv4Addr> {
    addrs.iter().find_map(|a| match a {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    })
}

fn pod_net(node: &Node) -> Result<Ipv4Net, String> {
    let net = node.pod_cidrs.iter().find_map(|n| match n {
        IpNet::V4(v4) => Some(*v4),
        IpNet::V6(_) => None,
    });
    net.ok_or_else(|| format!("node {} has no IPv4 podCIDR", node.metadata.name))
}

/// A pod's address, with the prefix of its node's network.
fn pod_addr(pod: &Pod, net: Ipv4Net) -> Result<Ipv4Net, String> {
    let own = v4(&pod.pod_ips).filter(|a| net.contains(a));
    let own = own.map(|own| Ipv4Net::new_assert(own, net.prefix_len()));
    let name = &pod.metadata.name;
    own.ok_or_else(|| format!("pod {name} has no address in {net}, the podCIDR of its node"))
}

fn gateway(net: Ipv4Net) -> Ipv4Addr {
    net.hosts().next().unwrap_or(net.addr())
}

fn node_ip(node: &Node) -> Result<Ipv4Addr, String> {
    v4(&node.internal_ips).ok_or_else(|| format!("node {} has no IPv4 address", node.metadata.name))
}

/// The device on which kube-proxy in mode ipvs puts the Services' addresses.
const IPVS_DEVICE: &str = "kube-ipvs0";

fn sysctl(key: &str, value: i64) -> (String, i64) {
    (key.to_owned(), value)
}

impl Kube {
    /// All boxes of the cluster. `Err` says what of the objects does not fit together, or that this kube-proxy has no such mode.
    pub fn boxes(&self) -> Result<Boxes, String> {
        let version = self.version;
        if let Some(mode) = self.mode.map(Into::into).filter(|mode| !version.modes().contains(mode)) {
            return Err(NotModelled { version, mode }.to_string());
        }
        let mut out = Boxes::default();
        let mut lan = Vec::new();
        for outside in &self.outside {
            out.hosts.push(self.outside(outside)?);
            lan.push((outside.name.clone(), UPLINK));
        }
        for node in self.objects.nodes.values() {
            let name = node.metadata.name.clone();
            out.hosts.push(self.node(node)?);
            let mut ports = Vec::new();
            for pod in self.pods(&name) {
                let dev = self.port_of(pod);
                out.hosts.push(self.pod(pod, node)?);
                out.links.push(veth((&name, &dev), (&pod.metadata.name, "eth0")));
                ports.push(BridgePort { dev, hairpin: self.hairpin });
            }
            if let Some(bridge) = self.cni.bridge {
                out.links.push(LinkSpec::Bridge {
                    host: name.clone(),
                    name: bridge.to_owned(),
                    mac: None,
                    ports,
                    promisc: self.promisc,
                });
            }
            lan.push((name, self.uplink.as_str()));
        }
        out.hosts.insert(0, HostSpec { name: LAN.to_owned(), ..HostSpec::default() });
        for (name, dev) in &lan {
            out.links.push(veth((name, dev), (LAN, &format!("p-{name}"))));
        }
        let ports = lan.iter().map(|(name, _)| BridgePort { dev: format!("p-{name}"), hairpin: false });
        out.links.push(LinkSpec::Bridge {
            host: LAN.to_owned(),
            name: "br0".to_owned(),
            mac: None,
            ports: ports.collect(),
            promisc: false,
        });
        Ok(out)
    }

    fn pods<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Pod> + 'a {
        self.objects.pods.values().filter(move |p| p.node_name == node && !p.host_network)
    }

    fn outside(&self, outside: &Outside) -> Result<HostSpec, String> {
        let mut spec = HostSpec { name: outside.name.clone(), sniff: true, ..HostSpec::default() };
        spec.ip.push(addr(outside.addr, UPLINK));
        for node in self.objects.nodes.values().filter(|_| outside.knows_pods) {
            spec.ip.push(route(pod_net(node)?, node_ip(node)?));
        }
        Ok(spec)
    }

    fn pod(&self, pod: &Pod, node: &Node) -> Result<HostSpec, String> {
        let name = pod.metadata.name.clone();
        let net = pod_net(node)?;
        let own = pod_addr(pod, net)?;
        let mut ip = match (self.cni.bridge, self.cni.gateway) {
            (_, Some(gateway)) => vec![
                addr(Ipv4Net::from(own.addr()), "eth0"),
                link_route(gateway, "eth0"),
                route(everywhere(), gateway),
            ],
            (_, None) => vec![addr(own, "eth0"), route(everywhere(), gateway(net))],
        };
        if let Some(mtu) = self.cni.mtu {
            ip.insert(0, set_mtu("eth0", mtu));
        }
        Ok(HostSpec {
            name,
            ip,
            sniff: true,
            machine: Some(node.metadata.name.clone()),
            ..HostSpec::default()
        })
    }

    fn node(&self, node: &Node) -> Result<HostSpec, String> {
        let (name, net, own) = (node.metadata.name.clone(), pod_net(node)?, node_ip(node)?);
        let mut spec = HostSpec {
            name,
            era: self.era,
            modules: self.modules,
            tables: TableId::ALL.to_vec(),
            iptables: Some(String::new()),
            sniff: true,
            sysctl: vec![sysctl("net.ipv4.ip_forward", 1)],
            ..HostSpec::default()
        };
        spec.ip.push(addr(Ipv4Net::new_assert(own, LAN_PREFIX), &self.uplink));
        let view = NodeView { kube: self, node, net, own, starting: None };
        if let Some(bridge) = self.cni.bridge {
            spec.ip.push(addr(Ipv4Net::new_assert(gateway(net), net.prefix_len()), bridge));
        }
        if let Some(mtu) = self.cni.mtu {
            let ports = self.pods(&node.metadata.name).map(|p| self.port_of(p));
            let devices: Vec<String> = ports.chain(self.cni.bridge.map(str::to_owned)).collect();
            spec.ip.extend(devices.iter().map(|dev| set_mtu(dev, mtu)));
        }
        (self.cni.pods)(&view, &mut spec);
        (self.cni.before)(&view, &mut spec);
        if !self.gateway.is_unspecified() {
            spec.ip.push(route(everywhere(), self.gateway));
        }
        (self.cni.routes)(&view, &mut spec)?;
        if let Some((mode, config)) = self.proxy_config(node)? {
            let kubelet = kubelet::iptables(&self.kubelet.features(), Family::V4);
            if !kubelet.is_empty() {
                spec.setup.push(Setup::Iptables(kubelet.clone()));
            }
            match mode {
                Mode::Iptables => self.iptables(&config, &kubelet, &mut spec),
                Mode::Ipvs => self.ipvs(&config, &mut spec),
                #[cfg(feature = "nft")]
                Mode::Nftables => {
                    let text = cluster::kube_proxy::first_nftables(&config, Family::V4, &self.objects);
                    spec.setup.push(Setup::Nft(text));
                }
            }
        }
        (self.cni.after)(&view, &mut spec)?;
        if let Some(port) = self.tftp_rule {
            let line = |chain| format!("-A {chain} -p udp --dport {port} -j CT --helper tftp");
            spec.setup.push(rules("raw", &["PREROUTING", "OUTPUT"].map(line)));
        }
        Ok(spec)
    }

    /// What kube-proxy on a node knows of itself, and its mode; `None` if there is none. `Err` says what the node lacks.
    pub fn proxy_config(&self, node: &Node) -> Result<Option<(Mode, Config)>, String> {
        let Some(mode) = self.mode else { return Ok(None) };
        let given = self.objects.kube_proxy.as_deref();
        let config = match given {
            Some(given) => given.config(mode.into(), Some(node)),
            None => Config::default().on_node(node),
        };
        let node_name = node.metadata.name.clone();
        let mut config = Config { version: self.version, nfacct: false, node_name, ..config };
        // What detectLocalMode NodeCIDR takes for local is the node's own.
        if given.is_none_or(|c| c.detect_local_mode != LocalMode::NodeCidr) {
            config.cluster_cidrs = self.cluster_cidr.map(IpNet::V4).into_iter().collect();
        }
        if self.cni.bridge.is_some() {
            config.interface_ips.push(IpAddr::V4(gateway(pod_net(node)?)));
        }
        Ok(Some((mode, config)))
    }

    /// What kube-proxy makes on a node when it begins, besides what it writes in each sync: sysctls, its device, its chains and the rules
    /// that lead to them. Commands, each with the one that succeeds where it is not needed.
    pub fn proxy_makes(&self, node: &Node) -> Result<Vec<(Option<String>, String)>, String> {
        let Some((mode, config)) = self.proxy_config(node)? else { return Ok(Vec::new()) };
        let (mut spec, mut out) = (HostSpec::default(), Vec::new());
        let jumps = match mode {
            Mode::Iptables => {
                self.iptables_sysctls(&config, &mut spec);
                iptables_jumps(&config, Family::V4)
            }
            Mode::Ipvs => {
                self.ipvs_sysctls(&mut spec);
                out.push((None, format!("ip link add {IPVS_DEVICE} type dummy")));
                ipvs_jumps()
            }
            #[cfg(feature = "nft")]
            Mode::Nftables => String::new(),
        };
        out.extend(spec.sysctl.into_iter().map(|(key, value)| (None, format!("sysctl -w {key}={value}"))));
        for line in jumps.lines() {
            let there =
                line.contains(" -I ").then(|| format!("iptables {}", line.replacen(" -I ", " -C ", 1)));
            out.push((there, format!("iptables {line}")));
        }
        Ok(out)
    }

    /// The node's end of a pod's veth.
    pub fn port_of(&self, pod: &Pod) -> String {
        (self.cni.port)(&pod.metadata.namespace, &pod.metadata.name)
    }

    fn iptables(&self, config: &Config, kubelet: &str, spec: &mut HostSpec) {
        let canary = iptables_canary(config);
        if !canary.is_empty() {
            spec.setup.push(Setup::Iptables(canary));
        }
        self.iptables_sysctls(config, spec);
        let text = first_iptables(config, Family::V4, &self.objects);
        spec.setup.push(Setup::Iptables(text));
        jumps(&iptables_jumps(config, Family::V4), kubelet, spec);
    }

    /// pkg/proxy/iptables/proxier.go, NewProxier.
    fn iptables_sysctls(&self, config: &Config, spec: &mut HostSpec) {
        if config.node_ports_on_loopback(Family::V4) {
            spec.sysctl.push(sysctl("net.ipv4.conf.all.route_localnet", 1));
        }
    }

    /// pkg/proxy/ipvs/proxier.go, NewProxier.
    fn ipvs_sysctls(&self, spec: &mut HostSpec) {
        spec.sysctl.push(sysctl("net.ipv4.vs.conntrack", 1));
        spec.sysctl.push(sysctl("net.ipv4.vs.expire_nodest_conn", 1));
        spec.sysctl.push(sysctl("net.ipv4.vs.expire_quiescent_template", 1));
        // Linux 5.9 and later can do without, older than 4.1 cannot do with it.
        if self.era == Era::V4_19 {
            spec.sysctl.push(sysctl("net.ipv4.vs.conn_reuse_mode", 0));
        }
    }

    fn ipvs(&self, config: &Config, spec: &mut HostSpec) {
        let text = ipvs(config, Family::V4, &self.objects);
        self.ipvs_sysctls(spec);
        let (name, kind) = (IPVS_DEVICE.to_owned(), LinkKind::Dummy);
        let link = NewLink { name, address: None, mtu: None, kind };
        spec.ip.push(IpCommand::Link(LinkCommand::Add(link)));
        let addrs = text.dummy_addresses.lines().filter_map(|a| a.parse::<Ipv4Addr>().ok());
        spec.ip.extend(addrs.map(|a| addr(Ipv4Net::from(a), IPVS_DEVICE)));
        spec.setup.push(Setup::Ipset(text.ipset));
        spec.setup.push(Setup::Ipvsadm(text.virtual_servers));
        spec.setup.push(Setup::Iptables(text.iptables));
        jumps(&ipvs_jumps(), "", spec);
    }
}

/// kube-proxy makes these once, each if it is not there: the kubelet's text may have some already.
fn jumps(text: &str, kubelet: &str, spec: &mut HostSpec) {
    for line in text.lines().filter(|l| !l.contains(" -N ")) {
        let words = line.strip_prefix("-t ").and_then(|l| l.split_once(' '));
        if let Some((table, rule)) = words.filter(|(_, rule)| !kubelet.lines().any(|l| l == *rule)) {
            spec.setup.push(rules(table, &[rule.to_owned()]));
        }
    }
}

fn veth(a: (&str, &str), b: (&str, &str)) -> LinkSpec {
    let end = |(host, dev): (&str, &str)| (host.to_owned(), dev.to_owned());
    LinkSpec::Veth { a: end(a), b: end(b), a_mac: None::<Mac>, b_mac: None }
}

impl Boxes {
    /// Starts a program on a box.
    pub fn serve(&mut self, name: &str, server: ServerSpec) {
        if let Some(host) = self.hosts.iter_mut().find(|h| h.name == name) {
            host.servers.push(server);
        }
    }
}
