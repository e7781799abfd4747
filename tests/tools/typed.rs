//! Commands typed into labs: what the articles type, and what a reader may type next.

use std::rc::Rc;
use workshop::{Session, Typed};

/// A lab with some switches flipped, and what each command printed at its end, both outputs.
pub fn typed(lab: &str, changes: &[(&str, &str)], lines: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut session = Session::new(Rc::new(workshop::lab(lab).unwrap()));
    for (switch, value) in changes {
        session.changes.insert((*switch).to_owned(), (*value).to_owned());
    }
    let one = |(on, line): &(&str, &str)| Typed {
        on: (!on.is_empty()).then(|| (*on).to_owned()),
        line: (*line).to_owned(),
        ..Typed::default()
    };
    session.typed = lines.iter().map(one).collect();
    let run = session.run().unwrap();
    let print = |t: &workshop::TypedResult| match (&t.output, &t.refused) {
        (Some(o), _) => o.stdout.iter().chain(&o.stderr).cloned().collect(),
        (None, Some(refused)) => vec![refused.message.clone()],
        _ => Vec::new(),
    };
    run.typed.iter().map(print).collect()
}

const ON: [(&str, &str); 2] = [("br_netfilter", "on"), ("forward", "on")];

/// 002: "There's no bridge subdirectory there, as expected."
#[test]
fn proc_sys_net_has_a_folder_bridge_with_br_netfilter_only() {
    let ls = |on| typed("same-node-clusterip", &[("br_netfilter", on)], &[("worker-2", "ls /proc/sys/net")]);
    assert!(!ls("off")[0].contains(&"bridge".to_owned()), "{:?}", ls("off"));
    assert!(ls("on")[0].contains(&"bridge".to_owned()), "{:?}", ls("on"));
}

/// 002: `head /proc/sys/net/bridge/*` and its six values.
#[test]
fn head_prints_the_six_settings_of_the_bridge() {
    let out = typed("same-node-clusterip", &ON, &[("worker-2", "head /proc/sys/net/bridge/*")]);
    let expected: Vec<String> = [
        ("call-arptables", 1),
        ("call-ip6tables", 1),
        ("call-iptables", 1),
        ("filter-pppoe-tagged", 0),
        ("filter-vlan-tagged", 0),
        ("pass-vlan-input-dev", 0),
    ]
    .iter()
    .enumerate()
    .flat_map(|(n, (name, value))| {
        let blank = (n > 0).then(String::new);
        blank.into_iter().chain([format!("==> /proc/sys/net/bridge/bridge-nf-{name} <=="), value.to_string()])
    })
    .collect();
    assert_eq!(out[0], expected);
}

/// 002: "kubectl get pods,services -owide -n kube-system", the Service's line.
#[test]
fn kubectl_lists_kube_dns_with_its_three_ports() {
    let out = typed("same-node-clusterip", &ON, &[("", "kubectl get pods,services -owide -n kube-system")]);
    let service = out[0].iter().find(|l| l.starts_with("service/kube-dns")).unwrap();
    let words: Vec<&str> = service.split_whitespace().collect();
    assert_eq!(words[1..5], ["ClusterIP", "10.32.0.10", "<none>", "53/UDP,53/TCP,9153/TCP"]);
    assert_eq!(words[6], "k8s-app=kube-dns");
}

/// 002: the cure by the node's own resolver. CoreDNS's pods have `dnsPolicy: Default`, as kubernetes-the-hard-way deploys them.
#[test]
fn coredns_forwards_to_the_server_that_its_node_asks() {
    let corefile = r".:53 {\n errors\n kubernetes cluster.local\n forward . /etc/resolv.conf {\n max_concurrent 1000\n }\n loop\n}\n";
    let patch = format!(
        "kubectl -n kube-system patch configmap coredns -p '{{\"data\":{{\"Corefile\":\"{corefile}\"}}}}'"
    );
    let setting = [("br_netfilter", "on"), ("dns", "on")];
    let out =
        typed("same-node-clusterip", &setting, &[("", &patch), ("tmp2", "nslookup engineerbetter.com")]);
    assert!(out[1].contains(&"Address: 104.198.14.52".to_owned()), "{out:?}");
}

/// 002: "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables", which is there with the module only.
#[test]
fn echo_sets_what_is_under_proc_sys() {
    let file = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    let lines = [format!("echo 0 > {file}"), format!("cat {file}"), format!("echo x > {file}")];
    let lines: Vec<(&str, &str)> = lines.iter().map(|l| ("worker-2", l.as_str())).collect();
    let missing = format!("bash: {file}: No such file or directory");
    let said = |on: &str| typed("same-node-clusterip", &[("br_netfilter", on)], &lines);
    assert_eq!(
        said("on"),
        [vec![], vec!["0".to_owned()], vec!["bash: echo: write error: Invalid argument".to_owned()]]
    );
    assert_eq!(said("off")[0], [missing]);
}

/// As bash 5.2 and coreutils 9.1 print it.
#[test]
fn a_last_line_may_lack_its_line_feed() {
    let out = typed(
        "same-node-clusterip",
        &[],
        &[
            ("tmp2", "echo -n abc > f; wc -c f; wc -l f"),
            ("tmp2", "ls -l f"),
            ("tmp2", "cat f; cat f"),
            ("tmp2", "echo -n d >> f; echo e >> f; cat f"),
            ("tmp2", "echo -n a > g; cat g f | head -n1 | wc -c"),
            ("tmp2", "wc -c /proc/sys/net/ipv4/ip_forward"),
        ],
    );
    let out: Vec<String> = out.iter().map(|lines| lines.join("|")).collect();
    let listed = "-rw-r--r-- 1 root root 3 Jan  1 00:00 f";
    assert_eq!(out, ["3 f|0 f", listed, "abcabc", "abcde", "7", "2 /proc/sys/net/ipv4/ip_forward"]);
}

/// A file of a box is written too, and what is there afterwards is what programs read.
#[test]
fn echo_writes_a_file() {
    let lines = [
        ("tmp2", "echo nameserver 10.200.1.41 > /etc/resolv.conf"),
        ("tmp2", "nslookup nginx1.default.svc.cluster.local"),
        ("tmp2", "echo a  'b  c'"),
    ];
    let out = typed("same-node-clusterip", &ON, &lines);
    assert!(out[1].contains(&"Address:\t10.200.1.41#53".to_owned()), "{out:?}");
    assert_eq!(out[2], ["a b  c"]);
}

/// 001: what `kubectl describe svc helloworld-service` says.
#[test]
fn kubectl_describes_the_service_as_the_article_has_it() {
    let out = typed(
        "service-iptables",
        &[("service", "present")],
        &[("", "kubectl describe svc helloworld-service")],
    );
    for line in [
        "Name:                     helloworld-service",
        "Type:                     NodePort",
        "IP:                       10.106.133.16",
        "Port:                     <unset>  31001/TCP",
        "NodePort:                 <unset>  31382/TCP",
        "Endpoints:                172.17.0.6:3000",
        "Session Affinity:         None",
        "External Traffic Policy:  Cluster",
    ] {
        assert!(out[0].contains(&line.to_owned()), "{line} is not in {:#?}", out[0]);
    }
}

/// 004: "kubectl exec POD -- cat /proc/sys/net/netfilter/..."
#[test]
fn kubectl_exec_runs_a_command_in_the_pod() {
    let line = "kubectl exec -it tftp-server-69d49ffb8b-44m45 -- cat /proc/sys/net/netfilter/nf_conntrack_udp_timeout";
    assert_eq!(typed("tftp-ipvs", &[], &[("", line)])[0], ["30"]);
}

/// The API server gives a Service of type NodePort the node port that it lacks, and takes it away again.
#[test]
fn a_patched_type_brings_and_takes_the_node_port() {
    let patch = |t: &str| format!("kubectl patch svc web -p '{{\"spec\":{{\"type\":\"{t}\"}}}}'");
    let (to, back) = (patch("NodePort"), patch("ClusterIP"));
    let get = ("", "kubectl get svc web");
    let out = typed("dns-race", &[], &[("", &to), get, ("", &back), get]);
    assert!(out[1][1].contains("NodePort") && out[1][1].contains("80:30086/TCP"), "{:?}", out[1]);
    assert!(out[3][1].contains("ClusterIP") && out[3][1].contains(" 80/TCP"), "{:?}", out[3]);
}

/// curl 7.88: a second URL of the same host goes over the connection that stands, another host needs another.
#[test]
fn curl_uses_a_connection_again() {
    let line = "curl -sSv http://10.32.0.102/ http://10.32.0.102/x http://10.200.2.65/";
    let w = "curl -s -o f -o f -w '%{num_connects} ' http://10.32.0.102/ http://10.32.0.102/";
    let out = typed("same-node-clusterip", &ON, &[("tmp2", line), ("tmp2", w)]);
    let notes: Vec<&str> = out[0].iter().filter_map(|l| l.strip_prefix("* ")).collect();
    assert_eq!(
        notes,
        [
            "  Trying 10.32.0.102:80...",
            "Connected to 10.32.0.102 (10.32.0.102) port 80 (#0)",
            "Connection #0 to host 10.32.0.102 left intact",
            "Found bundle for host: 0x0 [serially]",
            "Can not multiplex, even if we wanted to",
            "Re-using existing connection #0 with host 10.32.0.102",
            "Connection #0 to host 10.32.0.102 left intact",
            "  Trying 10.200.2.65:80...",
            "Connected to 10.200.2.65 (10.200.2.65) port 80 (#1)",
            "Connection #1 to host 10.200.2.65 left intact",
        ]
    );
    assert_eq!(out[1], ["1 0 "]);
}

/// The status of several transfers is that of the last.
#[test]
fn a_url_that_fails_does_not_stop_the_next() {
    let line = "curl -sS http://10.32.0.102:81/ foo://x http://10.32.0.102/";
    let out = typed(
        "same-node-clusterip",
        &ON,
        &[("tmp2", &format!("{line} ")), ("tmp2", "curl -sS http://10.200.2.65/ http://10.200.2.65:81/")],
    );
    assert!(out[0].iter().any(|l| l.starts_with("curl: (1) Protocol \"foo\"")), "{:?}", out[0]);
    assert!(out[0].iter().any(|l| l.starts_with("hello from nginx2")), "{:?}", out[0]);
    assert!(out[1].iter().any(|l| l.starts_with("curl: (7)")), "{:?}", out[1]);
}

/// `dmesg -c` empties the buffer, as the article uses it.
#[test]
fn dmesg_c_prints_once() {
    let log = [("br_netfilter", "on"), ("log", "on")];
    let lines = [("worker-2", "dmesg -c"), ("worker-2", "dmesg"), ("worker-2", "dmesg -y")];
    let out = typed("same-node-clusterip", &log, &lines);
    assert!(!out[0].is_empty() && out[0][0].contains("EB "), "{:?}", out[0].first());
    assert_eq!(out[1], Vec::<String>::new());
    assert_eq!(out[2], ["dmesg: invalid option -- 'y'", "Try 'dmesg --help' for more information."]);
}

/// What CoreDNS printed when it began, and that it could not answer a query; nothing of programs that were typed on the pod's box.
#[test]
fn kubectl_logs_has_what_the_pods_servers_printed() {
    let logs = "kubectl -n kube-system logs coredns-1";
    let lines = [
        ("coredns-1", "nslookup -timeout=1 a.example 127.0.0.1"),
        ("", logs),
        ("", "kubectl logs --tail=1 -n kube-system pod/coredns-1"),
        ("", "kubectl -n kube-system logs --tail=0 coredns-1"),
    ];
    let out = typed("same-node-clusterip", &[], &lines);
    assert!(out[0].iter().any(|l| l.contains("SERVFAIL") && !out[1].contains(l)), "{out:?}");
    assert_eq!(out[1][0], ".:53");
    let query = out[1].last().unwrap();
    let ends = query.ends_with(" A: plugin/loop: no next plugin found");
    assert!(ends && query.starts_with("[ERROR] plugin/errors: 2 a.example."), "{:?}", out[1]);
    assert_eq!((&out[2], out[3].len()), (&vec![query.clone()], 0));
}

/// `-f`, `-w`: what there is, as if Ctrl-C came then.
#[test]
fn kubectl_that_follows_ends_at_once() {
    let lines = [
        ("tmp2", "dig @10.32.0.10 a.example"),
        ("", "kubectl -n kube-system logs coredns-1"),
        ("", "kubectl -n kube-system logs -f coredns-1"),
        ("", "kubectl get nodes -o name"),
        ("", "kubectl get nodes -w -o name"),
    ];
    let out = typed("same-node-clusterip", &ON, &lines);
    assert!(!out[1].is_empty() && !out[3].is_empty(), "{out:?}");
    assert_eq!((&out[2], &out[4]), (&out[1], &out[3]));
}

/// As GNU's programs print it.
#[test]
fn pipes_lead_through_sed_tee_and_less() {
    let out = typed(
        "same-node-clusterip",
        &ON,
        &[
            ("worker-2", "printf 'b=%s\\n' 1 2 | tee f | less"),
            ("worker-2", "sed -i s/b/c/ f; cat f"),
            ("worker-2", "iptables-save | sed -n '/^\\*nat/,/^COMMIT/p' | sed '1!d' | more"),
            ("worker-2", "cat f | tee -a f | wc -l; wc -l f"),
            ("worker-2", "hostname"),
            ("worker-2", "less none"),
        ],
    );
    let out: Vec<String> = out.iter().map(|lines| lines.join("|")).collect();
    let expected = ["b=1|b=2", "c=1|c=2", "*nat", "2|4 f", "worker-2", "none: No such file or directory"];
    assert_eq!(out, expected);
}

/// Who looks for a program that is not there is told of one that is.
#[test]
fn what_does_the_same_is_named() {
    let out =
        typed("same-node-clusterip", &[], &[("tmp2", "netstat -tulpn"), ("tmp2", "wget -qO- http://x")]);
    assert_eq!(out[0], ["netstat is not modelled; expected ss"]);
    assert_eq!(out[1], ["wget is not modelled; expected curl"]);
}

#[test]
fn kubectl_logs_names_what_is_not_there() {
    let lines = [
        ("", "kubectl logs coredns-1"),
        ("", "kubectl logs deploy/web"),
        ("", "kubectl logs coredns-1 --tail=many"),
    ];
    let out = typed("same-node-clusterip", &ON, &lines);
    assert_eq!(out[0], ["Error from server (NotFound): pods \"coredns-1\" not found"]);
    assert_eq!(out[1], ["Error from server (NotFound): deployments.apps \"web\" not found"]);
    assert!(out[2][0].contains("--tail=many"), "{out:?}");
}

/// The name of a Service of type ExternalName is another name; one of the cluster's zones comes with its address.
#[test]
fn coredns_knows_external_names() {
    let lines = [
        (
            "",
            "kubectl create service externalname out --external-name=kube-dns.kube-system.svc.cluster.local",
        ),
        ("coredns-1", "dig +short @127.0.0.1 out.default.svc.cluster.local"),
    ];
    let out = typed("same-node-clusterip", &[], &lines);
    assert_eq!(out[1], ["kube-dns.kube-system.svc.cluster.local.", "10.32.0.10"]);
}

/// As iproute2 6.1 prints it on Linux 6.18 when a router has said that 1400 bytes fit.
#[test]
fn ip_route_get_tells_the_path_mtu_until_the_cache_is_flushed() {
    let get = ("web", "ip route get 10.50.0.9");
    let lines = [get, ("web", "ip -j route get 10.50.0.9"), ("web", "ip route flush cache"), get];
    let out = typed("mtu-black-hole", &[("icmp", "accepted")], &lines);
    assert_eq!(out[0][1], "    cache expires 599sec mtu 1400 ");
    let json = "\"flags\":[],\"uid\":0,\"cache\":[],\"expires\":599,\"metrics\":[{\"mtu\":1400}]}]";
    assert!(out[1][0].ends_with(json), "{:?}", out[1]);
    assert_eq!((out[2].len(), out[3][1].as_str()), (0, "    cache "));
}

/// As Linux 6.18 with HZ=250 and procps 4.0.2 answer: what is below 0 is kept, what is longer than so many ticks is not.
#[test]
fn time_outs_are_read_as_the_kernel_does() {
    const NAME: &str = "net.netfilter.nf_conntrack_udp_timeout";
    let told = |value: &str| {
        let (set, get) =
            (format!("sysctl -w {NAME}={value}"), format!("cat /proc/sys/{}", NAME.replace('.', "/")));
        typed("same-node-clusterip", &[], &[("worker-2", &set), ("worker-2", &get)]).concat().join(" | ")
    };
    for (value, kept) in [
        ("-1", "-1"),
        ("0", "0"),
        ("8589934", "8589934"),
        ("-8589934", "-8589934"),
        ("0x10", "16"),
        ("010", "8"),
    ] {
        assert_eq!(told(value), format!("{NAME} = {value} | {kept}"));
    }
    for value in ["8589935", "4294967295", "99999999999", "abc", "1.5", "7x", "+7", "0x", "08"] {
        assert_eq!(told(value), format!("sysctl: setting key \"{NAME}\": Invalid argument | 30"));
    }
}

/// A flow whose time-out is below 0 is over at once, as on Linux 6.18.
#[test]
fn a_flow_without_time_is_not_listed() {
    let lines = |seconds: &str| {
        let set = format!("sysctl -qw net.netfilter.nf_conntrack_icmp_timeout={seconds}");
        let lines = [
            ("worker-2", "conntrack -F"),
            ("worker-2", set.as_str()),
            ("worker-2", "ping -c 1 10.200.2.63"),
            ("worker-2", "conntrack -L"),
        ];
        typed("same-node-clusterip", &[], &lines)
    };
    let count = |seconds| lines(seconds)[3].iter().filter(|l| l.starts_with("icmp ")).count();
    assert_eq!((count("30"), count("-1"), count("0")), (1, 0, 0));
    assert!(lines("-1")[2].iter().any(|l| l.contains("1 received")), "{:?}", lines("-1"));
}
