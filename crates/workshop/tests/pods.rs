//! Pods that begin and end while a lab runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use sim::StepOutcome;
use workshop::{LabRun, Setting};

const OBJECTS: &str = concat!(
    "\n",
    include_str!("../../../tests/data/two-nodes.yaml"),
    r#"---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node-2}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {nodeName: node-1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: late, labels: {app: late}, annotations: {netfilter-lab/file: late.yaml}}
spec: {nodeName: node-2, containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: late, annotations: {netfilter-lab/file: late.yaml}}
spec: {clusterIP: 10.96.0.11, selector: {app: late}, ports: [{port: 80}]}
"#
);

fn run_with(world: &str, steps: &str) -> LabRun {
    let text = format!(
        "apiVersion: netfilter-lab/v1\nkind: Lab\nmetadata: {{name: pods}}\ntitle: pods\nsummary: pods\nfocus: node-1\n\
         world: {{{world}}}\nsetup: [{{run: modprobe br_netfilter, on: nodes}}]\napps:\n  - {{on: {{pods: {{app: web}}}}, app: http}}\n  - {{on: late, app: http}}\nsteps:\n{steps}{OBJECTS}"
    );
    let lab = workshop::read_lab(&text).unwrap_or_else(|e| panic!("{}", e.show("pods", &text)));
    lab.run(&Setting::new()).unwrap()
}

fn run(steps: &str) -> LabRun {
    run_with("cni: bridge, natOutgoing: true", steps)
}

/// What a step printed.
fn printed(run: &LabRun, step: usize) -> (i32, String) {
    match &run.run.steps[step].outcome {
        StepOutcome::Command(o) => (o.status, [&o.stdout[..], &o.stderr[..]].concat().join("\n")),
        other => panic!("{other:?}"),
    }
}

/// Status, standard output and standard error of a step's command.
fn told(run: &LabRun, step: usize) -> (i32, String, String) {
    match &run.run.steps[step].outcome {
        StepOutcome::Command(o) => (o.status, o.stdout.join("\n"), o.stderr.join("\n")),
        other => panic!("{other:?}"),
    }
}

/// The pods of the Deployment that the last world has.
fn webs(run: &LabRun) -> Vec<String> {
    let world = &run.run.world;
    let here = world.hosts().iter().filter(|h| h.name.starts_with("web-") && !world.is_retired(h.id));
    here.map(|h| h.name.clone()).collect()
}

#[test]
fn pods_of_a_deployment_that_grows_answer() {
    let run = run("  - run: kubectl scale deployment web --replicas=3\n\
                   \x20 - {run: iptables -t nat -S KUBE-SERVICES, on: node-2}\n\
                   \x20 - {run: curl -s -m 5 http://10.96.0.10/, on: client}\n\
                   \x20 - {run: curl -s -m 5 http://10.244.1.4/, on: client}\n\
                   \x20 - {run: ip -br link, on: {pods: {app: web}}}\n");
    assert_eq!(printed(&run, 0), (0, "deployment.apps/web scaled".to_owned()));
    assert_eq!(webs(&run).len(), 3);
    assert_eq!(printed(&run, 2).0, 0);
    let (status, text) = printed(&run, 3);
    assert!(status == 0 && text.contains("hello from web-"), "{text}");
    let rules = printed(&run, 1).1;
    assert!(rules.contains("10.96.0.10"), "{rules}");
}

#[test]
fn pods_of_a_deployment_that_shrinks_are_gone_with_their_veths_and_rules() {
    let run = run("  - run: kubectl scale deployment web --replicas=3\n\
                   \x20 - run: kubectl scale deployment web --replicas=1\n\
                   \x20 - {run: ip -br link, on: node-1}\n\
                   \x20 - {run: iptables -t nat -S POSTROUTING, on: node-1}\n\
                   \x20 - {run: curl -s -m 2 http://10.244.1.4/, on: client}\n");
    assert_eq!(webs(&run).len(), 1);
    let links = printed(&run, 2).1;
    assert_eq!(links.lines().filter(|l| l.contains("veth-")).count(), 1, "{links}");
    assert_eq!(printed(&run, 3).1.lines().filter(|l| l.contains("-j CNI-")).count(), 1);
    assert_ne!(printed(&run, 4).0, 0);
}

#[test]
fn a_pod_that_somebody_deletes_is_replaced_by_one_with_another_name_and_address() {
    let first = run("  - {run: ip -br addr, on: {pods: {app: web}}}\n");
    let name = webs(&first).remove(0);
    let second = run(&format!(
        "  - run: kubectl delete pod {name}\n  - {{run: curl -s -m 5 http://10.96.0.10/, on: client}}\n"
    ));
    assert_eq!(printed(&second, 0).1, format!("pod \"{name}\" deleted"));
    let other = webs(&second);
    assert!(other.len() == 1 && other[0] != name, "{other:?}");
    assert!(printed(&second, 1).1.contains(&other[0]));
}

#[test]
fn a_file_brings_a_pod_with_its_service_and_its_port_of_the_node() {
    for cni in ["bridge", "docker", "kubenet", "flannel-host-gw", "calico", "calico-veths"] {
        let run = run_with(
            &format!("cni: {cni}, gateway: 10.0.0.1, clusterCIDR: 10.244.0.0/16, natOutgoing: true"),
            "  - run: kubectl apply -f late.yaml\n\
             \x20 - {run: curl -s -m 5 http://10.96.0.11/, on: {pods: {app: web}}}\n\
             \x20 - {run: curl -s -m 5 http://10.0.0.12:8080/, on: node-1}\n",
        );
        assert_eq!(printed(&run, 0).1, "pod/late created\nservice/late created", "{cni}");
        assert!(printed(&run, 1).1.contains("hello from late"), "{cni}: {:?}", printed(&run, 1));
        if !matches!(cni, "calico-veths") {
            assert!(printed(&run, 2).1.contains("hello from late"), "{cni}: {:?}", printed(&run, 2));
        }
    }
}

#[test]
fn a_pod_may_come_back_under_its_name() {
    let run = run("  - run: kubectl create -f late.yaml\n\
                   \x20 - run: kubectl delete pod late\n\
                   \x20 - {run: curl -s -m 2 http://10.96.0.11/, on: client}\n\
                   \x20 - run: kubectl create -f late.yaml\n\
                   \x20 - {run: curl -s -m 2 http://10.96.0.11/, on: client}\n\
                   \x20 - {run: ip -br addr show eth0, on: late}\n");
    assert_eq!(printed(&run, 2).0, 7);
    assert_eq!(printed(&run, 4).0, 0, "{}", printed(&run, 4).1);
    assert!(printed(&run, 5).1.contains("10.244.2.4/24"), "the next address: {}", printed(&run, 5).1);
    assert_eq!(run.run.world.hosts_named("late").count(), 2);
}

/// Of kubectl's create.go (`AddSourceToErr`) and apimachinery's `NewAlreadyExists`; the rest of the file is created all the same.
#[test]
fn what_is_there_already_cannot_be_created() {
    let run = run("  - run: kubectl create -f late.yaml\n\
                   \x20 - run: kubectl delete pod late\n\
                   \x20 - run: kubectl create -f late.yaml\n\
                   \x20 - run: kubectl create -f late.yaml\n");
    let exists = |what: &str| {
        format!(
            "Error from server (AlreadyExists): error when creating \"late.yaml\": {what} \"late\" already exists"
        )
    };
    assert_eq!(told(&run, 0), (0, "pod/late created\nservice/late created".to_owned(), String::new()));
    assert_eq!(told(&run, 2), (1, "pod/late created".to_owned(), exists("services")));
    let both = format!("{}\n{}", exists("pods"), exists("services"));
    assert_eq!(told(&run, 3), (1, String::new(), both));
}

#[test]
fn standard_input_cannot_be_created_twice_and_changes_nothing() {
    let text = |replicas: u32| {
        format!(
            "{{run: \"kubectl create -f -\", stdin: '{{kind: List, apiVersion: v1, items: [{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: more}}, \
             spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: more}}}}, template: {{metadata: {{labels: {{app: more}}}}, spec: \
             {{nodeName: node-1}}}}}}}}]}}'}}"
        )
    };
    let run = run(&format!("  - {}\n  - {}\n  - run: kubectl get deployment more\n", text(1), text(3)));
    assert_eq!(told(&run, 0).1, "deployment.apps/more created");
    let exists = "Error from server (AlreadyExists): error when creating \"STDIN\": deployments.apps \"more\" already exists";
    assert_eq!(told(&run, 1), (1, String::new(), exists.to_owned()));
    assert!(told(&run, 2).1.contains("1/1"), "{}", told(&run, 2).1);
}

#[test]
fn another_template_replaces_all_pods() {
    let run = run(
        "  - run: kubectl patch deployment web -p '{\"spec\":{\"template\":{\"spec\":{\"nodeName\":\"node-2\"}}}}'\n\
                   \x20 - {run: curl -s -m 5 http://10.96.0.10/, on: client}\n",
    );
    assert_eq!(printed(&run, 1).0, 0, "{}", printed(&run, 1).1);
    assert_eq!(webs(&run).len(), 1);
    let world = &run.run.world;
    let node = world.host(world.host_by_name("node-2").unwrap()).unwrap();
    assert_eq!(node.devices().iter().filter(|d| d.name.starts_with("veth-")).count(), 2);
}
