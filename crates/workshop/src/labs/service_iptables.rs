//! What a NodePort Service adds to the nat table of a minikube.
//!
//! Addresses, ports and chains are those of "Kubernetes service iptables magic" (kube-proxy 1.10, docker0).

use crate::kube::{self, Cni, Kube, Mode, Outside};
use crate::lab::{Beat, Claim, Goal, Lab, Moment, Setting, Switch};
use crate::query::{self, answered};
use cluster::Objects;
use cluster::kube_proxy::Version;
use ipnet::Ipv4Net;
use kernel::event::{TapDir, What};
use kernel::netfilter::xtables::{ChainId, LoadedTable, TableId};
use kernel::socket::Errno;
use kernel::{Era, Modules};
use packet::TcpFlags;
use sim::{
    AppEvent, CloseHow, EventId, Outcome, Run, Scenario, Seen, ServerMode, ServerSpec, StepOutcome, Stimulus,
};
use std::net::Ipv4Addr;
use userland::iptables::references;

const NODE: &str = "minikube";
const LAPTOP: &str = "laptop";
const POD: &str = "helloworld";
const SERVICE: &str = "helloworld-service";
const NODE_ADDR: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 100);
const LAPTOP_ADDR: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 1);
const DOCKER0: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
const POD_ADDR: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 6);
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 106, 133, 16);

const SVC: &str = "KUBE-SVC-YLBSDKPE6MPDDRVY";
const SEP: &str = "KUBE-SEP-32ZXKBHCWGUC5KVE";

const ABSENT: (&str, &str) = ("service", "absent");
const PRESENT: (&str, &str) = ("service", "present");

/// The stimuli, by their place.
const POD_FROM_NODE: usize = 0;
const POD_FROM_LAPTOP: usize = 1;
const SERVICE_FROM_NODE: usize = 2;
const NODE_PORT: usize = 3;

/// The lab.
pub fn lab() -> Lab {
    Lab {
        name: "service-iptables",
        title: "What a Service is made of",
        summary: "A pod changes nothing in iptables; a Service adds two chains and a few rules, and suddenly the pod can be \
                  reached from outside.",
        focus: NODE,
        beats: beats(),
        switches: vec![Switch {
            name: "service",
            title: "helloworld-service, a NodePort Service for the pod",
            hosts: &[],
            positions: &[
                ("absent", "kubectl delete service helloworld-service"),
                ("present", "kubectl create -f helloworld-nodeport-service.yml"),
            ],
            default: "absent",
        }],
        scenario,
        stimuli: &[
            "minikube calls the pod, 172.17.0.6:3000",
            "the laptop calls the pod, 172.17.0.6:3000",
            "minikube calls 10.106.133.16:31001",
            "the laptop calls 192.168.99.100:31382",
        ],
        claims: claims(),
        goals: vec![Goal {
            text: "the laptop reaches the pod by a port of the node",
            reached: |run| answered(run, NODE_PORT),
        }],
        moments: moments(),
    }
}

fn beats() -> Vec<Beat> {
    let beat = |when, text| Beat { when, text };
    vec![
        beat(
            &[],
            "The pod **helloworld** listens on `172.17.0.6:3000`, behind docker0. The node [reaches it](pod): docker0 is in \
             its routing table. The laptop does not: it has no route to `172.17.0.0/16`.",
        ),
        beat(
            &[ABSENT],
            "Starting the pod has changed nothing in iptables. Nobody listens on port 31382 of the node, so its kernel \
             [refuses](refused) the laptop's connection, and `10.106.133.16` is nobody's address. Create the **service**.",
        ),
        beat(
            &[PRESENT],
            "The Service has added two chains, `KUBE-SVC-YLBSDKPE6MPDDRVY` and `KUBE-SEP-32ZXKBHCWGUC5KVE`, and a way to \
             them from `KUBE-SERVICES` for the ClusterIP and from [KUBE-NODEPORTS](nodeport) for port 31382.",
        ),
        beat(
            &[PRESENT],
            "`KUBE-SEP` does not do SNAT: it [turns the destination](dnat) into the pod, and marks only what comes from the \
             pod itself. A NodePort's packet was marked before, in `KUBE-NODEPORTS`; `KUBE-POSTROUTING` masquerades it, \
             so that the pod sees `172.17.0.1` and the answer [comes back](answer) by the node.",
        ),
    ]
}

// ---------------------------------------------------------------------- the world

fn objects(present: bool) -> Result<Objects, String> {
    let mut objects = kube::built_in(include_bytes!(concat!(env!("OUT_DIR"), "/service_iptables.objects")))?;
    if !present {
        objects.services.remove(&("default".to_owned(), SERVICE.to_owned()));
    }
    Ok(objects)
}

fn scenario(setting: &Setting) -> Result<Scenario, String> {
    let kube = Kube {
        objects: objects(setting.get("service").is_some_and(|v| v == "present"))?,
        mode: Mode::Iptables,
        version: Version::V1_10,
        era: Era::V4_19,
        modules: Modules { br_netfilter: true, ..Modules::default() },
        cni: &Cni::DOCKER,
        cluster_cidr: None,
        nat_outgoing: false,
        hairpin: false,
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(192, 168, 99, 254),
        outside: vec![Outside {
            name: LAPTOP.to_owned(),
            addr: Ipv4Net::new_assert(LAPTOP_ADDR, 24),
            knows_pods: false,
        }],
    };
    let mut boxes = kube.boxes()?;
    let bind = (Ipv4Addr::UNSPECIFIED, 3000);
    boxes.serve(POD, ServerSpec { tcp: true, bind, mode: ServerMode::Http, closes: false });
    let call = |host: &str, src, dst: (Ipv4Addr, u16)| Stimulus::Tcp {
        host: host.to_owned(),
        src,
        dst,
        request: format!("GET / HTTP/1.1\r\nHost: {}:{}\r\n\r\n", dst.0, dst.1).into_bytes(),
        close: CloseHow::Client,
        timeout_ms: 1500,
    };
    let stimuli = vec![
        call(NODE, (DOCKER0, 40_001), (POD_ADDR, 3000)),
        call(LAPTOP, (LAPTOP_ADDR, 40_002), (POD_ADDR, 3000)),
        call(NODE, (NODE_ADDR, 40_003), (CLUSTER_IP, 31001)),
        call(LAPTOP, (LAPTOP_ADDR, 40_004), (NODE_ADDR, 31382)),
    ];
    Ok(Scenario { hosts: boxes.hosts, links: boxes.links, stimuli, settle_ms: 40 })
}

// ---------------------------------------------------------------------- claims and goals

fn failed(run: &Run, n: usize, errno: Errno) -> bool {
    run.steps.get(n).is_some_and(
        |s| matches!(&s.outcome, StepOutcome::App(Outcome::Tcp { connect: Some(Err(e)), .. }) if *e == errno),
    )
}

fn nat(run: &Run) -> Option<&LoadedTable> {
    run.world.host(query::host(run, NODE)?)?.table(TableId::Nat)
}

/// How many rules lead to a chain of table nat; `None` if there is no such chain.
fn refs(run: &Run, name: &str) -> Option<usize> {
    let table = nat(run)?;
    let at = table.rules.chains.iter().position(|c| &*c.name == name)?;
    Some(references(&table.rules, ChainId(u16::try_from(at).ok()?)))
}

/// The chains of table nat that the laptop's call of the node port enters.
fn node_port_chains(run: &Run) -> Vec<String> {
    let segments = query::segments(run, NODE);
    let syn = segments.iter().find(|c| query::flags_are(c.tcp, &[TcpFlags::SYN]) && c.tcp.dport == 31382);
    let Some(syn) = syn else { return Vec::new() };
    let entered = query::chains_entered(run, NODE, syn.packet).into_iter();
    entered.filter(|(table, _)| *table == TableId::Nat).map(|(_, chain)| chain).collect()
}

fn claims() -> Vec<Claim> {
    let claim = |when, text, holds| Claim { text, when, holds };
    vec![
        claim(&[], "minikube reaches the pod", |run| answered(run, POD_FROM_NODE)),
        claim(&[], "the laptop has no route to the pod", |run| {
            failed(run, POD_FROM_LAPTOP, Errno::ENETUNREACH)
        }),
        claim(&[ABSENT], "no chain is the Service's", |run| {
            nat(run).is_some() && refs(run, SVC).is_none() && refs(run, SEP).is_none()
        }),
        claim(&[ABSENT], "KUBE-MARK-MASQ has 7 references", |run| refs(run, "KUBE-MARK-MASQ") == Some(7)),
        claim(&[ABSENT], "the node refuses the laptop's connection to port 31382", |run| {
            failed(run, NODE_PORT, Errno::ECONNREFUSED)
        }),
        claim(&[ABSENT], "the ClusterIP does not answer", |run| !answered(run, SERVICE_FROM_NODE)),
        claim(&[PRESENT], "the Service's chain has 2 references, its endpoint's has 1", |run| {
            refs(run, SVC) == Some(2) && refs(run, SEP) == Some(1)
        }),
        claim(&[PRESENT], "KUBE-MARK-MASQ has 9 references", |run| refs(run, "KUBE-MARK-MASQ") == Some(9)),
        claim(&[PRESENT], "minikube reaches the pod by the ClusterIP", |run| {
            answered(run, SERVICE_FROM_NODE)
        }),
        claim(
            &[PRESENT],
            "the laptop's packet meets KUBE-NODEPORTS, KUBE-MARK-MASQ and both new chains",
            |run| {
                let chains = node_port_chains(run);
                let mut rest = chains.iter();
                let way = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-MARK-MASQ", SVC, SEP, "KUBE-POSTROUTING"];
                way.iter().all(|w| rest.any(|c| c == w))
            },
        ),
        claim(&[PRESENT], "the pod sees it come from docker0's address, 172.17.0.1", |run| {
            let last = query::segments(run, POD)
                .into_iter()
                .rfind(|c| c.dir == TapDir::In && query::flags_are(c.tcp, &[TcpFlags::SYN]));
            last.and_then(|c| c.ip.src_v4()) == Some(DOCKER0)
        }),
    ]
}

// ---------------------------------------------------------------------- moments

/// A packet to the node port has got so far.
fn of_node_port(run: &Run, test: impl Fn(&What) -> bool) -> Option<EventId> {
    let node = query::host(run, NODE)?;
    let segments = query::segments(run, NODE);
    let syn = segments.iter().find(|c| query::flags_are(c.tcp, &[TcpFlags::SYN]) && c.tcp.dport == 31382)?;
    query::entries(run)
        .find(|(_, e)| e.host == node && e.packet == Some(syn.packet) && e.what().is_some_and(&test))
        .map(|(id, _)| id)
}

fn moments() -> Vec<Moment> {
    let moment = |key, find| Moment { key, find };
    vec![
        moment("start", |run| of_node_port(run, |w| matches!(w, What::Rule(_)))),
        moment("pod", |run| query::segments(run, POD).first().map(|c| c.id)),
        moment("refused", |run| {
            let segments = query::segments(run, LAPTOP);
            let rst = segments.iter().find(|c| c.dir == TapDir::In && c.tcp.flags.has(TcpFlags::RST))?;
            Some(rst.id)
        }),
        moment("nodeport", |run| {
            of_node_port(run, |w| matches!(w, What::Rule(step) if &*step.chain == "KUBE-NODEPORTS"))
        }),
        moment("dnat", |run| {
            of_node_port(
                run,
                |w| matches!(w, What::Nat { after, .. } if after.ip().and_then(|ip| ip.dst_v4()) == Some(POD_ADDR)),
            )
        }),
        moment("answer", |run| {
            query::entries(run)
                .filter(|(_, e)| matches!(&e.seen, Seen::App(AppEvent::Reply { .. })))
                .map(|(id, _)| id)
                .last()
        }),
    ]
}
