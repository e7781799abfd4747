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
