//! The real `iptables-restore`, `ip6tables-restore`, `ipset restore` and `nft -f` take what is written for every recorded case, in
//! a network namespace of its own, each step after those before it.
//!
//! `-m ipvs` is left out: few kernels have it. Where a tool is missing, or namespaces cannot be made, the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{
    Case, Config, Family, KubeProxy, Mode, SyncText, Version, iptables_jumps, ipvs_jumps,
};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What kube-proxy makes with nfacct before it writes rules that count.
const COUNTERS: [&str; 2] = ["ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"];

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kube-proxy/cases");
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let read = |name: String| {
        let text = std::fs::read_to_string(folder.join(&name).join("input.yaml")).unwrap();
        let case = Case::read(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, case)
    };
    names.into_iter().map(read).collect()
}

/// A script for `sh` and the files that it reads.
struct Script {
    folder: PathBuf,
    text: String,
    files: usize,
}

impl Script {
    fn new(name: &str) -> Script {
        let folder = std::env::temp_dir().join(format!("nflab-acceptance-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Script { folder, text: "set -e\n".to_owned(), files: 0 }
    }

    fn run(&mut self, command: &str) {
        writeln!(self.text, "{command} || {{ echo 'refused: {}'; exit 1; }}", command.replace('\'', ""))
            .unwrap();
    }

    /// A file with a text: its path.
    fn file(&mut self, text: &str) -> String {
        self.files += 1;
        let file = self.folder.join(format!("{}.txt", self.files));
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// A command that reads a text.
    fn feed(&mut self, command: &str, text: &str) {
        let file = self.file(text);
        self.run(&format!("{command} < {file}"));
    }

    /// Runs it in a new network namespace. Gives what went wrong.
    fn finish(self) -> Option<String> {
        let script = self.folder.join("script.sh");
        std::fs::write(&script, &self.text).unwrap();
        let out = Command::new("unshare").args(["-n", "sh"]).arg(&script).output().unwrap();
        let said = [out.stdout, out.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
        if out.status.success() {
            std::fs::remove_dir_all(&self.folder).unwrap();
            return None;
        }
        Some(format!("{}: {said}", self.folder.display()))
    }
}

/// What is missing for the tests of a mode. Prints it, where the output of passing tests is not kept back.
fn missing(tools: &[&str]) -> bool {
    let works = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|out| out.status.success())
    };
    let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let absent: Vec<&str> = tools.iter().copied().filter(|tool| !there(tool)).collect();
    let why = match absent[..] {
        [] if works("unshare", &["-n", "true"]) => return false,
        [] => "network namespaces cannot be made (that needs root)".to_owned(),
        _ => format!("{} not found", absent.join(", ")),
    };
    let _ = writeln!(std::io::stderr(), "SKIPPED: acceptance by the real tools: {why}");
    true
}

/// Runs a script for each case, two at a time, and fails with everything that was refused.
fn all(mode: Mode, prepare: impl Fn(&mut Script, &Config, Family) + Sync) {
    let cases: Vec<(String, Case)> =
        cases().into_iter().filter(|(n, _)| mode == Mode::Iptables || !n.starts_with("103")).collect();
    let one = |(name, case): &(String, Case)| {
        let mut script = Script::new(&format!("{mode}-{name}"));
        let mut proxy = case.proxy(mode).unwrap();
        for family in proxy.config().families.clone() {
            prepare(&mut script, proxy.config(), family);
        }
        for changes in case.told() {
            changes.into_iter().for_each(|change| proxy.apply(change));
            step(&mut script, &mut proxy);
        }
        script.finish().map(|why| format!("{name}: {why}\n"))
    };
    let wrong: String = std::thread::scope(|scope| {
        let halves = cases.chunks(cases.len().div_ceil(2));
        let threads: Vec<_> =
            halves.map(|half| scope.spawn(move || half.iter().filter_map(one).collect::<String>())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{wrong}");
}

fn restore(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-restore --noflush --counters",
        Family::V6 => "ip6tables-restore --noflush --counters",
    }
}

/// Hands a sync to the tools.
fn step(script: &mut Script, proxy: &mut KubeProxy) {
    for synced in proxy.sync() {
        match synced.text {
            SyncText::Iptables(text) => script.feed(restore(synced.family), &text),
            SyncText::Nftables(text) => script.feed("nft -f -", &text),
            SyncText::Ipvs(text) => {
                // Sets first: rules look into them.
                script.feed("ipset restore", &text.ipset);
                let rules: String = text
                    .iptables
                    .lines()
                    .filter(|l| !l.contains("-m ipvs"))
                    .map(|l| format!("{l}\n"))
                    .collect();
                script.feed(restore(synced.family), &rules);
            }
        }
    }
    // What is there now is what is said to be there.
    for (family, text) in proxy.ipvs_texts() {
        let ours = if family == Family::V4 { "^add KUBE-[^6]" } else { "^add KUBE-6-" };
        let mut entries: Vec<&str> = text.ipset.lines().filter(|l| l.starts_with("add ")).collect();
        entries.sort_unstable();
        let file = script.file(&entries.iter().map(|e| format!("{e}\n")).collect::<String>());
        script.run(&format!("ipset save | grep '{ours}' | LC_ALL=C sort | diff {file} -"));
    }
}

fn jumps(script: &mut Script, command: &str, jumps: &str) {
    for line in jumps.lines() {
        // A chain that several jumps lead to is only made once.
        let may_fail = if line.contains(" -N ") { " 2>/dev/null || true" } else { "" };
        script.run(&format!("{command} {line}{may_fail}"));
    }
}

fn iptables(family: Family) -> &'static str {
    if family == Family::V4 { "iptables" } else { "ip6tables" }
}

#[test]
fn iptables_restore_takes_every_case() {
    if missing(&["iptables-restore", "ip6tables-restore", "nfacct"]) {
        return;
    }
    all(Mode::Iptables, |script, config, family| {
        if family == config.families[0] {
            COUNTERS.iter().for_each(|name| script.run(&format!("nfacct add {name}")));
        }
        jumps(script, iptables(family), &iptables_jumps(config, family));
    });
}

#[test]
fn nft_takes_every_transaction() {
    if missing(&["nft"]) {
        return;
    }
    all(Mode::Nftables, |_, _, _| {});
}

#[test]
fn ipset_and_iptables_restore_take_every_case_of_mode_ipvs() {
    if missing(&["iptables-restore", "ip6tables-restore", "ipset"]) {
        return;
    }
    all(Mode::Ipvs, |script, _, family| jumps(script, iptables(family), &ipvs_jumps()));
}

/// The table as it is printed after each sync, in a namespace where nothing was before.
#[test]
fn nft_takes_every_table() {
    if missing(&["nft"]) {
        return;
    }
    let mut wrong = String::new();
    for (name, case) in cases() {
        let mut script = Script::new(&format!("table-{name}"));
        for file in case.record(Some(Mode::Nftables)).unwrap() {
            if file.path.ends_with("nftables.txt") {
                script.run("nft flush ruleset");
                script.feed("nft -f -", &file.text);
            }
        }
        wrong.extend(script.finish());
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The releases before, one case after the other in one namespace.
#[test]
fn iptables_restore_takes_every_case_of_older_releases() {
    if missing(&["iptables-restore", "ip6tables-restore"]) {
        return;
    }
    let mut wrong = String::new();
    for version in Version::ALL.into_iter().filter(|v| *v != Version::default()) {
        let mut script = Script::new(&format!("old-{version}"));
        for family in [Family::V4, Family::V6] {
            let config = Config { version, ..Config::default() };
            jumps(&mut script, iptables(family), &iptables_jumps(&config, family));
        }
        // Chains of the case before stay until the next: the large ones would make each restore slow.
        for (name, mut case) in cases().into_iter().filter(|(name, _)| !name.contains("large-cluster")) {
            case.config.version = version;
            let mut proxy = case.proxy(Mode::Iptables).unwrap();
            script.run(&format!("true {name}"));
            for changes in case.told() {
                changes.into_iter().for_each(|change| proxy.apply(change));
                step(&mut script, &mut proxy);
            }
        }
        wrong.extend(script.finish());
    }
    assert!(wrong.is_empty(), "{wrong}");
}
