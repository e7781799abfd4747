//! What would let it through: the smallest change with which a run comes out as it is wanted, found by trying.
//!
//! One change is tried after the other, each by a run of its own; then two at once. Whoever asks decides how many at a time
//! ([`Search::step`]), so that a page stays alive meanwhile. The order is always the same.

use crate::knobs::{Group, Knob};
use crate::lab::{By, Effect, LabRun, command_of};
use crate::query::answered;
use crate::session::{At, Session, Typed};
use kernel::event::{RuleOutcome, RuleStep, What};
use kernel::netfilter::xtables::Verdict;
use kernel::netfilter::xtables::targets::Target;
use kernel::{DropReason, PacketId};
use packet::{Frame, L4};
use sim::Entry;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every goal of the lab; of a lab without goals, that the first exchange that failed succeeds.
    Goals,
    /// That this exchange succeeds: its command ends with status 0.
    Exchange(usize),
    /// That this packet does not end where it ended.
    Packet(PacketId),
}

/// A change that was tried, and with which it comes out as wanted.
#[derive(Clone, Debug)]
pub struct Cure {
    /// What is changed, each with its commands: box (none for kubectl's) and line.
    pub commands: Vec<Typed>,
    /// In words: `br_netfilter=on`.
    pub name: String,
    /// The session with it.
    pub session: Session,
}

impl Cure {
    /// The commands as they are typed, joined by `; `.
    pub fn text(&self) -> String {
        let line = |c: &Typed| prompted(c.on.as_slice(), &c.line);
        self.commands.iter().map(line).collect::<Vec<_>>().join("; ")
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
    /// A command at setup.
    Command(Typed),
}

impl Change {
    fn name(&self) -> String {
        match self {
            Change::Switch(name, value, _) => format!("{name}={value}"),
            // `web runs on node-1`, `proxy-mode=ipvs`
            Change::Knob(knob, value) if knob.name.ends_with(" on") => format!("{} {value}", knob.name),
            Change::Knob(knob, value) => format!("{}={value}", knob.name),
            Change::Command(c) => c.line.clone(),
        }
    }

    fn commands(&self) -> Vec<Typed> {
        match self {
            Change::Switch(_, _, commands) => commands.clone(),
            Change::Knob(knob, value) => knob
                .positions
                .iter()
                .find(|t| t.value == *value)
                .map(|t| t.commands.clone())
                .unwrap_or_default(),
            Change::Command(c) => vec![c.clone()],
        }
    }

    fn apply(&self, session: &mut Session) {
        match self {
            Change::Switch(name, value, _) => drop(session.changes.insert(name.clone(), value.clone())),
            // The run that follows tells what it comes to; whether it is the lab's own value does not matter here.
            Change::Knob(..) | Change::Command(_) => session.typed.extend(self.commands()),
        }
    }

    /// Both are about the same switch.
    fn same(&self, other: &Change) -> bool {
        match (self, other) {
            (Change::Switch(a, ..), Change::Switch(b, ..)) => a == b,
            (Change::Knob(a, _), Change::Knob(b, _)) => a.name == b.name,
            _ => false,
        }
    }
}

/// So many pairs are tried at most.
const MAX_PAIRS: usize = 400;

/// A search that goes on as long as it is asked to.
#[derive(Debug)]
pub struct Search {
    session: Session,
    wish: Wish,
    /// What can be changed, in the order in which it is tried.
    changes: Vec<Change>,
    /// So many of them are tried in pairs.
    likely: usize,
    /// The indices of what is tried next.
    next: Vec<Vec<usize>>,
    at: usize,
    found: bool,
    paired: bool,
}

impl Search {
    /// Begins a search: how could this run of the session have come out otherwise? `None` if there is nothing to be wished for.
    pub fn new(session: &Session, run: &LabRun, wanted: Wanted) -> Option<Search> {
        let wish = Wish::of(run, wanted)?;
        let mut changes = switches(session, run);
        let switched: Vec<_> = changes.iter().map(|c| meant(&c.commands())).collect();
        changes.extend(dropped(run, &wish).into_iter().map(Change::Command));
        let mut knobs = session.knobs().unwrap_or_default();
        // What is smallest comes first.
        sorted::sort_by_key(&mut knobs, |k| match k.group {
            Group::Nodes => 0,
            Group::Services => 1,
            Group::KubeProxy => 2,
            Group::Cluster => 3,
        });
        let small = knobs.iter().filter(|k| k.group <= Group::Nodes).count();
        let turns = |k: &Knob| {
            let knob = Box::new(k.clone());
            // What the lab's own switch of that name does is tried already.
            let own = session.lab.switches.iter().find(|s| s.name == k.name);
            let tried = |value: &str| own.is_some_and(|s| s.positions.iter().any(|p| p.value == value));
            let same = |commands: &[Typed]| switched.contains(&meant(commands));
            let others =
                k.positions.iter().filter(|t| t.value != k.now && !tried(&t.value) && !same(&t.commands));
            others.map(move |t| Change::Knob(knob.clone(), t.value.clone())).collect::<Vec<_>>()
        };
        let near: Vec<Change> = knobs.iter().take(small).flat_map(turns).collect();
        changes.extend(near);
        let likely = changes.len();
        changes.extend(knobs.iter().skip(small).flat_map(turns));
        let next = (0..changes.len()).map(|i| vec![i]).collect();
        Some(Search {
            session: session.clone(),
            wish,
            changes,
            likely,
            next,
            at: 0,
            found: false,
            paired: false,
        })
    }

    /// Tries the next change.
    pub fn step(&mut self) -> Progress {
        parts::finish(self.step_in_parts())
    }

    /// The same in parts.
    pub async fn step_in_parts(&mut self) -> Progress {
        let Some(which) = self.next.get(self.at).cloned() else {
            if self.found || self.paired {
                return Progress::Done;
            }
            self.pair();
            return Progress::Tried;
        };
        self.at += 1;
        let picked: Vec<&Change> = which.iter().filter_map(|i| self.changes.get(*i)).collect();
        let mut session = self.session.clone();
        picked.iter().for_each(|c| c.apply(&mut session));
        let Ok(run) = session.run_in_parts().await else { return Progress::Tried };
        let added = run.typed.get(self.session.typed.len()..).unwrap_or_default();
        if added.iter().any(|t| t.wrong().is_some()) || !self.wish.granted(&run) {
            return Progress::Tried;
        }
        self.found = true;
        let commands = picked.iter().flat_map(|c| c.commands()).collect();
        let name = picked.iter().map(|c| c.name()).collect::<Vec<_>>().join(" and ");
        Progress::Found(Box::new(Cure { commands, name, session }))
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
        for a in 0..self.likely {
            for b in a + 1..self.likely {
                let (Some(x), Some(y)) = (self.changes.get(a), self.changes.get(b)) else { continue };
                if !x.same(y) && self.next.len() < self.changes.len() + MAX_PAIRS {
                    self.next.push(vec![a, b]);
                }
            }
        }
    }
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

// ---------------------------------------------------------------------- what is wished for

#[derive(Clone, Debug)]
enum Wish {
    Goals,
    /// The exchange of this step or command succeeds.
    Exchange(By),
    /// In it, a packet like this does not end on this box for this reason.
    Packet(By, Box<Frame>, String, DropReason),
}

impl Wish {
    fn of(run: &LabRun, wanted: Wanted) -> Option<Wish> {
        let by = |n: usize| run.stimuli.get(n).map(|s| s.by);
        match wanted {
            Wanted::Goals if !run.goals.is_empty() => {
                run.goals.iter().any(|g| !g.reached).then_some(Wish::Goals)
            }
            Wanted::Goals => {
                let failed = (0..run.stimuli.len()).find(|n| {
                    run.stimuli.get(*n).is_some_and(|s| s.command.is_some()) && !answered(&run.run, *n)
                });
                failed.and_then(by).map(Wish::Exchange)
            }
            Wanted::Exchange(n) => by(n).map(Wish::Exchange),
            Wanted::Packet(id) => {
                let (n, entry, reason) = drops(run).find(|(_, e, _)| e.packet == Some(id))?;
                let host = run.run.world.host(entry.host)?.name.clone();
                Some(Wish::Packet(by(n)?, Box::new(made(run, id)?.clone()), host, reason))
            }
        }
    }

    /// The exchange that it is about; all for goals.
    fn exchange(&self, run: &LabRun) -> Option<usize> {
        let by = match self {
            Wish::Goals => return None,
            Wish::Exchange(by) | Wish::Packet(by, ..) => *by,
        };
        run.stimuli.iter().position(|s| s.by == by)
    }

    fn granted(&self, run: &LabRun) -> bool {
        let exchange = self.exchange(run);
        match (self, exchange) {
            (Wish::Goals, _) => run.goals.iter().all(|g| g.reached),
            (_, None) => false,
            (Wish::Exchange(_), Some(n)) => answered(&run.run, n),
            (Wish::Packet(_, frame, host, reason), Some(n)) => {
                let alike = |id: PacketId| made(run, id).is_some_and(|f| shape(f) == shape(frame));
                let ends = |(at, e, why): (usize, &Entry, DropReason)| {
                    at == n
                        && why == *reason
                        && e.packet.is_some_and(alike)
                        && run.run.world.host(e.host).is_some_and(|h| h.name == *host)
                };
                within(run, n).iter().any(|e| e.packet.is_some_and(alike)) && !drops(run).any(ends)
            }
        }
    }
}

/// What tells packets of one kind from others.
fn shape(frame: &Frame) -> Option<(String, Option<u16>, String)> {
    let ip = frame.ip()?;
    let (port, kind) = match &ip.l4 {
        L4::Tcp(t) => (Some(t.dport), format!("tcp {:?}", t.flags)),
        L4::Udp(u) => (Some(u.dport), "udp".to_owned()),
        _ => (None, "other".to_owned()),
    };
    Some((format!("{} {}", ip.src, ip.dst), port, kind))
}

/// The packet as it was made.
fn made(run: &LabRun, id: PacketId) -> Option<&Frame> {
    run.run.world.log().entries().iter().find_map(|e| match e.what() {
        Some(What::Created { frame, .. }) if e.packet == Some(id) => Some(&**frame),
        _ => None,
    })
}

fn within(run: &LabRun, exchange: usize) -> &[Entry] {
    let entries = run.run.world.log().entries();
    let record = run.run.steps.get(exchange);
    record.and_then(|r| entries.get(r.first.index()..r.end.index())).unwrap_or_default()
}

/// The ends of packets: exchange, entry, reason. Frames for other hosts are no ends.
fn drops(run: &LabRun) -> impl Iterator<Item = (usize, &Entry, DropReason)> {
    (0..run.stimuli.len()).flat_map(move |n| {
        within(run, n).iter().filter_map(move |e| match e.what()? {
            What::Drop { reason, .. } if *reason != DropReason::OtherHost => Some((n, e, *reason)),
            _ => None,
        })
    })
}

// ---------------------------------------------------------------------- the rule that dropped it

/// Commands against the ends that packets met: without the rule that dropped them, or with one before it that lets them pass.
fn dropped(run: &LabRun, wish: &Wish) -> Vec<Typed> {
    let mut out: Vec<Typed> = Vec::new();
    let only = wish.exchange(run);
    let nodes = || Some("nodes".to_owned());
    for (n, end, reason) in drops(run) {
        if only.is_some_and(|only| only != n)
            || matches!(wish, Wish::Exchange(_) | Wish::Goals) && answered(&run.run, n)
        {
            continue;
        }
        let host = run.run.world.host(end.host).map(|h| h.name.clone());
        match reason {
            DropReason::NetfilterDrop => {
                let before = within(run, n)
                    .iter()
                    .filter(|e| e.packet == end.packet && e.host == end.host && e.at <= end.at);
                let mut rule = before.filter_map(|e| match e.what()? {
                    What::Rule(step) if ends(step) => Some(step),
                    _ => None,
                });
                if let Some(step) = rule.next_back() {
                    out.extend(against(step).into_iter().map(|line| typed(host.clone(), line)));
                }
            }
            DropReason::CtTableFull => {
                out.push(typed(host, "sysctl -w net.netfilter.nf_conntrack_max=262144".to_owned()));
            }
            DropReason::PacketTooBig | DropReason::TooLongForPeer => {
                let clamp = "iptables -t mangle -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
                out.push(typed(nodes(), clamp.to_owned()));
            }
            _ => {}
        }
    }
    let mut unique: Vec<Typed> = Vec::new();
    out.into_iter().for_each(|c| {
        if !unique.contains(&c) {
            unique.push(c);
        }
    });
    unique
}

fn typed(on: Option<String>, line: String) -> Typed {
    Typed { at: At::Setup, on, line, stdin: String::new() }
}

/// Whether a packet ends at this rule.
fn ends(step: &RuleStep) -> bool {
    match &step.outcome {
        RuleOutcome::Match { rule, .. } => matches!(rule.target, Target::Drop | Target::Reject(_)),
        RuleOutcome::Policy(verdict) => *verdict == Verdict::Drop,
        RuleOutcome::NoMatch { .. } | RuleOutcome::Return => false,
    }
}

fn against(step: &RuleStep) -> Vec<String> {
    let (table, chain, n) = (step.table.name(), &step.chain, step.n);
    let mut out = Vec::new();
    match step.outcome {
        RuleOutcome::Policy(_) => out.push(format!("iptables -t {table} -P {chain} ACCEPT")),
        _ => out.push(format!("iptables -t {table} -D {chain} {n}")),
    }
    if let Some(ip) = step.frame.ip() {
        let ports = match &ip.l4 {
            L4::Tcp(t) => format!(" -p tcp --dport {}", t.dport),
            L4::Udp(u) => format!(" -p udp --dport {}", u.dport),
            L4::Icmp(_) => " -p icmp".to_owned(),
            _ => String::new(),
        };
        let what = format!("{ports} -d {} -j ACCEPT", ip.dst);
        out.push(match step.outcome {
            RuleOutcome::Policy(_) => format!("iptables -t {table} -A {chain}{what}"),
            _ => format!("iptables -t {table} -I {chain} {n}{what}"),
        });
    }
    out
}
