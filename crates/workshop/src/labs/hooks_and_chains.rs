//! A packet for each of kube-proxy's chains: from outside, from the node itself, and from a pod to its own Service.
//!
//! The Service is that of "My Kubernetes Networking Journey, Part 2"; the nodes around it are made up. That hairpin mode
//! counts only with br_netfilter was measured on Linux 6.18.

use crate::kube::{self, Cni, Kube, Mode, Outside};
use crate::lab::{Beat, Claim, Goal, Lab, Moment, Setting, Switch};
use crate::query::{self, answered};
use cluster::Objects;
use cluster::kube_proxy::Version;
use cluster::object::TrafficPolicy;
use ipnet::Ipv4Net;
use kernel::event::{TapDir, What};
use kernel::netfilter::xtables::TableId;
use kernel::{Era, Modules, PacketId};
use packet::TcpFlags;
use sim::{AppEvent, CloseHow, EventId, Run, Scenario, Seen, ServerMode, ServerSpec, Stimulus};
use std::net::{IpAddr, Ipv4Addr};

const NODE: &str = "node-2";
const OUTSIDE: &str = "client";
const POD: &str = "web-2";
const OTHER_POD: &str = "web-1";
const NODE_ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 12);
const OUTSIDE_ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const POD_ADDR: Ipv4Addr = Ipv4Addr::new(10, 179, 18, 29);
const OTHER_ADDR: Ipv4Addr = Ipv4Addr::new(10, 179, 18, 8);
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(172, 20, 0, 115);
const NODE_PORT: u16 = 30080;

/// Address and port.
type Socket = (Ipv4Addr, u16);

/// Who connects, from where, to what.
const CONNECTIONS: [(&str, Socket, Socket); 8] = [
    (OUTSIDE, (OUTSIDE_ADDR, 50_001), (NODE_ADDR, NODE_PORT)),
    (NODE, (NODE_ADDR, 50_002), (CLUSTER_IP, 80)),
    (POD, (POD_ADDR, 50_003), (CLUSTER_IP, 80)),
    (POD, (POD_ADDR, 50_004), (CLUSTER_IP, 80)),
    (POD, (POD_ADDR, 50_005), (CLUSTER_IP, 80)),
    (POD, (POD_ADDR, 50_006), (CLUSTER_IP, 80)),
    (POD, (POD_ADDR, 50_007), (CLUSTER_IP, 80)),
    (POD, (POD_ADDR, 50_008), (CLUSTER_IP, 80)),
];
const FROM_OUTSIDE: usize = 0;
const FROM_NODE: usize = 1;
const FROM_POD: std::ops::Range<usize> = 2..8;

const CLUSTER: (&str, &str) = ("externalTrafficPolicy", "Cluster");
const LOCAL: (&str, &str) = ("externalTrafficPolicy", "Local");
const NO_HAIRPIN: (&str, &str) = ("hairpin", "off");
const HAIRPIN: (&str, &str) = ("hairpin", "on");
const BRIDGED: (&str, &str) = ("br_netfilter", "on");
const ROUTED: (&str, &str) = ("br_netfilter", "off");

/// The lab.
pub fn lab() -> Lab {
    Lab {
        name: "hooks-and-chains",
        title: "A packet for each chain",
        summary: "One Service, called from outside, from a node and from its own pod: which of kube-proxy's chains each \
                  packet meets, and why a pod may fail to reach itself.",
        focus: NODE,
        beats: beats(),
        switches: switches(),
        scenario,
        stimuli: &[
            "a client outside calls 10.0.0.12:30080",
            "node-2 calls 172.20.0.115:80",
            "web-2 calls 172.20.0.115:80",
            "web-2 calls it again",
            "web-2 calls it a third time",
            "web-2 calls it a fourth time",
            "web-2 calls it a fifth time",
            "web-2 calls it a sixth time",
        ],
        claims: claims(),
        goals: vec![Goal {
            text: "web-2 gets an answer from its own Service, whichever endpoint is chosen",
            reached: |run| FROM_POD.into_iter().all(|n| answered(run, n)),
        }],
        moments: moments(),
    }
}

const NODES: &[&str] = &["node-1", "node-2"];

fn switches() -> Vec<Switch> {
    let switch = |name, title, positions: &'static [(&'static str, &'static str)], default| Switch {
        name,
        title,
        hosts: NODES,
        positions,
        default,
    };
    // Once, for the whole cluster.
    let once =
        |name, title, positions, default| Switch { hosts: &[], ..switch(name, title, positions, default) };
    vec![
        once(
            "externalTrafficPolicy",
            "may a request be sent to another node's pod?",
            &[
                (
                    "Cluster",
                    "kubectl -n octopus patch service octopus-web -p '{\"spec\":{\"externalTrafficPolicy\":\"Cluster\"}}'",
                ),
                (
                    "Local",
                    "kubectl -n octopus patch service octopus-web -p '{\"spec\":{\"externalTrafficPolicy\":\"Local\"}}'",
                ),
            ],
            "Cluster",
        ),
        switch(
            "hairpin",
            "may the bridge send a frame out of the port it came from?",
            &[
                ("off", "for p in /sys/class/net/cnio0/brif/*; do echo 0 > $p/hairpin_mode; done"),
                ("on", "for p in /sys/class/net/cnio0/brif/*; do echo 1 > $p/hairpin_mode; done"),
            ],
            "off",
        ),
        switch(
            "br_netfilter",
            "bridged packets meet the IP hooks",
            &[("off", "modprobe -r br_netfilter"), ("on", "modprobe br_netfilter")],
            "on",
        ),
    ]
}

fn beats() -> Vec<Beat> {
    let beat = |when, text| Beat { when, text };
    vec![
        beat(
            &[],
            "The Service `172.20.0.115:80` has two endpoints: **web-2** on this node and **web-1** on the other. Each \
             connection meets kube-proxy's chains once, with its [first packet](start); conntrack knows the rest.",
        ),
        beat(
            &[CLUSTER],
            "From outside, [NodePort 30080](nodeport) leads through `KUBE-NODEPORTS` to `KUBE-EXT`, which marks the \
             packet with 0x4000, and to `KUBE-SVC`, where a rule with probability 0.5 chooses. `KUBE-POSTROUTING` \
             masquerades what is marked.",
        ),
        beat(
            &[LOCAL],
            "From outside, [NodePort 30080](nodeport) leads through `KUBE-NODEPORTS` and `KUBE-EXT` to `KUBE-SVL`, the \
             endpoints of this node alone. Nothing is marked, so the pod sees the client's own address.",
        ),
        beat(
            &[],
            "The node itself calls the ClusterIP. Its packet begins [in OUTPUT](output), never in PREROUTING: that is why \
             both have a jump to `KUBE-SERVICES`. The node is no pod, so its packet is marked.",
        ),
        beat(
            &[],
            "web-2 calls its own Service, six times. Sometimes the die says [web-2 itself](self). `KUBE-SEP` marks a \
             packet whose source is its own pod: without the masquerade the pod would be answered by itself, directly.",
        ),
        beat(
            &[BRIDGED, NO_HAIRPIN],
            "The packet to itself is translated on the bridge, and would have to leave by the port it came from. The \
             bridge does not do that: the packet vanishes after nat PREROUTING, and conntrack forgets it. A second later \
             TCP sends it again and the die is thrown anew, so that such a call waits, or [times out](timeout). Flip \
             **hairpin**.",
        ),
        beat(
            &[BRIDGED, HAIRPIN],
            "In hairpin mode the bridge sends the packet back out of the port it came from, and every call \
             [is answered](answer).",
        ),
        beat(
            &[ROUTED],
            "Without br_netfilter the packet to itself is not bridged but routed: the node takes it in and sends it out \
             anew. The bridge sees no port that it came from, and hairpin mode does not matter.",
        ),
    ]
}

// ---------------------------------------------------------------------- the world

fn objects(policy: TrafficPolicy) -> Result<Objects, String> {
    let mut objects = kube::built_in(include_bytes!(concat!(env!("OUT_DIR"), "/hooks_and_chains.objects")))?;
    kube::set_external_traffic_policy(&mut objects, policy);
    Ok(objects)
}

fn scenario(setting: &Setting) -> Result<Scenario, String> {
    let is = |(name, value): (&str, &str)| setting.get(name).is_some_and(|v| v == value);
    let kube = Kube {
        objects: objects(if is(LOCAL) { TrafficPolicy::Local } else { TrafficPolicy::Cluster })?,
        mode: Mode::Iptables,
        version: Version::default(),
        era: Era::default(),
        modules: Modules { br_netfilter: is(BRIDGED), ..Modules::default() },
        cni: &Cni::BRIDGE,
        cluster_cidr: Some(Ipv4Net::new_assert(Ipv4Addr::new(10, 179, 0, 0), 16)),
        nat_outgoing: false,
        hairpin: is(HAIRPIN),
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(10, 0, 0, 1),
        outside: vec![Outside {
            name: OUTSIDE.to_owned(),
            addr: Ipv4Net::new_assert(OUTSIDE_ADDR, 24),
            knows_pods: false,
        }],
    };
    let mut boxes = kube.boxes()?;
    for pod in [POD, OTHER_POD] {
        let bind = (Ipv4Addr::UNSPECIFIED, 8080);
        boxes.serve(pod, ServerSpec { tcp: true, bind, mode: ServerMode::Http, closes: false });
    }
    let stimuli = CONNECTIONS
        .iter()
        .map(|(host, src, dst)| Stimulus::Tcp {
            host: (*host).to_owned(),
            src: *src,
            dst: *dst,
            request: format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", dst.0).into_bytes(),
            close: CloseHow::Client,
            timeout_ms: 1500,
        })
        .collect();
    Ok(Scenario { hosts: boxes.hosts, links: boxes.links, stimuli, settle_ms: 40 })
}

// ---------------------------------------------------------------------- claims and goals

/// The first SYN of a connection, as the first rule on the focused node sees it.
fn syn(run: &Run, n: usize) -> Option<PacketId> {
    let (_, (addr, port), _) = CONNECTIONS.get(n)?;
    let node = query::host(run, NODE)?;
    query::entries(run).find_map(|(_, e)| match e.what()? {
        What::Rule(step) if e.host == node => {
            let ip = step.frame.ip()?;
            let tcp = ip.tcp()?;
            let is_it =
                query::flags_are(tcp, &[TcpFlags::SYN]) && ip.src_v4() == Some(*addr) && tcp.sport == *port;
            e.packet.filter(|_| is_it)
        }
        _ => None,
    })
}

/// The chains of table nat that the SYN enters, without the hash at the end of their names.
fn nat_chains(run: &Run, n: usize) -> Vec<String> {
    let Some(syn) = syn(run, n) else { return Vec::new() };
    let kind = |chain: String| match chain.get(..8) {
        Some(prefix @ ("KUBE-SVC" | "KUBE-SVL" | "KUBE-SEP" | "KUBE-EXT")) => prefix.to_owned(),
        _ => chain,
    };
    let entered = query::chains_entered(run, NODE, syn).into_iter();
    entered.filter(|(table, _)| *table == TableId::Nat).map(|(_, chain)| kind(chain)).collect()
}

fn in_order(chains: &[String], wanted: &[&str]) -> bool {
    let mut rest = chains.iter();
    wanted.iter().all(|w| rest.any(|c| c == w))
}

/// Where the node sends a connection to.
fn chosen(run: &Run, n: usize) -> Option<(EventId, IpAddr)> {
    let (syn, node) = (syn(run, n)?, query::host(run, NODE)?);
    query::entries(run).find_map(|(id, e)| match e.what()? {
        What::Nat { before, after, .. } if e.host == node && e.packet == Some(syn) => {
            let (old, new) = (before.ip()?.dst, after.ip()?.dst);
            (old != new).then_some((id, new))
        }
        _ => None,
    })
}

/// The connections of web-2 that are sent to web-2, or those that are not.
fn of_pod(run: &Run, itself: bool) -> impl Iterator<Item = usize> + '_ {
    FROM_POD.filter(move |n| chosen(run, *n).is_some_and(|(_, to)| (to == IpAddr::V4(POD_ADDR)) == itself))
}

/// From whom a SYN comes to the endpoint that gets the connection from outside.
fn source_at_pod(run: &Run) -> Option<Ipv4Addr> {
    let (_, to) = chosen(run, FROM_OUTSIDE)?;
    let pod = if to == IpAddr::V4(OTHER_ADDR) { OTHER_POD } else { POD };
    let first = query::segments(run, pod)
        .into_iter()
        .find(|c| c.dir == TapDir::In && query::flags_are(c.tcp, &[TcpFlags::SYN]))?;
    first.ip.src_v4()
}

/// The first packet of a call that is sent to web-2 itself comes back to web-2.
fn meets_itself(run: &Run) -> bool {
    let own: Vec<Option<PacketId>> = of_pod(run, true).map(|n| syn(run, n)).collect();
    query::segments(run, POD).iter().any(|c| c.dir == TapDir::In && own.contains(&Some(c.packet)))
}

/// kube-proxy's chains of table nat that no packet has entered on the node.
fn unvisited(run: &Run) -> Vec<String> {
    let Some(id) = query::host(run, NODE) else { return Vec::new() };
    let Some(table) = run.world.host(id).and_then(|ns| ns.table(TableId::Nat)) else { return Vec::new() };
    let visited = |name: &str| {
        query::entries(run).any(|(_, e)| {
            e.host == id
                && matches!(e.what(), Some(What::Rule(step)) if step.table == TableId::Nat && &*step.chain == name)
        })
    };
    let names = table.rules.chains.iter().map(|c| c.name.to_string());
    // The kubelet's canary is there to be missed, not to be entered.
    let own = |name: &str| name.starts_with("KUBE-") && !name.starts_with("KUBE-KUBELET-");
    names.filter(|name| own(name) && !visited(name)).collect()
}

fn claims() -> Vec<Claim> {
    let claim = |when, text, holds| Claim { text, when, holds };
    vec![
        claim(&[], "each of kube-proxy's chains of table nat on node-2 is entered by some packet", |run| {
            unvisited(run).is_empty()
        }),
        claim(
            &[CLUSTER],
            "from outside: KUBE-SERVICES, KUBE-NODEPORTS, KUBE-EXT, KUBE-MARK-MASQ, KUBE-SVC, KUBE-SEP",
            |run| {
                let chains = nat_chains(run, FROM_OUTSIDE);
                in_order(
                    &chains,
                    &[
                        "PREROUTING",
                        "KUBE-SERVICES",
                        "KUBE-NODEPORTS",
                        "KUBE-EXT",
                        "KUBE-MARK-MASQ",
                        "KUBE-SVC",
                        "KUBE-SEP",
                    ],
                )
            },
        ),
        claim(
            &[LOCAL],
            "from outside: KUBE-SERVICES, KUBE-NODEPORTS, KUBE-EXT, KUBE-SVL, KUBE-SEP, and no mark",
            |run| {
                let chains = nat_chains(run, FROM_OUTSIDE);
                in_order(
                    &chains,
                    &["PREROUTING", "KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXT", "KUBE-SVL", "KUBE-SEP"],
                ) && !chains.iter().any(|c| c == "KUBE-MARK-MASQ")
            },
        ),
        claim(&[CLUSTER], "the endpoint does not see the client's address, 10.0.0.100", |run| {
            source_at_pod(run).is_some_and(|src| src != OUTSIDE_ADDR)
        }),
        claim(&[LOCAL], "the endpoint sees the client's own address, 10.0.0.100", |run| {
            source_at_pod(run) == Some(OUTSIDE_ADDR)
        }),
        claim(&[], "from the node: OUTPUT and KUBE-SERVICES, never PREROUTING", |run| {
            let chains = nat_chains(run, FROM_NODE);
            in_order(&chains, &["OUTPUT", "KUBE-SERVICES", "KUBE-SVC", "KUBE-SEP"])
                && !chains.iter().any(|c| c == "PREROUTING")
        }),
        claim(&[], "of web-2's six calls some are sent to web-1 and some to web-2 itself", |run| {
            of_pod(run, true).next().is_some() && of_pod(run, false).next().is_some()
        }),
        claim(&[], "a call that is sent to web-1 is not marked, and is answered", |run| {
            of_pod(run, false)
                .all(|n| answered(run, n) && !nat_chains(run, n).iter().any(|c| c == "KUBE-MARK-MASQ"))
        }),
        claim(&[], "a call that is sent to web-2 itself is marked in KUBE-SEP", |run| {
            of_pod(run, true).all(|n| in_order(&nat_chains(run, n), &["KUBE-SEP", "KUBE-MARK-MASQ"]))
        }),
        claim(
            &[BRIDGED, NO_HAIRPIN],
            "the first packet of such a call meets no chain after nat PREROUTING",
            |run| of_pod(run, true).all(|n| !nat_chains(run, n).iter().any(|c| c == "POSTROUTING")),
        ),
        claim(&[BRIDGED, NO_HAIRPIN], "it does not come back to web-2", |run| !meets_itself(run)),
        claim(&[BRIDGED, HAIRPIN], "it comes back to web-2, by the port that it came from", meets_itself),
        claim(&[HAIRPIN], "a call that is sent to web-2 itself is answered", |run| {
            of_pod(run, true).all(|n| answered(run, n))
        }),
        claim(
            &[ROUTED],
            "without br_netfilter such a call is answered, with hairpin mode or without",
            |run| of_pod(run, true).all(|n| answered(run, n)),
        ),
    ]
}

// ---------------------------------------------------------------------- moments

/// A connection's SYN enters a chain of table nat.
fn enters(run: &Run, n: usize, chain: &str) -> Option<EventId> {
    let syn = syn(run, n)?;
    let node = query::host(run, NODE)?;
    query::entries(run)
        .find(|(_, e)| {
            e.host == node
                && e.packet == Some(syn)
                && matches!(e.what(), Some(What::Rule(step)) if step.table == TableId::Nat && &*step.chain == chain)
        })
        .map(|(id, _)| id)
}

fn moments() -> Vec<Moment> {
    let moment = |key, find| Moment { key, find };
    vec![
        moment("start", |run| enters(run, FROM_OUTSIDE, "KUBE-SERVICES")),
        moment("nodeport", |run| enters(run, FROM_OUTSIDE, "KUBE-NODEPORTS")),
        moment("output", |run| enters(run, FROM_NODE, "OUTPUT")),
        moment("self", |run| chosen(run, of_pod(run, true).next()?).map(|(id, _)| id)),
        moment("timeout", |run| {
            query::entries(run)
                .find(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::TimedOut { connecting: true, .. })))
                .map(|(id, _)| id)
        }),
        moment("answer", |run| {
            query::entries(run)
                .find(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::Reply { .. })))
                .map(|(id, _)| id)
        }),
    ]
}
