//! CoreDNS in a cluster: the names of its objects, held against github.com/kubernetes/dns, specification.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::corefile::Corefile;
use packet::{Dns, DnsData, DnsName, dns_type, rcode};
use workshop::coredns::blocks;

const OBJECTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.96.0.80
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec:
  clusterIP: None
  ports: [{name: sql, port: 5432}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-x, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.244.1.5]}
- {addresses: [10.244.2.6]}
- {addresses: [10.244.2.7], conditions: {ready: false}}
ports: [{name: sql, port: 5432}]
";

fn corefile(plugin: &str) -> Corefile {
    let kubernetes = "kubernetes cluster.local in-addr.arpa {\n pods insecure\n ttl 30\n }";
    Corefile::read(&format!(".:53 {{\n errors\n {kubernetes}\n {plugin}\n}}\n")).unwrap()
}

fn ask(name: &str, kind: u16) -> Vec<DnsData> {
    let objects = workshop::kube::objects(OBJECTS).unwrap();
    let blocks = blocks(&corefile("loop"), 53, &objects, "").unwrap();
    let query = Dns::query(1, DnsName::new(name).unwrap(), kind);
    let answer = blocks[0].tables.iter().find_map(|t| t.answer(&query)).unwrap();
    assert!(answer.rcode == rcode::NOERROR || answer.answers.is_empty());
    answer.answers.into_iter().map(|r| r.data).collect()
}

#[test]
fn a_service_has_its_address() {
    assert_eq!(ask("web.default.svc.cluster.local", dns_type::A), [DnsData::A([10, 96, 0, 80].into())]);
}

#[test]
fn a_headless_service_has_the_addresses_of_its_ready_endpoints() {
    let expected = [DnsData::A([10, 244, 1, 5].into()), DnsData::A([10, 244, 2, 6].into())];
    assert_eq!(ask("db.shop.svc.cluster.local", dns_type::A), expected);
}

#[test]
fn ports_are_found_by_their_names() {
    let target = |name: &str| DnsName::new(name).unwrap();
    let web = target("web.default.svc.cluster.local");
    assert_eq!(
        ask("_http._tcp.web.default.svc.cluster.local", dns_type::SRV),
        [DnsData::Srv(0, 100, 80, web)]
    );
    let endpoint = target("10-244-1-5.db.shop.svc.cluster.local");
    let found = ask("_sql._tcp.db.shop.svc.cluster.local", dns_type::SRV);
    assert_eq!((found.len(), &found[0]), (2, &DnsData::Srv(0, 50, 5432, endpoint)));
}

#[test]
fn addresses_have_names() {
    let name = |text: &str| [DnsData::Name(DnsName::new(text).unwrap())];
    assert_eq!(ask("80.0.96.10.in-addr.arpa", dns_type::PTR), name("web.default.svc.cluster.local"));
    assert_eq!(ask("5.1.244.10.in-addr.arpa", dns_type::PTR), name("10-244-1-5.db.shop.svc.cluster.local"));
}

#[test]
fn a_corefile_is_obeyed_and_what_is_not_modelled_is_named() {
    let objects = workshop::kube::objects(OBJECTS).unwrap();
    let with = |plugin: &str| {
        blocks(&corefile(plugin), 53, &objects, "nameserver 9.9.9.9\n").map(|b| format!("{b:?}"))
    };
    assert!(with("forward . /etc/resolv.conf").unwrap().contains("9.9.9.9"));
    assert!(with("forward . 169.254.169.254").unwrap().contains("169.254.169.254"));
    assert!(with("health\n ready\n prometheus :9153\n loop\n reload\n loadbalance\n cache 30").is_ok());
    assert!(with("rewrite name a b").unwrap_err().contains("rewrite"));
    assert!(with("forward . tls://9.9.9.9").is_err());
}
