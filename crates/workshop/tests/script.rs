//! Lines of several programs, typed into a lab.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::served;
use sim::StepOutcome;
use sim::operator::CommandOutput;
use std::rc::Rc;
use workshop::{Session, Setting, Typed, TypedResult, read_lab};

fn lab() -> String {
    served("web", "web", "  - {id: one, on: client, run: 'curl -m 1 http://10.0.0.11:30080/'}\n")
}

/// What comes of these lines.
fn results(lines: &[&str]) -> Vec<TypedResult> {
    results_in(&lab(), lines)
}

fn results_in(lab: &str, lines: &[&str]) -> Vec<TypedResult> {
    let typed = lines.iter().map(|line| Typed::of_line(line, workshop::At::End)).collect();
    let lab = Rc::new(read_lab(lab).unwrap());
    Session { lab, changes: Setting::new(), typed, source: None }.run().unwrap().typed
}

/// What each of these lines prints.
fn all(lines: &[&str]) -> Vec<CommandOutput> {
    results(lines).into_iter().map(|r| r.output.unwrap_or_else(|| panic!("{:?}", r.refused))).collect()
}

/// What the last of these lines prints: standard output, standard error, and the status.
fn last(lines: &[&str]) -> (String, String, i32) {
    let result = results(lines).pop().unwrap();
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

/// A lab's objects are taken as the API server takes them: it allocates what a Service does not say.
#[test]
fn a_service_that_says_no_address_and_no_node_port_is_given_both() {
    for given in ["", "clusterIP: '', "] {
        let lab = lab().replace("clusterIP: 10.96.0.80, ", given).replace(", nodePort: 30080", "");
        let out = results_in(&lab, &["kubectl get svc web", "client: curl -s -m 1 http://10.0.0.11:30086/"]);
        let listed = out[0].output.as_ref().unwrap().stdout.join("\n");
        assert!(listed.contains(" 10.96.1.1 ") && listed.contains(" 80:30086/TCP "), "{listed}");
        assert_eq!(out[1].output.as_ref().unwrap().status, 0);
    }
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

/// What is typed with `&` runs beside what follows, until a `wait` or the end; tcpdump prints what it has seen meanwhile.
#[test]
fn what_is_typed_with_an_ampersand_runs_in_the_background() {
    for wait in [vec!["wait"], Vec::new()] {
        let session = [
            &[
                "client: tcpdump -nn -q tcp and dst port 30080 &",
                "client: curl -s -m 1 http://10.0.0.11:30080/",
            ][..],
            &wait,
        ]
        .concat();
        let out = all(&session);
        let seen = out[0].stdout.iter().filter(|l| l.contains("> 10.0.0.11.30080: tcp")).count();
        assert!(seen >= 4, "{:?}", out[0]);
        assert_eq!((out[0].status, out[1].status), (0, 0));
    }
}

/// What was captured before is not seen by a tcpdump that begins later.
#[test]
fn a_capture_in_the_background_begins_when_it_is_typed() {
    let out = all(&[
        "client: curl -s -m 1 http://10.0.0.11:30080/",
        "client: tcpdump -nn tcp &",
        "client: ping -c 1 10.0.0.11",
        "wait",
    ]);
    assert!(out[1].stderr.iter().any(|l| l == "0 packets captured"), "{:?}", out[1]);
}

/// A pod with its node's network has its node's box.
#[test]
fn a_pod_of_the_nodes_network_is_named_as_others_are() {
    let agent = "---\nkind: Pod\nmetadata: {name: agent}\nspec: {nodeName: node-2, hostNetwork: true}\n";
    let lab = lab().replace(
        "on: [a, b], app: http, port: 80}",
        "on: [a, b], app: http, port: 80}, {on: agent, app: http, port: 9090}",
    ) + agent;
    let out = results_in(&lab, &["client: curl -s http://10.0.0.12:9090/", "kubectl exec agent -- uname -n"]);
    let printed = |n: usize| out[n].output.as_ref().unwrap().stdout.clone();
    assert_eq!([printed(0), printed(1)], [["hello from node-2, you are 10.0.0.100"], ["node-2"]]);
}

/// What does not go with a Service's type is refused as the API server refuses it; a type that changes takes its fields along.
#[test]
fn fields_of_a_service_go_with_its_type() {
    let patch = |spec: &str| format!("kubectl patch service web -p '{{\"spec\":{{{spec}}}}}'");
    let inside = patch("\"type\":\"ClusterIP\"");
    let out = results_in(
        &lab(),
        &[
            &patch("\"externalTrafficPolicy\":\"Local\""),
            &inside,
            &patch("\"ports\":[{\"port\":80,\"nodePort\":30080}]"),
            &patch("\"externalTrafficPolicy\":\"Local\""),
            &patch("\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30081}]"),
        ],
    );
    let said =
        |n: usize| out[n].output.as_ref().map(|o| [o.stdout.clone(), o.stderr.clone()].concat().join("|"));
    let refused = |why: &str| Some(format!("The Service \"web\" is invalid: spec.{why}"));
    let patched = Some("service/web patched".to_owned());
    assert_eq!([said(0), said(1), said(4)], [patched.clone(), patched.clone(), patched]);
    assert_eq!(said(2), refused("ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"));
    assert_eq!(
        said(3),
        refused(
            "externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
        )
    );
}

/// In the words of `ValidateNonSpecialIP`.
#[test]
fn an_external_address_is_none_of_a_link() {
    let patch = |ip: &str| {
        format!("kubectl patch service web -p '{{\"spec\":{{\"externalIPs\":[\"10.9.9.9\",\"{ip}\"]}}}}'")
    };
    for (ip, why) in [
        ("169.254.9.9", "in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("127.0.0.2", "in the loopback range (127.0.0.0/8, ::1/128)"),
        ("224.0.0.9", "in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("0.0.0.0", "unspecified (0.0.0.0)"),
    ] {
        let out = results_in(&lab(), &[&patch(ip)]);
        let said = out[0].output.as_ref().unwrap().stderr.join("|");
        let refused = format!(
            "The Service \"web\" is invalid: spec.externalIPs[1]: Invalid value: \"{ip}\": may not be {why}"
        );
        assert_eq!(said, refused);
    }
}

/// A port of a Service is one of its pod's; what is wrong is told as kubectl tells it.
#[test]
fn a_service_is_forwarded_to_by_one_of_its_pods() {
    let lab = lab().replace("port: 80, nodePort", "name: http, port: 8000, targetPort: 80, nodePort");
    for (words, told) in
        [("svc/web 8080:8000", 8080), ("service/web 8000", 8000), ("svc/web 8080:http", 8080)]
    {
        let forward = format!("client: kubectl port-forward {words}");
        let call = format!("client: curl -s http://127.0.0.1:{told}/");
        let out = results_in(&lab, &[&forward, &call]);
        let printed = |n: usize| out[n].output.as_ref().unwrap().stdout.clone();
        assert_eq!(
            printed(0),
            [format!("Forwarding from 127.0.0.1:{told} -> 80"), format!("Handling connection for {told}")]
        );
        assert_eq!(printed(1), ["hello from a, you are 127.0.0.1"]);
    }
    for (words, why) in [
        ("svc/web 8080:80", "error: Service web does not have a service port 80"),
        ("svc/web 8080:dns", "error: Service 'web' does not have a named port 'dns'"),
        ("svc/none 8080:80", "Error from server (NotFound): services \"none\" not found"),
        ("deploy/none 80", "Error from server (NotFound): deployments.apps \"none\" not found"),
        ("pod/none 80", "Error from server (NotFound): pods \"none\" not found"),
    ] {
        let out = results_in(&lab, &[&format!("client: kubectl port-forward {words}")]).remove(0);
        assert_eq!(out.output.unwrap().stderr, [why], "{words}");
    }
}

#[test]
fn what_cannot_run_in_the_background_is_told() {
    const ONE: &str = "'&': expected one program of a box before it, which runs in the background";
    for (line, expected) in [
        ("kubectl get pods &", ONE),
        ("client: curl -s http://10.0.0.11/ | wc -l &", ONE),
        ("wait &", ONE),
        ("ping -c 1 10.0.0.11 &", "ping is run on a box: write it as `BOX: ping -c 1 10.0.0.11 &`"),
        ("node-1: iptables -L &", "\"iptables\" does not run in the background; these do: curl, "),
    ] {
        let (out, err, status) = last(&[line]);
        assert!(err.contains(expected) && out.is_empty() && status != 0, "{line}: {err}");
    }
}

#[test]
fn a_setup_has_boxes_to_itself() {
    let with = |setup: &str| read_lab(&lab().replacen("apps:", &format!("setup: [{setup}]\napps:"), 1));
    assert!(with("{on: node-1, run: 'echo 1 > /tmp/f && cat /tmp/f | sort'}").is_ok());
    let beside = with("{on: node-1, run: 'ping 10.0.0.12 &'}").unwrap_err().to_string();
    assert!(
        beside.contains("expected a command that ends: only steps have programs in the background"),
        "{beside}"
    );
    let refused = with("'kubectl delete pod a; sleep 1'").unwrap_err().to_string();
    assert!(
        refused.contains("kubectl delete pod a is about the cluster; expected it as a command of its own"),
        "{refused}"
    );
}

#[test]
fn kubectl_is_run_for_each_word_that_a_command_prints() {
    for (line, expected) in [
        (
            "for p in $(kubectl get pods -o name); do kubectl exec $p -- ip -br -4 addr; done | grep -c eth0",
            "2",
        ),
        (
            "for p in $(kubectl get pods | awk 'NR>1 {print $1}'); do kubectl get pod $p -o name; done",
            "pod/a\npod/b",
        ),
        (
            "for k in $(echo svc node); do kubectl get $k -o name; done",
            "service/web\nnode/node-1\nnode/node-2",
        ),
    ] {
        assert_eq!(prints(line), expected, "{line}");
    }
    let (_, err, _) = last(&["for k in $(echo nothing); do kubectl get $k; done"]);
    assert_eq!(err, "error: the server doesn't have a resource type \"nothing\"");
}

/// A scenario has boxes alone.
#[test]
fn what_the_cluster_has_to_do_with_is_no_step_of_a_scenario() {
    let of_boxes = "ip -br link | grep -c eth0";
    let lines = [
        "kubectl get pods; iptables -L",
        "kubectl get pods | wc -l",
        "kubectl exec a -- ip route | wc -l",
        "ip route && systemctl restart kube-proxy",
        "ip route | sort && sh -c 'kubectl get pods'",
        of_boxes,
    ];
    let step = |line: &str| format!("  - {{on: node-1, run: \"{line}\"}}\n");
    let lab = read_lab(&served("web", "web", &lines.map(step).concat())).unwrap();
    let scenario = lab.scenario(&Setting::new()).unwrap();
    let run = scenario.run().unwrap();
    let printed = run.steps.into_iter().map(|step| match step.outcome {
        StepOutcome::Command(output) => output.stdout,
        _ => Vec::new(),
    });
    assert_eq!(printed.collect::<Vec<_>>(), [["1"]]);
}
