//! A TFTP server behind a NodePort: its data comes from another port than the one that was asked.
//!
//! The facts are those of "Running TFTP server in Kubernetes, part 10" (cluster, addresses, ports), held against a Linux
//! 6.1 with IPVS; the rules are made by kube-proxy's own algorithm from `tftp_ipvs/cluster.yaml`.

use crate::kube::{self, Cni, Kube, Mode, Outside};
use crate::lab::{Beat, Claim, Goal, Lab, Moment, Setting, Switch};
use crate::query;
use cluster::Objects;
use cluster::kube_proxy::Version;
use cluster::object::TrafficPolicy;
use ipnet::Ipv4Net;
use kernel::event::{ExpectEventKind, TapDir, What};
use kernel::netfilter::hook::InetHook;
use kernel::{Era, Modules};
use packet::{IcmpBody, Ip, icmp_type};
use sim::{AppEvent, EventId, Outcome, Run, Scenario, Seen, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::{IpAddr, Ipv4Addr};

const CLIENT: &str = "client";
const NODE: &str = "learn-k8s-2";
const POD: &str = "tftpd";
const CLIENT_ADDR: Ipv4Addr = Ipv4Addr::new(10, 10, 100, 197);
const NODE_ADDR: Ipv4Addr = Ipv4Addr::new(10, 10, 100, 208);
const POD_ADDR: Ipv4Addr = Ipv4Addr::new(192, 168, 29, 77);
const PORT: u16 = 69;

const CLUSTER: (&str, &str) = ("externalTrafficPolicy", "Cluster");
const LOCAL: (&str, &str) = ("externalTrafficPolicy", "Local");
const NO_CONNTRACK: (&str, &str) = ("nf_conntrack_tftp", "off");
const CONNTRACK: (&str, &str) = ("nf_conntrack_tftp", "on");
const NO_NAT: (&str, &str) = ("nf_nat_tftp", "off");
const NAT: (&str, &str) = ("nf_nat_tftp", "on");
const NAT_OUTGOING: (&str, &str) = ("natOutgoing", "on");
const IPVS: (&str, &str) = ("mode", "ipvs");

/// The lab.
pub fn lab() -> Lab {
    Lab {
        name: "tftp-ipvs",
        title: "The file that comes from another port",
        summary: "A TFTP server behind a NodePort: the request arrives, the file never does, until two kernel modules are \
                  loaded.",
        focus: NODE,
        beats: beats(),
        switches: switches(),
        scenario,
        stimuli: &["the client asks 10.10.100.208:69 for dummy-2016.txt"],
        claims: claims(),
        goals: vec![Goal { text: "the client receives the file", reached: received }],
        moments: moments(),
    }
}

const NODES: &[&str] = &["learn-k8s-1", "learn-k8s-2"];

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
                    "kubectl patch service tftp-server-service -p '{\"spec\":{\"externalTrafficPolicy\":\"Cluster\"}}'",
                ),
                (
                    "Local",
                    "kubectl patch service tftp-server-service -p '{\"spec\":{\"externalTrafficPolicy\":\"Local\"}}'",
                ),
            ],
            "Cluster",
        ),
        switch(
            "mode",
            "what kube-proxy makes of Services",
            &[("iptables", "kube-proxy --proxy-mode=iptables"), ("ipvs", "kube-proxy --proxy-mode=ipvs")],
            "ipvs",
        ),
        switch(
            "nf_conntrack_tftp",
            "conntrack announces the data; since Linux 4.7 only where a rule says so, and the rule is made too",
            &[
                ("off", "modprobe -r nf_conntrack_tftp"),
                (
                    "on",
                    "modprobe nf_conntrack_tftp # since 4.7 also: iptables -t raw -A PREROUTING -p udp --dport 69 -j CT --helper tftp",
                ),
            ],
            "off",
        ),
        switch(
            "nf_nat_tftp",
            "NAT lets the announced data follow its request; loads nf_conntrack_tftp",
            &[("off", "modprobe -r nf_nat_tftp"), ("on", "modprobe nf_nat_tftp")],
            "off",
        ),
        once(
            "natOutgoing",
            "Calico masquerades what pods send out of the cluster",
            &[
                ("off", "calicoctl patch ippool default-ipv4-ippool -p '{\"spec\":{\"natOutgoing\":false}}'"),
                ("on", "calicoctl patch ippool default-ipv4-ippool -p '{\"spec\":{\"natOutgoing\":true}}'"),
            ],
            "on",
        ),
        switch(
            "kernel",
            "whose rules apply",
            &[
                ("3.10", "uname -r # 3.10"),
                ("4.19", "uname -r # 4.19"),
                ("5.15", "uname -r # 5.15"),
                ("6.1", "uname -r # 6.1"),
                ("6.18", "uname -r # 6.18"),
            ],
            "3.10",
        ),
    ]
}

fn beats() -> Vec<Beat> {
    let beat = |when, text| Beat { when, text };
    vec![
        beat(
            &[],
            "The client asks **10.10.100.208**, port 69, for a file. TFTP answers a request from a **new** port: to everybody \
             on the way the data is [a flow of its own](data).",
        ),
        beat(
            &[IPVS],
            "kube-proxy runs in IPVS mode. The request meets the rules of PREROUTING and INPUT; there \
             [IPVS chooses the pod](scheduled) and sends the packet on, through OUTPUT and POSTROUTING. It never sees \
             FORWARD.",
        ),
        beat(
            &[CLUSTER],
            "With **Cluster** the node marks the request and [masquerades](snat) it: the pod sees 10.10.100.208, and sends \
             its data there.",
        ),
        beat(
            &[CLUSTER, NO_CONNTRACK, NO_NAT],
            "No connection of the node expects that data and no socket waits for it. The node answers \
             [port unreachable](refused), and the client [waits in vain](timeout). Load **nf_conntrack_tftp**, so that \
             conntrack reads the request, and see what changes.",
        ),
        beat(
            &[CLUSTER, CONNTRACK, NO_NAT],
            "conntrack now [announces the data](expected) and [recognises it](related), but nothing translates it: it still \
             ends on the node. **nf_nat_tftp** is the other half.",
        ),
        beat(
            &[CLUSTER, CONNTRACK, NAT],
            "Both halves work together: the data is [announced](expected), [recognised](related), and follows the \
             translation of its request, backwards. The client [gets its file](done).",
        ),
        beat(
            &[LOCAL],
            "With **Local** nothing is masqueraded: the pod sees the client's own address and answers it directly. What \
             leaves the cluster is then Calico's affair: with natOutgoing the data bears the node's address, without it \
             the pod's.",
        ),
    ]
}

// ---------------------------------------------------------------------- the world

fn objects(policy: TrafficPolicy) -> Result<Objects, String> {
    let mut objects = kube::built_in(include_bytes!(concat!(env!("OUT_DIR"), "/tftp_ipvs.objects")))?;
    kube::set_external_traffic_policy(&mut objects, policy);
    Ok(objects)
}

fn scenario(setting: &Setting) -> Result<Scenario, String> {
    let is = |name: &str, value: &str| setting.get(name).is_some_and(|v| v == value);
    let nat = is("nf_nat_tftp", "on");
    let conntrack = is("nf_conntrack_tftp", "on");
    let era = setting.get("kernel").and_then(|v| Era::from_name(v)).unwrap_or_default();
    let policy =
        if is("externalTrafficPolicy", "Local") { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
    let net = |text: &str| text.parse::<Ipv4Net>().map_err(|e| e.to_string());
    let kube = Kube {
        objects: objects(policy)?,
        mode: if is("mode", "ipvs") { Mode::Ipvs } else { Mode::Iptables },
        version: Version::default(),
        era,
        // NAT's half needs conntrack's and loads it.
        modules: Modules { nf_conntrack_tftp: conntrack || nat, nf_nat_tftp: nat, ..Modules::default() },
        cni: &Cni::CALICO_VETHS,
        cluster_cidr: Some(net("192.168.0.0/16")?),
        nat_outgoing: is("natOutgoing", "on"),
        hairpin: false,
        promisc: false,
        tftp_rule: (conntrack && era.helper_sysctl() != Some(true)).then_some(PORT),
        gateway: Ipv4Addr::new(10, 10, 100, 1),
        outside: vec![Outside {
            name: CLIENT.to_owned(),
            addr: Ipv4Net::new_assert(CLIENT_ADDR, 24),
            knows_pods: false,
        }],
    };
    let mut boxes = kube.boxes()?;
    let mode = ServerMode::Tftp { data: (Ipv4Addr::UNSPECIFIED, 47624), retransmit_ms: 1000 };
    boxes.serve(POD, ServerSpec { tcp: false, bind: (Ipv4Addr::UNSPECIFIED, PORT), mode, closes: false });
    let get = Stimulus::Tftp {
        host: CLIENT.to_owned(),
        src: (CLIENT_ADDR, 27661),
        dst: (NODE_ADDR, PORT),
        file: "dummy-2016.txt".to_owned(),
        strict: true,
        retransmit_ms: 5000,
        timeout_ms: 25_000,
    };
    Ok(Scenario { hosts: boxes.hosts, links: boxes.links, stimuli: vec![get], settle_ms: 40 })
}

// ---------------------------------------------------------------------- claims and goals

fn received(run: &Run) -> bool {
    run.steps.iter().any(|s| matches!(&s.outcome, StepOutcome::App(Outcome::Tftp { done: true, .. })))
}

fn claims() -> Vec<Claim> {
    let claim = |when, text, holds| Claim { text, when, holds };
    vec![
        claim(&[CLUSTER], "the pod sees the request come from the node, 10.10.100.208", |run| {
            request_at_pod(run) == Some(NODE_ADDR)
        }),
        claim(&[LOCAL], "the pod sees the client's own address, 10.10.100.197", |run| {
            request_at_pod(run) == Some(CLIENT_ADDR)
        }),
        claim(&[IPVS], "the request meets INPUT and OUTPUT of the node, and never FORWARD", |run| {
            let hooks = hooks_of_request(run);
            hooks.contains(&InetHook::LocalIn)
                && hooks.contains(&InetHook::LocalOut)
                && !hooks.contains(&InetHook::Forward)
        }),
        claim(&[("mode", "iptables")], "the request meets FORWARD of the node, and never INPUT", |run| {
            let hooks = hooks_of_request(run);
            hooks.contains(&InetHook::Forward) && !hooks.contains(&InetHook::LocalIn)
        }),
        claim(
            &[CLUSTER, NO_CONNTRACK, NO_NAT],
            "the node answers the pod's data with ICMP port unreachable",
            |run| refused(run).is_some(),
        ),
        claim(&[CLUSTER, NO_CONNTRACK, NO_NAT], "nothing comes back to the client", |run| {
            data_at_client(run).is_none()
        }),
        claim(
            &[CLUSTER, CONNTRACK, NO_NAT],
            "an expectation is made and used up, and the data still dies",
            |run| {
                expectation(run, ExpectEventKind::New).is_some()
                    && expectation(run, ExpectEventKind::Destroy).is_some()
                    && refused(run).is_some()
            },
        ),
        claim(
            &[CLUSTER, CONNTRACK, NAT],
            "the data reaches the client from 10.10.100.208, the address that it asked",
            |run| data_at_client(run) == Some(NODE_ADDR),
        ),
        claim(
            &[LOCAL, NAT_OUTGOING],
            "the data reaches the client from 10.10.100.208, without any helper",
            |run| data_at_client(run) == Some(NODE_ADDR),
        ),
        claim(
            &[LOCAL, ("natOutgoing", "off"), NO_CONNTRACK, NO_NAT],
            "the data reaches the client from the pod's address, 192.168.29.77, and is not taken",
            |run| data_at_client(run) == Some(POD_ADDR) && !received(run),
        ),
        claim(
            &[LOCAL, ("natOutgoing", "off"), CONNTRACK, NAT, IPVS],
            "under IPVS the NAT helper sees no translation to follow: the data comes from the pod's address",
            |run| data_at_client(run) == Some(POD_ADDR),
        ),
    ]
}

/// IP packets that captures on a box saw in a direction, in order.
fn seen<'a>(run: &'a Run, host: &str, dir: TapDir) -> impl Iterator<Item = (EventId, &'a Ip)> + 'a {
    let host = query::host(run, host);
    query::entries(run).filter(move |(_, e)| Some(e.host) == host).filter_map(move |(id, e)| {
        match e.what()? {
            What::Tap { dir: d, frame, .. } if *d == dir => Some((id, frame.ip()?)),
            _ => None,
        }
    })
}

fn udp_from(ip: &Ip) -> Option<(Ipv4Addr, u16, u16)> {
    let (sport, dport) = ip.ports()?;
    Some((ip.src_v4()?, sport, dport))
}

/// From whom the pod's request comes.
fn request_at_pod(run: &Run) -> Option<Ipv4Addr> {
    seen(run, POD, TapDir::In)
        .filter_map(|(_, ip)| udp_from(ip))
        .find(|(_, _, to)| *to == PORT)
        .map(|(from, ..)| from)
}

/// From whom the client's first datagram comes.
fn data_at_client(run: &Run) -> Option<Ipv4Addr> {
    seen(run, CLIENT, TapDir::In).filter_map(|(_, ip)| udp_from(ip)).map(|(from, ..)| from).next()
}

/// The hooks that the first request meets on the node.
fn hooks_of_request(run: &Run) -> Vec<InetHook> {
    let Some(host) = query::host(run, NODE) else { return Vec::new() };
    let request = query::entries(run).find_map(|(_, e)| match e.what()? {
        What::Tap { frame, .. } if e.host == host && frame.ip()?.ports()?.1 == PORT => e.packet,
        _ => None,
    });
    query::entries(run)
        .filter(|(_, e)| e.host == host && e.packet == request)
        .filter_map(|(_, e)| match e.what()? {
            What::Hook(ctx) => Some(ctx.hook),
            _ => None,
        })
        .collect()
}

/// The node tells the pod that nobody waits for its data.
fn refused(run: &Run) -> Option<EventId> {
    seen(run, POD, TapDir::In)
        .find(|(_, ip)| {
            ip.icmp().is_some_and(|i| {
                i.kind == icmp_type::DEST_UNREACH && i.code == 3 && matches!(i.body, IcmpBody::Error { .. })
            }) && ip.src == IpAddr::V4(NODE_ADDR)
        })
        .map(|(id, _)| id)
}

fn expectation(run: &Run, kind: ExpectEventKind) -> Option<EventId> {
    query::first(run, NODE, |w| matches!(w, What::ExpectEvent(e) if e.kind == kind))
}

// ---------------------------------------------------------------------- moments

fn moments() -> Vec<Moment> {
    let moment = |key, find| Moment { key, find };
    vec![
        moment("start", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::Rule(step) if matches!(step.outcome, kernel::event::RuleOutcome::Match { .. })
                    && step.table == kernel::netfilter::xtables::TableId::Nat)
            })
        }),
        moment("scheduled", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::Ipvs { step: kernel::event::IpvsStep::Scheduled(..), .. })
            })
        }),
        moment("snat", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::Nat { after, .. } if after.ip().is_some_and(|ip| ip.src == IpAddr::V4(NODE_ADDR)
                    && ip.dst == IpAddr::V4(POD_ADDR)))
            })
        }),
        moment("data", |run| {
            seen(run, POD, TapDir::Out).find(|(_, ip)| udp_from(ip).is_some()).map(|(id, _)| id)
        }),
        moment("refused", refused),
        moment("expected", |run| expectation(run, ExpectEventKind::New)),
        moment("related", |run| {
            query::first(run, NODE, |w| {
                matches!(w, What::Conntrack { step: kernel::event::CtStep::Expected, .. })
            })
        }),
        moment("timeout", |run| {
            query::entries(run)
                .find(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::TftpTimedOut { .. })))
                .map(|(id, _)| id)
        }),
        moment("done", |run| {
            query::entries(run)
                .find(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::TftpReceived { .. })))
                .map(|(id, _)| id)
        }),
    ]
}
