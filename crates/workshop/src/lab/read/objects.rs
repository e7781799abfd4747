//! What the objects of a lab's text have to be, so that boxes can be made of them.

use super::super::apply::items;
use super::super::effect::identity;
use crate::kube::LAN_PREFIX;
use cluster::Read;
use cluster::fields::network;
use cluster::yaml::Yaml;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Checks the objects, and the computers of the lab's `world`.
///
/// # Errors
/// An object is of a kind that is not modelled, two boxes have one name, two nodes one address or pods' networks that overlap, or a pod
/// is on a node that is not there or has an address that is not its node's, or a gateway is on no LAN of a node's.
pub(super) fn check(lab: &Yaml, objects: &[Yaml]) -> Read<()> {
    let of_kind = |kind: &'static str| objects.iter().filter(move |d| identity(d).0 == kind);
    let mut names: Vec<(&str, Option<&Yaml>)> = Vec::new();
    let pods = of_kind("Pod").filter(|d| at(d, &["spec", "hostNetwork"]).is_none_or(|v| v.token() != "true"));
    let objects_names =
        of_kind("Node").chain(pods).filter_map(|d| Some((Some(d), at(d, &["metadata", "name"])?)));
    let machines = at(lab, &["world", "machines"]).map_or(&[][..], items);
    for (of, name) in objects_names.chain(machines.iter().filter_map(|m| Some((None, m.get("name")?)))) {
        // An object may be there in two files.
        let same = |other: &Option<&Yaml>| other.zip(of).is_some_and(|(a, b)| identity(a) == identity(b));
        if names.iter().any(|(n, other)| *n == name.token() && !same(other))
            || name.token() == crate::kube::LAN
        {
            return Err(name.blame("there is a box of this name already"));
        }
        names.push((name.token(), of));
    }
    if let Some((gateway, node)) = at(lab, &["world", "gateway"]).zip(of_kind("Node").next()) {
        reaches(node, gateway)?;
    }
    let gateway = at(lab, &["world", "gateway"]).and_then(|g| g.token().parse().ok());
    check_new(objects, 0, gateway.unwrap_or(Ipv4Addr::UNSPECIFIED))?;
    let there = |name: &Yaml| of_kind("Node").any(|d| identity(d).2 == name.token());
    let placed = of_kind("Pod").filter_map(|d| at(d, &["spec", "nodeName"]));
    let made = of_kind("Deployment").filter_map(|d| at(d, &["spec", "template", "spec", "nodeName"]));
    match placed.chain(made).find(|name| !name.token().is_empty() && !there(name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = of_kind("Node").map(|d| identity(d).2).collect();
            Err(name.blame(format!("there is no such Node; expected one of {}", known.join(", "))))
        }
    }
}

/// Checks the objects from a place on against these and those before them, in a cluster with a gateway; 0.0.0.0 is none.
///
/// # Errors
/// As for [`check`], of nodes and of pods' addresses.
pub(crate) fn check_new(objects: &[Yaml], from: usize, gateway: Ipv4Addr) -> Read<()> {
    let of_kind = |kind: &'static str| objects.iter().filter(move |d| identity(d).0 == kind);
    let new = objects.get(from..).unwrap_or_default();
    let old = objects.iter().take(from).filter(|d| identity(d).0 == "Node").count();
    nodes(&of_kind("Node").collect::<Vec<_>>(), old)?;
    let lan = Ipv4Net::new(gateway, LAN_PREFIX).ok().filter(|_| !gateway.is_unspecified());
    let elsewhere = |a: &&Yaml| {
        let own: Option<Ipv4Addr> = a.token().parse().ok();
        lan.zip(own).is_some_and(|(lan, own)| !lan.contains(&own))
    };
    for node in new.iter().filter(|d| identity(d).0 == "Node") {
        if let Some((own, lan)) = addresses(node).next().filter(elsewhere).zip(lan) {
            let lan = lan.trunc();
            return Err(
                own.blame(format!("the gateway {gateway} is on another LAN; expected an address of {lan}"))
            );
        }
    }
    new.iter().filter(|d| identity(d).0 == "Pod").try_for_each(|pod| {
        let on = at(pod, &["spec", "nodeName"]);
        let node = of_kind("Node").find(|n| on.is_some_and(|on| identity(n).2 == on.token()));
        node.map_or(Ok(()), |node| is_within(pod, node))
    })
}

/// Those after the first `old` have what nodes need, and no other node has it.
fn nodes(all: &[&Yaml], old: usize) -> Read<()> {
    for (i, node) in all.iter().enumerate().skip(old) {
        if let (None, Some(name)) = (networks(node).next(), at(node, &["metadata", "name"])) {
            return Err(name.blame("this Node has no network for its pods; expected spec.podCIDR"));
        }
        let before = all.get(..i).unwrap_or_default().iter().filter(|n| identity(n).2 != identity(node).2);
        for other in before {
            let name = identity(other).2;
            if let Some(same) = addresses(node).find(|a| addresses(other).any(|o| o.token() == a.token())) {
                return Err(same.blame(format!("Node {name} has this address already")));
            }
            for own in networks(node) {
                let net = network(own)?;
                for theirs in networks(other) {
                    let theirs = network(theirs)?;
                    if net.contains(&theirs) || theirs.contains(&net) {
                        return Err(own.blame(format!(
                            "the pods of Node {name} have {theirs}; expected another network"
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

/// A gateway is on the LAN of each node.
fn reaches(node: &Yaml, gateway: &Yaml) -> Read<()> {
    let lan = |a: &Yaml| Ipv4Net::new(a.token().parse().ok()?, LAN_PREFIX).ok();
    let (Some(lan), Ok(ip)) = (addresses(node).find_map(lan), gateway.token().parse()) else { return Ok(()) };
    match lan.contains::<&Ipv4Addr>(&ip) {
        true => Ok(()),
        false => Err(gateway.blame(format!(
            "Node {} is on another LAN, {lan}; expected an address of {}",
            identity(node).2,
            lan.trunc()
        ))),
    }
}

/// A pod that says its address has one of its node's network.
fn is_within(pod: &Yaml, node: &Yaml) -> Read<()> {
    if at(pod, &["spec", "hostNetwork"]).is_some_and(|v| v.token() == "true") {
        return Ok(());
    }
    let several = at(pod, &["status", "podIPs"]).map_or(&[][..], items).iter().filter_map(|a| a.get("ip"));
    let mut addresses = several.chain(at(pod, &["status", "podIP"]));
    let own = addresses.find_map(|a| Some((a, a.token().parse::<Ipv4Addr>().ok()?)));
    let net = networks(node).find_map(|n| n.token().parse::<Ipv4Net>().ok());
    match (own, net) {
        (Some((at, ip)), Some(net)) if !net.contains(&ip) => {
            Err(at.blame(format!("expected an address of {net}, the podCIDR of its node")))
        }
        _ => Ok(()),
    }
}

/// A node's addresses of type InternalIP.
fn addresses(node: &Yaml) -> impl Iterator<Item = &Yaml> {
    let all = at(node, &["status", "addresses"]).map_or(&[][..], items);
    let own = all.iter().filter(|a| a.get("type").is_some_and(|t| t.token() == "InternalIP"));
    own.filter_map(|a| a.get("address"))
}

fn networks(node: &Yaml) -> impl Iterator<Item = &Yaml> {
    let several = at(node, &["spec", "podCIDRs"]).map_or(&[][..], items);
    let one = at(node, &["spec", "podCIDR"]).filter(|_| several.is_empty());
    several.iter().chain(one)
}

fn at<'y>(tree: &'y Yaml, path: &[&str]) -> Option<&'y Yaml> {
    path.iter().try_fold(tree, |at, key| at.get(key))
}
