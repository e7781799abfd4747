//! The names of kube-proxy's chains (pkg/proxy/iptables/proxier.go, `portProtoHash`, `servicePortEndpointChainName`;
//! pkg/proxy/nftables/proxier.go, `hashAndTruncate`).

use sha2::{Digest, Sha256};

/// The first 16 characters of the SHA-256 in base32: five bits each.
// By hand: the general encoder of data-encoding would add 1.4 kB gzip to the page.
fn hash(text: &str) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(text.as_bytes());
    let bits = digest.iter().take(10).fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    let digit = |place: u32| char::from(DIGITS[(bits >> (75 - 5 * place) & 31) as usize]);
    (0..16).map(digit).collect()
}

/// What the names of a Service port's chains end in.
pub(super) fn service_hash(service_port: &str, protocol: &str) -> String {
    hash(&[service_port, protocol].concat())
}

/// `KUBE-SVC-...` of a Service port. `service_port` is `NAMESPACE/NAME:PORT-NAME`; for a port without a name kube-proxy
/// up to 1.18 keeps the colon and newer versions leave it out. `protocol` is in lower case.
pub fn service_chain(service_port: &str, protocol: &str) -> String {
    format!("KUBE-SVC-{}", service_hash(service_port, protocol))
}

/// `KUBE-SEP-...` of an endpoint, `ADDRESS:PORT`, of a Service port.
pub fn endpoint_chain(service_port: &str, protocol: &str, endpoint: &str) -> String {
    format!("KUBE-SEP-{}", hash(&[service_port, protocol, endpoint].concat()))
}

/// The longest name that leaves room for what stands before it: names of nf_tables have 256 characters at most.
const NFT_NAME_LENGTH: usize = 240;

/// What a name ends in, in mode nftables: half a hash of it, and itself, cut if it is too long.
pub(super) fn nft_name(name: &str) -> String {
    const DOTS: &str = "...";
    let mut out = hash(name);
    out.truncate(8);
    out.push('-');
    out.push_str(name);
    if out.len() > NFT_NAME_LENGTH {
        let mut end = NFT_NAME_LENGTH - DOTS.len();
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push_str(DOTS);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{endpoint_chain, nft_name, service_chain};

    #[test]
    fn long_names_are_cut() {
        assert_eq!(nft_name("kube-system/kube-dns/udp/dns"), "FY5PMXPG-kube-system/kube-dns/udp/dns");
        let cut = nft_name(&"x".repeat(300));
        assert_eq!((cut.len(), cut.ends_with("x...")), (240, true));
        assert_eq!(nft_name(&"x".repeat(231)).len(), 240);
        assert!(nft_name(&"\u{e9}".repeat(200)).ends_with("..."));
    }

    /// Names seen in public listings of real nodes.
    #[test]
    fn names_are_those_of_real_nodes() {
        for (service_port, protocol, chain) in [
            ("default/helloworld-service:", "tcp", "KUBE-SVC-YLBSDKPE6MPDDRVY"),
            ("kube-system/kube-dns:dns", "udp", "KUBE-SVC-TCOU7JCQXEZGVUNU"),
            ("kube-system/kube-dns:dns-tcp", "tcp", "KUBE-SVC-ERIFXISQEP7F7OF4"),
            ("default/helloworld-service", "tcp", "KUBE-SVC-G7ILJGNRZEE4KPZ2"),
            ("default/game:game", "udp", "KUBE-SVC-2ZYBBHY24FGY2HAL"),
            ("default/kubernetes:https", "tcp", "KUBE-SVC-NPX46M4PTMTKRN6Y"),
            ("octopus/octopus-web:web", "tcp", "KUBE-SVC-A5DEC2RXT22GYINZ"),
        ] {
            assert_eq!(service_chain(service_port, protocol), chain);
        }
        for (service_port, protocol, endpoint, chain) in [
            ("default/helloworld-service:", "tcp", "172.17.0.6:3000", "KUBE-SEP-32ZXKBHCWGUC5KVE"),
            ("octopus/octopus-web:web", "tcp", "10.179.18.29:8080", "KUBE-SEP-F73MGWMXW3QO5EYA"),
            ("octopus/octopus-web:web", "tcp", "10.179.18.8:8080", "KUBE-SEP-F6GCOKQ4JCB6DUYR"),
            ("default/helloworld-service", "tcp", "172.17.0.6:3000", "KUBE-SEP-T45OCYLB7KCOPJXR"),
            ("default/game:game", "udp", "10.244.1.10:7777", "KUBE-SEP-KBBIJJ742RRQUKAN"),
        ] {
            assert_eq!(endpoint_chain(service_port, protocol, endpoint), chain);
        }
    }
}
