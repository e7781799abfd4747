//! The document `kind: KubeProxyCase`: the configuration that a record was made with.

use super::{Config, DetectLocal, Family, NodePortAddresses};
use crate::diagnostic::Read;
use crate::fields::{Fields, each, network, text, word};
use crate::yaml::Yaml;
use ipnet::IpNet;

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
pub(super) const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh", "twos"];

/// The configuration, and the networks of cluster IPs.
pub(super) fn config(document: &Yaml) -> Read<(Config, Vec<IpNet>)> {
    let fields = Fields::strict(document, &KEYS)?;
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
    // A case may write the word alone, without a list around it.
    if fields.get("nodePortAddresses").is_some_and(|at| text(at).is_ok_and(|word| word == "primary")) {
        return Ok(NodePortAddresses::Primary);
    }
    let list = fields.list("nodePortAddresses")?;
    match list {
        [] => Ok(NodePortAddresses::Default),
        [one] if text(one)? == "primary" => Ok(NodePortAddresses::Primary),
        _ => Ok(NodePortAddresses::Networks(each(list, network)?)),
    }
}

#[cfg(test)]
mod tests {
    use crate::kube_proxy::{Case, NodePortAddresses};

    #[test]
    fn primary_may_stand_alone_or_in_a_list() {
        for written in ["primary", "[primary]"] {
            let text = format!("kind: KubeProxyCase\nname: x\nnodePortAddresses: {written}\n");
            assert_eq!(
                Case::read(&text).unwrap().config.node_port_addresses,
                NodePortAddresses::Primary,
                "{written}"
            );
        }
    }
}
