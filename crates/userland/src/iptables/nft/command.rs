//! The commands `iptables-nft` and `ip6tables-nft`.

use super::edit::{Edit, View, nft_family};
use super::run::{Run, errno, errno_of, extensions, refused, what};
use super::{NftStore, VERSION};
use crate::args::{ArgLine, Source, check_text};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::iptables::command::listing::list_rules;
use crate::iptables::command::parse::{Command, Mode, Op, parse};
use crate::iptables::command::run::verbose_lines;
use crate::iptables::command::{HELP, Output, shown_chains};
use crate::iptables::draft::Draft;
use crate::iptables::family::program;
use crate::iptables::list::{list_chain_used, list_rule};
use crate::iptables::rule::Scope;
use kernel::netfilter::xtables::TableId;
use packet::Family;

/// Runs `iptables-nft` with its arguments; `argv[0]` is the name of the program. Tables and built-in chains are made when they are first
/// needed.
pub fn iptables_nft<S: AsRef<str>>(store: &mut NftStore<'_>, argv: &[S]) -> Output {
    let line = ArgLine::new(argv);
    let mut out = Output::default();
    if let Err(diagnostic) = execute(store, &line, &mut out) {
        let failed = failure(store.family, diagnostic);
        let stderr = std::mem::take(&mut out.stderr) + &failed.stderr;
        return Output { stdout: out.stdout, stderr, ..failed };
    }
    out
}

fn execute(store: &mut NftStore<'_>, line: &ArgLine, out: &mut Output) -> Result<(), Diagnostic> {
    check_text(line.text())?;
    let mut args = line.args(1);
    let source = args.source;
    if source.text.contains('\n') {
        let fault = Fault::new("a line feed in an argument", "expected a command of one line");
        return Err(Diagnostic::new(1, source.text, 0, source.text.len(), fault));
    }
    let mut command = parse(&mut args, Mode::Shell, store.family).map_err(|d| kernel_refused(d, source))?;
    // The lock of the file system is not needed.
    let waits = line.args(1).any(|t| ["-W", "--wait-interval"].contains(&t.text.as_ref()));
    if waits {
        out.stderr.push_str("Ignoring deprecated --wait-interval option.\n");
    }
    match command.op {
        Op::Version => {
            out.stdout.push_str(&format!("{} {VERSION}\n", program(store.family)));
            return Ok(());
        }
        Op::Help => {
            let help = HELP.replace("(legacy)", "(nf_tables)").replace("iptables", program(store.family));
            out.stdout.push_str(&help);
            return Ok(());
        }
        _ => {}
    }
    let warnings = command.spec.warnings();
    let objects = store.objects();
    let objects = objects.as_objects();
    let run = Run { source, line: 1, objects };
    if matches!(command.op, Op::List(..) | Op::ListRules(..)) {
        return listing(store, &mut command, &run, out);
    }
    let mut edit = Edit::new(store.nft, store.family, command.table, store.names);
    let before = edit.draft.names_only();
    let (op, chain) = (what(&command.op), chain_name(&command.op).to_owned());
    let shown = shown_rules(&command, &edit.draft, &run);
    run.apply(&command.op, command.spec.clone(), &mut edit)?;
    out.stdout.push_str(&shown);
    out.stdout.push_str(&shown_chains(&command, &before));
    out.stderr.push_str(&warnings);
    if matches!(command.op, Op::Check(_)) {
        return Ok(());
    }
    if let Some((_, _, word, fault)) = extensions(&edit, objects).into_iter().next() {
        let (start, end) = source.text.find(&word).map_or((0, source.text.len()), |i| (i, i + word.len()));
        let says = refused(op, &errno(&fault), &chain);
        return Err(Diagnostic::new(1, source.text, start, end, fault.says(says)));
    }
    run.validate(&edit, (op, &chain))?;
    *store.nft = edit.nft;
    Ok(())
}

/// What legacy iptables would hear from the kernel is said of the rule.
pub(super) fn kernel_refused(mut d: Diagnostic, source: Source<'_>) -> Diagnostic {
    let why = match &d.tool {
        Some(says @ ToolError::Errno(_)) => errno_of(Some(says)),
        _ => return d,
    };
    let mut words = crate::args::Args::of_line(source, 0);
    let adds = ["-A", "--append", "-I", "--insert", "-R", "--replace"];
    let chain = words.find(|t| adds.contains(&t.text.as_ref())).and_then(|_| words.next());
    let chain = chain.map(|t| t.text.into_owned()).unwrap_or_default();
    d.tool = Some(refused("RULE_APPEND", &why, &chain));
    d
}

/// The chain that a command is about.
pub(super) fn chain_name<'a>(op: &'a Op<'_>) -> &'a str {
    match op {
        Op::Append(c)
        | Op::Check(c)
        | Op::Delete(c)
        | Op::DeleteNum(c, _)
        | Op::Insert(c, _)
        | Op::Replace(c, _) => &c.text,
        Op::New(c) | Op::Rename(c, _) | Op::Policy(c, _) => &c.text,
        Op::Flush(c) | Op::Zero(c, _) | Op::DeleteChain(c) => c.as_ref().map_or("", |c| &c.text),
        _ => "",
    }
}

/// With `-v`, commands print the rules that they are about.
pub(super) fn shown_rules(command: &Command<'_>, draft: &Draft, run: &Run<'_>) -> String {
    let with_rule =
        matches!(command.op, Op::Append(_) | Op::Insert(..) | Op::Delete(_) | Op::Check(_) | Op::Replace(..));
    if !command.format.verbose || !with_rule {
        return String::new();
    }
    let scope = Scope { draft, declared_later: &|_| None, objects: run.objects };
    let rules = command.spec.clone().rules(run.source, &scope).unwrap_or_default();
    verbose_lines(&draft.names_only(), &rules)
}

/// What iptables-nft says of a table that is not all its own.
pub(super) fn incompatible(table: TableId) -> Fault {
    let message = format!("table {table} has rules that iptables cannot show");
    let says = format!("table `{table}' is incompatible, use 'nft' tool.");
    Fault::new(message, "expected rules made by iptables-nft; nft lists them").says(ToolError::Problem(says))
}

/// The same of a rule.
pub(super) fn no_words(table: TableId) -> Fault {
    Fault::new(
        format!("table {table} has a rule for which iptables has no words"),
        "expected rules made by iptables-nft; nft lists them",
    )
}

pub(super) fn has_foreign(table: TableId) -> String {
    format!("# Table `{table}' contains incompatible base-chains, use 'nft' tool to list them.\n")
}

/// `-L` and `-S`, also together with `-Z`. Nothing is made for them.
fn listing(
    store: &mut NftStore<'_>,
    command: &mut Command<'_>,
    run: &Run<'_>,
    out: &mut Output,
) -> Result<(), Diagnostic> {
    let table = command.table;
    let mut view = View::of(store.nft, store.family, table, store.names);
    let whole = |fault| Diagnostic::new(1, run.source.text, 0, run.source.text.len(), fault);
    let (chain, number) = match &command.op {
        Op::List(chain, number) | Op::ListRules(chain, number) => {
            (chain.clone(), number.as_ref().map(|n| n.n))
        }
        _ => (None, None),
    };
    let at = match &chain {
        None if view.incompatible.is_empty() => None,
        None => return Err(whole(incompatible(table))),
        Some(token) => match view.loaded.rules.chain(&token.text).map(|id| usize::from(id.0)) {
            Some(at) if !view.incompatible.contains(&at) => Some(at),
            found => {
                let name = &token.text;
                let says = format!("chain `{name}' in table `{table}' is incompatible, use 'nft' tool.");
                let fault = match found {
                    Some(_) => incompatible(table),
                    None => Fault::new(
                        format!("table {table} has no chain {}", q(name)),
                        "expected a chain that -S shows",
                    ),
                };
                return Err(run.source.blame(token, fault.says(ToolError::Problem(says))));
            }
        },
    };
    if view.foreign {
        out.stdout.push_str(&has_foreign(table));
    }
    let rule = at.and(number).map(|n| n.saturating_sub(1));
    let end = view.broken.iter().find(|_| at.is_none()).map_or(view.keys.len(), |(chain, ..)| chain + 1);
    let cut = view.cut(at, rule);
    let (loaded, format) = (&view.loaded, command.format);
    out.stdout.push_str(&match (&command.op, at, number) {
        (Op::List(..), None, _) => {
            let chains = (0..end).map(|c| list_chain_used(loaded, c, format, view.uses(c)));
            chains.collect::<Vec<_>>().join("\n")
        }
        (Op::List(..), Some(c), None) => list_chain_used(loaded, c, format, view.uses(c)),
        (Op::List(..), Some(c), Some(n)) => list_rule(loaded, c, n.saturating_sub(1), format),
        (_, chain, number) => list_rules(loaded, chain, number, format),
    });
    if let Some(says) = cut {
        return Err(whole(no_words(table).says(says)));
    }
    if command.zero {
        let number = match std::mem::replace(&mut command.op, Op::Version) {
            Op::List(_, number) | Op::ListRules(_, number) => number,
            _ => None,
        };
        let numbered = number.is_some();
        let op = Op::Zero(chain, number);
        let mut edit = Edit::new(store.nft, store.family, table, store.names);
        let names = edit.draft.names_only();
        command.op = op;
        run.apply(&command.op, command.spec.clone(), &mut edit)?;
        if !numbered {
            out.stdout.push_str(&shown_chains(command, &names));
        }
        *store.nft = edit.nft;
    }
    if store.legacy {
        let name = program(store.family);
        out.stderr
            .push_str(&format!("# Warning: {name}-legacy tables present, use {name}-legacy to see them\n"));
    }
    Ok(())
}

/// What iptables-nft prints when it fails.
fn failure(family: Family, d: Diagnostic) -> Output {
    let name = program(family);
    let try_help = format!("Try `{name} -h' or '{name} --help' for more information.\n");
    let (stderr, status) = match &d.tool {
        Some(ToolError::Usage(text)) => (format!("{name} {VERSION}: {text}\n{try_help}"), 2),
        Some(ToolError::BadArgument(word)) => (format!("Bad argument `{word}'\n{try_help}"), 2),
        Some(ToolError::Errno(text)) => (format!("{name}: {text}\n"), 1),
        Some(ToolError::Batch(text)) => (format!("{name} {VERSION}:  {text}\n"), 4),
        Some(ToolError::Problem(text)) => (format!("{name} {VERSION}: {text}\n"), 1),
        Some(ToolError::NoTable(table)) => {
            let second = format!("Perhaps {name} or your kernel needs to be upgraded.");
            (format!("{name} {VERSION}: table '{table}' does not exist\n{second}\n"), 3)
        }
        Some(ToolError::Unreadable(errors)) => (unreadable(errors, name), 3),
        Some(ToolError::TryHelp | ToolError::CommitExpected(_) | ToolError::LineFailed(_)) => (try_help, 2),
        None | Some(ToolError::Exit(..)) => {
            (format!("{name} {VERSION}: {}, {}: {}\n", d.message, q(&d.token), d.help), 2)
        }
    };
    Output { stdout: String::new(), stderr, status, diagnostics: vec![d] }
}

/// What iptables-nft says of a rule that it cannot read.
pub(super) fn unreadable(errors: &str, name: &str) -> String {
    format!(
        "{errors}{name} {VERSION}: Parsing nftables rule failed\nPerhaps {name} or your kernel needs to be upgraded.\n"
    )
}

/// True if a table of that name is there.
pub(super) fn exists(store: &NftStore<'_>, table: TableId) -> bool {
    store.nft.table(nft_family(store.family), table.name()).is_some()
}
