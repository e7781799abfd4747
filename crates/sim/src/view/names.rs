//! What the words of a line that a tool prints stand for: addresses, ports, chains, sets, devices.

use kernel::Netns;
use kernel::netfilter::xtables::TableId;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// What a word names. The same word in the same role means the same thing wherever it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An IPv4 address, without a mask.
    Addr,
    /// A port.
    Port,
    /// A chain of iptables or nft.
    Chain,
    /// A set or map of ipset or nft.
    Set,
    /// A network device.
    Dev,
}

impl Role {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Role::Addr => "address",
            Role::Port => "port",
            Role::Chain => "chain",
            Role::Set => "set",
            Role::Dev => "interface",
        }
    }
}

/// A piece of a line; the pieces of a line in a row are the line.
pub type Piece<'a> = (&'a str, Option<Role>);

/// The names of a box, which a line alone does not tell from other words.
#[derive(Clone, Debug, Default)]
pub struct Names {
    chains: Vec<Rc<str>>,
    sets: Vec<String>,
    devices: Vec<String>,
}

impl Names {
    /// Those of a box. Built-in chains are left out, as iptables prints some of their names as other things.
    pub fn of(ns: &Netns) -> Names {
        let tables = TableId::ALL.into_iter().filter_map(|t| ns.table(t));
        let chains = tables.flat_map(|t| t.rules.chains.iter().filter(|c| c.base.is_none()));
        let mut chains: Vec<Rc<str>> = chains.map(|c| Rc::clone(&c.name)).collect();
        sorted::sort(&mut chains);
        Names {
            chains,
            sets: ns.ipsets.iter().map(|s| s.name.clone()).collect(),
            devices: ns.devices().iter().map(|d| d.name.clone()).collect(),
        }
    }

    /// Only devices: of several boxes.
    pub fn devices(devices: Vec<String>) -> Names {
        Names { devices, ..Names::default() }
    }

    /// Cuts a line into pieces.
    pub fn pieces<'a>(&self, line: &'a str) -> Vec<Piece<'a>> {
        let mut out = Pieces { line, done: 0, list: Vec::new() };
        // The word before, and the character between them.
        let (mut before, mut at) = ("", 0);
        while at < line.len() {
            let rest = line.get(at..).unwrap_or_default();
            let len = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            if len == 0 {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            }
            let word = rest.get(..len).unwrap_or_default();
            self.word(&mut out, at, word, before);
            before = word;
            at += len;
        }
        out.finish()
    }

    fn word(&self, out: &mut Pieces<'_>, at: usize, word: &str, before: &str) {
        // `dpt:53`, `to:10.0.0.1:80` of `iptables -L`, and `:CHAIN` of iptables-save
        let (prefix, inner) = match word.split_once(':') {
            Some((p @ ("dpt" | "spt" | "dpts" | "spts" | "to" | ""), inner)) => (p, inner),
            _ => ("", word),
        };
        let at = at + (word.len() - inner.len());
        let before = if word.len() == inner.len() { before } else { prefix };
        let inner = inner.trim_end_matches([':', '.']);
        if let Some((addr, port)) = addr_and_port(inner) {
            if addr != "0.0.0.0" {
                out.put(at, addr.len(), Role::Addr);
            }
            if let Some(port) = port {
                out.put(at + inner.len() - port.len(), port.len(), Role::Port);
            }
            return;
        }
        if is_port_word(before) && inner.split(':').all(is_number) {
            let mut from = at;
            for port in inner.split(':') {
                out.put(from, port.len(), Role::Port);
                from += port.len() + 1;
            }
            return;
        }
        let known = |list: &[String]| list.iter().any(|n| n == inner);
        let role = match before {
            "-A" | "-N" | "-P" | "jump" | "goto" | "chain" | "Chain" => Some(Role::Chain),
            "--match-set" | "--add-set" | "--del-set" => Some(Role::Set),
            // In a statement they are no names of sets: `meta mark set mark or 0x4000`.
            "set" | "map" if out.line.trim_start().starts_with(before) => Some(Role::Set),
            _ if word.starts_with(':') => Some(Role::Chain),
            _ if at.checked_sub(1).and_then(|i| out.line.as_bytes().get(i)) == Some(&b'@')
                && matches!(
                    before,
                    "vmap" | "map" | "daddr" | "saddr" | "dport" | "sport" | "iifname" | "oifname"
                ) =>
            {
                Some(Role::Set)
            }
            _ if known(&self.devices) => Some(Role::Dev),
            _ if known(&self.sets) => Some(Role::Set),
            _ if self.chains.binary_search_by(|c| (**c).cmp(inner)).is_ok() => Some(Role::Chain),
            _ => None,
        };
        // nft's `set` and `map` are also words of statements: a name begins with a letter.
        let named = inner.starts_with(|c: char| c.is_ascii_alphabetic());
        if let Some(role) = role.filter(|_| named) {
            out.put(at, inner.len(), role);
        }
    }
}

struct Pieces<'a> {
    line: &'a str,
    done: usize,
    list: Vec<Piece<'a>>,
}

impl<'a> Pieces<'a> {
    fn put(&mut self, at: usize, len: usize, role: Role) {
        if at > self.done {
            self.list.extend(self.line.get(self.done..at).map(|t| (t, None)));
        }
        self.list.extend(self.line.get(at..at + len).map(|t| (t, Some(role))));
        self.done = at + len;
    }

    fn finish(mut self) -> Vec<Piece<'a>> {
        let rest = self.line.get(self.done..).filter(|t| !t.is_empty());
        self.list.extend(rest.map(|t| (t, None)));
        self.list
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+' | '~')
}

fn is_number(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// What stands before a port.
fn is_port_word(word: &str) -> bool {
    matches!(
        word.trim_start_matches('-'),
        "sport" | "dport" | "sports" | "dports" | "to-ports" | "port" | "dpt" | "spt" | "dpts" | "spts"
    )
}

/// `10.0.0.1`, `10.0.0.1:80`, and `10.0.0.1.80` of tcpdump.
fn addr_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let (addr, port) = match text.split_once(':') {
        Some((addr, port)) => (addr, Some(port)),
        None => match text.match_indices('.').nth(3) {
            Some((dot, _)) => (text.get(..dot)?, text.get(dot + 1..)),
            None => (text, None),
        },
    };
    if addr.parse::<Ipv4Addr>().is_err() || !port.is_none_or(|p| p.split('-').all(is_number)) {
        return None;
    }
    // A range of ports is none.
    Some((addr, port.filter(|p| is_number(p))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            chains: vec!["KUBE-SERVICES".into(), "KUBE-SVC-A".into()],
            sets: vec!["KUBE-CLUSTER-IP".to_owned()],
            devices: vec!["cni0".to_owned(), "eth0".to_owned()],
        }
    }

    /// The names in a line, after a check that nothing of the line is lost.
    fn named(line: &str) -> String {
        let names = names();
        let pieces = names.pieces(line);
        let whole: String = pieces.iter().map(|(t, _)| *t).collect();
        assert_eq!(whole, line);
        let found = pieces.iter().filter_map(|(t, r)| Some(format!("{} {t}", r.as_ref()?.name())));
        found.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn iptables_save() {
        let line = "-A KUBE-SERVICES -d 10.96.0.10/32 -i eth0 -p udp -m udp --dport 53 -j KUBE-SVC-A";
        let is = "chain KUBE-SERVICES, address 10.96.0.10, interface eth0, port 53, chain KUBE-SVC-A";
        assert_eq!(named(line), is);
        assert_eq!(named(":PREROUTING ACCEPT [0:0]"), "chain PREROUTING");
        assert_eq!(
            named("-A PREROUTING -j DNAT --to-destination 10.244.1.2:8080"),
            "chain PREROUTING, address 10.244.1.2, port 8080"
        );
        assert_eq!(named("-m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT"), "set KUBE-CLUSTER-IP");
    }

    #[test]
    fn iptables_list() {
        let line = "1        0     0 KUBE-SVC-A  6    --  *      cni0    0.0.0.0/0            10.96.0.1            tcp dpt:443 to:10.0.0.1:80";
        let is = "chain KUBE-SVC-A, interface cni0, address 10.96.0.1, port 443, address 10.0.0.1, port 80";
        assert_eq!(named(line), is);
        assert_eq!(named("Chain KUBE-SVC-A (1 references)"), "chain KUBE-SVC-A");
    }

    #[test]
    fn conntrack() {
        let line = "tcp      6 119 SYN_SENT src=10.244.1.5 dst=10.96.0.10 sport=41234 dport=80 [UNREPLIED] mark=0 use=1";
        assert_eq!(named(line), "address 10.244.1.5, address 10.96.0.10, port 41234, port 80");
    }

    #[test]
    fn tcpdump() {
        let line =
            "12:00:00.000123 eth0  Out IP 10.244.1.5.41234 > 10.96.0.10.80: Flags [S], seq 100, length 0";
        assert_eq!(
            named(line),
            "interface eth0, address 10.244.1.5, port 41234, address 10.96.0.10, port 80"
        );
    }

    #[test]
    fn ip_and_bridge() {
        assert_eq!(
            named("10.244.2.0/24 via 192.168.0.3 dev eth0"),
            "address 10.244.2.0, address 192.168.0.3, interface eth0"
        );
        assert_eq!(named("2: eth0@if3: <UP> mtu 1500 master cni0"), "interface eth0, interface cni0");
    }

    #[test]
    fn ipvs_and_sets() {
        assert_eq!(named("TCP  10.96.0.10:80 rr"), "address 10.96.0.10, port 80");
        assert_eq!(named("Name: KUBE-CLUSTER-IP"), "set KUBE-CLUSTER-IP");
        assert_eq!(named("10.96.0.10,tcp:53"), "address 10.96.0.10");
    }

    #[test]
    fn nft() {
        let line = "ip daddr . meta l4proto . th dport vmap @service-ips";
        assert_eq!(named(line), "set service-ips");
        assert_eq!(
            named("\t\tip daddr 10.96.0.1 tcp dport 443 jump services"),
            "address 10.96.0.1, port 443, chain services"
        );
        assert_eq!(named("meta mark set mark or 0x4000"), "");
    }
}
