//! The /etc/resolv.conf of a pod: what the kubelet decides (pkg/kubelet/network/dns/dns.go), and how the container runtime writes it.

use crate::diagnostic::Read;
use crate::fields::{Fields, address, each, text};
use crate::object::Pod;
use crate::yaml::Yaml;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The kubelet's limits (pkg/apis/core/validation, `MaxDNSNameservers`, `MaxDNSSearchPaths`, `MaxDNSSearchListChars`).
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// What the kubelet is told about DNS: `clusterDNS` and `clusterDomain` of its KubeletConfiguration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDns {
    /// `clusterDNS`; empty: pods have their node's resolv.conf.
    pub servers: Vec<IpAddr>,
    /// `clusterDomain`; empty: no names of the cluster are searched.
    pub domain: String,
}

impl Default for ClusterDns {
    fn default() -> ClusterDns {
        ClusterDns { servers: Vec::new(), domain: "cluster.local".to_owned() }
    }
}

impl ClusterDns {
    /// Reads a KubeletConfiguration (kubelet.config.k8s.io/v1beta1).
    pub(crate) fn read(document: &Yaml) -> Read<ClusterDns> {
        let f = Fields::strict(document, &["apiVersion", "kind", "clusterDNS", "clusterDomain"])?;
        Ok(ClusterDns {
            servers: each(f.list("clusterDNS")?, address)?,
            domain: f.text("clusterDomain")?.unwrap_or_default().trim_matches('.').to_owned(),
        })
    }
}

/// `dnsPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnsPolicy {
    /// The cluster's DNS; in the node's network the node's own.
    #[default]
    ClusterFirst,
    /// The cluster's DNS, in the node's network too.
    ClusterFirstWithHostNet,
    /// The node's own.
    Default,
    /// What `dnsConfig` says alone.
    None,
}

/// A pod's `dnsPolicy` and `dnsConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodDns {
    /// `dnsPolicy`
    pub policy: DnsPolicy,
    /// `dnsConfig.nameservers`
    pub nameservers: Vec<IpAddr>,
    /// `dnsConfig.searches`
    pub searches: Vec<String>,
    /// `dnsConfig.options`: name, and value if it has one.
    pub options: Vec<(String, Option<String>)>,
}

impl PodDns {
    /// Of a pod's `spec`.
    pub(crate) fn read(spec: &Fields<'_>) -> Read<PodDns> {
        let policy = spec.word(
            "dnsPolicy",
            &[
                ("ClusterFirst", DnsPolicy::ClusterFirst),
                ("ClusterFirstWithHostNet", DnsPolicy::ClusterFirstWithHostNet),
                ("Default", DnsPolicy::Default),
                ("None", DnsPolicy::None),
            ],
        )?;
        let mut dns = PodDns { policy: policy.unwrap_or_default(), ..PodDns::default() };
        if let Some(config) = spec.fields("dnsConfig", &["nameservers", "searches", "options"])? {
            dns.nameservers = each(config.list("nameservers")?, address)?;
            dns.searches = each(config.list("searches")?, |v| Ok(text(v)?.to_owned()))?;
            dns.options = each(config.list("options")?, |v| {
                let f = Fields::new(v, &["name", "value"])?;
                let value = f.get("value").map(|v| v.token().to_owned()).filter(|v| !v.is_empty());
                Ok((text(f.need("name")?)?.to_owned(), value))
            })?;
        }
        if dns.policy == DnsPolicy::None
            && dns.nameservers.is_empty()
            && let Some(at) = spec.get("dnsPolicy")
        {
            return Err(at.blame(
                "expected dnsConfig with nameservers, as dnsPolicy None takes them from there alone",
            ));
        }
        Ok(dns)
    }
}

/// What a resolv.conf says.
#[derive(Clone, Debug, Default)]
struct Config {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// `parseResolvConf`: the last `search` and `options` hold.
fn parse(text: &str) -> Config {
    let mut out = Config::default();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let key = words.next();
        let words: Vec<String> = words.map(str::to_owned).collect();
        match key {
            Some("nameserver") => out.servers.extend(words.into_iter().take(1)),
            // The root alone is no search path; a dot at the end is of no use.
            Some("search") => {
                let plain =
                    |w: &String| if w == "." { w.clone() } else { w.trim_end_matches('.').to_owned() };
                out.searches = words.iter().map(plain).collect();
            }
            Some("options") => out.options = words,
            _ => {}
        }
    }
    out
}

fn without_duplicates(list: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for item in list {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}

/// The text of a pod's /etc/resolv.conf. `node` is that of its node.
pub fn resolv_conf(pod: &Pod, cluster: &ClusterDns, node: &str) -> String {
    let in_cluster = match pod.dns.policy {
        DnsPolicy::ClusterFirst => !pod.host_network && !cluster.servers.is_empty(),
        DnsPolicy::ClusterFirstWithHostNet => !cluster.servers.is_empty(),
        DnsPolicy::Default | DnsPolicy::None => false,
    };
    let mut config = match pod.dns.policy {
        DnsPolicy::None => Config::default(),
        _ => parse(node),
    };
    if in_cluster {
        config.servers = cluster.servers.iter().map(ToString::to_string).collect();
        if !cluster.domain.is_empty() {
            let (domain, namespace) = (&cluster.domain, &pod.metadata.namespace);
            let mut searches =
                vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
            searches.append(&mut config.searches);
            config.searches = searches;
        }
        config.options = vec!["ndots:5".to_owned()];
    }
    config.servers.extend(pod.dns.nameservers.iter().map(ToString::to_string));
    config.searches.extend(pod.dns.searches.iter().cloned());
    for (name, value) in &pod.dns.options {
        let named = |o: &String| o.split(':').next() == Some(name);
        let option = value.as_ref().map_or(name.clone(), |v| format!("{name}:{v}"));
        match config.options.iter_mut().find(|o| named(o)) {
            Some(old) => *old = option,
            None => config.options.push(option),
        }
    }
    let mut servers = without_duplicates(config.servers);
    servers.truncate(MAX_NAMESERVERS);
    let mut searches = without_duplicates(config.searches);
    searches.truncate(MAX_SEARCHES);
    while searches.join(" ").len() > MAX_SEARCH_CHARS {
        searches.pop();
    }
    // How containerd writes it (internal/cri/server, `parseDNSOptions`); with nothing to write, the node's file is copied.
    let mut out = String::new();
    if !searches.is_empty() {
        out += &format!("search {}\n", searches.join(" "));
    }
    for server in servers {
        out += &format!("nameserver {server}\n");
    }
    if !config.options.is_empty() {
        out += &format!("options {}\n", config.options.join(" "));
    }
    if out.is_empty() { node.to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::{ClusterDns, resolv_conf};
    use crate::object::{Object, Pod, read_objects};

    const NODE: &str = "# made by hand\nnameserver 169.254.169.254\nsearch c.internal google.internal.\n";

    fn pod(spec: &str) -> Result<Pod, String> {
        let text = format!(
            "kind: Pod\napiVersion: v1\nmetadata: {{name: web, namespace: shop}}\nspec: {{{spec}}}\n"
        );
        match read_objects(&text).map_err(|e| e.to_string())?.pop() {
            Some(Object::Pod(pod)) => Ok(pod),
            other => panic!("{other:?}"),
        }
    }

    fn written(spec: &str) -> String {
        let cluster = ClusterDns { servers: vec!["10.96.0.10".parse().unwrap()], ..ClusterDns::default() };
        resolv_conf(&pod(spec).unwrap(), &cluster, NODE)
    }

    const CLUSTER: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local c.internal google.internal\n\
                           nameserver 10.96.0.10\noptions ndots:5\n";
    const HOST: &str = "search c.internal google.internal\nnameserver 169.254.169.254\n";

    #[test]
    fn each_policy_has_its_file() {
        for (spec, file) in [
            ("", CLUSTER),
            ("dnsPolicy: ClusterFirst", CLUSTER),
            ("dnsPolicy: ClusterFirst, hostNetwork: true", HOST),
            ("dnsPolicy: ClusterFirstWithHostNet, hostNetwork: true", CLUSTER),
            ("dnsPolicy: Default", HOST),
            (
                "dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1], searches: [a.b]}",
                "search a.b\nnameserver 1.1.1.1\n",
            ),
        ] {
            assert_eq!(written(spec), file, "{spec}");
        }
    }

    #[test]
    fn what_dns_config_adds_stands_behind_and_options_replace_those_of_their_name() {
        let spec = "dnsConfig: {nameservers: [10.96.0.10, 1.1.1.1], searches: [c.internal, x.y], options: [{name: ndots, \
                    value: '2'}, {name: single-request-reopen}]}";
        assert_eq!(
            written(spec),
            "search shop.svc.cluster.local svc.cluster.local cluster.local c.internal google.internal x.y\n\
             nameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:2 single-request-reopen\n"
        );
    }

    #[test]
    fn no_more_than_three_servers_are_written() {
        let spec = "dnsConfig: {nameservers: [1.1.1.1, 2.2.2.2, 3.3.3.3]}";
        assert_eq!(written(spec).matches("nameserver").count(), 3);
    }

    #[test]
    fn without_the_clusters_dns_a_pod_has_its_nodes() {
        assert_eq!(resolv_conf(&pod("").unwrap(), &ClusterDns::default(), NODE), HOST);
    }

    #[test]
    fn policy_none_needs_servers() {
        assert!(pod("dnsPolicy: None").unwrap_err().contains("expected dnsConfig with nameservers"));
    }
}
