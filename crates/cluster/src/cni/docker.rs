//! Docker's rules for its bridge docker0 (moby/libnetwork, drivers/bridge/setup_ip_tables.go, iptables/iptables.go; release 18), which
//! Kubernetes has where the kubelet leaves the network to Docker, as in minikube of that time.

use crate::object::HostPort;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// What dockerd loads when it starts, without a container that publishes a port; `net` is the bridge's network.
pub fn rules(net: Ipv4Net) -> String {
    let net = net.trunc();
    format!(
        "*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {net} ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"
    )
}

/// What a container that publishes ports adds; empty if it publishes none.
pub fn publish(ip: Ipv4Addr, ports: &[HostPort]) -> String {
    if ports.is_empty() {
        return String::new();
    }
    let (mut nat, mut filter) = (String::new(), String::new());
    for port in ports {
        let (proto, inner, n) = (port.protocol.to_string(), port.container_port, port.host_port);
        let to =
            port.host_ip.filter(|ip| !ip.is_unspecified()).map_or(String::new(), |ip| format!("-d {ip} "));
        nat += &format!(
            "-A POSTROUTING -s {ip} -d {ip} -p {proto} --dport {inner} -j MASQUERADE
-A DOCKER {to}! -i docker0 -p {proto} --dport {n} -j DNAT --to-destination {ip}:{inner}
"
        );
        filter +=
            &format!("-A DOCKER -d {ip} ! -i docker0 -o docker0 -p {proto} --dport {inner} -j ACCEPT\n");
    }
    format!("*nat\n{nat}COMMIT\n*filter\n{filter}COMMIT\n")
}

#[cfg(test)]
mod tests {
    use super::publish;
    use crate::object::{HostPort, Protocol};

    #[test]
    fn a_published_port_is_translated_accepted_and_masqueraded_to_itself() {
        let port = HostPort { host_port: 8080, container_port: 80, protocol: Protocol::Tcp, host_ip: None };
        let text = publish("172.17.0.6".parse().unwrap(), &[port]);
        for line in [
            "-A POSTROUTING -s 172.17.0.6 -d 172.17.0.6 -p tcp --dport 80 -j MASQUERADE\n",
            "-A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.6:80\n",
            "-A DOCKER -d 172.17.0.6 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(publish("172.17.0.6".parse().unwrap(), &[]), "");
    }
}
