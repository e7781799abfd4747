//! A case: a configuration and objects that change step by step, as one YAML text.
//!
//! The first document may be `kind: KubeProxyCase`, which holds the configuration; what it leaves out has the defaults of
//! [`Config`]. Objects follow. `kind: Step` begins the next sync; `kind: Delete` removes a `service` or an `endpointSlice`.

use super::{Config, DetectLocal, Family, IpvsText, KubeProxy, Mode, NodePortAddresses, SyncText, Version};
use crate::diagnostic::Read;
use crate::fields::{Fields, each, network, text, word};
use crate::object::{NamespacedName, Object, Objects, kind, read_document};
use crate::yaml::{Yaml, documents};
use ipnet::IpNet;

/// A change of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Create or replace.
    Apply(Box<Object>),
    /// Remove a Service.
    DeleteService(NamespacedName),
    /// Remove an EndpointSlice.
    DeleteEndpointSlice(NamespacedName),
    /// Remove Endpoints.
    DeleteEndpoints(NamespacedName),
}

impl Change {
    /// Makes the change.
    pub fn apply(&self, objects: &mut Objects) {
        match self {
            Change::Apply(object) => objects.apply(object.as_ref().clone()),
            Change::DeleteService(key) => drop(objects.services.remove(key)),
            Change::DeleteEndpointSlice(key) => drop(objects.endpoint_slices.remove(key)),
            Change::DeleteEndpoints(key) => drop(objects.endpoints.remove(key)),
        }
    }
}

/// A case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The configuration.
    pub config: Config,
    /// The networks of cluster IPs, as ServiceCIDR objects say; only mode nftables asks for them.
    pub service_cidrs: Vec<IpNet>,
    /// The changes before each sync; at least one sync.
    pub steps: Vec<Vec<Change>>,
}

/// A file of a case's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFile {
    /// Its path: `iptables.txt`; `step2/iptables.txt` for the second sync; `v6/iptables.txt` for IPv6.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl Case {
    /// Reads a case, or objects alone.
    ///
    /// # Errors
    /// Names line, column and token of the first thing that cannot be used.
    pub fn read(text: &str) -> Read<Case> {
        let mut case = Case { config: Config::default(), service_cidrs: Vec::new(), steps: vec![Vec::new()] };
        let mut known = Objects::default();
        for (i, document) in documents(text)?.iter().enumerate() {
            let mut changes = Vec::new();
            match kind(document)? {
                "KubeProxyCase" if i == 0 => (case.config, case.service_cidrs) = config(document)?,
                "KubeProxyCase" => {
                    return Err(document.place.blame("KubeProxyCase", "expected as first document"));
                }
                "Step" => {
                    Fields::new(document, &["kind"])?;
                    case.steps.push(Vec::new());
                }
                "Delete" => changes.push(delete(document, &known)?),
                _ => {
                    let mut objects = Vec::new();
                    read_document(document, &mut objects)?;
                    changes.extend(objects.into_iter().map(|o| Change::Apply(Box::new(o))));
                }
            }
            for change in &changes {
                change.apply(&mut known);
            }
            if let Some(step) = case.steps.last_mut() {
                step.append(&mut changes);
            }
        }
        Ok(case)
    }

    /// Every file of the record: what each sync writes in a mode, or in all that the version has here.
    ///
    /// The objects are what kube-proxy's proxier is given. Labels by which its informer leaves Services out
    /// (`service.kubernetes.io/service-proxy-name`) are not looked at.
    ///
    /// # Errors
    /// The mode is not modelled for the version.
    pub fn record(&self, mode: Option<Mode>) -> Result<Vec<RecordFile>, NotModelled> {
        let modes = match &mode {
            Some(mode) => core::slice::from_ref(mode),
            None => self.config.version.modes(),
        };
        let mut proxies = Vec::new();
        for mode in modes {
            proxies.push(KubeProxy::new(self.config.clone(), self.service_cidrs.clone(), *mode)?);
        }
        let mut files = Vec::new();
        for (i, changes) in self.steps.iter().enumerate() {
            let step = if i == 0 { String::new() } else { format!("step{}/", i + 1) };
            let mut written: Vec<(Family, &str, String)> = Vec::new();
            for proxy in &mut proxies {
                changes.iter().for_each(|change| proxy.apply(change.clone()));
                written.extend(files_of_sync(proxy));
            }
            for (family, part) in [(Family::V4, ""), (Family::V6, "v6/")] {
                for (_, name, text) in written.iter().filter(|(f, ..)| *f == family) {
                    files.push(RecordFile { path: [&step, part, name].concat(), text: text.clone() });
                }
            }
        }
        Ok(files)
    }
}

/// A sync's files, with their families.
fn files_of_sync(proxy: &mut KubeProxy) -> Vec<(Family, &'static str, String)> {
    let mut files = Vec::new();
    for synced in proxy.sync() {
        match synced.text {
            SyncText::Iptables(text) => files.push((synced.family, "iptables.txt", text)),
            SyncText::Nftables(text) => files.push((synced.family, "nftables.transaction.txt", text)),
            SyncText::Ipvs(_) => {}
        }
    }
    for (family, text) in proxy.nft_tables() {
        files.push((family, "nftables.txt", text));
    }
    for (family, text) in proxy.ipvs_texts() {
        let IpvsText { iptables, ipset, virtual_servers, dummy_addresses } = text;
        files.push((family, "ipvs.iptables.txt", iptables));
        files.push((family, "ipvs.ipset.txt", ipset));
        files.push((family, "ipvs.virtualservers.txt", virtual_servers));
        // The recordings end the last line even when there is none.
        let none = dummy_addresses.is_empty();
        files.push((
            family,
            "ipvs.dummy-addresses.txt",
            if none { "\n".to_owned() } else { dummy_addresses },
        ));
    }
    files
}

/// A mode of a version is not modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotModelled {
    /// The version.
    pub version: Version,
    /// The mode.
    pub mode: Mode,
}

impl core::fmt::Display for NotModelled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let NotModelled { version, mode } = self;
        match mode {
            Mode::Nftables if !version.has_nftables() => {
                write!(f, "kube-proxy {version} has no mode nftables, which came with 1.29")?;
            }
            _ => write!(f, "mode {mode} of kube-proxy {version} is not modelled")?,
        }
        write!(f, "; expected {}", Version::default())
    }
}

impl std::error::Error for NotModelled {}

fn delete(document: &Yaml, known: &Objects) -> Read<Change> {
    let fields = Fields::new(document, &["kind", "service", "endpointSlice"])?;
    let key = |v: &Yaml| -> Read<NamespacedName> {
        let (namespace, name) = text(v)?.split_once('/').ok_or_else(|| v.blame("expected NAMESPACE/NAME"))?;
        Ok((namespace.to_owned(), name.to_owned()))
    };
    let absent = |v: &Yaml| v.blame("there is no such object to delete");
    match (fields.get("service"), fields.get("endpointSlice")) {
        (Some(v), None) => {
            let key = key(v)?;
            if known.services.contains_key(&key) { Ok(Change::DeleteService(key)) } else { Err(absent(v)) }
        }
        (None, Some(v)) => {
            let key = key(v)?;
            let found = known.endpoint_slices.contains_key(&key);
            if found { Ok(Change::DeleteEndpointSlice(key)) } else { Err(absent(v)) }
        }
        _ => Err(document.place.blame("", "expected either service or endpointSlice")),
    }
}

const KEYS: [&str; 22] = [
    "kind",
    "name",
    "description",
    "version",
    "families",
    "clusterCIDRs",
    "serviceCIDRs",
    "detectLocalMode",
    "bridgeInterface",
    "interfaceNamePrefix",
    "nodePortAddresses",
    "localhostNodePorts",
    "masqueradeAll",
    "masqueradeBit",
    "randomFully",
    "nfacct",
    "conntrackTCPBeLiberal",
    "ipvsScheduler",
    "topologyLabels",
    "packets",
    "noFlows",
    "nodeName",
];

/// The schedulers of net/netfilter/ipvs, which kube-proxy hands on.
const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh", "twos"];

/// The configuration, and the networks of cluster IPs.
fn config(document: &Yaml) -> Read<(Config, Vec<IpNet>)> {
    let fields = Fields::new(document, &KEYS)?;
    let mut config = Config::default();
    if let Some(v) = fields.get("version") {
        // An unquoted 1.30 is a number to YAML, but not to people.
        config.version = v.token().parse().map_err(|e: String| v.blame(e))?;
    }
    if let Some(name) = fields.text("nodeName")? {
        name.clone_into(&mut config.node_name);
    }
    if let Some(v) = fields.get("families") {
        let words = [("IPv4", Family::V4), ("IPv6", Family::V6)];
        config.families = each(fields.list("families")?, |v| word(v, &words))?;
        if config.families.is_empty() {
            return Err(v.blame("expected IPv4, IPv6 or both"));
        }
    }
    if fields.get("clusterCIDRs").is_some() {
        config.cluster_cidrs = each(fields.list("clusterCIDRs")?, network)?;
    }
    let service_cidrs = each(fields.list("serviceCIDRs")?, network)?;
    config.detect_local = detect_local(fields)?;
    config.node_port_addresses = node_port_addresses(fields)?;
    for (key, value) in [
        ("localhostNodePorts", &mut config.localhost_node_ports),
        ("masqueradeAll", &mut config.masquerade_all),
        ("randomFully", &mut config.random_fully),
        ("nfacct", &mut config.nfacct),
        ("conntrackTCPBeLiberal", &mut config.conntrack_tcp_be_liberal),
    ] {
        *value = fields.boolean(key)?.unwrap_or(*value);
    }
    if let Some(bit) = fields.number("masqueradeBit", 0, 31)? {
        config.masquerade_bit = u8::try_from(bit).unwrap_or(config.masquerade_bit);
    }
    let schedulers = SCHEDULERS.map(|s| (s, s));
    if let Some(scheduler) = fields.word("ipvsScheduler", &schedulers)? {
        scheduler.clone_into(&mut config.ipvs_scheduler);
    }
    config.topology_labels = fields.texts("topologyLabels")?;
    Ok((config, service_cidrs))
}

fn detect_local(fields: Fields<'_>) -> Read<DetectLocal> {
    #[derive(Clone, Copy)]
    enum By {
        Cidr,
        Nothing,
        Bridge,
        Prefix,
    }
    let words = [
        ("ClusterCIDR", By::Cidr),
        ("BridgeInterface", By::Bridge),
        ("InterfaceNamePrefix", By::Prefix),
        ("none", By::Nothing),
        ("clusterCIDR", By::Cidr),
        ("bridge", By::Bridge),
        ("prefix", By::Prefix),
    ];
    let device = |key: &str| {
        let v = fields.need(key)?;
        let name = text(v)?;
        // net/core/dev.c, dev_valid_name; quotes would end the word in a rule.
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '"' | '\'' | '+' | '\\');
        match name.is_empty() || name.len() > 15 || name.contains(odd) {
            true => Err(v.blame("expected the name of an interface")),
            false => Ok(name.to_owned()),
        }
    };
    Ok(match fields.word("detectLocalMode", &words)?.unwrap_or(By::Cidr) {
        By::Cidr => DetectLocal::ClusterCidr,
        By::Nothing => DetectLocal::None,
        By::Bridge => DetectLocal::BridgeInterface(device("bridgeInterface")?),
        By::Prefix => DetectLocal::InterfaceNamePrefix(device("interfaceNamePrefix")?),
    })
}

fn node_port_addresses(fields: Fields<'_>) -> Read<NodePortAddresses> {
    let list = fields.list("nodePortAddresses")?;
    match list {
        [] => Ok(NodePortAddresses::Default),
        [one] if text(one)? == "primary" => Ok(NodePortAddresses::Primary),
        _ => Ok(NodePortAddresses::Networks(each(list, network)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn objects_alone_are_a_case() {
        let case = Case::read("kind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.0.0.1}\n").unwrap();
        assert_eq!((case.steps.len(), case.steps[0].len()), (1, 1));
        assert_eq!(Case::read("").unwrap().steps.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            (
                "kind: KubeProxyCase\nmasqueradeBit: 32\n",
                "line 2, column 16: \"32\": expected a number from 0 to 31",
            ),
            (
                "kind: KubeProxyCase\nmode: x\n",
                "line 2, column 1: \"mode\": no such field; expected one of kind, name",
            ),
            (
                "kind: KubeProxyCase\nversion: 1.9\n",
                "line 2, column 10: \"1.9\": this version of kube-proxy is not",
            ),
            ("kind: KubeProxyCase\ndetectLocalMode: bridge\n", "the field bridgeInterface is missing"),
            (
                "kind: Step\n---\nkind: KubeProxyCase\n",
                "line 3, column 1: \"KubeProxyCase\": expected as first",
            ),
            ("kind: Delete\nservice: a/b\n", "line 2, column 10: \"a/b\": there is no such object to delete"),
            (
                "kind: Ingress\n",
                "line 1, column 7: \"Ingress\": this kind is not modelled; expected Node, Pod",
            ),
            ("- a\n", "line 1, column 1: \"a list\": expected a mapping"),
        ] {
            let e = Case::read(text).unwrap_err().to_string();
            assert!(e.contains(message), "{e}");
        }
    }
}
