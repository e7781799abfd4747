//! Objects as bytes, for a program that brings its own and does without the parser of YAML.
//!
//! Writer and reader are built from the same list of fields, and come from the same build. There is no version and no
//! name: a value is its fields in their order.

use crate::object::{
    AddressType, ClusterIp, Endpoint, EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset,
    Endpoints, Hints, Ingress, IpMode, Metadata, Node, Object, Pod, Protocol, Service, ServicePort,
    ServiceType, SessionAffinity, TrafficPolicy,
};
use ipnet::IpNet;
use litemap::LiteMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Objects as bytes.
pub fn pack(objects: &[Object]) -> Vec<u8> {
    let mut out = Vec::new();
    list(objects, &mut out);
    out
}

/// What [`pack`] has packed. `None`: the bytes are of something else.
pub fn unpack(packed: &[u8]) -> Option<Vec<Object>> {
    let mut from = Bytes { rest: packed, broken: false };
    let objects = Vec::read(&mut from);
    (!from.broken && from.rest.is_empty()).then_some(objects)
}

/// The bytes that are not read yet. What is read beyond their end is zero, and makes them `broken`: that is asked once,
/// at the end.
struct Bytes<'b> {
    rest: &'b [u8],
    broken: bool,
}

impl<'b> Bytes<'b> {
    fn take(&mut self, length: usize) -> &'b [u8] {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            self.broken = true;
            return &[];
        };
        self.rest = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    /// A value that its bytes do not allow.
    fn wrong<T: Default>(&mut self) -> T {
        self.broken = true;
        T::default()
    }
}

/// A value that can be packed.
trait Packed {
    fn write(&self, out: &mut Vec<u8>);
    fn read(from: &mut Bytes<'_>) -> Self;
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl Packed for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn read(from: &mut Bytes<'_>) -> Self {
                Self::from_le_bytes(from.array())
            }
        }
    )* };
}

/// Structs, each with all its fields.
macro_rules! structs {
    ($($name:ident { $($field:ident),* })*) => { $(
        impl Packed for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let $name { $($field),* } = self;
                $($field.write(out);)*
            }

            fn read(from: &mut Bytes<'_>) -> Self {
                $name { $($field: Packed::read(from)),* }
            }
        }
    )* };
}

/// Enums without data, each with all its variants in their order.
macro_rules! words {
    ($($name:ident { $($variant:ident),* })*) => { $(
        impl Packed for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }

            fn read(from: &mut Bytes<'_>) -> Self {
                let all = [$($name::$variant),*];
                all.get(usize::from(u8::read(from))).copied().unwrap_or_else(|| from.wrong())
            }
        }
    )* };
}

numbers! { u8, u16, u32 }

words! {
    AddressType { IPv4, IPv6, Fqdn }
    IpMode { Vip, Proxy }
    Protocol { Sctp, Tcp, Udp }
    ServiceType { ClusterIp, NodePort, LoadBalancer, ExternalName }
    TrafficPolicy { Cluster, Local }
}

structs! {
    Metadata { namespace, name, labels, annotations }
    Node { metadata, pod_cidrs, internal_ips }
    Pod { metadata, node_name, host_network, pod_ips }
    Service {
        metadata, service_type, cluster_ip, ports, external_ips, external_traffic_policy, internal_traffic_policy,
        session_affinity, load_balancer_source_ranges, health_check_node_port, ingress
    }
    ServicePort { name, protocol, port, node_port }
    Ingress { ip, ip_mode }
    EndpointSlice { metadata, service, address_type, endpoints, ports }
    Endpoint { address, ready, serving, terminating, node_name, zone, hints }
    EndpointPort { name, protocol, port }
    Hints { zones, nodes }
    Endpoints { metadata, subsets }
    EndpointSubset { addresses, ports }
    EndpointAddress { ip, node_name }
}

impl Packed for Object {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Object::Node(o) => tagged(0, o, out),
            Object::Pod(o) => tagged(1, o, out),
            Object::Service(o) => tagged(2, o, out),
            Object::EndpointSlice(o) => tagged(3, o, out),
            Object::Endpoints(o) => tagged(4, o, out),
        }
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        match u8::read(from) {
            0 => Object::Node(Packed::read(from)),
            1 => Object::Pod(Packed::read(from)),
            2 => Object::Service(Packed::read(from)),
            3 => Object::EndpointSlice(Packed::read(from)),
            4 => Object::Endpoints(Packed::read(from)),
            _ => Object::Node(from.wrong()),
        }
    }
}

fn tagged(tag: u8, value: &impl Packed, out: &mut Vec<u8>) {
    out.push(tag);
    value.write(out);
}

impl Packed for SessionAffinity {
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            SessionAffinity::None => None,
            SessionAffinity::ClientIp(seconds) => Some(seconds),
        }
        .write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        Option::read(from).map_or(SessionAffinity::None, SessionAffinity::ClientIp)
    }
}

impl Packed for ClusterIp {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            ClusterIp::None => out.push(0),
            ClusterIp::Addresses(all) => tagged(1, all, out),
        }
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        Option::read(from).map_or(ClusterIp::None, ClusterIp::Addresses)
    }
}

impl Packed for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        u8::read(from) != 0
    }
}

impl<T: Packed> Packed for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => tagged(1, value, out),
        }
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        bool::read(from).then(|| T::read(from))
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        list(self, out);
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        let mut all = Vec::new();
        for _ in 0..u32::read(from) {
            if from.broken {
                break;
            }
            all.push(T::read(from));
        }
        all
    }
}

fn list<T: Packed>(all: &[T], out: &mut Vec<u8>) {
    length(all.len(), out);
    for value in all {
        value.write(out);
    }
}

/// No list and no text of an object is longer.
fn length(length: usize, out: &mut Vec<u8>) {
    u32::try_from(length).unwrap_or(u32::MAX).write(out);
}

impl Packed for String {
    fn write(&self, out: &mut Vec<u8>) {
        length(self.len(), out);
        out.extend(self.bytes());
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        let length = usize::try_from(u32::read(from)).unwrap_or(usize::MAX);
        match str::from_utf8(from.take(length)) {
            Ok(text) => text.to_owned(),
            Err(_) => from.wrong(),
        }
    }
}

impl Packed for LiteMap<String, String> {
    fn write(&self, out: &mut Vec<u8>) {
        length(self.len(), out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        let mut map = LiteMap::new();
        for _ in 0..u32::read(from) {
            if from.broken {
                break;
            }
            map.insert(String::read(from), String::read(from));
        }
        map
    }
}

impl Packed for IpAddr {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            IpAddr::V4(v4) => {
                out.push(4);
                out.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                out.push(6);
                out.extend(v6.octets());
            }
        }
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        match u8::read(from) {
            6 => IpAddr::V6(Ipv6Addr::from(from.array())),
            _ => IpAddr::V4(Ipv4Addr::from(from.array())),
        }
    }
}

impl Packed for IpNet {
    fn write(&self, out: &mut Vec<u8>) {
        self.addr().write(out);
        out.push(self.prefix_len());
    }

    fn read(from: &mut Bytes<'_>) -> Self {
        let (addr, length) = (IpAddr::read(from), u8::read(from));
        IpNet::new(addr, length).unwrap_or_else(|_| from.wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};
    use crate::read_objects;

    /// Every kind, with something in every field.
    const TEXT: &str = "
kind: Node
metadata: {name: n, labels: {topology.kubernetes.io/zone: a}, annotations: {b: c}}
spec: {podCIDRs: [10.1.0.0/24, 'fd00::/64']}
status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}
---
kind: Pod
metadata: {name: p}
spec: {nodeName: n, hostNetwork: true}
status: {podIPs: [{ip: 10.1.0.2}, {ip: 'fd00::2'}]}
---
kind: Service
metadata: {name: s}
spec:
  type: LoadBalancer
  clusterIPs: [10.96.0.1]
  ports: [{name: a, protocol: UDP, port: 53, nodePort: 30053}]
  externalIPs: [192.0.2.1]
  externalTrafficPolicy: Local
  internalTrafficPolicy: Local
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 70000}}
  loadBalancerSourceRanges: [10.0.0.1/8]
  healthCheckNodePort: 30001
status: {loadBalancer: {ingress: [{ip: 192.0.2.2, ipMode: Proxy}]}}
---
kind: EndpointSlice
metadata: {name: e, labels: {kubernetes.io/service-name: s}}
addressType: IPv6
endpoints:
- addresses: ['fd00::2']
  conditions: {ready: false, serving: true, terminating: true}
  nodeName: n
  zone: a
  hints: {forZones: [{name: a}], forNodes: [{name: n}]}
ports: [{name: a, protocol: SCTP, port: 53}, {name: b}]
---
kind: Endpoints
metadata: {name: s}
subsets: [{addresses: [{ip: 10.1.0.2, nodeName: n}], ports: [{port: 53}]}]
---
kind: Service
metadata: {name: headless}
spec: {clusterIP: None}
";

    #[test]
    fn what_is_packed_comes_out_again() {
        let objects = read_objects(TEXT).unwrap();
        assert_eq!(objects.len(), 6);
        assert_eq!(unpack(&pack(&objects)), Some(objects));
    }

    #[test]
    fn other_bytes_are_refused() {
        let packed = pack(&read_objects(TEXT).unwrap());
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end]), None, "{end}");
        }
        assert_eq!(unpack(&[packed.as_slice(), &[0]].concat()), None);
        assert_eq!(unpack(&[255; 64]), None);
        assert_eq!(unpack(&[1, 0, 0, 0, 9]), None);
    }
}
