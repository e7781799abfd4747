//! What the tools print on a box at the cursor: a command, its lines, and which of them are marked.

use super::virtual_list::{Place, Rows, virtual_list};
use super::{copy_button, space};
use crate::dom::{El, NONE, View, effect, el, part, text};
use crate::load::Loaded;
use crate::state::{State, Tab};
use crate::watched::Watched;
use crate::words::{self, Selected};
use gloo::timers::callback::Timeout;
use kernel::event::What;
use kernel::netfilter::xtables::TableId;
use kernel::{Netns, NetnsId};
use leptos::prelude::*;
use sim::view::{NameRole, Names, RuleFormat, RuleRows, Step, sysctls};
use sim::{EventId, World};
use std::rc::Rc;

/// What shows the kernel's and kube-proxy's versions.
const FACTS: &str = "uname -r";

/// What is kept of the tables while the page is open.
#[derive(Default)]
pub struct Tables {
    /// The command that was chosen, of each tab where one was.
    chosen: Watched<Vec<(Tab, String)>>,
    /// Only lines with this in them are listed.
    filter: Watched<String>,
    /// The lines from which a jump to a chain led away.
    back: Watched<Vec<u32>>,
    /// Where the list is.
    place: Rc<Place>,
    /// What is listed.
    shown: Watched<Rc<Shown>>,
    /// The lines that fit the filter.
    fitting: Watched<Option<Rc<Vec<u32>>>>,
}

/// The lines of a command.
#[derive(Default)]
struct Shown {
    /// Where the world is as it was at the cursor.
    world: Option<(Rc<World>, NetnsId)>,
    lines: Lines,
    names: Names,
    /// The line that the cursor is at.
    now: Option<u32>,
    /// Settings that are not as they are in a box that nobody has touched.
    changed: Vec<bool>,
    /// It was refused, or there is nothing to list: why.
    why: String,
}

enum Lines {
    Text(Vec<String>),
    Rules(RuleRows),
}

impl Default for Lines {
    fn default() -> Lines {
        Lines::Text(Vec::new())
    }
}

impl Shown {
    fn len(&self) -> u32 {
        match &self.lines {
            Lines::Text(lines) => u32::try_from(lines.len()).unwrap_or(u32::MAX),
            Lines::Rules(rows) => rows.len(),
        }
    }

    fn host(&self) -> Option<&Netns> {
        self.world.as_ref().and_then(|(world, host)| world.host(*host))
    }

    fn line(&self, n: u32) -> String {
        match (&self.lines, self.host()) {
            (Lines::Text(lines), _) => lines.get(n as usize).cloned().unwrap_or_default(),
            (Lines::Rules(rows), Some(ns)) => rows.text(ns, n),
            (Lines::Rules(_), None) => String::new(),
        }
    }

    /// How often a rule has matched; `None` for other lines.
    fn packets(&self, n: u32) -> Option<u64> {
        match (&self.lines, self.host()) {
            (Lines::Rules(rows), Some(ns)) => rows.packets(ns, n),
            _ => None,
        }
    }
}

// ---------------------------------------------------------------------- commands

/// The commands of a tab, with the box as it is at the cursor.
fn commands(state: State, tab: Tab, ns: &Netns) -> Vec<String> {
    let owned = |list: &[&str]| -> Vec<String> { list.iter().map(|c| (*c).to_owned()).collect() };
    match tab {
        Tab::Rules => {
            let mut out = owned(&["iptables-save", "iptables-save -c"]);
            let tables = ns.loaded_tables().iter();
            out.extend(tables.map(|t| format!("iptables -t {t} -L -n -v --line-numbers")));
            out.push("nft list ruleset".to_owned());
            out.push("ip6tables-save".to_owned());
            out
        }
        Tab::Conntrack => owned(&["conntrack -L", "conntrack -L expect", "conntrack -S", "conntrack -C"]),
        Tab::Sets => owned(&["ipset list", "ipset save"]),
        Tab::Ipvs => owned(&[
            "ipvsadm -Ln",
            "ipvsadm -Ln --stats",
            "ipvsadm -Lnc",
            "ip -br -4 addr show dev kube-ipvs0",
        ]),
        Tab::Network => {
            let mut out: Vec<String> = owned(&["ip route", "ip rule", "ip route show table local"]);
            if let Some(dst) = destination(state) {
                out.push(format!("ip route get {dst}"));
            }
            out.extend(owned(&["ip neigh", "bridge fdb", "bridge link", "ip addr", "ip -br link"]));
            out
        }
        Tab::Node => {
            let names: Vec<&str> = sysctls(ns).into_iter().map(|(name, _)| name).collect();
            let mut out: Vec<String> = owned(&[FACTS, "dmesg", "lsmod"]);
            out.push(format!("sysctl {}", names.join(" ")));
            out
        }
        Tab::Capture | Tab::Packet | Tab::Changes => Vec::new(),
    }
}

/// Where the packet goes that is looked at, as it is now.
fn destination(state: State) -> Option<String> {
    state.with_step(|loaded, step, _| {
        let frame = sim::view::frame_at(loaded.world(), step.packet?, step.event)?;
        Some(frame.ip()?.dst.to_string())
    })?
}

/// The command of a tab that is shown.
fn command(state: State, tab: Tab, list: &[String]) -> String {
    let chosen = state.tables.chosen.get();
    let chosen = chosen.iter().find(|(t, _)| *t == tab).map(|(_, c)| c);
    // `ip route get` is another command for each packet.
    let same = |c: &&String| chosen.is_some_and(|x| *c == x || both_begin("ip route get ", c, x));
    list.iter().find(same).or(list.first()).cloned().unwrap_or_default()
}

fn both_begin(with: &str, a: &str, b: &str) -> bool {
    a.starts_with(with) && b.starts_with(with)
}

fn print(world: &World, host: NetnsId, line: &str) -> (Vec<String>, String) {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    // A command may change a world: expired entries go when conntrack lists them.
    match sim::operator::command(&mut world.copy(), host, &argv, None) {
        Ok(out) if out.status == 0 => (out.stdout, String::new()),
        Ok(out) => (out.stdout, out.stderr.join("\n")),
        Err(why) => (Vec::new(), why),
    }
}

/// All that a command prints at the cursor.
fn whole(state: State, tab: Tab) -> String {
    untrack(|| {
        let (loaded, host, now) = (state.loaded.get(), state.table_host(), state.now());
        let world = loaded.run.world_at(now);
        let list = world.host(host).map(|ns| commands(state, tab, ns)).unwrap_or_default();
        let line = command(state, tab, &list);
        let lines = match line.as_str() {
            "conntrack -L" => conntrack(&loaded, &world, host, now, None).0,
            line => print(&world, host, line).0,
        };
        lines.into_iter().map(|l| l + "\n").collect()
    })
}

fn shown(state: State, tab: Tab) -> Shown {
    let (loaded, host, now) = (state.loaded.get(), state.table_host(), state.now());
    let world = loaded.run.world_at(now);
    let Some(ns) = world.host(host) else { return Shown::default() };
    let list = commands(state, tab, ns);
    let line = command(state, tab, &list);
    let legacy = world.backend(host) == sim::Backend::Legacy;
    let format = match line.as_str() {
        "iptables-save" => Some(RuleFormat::Save),
        "iptables-save -c" => Some(RuleFormat::SaveCounters),
        line => table_of(line).map(RuleFormat::List),
    };
    let names = Names::of(ns);
    if let Some(format) = format.filter(|_| legacy) {
        let rows = RuleRows::new(ns, format);
        let current = state.with_step(|d, s, _| current_rule(d, s, host, ns)).flatten();
        let now = current.and_then(|place| rows.find(place));
        let why =
            if rows.is_empty() { "no table of iptables is loaded here".to_owned() } else { String::new() };
        return Shown {
            world: Some((Rc::clone(&world), host)),
            lines: Lines::Rules(rows),
            names,
            now,
            why,
            changed: Vec::new(),
        };
    }
    let (lines, mut why, at) = match line.as_str() {
        "conntrack -L" => {
            let (lines, at) = conntrack(&loaded, &world, host, now, state.packet());
            (lines, String::new(), at)
        }
        line => {
            let (lines, why) = print(&world, host, line);
            (lines, why, None)
        }
    };
    if lines.is_empty() && why.is_empty() {
        why = "it prints nothing".to_owned();
    }
    let changed = line.starts_with("sysctl ").then(|| sysctls(ns).into_iter().map(|(_, c)| c).collect());
    let changed: Vec<bool> = changed.unwrap_or_default();
    let world = Some((Rc::clone(&world), host));
    Shown { world, lines: Lines::Text(lines), names, now: at, changed, why }
}

/// `iptables -t TABLE -L ...`
fn table_of(line: &str) -> Option<TableId> {
    line.strip_prefix("iptables -t ").and_then(|rest| rest.split(' ').next()).and_then(TableId::from_name)
}

/// The rule that a step looks at; the end of a chain is shown at its declaration.
fn current_rule(loaded: &Loaded, step: &Step, host: NetnsId, ns: &Netns) -> Option<(TableId, usize, u32)> {
    match loaded.world().log().get(step.key).and_then(sim::Entry::what) {
        Some(What::Rule(r)) if step.host == host => {
            let chain = ns.table(r.table)?.rules.chains.iter().position(|c| c.name == r.chain)?;
            Some((r.table, chain, r.rule().map_or(0, |_| r.n)))
        }
        _ => None,
    }
}

/// `conntrack -L`, and the line of the flow that a packet belongs to. What the log tells is exact at each event; where the box has
/// the same entry, its own line is taken, which counts time in less than seconds.
fn conntrack(
    loaded: &Loaded,
    world: &World,
    host: NetnsId,
    now: EventId,
    packet: Option<kernel::PacketId>,
) -> (Vec<String>, Option<u32>) {
    let entries = sim::view::conntrack_at(loaded.world(), host, now);
    let flow = packet.and_then(|p| {
        let log = loaded.world().log().entries().iter().take(now.index() + 1).rev();
        let mut mine = log.filter(|e| e.packet == Some(p) && e.host == host);
        mine.find_map(|e| match e.what()? {
            What::Conntrack { conn, .. } => *conn,
            _ => None,
        })
    });
    let rows = world.host(host).map(|ns| ns.ct.rows(world.now())).unwrap_or_default();
    let same = |entry: &sim::view::CtEntry| {
        let row = rows.iter().find(|r| r.id == entry.conn)?;
        let words = sim::view::row_words(row);
        let alike = words.iter().skip(1).eq(entry.words.iter().skip(1));
        alike.then(|| words.into_iter().map(|w| w.text).collect::<Vec<_>>().join(" "))
    };
    let (mut lines, mut at) = (Vec::new(), None);
    for entry in entries.iter().filter(|e| e.confirmed) {
        if Some(entry.conn) == flow {
            at = u32::try_from(lines.len()).ok();
        }
        lines.push(same(entry).unwrap_or_else(|| entry.line()));
    }
    (lines, at)
}

// ---------------------------------------------------------------------- the list

/// The lines of a tab's command; for the kernel's version, what there is to know of the node.
pub fn table(state: State, tab: Tab) -> View {
    if tab != Tab::Node {
        return lines(state, tab);
    }
    part(move || {
        let facts = state.tables.chosen.with(|all| all.iter().all(|(t, c)| *t != tab || c == FACTS));
        if facts { super::node::facts(state) } else { lines(state, tab) }
    })
}

fn lines(state: State, tab: Tab) -> View {
    let t = state.tables;
    effect(move || {
        let new = shown(state, tab);
        if let Some(row) = new.now.filter(|_| t.filter.get_untracked().is_empty()) {
            t.place.reveal(row);
        }
        t.shown.set(Rc::new(new));
    });
    follow_filter(state);
    let list = part(move || {
        let why = t.shown.with(|s| s.why.clone());
        if why.is_empty() { NONE } else { el("p").class("none").add(why).into() }
    });
    let rows = Rows {
        len: Box::new(move || match t.fitting.get() {
            Some(fitting) => u32::try_from(fitting.len()).unwrap_or(u32::MAX),
            None => t.shown.with(|s| s.len()),
        }),
        lines: 1,
        row: Box::new(move |n, row| draw(state, n, row)),
        enter: Box::new(move |n| enter(state, n)),
    };
    let label = untrack(|| state.table_host_name());
    let grid = virtual_list("table-list", label, Rc::clone(&t.place), rows);
    el("div")
        .class("vtable")
        .on("click", move |e| {
            if let Some(word) = words::clicked(e) {
                let row = e.target().and_then(|t| row_of(&t));
                pick(state, word, row);
            }
        })
        .add(list)
        .add(grid)
        .into()
}

/// The line of a row that is drawn.
fn line_of(state: State, row: u32) -> u32 {
    let fitting = state.tables.fitting.get();
    fitting.as_ref().map_or(row, |f| f.get(row as usize).copied().unwrap_or(0))
}

/// The row that something in the list stands in.
pub fn row_of(target: &web_sys::EventTarget) -> Option<u32> {
    use wasm_bindgen::JsCast;
    let e: &web_sys::Element = target.dyn_ref()?;
    let row = e.closest(".vrow").ok()??;
    row.get_attribute("aria-rowindex")?.parse::<u32>().ok()?.checked_sub(1)
}

fn draw(state: State, row: u32, to: El) -> El {
    let t = state.tables;
    let n = line_of(state, row);
    t.shown.with(|s| {
        let packets = s.packets(n);
        let text = s.line(n);
        let count = packets.filter(|n| *n > 0).map(|n| n.to_string()).unwrap_or_default();
        let rules = matches!(s.lines, Lines::Rules(_));
        let mut cell = el("span").attr("role", "gridcell");
        if rules {
            cell = cell.add(el("span").class("hits").add(count));
        }
        let to = to
            .class_if("now", s.now == Some(n))
            .class_if("hit", packets.is_some_and(|n| n > 0))
            .class_if("decl", rules && text.starts_with([':', '*']) || text.starts_with("Chain "));
        if s.changed.get(n as usize) == Some(&true) {
            let mark = el("span").class("changed").attr("title", "not the default").add("≠");
            cell = cell.add(mark).add(super::unseen("not the default: "));
        } else if !s.changed.is_empty() {
            cell = cell.add(el("span").class("changed"));
        }
        to.add(words::add_line(state, &s.names, &text, cell))
    })
}

/// Chooses a word. In a list of rules, a chain is also gone to.
fn pick(state: State, word: Selected, row: Option<u32>) {
    let chain = (word.role == NameRole::Chain).then(|| word.text.clone());
    words::choose(state, word);
    if let Some(name) = chain {
        jump(state, &name, row);
    }
}

/// Goes to a chain.
fn jump(state: State, name: &str, from: Option<u32>) {
    let t = state.tables;
    let from = from.map(|row| untrack(|| line_of(state, row)));
    let to = t.shown.with_untracked(|s| {
        let Lines::Rules(rows) = &s.lines else { return None };
        let near = from.and_then(|n| rows.place(n)).map(|(table, ..)| table);
        rows.chain(s.host()?, name, near)
    });
    let Some(to) = to.filter(|to| Some(*to) != from) else { return };
    let mut back = t.back.get_untracked();
    back.extend(from);
    t.back.set(back);
    t.filter.set(String::new());
    t.place.show(to);
}

/// Enter on a line: goes to the last chain that it names, or chooses its first name.
fn enter(state: State, row: u32) {
    let word = state.tables.shown.with_untracked(|s| {
        let line = s.line(untrack(|| line_of(state, row)));
        let pieces = s.names.pieces(&line);
        let chain = pieces.iter().rev().find(|(_, r)| *r == Some(NameRole::Chain));
        let any = chain.or_else(|| pieces.iter().find(|(_, r)| r.is_some()))?;
        Some(Selected { role: any.1?, text: any.0.to_owned() })
    });
    if let Some(word) = word {
        pick(state, word, Some(row));
    }
}

// ---------------------------------------------------------------------- the filter

/// So many lines are looked at in one go: a few milliseconds.
const PIECE: u32 = 2000;

/// Finds the lines that fit, piece by piece, so that the page stays at hand.
fn follow_filter(state: State) {
    let t = state.tables;
    let mut timer: Option<Timeout> = None;
    effect(move || {
        let filter = t.filter.get();
        t.shown.track();
        timer.take();
        if filter.is_empty() {
            if t.fitting.get_untracked().is_some() {
                t.fitting.set(None);
            }
            return;
        }
        timer = Some(Timeout::new(0, move || look(state, filter, 0, Vec::new())));
    });
}

fn look(state: State, filter: String, from: u32, mut found: Vec<u32>) {
    let t = state.tables;
    // Somebody has typed on.
    if t.filter.get_untracked() != filter {
        return;
    }
    let shown = t.shown.get_untracked();
    let to = from.saturating_add(PIECE).min(shown.len());
    found.extend((from..to).filter(|n| shown.line(*n).contains(&filter)));
    t.fitting.set(Some(Rc::new(found.clone())));
    if to < shown.len() {
        Timeout::new(0, move || look(state, filter, to, found)).forget();
    }
}

// ---------------------------------------------------------------------- beside the tabs

/// The command, a filter, and a copy.
pub fn table_tools(state: State, tab: Tab) -> View {
    let t = state.tables;
    t.filter.set(String::new());
    t.back.set(Vec::new());
    t.place.reset();
    let list = move || {
        let loaded = state.loaded.get();
        let world = loaded.run.world_at(state.now());
        world.host(state.table_host()).map(|ns| commands(state, tab, ns)).unwrap_or_default()
    };
    let options = part(move || {
        let all = list();
        let now = command(state, tab, &all);
        let option = |c: &String| {
            let on = *c == now;
            el("option").attr("value", c.clone()).maybe("selected", "", move || on).add(c.clone()).into()
        };
        View::All(all.iter().map(option).collect())
    });
    let choose = el("select")
        .class("mono")
        .id("table-command")
        .attr("aria-label", "Command")
        .input(move || command(state, tab, &list()))
        .on("change", move |e| {
            let mut chosen = t.chosen.get_untracked();
            chosen.retain(|(t, _)| *t != tab);
            chosen.push((tab, event_target_value(e)));
            t.back.set(Vec::new());
            t.place.reset();
            t.chosen.set(chosen);
        })
        .add(options);
    let filter = el("input")
        .attr("type", "search")
        .attr("placeholder", "filter")
        .attr("aria-label", "Only lines with")
        .id("table-filter")
        .input(move || t.filter.get())
        .on("input", move |e| {
            t.place.reset();
            t.filter.set(event_target_value(e));
        });
    let back = part(move || {
        if t.back.with(Vec::is_empty) {
            return NONE;
        }
        let go = move || {
            let mut back = t.back.get_untracked();
            if let Some(row) = back.pop() {
                t.back.set(back);
                t.place.show(row);
            }
        };
        el("button").class("btn quiet").id("table-back").click(go).add("Back to the rule").into()
    });
    let prompt = text(move || state.table_host_name() + "# ");
    let name = crate::keys::TABS.iter().find(|(t, _)| *t == tab).map_or("", |(_, n)| *n);
    el("div")
        .class("tools")
        .add(el("label").add(el("span").class("mono").add(prompt)).add(choose))
        .add(filter)
        .add(back)
        .add(space())
        .add((tab == Tab::Rules).then(|| held(state)))
        .add(copy_button(state, name, move || whole(state, tab)))
        .into()
}

/// What kernel and kube-proxy are held against; a click leads to the details.
fn held(state: State) -> El {
    let to_facts = move || {
        let mut chosen = state.tables.chosen.get_untracked();
        chosen.retain(|(t, _)| *t != Tab::Node);
        state.tables.chosen.set(chosen);
        state.tab.set(Tab::Node);
        crate::focus_on("tab-Node");
    };
    el("button")
        .class("btn quiet held")
        .id("held-against")
        .attr("title", "What this is held against")
        .click(to_facts)
        .add(text(move || super::node::held_against(state)))
}
