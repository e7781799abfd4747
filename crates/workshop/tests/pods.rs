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
    assert_eq!(printed(&second, 0).1, format!("pod \"{name}\" deleted from default namespace"));
    let other = webs(&second);
    assert!(other.len() == 1 && other[0] != name, "{other:?}");
    assert!(printed(&second, 1).1.contains(&other[0]));
}

/// A ReplicaSet keeps what its selector finds: a pod with another label runs on, on its own, and one is made in its place.
#[test]
fn a_pod_of_a_deployment_gets_another_label_and_is_on_its_own() {
    let first = run("  - {run: ip -br addr, on: {pods: {app: web}}}\n");
    let name = webs(&first).remove(0);
    let run = run(&format!(
        "  - run: kubectl label pod {name} app=apart\n\
         \x20 - run: kubectl label --overwrite pod {name} app=apart\n\
         \x20 - run: kubectl get pods -l app=apart -o name\n\
         \x20 - run: kubectl get pods -l app=web -o name\n\
         \x20 - run: kubectl scale deployment web --replicas=0\n\
         \x20 - run: kubectl get pods -o name\n\
         \x20 - {{run: curl -s -m 2 http://10.96.0.10/, on: client}}\n\
         \x20 - run: kubectl patch pod {name} -p '{{\"metadata\":{{\"labels\":{{\"app\":\"web\"}}}}}}'\n\
         \x20 - {{run: curl -s -m 2 http://10.96.0.10/, on: client}}\n\
         \x20 - run: kubectl get pods -o name\n"
    ));
    let refused = "error: 'app' already has a value (web), and --overwrite is false";
    assert_eq!(printed(&run, 0), (1, refused.to_owned()));
    assert_eq!(printed(&run, 1), (0, format!("pod/{name} labeled")));
    assert_eq!(printed(&run, 2).1, format!("pod/{name}"));
    let other = printed(&run, 3).1;
    assert!(
        other.starts_with("pod/web-") && other.lines().count() == 1 && !other.ends_with(&name),
        "{other}"
    );
    assert_eq!(printed(&run, 5).1, format!("pod/client\npod/{name}"));
    assert_eq!(printed(&run, 6).0, 7);
    // Its ReplicaSet has it again, and is to have none.
    assert_eq!(printed(&run, 7), (0, format!("pod/{name} patched")));
    assert_eq!(printed(&run, 8).0, 7);
    assert_eq!(printed(&run, 9).1, "pod/client");
}

/// The ReplicaSet takes the pod back, and the younger one goes. (It ranks by age, ActivePodsWithRanks in controller_utils.go.)
#[test]
fn a_pod_that_is_taken_back_belongs_to_its_deployment() {
    let first = run("  - {run: ip -br addr, on: {pods: {app: web}}}\n");
    let name = webs(&first).remove(0);
    let run = run(&format!(
        "  - run: kubectl label --overwrite pod {name} app=apart\n\
         \x20 - run: kubectl label --overwrite pod {name} app=web\n\
         \x20 - run: kubectl get pods -o name\n\
         \x20 - {{run: curl -s -m 2 http://10.96.0.10/, on: client}}\n\
         \x20 - run: kubectl scale deployment web --replicas=0\n\
         \x20 - run: kubectl get pods -o name\n"
    ));
    assert_eq!(printed(&run, 2).1, format!("pod/client\npod/{name}"));
    assert_eq!(printed(&run, 3).0, 0);
    assert_eq!(printed(&run, 5).1, "pod/client");
}

/// What was made of another template has another ReplicaSet, which is to have no pods.
#[test]
fn a_pod_of_an_older_template_is_not_taken_back() {
    let first = run("  - {run: ip -br addr, on: {pods: {app: web}}}\n");
    let name = webs(&first).remove(0);
    let run = run(&format!(
        "  - run: kubectl label --overwrite pod {name} app=apart\n\
         \x20 - run: kubectl rollout restart deployment web\n\
         \x20 - run: kubectl get pods -l app=web -o name\n\
         \x20 - run: kubectl label --overwrite pod {name} app=web\n\
         \x20 - run: kubectl get pods -l app=web -o name\n"
    ));
    assert_eq!(printed(&run, 4).1, printed(&run, 2).1);
    assert!(!printed(&run, 4).1.contains(&name));
}

/// The pods go with the node that the template names; those that are made in their place wait for it.
#[test]
fn a_template_that_names_a_deleted_node_has_pods_that_wait() {
    let run = run("  - run: kubectl get pods -l app=web\n\
                   \x20 - run: kubectl rollout status deployment/web\n\
                   \x20 - run: kubectl delete node node-1\n\
                   \x20 - run: kubectl get pods -l app=web\n\
                   \x20 - run: kubectl get deployment web\n\
                   \x20 - run: kubectl rollout status deployment/web\n\
                   \x20 - run: kubectl get endpoints web\n");
    let row = |step: usize| {
        let text = printed(&run, step).1;
        let words: Vec<String> = text.lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect();
        words[..3].join(" ")
    };
    let (before, after) = (row(0), row(3));
    assert!(before.ends_with(" 1/1 Running"), "{before}");
    assert!(after.ends_with(" 0/1 Pending"), "{after}");
    assert_ne!(before.split(' ').next(), after.split(' ').next());
    assert_eq!(row(4), "web 0/1 1");
    assert_eq!(printed(&run, 1), (0, "deployment \"web\" successfully rolled out".to_owned()));
    let waiting =
        "Waiting for deployment \"web\" rollout to finish: 0 of 1 updated replicas are available..."
            .to_owned();
    assert_eq!(printed(&run, 5), (130, waiting));
    assert!(printed(&run, 6).1.contains("<none>"), "{}", printed(&run, 6).1);
    assert_eq!(webs(&run), Vec::<String>::new());
}

/// All objects of a kind, those with labels, or several by name.
#[test]
fn labels_are_set_on_several_objects() {
    let run = run("  - run: kubectl label pods --all tier=a\n\
                   \x20 - run: kubectl label pods -l 'app in (web, db)' tier=b --overwrite\n\
                   \x20 - run: kubectl get pods -l tier=b -o name\n\
                   \x20 - run: kubectl label nodes node-1 node-2 zone=z\n\
                   \x20 - run: kubectl get nodes -l zone=z -o name\n\
                   \x20 - run: kubectl label pods --all tier-\n\
                   \x20 - run: kubectl get pods -l '!tier' -o name\n");
    let lines = |step: usize| printed(&run, step).1.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(lines(0)[0] == "pod/client labeled" && lines(0)[1].starts_with("pod/web-"), "{:?}", lines(0));
    assert!(lines(1).len() == 1 && lines(1)[0].ends_with(" labeled"), "{:?}", lines(1));
    assert!(lines(2).len() == 1 && lines(2)[0].starts_with("pod/web-"), "{:?}", lines(2));
    assert_eq!(lines(3), ["node/node-1 labeled", "node/node-2 labeled"]);
    assert_eq!(lines(4), ["node/node-1", "node/node-2"]);
    assert_eq!(lines(5)[0], "pod/client unlabeled");
    assert_eq!(lines(6).len(), 2);
}

/// Its label is its name, or those that are given; programs are those of the lab.
#[test]
fn kubectl_run_makes_a_pod() {
    let run = run("  - run: kubectl run one --image=nginx --port=80 --labels=app=web,tier=a\n\
                   \x20 - run: kubectl run two --image nginx --restart=Never -- sleep 3600\n\
                   \x20 - run: kubectl get pods one two --show-labels\n\
                   \x20 - run: kubectl scale deployment web --replicas=0\n\
                   \x20 - {run: curl -s -m 2 http://10.96.0.10/, on: client}\n\
                   \x20 - run: kubectl run one --image=nginx\n\
                   \x20 - run: kubectl exec two -- curl -s -m 2 http://10.96.0.10/\n");
    assert_eq!(printed(&run, 0), (0, "pod/one created".to_owned()));
    assert_eq!(printed(&run, 1), (0, "pod/two created".to_owned()));
    let labels: Vec<String> =
        printed(&run, 2).1.lines().skip(1).map(|l| l.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(labels, ["app=web,tier=a", "run=two"]);
    assert!(printed(&run, 4).1.starts_with("hello from one,"), "{}", printed(&run, 4).1);
    let there = "Error from server (AlreadyExists): pods \"one\" already exists";
    assert_eq!(printed(&run, 5), (1, there.to_owned()));
    assert!(printed(&run, 6).1.starts_with("hello from one,"), "{}", printed(&run, 6).1);
}

/// `updateDataChangeMsg` of kubectl's label.go.
#[test]
fn what_kubectl_label_says_it_has_done() {
    let run = run("  - run: kubectl label pod client a=1\n\
                   \x20 - run: kubectl label pod client a=1\n\
                   \x20 - run: kubectl label pod client a=2\n\
                   \x20 - run: kubectl label pod client a-\n\
                   \x20 - run: kubectl label pod client a-\n");
    let said: Vec<String> = (0..5).map(|i| printed(&run, i).1).collect();
    let taken = "error: 'a' already has a value (1), and --overwrite is false";
    let mut done = ["labeled", "not labeled", taken, "unlabeled", "not labeled"].map(|d| match d {
        d if d == taken => d.to_owned(),
        d => format!("pod/client {d}"),
    });
    done[4].insert_str(0, "label \"a\" not found.\n");
    assert_eq!(said, done);
}

/// Two pods on one node and one on the other, wherever that node's other pods are; those of a node that is deleted are made anew.
#[test]
fn pods_without_a_node_are_spread_over_the_nodes() {
    let steps = "  - run: kubectl get pods -o wide\n\
                 \x20 - {run: curl -s -m 5 http://10.96.0.12/, on: client}\n\
                 \x20 - run: kubectl scale deployment free --replicas=5\n\
                 \x20 - run: kubectl get pods -o wide\n\
                 \x20 - run: kubectl delete node node-1\n\
                 \x20 - run: kubectl get pods -o wide\n\
                 \x20 - {run: curl -s -m 5 http://10.96.0.12/, on: client}\n";
    let steps = format!("{steps}---\n{FREE}");
    let run = run(&steps);
    let of = |step: usize, node: &str| -> Vec<String> {
        let text = printed(&run, step).1;
        let own =
            text.lines().filter(|l| l.starts_with("free-") && l.contains(node) && l.contains("Running"));
        own.map(|l| l.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!((of(0, "node-1").len(), of(0, "node-2").len()), (2, 1));
    assert_eq!(printed(&run, 1).0, 0);
    assert_eq!((of(3, "node-1").len(), of(3, "node-2").len()), (3, 2));
    assert!(of(0, "node-1").iter().all(|p| of(3, "node-1").contains(p)), "who has a node keeps it");
    let moved = of(5, "node-2");
    assert!(moved.len() == 5 && !moved.iter().any(|p| of(3, "node-1").contains(p)), "{moved:?}");
    assert_eq!(printed(&run, 6).0, 0, "programs are in all pods with these labels");
}

const FREE: &str = "kind: Deployment
metadata: {name: free}
spec:
  replicas: 3
  selector: {matchLabels: {run: free}}
  template: {metadata: {labels: {run: free, app: web}}}
---
kind: Service
metadata: {name: free}
spec: {clusterIP: 10.96.0.12, selector: {run: free}, ports: [{port: 80}]}
";

#[test]
fn a_restarted_deployment_has_other_pods() {
    let run = run("  - run: kubectl get pods -l app=web -o name\n\
                   \x20 - run: kubectl rollout restart deployment/web\n\
                   \x20 - run: kubectl get pods -l app=web -o name\n\
                   \x20 - run: kubectl rollout restart deploy web\n\
                   \x20 - run: kubectl get pods -l app=web -o name\n\
                   \x20 - {run: curl -s -m 5 http://10.96.0.10/, on: client}\n\
                   \x20 - run: kubectl rollout restart deploy nobody\n\
                   \x20 - run: kubectl get deploy web -o yaml\n");
    assert_eq!(printed(&run, 1), (0, "deployment.apps/web restarted".to_owned()));
    let names = [0, 2, 4].map(|step| printed(&run, step).1);
    assert!(names.iter().all(|n| n.lines().count() == 1), "{names:?}");
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
    assert_eq!(printed(&run, 5).0, 0);
    assert_eq!(printed(&run, 6).1, "Error from server (NotFound): deployments.apps \"nobody\" not found");
    assert!(!printed(&run, 7).1.contains("restarts"), "{}", printed(&run, 7).1);
}

/// Of kubectl's delete.go: the others go when one is not there.
#[test]
fn several_objects_are_deleted_by_name_and_by_label() {
    let run = run("  - run: kubectl create -f late.yaml\n\
                   \x20 - run: kubectl delete pod late nobody\n\
                   \x20 - run: kubectl delete svc -l app=late\n\
                   \x20 - run: kubectl delete svc --all\n\
                   \x20 - run: kubectl delete node/node-1 --wait=false\n\
                   \x20 - run: kubectl get nodes,svc -o name\n");
    let gone = |what: &str, name: &str| format!("{what} \"{name}\" deleted from default namespace");
    let missing = "Error from server (NotFound): pods \"nobody\" not found";
    assert_eq!(told(&run, 1), (1, gone("pod", "late"), missing.to_owned()));
    assert_eq!(told(&run, 2), (0, "No resources found".to_owned(), String::new()));
    assert_eq!(
        told(&run, 3),
        (0, [gone("service", "late"), gone("service", "web")].join("\n"), String::new())
    );
    assert_eq!(told(&run, 4).1, "node \"node-1\" deleted");
    assert_eq!(told(&run, 5).1, "node/node-2");
}

#[test]
fn labels_are_the_last_column() {
    let run = run("  - run: kubectl label pod client b=2 a=1\n\
                   \x20 - run: kubectl get pod client --show-labels\n\
                   \x20 - run: kubectl get svc --show-labels\n");
    assert_eq!(
        printed(&run, 1).1,
        "NAME     READY   STATUS    RESTARTS   AGE   LABELS\nclient   1/1     Running   0          0s    a=1,b=2"
    );
    assert!(printed(&run, 2).1.ends_with("0s    <none>"), "{}", printed(&run, 2).1);
}

/// A cluster has these namespaces from the start; the API server warns of v1 Endpoints since 1.33.
#[test]
fn namespaces_and_endpoints_are_listed_as_by_a_real_cluster() {
    let run = run("  - run: kubectl get ns -o name\n  - run: kubectl get ep web\n");
    let all = ["default", "kube-node-lease", "kube-public", "kube-system"].map(|n| format!("namespace/{n}"));
    assert_eq!(told(&run, 0), (0, all.join("\n"), String::new()));
    let warning = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    assert_eq!((told(&run, 1).0, told(&run, 1).2), (0, warning.to_owned()));
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
             {{nodeName: node-1, containers: [{{name: c, image: c}}]}}}}}}}}]}}'}}"
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
