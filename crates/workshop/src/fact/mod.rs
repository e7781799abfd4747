//! Facts about a run: what claims, goals and moments of a lab say. docs/LABS.md lists their words.

mod events;
mod judge;
mod read;
mod reading;
mod recorded;
mod words;

pub use judge::Judge;
pub use read::Names;
pub(crate) use read::is_kubernetes;
pub use reading::{Readable, is_meant};
pub use recorded::recorded;
pub use words::EVENTS;
pub(crate) use words::has;

use kernel::event::TapDir;
use userland::tcpdump::Filter;

/// A fact.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Something happened, so many times.
    Happened(Happening, Times),
    /// The chains that the first packet of this kind enters.
    Chains(Walk),
    /// The hooks that the first packet of this kind meets.
    Hooks(Walk),
    /// What a command prints: one of the lab's steps, or one that is run at the end.
    Prints(Printed),
    /// The first of the one is before the first of the other.
    Before(Box<Fact>, Box<Fact>),
    /// Each packet to which the one happened, the other happened to as well (or to none of them, if false); and there is one.
    Every(Box<(Happening, Happening)>, bool),
    /// In each step in which this happened, that is so; and there is one.
    EachStep(Box<Happening>, Box<Fact>),
    /// It is not so.
    Not(Box<Fact>),
    /// All are so.
    All(Vec<Fact>),
    /// One is so.
    Any(Vec<Fact>),
}

impl Fact {
    /// The ids of the steps of which it speaks are added; none where it is about the whole run.
    pub(crate) fn steps<'a>(&'a self, ids: &mut Vec<&'a str>) {
        let id = match self {
            Fact::Happened(h, _) => &h.step,
            Fact::Every(both, _) => &both.0.step,
            Fact::Chains(walk) | Fact::Hooks(walk) => &walk.step,
            Fact::Prints(printed) => &printed.step,
            Fact::Before(a, b) => {
                a.steps(ids);
                return b.steps(ids);
            }
            Fact::EachStep(..) => return,
            Fact::Not(fact) => return fact.steps(ids),
            Fact::All(facts) | Fact::Any(facts) => return facts.iter().for_each(|f| f.steps(ids)),
        };
        if !id.is_empty() {
            ids.push(id);
        }
    }
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// So often or more often.
    AtLeast(usize),
    /// Just so often.
    Exactly(usize),
}

impl Times {
    /// Whether a number is one of these.
    pub fn has(self, n: usize) -> bool {
        match self {
            Times::AtLeast(least) => n >= least,
            Times::Exactly(want) => n == want,
        }
    }
}

/// Events of a kind.
#[derive(Clone, Debug)]
pub struct Happening {
    /// On which boxes; everywhere if empty.
    pub on: Vec<String>,
    /// Only while this step was going on; always if empty.
    pub step: String,
    /// Only to packets that were once like this on the box.
    pub packet: Option<Filter>,
    /// What.
    pub what: Kind,
}

/// A kind of event.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A capture saw a frame like this.
    Captured {
        /// What it was like.
        filter: Filter,
        /// In which direction.
        dir: Option<Directions>,
        /// On this device.
        dev: Option<String>,
    },
    /// A packet ended; for this reason (a name of `DropReason`), or for any.
    Dropped(Option<String>),
    /// A rule matched: its table or `*`, its chain, its number, what it jumps to.
    Rule {
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule's number, from 1.
        number: Option<u32>,
        /// What is behind `-j` or `-g`.
        target: Option<String>,
    },
    /// A packet came to the first rule of a chain, or to the end of one that is empty: table and chain.
    Enters(String, String),
    /// A rule was asked, whether it matched or not: table and chain.
    Asked(String, String),
    /// NAT rewrote a packet into this.
    Nat(Filter),
    /// One of [`EVENTS`].
    Event(String),
    /// The page's words for it have this in them.
    Says(String),
    /// A line of the kernel's log has this in it.
    Log(String),
    /// A program printed a line with this in it.
    Printed(String),
}

/// Directions of a capture, as tcpdump's `-Q` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// What came in.
    In,
    /// What went out.
    Out,
}

impl Directions {
    /// Whether a frame went that way.
    pub fn has(self, dir: TapDir) -> bool {
        (self == Directions::Out) == (dir == TapDir::Out)
    }
}

/// What one packet walked through.
#[derive(Clone, Debug)]
pub struct Walk {
    /// On which box.
    pub on: String,
    /// Which packet: the first that was once like this there.
    pub packet: Filter,
    /// Only while this step was going on; always if empty.
    pub step: String,
    /// Names with `*` for any letters.
    pub names: Vec<String>,
    /// These and no others; else these in this order, with others between.
    pub exactly: bool,
}

/// What a command printed.
#[derive(Clone, Debug)]
pub struct Printed {
    /// A step of the lab, by its id; or, if `command` is there, unused.
    pub step: String,
    /// A command that is run at the end, on this box.
    pub command: Option<(String, Vec<String>)>,
    /// Lines that have this in them, in this order. `*` stands for anything.
    pub lines: Vec<String>,
    /// How many lines there are that have the one text in them, or how many at all.
    pub times: Option<Times>,
    /// The exit status.
    pub status: Option<i32>,
}
