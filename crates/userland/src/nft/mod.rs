//! nft(8) of nftables 1.0.6: its language, in and out.
//!
//! A text is one transaction: it is read command by command against a copy of the tables, and the copy takes their place when all of
//! it could be done. `nft list` prints what the same text would make again.

mod lex;
mod parse;
mod print;
mod rule_text;
mod value;

pub use print::NftFlags;

use crate::diagnostic::{Diagnostic, Fault, q};
pub(crate) use kernel::netfilter::nftables::NftLog;
use kernel::netfilter::nftables::{
    Data, Elem, NftError, NftFamily, NftRule, NftSet, NftTable, NftVerdict, Nftables, Stmt, TableKey,
};
use kernel::{Instant, Netns};
pub(crate) use parse::prefix_len;
use parse::{Command, Parser};
use print::Printer;
pub(crate) use rule_text::log_text;

/// What text stands for on this host.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Devices, by their index less one.
    pub devices: &'a [String],
    /// The time.
    pub now: Instant,
}

/// What `nft` printed and left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NftDone {
    /// Exit status.
    pub status: u8,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What is wrong with the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// `nft ...` on the tables of a namespace. They are changed if all of it could be done.
pub fn nft(nft: &mut Nftables, argv: &[String], stdin: &str, names: Names<'_>) -> NftDone {
    let mut flags = NftFlags::default();
    let mut words: Vec<&str> = Vec::new();
    let (mut file, mut check) = (false, false);
    let mut args = argv.iter().skip(1).map(String::as_str).peekable();
    while let Some(arg) = args.next() {
        // What begins with a dash behind the command belongs to it.
        if !words.is_empty() || !arg.starts_with('-') || arg.len() < 2 {
            words.push(arg);
            continue;
        }
        match arg {
            "--file" => file = true,
            "--handle" => flags.handles = true,
            "--stateless" => flags.stateless = true,
            "--terse" => flags.terse = true,
            "--check" => check = true,
            "--numeric-priority" => flags.numeric_priority = true,
            "--version" => return print_only(VERSION),
            _ => {
                for c in arg.chars().skip(1) {
                    match c {
                        'f' => file = true,
                        'a' => flags.handles = true,
                        's' => flags.stateless = true,
                        't' => flags.terse = true,
                        'c' => check = true,
                        'y' => flags.numeric_priority = true,
                        'v' => return print_only(VERSION),
                        'V' => {
                            let more =
                                "  cli:\t\teditline\n  json:\t\tyes\n  minigmp:\tno\n  libxtables:\tyes\n";
                            return print_only(&[VERSION, more].concat());
                        }
                        _ => {
                            let fault = Fault::new(
                                format!("option {} is not modelled", q(arg)),
                                "expected -f, -a, -s, -t, -c, -y, -v or -V",
                            );
                            return failed(Diagnostic::new(1, arg, 0, arg.len(), fault), "", None);
                        }
                    }
                }
            }
        }
        if file {
            match args.next() {
                Some("-") | Some("/dev/stdin") => break,
                other => {
                    let name = other.unwrap_or_default();
                    let fault = Fault::new(
                        format!("the file {} is not there", q(name)),
                        "expected - : files are given on standard input",
                    );
                    return failed(Diagnostic::new(1, name, 0, name.len(), fault), "", None);
                }
            }
        }
    }
    if words.is_empty() && !file {
        return NftDone { status: 1, stderr: "nft: no command specified\n".to_owned(), ..NftDone::default() };
    }
    let joined = words.join(" ") + "\n";
    let (src, place) = if file { (stdin, Some("/dev/stdin")) } else { (joined.as_str(), None) };
    run(nft, src, place, flags, check, names)
}

const VERSION: &str = "nftables v1.0.6 (Lester Gooch #5)\n";

fn print_only(text: &str) -> NftDone {
    NftDone { stdout: text.to_owned(), ..NftDone::default() }
}

/// Reads a text (`nft -f`) and does what it says; `Err` is the first thing that is wrong, and nothing was done.
pub fn load(nft: &mut Nftables, src: &str, names: Names<'_>) -> Result<(), Diagnostic> {
    let mut copy = nft.clone();
    let mut parser = Parser::new(src, names, nft)?;
    while parser.command(&mut copy)?.is_some() {}
    validate(&copy, nft, src, names)?;
    *nft = copy;
    Ok(())
}

fn run(
    nft: &mut Nftables,
    src: &str,
    place: Option<&str>,
    flags: NftFlags,
    check: bool,
    names: Names<'_>,
) -> NftDone {
    let mut copy = nft.clone();
    let mut stdout = String::new();
    let done = (|| {
        let mut parser = Parser::new(src, names, nft)?;
        let mut shown = Vec::new();
        while let Some(command) = parser.command(&mut copy)? {
            show(&copy, &command, flags, names, &mut stdout);
            shown.extend(shown_rules_of(&copy, &command));
        }
        validate(&copy, nft, src, names)?;
        Ok(shown)
    })();
    match done {
        Ok(shown) => {
            let warned: Vec<&TableKey> = shown.iter().filter(|key| has_xt(&copy, **key)).collect();
            let stderr = warned.into_iter().filter_map(|key| copy.table_by_key(*key)).map(warning).collect();
            if !check {
                *nft = copy;
            }
            NftDone { stdout, stderr, ..NftDone::default() }
        }
        Err(diagnostic) => failed(diagnostic, src, place),
    }
}

/// `nf_tables_validate`: the kernel looks at the whole when all has been done, and finds the rule with which it went wrong by doing
/// it again.
fn validate(copy: &Nftables, before: &Nftables, src: &str, names: Names<'_>) -> Result<(), Diagnostic> {
    let broken = |nft: &Nftables| nft.tables().iter().find_map(|t| t.validate().err());
    let Some(e) = broken(copy) else { return Ok(()) };
    let mut again = before.clone();
    let mut parser = Parser::new(src, names, before)?;
    parser.check_each = true;
    loop {
        let from = parser.here();
        if parser.command(&mut again)?.is_none() {
            break;
        }
        if let Some(e) = broken(&again) {
            return Err(parser.blame_command(from, e));
        }
    }
    Err(parser.blame_command(0, e))
}

/// The tables of which a command lists rules.
fn shown_rules_of(nft: &Nftables, command: &Command) -> Vec<TableKey> {
    let of = |family: NftFamily, name: &str| nft.table(family, name).map(|t| t.key).into_iter().collect();
    match command {
        Command::ListRuleset(family) => {
            nft.tables().iter().filter(|t| family.is_none_or(|f| t.family == f)).map(|t| t.key).collect()
        }
        Command::ListTable(family, name) | Command::ListChain(family, name, _) => of(*family, name),
        _ => Vec::new(),
    }
}

fn has_xt(nft: &Nftables, key: TableKey) -> bool {
    nft.table_by_key(key).is_some_and(|t| t.xts().next().is_some())
}

/// What nft says of a table with matches or targets of iptables.
fn warning(t: &NftTable) -> String {
    format!("# Warning: table {} {} is managed by iptables-nft, do not touch!\n", t.family, t.name)
}

/// An error as nft prints it: place, words, the line and what is meant in it.
fn failed(d: Diagnostic, src: &str, place: Option<&str>) -> NftDone {
    let line = src.lines().nth(d.span.line.saturating_sub(1) as usize).unwrap_or_default();
    let (col, len) = (d.span.col as usize, d.span.len.max(1) as usize);
    let at = match place {
        Some(file) => format!("{file}:{}:{}-{}: ", d.span.line, col, col + len - 1),
        None => String::new(),
    };
    let indent: String = line.chars().take(col - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let stderr = format!("{at}Error: {}\n{line}\n{indent}{}\n", d.message, "^".repeat(len));
    NftDone { status: 1, stdout: String::new(), stderr, diagnostics: vec![d] }
}

fn show(nft: &Nftables, command: &Command, flags: NftFlags, names: Names<'_>, out: &mut String) {
    let of = |family: &Option<NftFamily>| {
        let family = *family;
        nft.tables().iter().filter(move |t| family.is_none_or(|f| t.family == f))
    };
    let printer = |table| Printer { names, flags, table };
    let one =
        |family: &NftFamily, table: &str, out: &mut String, show: &dyn Fn(&Printer<'_>, &mut String)| {
            if let Some(t) = nft.table(*family, table) {
                let p = printer(t);
                out.push_str(&format!("table {} {} {{", t.family, t.name));
                out.push('\n');
                show(&p, out);
                out.push_str("}\n");
            }
        };
    match command {
        Command::Done => {}
        Command::ListRuleset(family) => of(family).for_each(|t| printer(t).table(out)),
        Command::ListTable(family, name) => {
            if let Some(t) = nft.table(*family, name) {
                printer(t).table(out);
            }
        }
        Command::ListTables(family) => {
            for t in of(family) {
                out.push_str(&format!("table {} {}\n", t.family, t.name));
            }
        }
        Command::ListChain(family, table, name) => one(family, table, out, &|p, out| {
            if let Some(chain) = p.table.chain(name) {
                p.chain(out, chain, true);
            }
        }),
        Command::ListSet(family, table, name) => one(family, table, out, &|p, out| {
            if let Some((key, set)) = p.table.set(name) {
                p.set(out, key.0, set, !p.flags.terse);
            }
        }),
        Command::ListChains(family) => {
            for t in of(family) {
                one(&t.family, &t.name, out, &|p, out| {
                    p.table.chains().for_each(|chain| p.chain(out, chain, false));
                });
            }
        }
        Command::ListSets(family, table, maps) => {
            for t in of(family).filter(|t| table.as_ref().is_none_or(|name| **name == *t.name)) {
                one(&t.family, &t.name, out, &|p, out| {
                    for (key, set) in p.table.sets().filter(|(_, s)| Some(s.is_map()) == *maps) {
                        p.set(out, key.0, set, !p.flags.terse);
                    }
                });
            }
        }
    }
}

// ------------------------------------------------------------------ for views

/// A table of a host, to be spoken about.
pub struct NftText<'a>(Printer<'a>);

impl<'a> NftText<'a> {
    /// With these names of devices.
    pub fn new(table: &'a NftTable, names: Names<'a>) -> NftText<'a> {
        NftText(Printer { names, flags: NftFlags { stateless: true, ..NftFlags::default() }, table })
    }

    /// A rule, without what its counters stand at.
    pub fn rule(&self, rule: &NftRule) -> String {
        print::rule_text(&self.0, rule, None)
    }

    /// One statement of a rule.
    pub fn stmt(&self, stmt: &Stmt) -> String {
        rule_text::stmt_text(&self.0, stmt, None)
    }

    /// A verdict.
    pub fn verdict(&self, verdict: NftVerdict) -> String {
        self.0.verdict(verdict)
    }

    /// The key of a set's member: a value, a prefix or a range.
    pub fn key(&self, set: &NftSet, elem: &Elem) -> String {
        self.0.elem_key(set, elem)
    }

    /// What a statement saw.
    pub fn seen(&self, stmt: &Stmt, seen: &Data) -> String {
        rule_text::seen_text(&self.0, stmt, seen)
    }
}

/// The names of a host's devices, in the order of their indices.
pub fn device_names(ns: &Netns) -> Vec<String> {
    ns.devices().iter().filter(|d| !d.gone).map(|d| d.name.clone()).collect()
}

/// The words of an error number.
pub fn errno_text(e: NftError) -> String {
    e.to_string()
}
