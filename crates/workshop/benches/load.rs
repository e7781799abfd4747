//! What the load lab costs at full size: docs/BENCHMARKS.md. `cargo bench -p workshop --bench load`; with `-- --test` a second
//! of it, with `-- N SCALE SECONDS` another iteration, size or length.

#![allow(missing_docs, clippy::disallowed_types, clippy::print_stdout, reason = "a benchmark measures time")]

use std::time::Instant;
use workshop::load::{Setting, Test};

/// Resident memory at most, in kB; 0 where the system does not tell.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let test = args.iter().any(|a| a == "--test");
    let number = |at: usize, default: u32| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let n = number(0, 8);
    let setting = Setting {
        scale: number(1, if test { 100 } else { 1 }),
        seconds: number(2, if test { 1 } else { 600 }),
        ..Setting::iteration(n).unwrap_or_default()
    };
    let begin = Instant::now();
    let Ok(mut test) = Test::new(&setting) else { return };
    test.advance(kernel::Instant(u64::MAX));
    let seconds = begin.elapsed().as_secs_f64();
    let report = test.report();
    println!(
        "iteration {n} at 1/{}, {} s: {} files a second, {} packets in {seconds:.1} s, {:.0} ns a packet, {} MB",
        setting.scale,
        setting.seconds,
        report.served(),
        report.packets,
        seconds * 1e9 / report.packets.max(1) as f64,
        memory() / 1000
    );
}
