//! What breaks a cluster, and the change that mends it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{called, called_after};
use sim::view::{Story, end};
use std::rc::Rc;
use workshop::cure::{Search, Wanted};
use workshop::{At, LabRun, Session, Setting, Typed, read_lab};

/// What is typed at setup, and a change that is found. Several commands are parted by ` && `.
const CASES: [(&str, &str); 32] = [
    ("node-1: ip route del 10.244.2.0/24", "node-1# ip route add 10.244.2.0/24 via 10.0.0.12"),
    ("client: ip route del 10.244.1.0/24", "client# ip route add 10.244.1.0/24 via 10.0.0.11"),
    ("a: ip route del default", "a# ip route add default via 10.244.1.1"),
    ("node-2: ip route del 10.0.0.0/24", "node-2# ip route add 10.0.0.0/24 dev eth0"),
    ("node-1: ip route add blackhole 10.0.0.100", "node-1# ip route del blackhole 10.0.0.100"),
    (
        "node-1: ip route add unreachable 10.0.0.100 table 7 && node-1: ip rule add to 10.0.0.100 lookup 7",
        "node-1# ip route del unreachable 10.0.0.100 table 7",
    ),
    ("node-1: ip rule add from 10.0.0.100 prohibit pref 9", "node-1# ip rule del pref 9"),
    (
        "node-1: ip route replace 10.244.2.0/24 via 10.0.0.99",
        "node-1# ip route replace 10.244.2.0/24 via 10.0.0.12",
    ),
    (
        "node-1: ip route replace 10.244.2.0/24 dev eth0",
        "node-1# ip route replace 10.244.2.0/24 via 10.0.0.12",
    ),
    ("node-1: ip link set cnio0 down", "node-1# ip link set cnio0 up"),
    ("node-2: ip link set eth0 down", "node-2# ip link set eth0 up"),
    ("node-1: ip addr add 10.0.0.100/32 dev lo", "node-1# ip addr del 10.0.0.100/32 dev lo"),
    ("node-2: ip addr add 10.0.0.11/24 dev eth0", "node-2# ip addr del 10.0.0.11/24 dev eth0"),
    (
        "node-1: ip neigh replace 10.0.0.12 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        "node-1# ip neigh del 10.0.0.12 dev eth0",
    ),
    (
        "lan: bridge fdb add 02:00:00:00:02:01 dev p-node-2 master static",
        "lan# bridge fdb del 02:00:00:00:02:01 dev p-node-2 master",
    ),
    ("nodes: sysctl -w net.ipv4.ip_forward=0", "nodes# sysctl -w net.ipv4.ip_forward=1"),
    (
        "node-1: sysctl -w net.netfilter.nf_conntrack_max=1",
        "node-1# sysctl -w net.netfilter.nf_conntrack_max=262144",
    ),
    ("node-1: iptables -A FORWARD -p tcp --dport 80 -j DROP", "node-1# iptables -t filter -D FORWARD 5"),
    (
        "node-1: iptables -I FORWARD -p tcp -j REJECT --reject-with tcp-reset",
        "node-1# iptables -t filter -D FORWARD 1",
    ),
    ("node-1: iptables -P FORWARD DROP", "node-1# iptables -t filter -P FORWARD ACCEPT"),
    (
        "node-1: iptables -t raw -A PREROUTING -p tcp --dport 30080 -j NOTRACK",
        "node-1# iptables -t raw -D PREROUTING 1",
    ),
    (
        "node-1: iptables -t raw -A PREROUTING -p tcp --sport 80 -j CT --notrack",
        "node-1# iptables -t raw -D PREROUTING 1",
    ),
    (
        "node-1: iptables -t nat -I PREROUTING -p tcp --dport 30080 -j REDIRECT --to-ports 9",
        "node-1# iptables -t nat -D PREROUTING 1",
    ),
    (
        "node-1: iptables -t mangle -A PREROUTING -s 10.0.0.100 -j MARK --set-mark 7 && \
         node-1: ip rule add fwmark 7 blackhole",
        "node-1# iptables -t mangle -D PREROUTING 1",
    ),
    (
        "node-1: iptables -t mangle -A PREROUTING -p tcp -j TTL --ttl-set 1",
        "node-1# iptables -t mangle -D PREROUTING 1",
    ),
    (
        "node-1: nft add table ip t && \
         node-1: nft add chain ip t c '{ type filter hook forward priority 0; policy accept; }' && \
         node-1: nft add rule ip t c tcp dport 80 drop",
        "node-1# nft delete rule ip t c handle 2",
    ),
    (
        "node-1: nft add table ip t && \
         node-1: nft add chain ip t c '{ type filter hook forward priority 0; policy drop; }'",
        "node-1# nft chain ip t c '{ policy accept; }'",
    ),
    ("node-1: iptables -t nat -F KUBE-SERVICES", "node-1# systemctl restart kube-proxy"),
    (
        r#"kubectl patch service web -p '{"spec":{"selector":{"app":"nothing"}}}'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"selector":{"app":"web"}}}'"#,
    ),
    (
        r#"kubectl patch service web -p '{"spec":{"ports":[{"port":80,"targetPort":8080,"nodePort":30080}]}}'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"ports":[{"port":80,"targetPort":80}]}}'"#,
    ),
    (
        r#"kubectl patch service web -p '{"spec":{"type":"ClusterIP"}}'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30080}]}}'"#,
    ),
    (
        r#"kubectl patch service web -p '{"spec":{"externalTrafficPolicy":"Local"}}'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'"#,
    ),
];

fn found(session: &Session, run: &LabRun, wanted: Wanted) -> Vec<workshop::cure::Cure> {
    Search::new(session, run, wanted).map(Search::all).unwrap_or_default()
}

#[test]
fn what_broke_it_is_mended_where_it_was_broken() {
    for (broken, mended) in CASES {
        let session = called_after(broken);
        let run = session.run().unwrap();
        assert!(run.typed.iter().all(|t| t.wrong().is_none()), "{broken}");
        assert!(run.goals.iter().any(|g| !g.reached), "{broken}: nothing is broken");
        let texts: Vec<String> =
            found(&session, &run, Wanted::Goals).iter().map(workshop::cure::Cure::text).collect();
        assert!(texts.iter().any(|t| t == mended), "{broken}: {texts:#?}");
    }
}

/// They are the machine's: in its pods they cannot be set.
#[test]
fn limits_of_conntrack_are_put_back_on_the_node_alone() {
    let session = called_after(
        "node-1: sysctl -w net.netfilter.nf_conntrack_max=1 net.netfilter.nf_conntrack_buckets=512",
    );
    let run = session.run().unwrap();
    let cures = found(&session, &run, Wanted::Goals);
    let limits = cures
        .iter()
        .map(workshop::cure::Cure::text)
        .filter(|t| t.contains("nf_conntrack_") && !t.starts_with("Undo"));
    let limits: Vec<String> = limits.collect();
    assert!(
        !limits.is_empty() && limits.iter().all(|t| t.starts_with("node-1#") || t.starts_with("nodes#")),
        "{limits:#?}"
    );
}

/// What the lab itself does at setup, with another field of `world`, and a change that is found: there is no command to be taken back.
const OF_THE_LAB: [(&str, &str, &str); 38] = [
    ("", "{on: node-1, run: sysctl -w net.ipv4.ip_forward=0}", "node-1# sysctl -w net.ipv4.ip_forward=1"),
    (
        "",
        "{on: node-2, run: sysctl -w net.ipv4.conf.eth0.forwarding=0}",
        "node-2# sysctl -w net.ipv4.conf.eth0.forwarding=1",
    ),
    ("", "{on: node-1, run: iptables -t nat -F KUBE-POSTROUTING}", "node-1# systemctl restart kube-proxy"),
    ("", "{on: node-1, run: iptables -t nat -F}", "node-1# systemctl restart kube-proxy"),
    ("", "{on: node-1, run: iptables -I KUBE-FORWARD -j DROP}", "node-1# systemctl restart kube-proxy"),
    (
        "",
        "{on: node-1, run: iptables -t nat -I POSTROUTING -d 10.244.2.5 -j RETURN}",
        "node-1# iptables -t nat -D POSTROUTING 1",
    ),
    (
        "",
        "{on: b, run: sysctl -w net.ipv4.conf.eth0.arp_ignore=8}",
        "b# sysctl -w net.ipv4.conf.eth0.arp_ignore=0",
    ),
    (
        "",
        "{on: a, run: ip neigh replace 10.244.1.1 lladdr 02:00:00:00:00:66 dev eth0 nud permanent}",
        "a# ip neigh del 10.244.1.1 dev eth0",
    ),
    (
        "",
        r#"'kubectl patch service web -p "{\"spec\":{\"ports\":[{\"port\":80,\"protocol\":\"UDP\"}]}}"'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"ports":[{"port":80,"protocol":"TCP"}]}}'"#,
    ),
    // The second shows only after the first.
    (
        "",
        "{on: b, run: ip link set eth0 down}",
        "b# ip link set eth0 up; b# ip route add default via 10.244.2.1",
    ),
    (
        "",
        "{on: b, run: ip addr del 10.244.2.5/24 dev eth0}",
        "b# ip addr add 10.244.2.5/24 dev eth0; b# ip route add default via 10.244.2.1",
    ),
    (
        "",
        "{on: nodes, run: iptables -I FORWARD -j DROP}",
        "node-1# iptables -t filter -D FORWARD 1; node-2# iptables -t filter -D FORWARD 1",
    ),
    ("kubeProxy: ipvs", "{on: node-1, run: ipvsadm -C}", "node-1# systemctl restart kube-proxy"),
    (
        "kubeProxy: ipvs",
        "{on: node-1, run: 'ipvsadm -e -t 10.0.0.11:30080 -r 10.244.2.5:80 -m -w 0'}",
        "node-1# systemctl restart kube-proxy",
    ),
    (
        "kubeProxy: ipvs",
        "{on: node-1, run: sysctl -w net.ipv4.vs.conntrack=0}",
        "node-1# systemctl restart kube-proxy",
    ),
    (
        "kubeProxy: ipvs",
        "{on: node-1, run: ipset flush KUBE-NODE-PORT-TCP}",
        "node-1# systemctl restart kube-proxy",
    ),
    ("kubeProxy: nftables", "{on: node-1, run: nft flush ruleset}", "node-1# systemctl restart kube-proxy"),
    (
        "kubeProxy: nftables",
        "{on: node-1, run: nft delete table ip kube-proxy}",
        "node-1# systemctl restart kube-proxy",
    ),
    // Several things of a box are gone together.
    (
        "",
        "{on: node-1, run: ip link del cnio0}",
        "node-1# ip link add cnio0 type bridge; node-1# ip link set veth-a master cnio0; node-1# ip link set cnio0 up; \
         node-1# ip addr add 10.244.1.1/24 dev cnio0",
    ),
    (
        "",
        "{on: node-1, run: ip addr del 10.0.0.11/24 dev eth0}",
        "node-1# ip addr add 10.0.0.11/24 dev eth0; node-1# ip route add 10.244.2.0/24 via 10.0.0.12",
    ),
    (
        "",
        "{on: b, run: ip route flush table main}",
        "b# ip route add 10.244.2.0/24 dev eth0; b# ip route add default via 10.244.2.1",
    ),
    ("", "{on: node-1, run: ip rule del pref 0}", "node-1# ip rule add from all lookup local pref 0"),
    ("", "{on: node-1, run: ip rule del pref 32766}", "node-1# ip rule add from all lookup main pref 32766"),
    (
        "",
        "{on: client, run: sysctl -w net.ipv4.ip_default_ttl=1}",
        "client# sysctl -w net.ipv4.ip_default_ttl=64",
    ),
    (
        "",
        "{on: node-1, run: sysctl -w net.netfilter.nf_conntrack_tcp_timeout_syn_sent=0}",
        "node-1# sysctl -w net.netfilter.nf_conntrack_tcp_timeout_syn_sent=120",
    ),
    ("", "{on: node-1, run: ip link set eth0 mtu 68}", "node-1# ip link set eth0 mtu 1500"),
    (
        "",
        "{on: a, run: sysctl -w net.ipv4.conf.all.arp_ignore=8}",
        "a# sysctl -w net.ipv4.conf.all.arp_ignore=0",
    ),
    (
        "",
        "{on: node-2, run: ip route replace 10.0.0.0/24 dev cnio0}",
        "node-2# ip route replace 10.0.0.0/24 dev eth0",
    ),
    (
        "",
        "{on: node-1, run: ip route replace 10.244.2.0/24 via 10.0.0.100}",
        "node-1# ip route replace 10.244.2.0/24 via 10.0.0.12",
    ),
    ("", "{on: lan, run: ip link set p-node-2 nomaster}", "lan# ip link set p-node-2 master br0"),
    ("", "{on: node-2, run: ip link set veth-b down}", "node-2# ip link set veth-b up"),
    (
        "",
        "{on: node-1, run: iptables -t raw -A PREROUTING -i eth0 -j CT --zone 5}",
        "node-1# iptables -t raw -D PREROUTING 1",
    ),
    (
        "",
        "kubectl delete service web",
        "$ kubectl apply -f - <<EOF\nkind: Service\nmetadata: {name: web}\nspec:\n  type: NodePort\n  clusterIP: 10.96.0.80\n  \
         selector: {app: web}\n  ports:\n    - {port: 80, nodePort: 30080}\nEOF",
    ),
    (
        "",
        "kubectl label pod b app=old --overwrite",
        r#"$ kubectl -n default patch pod b -p '{"metadata":{"labels":{"app":"web"}}}'"#,
    ),
    (
        "",
        r#"'kubectl patch service web -p "{\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":\"http\"}]}}"'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"ports":[{"port":80,"targetPort":80}]}}'"#,
    ),
    (
        "",
        r#"'kubectl patch pod b -p "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]}}"'"#,
        r#"$ kubectl -n default patch service web -p '{"spec":{"publishNotReadyAddresses":true}}'"#,
    ),
    (
        "kubeProxy: nftables",
        "{on: node-1, run: 'nft add table ip x; nft add chain ip x p \"{ type filter hook prerouting priority -300; }\"; \
         nft add rule ip x p tcp dport 30080 notrack'}",
        "node-1# nft delete rule ip x p handle 2",
    ),
    (
        "kubeProxy: nftables",
        "{on: node-1, run: 'nft add table ip x; nft add chain ip x p \"{ type nat hook prerouting priority -150; }\"; \
         nft add rule ip x p tcp dport 30080 dnat to 10.244.9.9:80'}",
        "node-1# nft delete rule ip x p handle 2",
    ),
];

#[test]
fn what_the_lab_has_broken_is_mended_as_well() {
    for (world, setup, mended) in OF_THE_LAB {
        let text = called().replacen("apps:", &format!("  {world}\nsetup: [{setup}]\napps:"), 1);
        let lab = Rc::new(read_lab(&text).unwrap());
        let session = Session { lab, changes: Setting::new(), typed: Vec::new(), source: None };
        let run = session.run().unwrap();
        assert!(run.goals.iter().any(|g| !g.reached), "{setup}: nothing is broken");
        let texts: Vec<String> =
            found(&session, &run, Wanted::Goals).iter().map(workshop::cure::Cure::text).collect();
        assert!(texts.iter().any(|t| t == mended), "{setup}: {texts:#?}");
    }
}

/// What is found first for exercises whose solution is no switch.
#[test]
fn the_solution_of_an_exercise_is_found() {
    for (name, mended) in [
        ("the-office", "minikube# ip route add 172.17.5.0/24 via 192.168.99.254"),
        ("number-without-pod", "node-1# conntrack -D -p udp -d 10.96.0.25 --dport 8125"),
        ("tftp-modern", "learn-k8s-2# iptables -t raw -A PREROUTING -p udp --dport 69 -j CT --helper tftp"),
    ] {
        let session = Session::new(Rc::new(workshop::exercise::exercise(name).unwrap()));
        let all = found(&session, &session.run().unwrap(), Wanted::Goals);
        assert_eq!(all[0].text(), mended);
    }
}

/// Less than all of it is enough, and once that is found nothing of a box is put back that was not asked for.
#[test]
fn of_what_a_box_has_lost_only_what_is_needed_is_put_back() {
    let lines =
        ["ip addr flush dev cnio0", "sysctl -w net.ipv4.icmp_ratelimit=5", "ip link set cnio0 mtu 1400"];
    let setup: Vec<String> = lines.iter().map(|l| format!("{{on: node-1, run: {l}}}")).collect();
    let text = called().replacen("apps:", &format!("setup: [{}]\napps:", setup.join(", ")), 1);
    let lab = Rc::new(read_lab(&text).unwrap());
    let session = Session { lab, changes: Setting::new(), typed: Vec::new(), source: None };
    let all = found(&session, &session.run().unwrap(), Wanted::Goals);
    let texts: Vec<String> = all.iter().map(workshop::cure::Cure::text).collect();
    assert_eq!(texts, ["node-1# ip addr add 10.244.1.1/24 dev cnio0"]);
}

#[test]
fn coredns_asks_who_knows_the_names_outside() {
    let lab = Rc::new(workshop::exercise::exercise("loop-of-forwards").unwrap());
    let session = Session::new(lab);
    let all = found(&session, &session.run().unwrap(), Wanted::Goals);
    let texts: Vec<String> = all.iter().map(workshop::cure::Cure::text).collect();
    let forwards =
        |t: &String| t.contains("patch configmap coredns") && t.contains("forward . 169.254.169.254");
    assert!(texts.iter().any(forwards), "{texts:#?}");
}

/// nc by UDP ends well when nobody tells it that its datagram is lost.
#[test]
fn silence_is_no_cure() {
    let lab = Rc::new(workshop::lab("stale-udp").unwrap());
    let session = Session::new(lab);
    let run = session.run().unwrap();
    let refused = run.stimuli.iter().position(|s| s.name.contains("for the first time")).unwrap();
    let all = found(&session, &run, Wanted::Exchange(refused));
    let texts: Vec<String> = all.iter().map(workshop::cure::Cure::text).collect();
    let selected = r#"$ kubectl -n default patch service stats -p '{"spec":{"selector":{"app":"stats-2"}}}'"#;
    assert_eq!(texts, [selected]);
}

#[test]
fn a_command_that_broke_it_is_taken_back() {
    for lines in [CASES[0].0, CASES[23].0] {
        let session = called_after(lines);
        let all = found(&session, &session.run().unwrap(), Wanted::Goals);
        let cure = all.iter().find(|c| c.undone.is_some()).unwrap();
        let undone = cure.undone.clone().unwrap();
        assert!(cure.commands.is_empty() && session.typed.contains(&undone), "{}", cure.text());
        assert_eq!(cure.session.typed.len(), session.typed.len() - 1);
        assert!(cure.session.run().unwrap().goals.iter().all(|g| g.reached));
        assert_eq!(cure.text(), format!("Undo: {}# {}", undone.on.unwrap(), undone.line));
    }
}

/// The exchange that is asked for has another number once the command before it is gone.
#[test]
fn an_exchange_succeeds_without_the_command_before_it() {
    let mut session = called_after("client: ip addr");
    let end = |line: &str| Typed::of_line(line, At::End);
    session.typed = vec![
        end("node-1: iptables -I FORWARD -p tcp --dport 80 -j DROP"),
        end("client: curl -m 1 http://10.244.1.5/"),
    ];
    let run = session.run().unwrap();
    let asked = run.stimuli.iter().rposition(|s| s.name.contains("curl")).unwrap();
    let texts: Vec<String> =
        found(&session, &run, Wanted::Exchange(asked)).iter().map(workshop::cure::Cure::text).collect();
    assert_eq!(texts[0], "Undo: node-1# iptables -I FORWARD -p tcp --dport 80 -j DROP");
}

/// The packet takes the default route instead, and dies for another reason elsewhere.
#[test]
fn a_link_that_is_down_is_found_behind_the_default_route() {
    let lab = Rc::new(workshop::lab("service-iptables").unwrap());
    let mut session = Session::new(lab);
    session.changes.insert("service".to_owned(), "present".to_owned());
    session.typed.push(Typed::of_line("minikube: ip link set docker0 down", At::Setup));
    let all = found(&session, &session.run().unwrap(), Wanted::Goals);
    assert_eq!(all[0].text(), "minikube# ip link set docker0 up");
}

/// The exercise ends before ARP gives up: what still waits for its neighbour has ended too.
#[test]
fn a_packet_that_waits_to_the_last_is_led_to_another_next_hop() {
    let lab = workshop::exercise::exercise("no-route").unwrap();
    let session = Session::new(Rc::new(lab));
    let run = session.run().unwrap();
    let texts: Vec<String> =
        found(&session, &run, Wanted::Goals).iter().map(workshop::cure::Cure::text).collect();
    assert!(texts.contains(&"node-1# ip route add 10.244.2.0/24 via 10.0.0.12".to_owned()), "{texts:#?}");

    let story = Story::new(&run.run.world);
    let step = story.steps.iter().find(|s| s.title == "still waits: who has 10.0.0.1?").unwrap();
    assert_eq!(end(&run.run.world, step).unwrap().by, "ARP");
}

/// What a step of the lab breaks is mended after it, not at setup.
#[test]
fn what_a_step_has_broken_is_mended_behind_it() {
    let steps = "steps:\n  - {on: node-1, run: iptables -I FORWARD -j DROP}";
    let lab = read_lab(&called().replace("steps:", steps)).unwrap();
    let session = Session { lab: Rc::new(lab), changes: Setting::new(), typed: Vec::new(), source: None };
    let all = found(&session, &session.run().unwrap(), Wanted::Goals);
    let cure = all.iter().find(|c| c.text() == "node-1# iptables -t filter -D FORWARD 1").unwrap();
    assert_eq!(cure.session.typed[0].at, At::Before(1));
}
