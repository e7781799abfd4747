//! Why a step went as it did: the rule token by token, the rules before it, NAT before and after.

use super::journey::check_icon;
use super::why_not::why_not;
use crate::cures;
use crate::dom::{El, NONE, View, el};
use crate::state::State;
use packet::Frame;
use sim::view::{Area, End, Skipped, Token, diff};

/// The explanation of a step.
pub fn why(state: State, step: usize) -> View {
    let loaded = state.loaded.get_untracked();
    let Some(s) = loaded.story.steps.get(step) else { return NONE };
    let w = sim::view::why(loaded.world(), s);
    let end = sim::view::end(loaded.world(), s);
    let cause =
        loaded.story.cause(loaded.world(), step).and_then(|i| loaded.story.steps.get(i).map(|s| (i, s)));
    let nothing = end.is_none()
        && cause.is_none()
        && s.hook().is_none()
        && w.rule.is_none()
        && w.skipped.is_empty()
        && w.change.is_none()
        && w.text.is_empty()
        && w.parent.is_none();
    if nothing {
        return NONE;
    }
    let mut out = el("div").class("why");
    if let Some((chain, n)) = w.rule {
        out = out.add(el("p").class("where mono").add(format!("{chain} rule {n}")));
    }
    if !w.tokens.is_empty() {
        out = out.add(w.tokens.iter().fold(el("ul").class("toks"), |list, t| list.add(token(t))));
    }
    for t in w.text {
        out = out.add(el("p").add(t));
    }
    if let Some((before, after)) = w.change {
        out = out.add(nat(&before, &after));
    }
    out = out.add(skipped(&w.skipped));
    if let Some(p) = w.parent.and_then(|id| loaded.story.packet(id)) {
        let first = p.steps.0;
        let label = format!("Answers the {} {}", p.label, p.flow_text);
        out = out.add(el("button").class("linklike").click(move || state.go(first)).add(label));
    }
    if let Some((at, lost)) = cause {
        let place = loaded.world().host(lost.host).map_or("", |h| h.name.as_str());
        let label = format!("Lost on {place}: {}", lost.title);
        out = out.add(el("button").class("linklike").click(move || state.go(at)).add(label));
    }
    if let Some(end) = end {
        out = out.add(ended(&end));
        let lost = s.area == Area::Drop && !s.noise;
        if let Some(packet) = s.packet.filter(|_| lost) {
            out = out.add(cures::rescue(state, packet));
        }
    }
    if s.hook().is_some() {
        out = out.add(why_not(state, step));
    }
    out.into()
}

/// Where and by what a packet ends, what was looked at, and what would let it through.
fn ended(end: &End) -> El {
    let fact = |word: &'static str, text: String| el("div").add(el("dt").add(word)).add(el("dd").add(text));
    let facts = el("dl").add(fact("Where", end.place.clone())).add(fact("By", end.by.clone()));
    let head = ["looked at", "was", "would have let it through"].into_iter();
    let head = head.fold(el("tr"), |row, name| row.add(el("th").attr("scope", "col").add(name)));
    let mut rows = el("tbody");
    for l in &end.looked {
        let row = el("tr")
            .add(el("th").attr("scope", "row").add(l.what.clone()))
            .add(el("td").class("was").add(l.was.clone()))
            .add(el("td").class("needed").add(l.needed.clone()));
        rows = rows.add(row);
    }
    let table = el("table").class("looked").add(el("thead").add(head)).add(rows);
    let ways =
        end.through.iter().fold(el("ul").class("through"), |list, t| list.add(el("li").add(t.clone())));
    let title = if end.through.len() > 1 { "Any of these lets it through" } else { "This lets it through" };
    el("div").class("ended").add(facts).add(table).add(el("p").class("question").add(title)).add(ways)
}

/// A part of a rule.
pub fn token(t: &Token) -> El {
    let class = match t.ok {
        Some(true) => "tok y",
        Some(false) => "tok n",
        None => "tok",
    };
    let seen = (t.ok.is_some() && !t.seen.is_empty()).then_some(t.seen.as_str());
    check(el("li").class(class), t.ok, &t.text, seen)
}

/// A part of a rule: whether it holds, its words, and what the packet had instead.
fn check(to: El, ok: Option<bool>, text: &str, seen: Option<&str>) -> El {
    let seen = seen.map(|s| el("span").class("seen").add(s.to_owned()));
    to.add(ok.map(check_icon)).add(el("span").add(text.to_owned()).add(" ").add(seen))
}

/// Rules that were tried before, each with the part that did not hold.
fn skipped(list: &[Skipped]) -> View {
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return NONE };
    let title = if first.n == last.n {
        format!("{} rule {} did not match", first.chain, first.n)
    } else {
        format!("{} rules {}–{} did not match", first.chain, first.n, last.n)
    };
    let mut rows = el("ul");
    for s in list {
        let failed = check(el("span").class("tok n"), Some(false), &s.token.text, Some(&s.token.seen));
        let row = el("li")
            .add(el("span").class("n mono").add(s.n.to_string()))
            .add(failed)
            .add(el("span").class("target mono").add(s.target.clone()));
        rows = rows.add(row);
    }
    let mut out = el("details").class("skipped");
    if list.len() < 4 {
        out = out.attr("open", "");
    }
    out.add(el("summary").add(title)).add(rows).into()
}

/// The fields that NAT has changed.
fn nat(before: &Frame, after: &Frame) -> El {
    let mut rows = el("tbody");
    for (layer, fields) in diff(Some(before), after) {
        for (f, was) in fields {
            let Some(was) = was else { continue };
            let row = el("tr")
                .add(el("th").attr("scope", "row").add(format!("{layer} {}", f.name)))
                .add(el("td").add(el("del").add(was)))
                .add(el("td").add(el("ins").add(f.value)));
            rows = rows.add(row);
        }
    }
    let head = ["field", "before", "after"].into_iter();
    let head = head.fold(el("tr"), |row, name| row.add(el("th").attr("scope", "col").add(name)));
    el("table").class("change").add(el("thead").add(head)).add(rows)
}
