//! A pod calls a Service whose only endpoint is on the same node.
//!
//! The facts are those of "Debugging Kubernetes Networking" (EngineerBetter, 2020); the rules are the ones that
//! kube-proxy 1.17 and the bridge CNI plugin had written there.

use crate::lab::{Beat, Claim, Goal, Lab, Moment, Setting, Switch};
use crate::query::{self, flags_are, segments};
use ipnet::Ipv4Net;
use kernel::Modules;
use kernel::event::{BridgeStep, SocketStep, TapDir, What};
use kernel::netfilter::conntrack::TcpState;
use kernel::netfilter::xtables::TableId;
use packet::{Mac, TcpFlags};
use sim::{
    AppEvent, BridgePort, CloseHow, EventId, HostSpec, LinkSpec, Run, Scenario, Seen, ServerMode, ServerSpec,
    Stimulus,
};
use std::net::{IpAddr, Ipv4Addr};
use userland::ip::{
    AddrCommand, AddrSpec, IpCommand, NeighCommand, NeighSpec, NudWord, RouteCommand, RouteSpec,
};

const CLIENT: &str = "tmp2";
const SERVER: &str = "nginx2";
const NODE: &str = "worker-2";
const CLIENT_ADDR: Ipv4Addr = Ipv4Addr::new(10, 200, 2, 63);
const POD_ADDR: Ipv4Addr = Ipv4Addr::new(10, 200, 2, 65);
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 102);
const SYN: &[TcpFlags] = &[TcpFlags::SYN];
const SYN_ACK: &[TcpFlags] = &[TcpFlags::SYN, TcpFlags::ACK];
const RST: &[TcpFlags] = &[TcpFlags::RST];
const OFF: &[(&str, &str)] = &[("br_netfilter", "off")];
const ON: &[(&str, &str)] = &[("br_netfilter", "on")];

/// The chains that a LOG rule at the head of every chain shows for the SYN.
const CHAINS: [(TableId, &str); 15] = [
    (TableId::Raw, "PREROUTING"),
    (TableId::Mangle, "PREROUTING"),
    (TableId::Nat, "PREROUTING"),
    (TableId::Nat, "KUBE-SERVICES"),
    (TableId::Nat, "KUBE-SVC-KN7BHMGRB3FSVEMI"),
    (TableId::Nat, "KUBE-SEP-3MQ7LGWSED2GAEFA"),
    (TableId::Mangle, "FORWARD"),
    (TableId::Filter, "FORWARD"),
    (TableId::Filter, "KUBE-FORWARD"),
    (TableId::Filter, "KUBE-SERVICES"),
    (TableId::Security, "FORWARD"),
    (TableId::Mangle, "POSTROUTING"),
    (TableId::Nat, "POSTROUTING"),
    (TableId::Nat, "KUBE-POSTROUTING"),
    (TableId::Nat, "CNI-b7b31389524eeb0d1707ddeb"),
];

/// What the second copy of a flooded SYN adds: everything after routing, but not nat.
const SECOND_COPY: [(TableId, &str); 6] = [
    (TableId::Mangle, "FORWARD"),
    (TableId::Filter, "FORWARD"),
    (TableId::Filter, "KUBE-FORWARD"),
    (TableId::Filter, "KUBE-SERVICES"),
    (TableId::Security, "FORWARD"),
    (TableId::Mangle, "POSTROUTING"),
];

/// The lab.
pub fn lab() -> Lab {
    Lab {
        name: "same-node-clusterip",
        title: "The reply that takes a short cut",
        summary: "A pod calls a Service whose only endpoint is on the same node: the pod IP works, the ClusterIP \
                  times out.",
        focus: NODE,
        beats: beats(),
        switches: vec![Switch {
            name: "br_netfilter",
            title: "bridged packets meet iptables",
            hosts: &["worker-1", "worker-2"],
            positions: &[("off", "modprobe -r br_netfilter"), ("on", "modprobe br_netfilter")],
            default: "off",
        }],
        scenario,
        stimuli: &["tmp2 calls the ClusterIP 10.32.0.102:80"],
        claims: claims(),
        goals: vec![Goal {
            text: "tmp2 gets its answer from 10.32.0.102",
            reached: |run| query::answered(run, 0),
        }],
        moments: moments(),
    }
}

fn beats() -> Vec<Beat> {
    let always = |text| Beat { when: &[], text };
    let off = |text| Beat { when: OFF, text };
    let on = |text| Beat { when: ON, text };
    vec![
        always(
            "Pod **tmp2** calls the Service `10.32.0.102:80`. Its only endpoint, **nginx2**, runs on the same node. \
             Both pods hang on the bridge `cnio0` of worker-2.",
        ),
        off(
            "Press **Play** and follow the SYN. It is addressed to the gateway, so the bridge hands it up to the node's \
             IP stack. There [nat PREROUTING](dnat) turns `10.32.0.102` into `10.200.2.65`, and the node routes it back \
             [out to nginx2](forward).",
        ),
        off(
            "nginx2 sees a neighbour, `10.200.2.63`, and answers it directly. Watch [the SYN-ACK](synack): the bridge \
             knows tmp2's port and switches the frame straight there. **The node's netfilter never sees the reply**, so \
             nothing turns the source back into `10.32.0.102`.",
        ),
        off(
            "tmp2 asked `10.32.0.102` and is answered by `10.200.2.65`. No socket of its matches, so its kernel \
             [sends a RST](rst), and connect() [times out](timeout). conntrack on the node still waits: `SYN_SENT \
             [UNREPLIED]`.",
        ),
        off("The cure is to let bridged packets meet the IP hooks. Flip **br_netfilter**."),
        on(
            "With br_netfilter the bridge [lends the SYN](lent) to the IP hooks while it is still on the bridge. \
            [nat PREROUTING](dnat) gives it its new destination, which is behind the same bridge: the frame is \
            [not routed](bridged), only its destination MAC changes.",
        ),
        on(
            "nginx2 has been silent for so long that the bridge has forgotten its port. It [floods](flood) the frame to \
            two ports, and **each copy walks FORWARD and mangle POSTROUTING**. That is where the six extra lines of a \
            LOG in every chain come from: the second copy, not a jump back. nat is asked once, for the first copy; \
            then the entry is confirmed.",
        ),
        on(
            "[The SYN-ACK](synack) crosses the same bridge, and now it meets conntrack there: its source becomes \
            `10.32.0.102` [again](unnat), tmp2 recognises its connection, and [the answer](answer) arrives.",
        ),
    ]
}

// ---------------------------------------------------------------------- the world

fn addr(dev: &str, addr: Ipv4Addr) -> IpCommand {
    let addr = Ipv4Net::new_assert(addr, 24);
    IpCommand::Addr(AddrCommand::Add(AddrSpec::new(addr, dev)))
}

fn route(dst: Ipv4Net, via: Ipv4Addr) -> IpCommand {
    IpCommand::Route(RouteCommand::Add(RouteSpec::to(dst).via(via)))
}

fn neigh(addr: Ipv4Addr, mac: [u8; 6], dev: &str) -> IpCommand {
    let lladdr = Some(Mac(mac));
    IpCommand::Neigh(NeighCommand::Replace(NeighSpec {
        addr,
        lladdr,
        dev: dev.to_owned(),
        nud: NudWord::Permanent,
    }))
}

/// A pod: its address, and the node's as its gateway.
fn pod(name: &str, address: Ipv4Addr, gateway: Ipv4Addr) -> HostSpec {
    HostSpec {
        name: name.to_owned(),
        ip: vec![addr("eth0", address), route(Ipv4Net::default(), gateway)],
        sniff: true,
        ..HostSpec::default()
    }
}

fn http(mut spec: HostSpec) -> HostSpec {
    spec.servers.push(ServerSpec {
        tcp: true,
        bind: (Ipv4Addr::UNSPECIFIED, 80),
        mode: ServerMode::Http,
        closes: false,
    });
    spec
}

/// A node: its addresses on the LAN and on the bridge of its pods, and the way to the other node's pods.
fn node(name: &str, number: u8, rules: &str, br_netfilter: bool) -> HostSpec {
    let sysctl = |key: &str, value| (key.to_owned(), value);
    let other = 3 - number;
    let others = Ipv4Net::new_assert(Ipv4Addr::new(10, 200, other, 0), 24);
    HostSpec {
        name: name.to_owned(),
        ip: vec![
            addr("ens4", Ipv4Addr::new(10, 240, 0, 20 + number)),
            addr("cnio0", Ipv4Addr::new(10, 200, number, 1)),
            route(others, Ipv4Addr::new(10, 240, 0, 20 + other)),
        ],
        sysctl: vec![
            sysctl("net.ipv4.ip_forward", 1),
            sysctl("net.ipv4.conf.all.send_redirects", 0),
            sysctl("net.ipv4.conf.cnio0.send_redirects", 0),
        ],
        iptables: Some(rules.to_owned()),
        modules: Modules { br_netfilter, ..Modules::default() },
        tables: TableId::ALL.to_vec(),
        sniff: true,
        ..HostSpec::default()
    }
}

fn veth(a: (&str, &str), b: (&str, &str), a_mac: Option<[u8; 6]>, b_mac: Option<[u8; 6]>) -> LinkSpec {
    let end = |(host, dev): (&str, &str)| (host.to_owned(), dev.to_owned());
    LinkSpec::Veth { a: end(a), b: end(b), a_mac: a_mac.map(Mac), b_mac: b_mac.map(Mac) }
}

fn bridge(host: &str, name: &str, mac: Option<[u8; 6]>, ports: &[&str]) -> LinkSpec {
    LinkSpec::Bridge {
        host: host.to_owned(),
        name: name.to_owned(),
        mac: mac.map(Mac),
        ports: ports.iter().map(|p| BridgePort { dev: (*p).to_owned(), hairpin: false }).collect(),
        promisc: false,
    }
}

/// The addresses of the article's capture.
const TMP2_MAC: [u8; 6] = [0x9e, 0xd4, 0x7d, 0xec, 0xb7, 0x6d];
const NGINX2_MAC: [u8; 6] = [0xfa, 0xce, 0x1c, 0x2d, 0x05, 0xeb];
const CNIO0_MAC: [u8; 6] = [0x12, 0xe9, 0x35, 0x7a, 0x5b, 0x02];

fn scenario(setting: &Setting) -> Result<Scenario, String> {
    let br_netfilter = setting.get("br_netfilter").is_some_and(|v| v == "on");
    let rules_1 = include_str!("same_node_clusterip/worker-1.rules");
    let rules_2 = include_str!("same_node_clusterip/worker-2.rules");
    let gateway_1 = Ipv4Addr::new(10, 200, 1, 1);
    let gateway_2 = Ipv4Addr::new(10, 200, 2, 1);
    let mut worker_2 = node(NODE, 2, rules_2, br_netfilter);
    // The node has talked to both pods, so ARP knows them; the bridge has forgotten where nginx2 is.
    worker_2.ip.push(neigh(POD_ADDR, NGINX2_MAC, "cnio0"));
    worker_2.ip.push(neigh(CLIENT_ADDR, TMP2_MAC, "cnio0"));
    Ok(Scenario {
        hosts: vec![
            HostSpec { name: "lan".to_owned(), ..HostSpec::default() },
            node("worker-1", 1, rules_1, br_netfilter),
            http(pod("nginx1", Ipv4Addr::new(10, 200, 1, 42), gateway_1)),
            worker_2,
            pod(CLIENT, CLIENT_ADDR, gateway_2),
            http(pod(SERVER, POD_ADDR, gateway_2)),
            pod("coredns", Ipv4Addr::new(10, 200, 2, 32), gateway_2),
        ],
        links: vec![
            bridge("lan", "br0", None, &["p1", "p2"]),
            veth(("worker-1", "ens4"), ("lan", "p1"), None, None),
            veth(("worker-2", "ens4"), ("lan", "p2"), None, None),
            veth(("worker-1", "veth-nginx1"), ("nginx1", "eth0"), None, None),
            bridge("worker-1", "cnio0", None, &["veth-nginx1"]),
            veth((NODE, "veth-tmp2"), (CLIENT, "eth0"), None, Some(TMP2_MAC)),
            veth((NODE, "veth-nginx2"), (SERVER, "eth0"), None, Some(NGINX2_MAC)),
            veth((NODE, "veth-coredns"), ("coredns", "eth0"), None, None),
            bridge(NODE, "cnio0", Some(CNIO0_MAC), &["veth-tmp2", "veth-nginx2", "veth-coredns"]),
        ],
        stimuli: vec![Stimulus::Tcp {
            host: CLIENT.to_owned(),
            src: (CLIENT_ADDR, 58096),
            dst: (CLUSTER_IP, 80),
            request: b"GET / HTTP/1.1\r\nHost: 10.32.0.102\r\nUser-Agent: curl/7.58.0\r\nAccept: */*\r\n\r\n"
                .to_vec(),
            close: CloseHow::Client,
            timeout_ms: 1500,
        }],
        settle_ms: 40,
    })
}

// ---------------------------------------------------------------------- claims and goals

fn claims() -> Vec<Claim> {
    let claim = |when, text, holds| Claim { text, when, holds };
    vec![
        claim(&[], "nat on worker-2 turns the SYN's destination 10.32.0.102 into 10.200.2.65", |run| {
            query::dnat_to(run, NODE, IpAddr::V4(POD_ADDR)).is_some()
        }),
        claim(&[], "nginx2 sees the SYN come from tmp2's own address, 10.200.2.63", |run| {
            received(run, SERVER, SYN).is_some_and(|src| src == CLIENT_ADDR)
        }),
        claim(OFF, "the SYN enters 15 chains on worker-2", |run| syn_chains(run) == CHAINS),
        claim(OFF, "no hook of worker-2 sees the SYN-ACK: the bridge switches it straight to tmp2", |run| {
            query::first_segment(run, NODE, SYN_ACK).is_some_and(|p| !query::met_a_hook(run, NODE, p))
        }),
        claim(OFF, "the SYN-ACK reaches tmp2 with the pod's address, 10.200.2.65, as its source", |run| {
            received(run, CLIENT, SYN_ACK).is_some_and(|src| src == POD_ADDR)
        }),
        claim(OFF, "tmp2 answers the SYN-ACK with a RST to 10.200.2.65:80", |run| rst(run).is_some()),
        claim(OFF, "connect() times out", |run| timeout(run).is_some()),
        claim(OFF, "conntrack on worker-2 still waits in SYN_SENT, unreplied", |run| {
            ct_state(run) == Some(TcpState::SynSent)
        }),
        claim(ON, "the SYN is not routed: it keeps its TTL and tmp2's MAC", |run| {
            segments(run, SERVER).iter().any(|c| {
                flags_are(c.tcp, SYN)
                    && c.dir == TapDir::In
                    && c.ip.ttl == 64
                    && source_mac(run, c.id) == Some(TMP2_MAC)
            })
        }),
        claim(ON, "the bridge floods the SYN to two ports, and the copies enter 15 + 6 chains", |run| {
            let expected: Vec<_> = CHAINS.iter().chain(&SECOND_COPY).copied().collect();
            flood(run).is_some() && syn_chains(run) == expected
        }),
        claim(ON, "the SYN-ACK reaches tmp2 with the Service's address, 10.32.0.102, as its source", |run| {
            received(run, CLIENT, SYN_ACK).is_some_and(|src| src == CLUSTER_IP)
        }),
        claim(ON, "tmp2 sends no RST", |run| rst(run).is_none()),
        claim(ON, "the connection is closed properly: conntrack ends in TIME_WAIT", |run| {
            ct_state(run) == Some(TcpState::TimeWait)
        }),
    ]
}

/// The chains that the first SYN enters on the node.
fn syn_chains(run: &Run) -> Vec<(TableId, &'static str)> {
    let Some(syn) = query::first_segment(run, NODE, SYN) else { return Vec::new() };
    let all = CHAINS.iter().chain(&SECOND_COPY);
    query::chains_entered(run, NODE, syn)
        .into_iter()
        .map(|(table, chain)| {
            let known = all.clone().find(|(t, c)| *t == table && *c == chain);
            known.copied().unwrap_or((table, "?"))
        })
        .collect()
}

/// The source of the first such segment that a box received for itself.
fn received(run: &Run, host: &str, flags: &[TcpFlags]) -> Option<Ipv4Addr> {
    segments(run, host)
        .into_iter()
        .find(|c| c.dir == TapDir::In && flags_are(c.tcp, flags))
        .and_then(|c| c.ip.src_v4())
}

fn source_mac(run: &Run, id: EventId) -> Option<[u8; 6]> {
    match run.world.log().get(id)?.what()? {
        What::Tap { frame, .. } => Some(frame.src.0),
        _ => None,
    }
}

fn ct_state(run: &Run) -> Option<TcpState> {
    let node = run.world.host(query::host(run, NODE)?)?;
    let rows = node.ct.rows(run.world.now());
    rows.iter().find(|r| r.orig.dst() == IpAddr::V4(CLUSTER_IP)).and_then(|r| r.tcp).map(|t| t.state)
}

// ---------------------------------------------------------------------- moments

fn moments() -> Vec<Moment> {
    let moment = |key, find| Moment { key, find };
    vec![
        moment("start", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::Rule(step) if step.table == TableId::Nat
                    && matches!(step.outcome, kernel::event::RuleOutcome::Match { .. }))
            })
        }),
        moment("dnat", |run| query::dnat_to(run, NODE, IpAddr::V4(POD_ADDR))),
        moment("forward", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::Bridge { from: None, step: BridgeStep::Flooded(_), .. })
            })
        }),
        moment("synack", |run| {
            segments(run, NODE).into_iter().find(|c| flags_are(c.tcp, SYN_ACK)).map(|c| c.id)
        }),
        moment("rst", rst),
        moment("timeout", timeout),
        moment("lent", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::BrNetfilter { step: kernel::event::BrNfStep::Calls(_), .. })
            })
        }),
        moment("bridged", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::BrNetfilter { step: kernel::event::BrNfStep::BridgedDnat { .. }, .. })
            })
        }),
        moment("flood", flood),
        moment("unnat", |run| {
            query::first(
                run,
                NODE,
                |w| matches!(w, What::Nat { after, .. } if after.ip().is_some_and(|ip| ip.src == IpAddr::V4(CLUSTER_IP))),
            )
        }),
        moment("answer", |run| {
            query::entries(run)
                .find(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::Reply { .. })))
                .map(|(id, _)| id)
        }),
        moment("established", |run| {
            query::first(run, CLIENT, |w| {
                matches!(w, What::Socket { step: SocketStep::TcpState { to: "ESTAB", .. }, .. })
            })
        }),
    ]
}

/// tmp2 sends a RST to the pod's address.
fn rst(run: &Run) -> Option<EventId> {
    segments(run, CLIENT)
        .into_iter()
        .find(|c| c.dir == TapDir::Out && flags_are(c.tcp, RST) && c.ip.dst_v4() == Some(POD_ADDR))
        .map(|c| c.id)
}

/// connect() gives up.
fn timeout(run: &Run) -> Option<EventId> {
    query::entries(run)
        .find(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::TimedOut { connecting: true, .. })))
        .map(|(id, _)| id)
}

/// The bridge of the node copies the SYN, on its way from one port to the others.
fn flood(run: &Run) -> Option<EventId> {
    let syn = query::first_segment(run, NODE, SYN)?;
    let node = query::host(run, NODE)?;
    query::entries(run)
        .find(|(_, e)| {
            e.host == node
                && e.packet == Some(syn)
                && matches!(e.what(), Some(What::Bridge { from: Some(_), step: BridgeStep::Flooded(ports), .. })
                    if ports.len() == 2)
        })
        .map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use cluster::kube_proxy::{endpoint_chain, service_chain};

    #[test]
    fn the_chains_bear_the_names_that_kube_proxy_computes() {
        let rules = include_str!("same_node_clusterip/worker-2.rules");
        let service = "default/nginx2:";
        for chain in [service_chain(service, "tcp"), endpoint_chain(service, "tcp", "10.200.2.65:80")] {
            assert!(rules.contains(&format!(":{chain} - [0:0]")), "{chain}");
        }
    }
}
