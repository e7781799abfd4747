//! Labs with other words in them, and the change that is found first.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{DNS, Words, called, first, in_other_words};

const ONE: &str = "on: client, run: 'curl -m 3 http://10.0.0.11:30080/'";
const BOTH: &str = "{all: [{step: one, status: 0}, {step: two, status: 0}]}";
const SPEC: &str = "{port: 80, nodePort: 30080}";
const CLIENT: &str = "{name: client, address: 10.0.0.100/24, knowsPods: true}";
const CALICO: (&str, &str) = ("machines:", "cni: calico\n  gateway: 10.0.0.1\n  machines:");
const OUTSIDE: (&str, &str) =
    ("apps:", "setup: [{on: client, run: ip route add 192.0.2.1/32 via 10.0.0.11}]\napps:");
const TO_OUTSIDE: (&str, &str) = (ONE, "on: client, run: 'curl -m 3 http://192.0.2.1/'");
const TFTP: [(&str, &str); 5] = [
    (
        "apps: [{on: [a, b], app: http, port: 80}]",
        "setup: [{on: nodes, run: modprobe nf_nat_tftp}]\napps: [{on: b, app: tftp, port: 69}]",
    ),
    (ONE, "on: client, run: 'tftp -m binary 10.0.0.11 30069 -c get f-100'"),
    (SPEC, "{port: 69, protocol: UDP, nodePort: 30069}"),
    (", knowsPods: true", ""),
    (BOTH, "{step: one, status: 0}"),
];

/// The lab with other words, and the change that is found first: what an engineer would do, before all else that helps.
const OTHER_WORDS: [(&[Words], &str); 20] = [
    (
        &[&[("selector: {app: web}", "selector: {app: wbe}")]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"selector":{"app":"web"}}}'"#,
    ),
    // The Service has its pod: the selector is left alone.
    (
        &[&[("type: NodePort,", "type: NodePort, externalTrafficPolicy: Local,")]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'"#,
    ),
    // Nothing on the node knows a port that the Service does not have.
    (
        &[&[(ONE, "on: a, run: 'curl -m 3 http://10.96.0.80:8080/'")]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"ports":[{"port":80,"name":"port-80"},{"port":8080,"name":"port-8080","protocol":"TCP","targetPort":80}]}}'"#,
    ),
    (
        &[&[(ONE, "on: a, run: 'curl -m 3 http://10.96.0.80/'"), (SPEC, "{port: 80, protocol: UDP}")]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"ports":[{"port":80,"protocol":"TCP"}]}}'"#,
    ),
    (
        &[&[OUTSIDE, TO_OUTSIDE, ("type: NodePort", "externalIPs: [192.0.2.2], type: NodePort")]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"externalIPs":["192.0.2.2","192.0.2.1"]}}'"#,
    ),
    // The rule that drops is kube-proxy's, who would write it again.
    (
        &[&[
            ("machines:", "kubeProxy: nftables\n  machines:"),
            OUTSIDE,
            TO_OUTSIDE,
            ("type: NodePort", "loadBalancerSourceRanges: [10.9.0.0/16], type: LoadBalancer"),
            (
                "nodePort: 30080}]}\n",
                "nodePort: 30080}]}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}\n",
            ),
        ]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"loadBalancerSourceRanges":["10.9.0.0/16","10.0.0.100/32"]}}'"#,
    ),
    // The node's next hop is somebody else.
    (
        &[&[(
            CLIENT,
            "{name: impostor, address: 10.0.0.12/24}, {name: client, address: 10.0.0.100/24, knowsPods: true}",
        )]],
        "impostor# ip addr del 10.0.0.12/24 dev eth0",
    ),
    (
        &[&[
            ("machines:", "kubeProxy: ipvs\n  machines:"),
            ("apps:", "setup: [{on: node-1, run: 'ip addr add 10.0.0.100/32 dev kube-ipvs0'}]\napps:"),
        ]],
        "node-1# ip addr del 10.0.0.100/32 dev kube-ipvs0",
    ),
    (
        &[&[("100/24, knowsPods: true", "100/28"), (BOTH, "{step: one, status: 0}")]],
        "client# ip addr add 10.0.0.100/24 dev eth0",
    ),
    // Proxy ARP answers only for what the node has a way to.
    (
        &[&[
            ("machines:", "cni: calico\n  machines:"),
            (ONE, "on: a, run: ping -c 1 -W 1 10.0.0.100"),
            (BOTH, "{step: one, status: 0}"),
        ]],
        "node-1# ip route add default dev eth0",
    ),
    (
        &[&[
            CALICO,
            (
                "apps:",
                "setup: [{on: node-1, run: 'for d in $(ls /proc/sys/net/ipv4/conf); do sysctl -w net.ipv4.conf.$d.proxy_arp=0; done'}]\napps:",
            ),
        ]],
        "node-1# sysctl -w net.ipv4.conf.caliacd53aa4120.proxy_arp=1",
    ),
    // Not by a route for everything.
    (
        &[&[
            CALICO,
            ("apps:", "setup: [{on: node-1, run: 'ip route del 10.244.2.0/24'}]\napps:"),
            (BOTH, "{step: one, status: 0}"),
        ]],
        "node-1# ip route add 10.244.2.0/24 via 10.0.0.12",
    ),
    (
        &[&[
            (BOTH, "{step: two, status: 0}"),
            (
                "apps:",
                "setup: [{on: node-1, run: 'ipset create ok hash:ip; iptables -I FORWARD -i eth0 -m set ! --match-set ok src -j DROP'}]\napps:",
            ),
        ]],
        "node-1# ipset add ok 10.0.0.100",
    ),
    (
        &[&[
            (BOTH, "{step: two, status: 0}"),
            (
                "apps:",
                "setup: [{on: node-1, run: 'ipset create bad hash:ip; ipset add bad 10.0.0.100; iptables -I FORWARD -m set --match-set bad src -j DROP'}]\napps:",
            ),
        ]],
        "node-1# ipset del bad 10.0.0.100",
    ),
    (
        &[&[
            (BOTH, "{step: two, status: 0}"),
            (
                "apps:",
                "setup: [{on: node-1, run: 'ipset create bad hash:net; ipset add bad 10.0.0.0/24; iptables -I FORWARD -m set --match-set bad src -j DROP'}]\napps:",
            ),
        ]],
        "node-1# ipset add bad 10.0.0.100 nomatch",
    ),
    // By the port that the request has before it is translated.
    (&[&TFTP], "node-1# iptables -t raw -A PREROUTING -p udp --dport 30069 -j CT --helper tftp"),
    (
        &[&TFTP, &[("machines:", "kernel: '4.19'\n  machines:")]],
        "node-1# sysctl -w net.netfilter.nf_conntrack_helper=1",
    ),
    // A step has done it: at setup it is not there to be undone.
    (
        &[&[("steps:", "steps:\n  - {on: b, run: iptables -I INPUT -p tcp --dport 80 -j DROP}")]],
        "b# iptables -t filter -D INPUT 1",
    ),
    (
        &[&[(
            "steps:",
            "steps:\n  - {on: node-2, run: ip neigh replace 10.244.2.5 lladdr 02:00:00:00:00:99 dev cnio0 nud permanent}",
        )]],
        "node-2# ip neigh del 10.244.2.5 dev cnio0",
    ),
    // The command ends well, and yet its goal is missed.
    (
        &[&[
            (ONE, "on: a, run: 'curl -s http://10.96.0.80/ || true'"),
            (BOTH, "{step: one, prints: hello}"),
            (SPEC, "{port: 80, targetPort: 81}"),
        ]],
        r#"$ kubectl -n default patch service web -p '{"spec":{"ports":[{"port":80,"targetPort":80}]}}'"#,
    ),
];

#[test]
fn what_an_engineer_would_do_comes_first() {
    for (words, mended) in OTHER_WORDS {
        assert_eq!(first(&in_other_words(called(), words)), mended);
    }
}

const NAMES: [(Words, &str); 7] = [
    // What the kubelet calls the cluster.
    (&[("kubernetes cluster.local", "kubernetes cluster.lan")], COREFILE),
    (&[("clusterDNS: [10.96.0.10]", "clusterDNS: [10.96.0.11]")], RESOLVER),
    (&[("spec: {nodeName: node-1}", "spec: {nodeName: node-1, dnsPolicy: Default}")], RESOLVER),
    (
        &[("apps:", "files: [{on: a, path: /etc/resolv.conf, text: \"nameserver 10.96.0.10\\n\"}]\napps:")],
        RESOLVER,
    ),
    (
        &[("selector: {k8s-app: kube-dns}", "selector: {k8s-app: coredns}")],
        r#"$ kubectl -n kube-system patch service kube-dns -p '{"spec":{"selector":{"k8s-app":"kube-dns"}}}'"#,
    ),
    (
        &[("port: 53, protocol: UDP", "port: 5353, targetPort: 53, protocol: UDP")],
        r#"$ kubectl -n kube-system patch service kube-dns -p '{"spec":{"ports":[{"port":5353,"name":"port-5353"},{"port":53,"name":"port-53","protocol":"UDP","targetPort":53}]}}'"#,
    ),
    (
        &[("port: 53, protocol: UDP", "port: 53")],
        r#"$ kubectl -n kube-system patch service kube-dns -p '{"spec":{"ports":[{"port":53,"protocol":"UDP"}]}}'"#,
    ),
];

const COREFILE: &str = r#"$ kubectl -n kube-system patch configmap coredns -p '{"data":{"Corefile":".:53 {\n    kubernetes cluster.local\n    forward . 10.0.0.100\n}\n"}}'"#;
const RESOLVER: &str = "a# { echo search default.svc.cluster.local svc.cluster.local cluster.local; echo nameserver 10.96.0.10; echo options ndots:5; } > /etc/resolv.conf";

#[test]
fn who_does_not_find_a_name_is_told_whom_to_ask() {
    let own: [(&str, &str); 3] = [
        (ONE, "on: a, run: 'curl -m 12 http://web/'"),
        (BOTH, "{step: one, status: 0}"),
        (
            "port: 80}]\n",
            "port: 80}, {on: coredns, app: coredns, port: 53}, {on: client, app: http, port: 80}, \
            {on: client, app: dns, port: 53, records: www.example.com A 10.0.0.100, zone: example.com}]\n",
        ),
    ];
    for (words, mended) in NAMES {
        assert_eq!(first(&in_other_words(called() + DNS, &[&own, words])), mended);
    }
}
