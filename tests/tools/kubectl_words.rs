//! What kubectl says of words that it cannot use, and how `kubectl get` chooses, sorts and prints: kubectl's and client-go's sources of 1.35.

use std::rc::Rc;
use workshop::{At, Session, Typed, read_lab};

/// Two nodes with a pod each, a Deployment, and Services whose endpoints were written in several ways.
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
metadata: {name: b, labels: {app: b}}
spec: {nodeName: node-1, containers: [{name: b, image: 'b:1', ports: [{name: http, containerPort: 80}, {name: dns, containerPort: 53}]}]}
status: {podIP: 10.244.1.5}
---
kind: Pod
metadata: {name: a, labels: {app: a}}
spec: {nodeName: node-2, containers: [{name: a, image: 'a:1'}]}
status: {podIP: 10.244.2.5}
---
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: nginx}]}}
---
kind: Service
metadata: {name: one}
spec: {clusterIP: 10.96.0.80, selector: {app: a}, ports: [{port: 80}]}
---
kind: Service
metadata: {name: hand}
spec: {clusterIP: 10.96.0.81, ports: [{port: 80}]}
---
kind: Endpoints
metadata: {name: hand}
subsets: [{addresses: [{ip: 10.244.1.5}, {ip: 10.244.2.5}], ports: [{port: 8080}]}]
---
kind: Service
metadata: {name: slice}
spec: {clusterIP: 10.96.0.82, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: slice-1, labels: {kubernetes.io/service-name: slice}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.7]}]
ports: [{port: 8080}]
---
kind: Endpoints
metadata: {name: alone}
subsets: [{addresses: [{ip: 10.244.1.9}]}]
---
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.83, ports: [{port: 80}]}
"
);

/// Status, and what is printed on both streams; -1 for what is not run.
fn says(line: &str) -> (i32, String) {
    let lab = Rc::new(read_lab(LAB).unwrap_or_else(|e| panic!("{}", e.show("lab", LAB))));
    let typed = vec![Typed::of_line(line, At::End)];
    let run = Session { typed, ..Session::new(lab) }.run().unwrap();
    match (&run.typed[0].output, &run.typed[0].refused) {
        (Some(o), _) => (o.status, [o.stdout.as_slice(), &o.stderr].concat().join("\n")),
        (None, Some(refused)) => (-1, refused.message.clone()),
        _ => (0, String::new()),
    }
}

#[test]
fn wrong_words() {
    let no_name = "error: resource(s) were provided, but no name was specified";
    let nothing = "error: You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f \
                   rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";
    let pair = "error: arguments in resource/name form must have a single resource and name";
    let slash = "error: arguments in resource/name form may not have more than one slash";
    let required = "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.\n\n\
                    error: Required resource not specified.\nSee 'kubectl describe -h' for help and examples";
    for (line, want) in [
        ("get foo", "error: the server doesn't have a resource type \"foo\""),
        ("get pods -l", "error: flag needs an argument: 'l' in -l\nSee 'kubectl get --help' for usage."),
        (
            "get pods --selector",
            "error: flag needs an argument: --selector\nSee 'kubectl get --help' for usage.",
        ),
        ("get pod/a/", slash),
        ("get pod/ ", pair),
        ("get pod/a b", pair),
        ("get pod a -A", "error: a resource cannot be retrieved by name across all namespaces"),
        (
            "get pods -o foo",
            "error: unable to match a printer suitable for the output format \"foo\", allowed formats are: \
          custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,\
          templatefile,wide,yaml",
        ),
        ("describe", required),
        ("delete", nothing),
        ("delete svc", no_name),
        (
            "delete namespace default",
            "Error from server (Forbidden): namespaces \"default\" is forbidden: this namespace may not be deleted",
        ),
        ("delete pod/a/b", slash),
        ("scale deploy web", "error: required flag(s) \"replicas\" not set"),
        ("scale deploy --replicas=1", no_name),
        (
            "scale deploy web --replicas=x",
            "error: invalid argument \"x\" for \"--replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n\
          See 'kubectl scale --help' for usage.",
        ),
        (
            "scale deploy web --replicas=-1",
            "error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ),
        (
            "scale pod a --replicas=2",
            "Error from server (NotFound): the server could not find the requested resource",
        ),
        ("apply", "error: must specify one of -f and -k"),
        ("apply -f -", "error: no objects passed to apply"),
        ("create -f -", "error: no objects passed to create"),
        (
            "create namespace",
            "error: exactly one NAME is required, got 0\nSee 'kubectl create namespace -h' for help and examples",
        ),
        ("create deployment x", "error: required flag(s) \"image\" not set"),
        ("patch svc one", "error: must specify --patch or --patch-file containing the contents of the patch"),
        ("patch svc -p '{}'", no_name),
        (
            "patch svc one -p x",
            "Error from server (BadRequest): json: cannot unmarshal string into Go value of type map[string]interface {}",
        ),
        (
            "patch svc one -p '[]'",
            "Error from server (BadRequest): json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        ("expose pod", no_name),
        (
            "logs",
            "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\n\
          See 'kubectl logs -h' for help and examples",
        ),
        ("logs nothing", "Error from server (NotFound): pods \"nothing\" not found"),
        ("exec", "error: pod, type/name or --filename must be specified"),
        ("exec a", "error: you must specify at least one command for the container"),
        (
            "exec a ls",
            "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and \
          examples",
        ),
        ("exec nothing -- ls", "Error from server (NotFound): pods \"nothing\" not found"),
        ("rollout restart", "error: required resource not specified"),
        ("gte pods", "error: unknown command \"gte\" for \"kubectl\""),
    ] {
        assert_eq!(says(&format!("kubectl {line}")), (1, want.to_owned()), "{line}");
    }
    assert_eq!(
        says("kubectl get foo | wc -l").1,
        "0\nerror: the server doesn't have a resource type \"foo\""
    );
}

/// What kubectl has and the lab has not is not run, and says so.
#[test]
fn what_is_not_modelled() {
    for line in [
        "edit svc one",
        "get events",
        "describe node node-1",
        "top nodes",
        "-n debug drain node-1",
        "get pods -o go-template=x",
    ] {
        let (status, text) = says(&format!("kubectl {line}"));
        assert!(status == -1 && text.contains("is not modelled"), "{line}: {text}");
    }
    assert_eq!(says("kubectl -n debug get pods").1, "No resources found in debug namespace.");
}

/// A mistake in a lab's own text is told where it stands.
#[test]
fn wrong_words_of_a_lab() {
    let text = LAB.replace("on: node-1, run: 'ip -br addr'", "run: kubectl get foo");
    let wrong = read_lab(&text).unwrap_err();
    assert_eq!((wrong.line, &*wrong.message), (9, "error: the server doesn't have a resource type \"foo\""));
}

#[test]
fn paths() {
    for (what, template, want) in [
        ("pods", "{.items[*].status.podIP}", "10.244.2.5 10.244.1.5"),
        ("pods", "{.items[*].metadata.name} are pods", "a b are pods"),
        (
            "pods",
            r#"{range .items[*]}{.metadata.name}{"\t"}{.status.podIP}{"\n"}{end}"#,
            "a\t10.244.2.5\nb\t10.244.1.5",
        ),
        (
            "pods",
            "{range .items[*]}{.metadata.name}: {range .spec.containers[*].ports[*]}{.containerPort},{end} {end}",
            "a:  b: 80,53, ",
        ),
        ("pods", r#"{.items[?(@.metadata.name=="b")].status.podIP}"#, "10.244.1.5"),
        ("pods", "{.items[?(@.spec.nodeName!='node-1')].metadata.name}", "a"),
        ("pods", "{.items[1].spec.containers[0].ports[?(@.containerPort>53)].name}", "http"),
        ("pods", "{.items[?(@.spec.containers[0].ports)].metadata.name}", "b"),
        ("pods", "{.items[-1].metadata.name}{.items[*]['kind']}", "bPod Pod"),
        ("pods", "{.items..containerPort}", "80 53"),
        ("pods", "{..image}", "a:1 b:1"),
        ("pod b", "{.status.podIP}", "10.244.1.5"),
        ("pod b", "{$.spec.nodeName} {@.kind}", "node-1 Pod"),
        ("pod b", "{.metadata.labels.app}{.metadata.labels.none}", "b"),
        ("pod b", r"{.metadata.labels.kubernetes\.io/name}", ""),
        ("svc one", "{.spec.clusterIP}", "10.96.0.80"),
        ("svc one", "{.spec.ports}", r#"[{"port":80,"protocol":"TCP","targetPort":80}]"#),
        ("svc one", "{.spec.ports[0].port}", "80"),
        ("svc one", "{.spec.selector}", r#"{"app":"a"}"#),
        ("svc one", ".spec", ".spec"),
        ("pods -l app=none", "{.items[*].metadata.name}", ""),
    ] {
        let said = says(&format!("kubectl get {what} -o jsonpath='{}'", template.replace('\'', "'\\''")));
        assert_eq!(said, (0, want.to_owned()), "{template}");
    }
}

#[test]
fn wrong_paths() {
    let template = |text: &str, why: &str| (1, format!("error: error parsing jsonpath {text}, {why}"));
    for (text, why) in [
        ("{.items[*", "unterminated array"),
        ("{.items", "unclosed action"),
        ("{range .items[*]}{.a}", "unmatched range"),
        ("{end}", "not in range, nothing to end"),
        ("{.items[x]}", "invalid array index x"),
        ("{.items[?(@.a==1]}", "unterminated filter"),
        ("{!}", "unrecognized character in action: U+0021 '!'"),
    ] {
        assert_eq!(says(&format!("kubectl get pods -o jsonpath='{text}'")), template(text, why));
    }
    let none = says("kubectl get pods -l app=none -o jsonpath='{.items[0].metadata.name}'");
    let begin = "error: error executing jsonpath \"{.items[0].metadata.name}\": Error executing template: array index out of bounds: index 0, length 0.";
    assert!(none.0 == 1 && none.1.starts_with(begin), "{none:?}");
    assert_eq!(
        says("kubectl get pods -o jsonpath").1,
        "error: template format specified but no template given"
    );
}

/// Nothing stands behind what a template prints: the next program's words follow at once.
#[test]
fn a_template_ends_no_line() {
    let said = says("kubectl get svc one -o jsonpath='{.spec.clusterIP}' ; echo :80");
    assert_eq!(said.1, "10.96.0.80:80");
}

#[test]
fn columns_of_ones_own() {
    let said = says(
        "kubectl get pods -o custom-columns=NAME:.metadata.name,PORTS:.spec.containers[*].ports[*].containerPort,NODE:spec.nodeName",
    );
    assert_eq!(said.1, "NAME   PORTS    NODE\na      <none>   node-2\nb      80,53    node-1");
    let bare = says("kubectl get pods --no-headers -o custom-columns=:.metadata.name");
    assert_eq!(bare.1, "a\nb");
    let wrong = says("kubectl get pods -o custom-columns=NAME");
    assert_eq!(
        wrong,
        (1, "error: unexpected custom-columns spec: NAME, expected <header>:<json-path-expr>".to_owned())
    );
}

#[test]
fn choosing_and_sorting() {
    let names = |rest: &str| says(&format!("kubectl get {rest} -o name")).1.replace('\n', " ");
    assert_eq!(names("pods --field-selector spec.nodeName=node-1"), "pod/b");
    assert_eq!(names("pods --field-selector=metadata.name!=b,status.phase=Running"), "pod/a");
    assert_eq!(names("svc --field-selector spec.clusterIP==10.96.0.81"), "service/hand");
    assert_eq!(names("pods --sort-by=.status.podIP"), "pod/b pod/a");
    assert_eq!(names("pods --sort-by='{.metadata.name}'"), "pod/a pod/b");
    assert_eq!(names("svc/one pod/a svc/hand"), "service/hand service/one pod/a");
    assert_eq!(says("kubectl get pods --no-headers").1.lines().count(), 2);
    let field = "Error from server (BadRequest): Unable to find \"services\" that match label selector \"\", field selector \"spec.x=y\": field label not \
                 supported: spec.x";
    assert_eq!(says("kubectl get svc --field-selector spec.x=y"), (1, field.to_owned()));
    assert_eq!(
        says("kubectl delete pods --field-selector spec.nodeName=node-1").1,
        "pod \"b\" deleted from default namespace"
    );
}

/// Those of a selector, and those that somebody has written; a Service that has neither has none.
#[test]
fn endpoints() {
    let said = says("kubectl get ep --no-headers").1;
    let rows: Vec<String> = said
        .lines()
        .filter(|l| !l.starts_with("Warning"))
        .map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        rows,
        [
            "alone 10.244.1.9",
            "hand 10.244.1.5:8080,10.244.2.5:8080",
            "one 10.244.2.5:80",
            "slice 10.244.1.7:8080"
        ]
    );
    assert!(
        says("kubectl describe svc hand")
            .1
            .contains("\nEndpoints:                10.244.1.5:8080,10.244.2.5:8080\n")
    );
    assert!(
        says("kubectl get ep nobody")
            .1
            .ends_with("Error from server (NotFound): endpoints \"nobody\" not found")
    );
    assert!(says("kubectl get ep hand -o yaml").1.contains("\n  - port: 8080\n    protocol: TCP"));
}
