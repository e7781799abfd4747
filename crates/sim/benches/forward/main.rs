//! What a forwarded packet costs, and what loading rules costs. Prints the kernel's figures beside its own; see
//! docs/BENCHMARKS.md. `cargo bench -p sim --bench forward`; with `-- --test` every benchmark runs once.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_types,
    reason = "a benchmark measures time, and stops when something is wrong"
)]

mod node;
mod rules;
mod table;

use divan::Bencher;
use divan::counter::ItemsCount;
use node::Node;

const SERVICES: [u32; 4] = [1, 100, 1_000, 10_000];

fn main() {
    divan::main();
    let args: Vec<String> = std::env::args().collect();
    // A filter or --test asks for the benchmarks alone.
    if args.iter().skip(1).all(|a| a == "--bench") {
        table::print();
    }
}

/// Packets of one measurement.
const PACKETS: u32 = 10_000;

/// Every packet begins a flow to the last service.
#[divan::bench(args = SERVICES, sample_count = 20, sample_size = 1)]
fn new_flow(bencher: Bencher, services: u32) {
    let node = std::cell::RefCell::new(Node::new(&rules::text(services)));
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| {
            node.borrow_mut().flush();
            node::flows(PACKETS, services)
        })
        .bench_local_values(|frames| node.borrow_mut().forward_all(frames));
}

/// All packets belong to one flow, which is in conntrack's table; nobody has answered.
#[divan::bench(args = SERVICES, sample_count = 20, sample_size = 1)]
fn established(bencher: Bencher, services: u32) {
    let node = std::cell::RefCell::new(Node::new(&rules::text(services)));
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| {
            (0..PACKETS).map(|_| node::frame(0, rules::service(services - 1))).collect::<Vec<_>>()
        })
        .bench_local_values(|frames| node.borrow_mut().forward_all(frames));
}

/// iptables-restore: the text becomes the kernel's tables.
#[divan::bench(args = SERVICES, sample_count = 20, sample_size = 1)]
fn restore(bencher: Bencher, services: u32) {
    let text = rules::text(services);
    bencher
        .counter(ItemsCount::new(rules::count(services)))
        .with_inputs(|| Node::new(""))
        .bench_local_values(|mut node| {
            node.load(&text);
            node
        });
}
