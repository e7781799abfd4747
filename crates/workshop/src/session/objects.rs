//! What a cluster is made of when the steps begin, as text, and what may be added to it.

use super::Session;
use crate::kube::{LAN_PREFIX, Outside};
use crate::lab::LabError;
use crate::yaml_text::{Layout, yaml};
use cluster::yaml::Yaml;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectText {
    /// Its kind.
    pub kind: String,
    /// Its namespace; `default` if it says none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its YAML, as `kubectl apply -f -` takes it.
    pub yaml: String,
}

/// A cluster and its LAN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The objects that were given, in their order; what controllers make of them is left out.
    pub objects: Vec<ObjectText>,
    /// The names of the computers on the LAN that are no nodes.
    pub machines: Vec<String>,
    /// A Node that fits in: its name, its address and its pods' network are nobody's. `None` where the LAN has no address left.
    pub node: Option<String>,
    /// The same of a computer on the LAN: the command that adds it.
    pub client: Option<String>,
}

impl Session {
    /// What is there.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub fn contents(&self) -> Result<Contents, LabError> {
        let begun = self.lab.begin(&self.changes, &self.typed)?;
        let machines = &begun.spec.machines;
        let mut names: Vec<&str> = machines.iter().map(|m| m.name.as_str()).collect();
        let mut addresses: Vec<Ipv4Addr> = machines.iter().map(|m| m.addr.addr()).collect();
        let mut networks: Vec<Ipv4Net> = machines.iter().map(|m| m.addr.trunc()).collect();
        let mut last = None;
        for (_, node) in begun.objects.nodes.iter() {
            names.push(&node.metadata.name);
            let own = node.internal_ips.iter().find_map(|a| match a {
                IpAddr::V4(own) => Some(*own),
                IpAddr::V6(_) => None,
            });
            addresses.extend(own);
            let pods = node.pod_cidrs.iter().find_map(|n| match n {
                IpNet::V4(net) => Some(net.trunc()),
                IpNet::V6(_) => None,
            });
            networks.extend(pods);
            last = own.zip(pods).map(|(own, pods)| (node.metadata.name.as_str(), own, pods)).or(last);
        }
        let gateway = begun.spec.gateway;
        addresses.push(gateway);
        let node = last.and_then(|(name, own, pods)| {
            let (name, own) = (next_name(name, &names), free(own, LAN_PREFIX, &addresses)?);
            networks.extend(Ipv4Net::new(own, LAN_PREFIX));
            let pods = next_network(pods, &networks)?;
            Some(format!(
                "apiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\nspec:\n  podCIDR: {pods}\nstatus:\n  addresses:\n    - {{type: \
                 InternalIP, address: {own}}}\n"
            ))
        });
        // One that needs no router, if there is one.
        let lan = last.and_then(|(_, own, _)| Ipv4Net::new(own, LAN_PREFIX).ok());
        let beside =
            |m: &&Outside| lan.is_some_and(|lan| lan.contains(&m.addr.addr())) && m.addr.addr() != gateway;
        let client = machines.iter().find(beside);
        let begin = client.map(|m| m.addr).or_else(|| Ipv4Net::new(first_client(lan?), LAN_PREFIX).ok());
        let client = begin.and_then(|begin| {
            let name =
                if names.contains(&"client") { next_name("client", &names) } else { "client".to_owned() };
            let own = free(begin.addr(), begin.prefix_len(), &addresses)?;
            Some(format!("lab machine add {name} {own}/{}", begin.prefix_len()))
        });
        let machines = names.into_iter().take(machines.len()).map(str::to_owned).collect();
        Ok(Contents { objects: begun.documents.iter().map(text).collect(), machines, node, client })
    }
}

fn text(d: &Yaml) -> ObjectText {
    let metadata = d.get("metadata");
    let of = |key: &str| metadata.and_then(|m| m.get(key)).map(|v| v.token().to_owned());
    ObjectText {
        kind: d.get("kind").map_or(String::new(), |k| k.token().to_owned()),
        namespace: of("namespace").unwrap_or_else(|| "default".to_owned()),
        name: of("name").unwrap_or_default(),
        yaml: yaml(d, Layout::Short),
    }
}

/// The name with the next number that is nobody's: node-3 after node-2, minikube-2 after minikube.
fn next_name(name: &str, taken: &[&str]) -> String {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let (stem, number) = match name.get(stem.len()..).and_then(|digits| digits.parse::<u32>().ok()) {
        Some(number) if stem.ends_with('-') => (stem.to_owned(), number),
        _ => (format!("{name}-"), 1),
    };
    let all = (1..).map(|n| format!("{stem}{}", number.saturating_add(n)));
    all.take(taken.len() + 1).find(|name| !taken.contains(&name.as_str())).unwrap_or(stem)
}

/// The address of the LAN that comes next after `after` and is nobody's.
fn free(after: Ipv4Addr, prefix: u8, taken: &[Ipv4Addr]) -> Option<Ipv4Addr> {
    let lan = Ipv4Net::new(after, prefix).ok()?;
    let all = lan.hosts().filter(|a| *a > after).chain(lan.hosts());
    all.take(4 * taken.len() + 2).find(|a| !taken.contains(a))
}

/// The network of the same size that comes next after `after` and shares no address with another.
fn next_network(after: Ipv4Net, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let size = 1_u32.checked_shl(u32::from(32 - after.prefix_len()))?;
    let apart = |net: &Ipv4Net| !taken.iter().any(|t| t.contains(net) || net.contains(t));
    let all = (1..=256).map_while(|n| u32::from(after.network()).checked_add(size.checked_mul(n)?));
    all.filter_map(|a| Ipv4Net::new(a.into(), after.prefix_len()).ok()).find(apart)
}

/// Where the clients of a LAN without one begin: its 200th address is the first.
fn first_client(lan: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(lan.network()) + 199)
}
