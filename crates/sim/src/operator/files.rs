//! `cat`, `head`, `ls`, `tee` and `> FILE`: the files of a box, its settings under /proc/sys, and what the kernel shows in /proc/net and /sys.

use super::settings::settings;
use super::{CommandOutput, conntrack, text_of};
use crate::EventId;
use crate::world::World;
use kernel::NetnsId;
use kernel::sysctl::SysctlError;

/// Folders of /proc/sys/net that are always there, though nothing in them can be set here.
const EMPTY: &[&str] = &["proc/sys/net/core", "proc/sys/net/ipv6", "proc/sys/net/unix"];

/// A path without what says nothing, and without the slash at its beginning.
fn tidy(path: &str) -> String {
    path.split('/').filter(|p| !p.is_empty() && *p != ".").collect::<Vec<_>>().join("/")
}

/// Every file of a box, by its tidy path. What is in the kernel's is read when asked for.
fn paths(world: &mut World, host: NetnsId) -> Vec<String> {
    let mut all: Vec<String> = world.files_of(host).map(tidy).collect();
    if let Some(ns) = world.host_mut(host) {
        all.extend(settings(ns).into_iter().map(|(name, _)| format!("proc/sys/{name}")));
        for d in ns.devices().iter().filter(|d| !d.gone) {
            let own =
                ["address", "carrier", "ifindex", "mtu"].map(|f| format!("sys/class/net/{}/{f}", d.name));
            all.extend(own);
            if d.master.is_some() {
                all.push(format!("sys/class/net/{}/brport/hairpin_mode", d.name));
            }
        }
        if ns.sysctl_get("net/netfilter/nf_conntrack_count").is_ok() {
            all.extend(["proc/net/nf_conntrack", "proc/net/nf_conntrack_expect"].map(str::to_owned));
        }
    }
    sorted::sort(&mut all);
    all.dedup();
    all
}

/// `tee [-a] FILE...`: what a pipe brings goes into files, and on.
pub(super) fn tee(world: &mut World, host: NetnsId, args: &[String], stdin: Option<&str>) -> CommandOutput {
    let (append, files) = match args {
        [option, files @ ..] if option == "-a" => (true, files),
        files => (false, files),
    };
    let text = stdin.unwrap_or_default();
    let mut out = CommandOutput::text(text);
    for file in files {
        if let Err(why) = write_file(world, host, file, text, append) {
            out.stderr.push(format!("tee: {why}"));
            out.status = 1;
        }
    }
    out
}

/// `> FILE`, or `>> FILE` where what is there stays: a file of the box, or a setting under /proc/sys. `Err` says what bash does.
pub(crate) fn write_file(
    world: &mut World,
    host: NetnsId,
    path: &str,
    text: &str,
    append: bool,
) -> Result<(), String> {
    let place = tidy(path);
    if place == "dev/null" {
        return Ok(());
    }
    let Some(name) = place.strip_prefix("proc/sys/") else {
        if ["proc", "sys", "dev"].iter().any(|root| place.split('/').next() == Some(*root)) {
            return Err(format!("{path}: writing to it is not modelled"));
        }
        if entries(world, host, path).is_some() {
            return Err(format!("{path}: Is a directory"));
        }
        let own =
            world.files_of(host).find(|p| tidy(p) == place).map_or_else(|| path.to_owned(), str::to_owned);
        let old = if append { world.file(host, &own).unwrap_or_default() } else { "" };
        let text = format!("{old}{text}");
        world.write_file(host, &own, text);
        return Ok(());
    };
    let Some(ns) = world.host_mut(host) else { return Ok(()) };
    let set = ns.sysctl_get(name).and_then(|old| {
        if text.is_empty() {
            return Ok(());
        }
        let n = super::sysctl::number(text.trim()).ok_or(SysctlError::Invalid(old))?;
        ns.sysctl_set(name, n)
    });
    world.share(host);
    match set {
        Ok(()) => Ok(()),
        Err(SysctlError::Unknown(_)) => Err(format!("{path}: No such file or directory")),
        Err(SysctlError::NotModelled(_)) => Err(format!("{path}: is not modelled")),
        Err(SysctlError::ReadOnly(_)) => Err(format!("{path}: Permission denied")),
        Err(SysctlError::Invalid(_)) => Err("echo: write error: Invalid argument".to_owned()),
    }
}

/// What is in a file. `Err` is why it cannot be read.
pub(crate) fn read_file(world: &mut World, host: NetnsId, path: &str) -> Result<String, &'static str> {
    match tidy(path).as_str() {
        "dev/null" => Ok(String::new()),
        _ => read(world, host, path).ok_or_else(|| trouble(world, host, path)),
    }
}

/// What is in a file, or standard input if it is `-`.
pub(super) fn input(
    world: &mut World,
    host: NetnsId,
    path: &str,
    stdin: Option<&str>,
) -> Result<String, &'static str> {
    if path == "-" { Ok(stdin.unwrap_or_default().to_owned()) } else { read_file(world, host, path) }
}

/// A file, and why it cannot be read.
pub(super) fn told(path: &str, why: &str) -> String {
    format!("{path}: {why}")
}

/// What is in a file; `None` if it is not there.
fn read(world: &mut World, host: NetnsId, path: &str) -> Option<String> {
    let path = tidy(path);
    let own = world.files_of(host).find(|p| tidy(p) == path).map(str::to_owned);
    if let Some(text) = own.and_then(|p| world.file(host, &p)) {
        return Some(text.to_owned());
    }
    if let Some(name) = path.strip_prefix("proc/sys/") {
        return Some(format!("{}\n", world.host_mut(host)?.sysctl_get(name).ok()?));
    }
    match path.as_str() {
        "proc/net/nf_conntrack" => return Some(tracked(world, host, &["-L", "-o", "extended"])),
        "proc/net/nf_conntrack_expect" => return Some(tracked(world, host, &["-L", "expect"])),
        _ => {}
    }
    let (dev, field) = path.strip_prefix("sys/class/net/")?.split_once('/')?;
    let ns = world.host(host)?;
    let d = ns.device(ns.device_by_name(dev)?)?;
    let value = match field {
        "address" => d.mac.to_string(),
        "carrier" if d.up => u8::from(ns.has_carrier(d)).to_string(),
        "ifindex" => (d.id.0 + 1).to_string(),
        "mtu" => d.mtu.to_string(),
        "brport/hairpin_mode" if d.master.is_some() => u8::from(d.port.hairpin).to_string(),
        _ => return None,
    };
    Some(value + "\n")
}

/// /proc/net/nf_conntrack and /proc/net/nf_conntrack_expect: an entry is in use by who reads it, too.
fn tracked(world: &mut World, host: NetnsId, args: &[&str]) -> String {
    let argv: Vec<String> = ["conntrack"].iter().chain(args).map(|w| (*w).to_owned()).collect();
    let listed = conntrack::conntrack(world, host, EventId(0), &argv).stdout;
    let line = |l: String| match l.rsplit_once(" use=") {
        Some((entry, used)) => {
            let used = used.trim().parse::<u32>().map_or(2, |n| n + 1);
            // The helper is not told here.
            let entry = entry.split(" helper=").next().unwrap_or(entry);
            format!("{entry} zone=0 use={used}")
        }
        // An expectation begins with its time, and says of which layer it is; behind the ports stands the helper.
        None => {
            let (tuple, helper) = (l.split(" mask-src=").next().unwrap_or(&l), l.rsplit_once(" helper="));
            let tuple = tuple.replacen(" proto=", " l3proto = 2 proto=", 1);
            helper.map_or_else(|| tuple.clone(), |(_, name)| format!("{tuple} {name}"))
        }
    };
    text_of(&listed.into_iter().map(line).collect::<Vec<_>>())
}

/// The paths that a word stands for: itself, or those that are there if it has a `*`.
pub(super) fn expand(world: &mut World, host: NetnsId, word: &str) -> Vec<String> {
    if !word.contains('*') {
        return vec![word.to_owned()];
    }
    let mut found = vec![String::new()];
    for (n, part) in word.split('/').enumerate() {
        let mut next = Vec::new();
        for path in found {
            let to = |name: &str| if n == 0 { name.to_owned() } else { format!("{path}/{name}") };
            if !part.contains('*') {
                next.push(to(part));
                continue;
            }
            let names = entries(world, host, &path).unwrap_or_default();
            next.extend(names.iter().filter(|name| fits(part, name)).map(|name| to(name)));
        }
        found = next;
    }
    found.retain(|path| entries(world, host, path).is_some() || read(world, host, path).is_some());
    if found.is_empty() { vec![word.to_owned()] } else { found }
}

/// A name is like this, in which `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let begin = parts.next().unwrap_or_default();
    let end = parts.next_back().unwrap_or_default();
    let inner = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
    let rest = inner.and_then(|inner| {
        parts.try_fold(inner, |rest, part| rest.split_once(part).map(|(_, behind)| behind))
    });
    rest.is_some() && (begin.starts_with('.') || !name.starts_with('.'))
}

/// What is in a folder, by name; `None` if it is none.
fn entries(world: &mut World, host: NetnsId, folder: &str) -> Option<Vec<String>> {
    let folder = tidy(folder);
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let all = paths(world, host);
    let all = all.iter().map(String::as_str).chain(EMPTY.iter().copied());
    let mut names: Vec<String> = all
        .filter_map(|p| p.strip_prefix(&prefix))
        .filter_map(|p| p.split('/').next())
        .map(str::to_owned)
        .collect();
    sorted::sort(&mut names);
    names.dedup();
    let empty = EMPTY.contains(&folder.as_str());
    (!names.is_empty() || empty).then_some(names)
}

/// Why a file cannot be read. Of what the kernel itself shows in /proc and of devices, only settings are all here.
fn trouble(world: &mut World, host: NetnsId, path: &str) -> &'static str {
    let is_folder = entries(world, host, path).is_some();
    let path = tidy(path);
    let dev = path.strip_prefix("sys/class/net/").and_then(|p| p.split('/').next());
    let of_device =
        dev.is_some_and(|dev| world.host(host).is_some_and(|ns| ns.device_by_name(dev).is_some()));
    let of_linux = path.strip_prefix("proc/sys/").is_some_and(|name| {
        let got = world.host_mut(host).map(|ns| ns.sysctl_get(name));
        matches!(got, Some(Err(SysctlError::NotModelled(_))))
    });
    match () {
        () if is_folder => "Is a directory",
        () if of_linux || of_device || path.starts_with("proc/") && !path.starts_with("proc/sys/") => {
            "is not modelled"
        }
        () => "No such file or directory",
    }
}

/// Words behind a program's name that are no options; `Err` is the first option.
fn operands(args: &[String]) -> Result<Vec<&String>, &String> {
    match args.iter().find(|a| a.starts_with('-') && a.len() > 1 && *a != "--") {
        Some(option) => Err(option),
        None => Ok(args.iter().filter(|a| *a != "--").collect()),
    }
}

fn no_option(program: &str, option: &str) -> CommandOutput {
    CommandOutput::failed(1, format!("{program} {option} is not modelled: expected names of files"))
}

/// `cat [FILE...]`; `less` and `more` print everything, as into a pipe.
pub(super) fn cat(
    world: &mut World,
    host: NetnsId,
    (program, args): (&str, &[String]),
    stdin: Option<&str>,
) -> CommandOutput {
    let files = match operands(args) {
        Ok(files) if !files.is_empty() => files,
        Ok(_) if stdin.is_some() => return CommandOutput::text(stdin.unwrap_or_default()),
        Ok(_) => return CommandOutput::failed(1, format!("{program}: expected names of files")),
        Err(option) => return no_option(program, option),
    };
    let mut out = CommandOutput::default();
    for path in files.into_iter().flat_map(|w| expand(world, host, w)).collect::<Vec<_>>() {
        let read = input(world, host, &path, stdin);
        match read {
            Ok(text) => out.print(&text),
            Err(why) => {
                let who = match program {
                    "less" => "",
                    "more" => "more: cannot open ",
                    _ => "cat: ",
                };
                out.stderr.push(format!("{who}{}", told(&path, why)));
                out.status = 1;
            }
        }
    }
    out
}

/// Which lines head and tail print.
#[derive(Clone, Copy)]
enum Part {
    First(usize),
    /// `head -n -N`
    AllButLast(usize),
    Last(usize),
    /// `tail -n +N`
    From(usize),
}

impl Part {
    /// What stands behind `-n`, or behind a `-` of its own.
    fn read(program: &str, text: &str) -> Option<Part> {
        let number = |text: &str| text.parse::<usize>().ok().filter(|_| !text.starts_with('+'));
        match (program == "tail", text.strip_prefix(['+', '-'])) {
            (true, Some(n)) if text.starts_with('+') => number(n).map(Part::From),
            (true, n) => number(n.unwrap_or(text)).map(Part::Last),
            (false, Some(n)) if text.starts_with('-') => number(n).map(Part::AllButLast),
            (false, n) => number(n.unwrap_or(text)).map(Part::First),
        }
    }

    fn of(self, text: &str) -> String {
        let lines = text.split_inclusive('\n');
        let all = lines.clone().count();
        let (from, count) = match self {
            Part::First(n) => (0, n),
            Part::AllButLast(n) => (0, all.saturating_sub(n)),
            Part::Last(n) => (all.saturating_sub(n), n),
            Part::From(n) => (n.saturating_sub(1), all),
        };
        lines.skip(from).take(count).collect()
    }
}

/// `head [-n N] [FILE...]`, `tail [-f]` the same from the end
pub(super) fn head(
    world: &mut World,
    host: NetnsId,
    (program, args): (&str, &[String]),
    stdin: Option<&str>,
) -> CommandOutput {
    let mut part = if program == "tail" { Part::Last(10) } else { Part::First(10) };
    let mut rest = args;
    // `-f` ends at once, as if Ctrl-C came then.
    if let [option, more @ ..] = rest
        && program == "tail"
        && matches!(option.as_str(), "-f" | "-F" | "--follow")
    {
        rest = more;
    }
    let count = match rest {
        [option, n, more @ ..] if option == "-n" => Some((n.as_str(), more)),
        [option, more @ ..] if option.starts_with("-n") => option.get(2..).map(|n| (n, more)),
        [option, more @ ..]
            if option.starts_with('-') && option[1..].starts_with(|c: char| c.is_ascii_digit()) =>
        {
            option.get(1..).map(|n| (n, more))
        }
        [option, more @ ..] if program == "tail" && option.starts_with('+') => Some((option.as_str(), more)),
        _ => None,
    };
    if let Some((n, more)) = count {
        match Part::read(program, n) {
            Some(read) => (part, rest) = (read, more),
            None => return CommandOutput::failed(1, format!("{program}: invalid number of lines: ‘{n}’")),
        }
    }
    let files = match operands(rest) {
        Ok(files) if !files.is_empty() => files,
        Ok(_) if stdin.is_some() => return CommandOutput::text(&part.of(stdin.unwrap_or_default())),
        Ok(_) => return CommandOutput::failed(1, format!("{program}: expected names of files")),
        Err(option) => return no_option(program, option),
    };
    let paths: Vec<String> = files.into_iter().flat_map(|w| expand(world, host, w)).collect();
    let mut out = CommandOutput::default();
    for path in &paths {
        let text = match input(world, host, path, stdin) {
            Ok(text) => text,
            Err(why) => {
                let what = match why {
                    "Is a directory" => format!("error reading '{path}': {why}"),
                    why => format!("cannot open '{path}' for reading: {why}"),
                };
                out.stderr.push(format!("{program}: {what}"));
                out.status = 1;
                continue;
            }
        };
        if paths.len() > 1 {
            let between = if out.stdout.is_empty() { "" } else { "\n" };
            let name = if path == "-" { "standard input" } else { path };
            out.print(&format!("{between}==> {name} <==\n"));
        }
        out.print(&part.of(&text));
    }
    out
}

/// `ls [-1laF] [PATH...]`, one name a line as into a pipe
pub(super) fn ls(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let (options, words): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|a| a.starts_with('-') && a.len() > 1);
    let letters: String = options.iter().map(|o| &o[1..]).collect();
    if let Some(unknown) = letters.chars().find(|c| !"1laF".contains(*c)) {
        return CommandOutput::failed(2, format!("ls -{unknown} is not modelled: expected one of -1laF"));
    }
    let words = if words.is_empty() { vec!["/".to_owned()] } else { words.into_iter().cloned().collect() };
    let paths: Vec<String> = words.iter().flat_map(|w| expand(world, host, w)).collect();
    let (mut out, mut folders) = (CommandOutput::default(), Vec::new());
    for path in &paths {
        if read(world, host, path).is_some() {
            out.stdout.push(listed(world, host, (path, path), &letters));
        } else if let Some(mut names) = entries(world, host, path) {
            if letters.contains('a') {
                names.splice(0..0, [".", ".."].map(str::to_owned));
            }
            folders.push((path, names));
        } else {
            out.stderr.push(format!("ls: cannot access '{path}': {}", trouble(world, host, path)));
            out.status = 2;
        }
    }
    for (path, names) in folders {
        if paths.len() > 1 {
            if !out.stdout.is_empty() {
                out.stdout.push(String::new());
            }
            out.stdout.push(format!("{path}:"));
        }
        if letters.contains('l') {
            // Files have no blocks here, as those of /proc.
            out.stdout.push("total 0".to_owned());
        }
        for name in names {
            let full = format!("{path}/{name}");
            out.stdout.push(listed(world, host, (&full, &name), &letters));
        }
    }
    out
}

/// A file or folder as `ls` lists it: its path, and the name that is printed.
fn listed(world: &mut World, host: NetnsId, (path, name): (&str, &str), letters: &str) -> String {
    let text = read(world, host, path);
    let name = match text.is_none() && letters.contains('F') {
        true => format!("{name}/"),
        false => name.to_owned(),
    };
    if !letters.contains('l') {
        return name;
    }
    let path = tidy(path);
    let setting = path.strip_prefix("proc/sys/");
    let readonly = |name: &str| name.ends_with("nf_conntrack_count");
    let (mode, size) = match (&text, setting) {
        (None, _) if path.starts_with("proc") || path.starts_with("sys") => ("dr-xr-xr-x", 0),
        (None, _) => ("drwxr-xr-x", 0),
        (Some(_), Some(name)) if readonly(name) => ("-r--r--r--", 0),
        (Some(_), None) if path.starts_with("proc/") || path.starts_with("sys/") => ("-r--r--r--", 0),
        (Some(_), Some(_)) => ("-rw-r--r--", 0),
        (Some(text), None) => ("-rw-r--r--", text.len()),
    };
    // Time begins with the run.
    format!("{mode} 1 root root {size} Jan  1 00:00 {name}")
}

#[cfg(test)]
mod tests {
    use super::{fits, head};
    use crate::world::World;
    use kernel::NetnsId;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// As coreutils 9.1 print it.
    #[test]
    fn head_and_tail_count_from_both_ends() {
        for (line, expected) in [
            ("head -n 2", "1|2"),
            ("head -n2 -", "1|2"),
            ("head -3", "1|2|3"),
            ("head -n -2", "1|2|3"),
            ("head -n +2", "1|2"),
            ("tail -n 2", "4|5"),
            ("tail -n -2", "4|5"),
            ("tail -n +2", "2|3|4|5"),
            ("tail +4", "4|5"),
            ("tail -1", "5"),
        ] {
            let line = words(line);
            let done = head(&mut World::new(0), NetnsId(0), (&line[0], &line[1..]), Some("1\n2\n3\n4\n5\n"));
            assert_eq!((done.stdout.join("|").as_str(), done.status), (expected, 0), "{line:?}");
        }
        let refused = head(&mut World::new(0), NetnsId(0), ("head", &words("-n x")), Some(""));
        assert_eq!(refused.stderr, ["head: invalid number of lines: ‘x’"]);
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name) in [("*", "a"), ("a*c", "abc"), ("a*c", "ac"), ("*b*d*", "abcde"), (".*", ".a")] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*", ".a"), ("a*a", "a"), ("*b*b*", "abc"), ("a*", "ba")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
