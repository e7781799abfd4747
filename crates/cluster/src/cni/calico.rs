//! Felix's rules for what leaves the pods' networks (projectcalico/calico, felix/rules/nat.go, felix/rules/static.go), as far as they
//! decide anything without network policies: `natOutgoing`, and what the node itself sends into a tunnel. The chains for floating
//! IPs, policies, workload and host endpoints are left out, and with them tables raw, mangle and filter.

use ipnet::Ipv4Net;

/// The node's end of a pod's veth (`VethNameForWorkload`, libcalico-go/lib/backend/k8s/conversion/workload_endpoint_default.go): 11 digits of a
/// hash of its namespace and name.
pub fn veth_name(namespace: &str, name: &str) -> String {
    let digest = sha1_smol::Sha1::from(format!("{namespace}.{name}")).digest().to_string();
    format!("cali{}", digest.get(..11).unwrap_or_default())
}

/// The pools that are masqueraded.
const MASQ_POOLS: &str = "cali40masq-ipam-pools";
/// All pools.
const ALL_POOLS: &str = "cali40all-ipam-pools";

/// The sets that the rules look into, for `ipset restore`: the pools, which are masqueraded or not.
pub fn sets(pools: &[Ipv4Net], nat_outgoing: bool) -> String {
    let mut out = String::new();
    for (name, full) in [(ALL_POOLS, true), (MASQ_POOLS, nat_outgoing)] {
        out += &format!("create {name} hash:net family inet hashsize 1024 maxelem 1048576\n");
        for pool in pools.iter().filter(|_| full) {
            out += &format!("add {name} {}\n", pool.trunc());
        }
    }
    out
}

/// Table nat. The comments are hashes of the rules, as Felix writes them to know its own; `tunnel` is the device of an overlay.
/// Felix puts its jump before all others (`chainInsertMode: Insert`).
pub fn rules(tunnel: Option<&str>) -> String {
    let comment = |hash: &str| format!("-m comment --comment \"cali:{hash}\"");
    let mut out = format!(
        "*nat
:cali-POSTROUTING - [0:0]
:cali-nat-outgoing - [0:0]
-I POSTROUTING {} -j cali-POSTROUTING
-A cali-POSTROUTING {} -j cali-nat-outgoing
",
        comment("O3lYWMrLQYEMJtB5"),
        comment("nYKhEzDlr11Jccal"),
    );
    if let Some(dev) = tunnel {
        // What the node sends from an address that is not the tunnel's would be answered beside the tunnel.
        out += &format!(
            "-A cali-POSTROUTING -o {dev} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL \
             -j MASQUERADE --random-fully\n"
        );
    }
    out += &format!(
        "-A cali-nat-outgoing {} -m set --match-set {MASQ_POOLS} src -m set ! --match-set {ALL_POOLS} dst -j MASQUERADE \
         --random-fully
COMMIT
",
        comment("flqWnvo8yq4ULQLa"),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::{rules, sets, veth_name};

    /// The veth of a capture, and its pod ("Exposing TFTP Server as Kubernetes Service", parts 10 and 6).
    #[test]
    fn a_veth_has_a_hash_of_its_pod() {
        assert_eq!(veth_name("default", "tftp-server-69d49ffb8b-44m45"), "calic0bf1043683");
    }

    #[test]
    fn what_leaves_the_pools_is_masqueraded() {
        assert!(rules(None).contains(
            "-A cali-nat-outgoing -m comment --comment \"cali:flqWnvo8yq4ULQLa\" -m set --match-set cali40masq-ipam-pools src \
             -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully\n"
        ));
        assert!(!rules(None).contains(" -o "));
        assert!(rules(Some("tunl0")).contains("-o tunl0 -m addrtype ! --src-type LOCAL --limit-iface-out"));
    }

    #[test]
    fn without_nat_outgoing_no_pool_is_in_the_set() {
        let pools = ["10.244.0.0/16".parse().unwrap()];
        assert!(sets(&pools, true).contains("add cali40masq-ipam-pools 10.244.0.0/16\n"));
        assert!(!sets(&pools, false).contains("add cali40masq"));
        assert!(sets(&pools, false).contains("add cali40all-ipam-pools 10.244.0.0/16\n"));
    }
}
