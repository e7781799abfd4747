//! flanneld's rules (flannel-io/flannel, pkg/trafficmngr/iptables/iptables.go, before that network/iptables.go).

use ipnet::Ipv4Net;

/// Whose rules: releases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Until 0.19 (2022): rules in the kernel's own chains.
    Plain,
    /// 0.21 (2023) and later: chains of its own, which leave alone what kube-proxy has marked.
    OwnChains,
}

/// What flanneld adds on a node with `--ip-masq`: `network` is the cluster's, `subnet` the node's.
pub fn rules(era: Era, network: Ipv4Net, subnet: Ipv4Net) -> String {
    let (n, sn) = (network.trunc(), subnet.trunc());
    match era {
        Era::Plain => format!(
            "*nat
-A POSTROUTING -s {n} -d {n} -j RETURN
-A POSTROUTING -s {n} ! -d 224.0.0.0/4 -j MASQUERADE --random-fully
-A POSTROUTING ! -s {n} -d {sn} -j RETURN
-A POSTROUTING ! -s {n} -d {n} -j MASQUERADE --random-fully
COMMIT
*filter
-A FORWARD -s {n} -j ACCEPT
-A FORWARD -d {n} -j ACCEPT
COMMIT
"
        ),
        Era::OwnChains => {
            let masq = "-m comment --comment \"flanneld masq\"";
            let forward = "-m comment --comment \"flanneld forward\"";
            format!(
                "*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING {masq} -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 {masq} -j RETURN
-A FLANNEL-POSTRTG -s {sn} -d {n} {masq} -j RETURN
-A FLANNEL-POSTRTG -s {n} -d {sn} {masq} -j RETURN
-A FLANNEL-POSTRTG ! -s {n} -d {sn} {masq} -j RETURN
-A FLANNEL-POSTRTG -s {n} ! -d 224.0.0.0/4 {masq} -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s {n} -d {n} {masq} -j MASQUERADE --random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD {forward} -j FLANNEL-FWD
-A FLANNEL-FWD -s {n} {forward} -j ACCEPT
-A FLANNEL-FWD -d {n} {forward} -j ACCEPT
COMMIT
"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Era, rules};

    /// The end-to-end test of flannel itself (dist/functional-test-k8s.sh) expects these lines of `iptables -S`.
    #[test]
    fn own_chains_as_flannels_own_test_lists_them() {
        let text = rules(Era::OwnChains, "10.42.0.0/16".parse().unwrap(), "10.42.1.0/24".parse().unwrap());
        let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("-A FLANNEL-POSTRTG")).collect();
        let masq = "-m comment --comment \"flanneld masq\"";
        assert_eq!(
            lines,
            [
                format!("-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 {masq} -j RETURN"),
                format!("-A FLANNEL-POSTRTG -s 10.42.1.0/24 -d 10.42.0.0/16 {masq} -j RETURN"),
                format!("-A FLANNEL-POSTRTG -s 10.42.0.0/16 -d 10.42.1.0/24 {masq} -j RETURN"),
                format!("-A FLANNEL-POSTRTG ! -s 10.42.0.0/16 -d 10.42.1.0/24 {masq} -j RETURN"),
                format!(
                    "-A FLANNEL-POSTRTG -s 10.42.0.0/16 ! -d 224.0.0.0/4 {masq} -j MASQUERADE --random-fully"
                ),
                format!(
                    "-A FLANNEL-POSTRTG ! -s 10.42.0.0/16 -d 10.42.0.0/16 {masq} -j MASQUERADE --random-fully"
                ),
            ]
        );
    }

    #[test]
    fn the_older_rules_stand_in_the_kernels_chains() {
        let text = rules(Era::Plain, "10.42.0.0/16".parse().unwrap(), "10.42.1.0/24".parse().unwrap());
        assert!(!text.contains("FLANNEL"));
        assert_eq!(text.matches("-A POSTROUTING").count(), 4);
    }
}
