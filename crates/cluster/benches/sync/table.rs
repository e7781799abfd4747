//! The table that stands beside the real kube-proxy's.

use super::world;
use cluster::kube_proxy::Mode;
use std::time::Instant;

/// Repetitions; the least counts, because others use the machine too.
const REPETITIONS: u32 = 20;

/// The recorded figures of kube-proxy 1.35 (/docs/BENCHMARKS.md): mode, Services, first sync, sync after one endpoint has
/// changed (both in ms; of mode ipvs, which has no small syncs, the second is the best of full ones).
const REAL: [(Mode, u32, f64, f64); 12] = [
    (Mode::Iptables, 100, 3.9, 0.4),
    (Mode::Iptables, 1_000, 39.6, 4.9),
    (Mode::Iptables, 5_000, 201.0, 49.0),
    (Mode::Iptables, 10_000, 465.1, 100.7),
    (Mode::Nftables, 100, 8.4, 0.2),
    (Mode::Nftables, 1_000, 60.7, 2.4),
    (Mode::Nftables, 5_000, 463.5, 32.3),
    (Mode::Nftables, 10_000, 1_017.1, 83.2),
    (Mode::Ipvs, 100, 4.0, 0.7),
    (Mode::Ipvs, 1_000, 43.6, 7.2),
    (Mode::Ipvs, 5_000, 336.1, 63.0),
    (Mode::Ipvs, 10_000, 913.1, 185.4),
];

/// Milliseconds, and how much text.
fn timed(run: impl FnOnce() -> Vec<String>) -> (f64, usize) {
    let begin = Instant::now();
    let texts = run();
    (begin.elapsed().as_secs_f64() * 1e3, texts.iter().map(String::len).sum())
}

/// Measures and prints.
pub fn print() {
    println!("\n{:>9}{:>10} | {:^32} | {:^32}", "", "", "first sync", "one endpoint changes");
    println!(
        "{:>9}{:>10} | {:>10}{:>11}{:>11} | {:>10}{:>11}{:>11}",
        "mode", "services", "here ms", "real ms", "text kB", "here ms", "real ms", "text kB"
    );
    for (mode, services, real_first, real_change) in REAL {
        let (mut first, mut change) = ((f64::MAX, 0), (f64::MAX, 0));
        let repetitions = REPETITIONS.min(40_000 / services);
        for _ in 0..repetitions.max(8) {
            let mut proxy = world::fed(mode, services);
            let now = timed(|| world::text(&mut proxy));
            first = if now.0 < first.0 { now } else { first };
            for turn in 0..10 {
                world::change(&mut proxy, services, turn);
                let now = timed(|| world::text(&mut proxy));
                change = if now.0 < change.0 { now } else { change };
            }
        }
        println!(
            "{:>9}{services:>10} | {:>10.2}{real_first:>11.1}{:>11} | {:>10.3}{real_change:>11.1}{:>11}",
            mode.to_string(),
            first.0,
            first.1 / 1000,
            change.0,
            change.1 as f64 / 1000.0,
        );
    }
}
