//! The change that is found first for what a lab has broken: sets, names, node ports, programs that nobody reaches.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{DNS, ONE, Words, after, all_of, called, called_after, first, in_other_words};
use kernel::DropReason;
use kernel::event::What;
use sim::view::{Story, why};
use std::rc::Rc;
use workshop::cure::{Cure, Search, Wanted};
use workshop::{At, Session, Typed, read_lab};

const IPIP: Words = &[("machines:", "cni: calico-ipip\n  gateway: 10.0.0.1\n  machines:"), ONE];

/// An address of a pod is no external one of a Service.
#[test]
fn a_pod_gets_its_address_back() {
    assert_eq!(
        first(&after(&[], "a", "ip addr flush dev eth0")),
        "a# ip addr add 10.244.1.5/24 dev eth0; a# ip route add default via 10.244.1.1"
    );
}

#[test]
fn a_node_knows_its_own_address_again() {
    let line = "ip route del local 10.0.0.11 table local";
    let mended = "node-1# ip route add local 10.0.0.11 dev eth0 table 255";
    assert_eq!(first(&after(&[], "node-1", line)), mended);
}

/// A set of nf_tables with an element, a chain for what is forwarded, and a rule; and the change.
const NFT: [(&str, &str, &str, &str, &str); 5] = [
    ("type ipv4_addr;", "10.0.0.100", "", "ip saddr @s drop", "delete element ip t s '{ 10.0.0.100 }'"),
    (
        "type ipv4_addr; flags interval;",
        "10.0.0.0/24",
        "",
        "ip saddr @s drop",
        "delete element ip t s '{ 10.0.0.0/24 }'",
    ),
    (
        "type ipv4_addr . inet_service;",
        "10.244.1.5 . 80",
        "",
        "ip daddr . tcp dport @s reject",
        "delete element ip t s '{ 10.244.1.5 . 80 }'",
    ),
    ("type inet_service;", "443", "", "tcp dport != @s ct state new drop", "add element ip t s '{ 80 }'"),
    (
        "type inet_service;",
        "443",
        "policy drop;",
        "ct state established accept; add rule ip t c tcp dport @s accept",
        "add element ip t s '{ 80 }'",
    ),
];

#[test]
fn a_set_gets_or_loses_an_element_before_a_rule_goes() {
    for (kind, element, policy, rule, mended) in NFT {
        let line = format!(
            "nft \"add table ip t; add chain ip t c {{ type filter hook forward priority 0; {policy} }}; \
             add set ip t s {{ {kind} }}; add element ip t s {{ {element} }}; add rule ip t c {rule}\""
        );
        assert_eq!(first(&after(&[], "node-1", &line)), format!("node-1# nft {mended}"), "{line}");
    }
}

#[test]
fn a_verdict_map_loses_its_drop() {
    let line = "nft \"add table ip t; add chain ip t c { type filter hook forward priority 0; }; \
                add map ip t m { type inet_service : verdict; }; add element ip t m { 80 : drop }; \
                add rule ip t c tcp dport vmap @m\"";
    let mended = "node-1# nft delete element ip t m '{ 80 : drop }'";
    assert_eq!(first(&after(&[], "node-1", line)), mended);
}

/// The policy drops it, as it is not in the set of those that may.
#[test]
fn who_is_not_in_the_set_of_the_accepted_is_added() {
    let line = "ipset create ok hash:ip; iptables -P FORWARD DROP; \
                iptables -A FORWARD -m state --state ESTABLISHED -j ACCEPT; \
                iptables -A FORWARD -m set --match-set ok src -j ACCEPT";
    let two: Words = &[("{all: [{step: one, status: 0}, {step: two, status: 0}]}", "{step: two, status: 0}")];
    assert_eq!(first(&after(two, "node-1", line)), "node-1# ipset add ok 10.0.0.100");
}

#[test]
fn a_node_port_answers_on_one_more_address() {
    let configuration = "---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
                         nodePortAddresses: [10.9.0.0/16]\n";
    for mode in ["iptables", "ipvs", "nftables"] {
        let text = called().replacen("machines:", &format!("kubeProxy: {mode}\n  machines:"), 1);
        let mended = "$ kube-proxy --nodeport-addresses=10.9.0.0/16,10.0.0.11/32";
        assert_eq!(first(&(text + configuration)), mended, "{mode}");
    }
}

#[test]
fn a_program_that_listens_at_127_0_0_1_is_reached_by_a_translation() {
    let apps = "apps: [{on: a, app: http, port: 80}, {on: b, app: http, port: 80, address: 127.0.0.1}]";
    assert_eq!(
        first(&in_other_words(called(), &[&[("apps: [{on: [a, b], app: http, port: 80}]", apps)]])),
        "b# sysctl -w net.ipv4.conf.all.route_localnet=1 && \
         iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1"
    );
}

#[test]
fn a_cluster_ip_that_no_service_has_gets_one() {
    let call = (
        "on: client, run: 'curl -m 3 http://10.0.0.11:30080/'",
        "on: a, run: 'curl -m 3 http://10.96.0.81/'",
    );
    let mended = "$ kubectl -n default expose service web --name=web-2 --cluster-ip=10.96.0.81";
    assert_eq!(first(&in_other_words(called(), &[&[call]])), mended);
}

#[test]
fn an_address_of_the_node_becomes_an_external_one() {
    let call = ("http://10.0.0.11:30080/", "http://10.0.0.11/");
    let mended = r#"$ kubectl -n default patch service web -p '{"spec":{"externalIPs":["10.0.0.11"]}}'"#;
    assert_eq!(first(&in_other_words(called(), &[&[call]])), mended);
}

#[test]
fn a_service_that_selects_nothing_selects_a_pod_or_has_other_endpoints() {
    let none: Words = &[("selector: {app: web}, ", "")];
    let mended = r#"$ kubectl -n default patch service web -p '{"spec":{"selector":{"app":"web"}}}'"#;
    assert_eq!(first(&in_other_words(called(), &[none])), mended);
    // Of a pod that is not there, and of a port at which nothing waits.
    for (address, port) in [("10.244.2.77", 80), ("10.244.2.5", 81)] {
        let slice = |address: &str, port: u16| {
            format!(
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{name: web-1, namespace: default, labels: {{kubernetes.io/service-name: web}}}}\n\
                 addressType: IPv4\nports: [{{name: \"\", protocol: TCP, port: {port}}}]\n\
                 endpoints: [{{addresses: [{address}], nodeName: node-2}}]\n"
            )
        };
        let text = in_other_words(called(), &[none]) + "---\n" + &slice(address, port);
        let mended = first(&text);
        assert_eq!(mended, format!("$ kubectl apply -f - <<EOF\n{}EOF", slice("10.244.2.5", 80)));
    }
}

/// A rule that translates elsewhere goes before a Service changes.
#[test]
fn a_translation_to_another_port_is_taken_away() {
    let line = "iptables -t nat -A OUTPUT -d 10.0.0.11 -p tcp --dport 30080 -j DNAT --to-destination 10.0.0.12:31111";
    assert_eq!(first(&after(&[], "client", line)), "client# iptables -t nat -D OUTPUT 1");
}

// ---------------------------------------------------------------------- names

/// A Service in a namespace of its own.
const SHOP: &str = "---
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.81, selector: {app: cart}, ports: [{port: 80}]}
---
kind: Pod
metadata: {name: c, namespace: shop, labels: {app: cart}}
spec: {nodeName: node-2}
status: {podIP: 10.244.2.9}
";

/// The pod calls this instead, by name.
fn by_name(line: &str) -> String {
    let call = format!("on: a, run: '{line}'");
    let words = [
        ("on: client, run: 'curl -m 3 http://10.0.0.11:30080/'", call.as_str()),
        (
            "on: [a, b], app: http, port: 80}]",
            "on: [a, b, c], app: http, port: 80}, {on: coredns, app: coredns, port: 53}]",
        ),
    ];
    in_other_words(called(), &[&words]) + DNS + SHOP
}

#[test]
fn a_name_of_another_namespace_gets_an_alias() {
    assert_eq!(
        first(&by_name("curl -m 12 http://cart/")),
        "$ kubectl -n default create service externalname cart --external-name=cart.shop.svc.cluster.local"
    );
}

#[test]
fn a_typed_name_that_nobody_knows_is_typed_otherwise() {
    for (wrong, right) in [("cart", "cart.shop"), ("cart.shp", "cart.shop"), ("wbe", "web.default")] {
        let mut session = Session::new(Rc::new(read_lab(&by_name("curl -m 12 http://web/")).unwrap()));
        session.typed.push(Typed::of_line(&format!("a: curl -m 12 http://{wrong}/"), At::End));
        let run = session.run().unwrap();
        let last = run.stimuli.len() - 1;
        let found = Search::new(&session, &run, Wanted::Exchange(last)).unwrap().all();
        let Some(cure) = found.first() else { panic!("{wrong}: nothing is found") };
        assert_eq!(
            cure.text(),
            format!("a# curl -m 12 http://{right}/; Undo: a# curl -m 12 http://{wrong}/")
        );
        assert_eq!(cure.session.typed.len(), 1);
    }
}

/// What a lab writes at setup stays, though the kubelet has made the file.
#[test]
fn a_resolver_that_was_overwritten_is_the_kubelets_again() {
    let setup = "setup: [{on: a, run: 'echo nameserver 10.96.0.99 > /etc/resolv.conf'}]\napps:";
    let text = by_name("curl -m 12 http://web/").replacen("apps:", setup, 1);
    let lines = "echo search default.svc.cluster.local svc.cluster.local cluster.local; \
                 echo nameserver 10.96.0.10; echo options ndots:5";
    assert_eq!(first(&text), format!("a# {{ {lines}; }} > /etc/resolv.conf"));
}

#[test]
fn a_line_of_etc_hosts_that_leads_astray_goes() {
    let file = "files: [{on: a, path: /etc/hosts, text: \"127.0.0.1 localhost\\n10.9.9.9 web\\n\"}]\napps:";
    let text = by_name("curl -m 12 http://web/").replacen("apps:", file, 1);
    assert_eq!(first(&text), "a# sed -i '2d' /etc/hosts");
}

/// What was asked, and what was said.
#[test]
fn a_program_that_does_not_find_a_name_tells_which_it_has_asked_for() {
    let session = Session::new(Rc::new(read_lab(&by_name("curl -m 12 http://cart/")).unwrap()));
    let run = session.run().unwrap();
    let story = Story::new(&run.run.world);
    let step = story.steps.iter().find(|s| s.title.contains("curl: (6)")).unwrap();
    let said = why(&run.run.world, step).text;
    assert_eq!(
        said,
        [
            "10.96.0.10 asked for cart.default.svc.cluster.local: NXDOMAIN.",
            "10.96.0.10 asked for cart.svc.cluster.local: NXDOMAIN.",
            "10.96.0.10 asked for cart.cluster.local: NXDOMAIN.",
            "10.96.0.10 asked for cart: SERVFAIL.",
        ]
    );
}

#[test]
fn an_option_of_kube_proxy_that_is_no_network_is_refused() {
    let session = called_after("kube-proxy --nodeport-addresses=10.0.0.300");
    let run = session.run().unwrap();
    assert!(run.typed[0].wrong().unwrap().contains("expected networks with commas between"));
}

// ---------------------------------------------------------------------- one packet

/// A pod calls the other's Service.
const BY_POD: (&str, &str) =
    ("on: client, run: 'curl -m 3 http://10.0.0.11:30080/'", "on: a, run: 'curl -m 3 http://10.96.0.80/'");

/// What lets the first packet through that a rule has ended.
fn let_through(text: &str) -> Vec<String> {
    let session = Session::new(Rc::new(read_lab(text).unwrap()));
    let run = session.run().unwrap();
    let ended =
        |e: &&sim::Entry| matches!(e.what(), Some(What::Drop { reason: DropReason::NetfilterDrop, .. }));
    let packet = run.run.world.log().entries().iter().find(ended).unwrap().packet.unwrap();
    let found = Search::new(&session, &run, Wanted::Packet(packet)).unwrap().all();
    found.iter().map(Cure::text).collect()
}

/// A Service that asks for endpoints on the node itself refuses it earlier.
#[test]
fn a_packet_that_dies_earlier_is_not_let_through() {
    let line = "iptables -I INPUT -p tcp --dport 80 -j DROP";
    let mended = ["-D INPUT 1", "-I INPUT 1 -p tcp --dport 80 -d 10.244.2.5 -j ACCEPT"]
        .map(|l| format!("b# iptables -t filter {l}"));
    assert_eq!(let_through(&after(&[BY_POD], "b", line)), mended);
}

/// The answer to a packet that conntrack has not seen is one more loss.
#[test]
fn what_mends_the_exchange_comes_before_what_lets_one_packet_through() {
    let line = "iptables -t raw -A PREROUTING -d 10.244.2.5 -j NOTRACK; iptables -P FORWARD DROP; \
                iptables -A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT";
    assert_eq!(let_through(&after(&[BY_POD], "node-2", line)), ["node-2# iptables -t raw -D PREROUTING 1"]);
}

#[test]
fn where_nothing_mends_the_exchange_the_packet_is_let_through() {
    let line = "iptables -I INPUT -p tcp --dport 80 -j DROP; iptables -I OUTPUT -p tcp --sport 80 -j DROP";
    assert_eq!(let_through(&after(&[BY_POD], "b", line))[0], "b# iptables -t filter -D INPUT 1");
}

/// Another kube-proxy, kernel or network plugin helps as well.
#[test]
fn where_a_field_of_the_service_mends_it_the_cluster_stays() {
    let own: Words = &[BY_POD, ("type: NodePort", "internalTrafficPolicy: Local, type: NodePort")];
    let session = Session::new(Rc::new(read_lab(&in_other_words(called(), &[own])).unwrap()));
    let all = Search::new(&session, &session.run().unwrap(), Wanted::Goals).unwrap().all();
    let texts: Vec<String> = all.iter().map(Cure::text).collect();
    let mended =
        r#"$ kubectl -n default patch service web -p '{"spec":{"internalTrafficPolicy":"Cluster"}}'"#;
    assert_eq!(texts, [mended]);
}

// ---------------------------------------------------------------------- answers, chains, single nodes

/// By the rule for the port that this one client had, the next call would fail.
#[test]
fn an_answer_is_let_through_as_part_of_its_connection() {
    let line = "iptables -P OUTPUT DROP; iptables -A OUTPUT -p tcp --dport 443 -j ACCEPT";
    let passes = ["-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-P OUTPUT ACCEPT"];
    assert_eq!(
        let_through(&after(&[BY_POD], "b", line)),
        passes.map(|l| format!("b# iptables -t filter {l}"))
    );
}

/// A call to a high port at which a program waits is no answer.
#[test]
fn a_call_to_a_high_port_is_let_through_by_its_port() {
    let own: Words = &[
        BY_POD,
        ("port: 80}]\nsteps", "port: 50051}]\nsteps"),
        ("{port: 80,", "{port: 80, targetPort: 50051,"),
    ];
    let found = let_through(&after(own, "b", "iptables -A INPUT -p tcp -j DROP"));
    assert_eq!(found[0], "b# iptables -t filter -I INPUT 1 -p tcp --dport 50051 -d 10.244.2.5 -j ACCEPT");
}

#[test]
fn a_packet_of_another_protocol_is_let_through_by_its_number() {
    let own: Words = IPIP;
    let found =
        let_through(&after(own, "node-2", "iptables -I INPUT ! -p tcp -m conntrack --ctstate NEW -j DROP"));
    assert_eq!(found[0], "node-2# iptables -t filter -I INPUT 1 -p 4 -d 10.0.0.12 -j ACCEPT");
}

#[test]
fn a_chain_that_begins_like_kube_proxys_is_somebody_elses() {
    let line = "iptables -N KUBE-POD-FW-1; iptables -A KUBE-POD-FW-1 -p tcp -j DROP; \
                iptables -I FORWARD -d 10.244.2.5 -j KUBE-POD-FW-1";
    assert_eq!(
        let_through(&after(&[BY_POD], "node-2", line))[1],
        "node-2# iptables -t filter -D KUBE-POD-FW-1 1"
    );
}

/// Both pods are on the node on which bridges ask nobody.
#[test]
fn a_setting_is_turned_on_the_node_that_has_another_value() {
    let own: Words = &[
        BY_POD,
        ONE,
        ("spec: {nodeName: node-2}", "spec: {nodeName: node-1}"),
        ("podIP: 10.244.2.5", "podIP: 10.244.1.6"),
    ];
    for on in ["node-1", "nodes"] {
        let line = format!("on: {on}, run: modprobe br_netfilter}}, {{on: node-1");
        let text = after(own, "node-1", "sysctl -w net.bridge.bridge-nf-call-iptables=0");
        let text = text.replacen("on: node-1", &line, 1);
        assert_eq!(first(&text), "node-1# sysctl -w net.bridge.bridge-nf-call-iptables=1", "{on}");
    }
}

/// The API server would refuse it.
#[test]
fn an_address_of_the_link_is_no_external_one() {
    for (address, offered) in [("169.254.9.9", false), ("192.0.2.9", true)] {
        let call = format!("on: a, run: 'curl -m 3 http://{address}/'");
        let found = all_of(&in_other_words(called(), &[&[(BY_POD.0, &call), ONE]]));
        assert_eq!(found.iter().any(|t| t.contains("externalIPs")), offered, "{found:#?}");
    }
}

/// CoreDNS would be led to itself.
#[test]
fn whom_coredns_asks_is_no_external_address() {
    let lookup = "on: a, run: 'nslookup -timeout=1 -retry=0 web.default.svc.cluster.local 10.0.0.99'";
    for (server, offered) in [("10.0.0.99", false), ("10.0.0.9", true)] {
        let apps = "[a, b], app: http, port: 80}, {on: coredns, app: coredns, port: 53}]";
        let forward = format!("forward . {server}");
        let own = [
            (BY_POD.0, lookup),
            ONE,
            ("[a, b], app: http, port: 80}]", apps),
            ("forward . 10.0.0.100", forward.as_str()),
            ("machines:", "gateway: 10.0.0.1\n  machines:"),
        ];
        let found = all_of(&in_other_words(called() + DNS, &[&own]));
        assert_eq!(found.iter().any(|t| t.contains("externalIPs")), offered, "{found:#?}");
    }
}

/// The kernel's routes come and go with it.
#[test]
fn an_address_that_is_too_much_goes_and_not_its_routes() {
    let own: Words = &[BY_POD, ONE];
    for (on, line, mended) in [
        ("node-1", "ip addr add 10.244.2.5/32 dev lo", "ip addr del 10.244.2.5/32 dev lo"),
        ("node-1", "ip addr add 10.244.2.1/25 dev cnio0", "ip addr del 10.244.2.1/25 dev cnio0"),
    ] {
        let found = all_of(&after(own, on, line));
        assert_eq!(found[0], format!("{on}# {mended}"));
        assert!(!found.iter().any(|t| t.contains("ip route del")), "{found:#?}");
    }
}

#[test]
fn an_address_gets_its_mask_back() {
    let line = "ip addr del 10.244.1.5/24 dev eth0; ip addr add 10.244.1.5/16 dev eth0; ip route add default via 10.244.1.1";
    let own: Words = &[
        ("client, run: 'curl -m 3 http://10.0.0.11:30080/'", "a, run: 'curl -m 3 http://10.244.2.5/'"),
        ONE,
    ];
    assert_eq!(
        first(&after(own, "a", line)),
        "a# ip addr add 10.244.1.5/24 dev eth0; a# ip addr del 10.244.1.5/16 dev eth0"
    );
}

/// A set with a member, how a rule asks it, and the change: of sets with ports too the member goes, and not the rule.
const MEMBERS: [(&str, &str, &str, &str); 4] = [
    ("hash:ip,port", "10.244.1.5,tcp:80", "src,dst", "del s 10.244.1.5,tcp:80"),
    ("hash:net,port", "10.244.1.0/24,tcp:80", "src,dst", "add s 10.244.1.5,tcp:80 nomatch"),
    ("hash:ip,port,ip", "10.244.2.5,tcp:80,10.244.1.5", "dst,dst,src", "del s 10.244.2.5,tcp:80,10.244.1.5"),
    ("bitmap:port range 1-100", "80", "dst", "del s 80"),
];

#[test]
fn a_member_with_a_port_goes_before_the_rule() {
    for (kind, member, dirs, mended) in MEMBERS {
        let line = format!(
            "ipset create s {kind}; ipset add s {member}; iptables -I INPUT -p tcp -m set --match-set s {dirs} -j DROP"
        );
        assert_eq!(let_through(&after(&[BY_POD], "b", &line))[0], format!("b# ipset {mended}"), "{kind}");
    }
}

// ---------------------------------------------------------------------- several faults

/// Each stands behind the one before it: in another place, and in the same chain, where its number is that of the one before then.
const BEHIND: [(&[(&str, &str)], &str); 4] = [
    (
        &[
            ("node-2", "iptables -I FORWARD -p tcp --dport 80 -j DROP"),
            ("b", "iptables -I INPUT -p tcp --dport 80 -j DROP"),
        ],
        "node-2# iptables -t filter -D FORWARD 1; b# iptables -t filter -D INPUT 1",
    ),
    (
        &[(
            "node-2",
            "iptables -I FORWARD -p tcp --sport 80 -j DROP; iptables -I FORWARD -p tcp --dport 80 -j DROP",
        )],
        "node-2# iptables -t filter -D FORWARD 1; node-2# iptables -t filter -D FORWARD 1",
    ),
    (
        &[
            ("node-1", "ip route add blackhole 10.244.2.5"),
            ("node-2", "iptables -I FORWARD -p tcp --dport 80 -j DROP"),
            ("b", "iptables -I INPUT -p tcp --dport 80 -j DROP"),
        ],
        "node-1# ip route del blackhole 10.244.2.5; node-2# iptables -t filter -D FORWARD 1; b# iptables -t filter -D INPUT 1",
    ),
    // The way back is wrong, too.
    (
        &[
            ("node-2", "ip route replace 10.244.1.0/24 via 10.0.0.99"),
            ("b", "iptables -I OUTPUT -p tcp --sport 80 -j DROP"),
            ("node-1", "iptables -I FORWARD -s 10.244.2.5 -j DROP"),
        ],
        "b# iptables -t filter -D OUTPUT 1; node-2# ip route replace 10.244.1.0/24 via 10.0.0.11; \
         node-1# iptables -t filter -D FORWARD 1",
    ),
];

#[test]
fn one_fault_behind_the_other_is_mended_after_it() {
    for (broken, mended) in BEHIND {
        let setup: Vec<String> =
            broken.iter().map(|(on, line)| format!("{{on: {on}, run: '{line}'}}")).collect();
        let text = in_other_words(called(), &[&[BY_POD, ONE]]);
        let found = all_of(&text.replacen("apps:", &format!("setup: [{}]\napps:", setup.join(", ")), 1));
        assert!(found.iter().any(|t| t == mended), "{mended}: {found:#?}");
    }
}

/// The first step breaks one thing, the second another.
#[test]
fn what_steps_have_broken_behind_one_another_is_mended() {
    let own: Words = &[
        BY_POD,
        ONE,
        (
            "steps:\n",
            "steps:\n  - {on: b, run: iptables -I INPUT -p tcp --dport 80 -j DROP}\n\
             \x20 - {on: a, run: 'curl -m 3 http://10.96.0.80/'}\n\
             \x20 - {on: node-2, run: iptables -I FORWARD -p tcp --dport 80 -j DROP}\n",
        ),
    ];
    let found = all_of(&in_other_words(called(), &[own]));
    let mended = "node-2# iptables -t filter -D FORWARD 1; b# iptables -t filter -D INPUT 1";
    assert!(found.iter().any(|t| t == mended), "{found:#?}");
}

// ---------------------------------------------------------------------- by default

/// What forbids everything lets one thing more pass; what forbids this very thing goes.
const DENIED: [(&str, &str); 6] = [
    ("iptables -P INPUT DROP", "iptables -t filter -A INPUT -p tcp --dport 80 -d 10.244.2.5 -j ACCEPT"),
    (
        "iptables -A INPUT -j REJECT",
        "iptables -t filter -I INPUT 1 -p tcp --dport 80 -d 10.244.2.5 -j ACCEPT",
    ),
    ("iptables -A INPUT -s 10.244.1.5 -j DROP", "iptables -t filter -D INPUT 1"),
    (
        "nft \"add table inet g; add chain inet g i { type filter hook input priority 0; policy drop; }\"",
        "nft insert rule inet g i tcp dport 80 accept",
    ),
    (
        "nft \"add table inet g; add chain inet g i { type filter hook input priority 0; }; add rule inet g i counter drop\"",
        "nft insert rule inet g i tcp dport 80 accept",
    ),
    (
        "nft \"add table ip g; add chain ip g i { type filter hook input priority 0; }; add rule ip g i tcp dport 80 drop\"",
        "nft delete rule ip g i handle 2",
    ),
];

#[test]
fn who_denies_by_default_accepts_one_thing_more() {
    for (line, mended) in DENIED {
        assert_eq!(let_through(&after(&[BY_POD], "b", line))[0], format!("b# {mended}"), "{line}");
    }
}

/// On its way the packet's destination is somebody else's; an answer passes as part of its connection.
#[test]
fn a_table_of_nft_accepts_a_destination_or_a_connection() {
    let chain =
        "nft \"add table inet g; add chain inet g f { type filter hook forward priority 0; policy drop; }";
    let found = let_through(&after(
        &[BY_POD],
        "node-2",
        &format!("{chain}; add rule inet g f ct state established accept\""),
    ));
    assert_eq!(found[0], "node-2# nft insert rule inet g f ip daddr 10.244.2.5 tcp dport 80 accept");
    let found = let_through(&after(&[BY_POD], "node-2", &format!("{chain}\"")));
    let rule = "nft insert rule inet g f";
    assert_eq!(
        found[0],
        format!(
            "node-2# {rule} ip daddr 10.244.2.5 tcp dport 80 accept && {rule} ct state established,related accept"
        )
    );
    let found = let_through(&after(
        &[BY_POD],
        "node-2",
        &format!("{chain}; add rule inet g f tcp dport 80 accept\""),
    ));
    assert_eq!(found[0], "node-2# nft insert rule inet g f ct state established,related accept");
}

// ---------------------------------------------------------------------- servers and endpoints

#[test]
fn a_server_over_its_limit_has_none_or_gets_a_weight() {
    let again: Words = &[
        ("machines:", "kubeProxy: ipvs\n  machines:"),
        (
            "run: 'curl -m 3 http://10.0.0.11:30080/'",
            "run: 'curl -m 3 http://10.0.0.11:30080/ && curl -m 3 http://10.0.0.11:30080/'",
        ),
        ONE,
    ];
    for limit in ["-w 3 -x 1", "-w 0"] {
        let line = format!("ipvsadm -e -t 10.0.0.11:30080 -r 10.244.2.5:80 -m {limit}");
        let weight = if limit == "-w 0" { 1 } else { 3 };
        assert_eq!(
            first(&after(again, "node-1", &line)),
            format!("node-1# ipvsadm -e -t 10.0.0.11:30080 -r 10.244.2.5:80 -m -w {weight} -x 0")
        );
    }
}

#[test]
fn endpoints_that_were_written_by_hand_are_written_anew() {
    for (address, port) in [("10.244.2.78", 80), ("10.244.2.5", 8081)] {
        let wrong = format!(
            "---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: web}}\n\
             subsets: [{{addresses: [{{ip: {address}}}], ports: [{{port: {port}}}]}}]\n"
        );
        let text = in_other_words(called(), &[&[("selector: {app: web}, ", "")]]) + &wrong;
        assert_eq!(
            first(&text),
            "$ kubectl apply -f - <<EOF\napiVersion: v1\nkind: Endpoints\nmetadata: {name: web, namespace: default}\n\
             subsets:\n- addresses: [{ip: 10.244.2.5, nodeName: node-2}]\n  ports: [{protocol: TCP, port: 80}]\nEOF"
        );
    }
}

// ---------------------------------------------------------------------- more names

/// A pod that has its node's network has its node's file, whatever its dnsPolicy: there is none here.
#[test]
fn a_pod_in_its_nodes_network_asks_the_cluster() {
    for policy in ["", ", dnsPolicy: ClusterFirstWithHostNet"] {
        let agent = format!(
            "---\nkind: Pod\nmetadata: {{name: agent}}\nspec: {{nodeName: node-1, hostNetwork: true{policy}}}\n\
             status: {{podIP: 10.0.0.11}}\n"
        );
        let text = by_name("curl -m 12 http://web/").replacen("on: a, run", "on: agent, run", 1);
        let text = text.replacen("machines:", "gateway: 10.0.0.1\n  machines:", 1) + &agent;
        let lines = "echo search default.svc.cluster.local svc.cluster.local cluster.local; \
                     echo nameserver 10.96.0.10; echo options ndots:5";
        assert_eq!(first(&text), format!("node-1# {{ {lines}; }} > /etc/resolv.conf"));
    }
}

/// In a namespace that there is; for others a line of a file.
#[test]
fn a_name_with_dots_gets_an_alias_as_well() {
    assert_eq!(
        first(&by_name("curl -m 12 http://crat.shop/")),
        "$ kubectl -n shop create service externalname crat --external-name=cart.shop.svc.cluster.local"
    );
    assert_eq!(first(&by_name("curl -m 12 http://cart.shpo/")), "a# echo 10.96.0.81 cart.shpo >> /etc/hosts");
}
