//! A pod that is started, or ends, while the cluster runs.

use super::{Boxes, Kube, NodeView, node_ip, pod_net, set_mtu, veth};
use cluster::object::{NamespacedName, Node, Pod};
use sim::{BridgePort, HostSpec, LinkSpec, Setup};

impl Kube {
    /// What a pod of the objects brings when it is started: its box, its veth, and what the network plugin adds on its node, which is
    /// told as a box too. `running` are the pods that are there already. `Err` says what does not fit.
    pub fn start_pod(&self, pod: &Pod, running: &[NamespacedName]) -> Result<Boxes, String> {
        let node = self.node_of(pod)?;
        let (name, dev) = (&node.metadata.name, self.port_of(pod));
        let mut more = self.started(pod, node, running)?;
        more.name.clone_from(name);
        let mut links = vec![veth((name, &dev), (&pod.metadata.name, "eth0"))];
        if let Some(mtu) = self.cni.mtu {
            more.ip.insert(0, set_mtu(&dev, mtu));
        }
        if let Some(bridge) = self.cni.bridge {
            links.push(LinkSpec::Bridge {
                host: name.clone(),
                name: bridge.to_owned(),
                mac: None,
                ports: vec![BridgePort { dev, hairpin: self.hairpin }],
                promisc: self.promisc,
            });
        }
        Ok(Boxes { hosts: vec![self.pod(pod, node)?, more], links })
    }

    /// Texts for `iptables-restore --noflush` that take away what the plugin wrote for a pod (its DEL).
    pub fn end_pod(&self, pod: &Pod) -> Result<Vec<String>, String> {
        let spec = self.started(pod, self.node_of(pod)?, &[])?;
        let texts = spec.setup.iter().filter_map(|s| match s {
            Setup::Iptables(text) => Some(undo(text)),
            _ => None,
        });
        Ok(texts.filter(|t| !t.is_empty()).collect())
    }

    fn node_of(&self, pod: &Pod) -> Result<&Node, String> {
        let node = self.objects.nodes.get(&pod.node_name);
        node.ok_or_else(|| format!("pod {}: there is no node {:?}", pod.metadata.name, pod.node_name))
    }

    fn started(&self, pod: &Pod, node: &Node, running: &[NamespacedName]) -> Result<HostSpec, String> {
        let mut spec = HostSpec::default();
        let starting = Some((pod, running));
        let view = NodeView { kube: self, node, net: pod_net(node)?, own: node_ip(node)?, starting };
        (self.cni.pods)(&view, &mut spec);
        (self.cni.started)(&view, &mut spec)?;
        Ok(spec)
    }
}

/// The text that takes back what this one has added: rules of other chains are deleted, its own chains go. A text that makes chains
/// for everybody is left alone.
fn undo(text: &str) -> String {
    const SHARED: [&str; 2] = [":CNI-HOSTPORT-", ":KUBE-HOSTPORTS "];
    if text.lines().any(|l| SHARED.iter().any(|s| l.starts_with(s))) {
        return String::new();
    }
    let chain = |l: &str| l.strip_prefix(':').and_then(|l| l.split(' ').next()).map(str::to_owned);
    let own: Vec<String> = text.lines().filter_map(chain).collect();
    let mut out = String::new();
    let mut table = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            _ if line.starts_with('*') => out += &format!("{line}\n"),
            _ if line == "COMMIT" => {
                for chain in table.drain(..) {
                    out += &format!("-F {chain}\n-X {chain}\n");
                }
                out += "COMMIT\n";
            }
            Some(("-A" | "-I", rule)) if !own.iter().any(|c| rule.split(' ').next() == Some(c.as_str())) => {
                out += &format!("-D {rule}\n");
            }
            _ => table.extend(chain(line)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::undo;
    use cluster::cni::{docker, ip_masq, portmap};
    use cluster::object::{HostPort, Protocol};

    #[test]
    fn what_a_plugin_wrote_for_a_pod_is_taken_back() {
        let text = undo(&ip_masq("bridge", "id", "10.0.0.2/24".parse().unwrap()));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("-D POSTROUTING -s 10.0.0.2 "), "{text}");
        assert!(lines[2].starts_with("-F CNI-") && lines[3].starts_with("-X CNI-"), "{text}");
        let port = HostPort { host_port: 8080, container_port: 80, protocol: Protocol::Tcp, host_ip: None };
        let text = undo(&docker::publish("172.17.0.6".parse().unwrap(), &[port]));
        assert_eq!(text.lines().filter(|l| l.starts_with("-D ")).count(), 3, "{text}");
        assert_eq!(undo(&portmap::shared(13)), "", "others need it");
    }
}
