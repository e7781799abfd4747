//! 000: a TFTP server behind NodePort 69, kube-proxy in mode ipvs.

mod rules;

use crate::{capture, netns, shell};
use cluster::Objects;
use cluster::kube_proxy::Version;
use kernel::event::{CtStep, TapDir, What};
use kernel::{Era, Modules, PacketId};
use packet::Ip;
use sim::operator::CommandOutput;
use sim::{Run, Scenario};
use std::net::{IpAddr, Ipv4Addr};
use workshop::kube::{self, Cni, Kube, Mode};
use workshop::session::{At, Typed};
use workshop::{LabRun, Session, Setting, query};

const NODE: &str = "learn-k8s-2";
const OTHER_NODE: &str = "learn-k8s-1";
/// The pod. The article's has this name in part 6 of its series, and from it follows the name of the veth.
const POD_NAME: &str = "tftp-server-69d49ffb8b-44m45";
/// "at veth interface (calic0bf1043683)"
const VETH: &str = "calic0bf1043683";
/// "at ethernet interface of node (ens160)"
const ETHERNET: &str = "ens160";
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 100, 197));
const NODE_ADDR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 100, 208));
const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 29, 77));

const BOTH_MODULES: [(&str, &str); 2] = [("nf_conntrack_tftp", "on"), ("nf_nat_tftp", "on")];

/// The article's cluster: IPVS, Linux 3.10, natOutgoing; `changes` are positions of switches.
fn tftp(changes: &[(&str, &str)]) -> LabRun {
    crate::lab("tftp-ipvs", changes)
}

/// The article's objects, and `more`.
fn objects(more: &str) -> Objects {
    let mut documents = workshop::lab("tftp-ipvs").unwrap().objects;
    documents.extend(cluster::yaml::documents(more).unwrap());
    kube::of_documents(&documents).unwrap()
}

/// Nodes with what kube-proxy makes of these objects. Nothing is sent.
fn nodes(objects: Objects, mode: Mode, cluster_cidr: Option<&str>) -> Run {
    let kube = Kube {
        objects,
        mode: Some(mode),
        uplink: kube::UPLINK.to_owned(),
        version: Version::default(),
        kubelet: Version::default(),
        era: Era::V3_10,
        modules: Modules::default(),
        cni: &Cni::CALICO_VETHS,
        cluster_cidr: cluster_cidr.map(|c| c.parse().unwrap()),
        nat_outgoing: true,
        hairpin: false,
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(10, 10, 100, 1),
        outside: Vec::new(),
    };
    let boxes = kube.boxes().unwrap();
    Scenario { hosts: boxes.hosts, links: boxes.links, stimuli: Vec::new(), settle_ms: 40 }.run().unwrap()
}

const CIDR: Option<&str> = Some("192.168.0.0/16");

// ---------------------------------------------------------------------- the failure

/// The client is 10.10.100.197, the node 10.10.100.208, the pod 192.168.29.77:69; NodePort and target port are 69.
#[test]
fn the_node_port_is_69_and_leads_to_the_pod() {
    let run = tftp(&[]);
    let list = shell(&run.run, NODE, "ipvsadm -Ln");
    let at = list.iter().position(|l| l.starts_with("UDP  10.10.100.208:69 ")).unwrap();
    assert!(list[at + 1].contains("192.168.29.77:69"), "{list:?}");
    assert_eq!(capture(&run.run, NODE, ETHERNET)[0].2.src, CLIENT);
}

/// The kernel is RHEL 7's 3.10.
#[test]
fn the_nodes_run_linux_3_10() {
    let run = tftp(&[]);
    assert_eq!(netns(&run.run, NODE).era().release(), "3.10.0-1062.1.2.el7.x86_64");
}

/// The tool says that the transfer timed out.
#[test]
fn the_transfer_times_out() {
    assert_eq!(tftp(&[]).stimuli[0].outcome, "Transfer timed out.");
}

/// On the pod's veth: the request comes from the node (SNAT), the data is answered by ICMP port unreachable.
#[test]
fn the_pod_is_asked_by_the_node_and_its_data_is_answered_by_port_unreachable() {
    let run = tftp(&[]);
    let seen = capture(&run.run, NODE, VETH);
    let line = |n: usize| {
        let (dir, _, ip): (TapDir, PacketId, &Ip) = seen[n];
        (dir, ip.src, ip.dst, ip.ports().map(|(_, to)| to), ip.icmp().map(|i| (i.kind, i.code)))
    };
    assert_eq!(line(0), (TapDir::Out, NODE_ADDR, POD, Some(69), None));
    let (dir, from, to, port, _) = line(1);
    assert_eq!((dir, from, to), (TapDir::In, POD, NODE_ADDR));
    assert_ne!(port, Some(69));
    let (dir, from, to, _, icmp) = line(2);
    assert_eq!((dir, from, to, icmp), (TapDir::Out, NODE_ADDR, POD, Some((3, 3))));
}

/// tcpdump prints "10.10.100.208 udp port N unreachable", where N is the port that masquerading chose.
#[test]
fn the_unreachable_port_is_the_masqueraded_one() {
    let run = tftp(&[]);
    let masqueraded = capture(&run.run, NODE, VETH)[0].2.ports().unwrap().0;
    assert_ne!(masqueraded, 27661, "the client's own port");
    let node = run.run.world.host_by_name(NODE).unwrap();
    let lines = sim::view::capture(&run.run.world);
    let icmp = lines.iter().find(|l| l.host == node && l.text.contains("ICMP")).unwrap();
    let expected =
        format!("10.10.100.208 > 192.168.29.77: ICMP 10.10.100.208 udp port {masqueraded} unreachable");
    assert!(icmp.text.contains(&expected), "{}", icmp.text);
}

/// ... because neither a socket nor a conntrack entry of the node waits for data from a new port.
#[test]
fn the_data_begins_a_flow_that_conntrack_does_not_know() {
    let run = tftp(&[]);
    let node = run.run.world.host_by_name(NODE).unwrap();
    let data = capture(&run.run, NODE, VETH)[1].1;
    let mut steps = query::entries(&run.run).filter_map(|(_, e)| match e.what()? {
        What::Conntrack { step, .. } if e.host == node && e.packet == Some(data) => Some(*step),
        _ => None,
    });
    assert_eq!(steps.next(), Some(CtStep::New));
}

/// The capture on the node's Ethernet has one packet, the request. (The client here asks again every five seconds.)
#[test]
fn the_nodes_ethernet_shows_one_packet_until_the_client_asks_again() {
    let run = tftp(&[]);
    let node = run.run.world.host_by_name(NODE).unwrap();
    let lines = sim::view::capture(&run.run.world);
    let lines = lines.iter().filter(|l| l.host == node && l.dev == ETHERNET && !l.noise);
    let first: Vec<&str> = lines.filter(|l| l.time.as_str() < "00:00:05").map(|l| l.text.as_str()).collect();
    assert!(
        first.len() == 1 && first[0].contains("10.10.100.197.27661 > 10.10.100.208.69: TFTP"),
        "{first:?}"
    );
}

#[test]
fn the_nodes_ethernet_never_shows_a_response() {
    let run = tftp(&[]);
    let seen = capture(&run.run, NODE, ETHERNET);
    assert!(!seen.is_empty());
    for (dir, _, ip) in seen {
        assert_eq!((dir, ip.src, ip.dst), (TapDir::In, CLIENT, NODE_ADDR));
    }
}

/// Mode iptables shows the same symptoms.
#[test]
fn mode_iptables_fails_in_the_same_way() {
    let run = tftp(&[("mode", "iptables")]);
    assert_eq!(run.stimuli[0].outcome, "Transfer timed out.");
    let icmp = capture(&run.run, NODE, VETH)[2].2;
    assert_eq!((icmp.src, icmp.icmp().map(|i| (i.kind, i.code))), (NODE_ADDR, Some((3, 3))));
}

// ---------------------------------------------------------------------- the cure

/// `modprobe -v` prints an insmod for each module.
#[test]
fn modprobe_says_which_files_it_inserts() {
    let run = tftp(&[]);
    let mut world = run.run.world.clone();
    let node = world.host_by_name(NODE).unwrap();
    for module in ["nf_conntrack_tftp", "nf_nat_tftp"] {
        let mut modprobe = || {
            let argv = crate::words(&format!("modprobe -v {module}"));
            sim::operator::command(&mut world, node, &argv, None).unwrap().stdout
        };
        let file = format!("/lib/modules/3.10.0-1062.1.2.el7.x86_64/kernel/net/netfilter/{module}.ko.xz");
        assert_eq!(modprobe(), [format!("insmod {file} ")]);
        assert_eq!(modprobe(), Vec::<String>::new(), "it is there already");
    }
}

/// The NAT half needs the other one: modprobe brings it along, and does not take it away from under it.
#[test]
fn nf_nat_tftp_needs_nf_conntrack_tftp() {
    let run = tftp(&[]);
    let mut world = run.run.world.clone();
    let node = world.host_by_name(NODE).unwrap();
    let mut modprobe = |args: &str| {
        let argv = crate::words(&format!("modprobe {args}"));
        sim::operator::command(&mut world, node, &argv, None).unwrap()
    };
    assert_eq!(modprobe("-v nf_nat_tftp").stdout.len(), 2);
    let refused = modprobe("-r nf_conntrack_tftp");
    assert_eq!(refused.stderr, ["modprobe: FATAL: Module nf_conntrack_tftp is in use."]);
    assert_eq!(modprobe("-v -r nf_nat_tftp").stdout, ["rmmod nf_nat_tftp", "rmmod nf_conntrack_tftp"]);
    assert_eq!(modprobe("-r nf_conntrack_tftp").status, 0);
}

/// With both modules, and nothing else on this kernel, 2016 bytes arrive.
#[test]
fn with_both_modules_2016_bytes_arrive() {
    let run = tftp(&BOTH_MODULES);
    assert!(run.stimuli[0].outcome.starts_with("Received 2016 bytes in "));
    assert!(run.goals.iter().all(|g| g.reached));
}

/// Later kernels assign no helper by themselves: there a CT rule is needed too (the lab makes it, without it nothing helps).
#[test]
fn only_old_kernels_assign_the_helper_by_themselves() {
    for kernel in ["3.10", "4.19", "5.15", "6.1", "6.18"] {
        let automatic = kernel == "3.10";
        let run = tftp(&[&BOTH_MODULES[..], &[("kernel", kernel)]].concat());
        let rules = shell(&run.run, NODE, "iptables -t raw -S PREROUTING");
        let has_rule = rules.iter().any(|r| r.ends_with("-j CT --helper tftp"));
        assert_eq!((has_rule, run.goals[0].reached), (!automatic, true), "{kernel}: {rules:?}");
    }
}

/// IPVS still depends on iptables; only the number of rules does not grow with the Services.
#[test]
fn in_mode_ipvs_the_number_of_rules_does_not_grow_with_the_services() {
    let many = |n: u8| {
        let one = |i: u8| {
            format!(
                "
---
kind: Service
metadata: {{name: s{i}, namespace: default}}
spec:
  clusterIP: 10.98.37.{i}
  clusterIPs: [10.98.37.{i}]
  ports:
    - {{name: web, protocol: TCP, port: 80}}
---
kind: EndpointSlice
metadata: {{name: s{i}-1, namespace: default, labels: {{kubernetes.io/service-name: s{i}}}}}
addressType: IPv4
endpoints:
  - {{addresses: [192.168.29.{i}], nodeName: learn-k8s-2}}
ports:
  - {{name: web, protocol: TCP, port: 80}}
"
            )
        };
        (100..100 + n).map(one).collect::<String>()
    };
    let rules = |mode, n| {
        let list = shell(&nodes(objects(&many(n)), mode, CIDR), NODE, "iptables -t nat -S");
        list.iter().filter(|l| l.starts_with("-A KUBE")).count()
    };
    assert_eq!(rules(Mode::Ipvs, 2), rules(Mode::Ipvs, 20));
    assert!(rules(Mode::Ipvs, 2) > 0, "it still depends on iptables");
    // For each Service: KUBE-SERVICES, KUBE-SVC (mark, jump), KUBE-SEP (mark, DNAT).
    assert_eq!(rules(Mode::Iptables, 20) - rules(Mode::Iptables, 2), 18 * 5);
}

// ---------------------------------------------------------------------- Local is not "no NAT"

/// With Local and no masquerade by the CNI the data leaves with the pod's own source, 192.168.29.77:47624, and fails.
#[test]
fn with_local_alone_the_data_comes_from_the_pod_and_is_of_no_use() {
    let run = tftp(&[("externalTrafficPolicy", "Local"), ("natOutgoing", "off")]);
    let data =
        capture(&run.run, "client", "eth0").into_iter().find(|(dir, ..)| *dir == TapDir::In).unwrap().2;
    assert_eq!((data.src, data.ports().map(|(from, _)| from)), (POD, Some(47624)));
    assert_eq!(run.stimuli[0].outcome, "Transfer timed out.");
}

/// It works on Calico because natOutgoing masquerades what pods send outside.
#[test]
fn with_local_and_nat_outgoing_the_data_comes_from_the_node_and_arrives() {
    let run = tftp(&[("externalTrafficPolicy", "Local"), ("natOutgoing", "on")]);
    let data =
        capture(&run.run, "client", "eth0").into_iter().find(|(dir, ..)| *dir == TapDir::In).unwrap().2;
    assert_eq!(data.src, NODE_ADDR);
    assert!(run.stimuli[0].outcome.starts_with("Received 2016 bytes in "));
}

// ---------------------------------------------------------------------- what is typed

/// The lab after these commands, each with its box and what it reads.
fn after(changes: &[(&str, &str)], typed: &[(&str, &str, &str)]) -> Vec<CommandOutput> {
    let changes = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let typed = typed.iter().map(|(on, line, stdin)| Typed {
        at: At::End,
        on: Some((*on).to_owned()),
        line: (*line).to_owned(),
        stdin: (*stdin).to_owned(),
    });
    let mut session = Session::new(workshop::lab("tftp-ipvs").unwrap().into());
    (session.changes, session.typed) = (Setting::from_iter(changes), typed.collect());
    session.run().unwrap().typed.into_iter().map(|t| t.output.unwrap()).collect()
}

/// "tftp> get dummy.txt": "Transfer timed out."; with both modules "getting from 10.10.100.208:dummy.txt to dummy.txt [netascii]" and
/// "Received 2016 bytes in".
#[test]
fn the_dialogue_of_tftp_is_the_articles() {
    let dialogue = [("client", "tftp -v 10.10.100.208", "get dummy.txt\n")];
    let lines = after(&[], &dialogue).remove(0).stdout;
    assert!(lines.iter().any(|l| l.ends_with("Transfer timed out.")), "{lines:?}");
    let lines = after(&BOTH_MODULES, &dialogue).remove(0).stdout;
    assert_eq!(lines[0], "tftp> getting from 10.10.100.208:dummy.txt to dummy.txt [netascii]");
    assert!(lines[1].starts_with("Received 2016 bytes in 0.0 seconds ["), "{lines:?}");
}

/// The file has 2016 bytes on both sides.
#[test]
fn dummy_txt_is_the_file_of_the_servers_folder() {
    let run = tftp(&BOTH_MODULES).run;
    let served = shell(&run, POD_NAME, "cat /var/lib/tftpboot/dummy.txt");
    assert_eq!(served.concat().len(), 2016);
    assert_eq!(shell(&run, "client", "cat dummy.txt"), served);
    assert_eq!(shell(&run, POD_NAME, "ls /var/lib/tftpboot"), ["dummy.txt"]);
}

/// "# modprobe -v nf_conntrack_tftp", "# modprobe -v nf_nat_tftp", and then the transfer succeeds: loaded by hand, too.
#[test]
fn modules_that_are_loaded_by_hand_do_as_well() {
    let get = ("client", "tftp -v 10.10.100.208 -c get dummy.txt", "");
    let modprobe = |line| (NODE, line, "");
    let typed = [get, modprobe("modprobe -v nf_conntrack_tftp"), modprobe("modprobe -v nf_nat_tftp"), get];
    let outputs = after(&[], &typed);
    let received = |n: usize| outputs[n].stdout.iter().any(|l| l.starts_with("Received 2016 bytes"));
    assert!(!received(0) && received(3), "{outputs:?}");
}

/// "kubectl apply -f dpe-app-service.yaml": "service/tftp-server configured".
#[test]
fn the_service_is_configured() {
    let out = crate::typed(
        "tftp-ipvs",
        &[],
        &["kubectl apply -f dpe-app-service.yaml", "kubectl get svc tftp-server"],
    );
    assert_eq!(out[0].stdout, ["service/tftp-server configured"]);
    assert!(out[1].stdout[1].contains(" NodePort   10.98.36.69   <none>        69:69/UDP "), "{out:?}");
}

/// "Packets on server node at veth interface (calic0bf1043683)" and "at ethernet interface of node (ens160)": what is typed there.
#[test]
fn both_captures_can_be_typed() {
    let lines = [
        "learn-k8s-2: tcpdump -nn -i calic0bf1043683 udp or icmp",
        "learn-k8s-2: tcpdump -nn -i ens160 -c 1 udp or icmp",
    ];
    let out = crate::typed("tftp-ipvs", &[], &lines);
    let veth = &out[0].stdout;
    assert!(veth[0].contains(" IP 10.10.100.208.") && veth[0].contains(" > 192.168.29.77.69: "), "{veth:?}");
    assert!(veth[2].contains(" IP 10.10.100.208 > 192.168.29.77: ICMP 10.10.100.208 udp port "), "{veth:?}");
    let ethernet = &out[1].stdout;
    assert!(
        ethernet.len() == 1 && ethernet[0].contains(" IP 10.10.100.197.27661 > 10.10.100.208.69: "),
        "{ethernet:?}"
    );
    assert!(out[1].stderr.contains(&"1 packet captured".to_owned()), "{:?}", out[1].stderr);
}
