//! The labs that come with the program. Each is a text; docs/LABS.md describes it.

use crate::lab::{Lab, read_lab};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// Names and texts, in the order in which they are offered.
pub const TEXTS: [(&str, &str); 15] = [
    ("same-node-clusterip", include_str!("same-node-clusterip.yaml")),
    ("tftp-ipvs", include_str!("tftp-ipvs.yaml")),
    ("service-iptables", include_str!("service-iptables.yaml")),
    ("hooks-and-chains", include_str!("hooks-and-chains.yaml")),
    ("dns-race", include_str!("dns-race.yaml")),
    ("invalid-rst", include_str!("invalid-rst.yaml")),
    ("snat-port-race", include_str!("snat-port-race.yaml")),
    ("etp-local", include_str!("etp-local.yaml")),
    ("stale-udp", include_str!("stale-udp.yaml")),
    ("ipvs-rollout", include_str!("ipvs-rollout.yaml")),
    ("localhost-nodeport", include_str!("localhost-nodeport.yaml")),
    ("nodelocal-dns", include_str!("nodelocal-dns.yaml")),
    ("rp-filter", include_str!("rp-filter.yaml")),
    ("mtu-black-hole", include_str!("mtu-black-hole.yaml")),
    ("cost-of-services", include_str!("cost-of-services.yaml")),
];

/// Names and titles, in the order in which the labs are offered. No lab is read for it but its line `title:`, a plain word of YAML;
/// a test holds it against the labs.
pub fn lab_titles() -> impl Iterator<Item = (&'static str, &'static str)> {
    let title =
        |text: &'static str| text.lines().find_map(|line| line.strip_prefix("title: ")).map(str::trim);
    TEXTS.iter().filter_map(move |(name, text)| Some((*name, title(text)?)))
}

/// All labs, in the order in which they are offered. One whose text is wrong is left out; a test reads them all.
pub fn labs() -> Vec<Lab> {
    TEXTS.iter().filter_map(|(_, text)| read_lab(text).ok()).collect()
}

/// A scene for measuring: as many rules as there are in a large cluster. It is not offered.
const MANY_RULES: &str = "many-rules";

/// So many.
const MANY: u32 = 100_000;

fn many_rules() -> Option<Lab> {
    let mut lab = read_lab(include_str!("many-rules.yaml")).ok()?;
    let mut text = String::from("*filter\n");
    for chain in 0..MANY / 1000 {
        let _ = writeln!(text, ":LIST-{chain:03} - [0:0]");
    }
    for n in 0..MANY {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 128, 0, 0).to_bits() + n);
        let _ = writeln!(text, "-A LIST-{:03} -d {ip}/32 -p tcp -m tcp --dport 80 -j ACCEPT", n / 1000);
    }
    text.push_str("COMMIT\n");
    lab.setup.iter_mut().for_each(|c| c.stdin = Some(text.clone()));
    Some(lab)
}

/// The lab of that name.
pub fn lab(name: &str) -> Option<Lab> {
    if name == MANY_RULES {
        return many_rules();
    }
    let (_, text) = TEXTS.iter().find(|(known, _)| *known == name)?;
    read_lab(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_those_of_the_labs() {
        let labs = labs();
        assert_eq!(labs.len(), TEXTS.len());
        let read: Vec<_> = labs.iter().map(|lab| (lab.name.as_str(), lab.title.as_str())).collect();
        assert_eq!(lab_titles().collect::<Vec<_>>(), read);
    }
}
