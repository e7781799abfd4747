//! Processes: `ps`, `pgrep` and `pidof` (procps-ng 4.0.2).

use super::CommandOutput;
use super::text::pattern::{Pattern, Whole};
use crate::world::{Running, World};
use kernel::{Instant, NetnsId};

/// A column of ps: its names behind `-o`, its title, how wide it is, whether it stands on the left, and what is in it.
struct Column {
    names: &'static [&'static str],
    title: &'static str,
    width: usize,
    left: bool,
    value: fn(&Row<'_>) -> String,
}

/// A process, and who asks.
struct Row<'w> {
    process: Running<'w>,
    world: &'w World,
}

const fn column(
    names: &'static [&'static str],
    title: &'static str,
    width: usize,
    left: bool,
    value: fn(&Row<'_>) -> String,
) -> Column {
    Column { names, title, width, left, value }
}

/// Of memory and of the processor's time nothing is known.
const COLUMNS: &[Column] = &[
    column(&["user", "euser"], "USER", 8, true, |_| "root".to_owned()),
    column(&["pid"], "PID", 5, false, |r| r.process.pid.to_string()),
    column(&["pcpu", "%cpu"], "%CPU", 4, false, |_| "0.0".to_owned()),
    column(&["pmem", "%mem"], "%MEM", 4, false, |_| "0.0".to_owned()),
    column(&["vsz", "vsize"], "VSZ", 6, false, |_| "0".to_owned()),
    column(&["rss"], "RSS", 5, false, |_| "0".to_owned()),
    column(&["tty", "tt", "tname"], "TTY", 8, true, |r| r.tty()),
    column(&["stat"], "STAT", 4, true, |r| r.stat()),
    column(&["start_time"], "START", 5, true, |r| r.start()),
    column(&["bsdtime"], "TIME", 6, false, |_| "0:00".to_owned()),
    column(&["args", "command", "cmd"], "COMMAND", 0, true, |r| r.process.command.clone()),
    column(&["uid", "euid"], "UID", 5, false, |_| "0".to_owned()),
    column(&["ppid"], "PPID", 5, false, |_| "1".to_owned()),
    column(&["c"], "C", 2, false, |_| "0".to_owned()),
    column(&["stime"], "STIME", 5, true, |r| r.start()),
    column(&["time", "cputime"], "TIME", 8, false, |_| "00:00:00".to_owned()),
    column(&["comm", "ucmd", "ucomm"], "COMMAND", 15, true, |r| r.process.name.to_owned()),
    column(&["netns"], "NETNS", 10, false, |r| {
        r.world.host(r.process.host).map_or(String::new(), |ns| ns.inum().to_string())
    }),
];

/// The columns of what is asked for mostly.
const PLAIN: &str = "pid,tty,time,comm=CMD";
const BSD: &str = "pid,tty,stat,bsdtime,args";
const BSD_USER: &str = "user,pid,pcpu,pmem,vsz,rss,tty,stat,start_time,bsdtime,args";
const FULL: &str = "user=UID,pid,ppid,c,stime,tty,time,args=CMD";

impl Row<'_> {
    fn tty(&self) -> String {
        if self.process.daemon { "?" } else { "pts/0" }.to_owned()
    }

    fn stat(&self) -> String {
        if self.process.daemon { "Ss" } else { "S" }.to_owned()
    }

    fn start(&self) -> String {
        let minutes = self.process.since.since(Instant(0)).as_secs() / 60;
        format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
    }
}

/// What `ps` is asked for.
#[derive(Default)]
struct Asked<'a> {
    columns: Option<String>,
    every: bool,
    /// Words such as `aux`.
    bsd: bool,
    user: bool,
    full: bool,
    pids: Option<Vec<u16>>,
    names: Option<Vec<&'a str>>,
    bare: bool,
}

/// `ps [aux] [-e] [-f] [-p PIDS] [-C NAMES] [-o COLUMNS]`: the programs of a box; on a node those of its pods too.
pub(super) fn ps(world: &World, host: NetnsId, args: &[String]) -> CommandOutput {
    match read(args) {
        Ok(asked) => show(world, host, args, &asked),
        Err(why) => CommandOutput::failed(1, format!("error: {why}")),
    }
}

fn read(args: &[String]) -> Result<Asked<'_>, String> {
    let mut asked = Asked::default();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        if word.bytes().all(|b| b.is_ascii_digit() || b == b',') {
            asked.bsd = true;
            asked.pids.get_or_insert_default().extend(pids(word)?);
            continue;
        }
        let (dash, letters) = match word.strip_prefix('-') {
            Some(letters) => (true, letters),
            None => (false, word.as_str()),
        };
        asked.bsd |= !dash;
        for (at, letter) in letters.char_indices() {
            // What stands behind a letter that wants a word, or the next word.
            let mut wanted = |what: &str| {
                let own = letters.get(at + 1..).filter(|own| !own.is_empty());
                own.or_else(|| rest.next().map(String::as_str))
                    .ok_or_else(|| format!("{what} must follow -{letter}"))
            };
            match (dash, letter) {
                (true, 'e' | 'A') | (false, 'a' | 'x') => asked.every = true,
                (true, 'f') => asked.full = true,
                (false, 'u') => asked.user = true,
                (true, 'w' | 'H') | (false, 'w' | 'f') => {}
                // ps takes `-aux` for `aux` where there is no user x.
                (true, 'a' | 'u' | 'x') if letters == "aux" => {
                    (asked.every, asked.user, asked.bsd) = (true, true, true);
                }
                (true, 'p') | (false, 'p') => {
                    asked.pids.get_or_insert_default().extend(pids(wanted("list of process IDs")?)?);
                    break;
                }
                (true, 'C') => {
                    asked.names.get_or_insert_default().extend(wanted("list of command names")?.split(','));
                    break;
                }
                (_, 'o') => {
                    let list = wanted("format specification")?;
                    let columns = asked.columns.get_or_insert_default();
                    columns.extend([",", list]);
                    break;
                }
                _ => {
                    let kind = if dash { "SysV" } else { "BSD" };
                    return Err(format!(
                        "unsupported {kind} option {letter:?}; expected aux, -e, -f, -p, -C or -o"
                    ));
                }
            }
        }
    }
    asked.bare = asked.pids.is_none() && asked.names.is_none() && !asked.every;
    Ok(asked)
}

fn pids(list: &str) -> Result<Vec<u16>, String> {
    let one =
        |n: &str| n.parse().map_err(|_| format!("process ID list syntax error: {n:?}; expected numbers"));
    list.split([',', ' ']).map(one).collect()
}

fn show(world: &World, host: NetnsId, args: &[String], asked: &Asked<'_>) -> CommandOutput {
    let list = asked.columns.as_deref().unwrap_or(match (asked.full, asked.bsd, asked.user) {
        (true, ..) => FULL,
        (_, true, true) => BSD_USER,
        (_, true, false) => BSD,
        _ => PLAIN,
    });
    let mut columns = Vec::new();
    for word in list.split(',').filter(|w| !w.is_empty()) {
        let (name, title) = word.split_once('=').map_or((word, None), |(name, title)| (name, Some(title)));
        match COLUMNS.iter().find(|c| c.names.contains(&name)) {
            Some(column) => columns.push((column, title.unwrap_or(column.title))),
            None => {
                let why = format!("error: unknown user-defined format specifier \"{name}\"");
                return CommandOutput::failed(1, why);
            }
        }
    }
    let mut all = world.running(host);
    let own = Running {
        pid: world.next_pid(),
        name: "ps",
        command: ["ps"].into_iter().chain(args.iter().map(String::as_str)).collect::<Vec<_>>().join(" "),
        host,
        daemon: false,
        since: world.now(),
    };
    all.push(own);
    let wanted = |p: &Running<'_>| {
        let listed = asked.pids.as_ref().is_some_and(|pids| pids.contains(&p.pid));
        let named = asked.names.as_ref().is_some_and(|names| names.contains(&p.name));
        // Without a word about it, those of the terminal.
        asked.every || listed || named || asked.bare && !p.daemon
    };
    let rows: Vec<Row<'_>> = all.into_iter().filter(wanted).map(|process| Row { process, world }).collect();
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let mut out = String::new();
        for (n, ((column, title), cell)) in columns.iter().zip(cells).enumerate() {
            let width = column.width.max(title.len());
            out.push_str(if n > 0 { " " } else { "" });
            out += &match (column.left, n + 1 == columns.len()) {
                (true, true) => cell,
                (true, false) => format!("{cell:<width$}"),
                (false, _) => format!("{cell:>width$}"),
            };
        }
        out
    };
    let mut lines = Vec::new();
    if columns.iter().any(|(_, title)| !title.is_empty()) {
        lines.push(line(&mut columns.iter().map(|(_, title)| (*title).to_owned())));
    }
    lines.extend(rows.iter().map(|row| line(&mut columns.iter().map(|(column, _)| (column.value)(row)))));
    CommandOutput { status: i32::from(rows.is_empty()), ..CommandOutput::lines(lines) }
}

/// `pgrep [-f] [-l|-a|-c] [-x] [-i] [-n|-o] PATTERN`, and `pidof NAME...`
pub(super) fn pgrep(world: &World, host: NetnsId, program: &str, args: &[String]) -> CommandOutput {
    let (options, patterns): (Vec<&String>, Vec<&String>) = args.iter().partition(|a| a.starts_with('-'));
    let has = |letter: char| options.iter().any(|o| o.contains(letter));
    let known = if program == "pidof" { "s" } else { "flacxino" };
    let mut letters = options.iter().flat_map(|o| o.chars().skip(1));
    if let Some(letter) = letters.find(|letter| !known.contains(*letter)) {
        let expected: Vec<String> = known.chars().map(|k| format!("-{k}")).collect();
        let why = format!("{program}: invalid option -- '{letter}'; expected {}", expected.join(", "));
        return CommandOutput::failed(if program == "pidof" { 1 } else { 2 }, why);
    }
    let mut all = world.running(host);
    if program == "pidof" {
        all.retain(|p| patterns.iter().any(|name| *name == p.name));
        all.reverse();
        all.truncate(if has('s') { 1 } else { all.len() });
        let pids: Vec<String> = all.iter().map(|p| p.pid.to_string()).collect();
        let lines = if pids.is_empty() { Vec::new() } else { vec![pids.join(" ")] };
        return CommandOutput { status: i32::from(pids.is_empty()), ..CommandOutput::lines(lines) };
    }
    let pattern = match patterns.as_slice() {
        [one] => Pattern::read(one, true, has('i')),
        [] => Err("no matching criteria specified".to_owned()),
        _ => Err("only one pattern can be provided".to_owned()),
    };
    let pattern = match pattern {
        Ok(pattern) => pattern,
        Err(why) => return CommandOutput::failed(2, format!("pgrep: {why}")),
    };
    let whole = if has('x') { Whole::Line } else { Whole::Nothing };
    all.retain(|p| pattern.is_in(if has('f') { &p.command } else { p.name }, whole));
    let last = all.len().saturating_sub(1);
    if has('n') {
        all.drain(..last);
    } else if has('o') {
        all.truncate(1);
    }
    let status = i32::from(all.is_empty());
    let line = |p: &Running<'_>| match (has('a'), has('l')) {
        (true, _) => format!("{} {}", p.pid, p.command),
        (_, true) => format!("{} {}", p.pid, p.name),
        _ => p.pid.to_string(),
    };
    let lines = if has('c') { vec![all.len().to_string()] } else { all.iter().map(line).collect() };
    CommandOutput { status, ..CommandOutput::lines(lines) }
}
