//! The nine iterations: the model's figures, the article's, and the difference.

use super::chart::grouped;
use super::charts::difference;
use super::state::{ITERATIONS, Run, choose, iteration_title};
use crate::dom::{El, NONE, View, el, part};
use crate::panes::judged;
use crate::state::State;
use workshop::load::{ARTICLE, BoxSeries, Report, sweep_claims};

const COLUMNS: [&str; 10] = [
    "Iteration",
    "Setting",
    "Model",
    "Article",
    "Difference",
    "First 2 min",
    "Peak, node",
    "Peak, pods",
    "Table full",
    "Expectations full",
];

/// The table.
pub fn table(state: State) -> View {
    let mut head = el("tr");
    for name in COLUMNS {
        head = head.add(el("th").attr("scope", "col").add(name));
    }
    let body = part(move || {
        let rows = state.bench.rows.get();
        let row = |(n, report): (u32, &Option<_>)| -> View { row(state, n, report.as_deref()).into() };
        View::All((1..=ITERATIONS).zip(&rows).map(row).collect())
    });
    let table = el("table")
        .class("figures nine")
        .id("nine")
        .add(
            el("caption")
                .class("sr")
                .add("The nine iterations: files a second in the model and in the article"),
        )
        .add(el("thead").add(head))
        .add(el("tbody").add(body));
    el("div").class("wide-table").attr("tabindex", "0").add(table).into()
}

fn row(state: State, n: u32, report: Option<&Report>) -> El {
    let button = el("button")
        .class("linklike")
        .attr("title", "Show this iteration")
        .attr("aria-label", format!("Show iteration {n}"))
        .click(move || choose(state, n))
        .add(n.to_string());
    let name = el("th").attr("scope", "row").add(button);
    let row = el("tr")
        .flag("now", move || state.bench.iteration() == Some(n))
        .attr("data-iteration", n.to_string())
        .add(name)
        .add(el("td").class("words").add(iteration_title(n)));
    let article = ARTICLE.iter().find(|a| a.iteration == n).map(|a| grouped(a.served)).unwrap_or_default();
    let Some(r) = report else {
        let going = part(move || going(state, n).into());
        return row.add(el("td").add(going)).add(el("td").add(article)).add(el("td").attr("colspan", "6"));
    };
    let after = |second: Option<u64>| second.map_or("no".to_owned(), |s| format!("after {s} s"));
    let near = r.deviation().is_some_and(|d| d.abs() <= 25);
    let within = el("span").class("quiet").add(if near { " within 25 %" } else { " beyond 25 %" });
    let pods = r.pods().iter().map(BoxSeries::peak).max().map_or("–".to_owned(), grouped);
    row.add(el("td").class("ours").add(el("b").add(grouped(r.served()))))
        .add(el("td").add(article))
        .add(el("td").add(difference(r).unwrap_or_default()).add(within))
        .add(el("td").add(grouped(r.served_at_first())))
        .add(el("td").add(r.node().map_or(String::new(), |b| grouped(b.peak()))))
        .add(el("td").add(pods))
        .add(el("td").add(after(r.table_full())))
        .add(el("td").add(after(r.expectations_full())))
}

/// What an iteration without a result is doing.
fn going(state: State, n: u32) -> String {
    if state.bench.waits(n) {
        return "waits".to_owned();
    }
    if state.bench.iteration() != Some(n) {
        return "–".to_owned();
    }
    let of = state.bench.setting.with(|s| u64::from(s.seconds)).max(1);
    state.bench.run.with(|run| match run {
        Run::Going(second, _) => format!("{} %", second * 100 / of),
        Run::Starting => "starts".to_owned(),
        Run::Idle | Run::Cancelled(_) => "–".to_owned(),
    })
}

/// What is true of all nine, once there are all.
pub fn claims(state: State) -> View {
    part(move || {
        let rows = state.bench.rows.get();
        let reports: Vec<Report> = rows.iter().flatten().map(|r| (**r).clone()).collect();
        // It is about tests of ten minutes.
        let long = state.bench.setting.with(|s| s.seconds >= 600);
        let claims = (long && reports.len() == rows.len()).then(|| sweep_claims(&reports)).flatten();
        let Some(claims) = claims else { return NONE };
        let list =
            claims.iter().map(|c| judged(c.holds, c.text, "holds: ", "does not hold: ").into()).collect();
        View::All(vec![
            el("h3").add("Checked on all nine").into(),
            el("ul").class("claims").id("claims-of-all").add(View::All(list)).into(),
        ])
    })
}

/// The table as text: columns with tabs between them.
pub fn as_text(state: State) -> String {
    let mut out = COLUMNS.join("\t");
    out.push('\n');
    let rows = state.bench.rows.get_untracked();
    for (n, report) in (1..=ITERATIONS).zip(&rows) {
        let Some(r) = report else { continue };
        let after = |second: Option<u64>| second.map_or("no".to_owned(), |s| s.to_string());
        let cells = [
            n.to_string(),
            iteration_title(n).to_owned(),
            r.served().to_string(),
            r.article.map_or(String::new(), |a| a.served.to_string()),
            r.deviation().map_or(String::new(), |d| d.to_string()),
            r.served_at_first().to_string(),
            r.node().map_or(0, BoxSeries::peak).to_string(),
            r.pods().iter().map(BoxSeries::peak).max().unwrap_or(0).to_string(),
            after(r.table_full()),
            after(r.expectations_full()),
        ];
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}
