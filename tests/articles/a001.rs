//! 001: what a NodePort Service adds to the nat table of a minikube (kube-proxy 1.10, docker0).

use crate::{Loaded, netns, outcome, shell};
use cluster::kube_proxy::{endpoint_chain, service_chain};
use kernel::event::What;
use kernel::netfilter::hook::InetHook;
use packet::TcpFlags;
use sim::{Run, Stimulus};
use std::net::{IpAddr, Ipv4Addr};
use workshop::{Setting, query};

const NODE: &str = "minikube";
const POD_ADDR: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 6);

const MINIKUBE: &str = include_str!("../data/articles/minikube.yaml");
const POD_ALONE: &str = "
---
kind: Pod
metadata: {name: another.example.com, namespace: default}
spec: {nodeName: minikube}
status: {podIP: 172.17.0.7, podIPs: [{ip: 172.17.0.7}]}
";

#[test]
fn a_pod_alone_changes_nothing_in_nat() {
    let save = |yaml: &str| Loaded::new(yaml).iptables("-t nat -S");
    assert_eq!(save(&format!("{MINIKUBE}{POD_ALONE}")), save(MINIKUBE));
}

#[test]
fn kube_services_leads_to_each_service_and_to_the_node_ports_last() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-SERVICES"),
        [
            "Chain KUBE-SERVICES (2 references)",
            "KUBE-SVC-YLBSDKPE6MPDDRVY tcp -- anywhere 10.106.133.16 /* default/helloworld-service: cluster IP */ tcp dpt:31001",
            "KUBE-SVC-NPX46M4PTMTKRN6Y tcp -- anywhere 10.96.0.1 /* default/kubernetes:https cluster IP */ tcp dpt:https",
            "KUBE-SVC-2QFLXPI3464HMUTA tcp -- anywhere 10.96.215.164 /* kube-system/default-http-backend: cluster IP */ tcp dpt:http",
            "KUBE-SVC-TCOU7JCQXEZGVUNU udp -- anywhere 10.96.0.10 /* kube-system/kube-dns:dns cluster IP */ udp dpt:domain",
            "KUBE-SVC-ERIFXISQEP7F7OF4 tcp -- anywhere 10.96.0.10 /* kube-system/kube-dns:dns-tcp cluster IP */ tcp dpt:domain",
            "KUBE-SVC-XGLOHA7QRQ3V22RZ tcp -- anywhere 10.96.72.101 /* kube-system/kubernetes-dashboard: cluster IP */ tcp dpt:http",
            "KUBE-NODEPORTS all -- anywhere anywhere /* kubernetes service nodeports; NOTE: this must be the last rule in this chain */ \
             ADDRTYPE match dst-type LOCAL",
        ]
    );
}

#[test]
fn the_service_chain_leads_to_the_endpoint_and_has_two_references() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-SVC-YLBSDKPE6MPDDRVY"),
        [
            "Chain KUBE-SVC-YLBSDKPE6MPDDRVY (2 references)",
            "KUBE-SEP-32ZXKBHCWGUC5KVE all -- anywhere anywhere /* default/helloworld-service: */",
        ]
    );
}

#[test]
fn the_endpoint_chain_marks_the_pods_own_packets_and_then_translates() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-SEP-32ZXKBHCWGUC5KVE"),
        [
            "Chain KUBE-SEP-32ZXKBHCWGUC5KVE (1 references)",
            "KUBE-MARK-MASQ all -- 172.17.0.6 anywhere /* default/helloworld-service: */",
            "DNAT tcp -- anywhere anywhere /* default/helloworld-service: */ tcp to:172.17.0.6:3000",
        ]
    );
}

#[test]
fn each_node_port_is_marked_and_then_sent_to_its_service() {
    assert_eq!(
        Loaded::new(MINIKUBE).list("KUBE-NODEPORTS"),
        [
            "Chain KUBE-NODEPORTS (1 references)",
            "KUBE-MARK-MASQ tcp -- anywhere anywhere /* default/helloworld-service: */ tcp dpt:31382",
            "KUBE-SVC-YLBSDKPE6MPDDRVY tcp -- anywhere anywhere /* default/helloworld-service: */ tcp dpt:31382",
            "KUBE-MARK-MASQ tcp -- anywhere anywhere /* kube-system/default-http-backend: */ tcp dpt:30001",
            "KUBE-SVC-2QFLXPI3464HMUTA tcp -- anywhere anywhere /* kube-system/default-http-backend: */ tcp dpt:30001",
            "KUBE-MARK-MASQ tcp -- anywhere anywhere /* kube-system/kubernetes-dashboard: */ tcp dpt:30000",
            "KUBE-SVC-XGLOHA7QRQ3V22RZ tcp -- anywhere anywhere /* kube-system/kubernetes-dashboard: */ tcp dpt:30000",
        ]
    );
}

#[test]
fn kube_mark_masq_has_nine_references() {
    let list = Loaded::new(MINIKUBE).list("KUBE-MARK-MASQ");
    assert_eq!(list, ["Chain KUBE-MARK-MASQ (9 references)", "MARK all -- anywhere anywhere MARK or 0x4000"]);
}

/// The names follow from namespace, Service, port name, protocol and endpoint.
#[test]
fn the_names_of_the_chains_are_computed() {
    for (service_port, protocol, chain) in [
        ("default/helloworld-service:", "tcp", "KUBE-SVC-YLBSDKPE6MPDDRVY"),
        ("kube-system/kube-dns:dns", "udp", "KUBE-SVC-TCOU7JCQXEZGVUNU"),
        ("kube-system/kube-dns:dns-tcp", "tcp", "KUBE-SVC-ERIFXISQEP7F7OF4"),
        ("kube-system/kubernetes-dashboard:", "tcp", "KUBE-SVC-XGLOHA7QRQ3V22RZ"),
        ("kube-system/default-http-backend:", "tcp", "KUBE-SVC-2QFLXPI3464HMUTA"),
        ("default/kubernetes:https", "tcp", "KUBE-SVC-NPX46M4PTMTKRN6Y"),
    ] {
        assert_eq!(service_chain(service_port, protocol), chain);
    }
    let sep = endpoint_chain("default/helloworld-service:", "tcp", "172.17.0.6:3000");
    assert_eq!(sep, "KUBE-SEP-32ZXKBHCWGUC5KVE");
}

/// Creating the Service adds two chains, and seven rules: two of each new chain and KUBE-NODEPORTS, one of KUBE-SERVICES.
#[test]
fn a_service_adds_two_chains_and_a_way_to_them() {
    let without = MINIKUBE.split("---\n").filter(|d| !d.contains("helloworld-service")).collect::<Vec<_>>();
    let before = Loaded::new(&without.join("---\n")).iptables("-t nat -S");
    let after = Loaded::new(MINIKUBE).iptables("-t nat -S");
    let gone: Vec<&String> = before.iter().filter(|l| !after.contains(l)).collect();
    assert_eq!(gone, Vec::<&String>::new());
    let added: Vec<&str> = after.iter().filter(|l| !before.contains(l)).map(String::as_str).collect();
    let comment = r#"-m comment --comment "default/helloworld-service:""#;
    assert_eq!(
        added,
        [
            "-N KUBE-SEP-32ZXKBHCWGUC5KVE".to_owned(),
            "-N KUBE-SVC-YLBSDKPE6MPDDRVY".to_owned(),
            format!("-A KUBE-NODEPORTS -p tcp {comment} -m tcp --dport 31382 -j KUBE-MARK-MASQ"),
            format!("-A KUBE-NODEPORTS -p tcp {comment} -m tcp --dport 31382 -j KUBE-SVC-YLBSDKPE6MPDDRVY"),
            format!("-A KUBE-SEP-32ZXKBHCWGUC5KVE -s 172.17.0.6/32 {comment} -j KUBE-MARK-MASQ"),
            format!("-A KUBE-SEP-32ZXKBHCWGUC5KVE -p tcp {comment} -m tcp -j DNAT --to-destination 172.17.0.6:3000"),
            "-A KUBE-SERVICES -d 10.106.133.16/32 -p tcp -m comment --comment \"default/helloworld-service: cluster IP\" \
             -m tcp --dport 31001 -j KUBE-SVC-YLBSDKPE6MPDDRVY"
                .to_owned(),
            format!("-A KUBE-SVC-YLBSDKPE6MPDDRVY {comment} -j KUBE-SEP-32ZXKBHCWGUC5KVE"),
        ]
    );
}

/// Session affinity is None and externalTrafficPolicy is Cluster: no `recent`, no KUBE-XLB.
#[test]
fn there_is_no_affinity_and_no_local_policy() {
    let all = Loaded::new(MINIKUBE).iptables("-t nat -S");
    assert!(!all.iter().any(|l| l.contains("-m recent") || l.contains("KUBE-XLB")), "{all:?}");
}

/// Without a clusterCIDR no MARK-MASQ stands before a cluster IP's rule; with one it does, for whatever is not a pod's.
#[test]
fn a_cluster_cidr_puts_a_mark_before_each_cluster_ip() {
    let marks = |yaml: &str| {
        let rules = Loaded::new(yaml).rules("KUBE-SERVICES");
        rules.iter().filter(|r| r.ends_with("-j KUBE-MARK-MASQ")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(marks(MINIKUBE), Vec::<String>::new());
    let told = MINIKUBE.replace("clusterCIDRs: []", "clusterCIDRs: [172.17.0.0/16]");
    let with = marks(&told);
    assert_eq!(with.len(), 6, "{with:?}");
    assert!(with.iter().all(|r| r.contains(" ! -s 172.17.0.0/16 ")), "{with:?}");
    let rules = Loaded::new(&told).rules("KUBE-SERVICES");
    for pair in rules[..12].chunks(2) {
        let [mark, jump] = pair else { panic!("{pair:?}") };
        assert!(mark.ends_with("-j KUBE-MARK-MASQ") && jump.contains("-j KUBE-SVC-"), "{pair:?}");
    }
}

/// `-L` prints names where there are any (domain, https; of port 80 the article's /etc/services says www, newer ones http) and
/// "anywhere"; `-n` and `-S` print numbers.
#[test]
fn names_are_printed_by_l_and_numbers_by_n_and_s() {
    let mut loaded = Loaded::new(MINIKUBE);
    let dns = "kube-system/kube-dns:dns cluster IP";
    for (args, end, any) in [
        ("-t nat -L KUBE-SERVICES", "udp dpt:domain", Some(" anywhere ")),
        ("-t nat -n -L KUBE-SERVICES", "udp dpt:53", Some(" 0.0.0.0/0 ")),
        ("-t nat -S KUBE-SERVICES", "--dport 53 -j KUBE-SVC-TCOU7JCQXEZGVUNU", None),
    ] {
        let lines = loaded.iptables(args);
        let line = lines.iter().find(|l| l.contains(dns)).unwrap();
        assert!(line.ends_with(end) && any.is_none_or(|a| line.contains(a)), "{line}");
    }
}

// ---------------------------------------------------------------------- packets

fn lab(service: &str) -> Run {
    crate::lab("service-iptables", &[("service", service)]).run
}

/// "ip a show dev docker0": the article's lines, but for the number of the device, its MAC, and IPv6.
#[test]
fn docker0_has_the_pods_gateway() {
    let lines = shell(&lab("absent"), NODE, "ip a show dev docker0");
    let head = ": docker0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default";
    assert!(lines[0].trim_end().ends_with(head), "{lines:?}");
    assert!(
        lines[1].starts_with("    link/ether ") && lines[1].ends_with(" brd ff:ff:ff:ff:ff:ff"),
        "{lines:?}"
    );
    assert_eq!(lines[2], "    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0");
    assert_eq!(lines[3], "       valid_lft forever preferred_lft forever");
}

/// The node pings the pod; the answer comes with TTL 64, from a neighbour.
#[test]
fn the_node_pings_the_pod() {
    let setting = Setting::from_iter([("service".to_owned(), "absent".to_owned())]);
    let mut scenario = workshop::lab("service-iptables").unwrap().scenario(&setting).unwrap();
    let (host, src) = (NODE.to_owned(), Ipv4Addr::UNSPECIFIED);
    scenario.stimuli =
        vec![Stimulus::Ping { host, src, dst: POD_ADDR, id: 1, seq: 0, ttl: None, timeout_ms: 1000 }];
    let run = scenario.run().unwrap();
    match &run.steps[0].outcome {
        sim::StepOutcome::App(sim::Outcome::Ping(Some(ip))) => {
            assert_eq!((ip.src, ip.ttl), (IpAddr::V4(POD_ADDR), 64));
        }
        other => panic!("{other:?}"),
    }
}

/// The outside does not reach the pod, and does so by the Service: 31001 is the port of the cluster IP, 31382 the node's.
#[test]
fn the_cluster_ip_has_port_31001_and_the_node_31382() {
    let (without, with) = (lab("absent"), lab("present"));
    let (pod_from_outside, cluster_ip, node_port) = (1, 2, 3);
    let refused =
        "curl: (7) Failed to connect to 172.17.0.6 port 3000 after 0 ms: Couldn't connect to server";
    assert_eq!(outcome(&without, pod_from_outside), refused);
    for stimulus in [cluster_ip, node_port] {
        assert!(!query::answered(&without, stimulus) && query::answered(&with, stimulus), "{stimulus}");
    }
}

/// KUBE-SEP does not do SNAT, as the article says: it marks the pod's own packets and translates the destination. SNAT is
/// done in POSTROUTING.
#[test]
fn the_endpoint_chain_has_no_snat_and_the_source_changes_in_postrouting() {
    let sep = Loaded::new(MINIKUBE).rules("KUBE-SEP-32ZXKBHCWGUC5KVE");
    assert!(!sep.iter().any(|r| r.contains("SNAT") || r.contains("MASQUERADE")), "{sep:?}");
    let run = lab("present");
    let node = run.world.host_by_name(NODE).unwrap();
    let segments = query::segments(&run, NODE);
    let syn =
        segments.iter().find(|c| query::flags_are(c.tcp, &[TcpFlags::SYN]) && c.tcp.dport == 31382).unwrap();
    let changes: Vec<(InetHook, bool, bool)> = query::entries(&run)
        .filter(|(_, e)| e.host == node && e.packet == Some(syn.packet))
        .filter_map(|(_, e)| match e.what()? {
            What::Nat { hook, before, after, .. } => {
                let (old, new) = (before.ip()?, after.ip()?);
                Some((*hook, old.src != new.src, old.dst != new.dst))
            }
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(InetHook::PreRouting, false, true), (InetHook::PostRouting, true, false)]);
    assert!(netns(&run, NODE).ct.rows(run.world.now()).iter().any(|r| r.reply.src() == IpAddr::V4(POD_ADDR)));
}

/// What these print when they are typed at the end.
fn typed(service: &str, lines: &[&str]) -> Vec<Vec<String>> {
    let all = crate::typed("service-iptables", &[("service", service)], lines);
    all.into_iter().map(|output| output.stdout).collect()
}

/// "kubectl get pod -o wide": nodehelloworld.example.com, 1/1, Running, 172.17.0.6, minikube.
#[test]
fn kubectl_lists_the_pod() {
    let lines = typed("absent", &["kubectl get pod -o wide"]).remove(0);
    assert_eq!(
        lines[0],
        "NAME                         READY     STATUS    RESTARTS   AGE       IP           NODE"
    );
    let (head, tail) = lines[1].split_at(70);
    assert_eq!(
        head.trim_end_matches(|c: char| c != '0'),
        "nodehelloworld.example.com   1/1       Running   0"
    );
    assert_eq!(tail, "172.17.0.6   minikube");
}

/// "kubectl describe pod nodehelloworld.example.com | grep Port": `    Port:           3000/TCP`.
#[test]
fn the_pod_exposes_port_3000() {
    let lines = typed("absent", &["kubectl describe pod nodehelloworld.example.com | grep Port"]).remove(0);
    assert_eq!(lines[0], "    Port:           3000/TCP");
}

/// "ping 172.17.0.6", and Ctrl-C: the article's lines, which are BusyBox's, but for the times.
#[test]
fn ping_is_answered_until_it_is_stopped() {
    let lines = typed("absent", &["minikube: ping 172.17.0.6"]).remove(0);
    let time = regex_lite::Regex::new(r"\d\.\d{3}\b").unwrap();
    assert_eq!(
        lines.iter().map(|l| time.replace_all(l, "T")).collect::<Vec<_>>(),
        [
            "PING 172.17.0.6 (172.17.0.6): 56 data bytes",
            "64 bytes from 172.17.0.6: seq=0 ttl=64 time=T ms",
            "^C",
            "--- 172.17.0.6 ping statistics ---",
            "1 packets transmitted, 1 packets received, 0% packet loss",
            "round-trip min/avg/max = T/T/T ms",
        ]
    );
}

/// "but not from the outside world": the laptop has no way to the pod.
#[test]
fn the_outside_world_does_not_reach_the_pod() {
    let out = crate::typed("service-iptables", &[("service", "absent")], &["laptop: ping 172.17.0.6"]);
    assert_eq!(
        (out[0].status, out[0].stderr.join("").as_str()),
        (2, "ping: connect: Network is unreachable")
    );
}

/// "kubectl port-forward nodehelloworld.example.com 32000:3000", and two calls of 127.0.0.1:32000, each of which it tells.
#[test]
fn port_forward_handles_two_connections() {
    let call = "laptop: curl -s http://127.0.0.1:32000/";
    for forward in ["", " &"] {
        let forward = format!("laptop: kubectl port-forward nodehelloworld.example.com 32000:3000{forward}");
        let lines = typed("absent", &[&forward, call, call]);
        assert_eq!(
            lines[0],
            [
                "Forwarding from 127.0.0.1:32000 -> 3000",
                "Handling connection for 32000",
                "Handling connection for 32000",
            ]
        );
        assert_eq!(lines[1..], [["hello from nodehelloworld.example.com, you are 127.0.0.1"]; 2]);
    }
}

/// "the port 31382 which is exposed by our service" is the node's, not the cluster IP's, as the article's text has it.
#[test]
fn port_31382_is_not_one_of_the_cluster_ip() {
    let lines = [
        "minikube: curl -sS -m 2 http://10.106.133.16:31382/",
        "minikube: curl -sS -m 2 http://192.168.99.100:31382/",
    ];
    let out = crate::typed("service-iptables", &[("service", "present")], &lines);
    assert_ne!(out[0].status, 0);
    assert_eq!(out[1].status, 0);
}

/// "iptables -t nat -L > FILE" before and after, and "diff ... | grep '+'" (BusyBox's diff is always that of `-u`).
#[test]
fn the_difference_of_both_listings_is_the_articles() {
    let lines = [
        "minikube: iptables -t nat -L > /tmp/before_starting_pod.txt",
        "minikube: iptables -t nat -L > /tmp/after_starting_pod.txt",
        "minikube: diff /tmp/before_starting_pod.txt /tmp/after_starting_pod.txt",
        "kubectl create -f helloworld-nodeport-service.yml",
        "minikube: iptables -t nat -L > /tmp/after_starting_service.txt",
        "minikube: diff /tmp/before_starting_pod.txt /tmp/after_starting_service.txt | grep '+'",
    ];
    let out = typed("absent", &lines);
    assert_eq!(out[2], Vec::<String>::new());
    assert_eq!(out[5][0], "+++ /tmp/after_starting_service.txt");
    assert!(out[5][1].starts_with("@@ -") && out[5][1].ends_with(" @@"), "{}", out[5][1]);
    let added: Vec<String> =
        out[5].iter().filter(|l| !l.starts_with("@@") && !l.starts_with("+++")).cloned().collect();
    let any = "anywhere             ";
    let note = "/* default/helloworld-service: */";
    assert_eq!(
        added.iter().map(|l| l.trim_end()).collect::<Vec<_>>(),
        [
            "+Chain KUBE-MARK-MASQ (9 references)".to_owned(),
            format!("+KUBE-MARK-MASQ  tcp  --  {any}{any}{note} tcp dpt:31382"),
            format!("+KUBE-SVC-YLBSDKPE6MPDDRVY  tcp  --  {any}{any}{note} tcp dpt:31382"),
            "+Chain KUBE-SEP-32ZXKBHCWGUC5KVE (1 references)".to_owned(),
            "+target     prot opt source               destination".to_owned(),
            format!("+KUBE-MARK-MASQ  all  --  172.17.0.6           {any}{note}"),
            format!("+DNAT       tcp  --  {any}{any}{note} tcp to:172.17.0.6:3000"),
            "+".to_owned(),
            format!(
                "+KUBE-SVC-YLBSDKPE6MPDDRVY  tcp  --  {any}10.106.133.16        \
                 /* default/helloworld-service: cluster IP */ tcp dpt:31001"
            ),
            "+".to_owned(),
            "+Chain KUBE-SVC-YLBSDKPE6MPDDRVY (2 references)".to_owned(),
            "+target     prot opt source               destination".to_owned(),
            format!("+KUBE-SEP-32ZXKBHCWGUC5KVE  all  --  {any}{any}{note}"),
        ]
    );
}

/// "kubectl get svc -o wide": NodePort, 10.106.133.16, 31001:31382/TCP, app=helloworld; and the other one, 10.96.0.1, 443/TCP.
#[test]
fn kubectl_lists_the_service() {
    let lines = typed("present", &["kubectl get svc -o wide"]).remove(0);
    let words = |l: &String| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let without_age = |l: &String| [&words(l)[..5], &words(l)[6..]].concat().join(" ");
    assert_eq!(
        lines.iter().map(without_age).collect::<Vec<_>>(),
        [
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) SELECTOR",
            "helloworld-service NodePort 10.106.133.16 <none> 31001:31382/TCP app=helloworld",
            "kubernetes ClusterIP 10.96.0.1 <none> 443/TCP <none>",
        ]
    );
}

/// "kubectl describe svc helloworld-service", line by line. What the article calls the target port is the node port here, and there as well.
#[test]
fn kubectl_describes_the_service() {
    let lines = typed("present", &["kubectl describe svc helloworld-service"]).remove(0);
    assert_eq!(
        lines,
        [
            "Name:                     helloworld-service",
            "Namespace:                default",
            "Labels:                   <none>",
            "Annotations:              <none>",
            "Selector:                 app=helloworld",
            "Type:                     NodePort",
            "IP:                       10.106.133.16",
            "Port:                     <unset>  31001/TCP",
            "TargetPort:               nodejs-port/TCP",
            "NodePort:                 <unset>  31382/TCP",
            "Endpoints:                172.17.0.6:3000",
            "Session Affinity:         None",
            "External Traffic Policy:  Cluster",
            "Events:                   <none>",
        ]
    );
}

/// "kubectl create -f helloworld-nodeport-service.yml": the chains are there, and "the external world" is answered.
#[test]
fn the_service_can_be_created_by_hand() {
    let lines = typed(
        "absent",
        &[
            "kubectl create -f helloworld-nodeport-service.yml",
            "minikube: iptables -t nat -L KUBE-SEP-32ZXKBHCWGUC5KVE",
            "laptop: curl -m 2 http://192.168.99.100:31382/",
        ],
    );
    assert_eq!(lines[0], ["service/helloworld-service created"]);
    let dnat = "DNAT       tcp  --  anywhere             anywhere             /* default/helloworld-service: */ tcp to:172.17.0.6:3000";
    assert!(lines[1].iter().any(|l| l == dnat), "{:#?}", lines[1]);
    assert_eq!(lines[2], ["hello from nodehelloworld.example.com, you are 172.17.0.1"]);
}
