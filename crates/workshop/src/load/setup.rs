//! The boxes of the load lab, and what is measured on them.

use super::Setting;
use crate::kube::{self, Cni, Kube, LAN, Mode, Outside, UPLINK};
use cluster::Objects;
use cluster::kube_proxy::Version;
use cluster::object::TrafficPolicy;
use ipnet::Ipv4Net;
use kernel::netfilter::conntrack::Limits;
use kernel::{Era, Modules};
use sim::load::{Cost, LoadSpec};
use sim::{HostSpec, LinkSpec, Scenario};
use std::net::Ipv4Addr;
use std::time::Duration;
use userland::ip::{AddrCommand, AddrSpec, IpCommand};

/// The box of the clients.
pub(super) const CLIENT: &str = "client";
/// The node, or the virtual machine without Kubernetes.
pub(super) const NODE: &str = "learn-k8s-2";
const NODE_ADDR: Ipv4Addr = Ipv4Addr::new(10, 10, 100, 208);
const PORT: u16 = 69;
/// The pods' ends: the article's kernel is that of Red Hat Enterprise Linux 7.
const ERA: Era = Era::V3_10;

/// Bytes of the file: ten whole blocks, and an empty one that ends it.
const FILE: usize = 5 * 1024;
/// Clients at full size. The article does not tell; with so many, the machine is busy and no queue is long.
const CLIENTS: u32 = 2000;
/// Addresses of the clients at full size, each with the ports that Linux gives to clients. No two requests of the same
/// minute have the same.
const SOURCES: u32 = 10;
const PORTS: (u16, u16) = (32768, 60999);
/// A client sends its last message again after this time, and gives up after that: tftp's patience is longer, a test tool's shorter.
const AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// kubeadm asks for two processors. `nf_conntrack_max` 131072 says that there are no more than four: kube-proxy sets
/// 32768 for each, and at least that.
const CPUS: usize = 2;

/// What things cost at full size. docs/LOAD-MODEL.md has the reasons; two of the figures are calibrated.
pub const COST: Cost = Cost {
    // Measured: a packet through a router on Linux 6.18, in docs/BENCHMARKS.md and by the same method with fewer rules.
    path: 678,
    conntrack: 304,
    tables: 268,
    new_conntrack: 526,
    new_tables: 406,
    // An access to memory that no cache holds.
    link: 100,
    // Calibrated: see docs/LOAD-MODEL.md.
    slowness: 350,
    turn: 7_400,
    scale: 1,
};

/// The kubelet's configuration.
const KUBELET: &str = "/var/lib/kubelet/config.yaml";

/// The load test of a setting.
pub(super) fn spec(setting: &Setting) -> Result<LoadSpec, String> {
    let scale = setting.scale.max(1);
    let sources = SOURCES.div_ceil(scale);
    let sources: Vec<Ipv4Addr> =
        (0..sources).map(|i| Ipv4Addr::new(10, 10, 100, (i % 100) as u8 + 1)).collect();
    let ports = u32::from(PORTS.1 - PORTS.0) + 1;
    let each = (ports * SOURCES / scale / sources.len() as u32).clamp(1, ports);
    let (scenario, servers) = match setting.kubernetes {
        true => cluster(setting, &sources)?,
        false => machine(&sources),
    };
    let mut limits =
        Limits { max: setting.max / scale, expect_max: setting.expect_max / scale, ..Limits::default() };
    limits.set_buckets(setting.buckets / scale);
    Ok(LoadSpec {
        scenario,
        client: CLIENT.to_owned(),
        sources,
        clients: (CLIENTS / scale).max(1),
        ports: (PORTS.0, PORTS.0 + (each - 1) as u16),
        target: (NODE_ADDR, PORT),
        file: FILE,
        again: AGAIN,
        patience: PATIENCE,
        node: NODE.to_owned(),
        servers,
        limits,
        cpus: CPUS,
        cost: Cost { scale: u64::from(scale), ..COST },
        seconds: setting.seconds,
        seed: 1,
    })
}

type Servers = Vec<(String, (Ipv4Addr, u16))>;

fn lan(addr: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(addr, 24)
}

fn add_addr(addr: Ipv4Addr) -> IpCommand {
    IpCommand::Addr(AddrCommand::Add(AddrSpec::new(lan(addr), UPLINK)))
}

/// The clients' cable ends at the machine: a switch between them would change nothing.
fn cable() -> LinkSpec {
    let end = |host: &str| (host.to_owned(), UPLINK.to_owned());
    LinkSpec::Veth { a: end(CLIENT), b: end(NODE), a_mac: None, b_mac: None }
}

/// The machine without Kubernetes: no rules, so nobody has loaded conntrack.
fn machine(sources: &[Ipv4Addr]) -> (Scenario, Servers) {
    let client = HostSpec {
        name: CLIENT.to_owned(),
        ip: sources.iter().map(|a| add_addr(*a)).collect(),
        ..HostSpec::default()
    };
    // A kernel that runs conntrack only for rules stands for one where its module is not loaded.
    let era = Era::V4_19;
    let node = HostSpec { name: NODE.to_owned(), ip: vec![add_addr(NODE_ADDR)], era, ..HostSpec::default() };
    let scenario = Scenario { hosts: vec![client, node], links: vec![cable()], ..Scenario::default() };
    (scenario, vec![(NODE.to_owned(), (NODE_ADDR, PORT))])
}

fn objects(setting: &Setting) -> Result<Objects, String> {
    let mut objects = kube::objects(include_str!("cluster.yaml"))?;
    let keep = setting.replicas as usize;
    let gone: Vec<_> = objects.pods.iter().skip(keep).map(|(name, _)| name.clone()).collect();
    for name in gone {
        objects.pods.remove(&name);
    }
    for (_, slice) in objects.endpoint_slices.iter_mut() {
        slice.endpoints.truncate(keep);
    }
    let policy = if setting.local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
    kube::set_external_traffic_policy(&mut objects, policy);
    Ok(objects)
}

/// What an operator has written on the node: `/etc/sysctl.conf`, and the kubelet's list of sysctls that pods may set. Limits are those
/// of the machine's size.
fn files(setting: &Setting) -> Vec<(String, String)> {
    let default = Setting::default();
    let scale = setting.scale.max(1);
    let lines = [
        ("expect_max", setting.expect_max / scale, setting.expect_max != default.expect_max),
        ("max", setting.max / scale, setting.max != default.max),
        ("udp_timeout", setting.node_udp.first, setting.node_udp.first != default.node_udp.first),
        ("udp_timeout_stream", setting.node_udp.stream, setting.node_udp.stream != default.node_udp.stream),
    ];
    let changed = lines.iter().filter(|(.., changed)| *changed);
    let conf = changed.map(|(name, n, _)| format!("net.netfilter.nf_conntrack_{name}={n}\n")).collect();
    let mut files = vec![("/etc/sysctl.conf".to_owned(), conf)];
    if setting.allowed {
        files.push((KUBELET.to_owned(), Setting::kubelet_config()));
    }
    files
}

fn cluster(setting: &Setting, sources: &[Ipv4Addr]) -> Result<(Scenario, Servers), String> {
    let modules = Modules { nf_conntrack_tftp: true, nf_nat_tftp: true, ..Modules::default() };
    let kube = Kube {
        objects: objects(setting)?,
        mode: Some(Mode::Iptables),
        uplink: kube::UPLINK.to_owned(),
        version: Version::V1_23,
        kubelet: Version::V1_23,
        era: ERA,
        modules,
        cni: &Cni::CALICO_VETHS,
        cluster_cidr: Some("192.168.0.0/16".parse().map_err(|e: ipnet::AddrParseError| e.to_string())?),
        // With it Calico would do what the helpers do.
        nat_outgoing: false,
        hairpin: false,
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(10, 10, 100, 254),
        outside: vec![Outside {
            name: CLIENT.to_owned(),
            addr: lan(sources.first().copied().unwrap_or(Ipv4Addr::new(10, 10, 100, 1))),
            knows_pods: false,
        }],
    };
    let mut boxes = kube.boxes()?;
    boxes.hosts.retain(|h| h.name != LAN);
    boxes.links.retain(|l| match l {
        LinkSpec::Veth { b, .. } => b.0 != LAN,
        LinkSpec::Bridge { host, .. } => host != LAN,
    });
    boxes.links.push(cable());
    let mut servers = Vec::new();
    for host in &mut boxes.hosts {
        if host.name == CLIENT {
            host.ip.extend(sources.iter().skip(1).map(|a| add_addr(*a)));
            continue;
        }
        let pod = host.name != NODE;
        if !pod {
            host.files = files(setting);
        }
        let udp = if pod { setting.pod_udp } else { setting.node_udp };
        for (key, value) in ["udp_timeout", "udp_timeout_stream"].into_iter().zip([udp.first, udp.stream]) {
            host.sysctl.push((format!("net.netfilter.nf_conntrack_{key}"), i64::from(value)));
        }
        if pod {
            servers.push((host.name.clone(), (Ipv4Addr::UNSPECIFIED, PORT)));
        }
    }
    Ok((Scenario { hosts: boxes.hosts, links: boxes.links, ..Scenario::default() }, servers))
}
