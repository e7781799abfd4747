//! What would let it through: the smallest change with which a run comes out as it is wanted, found by trying.
//!
//! One change is tried after the other, each by a run of its own; then up to three of which each shows only after the one before; then
//! any two. Whoever asks decides how many at a time ([`Search::step`]), so that a page stays alive meanwhile. The order is always the
//! same.

mod against;
mod plan;
mod wish;

use crate::knobs::{self, Group, Knob};
use crate::lab::{Begun, By, Effect, LabRun, command_of, unheard};
use crate::session::{At, Session, Typed};
use against::{against, instead};
use kernel::event::What;
use kernel::{DropReason, NetnsId, PacketId};
use userland::iptables::print_rule;
use wish::{Dropped, Wish, drops};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every goal of the lab; of a lab without goals, that the first exchange that failed succeeds.
    Goals,
    /// That this exchange succeeds: its command ends with status 0.
    Exchange(usize),
    /// That this packet comes past the place where it ended, and if that can be, that its exchange succeeds.
    Packet(PacketId),
}

/// A change that was tried, and with which it comes out as wanted.
#[derive(Clone, Debug)]
pub struct Cure {
    /// What is changed, each with its commands: box (none for kubectl's) and line.
    pub commands: Vec<Typed>,
    /// The command of the session that is taken back, or in whose place the other stands.
    pub undone: Option<Typed>,
    /// In words: `br_netfilter=on`.
    pub name: String,
    /// The session with it.
    pub session: Session,
}

impl Cure {
    /// What is done, line by line: commands as they are typed, and `Undo: ` with the one that is taken back.
    pub fn lines(&self) -> Vec<String> {
        let line = |c: &Typed| {
            let line = prompted(c.on.as_slice(), &c.line);
            if c.stdin.is_empty() { line } else { format!("{line} <<EOF\n{}EOF", c.stdin) }
        };
        let undone = self.undone.iter().map(|c| format!("Undo: {}", line(c)));
        self.commands.iter().map(line).chain(undone).collect()
    }

    /// The same in one line, joined by `; `.
    pub fn text(&self) -> String {
        self.lines().join("; ")
    }
}

/// A command behind the prompt of the boxes on which it is typed, or of wherever kubectl is. What no program does has none.
pub fn prompted(on: &[String], line: &str) -> String {
    match on {
        [] => line.strip_prefix("lab ").map_or_else(|| format!("$ {line}"), |l| format!("In the lab: {l}")),
        _ => format!("{}# {line}", on.join(", ")),
    }
}

/// How far a search is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Something was tried, and it did not help.
    Tried,
    /// Something was tried, and it helps.
    Found(Box<Cure>),
    /// Nothing is left to be tried.
    Done,
}

/// One thing that can be changed.
#[derive(Clone, Debug)]
enum Change {
    /// A switch of the lab, its value, and the commands that it stands for.
    Switch(String, String, Vec<Typed>),
    /// A knob and its value.
    Knob(Box<Knob>, String),
    /// Everything that puts a box back, by its name; of that as little as is enough.
    Box(String, Vec<Typed>),
    /// A command at setup; if that does not help, the same at a later time.
    Command(Typed, Option<At>),
    /// The session without this command of it, by its place.
    Undo(usize, Typed),
    /// The session with another command in that place.
    Instead(usize, Typed),
}

impl Change {
    fn name(&self) -> String {
        match self {
            Change::Switch(name, value, _) => format!("{name}={value}"),
            // `web runs on node-1`, `proxy-mode=ipvs`
            Change::Knob(knob, value) if knob.name.ends_with(" on") => format!("{} {value}", knob.name),
            Change::Knob(knob, value) => format!("{}={value}", knob.name),
            Change::Box(name, _) => format!("{name} as it was"),
            Change::Command(c, _) | Change::Undo(_, c) | Change::Instead(_, c) => c.line.clone(),
        }
    }

    fn commands(&self) -> Vec<Typed> {
        match self {
            Change::Switch(_, _, commands) | Change::Box(_, commands) => commands.clone(),
            Change::Knob(knob, value) => knob
                .positions
                .iter()
                .find(|t| t.value == *value)
                .map(|t| t.commands.clone())
                .unwrap_or_default(),
            Change::Command(c, _) | Change::Instead(_, c) => vec![c.clone()],
            Change::Undo(..) => Vec::new(),
        }
    }

    fn undone(&self) -> Option<usize> {
        match self {
            Change::Undo(n, _) => Some(*n),
            _ => None,
        }
    }

    /// It makes another cluster: another kernel or network plugin, or a pod elsewhere. Two commands that mend this one are rather wanted.
    fn is_drastic(&self) -> bool {
        matches!(self, Change::Knob(knob, _) if knob.group == Group::Cluster && knob.name != "hairpin mode")
    }

    /// The same change made later, if there is a later time for it.
    fn later(&self) -> Option<Change> {
        match self {
            Change::Command(c, Some(at)) => Some(Change::Command(Typed { at: *at, ..c.clone() }, None)),
            _ => None,
        }
    }

    fn apply(&self, session: &mut Session) {
        match self {
            Change::Switch(name, value, _) => drop(session.changes.insert(name.clone(), value.clone())),
            // The run that follows tells what it comes to; whether it is the lab's own value does not matter here.
            Change::Knob(..) | Change::Box(..) | Change::Command(..) => session.typed.extend(self.commands()),
            Change::Undo(n, _) => {
                if *n < session.typed.len() {
                    session.typed.remove(*n);
                }
            }
            Change::Instead(n, other) => {
                if let Some(typed) = session.typed.get_mut(*n) {
                    typed.clone_from(other);
                }
            }
        }
    }

    /// It makes another cluster or another kube-proxy. Not where a command mends a box or an object.
    fn is_everywhere(&self) -> bool {
        self.is_drastic() || matches!(self, Change::Knob(knob, _) if knob.group == Group::KubeProxy)
    }

    /// It mends a box or an object. What the lab's own switches do is not known.
    fn is_mild(&self) -> bool {
        !self.is_everywhere() && !matches!(self, Change::Switch(..))
    }

    /// Both are about the same switch.
    fn same(&self, other: &Change) -> bool {
        match (self, other) {
            (Change::Switch(a, ..), Change::Switch(b, ..)) => a == b,
            (Change::Knob(a, _), Change::Knob(b, _)) => a.name == b.name,
            // The place of the one depends on whether the other is there.
            (Change::Undo(..) | Change::Instead(..), Change::Undo(..) | Change::Instead(..)) => true,
            _ => false,
        }
    }
}

/// A run of so many parts is tried to its end, whatever the one without a change has been.
const LONG: usize = 2000;
/// So many pairs are tried at most.
const MAX_PAIRS: usize = 400;
/// So many of them are of a change and one against what was met after it.
const MAX_SECOND: usize = 60;

/// A search that goes on as long as it is asked to.
pub struct Search {
    session: Session,
    wish: Wish,
    /// The cluster before the first step.
    begun: Option<Begun>,
    /// A run of more parts than this is given up: a change may lead packets in a circle.
    long: usize,
    /// Where packets ended without a change, and after changes, by their indices, that led them further.
    behind: Vec<(Vec<usize>, Vec<End>)>,
    /// Such changes, each time with one against such an end.
    second: Vec<Vec<usize>>,
    /// So many faults behind one another are looked for now.
    deep: usize,
    /// What can be changed, in the order in which it is tried.
    changes: Vec<Change>,
    /// So many of them are tried in pairs.
    likely: usize,
    /// The indices of what is tried next.
    next: Vec<Vec<usize>>,
    at: usize,
    /// Something helps.
    found: bool,
    /// Something helps that makes no other cluster.
    mildly: bool,
    /// A command has been found that helps.
    mended: bool,
    /// Without a change the exchange comes out well already.
    well: bool,
    /// What lets the packet pass, though its exchange fails all the same: for want of better.
    further: Vec<Cure>,
    paired: bool,
}

impl Search {
    /// Begins a search: how could this run of the session have come out otherwise? `None` if there is nothing to be wished for.
    pub fn new(session: &Session, run: &LabRun, wanted: Wanted) -> Option<Search> {
        let wish = Wish::of(&session.lab, run, wanted)?;
        let mut changes = switches(session, run);
        let switched: Vec<_> = changes.iter().map(|c| meant(&c.commands())).collect();
        let begun = session.lab.begin(&session.changes, &session.typed).ok();
        let plan = session.lab.begin_bare(&session.changes, &session.typed);
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        if let (Some(begun), Some(plan)) = (&begun, plan.as_ref().or(begun.as_ref())) {
            (alone, together) = plan::boxes(run, begun, plan, &wish);
            for change in plan::objects(plan, begun) {
                // A field that is to go has a value that says more, mostly.
                if change.name().contains(":null") { &mut together } else { &mut alone }.push(change);
            }
            alone.retain(|c| !switched.contains(&meant(&c.commands())));
        }
        changes.append(&mut alone);
        if let Some(begun) = &begun {
            changes.append(&mut instead(session, run, begun, &wish));
        }
        let mut others = against(run, begun.as_ref(), &wish);
        others.retain(|c| !changes.iter().any(|known| known.commands() == c.commands()));
        changes.append(&mut others);
        changes.append(&mut together);
        let mut knobs = begun.as_ref().map(knobs::of).unwrap_or_default();
        // What is smallest comes first.
        sorted::sort_by_key(&mut knobs, |k| match k.group {
            Group::Nodes => 0,
            Group::Services => 1,
            Group::KubeProxy => 2,
            Group::Cluster => 3,
        });
        let small = knobs.iter().filter(|k| k.group <= Group::Nodes).count();
        let plain = |all: &[Typed]| -> Vec<_> {
            all.iter().map(|c| (c.on.clone(), c.line.replace(" -t filter", ""))).collect()
        };
        let made: Vec<_> = changes.iter().map(|c| plain(&c.commands())).collect();
        let turns = |k: &Knob| {
            let knob = Box::new(k.clone());
            // What the lab's own switch of that name does is tried already.
            let own = session.lab.switches.iter().find(|s| s.name == k.name);
            let tried = |value: &str| own.is_some_and(|s| s.positions.iter().any(|p| p.value == value));
            let same =
                |commands: &[Typed]| switched.contains(&meant(commands)) || made.contains(&plain(commands));
            let others = k.positions.iter().filter(|t| {
                t.value != k.now && !stops(&k.name, &t.value) && !tried(&t.value) && !same(&t.commands)
            });
            others.map(move |t| Change::Knob(knob.clone(), t.value.clone())).collect::<Vec<_>>()
        };
        let near: Vec<Change> = knobs.iter().take(small).flat_map(turns).collect();
        changes.extend(near);
        changes.extend(session.typed.iter().enumerate().map(|(n, c)| Change::Undo(n, c.clone())));
        let likely = changes.len();
        changes.extend(knobs.iter().skip(small).flat_map(turns));
        let next = (0..changes.len()).map(|i| vec![i]).collect();
        Some(Search {
            session: session.clone(),
            well: wish.answers(run, None),
            further: Vec::new(),
            wish,
            begun,
            // A part is of several events, each of which is logged.
            long: LONG.max(run.run.world.log().len()),
            behind: vec![(Vec::new(), ends(run))],
            second: Vec::new(),
            deep: 1,
            changes,
            likely,
            next,
            at: 0,
            found: false,
            mildly: false,
            mended: false,
            paired: false,
        })
    }

    /// Tries the next change.
    pub fn step(&mut self) -> Progress {
        parts::finish(self.step_in_parts())
    }

    /// The same in parts.
    pub async fn step_in_parts(&mut self) -> Progress {
        let which = self.next.get(self.at).cloned();
        let picked = which.iter().flatten().filter_map(|i| self.changes.get(*i));
        let picked: Vec<Change> = picked.cloned().collect();
        let everywhere = picked.iter().any(Change::is_everywhere);
        if (everywhere || which.is_none()) && !self.further.is_empty() {
            (self.found, self.mildly, self.mended) = (true, true, true);
            return Progress::Found(Box::new(self.further.remove(0)));
        }
        let Some(which) = which else {
            if self.paired || self.mildly && self.deep != 2 {
                return Progress::Done;
            }
            self.deep += 1;
            if self.mildly || self.second.is_empty() {
                self.pair();
            } else {
                self.next.append(&mut self.second);
            }
            return Progress::Tried;
        };
        self.at += 1;
        if self.mended && everywhere {
            return Progress::Tried;
        }
        let mut tried = self.attempt(&picked).await;
        let further = matches!(&tried, Tried::Otherwise(run) if self.look_again(&which, run));
        // What a step has made is not there to be changed at setup.
        let again = match tried {
            Tried::Cured(..) => false,
            Tried::Otherwise(_) => picked.len() == 1,
            Tried::Refused => true,
        };
        if again && picked.iter().any(|c| c.later().is_some()) {
            let later: Vec<Change> = picked.iter().map(|c| c.later().unwrap_or_else(|| c.clone())).collect();
            tried = self.attempt(&later).await;
            if let (Tried::Otherwise(run), [change], false) = (&tried, later.as_slice(), further) {
                let at = self.changes.len();
                self.changes.push(change.clone());
                self.look_again(&[at], run);
            }
        }
        if let ([Change::Box(name, commands)], Tried::Cured(_, true)) = (picked.as_slice(), &tried) {
            // Less has done as well.
            if self.mended {
                return Progress::Tried;
            }
            if let Some(smaller) = self.smaller(name, commands).await {
                tried = Tried::Cured(smaller, true);
            }
        }
        match tried {
            Tried::Cured(cure, true) => {
                self.further.clear();
                self.found = true;
                self.mildly |= !picked.iter().any(Change::is_drastic);
                self.mended |= picked.iter().all(Change::is_mild);
                Progress::Found(cure)
            }
            Tried::Cured(cure, false) => {
                if !self.found {
                    self.further.push(*cure);
                }
                Progress::Tried
            }
            Tried::Otherwise(_) | Tried::Refused => Progress::Tried,
        }
    }

    /// What stands in the way behind changes that were not enough. False if packets end where they did before.
    fn look_again(&mut self, which: &[usize], run: &LabRun) -> bool {
        let Some((last, earlier)) = which.split_last().filter(|_| which.len() < 3 && !self.paired) else {
            return false;
        };
        let before = self.behind.iter().find(|(made, _)| made == earlier);
        let (Some((_, before)), Some(Change::Command(c, _))) = (before, self.changes.get(*last)) else {
            return false;
        };
        let (ends, late) = (ends(run), c.at != At::Setup);
        if ends.iter().all(|end| before.contains(end)) {
            return false;
        }
        self.behind.push((which.to_vec(), ends));
        for mut change in against(run, self.begun.as_ref(), &self.wish) {
            if let (true, Some(later)) = (late, change.later()) {
                change = later;
            }
            if self.second.len() < MAX_SECOND {
                let known = self.changes.iter().position(|c| c.commands() == change.commands());
                let at = known.unwrap_or(self.changes.len());
                self.second.push([which, &[at]].concat());
                if known.is_none() {
                    self.changes.push(change);
                }
            }
        }
        true
    }

    /// What is left of commands that help when each goes without which it helps as well.
    async fn smaller(&self, name: &str, commands: &[Typed]) -> Option<Box<Cure>> {
        let (mut kept, mut best) = (commands.to_vec(), None);
        for at in (0..commands.len()).rev() {
            let mut fewer = kept.clone();
            fewer.remove(at);
            if let Tried::Cured(cure, true) =
                self.attempt(&[Change::Box(name.to_owned(), fewer.clone())]).await
            {
                (kept, best) = (fewer, Some(cure));
            }
        }
        best
    }

    /// Makes these changes together.
    async fn attempt(&self, picked: &[Change]) -> Tried {
        let mut session = self.session.clone();
        let undone = picked.iter().find_map(Change::undone);
        // What is undone is taken away last, so that its place is still the one that is known.
        let (undo, make): (Vec<&Change>, Vec<&Change>) = picked.iter().partition(|c| c.undone().is_some());
        make.into_iter().chain(undo).for_each(|c| c.apply(&mut session));
        let Some(Ok(run)) = parts::at_most(self.long, session.run_in_parts(unheard)).await else {
            return Tried::Refused;
        };
        let kept = self.session.typed.len() - usize::from(undone.is_some());
        let added = run.typed.get(kept..).unwrap_or_default();
        if added.iter().any(|t| t.wrong().is_some()) {
            return Tried::Refused;
        }
        if !self.wish.granted(&run, undone) {
            return Tried::Otherwise(Box::new(run));
        }
        let whole = self.well || self.wish.answers(&run, undone);
        let commands = picked.iter().flat_map(Change::commands).collect();
        let name = picked.iter().map(Change::name).collect::<Vec<_>>().join(" and ");
        let replaced =
            picked.iter().find_map(|c| if let Change::Instead(n, _) = c { Some(*n) } else { None });
        let undone = undone.or(replaced).and_then(|n| self.session.typed.get(n)).cloned();
        Tried::Cured(Box::new(Cure { commands, undone, name, session }), whole)
    }

    /// How many changes were tried, and how many there are, as far as is known now.
    pub fn progress(&self) -> (usize, usize) {
        (self.at, self.next.len())
    }

    /// Everything that one change alone does, or else two.
    pub fn all(mut self) -> Vec<Cure> {
        let mut out = Vec::new();
        loop {
            match self.step() {
                Progress::Tried => {}
                Progress::Found(cure) => out.push(*cure),
                Progress::Done => return out,
            }
        }
    }

    fn pair(&mut self) {
        self.paired = true;
        let most = self.next.len() + MAX_PAIRS;
        for a in 0..self.likely {
            for b in a + 1..self.likely {
                let (Some(x), Some(y)) = (self.changes.get(a), self.changes.get(b)) else { continue };
                let wanted = !self.found || matches!((x, y), (Change::Command(..), Change::Command(..)));
                let known = |w: &Vec<usize>| *w == [a, b] || *w == [b, a];
                if wanted && !x.same(y) && self.next.len() < most && !self.next.iter().any(known) {
                    self.next.push(vec![a, b]);
                }
            }
        }
    }
}

/// What came of a change.
enum Tried {
    /// It comes out as wanted; and so does the exchange, if it is about a packet.
    Cured(Box<Cure>, bool),
    /// It did not help.
    Otherwise(Box<LabRun>),
    /// It cannot be made, or leads to no end.
    Refused,
}

/// Nobody is helped by a node that forwards nothing.
fn stops(knob: &str, value: &str) -> bool {
    matches!((knob, value), ("net.ipv4.ip_forward", "0") | ("policy of FORWARD", "DROP"))
}

/// Of what a packet was, where it ends, why, and by which chain and rule.
type End = (Option<By>, NetnsId, DropReason, String);

/// Where packets end in a run.
fn ends(run: &LabRun) -> Vec<End> {
    let log = run.run.world.log().entries();
    let end = |d: Dropped<'_>| {
        let before = log.get(..d.event.index()).unwrap_or_default().iter().rev();
        let mut mine = before.filter(|e| e.packet == d.entry.packet && e.host == d.entry.host);
        let by = mine.next().and_then(|e| match e.what()? {
            What::Rule(step) => {
                let rules = &run.run.world.host(e.host)?.table(step.table)?.rules;
                let rule = step.rule().map(|r| print_rule(rules, r)).unwrap_or_default();
                Some([&*step.chain, &rule].concat())
            }
            What::Nft(step) => Some(step.chain.to_string()),
            _ => None,
        });
        let by = by.unwrap_or_default();
        (run.stimuli.get(d.exchange).map(|s| s.by), d.entry.host, d.reason, by)
    };
    drops(run).into_iter().map(end).collect()
}

/// What commands do, however they are written: a switch and a knob may name another patch of the same release, or spell out the namespace.
fn meant(commands: &[Typed]) -> Vec<Result<Vec<Effect>, String>> {
    let effects = |c: &Typed| {
        let stdin = (!c.stdin.is_empty()).then(|| c.stdin.clone());
        Effect::of(&command_of(&c.line, Vec::new(), stdin).ok()?).ok()?
    };
    commands.iter().map(|c| effects(c).ok_or_else(|| c.line.clone())).collect()
}

/// The lab's own switches, each with its other values.
fn switches(session: &Session, run: &LabRun) -> Vec<Change> {
    let mut out = Vec::new();
    for switch in &session.lab.switches {
        let now = run.setting.get(&switch.name);
        for position in switch.positions.iter().filter(|p| now != Some(&p.value)) {
            let mut commands = Vec::new();
            for c in &position.commands {
                let on = if c.on.is_empty() { None } else { Some(c.on.join(", ")) };
                commands.push(Typed {
                    at: At::Setup,
                    on,
                    line: c.run.clone(),
                    stdin: c.stdin.clone().unwrap_or_default(),
                });
            }
            out.push(Change::Switch(switch.name.clone(), position.value.clone(), commands));
        }
    }
    out
}
