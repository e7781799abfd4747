//! The recorded measurement's world: ClusterIP Services in namespace `bench` with one TCP port, five endpoints each, one of
//! them on this node; the pods' network is known.

use cluster::Object;
use cluster::kube_proxy::{Change, Config, KubeProxy, Mode, SyncText};
use cluster::object::{
    AddressType, ClusterIp, Endpoint, EndpointPort, EndpointSlice, Hints, Metadata, Protocol, Service,
    ServicePort, TargetPort,
};
use std::net::{IpAddr, Ipv4Addr};

const NAMESPACE: &str = "bench";
const ENDPOINTS: u32 = 5;

fn metadata(name: String) -> Metadata {
    Metadata { namespace: NAMESPACE.to_owned(), name, ..Metadata::default() }
}

fn ip(first: u8, n: u32) -> IpAddr {
    let [_, b, c, d] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(first, b, c, d))
}

fn service(n: u32) -> Change {
    let port = ServicePort {
        name: "http".to_owned(),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: 0,
        target: TargetPort::Number(8080),
    };
    Change::Apply(Box::new(Object::Service(Service {
        metadata: metadata(format!("svc-{n}")),
        cluster_ip: ClusterIp::Addresses(vec![ip(172, 0x0010_0000 + n)]),
        ports: vec![port],
        ..Service::default()
    })))
}

/// The endpoints of a Service; `moved` is added to the last byte of the first one's address.
fn slice(n: u32, moved: u32) -> Change {
    let endpoint = |i: u32| Endpoint {
        address: Some(ip(10, n * 8 + i + if i == 0 { moved } else { 0 })),
        ready: true,
        serving: true,
        terminating: false,
        node_name: if i == 0 { "node1".to_owned() } else { "node2".to_owned() },
        zone: String::new(),
        hints: Hints::default(),
    };
    let port = EndpointPort { name: "http".to_owned(), protocol: Protocol::Tcp, port: Some(8080) };
    Change::Apply(Box::new(Object::EndpointSlice(EndpointSlice {
        metadata: metadata(format!("svc-{n}-1")),
        service: format!("svc-{n}"),
        address_type: AddressType::IPv4,
        endpoints: (0..ENDPOINTS).map(endpoint).collect(),
        ports: vec![port],
    })))
}

/// A kube-proxy that has been told of so many Services, before its first sync.
pub fn fed(mode: Mode, services: u32) -> KubeProxy {
    let mut proxy = KubeProxy::new(Config::default(), Vec::new(), mode).unwrap();
    for n in 0..services {
        proxy.apply(service(n));
        proxy.apply(slice(n, 0));
    }
    proxy
}

/// Tells it that one endpoint of a Service in the middle has another address: one of two, in turn.
pub fn change(proxy: &mut KubeProxy, services: u32, turn: u32) {
    proxy.apply(slice(services / 2, if turn.is_multiple_of(2) { 6 } else { 0 }));
}

/// What a sync hands to the tools.
pub fn text(proxy: &mut KubeProxy) -> Vec<String> {
    match proxy.sync().remove(0).text {
        SyncText::Iptables(text) | SyncText::Nftables(text) => vec![text],
        SyncText::Ipvs(all) => {
            vec![all.iptables, all.ipset, all.virtual_servers, all.dummy_addresses]
        }
    }
}
