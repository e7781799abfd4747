//! What a sync of kube-proxy costs. Prints the real one's figures beside its own; see docs/BENCHMARKS.md.
//! `cargo bench -p cluster --bench sync`; with `-- --test` every benchmark runs once.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_types,
    reason = "a benchmark measures time, and stops when something is wrong"
)]

mod table;
mod world;

use cluster::kube_proxy::Mode;
use divan::Bencher;

const SERVICES: [u32; 4] = [100, 1_000, 5_000, 10_000];

fn main() {
    divan::main();
    let args: Vec<String> = std::env::args().collect();
    // A filter or --test asks for the benchmarks alone.
    if args.iter().skip(1).all(|a| a == "--bench") {
        table::print();
    }
}

fn first(bencher: Bencher, mode: Mode, services: u32) {
    bencher.with_inputs(|| world::fed(mode, services)).bench_local_values(|mut proxy| {
        let text = world::text(&mut proxy);
        (proxy, text)
    });
}

fn change(bencher: Bencher, mode: Mode, services: u32) {
    let mut proxy = world::fed(mode, services);
    world::text(&mut proxy);
    let mut turn = 0;
    bencher.bench_local(|| {
        world::change(&mut proxy, services, turn);
        turn += 1;
        world::text(&mut proxy)
    });
}

#[divan::bench(args = SERVICES, sample_count = 10, sample_size = 1)]
fn iptables_first(bencher: Bencher, services: u32) {
    first(bencher, Mode::Iptables, services);
}

#[divan::bench(args = SERVICES, sample_count = 30, sample_size = 1)]
fn iptables_change(bencher: Bencher, services: u32) {
    change(bencher, Mode::Iptables, services);
}

#[divan::bench(args = SERVICES, sample_count = 10, sample_size = 1)]
fn nftables_first(bencher: Bencher, services: u32) {
    first(bencher, Mode::Nftables, services);
}

#[divan::bench(args = SERVICES, sample_count = 30, sample_size = 1)]
fn nftables_change(bencher: Bencher, services: u32) {
    change(bencher, Mode::Nftables, services);
}

#[divan::bench(args = SERVICES, sample_count = 10, sample_size = 1)]
fn ipvs_first(bencher: Bencher, services: u32) {
    first(bencher, Mode::Ipvs, services);
}

#[divan::bench(args = SERVICES, sample_count = 30, sample_size = 1)]
fn ipvs_change(bencher: Bencher, services: u32) {
    change(bencher, Mode::Ipvs, services);
}
