//! Lines of several programs, typed into a lab.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::two_pods;
use std::rc::Rc;
use workshop::{Session, Setting, Typed, read_lab};

/// Two nodes, a pod behind a NodePort on each, and a client.
fn lab() -> String {
    let head = "
apiVersion: netfilter-lab/v1
kind: Lab
metadata: {name: test}
title: t
summary: s
focus: node-1
world:
  machines: [{name: client, address: 10.0.0.100/24}]
apps: [{on: [a, b], app: http, port: 80}]
steps:
  - {id: one, on: client, run: 'curl -m 1 http://10.0.0.11:30080/'}
";
    format!("{head}{}", two_pods("web", "web"))
}

/// What the last of these lines prints: standard output, standard error, and the status.
fn last(lines: &[&str]) -> (String, String, i32) {
    let typed = lines.iter().map(|line| Typed::of_line(line, workshop::At::End)).collect();
    let lab = Rc::new(read_lab(&lab()).unwrap());
    let run = Session { lab, changes: Setting::new(), typed, source: None }.run().unwrap();
    let result = run.typed.last().unwrap();
    match (&result.refused, &result.output) {
        (Some(refused), _) => (String::new(), refused.message.clone(), -1),
        (None, Some(output)) => (output.stdout.join("\n"), output.stderr.join("\n"), output.status),
        (None, None) => (String::new(), String::new(), -2),
    }
}

fn prints(line: &str) -> String {
    last(&[line]).0
}

#[test]
fn a_pipe_gives_one_program_what_another_prints() {
    assert_eq!(prints("node-1: iptables -t nat -S KUBE-NODEPORTS | grep -c -- -A"), "1");
    assert_eq!(prints("kubectl get pods | grep Running | wc -l"), "2");
    assert_eq!(prints("kubectl exec a -- ip route | grep -o via.*"), "via 10.244.1.1 dev eth0 ");
}

#[test]
fn a_file_keeps_what_is_printed() {
    let lines = [
        "node-1: iptables -t nat -S > before; iptables -t nat -N MINE && iptables -t nat -S > after",
        "node-1: diff before after",
    ];
    let (out, _, status) = last(&lines);
    assert!(out.ends_with("> -N MINE") && out.lines().count() == 2, "{out}");
    assert_eq!(status, 1);
    assert_eq!(last(&["node-1: echo a > f", "node-1: echo b >> f", "node-1: cat f"]).0, "a\nb");
    assert_eq!(last(&["node-1: echo a > f", "node-2: cat f"]).1, "cat: f: No such file or directory");
    assert_eq!(
        last(&["node-1: echo 0 > /proc/sys/net/ipv4/ip_forward", "node-1: sysctl -n net.ipv4.ip_forward"]).0,
        "0"
    );
}

#[test]
fn a_settings_refusal_is_the_shells() {
    let (_, err, status) = last(&["node-1: echo x > /proc/sys/net/ipv4/ip_forward"]);
    assert_eq!((err.as_str(), status), ("bash: echo: write error: Invalid argument", 1));
    let (_, err, status) = last(&["node-1: echo 1 > /proc/sys/net/ipv4/none"]);
    assert_eq!((err.as_str(), status), ("bash: /proc/sys/net/ipv4/none: No such file or directory", 1));
}

#[test]
fn standard_error_goes_where_it_is_sent() {
    assert_eq!(prints("node-1: ip link show dev none 2>&1 | grep -c none"), "1");
    assert_eq!(last(&["node-1: ip link show dev none 2>/dev/null"]), (String::new(), String::new(), 1));
    assert_eq!(last(&["node-1: cat < none"]).1, "bash: none: No such file or directory");
}

#[test]
fn what_follows_depends_on_what_came_before() {
    assert_eq!(prints("node-1: iptables -C FORWARD -j LOG 2>/dev/null && echo there || echo none"), "none");
    assert_eq!(prints("false; echo on; true && echo too"), "on\ntoo");
}

#[test]
fn a_loop_calls_again_and_again() {
    let out = prints(
        "client: for i in {1..6}; do curl -s -m 1 http://10.0.0.11:30080/ > /dev/null && echo $i; done | wc -l",
    );
    assert_eq!(out, "6");
}

#[test]
fn the_cluster_changes_in_the_middle_of_a_line() {
    let out = prints("client: kubectl delete service web && curl -m 1 http://10.0.0.11:30080/ || echo gone");
    assert_eq!(out, "service \"web\" deleted from default namespace\ngone");
}

#[test]
fn time_passes_in_a_sleep() {
    let ages = last(&["sleep 61", "kubectl get pods | grep -c '2m\\|1m\\|6[0-9]s'"]).0;
    assert_eq!(ages, "2");
}

#[test]
fn what_is_not_there_is_named() {
    for (line, expected) in [
        ("node-1: iptables-save | perl -ne print", "perl is not modelled; these are: "),
        (
            "kubectl get pods > f",
            "this is run on a box: write it as `BOX: kubectl get pods > f`, with one of ",
        ),
        ("node-1: curl a & curl b", "'&': nothing runs beside the rest of a line"),
        ("node-1: sh", "expected sh -c LINE"),
    ] {
        let (out, err, status) = last(&[line]);
        assert!(err.contains(expected) && out.is_empty() && status != 0, "{line}: {err}");
    }
}

#[test]
fn a_setup_has_boxes_to_itself() {
    let with = |setup: &str| read_lab(&lab().replacen("apps:", &format!("setup: [{setup}]\napps:"), 1));
    assert!(with("{on: node-1, run: 'echo 1 > /tmp/f && cat /tmp/f | sort'}").is_ok());
    let refused = with("'kubectl delete pod a; sleep 1'").unwrap_err().to_string();
    assert!(
        refused.contains("kubectl delete pod a is about the cluster; expected it as a command of its own"),
        "{refused}"
    );
}
