//! Objects as `kubectl get -o yaml` prints them, and what is wrong with others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Config, Mode, Version};
use cluster::object::{ClusterIp, IpMode, Protocol, ServiceType, SessionAffinity, TrafficPolicy};
use cluster::{Objects, read_objects};

const KUBECTL: &str = include_str!("kubectl.yaml");

#[test]
fn what_kubectl_prints_is_read() {
    let mut objects = Objects::default();
    for object in read_objects(KUBECTL).unwrap() {
        objects.apply(object);
    }
    let key = ("shop".to_owned(), "web".to_owned());
    let service = objects.services.get(&key).unwrap();
    assert_eq!(service.service_type, ServiceType::LoadBalancer);
    assert_eq!(service.cluster_ip, ClusterIp::Addresses(vec!["10.96.77.1".parse().unwrap()]));
    assert_eq!(service.external_traffic_policy, TrafficPolicy::Local);
    assert_eq!(service.session_affinity, SessionAffinity::ClientIp(60));
    assert_eq!(service.health_check_node_port, 32123);
    assert_eq!((service.ingress.len(), service.ingress[0].ip_mode), (1, IpMode::Vip));
    assert_eq!((service.ports.len(), service.ports[1].protocol), (2, Protocol::Udp));
    let (_, slice) = objects.endpoint_slices.first().unwrap();
    assert_eq!((slice.service.as_str(), slice.endpoints.len(), slice.ports.len()), ("web", 2, 2));
    assert_eq!(slice.endpoints[0].hints.zones, ["zone-a"]);
    assert!(slice.endpoints[1].terminating && slice.endpoints[1].serving && !slice.endpoints[1].ready);
    assert_eq!(objects.endpoints.get(&key).unwrap().subsets[0].addresses.len(), 1);
    let pod = objects.pods.first().unwrap().1;
    assert_eq!((pod.node_name.as_str(), pod.pod_ips.len()), ("node1", 1));
    let config = Config::default().on_node(objects.nodes.get("node1").unwrap());
    assert_eq!((config.node_ips.len(), config.interface_ips.len()), (1, 3));
}

#[test]
fn the_api_server_fills_in() {
    let objects = read_objects(
        "kind: Service\nmetadata: {name: a}\nspec:\n  clusterIP: 10.0.0.1\n  sessionAffinity: ClientIP\n  ports: [{port: 80}]\n\
         ---\nkind: EndpointSlice\nmetadata: {name: a-1}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.2]}]\n",
    )
    .unwrap();
    let [cluster::Object::Service(service), cluster::Object::EndpointSlice(slice)] = &objects[..] else {
        panic!()
    };
    assert_eq!(service.metadata.namespace, "default");
    assert_eq!(service.session_affinity, SessionAffinity::ClientIp(10_800));
    assert_eq!(service.ports[0].protocol, Protocol::Tcp);
    let e = &slice.endpoints[0];
    assert_eq!((e.ready, e.serving, e.terminating), (true, true, false));
}

#[test]
fn errors_name_the_place() {
    for (old, new, message) in [
        (
            "clusterIP: 10.96.77.1",
            "clusterIP: 10.96.77.2",
            "line 21, column 16: \"10.96.77.2\": expected the first of clusterIPs",
        ),
        ("10.244.1.7\n    conditions", "10.244.1\n    conditions", "\"10.244.1\": expected an IP address"),
        ("nodePort: 30080", "nodePort: -1", "line 37, column 17: \"-1\": expected a number from 0 to 65535"),
        ("protocol: TCP", "protocol: tcp", "line 39, column 17: \"tcp\": expected TCP or UDP or SCTP"),
        (
            "externalTrafficPolicy: Local",
            "externalTrafficPolicy: local",
            "line 26, column 28: \"local\": expected Cluster or Local",
        ),
        ("203.0.113.0/24", "203.0.113.0/33", "line 33, column 7: \"203.0.113.0/33\": expected a network"),
        ("ready: true", "ready: yes", "line 67, column 14: \"yes\": expected true or false"),
        ("name: web\n    namespace", "name: Web\n    namespace", "\"Web\": expected a name"),
        ("name: dns", "name: http", "\"http\": another port has the same name"),
        ("kind: Pod\n  metadata", "kind: Pods\n  metadata", "\"Pods\": there is no such kind; is Pod meant?"),
        ("addressType: IPv4", "addressType: IPv6", "the address is not of the slice's addressType"),
        ("apiVersion: discovery.k8s.io/v1", "apiVersion: v1", "expected discovery.k8s.io/v1"),
        (
            "type: LoadBalancer",
            "type: Loadbalancer",
            "expected ClusterIP or NodePort or LoadBalancer or ExternalName",
        ),
    ] {
        assert!(KUBECTL.contains(old), "{old}");
        match read_objects(&KUBECTL.replacen(old, new, 1)) {
            Ok(_) => panic!("{new} was accepted"),
            Err(e) => assert!(e.to_string().contains(message), "{e}"),
        }
    }
}

#[test]
fn endpoints_stand_for_slices_and_the_other_way_round() {
    let docs = |wanted: &str| {
        let head = KUBECTL.split_once("items:\n").unwrap().0;
        let items = KUBECTL.split_once("items:\n").unwrap().1;
        let mut kept = String::new();
        for item in items.split("\n- ") {
            let item = item.trim_start_matches("- ");
            if item.contains(wanted) || item.contains("kind: Service\n  metadata") {
                kept += &format!("- {item}\n");
            }
        }
        format!("{head}kind: List\nitems:\n{kept}")
    };
    for wanted in ["addressType", "subsets"] {
        let mut case = Case::read(&docs(wanted)).unwrap_or_else(|e| panic!("{e}"));
        for version in Version::ALL {
            case.config.version = version;
            let text = case.record(Some(Mode::Iptables)).unwrap().remove(0).text;
            assert!(text.contains("--to-destination 10.244.1.7:8080"), "{wanted} {version}\n{text}");
            assert!(!text.contains("10.244.2.7"), "{wanted} {version}\n{text}");
        }
    }
}
