//! A case: a configuration and objects that change step by step, as one YAML text.
//!
//! The first document may be `kind: KubeProxyCase`, which holds the configuration; what it leaves out has the defaults of
//! [`Config`]. Objects follow. `kind: Step` begins the next sync; `kind: Delete` removes a `service` or an `endpointSlice`.

use super::case_config::config;
use super::informers::Informers;
use super::{Config, Family, IpvsText, KubeProxy, KubeProxyConfiguration, Mode, SyncText, Version};
use crate::controllers;
use crate::diagnostic::Read;
use crate::fields::{Fields, text};
use crate::object::{ClusterIp, NamespacedName, Node, Object, Objects, ServiceType, kind, read_document};
use crate::yaml::{Yaml, documents};
use ipnet::IpNet;
use litemap::LiteMap;
use std::net::IpAddr;

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
    /// The configuration, but for what a Node or a KubeProxyConfiguration says.
    pub config: Config,
    /// The networks of cluster IPs, as ServiceCIDR objects say; only mode nftables asks for them.
    pub service_cidrs: Vec<IpNet>,
    /// The changes before each sync; at least one sync.
    pub steps: Vec<Vec<Change>>,
    /// The text has a KubeProxyCase. Then the objects are those that the proxier itself is given; else they are what the API
    /// server has, so that the control plane and kube-proxy's informers do their work on them first.
    pub recorded: bool,
    /// The KubeProxyConfiguration.
    pub configuration: Option<KubeProxyConfiguration>,
    /// The node on which kube-proxy runs.
    pub node: Option<Node>,
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
    /// Reads a case, or objects alone. Of several Nodes kube-proxy runs on the one that KubeProxyConfiguration's
    /// `hostnameOverride` names, or else on the first.
    ///
    /// # Errors
    /// Names line, column and token of the first thing that cannot be used.
    pub fn read(text: &str) -> Read<Case> {
        let mut case = Case {
            config: Config::default(),
            service_cidrs: Vec::new(),
            steps: vec![Vec::new()],
            recorded: false,
            configuration: None,
            node: None,
        };
        let mut known = Objects::default();
        for (i, document) in documents(text)?.iter().enumerate() {
            let mut changes = Vec::new();
            match kind(document)? {
                "KubeProxyCase" if i == 0 => {
                    (case.config, case.service_cidrs) = config(document)?;
                    case.recorded = true;
                }
                "KubeProxyCase" => {
                    return Err(document.place.blame("KubeProxyCase", "expected as first document"));
                }
                "Step" => {
                    Fields::strict(document, &["kind"])?;
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
        case.take_configuration(&known);
        Ok(case)
    }

    fn take_configuration(&mut self, known: &Objects) {
        self.configuration = known.kube_proxy.as_deref().cloned();
        let named = self.configuration.as_ref().and_then(|c| known.nodes.get(&c.hostname_override));
        self.node = named.or_else(|| known.nodes.first().map(|(_, node)| node)).cloned();
        if self.recorded {
            return;
        }
        self.service_cidrs = known.service_cidrs.values().flat_map(|c| &c.cidrs).copied().collect();
        // The rules of a family that the cluster does not have would be those of no Service.
        let mut ips: Vec<IpAddr> = self.node.iter().flat_map(|n| n.internal_ips.iter().copied()).collect();
        let cidrs = self.configuration.iter().flat_map(|c| &c.cluster_cidrs);
        ips.extend(cidrs.map(ipnet::IpNet::addr));
        for service in known.services.values() {
            if let ClusterIp::Addresses(all) = &service.cluster_ip {
                ips.extend(all);
            }
        }
        let has = |f: &Family| ips.iter().any(|ip| f.has(*ip));
        let families: Vec<Family> = [Family::V4, Family::V6].into_iter().filter(has).collect();
        if !families.is_empty() {
            self.config.families = families;
        }
    }

    /// Lets kube-proxy run on the Node of this name.
    ///
    /// # Errors
    /// There is no such Node; names those that there are.
    pub fn run_on(&mut self, name: &str) -> Result<(), String> {
        let nodes = self.nodes();
        if let Some(node) = nodes.get(name) {
            self.node = Some(node.clone());
            if let Some(configuration) = &mut self.configuration {
                configuration.hostname_override.clear();
            }
            return Ok(());
        }
        if nodes.is_empty() {
            // Only the name is known of it: the addresses are the usual ones.
            name.clone_into(&mut self.config.node_name);
            return Ok(());
        }
        let names: Vec<&str> = nodes.keys().map(String::as_str).collect();
        Err(format!("there is no Node {name:?}; expected one of {}", names.join(", ")))
    }

    /// The Nodes of all steps.
    pub fn nodes(&self) -> LiteMap<String, Node> {
        let mut objects = Objects::default();
        for change in self.steps.iter().flatten() {
            if matches!(change, Change::Apply(object) if matches!(**object, Object::Node(_))) {
                change.apply(&mut objects);
            }
        }
        objects.nodes
    }

    /// The configuration in a mode.
    pub fn config_for(&self, mode: Mode) -> Config {
        let Config { version, families, random_fully, nfacct, .. } = &self.config;
        match (&self.configuration, &self.node) {
            (Some(given), node) => Config {
                version: *version,
                families: families.clone(),
                random_fully: *random_fully,
                nfacct: *nfacct,
                ..given.config(mode, node.as_ref())
            },
            (None, Some(node)) if !self.recorded => self.config.clone().on_node(node),
            _ => self.config.clone(),
        }
    }

    /// The modes to write: the one that is asked for, else the KubeProxyConfiguration's, else all that the version has here.
    pub fn modes(&self, asked: Option<Mode>) -> Vec<Mode> {
        match (asked, &self.configuration) {
            (Some(mode), _) => vec![mode],
            (None, Some(given)) => vec![given.mode.unwrap_or_default()],
            (None, None) => self.config.version.modes().to_vec(),
        }
    }

    /// A kube-proxy in a mode that has not been told anything.
    ///
    /// # Errors
    /// The mode is not modelled for the version.
    pub fn proxy(&self, mode: Mode) -> Result<KubeProxy, NotModelled> {
        KubeProxy::new(self.config_for(mode), self.service_cidrs.clone(), mode)
    }

    /// What kube-proxy's informers tell it before each sync.
    pub fn told(&self) -> Vec<Vec<Change>> {
        if self.recorded {
            return self.steps.clone();
        }
        let name = self.configuration.as_ref().map_or("", |c| c.service_proxy_name.as_str());
        let mut informers = Informers::default();
        self.steps.iter().map(|changes| informers.tell(changes, name)).collect()
    }

    /// What is not modelled, is not done, or has no effect, for people to know.
    pub fn notes(&self) -> Vec<String> {
        let mut objects = Objects::default();
        self.steps.iter().flatten().for_each(|change| change.apply(&mut objects));
        let mut notes: Vec<String> = objects.not_modelled.iter().map(ToString::to_string).collect();
        if self.recorded {
            return notes;
        }
        for ((namespace, name), service) in objects.services.iter() {
            if service.cluster_ip == ClusterIp::Unset && service.service_type != ServiceType::ExternalName {
                notes.push(format!(
                    "Service {namespace}/{name} has no clusterIP: the API server would choose one; until then kube-proxy \
                     passes it over"
                ));
            }
        }
        let warning = self.configuration.as_ref().and_then(KubeProxyConfiguration::warning);
        notes.extend(warning.map(|line| format!("kube-proxy logs {line}, and goes on without it")));
        notes.extend(controllers::run(&objects).notes);
        if let (Some(node), true) = (&self.node, objects.nodes.len() > 1) {
            notes.push(format!("these are the rules of Node {}", node.metadata.name));
        }
        notes
    }

    /// Every file of the record: what each sync writes in the [modes](Self::modes).
    ///
    /// # Errors
    /// The mode is not modelled for the version.
    pub fn record(&self, mode: Option<Mode>) -> Result<Vec<RecordFile>, NotModelled> {
        let mut proxies = Vec::new();
        for mode in self.modes(mode) {
            proxies.push(self.proxy(mode)?);
        }
        let mut files = Vec::new();
        for (i, changes) in self.told().iter().enumerate() {
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
        if *mode == Mode::Nftables && !version.has_nftables() {
            let newest = Version::default();
            return write!(
                f,
                "kube-proxy {version} has no mode nftables, which came with 1.29; expected {newest}"
            );
        }
        let why = version.held_against(*mode).detail();
        write!(
            f,
            "mode {mode} of kube-proxy {version} is not modelled: {why}; expected {}",
            Version::default()
        )
    }
}

impl std::error::Error for NotModelled {}

fn delete(document: &Yaml, known: &Objects) -> Read<Change> {
    let fields = Fields::strict(document, &["kind", "service", "endpointSlice"])?;
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
            ("kind: Servise\n", "line 1, column 7: \"Servise\": there is no such kind; is Service meant?"),
            ("- a\n", "line 1, column 1: \"a list\": expected a mapping"),
        ] {
            let e = Case::read(text).unwrap_err().to_string();
            assert!(e.contains(message), "{e}");
        }
    }
}
