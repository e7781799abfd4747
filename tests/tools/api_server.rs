//! What the API server refuses, in its words: pkg/apis/core/validation, pkg/registry/core/service and apimachinery's validation of 1.35.

use std::rc::Rc;
use workshop::{At, Session, Typed, read_lab};

/// Two nodes, a Deployment, a Service of it, and a pod that says little.
const LAB: &str = concat!(
    "
apiVersion: netfilter-lab/v1
kind: Lab
metadata: {name: test}
title: t
summary: s
focus: node-1
world: {cni: bridge, natOutgoing: true}
steps: [{id: one, on: node-1, run: 'ip -br addr'}]
",
    include_str!("../data/two-nodes.yaml"),
    "---
kind: Pod
metadata: {name: bare, labels: {app: bare}}
spec: {nodeName: node-2}
---
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: nginx}]}}
---
kind: Service
metadata: {name: web}
spec: {type: NodePort, clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
"
);

fn run(lab: &str, typed: Vec<Typed>) -> Vec<(i32, String)> {
    let lab = Rc::new(read_lab(lab).unwrap_or_else(|e| panic!("{}", e.show("lab", lab))));
    let run = Session { typed, ..Session::new(lab) }.run().unwrap();
    let one = |t: &workshop::TypedResult| match (&t.output, &t.refused) {
        (Some(o), _) => (o.status, [o.stdout.as_slice(), &o.stderr].concat().join("\n")),
        (None, Some(refused)) => (-1, refused.message.clone()),
        _ => (0, String::new()),
    };
    run.typed.iter().map(one).collect()
}

fn line(line: &str, stdin: &str) -> Typed {
    Typed { stdin: stdin.to_owned(), ..Typed::of_line(line, At::End) }
}

/// What lines print that are typed one after the other.
fn told(lines: &[&str]) -> Vec<(i32, String)> {
    run(LAB, lines.iter().map(|l| line(l, "")).collect())
}

/// What `kubectl create -f -` says of an object.
fn create(yaml: &str) -> (i32, String) {
    run(LAB, vec![line("kubectl create -f -", yaml)]).remove(0)
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric \
     character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an \
     alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
     alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
     '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const LABEL_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
     'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const PORT: &str = "must be between 1 and 65535, inclusive";
const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// The fields of a Service's spec that are refused, and how.
#[test]
fn a_services_fields() {
    let not = |path: &str, value: &str, why: &str| format!("spec.{path}: Invalid value: {value}: {why}");
    for (spec, why) in [
        ("type: NodePort, ports: [{port: 80, nodePort: 80}]", not("ports[0].nodePort", "80", "provided port is not in the valid range. The range of valid ports is 30000-32767")),
        ("type: NodePort, ports: [{port: 80, nodePort: 30080}]", not("ports[0].nodePort", "30080", "provided port is already allocated")),
        ("type: NodePort, ports: [{name: a, port: 80, nodePort: 30081}, {name: b, port: 81, nodePort: 30081}]", not("ports[1].nodePort", "30081", "provided port is already allocated")),
        ("ports: [{port: 80, nodePort: 30081}]", "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'".to_owned()),
        ("clusterIP: 10.95.0.1, ports: [{port: 80}]", not("clusterIPs", "[\"10.95.0.1\"]", "failed to allocate IP 10.95.0.1: the provided network does not match the current range")),
        ("clusterIP: 10.96.0.80, ports: [{port: 80}]", not("clusterIPs", "[\"10.96.0.80\"]", "failed to allocate IP 10.96.0.80: provided IP is already allocated")),
        ("clusterIPs: [10.96.0.80], ports: [{port: 80}]", not("clusterIPs", "[\"10.96.0.80\"]", "failed to allocate IP 10.96.0.80: provided IP is already allocated")),
        ("clusterIP: 10.96.0, ports: [{port: 80}]", not("clusterIPs[0]", "\"10.96.0\"", IP)),
        ("type: NodePort, clusterIP: None, ports: [{port: 80}]", not("clusterIPs[0]", "\"None\"", "may not be set to 'None' for NodePort services")),
        ("selector: {app: x}", "spec.ports: Required value".to_owned()),
        ("ports: [{port: 65536}]", not("ports[0].port", "65536", PORT)),
        ("ports: [{port: -1}]", not("ports[0].port", "-1", PORT)),
        ("ports: [{name: a}]", not("ports[0].port", "0", PORT)),
        ("ports: [{port: 80, targetPort: 70000}]", not("ports[0].targetPort", "70000", PORT)),
        ("ports: [{port: 80, targetPort: web_ui}]", not("ports[0].targetPort", "\"web_ui\"", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")),
        ("ports: [{port: 80, protocol: tcp}]", "spec.ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"".to_owned()),
        ("ports: [{port: 80, name: Web}]", not("ports[0].name", "\"Web\"", LABEL)),
        ("ports: [{port: 80, name: a.b}]", not("ports[0].name", "\"a.b\"", "must not contain dots")),
        ("ports: [{port: 80, name: a}, {port: 81}]", "spec.ports[1].name: Required value".to_owned()),
        ("ports: [{port: 80, name: a}, {port: 81, name: a}]", "spec.ports[1].name: Duplicate value: \"a\"".to_owned()),
        ("ports: [{port: 80, name: a}, {port: 80, name: b}]", "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}".to_owned()),
        ("externalIPs: [10.0.0.300], ports: [{port: 80}]", not("externalIPs[0]", "\"10.0.0.300\"", IP)),
        ("externalIPs: [127.0.0.1], ports: [{port: 80}]", not("externalIPs[0]", "\"127.0.0.1\"", "may not be in the loopback range (127.0.0.0/8, ::1/128)")),
        ("type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0], ports: [{port: 80}]", not("LoadBalancerSourceRanges[0]", "\"10.0.0.0\"", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")),
        ("loadBalancerSourceRanges: [10.0.0.0/8], ports: [{port: 80}]", "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'".to_owned()),
        ("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}, ports: [{port: 80}]", not("sessionAffinityConfig.clientIP.timeoutSeconds", "86401", "must be greater than 0 and less than 86400")),
        ("sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, ports: [{port: 80}]", "spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None".to_owned()),
        ("sessionAffinity: Client, ports: [{port: 80}]", "spec.sessionAffinity: Unsupported value: \"Client\": supported values: \"ClientIP\", \"None\"".to_owned()),
        ("type: nodePort, ports: [{port: 80}]", "spec.type: Unsupported value: \"nodePort\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"".to_owned()),
        ("externalTrafficPolicy: Local, ports: [{port: 80}]", not("externalTrafficPolicy", "\"Local\"", "may only be set for externally-accessible services")),
        ("type: NodePort, externalTrafficPolicy: local, ports: [{port: 80}]", "spec.externalTrafficPolicy: Unsupported value: \"local\": supported values: \"Cluster\", \"Local\"".to_owned()),
        ("type: NodePort, healthCheckNodePort: 31000, ports: [{port: 80}]", not("healthCheckNodePort", "31000", "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")),
        ("selector: {app: 'a b'}, ports: [{port: 80}]", not("selector", "\"a b\"", LABEL_VALUE)),
        ("selector: {-app: x}, ports: [{port: 80}]", not("selector", "\"-app\"", LABEL_NAME)),
        ("type: ExternalName", "spec.externalName: Required value".to_owned()),
        ("type: ExternalName, externalName: a_b", not("externalName", "\"a_b\"", SUBDOMAIN)),
    ] {
        let said = create(&format!("kind: Service\nmetadata: {{name: x}}\nspec: {{{spec}}}\n"));
        assert_eq!(said, (1, format!("The Service \"x\" is invalid: {why}")), "{spec}");
    }
}

#[test]
fn names_and_labels() {
    let invalid = |kind: &str, metadata: &str, value: &str, path: &str, why: &str| {
        let spec = if kind == "Service" { "spec: {ports: [{port: 80}]}\n" } else { "" };
        let name =
            metadata.split(['{', ',', '}']).find_map(|w| w.trim().strip_prefix("name: ")).unwrap_or_default();
        let want =
            format!("The {kind} \"{name}\" is invalid: metadata.{path}: Invalid value: \"{value}\": {why}");
        assert_eq!(create(&format!("kind: {kind}\nmetadata: {metadata}\n{spec}")), (1, want), "{metadata}");
    };
    invalid("Service", "{name: Web}", "Web", "name", LABEL_1035);
    invalid("Service", "{name: 1web}", "1web", "name", LABEL_1035);
    invalid("Service", "{name: web.one}", "web.one", "name", LABEL_1035);
    invalid("Namespace", "{name: a.b}", "a.b", "name", "must not contain dots");
    invalid("ConfigMap", "{name: A.b}", "A.b", "name", SUBDOMAIN);
    let long = "a".repeat(64);
    invalid("Service", &format!("{{name: {long}}}"), &long, "name", "must be no more than 63 characters");
    invalid("Service", "{name: x, labels: {app: -a}}", "-a", "labels", LABEL_VALUE);
    invalid("Service", "{name: x, labels: {a b: c}}", "a b", "labels", LABEL_NAME);
    let prefix = format!("prefix part {SUBDOMAIN}");
    invalid("Service", "{name: x, labels: {A/b: c}}", "A/b", "labels", &prefix);
}

#[test]
fn a_pods_fields() {
    let two = "containers: [{name: a, image: a}, {name: a, image: b}]";
    for (spec, why) in [
        ("nodeName: node-1", "spec.containers: Required value"),
        ("containers: [{image: a}]", "spec.containers[0].name: Required value"),
        ("containers: [{name: a}]", "spec.containers[0].image: Required value"),
        (two, "spec.containers[1].name: Duplicate value: \"a\""),
        (
            "containers: [{name: a, image: a, ports: [{name: http}]}]",
            "spec.containers[0].ports[0].containerPort: Required value",
        ),
        (
            "containers: [{name: a, image: a, ports: [{containerPort: 70000}]}]",
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            "containers: [{name: a, image: a, ports: [{containerPort: 80, name: '80'}]}]",
            "spec.containers[0].ports[0].name: Invalid value: \"80\": must contain at least one letter (a-z)",
        ),
        (
            "containers: [{name: a, image: a, ports: [{containerPort: 80, hostPort: 80}, {containerPort: 81, hostPort: 80}]}]",
            "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"",
        ),
        (
            "restartPolicy: always, containers: [{name: a, image: a}]",
            "spec.restartPolicy: Unsupported value: \"always\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
    ] {
        let said = create(&format!("kind: Pod\nmetadata: {{name: x}}\nspec: {{{spec}}}\n"));
        assert_eq!(said, (1, format!("The Pod \"x\" is invalid: {why}")), "{spec}");
    }
}

/// A lab's own objects leave out what nothing needs; so does what is done before it runs.
#[test]
fn a_pod_without_containers_is_there_before_the_lab_runs() {
    let setup = Typed {
        at: At::Setup,
        ..line("kubectl create -f -", "kind: Pod\nmetadata: {name: x}\nspec: {nodeName: node-1}\n")
    };
    let out = run(LAB, vec![setup, line("kubectl get pod x -o name", "")]);
    assert_eq!(out[1], (0, "pod/x".to_owned()));
}

#[test]
fn several_faults_have_a_line_each() {
    let said = create("kind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 0}, {port: 80}]}\n");
    let want = "The Service \"x\" is invalid: \n* spec.ports[0].name: Required value\n* spec.ports[0].port: Invalid value: 0: must be between 1 \
                and 65535, inclusive\n* spec.ports[1].name: Required value";
    assert_eq!(said, (1, want.to_owned()));
    let run = told(&["kubectl run Web --image=nginx"]).remove(0);
    let name = |path: &str, why: &str| format!("\n* {path}: Invalid value: \"Web\": {why}");
    let faults = name("metadata.name", SUBDOMAIN) + &name("spec.containers[0].name", LABEL);
    assert_eq!(run, (1, format!("The Pod \"Web\" is invalid: {faults}")));
}

#[test]
fn a_deployments_fields() {
    let create = |spec: &str| {
        create(&format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{{spec}}}\n"))
    };
    let template = "template: {metadata: {labels: {app: b}}, spec: {containers: [{name: a, image: a}]}}";
    let says = |why: &str| (1, format!("The Deployment \"x\" is invalid: {why}"));
    let wrong = "spec.template.metadata.labels: Invalid value: {\"app\":\"b\"}: `selector` does not match template `labels`";
    assert_eq!(create(&format!("selector: {{matchLabels: {{app: a}}}}, {template}")), says(wrong));
    assert_eq!(create(template), says("spec.selector: Required value"));
    let negative = format!("replicas: -1, selector: {{matchLabels: {{app: b}}}}, {template}");
    assert_eq!(
        create(&negative),
        says("spec.replicas: Invalid value: -1: must be greater than or equal to 0")
    );
    let empty = "selector: {matchLabels: {app: b}}, template: {metadata: {labels: {app: b}}, spec: {}}";
    assert_eq!(create(empty), says("spec.template.spec.containers: Required value"));
}

/// What is there already is held against what it becomes: what was wrong before is not refused.
#[test]
fn patches() {
    for (patch, status, said) in [
        (
            "svc web -p '{\"spec\":{\"type\":\"Foo\"}}'",
            1,
            "The Service \"web\" is invalid: spec.type: Unsupported value: \"Foo\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            "svc web -p '{\"spec\":{\"ports\":[{\"port\":80,\"nodePort\":8080}]}}'",
            1,
            "The Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 8080: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
        (
            "svc web -p '{\"spec\":{\"selector\":{\"app\":\"a b\"}}}'",
            1,
            &format!("The Service \"web\" is invalid: spec.selector: Invalid value: \"a b\": {LABEL_VALUE}"),
        ),
        (
            "deploy web -p '{\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"b\"}}}}'",
            1,
            "The Deployment \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable",
        ),
        (
            "svc web -p '{\"metadata\":{\"name\":\"b\"}}'",
            1,
            "Error from server (BadRequest): the name of the object (b) does not match the name on the URL (web)",
        ),
        (
            "svc web -p '{\"spec\":{\"foo\":1}}'",
            0,
            "service/web patched (no change)\nWarning: unknown field \"spec.foo\"",
        ),
        ("svc web -p '{\"spec\":{\"type\":\"NodePort\"}}'", 0, "service/web patched (no change)"),
        ("svc web -p '{\"spec\":{\"type\":\"ClusterIP\"}}'", 0, "service/web patched"),
        ("pod bare -p '{\"metadata\":{\"labels\":{\"a\":\"b\"}}}'", 0, "pod/bare patched"),
    ] {
        assert_eq!(told(&[&format!("kubectl patch {patch}")]), [(status, said.to_owned())], "{patch}");
    }
    let refused =
        told(&["kubectl patch svc web -p '{\"spec\":{\"type\":\"Foo\"}}'", "kubectl get svc web -o name"]);
    assert_eq!(refused[1], (0, "service/web".to_owned()));
}

#[test]
fn unknown_fields_are_no_fields() {
    for (yaml, field) in [
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80, weight: 1}]}\n",
            "spec.ports[0].weight",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}], replicas: 1}\n",
            "spec.replicas",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x, tier: a}\nspec: {containers: [{name: a, image: a}]}\n",
            "metadata.tier",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: a, expose: 80}]}\n",
            "spec.containers[0].expose",
        ),
    ] {
        let kind = if yaml.contains("Pod") { "Pod" } else { "Service" };
        let want = format!(
            "Error from server (BadRequest): error when creating \"STDIN\": {kind} in version \"v1\" cannot be handled as a {kind}: strict \
             decoding error: unknown field \"{field}\""
        );
        assert_eq!(create(yaml), (1, want), "{yaml}");
    }
}

#[test]
fn a_namespace_has_to_be_there() {
    let service = "kind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}\n";
    let none = "namespaces \"shop\" not found";
    let from = format!("Error from server (NotFound): error when creating \"STDIN\": {none}");
    let made = format!("Error from server (NotFound): {none}");
    for (command, stdin, said) in [
        ("kubectl -n shop create -f -", service, from.as_str()),
        ("kubectl -n shop apply -f -", service, &from),
        ("kubectl run a --image=a -n shop", "", &made),
        (
            "kubectl -n shop create svc clusterip a --tcp=80",
            "",
            "error: failed to create ClusterIP service: namespaces \"shop\" not found",
        ),
    ] {
        assert_eq!(run(LAB, vec![line(command, stdin)]), [(1, said.to_owned())], "{command}");
    }
    let lines = [
        line("kubectl create -f -", "kind: Namespace\nmetadata: {name: shop}\n"),
        line("kubectl -n shop create -f -", service),
        line("kubectl get svc -n shop -o name", ""),
        line("kubectl delete namespace shop", ""),
        line("kubectl get svc -A -o name", ""),
        line("kubectl -n shop create -f -", service),
    ];
    let out = run(LAB, lines.to_vec());
    assert_eq!([&out[1].1, &out[2].1], ["service/x created", "service/x"]);
    assert_eq!([&out[3].1, &out[4].1], ["namespace \"shop\" deleted", "service/web"]);
    assert_eq!(out[5], (1, from));
    let other = run(
        LAB,
        vec![line(
            "kubectl -n shop apply -f -",
            &service.replace("{name: x", "{name: x, namespace: kube-system"),
        )],
    );
    assert!(other[0].1.ends_with("does not match the namespace \"shop\". You must pass '--namespace=kube-system' to perform this operation."), "{other:?}");
}

/// Whose lab has a Service outside of the defaults has other ranges; who has a ServiceCIDR has told them.
#[test]
fn ranges_are_the_labs() {
    let create = |lab: &str, spec: &str| {
        let yaml = format!("kind: Service\nmetadata: {{name: x}}\nspec: {{{spec}}}\n");
        run(lab, vec![line("kubectl create -f -", &yaml)]).remove(0)
    };
    let ip = |ip: &str| format!("clusterIP: {ip}, ports: [{{port: 80}}]");
    let cidr = format!("{LAB}---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {{name: kubernetes}}\nspec: {{cidrs: [10.43.0.0/16]}}\n")
        .replace("10.96.0.80", "10.43.0.80");
    assert_eq!(create(&cidr, &ip("10.43.0.81")).0, 0);
    assert_eq!(create(&cidr, &ip("10.96.0.81")).0, 1);
    let elsewhere = LAB.replace("10.96.0.80", "10.43.0.80");
    assert_eq!(create(&elsewhere, &ip("10.20.0.1")).0, 0);
    let low = LAB.replace("30080", "69");
    assert_eq!(create(&low, "type: NodePort, ports: [{port: 80, nodePort: 70}]").0, 0);
}

/// What is applied twice is unchanged; what was not applied is not, as kubectl notes what it was given.
#[test]
fn what_is_applied_twice() {
    let yaml = "kind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}\n";
    let apply = |yaml: &str| line("kubectl apply -f -", yaml);
    let out = run(LAB, vec![apply(yaml), apply(yaml), apply(&yaml.replace("80", "81"))]);
    let said: Vec<&str> = out.iter().map(|(_, said)| said.as_str()).collect();
    assert_eq!(said, ["service/x created", "service/x unchanged", "service/x configured"]);
    let own = "kind: Pod\nmetadata: {name: bare, labels: {app: bare}}\nspec: {nodeName: node-2}\n";
    let out = run(LAB, vec![apply(own), apply(own), line("kubectl get pod bare -o yaml", "")]);
    let said: Vec<&str> = out.iter().take(2).map(|(_, said)| said.as_str()).collect();
    assert_eq!(said, ["pod/bare configured", "pod/bare unchanged"]);
    assert!(!out[2].1.contains("annotations"), "{}", out[2].1);
}
