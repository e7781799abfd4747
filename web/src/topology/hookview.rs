//! One hook, as near as it gets: what is registered there in the order of priority, and the walk of the packet through
//! chains and rules, with every rule that was tried and what the packet had.

use super::map::short_flow;
use crate::diagram::color;
use crate::dom::{El, NONE, View, before_paint, el, part};
use crate::icons;
use crate::load::Loaded;
use crate::state::State;
use kernel::event::What;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::TableId;
use kernel::{Netns, PacketId};
use leptos::prelude::document;
use packet::Family;
use sim::EventId;
use sim::view::{
    Area, HookBox, Pass, Step, Token, Walk, WalkLine, WalkOf, passes, registered_for, rest, rule_asked,
    unentered,
};
use std::rc::Rc;
use wasm_bindgen::JsCast;

/// Everything that the view is about.
struct View3<'a> {
    state: State,
    loaded: &'a Loaded,
    ns: &'a Netns,
    hook: InetHook,
    pass: Option<Pass>,
    packet: Option<PacketId>,
    now: EventId,
    cursor: usize,
    /// The rule that is explained.
    focus: Option<EventId>,
}

/// The view.
pub fn hook(state: State) -> View {
    let body = part(move || {
        let loaded = state.loaded.get();
        let Some(ns) = loaded.world().host(state.host()) else { return NONE };
        let hook = state.hook().unwrap_or(InetHook::PreRouting);
        body(state, &loaded, ns, hook)
    });
    el("div")
        .class("hookview")
        .id("hookview")
        .attr("tabindex", "0")
        .attr("role", "region")
        .attr("aria-label", "Hook")
        .add(body)
        .into()
}

fn body(state: State, loaded: &Rc<Loaded>, ns: &Netns, hook: InetHook) -> View {
    let (packet, now, cursor) = (state.packet(), state.now(), state.cursor.get());
    let all = packet.map(|p| passes(loaded.world(), ns.id, p, hook)).unwrap_or_default();
    // The pass that the cursor is in, or the last one before it, or the first.
    let at = all.iter().rposition(|p| p.first <= now).or((!all.is_empty()).then_some(0));
    let count = all.len();
    let pass = at.and_then(|i| all.get(i).cloned());
    let chosen = state.zoom.rule.get().filter(|(c, _)| *c == cursor).map(|(_, event)| event);
    let here =
        loaded.story.steps.get(cursor).filter(|s| s.host == ns.id && s.packet == packet).map(|s| s.key);
    let view = View3 { state, loaded, ns, hook, pass, packet, now, cursor, focus: chosen.or(here) };
    let family = view.pass.as_ref().map_or(Family::V4, |p| p.ctx.family);
    let boxes = registered_for(ns, family, hook);
    let mut out = vec![view.head(at, &all, count)];
    if boxes.is_empty() {
        out.push(
            el("p")
                .class("quiet")
                .add("Nothing is registered at this hook: a packet passes it untouched.")
                .into(),
        );
    }
    out.extend(boxes.iter().map(|b| view.stop(b, family, &boxes)));
    before_paint(keep_in_sight);
    View::All(out)
}

/// Scrolls the view, and nothing else, to the line of the cursor.
fn keep_in_sight() {
    let find = |css| document().query_selector(css).ok().flatten()?.dyn_into::<web_sys::HtmlElement>().ok();
    let (Some(line), Some(view)) = (find(".hookview .sel"), find(".hookview")) else { return };
    let (top, low) = (line.offset_top(), line.offset_top() + line.offset_height());
    let (above, below) = (view.scroll_top(), view.scroll_top() + view.client_height());
    if top < above || low > below {
        // With what led there above it.
        view.set_scroll_top(top - view.client_height() / 3);
    }
}

impl View3<'_> {
    fn head(&self, at: Option<usize>, all: &[Pass], count: usize) -> View {
        let frame = self.packet.and_then(|p| sim::view::frame_at(self.loaded.world(), p, self.now));
        let label =
            frame.map(|f| format!("{} {}", sim::view::segment(&f), short_flow(&f))).unwrap_or_default();
        let mut line = el("p").class("hookline");
        line = line.add(el("span").class("mono").add(label));
        let Some(pass) = &self.pass else {
            let name = self.ns.name.as_str();
            return line
                .add(el("span").class("quiet").add(format!("does not pass {} of {name}", self.hook)))
                .into();
        };
        let dev = |d: Option<kernel::DevId>| d.map(|d| self.ns.dev_name(d).to_owned());
        let mut words = Vec::new();
        for (word, d) in [
            ("in", pass.ctx.indev),
            ("out", pass.ctx.outdev),
            ("port in", pass.ctx.physin),
            ("port out", pass.ctx.physout),
        ] {
            words.extend(dev(d).map(|d| format!("{word} {d}")));
        }
        line = line.add(el("span").class("quiet").add(words.join(" · ")));
        if count > 1 {
            let at = at.unwrap_or(0);
            line = line.add(el("span").class("quiet").add(format!("walk {} of {count}", at + 1)));
            for (name, to) in [("Previous walk", at.checked_sub(1)), ("Next walk", Some(at + 1))] {
                let Some(first) = to.and_then(|i| all.get(i)).map(|p| p.first) else { continue };
                let (state, to) = (self.state, self.loaded.story.step_at(first));
                line = line.add(el("button").class("linklike").click(move || state.go(to)).add(name));
            }
        }
        line.into()
    }

    /// A function of the hook, and what the packet met in it.
    fn stop(&self, b: &HookBox, family: Family, boxes: &[HookBox]) -> View {
        let walks = self.walks_of(b, family, boxes);
        let steps = self.steps_of(b);
        let met = !walks.is_empty() || !steps.is_empty();
        let letter = el("b").add(b.letter);
        let name = el("span")
            .class("tag")
            .class(color(b.area))
            .add(letter)
            .add(b.name.split(':').next().unwrap_or_default().to_owned());
        let priority = match b.priority {
            i32::MIN => "first".to_owned(),
            i32::MAX => "last".to_owned(),
            n => format!("priority {n}"),
        };
        let mut head = el("h3").class("stophead").add(name).add(el("span").class("quiet").add(priority));
        if !met {
            head = head.add(el("span").class("quiet").add(self.not_met(b)));
        }
        let mut out = el("section").class("stop").class_if("unmet", !met).add(head);
        for walk in &walks {
            out = out.add(self.walk(walk));
        }
        // What the rules have decided is done after them.
        for step in steps {
            out = out.add(self.step(step));
        }
        if walks.is_empty() {
            out = out.add(self.idle(b, family));
        }
        out.into()
    }

    /// The walks that belong to a function. What NAT asks of nf_tables has no function of its own in the list.
    fn walks_of(&self, b: &HookBox, family: Family, boxes: &[HookBox]) -> Vec<Walk> {
        let is_nat = b.area == Area::Table(TableId::Nat);
        let mine = |w: &&Walk| match (w.of, b.area) {
            (WalkOf::Table(f, t), Area::Table(table)) => f == family && t == table,
            (WalkOf::Nft(base), _) if b.base.is_some() => b.base == Some(base),
            (WalkOf::Nft(base), _) => is_nat && !boxes.iter().any(|o| o.base == Some(base)),
            _ => false,
        };
        self.pass.iter().flat_map(|p| p.walks.iter().filter(mine)).cloned().collect()
    }

    /// Steps at a function that are no rules.
    fn steps_of(&self, b: &HookBox) -> Vec<(usize, &Step)> {
        let Some(pass) = &self.pass else { return Vec::new() };
        let is_rule = |s: &Step| {
            matches!(
                self.loaded.world().log().get(s.key).and_then(|e| e.what()),
                Some(What::Rule(_) | What::Nft(_))
            )
        };
        let mine = |s: &Step| {
            s.host == self.ns.id
                && s.packet == self.packet
                && s.spot == Some(b.spot)
                && s.event >= pass.first
                && s.event < pass.end
                && !is_rule(s)
        };
        self.loaded.story.steps.iter().enumerate().filter(|(_, s)| mine(s)).collect()
    }

    fn not_met(&self, b: &HookBox) -> &'static str {
        match (&self.pass, b.area) {
            (None, _) => "",
            (Some(_), Area::Table(TableId::Nat)) => {
                "not asked: the connection's first packet has decided, or nothing is to do"
            }
            (Some(_), Area::Conntrack) => "nothing to do for this packet",
            (Some(_), _) => "not reached, or nothing to do",
        }
    }

    fn step(&self, (i, step): (usize, &Step)) -> El {
        let state = self.state;
        el("button")
            .class("wline did")
            .class_if("future", step.event > self.now)
            .class_if("sel", i == self.cursor)
            .click(move || state.go(i))
            .add(el("span").class("what").add(step.title.clone()))
            .add(el("span").class("quiet").add(step.note.clone()))
    }

    /// The chain of a function that the packet did not walk.
    fn idle(&self, b: &HookBox, family: Family) -> View {
        let (of, chain): (WalkOf, Rc<str>) = match (b.base, b.area) {
            (Some(base), _) => {
                let table = self.ns.nft.table_by_key(base.table);
                let Some(chain) = table.and_then(|t| t.chain_by_key(base.chain)) else { return NONE };
                (WalkOf::Nft(base), Rc::clone(&chain.name))
            }
            (None, Area::Table(table)) => (WalkOf::Table(family, table), self.hook.chain().into()),
            _ => return NONE,
        };
        self.chain(of, &chain, 1, None, 0)
    }

    fn walk(&self, walk: &Walk) -> View {
        let mut out = Vec::new();
        let lines = &walk.lines;
        let mut i = 0;
        while let Some(line) = lines.get(i) {
            let failed = |l: &&WalkLine| matches!(l, WalkLine::Asked { matched: false, event, .. } if Some(*event) != self.focus);
            let run = lines.iter().skip(i).take_while(failed).count();
            if run > 2 {
                out.push(self.group(lines.get(i..i + run).unwrap_or_default()));
                i += run;
                continue;
            }
            out.push(self.line(walk, line));
            i += 1;
        }
        out.push(self.others(walk));
        el("div").class("walkthrough").add(View::All(out)).into()
    }

    fn line(&self, walk: &Walk, line: &WalkLine) -> View {
        match line {
            // The policy follows at once.
            WalkLine::Chain { rules: 0, .. } => NONE,
            WalkLine::Chain { depth, name, rules } => el("p")
                .class("wchain mono")
                .class(indent(*depth))
                .add(el("b").add(name.to_string()))
                .add(el("span").class("quiet").add(plural(*rules, "rule")))
                .into(),
            WalkLine::Asked { depth, event, .. } => self.asked(*depth, *event),
            WalkLine::End { depth, event, text } => el("p")
                .class("wend")
                .class(indent(*depth))
                .class_if("future", *event > self.now)
                .class_if("sel", self.focus == Some(*event))
                .add(text.clone())
                .into(),
            WalkLine::Rest { depth, chain, from, count } => {
                let title = format!("{} of {chain} not reached", plural(*count, "rule"));
                self.chain(walk.of, chain, *from, Some(title), *depth)
            }
        }
    }

    /// Rules that did not match, as one line that opens.
    fn group(&self, lines: &[WalkLine]) -> View {
        let Some(WalkLine::Asked { depth, event, .. }) = lines.first() else { return NONE };
        let rows = |view: &Self| {
            let rows = lines.iter().map(|l| match l {
                WalkLine::Asked { depth, event, .. } => view.asked(*depth, *event),
                _ => NONE,
            });
            View::All(rows.collect())
        };
        let title = format!("{} did not match", plural(lines.len(), "rule"));
        let open = el("p").class("wfold").class(indent(*depth)).class_if("future", *event > self.now);
        self.fold(open, &format!("asked {}", event.0), title, rows)
    }

    /// A line that opens: what is in it is only made when it is open.
    fn fold(&self, line: El, key: &str, title: String, rows: impl Fn(&Self) -> View) -> View {
        let state = self.state;
        let open = state.zoom.opened.with(|o| o.iter().any(|k| k == key));
        let own = key.to_owned();
        let toggle = move || {
            let mut all = state.zoom.opened.get_untracked();
            match all.iter().position(|k| *k == own) {
                Some(i) => drop(all.remove(i)),
                None => all.push(own.clone()),
            }
            state.zoom.opened.set(all);
        };
        let button = el("button")
            .class("linklike fold")
            .attr("aria-expanded", if open { "true" } else { "false" })
            .click(toggle)
            .add(title);
        View::All(vec![line.add(button).into(), if open { rows(self) } else { NONE }])
    }

    /// Rules of a chain that were not asked.
    fn chain(&self, of: WalkOf, chain: &Rc<str>, from: u32, title: Option<String>, depth: usize) -> View {
        let title = title.unwrap_or_else(|| format!("chain {chain}"));
        let rows = |view: &Self| {
            let texts = rest(view.ns, of, chain, from, MANY);
            let rows = texts.into_iter().zip(from..).map(|(text, n)| {
                let number = el("span").class("n").add(n.to_string());
                el("p")
                    .class("wline unreached mono")
                    .class(indent(depth))
                    .add(number)
                    .add(el("span").add(text))
                    .into()
            });
            View::All(rows.collect())
        };
        let line = el("p").class("wfold").class(indent(depth));
        self.fold(line, &format!("{} {chain} {from}", key_of(of)), title, rows)
    }

    /// Chains that the walk never entered.
    fn others(&self, walk: &Walk) -> View {
        let chains = unentered(self.ns, walk);
        if chains.is_empty() {
            return NONE;
        }
        let rows = |view: &Self| {
            let rows = chains.iter().take(MANY).map(|(name, rules)| {
                let title = format!("{name}, {}", plural(*rules, "rule"));
                view.chain(walk.of, name, 1, Some(title), 1)
            });
            View::All(rows.collect())
        };
        let title = format!("{} not entered", plural(chains.len(), "chain"));
        self.fold(el("p").class("wfold"), &format!("others {}", key_of(walk.of)), title, rows)
    }

    /// A rule that was asked; the one in focus with all its parts.
    fn asked(&self, depth: usize, event: EventId) -> View {
        let Some(asked) = rule_asked(self.loaded.world(), event) else { return NONE };
        let (state, focused, cursor) = (self.state, self.focus == Some(event), self.cursor);
        let matched = asked.matched;
        let step = self.loaded.story.steps.iter().position(|s| s.key == event);
        let press = move || match step.filter(|_| matched) {
            Some(step) => state.go(step),
            None => state.zoom.rule.set((!focused).then_some((cursor, event))),
        };
        let icon = if matched { icons::check() } else { icons::cross() };
        let word = crate::panes::unseen(if matched { "matched: " } else { "did not match: " });
        let mut row = el("button")
            .class("wline asked")
            .class(indent(depth))
            .class(if matched { "match" } else { "miss" })
            .class_if("future", event > self.now)
            .class_if("sel", focused)
            .maybe("aria-current", "true", move || focused)
            .click(press)
            .add(el("span").class("mark").add(icon).add(word))
            .add(el("span").class("n mono").add(asked.n.to_string()));
        if focused {
            row = row.add(el("span").class("toks").add(View::All(asked.tokens.iter().map(token).collect())));
            return row.into();
        }
        let failed = asked.tokens.iter().find(|t| t.ok == Some(false));
        row = row.add(el("span").class("text mono").add(asked.text.clone()));
        if let Some(t) = failed.filter(|_| !matched) {
            row = row.add(el("span").class("had").add(format!("has {}", t.seen)));
        }
        row.into()
    }
}

/// More lines than this are not shown of one chain.
const MANY: usize = 500;

/// A part of a rule: whether it holds, and the packet's value.
fn token(t: &Token) -> View {
    let (class, icon) = match t.ok {
        Some(true) => ("tok y", icons::check()),
        Some(false) => ("tok n", icons::cross()),
        None => ("tok", NONE),
    };
    let word = t.ok.map(|ok| crate::panes::unseen(if ok { "holds: " } else { "does not hold: " }));
    let seen = (!t.seen.is_empty()).then(|| el("span").class("seen").add(t.seen.clone()));
    el("span").class(class).add(icon).add(word).add(el("span").add(t.text.clone()).add(" ").add(seen)).into()
}

/// What tells one walk from another, as far as what is unfolded is concerned.
fn key_of(of: WalkOf) -> &'static str {
    match of {
        WalkOf::Table(_, table) => table.name(),
        WalkOf::Nft(base) => base.kind.name(),
    }
}

fn indent(depth: usize) -> &'static str {
    ["d0", "d1", "d2", "d3", "d4"].get(depth).copied().unwrap_or("d5")
}

fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
