//! The lines of `iptables-save` and `iptables -L`, each by its number: of a hundred thousand only those are printed that somebody
//! looks at.

use kernel::Netns;
use kernel::netfilter::xtables::{LoadedTable, TableId};
use userland::iptables::{Format, append_line, declaration, list_header, list_rule};

use crate::operator::save_lines;

/// What prints the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleFormat {
    /// `iptables-save`
    Save,
    /// `iptables-save -c`
    SaveCounters,
    /// `iptables -t TABLE -L -n -v --line-numbers`
    List(TableId),
}

/// A rule of a box: table, chain by its place, number from 1; 0 for the line that declares the chain.
pub type RulePlace = (TableId, usize, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What stands around the rules: this line.
    Fixed(&'static str),
    /// `# Generated ...`
    Generated,
    /// `# Completed ...`
    Completed,
    /// `*table`
    Table,
    /// The chains, one a line.
    Chains,
    /// Two lines over the rules of a chain.
    Head(usize),
    /// The rules of a chain.
    Rules(usize),
}

#[derive(Clone, Copy, Debug)]
struct Part {
    first: u32,
    table: TableId,
    kind: Kind,
}

/// Where each line comes from. It is as long as there are chains, not rules.
#[derive(Clone, Debug)]
pub struct RuleRows {
    format: RuleFormat,
    parts: Vec<Part>,
    len: u32,
}

const LIST: Format = Format { numeric: true, verbose: true, exact: false, line_numbers: true };

impl RuleRows {
    /// The lines of a box's IPv4 tables.
    pub fn new(ns: &Netns, format: RuleFormat) -> RuleRows {
        let mut rows = RuleRows { format, parts: Vec::new(), len: 0 };
        match format {
            RuleFormat::List(table) => rows.list(ns, table),
            RuleFormat::Save | RuleFormat::SaveCounters => {
                ns.loaded_tables().iter().for_each(|table| rows.save(ns, *table));
            }
        }
        rows
    }

    fn add(&mut self, table: TableId, kind: Kind, len: usize) {
        if len > 0 {
            self.parts.push(Part { first: self.len, table, kind });
            self.len = self.len.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        }
    }

    fn save(&mut self, ns: &Netns, table: TableId) {
        let Some(loaded) = ns.table(table) else { return };
        self.add(table, Kind::Generated, 1);
        self.add(table, Kind::Table, 1);
        self.add(table, Kind::Chains, loaded.rules.chains.len());
        for (i, chain) in loaded.rules.chains.iter().enumerate() {
            self.add(table, Kind::Rules(i), chain.rules.len());
        }
        self.add(table, Kind::Fixed("COMMIT"), 1);
        self.add(table, Kind::Completed, 1);
    }

    fn list(&mut self, ns: &Netns, table: TableId) {
        let Some(loaded) = ns.table(table) else { return };
        for (i, chain) in loaded.rules.chains.iter().enumerate() {
            if i > 0 {
                self.add(table, Kind::Fixed(""), 1);
            }
            self.add(table, Kind::Head(i), 2);
            self.add(table, Kind::Rules(i), chain.rules.len());
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// True if nothing is loaded.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn part(&self, row: u32) -> Option<(Part, usize)> {
        let at = self.parts.partition_point(|p| p.first <= row).checked_sub(1)?;
        let part = *self.parts.get(at).filter(|_| row < self.len)?;
        Some((part, (row - part.first) as usize))
    }

    /// The rule, or the chain, of a line.
    pub fn place(&self, row: u32) -> Option<RulePlace> {
        let (part, n) = self.part(row)?;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match part.kind {
            Kind::Chains => Some((part.table, n, 0)),
            Kind::Head(chain) if n == 0 => Some((part.table, chain, 0)),
            Kind::Rules(chain) => Some((part.table, chain, number(n) + 1)),
            _ => None,
        }
    }

    /// The line of a rule, or the one that declares a chain.
    pub fn find(&self, (table, chain, n): RulePlace) -> Option<u32> {
        let mut parts = self.parts.iter().filter(|p| p.table == table);
        let found = match n {
            0 => parts.find(|p| matches!(p.kind, Kind::Chains) || p.kind == Kind::Head(chain)),
            _ => parts.find(|p| p.kind == Kind::Rules(chain)),
        };
        let found = found?;
        let more = if found.kind == Kind::Chains { u32::try_from(chain).ok()? } else { n.saturating_sub(1) };
        Some(found.first + more)
    }

    /// The first line with the rules of a chain of that name; where it has none, its declaration. A table with a chain of that name
    /// in which `near` lies goes before others.
    pub fn chain(&self, ns: &Netns, name: &str, near: Option<TableId>) -> Option<u32> {
        let place = |t: TableId| Some((t, ns.table(t)?.rules.chains.iter().position(|c| &*c.name == name)?));
        let (table, chain) = near.and_then(place).or_else(|| TableId::ALL.into_iter().find_map(place))?;
        match self.format {
            RuleFormat::List(_) => self.find((table, chain, 0)),
            _ => self.find((table, chain, 1)).or_else(|| self.find((table, chain, 0))),
        }
    }

    /// How many packets a rule, or the policy of a chain, has counted; `None` for a line that is neither.
    pub fn packets(&self, ns: &Netns, row: u32) -> Option<u64> {
        let (table, chain, n) = self.place(row)?;
        let loaded = ns.table(table)?;
        match (n as usize).checked_sub(1) {
            Some(n) => Some(loaded.state.counters(chain, n).packets),
            None => loaded.rules.chains.get(chain)?.base.and(loaded.policy.get(chain)).map(|c| c.packets),
        }
    }

    /// A line, as the tool prints it.
    pub fn text(&self, ns: &Netns, row: u32) -> String {
        let Some((part, n)) = self.part(row) else { return String::new() };
        match ns.table(part.table) {
            Some(loaded) => self.line(loaded, part, n),
            None => String::new(),
        }
    }

    fn line(&self, loaded: &LoadedTable, part: Part, n: usize) -> String {
        let set = &loaded.rules;
        let [generated, completed] = save_lines();
        let text = match (part.kind, self.format) {
            (Kind::Fixed(text), _) => text.to_owned(),
            (Kind::Generated, _) => generated,
            (Kind::Completed, _) => completed,
            (Kind::Table, _) => format!("*{}", part.table),
            (Kind::Chains, _) => declaration(loaded, n),
            (Kind::Head(chain), _) => {
                list_header(loaded, chain, LIST).lines().nth(n).unwrap_or_default().to_owned()
            }
            (Kind::Rules(chain), RuleFormat::List(_)) => list_rule(loaded, chain, n, LIST),
            (Kind::Rules(chain), format) => {
                let rule = set.chains.get(chain).and_then(|c| Some((c, c.rules.get(n)?)));
                let line = rule.map_or(String::new(), |(c, rule)| append_line(set, &c.name, rule));
                if format == RuleFormat::SaveCounters {
                    let c = loaded.state.counters(chain, n);
                    format!("[{}:{}] {line}", c.packets, c.bytes)
                } else {
                    line
                }
            }
        };
        text.strip_suffix('\n').map_or(text.clone(), str::to_owned)
    }
}
