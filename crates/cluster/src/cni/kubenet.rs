//! kubenet, the kubelet's own plugin until 1.24 (pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go), and its host ports
//! (pkg/kubelet/dockershim/network/hostport). Its ebtables chain KUBE-DEDUP is not here: it drops what a promiscuous bridge would show
//! the host a second time.

use crate::kube_proxy::names::Hash;
use crate::object::HostPort;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// `ensureMasqRule`: what goes neither to this host nor to `non_masquerade` (`--non-masquerade-cidr`, 10.0.0.0/8) is masqueraded.
pub fn masq_rule(non_masquerade: Ipv4Net) -> String {
    format!(
        "*nat
-A POSTROUTING -m comment --comment \"kubenet: SNAT for outbound traffic from cluster\" -m addrtype ! --dst-type LOCAL \
         ! -d {non_masquerade} -j MASQUERADE
COMMIT
"
    )
}

/// `ensureKubeHostportChains`: what all host ports share; `bridge` is the pods' bridge.
pub fn hostport_chains(bridge: &str) -> String {
    let portals =
        "-m comment --comment \"kube hostport portals\" -m addrtype --dst-type LOCAL -j KUBE-HOSTPORTS";
    format!(
        "*nat
:KUBE-HOSTPORTS - [0:0]
-A OUTPUT {portals}
-A PREROUTING {portals}
-A POSTROUTING -m comment --comment \"SNAT for localhost access to hostports\" -o {bridge} -s 127.0.0.0/8 -j MASQUERADE
COMMIT
"
    )
}

/// The host ports of a pod, after [`hostport_chains`] and kube-proxy's KUBE-MARK-MASQ. `id` is that of its sandbox container, `name`
/// its own as `NAME_NAMESPACE`.
pub fn hostports(id: &str, name: &str, ip: Ipv4Addr, ports: &[HostPort]) -> String {
    if ports.is_empty() {
        return String::new();
    }
    let mut out = "*nat\n".to_owned();
    for port in ports {
        let chain = hostport_chain(id, port);
        let (proto, n) = (port.protocol.to_string(), port.host_port);
        let comment = format!("-m comment --comment \"{name} hostport {n}\"");
        let pod = format!("{ip}:{}", port.container_port);
        out += &format!(
            ":{chain} - [0:0]
-I KUBE-HOSTPORTS {comment} -m {proto} -p {proto} --dport {n} -j {chain}
-A {chain} {comment} -s {ip} -j KUBE-MARK-MASQ
-A {chain} {comment} -m {proto} -p {proto} -j DNAT --to-destination={pod}
"
        );
    }
    out + "COMMIT\n"
}

/// `getHostportChain`
fn hostport_chain(id: &str, port: &HostPort) -> String {
    let upper = port.protocol.to_string().to_ascii_uppercase();
    let hash = Hash::of(&[id, &port.host_port.to_string(), &upper]);
    format!("KUBE-HP-{}", hash.text())
}

#[cfg(test)]
mod tests {
    use super::{hostport_chain, hostports, masq_rule};
    use crate::object::{HostPort, Protocol};

    #[test]
    fn a_port_has_a_chain_of_its_own() {
        let port =
            |host_port| HostPort { host_port, container_port: 80, protocol: Protocol::Tcp, host_ip: None };
        let (a, b) = (hostport_chain("id", &port(8080)), hostport_chain("id", &port(8081)));
        assert!(a != b && a.len() == 24, "{a} {b}");
        let text = hostports("id", "web_default", "10.0.0.2".parse().unwrap(), &[port(8080)]);
        assert!(text.contains(&format!(
            "-A {a} -m comment --comment \"web_default hostport 8080\" -m tcp -p tcp -j DNAT --to-destination=10.0.0.2:80\n"
        )));
    }

    #[test]
    fn private_networks_are_not_masqueraded() {
        assert!(
            masq_rule("10.0.0.0/8".parse().unwrap())
                .contains("! --dst-type LOCAL ! -d 10.0.0.0/8 -j MASQUERADE")
        );
    }
}
