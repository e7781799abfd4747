//! Every recording of the real kube-proxy: the text written here must be the same, byte for byte.
//!
//! `data/kube-proxy/cases` are inputs with what kube-proxy 1.35 wrote for them in modes iptables, ipvs and nftables; a case is
//! read by `cluster::kube_proxy::Case`. `data/kube-proxy/versions` holds what older releases wrote for the same inputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Config, Family, Mode, Version, iptables_jumps, ipvs_jumps};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files that differ from the recording, and why. The test fails when one of them agrees.
const KNOWN: &[(&str, &str)] = &[
    ("v1.23.4/085-nodeport-addresses-two.iptables.txt", NODE_IPS),
    ("v1.25.1/085-nodeport-addresses-two.iptables.txt", NODE_IPS),
    ("v1.25.1/090-localhost-nodeports-off-explicit-lo.iptables.txt", NODE_IPS),
    ("v1.27.1/085-nodeport-addresses-two.iptables.txt", NODE_IPS),
    ("v1.25.1/113-update-delete-service.step2.iptables.txt", STALE),
    ("v1.27.1/113-update-delete-service.step2.iptables.txt", STALE),
    ("v1.30.3/113-update-delete-service.step2.iptables.txt", STALE),
];
const NODE_IPS: &str =
    "the order of the node's addresses was that of a Go map, which is random; here they are sorted";
/// A large case, which was recorded in mode iptables only.
const IPTABLES_ONLY: &str = "103-large-cluster-1000";
const STALE: &str = "the order of stale chains was that of a Go map, which is random; here they are sorted";

fn data(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kube-proxy").join(part)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn case(name: &str) -> Case {
    let path = data("cases").join(name).join("input.yaml");
    Case::read(&read(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The first lines that are only in one of two texts.
fn short_diff(recorded: &str, ours: &str) -> String {
    const SHOWN: usize = 6;
    let common = recorded.lines().zip(ours.lines()).take_while(|(a, b)| a == b).count();
    let side = |mark: char, text: &str, other: &str| {
        let rest: Vec<&str> = text.lines().skip(common).collect();
        let end = rest.iter().rev().zip(other.lines().rev()).take_while(|(a, b)| *a == b).count();
        let rest = &rest[..rest.len().saturating_sub(end)];
        let more = rest.len().saturating_sub(SHOWN);
        let mut out: String = rest.iter().take(SHOWN).map(|l| format!("  {mark} {l}\n")).collect();
        if more > 0 {
            out += &format!("  {mark} ... {more} more\n");
        }
        out
    };
    format!("  line {}\n{}{}", common + 1, side('-', recorded, ours), side('+', ours, recorded))
}

/// Compares files by name: what was recorded with what is written here.
struct Comparison {
    equal: usize,
    wrong: Vec<String>,
}

impl Comparison {
    fn new() -> Comparison {
        Comparison { equal: 0, wrong: Vec::new() }
    }

    fn file(&mut self, name: &str, recorded: &str, ours: &str) {
        let known = KNOWN.iter().find(|(file, _)| *file == name);
        match (recorded == ours, known) {
            (true, None) => self.equal += 1,
            (true, Some((_, reason))) => {
                self.wrong.push(format!("{name} agrees now; take it off the list ({reason})\n"));
            }
            (false, Some(_)) => {}
            (false, None) => self.wrong.push(format!("{name}\n{}", short_diff(recorded, ours))),
        }
    }

    fn check(self, at_least: usize) {
        assert!(self.wrong.is_empty(), "{} files differ\n{}", self.wrong.len(), self.wrong.concat());
        assert!(self.equal >= at_least, "only {} files were compared", self.equal);
    }
}

/// The recorded files of a case, by path.
fn recorded(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            for (inner, text) in recorded(&path) {
                found.insert(format!("{name}/{inner}"), text);
            }
        } else if name != "input.yaml" {
            found.insert(name, read(&path));
        }
    }
    found
}

/// The recorded transactions of mode nftables, by path: texts in one packed file, each after a line `=== PATH`.
fn transactions() -> BTreeMap<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(data("nftables.transactions.gz")).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let parts = text.split("=== ").skip(1).filter_map(|part| part.split_once('\n'));
    parts.map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}

#[test]
fn newest_version_in_all_modes() {
    let mut comparison = Comparison::new();
    let transactions = transactions();
    for name in names(&data("cases")) {
        let mut ours: BTreeMap<String, String> =
            case(&name).record(None).unwrap().into_iter().map(|f| (f.path, f.text)).collect();
        let mut recorded = recorded(&data("cases").join(&name));
        for (path, text) in &transactions {
            if let Some(file) = path.strip_prefix(&format!("{name}/")) {
                recorded.insert(file.to_owned(), text.clone());
            }
        }
        for (file, text) in recorded {
            let our_text = ours.remove(&file).unwrap_or_default();
            comparison.file(&format!("{name}/{file}"), &text, &our_text);
        }
        let extra: Vec<&String> = ours
            .keys()
            .filter(|f| name != IPTABLES_ONLY || !(f.contains("ipvs.") || f.contains("nftables.")))
            .collect();
        assert!(extra.is_empty(), "{name}: not in the recording: {extra:?}");
    }
    comparison.check(596);
}

#[test]
fn older_versions_in_mode_iptables() {
    let mut comparison = Comparison::new();
    for version in names(&data("versions")) {
        let folder = data("versions").join(&version);
        for file in names(&folder) {
            // NAME.iptables.txt, or NAME.step2.iptables.txt.
            let stem =
                file.strip_suffix(".iptables.txt").unwrap_or_else(|| panic!("{file}: another kind of file"));
            let (name, step) = stem.split_once('.').unwrap_or((stem, ""));
            let mut case = case(name);
            case.config.version = version.parse().unwrap();
            let path =
                if step.is_empty() { "iptables.txt".to_owned() } else { format!("{step}/iptables.txt") };
            let ours =
                case.record(Some(Mode::Iptables)).unwrap().into_iter().find(|f| f.path == path).unwrap();
            comparison.file(&format!("{version}/{file}"), &read(&folder.join(&file)), &ours.text);
        }
    }
    comparison.check(312);
}

/// Old listings of real nodes; their text was not recorded, but chains and rules can be told.
#[test]
fn versions_without_recordings_differ_where_they_should() {
    let text = |version: Version, name: &str| {
        let mut case = case(name);
        case.config.version = version;
        case.record(None).unwrap().remove(0).text
    };
    let old = text(Version::V1_10, "018-helloworld-nodeport");
    for line in [
        ":KUBE-SVC-YLBSDKPE6MPDDRVY - [0:0]",
        ":KUBE-SEP-32ZXKBHCWGUC5KVE - [0:0]",
        "-A KUBE-NODEPORTS -m comment --comment default/helloworld-service: -m tcp -p tcp --dport 31382 -j KUBE-MARK-MASQ",
        "-A KUBE-SVC-YLBSDKPE6MPDDRVY -m comment --comment default/helloworld-service: -j KUBE-SEP-32ZXKBHCWGUC5KVE",
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x00004000/0x00004000",
    ] {
        assert!(old.lines().any(|l| l == line), "{line}\n{old}");
    }
    assert!(!old.contains("INVALID") && !old.contains("random-fully"), "{old}");
    let newer = text(Version::V1_17, "018-helloworld-nodeport");
    for line in [
        "-A KUBE-SVC-YLBSDKPE6MPDDRVY -j KUBE-SEP-32ZXKBHCWGUC5KVE",
        "-A KUBE-SEP-32ZXKBHCWGUC5KVE -s 172.17.0.6/32 -j KUBE-MARK-MASQ",
        "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
    ] {
        assert!(newer.lines().any(|l| l == line), "{line}\n{newer}");
    }
}

/// The jumps are made by commands of their own, the same for every case.
#[test]
fn jumps() {
    let mut comparison = Comparison::new();
    let ours = |version: &str| {
        let version = version.parse().unwrap();
        iptables_jumps(&Config { version, ..Config::default() }, Family::V4)
    };
    for (name, text) in [("v1.35.5", ours("1.35")), ("ipvs", ipvs_jumps())] {
        comparison.file(name, &read(&data("jumps").join(format!("{name}.txt"))), &text);
    }
    for version in names(&data("versions")) {
        comparison.file(&version, &read(&data("jumps").join(format!("{version}.txt"))), &ours(&version));
    }
    comparison.check(6);
}

/// What one writes, the other must be able to read.
#[test]
fn userland_reads_the_rules() {
    for name in ["002-clusterip-1ep", "007-clusterip-5ep", "016-kube-dns", "020-nodeport-local-with-local"] {
        for version in Version::ALL {
            let mut case = case(name);
            case.config.version = version;
            case.config.nfacct = false;
            let text = case.record(Some(Mode::Iptables)).unwrap().remove(0).text;
            let tables = userland::iptables::parse_restore(&text);
            assert!(tables.is_ok(), "{name} {version}: {:?}", tables.err());
        }
    }
}

/// The rules of 1.17 are those of a real node.
#[test]
fn a_nodes_listing_has_the_rules_of_1_17() {
    let mut case = Case::read(
        "kind: KubeProxyCase\nversion: v1.17\nclusterCIDRs: [10.200.0.0/16]\nrandomFully: false\n---\n\
         kind: Service\nmetadata: {name: nginx2}\nspec:\n  type: NodePort\n  clusterIP: 10.32.0.102\n  \
         ports: [{port: 80, nodePort: 32102}]\n---\n\
         kind: Endpoints\nmetadata: {name: nginx2}\nsubsets: [{addresses: [{ip: 10.200.2.65}], ports: [{port: 80}]}]\n",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let save = |text: &str| -> Vec<String> {
        let tables = userland::iptables::parse_restore(text).unwrap_or_else(|e| panic!("{e:?}"));
        let text: String =
            tables.into_iter().map(|t| userland::iptables::print_save(&t.load(), false)).collect();
        // The kubelet's chains are not kube-proxy's.
        let ours =
            |l: &str| l.starts_with("-A KUBE-") && !l.contains("KUBE-FIREWALL") && !l.contains("MARK-DROP");
        text.lines().filter(|l| ours(l)).map(str::to_owned).collect()
    };
    let listing = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/articles/worker-2.rules");
    let mut listed = save(&read(&listing));
    // That listing has no rule against packets in state INVALID.
    case.config.conntrack_tcp_be_liberal = true;
    let mut written = save(&case.record(Some(Mode::Iptables)).unwrap()[0].text);
    listed.sort();
    written.sort();
    assert_eq!(written, listed);
}
