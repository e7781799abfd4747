//! `nflab cluster`: a cluster's YAML as boxes, and what the usual tools print on each of them.

use cluster::kube_proxy::Version;
use cluster::{Object, Objects, controllers};
use ipnet::Ipv4Net;
use kernel::NetnsId;
use sim::{Scenario, World};
use std::net::{IpAddr, Ipv4Addr};
use workshop::kube::{Cni, Kube, LAN, Mode};

/// What the command line says beside the objects.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// How pods are connected.
    pub cni: &'static Cni,
    /// kube-proxy's mode.
    pub mode: Mode,
    /// kube-proxy's and the kubelet's version.
    pub version: Version,
    /// The pods' networks; if not said, the network that holds all nodes' podCIDRs.
    pub cluster_cidr: Option<Ipv4Net>,
    /// What pods send outside is masqueraded.
    pub nat_outgoing: bool,
    /// Hairpin mode of the pods' bridge ports.
    pub hairpin: bool,
    /// The pods' bridge is promiscuous.
    pub promisc: bool,
}

/// The smallest network that holds all pods' networks.
fn common(nets: &[Ipv4Net]) -> Option<Ipv4Net> {
    let first = nets.first()?.trunc();
    let wider = (0..=first.prefix_len()).rev().filter_map(|len| Ipv4Net::new(first.addr(), len).ok());
    wider.map(|net| net.trunc()).find(|net| nets.iter().all(|n| net.contains(n)))
}

/// Lets the control plane do its work on what a YAML text gives: pods of Deployments, addresses, EndpointSlices. What is worth
/// knowing about it.
pub fn complete(objects: &mut Objects) -> Vec<String> {
    let made = controllers::run(objects);
    made.pods.into_iter().for_each(|pod| objects.apply(Object::Pod(pod)));
    made.slices.into_iter().for_each(|slice| objects.apply(Object::EndpointSlice(slice)));
    made.notes
}

/// The boxes of a cluster, from the objects of a YAML text.
///
/// # Errors
/// Says what of the objects is missing or does not fit together.
pub fn kube(objects: Objects, options: &ClusterOptions) -> Result<Kube, String> {
    if objects.nodes.is_empty() {
        return Err(
            "there is no Node: expected each with spec.podCIDR and an InternalIP in its status".to_owned()
        );
    }
    let v4 = |net: &ipnet::IpNet| match net {
        ipnet::IpNet::V4(net) => Some(*net),
        ipnet::IpNet::V6(_) => None,
    };
    let nets: Vec<Ipv4Net> = objects.nodes.values().flat_map(|n| n.pod_cidrs.iter().filter_map(v4)).collect();
    let told = objects.kube_proxy.as_ref().and_then(|c| c.cluster_cidrs.iter().find_map(v4));
    let ips: Vec<Ipv4Addr> = objects
        .nodes
        .values()
        .flat_map(|n| n.internal_ips.iter())
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        })
        .collect();
    // The LAN's way to the world: its first address that is no node's.
    let lan = ips.first().map(|ip| Ipv4Net::new_assert(*ip, 24));
    let gateway = lan.and_then(|lan| lan.hosts().find(|ip| !ips.contains(ip)));
    Ok(Kube {
        mode: Some(options.mode),
        uplink: workshop::kube::UPLINK.to_owned(),
        version: options.version,
        kubelet: options.version,
        era: kernel::Era::default(),
        modules: kernel::Modules { br_netfilter: true, ..kernel::Modules::default() },
        cni: options.cni,
        cluster_cidr: options.cluster_cidr.or(told).or_else(|| common(&nets)),
        nat_outgoing: options.nat_outgoing,
        hairpin: options.hairpin,
        promisc: options.promisc,
        tftp_rule: None,
        gateway: gateway.unwrap_or(Ipv4Addr::UNSPECIFIED),
        outside: Vec::new(),
        objects,
    })
}

/// The world of these boxes.
///
/// # Errors
/// Names the box and the text that is refused.
pub fn world(kube: &Kube) -> Result<World, String> {
    let boxes = kube.boxes()?;
    let scenario = Scenario { hosts: boxes.hosts, links: boxes.links, ..Scenario::default() };
    scenario.run().map(|run| run.world).map_err(|e| e.to_string())
}

/// What is asked on a node, and on a pod.
const ON_NODE: [&[&str]; 9] = [
    &["ip", "addr", "show"],
    &["ip", "route", "show"],
    &["ip", "neigh", "show"],
    &["bridge", "link", "show"],
    &["bridge", "fdb", "show", "dev", "flannel.1"],
    &["ipset", "save"],
    &["ipvsadm", "-S", "-n"],
    &["iptables-save"],
    &["nft", "-s", "list", "ruleset"],
];
const ON_POD: [&[&str]; 2] = [&["ip", "addr", "show"], &["ip", "route", "show"]];

/// Each box with what the tools print there; `only` asks for one of them.
///
/// # Errors
/// The box that is asked for does not exist.
pub fn text(world: &mut World, kube: &Kube, only: Option<&str>) -> Result<String, String> {
    let names: Vec<(NetnsId, String)> = world.hosts().iter().map(|ns| (ns.id, ns.name.clone())).collect();
    let shown: Vec<_> = names.iter().filter(|(_, n)| n != LAN && only.is_none_or(|o| o == n)).collect();
    if shown.is_empty() {
        let known: Vec<&str> = names.iter().map(|(_, n)| n.as_str()).filter(|n| *n != LAN).collect();
        return Err(format!(
            "there is no node or pod {:?}; these are: {}",
            only.unwrap_or(""),
            known.join(", ")
        ));
    }
    let mut out = String::new();
    for (id, name) in shown {
        let node = kube.objects.nodes.values().any(|n| n.metadata.name == *name);
        let commands = if node { &ON_NODE[..] } else { &ON_POD[..] };
        for argv in commands {
            let argv: Vec<String> = argv.iter().map(|w| (*w).to_owned()).collect();
            let output = sim::operator::command(world, *id, &argv, None)?;
            // What is not there is not shown: no device flannel.1, no sets, no virtual servers.
            if output.status == 0 && !output.stdout.is_empty() {
                out += &format!("{name}# {}\n", argv.join(" "));
                for line in &output.stdout {
                    out += &format!("{line}\n");
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn the_clusters_network_holds_all_nodes_networks() {
        let nets = |list: &[&str]| -> Vec<_> { list.iter().map(|n| n.parse().unwrap()).collect() };
        for (list, all) in [
            (&["10.244.1.0/24"][..], "10.244.1.0/24"),
            (&["10.244.0.0/24", "10.244.1.0/24"], "10.244.0.0/23"),
            (&["10.244.1.0/24", "10.244.2.0/24"], "10.244.0.0/22"),
        ] {
            assert_eq!(common(&nets(list)), Some(all.parse().unwrap()));
        }
        assert_eq!(common(&[]), None);
    }
}
