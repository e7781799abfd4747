//! The text of match extensions, one file each.

mod addrtype;
mod comment;
mod connmark;
mod conntrack;
mod helper;
mod icmp;
mod icmp6;
mod iprange;
mod ipvs;
mod length;
mod limit;
mod mac;
pub(super) mod mark;
pub(super) mod multiport;
mod nfacct;
mod owner;
pub(super) mod physdev;
mod pkttype;
mod recent;
mod rpfilter;
mod sctp;
pub(super) mod set;
mod state;
mod statistic;
mod tcp;
mod tcpmss;
mod ttl;
mod udp;

pub(super) use nfacct::missing as missing_nfacct;
pub(super) use set::missing as missing_set;

use super::family::has_match;
use super::list::Names;
use super::text::{Given, Opt, Save, Seen, Text};
use crate::diagnostic::Fault;
use kernel::PktType;
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::PortRange;
use kernel::netfilter::xtables::matches::{
    Addrtype, ConnmarkMatch, CtStates, HelperMatch, Icmp6Match, IcmpMatch, Iprange, IpvsMatch, LengthMatch,
    MacMatch, MarkMatch, Match, Multiport, NfacctMatch, Owner, PkttypeMatch, PortSide, Rpfilter, Statistic,
    StatisticMode, TcpMatch, Tcpmss, TtlMatch, UdpMatch,
};
use packet::{Family, Mac};

/// The matches that are modelled.
pub(super) const KNOWN: &[&str] = &[
    "addrtype",
    "comment",
    "connmark",
    "conntrack",
    "helper",
    "icmp",
    "icmp6",
    "iprange",
    "ipvs",
    "length",
    "limit",
    "mac",
    "mark",
    "multiport",
    "nfacct",
    "owner",
    "physdev",
    "pkttype",
    "recent",
    "rpfilter",
    "sctp",
    "set",
    "state",
    "statistic",
    "tcp",
    "tcpmss",
    "ttl",
    "udp",
];

/// Matches of iptables that are not modelled.
pub(super) const NOT_MODELLED: &[&str] = &[
    "ah",
    "bpf",
    "cgroup",
    "cluster",
    "connbytes",
    "connlabel",
    "connlimit",
    "cpu",
    "dccp",
    "devgroup",
    "dscp",
    "ecn",
    "esp",
    "hashlimit",
    "ipcomp",
    "osf",
    "policy",
    "quota",
    "rateest",
    "realm",
    "socket",
    "standard",
    "string",
    "time",
    "tos",
    "u32",
    "unclean",
];

/// A match of that name before its options are read. Values that have no default are overwritten, as their option
/// must be given.
pub(super) fn new(family: Family, name: &str) -> Option<Match> {
    if !has_match(family, name) {
        return None;
    }
    Some(match name {
        "addrtype" => Match::Addrtype(Addrtype::default()),
        "comment" => Match::Comment(String::new()),
        "connmark" => Match::Connmark(ConnmarkMatch { mark: Neg::plain((0, 0)) }),
        "conntrack" => Match::Conntrack(Box::default()),
        "helper" => Match::Helper(HelperMatch { name: Neg::plain(String::new()) }),
        "icmp" => Match::Icmp(IcmpMatch { kind: Neg::plain(icmp::ANY) }),
        "icmp6" => Match::Icmp6(Icmp6Match { kind: Neg::plain((0, 0, 0)) }),
        "iprange" => Match::Iprange(Iprange::default()),
        "ipvs" => Match::Ipvs(IpvsMatch::default()),
        "length" => Match::Length(LengthMatch { range: Neg::plain((0, 0)) }),
        "limit" => Match::Limit(limit::new()),
        "mac" => Match::Mac(MacMatch { source: Neg::plain(Mac::ZERO) }),
        "mark" => Match::Mark(MarkMatch { mark: Neg::plain((0, 0)) }),
        "multiport" => {
            Match::Multiport(Multiport { side: PortSide::Either, ports: Neg::plain(Vec::<PortRange>::new()) })
        }
        "nfacct" => Match::Nfacct(NfacctMatch { name: String::new() }),
        "owner" => Match::Owner(Owner::default()),
        "physdev" => Match::Physdev(Box::default()),
        "pkttype" => Match::Pkttype(PkttypeMatch { kind: Neg::plain(PktType::Host) }),
        "recent" => Match::Recent(recent::new(family)),
        "rpfilter" => Match::Rpfilter(Rpfilter::default()),
        "sctp" => Match::Sctp(Box::default()),
        "set" => Match::Set(Box::default()),
        "state" => Match::State(Neg::plain(CtStates::default())),
        "statistic" => Match::Statistic(Statistic { mode: StatisticMode::Random(0), not: false }),
        "tcp" => Match::Tcp(TcpMatch::default()),
        "tcpmss" => Match::Tcpmss(Tcpmss { mss: Neg::plain((0, 0)) }),
        "ttl" => Match::Ttl(TtlMatch::Equal(0)),
        "udp" => Match::Udp(UdpMatch::default()),
        _ => return None,
    })
}

/// Runs the same expression for whichever match it is.
macro_rules! each {
    ($m:expr, $o:ident => $body:expr) => {
        match $m {
            Match::Comment($o) => $body,
            Match::Tcp($o) => $body,
            Match::Udp($o) => $body,
            Match::Sctp($o) => $body,
            Match::Icmp($o) => $body,
            Match::Icmp6($o) => $body,
            Match::Multiport($o) => $body,
            Match::Mark($o) => $body,
            Match::Conntrack($o) => $body,
            Match::State($o) => $body,
            Match::Addrtype($o) => $body,
            Match::Statistic($o) => $body,
            Match::Physdev($o) => $body,
            Match::Recent($o) => $body,
            Match::Set($o) => $body,
            Match::Connmark($o) => $body,
            Match::Ttl($o) => $body,
            Match::Length($o) => $body,
            Match::Helper($o) => $body,
            Match::Iprange($o) => $body,
            Match::Ipvs($o) => $body,
            Match::Limit($o) => $body,
            Match::Mac($o) => $body,
            Match::Nfacct($o) => $body,
            Match::Owner($o) => $body,
            Match::Pkttype($o) => $body,
            Match::Rpfilter($o) => $body,
            Match::Tcpmss($o) => $body,
        }
    };
}

fn options_of<T: Text>(_: &T) -> &'static [Opt] {
    T::OPTIONS
}

fn twice_of<T: Text>(_: &T, ext: &str, name: &str) -> String {
    T::twice(ext, name)
}

/// The options of a match.
pub(super) fn options(m: &Match) -> &'static [Opt] {
    each!(m, o => options_of(o))
}

/// Takes one option.
pub(super) fn set(m: &mut Match, given: &Given<'_>) -> Result<(), Fault> {
    each!(m, o => o.set(given))
}

/// Checks the match after its last option.
pub(super) fn finish(m: &Match, seen: &Seen) -> Result<(), Fault> {
    each!(m, o => o.finish(seen))
}

/// What iptables says about an option given twice.
pub(super) fn twice(m: &Match, name: &str) -> String {
    each!(m, o => twice_of(o, m.name(), name))
}

/// Its options as `-S` prints them.
pub(super) fn save(m: &Match) -> Save {
    let mut out = Save::default();
    each!(m, o => o.save(&mut out));
    out
}

/// Its options as `-L` prints them.
pub(super) fn list(m: &Match, names: &Names, out: &mut String) {
    each!(m, o => o.list(names, out));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_match_can_be_made_and_bears_its_name() {
        for name in KNOWN {
            let families = [Family::V4, Family::V6];
            let made: Vec<_> = families.iter().filter_map(|f| new(*f, name)).map(|m| m.name()).collect();
            assert!(!made.is_empty() && made.iter().all(|n| n == name), "{name}");
        }
    }

    #[test]
    fn known_and_not_modelled_are_sorted_and_disjoint() {
        assert!(KNOWN.is_sorted() && NOT_MODELLED.is_sorted());
        assert!(KNOWN.iter().all(|k| !NOT_MODELLED.contains(k)));
    }
}
