//! Objects as kubectl prints them: `get -o`, `get -l`, `describe service`; and what the API server does not let them become.

use std::rc::Rc;
use workshop::{At, Session, Typed, read_lab};

/// Two nodes, a Deployment, and Services of several kinds.
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
kind: Namespace
metadata: {name: shop}
---
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: '1.25'}}
    spec: {nodeName: node-1, containers: [{name: nginx, image: 'nginx:1.25', ports: [{containerPort: 80, name: http}]}]}
---
kind: Pod
metadata: {name: db, labels: {app: db, tier: back}}
spec: {nodeName: node-2, dnsConfig: null, containers: [{name: db, image: 'postgres:16', ports: [{containerPort: 5432}]}]}
---
kind: Pod
metadata: {name: sick, labels: {app: web}}
spec: {nodeName: node-2, containers: [{name: c, ports: [{containerPort: 8080, name: http}]}]}
status: {conditions: [{type: Ready, status: 'False'}]}
---
kind: Service
metadata:
  name: web
  labels: {app: web}
  annotations: {note: 'one: two', on: 'yes', netfilter-lab/file-of: x}
spec:
  clusterIP: 10.96.0.80
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
kind: Service
metadata: {name: balanced, namespace: shop}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.81
  externalTrafficPolicy: Local
  healthCheckNodePort: 30999
  sessionAffinity: ClientIP
  loadBalancerSourceRanges: [192.0.2.0/24, 198.51.100.0/24]
  ports: [{port: 443, nodePort: 30443, protocol: TCP}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}
---
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{port: 53, protocol: UDP}]}
---
kind: Service
metadata: {name: out}
spec: {type: ExternalName, externalName: a.example}
---
kind: ConfigMap
metadata: {name: page}
data: {a: one, b: two}
"
);

/// What each of some lines prints that are typed one after the other at the end, with its status; -1 for one that is not run.
fn told(lines: &[&str]) -> Vec<(i32, String)> {
    let lab = Rc::new(read_lab(LAB).unwrap_or_else(|e| panic!("{}", e.show("lab", LAB))));
    let typed = lines.iter().map(|l| Typed::of_line(l, At::End)).collect();
    let run = Session { typed, ..Session::new(lab) }.run().unwrap();
    let one = |t: &workshop::TypedResult| match (&t.output, &t.refused) {
        (Some(o), _) => (o.status, [o.stdout.as_slice(), &o.stderr].concat().join("\n")),
        (None, Some(refused)) => (-1, refused.message.clone()),
        _ => (0, String::new()),
    };
    run.typed.iter().map(one).collect()
}

/// What one line prints.
fn says(line: &str) -> String {
    told(&[line]).remove(0).1
}

/// The lines of a text, from one on to another that begins no deeper.
fn part(text: &str, from: &str) -> Vec<String> {
    let depth = |l: &str| l.len() - l.trim_start_matches([' ', '-']).len();
    let mut lines = text.lines().skip_while(|l| l.trim() != from);
    let first = lines.next().unwrap_or_else(|| panic!("{from} is not in\n{text}"));
    let deeper = lines.take_while(|l| depth(l) > depth(first));
    deeper.map(|l| l.trim_start().to_owned()).collect()
}

#[test]
fn a_service_has_what_the_api_server_fills_in() {
    assert_eq!(
        says("kubectl get svc web -o yaml"),
        "\
apiVersion: v1
kind: Service
metadata:
  annotations:
    note: 'one: two'
    \"on\": \"yes\"
  labels:
    app: web
  name: web
  namespace: default
spec:
  clusterIP: 10.96.0.80
  clusterIPs:
  - 10.96.0.80
  internalTrafficPolicy: Cluster
  ipFamilies:
  - IPv4
  ipFamilyPolicy: SingleStack
  ports:
  - name: http
    port: 80
    protocol: TCP
    targetPort: http
  selector:
    app: web
  sessionAffinity: None
  type: ClusterIP
status:
  loadBalancer: {}"
    );
}

#[test]
fn a_balanced_service_has_its_policies_and_modes() {
    let text = says("kubectl -n shop get service/balanced -oyaml");
    assert_eq!(
        part(&text, "spec:"),
        [
            "allocateLoadBalancerNodePorts: true",
            "clusterIP: 10.96.0.81",
            "clusterIPs:",
            "- 10.96.0.81",
            "externalTrafficPolicy: Local",
            "healthCheckNodePort: 30999",
            "internalTrafficPolicy: Cluster",
            "ipFamilies:",
            "- IPv4",
            "ipFamilyPolicy: SingleStack",
            "loadBalancerSourceRanges:",
            "- 192.0.2.0/24",
            "- 198.51.100.0/24",
            "ports:",
            "- nodePort: 30443",
            "port: 443",
            "protocol: TCP",
            "targetPort: 443",
            "sessionAffinity: ClientIP",
            "sessionAffinityConfig:",
            "clientIP:",
            "timeoutSeconds: 10800",
            "type: LoadBalancer",
        ]
    );
    assert_eq!(part(&text, "status:"), ["loadBalancer:", "ingress:", "- ip: 203.0.113.9", "ipMode: VIP"]);
}

/// Without a selector its endpoints may be of both families (docs of Kubernetes, dual-stack).
#[test]
fn a_headless_service_without_selector_is_of_both_families() {
    let text = says("kubectl get svc headless -o yaml");
    let spec = part(&text, "spec:");
    let wanted =
        ["clusterIP: None", "clusterIPs:", "- None", "internalTrafficPolicy: Cluster", "ipFamilies:"];
    assert_eq!(spec[..5], wanted);
    assert_eq!(spec[5..8], ["- IPv4", "- IPv6", "ipFamilyPolicy: RequireDualStack"]);
}

#[test]
fn a_name_outside_has_neither_addresses_nor_policies() {
    let text = says("kubectl get svc out -o yaml");
    assert_eq!(
        part(&text, "spec:"),
        ["externalName: a.example", "sessionAffinity: None", "type: ExternalName"]
    );
}

#[test]
fn a_deployments_pod_has_its_template_and_what_the_kubelet_tells() {
    let name = says("kubectl get pods -l version=1.25 -o name").lines().next().unwrap().to_owned();
    let short = name.strip_prefix("pod/").unwrap();
    assert_eq!(
        says(&format!("kubectl get {name} -o yaml")),
        format!(
            "\
apiVersion: v1
kind: Pod
metadata:
  labels:
    app: web
    version: \"1.25\"
  name: {short}
  namespace: default
spec:
  containers:
  - image: nginx:1.25
    name: nginx
    ports:
    - containerPort: 80
      name: http
      protocol: TCP
  dnsPolicy: ClusterFirst
  nodeName: node-1
status:
  conditions:
  - status: \"True\"
    type: Ready
  hostIP: 10.0.0.11
  hostIPs:
  - ip: 10.0.0.11
  phase: Running
  podIP: 10.244.1.2
  podIPs:
  - ip: 10.244.1.2"
        )
    );
}

/// A condition that was given stays.
#[test]
fn a_pod_that_is_not_ready_says_so() {
    let text = says("kubectl get pod sick -o yaml");
    assert_eq!(part(&text, "conditions:"), ["- status: \"False\"", "type: Ready"]);
}

#[test]
fn a_deployment_has_a_status() {
    let text = says("kubectl get deploy web -o yaml");
    assert!(text.starts_with("apiVersion: apps/v1\nkind: Deployment\n"), "{text}");
    // One of its pods is not ready.
    let status = [
        "availableReplicas: 1",
        "readyReplicas: 1",
        "replicas: 2",
        "unavailableReplicas: 1",
        "updatedReplicas: 2",
    ];
    assert_eq!(part(&text, "status:"), status);
    assert!(says("kubectl get deploy web").contains("\nweb    1/2     2            1           "));
    assert!(part(&text, "template:").contains(&"dnsPolicy: ClusterFirst".to_owned()), "{text}");
}

#[test]
fn endpoints_name_their_pods() {
    let text = says("kubectl get endpoints web -o yaml");
    let all = "\
kind: Endpoints
metadata:
  labels:
    app: web
  name: web
  namespace: default
subsets:
- addresses:
  - ip: 10.244.1.2
    nodeName: node-1
    targetRef:
      kind: Pod
";
    assert!(text.contains(all), "{text}");
    let ports = "  ports:\n  - name: http\n    port: 80\n    protocol: TCP";
    assert!(text.contains(ports), "{text}");
    let sick = "  - ip: 10.244.2.3\n    nodeName: node-2\n    targetRef:\n      kind: Pod\n      name: sick\n      namespace: default\n";
    assert!(text.contains(&format!("- notReadyAddresses:\n{sick}")), "{text}");
}

#[test]
fn slices_are_those_of_the_control_plane() {
    let text = says("kubectl get endpointslices -l kubernetes.io/service-name=web -o yaml");
    for piece in [
        "- addressType: IPv4\n  apiVersion: discovery.k8s.io/v1\n  endpoints:\n  - addresses:\n    - 10.244.1.2\n    conditions:\n      ready: true\n      \
         serving: true\n      terminating: false\n    nodeName: node-1\n    targetRef:\n      kind: Pod\n",
        "    generateName: web-\n    labels:\n      app: web\n      endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io\n      \
         kubernetes.io/service-name: web\n",
        "  ports:\n  - name: http\n    port: 8080\n    protocol: TCP\n",
    ] {
        assert!(text.contains(piece), "{piece}\nis not in\n{text}");
    }
}

#[test]
fn several_objects_are_a_list() {
    let text = says("kubectl get nodes -o yaml");
    assert!(text.starts_with("apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Node\n"), "{text}");
    assert!(text.ends_with("\nkind: List\nmetadata:\n  resourceVersion: \"\""), "{text}");
    assert_eq!(text.matches("kind: Node").count(), 2);
    assert_eq!(
        says("kubectl get pods -n nowhere -o yaml"),
        "apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: \"\""
    );
}

#[test]
fn json_is_the_same() {
    assert_eq!(
        says("kubectl get namespace shop -o json"),
        r#"{
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "labels": {
            "kubernetes.io/metadata.name": "shop"
        },
        "name": "shop"
    },
    "spec": {
        "finalizers": [
            "kubernetes"
        ]
    },
    "status": {
        "phase": "Active"
    }
}"#
    );
    let text = says("kubectl get svc web -o json");
    assert!(text.contains("\"port\": 80,\n") && text.contains("\"targetPort\": \"http\"\n"), "{text}");
    assert!(text.ends_with("\"loadBalancer\": {}\n    }\n}"), "{text}");
}

/// What is printed is what can be applied: nothing changes.
#[test]
fn what_is_printed_can_be_applied() {
    for what in ["svc web", "pod db", "deploy web", "node node-1"] {
        let yaml = says(&format!("kubectl get {what} -o yaml"));
        let lab = Rc::new(read_lab(LAB).unwrap());
        let apply = Typed { stdin: yaml.clone(), ..Typed::of_line("kubectl apply -f -", At::End) };
        let typed = vec![apply, Typed::of_line(&format!("kubectl get {what} -o yaml"), At::End)];
        let run = Session { typed, ..Session::new(lab) }.run().unwrap();
        let outputs: Vec<_> = run.typed.iter().filter_map(|t| t.output.clone()).collect();
        assert!(outputs[0].status == 0, "{what}: {:?}", outputs[0]);
        assert_eq!(outputs[1].stdout.join("\n"), yaml, "{what}");
    }
}

#[test]
fn what_is_not_there_is_told_beside_what_is() {
    let (status, text) = told(&["kubectl get svc web nothing -o name"]).remove(0);
    let missing = "Error from server (NotFound): services \"nothing\" not found";
    assert_eq!((status, text), (1, format!("service/web\n{missing}")));
    assert_eq!(says("kubectl get svc nothing -o yaml"), missing);
}

#[test]
fn a_selector_chooses_what_get_lists() {
    let names = |selector: &str| {
        let text = says(&format!("kubectl get pods,deployments -o name -l {selector}"));
        let short = |l: &str| {
            let (kind, name) = l.rsplit_once('/').unwrap();
            format!("{kind}/{}", name.split('-').next().unwrap())
        };
        text.lines().map(short).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("app=db"), "pod/db");
    assert_eq!(names("app==web,version!=1.25"), "pod/sick deployment.apps/web");
    assert_eq!(names("version"), "pod/web");
    assert_eq!(names("'!version'"), "pod/db pod/sick deployment.apps/web");
    assert_eq!(says("kubectl get pods -l app=no"), "No resources found in default namespace.");
    assert_eq!(names("'app in (a, db), tier notin (front, side)'"), "pod/db");
    assert_eq!(names("'app notin (db)'"), "pod/sick pod/web deployment.apps/web");
    assert!(says("kubectl get pods -l 'app of (a, b)'").contains("expected KEY=VALUE"));
    let both = "error: name cannot be provided when a selector is specified";
    assert_eq!(says("kubectl get pod db -l app=db"), both);
}

#[test]
fn describe_tells_families_policies_and_modes() {
    assert_eq!(
        says("kubectl -n shop describe svc balanced"),
        "\
Name:                        balanced
Namespace:                   shop
Labels:                      <none>
Annotations:                 <none>
Selector:                    <none>
Type:                        LoadBalancer
IP Family Policy:            SingleStack
IP Families:                 IPv4
IP:                          10.96.0.81
IPs:                         10.96.0.81
LoadBalancer Ingress:        203.0.113.9 (VIP)
Port:                        <unset>  443/TCP
TargetPort:                  443/TCP
NodePort:                    <unset>  30443/TCP
Endpoints:                   <none>
Session Affinity:            ClientIP
External Traffic Policy:     Local
Internal Traffic Policy:     Cluster
HealthCheck NodePort:        30999
LoadBalancer Source Ranges:  192.0.2.0/24,198.51.100.0/24
Events:                      <none>"
    );
    let lines = says("kubectl describe svc out");
    for line in ["IP Families:       <none>", "IP:                ", "External Name:     a.example"] {
        assert!(lines.contains(&format!("{line}\n")), "{line} is not in\n{lines}");
    }
}

/// Of a pod little can be changed while it is there (`ValidatePodUpdate`).
/// The ports stand where `grep Port` finds them; a pod that a Deployment has made names its ReplicaSet.
#[test]
fn describe_tells_of_a_pods_containers() {
    assert_eq!(
        says("kubectl describe pod db"),
        "\
Name:             db
Namespace:        default
Priority:         0
Service Account:  default
Node:             node-2/10.0.0.12
Labels:           app=db
                  tier=back
Annotations:      <none>
Status:           Running
IP:               10.244.2.2
IPs:
  IP:  10.244.2.2
Containers:
  db:
    Image:          postgres:16
    Port:           5432/TCP
    Host Port:      0/TCP
    State:          Running
    Ready:          True
    Restart Count:  0
Events:  <none>"
    );
    assert!(says("kubectl describe pod sick").contains("\n    Ready:          False\n"));
    let web = says("kubectl describe pods -l version");
    assert!(web.contains("\nIPs:\n  IP:           10.244.1.2\nControlled By:  ReplicaSet/web-"), "{web}");
    let all = says("kubectl describe pods");
    assert_eq!(all.matches("\n\n\nName: ").count(), 2, "{all}");
    let missing = "Error from server (NotFound): pods \"nothing\" not found";
    assert_eq!(says("kubectl describe pod nothing"), missing);
    assert!(says("kubectl describe node node-1").contains("is not modelled; expected pod or service"));
}

#[test]
fn a_config_map_is_listed_and_printed() {
    let rows = says("kubectl get cm");
    assert_eq!(rows.lines().next(), Some("NAME   DATA   AGE"));
    assert!(rows.lines().nth(1).is_some_and(|l| l.starts_with("page   2      ")), "{rows}");
    assert_eq!(
        says("kubectl get configmap page -o yaml"),
        "apiVersion: v1\ndata:\n  a: one\n  b: two\nkind: ConfigMap\nmetadata:\n  name: page\n  namespace: default"
    );
}

#[test]
fn a_pods_spec_stays_as_it_is() {
    let patch = |spec: &str| format!("kubectl patch pod db -p '{{\"spec\":{{{spec}}}}}'");
    let no = "The Pod \"db\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
              `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
              `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    for spec in ["\"dnsPolicy\":\"Default\"", "\"nodeName\":\"node-1\"", "\"hostNetwork\":true"] {
        assert_eq!(told(&[&patch(spec)]), [(1, no.to_owned())], "{spec}");
    }
    for spec in ["\"dnsPolicy\":\"ClusterFirst\"", "\"activeDeadlineSeconds\":60"] {
        assert_eq!(told(&[&patch(spec)]), [(0, "pod/db patched".to_owned())], "{spec}");
    }
    let apply = |yaml: &str| {
        let lab = Rc::new(read_lab(LAB).unwrap());
        let line = Typed { stdin: yaml.to_owned(), ..Typed::of_line("kubectl apply -f -", At::End) };
        let run = Session { typed: vec![line], ..Session::new(lab) }.run().unwrap();
        let output = run.typed[0].output.clone().unwrap();
        (output.status, [output.stdout, output.stderr].concat().join("\n"))
    };
    let pod =
        |spec: &str| format!("kind: Pod\nmetadata: {{name: db, labels: {{app: db}}}}\nspec: {{{spec}}}\n");
    let other = "containers: [{name: db, image: 'postgres:17', ports: [{containerPort: 5432}]}]";
    assert_eq!(apply(&pod(&format!("nodeName: node-2, {other}"))), (0, "pod/db configured".to_owned()));
    assert_eq!(apply(&pod(&format!("nodeName: node-1, {other}"))), (1, no.to_owned()));
}
