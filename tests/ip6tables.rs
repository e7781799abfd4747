//! What kube-proxy writes for IPv6, read by ip6tables-restore and printed by ip6tables-save: the text that the real programs
//! printed (`data/kube-proxy/saved`). kube-proxy's jumps were made for IPv6 as for IPv4 there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::netfilter::xtables::{LoadedTable, TableId};
use packet::Family;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use userland::iptables::{TableStore, iptables, iptables_restore, iptables_save};

/// The tables of ip6tables, in the order in which the recordings print them.
#[derive(Default)]
struct Tables(BTreeMap<&'static str, LoadedTable>);

impl TableStore for Tables {
    fn family(&self) -> Family {
        Family::V6
    }

    fn get(&self, table: TableId) -> Option<&LoadedTable> {
        self.0.get(table.name())
    }

    fn replace(&mut self, table: TableId, loaded: LoadedTable) {
        assert_eq!(loaded.rules.family, Family::V6);
        self.0.insert(table.name(), loaded);
    }

    fn loaded(&self) -> Vec<TableId> {
        self.0.keys().filter_map(|name| TableId::from_name(name)).collect()
    }
}

fn data(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kube-proxy").join(part)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A command line of kube-proxy's; quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut out = vec!["ip6tables".to_owned()];
    for (n, part) in line.split('"').enumerate() {
        match n % 2 {
            0 => out.extend(part.split_ascii_whitespace().map(str::to_owned)),
            _ => out.push(part.to_owned()),
        }
    }
    out
}

/// Loads jumps and text; what ip6tables-save prints without its comments.
fn saved(jumps: &str, text: &str) -> String {
    let mut tables = Tables::default();
    for line in jumps.lines() {
        let done = iptables(&mut tables, &words(line));
        assert!(done.status == 0 || line.contains(" -N "), "{line}: {}", done.stderr);
    }
    let done = iptables_restore(&mut tables, &["ip6tables-restore", "--noflush", "--counters"], text);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    let out = iptables_save(&mut tables, &["ip6tables-save"], "");
    out.stdout.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect()
}

#[test]
fn what_kube_proxy_writes_is_printed_as_recorded() {
    let mut files = 0;
    for entry in std::fs::read_dir(data("saved")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (case, file) = name.split_once('.').unwrap();
        let ipvs = file.starts_with("ipvs.");
        let (jumps, file) = match ipvs {
            true => ("jumps/ipvs.txt", "ipvs.iptables.txt"),
            false => ("jumps/v1.35.5.txt", "iptables.txt"),
        };
        let text = read(&data("cases").join(case).join("v6").join(file));
        let jumps = read(&data(jumps));
        saved(&jumps, &text);
        // The kernel that printed the recordings has no xt_ipvs: such rules were left out.
        let known: String =
            text.lines().filter(|l| !l.contains("-m ipvs")).map(|l| format!("{l}\n")).collect();
        assert_eq!(saved(&jumps, &known), read(&path), "{name}");
        files += 1;
    }
    assert_eq!(files, 8);
}

#[test]
fn every_ipv6_text_is_read() {
    let mut texts = 0;
    for entry in std::fs::read_dir(data("cases")).unwrap() {
        let folder = entry.unwrap().path().join("v6");
        for file in ["iptables.txt", "ipvs.iptables.txt"] {
            let path = folder.join(file);
            if path.exists() {
                saved("", &read(&path));
                texts += 1;
            }
        }
    }
    assert_eq!(texts, 8);
}
