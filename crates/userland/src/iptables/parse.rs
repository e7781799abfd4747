//! An iptables-restore text.

use super::chain_line::{declare, rule_counters};
use super::check::translate_table;
use super::command::operation::unknown_table;
use super::command::parse::{Mode, parse};
use super::command::run::Run;
use super::draft::{Draft, Finished};
use super::family::program;
use crate::args::{Args, Source, check_bytes, check_text, open_quote};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use kernel::netfilter::conntrack::Helper;
use kernel::netfilter::xtables::{Counters, LoadedTable, RuleSet, RuleStates, TableId};
use packet::Family;
use parts::pause;
use std::rc::Rc;

/// A table of a text, as it would stand in the kernel.
#[derive(Clone, Debug)]
pub struct ParsedTable {
    /// The rules, checked as the kernel checks them.
    pub rules: RuleSet,
    /// The counters of each rule.
    pub state: RuleStates,
    /// The counters of each policy.
    pub policy: Vec<Counters>,
    /// The line of each rule; `None` for a rule that was there before.
    pub lines: Vec<Vec<Option<u32>>>,
    /// The line that declared each chain.
    pub chain_lines: Vec<Option<u32>>,
}

impl From<Finished> for ParsedTable {
    fn from(f: Finished) -> ParsedTable {
        let Finished { rules, state, policy, lines, chain_lines } = f;
        ParsedTable { rules, state, policy, lines, chain_lines }
    }
}

impl ParsedTable {
    /// The line of a rule, by the indices of chain and rule.
    pub fn line(&self, chain: usize, rule: usize) -> Option<u32> {
        self.lines.get(chain)?.get(rule).copied().flatten()
    }

    /// As it is loaded.
    pub fn load(self) -> LoadedTable {
        LoadedTable { rules: Rc::new(self.rules), state: self.state, policy: self.policy }
    }
}

/// After so many the rest is not reported.
const DIAGNOSTICS_MAX: usize = 100;

/// So many lines are read between two pauses.
const LINES_AT_ONCE: u32 = 64;

/// iptables-restore reads lines into a buffer of 10240 bytes; what is longer falls apart.
const LINE_BYTES_MAX: usize = 10_239;

/// What rules may name besides chains; `None` where it is not known, so that every name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Objects<'a> {
    /// The sets of ipset.
    pub sets: Option<&'a [String]>,
    /// The objects of nfacct.
    pub nfacct: Option<&'a [String]>,
    /// The helpers of conntrack.
    pub helpers: Option<&'a [Helper]>,
}

/// How a text is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Whose text: iptables-restore's or ip6tables-restore's.
    pub family: Family,
    /// `--noflush`: what is loaded stays, and only what the text says changes.
    pub noflush: bool,
    /// `--counters`: the counters of the text are taken; otherwise they begin at zero.
    pub counters: bool,
}

/// Reads a text on its own: every table in it begins empty, counters are taken.
pub fn parse_restore(text: &str) -> Result<Vec<ParsedTable>, Vec<Diagnostic>> {
    let options = RestoreOptions { counters: true, ..RestoreOptions::default() };
    apply_restore(&|table| LoadedTable::new(RuleSet::empty(table)), text, options)
}

/// The same for bytes, which may not be text at all.
pub fn parse_bytes(bytes: &[u8]) -> Result<Vec<ParsedTable>, Vec<Diagnostic>> {
    parse_restore(check_bytes(bytes).map_err(|d| vec![d])?)
}

/// Applies a text to tables that exist. Without `noflush` a table in the text loses its rules and user-defined chains
/// first; policies stay unless the text sets them.
pub fn apply_restore(
    existing: &dyn Fn(TableId) -> LoadedTable,
    text: &str,
    options: RestoreOptions,
) -> Result<Vec<ParsedTable>, Vec<Diagnostic>> {
    apply_restore_with(existing, Objects::default(), text, options)
}

/// The same where other objects are known: a rule that names one that is not there is refused.
pub fn apply_restore_with(
    existing: &dyn Fn(TableId) -> LoadedTable,
    objects: Objects<'_>,
    text: &str,
    options: RestoreOptions,
) -> Result<Vec<ParsedTable>, Vec<Diagnostic>> {
    let (tables, diagnostics, _) = parts::finish(restore(existing, objects, text, options));
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    // Of a table that comes twice the last state counts.
    let mut out: Vec<ParsedTable> = Vec::new();
    for (_, table) in tables {
        out.retain(|t| t.rules.table != table.rules.table);
        out.push(table);
    }
    Ok(out)
}

/// Every table that is right in itself with the line of its COMMIT, and everything that is wrong in the order of the
/// text. And what iptables-restore warns of before the first mistake.
pub(super) async fn restore(
    existing: &dyn Fn(TableId) -> LoadedTable,
    objects: Objects<'_>,
    text: &str,
    options: RestoreOptions,
) -> (Vec<(u32, ParsedTable)>, Vec<Diagnostic>, String) {
    if let Err(d) = check_text(text) {
        return (Vec::new(), vec![d], String::new());
    }
    let mut restore = Restore {
        text,
        existing,
        objects,
        options,
        open: None,
        unknown: false,
        done: Vec::new(),
        diagnostics: Vec::new(),
        warnings: String::new(),
    };
    for (line, text) in (1u32..).zip(text.lines()) {
        restore.line(Source { line, text });
        // What a COMMIT does is much.
        if line % LINES_AT_ONCE == 0 || text == "COMMIT" {
            pause().await;
        }
        if restore.diagnostics.len() >= DIAGNOSTICS_MAX {
            break;
        }
    }
    restore.end()
}

/// The table between `*` and `COMMIT`.
struct Open<'a> {
    draft: Draft,
    /// The line with `*`.
    source: Source<'a>,
    /// A line of it was wrong: it cannot be checked as a whole.
    broken: bool,
}

struct Restore<'a> {
    text: &'a str,
    existing: &'a dyn Fn(TableId) -> LoadedTable,
    objects: Objects<'a>,
    options: RestoreOptions,
    open: Option<Open<'a>>,
    /// Inside a table that does not exist: nothing can be said about its lines.
    unknown: bool,
    done: Vec<(u32, ParsedTable)>,
    diagnostics: Vec<Diagnostic>,
    warnings: String,
}

impl<'a> Restore<'a> {
    fn line(&mut self, source: Source<'a>) {
        if source.text.is_empty() || source.text.starts_with('#') {
            return;
        }
        if let Err(d) = self.checked_line(source) {
            self.diagnostics.push(d);
            if let Some(open) = &mut self.open {
                open.broken = true;
            }
        }
    }

    fn checked_line(&mut self, source: Source<'a>) -> Result<(), Diagnostic> {
        let text = source.text;
        if text.len() > LINE_BYTES_MAX {
            let message = format!("a line of {} bytes", text.len());
            let help =
                format!("expected at most {LINE_BYTES_MAX}, the longest line that iptables-restore reads");
            return Err(whole(source, Fault::new(message, help)));
        }
        if text.starts_with('*') {
            return self.begin(source);
        }
        let commits = text == "COMMIT" || text.starts_with("COMMIT ");
        if self.unknown {
            self.unknown = !commits;
            return Ok(());
        }
        let Some(open) = &mut self.open else {
            let help = "expected a line such as *filter or *nat before it";
            let fault = Fault::new(format!("{} before any table", q(text)), help);
            return Err(whole(source, fault.says(ToolError::NO_CHAIN)));
        };
        if commits {
            return self.commit(source);
        }
        if let Some(rest) = text.strip_prefix(':') {
            return declare(&mut open.draft, source, rest, self.options);
        }
        let (from, counters) = rule_counters(source)?;
        if let Some(d) = open_quote(source) {
            return Err(d);
        }
        let mut args = Args::of_line(source, from);
        let mut command = parse(&mut args, Mode::Restore(open.draft.table), self.options.family)?;
        if let Some(counters) = counters.filter(|_| self.options.counters) {
            command.spec.counters = Some(counters);
        }
        if self.diagnostics.is_empty() {
            self.warnings += &command.spec.warnings();
        }
        let text = self.text;
        let later = |name: &str| declared_later(text, source.line, name);
        let run = Run { source, line: Some(source.line), declared_later: &later, objects: self.objects };
        run.apply(&command.op, command.spec, &mut open.draft)
    }

    fn begin(&mut self, source: Source<'a>) -> Result<(), Diagnostic> {
        if let Some(open) = self.open.take() {
            // What follows is read as the new table, so that its own errors are found.
            let fault = Fault::new(
                format!("table {} has no COMMIT", open.draft.table),
                format!(
                    "expected a line COMMIT before the next table (*{} is in line {})",
                    open.draft.table, open.source.line
                ),
            );
            self.diagnostics.push(whole(source, fault.says(ToolError::BadArgument(source.text.to_owned()))));
        }
        let name = source.text.get(1..).unwrap_or_default().trim();
        let known = TableId::from_name(name);
        self.unknown = known.is_none();
        let Some(table) = known else {
            let fault = unknown_table(name);
            let says = ToolError::Usage(format!(
                "{}-restore: unable to initialize table '{name}'",
                program(self.options.family)
            ));
            let end = 1 + name.len();
            return Err(Diagnostic::new(source.line, source.text, 0, end, fault.says(says)));
        };
        let twice = self.done.iter().rposition(|(_, t)| t.rules.table == table);
        let loaded = match twice {
            // A table that comes twice goes on from where it stood.
            Some(i) => {
                self.done.get(i).map(|(_, t)| t.clone().load()).unwrap_or_else(|| (self.existing)(table))
            }
            None => (self.existing)(table),
        };
        let mut draft = Draft::of(&loaded);
        if !self.options.noflush {
            draft.clear();
        }
        self.open = Some(Open { draft, source, broken: false });
        Ok(())
    }

    fn commit(&mut self, source: Source<'a>) -> Result<(), Diagnostic> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if open.broken {
            return Ok(());
        }
        let table = ParsedTable::from(open.draft.finish());
        let rejected = translate_table(&table.rules, self.objects, &|c, r| table.line(c, r));
        if rejected.is_empty() {
            self.done.push((source.line, table));
            return Ok(());
        }
        for r in rejected {
            let fault = r.fault.says(ToolError::LineFailed(source.line));
            let d = match table.line(r.chain, r.rule).and_then(|n| self.source_of(n)) {
                Some(source) => at_word(source, &r.word, fault),
                // A rule that was there before became wrong: the text as a whole is to blame.
                None => whole(source, fault),
            };
            self.diagnostics.push(d);
        }
        Ok(())
    }

    fn source_of(&self, line: u32) -> Option<Source<'a>> {
        let at = usize::try_from(line).ok()?.checked_sub(1)?;
        self.text.lines().nth(at).map(|text| Source { line, text })
    }

    fn end(mut self) -> (Vec<(u32, ParsedTable)>, Vec<Diagnostic>, String) {
        if let Some(open) = self.open.take()
            && self.diagnostics.len() < DIAGNOSTICS_MAX
        {
            let last = u32::try_from(self.text.lines().count()).unwrap_or(u32::MAX);
            self.diagnostics.push(no_commit(&open, last.saturating_add(1)));
        }
        sorted::sort_by(&mut self.diagnostics, |a, b| a.span.cmp(&b.span));
        (self.done, self.diagnostics, self.warnings)
    }
}

/// The text ends before the line `end`, and the table is still open.
fn no_commit(open: &Open<'_>, end: u32) -> Diagnostic {
    let table = open.draft.table;
    let help = format!("expected a line COMMIT after the rules of *{table}");
    let fault = Fault::new(format!("table {table} has no COMMIT"), help);
    whole(open.source, fault.says(ToolError::CommitExpected(end)))
}

/// A diagnostic about a whole line.
fn whole(source: Source<'_>, fault: Fault) -> Diagnostic {
    Diagnostic::new(source.line, source.text, 0, source.text.len(), fault)
}

/// A diagnostic about the last place of a word in a line.
fn at_word(source: Source<'_>, word: &str, fault: Fault) -> Diagnostic {
    let found = Args::of_line(source, 0).filter(|t| t.text == word).last();
    match found {
        Some(token) => source.blame(&token, fault),
        None => whole(source, fault),
    }
}

/// The line below `line` that declares a chain, in the same table.
fn declared_later(text: &str, line: u32, name: &str) -> Option<u32> {
    let from = usize::try_from(line).ok()?;
    let below =
        (line.checked_add(1)?..).zip(text.lines().skip(from)).take_while(|(_, l)| !l.starts_with("COMMIT"));
    below
        .filter(|(_, l)| {
            let words = l.strip_prefix(':').or_else(|| l.strip_prefix("-N "));
            words.and_then(|w| w.split_ascii_whitespace().next()) == Some(name)
        })
        .map(|(n, _)| n)
        .next()
}
