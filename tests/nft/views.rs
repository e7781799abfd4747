//! A walk through nf_tables as people look at it: steps, and why each went as it did.

use serde_json::Value;
use sim::view::{Area, steps, why};

#[test]
fn a_walk_through_kube_proxys_rules_reads_like_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/kernel/scenarios/S15-kube-proxy-020.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let run = nflab::scenario::parse(&document).unwrap().run().unwrap();
    let all = steps(&run.world);
    // The client's first packet, at PREROUTING.
    let first = all.iter().find(|s| s.area == Area::Nft).unwrap().packet;
    let walk: Vec<_> = all.iter().filter(|s| s.area == Area::Nft && s.packet == first).take(9).collect();
    let told: Vec<String> =
        walk.iter().map(|s| format!("{}: {}", s.chain.as_deref().unwrap_or("-"), s.title)).collect();
    assert_eq!(
        told,
        [
            "filter-prerouting-pre-dnat: → firewall-check",
            "-: end of firewall-check: return",
            "-: policy accept",
            "nat-prerouting: → services",
            "services: → external-ASNVMIOD-default/np/tcp/http",
            "external-ASNVMIOD-default/np/tcp/http: → local-ASNVMIOD-default/np/tcp/http",
            "local-ASNVMIOD-default/np/tcp/http: → endpoint-6AV7KJFH-default/np/tcp/http__10.244.1.10/8080",
            "endpoint-6AV7KJFH-default/np/tcp/http__10.244.1.10/8080: dnat to 10.244.1.10:8080",
            "filter-forward: → service-endpoints-check",
        ],
        "{told:#?}"
    );
    let map = why(&run.world, walk[4]);
    let tokens: Vec<(&str, Option<bool>, &str)> =
        map.tokens.iter().map(|t| (t.text.as_str(), t.ok, t.seen.as_str())).collect();
    assert_eq!(
        tokens,
        [
            ("ip daddr @nodeport-ips", Some(true), "192.168.0.2"),
            ("meta l4proto . th dport vmap @service-nodeports", Some(true), "tcp . 30080"),
        ]
    );
    assert_eq!(map.text[0], "The map leads from this key to “goto external-ASNVMIOD-default/np/tcp/http”.");
    // The rule before it found nothing.
    let skipped: Vec<(&str, u32, &str)> =
        map.skipped.iter().map(|s| (&*s.chain, s.n, s.token.seen.as_str())).collect();
    assert_eq!(skipped, [("services", 1, "192.168.0.2 . tcp . 30080")]);
}
