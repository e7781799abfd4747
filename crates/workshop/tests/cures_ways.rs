//! Ways that packets do not find: tunnels, routes to Services, answers to pods.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{ONE, Words, after, all_of, called, first, in_other_words};

const FLANNEL: Words = &[("machines:", "cni: flannel\n  machines:"), (", knowsPods: true", ""), ONE];
const IPIP: Words = &[("machines:", "cni: calico-ipip\n  gateway: 10.0.0.1\n  machines:"), ONE];

/// Not by a route past the tunnel.
#[test]
fn a_tunnel_that_is_down_comes_up_with_what_was_lost_with_it() {
    let neigh = "ip neigh replace 10.244.2.0 dev flannel.1 nud permanent lladdr 0e:f1:0a:00:00:0c";
    let route = "ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink";
    assert_eq!(
        first(&after(FLANNEL, "node-1", "ip link set flannel.1 down")),
        format!("node-1# ip link set flannel.1 up; node-1# {neigh}; node-1# {route}")
    );
    assert_eq!(
        first(&after(IPIP, "node-2", "ip link set tunl0 down")),
        "node-2# ip link set tunl0 up; node-2# ip route add 10.244.1.0/24 via 10.0.0.11 dev tunl0 onlink"
    );
}

#[test]
fn a_tunnel_that_was_deleted_is_made_again() {
    let made = first(&after(FLANNEL, "node-1", "ip link del flannel.1"));
    let device = "ip link add flannel.1 address 0e:f1:0a:00:00:0b type vxlan id 1 dstport 8472 local 10.0.0.11 dev eth0 nolearning";
    assert!(made.starts_with(&format!("node-1# {device}; ")), "{made}");
    assert!(made.contains("bridge fdb append 0e:f1:0a:00:00:0c dev flannel.1 dst 10.0.0.12"), "{made}");
}

#[test]
fn a_tunnel_is_told_again_behind_which_host_a_node_is() {
    assert_eq!(
        first(&after(FLANNEL, "node-1", "bridge fdb del 0e:f1:0a:00:00:0c dev flannel.1")),
        "node-1# bridge fdb append 0e:f1:0a:00:00:0c dev flannel.1 dst 10.0.0.12"
    );
    assert_eq!(
        first(&after(FLANNEL, "node-1", "bridge fdb replace 0e:f1:0a:00:00:0c dev flannel.1 dst 10.0.0.99")),
        "node-1# bridge fdb replace 0e:f1:0a:00:00:0c dev flannel.1 dst 10.0.0.12"
    );
    assert_eq!(
        first(&after(FLANNEL, "node-1", "ip neigh del 10.244.2.0 dev flannel.1")),
        "node-1# ip neigh replace 10.244.2.0 dev flannel.1 nud permanent lladdr 0e:f1:0a:00:00:0c"
    );
}

/// A machine whose tunnel has another number, port or own address, and what makes it that of its peers again.
#[test]
fn a_tunnel_with_another_number_port_or_address_is_made_anew() {
    let address = "address 0e:f1:0a:00:00:0b";
    let has = "id 1 dstport 8472 local 10.0.0.11";
    for other in [
        "id 7 dstport 8472 local 10.0.0.11",
        "id 1 dstport 4789 local 10.0.0.11",
        "id 1 dstport 8472 local 10.0.0.98",
    ] {
        let make =
            |words: &str| format!("ip link add flannel.1 {address} type vxlan {words} dev eth0 nolearning");
        let rest = [
            "ip link set flannel.1 up",
            "ip neigh replace 10.244.2.0 dev flannel.1 nud permanent lladdr 0e:f1:0a:00:00:0c",
            "bridge fdb append 0e:f1:0a:00:00:0c dev flannel.1 dst 10.0.0.12",
            "ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
        ];
        let broken = format!(
            "ip link del flannel.1; {}; ip addr add 10.244.1.0/32 dev flannel.1; {}",
            make(other),
            rest.join("; ")
        );
        let lines = ["ip link del flannel.1".to_owned(), make(has)];
        let lines = lines.into_iter().chain(rest.map(str::to_owned)).map(|l| format!("node-1# {l}"));
        assert_eq!(
            first(&after(FLANNEL, "node-1", &broken)),
            lines.collect::<Vec<_>>().join("; "),
            "{other}"
        );
    }
}

/// A tunnel between the nodes that the lab makes itself, with these numbers and ports: nothing was otherwise before.
fn by_hand(ends: [&str; 2]) -> String {
    let own: Words = &[
        (
            "on: client, run: 'curl -m 3 http://10.0.0.11:30080/'",
            "on: node-1, run: 'curl -m 3 http://172.31.9.2/'",
        ),
        ("port: 80}]\nsteps", "port: 80}, {on: node-2, app: http, port: 80}]\nsteps"),
        ONE,
    ];
    let made = [(1, 2, ends[0]), (2, 1, ends[1])].map(|(own, peer, words)| {
        format!(
            "{{on: node-{own}, run: 'ip link add vx5 address 02:aa:00:00:00:0{own} type vxlan {words} dev eth0 nolearning; \
             ip addr add 172.31.9.{own}/24 dev vx5; ip link set vx5 up; \
             bridge fdb append 00:00:00:00:00:00 dev vx5 dst 10.0.0.1{peer}'}}"
        )
    });
    in_other_words(called(), &[own]).replacen("apps:", &format!("setup: [{}]\napps:", made.join(", ")), 1)
}

#[test]
fn a_tunnel_becomes_like_that_of_its_peer() {
    for (ends, words) in [
        (["id 5 dstport 4789", "id 6 dstport 4789"], "id 6 dstport 4789"),
        (["id 5 dstport 4789", "id 5 dstport 8472"], "id 5 dstport 8472"),
        (["id 5 dstport 4789 local 10.0.0.21", "id 5 dstport 4789"], "id 5 dstport 4789 local 10.0.0.11"),
    ] {
        assert_eq!(
            first(&by_hand(ends)),
            format!(
                "node-1# ip link del vx5; \
                 node-1# ip link add vx5 address 02:aa:00:00:00:01 type vxlan {words} dev eth0 nolearning; \
                 node-1# ip link set vx5 up; node-1# ip addr add 172.31.9.1/24 dev vx5; \
                 node-1# bridge fdb append 00:00:00:00:00:00 dev vx5 dst 10.0.0.12"
            )
        );
    }
}

/// What a client calls, and another word of the Service or of the world.
const OUTSIDE: [(&str, (&str, &str), &str); 3] = [
    ("10.96.0.80", ("kind: Lab", "kind: Lab"), "10.0.0.12"),
    ("10.96.0.80", ("machines:", "kubeProxy: ipvs\n  machines:"), "10.0.0.12"),
    ("198.51.100.7", ("type: NodePort", "externalIPs: [198.51.100.7], type: NodePort"), "10.0.0.11"),
];

/// Only by the pod's own node where nobody masquerades. A default route past a node is no cure.
#[test]
fn a_client_finds_a_service_behind_a_node() {
    for (address, words, node) in OUTSIDE {
        let call = format!("http://{address}/");
        let own = [("http://10.0.0.11:30080/", call.as_str()), words, ONE];
        let found = all_of(&in_other_words(called(), &[&own]));
        assert_eq!(found.first(), Some(&format!("client# ip route add {address} via {node}")), "{found:#?}");
        assert!(!found.iter().any(|t| t.contains("default")), "{found:#?}");
    }
}

/// Its default route leads to somebody who does not know Services.
#[test]
fn a_client_finds_a_service_past_its_gateway() {
    let own: Words = &[
        ("{name: client", "{name: router, address: 10.0.0.1/24}, {name: client"),
        ("http://10.0.0.11:30080/", "http://10.96.0.80/"),
        ONE,
    ];
    let found = first(&after(own, "client", "ip route add default via 10.0.0.1"));
    assert_eq!(found, "client# ip route add 10.96.0.80 via 10.0.0.12");
}

/// A pod calls a computer outside, which has no way back to it.
const OUT: Words = &[
    ("on: [a, b], app", "on: [a, b, client], app"),
    ("on: client, run: 'curl -m 3 http://10.0.0.11:30080/'", "on: a, run: 'curl -m 3 http://10.0.0.100/'"),
    (", knowsPods: true", ""),
    ONE,
];

#[test]
fn what_a_pod_sends_outside_is_masqueraded() {
    let field = r#"$ calicoctl patch ippool default-ipv4-ippool -p '{"spec":{"natOutgoing":true}}'"#;
    let rule =
        |cidr: &str| format!("node-1# iptables -t nat -A POSTROUTING -s {cidr} ! -d {cidr} -j MASQUERADE");
    for (world, mended) in [
        ("cni: flannel", rule("10.244.1.0/24")),
        ("cni: flannel\n  clusterCIDR: 10.244.0.0/16", rule("10.244.0.0/16")),
        ("cni: calico\n  gateway: 10.0.0.1", field.to_owned()),
    ] {
        let world = format!("{world}\n  machines:");
        let own = [("machines:", world.as_str())];
        assert_eq!(first(&in_other_words(called(), &[OUT, &own])), mended);
    }
}
