//! `nflab race`: every order in which the packets of a hold can go on.

use serde_json::{Value, json};
use sim::race::Explored;

/// Runs a scenario document once for each order in which the packets of its first hold can go on.
///
/// # Errors
/// Names the place in the document, or the line and token of a text in it, and what was expected.
pub fn explore(document: &Value) -> Result<Vec<Explored>, String> {
    let scenario = crate::scenario::parse(document).map_err(|e| e.to_string())?;
    scenario.explore().map_err(|e| e.to_string())
}

/// What they come to, the most frequent first.
fn sorted(explored: &[Explored]) -> Vec<&Explored> {
    let mut all: Vec<&Explored> = explored.iter().collect();
    all.sort_by_key(|e| std::cmp::Reverse(e.orders.len()));
    all
}

fn counters(e: &Explored) -> String {
    let words: Vec<String> = e.outcome.counters.iter().map(|(name, n)| format!("{name}={n}")).collect();
    if words.is_empty() { "no counter moves".to_owned() } else { words.join(" ") }
}

/// For people: outcomes, how many orders come to each, and one of these.
pub fn text(explored: &[Explored]) -> String {
    let total: usize = explored.iter().map(|e| e.orders.len()).sum();
    let mut out = format!("{total} orders, {} outcomes\n", explored.len());
    for e in sorted(explored) {
        out += &format!("\n{} of {total}: {}\n", e.orders.len(), counters(e));
        for (cpu, fate) in e.outcome.packets.iter().enumerate() {
            out += &format!("  CPU {cpu}: {}\n", fate.text());
        }
        if !e.outcome.answers.is_empty() {
            let answers: Vec<String> = e.outcome.answers.iter().map(usize::to_string).collect();
            out += &format!("  answers: {}\n", answers.join(", "));
        }
        // The one in which the processors take turns least often.
        let turns = |order: &&Vec<usize>| order.windows(2).filter(|w| w[0] != w[1]).count();
        if let Some(order) = e.orders.iter().min_by_key(turns) {
            let order: Vec<String> = order.iter().map(usize::to_string).collect();
            out += &format!("  for example in the order {}\n", order.join(" "));
        }
    }
    out
}

/// For programs.
pub fn json(explored: &[Explored]) -> Value {
    let one = |e: &&Explored| {
        json!({
            "packets": e.outcome.packets.iter().map(|f| f.text()).collect::<Vec<_>>(),
            "counters": e.outcome.counters.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "answers": e.outcome.answers,
            "orders": e.orders,
        })
    };
    Value::Array(sorted(explored).iter().map(one).collect())
}
