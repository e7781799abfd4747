//! The names of kube-proxy's chains (pkg/proxy/iptables/proxier.go, `portProtoHash`,
//! `servicePortEndpointChainName`).

use data_encoding::BASE32;
use sha2::{Digest, Sha256};

/// Characters of the hash that a chain name keeps.
const HASH_LEN: usize = 16;

fn hash(text: &str) -> String {
    let mut name = BASE32.encode(&Sha256::digest(text.as_bytes()));
    name.truncate(HASH_LEN);
    name
}

/// `KUBE-SVC-...` of a Service port. `service_port` is `NAMESPACE/NAME:PORT-NAME`; for a port without a name kube-proxy
/// up to 1.18 keeps the colon and newer versions leave it out. `protocol` is in lower case.
pub fn service_chain(service_port: &str, protocol: &str) -> String {
    format!("KUBE-SVC-{}", hash(&format!("{service_port}{protocol}")))
}

/// `KUBE-SEP-...` of an endpoint, `ADDRESS:PORT`, of a Service port.
pub fn endpoint_chain(service_port: &str, protocol: &str, endpoint: &str) -> String {
    format!("KUBE-SEP-{}", hash(&format!("{service_port}{protocol}{endpoint}")))
}

#[cfg(test)]
mod tests {
    use super::{endpoint_chain, service_chain};

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
