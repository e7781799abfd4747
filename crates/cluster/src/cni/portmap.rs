//! The portmap plugin, which makes `hostPort` (containernetworking/plugins, plugins/meta/portmap/portmap_iptables.go).

use super::bridge::prefixed_chain_name;
use crate::object::HostPort;
use ipnet::IpNet;
use std::net::IpAddr;

/// Ports in one rule (`-m multiport` takes no more).
const MULTIPORT: usize = 15;
/// A comment has so many characters at most.
const COMMENT_LEN: usize = 255;

/// What the plugin adds for a pod, after [`shared`]; empty if none of its ports is mapped. `address` is the pod's with the prefix
/// of its network.
pub fn rules(network: &str, container_id: &str, address: IpNet, ports: &[HostPort]) -> String {
    // The entry names them all; of another family's address there are no rules behind it.
    let own = |p: &&HostPort| p.host_ip.is_none_or(|ip| ip.is_ipv4() == address.addr().is_ipv4());
    if ports.is_empty() {
        return String::new();
    }
    let chain = prefixed_chain_name("DN-", network, container_id);
    let mut comment = format!("dnat name: \"{network}\" id: \"{container_id}\"");
    comment.truncate(COMMENT_LEN);
    let comment = comment.replace('"', "\\\"");
    let mut out = format!("*nat\n:{chain} - [0:0]\n");
    for port in ports.iter().filter(own) {
        let proto = port.protocol.to_string();
        let to =
            port.host_ip.filter(|ip| !ip.is_unspecified()).map_or(String::new(), |ip| format!(" -d {ip}"));
        let base = format!("-A {chain} -p {proto} --dport {}{to}", port.host_port);
        // A pod of the network that asks the node, and the node itself, would get the answer from the pod directly.
        out += &format!("{base} -s {address} -j CNI-HOSTPORT-SETMARK\n");
        if address.addr().is_ipv4() {
            out += &format!("{base} -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK\n");
        }
        let pod = match address.addr() {
            IpAddr::V4(ip) => format!("{ip}:{}", port.container_port),
            IpAddr::V6(ip) => format!("[{ip}]:{}", port.container_port),
        };
        out += &format!("{base} -j DNAT --to-destination {pod}\n");
    }
    for proto in ["sctp", "tcp", "udp"] {
        let of = ports.iter().filter(|p| p.protocol.to_string() == proto).map(|p| p.host_port.to_string());
        let of: Vec<String> = of.collect();
        for some in of.chunks(MULTIPORT) {
            out += &format!(
                "-A CNI-HOSTPORT-DNAT -m comment --comment \"{comment}\" -m multiport -p {proto} --destination-ports {} \
                 -j {chain}\n",
                some.join(",")
            );
        }
    }
    out + "COMMIT\n"
}

/// What the first pod with such a port finds missing: the chains that all share. `bit` is the bit of the mark by which packets are
/// masqueraded (`markMasqBit`, 13).
pub fn shared(bit: u32) -> String {
    let mark = format!("{0:#x}/{0:#x}", 1u64 << bit.min(31));
    format!(
        "*nat
:CNI-HOSTPORT-SETMARK - [0:0]
-A CNI-HOSTPORT-SETMARK -m comment --comment \"CNI portfwd masquerade mark\" -j MARK --set-xmark {mark}
:CNI-HOSTPORT-MASQ - [0:0]
-A CNI-HOSTPORT-MASQ -m mark --mark {mark} -j MASQUERADE
-I POSTROUTING -m comment --comment \"CNI portfwd requiring masquerade\" -j CNI-HOSTPORT-MASQ
:CNI-HOSTPORT-DNAT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
COMMIT
"
    )
}

/// `markMasqBit`, if the configuration does not say.
pub const MARK_MASQ_BIT: u32 = 13;

#[cfg(test)]
mod tests {
    use super::{MARK_MASQ_BIT, rules, shared};
    use crate::object::{HostPort, Protocol};

    fn port(host_port: u16, container_port: u16, protocol: Protocol, host_ip: Option<&str>) -> HostPort {
        let host_ip = host_ip.map(|ip| ip.parse().unwrap());
        HostPort { host_port, container_port, protocol, host_ip }
    }

    /// The rules that the plugins' own test expects (portmap_iptables_test.go), with the name that it computes.
    #[test]
    fn a_pods_ports_as_in_the_plugins_own_test() {
        let ports = [
            port(8080, 80, Protocol::Tcp, None),
            port(8081, 80, Protocol::Tcp, None),
            port(8080, 81, Protocol::Udp, None),
            port(8082, 82, Protocol::Udp, None),
            port(8083, 83, Protocol::Tcp, Some("192.168.0.2")),
            port(8084, 84, Protocol::Tcp, Some("0.0.0.0")),
            port(8085, 85, Protocol::Tcp, Some("2001:db8:a::1")),
            port(8086, 86, Protocol::Tcp, Some("::")),
        ];
        let id = "icee6giejonei6sohng6ahngee7laquohquee9shiGo7fohferakah3Feiyoolu2pei7ciPhoh7shaoX6vai3vuf0ahfaeng8yohb9ceu0daez\
                  5hashee8ooYai5wa3y";
        let text = rules("test", id, "10.0.0.2/24".parse().unwrap(), &ports);
        let chain = "CNI-DN-67e92b96e692a494b6b85";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "*nat",
                &format!(":{chain} - [0:0]"),
                &format!("-A {chain} -p tcp --dport 8080 -s 10.0.0.2/24 -j CNI-HOSTPORT-SETMARK"),
                &format!("-A {chain} -p tcp --dport 8080 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK"),
                &format!("-A {chain} -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80"),
            ]
        );
        assert!(text.contains(&format!(
            "-A {chain} -p tcp --dport 8083 -d 192.168.0.2 -j DNAT --to-destination 10.0.0.2:83\n"
        )));
        assert!(!text.contains("--dport 8085") && !text.contains("--dport 8086"));
        assert!(
            text.contains(&format!("-A {chain} -p tcp --dport 8084 -j DNAT --to-destination 10.0.0.2:84\n"))
        );
        let entry = format!(
            r#"-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"test\" id: \"{id}\"" -m multiport"#
        );
        assert_eq!(
            lines[lines.len() - 3..],
            [
                &format!("{entry} -p tcp --destination-ports 8080,8081,8083,8084,8085,8086 -j {chain}"),
                &format!("{entry} -p udp --destination-ports 8080,8082 -j {chain}"),
                "COMMIT",
            ]
        );
    }

    #[test]
    fn one_rule_takes_fifteen_ports() {
        let ports: Vec<_> = (0..16).map(|n| port(8000 + n, 80, Protocol::Tcp, None)).collect();
        let text = rules("net", "id", "10.0.0.2/24".parse().unwrap(), &ports);
        assert_eq!(text.matches("--destination-ports").count(), 2);
        assert!(text.contains("--destination-ports 8015 -j"));
        assert_eq!(rules("net", "id", "10.0.0.2/24".parse().unwrap(), &[]), "");
    }

    #[test]
    fn the_mark_is_its_bit() {
        assert!(shared(MARK_MASQ_BIT).contains("-j MARK --set-xmark 0x2000/0x2000\n"));
        assert!(shared(5).contains("-m mark --mark 0x20/0x20 -j MASQUERADE\n"));
    }
}
