//! The `iptables` command.

mod files;
pub(super) mod listing;
pub(super) mod operation;
mod options;
pub(super) mod parse;
pub(super) mod run;
mod value;

pub use files::{iptables_restore, iptables_restore_in_parts, iptables_save};

use super::check::translate_table;
use super::draft::Draft;
use super::family::program;
use super::parse::{Objects, ParsedTable};
use super::rule::Scope;
use crate::args::{ArgLine, check_text};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use kernel::netfilter::conntrack::Helper;
use kernel::netfilter::xtables::{LoadedTable, RuleSet, TableId};
use listing::listing;
use packet::Family;
use parse::{Command, Mode, Op, parse};
use run::Run;

/// The name and version with which iptables signs its messages.
pub(super) const VERSION: &str = "v1.8.9 (legacy)";

/// The real help is longer; this says what is modelled.
pub(super) const HELP: &str = "\
iptables v1.8.9 (legacy), as far as it is modelled here

  iptables [-t TABLE] -A|-C|-D CHAIN RULE      append, check for, delete a rule
  iptables [-t TABLE] -I CHAIN [NUMBER] RULE   insert a rule
  iptables [-t TABLE] -R CHAIN NUMBER RULE     replace a rule
  iptables [-t TABLE] -D CHAIN NUMBER          delete a rule by number
  iptables [-t TABLE] -L|-S [CHAIN [NUMBER]]   list (-n -v -x --line-numbers)
  iptables [-t TABLE] -F|-Z [CHAIN]            delete all rules, zero counters
  iptables [-t TABLE] -N|-X CHAIN              make, delete a chain
  iptables [-t TABLE] -E CHAIN NAME            rename a chain
  iptables [-t TABLE] -P CHAIN ACCEPT|DROP     set a policy

RULE: [!] -s ADDRESS, [!] -d ADDRESS, [!] -i DEVICE, [!] -o DEVICE, [!] -p PROTOCOL, [!] -f,
      -m MATCH [OPTIONS], -j TARGET [OPTIONS], -g CHAIN, -c PACKETS BYTES
";

/// Where the tables of a network namespace are.
pub trait TableStore {
    /// Whose tables: those of iptables or those of ip6tables.
    fn family(&self) -> Family {
        Family::V4
    }
    /// The table, if it is loaded.
    fn get(&self, table: TableId) -> Option<&LoadedTable>;
    /// Loads a table in the place of the old one.
    fn replace(&mut self, table: TableId, loaded: LoadedTable);
    /// The names of the sets of ipset, which rules may refer to. `None` if nobody knows: then every set is there.
    fn sets(&self) -> Option<Vec<String>> {
        None
    }

    /// The same for the objects of nfacct.
    fn nfacct(&self) -> Option<Vec<String>> {
        None
    }
    /// The same for the helpers of conntrack.
    fn helpers(&self) -> Option<Vec<Helper>> {
        None
    }

    /// The loaded tables in the order in which iptables-save prints them: the one that was loaded last comes first.
    fn loaded(&self) -> Vec<TableId> {
        TableId::ALL.into_iter().filter(|t| self.get(*t).is_some()).collect()
    }
}

/// What a command prints and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status.
    pub status: u8,
    /// Why it failed, with places in the joined command line.
    pub diagnostics: Vec<Diagnostic>,
}

/// Runs `iptables` with its arguments; `argv[0]` is the name of the program.
///
/// As with the real command, a table that is not loaded is loaded empty by its first use, even by a listing.
pub fn iptables<S: AsRef<str>>(store: &mut dyn TableStore, argv: &[S]) -> Output {
    let line = ArgLine::new(argv);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let family = store.family();
    match execute(store, &line, &mut stdout, &mut stderr) {
        Ok(()) => Output { stdout, stderr, ..Output::default() },
        Err(diagnostic) => Output { stdout, ..failure(family, diagnostic) },
    }
}

fn execute(
    store: &mut dyn TableStore,
    line: &ArgLine,
    stdout: &mut String,
    stderr: &mut String,
) -> Result<(), Diagnostic> {
    check_text(line.text())?;
    let mut args = line.args(1);
    let source = args.source;
    if source.text.contains('\n') {
        let fault = Fault::new("a line feed in an argument", "expected a command of one line");
        return Err(Diagnostic::new(1, source.text, 0, source.text.len(), fault));
    }
    let command = parse(&mut args, Mode::Shell, store.family())?;
    stderr.push_str(&command.spec.warnings());
    match command.op {
        Op::Version => {
            stdout.push_str(&format!("{} {VERSION}\n", program(store.family())));
            return Ok(());
        }
        Op::Help => {
            stdout.push_str(&HELP.replace("iptables", program(store.family())));
            return Ok(());
        }
        _ => {}
    }
    files::load_empty(store, command.table);
    let loaded = store
        .get(command.table)
        .cloned()
        .unwrap_or_else(|| LoadedTable::new(RuleSet::empty_of(store.family(), command.table)));
    let (sets, nfacct, helpers) = (store.sets(), store.nfacct(), store.helpers());
    let objects = Objects { sets: sets.as_deref(), nfacct: nfacct.as_deref(), helpers: helpers.as_deref() };
    let run = Run { source, line: Some(1), declared_later: &|_| None, objects };
    if let Op::List(chain, number) | Op::ListRules(chain, number) = &command.op {
        let chain = chain.as_ref().map(|c| c.text.as_ref());
        stdout.push_str(&listing(store, &command, &loaded, &run, chain, number.as_ref())?);
        return Ok(());
    }
    let mut draft = Draft::of(&loaded);
    // What -v shows is printed before anything is tried.
    stdout.push_str(&shown_rules(&command, &draft, &run)?);
    run.apply(&command.op, command.spec.clone(), &mut draft)?;
    stdout.push_str(&shown_chains(&command, &loaded.rules));
    if !matches!(command.op, Op::Check(_)) {
        let table = commit(draft, run.objects, source.text)?;
        store.replace(command.table, table);
    }
    Ok(())
}

/// With `-v`, commands print the rules that they are about.
fn shown_rules(command: &Command<'_>, draft: &Draft, run: &Run<'_>) -> Result<String, Diagnostic> {
    let with_rule =
        matches!(command.op, Op::Append(_) | Op::Insert(..) | Op::Delete(_) | Op::Check(_) | Op::Replace(..));
    if !command.format.verbose || !with_rule {
        return Ok(String::new());
    }
    let rules = command
        .spec
        .clone()
        .rules(run.source, &Scope { draft, declared_later: run.declared_later, objects: run.objects })?;
    Ok(run::verbose_lines(&draft.names_only(), &rules))
}

/// With `-v`, commands on whole chains name them.
pub(super) fn shown_chains(command: &Command<'_>, set: &RuleSet) -> String {
    let (word, chain) = match &command.op {
        Op::Flush(chain) => ("Flushing", chain),
        Op::DeleteChain(chain) => ("Deleting", chain),
        Op::Zero(chain, None) => ("Zeroing", chain),
        _ => return String::new(),
    };
    if !command.format.verbose {
        return String::new();
    }
    let only = chain.as_ref().map(|c| c.text.as_ref());
    let user = matches!(command.op, Op::DeleteChain(_));
    let chosen = set.chains.iter().filter(|c| only.map_or(!user || c.base.is_none(), |o| *c.name == *o));
    chosen.map(|c| format!("{word} chain `{}'\n", c.name)).collect()
}

/// The checks of the kernel.
fn commit(draft: Draft, objects: Objects<'_>, text: &str) -> Result<LoadedTable, Diagnostic> {
    let table = ParsedTable::from(draft.finish());
    if let Some(first) = translate_table(&table.rules, objects, &|c, r| table.line(c, r)).into_iter().next() {
        let written = table.line(first.chain, first.rule).is_some();
        let at = text.find(&first.word).filter(|_| written);
        let (start, end) = at.map_or((0, text.len()), |i| (i, i + first.word.len()));
        return Err(Diagnostic::new(1, text, start, end, first.fault));
    }
    Ok(table.load())
}

/// What iptables prints when it fails.
fn failure(family: Family, d: Diagnostic) -> Output {
    let name = program(family);
    let try_help = format!("Try `{name} -h' or '{name} --help' for more information.\n");
    let (stderr, status) = match &d.tool {
        Some(ToolError::Usage(text)) => (format!("{name} {VERSION}: {text}\n{try_help}"), 2),
        Some(ToolError::BadArgument(word)) => (format!("Bad argument `{word}'\n{try_help}"), 2),
        Some(ToolError::TryHelp) => (try_help, 2),
        Some(ToolError::Errno(text)) => (format!("{name}: {text}\n"), 1),
        Some(ToolError::CommitExpected(_) | ToolError::LineFailed(_)) => (try_help, 2),
        #[cfg(feature = "nft")]
        Some(ToolError::Batch(text) | ToolError::Problem(text) | ToolError::Unreadable(text)) => {
            (format!("{name} {VERSION}: {text}\n"), 1)
        }
        Some(ToolError::NoTable(table)) => {
            let first = "Table does not exist (do you need to insmod?)";
            let second = format!("Perhaps {name} or your kernel needs to be upgraded.");
            (format!("{name} {VERSION}: can't initialize {name} table `{table}': {first}\n{second}\n"), 3)
        }
        None | Some(ToolError::Exit(..)) => {
            (format!("{name} {VERSION}: {}, {}: {}\n", d.message, q(&d.token), d.help), 2)
        }
    };
    Output { stdout: String::new(), stderr, status, diagnostics: vec![d] }
}
