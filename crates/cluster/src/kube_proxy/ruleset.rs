//! What the tools make of kube-proxy's text: rules by chain, elements by set, real servers by virtual server; and what
//! differs between two such states.
//!
//! It is the text that is kept, word for word. What the kernel makes of the rules is not looked at.

use super::{Family, IpvsText, SyncText};
use similar::{Algorithm, ChangeTag, capture_diff_slices};
use sorted::Map;

/// Everything that kube-proxy's text has made in one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The lines of each place, in their order: the rules of a chain (`nat KUBE-SERVICES`), the elements of a set.
    places: Map<String, Vec<String>>,
}

/// What differs in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceDiff {
    /// Table and chain, or the set, the virtual server or the device.
    pub place: String,
    /// What became of the place itself.
    pub fate: Fate,
    /// All its lines, before and after.
    pub lines: Vec<(Fate, String)>,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is as it was.
    Kept,
}

impl PlaceDiff {
    /// How many lines have this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.lines.iter().filter(|(f, _)| *f == fate).count()
    }

    /// Nothing differs.
    pub fn is_same(&self) -> bool {
        self.fate == Fate::Kept && self.count(Fate::Kept) == self.lines.len()
    }
}

impl Ruleset {
    /// The places and their lines.
    pub fn places(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.places.iter().map(|(place, lines)| (place.as_str(), lines.as_slice()))
    }

    /// Takes the text of a sync.
    pub fn apply(&mut self, text: &SyncText) {
        match text {
            SyncText::Iptables(text) => self.restore(text),
            SyncText::Nftables(text) => self.nft(text),
            SyncText::Ipvs(IpvsText { iptables, ipset, virtual_servers, dummy_addresses }) => {
                self.restore(iptables);
                self.ipset(ipset);
                self.ipvsadm(virtual_servers);
                self.places.entry("kube-ipvs0".to_owned()).or_default();
                for line in dummy_addresses.lines().filter(|l| !l.is_empty()) {
                    let (word, ip) = line.split_once(' ').unwrap_or(("add", line));
                    self.add_or_remove("kube-ipvs0", word != "del", ip);
                }
            }
        }
    }

    /// `iptables-restore --noflush`: a chain line makes or empties a chain.
    pub fn restore(&mut self, text: &str) {
        let mut table = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or(chain);
                self.places.insert(format!("{table} {name}"), Vec::new());
            } else if let Some((word, rest)) = line.split_once(' ') {
                let (chain, rule) = rest.split_once(' ').unwrap_or((rest, ""));
                let place = format!("{table} {chain}");
                match word {
                    "-A" => self.places.entry(place).or_default().push(rule.to_owned()),
                    "-I" => self.places.entry(place).or_default().insert(0, rule.to_owned()),
                    "-X" => drop(self.places.remove(&place)),
                    _ => {}
                }
            }
        }
    }

    /// `nft -f`, as far as kube-proxy's transactions and the text of its table go.
    pub fn nft(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.splitn(6, ' ');
            let mut word = || words.next().unwrap_or("");
            let (verb, what, _, _, name, rest) = (word(), word(), word(), word(), word(), word());
            let place = |what: &str| format!("{what} {name}");
            match (verb, what) {
                ("add", "rule") => self.places.entry(place("chain")).or_default().push(rest.to_owned()),
                ("add", "element") => self.element(name, rest, true),
                ("delete", "element") => self.element(name, rest, false),
                ("add", "chain") => drop(self.places.entry(place("chain")).or_default()),
                ("add", "set" | "map") => drop(self.places.entry(place("set")).or_default()),
                ("flush", "chain") => drop(self.places.insert(place("chain"), Vec::new())),
                ("flush", "set" | "map") => drop(self.places.insert(place("set"), Vec::new())),
                ("delete", "chain") => drop(self.places.remove(&place("chain"))),
                ("delete", "set" | "map") => drop(self.places.remove(&place("set"))),
                _ => {}
            }
        }
    }

    /// `{ KEY comment "..." : VERDICT }`
    fn element(&mut self, set: &str, element: &str, there: bool) {
        let element = element.trim_start_matches("{ ").trim_end_matches(" }");
        let lines = self.places.entry(format!("set {set}")).or_default();
        lines.retain(|line| element_key(line) != element_key(element));
        if there {
            lines.push(element.to_owned());
            sorted::sort(lines);
        }
    }

    /// `ipset restore`
    fn ipset(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let (word, name, entry) =
                (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
            let place = format!("set {name}");
            match word {
                "create" => drop(self.places.entry(place).or_default()),
                _ => self.add_or_remove(&place, word == "add", entry),
            }
        }
    }

    /// Lines whose order says nothing.
    fn add_or_remove(&mut self, place: &str, add: bool, line: &str) {
        let lines = self.places.entry(place.to_owned()).or_default();
        match lines.binary_search_by(|l| l.as_str().cmp(line)) {
            Err(at) if add => lines.insert(at, line.to_owned()),
            Ok(at) if !add => drop(lines.remove(at)),
            _ => {}
        }
    }

    /// `ipvsadm`, a command a line. The first line of a virtual server is what it is.
    fn ipvsadm(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap_or("");
            let (verb, protocol, address, rest) = (word(), word(), word(), word());
            let place = format!("virtual server {protocol} {address}");
            match verb {
                "-D" => drop(self.places.remove(&place)),
                "-A" => drop(self.places.insert(place, vec![rest.to_owned()])),
                "-E" => {
                    if let Some(first) = self.places.entry(place).or_default().first_mut() {
                        rest.clone_into(first);
                    }
                }
                "-a" => {
                    let lines = self.places.entry(place).or_default();
                    lines.push(rest.to_owned());
                    sorted::sort(lines.get_mut(1..).unwrap_or_default());
                }
                "-d" => {
                    if let Some(lines) = self.places.get_mut(&place) {
                        let gone = format!("{rest} ");
                        lines.retain(|line| !line.starts_with(&gone));
                    }
                }
                _ => {}
            }
        }
    }

    /// What must be done to this to have the other.
    pub fn diff(&self, after: &Ruleset) -> Vec<PlaceDiff> {
        let none = Vec::new();
        let mut names: Vec<&String> = self.places.keys().chain(after.places.keys()).collect();
        sorted::sort(&mut names);
        names.dedup();
        let one = |name: &String| {
            let (old, new) = (self.places.get(name), after.places.get(name));
            let fate = match (old, new) {
                (None, _) => Fate::Added,
                (_, None) => Fate::Removed,
                _ => Fate::Kept,
            };
            let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
            PlaceDiff { place: name.clone(), fate, lines: diff_lines(old, new) }
        };
        names.into_iter().map(one).collect()
    }

    /// The elements of a set or map of nf_tables, as `KEY`, comment and verdict.
    pub(super) fn elements(&self, set: &str) -> impl Iterator<Item = (String, String, String)> {
        let lines = self.places.get(&format!("set {set}")).into_iter().flatten();
        lines.map(|line| {
            let (head, verdict) = line.split_once(" : ").unwrap_or((line, ""));
            let (key, comment) = head.split_once(" comment ").unwrap_or((head, ""));
            (key.to_owned(), comment.trim_matches('"').to_owned(), verdict.to_owned())
        })
    }

    /// The names of the places that begin so, without that beginning.
    pub(super) fn names(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.places.keys().filter_map(move |place| place.strip_prefix(prefix))
    }
}

fn element_key(element: &str) -> &str {
    let head = element.split_once(" : ").map_or(element, |(head, _)| head);
    head.split_once(" comment ").map_or(head, |(key, _)| key)
}

fn diff_lines(old: &[String], new: &[String]) -> Vec<(Fate, String)> {
    let mut lines = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        for change in op.iter_changes(old, new) {
            let fate = match change.tag() {
                ChangeTag::Equal => Fate::Kept,
                ChangeTag::Delete => Fate::Removed,
                ChangeTag::Insert => Fate::Added,
            };
            lines.push((fate, change.value()));
        }
    }
    lines
}

/// The places of a family, as people name them: `iptables -t nat, KUBE-SERVICES`.
pub fn place_name(family: Family, place: &str) -> String {
    let six = if family == Family::V6 { "6" } else { "" };
    match place.split_once(' ') {
        Some((table @ ("nat" | "filter" | "mangle"), chain)) => format!("ip{six}tables -t {table} {chain}"),
        _ if six.is_empty() => place.to_owned(),
        _ => format!("{place} (IPv6)"),
    }
}
