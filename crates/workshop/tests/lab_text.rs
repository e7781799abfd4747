//! What a lab's text may say, and what is told of a wrong one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use workshop::{Setting, read_lab};

/// The lab that docs/LABS.md begins with.
fn small() -> String {
    let guide = include_str!("../../../docs/LABS.md");
    let from = guide.find("    apiVersion: netfilter-lab/v1").unwrap();
    let lines = guide[from..].lines().take_while(|l| l.is_empty() || l.starts_with("    "));
    lines.map(|l| format!("{}\n", l.get(4..).unwrap_or_default())).collect()
}

fn set(name: &str, value: &str) -> Setting {
    Setting::from_iter([(name.to_owned(), value.to_owned())])
}

#[test]
fn the_guides_lab_fails_at_the_start_and_is_reached_by_its_switch() {
    let lab = read_lab(&small()).unwrap();
    let (off, on) = (lab.run(&Setting::new()).unwrap(), lab.run(&set("ip_forward", "on")).unwrap());
    assert!(!off.goals[0].reached && on.goals[0].reached);
    assert!(off.claims[0].applies && off.claims[0].holds);
    assert_eq!(off.moments.len(), 2);
}

#[test]
fn the_guide_lists_every_event() {
    let guide = include_str!("../../../docs/LABS.md");
    for word in workshop::fact::EVENTS {
        assert!(guide.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (right, wrong, told) in [
        (
            "netfilter-lab/v1",
            "netfilter-lab/v2",
            "line 1, column 13: \"netfilter-lab/v2\": expected netfilter-lab/v1",
        ),
        ("kind: Lab", "kind: Lap", "expected a document with apiVersion: netfilter-lab/v1 and kind: Lab"),
        ("title: A", "titel: A", "\"titel\": no such field; expected one of apiVersion"),
        (
            "focus: node-1",
            "focus: node-2",
            "\"node-2\": there is no such box; expected one of node-1, web, client, lan",
        ),
        ("cni: bridge", "cni: weave", "there is no CNI profile \"weave\"; these are: bridge, "),
        ("run: curl", "run: kurl", "kurl is not modelled; these are: "),
        ("run: curl -m 2", "run: curl && |", "expected a command before \"|\""),
        (
            "on: client, run: curl -m 2",
            "on: client, background: true, run: sleep 1; curl",
            "expected one program of a box, which runs in the background",
        ),
        ("run: curl -m 2", "run: time kubectl", "expected kubectl without time"),
        ("run: curl -m 2", "run: echo | kurl", "kurl is not modelled; these are: "),
        (
            ", on: client, run",
            ", run",
            "expected {run: COMMAND, on: BOX} with nodes or one of node-1, web, client, lan as BOX",
        ),
        (
            "id: call",
            "id: call, wait: 1s",
            "expected one of run (a command), wait (a time), hold, release and send",
        ),
        ("app: http", "app: ftp", "\"ftp\": expected one of http, "),
        ("port: 80}", "port: 0}", "expected a number from 1 to 65535"),
        (
            "when: {ip_forward: \"off\"}\n    text: The",
            "when: {forward: \"off\"}\n    text: The",
            "no such switch; expected one of ip_forward",
        ),
        (
            "when: {ip_forward: \"off\"}\n    text: The",
            "when: {ip_forward: \"of\"}\n    text: The",
            "no such value of ip_forward; expected one of off, on",
        ),
        ("ForwardingDisabled", "Forwarding", "expected any or one of OtherHost, "),
        ("dropped: any", "event: asked", "expected one of made by a socket, "),
        ("tcp-syn\"", "tcp-sin\"", "the filter cannot be read"),
        ("dropped: any", "droped: any", "expected a fact with one of "),
        ("podIP: 10.244.1.5", "podIP: 10.244.1", "expected an IP address"),
        ("kind: Node", "kind: Noda", "there is no such kind; is Node meant?"),
        ("kind: Pod", "kind: Ingress", "line 55, column 1: Ingress web: not modelled"),
        ("nodeName: node-1", "nodeName: node-7", "\"node-7\": there is no such Node; expected one of node-1"),
        ("name: client, ", "name: web, ", "\"web\": there is a box of this name already"),
        ("cni: bridge", "uplink: sixteen-letters-", "expected a name of 1 to 15 characters"),
        (
            "dropped: any",
            "rule: natt KUBE-*",
            "there is no table \"natt\"; expected one of raw, mangle, nat, ",
        ),
        ("dropped: any", "enters: t forward", "there is no table \"t\""),
        (
            "dropped: any",
            "enters: nat KUBE-NODEPORT",
            "nobody makes a chain \"KUBE-NODEPORT\" in table nat; expected one of PREROUTING, INPUT, ",
        ),
        (
            "dropped: any",
            "rule: filter PREROUTING",
            "nobody makes a chain \"PREROUTING\" in table filter; expected one of INPUT, FORWARD, OUTPUT, ",
        ),
        (
            "dropped: any",
            "asked: nat KUBE-SEP-F73MGWMXW3Q05EYA",
            "nobody makes a chain \"KUBE-SEP-F73MGWMXW3Q05EYA\"",
        ),
        (
            "dropped: any, on: node-1",
            "passes: [nat KUBE-SERVICE], on: node-1, packet: tcp",
            "nobody makes a chain \"KUBE-SERVICE\"",
        ),
        (
            "dropped: any",
            "captured: tcp, dev: eht0",
            "no box has a device \"eht0\"; expected one of lo, eth0, ",
        ),
        (
            "cni: bridge",
            "gateway: 10.0.1.1",
            "\"10.0.1.1\": Node node-1 is on another LAN, 10.0.0.11/24; expected an address of 10.0.0.0/24",
        ),
        (
            "dropped: any, on: node-1",
            "hooks: PREROUTE, on: node-1, packet: tcp",
            "there is no hook \"PREROUTE\"; expected",
        ),
        (
            "dropped: any, on: node-1",
            "chains: [nat], on: node-1, packet: tcp",
            "expected tables and chains, such as nat",
        ),
    ] {
        let text = small();
        assert!(text.contains(right), "{right}");
        let error = read_lab(&text.replacen(right, wrong, 1)).unwrap_err().to_string();
        assert!(error.contains(told), "{wrong}: {error}");
    }
}

/// Facts may name a table that the text makes.
#[test]
fn a_table_of_the_text_is_known() {
    let text = small().replacen("dropped: any", "enters: t forward", 1);
    let made = text.replacen(
        "sysctl -w net.ipv4.ip_forward=0, on: nodes}",
        "sysctl -w net.ipv4.ip_forward=0, on: nodes}\n  - {run: nft add table ip t, on: nodes}",
        1,
    );
    assert!(read_lab(&text).is_err());
    assert!(made != text && read_lab(&made).is_ok());
}

/// Chains and devices that the text makes are known, those of kube-proxy and of the kernel, and any by `*`.
#[test]
fn chains_and_devices_that_somebody_makes_are_known() {
    for (fact, made) in [
        ("enters: nat KUBE-SERVICES", ""),
        ("enters: nat KUBE-*", ""),
        ("enters: security FORWARD", ""),
        ("enters: nat KUBE-SEP-F73MGWMXW3QO5EYA", ""),
        ("enters: nat CNI-b7b31389524eeb0d1707ddeb", ""),
        ("enters: kube-proxy services", ""),
        ("enters: filter MINE", "iptables -N MINE"),
        ("enters: filter MINE", "iptables-restore < x # :MINE - [0:0]"),
        ("captured: tcp, dev: cni0", ""),
        ("captured: tcp, dev: veth-web", ""),
        ("captured: tcp, dev: tun7", "ip link add tun7 type ipip"),
    ] {
        let text = small().replacen("dropped: any", fact, 1);
        let line = format!("ip_forward=0, on: nodes}}\n  - {{run: '{made}', on: nodes}}");
        let with = text.replacen("ip_forward=0, on: nodes}", &line, 1);
        assert!(with != text);
        match made {
            "" => assert!(read_lab(&text).is_ok(), "{fact}"),
            _ => assert!(
                read_lab(&text).is_err() && read_lab(&with).is_ok(),
                "{fact}: {:?}",
                read_lab(&with).err()
            ),
        }
    }
}

const TWO: &str = "---
kind: Node
metadata: {name: node-2}
spec: {podCIDR: 10.244.2.0/24}
status: {addresses: [{type: InternalIP, address: 10.0.0.12}]}
";

#[test]
fn nodes_with_one_address_or_one_network_are_refused() {
    let with = |right: &str, wrong: &str| read_lab(&[&small(), &TWO.replace(right, wrong)[..]].concat());
    assert!(with("", "").is_ok());
    let same = with("10.0.0.12", "10.0.0.11").unwrap_err().to_string();
    assert!(same.contains("\"10.0.0.11\": Node node-1 has this address already"), "{same}");
    let wide = with("10.244.2.0/24", "10.244.0.0/16").unwrap_err().to_string();
    assert!(wide.contains("the pods of Node node-1 have 10.244.1.0/24; expected another network"), "{wide}");
}

#[test]
fn a_command_that_fails_is_told_with_its_place_and_its_box() {
    let text = small().replace("sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv4.ip_forwar=1");
    let error = read_lab(&text).unwrap().run(&set("ip_forward", "on")).unwrap_err().to_string();
    let line = text.lines().position(|l| l.contains("ip_forwar=1")).unwrap() + 1;
    assert!(error.starts_with(&format!("line {line}, column ")), "{error}");
    assert!(error.contains("\"sysctl -w net.ipv4.ip_forwar=1\": node-1: sysctl: cannot stat"), "{error}");
}

/// A lab with one node, two pods, a Service and these parts.
fn with(parts: &str) -> String {
    format!(
        "apiVersion: netfilter-lab/v1
kind: Lab
metadata: {{name: test}}
title: t
summary: s
focus: node-1
world:
  machines: [{{name: client, address: 10.0.0.100/24}}]
apps: [{{on: [a, b], app: http, port: 80}}]
{parts}
---
kind: Node
metadata: {{name: node-1}}
spec: {{podCIDR: 10.244.1.0/24}}
status: {{addresses: [{{type: InternalIP, address: 10.0.0.11}}]}}
---
kind: Pod
metadata: {{name: a, labels: {{app: web}}}}
spec: {{nodeName: node-1}}
status: {{podIP: 10.244.1.5}}
---
kind: Pod
metadata: {{name: b}}
spec: {{nodeName: node-1}}
status: {{podIP: 10.244.1.6}}
---
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  clusterIP: 10.96.0.80
  selector: {{app: web}}
  ports: [{{port: 80, nodePort: 30080}}]
---
kind: Service
metadata: {{name: late, annotations: {{netfilter-lab/file: late.yaml}}}}
spec: {{type: NodePort, clusterIP: 10.96.0.81, selector: {{app: web}}, ports: [{{port: 80, nodePort: 30081}}]}}
"
    )
}

/// Which of these facts hold.
fn judged(parts: &str, facts: &[&str]) -> Vec<bool> {
    let claims: String = facts.iter().map(|f| format!("  - {{text: x, that: {f}}}\n")).collect();
    let text = with(&format!("{parts}claims:\n{claims}"));
    let lab = read_lab(&text).unwrap_or_else(|e| panic!("{}", e.show("lab", &text)));
    lab.run(&Setting::new()).unwrap().claims.iter().map(|c| c.holds).collect()
}

#[test]
fn kube_proxy_follows_what_kubectl_changes_while_the_lab_runs() {
    let call = |id: &str, port: u16| {
        format!("  - {{id: {id}, on: client, run: 'curl -m 1.5 http://10.0.0.11:{port}/'}}\n")
    };
    let parts = format!(
        "steps:\n{}{}  - {{run: kubectl apply -f late.yaml}}\n{}  - {{run: kubectl delete service web}}\n{}",
        call("before", 30081),
        call("web", 30080),
        call("after", 30081),
        call("gone", 30080),
    );
    let answered = |step: &str| format!("{{step: {step}, status: 0}}");
    let facts = ["before", "web", "after", "gone"].map(answered);
    assert_eq!(judged(&parts, &facts.each_ref().map(String::as_str)), [false, true, true, false]);
}

#[test]
fn kube_proxy_overwrites_a_hand_made_change_when_it_begins_again() {
    let parts = "steps:
  - {on: node-1, run: systemctl stop kube-proxy}
  - {on: node-1, run: iptables -t nat -I KUBE-SERVICES -j RETURN}
  - {id: broken, on: client, run: 'curl -m 1.5 http://10.0.0.11:30080/'}
  - {on: node-1, run: systemctl start kube-proxy}
  - {id: mended, on: client, run: 'curl -m 1.5 http://10.0.0.11:30080/'}
";
    let facts = ["{step: broken, status: 0}", "{step: mended, status: 0}"];
    assert_eq!(judged(parts, &facts), [false, true]);
}

#[test]
fn a_deleted_pod_is_not_reached_any_more() {
    let parts = "steps:
  - {run: kubectl delete pod a}
  - {id: call, on: client, run: 'curl -m 1.5 http://10.0.0.11:30080/'}
";
    let facts = [
        "{step: call, status: 0}",
        "{command: ip link show dev veth-a, on: node-1, prints: does not exist}",
        "{command: iptables -t nat -S, on: node-1, prints: KUBE-SEP, times: 0}",
    ];
    assert_eq!(judged(parts, &facts), [false, true, true]);
}

#[test]
fn facts_say_no_as_well_as_yes() {
    let parts = "steps:\n  - {id: call, on: client, run: 'curl -m 1.5 http://10.0.0.11:30080/'}\n";
    for (yes, no) in [
        ("captured: tcp, on: a", "captured: udp, on: a"),
        (
            "captured: src host 10.0.0.11 or src host 10.244.1.1, on: a, dir: in",
            "captured: src host 10.0.0.100, on: a, dir: in",
        ),
        ("captured: tcp, on: a, dev: eth0", "captured: tcp, on: a, dev: kube-ipvs0"),
        ("dropped: any, times: 0, on: client", "dropped: any, on: client"),
        (
            "rule: nat KUBE-SERVICES, target: KUBE-NODEPORTS, on: node-1",
            "rule: nat KUBE-SERVICES, target: KUBE-SVC-*, on: node-1",
        ),
        ("enters: nat KUBE-SEP-*", "enters: filter KUBE-SEP-*"),
        ("nat: dst host 10.244.1.5", "nat: dst host 10.244.1.6"),
        ("event: confirmed, atLeast: 1", "event: confirmed, on: a"),
        (
            "hooks: [PREROUTING, FORWARD, POSTROUTING], on: node-1, packet: dst port 30080",
            "hooks: INPUT, on: node-1, packet: dst port 30080",
        ),
        (
            "passes: [nat PREROUTING, nat KUBE-S*], on: node-1, packet: dst port 30080",
            "passes: [nat KUBE-S*, nat PREROUTING], on: node-1, packet: dst port 30080",
        ),
        ("conntrack: dst=10.0.0.11*dport=30080, on: node-1", "conntrack: UNREPLIED, on: node-1"),
        (
            "command: iptables -t nat -S, on: node-1, prints: 10.244.1.5",
            "command: iptables -t nat -S, on: node-1, prints: 10.244.1.6",
        ),
        (
            "before: [{nat: dst host 10.244.1.5}, {printed: hello}]",
            "before: [{printed: hello}, {nat: dst host 10.244.1.5}]",
        ),
        (
            "every: {nat: dst host 10.244.1.5}, then: {captured: tcp, on: a}",
            "every: {nat: dst host 10.244.1.5}, never: {captured: tcp, on: a}",
        ),
        (
            "eachStep: {nat: dst host 10.244.1.5}, then: {printed: hello}",
            "eachStep: {nat: dst host 10.244.1.5}, then: {printed: curl}",
        ),
        ("any: [{printed: hello}, {printed: curl}]", "all: [{printed: hello}, {printed: curl}]"),
        ("not: {printed: curl}", "not: {printed: hello}"),
    ] {
        let (yes, no) = (format!("{{{yes}}}"), format!("{{{no}}}"));
        assert_eq!(judged(parts, &[&yes, &no]), [true, false], "{yes} {no}");
    }
}

/// A step that sends a segment, with these parts in place of the right ones.
fn send(right: &str, wrong: &str) -> String {
    let step =
        "steps: [{on: a, send: {src: '10.244.1.5:80', dst: '10.244.1.6:99', flags: PA, seq: B+7, ack: 5}}]\n";
    assert!(step.contains(right), "{right}");
    with(&step.replacen(right, wrong, 1))
}

#[test]
fn a_wrong_segment_is_told_with_its_place() {
    for (right, wrong, told) in [
        ("10.244.1.5:80", "10.244.1.5", "expected an IPv4 address with a port, such as 10.244.1.5:80"),
        ("flags: PA", "flags: PX", "\"PX\": expected flags: letters of FSRPAU, or . for A"),
        (
            "B+7",
            "b+7",
            "\"b+7\": expected a number, or the letter of an initial number and a distance: B+900000",
        ),
        ("B+7", "B+", "\"B+\": expected a number, or the letter"),
        ("ack: 5", "ack: x", "\"x\": expected a number from 0 to 4294967295"),
        (
            "ack: 5",
            "urg: 5",
            "\"urg\": no such field; expected one of src, dst, flags, seq, ack, window, payload",
        ),
        ("on: a, ", "", "expected on: the box"),
    ] {
        let error = read_lab(&send(right, wrong)).unwrap_err().to_string();
        assert!(error.contains(told), "{wrong}: {error}");
    }
}

#[test]
fn a_segment_has_the_numbers_of_the_connection_seen_before() {
    let parts = "steps:
  - {on: b, run: 'curl --local-port 4000 http://10.244.1.5/'}
  - {id: send, on: a, send: {src: '10.244.1.5:80', dst: '10.244.1.6:4000', flags: PA, seq: B+1, ack: A+1, payload: hello}}
";
    // b has closed this connection: it takes the segment for an old one, and says again what it has.
    let facts = [
        "{captured: 'src port 80 and tcp[tcpflags] == tcp-push|tcp-ack and greater 59', on: b, dir: in, step: send}",
        "{captured: 'dst port 80 and tcp[tcpflags] == tcp-ack', on: b, dir: out, step: send}",
    ];
    assert_eq!(judged(parts, &facts), [true, true]);
}

#[test]
fn a_segment_of_a_connection_that_was_not_made_is_not_sent() {
    let parts = "steps: [{id: send, on: a, send: {src: '10.244.1.5:80', dst: '10.244.1.6:99', flags: A, seq: B+1}}]\n";
    assert_eq!(judged(parts, &["{captured: tcp, times: 0}"]), [true]);
}

#[test]
fn kubectl_set_image_changes_kube_proxy_and_not_the_kubelet() {
    let lab = |image: &str| {
        with(&format!(
            "switches:
  - name: version
    title: t
    values:
      new: kubectl -n kube-system set image daemonset/kube-proxy kube-proxy=registry.k8s.io/kube-proxy:v1.35.0
      old: kubectl -n kube-system set image daemonset/kube-proxy {image}
claims:
  - {{text: random, that: {{command: iptables -t nat -S KUBE-POSTROUTING, on: node-1, prints: --random-fully}}}}
  - {{text: kubelet, that: {{command: iptables -t mangle -S, on: node-1, prints: '-N KUBE-IPTABLES-HINT'}}}}
"
        ))
    };
    let text = lab("kube-proxy=registry.k8s.io/kube-proxy:v1.10.13");
    let held = |value: &str| {
        let run = read_lab(&text).unwrap().run(&set("version", value)).unwrap();
        run.claims.iter().map(|c| c.holds).collect::<Vec<_>>()
    };
    assert_eq!((held("new"), held("old")), (vec![true, true], vec![false, true]));
    for (image, told) in [
        (
            "kube-proxy=nginx:v1.10.13",
            "expected an image, such as kube-proxy=registry.k8s.io/kube-proxy:v1.17.17",
        ),
        ("kube-proxy=registry.k8s.io/kube-proxy:v1.11.0", "this version of kube-proxy is not modelled"),
        ("coredns=x", "expected an image"),
    ] {
        let error = read_lab(&lab(image)).unwrap_err().to_string();
        assert!(error.contains(told), "{image}: {error}");
    }
}

#[test]
fn a_page_may_take_time_to_make() {
    let parts = "apps: [{on: b, app: http, port: 8080, pages: [{path: /slow, bytes: 9, after: 300ms}]}]
steps: [{id: call, on: client, run: 'time curl http://10.244.1.6:8080/slow'}]
";
    let text = with(parts).replacen("apps: [{on: [a, b], app: http, port: 80}]\n", "", 1);
    let text = text.replace("address: 10.0.0.100/24", "address: 10.0.0.100/24, knowsPods: true");
    let text =
        text.replacen("---\n", "claims: [{text: x, that: {step: call, prints: 'real*0m0.3'}}]\n---\n", 1);
    let lab = read_lab(&text).unwrap_or_else(|e| panic!("{}", e.show("lab", &text)));
    assert!(lab.run(&Setting::new()).unwrap().claims[0].holds);
}
