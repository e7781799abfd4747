//! The names of kube-proxy's chains (pkg/proxy/iptables/proxier.go, `portProtoHash`, `servicePortEndpointChainName`;
//! pkg/proxy/nftables/proxier.go, `hashAndTruncate`).

use core::ops::Deref;
use sha2::{Digest, Sha256};

/// The first 16 characters of a SHA-256 in base32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash([u8; 16]);

impl Hash {
    /// Of the parts, one after the other.
    // By hand: the general encoder of data-encoding would add 1.4 kB gzip to the page.
    pub(crate) fn of(parts: &[&str]) -> Hash {
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut sha = Sha256::new();
        for part in parts {
            sha.update(part.as_bytes());
        }
        let bits = sha.finalize().iter().take(10).fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut text = [0; 16];
        for (place, out) in text.iter_mut().rev().enumerate() {
            // Five bits each, the last character has the lowest.
            *out = DIGITS[(bits >> (5 * place) & 31) as usize];
        }
        Hash(text)
    }

    /// The characters.
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}

/// Which of the chains that a Service port or an endpoint has in table nat, in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// KUBE-EXT: traffic from outside.
    Ext,
    /// KUBE-FW: traffic to a load balancer with source ranges.
    Fw,
    /// KUBE-SEP: an endpoint.
    Sep,
    /// KUBE-SVC: any endpoint.
    Svc,
    /// KUBE-SVL: endpoints of this node.
    Svl,
    /// KUBE-XLB: what KUBE-EXT and KUBE-SVL were before 1.24.
    Xlb,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Kind::Ext => "KUBE-EXT-",
            Kind::Fw => "KUBE-FW-",
            Kind::Sep => "KUBE-SEP-",
            Kind::Svc => "KUBE-SVC-",
            Kind::Svl => "KUBE-SVL-",
            Kind::Xlb => "KUBE-XLB-",
        }
    }
}

/// Chains of nat that belong to a Service or an endpoint, and go when nothing needs them any more.
pub(super) fn is_service_chain(name: &str) -> bool {
    [Kind::Ext, Kind::Fw, Kind::Sep, Kind::Svc, Kind::Svl, Kind::Xlb]
        .iter()
        .any(|kind| name.starts_with(kind.prefix()))
}

/// A chain's name. There are hundreds of thousands in a large cluster: it has its text within itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChainName {
    text: [u8; ChainName::LONGEST],
    length: u8,
}

impl ChainName {
    const LONGEST: usize = 25;

    /// The chain of a kind whose name ends in a hash.
    pub fn new(kind: Kind, hash: &Hash) -> ChainName {
        let prefix = kind.prefix().as_bytes();
        let mut text = [0; ChainName::LONGEST];
        let end = prefix.len() + hash.0.len();
        for (out, byte) in text.iter_mut().zip(prefix.iter().chain(&hash.0)) {
            *out = *byte;
        }
        ChainName { text, length: end as u8 }
    }
}

impl Deref for ChainName {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.text.get(..usize::from(self.length)).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

impl core::fmt::Display for ChainName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self)
    }
}

/// What the names of a Service port's chains end in.
pub(super) fn service_hash(service_port: &str, protocol: &str) -> Hash {
    Hash::of(&[service_port, protocol])
}

/// The chain of an endpoint, `ADDRESS:PORT`, of a Service port.
pub(super) fn sep(service_port: &str, protocol: &str, endpoint: &str) -> ChainName {
    ChainName::new(Kind::Sep, &Hash::of(&[service_port, protocol, endpoint]))
}

/// `KUBE-SVC-...` of a Service port. `service_port` is `NAMESPACE/NAME:PORT-NAME`; for a port without a name kube-proxy
/// up to 1.18 keeps the colon and newer versions leave it out. `protocol` is in lower case.
pub fn service_chain(service_port: &str, protocol: &str) -> String {
    ChainName::new(Kind::Svc, &service_hash(service_port, protocol)).to_string()
}

/// `KUBE-SEP-...` of an endpoint, `ADDRESS:PORT`, of a Service port.
pub fn endpoint_chain(service_port: &str, protocol: &str, endpoint: &str) -> String {
    sep(service_port, protocol, endpoint).to_string()
}

/// The longest name that leaves room for what stands before it: names of nf_tables have 256 characters at most.
const NFT_NAME_LENGTH: usize = 240;

/// What a name ends in, in mode nftables: half a hash of it, and itself, cut if it is too long.
pub(super) fn nft_name(name: &str) -> String {
    const DOTS: &str = "...";
    let hash = Hash::of(&[name]);
    let mut out = String::with_capacity(name.len() + 12);
    out.push_str(hash.text().get(..8).unwrap_or(""));
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
