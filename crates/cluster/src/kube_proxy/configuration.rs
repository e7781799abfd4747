//! KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1, staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go): what
//! kube-proxy is told about itself, as in the file of its option `--config` or in the ConfigMap that kubeadm makes.

use super::case_config::SCHEDULERS;
use super::config::HEALTHZ;
use super::{Config, DetectLocal, Family, Mode, NodePortAddresses};
use crate::diagnostic::{Diagnostic, Read};
use crate::fields::{Fields, address, each, network, parsed, text};
use crate::object::Node;
use crate::yaml::{Yaml, documents};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// `detectLocalMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocalMode {
    /// By the pods' network.
    #[default]
    ClusterCidr,
    /// By the node's own pod network.
    NodeCidr,
    /// By the bridge.
    BridgeInterface,
    /// By the first letters of an interface's name.
    InterfaceNamePrefix,
}

/// What of a KubeProxyConfiguration has a say in the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeProxyConfiguration {
    /// `mode`; None is the default, iptables.
    pub mode: Option<Mode>,
    /// `hostnameOverride`: the name of the Node.
    pub hostname_override: String,
    /// `bindAddress`, if it is one: the node's address.
    pub bind_address: Option<IpAddr>,
    /// `clusterCIDR`, one or two.
    pub cluster_cidrs: Vec<IpNet>,
    /// `detectLocalMode`.
    pub detect_local_mode: LocalMode,
    /// `detectLocal.bridgeInterface`.
    pub bridge_interface: String,
    /// `detectLocal.interfaceNamePrefix`.
    pub interface_name_prefix: String,
    /// `nodePortAddresses`: networks.
    pub node_port_addresses: Vec<IpNet>,
    /// `nodePortAddresses: [primary]`.
    pub node_ports_primary: bool,
    /// `healthzBindAddress`, if one is given.
    pub healthz_bind_address: Option<SocketAddr>,
    /// `iptables.localhostNodePorts`.
    pub localhost_node_ports: bool,
    /// `iptables.masqueradeAll`; mode ipvs uses it too.
    pub masquerade_all: bool,
    /// `iptables.masqueradeBit`; mode ipvs uses it too.
    pub masquerade_bit: u8,
    /// `nftables.masqueradeAll`.
    pub nftables_masquerade_all: bool,
    /// `nftables.masqueradeBit`.
    pub nftables_masquerade_bit: u8,
    /// `ipvs.scheduler`.
    pub ipvs_scheduler: String,
    /// `conntrack.tcpBeLiberal`.
    pub conntrack_tcp_be_liberal: bool,
    /// `serviceProxyName`: the Services that it handles.
    pub service_proxy_name: String,
    /// Fields that kube-proxy does not know, such as `conntrack.size`.
    pub unknown: Vec<String>,
}

const KEYS: [&str; 28] = [
    "apiVersion",
    "kind",
    "bindAddress",
    "bindAddressHardFail",
    "clientConnection",
    "clusterCIDR",
    "configSyncPeriod",
    "conntrack",
    "detectLocal",
    "detectLocalMode",
    "enableProfiling",
    "featureGates",
    "healthzBindAddress",
    "hostnameOverride",
    "iptables",
    "ipvs",
    "logging",
    "metricsBindAddress",
    "mode",
    "nftables",
    "nodePortAddresses",
    "oomScoreAdj",
    "portRange",
    "serviceProxyName",
    "showHiddenMetricsForVersion",
    "udpIdleTimeout",
    "winkernel",
    "windowsRunAsService",
];

const IPTABLES: [&str; 5] =
    ["localhostNodePorts", "masqueradeAll", "masqueradeBit", "minSyncPeriod", "syncPeriod"];
const NFTABLES: [&str; 5] = ["masqueradeAll", "masqueradeBit", "minSyncPeriod", "syncPeriod", "tableName"];
const IPVS: [&str; 8] = [
    "excludeCIDRs",
    "minSyncPeriod",
    "scheduler",
    "strictARP",
    "syncPeriod",
    "tcpFinTimeout",
    "tcpTimeout",
    "udpTimeout",
];
const CONNTRACK: [&str; 9] = [
    "max",
    "maxPerCore",
    "min",
    "tcpBeLiberal",
    "tcpCloseWaitTimeout",
    "tcpEstablishedTimeout",
    "udpStreamTimeout",
    "udpTimeout",
    "tcpTimeout",
];
const DETECT_LOCAL: [&str; 2] = ["bridgeInterface", "interfaceNamePrefix"];

/// pkg/proxy/apis/config/v1alpha1/defaults.go
const MASQUERADE_BIT: u8 = 14;

fn bit(fields: Option<Fields<'_>>) -> Read<u8> {
    let given = fields.map_or(Ok(None), |f| f.number("masqueradeBit", 0, 31))?;
    Ok(given.and_then(|n| u8::try_from(n).ok()).unwrap_or(MASQUERADE_BIT))
}

impl KubeProxyConfiguration {
    /// Reads one.
    pub(crate) fn read(document: &Yaml) -> Read<KubeProxyConfiguration> {
        let all = Fields::new(document, &KEYS)?;
        let iptables = all.fields("iptables", &IPTABLES)?;
        let nftables = all.fields("nftables", &NFTABLES)?;
        let flag = |f: Option<Fields<'_>>, key: &str| f.map_or(Ok(None), |f| f.boolean(key));
        let modes = [
            ("", None),
            ("iptables", Some(Mode::Iptables)),
            ("ipvs", Some(Mode::Ipvs)),
            ("nftables", Some(Mode::Nftables)),
        ];
        let local_modes = [
            ("", LocalMode::ClusterCidr),
            ("ClusterCIDR", LocalMode::ClusterCidr),
            ("NodeCIDR", LocalMode::NodeCidr),
            ("BridgeInterface", LocalMode::BridgeInterface),
            ("InterfaceNamePrefix", LocalMode::InterfaceNamePrefix),
        ];
        let mut read = KubeProxyConfiguration {
            mode: all.word("mode", &modes)?.flatten(),
            hostname_override: all.text("hostnameOverride")?.unwrap_or_default().to_owned(),
            cluster_cidrs: cluster_cidrs(all)?,
            detect_local_mode: all.word("detectLocalMode", &local_modes)?.unwrap_or_default(),
            localhost_node_ports: flag(iptables, "localhostNodePorts")?.unwrap_or(true),
            masquerade_all: flag(iptables, "masqueradeAll")?.unwrap_or(false),
            masquerade_bit: bit(iptables)?,
            nftables_masquerade_all: flag(nftables, "masqueradeAll")?.unwrap_or(false),
            nftables_masquerade_bit: bit(nftables)?,
            ipvs_scheduler: "rr".to_owned(),
            conntrack_tcp_be_liberal: flag(all.fields("conntrack", &CONNTRACK)?, "tcpBeLiberal")?
                .unwrap_or(false),
            service_proxy_name: all.text("serviceProxyName")?.unwrap_or_default().to_owned(),
            ..KubeProxyConfiguration::default()
        };
        if let Some(v) = all.get("bindAddress").filter(|v| !v.token().is_empty()) {
            read.bind_address = Some(address(v)?).filter(|ip| !ip.is_unspecified());
        }
        if let Some(v) = all.get("healthzBindAddress").filter(|v| !v.token().is_empty()) {
            read.healthz_bind_address =
                Some(parsed(v, text(v)?, "an address and a port, such as 0.0.0.0:10256")?);
        }
        if let Some(v) = nftables.and_then(|f| f.get("tableName"))
            && !matches!(text(v)?, "" | "kube-proxy")
        {
            return Err(v.blame("another name of the table is not modelled; expected kube-proxy"));
        }
        if let Some(ipvs) = all.fields("ipvs", &IPVS)? {
            let words = SCHEDULERS.map(|s| (s, s));
            if ipvs.text("scheduler")?.is_some_and(|s| !s.is_empty()) {
                read.ipvs_scheduler = ipvs.word("scheduler", &words)?.unwrap_or("rr").to_owned();
            }
        }
        read.detect_local(all)?;
        read.unknown.extend(all.others(&KEYS).map(str::to_owned));
        for (key, known) in [
            ("iptables", &IPTABLES[..]),
            ("nftables", &NFTABLES),
            ("ipvs", &IPVS),
            ("conntrack", &CONNTRACK),
            ("detectLocal", &DETECT_LOCAL),
        ] {
            let within = all.fields(key, known)?;
            read.unknown.extend(within.iter().flat_map(|f| f.others(known)).map(|f| format!("{key}.{f}")));
        }
        match all.list("nodePortAddresses")? {
            [one] if text(one)? == "primary" => read.node_ports_primary = true,
            list => read.node_port_addresses = each(list, network)?,
        }
        Ok(read)
    }

    /// What kube-proxy writes into its log about fields that it does not know (cmd/kube-proxy/app/options.go); it goes on without them.
    pub fn warning(&self) -> Option<String> {
        let each: Vec<String> = self.unknown.iter().map(|f| format!("unknown field \\\"{f}\\\"")).collect();
        (!each.is_empty()).then(|| {
            format!(
                "\"Using lenient decoding as strict decoding failed\" err=\"strict decoding error: {}\"",
                each.join(", ")
            )
        })
    }

    /// The one in a ConfigMap that kubeadm makes: its file `config.conf`.
    pub(crate) fn in_config_map(document: &Yaml) -> Read<Option<KubeProxyConfiguration>> {
        const FILE: &str = "config.conf";
        let Some(data) = Fields::any(document)?.get("data") else { return Ok(None) };
        let Some(file) = Fields::any(data)?.get(FILE) else { return Ok(None) };
        let wrong = |e: Box<Diagnostic>| file.blame_within(FILE, *e);
        for inner in documents(text(file)?).map_err(wrong)? {
            if Fields::any(&inner).is_ok_and(|f| f.text("kind") == Ok(Some("KubeProxyConfiguration"))) {
                return KubeProxyConfiguration::read(&inner).map(Some).map_err(wrong);
            }
        }
        Ok(None)
    }

    fn detect_local(&mut self, all: Fields<'_>) -> Read<()> {
        let given = all.fields("detectLocal", &DETECT_LOCAL)?;
        for (mode, key, name) in [
            (LocalMode::BridgeInterface, DETECT_LOCAL[0], &mut self.bridge_interface),
            (LocalMode::InterfaceNamePrefix, DETECT_LOCAL[1], &mut self.interface_name_prefix),
        ] {
            let value = given.map_or(Ok(None), |g| g.text(key))?.unwrap_or_default();
            value.clone_into(name);
            if self.detect_local_mode == mode && value.is_empty() {
                let at = all.need("detectLocalMode")?;
                return Err(at.blame(format!("expected detectLocal.{key} with it")));
            }
        }
        Ok(())
    }

    /// The configuration of a node's kube-proxy in a mode. The version is left as it is by default.
    pub fn config(&self, mode: Mode, node: Option<&Node>) -> Config {
        let mut config = Config::default();
        if let Some(node) = node {
            config = config.on_node(node);
        }
        if !self.hostname_override.is_empty() {
            config.node_name.clone_from(&self.hostname_override);
        }
        if let Some(ip) = self.bind_address {
            config.node_ips.retain(|other| Family::V4.has(*other) != Family::V4.has(ip));
            config.node_ips.insert(0, ip);
            if !config.interface_ips.contains(&ip) {
                config.interface_ips.push(ip);
            }
        }
        config.cluster_cidrs.clone_from(&self.cluster_cidrs);
        config.detect_local = match self.detect_local_mode {
            LocalMode::ClusterCidr => DetectLocal::ClusterCidr,
            LocalMode::NodeCidr => {
                config.cluster_cidrs = node.map(|n| n.pod_cidrs.clone()).unwrap_or_default();
                DetectLocal::ClusterCidr
            }
            LocalMode::BridgeInterface => DetectLocal::BridgeInterface(self.bridge_interface.clone()),
            LocalMode::InterfaceNamePrefix => {
                DetectLocal::InterfaceNamePrefix(self.interface_name_prefix.clone())
            }
        };
        config.node_port_addresses = match (self.node_ports_primary, self.node_port_addresses.as_slice()) {
            (true, _) => NodePortAddresses::Primary,
            (false, []) => NodePortAddresses::Default,
            (false, networks) => NodePortAddresses::Networks(networks.to_vec()),
        };
        config.healthz_bind_address = self.healthz_bind_address.unwrap_or(HEALTHZ);
        config.localhost_node_ports = self.localhost_node_ports;
        (config.masquerade_all, config.masquerade_bit) = match mode {
            Mode::Nftables => (self.nftables_masquerade_all, self.nftables_masquerade_bit),
            _ => (self.masquerade_all, self.masquerade_bit),
        };
        config.conntrack_tcp_be_liberal = self.conntrack_tcp_be_liberal;
        config.ipvs_scheduler.clone_from(&self.ipvs_scheduler);
        config
    }
}

/// One network, or two with a comma between.
fn cluster_cidrs(all: Fields<'_>) -> Read<Vec<IpNet>> {
    let Some(v) = all.get("clusterCIDR") else { return Ok(Vec::new()) };
    let wrong =
        |_| v.blame("expected a network, such as 10.244.0.0/16, or two of both families with a comma");
    let parts = text(v)?.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_err(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::KubeProxyConfiguration;
    use crate::kube_proxy::{DetectLocal, Mode, NodePortAddresses};
    use crate::read_objects;

    fn read(text: &str) -> Result<KubeProxyConfiguration, String> {
        let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
        let objects = read_objects(&[head, text].concat()).map_err(|e| e.to_string())?;
        match objects.into_iter().next() {
            Some(crate::Object::KubeProxyConfiguration(c)) => Ok(*c),
            other => Err(format!("{other:?}")),
        }
    }

    /// As kube-proxy 1.29 writes it (kubernetes-on-aws#9017); what only looks like a field is refused.
    #[test]
    fn unknown_fields_are_told_as_kube_proxy_does() {
        let warning = |text: &str| read(text).unwrap().warning();
        assert_eq!(warning("mode: ipvs\nconntrack: {min: 5}\n"), None);
        let told = warning("resourceContainer: /kube-proxy\nconntrack: {size: 5}\niptables: {}\n").unwrap();
        let begin = "\"Using lenient decoding as strict decoding failed\" err=\"strict decoding error: ";
        let fields = "unknown field \\\"resourceContainer\\\", unknown field \\\"conntrack.size\\\"\"";
        assert_eq!(told, [begin, fields].concat());
        assert!(read("iptables: {masqeradeAll: true}\n").unwrap_err().contains("is masqueradeAll meant?"));
    }

    #[test]
    fn fields_are_read() {
        let c = read(
            "mode: ipvs\nclusterCIDR: 10.1.0.0/16,fd00::/56\nbindAddress: 0.0.0.0\n\
             iptables: {masqueradeBit: 15, masqueradeAll: true, localhostNodePorts: null, syncPeriod: 30s}\n\
             nftables: {masqueradeBit: 3}\nipvs: {scheduler: wlc, strictARP: true}\n\
             conntrack: {tcpBeLiberal: true, maxPerCore: null}\nnodePortAddresses: [primary]\n\
             detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\noomScoreAdj: null\n",
        )
        .unwrap();
        assert_eq!((c.mode, c.bind_address), (Some(Mode::Ipvs), None));
        let config = c.config(Mode::Iptables, None);
        assert_eq!((config.masquerade_bit, config.masquerade_all), (15, true));
        assert_eq!(config.cluster_cidrs.len(), 2);
        assert_eq!(config.detect_local, DetectLocal::BridgeInterface("cni0".to_owned()));
        assert_eq!(config.node_port_addresses, NodePortAddresses::Primary);
        assert!(config.conntrack_tcp_be_liberal && config.localhost_node_ports);
        assert_eq!(config.ipvs_scheduler, "wlc");
        let config = c.config(Mode::Nftables, None);
        assert_eq!((config.masquerade_bit, config.masquerade_all), (3, false));
    }

    #[test]
    fn what_is_left_out_has_the_real_defaults() {
        let c = read("").unwrap();
        assert_eq!(c.mode, None);
        let config = c.config(Mode::Iptables, None);
        assert_eq!((config.masquerade_bit, config.masquerade_all), (14, false));
        assert!(config.cluster_cidrs.is_empty() && config.localhost_node_ports);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            ("mode: userspace\n", "line 3, column 7: \"userspace\": expected iptables or ipvs or nftables"),
            ("iptables: {masqueradeBit: 32}\n", "line 3, column 27: \"32\": expected a number from 0 to 31"),
            ("iptables: {masquradeAll: true}\n", "\"masquradeAll\": no such field; is masqueradeAll meant?"),
            ("clusterCIDR: 10.1.0.0\n", "\"10.1.0.0\": expected a network"),
            ("detectLocalMode: BridgeInterface\n", "expected detectLocal.bridgeInterface with it"),
            ("ipvs: {scheduler: best}\n", "\"best\": expected rr or wrr"),
            ("nodePortAddresses: [x]\n", "\"x\": expected a network"),
            ("nftables: {tableName: mine}\n", "\"mine\": another name of the table is not modelled"),
            ("conntrack: {tcpBeLiberal: yes}\n", "\"yes\": expected true or false"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.contains(message), "{e}");
        }
    }

    #[test]
    fn kubeadms_config_map_holds_one() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy, namespace: kube-system}\ndata:\n  \
                    config.conf: |-\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n    kind: KubeProxyConfiguration\n    \
                    mode: nftables\n  kubeconfig.conf: |-\n    apiVersion: v1\n    kind: Config\n";
        let objects = read_objects(text).unwrap();
        let [crate::Object::KubeProxyConfiguration(c), crate::Object::ConfigMap(_)] = &objects[..] else {
            panic!("{objects:?}")
        };
        assert_eq!(c.mode, Some(Mode::Nftables));
        let e = read_objects(&text.replace("nftables", "x")).unwrap_err().to_string();
        assert!(e.contains("line 8, column 11: \"x\": expected iptables"), "{e}");
        let quoted = "kind: ConfigMap\nmetadata: {name: a}\ndata: {config.conf: \"kind: KubeProxyConfiguration\\nmode: x\"}\n";
        let e = read_objects(quoted).unwrap_err().to_string();
        assert!(e.contains("line 3, column 21: \"x\": line 2 of config.conf, column 7: expected"), "{e}");
    }
}
