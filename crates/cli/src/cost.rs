//! `nflab cost`: what packets cost in each mode as Services grow.

use serde_json::{Value, json};
use workshop::cost::{Cost, Work, cost};
use workshop::kube::Mode;

const MODES: [(Mode, &str); 3] =
    [(Mode::Iptables, "iptables"), (Mode::Ipvs, "ipvs"), (Mode::Nftables, "nftables")];

/// Counts for each mode and each number of Services; as JSON, or as text.
///
/// # Errors
/// A number of Services that fits no cluster.
pub fn run(services: &[usize], as_json: bool) -> Result<String, String> {
    let mut all: Vec<(&str, Cost)> = Vec::new();
    for (mode, name) in MODES {
        for n in services {
            all.push((name, cost(mode, *n)?));
        }
    }
    if as_json {
        let value = Value::Array(all.iter().map(|(mode, cost)| row(mode, cost)).collect());
        return Ok(value.to_string() + "\n");
    }
    Ok(text(&all))
}

fn row(mode: &str, cost: &Cost) -> Value {
    let work = |w: Work| json!({ "rules": w.rules, "lookups": w.lookups });
    json!({
        "mode": mode, "services": cost.services,
        "first": work(cost.first), "last": work(cost.last), "later": work(cost.later),
    })
}

fn text(all: &[(&str, Cost)]) -> String {
    let mut out = [
        "rules that a packet looks at, and lookups in sets, maps and tables of IPVS\n\n",
        "                   |  a connection's first packet, to the Service whose rules come\n",
        "mode      services |       first       |       last        |   later packets\n",
    ]
    .concat();
    for (mode, c) in all {
        let work = |w: Work| format!("{:>7} + {:<7}", w.rules, w.lookups);
        let (first, last, later) = (work(c.first), work(c.last), work(c.later));
        let line = format!("{mode:<10}{:>8} | {first} | {last} | {later}", c.services);
        out += &format!("{}\n", line.trim_end());
    }
    out
}
