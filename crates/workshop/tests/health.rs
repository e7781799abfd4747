//! kube-proxy answers to health checks: of the Services on their ports, and of itself. What it says is that of pkg/proxy/healthcheck at
//! each release.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use sim::StepOutcome;
use workshop::{LabRun, Setting};

const OBJECTS: &str = concat!(
    "\n",
    include_str!("../../../tests/data/two-nodes.yaml"),
    "---
kind: Pod
metadata: {name: a, labels: {app: web}}
spec: {nodeName: node-1}
---
kind: Pod
metadata: {name: b, labels: {app: web}}
spec: {nodeName: node-1}
---
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.10
  externalTrafficPolicy: Local
  healthCheckNodePort: 32000
  selector: {app: web}
  ports: [{name: http, port: 80, nodePort: 30080}, {name: more, port: 81, nodePort: 30081}]
"
);

fn run_on(world: &str, steps: &[&str], objects: &str) -> LabRun {
    let steps: Vec<String> = steps.iter().map(|s| format!("  - {s}\n")).collect();
    let text = format!(
        "apiVersion: netfilter-lab/v1\nkind: Lab\nmetadata: {{name: health}}\ntitle: health\nsummary: health\nfocus: node-1\n\
         world: {{{world}, machines: [{{name: lb, address: 10.0.0.100/24}}]}}\nsteps:\n{}{objects}",
        steps.concat()
    );
    let lab = workshop::read_lab(&text).unwrap_or_else(|e| panic!("{}", e.show("health", &text)));
    lab.run(&Setting::new()).unwrap()
}

fn run(steps: &[&str]) -> LabRun {
    run_on("cni: bridge, kubeProxy: iptables", steps, OBJECTS)
}

/// Status, standard output and standard error.
fn said(run: &LabRun, step: usize) -> (i32, String, String) {
    match &run.run.steps[step].outcome {
        StepOutcome::Command(o) => (o.status, o.stdout.join("\n"), o.stderr.join("\n")),
        other => panic!("{other:?}"),
    }
}

const CHECK_1: &str = "{run: 'curl -s -i -m 2 http://10.0.0.11:32000/healthz', on: lb}";
const CHECK_2: &str = "{run: 'curl -s -i -m 2 http://10.0.0.12:32000/', on: lb}";
const HEALTHZ: &str = "{run: 'curl -s -i -m 2 http://10.0.0.11:10256/healthz', on: lb}";

/// An answer without its date.
fn undated(text: &str) -> String {
    let lines = text.split('\n').filter(|l| !l.starts_with("Date: "));
    lines.map(|l| l.trim_end_matches('\r')).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_node_with_endpoints_is_healthy_for_a_service_and_one_without_is_not() {
    let run = run(&[CHECK_1, CHECK_2]);
    let body = |count: usize| {
        format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t}},\n\t\"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": true\n}}"
        )
    };
    let answer = |status: &str, count: usize| {
        format!(
            "HTTP/1.1 {status}\nContent-Type: application/json\nX-Content-Type-Options: nosniff\nX-Load-Balancing-Endpoint-Weight: {count}\n\
             Content-Length: {}\n\n{}",
            body(count).len(),
            body(count)
        )
    };
    assert_eq!(undated(&said(&run, 0).1), answer("200 OK", 2));
    assert_eq!(undated(&said(&run, 1).1), answer("503 Service Unavailable", 0));
    // As a scan of a real node of 1.3x has it, of a name of 16 letters.
    assert_eq!(body(1).len() + "wp-nginx-service".len() - "web".len(), 127);
}

#[test]
fn what_a_release_says_is_told_by_its_version() {
    for (version, fields, proxy) in [
        ("1.10.13", "Content-Type", false),
        ("1.17.17", "Content-Type X-Content-Type-Options", false),
        ("1.25.1", "Content-Type X-Content-Type-Options", false),
        ("1.27.1", "Content-Type X-Content-Type-Options", true),
        ("1.30.3", "Content-Type X-Content-Type-Options X-Load-Balancing-Endpoint-Weight", true),
    ] {
        let world = format!("cni: bridge, kubeProxy: iptables, kubeVersion: {version}");
        let run = run_on(&world, &[CHECK_1], OBJECTS);
        let text = undated(&said(&run, 0).1);
        let (head, body) = text.split_once("\n\n").unwrap();
        let names: Vec<&str> = head.lines().skip(1).filter_map(|l| Some(l.split_once(':')?.0)).collect();
        assert_eq!(names.join(" "), format!("{fields} Content-Length"), "{version}");
        assert_eq!(body.contains("\"serviceProxyHealthy\": true"), proxy, "{version}: {body}");
    }
}

/// Each number is a `#`.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with('#') => {}
            true => out.push('#'),
            false => out.push(c),
        }
    }
    out
}

#[test]
fn kube_proxy_says_of_itself_that_it_is_healthy() {
    let old = r#"{"lastUpdated": "TIME","currentTime": "TIME"}"#;
    for (version, want) in [
        ("1.10.13", old),
        ("1.27.1", old),
        ("1.30.3", r#"{"lastUpdated": "TIME","currentTime": "TIME", "nodeEligible": true}"#),
        (
            "1.35.0",
            r#"{"lastUpdated":"UTC","currentTime":"UTC","nodeEligible":true,"healthy":true,"status":{"IPv#":{"lastUpdated":"UTC","healthy":true}}}"#,
        ),
    ] {
        let world = format!("cni: bridge, kubeProxy: iptables, kubeVersion: {version}");
        let run = run_on(&world, &["wait: 1500ms", HEALTHZ], OBJECTS);
        let text = undated(&said(&run, 1).1);
        let (head, body) = text.split_once("\n\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\nContent-Type: application/json\n"), "{head}");
        // Of the time at which kube-proxy has begun, there is no fraction.
        let body =
            without_numbers(body).replace("#-#-# #:#:# +# UTC m=+#.#", "TIME").replace("#-#-#T#:#:#Z", "UTC");
        let body = body.replace("#-#-# #:#:#.# +# UTC m=+#.#", "TIME").replace("#-#-#T#:#:#.#Z", "UTC");
        assert_eq!(body, want, "{version}");
    }
}

#[test]
fn other_paths_are_not_found_and_livez_is_there_since_1_28() {
    let livez = "{run: 'curl -s -i -m 2 http://10.0.0.11:10256/livez', on: lb}";
    let not_found = "HTTP/1.1 404 Not Found\nContent-Type: text/plain; charset=utf-8\nX-Content-Type-Options: nosniff\n\
                     Content-Length: 19\n\n404 page not found";
    let old = run_on("cni: bridge, kubeProxy: iptables, kubeVersion: 1.27.1", &[livez], OBJECTS);
    assert_eq!(undated(&said(&old, 0).1), not_found);
    let new = run_on("cni: bridge, kubeProxy: iptables, kubeVersion: 1.30.3", &[livez], OBJECTS);
    assert!(!said(&new, 0).1.contains("nodeEligible") && said(&new, 0).1.starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn the_answer_follows_the_endpoints() {
    let run = run(&["{run: kubectl delete pod a}", CHECK_1, "{run: kubectl delete pod b}", CHECK_1]);
    assert!(said(&run, 1).1.contains("\"localEndpoints\": 1"), "{:?}", said(&run, 1));
    assert!(said(&run, 3).1.starts_with("HTTP/1.1 503 Service Unavailable"), "{:?}", said(&run, 3));
}

#[test]
fn a_stopped_kube_proxy_does_not_answer() {
    let run = run(&[
        "{run: systemctl stop kube-proxy, on: node-1}",
        CHECK_1,
        HEALTHZ,
        "{run: systemctl start kube-proxy, on: node-1}",
        CHECK_1,
    ]);
    assert_eq!((said(&run, 1).0, said(&run, 2).0, said(&run, 4).0), (7, 7, 0));
}

#[test]
fn the_port_is_chosen_shown_and_given_back_with_the_policy() {
    let run = run(&[
        "{run: \"kubectl patch service web -p '{\\\"spec\\\":{\\\"externalTrafficPolicy\\\":\\\"Cluster\\\"}}'\"}",
        CHECK_1,
        "{run: \"kubectl patch service web -p '{\\\"spec\\\":{\\\"externalTrafficPolicy\\\":\\\"Local\\\"}}'\"}",
        "{run: kubectl describe service web}",
        "{run: 'curl -s -m 2 http://10.0.0.11:30086/', on: lb}",
        "{run: ss -tlnp, on: node-1}",
    ]);
    assert_eq!(said(&run, 1).0, 7, "nobody listens on the port of the policy that was");
    assert!(said(&run, 3).1.contains("HealthCheck NodePort:     30086"), "{}", said(&run, 3).1);
    assert!(said(&run, 4).1.contains("\"localEndpoints\": 2"), "{}", said(&run, 4).1);
    for port in ["0.0.0.0:10256", "0.0.0.0:30086"] {
        let line = said(&run, 5).1;
        assert!(line.lines().any(|l| l.contains(port) && l.contains("((\"kube-proxy\",pid=")), "{line}");
    }
}

#[test]
fn a_node_that_is_to_be_deleted_is_no_longer_eligible() {
    let taint = "{run: \"kubectl patch node node-1 -p '{\\\"spec\\\":{\\\"taints\\\":[{\\\"key\\\":\\\"ToBeDeletedByClusterAutoscaler\\\",\\\"effect\\\":\\\"NoSchedule\\\"}]}}'\"}";
    let livez = "{run: 'curl -s -i -m 2 http://10.0.0.11:10256/livez', on: lb}";
    let run = run(&[taint, HEALTHZ, livez, CHECK_1]);
    let healthz = said(&run, 1).1;
    assert!(healthz.starts_with("HTTP/1.1 503") && healthz.contains("\"nodeEligible\":false"), "{healthz}");
    assert!(said(&run, 2).1.starts_with("HTTP/1.1 200"));
    assert!(said(&run, 3).1.starts_with("HTTP/1.1 200"), "a Service's check asks for its endpoints alone");
}

#[test]
fn the_address_of_healthz_can_be_chosen_and_node_port_addresses_are_those_of_the_checks() {
    let configuration = |fields: &str| {
        format!(
            "{OBJECTS}---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{fields}\n"
        )
    };
    let sockets = |fields: &str| {
        let run = run_on(
            "cni: bridge, kubeProxy: iptables",
            &["{run: ss -tln, on: node-1}"],
            &configuration(fields),
        );
        let text = said(&run, 0).1;
        text.lines()
            .skip(1)
            .filter_map(|l| l.split_whitespace().nth(3).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(sockets("healthzBindAddress: 127.0.0.1:10300"), ["127.0.0.1:10300", "0.0.0.0:32000"]);
    assert_eq!(sockets("nodePortAddresses: [10.0.0.0/24]"), ["0.0.0.0:10256", "10.0.0.11:32000"]);
}
