//! kubectl typed into a lab: what it prints, and what comes of it.

use std::rc::Rc;
use workshop::{At, Session, Typed, read_lab};

/// Two nodes, a Deployment whose pods serve HTTP on port 80, a client without labels, and a Service of two protocols.
const LAB: &str = concat!(
    "
apiVersion: netfilter-lab/v1
kind: Lab
metadata: {name: test}
title: t
summary: s
focus: node-1
world: {cni: bridge, natOutgoing: true}
apps: [{on: {pods: {app: web}}, app: http}]
steps: [{id: one, on: client, run: 'ip -br addr'}]
",
    include_str!("../data/two-nodes.yaml"),
    "---
kind: Pod
metadata: {name: client}
spec: {nodeName: node-2}
---
kind: Pod
metadata: {name: bare, labels: {app: bare}}
spec: {nodeName: node-2}
---
kind: Pod
metadata: {name: db, labels: {app: db, tier: back}}
spec: {nodeName: node-2, containers: [{ports: [{containerPort: 5432}, {containerPort: 9187, name: metrics}]}]}
---
kind: Deployment
metadata: {name: web, labels: {app: web, team: a}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec: {nodeName: node-1, containers: [{ports: [{containerPort: 80}]}]}
---
kind: Service
metadata: {name: dns}
spec:
  clusterIP: 10.96.0.10
  selector: {app: dns}
  ports:
    - {name: udp, port: 53, protocol: UDP}
    - {name: tcp, port: 53}
    - {name: metrics, port: 9153}
---
kind: Service
metadata: {name: out}
spec: {type: NodePort, clusterIP: 10.96.0.11, ports: [{port: 80, nodePort: 30080}]}
"
);

fn line(line: &str, at: At) -> Typed {
    let (on, line) = line.split_once(": ").map_or((None, line), |(on, line)| (Some(on.to_owned()), line));
    Typed { at, on, line: line.to_owned(), ..Typed::default() }
}

fn run(typed: Vec<Typed>) -> Vec<(i32, Vec<String>)> {
    let lab = Rc::new(read_lab(LAB).unwrap_or_else(|e| panic!("{}", e.show("lab", LAB))));
    let run = Session { typed, ..Session::new(lab) }.run().unwrap();
    let one = |t: &workshop::TypedResult| match (&t.output, &t.refused) {
        (Some(o), _) => (o.status, o.stdout.iter().chain(&o.stderr).cloned().collect()),
        (None, Some(refused)) => (-1, vec![refused.message.clone()]),
        _ => (0, Vec::new()),
    };
    run.typed.iter().map(one).collect()
}

/// What each of some lines prints that are typed one after the other at the end, with its status; -1 for one that is not run.
fn told(lines: &[&str]) -> Vec<(i32, Vec<String>)> {
    run(lines.iter().map(|l| line(l, At::End)).collect())
}

/// What one line prints.
fn says(line: &str) -> (i32, String) {
    let (status, text) = told(&[line]).remove(0);
    (status, text.join("\n"))
}

/// The words of a Service's line in `kubectl get service -o wide`, without its name and age.
fn service(name: &str, lines: &[&str]) -> Vec<String> {
    let get = format!("kubectl get service {name} -o wide");
    let all = told(&[lines, &[&get]].concat());
    let row = all.last().unwrap().1.get(1).unwrap_or_else(|| panic!("{all:?}"));
    let words: Vec<&str> = row.split_whitespace().collect();
    [&words[1..5], &words[6..]].concat().into_iter().map(str::to_owned).collect()
}

#[test]
fn an_exposed_deployment_answers() {
    let out = told(&[
        "kubectl expose deployment/web --port=8080 --target-port=80 --cluster-ip=10.96.0.99",
        "client: curl -s -m 2 http://10.96.0.99:8080/",
    ]);
    assert_eq!(out[0], (0, vec!["service/web exposed".to_owned()]));
    assert!(out[1].0 == 0 && out[1].1[0].starts_with("hello from web-"), "{out:?}");
}

/// Without options: the name, the labels, the selector and the ports are those of what is exposed.
#[test]
fn a_service_has_what_is_exposed() {
    let words = |name, line| service(name, &[line]).join(" ");
    let web = words("web", "kubectl expose deploy web");
    assert_eq!(web, "ClusterIP 10.96.1.1 <none> 80/TCP app=web");
    let db = words("db", "kubectl expose pod db");
    assert_eq!(db, "ClusterIP 10.96.1.1 <none> 5432/TCP,9187/TCP app=db,tier=back");
    // A port of two protocols is two.
    let dns = words("dns2", "kubectl expose service dns --name=dns2 --type=NodePort");
    assert_eq!(dns, "NodePort 10.96.1.1 <none> 53:30086/UDP,53:30087/TCP,9153:30088/TCP app=dns");
    let describe =
        told(&["kubectl expose service dns --name=dns2", "kubectl describe service dns2"]).remove(1);
    let names: Vec<&str> =
        describe.1.iter().filter_map(|l| l.strip_prefix("Port: ")).map(str::trim).collect();
    assert_eq!(names, ["port-1-udp  53/UDP", "port-1-tcp  53/TCP", "port-2  9153/TCP"]);
}

/// A pod that a Deployment has made stands in no manifest.
#[test]
fn a_deployments_pod_is_exposed_by_its_labels() {
    let pods = told(&["kubectl get pods"]).remove(0).1;
    let name = pods.iter().find(|l| l.starts_with("web-")).unwrap().split(' ').next().unwrap().to_owned();
    let words = service("one", &[&format!("kubectl expose pod {name} --name one")]).join(" ");
    assert!(words.ends_with("80/TCP app=web,version=v1"), "{words}");
}

#[test]
fn what_cannot_be_exposed_is_told_as_kubectl_does() {
    let cases = [
        (
            "kubectl expose deployment nothing --port=80",
            "Error from server (NotFound): deployments.apps \"nothing\" not found",
        ),
        (
            "kubectl expose deployment web -n other --port=80",
            "Error from server (NotFound): deployments.apps \"web\" not found",
        ),
        ("kubectl expose svc/nothing", "Error from server (NotFound): services \"nothing\" not found"),
        (
            "kubectl expose pod client --port=80",
            "error: couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
        ),
        (
            "kubectl expose service out --name=x",
            "error: couldn't retrieve selectors via --selector flag or introspection: the service has no pod selector set",
        ),
        ("kubectl expose pod bare", "error: couldn't find port via --port flag or introspection"),
        ("kubectl expose service dns", "Error from server (AlreadyExists): services \"dns\" already exists"),
        (
            "kubectl expose pod db --session-affinity=Cookie",
            "The Service \"db\" is invalid: spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\"",
        ),
        ("kubectl expose pod db --type=ExternalName", "error: spec.externalName: Required value"),
        (
            "kubectl expose pod db --type=nodeport",
            "The Service \"db\" is invalid: spec.type: Unsupported value: \"nodeport\": supported values: \"ClusterIP\", \"ExternalName\", \
             \"LoadBalancer\", \"NodePort\"",
        ),
        (
            "kubectl expose pod db --port=0",
            "The Service \"db\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ("kubectl expose node node-1 --port=80", "error: cannot expose a node"),
        (
            "kubectl expose pod db --port=80 --protocol=udp",
            "The Service \"db\" is invalid: spec.ports[0].protocol: Unsupported value: \"udp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
    ];
    for (line, want) in cases {
        assert_eq!(says(line), (1, want.to_owned()), "{line}");
    }
    assert!(
        says("kubectl rollout undo deployment web")
            .1
            .starts_with("kubectl rollout undo deployment web is not read")
    );
}

/// Nothing is left of a Service that was refused.
#[test]
fn a_refused_service_is_not_there() {
    let out =
        told(&["kubectl expose pod db --protocol=udp", "kubectl get service db", "kubectl expose pod db"]);
    assert_eq!(out[1].1, ["Error from server (NotFound): services \"db\" not found"]);
    assert_eq!(out[2].1, ["service/db exposed"]);
}

/// Before the steps the rules are there from the beginning.
#[test]
fn a_service_can_be_exposed_before_the_steps() {
    let out = run(vec![
        line("kubectl expose deployment web --cluster-ip=10.96.0.99", At::Setup),
        line("kubectl expose deployment web", At::Setup),
        line("client: curl -s -m 2 http://10.96.0.99/", At::Before(0)),
    ]);
    assert_eq!(
        out[1],
        (-1, vec!["Error from server (AlreadyExists): services \"web\" already exists".to_owned()])
    );
    assert!(out[2].0 == 0 && out[2].1[0].starts_with("hello from web-"), "{out:?}");
}

/// Of the API server: what is named and is not there.
#[test]
fn who_is_not_there_is_not_found() {
    for (line, what) in [
        ("kubectl delete svc nothing", "services"),
        ("kubectl scale deploy nothing --replicas=2", "deployments.apps"),
        ("kubectl patch pod nothing -p '{}'", "pods"),
        ("kubectl label node nothing a=b", "nodes"),
    ] {
        let want = format!("Error from server (NotFound): {what} \"nothing\" not found");
        assert_eq!(says(line), (1, want), "{line}");
    }
}

#[test]
fn options_of_expose_come_before_what_is_exposed() {
    let all = "kubectl expose pod db --name=x --port=80,81 --target-port=metrics --protocol=UDP --type=LoadBalancer \
               --session-affinity=ClientIP";
    let words = service("x", &[all]).join(" ");
    assert_eq!(words, "LoadBalancer 10.96.1.1 <pending> 80:30086/UDP,81:30087/UDP app=db,tier=back");
    let out = told(&[all, "kubectl describe service x"]).remove(1).1;
    for line in [
        "Labels:                   app=db",
        "                          tier=back",
        "TargetPort:               metrics/UDP",
        "Port:                     port-2  81/UDP",
        "Session Affinity:         ClientIP",
    ] {
        assert!(out.contains(&line.to_owned()), "{line} is not in {out:#?}");
    }
}

#[test]
fn create_service_selects_pods_by_its_name() {
    let create = |rest: &str| {
        let line = format!("kubectl create service {rest}");
        let (status, text) = says(&line);
        assert_eq!((status, text.ends_with("created")), (0, true), "{line}: {text}");
        service("web", &[&line]).join(" ")
    };
    assert_eq!(create("clusterip web --tcp=8080:80"), "ClusterIP 10.96.1.1 <none> 8080/TCP app=web");
    let node_port = create("nodeport web --tcp=80 --node-port=30100");
    assert_eq!(node_port, "NodePort 10.96.1.1 <none> 80:30100/TCP app=web");
    let two = create("loadbalancer web --tcp=80,443:8443 --tcp=81:http");
    assert_eq!(two, "LoadBalancer 10.96.1.1 <pending> 80:30086/TCP,443:30087/TCP,81:30088/TCP app=web");
    assert_eq!(create("clusterip web --clusterip=None"), "ClusterIP None <none> <none> app=web");
    let external = create("externalname web --external-name=a.example");
    assert_eq!(external, "ExternalName <none> a.example <none> app=web");
}

#[test]
fn a_created_service_answers_and_its_ports_have_names() {
    let out = told(&[
        "kubectl create svc nodeport web --tcp=8080:80 --node-port=30100",
        "client: curl -s -m 2 http://10.0.0.12:30100/",
        "kubectl describe service web",
    ]);
    assert_eq!(out[0], (0, vec!["service/web created".to_owned()]));
    assert!(out[1].0 == 0 && out[1].1[0].starts_with("hello from web-"), "{out:?}");
    for line in ["Labels:                   app=web", "Port:                     8080-80  8080/TCP"] {
        assert!(out[2].1.contains(&line.to_owned()), "{line} is not in {:#?}", out[2].1);
    }
}

#[test]
fn what_create_service_refuses_is_told_as_kubectl_does() {
    let ends = [
        ("clusterip dns --tcp=80", "failed to create ClusterIP service: services \"dns\" already exists"),
        (
            "nodeport x --tcp=81 --tcp=80 --node-port=30080",
            "failed to create NodePort service: Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided \
             port is already allocated",
        ),
    ];
    for (rest, want) in ends {
        assert_eq!(says(&format!("kubectl create service {rest}")), (1, format!("error: {want}")), "{rest}");
    }
    let words = [
        ("clusterip x", "error: at least one tcp port specifier must be provided"),
        ("clusterip x --tcp=80 --node-port=30100", "error: unknown flag: --node-port"),
        ("externalname x", "error: required flag(s) \"external-name\" not set"),
    ];
    for (rest, want) in words {
        assert_eq!(says(&format!("kubectl create service {rest}")), (1, want.to_owned()), "{rest}");
    }
    for rest in ["service x", "service headless x --tcp=80", "service clusterip --tcp=80", "configmap x"] {
        let (status, text) = says(&format!("kubectl create {rest}"));
        assert!(status == -1 && text.contains("kubectl create service clusterip|"), "{rest}: {text}");
    }
    assert!(says("kubectl create service clusterip x --tcp=http").1.contains("\"http\""));
}

/// A cluster IP or a node port belongs to one Service.
#[test]
fn what_another_service_has_is_not_free() {
    let taken = "The Service \"db\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: \
                 provided IP is already allocated";
    assert_eq!(says("kubectl expose pod db --cluster-ip=10.96.0.10"), (1, taken.to_owned()));
    let yaml = "kind: Service\nmetadata: {name: y}\nspec: {type: NodePort, ports: [{port: 1}, {name: b, port: 80, nodePort: 30080}]}\n";
    let yaml = yaml.replace("{port: 1}", "{name: a, port: 1}");
    for verb in ["apply", "create"] {
        let typed = Typed { stdin: yaml.clone(), ..line(&format!("kubectl {verb} -f -"), At::End) };
        let want = "The Service \"y\" is invalid: spec.ports[1].nodePort: Invalid value: 30080: provided port is already allocated";
        assert_eq!(run(vec![typed]), [(1, vec![want.to_owned()])], "{verb}");
    }
}

#[test]
fn what_kubectl_run_refuses_is_told() {
    for (line, expected) in [
        ("kubectl run x", "error: required flag(s) \"image\" not set"),
        (
            "kubectl run --image=a",
            "error: NAME is required for run\nSee 'kubectl run -h' for help and examples",
        ),
        ("kubectl run x --image=a --labels=b", "error: unexpected label spec: b"),
        ("kubectl run x --image=Nginx", "error: Invalid image name \"Nginx\": invalid reference format"),
        ("kubectl run x --image='a b'", "error: Invalid image name \"a b\": invalid reference format"),
        ("kubectl run x --image=a:", "error: Invalid image name \"a:\": invalid reference format"),
        ("kubectl run x --image=a --restart=no", "error: invalid restart policy: no"),
    ] {
        assert_eq!(says(line), (1, expected.to_owned()), "{line}");
    }
    let typing = says("kubectl run x --image=a -it --rm -- bash").1;
    assert!(
        typing.contains("expected kubectl run NAME --image=IMAGE, and then kubectl exec NAME -- COMMAND"),
        "{typing}"
    );
}

#[test]
fn what_kubectl_label_and_rollout_refuse_is_told() {
    let none = "error: at least one label update is required";
    let which = "error: one or more resources must be specified as <resource> <name> or <resource>/<name>";
    for (line, want) in [
        ("kubectl label pods --all", none),
        ("kubectl label pods db client", none),
        ("kubectl label --all a=b", which),
        ("kubectl label a=b", which),
        ("kubectl label pods a=b", "error: resource(s) were provided, but no name was specified"),
        ("kubectl label pods db a=b=c", "error: invalid label spec: a=b=c"),
        ("kubectl label pods db a=b c", "error: unknown label spec: c"),
    ] {
        assert_eq!(says(line), (1, want.to_owned()), "{line}");
    }
    let value = says("kubectl label pods db 'a=b c'").1;
    assert!(
        value.starts_with("error: invalid label value: \"a=b c\": a valid label must be an empty"),
        "{value}"
    );
    assert_eq!(
        says("kubectl rollout status deployment/nothing"),
        (1, "Error from server (NotFound): deployments.apps \"nothing\" not found".to_owned())
    );
    let other = says("kubectl rollout status daemonset/kube-proxy").1;
    assert!(other.contains("expected deployment"), "{other}");
}

/// `validateUpgradeDowngradeClusterIPs`, `patchAllocatedValues` and `dropTypeDependentFields` of the API server.
#[test]
fn a_cluster_ip_stays_what_it_is() {
    let refused = |ip: &str| {
        let line = format!(
            "The Service \"out\" is invalid: spec.clusterIPs[0]: Invalid value: [\"{ip}\"]: may not change once set"
        );
        (1, vec![line])
    };
    let done = |what: &str| (0, vec![format!("service/out {what}")]);
    let patch = |spec: &str| format!("kubectl patch service out -p '{{\"spec\":{{{spec}}}}}'");
    let typed = |command: &str, stdin: &str| Typed { stdin: stdin.to_owned(), ..line(command, At::End) };
    let yaml = |ip: &str| {
        format!(
            "kind: Service\nmetadata: {{name: out}}\nspec: {{clusterIP: '{ip}', ports: [{{port: 80}}]}}\n"
        )
    };
    for (command, stdin, expected) in [
        (patch("\"clusterIP\":\"10.96.0.99\""), String::new(), refused("10.96.0.99")),
        (patch("\"clusterIP\":\"None\""), String::new(), refused("None")),
        (patch("\"clusterIPs\":[\"10.96.0.98\"]"), String::new(), refused("10.96.0.98")),
        // It is kept.
        (patch("\"clusterIP\":null"), String::new(), done("patched (no change)")),
        (patch("\"clusterIP\":\"\""), String::new(), done("patched (no change)")),
        ("kubectl apply -f -".to_owned(), yaml("10.96.0.99"), refused("10.96.0.99")),
        ("kubectl apply -f -".to_owned(), yaml(""), done("configured")),
        // An alias has none, and what is a Service again may have any.
        (
            patch("\"type\":\"ExternalName\",\"externalName\":\"a.b\",\"clusterIP\":null"),
            String::new(),
            done("patched"),
        ),
    ] {
        let show = line("kubectl get service out", At::End);
        let outputs = run(vec![show.clone(), typed(&command, &stdin), show]);
        assert_eq!(outputs[1], expected, "{command}");
        let ip = |n: usize| outputs[n].1[1].split_whitespace().nth(2).unwrap().to_owned();
        let kept = if command.contains("ExternalName") { "<none>".to_owned() } else { ip(0) };
        assert_eq!(ip(2), kept, "{command}");
    }
    let alias = patch("\"type\":\"ExternalName\",\"externalName\":\"a.b\"");
    let again = patch("\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.0.99\"");
    let outputs = run([alias, again].map(|command| line(&command, At::End)).to_vec());
    assert_eq!(outputs, [done("patched"), done("patched")]);
}
