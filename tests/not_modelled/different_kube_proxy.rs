//! Where the rules are not those of the real kube-proxy.

use cluster::kube_proxy::{Case, Change, Config, KubeProxy, Mode, SyncText, Version};
use cluster::read_objects;
use workshop::{At, Typed};

const SERVICE: &str = "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80, protocol: PROTO}]}\n";

fn slice(protocol: &str, endpoints: usize) -> String {
    let list: String =
        (0..endpoints).map(|i| format!("- addresses: [10.1.{}.{}]\n", i / 250, i % 250)).collect();
    format!(
        "kind: EndpointSlice\nmetadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}\n\
         addressType: IPv4\nports: [{{port: 8080, protocol: {protocol}}}]\nendpoints:\n{list}"
    )
}

fn tell(proxy: &mut KubeProxy, text: &str) {
    for object in read_objects(text).unwrap() {
        proxy.apply(Change::Apply(Box::new(object)));
    }
}

/// A kube-proxy after its first sync in a cluster with one Service.
fn started(version: Version, mode: Mode, protocol: &str, endpoints: usize) -> KubeProxy {
    let mut proxy = KubeProxy::new(Config { version, ..Config::default() }, Vec::new(), mode).unwrap();
    tell(&mut proxy, &SERVICE.replace("PROTO", protocol));
    tell(&mut proxy, &slice(protocol, endpoints));
    proxy.sync();
    proxy
}

fn sync(proxy: &mut KubeProxy) -> String {
    match proxy.sync().remove(0).text {
        SyncText::Iptables(text) | SyncText::Nftables(text) => text,
        SyncText::Ipvs(text) => text.virtual_servers,
    }
}

#[test]
fn nobody_watches_the_canaries() {
    let options = nflab::cluster::ClusterOptions {
        cni: workshop::kube::PROFILES[0],
        mode: workshop::kube::Mode::Iptables,
        version: Version::default(),
        cluster_cidr: None,
        nat_outgoing: false,
        hairpin: false,
        promisc: false,
    };
    let objects = workshop::kube::objects(include_str!("../data/cni/cluster.yaml")).unwrap();
    let boxes = nflab::cluster::kube(objects, &options).unwrap().boxes().unwrap();
    let node = boxes.hosts.iter().find(|h| h.iptables.is_some() || !h.setup.is_empty()).unwrap().name.clone();
    let scenario = sim::Scenario { hosts: boxes.hosts, links: boxes.links, ..sim::Scenario::default() };
    let mut world = scenario.run().unwrap().world;
    let host = world.host_by_name(&node).unwrap();
    let mut run = |line: &str| {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        sim::operator::command(&mut world, host, &argv, None).unwrap().stdout
    };
    let has = |lines: &[String], chain: &str| lines.iter().any(|l| *l == format!("-N {chain}"));
    for table in ["mangle", "nat", "filter"] {
        assert!(has(&run(&format!("iptables -t {table} -S")), "KUBE-PROXY-CANARY"), "{table}");
    }
    run("iptables -t nat -F");
    run("iptables -t nat -X");
    world.run_until(kernel::Instant(world.now().0 + 120_000_000));
    let argv = ["iptables", "-t", "nat", "-S"].map(str::to_owned);
    let after = sim::operator::command(&mut world, host, &argv, None).unwrap().stdout;
    // The real kube-proxy has written its chains again by then.
    assert!(!has(&after, "KUBE-SERVICES"), "{after:?}");
}

/// What commands on the node of a lab print: status, standard output and standard error.
fn on_node(lines: &[&str]) -> Vec<(i32, String)> {
    let mut session = workshop::Session::new(std::rc::Rc::new(workshop::lab("etp-local").unwrap()));
    let typed = |line: &&str| workshop::Typed::of_line(line, workshop::At::End);
    session.typed = lines.iter().map(typed).collect();
    let run = session.run().unwrap();
    let outputs = run.typed.into_iter().map(|t| t.output.unwrap());
    outputs.map(|o| (o.status, [o.stdout, o.stderr].concat().join("\n"))).collect()
}

const HEALTHZ: &str = "node-1: curl -s -m 1 http://127.0.0.1:10256/healthz";

#[test]
fn kube_proxy_is_always_healthy() {
    let rules = on_node(&["node-1: iptables -t nat -S"]);
    let chain = rules[0].1.lines().find_map(|l| l.strip_prefix("-N KUBE-SEP-")).unwrap();
    // A chain that somebody uses cannot be deleted, so nothing of this sync is written.
    let uses = format!("node-1: iptables -t nat -A OUTPUT -d 192.0.2.1 -j KUBE-SEP-{chain}");
    let delete = ["web-1", "web-2", "web-3"].map(|pod| format!("kubectl delete pod {pod}"));
    let told = on_node(&[&uses, &delete[0], &delete[1], &delete[2], HEALTHZ]);
    assert!(told[1..4].iter().any(|(status, _)| *status != 0), "{told:?}");
    // The real one is late after a minute, and says 503.
    assert!(told[4].1.contains("\"healthy\":true"), "{told:?}");
}

#[test]
fn kube_proxy_has_no_metrics() {
    let told = on_node(&["node-1: curl -s -m 1 http://127.0.0.1:10249/metrics", HEALTHZ]);
    assert_eq!((told[0].0, told[1].0), (7, 0), "{told:?}");
}

#[test]
fn sockets_of_kube_proxy_are_of_ipv4() {
    let told = on_node(&["node-1: ss -tln"]);
    assert!(told[0].1.contains(" 0.0.0.0:10256 "), "{told:?}");
}

#[test]
fn stale_chains_of_a_large_cluster_wait_forever() {
    let mut proxy = started(Version::V1_35, Mode::Iptables, "TCP", 1003);
    for endpoints in [1002, 1001, 1002] {
        tell(&mut proxy, &slice("TCP", endpoints));
        assert!(!sync(&mut proxy).contains("-X "), "{endpoints}");
    }
}

#[test]
fn stale_nftables_chains_are_never_deleted() {
    let mut proxy = started(Version::V1_35, Mode::Nftables, "TCP", 2);
    tell(&mut proxy, &slice("TCP", 1));
    for _ in 0..3 {
        let text = sync(&mut proxy);
        assert!(
            text.contains("flush chain ip kube-proxy endpoint-") && !text.contains("delete chain"),
            "{text}"
        );
    }
}

#[test]
fn a_removed_server_goes_at_once() {
    let mut proxy = started(Version::V1_35, Mode::Ipvs, "TCP", 2);
    tell(&mut proxy, &slice("TCP", 1));
    assert_eq!(sync(&mut proxy), "-d -t 10.0.0.1:80 -r 10.1.0.1:8080\n");
}

#[test]
fn services_are_written_in_the_order_of_their_names() {
    let named = |name: &str| SERVICE.replace("web", name).replace("PROTO", "TCP");
    let text = [named("b"), named("a"), named("c")].join("---\n");
    let text = Case::read(&text).unwrap().record(Some(Mode::Iptables)).unwrap().remove(0).text;
    let places = ["default/a ", "default/b ", "default/c "].map(|name| text.find(name).unwrap());
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn only_udp_entries_are_deleted() {
    use cluster::kube_proxy::Cleanup;
    for (protocol, deletes) in [("UDP", true), ("SCTP", false), ("TCP", false)] {
        let mut proxy = started(Version::V1_23, Mode::Iptables, protocol, 2);
        tell(&mut proxy, &slice(protocol, 1));
        assert_eq!(proxy.sync().remove(0).conntrack != Cleanup::Nothing, deletes, "{protocol}");
    }
}

#[test]
fn a_pods_description_has_no_times() {
    let text = on_node(&["kubectl describe pods"]).remove(0).1;
    let begin = |word: &str| text.lines().any(|l| l.trim_start().starts_with(word));
    assert!(begin("Node:") && begin("Events:"), "{text}");
    for absent in ["Start Time:", "Container ID:", "Conditions:", "Volumes:", "Tolerations:", "Environment:"]
    {
        assert!(!begin(absent), "{absent} in {text}");
    }
}

#[test]
fn no_namespace_has_a_root_certificate() {
    assert_eq!(on_node(&["kubectl get configmaps -A"]).remove(0).1, "No resources found");
}

#[test]
fn objects_have_no_uids() {
    let yaml = on_node(&["kubectl get pods,services,nodes,endpoints,endpointslices,deployments -o yaml"])
        .remove(0)
        .1;
    assert!(yaml.contains("kind: EndpointSlice") && yaml.contains("kind: Pod"), "{yaml}");
    let absent = [
        "uid",
        "generation",
        "creationTimestamp",
        "ownerReferences",
        "managedFields",
        "restartPolicy",
        "taints",
    ];
    let found: Vec<_> = absent.iter().filter(|key| yaml.contains(&format!(" {key}:"))).collect();
    assert!(found.is_empty(), "{found:?} in {yaml}");
    // That of the list alone, which is empty in a cluster too.
    assert_eq!(yaml.matches("resourceVersion:").count(), 1);
}

#[test]
fn the_api_server_is_of_1_35() {
    let old = "kubectl -n kube-system set image daemonset/kube-proxy kube-proxy=registry.k8s.io/kube-proxy:v1.17.17";
    let lab = std::rc::Rc::new(workshop::lab("dns-race").unwrap());
    let typed = vec![
        workshop::Typed::of_line(old, workshop::At::Setup),
        workshop::Typed::of_line("apt-get install kubelet=1.17.17-00", workshop::At::Setup),
        workshop::Typed::of_line("kubectl get service web -o yaml", workshop::At::End),
    ];
    let run = workshop::Session { typed, ..workshop::Session::new(lab) }.run().unwrap();
    assert!(run.typed.iter().all(|t| t.refused.is_none()), "{:?}", run.typed);
    // Kubernetes 1.17 has none of these.
    let yaml = run.typed[2].output.as_ref().unwrap().stdout.join("\n");
    for key in ["clusterIPs:", "ipFamilyPolicy:", "internalTrafficPolicy:"] {
        assert!(yaml.contains(key), "{key} is not in {yaml}");
    }
}

#[test]
fn a_pods_specs_are_not_compared_in_words() {
    let patch = |spec: &str| format!("kubectl patch pod web-1 -p '{{\"spec\":{{{spec}}}}}'");
    let lines =
        ["\"dnsPolicy\":\"Default\"", "\"tolerations\":[{\"key\":\"a\"}]", "\"tolerations\":null"].map(patch);
    let told = on_node(&lines.each_ref().map(String::as_str));
    assert_eq!(told.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [1, 0, 0]);
    // The real one goes on with `core.PodSpec{`.
    assert!(told[0].1.ends_with("previously negative)"), "{told:?}");
}

#[test]
fn containers_are_asked_of_new_pods_alone() {
    let pod = |name: &str| format!("kind: Pod\nmetadata: {{name: {name}}}\nspec: {{nodeName: worker-1}}\n");
    let create = |name: &str, at| Typed { stdin: pod(name), ..Typed::of_line("kubectl create -f -", at) };
    let run = run_typed(vec![create("one", At::Setup), create("two", At::End)]);
    assert_eq!(run[0], None);
    assert_eq!(run[1].as_deref(), Some("The Pod \"two\" is invalid: spec.containers: Required value"));
}

/// What is wrong of each command.
fn run_typed(typed: Vec<Typed>) -> Vec<Option<String>> {
    let lab = std::rc::Rc::new(workshop::lab("tftp-ipvs").unwrap());
    let run = workshop::Session { typed, ..workshop::Session::new(lab) }.run().unwrap();
    run.typed.iter().map(workshop::TypedResult::wrong).collect()
}

/// That lab has a node port 69, as the article has it; its cluster IPs are those of kubeadm.
#[test]
fn a_lab_s_own_services_widen_the_ranges() {
    let service = |spec: &str| {
        let stdin = format!("kind: Service\nmetadata: {{name: x}}\nspec: {{{spec}}}\n");
        run_typed(vec![Typed { stdin, ..Typed::of_line("kubectl create -f -", At::End) }]).remove(0)
    };
    assert_eq!(service("type: NodePort, ports: [{port: 80, nodePort: 80}]"), None);
    let refused = service("clusterIP: 10.43.0.1, ports: [{port: 80}]").unwrap();
    assert!(refused.ends_with("the provided network does not match the current range"), "{refused}");
}

#[test]
fn endpoints_by_hand_are_not_mirrored() {
    let yaml = "kind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}\n---\nkind: Endpoints\nmetadata: {name: x}\n\
                subsets: [{addresses: [{ip: 10.0.0.9}], ports: [{port: 80}]}]\n";
    let apply = Typed { stdin: yaml.to_owned(), ..Typed::of_line("kubectl apply -f -", At::End) };
    let get = Typed::of_line("kubectl get endpointslices -o name", At::End);
    let lab = std::rc::Rc::new(workshop::lab("dns-race").unwrap());
    let run = workshop::Session { typed: vec![apply, get], ..workshop::Session::new(lab) }.run().unwrap();
    let slices = run.typed[1].output.as_ref().unwrap().stdout.join(" ");
    // The real one has a slice x-..., which its endpointslicemirroring-controller has made.
    assert!(!slices.contains("/x"), "{slices}");
}
