//! The labs, and properties of every run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::netfilter::xtables::TableId;
use packet::TcpFlags;
use sim::{Run, Scenario};
use std::sync::LazyLock;
use workshop::fact::Fact;
use workshop::{Claim, Lab, LabError, LabRun, Setting, When, query};

fn lab() -> Lab {
    workshop::lab("same-node-clusterip").unwrap()
}

fn set(value: &str) -> Setting {
    Setting::from_iter([("br_netfilter".to_owned(), value.to_owned())])
}

fn run(value: &str) -> LabRun {
    lab().run(&set(value)).unwrap()
}

/// The chains that the first SYN enters on the node, as a LOG rule at the head of every chain prints them.
fn chains_of_the_syn(run: &Run) -> Vec<String> {
    let syn = query::first_segment(run, "worker-2", &[TcpFlags::SYN]).unwrap();
    query::chains_entered(run, "worker-2", syn)
        .into_iter()
        .map(|(table, chain)| format!("{table} {chain}"))
        .collect()
}

const CHAINS: [&str; 15] = [
    "raw PREROUTING",
    "mangle PREROUTING",
    "nat PREROUTING",
    "nat KUBE-SERVICES",
    "nat KUBE-SVC-KN7BHMGRB3FSVEMI",
    "nat KUBE-SEP-3MQ7LGWSED2GAEFA",
    "mangle FORWARD",
    "filter FORWARD",
    "filter KUBE-FORWARD",
    "filter KUBE-SERVICES",
    "security FORWARD",
    "mangle POSTROUTING",
    "nat POSTROUTING",
    "nat KUBE-POSTROUTING",
    "nat CNI-b7b31389524eeb0d1707ddeb",
];

const SIX_MORE: [&str; 6] = [
    "mangle FORWARD",
    "filter FORWARD",
    "filter KUBE-FORWARD",
    "filter KUBE-SERVICES",
    "security FORWARD",
    "mangle POSTROUTING",
];

#[test]
fn without_br_netfilter_the_syn_enters_15_chains() {
    assert_eq!(chains_of_the_syn(&run("off").run), CHAINS);
}

#[test]
fn with_br_netfilter_the_flooded_copy_adds_six() {
    let expected: Vec<&str> = CHAINS.into_iter().chain(SIX_MORE).collect();
    assert_eq!(chains_of_the_syn(&run("on").run), expected);
}

#[test]
fn nat_is_asked_once_for_both_copies() {
    let run = run("on");
    let syn = query::first_segment(&run.run, "worker-2", &[TcpFlags::SYN]).unwrap();
    let nat = query::chains_entered(&run.run, "worker-2", syn);
    assert_eq!(nat.iter().filter(|(t, c)| *t == TableId::Nat && c == "POSTROUTING").count(), 1);
}

/// Every combination of a lab's switch positions.
fn settings(lab: &Lab) -> Vec<Setting> {
    let mut all = vec![Setting::new()];
    for switch in &lab.switches {
        let with = |s: &Setting, value: &str| {
            let mut s = s.clone();
            s.insert(switch.name.to_owned(), value.to_owned());
            s
        };
        all = all.iter().flat_map(|s| switch.values().map(move |v| with(s, v))).collect();
    }
    all
}

#[test]
fn every_text_of_a_lab_is_read() {
    for (name, text) in workshop::labs::TEXTS {
        let lab = workshop::read_lab(text).unwrap_or_else(|e| panic!("{}", e.show(name, text)));
        assert_eq!(lab.name, name);
    }
}

/// A claim in a position.
struct Judged {
    applies: bool,
    holds: bool,
    negation_holds: bool,
    /// Whether it holds if the condition is left out.
    holds_anyway: bool,
}

/// What a lab comes to in one position of its switches.
struct Outcome {
    setting: Setting,
    is_default: bool,
    claims: Vec<Judged>,
    goals: Vec<bool>,
    beats: Vec<bool>,
    dead_links: Vec<String>,
}

/// A lab in every position.
struct Tried {
    name: String,
    claims: Vec<String>,
    goals: Vec<String>,
    beats: Vec<String>,
    outcomes: Vec<Outcome>,
    /// Which claims hold where no step is done.
    hold_of_nothing: Vec<bool>,
}

fn try_everywhere(lab: &Lab) -> Tried {
    let n = lab.claims.len();
    let mut asking = lab.clone();
    let negated = |c: &Claim| Claim { that: Fact::Not(Box::new(c.that.clone())), ..c.clone() };
    asking.claims.extend(lab.claims.iter().map(negated));
    asking.claims.extend(lab.claims.iter().map(|c| Claim { when: When::default(), ..c.clone() }));
    let outcome = |setting: Setting| {
        let run = asking.run(&setting).unwrap();
        let claims = (0..n).map(|i| Judged {
            applies: run.claims[i].applies,
            holds: run.claims[i].holds,
            negation_holds: run.claims[n + i].holds,
            holds_anyway: run.claims[2 * n + i].holds,
        });
        let shown: Vec<_> = lab.beats_for(&run.setting).collect();
        let links = shown.iter().flat_map(|b| workshop::spans(&b.text));
        let dead = links.filter_map(|span| match span {
            workshop::Span::Link(_, key) if !run.moments.iter().any(|(k, _)| *k == key) => {
                Some(key.to_owned())
            }
            _ => None,
        });
        Outcome {
            is_default: setting == lab.default_setting(),
            claims: claims.collect(),
            goals: run.goals.iter().map(|g| g.reached).collect(),
            beats: lab.beats.iter().map(|b| shown.contains(&b)).collect(),
            dead_links: dead.collect(),
            setting,
        }
    };
    let outcomes = settings(lab).into_iter().map(outcome).collect();
    let idle = Lab { steps: Vec::new(), ..asking.clone() };
    let idle = idle.run(&Setting::new()).unwrap();
    Tried {
        name: lab.name.clone(),
        claims: lab.claims.iter().map(|c| c.text.clone()).collect(),
        goals: lab.goals.iter().map(|g| g.text.clone()).collect(),
        beats: lab.beats.iter().map(|b| b.text.clone()).collect(),
        outcomes,
        hold_of_nothing: idle.claims[2 * n..].iter().map(|c| c.holds).collect(),
    }
}

static TRIED: LazyLock<Vec<Tried>> = LazyLock::new(|| workshop::labs().iter().map(try_everywhere).collect());

#[test]
fn every_claim_holds_in_every_position() {
    for lab in TRIED.iter() {
        for outcome in &lab.outcomes {
            for (text, claim) in lab.claims.iter().zip(&outcome.claims) {
                assert!(claim.holds, "{} with {:?}: {text}", lab.name, outcome.setting);
            }
        }
    }
}

#[test]
fn the_negation_of_a_claim_fails_wherever_it_applies() {
    for lab in TRIED.iter() {
        for outcome in &lab.outcomes {
            for (text, claim) in lab.claims.iter().zip(&outcome.claims) {
                let fails = !claim.negation_holds;
                assert_eq!(fails, claim.applies, "{} with {:?}: {text}", lab.name, outcome.setting);
            }
        }
    }
}

/// A claim that can be told from nothing: it fails in a position of which it does not speak, or where no step is done.
#[test]
fn every_claim_can_fail() {
    let mut never = Vec::new();
    for lab in TRIED.iter() {
        for (i, text) in lab.claims.iter().enumerate() {
            let elsewhere = lab.outcomes.iter().any(|o| !o.claims[i].holds_anyway);
            if !elsewhere && lab.hold_of_nothing[i] {
                never.push(format!("{}: {text}", lab.name));
            }
        }
    }
    assert!(never.is_empty(), "{never:#?}");
}

#[test]
fn every_claim_and_every_paragraph_applies_somewhere() {
    for lab in TRIED.iter() {
        for (i, text) in lab.claims.iter().enumerate() {
            assert!(lab.outcomes.iter().any(|o| o.claims[i].applies), "{}: {text}", lab.name);
        }
        for (i, text) in lab.beats.iter().enumerate() {
            assert!(lab.outcomes.iter().any(|o| o.beats[i]), "{}: {text}", lab.name);
        }
    }
}

#[test]
fn no_goal_is_reached_at_the_start() {
    for lab in TRIED.iter() {
        let start = lab.outcomes.iter().find(|o| o.is_default).unwrap();
        for (text, reached) in lab.goals.iter().zip(&start.goals) {
            assert!(!reached, "{}: {text}", lab.name);
        }
    }
}

#[test]
fn with_the_right_switches_all_goals_of_a_lab_are_reached() {
    for lab in TRIED.iter() {
        assert!(!lab.goals.is_empty(), "{}", lab.name);
        assert!(lab.outcomes.iter().any(|o| o.goals.iter().all(|g| *g)), "{}", lab.name);
    }
}

#[test]
fn every_link_of_the_prose_leads_somewhere() {
    for lab in TRIED.iter() {
        for outcome in &lab.outcomes {
            assert_eq!(outcome.dead_links, Vec::<String>::new(), "{}, {:?}", lab.name, outcome.setting);
        }
    }
}

#[test]
fn the_goal_is_reached_only_with_br_netfilter() {
    assert!(run("off").goals.iter().all(|g| !g.reached));
    assert!(run("on").goals.iter().all(|g| g.reached));
}

#[test]
fn the_client_times_out_or_gets_its_answer() {
    assert_eq!(run("off").stimuli[0].outcome, "curl: (28) Connection timed out after 1500 milliseconds");
    assert_eq!(run("on").stimuli[0].outcome, "hello from nginx2, you are 10.200.2.63");
}

#[test]
fn claims_that_do_not_apply_count_as_holding() {
    let run = run("off");
    let other = run.claims.iter().find(|c| c.when == "br_netfilter=on").unwrap();
    assert!(!other.applies && other.holds);
}

/// The switches by which TFTP's goal is decided.
fn tftp(policy: &str, mode: &str, conntrack: &str, nat: &str, outgoing: &str, kernel: &str) -> bool {
    let lab = workshop::lab("tftp-ipvs").unwrap();
    let setting = [
        ("externalTrafficPolicy", policy),
        ("mode", mode),
        ("nf_conntrack_tftp", conntrack),
        ("nf_nat_tftp", nat),
        ("natOutgoing", outgoing),
        ("kernel", kernel),
    ];
    let setting = setting.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    lab.run(&Setting::from_iter(setting)).unwrap().goals.iter().all(|g| g.reached)
}

#[test]
fn the_file_arrives_as_policy_mode_and_modules_say() {
    for mode in ["iptables", "ipvs"] {
        for kernel in ["3.10", "4.19", "5.15", "6.1", "6.18"] {
            assert!(!tftp("Cluster", mode, "off", "off", "on", kernel), "{mode}, {kernel}: none");
            assert!(!tftp("Cluster", mode, "on", "off", "on", kernel), "{mode}, {kernel}: conntrack's half");
            assert!(tftp("Cluster", mode, "on", "on", "on", kernel), "{mode}, {kernel}: both");
            assert!(tftp("Local", mode, "off", "off", "on", kernel), "{mode}, {kernel}: Local, natOutgoing");
            assert!(!tftp("Local", mode, "off", "off", "off", kernel), "{mode}, {kernel}: Local alone");
        }
        let local = tftp("Local", mode, "on", "on", "off", "6.18");
        assert_eq!(local, mode == "iptables", "{mode}: the NAT helper under Local");
    }
}

#[test]
fn a_pod_fails_to_reach_itself_only_on_a_bridge_with_br_netfilter_and_without_hairpin() {
    let lab = workshop::lab("hooks-and-chains").unwrap();
    for setting in settings(&lab) {
        let is = |name: &str| setting.get(name).unwrap() == "on";
        let reached = lab.run(&setting).unwrap().goals.iter().all(|g| g.reached);
        assert_eq!(reached, is("hairpin") || !is("br_netfilter"), "{setting:?}");
    }
}

#[test]
fn the_laptop_reaches_the_pod_only_when_there_is_a_service() {
    let lab = workshop::lab("service-iptables").unwrap();
    for (value, reached) in [("absent", false), ("present", true)] {
        let setting = Setting::from_iter([("service".to_owned(), value.to_owned())]);
        assert!(lab.run(&setting).unwrap().goals.iter().all(|g| g.reached == reached), "{value}");
    }
}

/// In which positions all goals of a lab are reached.
fn reached(lab: &str, wanted: impl Fn(&dyn Fn(&str) -> String) -> bool) {
    let lab = workshop::lab(lab).unwrap();
    for setting in settings(&lab) {
        let position = |name: &str| setting.get(name).unwrap().clone();
        let all = lab.run(&setting).unwrap().goals.iter().all(|g| g.reached);
        assert_eq!(all, wanted(&position), "{}: {setting:?}", lab.name);
    }
}

#[test]
fn a_strange_segment_resets_nothing_where_it_is_dropped_or_believed() {
    reached("invalid-rst", |at| at("kube-proxy") == "1.17" || at("tcp_be_liberal") == "on");
}

#[test]
fn only_random_fully_saves_the_second_of_the_snat_race() {
    reached("snat-port-race", |at| at("kube-proxy") == "1.17");
}

#[test]
fn a_stale_udp_entry_is_deleted_by_old_releases_or_dies_by_itself() {
    reached("stale-udp", |at| at("kube-proxy") == "1.27" || at("udp_timeout") == "5");
}

#[test]
fn a_rollout_in_mode_ipvs_needs_connections_to_end_with_their_server() {
    reached("ipvs-rollout", |at| at("expire_nodest_conn") == "1");
}

#[test]
fn a_node_port_answers_on_localhost_in_mode_iptables_as_kube_proxy_leaves_it() {
    reached("localhost-nodeport", |at| at("mode") == "iptables" && at("route_localnet") == "kube-proxy");
}

#[test]
fn an_unknown_switch_is_refused_with_the_list() {
    let changes = Setting::from_iter([("hairpin".to_owned(), "on".to_owned())]);
    let error = lab().run(&changes).unwrap_err();
    assert_eq!(
        error,
        LabError::UnknownSwitch(
            "hairpin".to_owned(),
            ["br_netfilter", "dns", "forward", "log"].map(str::to_owned).to_vec()
        )
    );
    assert_eq!(
        error.to_string(),
        "this lab has no switch \"hairpin\"; it has: br_netfilter, dns, forward, log"
    );
}

#[test]
fn an_unknown_value_is_refused_with_the_list() {
    let error = lab().run(&set("maybe")).unwrap_err();
    assert_eq!(error.to_string(), "switch br_netfilter has no value \"maybe\"; it has: off, on");
}

// ---------------------------------------------------------------------- properties of every run

fn scenarios() -> Vec<(String, Scenario)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel/scenarios");
    let mut out: Vec<(String, Scenario)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let document = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path.display().to_string(), nflab::scenario::parse(&document).unwrap())
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

#[test]
fn the_same_scenario_gives_the_same_log() {
    for (name, scenario) in scenarios() {
        let (a, b) = (scenario.run().unwrap(), scenario.run().unwrap());
        assert_eq!(a.world.log(), b.world.log(), "{name}");
    }
}

#[test]
fn a_quiet_run_ends_in_the_same_state() {
    for (name, scenario) in scenarios() {
        let (explained, quiet) = (scenario.run().unwrap(), scenario.run_quiet().unwrap());
        assert!(quiet.world.log().is_empty(), "{name}");
        assert_eq!(quiet.world.now(), explained.world.now(), "{name}");
        for (a, b) in explained.world.hosts().iter().zip(quiet.world.hosts()) {
            assert_eq!(a.ct.rows(explained.world.now()), b.ct.rows(quiet.world.now()), "{name}: {}", a.name);
            assert_eq!(format!("{:?}", a.nft), format!("{:?}", b.nft), "{name}: {}", a.name);
            for table in TableId::ALL {
                let counters =
                    |ns: &kernel::Netns| ns.table(table).map(|t| (t.policy.clone(), t.state.clone()));
                assert_eq!(counters(a), counters(b), "{name}: {}, {table}", a.name);
            }
        }
    }
}

#[test]
fn time_never_runs_backwards_in_a_log() {
    for (name, scenario) in scenarios() {
        let run = scenario.run().unwrap();
        assert!(run.world.log().entries().is_sorted_by_key(|e| e.at), "{name}");
    }
}

#[test]
fn a_refused_port_is_told_from_an_answer_to_nobody() {
    let texts = |lab: &str| {
        let run = workshop::lab(lab).unwrap().run(&Setting::new()).unwrap();
        let story = sim::view::Story::new(&run.run.world);
        story.alerts.into_iter().map(|a| a.text).collect::<Vec<_>>()
    };
    let refused = "minikube sends a RST to 192.168.99.1:40004: nobody listens on 192.168.99.100:31382.";
    assert!(texts("service-iptables").iter().any(|t| t == refused), "{:?}", texts("service-iptables"));
    let strange =
        "tmp2 sends a RST to 10.200.2.65:80. It had called 10.32.0.102:80: no socket of tmp2 waits for";
    assert!(texts("same-node-clusterip").iter().any(|t| t.starts_with(strange)));
}
