//! What the article types, typed in the lab.

use crate::typed;

/// The article's loop, in one line as it stands there.
const LOOP: &str = "worker-2: for T in filter nat mangle raw security ; do for C in $(iptables -t $T -L | awk '$1~/^Chain/{print $2}'); \
                    do iptables -t $T -I $C -j LOG --log-prefix \"EB $T $C \" --log-tcp-options ; done; done";

/// "a beast of a Bash one-liner to add a log entry into every chain", and by `-D` instead of `-I` they are deleted again.
#[test]
fn the_loop_puts_a_log_into_every_chain() {
    let save = "worker-2: iptables-save";
    let out = typed("same-node-clusterip", &[], &[LOOP, save, &LOOP.replace(" -I ", " -D "), save]);
    let count = |at: usize, is: &dyn Fn(&str) -> bool| out[at].stdout.iter().filter(|l| is(l)).count();
    let chains = count(1, &|l| l.starts_with(':'));
    let is_log = |l: &str| l.contains(" -j LOG --log-prefix \"EB ") && l.ends_with(" --log-tcp-options");
    assert!(chains > 40, "{chains}");
    assert_eq!((count(1, &is_log), count(3, &is_log)), (chains, 0));
}

/// "the resulting flow": the fifteen lines, with what is left of the longer names.
#[test]
fn the_typed_loop_shows_the_articles_fifteen_lines() {
    let lines = [
        "worker-2: systemctl stop kube-proxy",
        LOOP,
        "worker-2: dmesg -C",
        "tmp2: curl -m 1 http://10.32.0.102/",
        "worker-2: dmesg",
    ];
    let out = typed("same-node-clusterip", &[], &lines);
    assert_eq!(out[3].status, 28);
    let syn = |l: &&String| l.contains("DST=10.32.0.102 ") || l.contains("DST=10.200.2.65 ");
    let prefix = |l: &String| l[l.find("EB ").unwrap()..].split("IN=").next().unwrap().trim_end().to_owned();
    let flow: Vec<String> =
        out[4].stdout.iter().filter(syn).filter(|l| l.contains(" SYN ")).map(prefix).take(15).collect();
    assert_eq!(
        flow,
        [
            "EB raw PREROUTING",
            "EB mangle PREROUTING",
            "EB nat PREROUTING",
            "EB nat KUBE-SERVICES",
            "EB nat KUBE-SVC-KN7BHMGRB3FSV",
            "EB nat KUBE-SEP-3MQ7LGWSED2GA",
            "EB mangle FORWARD",
            "EB filter FORWARD",
            "EB filter KUBE-FORWARD",
            "EB filter KUBE-SERVICES",
            "EB security FORWARD",
            "EB mangle POSTROUTING",
            "EB nat POSTROUTING",
            "EB nat KUBE-POSTROUTING",
            "EB nat CNI-b7b31389524eeb0d17",
        ]
    );
}

/// "dmesg -c && sleep 2 && dmesg -c > foo", "head -n 1 foo".
#[test]
fn what_dmesg_prints_is_kept_in_a_file() {
    let lines = [
        LOOP,
        "worker-2: dmesg -c > before",
        "tmp2: curl -m 1 http://10.32.0.102/",
        "worker-2: dmesg -c && sleep 2 && dmesg -c > foo",
        "worker-2: cat foo",
    ];
    let out = typed("same-node-clusterip", &[], &lines);
    assert!(
        out[3].stdout.iter().any(|l| l.contains("EB nat KUBE-SERVICES IN=cnio0 ")),
        "{:?}",
        out[3].stdout
    );
    assert!(out[4].stderr.is_empty(), "{out:?}");
}

/// "ll /proc/sys/net": "There's no bridge subdirectory there, as expected."
#[test]
fn proc_sys_net_is_listed_as_in_the_article() {
    let names = |br_netfilter: &str| {
        let out = typed(
            "same-node-clusterip",
            &[("br_netfilter", br_netfilter)],
            &["worker-2: ls -lF /proc/sys/net"],
        );
        let lines = out[0].stdout.clone();
        assert_eq!(lines[0], "total 0");
        assert!(lines.contains(&"dr-xr-xr-x 1 root root 0 Jan  1 00:00 netfilter/".to_owned()), "{lines:?}");
        assert!(
            lines.contains(&"-rw-r--r-- 1 root root 0 Jan  1 00:00 nf_conntrack_max".to_owned()),
            "{lines:?}"
        );
        lines[1..].iter().map(|l| l.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let without = ["core/", "ipv4/", "ipv6/", "netfilter/", "nf_conntrack_max", "unix/"];
    assert_eq!(names("off"), without);
    assert_eq!(names("on"), [&["bridge/"][..], &without].concat());
}

/// "ip a s": "inet 10.200.2.1/24 brd 10.200.2.255 scope global cnio0".
#[test]
fn addresses_have_their_broadcast_address() {
    let out = typed("same-node-clusterip", &[], &["worker-2: ip a s", "tmp2: ip a s"]);
    assert!(out[0].stdout.contains(&"    inet 10.200.2.1/24 brd 10.200.2.255 scope global cnio0".to_owned()));
    assert!(out[1].stdout.contains(&"    inet 10.200.2.63/24 brd 10.200.2.255 scope global eth0".to_owned()));
}

/// "diff --side before after": the same fifteen lines on both sides, and six that only br_netfilter brings. The bridge has forgotten where
/// the pod is, as it does when that was silent for five minutes.
#[test]
fn both_flows_beside_each_other_are_the_articles() {
    let call = "tmp2: curl -m 0.5 http://10.32.0.102/";
    let keep = |file: &str| {
        format!("worker-2: dmesg | grep 'RES=0x00 SYN' | grep -o 'EB [a-z]* [A-Za-z0-9-]*' > {file}")
    };
    let lines = [
        "worker-2: systemctl stop kube-proxy",
        LOOP,
        "worker-2: dmesg -C",
        call,
        &keep("before"),
        "worker-2: modprobe br_netfilter",
        "worker-2: bridge fdb del fa:ce:1c:2d:05:eb dev veth-nginx2 master",
        "worker-2: dmesg -C",
        call,
        &keep("after"),
        "worker-2: diff --side before after",
    ];
    let out = typed("same-node-clusterip", &[], &lines).pop().unwrap().stdout;
    let same = |line: &String| {
        let (old, new) = line.split_once('\t')?;
        (old == new.trim_start_matches('\t')).then(|| old.to_owned())
    };
    assert_eq!(out[..15].iter().filter_map(same).count(), 15, "{out:#?}");
    let own: Vec<&str> = out[15..].iter().map(|line| line.trim_start()).collect();
    assert_eq!(
        own,
        [
            ">\tEB mangle FORWARD",
            ">\tEB filter FORWARD",
            ">\tEB filter KUBE-FORWARD",
            ">\tEB filter KUBE-SERVICES",
            ">\tEB security FORWARD",
            ">\tEB mangle POSTROUTING",
        ]
    );
}

/// The Corefile's `health` and `ready`: both answer, at the ports that CoreDNS gives them.
#[test]
fn coredns_says_that_it_is_well() {
    let lines = [
        "tmp2: curl -s http://10.200.2.32:8080/health",
        "tmp2: curl -s http://10.200.2.32:8181/ready",
        "tmp2: curl -s http://10.200.2.32:8181/health",
    ];
    let out = typed("same-node-clusterip", &[("dns", "on"), ("br_netfilter", "on")], &lines);
    let texts: Vec<String> = out.iter().map(|o| o.stdout.join("\n")).collect();
    assert_eq!(texts, ["OK", "OK", "404 page not found"]);
}

/// "we stood up three pairs of pods", "$ kubectl get pods,services -owide": addresses, nodes, and the Services' lines.
#[test]
fn three_pairs_of_pods_are_listed() {
    let out = typed("same-node-clusterip", &[], &["kubectl get pods,services -owide"]).remove(0).stdout;
    let words = |line: &String, at: &[usize]| {
        let words: Vec<&str> = line.split_whitespace().collect();
        at.iter().map(|n| words[*n]).collect::<Vec<_>>().join(" ")
    };
    let pods: Vec<String> = out[1..7].iter().map(|l| words(l, &[0, 1, 2, 3, 5, 6])).collect();
    assert_eq!(
        pods,
        [
            "pod/nginx0 1/1 Running 0 10.200.0.49 worker-0",
            "pod/nginx1 1/1 Running 0 10.200.1.42 worker-1",
            "pod/nginx2 1/1 Running 0 10.200.2.65 worker-2",
            "pod/tmp0 1/1 Running 0 10.200.0.50 worker-0",
            "pod/tmp1 1/1 Running 0 10.200.1.43 worker-1",
            "pod/tmp2 1/1 Running 0 10.200.2.63 worker-2",
        ]
    );
    let services: Vec<String> = out[9..].iter().map(|l| words(l, &[0, 1, 2, 3, 4, 6])).collect();
    assert_eq!(
        services,
        [
            "service/kubernetes ClusterIP 10.32.0.1 <none> 443/TCP <none>",
            "service/nginx0 NodePort 10.32.0.100 <none> 80:32100/TCP app=nginx0",
            "service/nginx1 NodePort 10.32.0.101 <none> 80:32101/TCP app=nginx1",
            "service/nginx2 NodePort 10.32.0.102 <none> 80:32102/TCP app=nginx2",
        ]
    );
}

/// The table "Worker | Pod IP | Cluster IP": of each pair, on each worker, only the cluster IP of the same worker fails.
#[test]
fn on_every_worker_only_its_own_cluster_ip_fails() {
    for from in 0..3_u8 {
        let pods = ["10.200.0.49", "10.200.1.42", "10.200.2.65"];
        let calls = (0..3).flat_map(|to: u8| {
            [pods[usize::from(to)].to_owned(), format!("10.32.0.10{to}")]
                .map(|host| format!("tmp{from}: curl -s -m 2 http://{host}/"))
        });
        let calls: Vec<String> = calls.collect();
        let lines: Vec<&str> = calls.iter().map(String::as_str).collect();
        let status: Vec<i32> = typed("same-node-clusterip", &[], &lines).iter().map(|o| o.status).collect();
        let expected: Vec<i32> = (0..3).flat_map(|to| [0, if to == from { 28 } else { 0 }]).collect();
        assert_eq!(status, expected, "tmp{from}");
    }
}

/// "netcat also reported timeouts."
#[test]
fn netcat_times_out_too() {
    let out = typed("same-node-clusterip", &[], &["tmp2: nc -vz -w 2 10.32.0.102 80"]).remove(0);
    assert_eq!(
        (out.status, out.stderr),
        (1, vec!["nc: connect to 10.32.0.102 port 80 (tcp) timed out: Operation now in progress".to_owned()])
    );
}

/// `ps aux | grep "[n]ginx: master"`, then `nsenter -t 2595 -n -- ip a s`: the MAC of the pod that is called.
#[test]
fn the_nginx_process_leads_to_its_interfaces() {
    let ps = "worker-2: ps aux | grep \"[n]ginx: master\"";
    let line = typed("same-node-clusterip", &[], &[ps]).remove(0).stdout.join("\n");
    assert!(
        line.starts_with("root ") && line.ends_with("nginx: master process nginx -g daemon off;"),
        "{line}"
    );
    let pid = line.split_whitespace().nth(1).unwrap();
    let enter = format!("worker-2: nsenter -t {pid} -n -- ip a s");
    let out = typed("same-node-clusterip", &[], &[ps, &enter]).pop().unwrap().stdout;
    assert_eq!(
        out[0],
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000"
    );
    assert!(
        out.contains(&"    link/ether fa:ce:1c:2d:05:eb brd ff:ff:ff:ff:ff:ff link-netnsid 0".to_owned()),
        "{out:?}"
    );
    assert!(
        out.contains(&"    inet 10.200.2.65/24 brd 10.200.2.255 scope global eth0".to_owned()),
        "{out:?}"
    );
}

/// "We were already using watch to test external resolution by running nslookup".
#[test]
fn nslookup_is_watched() {
    let out = typed(
        "same-node-clusterip",
        &[("dns", "on"), ("br_netfilter", "on")],
        &["tmp2: watch nslookup engineerbetter.com"],
    );
    let screen = &out[0].stdout;
    assert!(screen[0].starts_with("Every 2.0s: nslookup engineerbetter.com "), "{screen:?}");
    let last = "** server can't find engineerbetter.com.c.dj-kthw3.internal: SERVFAIL";
    assert!(screen.iter().any(|l| l == last), "{screen:?}");
}

/// The article's shell has `ll` and `k`.
#[test]
fn the_aliases_of_the_article_are_there() {
    let lines = [
        "worker-2: ll /proc/sys/net",
        "worker-2: ls -alF /proc/sys/net",
        "k get pods,services -owide -n kube-system",
        "kubectl get pods,services -owide -n kube-system",
    ];
    let out = typed("same-node-clusterip", &[], &lines);
    assert!(out[0].stdout.contains(&"dr-xr-xr-x 1 root root 0 Jan  1 00:00 ../".to_owned()), "{:?}", out[0]);
    assert_eq!((&out[0].stdout, &out[2].stdout), (&out[1].stdout, &out[3].stdout));
    assert!(
        out[2].stdout.iter().any(|l| l.starts_with("service/kube-dns   ClusterIP   10.32.0.10 ")),
        "{:?}",
        out[2]
    );
}
