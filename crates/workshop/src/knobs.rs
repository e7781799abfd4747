//! Switches that every lab has: what its world and its objects leave open.
//!
//! A knob is like a lab's own switch: values, and the commands that each stands for. They are typed at setup ([`At::Setup`]), so a knob's
//! position is part of the session like any command.

use crate::kube::{Cni, PROFILES};
use crate::lab::{Begun, LabError, WorldSpec};
use crate::session::{At, Session, Typed};
use cluster::kube_proxy::{Mode, Version};
use cluster::object::{Pod, Service, ServiceType, SessionAffinity, TrafficPolicy};
use kernel::netfilter::xtables::{TableId, Verdict};
use kernel::{Era, Netns};
use sim::view::sysctl;
use std::net::IpAddr;

/// Of more objects of a kind there are no knobs: a page of a thousand switches helps nobody.
const MAX_OBJECTS: usize = 24;

/// What a knob is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Fields of Services.
    Services,
    /// kube-proxy.
    KubeProxy,
    /// Modules, settings and policies of the nodes.
    Nodes,
    /// The cluster: kernels, network plugin, pods.
    Cluster,
}

impl Group {
    /// All, in the order in which they are shown.
    pub const ALL: [Group; 4] = [Group::Services, Group::KubeProxy, Group::Nodes, Group::Cluster];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Group::Services => "Services",
            Group::KubeProxy => "kube-proxy",
            Group::Nodes => "Nodes",
            Group::Cluster => "Cluster",
        }
    }
}

/// A switch that every lab has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// What it is about.
    pub group: Group,
    /// Its name, which is that of the field, setting or module; with the object's name before it.
    pub name: String,
    /// Its value now; empty if the nodes differ.
    pub now: String,
    /// Its values.
    pub positions: Vec<Turn>,
}

/// A value of a knob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The value.
    pub value: String,
    /// The commands.
    pub commands: Vec<Typed>,
    /// What our answers are held against there: a recording, the source, or reasoning. Empty if nothing about the value is special.
    pub held: String,
}

impl Knob {
    /// The commands of a value in one line.
    pub fn command(&self, value: &str) -> String {
        let turn = self.positions.iter().find(|t| t.value == value);
        let lines: Vec<&str> = turn.into_iter().flat_map(|t| &t.commands).map(|c| c.line.as_str()).collect();
        lines.join("; ")
    }

    /// What the value now is held against.
    pub fn held(&self) -> &str {
        self.positions.iter().find(|t| t.value == self.now).map_or("", |t| t.held.as_str())
    }
}

impl Session {
    /// Turns a knob: the commands of its other values go, and those of this one are typed.
    pub fn turn(&mut self, knob: &Knob, value: &str) {
        // On which nodes depends on which differ.
        let same =
            |a: &Typed, b: &Typed| a.at == b.at && a.line == b.line && a.on.is_some() == b.on.is_some();
        let of_knob = |t: &Typed| knob.positions.iter().any(|p| p.commands.iter().any(|c| same(c, t)));
        self.typed.retain(|t| !of_knob(t));
        let back = self.knobs().ok().and_then(|all| all.into_iter().find(|k| k.name == knob.name));
        if back.is_some_and(|k| k.now == value) {
            return;
        }
        if let Some(turn) = knob.positions.iter().find(|p| p.value == value) {
            self.typed.extend(turn.commands.iter().cloned());
        }
    }

    /// The knobs of the lab as the session stands.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub fn knobs(&self) -> Result<Vec<Knob>, LabError> {
        self.lab.begin(&self.changes, &self.typed).map(|begun| of(&begun))
    }
}

/// The knobs of a cluster.
pub(crate) fn of(begun: &Begun) -> Vec<Knob> {
    let mut out = Vec::new();
    services(begun, &mut out);
    kube_proxy(begun, &mut out);
    nodes(begun, &mut out);
    cluster(begun, &mut out);
    out
}

fn typed(on: Option<&str>, line: String) -> Typed {
    Typed { at: At::Setup, on: on.map(str::to_owned), line, stdin: String::new() }
}

/// A knob whose values are one command each, wherever kubectl is.
fn knob(
    group: Group,
    name: impl Into<String>,
    now: impl Into<String>,
    values: impl IntoIterator<Item = (String, String, String)>,
) -> Knob {
    let positions =
        values.into_iter().map(|(value, line, held)| Turn { value, commands: vec![typed(None, line)], held });
    Knob { group, name: name.into(), now: now.into(), positions: positions.collect() }
}

// ---------------------------------------------------------------------- Services

fn services(begun: &Begun, out: &mut Vec<Knob>) {
    let system = |s: &&Service| s.metadata.namespace != "kube-system" && s.metadata.name != "kubernetes";
    for service in begun.objects.services.values().filter(system).take(MAX_OBJECTS) {
        let (namespace, name) = service.metadata.key();
        let field = |field: &str, now: &str, values: &[&str]| {
            let line = |v: &&str| {
                let patch = format!("{{\"spec\":{{\"{field}\":\"{v}\"}}}}");
                let line = format!("kubectl -n {namespace} patch service {name} -p '{patch}'");
                ((*v).to_owned(), line, String::new())
            };
            knob(Group::Services, format!("{name} {field}"), now, values.iter().map(line))
        };
        let policy = |p: TrafficPolicy| if p == TrafficPolicy::Local { "Local" } else { "Cluster" };
        const POLICIES: [&str; 2] = ["Cluster", "Local"];
        if matches!(service.service_type, ServiceType::NodePort | ServiceType::LoadBalancer)
            || !service.external_ips.is_empty()
        {
            out.push(field("externalTrafficPolicy", policy(service.external_traffic_policy), &POLICIES));
        }
        out.push(field("internalTrafficPolicy", policy(service.internal_traffic_policy), &POLICIES));
        let now = if service.session_affinity == SessionAffinity::None { "None" } else { "ClientIP" };
        out.push(field("sessionAffinity", now, &["None", "ClientIP"]));
    }
}

// ---------------------------------------------------------------------- kube-proxy

/// What a kube-proxy's text is held against.
fn held_text(version: Version, mode: Mode) -> String {
    let held = version.held_against(mode);
    format!("{}: {}", held.name(), held.detail())
}

fn kube_proxy(begun: &Begun, out: &mut Vec<Knob>) {
    let Some(mode) = begun.spec.mode else { return };
    let mode: Mode = mode.into();
    let version = begun.spec.version;
    let names = version
        .modes()
        .iter()
        .map(|m| (m.to_string(), format!("kube-proxy --proxy-mode={m}"), held_text(version, *m)));
    out.push(knob(Group::KubeProxy, "proxy-mode", mode.to_string(), names));
    let versions = Version::ALL.into_iter().filter(|v| v.modes().contains(&mode)).map(|v| {
        let image = format!("kube-proxy=registry.k8s.io/kube-proxy:v{v}.0");
        let line = format!("kubectl -n kube-system set image daemonset/kube-proxy {image}");
        (v.name().to_owned(), line, held_text(v, mode))
    });
    out.push(knob(Group::KubeProxy, "kube-proxy version", version.name(), versions));
    let all = begun.objects.kube_proxy.as_ref().is_some_and(|c| match mode {
        Mode::Nftables => c.nftables_masquerade_all,
        _ => c.masquerade_all,
    });
    let values =
        [false, true].map(|v| (v.to_string(), format!("kube-proxy --masquerade-all={v}"), String::new()));
    out.push(knob(Group::KubeProxy, "masqueradeAll", all.to_string(), values));
}

// ---------------------------------------------------------------------- nodes

/// A knob whose values are a command each, on the nodes that have another one. `None` where no node has what it sets.
fn on_nodes(
    begun: &Begun,
    name: &str,
    values: &[(&str, String)],
    of: &dyn Fn(&Netns) -> Option<String>,
) -> Option<Knob> {
    let world = &begun.world;
    let host = |name: &String| world.host(world.host_by_name(name)?);
    let all = begun.objects.nodes.keys();
    let have: Vec<(&str, String)> = all.filter_map(|n| Some((n.as_str(), of(host(n)?)?))).collect();
    let first = &have.first()?.1;
    let same = have.len() == begun.objects.nodes.len() && have.iter().all(|(_, value)| value == first);
    let positions = values.iter().map(|(value, line)| {
        let others: Vec<&str> = have.iter().filter(|(_, v)| v != value).map(|(node, _)| *node).collect();
        let on = if same { "nodes".to_owned() } else { others.join(", ") };
        Turn {
            value: (*value).to_owned(),
            commands: vec![typed(Some(&on), line.clone())],
            held: String::new(),
        }
    });
    let now = if same { first.clone() } else { String::new() };
    Some(Knob { group: Group::Nodes, name: name.to_owned(), now, positions: positions.collect() })
}

fn nodes(begun: &Begun, out: &mut Vec<Knob>) {
    type Loaded = fn(&Netns) -> bool;
    let modules: [(&str, Loaded); 3] = [
        ("br_netfilter", |ns| ns.modules.br_netfilter),
        ("nf_conntrack_tftp", |ns| ns.modules.nf_conntrack_tftp),
        ("nf_nat_tftp", |ns| ns.modules.nf_nat_tftp),
    ];
    for (module, loaded) in modules {
        let values = [("off", format!("modprobe -r {module}")), ("on", format!("modprobe {module}"))];
        let of = |ns: &Netns| Some(if loaded(ns) { "on" } else { "off" }.to_owned());
        out.extend(on_nodes(begun, module, &values, &of));
    }
    let settings: [(&str, &[&str]); 5] = [
        ("net.ipv4.ip_forward", &["0", "1"]),
        ("net.ipv4.conf.all.rp_filter", &["0", "1", "2"]),
        ("net.ipv4.conf.all.route_localnet", &["0", "1"]),
        ("net.netfilter.nf_conntrack_tcp_be_liberal", &["0", "1"]),
        ("net.bridge.bridge-nf-call-iptables", &["0", "1"]),
    ];
    for (key, values) in settings {
        let of = |ns: &Netns| sysctl(ns, key).map(|v| v.to_string());
        let values: Vec<(&str, String)> =
            values.iter().map(|v| (*v, format!("sysctl -w {key}={v}"))).collect();
        out.extend(on_nodes(begun, key, &values, &of));
    }
    let values = ["ACCEPT", "DROP"].map(|v| (v, format!("iptables -P FORWARD {v}")));
    out.extend(on_nodes(begun, "policy of FORWARD", &values, &|ns| {
        let table = ns.table(TableId::Filter);
        let chain = table.and_then(|t| t.rules.chains.iter().find(|c| &*c.name == "FORWARD"));
        let drops = matches!(chain.and_then(|c| c.base), Some((_, Verdict::Drop)));
        Some(if drops { "DROP" } else { "ACCEPT" }.to_owned())
    }));
}

// ---------------------------------------------------------------------- the cluster

fn cluster(begun: &Begun, out: &mut Vec<Knob>) {
    let kernels = Era::ALL.into_iter().map(|era| {
        (
            era.name().to_owned(),
            format!("grubby --set-default=/boot/vmlinuz-{}", era.name()),
            era.held_against().to_owned(),
        )
    });
    out.push(knob(Group::Cluster, "kernel", begun.spec.kernel.name(), kernels));
    // A plugin whose tunnels this build does not have, or that cannot stand here, is left out.
    let stands = |cni: &&&'static Cni| {
        let spec = WorldSpec { cni, ..begun.spec.clone() };
        cni.name == begun.spec.cni.name || spec.kube(&begun.documents).and_then(|k| k.boxes()).is_ok()
    };
    let profiles = PROFILES.iter().filter(stands);
    let profiles =
        profiles.map(|cni| (cni.name.to_owned(), format!("lab cni {}", cni.name), cni.summary.to_owned()));
    out.push(knob(Group::Cluster, "network plugin", begun.spec.cni.name, profiles));
    let hairpin = match (begun.spec.hairpin, begun.spec.promisc || begun.spec.cni.promisc) {
        (true, _) => "hairpin-veth",
        (_, true) => "promiscuous-bridge",
        _ => "none",
    };
    let modes = ["none", "hairpin-veth", "promiscuous-bridge"];
    let modes = modes.map(|m| (m.to_owned(), format!("kubelet --hairpin-mode={m}"), String::new()));
    out.push(knob(Group::Cluster, "hairpin mode", hairpin, modes));
    for ((namespace, name), deployment) in begun.objects.deployments.iter().take(MAX_OBJECTS) {
        let mut counts: Vec<u32> = [0, 1, 2, 3, 5, 10].into_iter().chain([deployment.replicas]).collect();
        sorted::sort(&mut counts);
        counts.dedup();
        let values = counts.into_iter().map(|n| {
            (
                n.to_string(),
                format!("kubectl -n {namespace} scale deployment {name} --replicas={n}"),
                String::new(),
            )
        });
        out.push(knob(Group::Cluster, format!("{name} replicas"), deployment.replicas.to_string(), values));
    }
    if begun.objects.nodes.len() < 2 {
        return;
    }
    let given = |p: &&Pod| begun.documents.iter().any(|d| names(d, "Pod", &p.metadata.name));
    for pod in begun.objects.pods.values().filter(given).take(MAX_OBJECTS) {
        let positions = begun.objects.nodes.keys().map(|node| Turn {
            value: node.clone(),
            commands: vec![moved(begun, pod, node)],
            held: String::new(),
        });
        let (group, name, now) =
            (Group::Cluster, format!("{} runs on", pod.metadata.name), pod.node_name.clone());
        out.push(Knob { group, name, now, positions: positions.collect() });
    }
}

fn names(document: &cluster::yaml::Yaml, kind: &str, name: &str) -> bool {
    document.get("kind").is_some_and(|k| k.token() == kind)
        && document.get("metadata").and_then(|m| m.get("name")).is_some_and(|n| n.token() == name)
}

/// The command that puts a pod on a node, with the address that it has there.
fn moved(begun: &Begun, pod: &Pod, node: &str) -> Typed {
    let (namespace, name) = pod.metadata.key();
    let own = pod.pod_ips.first().copied();
    let taken: Vec<IpAddr> = begun.objects.pods.values().flat_map(|p| &p.pod_ips).copied().collect();
    let nets = begun.objects.nodes.get(node).map(|n| n.pod_cidrs.clone()).unwrap_or_default();
    let fits = own.is_some_and(|ip| nets.iter().any(|n| n.contains(&ip)));
    let free = nets.first().and_then(|n| n.hosts().skip(1).find(|ip| !taken.contains(ip)));
    let address = if fits { own } else { free }.filter(|_| !pod.host_network);
    let address = address.map(|ip| format!(" {ip}")).unwrap_or_default();
    typed(None, format!("lab pod {namespace}/{name} {node}{address}"))
}
