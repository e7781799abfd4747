//! `nflab` as a person types it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};

fn nflab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nflab")).args(args).output().unwrap()
}

fn stdout(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

fn stderr(o: &Output) -> String {
    String::from_utf8(o.stderr.clone()).unwrap()
}

fn file(name: &str, text: &[u8]) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("nflab-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn help_is_everywhere() {
    for args in [
        &["--help"][..],
        &["replay", "--help"],
        &["kube-proxy", "--help"],
        &["flows", "--help"],
        &["flow", "--help"],
        &["kernels", "--help"],
        &["lab", "--help"],
        &["lab", "list", "--help"],
        &["lab", "run", "--help"],
        &["lab", "diff", "--help"],
    ] {
        let out = nflab(args);
        assert!(out.status.success(), "{args:?}");
        assert!(stdout(&out).contains("Usage: nflab"), "{args:?}");
    }
}

#[test]
fn lab_list_names_the_lab_and_its_switch() {
    let text = stdout(&nflab(&["lab", "list"]));
    assert!(text.contains("same-node-clusterip"), "{text}");
    assert!(text.contains("--set br_netfilter=off|on"), "{text}");
}

#[test]
fn lab_run_shows_the_command_of_each_switch() {
    let text = stdout(&nflab(&["lab", "run", "tftp-ipvs", "--set", "nf_nat_tftp=on"]));
    assert!(text.contains("nf_nat_tftp=on"), "{text}");
    assert!(text.contains("# modprobe nf_nat_tftp\n"), "{text}");
    assert!(text.contains("# kube-proxy --proxy-mode=ipvs\n"), "{text}");
}

#[test]
fn lab_diff_shows_what_a_service_adds() {
    let text = stdout(&nflab(&["lab", "diff", "service-iptables", "--set", "service=present"]));
    assert!(text.starts_with("minikube# iptables-save\n *nat\n"), "{text}");
    let new: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix('+')).collect();
    assert_eq!(new.iter().filter(|l| l.starts_with(':')).count(), 2, "two chains: {text}");
    assert_eq!(new.iter().filter(|l| l.starts_with("-A ")).count(), 6, "six rules: {text}");
    assert!(!text.lines().any(|l| l.starts_with('-')), "nothing goes: {text}");
    let none = nflab(&["lab", "diff", "service-iptables"]);
    assert_eq!(stdout(&none), "nothing differs\n");
    let bad = nflab(&["lab", "diff", "service-iptables", "--set", "mode=ipvs"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(stderr(&bad).contains("no switch \"mode\"; it has: service"), "{}", stderr(&bad));
}

#[test]
fn lab_run_json_has_the_promised_shape() {
    let out = nflab(&["lab", "run", "same-node-clusterip", "--set", "br_netfilter=on", "--json"]);
    assert_eq!(out.status.code(), Some(0));
    let v: Value = serde_json::from_str(&stdout(&out)).unwrap();
    let keys: Vec<&String> = v.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["lab", "switches", "stimuli", "outputs", "claims", "goals", "refused", "kernels"]);
    assert_eq!(v["lab"], "same-node-clusterip");
    assert_eq!(v["switches"], json!({ "br_netfilter": "on", "dns": "off", "forward": "off", "log": "off" }));
    for (list, fields) in [
        ("stimuli", &["name", "outcome"][..]),
        ("outputs", &["stimulus", "command", "status", "stdout", "stderr"]),
        ("claims", &["text", "when", "applies", "holds"]),
        ("goals", &["text", "reached"]),
    ] {
        for object in v[list].as_array().unwrap() {
            let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
            assert_eq!(keys, fields, "{list}");
        }
    }
    assert_eq!(v["goals"][0]["reached"], true);
}

#[test]
fn the_exit_status_is_about_claims_not_goals() {
    let out = nflab(&["lab", "run", "same-node-clusterip", "--set", "br_netfilter=off", "--json"]);
    let v: Value = serde_json::from_str(&stdout(&out)).unwrap();
    assert_eq!(v["goals"][0]["reached"], false);
    assert_eq!(out.status.code(), Some(0));
}

#[test]
fn unknown_names_are_refused_with_the_list() {
    for (args, expected) in [
        (&["lab", "run", "nope"][..], "there is no lab \"nope\"; these are: same-node-clusterip"),
        (
            &["lab", "run", "same-node-clusterip", "--set", "x=on"],
            "this lab has no switch \"x\"; it has: br_netfilter",
        ),
        (&["lab", "run", "same-node-clusterip", "--set", "br_netfilter"], "expected SWITCH=VALUE"),
        (&["replay", "/nonexistent.json"], "/nonexistent.json: No such file"),
        (&["lab", "run", "/nonexistent.yaml"], "/nonexistent.yaml: No such file"),
    ] {
        let out = nflab(args);
        assert_ne!(out.status.code(), Some(0), "{args:?}");
        assert!(stderr(&out).contains(expected), "{args:?}: {}", stderr(&out));
        assert!(stdout(&out).is_empty(), "{args:?}");
    }
}

#[test]
fn a_bad_scenario_is_refused_with_its_place() {
    let cases: [(&str, &[u8], &str); 13] = [
        ("junk.json", b"\xff\xfe\x00", "not UTF-8"),
        ("syntax.json", b"{\n \"hosts\": }", "line 2, column 11"),
        ("nothing.json", b"{}", "\"hosts\" is missing"),
        (
            "addr.json",
            br#"{"hosts":{"a":{"addrs":{"eth0":[1]}}}}"#,
            "hosts.a.addrs.eth0[0]: expected a string, found 1",
        ),
        (
            "link.json",
            br#"{"hosts":{"a":{}},"links":[{"type":"vxlan"}]}"#,
            "links[0].type: expected veth or bridge",
        ),
        (
            "rules.json",
            br#"{"hosts":{"a":{"iptables":"*filter\n-A INPUT -m nope\nCOMMIT\n"}}}"#,
            "host a, iptables: line 2: ",
        ),
        (
            "dst.json",
            br#"{"hosts":{"a":{}},"stimuli":[{"do":"tcp","host":"a","dst":"x"}]}"#,
            "stimuli[0].dst: expected ADDRESS:PORT",
        ),
        (
            "root.json",
            br#"{"hosts":{"a":{}},"stimulli":[]}"#,
            "document: no such field: \"stimulli\"; expected one of name, ",
        ),
        (
            "host.json",
            br#"{"hosts":{"a":{"adrs":{}}}}"#,
            "hosts.a: no such field: \"adrs\"; expected one of addrs, ",
        ),
        (
            "mtu.json",
            br#"{"hosts":{"a":{}},"links":[{"type":"veth","mtu":1}]}"#,
            "links[0]: no such field: \"mtu\"",
        ),
        (
            "foo.json",
            br#"{"hosts":{"a":{}},"stimuli":[{"do":"sleep","foo":1}]}"#,
            "stimuli[0]: no such field: \"foo\"; expected one of do, ms, settle_ms",
        ),
        (
            "do.json",
            br#"{"hosts":{"a":{}},"stimuli":[{"do":"fly"}]}"#,
            "stimuli[0].do: expected one of tcp, tcpsend, ",
        ),
        (
            "pkt.json",
            br#"{"hosts":{"a":{}},"stimuli":[{"do":"raw","host":"a","pkt":{"proto":"udp","tl":1}}]}"#,
            "stimuli[0].pkt: no such field: \"tl\"",
        ),
    ];
    for (name, text, expected) in cases {
        let path = file(name, text);
        let out = nflab(&["replay", path.to_str().unwrap()]);
        assert_eq!(out.status.code(), Some(2), "{name}");
        assert!(stderr(&out).contains(expected), "{name}: {}", stderr(&out));
    }
}

#[test]
fn commands_of_other_programs_are_reported_as_not_run() {
    let text = br#"{"hosts":{"a":{}},"stimuli":[{"do":"cmd","host":"a","argv":["python3","-c","1"]},
        {"do":"cmd","host":"a","argv":["sysctl","-w","net.ipv4.ip_forward=1"]}]}"#;
    let path = file("cmd.json", text);
    let out = nflab(&["replay", path.to_str().unwrap()]);
    assert!(out.status.success());
    assert!(stderr(&out).contains("not run: step 0: \"python3\" is not modelled"), "{}", stderr(&out));
    let record: Value = serde_json::from_str(&stdout(&out)).unwrap();
    assert_eq!(record["steps"][1]["outcome"]["stdout"], json!(["net.ipv4.ip_forward = 1"]));
}

#[test]
fn replay_writes_the_file_it_is_told_to() {
    let scenario = file("empty.json", br#"{"name":"empty","hosts":{"a":{}}}"#);
    let record = scenario.with_file_name("record.json");
    let out = nflab(&["replay", scenario.to_str().unwrap(), "-o", record.to_str().unwrap()]);
    assert!(out.status.success() && out.stdout.is_empty());
    let v: Value = serde_json::from_str(&std::fs::read_to_string(record).unwrap()).unwrap();
    assert_eq!(v["name"], "empty");
}

const SERVICE: &str = "kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.10.1
  ports: [{port: 80}]
";

#[test]
fn kube_proxy_writes_a_record() {
    let input = file("service.yaml", SERVICE.as_bytes());
    let out_folder = input.with_file_name("record");
    let run = |args: &[&str]| {
        let paths = [input.to_str().unwrap(), "--out", out_folder.to_str().unwrap()];
        nflab(&[&["kube-proxy"], &paths[..], args].concat())
    };
    let out = run(&[]);
    assert!(out.status.success(), "{}", stderr(&out));
    let mut names: Vec<String> = std::fs::read_dir(&out_folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let ipvs = ["ipvs.dummy-addresses.txt", "ipvs.ipset.txt", "ipvs.iptables.txt", "ipvs.virtualservers.txt"];
    assert_eq!(names, [&["iptables.txt"], &ipvs[..], &["nftables.transaction.txt", "nftables.txt"]].concat());
    let rules = || std::fs::read_to_string(out_folder.join("iptables.txt")).unwrap();
    assert!(rules().contains("--comment \"shop/web has no endpoints\""), "{}", rules());

    let out = run(&["--kube-version", "v1.17.3"]);
    assert!(out.status.success());
    for mode in ["not written: mode ipvs", "not written: kube-proxy 1.17 has no mode nftables"] {
        assert!(stderr(&out).contains(mode), "{}", stderr(&out));
    }
    assert!(rules().contains("--comment \"shop/web: has no endpoints\""), "{}", rules());

    for (args, message) in [
        (&["--kube-version", "1.9"][..], "expected one of 1.10, 1.17, 1.23, 1.25, 1.27, 1.30, 1.35"),
        (&["--mode", "userspace"], "expected iptables, ipvs or nftables"),
        (
            &["--mode", "nftables", "--kube-version", "1.27"],
            "kube-proxy 1.27 has no mode nftables, which came with 1.29; expected 1.35",
        ),
        (
            &["--mode", "nftables", "--kube-version", "1.30"],
            "mode nftables of kube-proxy 1.30 is not modelled: no record of it; it differs (no *-pre-dnat chains",
        ),
        (
            &["--mode", "ipvs", "--kube-version", "1.30"],
            "mode ipvs of kube-proxy 1.30 is not modelled: no record of it",
        ),
    ] {
        let out = run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(stderr(&out).contains(message), "{args:?}: {}", stderr(&out));
    }
}

#[test]
fn kube_proxy_names_the_place_of_what_is_wrong() {
    for (text, place, underlined) in [
        (
            SERVICE.replace("port: 80", "port: 80000"),
            "wrong.yaml:5:18: expected a number from 1 to 65535",
            "5 |   ports: [{port: 80000}]\n  |                  ^^^^^",
        ),
        (
            SERVICE.replace("clusterIP", "clusterIp"),
            "wrong.yaml:4:3: no such field; is clusterIP meant?",
            "  |   ^^^^^^^^^",
        ),
        (
            SERVICE.replace("Service", "Servise"),
            "wrong.yaml:1:7: there is no such kind; is Service meant?",
            "^^^^^^^",
        ),
    ] {
        let input = file("wrong.yaml", text.as_bytes());
        let out = nflab(&["kube-proxy", input.to_str().unwrap(), "--out", "/nonexistent"]);
        assert_eq!(out.status.code(), Some(2));
        assert!(stderr(&out).contains(place) && stderr(&out).contains(underlined), "{}", stderr(&out));
    }
}

const CLUSTER: &str = include_str!("../../cluster/tests/cluster.yaml");

/// A cluster as kubectl prints it: its mode, its nodes, and what is in it that nothing is done with.
#[test]
fn kube_proxy_writes_the_rules_of_a_node() {
    let input = file("cluster.yaml", CLUSTER.as_bytes());
    let folder = input.with_file_name("node");
    let run = |args: &[&str]| {
        let paths = [input.to_str().unwrap(), "--out", folder.to_str().unwrap()];
        nflab(&[&["kube-proxy"], &paths[..], args].concat())
    };
    let out = run(&["--node", "worker-1"]);
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(
        stderr(&out).contains("NetworkPolicy (networking.k8s.io/v1) shop/deny-all: not modelled"),
        "{}",
        stderr(&out)
    );
    let names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["iptables.txt"]);
    let out = run(&["--node", "worker-9"]);
    assert!(
        stderr(&out).contains("there is no Node \"worker-9\"; expected one of cp-1, worker-1"),
        "{}",
        stderr(&out)
    );
}

/// One endpoint more: what that does to the rules, in each mode.
#[test]
fn kube_proxy_diff_shows_what_a_change_does() {
    let old = file("old.yaml", CLUSTER.as_bytes());
    let new = file("new.yaml", CLUSTER.replace("replicas: 2\n    rev", "replicas: 3\n    rev").as_bytes());
    let diff = |args: &[&str]| {
        let out =
            nflab(&[&["kube-proxy", "diff", old.to_str().unwrap(), new.to_str().unwrap()], args].concat());
        assert!(out.status.success(), "{}", stderr(&out));
        stdout(&out)
    };
    let text = diff(&[]);
    for line in [
        "== iptables",
        "# iptables -t nat KUBE-SVC-67NZLRHBNDSAWJRO",
        "+ -m comment --comment shop/web:http -m tcp -p tcp -j DNAT --to-destination 10.42.1.4:8080",
        "5 added, 2 removed, 24 kept",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(diff(&["--mode", "ipvs"]).contains("+ -r 10.42.1.4:8080 -m -w 1\n"));
    let transaction = diff(&["--mode", "nftables", "--text"]);
    assert!(transaction.starts_with("# nft -f -\nadd chain ip kube-proxy endpoint-"), "{transaction}");
    assert!(diff(&["--all"]).contains("  -j MARK --or-mark 0x00004000\n"));
    let same = nflab(&["kube-proxy", "diff", old.to_str().unwrap(), old.to_str().unwrap()]);
    assert!(stdout(&same).starts_with("== iptables\n0 added, 0 removed, "), "{}", stdout(&same));
}

/// Somebody deletes a rule; the next full sync brings it back.
#[test]
fn kube_proxy_resync_brings_back_what_was_deleted() {
    let input = file("resync.yaml", CLUSTER.as_bytes());
    let folder = input.with_file_name("resync");
    for (mode, name, gone) in [
        ("iptables", "iptables.txt", "-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000"),
        ("nftables", "nftables.txt", "add element ip kube-proxy cluster-ips { 10.96.7.7 }"),
    ] {
        let input = input.to_str().unwrap();
        nflab(&["kube-proxy", input, "--out", folder.to_str().unwrap(), "--mode", mode]);
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(text.contains(gone), "{text}");
        let edited = file(&format!("edited-{name}"), text.replace(&format!("{gone}\n"), "").as_bytes());
        let out = stdout(&nflab(&["kube-proxy", "resync", input, edited.to_str().unwrap()]));
        assert!(out.contains("1 added, 0 removed, "), "{out}");
    }
}

/// Each release says what it is held against, as docs/RECORDS.md has it.
#[test]
fn kube_proxy_lists_its_releases() {
    let text = stdout(&nflab(&["kube-proxy", "versions"]));
    let docs = include_str!("../../../docs/RECORDS.md");
    for line in text.lines() {
        assert!(docs.lines().any(|l| l.trim() == line), "docs/RECORDS.md lacks: {line}");
    }
    let json: Value = serde_json::from_slice(&nflab(&["kube-proxy", "versions", "--json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 7);
    assert_eq!(
        json[6]["modes"][2],
        json!({
            "mode": "nftables", "held_against": "recorded",
            "detail": "kube-proxy 1.35.5: 82 cases, IPv4 and IPv6, later syncs"
        })
    );
}

#[test]
fn the_kernels_and_their_differences_stand_in_the_docs_as_they_are_printed() {
    let docs = include_str!("../../../docs/KERNELS.md");
    let docs: Vec<&str> = docs.lines().filter_map(|l| l.strip_prefix("    ")).collect();
    let text = stdout(&nflab(&["kernels"]));
    assert_eq!(docs, text.lines().filter(|l| !l.is_empty()).collect::<Vec<_>>());
}

#[test]
fn a_run_says_which_kernels_it_had_and_what_their_answers_are_held_against() {
    let run = |version: &str| -> Value {
        let set = format!("kernel={version}");
        serde_json::from_slice(&nflab(&["lab", "run", "tftp-ipvs", "--set", &set, "--json"]).stdout).unwrap()
    };
    let held = |run: &Value, name: &str| {
        let kernel =
            run["kernels"].as_array().unwrap().iter().find(|k| k["version"] != "6.18").unwrap().clone();
        let list = kernel["differences"].as_array().unwrap().clone();
        list.into_iter().find(|d| d["name"] == name).unwrap()["held_against"].clone()
    };
    assert_eq!(held(&run("3.10"), "helpers-off-by-default"), "article");
    assert_eq!(held(&run("6.1"), "helpers-off-by-default"), "recorded");
    assert_eq!(held(&run("5.15"), "helpers-off-by-default"), "source");
}

#[test]
fn a_scenario_names_a_kernel_that_is_known() {
    let scenario =
        |version: &str| json!({"name": "k", "hosts": {"h": {"kernel": version}}, "links": [], "stimuli": []});
    let replay = |version: &str| {
        let path = file(&format!("kernel-{version}.json"), scenario(version).to_string().as_bytes());
        nflab(&["replay", path.to_str().unwrap()])
    };
    assert!(replay("5.15").status.success());
    let out = replay("2.6");
    assert!(!out.status.success());
    assert!(stderr(&out).contains("hosts.h.kernel"), "{}", stderr(&out));
    assert!(stderr(&out).contains("3.10, 4.19, 5.15, 6.1, 6.18"), "{}", stderr(&out));
}

/// A Service with one endpoint on node1, and a Node that has another name.
const SMALL_CLUSTER: &str = "\
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.10
  ports: [{port: 80, targetPort: 8080}]
---
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.1.10], nodeName: node1, conditions: {ready: true}}]
---
kind: Node
metadata: {name: other}
spec: {podCIDR: 10.244.7.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.7}]}
";

#[test]
fn flows_are_judged_in_both_modes() {
    let input = file("flows.yaml", SMALL_CLUSTER.as_bytes());
    let flow = |name: &str, src: &str, port: u16| json!({"name": name, "src": src, "dst": "10.96.0.10", "port": port, "proto": "tcp", "else": 1});
    // Names may repeat.
    let list = json!({"flows": [flow("a", "10.244.1.99", 80), flow("a", "203.0.113.1", 80), flow("b", "10.244.1.99", 81)]});
    let flows = file("flows.json", list.to_string().as_bytes());
    let out = nflab(&["flows", input.to_str().unwrap(), flows.to_str().unwrap()]);
    assert_eq!(stderr(&out), "");
    let dnat = |masq: bool| json!({"kind": "dnat", "output": ["10.244.1.10:8080"], "masq": masq});
    let none = json!({"kind": "none", "output": [], "masq": false});
    let reject = json!({"kind": "verdict", "output": ["REJECT"], "masq": false});
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        report,
        json!({"flows": [
            {"name": "a", "iptables": dnat(false), "nftables": dnat(false)},
            {"name": "a", "iptables": dnat(true), "nftables": dnat(true)},
            {"name": "b", "iptables": none, "nftables": reject},
        ]})
    );
}

#[test]
fn flows_names_what_is_wrong() {
    let input = file("flows2.yaml", SMALL_CLUSTER.as_bytes());
    let flows = file("flows2.json", b"{\"flows\": [{\"name\": \"a\", \"src\": \"10.0.0\"}]}");
    let (input, flows) = (input.to_str().unwrap(), flows.to_str().unwrap());
    for (args, message) in [
        (&["flows", input, flows][..], "invalid IP address syntax at line 1 column 40"),
        (&["flows", input, flows, "--family", "5"], "expected 4 or 6"),
        (&["flows", input], "the following required arguments were not provided"),
        (&["flows", "/nonexistent", flows], "/nonexistent: "),
    ] {
        let out = nflab(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(stderr(&out).contains(message), "{args:?}: {}", stderr(&out));
    }
}

#[test]
fn a_flow_is_explained() {
    let input = file("flow.yaml", SMALL_CLUSTER.as_bytes());
    let run = |args: &[&str]| {
        let base = ["flow", input.to_str().unwrap(), "--dst", "10.96.0.10", "--port", "80"];
        nflab(&[&base, args].concat())
    };
    let text = stdout(&run(&["--src", "203.0.113.1"]));
    for part in [
        "tcp 203.0.113.1:41000 -> 10.96.0.10:80 on other, in by eth0\nPREROUTING\n    mangle PREROUTING: policy ACCEPT\n  * nat PREROUTING 1: ",
        "\n  > destination 10.96.0.10:80 becomes 10.244.1.10:8080\nFORWARD\n",
        "\n  > source 203.0.113.1:41000 becomes 192.168.0.7:",
        "\nanswer: goes to 10.244.1.10:8080 instead of 10.96.0.10:80: on its way by eth0, from 192.168.0.7:",
        "-j DNAT --to-destination 10.244.1.10:8080\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = stdout(&run(&["--src", "192.168.0.7", "--mode", "nftables", "--all"]));
    for part in [
        "on other, sent by the node itself\nOUTPUT\n",
        "meta l4proto tcp dnat to 10.244.1.10:8080\n",
        "      no: ip saddr 10.244.1.10 (the packet: 192.168.0.7)\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text =
        stdout(&run(&["--src", "10.244.7.9", "--node", "other", "--proto", "udp", "--kube-version", "1.23"]));
    assert!(text.contains("udp 10.244.7.9:41000 -> 10.96.0.10:80 on other, in by cni0\n"), "{text}");
    assert!(text.contains("answer: goes to 10.96.0.10:80, as it was sent"), "{text}");
    let json: Value = serde_json::from_slice(&run(&["--src", "10.244.1.10", "--json"]).stdout).unwrap();
    assert_eq!(json["outcome"], json!({"kind": "dnat", "output": ["10.244.1.10:8080"], "masq": true}));
    let part = &json["hooks"][0]["steps"][2]["parts"][0];
    assert_eq!(*part, json!({"text": "-d 10.96.0.10/32", "ok": true, "seen": "10.96.0.10"}));
    for (args, message) in [
        (&["--src", "10.244.1.10", "--node", "none"][..], "there is no Node \"none\"; expected one of other"),
        (&["--src", "::1"], "expected --src and --dst of one family"),
        (
            &["--src", "10.0.0.1", "--mode", "ipvs"],
            "packets are not followed in mode ipvs; expected iptables or nftables",
        ),
        (&["--src", "10.0.0.1", "--step", "3"], "there is no step 3; expected a number from 1 to 1"),
        (&["--src", "10.0.0"], "invalid value '10.0.0' for '--src <SRC>'"),
        (&["--src", "10.0.0.1", "--proto", "icmp"], "invalid value 'icmp' for '--proto <PROTO>'"),
    ] {
        let out = run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(stderr(&out).contains(message), "{args:?}: {}", stderr(&out));
    }
    let wrong = file("flow-wrong.yaml", SMALL_CLUSTER.replace("port: 80,", "port: 80000,").as_bytes());
    let out =
        nflab(&["flow", wrong.to_str().unwrap(), "--src", "1.1.1.1", "--dst", "1.1.1.2", "--port", "1"]);
    assert!(stderr(&out).contains(":5:18: expected a number from 1 to 65535"), "{}", stderr(&out));
}

/// Iterations 2 and 4 have one setting; what is printed is about the one that was asked for.
#[test]
fn a_load_test_names_the_iteration_that_was_asked_for() {
    for n in ["2", "4"] {
        let set = format!("iteration={n}");
        let args = ["lab", "run", "conntrack-load", "--scale", "1/100", "--set", &set, "--set", "seconds=1"];
        let out = stdout(&nflab(&args));
        assert!(out.contains(&format!("\niteration {n}: one pod")), "{out}");
    }
}

/// A field that kube-proxy does not know: it goes on without it, and says so.
#[test]
fn an_unknown_field_of_kube_proxys_configuration_is_told() {
    let lab = "apiVersion: netfilter-lab/v1\nkind: Lab\nmetadata: {name: x}\nbase: classroom\ntitle: t\nsummary: s\nfocus: node-1\n\
               steps: [{id: one, on: node-1, run: ip -br addr}]\nmoments: {}\nclaims: []\n---\n\
               apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nfoo: 1\n";
    let path = file("unknown.yaml", lab.as_bytes());
    let out = nflab(&["lab", "run", path.to_str().unwrap()]);
    let told = "kube-proxy logs \"Using lenient decoding as strict decoding failed\" err=\"strict decoding error: unknown field \\\"foo\\\"\"";
    assert!(stderr(&out).contains(told), "{} {}", stderr(&out), stdout(&out));
    assert!(out.status.success(), "{}", stderr(&out));
}

/// A lab with a node and a pod; `with` are more fields of it.
fn small_lab(with: &str, pod: &str) -> String {
    format!(
        "apiVersion: netfilter-lab/v1
kind: Lab
metadata: {{name: small}}
title: t
summary: s
focus: node-1
world: {{cni: bridge}}
{with}
---
kind: Node
metadata: {{name: node-1}}
spec: {{podCIDR: 10.244.1.0/24}}
status: {{addresses: [{{type: InternalIP, address: 10.0.0.11}}]}}
---
kind: Pod
metadata: {{name: web}}
spec: {{nodeName: node-1, containers: [{{name: c, image: i}}]}}
status: {{podIP: {pod}}}
"
    )
}

#[test]
fn what_is_wrong_in_a_lab_is_told_with_its_place() {
    let setup = small_lab("setup: [{run: iptables -A INPT -j DROP, on: node-1}]", "10.244.1.5");
    let switch = small_lab(
        "switches: [{name: s, title: s, on: node-1, values: {a: sysctl -w net.ipv4.ip_forward=1, b: iptables -A INPT -j DROP}}]",
        "10.244.1.5",
    );
    let tab = small_lab("\tsteps: []", "10.244.1.5");
    let cases = [
        (setup, &[][..], ":8:15: node-1: iptables: No chain/target/match by that name."),
        (switch, &["--set", "s=b"], "iptables: No chain/target/match by that name."),
        (
            small_lab("", "10.244.9.5"),
            &[],
            ":18:17: expected an address of 10.244.1.0/24, the podCIDR of its node",
        ),
        (tab, &[], ":8:1: not YAML: a tab in front of a line"),
        (small_lab("prose: [{text: 'the [SYN](syn goes'}]", "10.244.1.5"), &[], ":8:16: ]( is not closed"),
        (
            small_lab("", "10.244.1.5").replace("title: t", "title:"),
            &[],
            ":4:1: nothing stands behind this field",
        ),
        (small_lab("", "10.244.1.5"), &["--set", "foo=1"], "this lab has no switch \"foo\"; it has none"),
    ];
    for (n, (text, more, expected)) in cases.into_iter().enumerate() {
        let path = file(&format!("small-{n}.yaml"), text.as_bytes());
        let path = path.to_str().unwrap();
        let out = nflab(&[&["lab", "run", path], more].concat());
        assert_eq!(out.status.code(), Some(2), "{expected}");
        assert!(stderr(&out).contains(expected), "{expected}: {}", stderr(&out));
        assert!(
            !expected.starts_with(':') || stderr(&out).contains(&format!("{path}{expected}")),
            "{}",
            stderr(&out)
        );
    }
}

#[test]
fn json_has_the_commands_that_were_refused() {
    let path = file("refused.yaml", small_lab("", "10.244.1.5").as_bytes());
    let out = nflab(&[
        "lab",
        "run",
        path.to_str().unwrap(),
        "--json",
        "--type",
        "node-1: echo 'a",
        "--type",
        "nowhere: ip a",
    ]);
    assert_eq!(out.status.code(), Some(1));
    let v: Value = serde_json::from_str(&stdout(&out)).unwrap();
    let refused = v["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!((&refused[0]["on"], &refused[0]["command"]), (&json!("node-1"), &json!("echo 'a")));
    assert!(refused[1]["message"].as_str().unwrap().contains("nowhere"), "{refused:?}");
}
