//! The bridge CNI plugin: what its `ipMasq` adds to table nat for a pod (containernetworking/plugins,
//! pkg/ip/ipmasq_iptables_linux.go and pkg/utils/utils.go).

use ipnet::IpNet;
use sha2::{Digest, Sha256, Sha512};

/// What each chain's name begins with (`chainPrefix`).
const PREFIX: &str = "CNI-";
/// Each chain's name has so many characters (`maxChainLength`).
const CHAIN_LEN: usize = 28;

/// The name of a pod's chain (`FormatChainName`): a hash of the network's name and the container's id.
pub fn chain_name(network: &str, container_id: &str) -> String {
    prefixed_chain_name("", network, container_id)
}

/// The same with another prefix behind CNI- (`MustFormatChainNameWithPrefix`).
pub(super) fn prefixed_chain_name(prefix: &str, network: &str, container_id: &str) -> String {
    let hash = Sha512::digest([network, container_id].concat().as_bytes());
    let mut name = format!("{PREFIX}{prefix}{}", hex(&hash));
    name.truncate(CHAIN_LEN);
    name
}

/// The id of a pod's sandbox container. A container runtime draws it at random; here it follows from the pod, so that the
/// same cluster always has the same chains.
pub fn container_id(namespace: &str, pod: &str) -> String {
    hex(&Sha256::digest(format!("{namespace}/{pod}").as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `SetupIPMasq` makes of a pod's address and its network, for `iptables-restore --noflush`: what the pod sends to
/// its own network stays as it is, all else but multicast is masqueraded. `network` is the name in the network
/// configuration, `address` the pod's with the prefix of the network.
pub fn ip_masq(network: &str, container_id: &str, address: IpNet) -> String {
    let chain = chain_name(network, container_id);
    // `FormatComment`; the quotes inside are part of the comment.
    let comment = format!(r#"-m comment --comment "name: \"{network}\" id: \"{container_id}\"""#);
    let (own, multicast) = match address {
        IpNet::V4(_) => (address.addr(), "224.0.0.0/4"),
        IpNet::V6(_) => (address.addr(), "ff00::/8"),
    };
    format!(
        "*nat
:{chain} - [0:0]
-A {chain} -d {address} {comment} -j ACCEPT
-A {chain} ! -d {multicast} {comment} -j MASQUERADE
-A POSTROUTING -s {own} {comment} -j {chain}
COMMIT
"
    )
}

#[cfg(test)]
mod tests {
    use super::{chain_name, container_id, ip_masq};

    /// The names of the plugins' own test (pkg/utils/utils_test.go).
    #[test]
    fn names_are_those_of_the_plugins() {
        for (network, id, chain) in [
            ("test", "1234", "CNI-2bbe0c48b91a7d1b8a6753a8"),
            ("testalongnamethatdoesnotmakesense", "1234", "CNI-374f33fe84ab0ed84dcdebe3"),
        ] {
            assert_eq!(chain_name(network, id), chain);
        }
    }

    #[test]
    fn a_container_id_has_64_hexadecimal_digits_and_belongs_to_one_pod() {
        let id = container_id("default", "web");
        assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!(id, container_id("default", "web"));
        assert_ne!(id, container_id("other", "web"));
    }

    #[test]
    fn a_pods_chain_lets_its_network_be_and_masquerades_the_rest() {
        let text = ip_masq("bridge", "1234", "10.200.2.63/24".parse().unwrap());
        let chain = chain_name("bridge", "1234");
        let comment = r#"-m comment --comment "name: \"bridge\" id: \"1234\"""#;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "*nat".to_owned(),
                format!(":{chain} - [0:0]"),
                format!("-A {chain} -d 10.200.2.63/24 {comment} -j ACCEPT"),
                format!("-A {chain} ! -d 224.0.0.0/4 {comment} -j MASQUERADE"),
                format!("-A POSTROUTING -s 10.200.2.63 {comment} -j {chain}"),
                "COMMIT".to_owned(),
            ]
        );
    }

    #[test]
    fn ipv6_has_its_own_multicast_network() {
        let text = ip_masq("bridge", "1234", "fd00::2/64".parse().unwrap());
        assert!(text.contains(" ! -d ff00::/8 "), "{text}");
    }
}
