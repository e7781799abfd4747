#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_types, clippy::print_stdout)]
use workshop::load::Setting;
fn main() {
    let a: Vec<u32> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let mut s = Setting::iteration(a[0]).unwrap();
    s.scale = a.get(1).copied().unwrap_or(10);
    s.seconds = a.get(2).copied().unwrap_or(600);
    let every = a.get(3).copied().unwrap_or(30);
    let mut spec = workshop::load::spec(&s).unwrap();
    if let Some(v) = std::env::var("SLOW").ok() {
        spec.cost.slowness = v.parse().unwrap();
    }
    if let Some(v) = std::env::var("TURN").ok() {
        spec.cost.turn = v.parse().unwrap();
    }
    if let Some(v) = std::env::var("LINK").ok() {
        spec.cost.link = v.parse().unwrap();
    }
    if let Some(v) = std::env::var("CLIENTS").ok() {
        spec.clients = v.parse().unwrap();
    }
    let mut run = sim::load::LoadRun::new(&spec).unwrap();
    let t = std::time::Instant::now();
    run.advance(kernel::Instant(u64::MAX));
    let el = t.elapsed();
    let k = u64::from(s.scale);
    for x in run.samples().iter().filter(|x| x.second % every == 0 && every > 0) {
        println!(
            "{:4} off {:6} ok {:6} fail {:6} pk {:7} busy {:3}% {}",
            x.second,
            x.offered * k,
            x.done * k,
            x.failed * k,
            x.packets * k,
            x.busy / 20_000_000,
            x.boxes
                .iter()
                .map(|b| format!(
                    "[{} exp {} drop {} early {} insf {}]",
                    b.count as u64 * k,
                    b.expects as u64 * k,
                    b.stats.drop * k,
                    b.stats.early_drop * k,
                    b.stats.insert_failed * k
                ))
                .collect::<String>()
        );
    }
    let done: u64 = run.samples().iter().map(|x| x.done).sum();
    let peak: Vec<u64> = (0..run.samples()[0].boxes.len())
        .map(|i| run.samples().iter().map(|x| x.boxes[i].count as u64 * k).max().unwrap())
        .collect();
    let pexp: Vec<u64> = (0..run.samples()[0].boxes.len())
        .map(|i| run.samples().iter().map(|x| x.boxes[i].expects as u64 * k).max().unwrap())
        .collect();
    let w = run.warnings();
    for x in w.iter().take(if every < 30 { 12 } else { 2 }) {
        println!("{:?} {:?} {}", x.at, x.host, x.line);
    }
    let kinds: Vec<(&str, u64)> = ["table full", "expectation"]
        .iter()
        .map(|k| {
            (*k, w.iter().filter(|x| x.line.contains(k)).map(|x| x.at.0 / 1_000_000).next().unwrap_or(9999))
        })
        .collect();
    println!(
        "it {} rate {} peak {peak:?} exp {pexp:?} warn {} first {kinds:?} packets {} wall {:?} ns/pk {}",
        a[0],
        done * k / u64::from(s.seconds),
        w.len(),
        run.packets(),
        el,
        el.as_nanos() / u128::from(run.packets().max(1))
    );
}
