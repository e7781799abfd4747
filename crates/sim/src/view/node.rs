//! How a node is set up, as the tools print it, and what differs between two runs.

use kernel::netfilter::ipvs::Vs;
use kernel::netfilter::xtables::TableId;
use kernel::{Instant, Netns};
use similar::{Algorithm, DiffTag, capture_diff_slices};
use userland::ipset::save_set;
use userland::ipvsadm::print_save;

use super::rules::rule_lines;
use crate::World;
use crate::operator::brief_addresses;

/// What a command prints on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The command.
    pub command: &'static str,
    /// What it prints, line by line.
    pub lines: Vec<String>,
}

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// It is in both.
    Same(String),
    /// It was there before.
    Gone(String),
    /// It is there now.
    New(String),
}

impl DiffLine {
    /// As `diff -u` prints it.
    pub fn text(&self) -> String {
        match self {
            DiffLine::Same(line) => format!(" {line}"),
            DiffLine::Gone(line) => format!("-{line}"),
            DiffLine::New(line) => format!("+{line}"),
        }
    }
}

/// What differs in the listing of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The command.
    pub command: &'static str,
    /// The lines that differ, each under the name of what it is in (`*nat`) if that has one.
    pub lines: Vec<DiffLine>,
}

/// A kernel module and whether it is loaded. Those that never change anything here are not listed.
pub fn modules(ns: &Netns) -> [(&'static str, bool); 4] {
    [
        ("br_netfilter", ns.modules.br_netfilter),
        ("nf_conntrack_tftp", ns.modules.nf_conntrack_tftp),
        ("nf_nat_tftp", ns.modules.nf_nat_tftp),
        ("ip_vs", ns.modules.ip_vs),
    ]
}

/// The settings that decide what happens to a packet, as `sysctl` prints them.
pub fn settings(ns: &Netns) -> Vec<String> {
    let line = |name: &str, value: i64| format!("{name} = {value}");
    let mut out = vec![
        line("net.ipv4.ip_forward", ns.sysctl.all.forwarding),
        line("net.ipv4.conf.all.rp_filter", ns.sysctl.all.rp_filter),
    ];
    if ns.modules.br_netfilter {
        out.push(line("net.bridge.bridge-nf-call-iptables", ns.sysctl.bridge_nf_call_iptables));
    }
    if ns.era().helper_sysctl().is_some() {
        out.push(line("net.netfilter.nf_conntrack_helper", i64::from(ns.ct.auto_helper)));
    }
    if !ns.ipvs.services().is_empty() {
        out.push(line("net.ipv4.vs.conntrack", ns.ipvs.vs(Vs::Conntrack)));
    }
    out
}

/// Settings that the page lists, if the box has them.
const SETTINGS: &[&str] = &[
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.all.accept_local",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.proxy_arp",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.conf.all.src_valid_mark",
    "net.ipv4.conf.all.log_martians",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.ipfrag_time",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.vs.conntrack",
    "net.ipv4.vs.conn_reuse_mode",
    "net.ipv4.vs.expire_nodest_conn",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_helper",
    "net.netfilter.nf_conntrack_acct",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
    "net.netfilter.nf_conntrack_udp_timeout",
    "net.netfilter.nf_conntrack_udp_timeout_stream",
    "net.netfilter.nf_conntrack_icmp_timeout",
];

/// A copy of a box, on which something may be tried. It is long code, and stands here once.
#[inline(never)]
pub fn copy(ns: &Netns) -> Netns {
    ns.clone()
}

/// The value of a setting, if the box has it.
pub fn sysctl(ns: &Netns, name: &str) -> Option<i64> {
    copy(ns).sysctl_get(name).ok()
}

/// The names of settings that a box has, of those that decide what happens to a packet; and which of them differ from what they are
/// in a box that nobody has touched.
pub fn sysctls(ns: &Netns) -> Vec<(&'static str, bool)> {
    let mut here = copy(ns);
    let mut fresh = Netns::new(ns.id, "");
    fresh.modules = ns.modules;
    let known = SETTINGS.iter().filter_map(|name| {
        let value = here.sysctl_get(name).ok()?;
        Some((*name, fresh.sysctl_get(name).is_ok_and(|default| default != value)))
    });
    known.collect()
}

/// Everything that is set up on a node.
pub fn listings(world: &World, ns: &Netns) -> Vec<Listing> {
    let hairpin = ns.devices().iter().filter(|d| d.master.is_some());
    let hairpin = hairpin
        .map(|d| format!("/sys/class/net/{}/brport/hairpin_mode:{}", d.name, u8::from(d.port.hairpin)))
        .collect();
    let loaded = modules(ns).into_iter().filter(|(_, loaded)| *loaded);
    let sets = ns.ipsets.iter().flat_map(|s| save_set(s, false, ns.era(), Instant(0)));
    let rules = rule_lines(ns).into_iter().map(|l| l.text);
    let listing = |command, lines| Listing { command, lines };
    vec![
        listing("uname -r", vec![ns.era().name().to_owned()]),
        listing("lsmod", loaded.map(|(name, _)| name.to_owned()).collect()),
        listing("sysctl", settings(ns)),
        listing("grep . /sys/class/net/*/brport/hairpin_mode", hairpin),
        listing("ip -br -4 addr", brief_addresses(world, ns)),
        listing("ipset save", sets.collect()),
        listing("ipvsadm -Sn", print_save(&ns.ipvs, true).lines().map(str::to_owned).collect()),
        listing("iptables-save", rules.collect()),
    ]
}

/// What differs on a node between two runs; empty if nothing does.
pub fn changes(before: (&World, &Netns), after: (&World, &Netns)) -> Vec<Change> {
    let old = listings(before.0, before.1);
    let new = listings(after.0, after.1);
    let all =
        old.into_iter().zip(new).map(|(a, b)| Change { command: b.command, lines: diff(&a.lines, &b.lines) });
    all.filter(|c| !c.lines.is_empty()).collect()
}

/// True for a line that says what the next ones are in.
fn is_heading(line: &str) -> bool {
    line.starts_with('*')
}

/// The lines that differ, each under its heading.
fn diff(old: &[String], new: &[String]) -> Vec<DiffLine> {
    let mut out = Vec::new();
    let mut heading: Option<&String> = None;
    let mut say = |line: DiffLine, heading: &mut Option<&String>| {
        if let Some(h) = heading.take() {
            out.push(DiffLine::Same(h.clone()));
        }
        out.push(line);
    };
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        let (tag, gone, come) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            let same = old.get(gone).unwrap_or_default();
            heading = same.iter().rev().find(|l| is_heading(l)).or(heading);
            continue;
        }
        for line in old.get(gone).unwrap_or_default() {
            say(DiffLine::Gone(line.clone()), &mut heading);
        }
        for line in new.get(come).unwrap_or_default() {
            if is_heading(line) {
                heading = None;
            }
            say(DiffLine::New(line.clone()), &mut heading);
        }
    }
    out
}

fn rule_count(ns: &Netns, table: TableId) -> usize {
    ns.table(table).map_or(0, |t| t.rules.chains.iter().map(|c| c.rules.len()).sum())
}

/// What a node has of everything, in a few words each: kernel, modules, rules, sets, virtual servers.
pub fn badges(ns: &Netns) -> Vec<String> {
    let mut out = vec![format!("Linux {}", ns.era().name())];
    out.extend(modules(ns).into_iter().filter(|(_, loaded)| *loaded).map(|(name, _)| name.to_owned()));
    let counts = [
        ("rule", TableId::ALL.into_iter().map(|t| rule_count(ns, t)).sum()),
        ("set", ns.ipsets.iter().count()),
        ("virtual server", ns.ipvs.services().len()),
    ];
    let many = |(name, n): (&str, usize)| format!("{n} {name}{}", if n == 1 { "" } else { "s" });
    out.extend(counts.into_iter().filter(|(_, n)| *n > 0).map(many));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn texts(old: &str, new: &str) -> Vec<String> {
        diff(&lines(old), &lines(new)).iter().map(DiffLine::text).collect()
    }

    #[test]
    fn what_differs_stands_under_its_table() {
        let old = "*filter\n-A a\nCOMMIT\n*nat\n-A b\n-A c\nCOMMIT";
        let new = "*filter\n-A a\nCOMMIT\n*nat\n-A b\n-A d\nCOMMIT";
        assert_eq!(texts(old, new), [" *nat", "--A c", "+-A d"]);
    }

    #[test]
    fn a_table_is_named_once() {
        let old = "*nat\n-A a\n-A b\n-A c";
        let new = "*nat\n-A x\n-A a\n-A b\n-A y\n-A c";
        assert_eq!(texts(old, new), [" *nat", "+-A x", "+-A y"]);
    }

    #[test]
    fn a_new_table_is_its_own_heading() {
        assert_eq!(texts("*nat\n-A a", "*nat\n-A a\n*raw\n-A b"), ["+*raw", "+-A b"]);
        assert_eq!(texts("", "lo"), ["+lo"]);
    }

    #[test]
    fn what_is_the_same_is_left_out() {
        assert_eq!(texts("*nat\n-A a", "*nat\n-A a"), Vec::<String>::new());
    }
}
