//! The table that stands beside the kernel's.

use super::node::{self, Node};
use super::rules;
use kernel::netfilter::xtables::TableId;
use std::time::Instant;

/// Repetitions; the minimum counts, as in the recorded measurement.
const REPETITIONS: usize = 30;
const PACKETS: u32 = 10_000;

/// The recorded figures of Linux 6.18 (/docs/BENCHMARKS.md): services, new flow, established (both in ns, without the 678 ns
/// that forwarding costs without netfilter), iptables-restore (ms).
const KERNEL: [(u32, u32, u32, u32); 4] =
    [(1, 1_504, 891, 3), (100, 1_909, 590, 10), (1_000, 5_446, 582, 51), (10_000, 42_130, 570, 524)];

fn least(mut run: impl FnMut() -> u128) -> u128 {
    (0..REPETITIONS).map(|_| run()).min().unwrap_or_default()
}

fn packets(node: &mut Node, frames: Vec<std::rc::Rc<packet::Frame>>) -> u128 {
    let count = frames.len();
    let begin = Instant::now();
    let out = node.forward_all(frames);
    let ns = begin.elapsed().as_nanos();
    assert!(out.iter().all(Option::is_some), "every packet leaves");
    ns / count as u128
}

/// Measures and prints.
pub fn print() {
    println!(
        "\n{:>9}{:>7} | {:^23} | {:^23} | {:^23}",
        "", "", "new flow", "established", "iptables-restore"
    );
    println!(
        "{:>9}{:>7} | {:>11}{:>12} | {:>11}{:>12} | {:>11}{:>12}",
        "services", "rules", "here", "kernel", "here", "kernel", "here", "kernel"
    );
    for (services, new, established, restore) in KERNEL {
        let text = rules::text(services);
        let restored = least(|| {
            let mut node = Node::new("");
            let begin = Instant::now();
            node.load(&text);
            let ns = begin.elapsed().as_nanos();
            let loaded = [TableId::Nat, TableId::Filter, TableId::Mangle]
                .map(|t| node.ns.table(t).map(|t| t.rules.clone()));
            let rules = loaded.iter().flatten().flat_map(|r| &r.chains).map(|c| c.rules.len() as u32);
            assert_eq!(rules.sum::<u32>(), rules::count(services));
            ns
        });
        let mut node = Node::new(&text);
        let first = least(|| {
            node.flush();
            packets(&mut node, node::flows(PACKETS, services))
        });
        let to = rules::endpoint(services - 1);
        assert!(
            node.ns.ct.rows(kernel::Instant(0)).iter().all(|r| r.reply.src() == to),
            "DNAT to the endpoint"
        );
        node.flush();
        let later = least(|| {
            packets(&mut node, (0..PACKETS).map(|_| node::frame(0, rules::service(services - 1))).collect())
        });
        println!(
            "{services:>9}{:>7} | {:>8} ns{:>9} ns | {:>8} ns{:>9} ns | {:>8.1} ms{:>9} ms",
            rules::count(services),
            first,
            new,
            later,
            established,
            restored as f64 / 1e6,
            restore
        );
    }
    println!("\nThe kernel's columns are its figures less 678 ns, the cost of forwarding without netfilter.");
}
