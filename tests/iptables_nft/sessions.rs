//! Sessions. Lines: `$` command, `<` standard input, `|` standard output, `!` standard error, `=` exit status if it is not 0. The
//! date in the comments of iptables-save is DATE.

use flate2::read::GzDecoder;
use kernel::NetnsId;
use sim::{Backend, World};
use std::fmt::Write as _;
use std::io::Read;

#[derive(Default)]
struct Step {
    command: String,
    input: String,
    expected: String,
}

fn steps(session: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in session.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().expect("a command first");
        match line.strip_prefix("< ") {
            Some(text) => step.input.extend([text, "\n"]),
            None => step.expected.extend([line, "\n"]),
        }
    }
    steps
}

/// Splits a command line as Python's `shlex.join` wrote it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn printed(world: &mut World, host: NetnsId, step: &Step) -> String {
    let argv = words(&step.command);
    let input = Some(step.input.as_str()).filter(|t| !t.is_empty());
    let done =
        sim::operator::command(world, host, &argv, input).unwrap_or_else(|e| panic!("{}: {e}", step.command));
    let mut out = String::new();
    for (sign, lines) in [('|', &done.stdout), ('!', &done.stderr)] {
        for line in lines {
            let _ = writeln!(out, "{sign} {}", line.replace("Thu Jan  1 00:00:00 1970", "DATE"));
        }
    }
    if done.status != 0 {
        let _ = writeln!(out, "= {}", done.status);
    }
    out
}

/// ipset's own words are held elsewhere.
fn is_checked(step: &Step) -> bool {
    !step.command.starts_with("ipset ") && !step.command.starts_with("nfacct ")
}

/// Steps that are known to differ, and why.
const KNOWN: &[(&str, &[usize], &str)] = &[
    ("ops", &[131], "-vv, which prints the expressions that are sent to the kernel, is read as -v"),
    ("ops", &[154], "-L -Z CHAIN: the chain belongs to -L"),
    (
        "rules-conntrack",
        &[140],
        "iptables-nft 1.8.9 deletes the first rule with -m helper, whatever its options",
    ),
    (
        "as-legacy-rules-mangle-targets",
        &[79, 80, 81, 82],
        "a prefix of NFLOG has 63 bytes, as in iptables-legacy",
    ),
    ("translations", &[1865, 1871], "the same"),
    ("translations", &[2587, 2588, 2590, 2591], "names that no device can have are refused, not warned of"),
    ("translations", &[2790], "nft has words for the flags of a chunk of SCTP"),
];

/// The number of steps that were compared, and those that differ.
fn play(name: &str, gz: &[u8]) -> (usize, Vec<String>) {
    let known = |n: usize| KNOWN.iter().any(|(session, steps, _)| *session == name && steps.contains(&n));
    let mut text = String::new();
    GzDecoder::new(gz).read_to_string(&mut text).unwrap();
    let mut world = World::new(1);
    let host = world.add_host("node1");
    world.set_backend(host, Backend::Nft);
    let (mut compared, mut differ) = (0, Vec::new());
    for (n, step) in steps(&text).iter().enumerate() {
        let got = printed(&mut world, host, step);
        if !is_checked(step) {
            continue;
        }
        compared += 1;
        assert!(got != step.expected || !known(n), "step {n} differs no more: {}", step.command);
        if got != step.expected && !known(n) {
            let first = got.lines().zip(step.expected.lines()).find(|(a, b)| a != b);
            differ.push(format!(
                "step {n}: {}\n   {first:?} ({} and {} lines)",
                step.command,
                got.lines().count(),
                step.expected.lines().count()
            ));
        }
    }
    (compared, differ)
}

macro_rules! sessions {
    ($($name:ident $file:literal $steps:literal,)*) => {
        $(
            #[test]
            fn $name() {
                let (compared, differ) = play($file, include_bytes!(concat!("../data/iptables-nft/", $file, ".session.gz")));
                assert!(differ.is_empty(), "{} of {compared} steps differ\n{}", differ.len(), differ.join("\n"));
                assert_eq!(compared, $steps);
            }
        )*
    };
}

sessions! {
    as_legacy_counters "as-legacy-counters" 20,
    as_legacy_errors "as-legacy-errors" 319,
    as_legacy_every_device "as-legacy-every-device" 5,
    as_legacy_ip6tables_both "as-legacy-ip6tables-both" 13,
    as_legacy_ip6tables "as-legacy-ip6tables" 127,
    as_legacy_loops "as-legacy-loops" 30,
    as_legacy_marks "as-legacy-marks" 52,
    as_legacy_matches_conntrack_recent "as-legacy-matches-conntrack-recent" 83,
    as_legacy_matches_more "as-legacy-matches-more" 53,
    as_legacy_matches_older "as-legacy-matches-older" 143,
    as_legacy_matches "as-legacy-matches" 248,
    as_legacy_more "as-legacy-more" 282,
    as_legacy_rename "as-legacy-rename" 17,
    as_legacy_rules_basic "as-legacy-rules-basic" 120,
    as_legacy_rules_conntrack "as-legacy-rules-conntrack" 70,
    as_legacy_rules_mangle_targets "as-legacy-rules-mangle-targets" 84,
    as_legacy_rules_mangle "as-legacy-rules-mangle" 27,
    as_legacy_rules_marks_log_reject "as-legacy-rules-marks-log-reject" 97,
    as_legacy_rules_nat_raw_targets "as-legacy-rules-nat-raw-targets" 143,
    as_legacy_rules_nat "as-legacy-rules-nat" 56,
    as_legacy_rules_ports "as-legacy-rules-ports" 123,
    as_legacy_rules_raw "as-legacy-rules-raw" 22,
    as_legacy_warnings "as-legacy-warnings" 11,
    case_001_empty "case-001-empty" 31,
    case_002_clusterip_1ep "case-002-clusterip-1ep" 38,
    case_007_clusterip_5ep "case-007-clusterip-5ep" 46,
    case_012_sctp "case-012-sctp" 40,
    case_013_multiport_3_protocols "case-013-multiport-3-protocols" 46,
    case_016_kube_dns "case-016-kube-dns" 46,
    case_018_helloworld_nodeport "case-018-helloworld-nodeport" 40,
    case_020_nodeport_local_with_local "case-020-nodeport-local-with-local" 46,
    case_024_nodeport_tftp "case-024-nodeport-tftp" 42,
    case_033_lb_source_ranges "case-033-lb-source-ranges" 44,
    case_040_lb_source_ranges_2vips "case-040-lb-source-ranges-2vips" 46,
    case_060_affinity_lb_udp "case-060-affinity-lb-udp" 44,
    case_117_typical_cluster "case-117-typical-cluster" 46,
    ipset_kube_117 "ipset-kube-117" 8,
    kubeproxy_input_016 "kubeproxy-input-016" 10,
    kubeproxy_input_117 "kubeproxy-input-117" 10,
    legacy_and "legacy-and" 23,
    names "names" 24,
    nft_made "nft-made" 145,
    nft_of_iptables "nft-of-iptables" 14,
    ops "ops" 169,
    own "own" 211,
    rename "rename" 20,
    rules_basic "rules-basic" 210,
    rules_conntrack "rules-conntrack" 145,
    rules_mangle "rules-mangle" 94,
    rules_nat "rules-nat" 108,
    rules_ports "rules-ports" 243,
    rules_raw "rules-raw" 75,
    translations "translations" 2824,
    widths "widths" 81,
}
