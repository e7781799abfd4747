//! Packets through the boxes that each CNI profile builds: between nodes, to the world, to a port of the node, to oneself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::Version;
use kernel::event::{TapDir, What};
use nflab::cluster::ClusterOptions;
use packet::{L4, Protocol};
use sim::apps::Reply;
use sim::{CloseHow, Outcome, Run, Scenario, Seen, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use std::str::FromStr;
use workshop::kube::{self, Cni, Kube, Mode, Outside, PROFILES};

const CLUSTER: &str = include_str!("data/cni/cluster.yaml");
const NODE_1: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 2);
const NODE_2: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 3);
const LAPTOP: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 50);
const WEB: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 10);
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 11);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 244, 2, 10);
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 80);

/// As `nflab cluster` builds it if nothing is said, but for the pods' network.
fn options(cni: &'static Cni) -> ClusterOptions {
    ClusterOptions {
        cni,
        mode: Mode::Iptables,
        version: Version::default(),
        cluster_cidr: Some("10.244.0.0/16".parse().unwrap()),
        nat_outgoing: true,
        hairpin: false,
        promisc: cni.promisc,
    }
}

fn cluster(options: &ClusterOptions) -> Kube {
    let mut kube = nflab::cluster::kube(kube::objects(CLUSTER).unwrap(), options).unwrap();
    let addr = ipnet::Ipv4Net::new_assert(LAPTOP, 24);
    kube.outside.push(Outside { name: "laptop".to_owned(), addr, knows_pods: false });
    kube
}

/// Someone connects and sends a request of this length.
fn call(options: &ClusterOptions, host: &str, dst: (Ipv4Addr, u16), len: usize) -> Run {
    call_in(&cluster(options), host, dst, len)
}

fn call_in(kube: &Kube, host: &str, dst: (Ipv4Addr, u16), len: usize) -> Run {
    let mut boxes = kube.boxes().unwrap();
    for name in ["web", "laptop"] {
        let bind = (Ipv4Addr::UNSPECIFIED, 80);
        boxes.serve(name, ServerSpec { tcp: true, bind, mode: ServerMode::Echo, closes: false });
    }
    let stimulus = Stimulus::Tcp {
        host: host.to_owned(),
        src: (Ipv4Addr::UNSPECIFIED, 0),
        dst,
        request: vec![b'x'; len],
        close: CloseHow::Client,
        timeout_ms: 900,
    };
    let (hosts, links) = (boxes.hosts, boxes.links);
    Scenario { hosts, links, stimuli: vec![stimulus], settle_ms: 5 }.run().unwrap()
}

/// Whom the server saw, in its own words; `None` if there was no answer.
fn seen(run: &Run) -> Option<Ipv4Addr> {
    let StepOutcome::App(Outcome::Tcp { reply: Some(Reply::Data(data)), .. }) = &run.steps[0].outcome else {
        return None;
    };
    let text = String::from_utf8(data.clone()).unwrap();
    text.split(" saw ").nth(1)?.split(':').next()?.parse().ok()
}

/// What crosses the LAN: the IP packets that a node sends by its uplink.
fn on_the_lan(run: &Run) -> Vec<packet::Ip> {
    let entries = run.world.log().entries().iter();
    entries
        .filter_map(|e| match &*e.seen {
            Seen::Kernel(What::Tap { dev, dir: TapDir::Out, frame }) => {
                let ns = run.world.host(e.host)?;
                (ns.name.starts_with("node-") && ns.dev_name(*dev) == "eth0").then(|| frame.ip().cloned())?
            }
            _ => None,
        })
        .collect()
}

#[test]
fn every_profile_leads_from_pod_to_pod_across_nodes() {
    for cni in PROFILES {
        // What the bridge plugin's ipMasq and Docker take for outside is masqueraded: the pods' networks of other nodes too.
        let masqueraded = ["bridge", "docker"].contains(&cni.name);
        let saw = seen(&call(&options(cni), "far", (WEB, 80), 3));
        assert_eq!(saw, Some(if masqueraded { NODE_2 } else { FAR }), "{}", cni.name);
        let plain = ClusterOptions { nat_outgoing: false, ..options(cni) };
        let masqueraded = cni.name == "docker";
        assert_eq!(
            seen(&call(&plain, "far", (WEB, 80), 3)),
            Some(if masqueraded { NODE_2 } else { FAR }),
            "{}",
            cni.name
        );
    }
}

#[test]
fn overlays_carry_the_pods_packets_inside_their_own() {
    for (cni, proto, headroom) in [
        (&Cni::FLANNEL, Protocol::UDP, 50),
        (&Cni::FLANNEL_0_19, Protocol::UDP, 50),
        (&Cni::CALICO_IPIP, Protocol::IPIP, 20),
    ] {
        // More than fits one packet: the pods know the tunnel's MTU, so nothing is cut.
        let run = call(&options(cni), "far", (WEB, 80), 2700);
        assert_eq!(seen(&run), Some(FAR), "{}", cni.name);
        let packets = on_the_lan(&run);
        assert!(packets.len() > 5, "{}", cni.name);
        for ip in &packets {
            let ends = [ip.src_v4().unwrap(), ip.dst_v4().unwrap()];
            assert!(ends == [NODE_1, NODE_2] || ends == [NODE_2, NODE_1], "{}: {ends:?}", cni.name);
            assert_eq!(ip.protocol(), proto, "{}", cni.name);
            assert!(
                ip.segment_len() <= 1500 && !ip.is_fragment(),
                "{}: {} bytes",
                cni.name,
                ip.segment_len()
            );
            if let L4::Udp(u) = &ip.l4 {
                assert_eq!((u.dport, ip.frag.df, ip.ttl), (8472, false, 64), "{}", cni.name);
            }
        }
        assert_eq!(cni.mtu, Some(1500 - headroom));
    }
    for cni in [&Cni::BRIDGE, &Cni::KUBENET, &Cni::FLANNEL_HOST_GW, &Cni::CALICO, &Cni::CALICO_VETHS] {
        let packets = on_the_lan(&call(&options(cni), "far", (WEB, 80), 2700));
        assert!(packets.iter().all(|ip| ip.protocol() == Protocol::TCP), "{}", cni.name);
    }
}

#[test]
fn what_pods_send_to_the_world_bears_the_nodes_address() {
    for cni in PROFILES {
        // The laptop is on the nodes' LAN; kubenet leaves private networks of 10/8 alone, not this one.
        assert_eq!(seen(&call(&options(cni), "near", (LAPTOP, 80), 3)), Some(NODE_1), "{}", cni.name);
        let plain = ClusterOptions { nat_outgoing: false, ..options(cni) };
        let always = ["docker", "kubenet"].contains(&cni.name);
        // The laptop has no way back to a pod.
        assert_eq!(seen(&call(&plain, "near", (LAPTOP, 80), 3)), always.then_some(NODE_1), "{}", cni.name);
    }
}

#[test]
fn a_port_of_the_node_leads_to_the_pod_that_asked_for_it() {
    for cni in PROFILES {
        let mapped = cni.name != "calico-veths";
        assert_eq!(
            seen(&call(&options(cni), "laptop", (NODE_1, 8080), 3)),
            mapped.then_some(LAPTOP),
            "{}",
            cni.name
        );
        // Not on the other node.
        assert_eq!(seen(&call(&options(cni), "laptop", (NODE_2, 8080), 3)), None, "{}", cni.name);
    }
}

#[test]
fn the_node_reaches_such_a_port_by_its_loopback_where_portmap_makes_it() {
    // 127/8 crosses to the pod's device (route_localnet), and the mark of portmap has it masqueraded.
    let gateway = Ipv4Addr::new(10, 244, 1, 1);
    for (cni, saw) in [(&Cni::BRIDGE, gateway), (&Cni::FLANNEL, gateway), (&Cni::CALICO, NODE_1)] {
        assert_eq!(
            seen(&call(&options(cni), "node-1", (Ipv4Addr::LOCALHOST, 8080), 3)),
            Some(saw),
            "{}",
            cni.name
        );
    }
}

#[test]
fn a_pod_reaches_itself_by_its_service_if_the_bridge_sends_back() {
    let gateway = Ipv4Addr::new(10, 244, 1, 1);
    for cni in PROFILES.into_iter().filter(|c| c.bridge.is_some()) {
        let with = |hairpin, promisc| ClusterOptions { hairpin, promisc, ..options(cni) };
        let saw = |options: &ClusterOptions| seen(&call(options, "web", (SERVICE, 80), 3));
        assert_eq!(saw(&with(false, false)), None, "{}", cni.name);
        assert_eq!(saw(&with(true, false)), Some(gateway), "{}", cni.name);
        // As recorded (S5-promisc-bnf1): with br_netfilter the packet is translated on the bridge, and stays there.
        assert_eq!(saw(&with(false, true)), None, "{}", cni.name);
        // Another pod is reached in any case.
        assert_eq!(seen(&call(&with(false, false), "near", (SERVICE, 80), 3)), Some(NEAR), "{}", cni.name);
    }
    // Without br_netfilter the node routes the packet, and whatever mode the port has it comes back.
    for hairpin in [false, true] {
        let mut kube = cluster(&ClusterOptions { hairpin, ..options(&Cni::KUBENET) });
        kube.modules.br_netfilter = false;
        assert_eq!(seen(&call_in(&kube, "web", (SERVICE, 80), 3)), Some(gateway), "hairpin {hairpin}");
    }
    // Where pods hang on no bridge, the way leads through the node.
    assert_eq!(seen(&call(&options(&Cni::CALICO), "web", (SERVICE, 80), 3)), Some(NODE_1));
}

/// A mark that NAT's rules use stays on the packet around (`skb_scrub_packet`): flannel leaves what kube-proxy has marked alone.
#[test]
fn a_service_is_reached_across_nodes_through_each_overlay() {
    for cni in [&Cni::FLANNEL, &Cni::FLANNEL_0_19, &Cni::CALICO_IPIP] {
        assert_eq!(seen(&call(&options(cni), "far", (SERVICE, 80), 3)), Some(FAR), "{}", cni.name);
        // From the node itself the source is the tunnel's address.
        let tunnel = Ipv4Addr::new(10, 244, 2, 0);
        assert_eq!(seen(&call(&options(cni), "node-2", (SERVICE, 80), 3)), Some(tunnel), "{}", cni.name);
    }
}

#[test]
fn the_kubelets_jumps_are_there_once() {
    for version in [Version::V1_10, Version::V1_23, Version::V1_25, Version::V1_27, Version::V1_35] {
        let kube = cluster(&ClusterOptions { version, ..options(&Cni::BRIDGE) });
        let mut world = nflab::cluster::world(&kube).unwrap();
        let text = nflab::cluster::text(&mut world, &kube, Some("node-1")).unwrap();
        assert_eq!(text.matches("-A INPUT -j KUBE-FIREWALL\n").count(), 1, "{version}");
        assert_eq!(text.matches("-A OUTPUT -j KUBE-FIREWALL\n").count(), 1, "{version}");
    }
}

/// What the tools print on a node of flannel.
#[test]
fn flannels_devices_and_entries_as_the_tools_print_them() {
    let kube = cluster(&options(&Cni::FLANNEL));
    let mut world = nflab::cluster::world(&kube).unwrap();
    let text = nflab::cluster::text(&mut world, &kube, Some("node-2")).unwrap();
    for line in [
        "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink ",
        "10.244.1.0 dev flannel.1 lladdr 0e:f1:c0:a8:00:02 PERMANENT ",
        "0e:f1:c0:a8:00:02 dst 192.168.0.2 self permanent",
        "-A FLANNEL-POSTRTG -s 10.244.2.0/24 -d 10.244.0.0/16 -m comment --comment \"flanneld masq\" -j RETURN",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(nflab::cluster::text(&mut world, &kube, Some("nobody")).unwrap_err().contains("node-1"));
}

#[test]
fn a_service_answers_in_every_mode_of_kube_proxy() {
    // kubenet went with Kubernetes 1.24, before mode nftables came: its rules for host ports lead to kube-proxy's KUBE-MARK-MASQ.
    for cni in PROFILES.iter().filter(|cni| cni.name != "kubenet") {
        let saw = |mode, from: &str| {
            let run = call(&ClusterOptions { mode, ..options(cni) }, from, (SERVICE, 80), 3);
            // kube-proxy's own table, and none of its chains beside it.
            let node = run.world.host_by_name("node-2").and_then(|id| run.world.host(id)).unwrap();
            assert_eq!(node.nft.tables().is_empty(), mode != Mode::Nftables, "{}", cni.name);
            seen(&run)
        };
        for from in ["far", "near"] {
            let expected = saw(Mode::Iptables, from);
            assert!(expected.is_some(), "{} from {from}", cni.name);
            for mode in [Mode::Ipvs, Mode::Nftables] {
                assert_eq!(saw(mode, from), expected, "{} from {from}, {mode:?}", cni.name);
            }
        }
    }
}

#[test]
fn a_mode_that_a_release_has_not_is_refused() {
    let old = ClusterOptions {
        mode: Mode::Nftables,
        version: Version::from_str("1.27").unwrap(),
        ..options(&Cni::BRIDGE)
    };
    let why = cluster(&old).boxes().unwrap_err();
    assert!(why.starts_with("kube-proxy 1.27 has no mode nftables"), "{why}");
}

#[test]
fn the_nodes_kube_proxy_is_configured_as_the_cluster_says() {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let yaml = format!("{CLUSTER}\n---\n{head}clusterCIDR: 10.128.0.0/9\niptables: {{masqueradeBit: 3}}\n");
    let rules = |cluster_cidr| {
        let options = ClusterOptions { cluster_cidr, ..options(&Cni::BRIDGE) };
        let kube = nflab::cluster::kube(kube::objects(&yaml).unwrap(), &options).unwrap();
        let mut world = nflab::cluster::world(&kube).unwrap();
        nflab::cluster::text(&mut world, &kube, Some("node-1")).unwrap()
    };
    let text = rules(None);
    assert!(text.contains("! -s 10.128.0.0/9 -d 10.96.0.80/32 -p tcp"), "{text}");
    assert!(text.contains("-j MARK --set-xmark 0x8/0x8"), "{text}");
    // The command line counts more.
    assert!(rules(Some("10.244.0.0/16".parse().unwrap())).contains("! -s 10.244.0.0/16 -d 10.96.0.80/32"));
}

#[test]
fn a_deployments_pods_stand_on_the_node_that_its_template_names() {
    let yaml = format!(
        "{CLUSTER}\n---\nkind: Deployment\napiVersion: apps/v1\nmetadata: {{name: a-rather-long-name}}\nspec:\n  replicas: 2\n  \
         selector: {{matchLabels: {{app: x}}}}\n  template:\n    metadata: {{labels: {{app: x}}}}\n    spec: {{nodeName: node-1}}\n"
    );
    let mut objects = kube::objects(&yaml).unwrap();
    assert_eq!(nflab::cluster::complete(&mut objects), Vec::<String>::new());
    let kube = nflab::cluster::kube(objects, &options(&Cni::BRIDGE)).unwrap();
    // Their devices have names of their own, though the pods' names begin alike.
    let world = nflab::cluster::world(&kube).unwrap();
    let pods = world.hosts().iter().filter(|ns| ns.name.starts_with("a-rather-long-name-")).count();
    assert_eq!(pods, 2);
}
