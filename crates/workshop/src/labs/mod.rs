//! The labs that come with the program. Each is a text; docs/LABS.md describes it.

use crate::bare::bare;
use crate::lab::{Lab, read_lab};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// Names and texts, in the order in which they are offered.
pub const TEXTS: [(&str, &str); 15] = [
    ("same-node-clusterip", bare!("same-node-clusterip.yaml")),
    ("tftp-ipvs", bare!("tftp-ipvs.yaml")),
    ("service-iptables", bare!("service-iptables.yaml")),
    ("hooks-and-chains", bare!("hooks-and-chains.yaml")),
    ("dns-race", bare!("dns-race.yaml")),
    ("invalid-rst", bare!("invalid-rst.yaml")),
    ("snat-port-race", bare!("snat-port-race.yaml")),
    ("etp-local", bare!("etp-local.yaml")),
    ("stale-udp", bare!("stale-udp.yaml")),
    ("ipvs-rollout", bare!("ipvs-rollout.yaml")),
    ("localhost-nodeport", bare!("localhost-nodeport.yaml")),
    ("nodelocal-dns", bare!("nodelocal-dns.yaml")),
    ("rp-filter", bare!("rp-filter.yaml")),
    ("mtu-black-hole", bare!("mtu-black-hole.yaml")),
    ("cost-of-services", bare!("cost-of-services.yaml")),
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
    let mut lab = read_lab(bare!("many-rules.yaml")).ok()?;
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
