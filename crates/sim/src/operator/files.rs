//! `cat`, `head`, `ls`, `echo` and `> FILE`: the files of a box, its settings under /proc/sys, and what the kernel shows in /proc/net and /sys.

use super::settings::settings;
use super::{CommandOutput, conntrack};
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
            let own = ["address", "ifindex", "mtu"].map(|f| format!("sys/class/net/{}/{f}", d.name));
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

/// `echo [-n|-e] WORD...`
pub(super) fn echo(args: &[String]) -> CommandOutput {
    let words =
        args.strip_prefix(&["-n".to_owned()]).or(args.strip_prefix(&["-e".to_owned()])).unwrap_or(args);
    CommandOutput::lines(vec![words.join(" ")])
}

/// `> FILE`, or `>> FILE` where what is there stays: a file of the box, or a setting under /proc/sys. `Err` says what bash does.
pub(crate) fn write_file(
    world: &mut World,
    host: NetnsId,
    path: &str,
    lines: &[String],
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
        let mut text = String::new();
        if append {
            text.push_str(world.file(host, &own).unwrap_or_default());
        }
        lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        world.write_file(host, &own, text);
        return Ok(());
    };
    let Some(ns) = world.host_mut(host) else { return Ok(()) };
    let set = ns.sysctl_get(name).and_then(|old| {
        if lines.is_empty() {
            return Ok(());
        }
        let n = lines.join(" ").trim().parse().map_err(|_| SysctlError::Invalid(old))?;
        ns.sysctl_set(name, n)
    });
    match set {
        Ok(()) => Ok(()),
        Err(SysctlError::Unknown(_)) => Err(format!("{path}: No such file or directory")),
        Err(SysctlError::ReadOnly(_)) => Err(format!("{path}: Permission denied")),
        Err(SysctlError::Invalid(_)) => Err("echo: write error: Invalid argument".to_owned()),
    }
}

/// The lines of a file. `Err` is why it cannot be read.
pub(crate) fn read_file(world: &mut World, host: NetnsId, path: &str) -> Result<Vec<String>, &'static str> {
    match tidy(path).as_str() {
        "dev/null" => Ok(Vec::new()),
        _ => read(world, host, path).ok_or_else(|| trouble(world, host, path)),
    }
}

/// A file, and why it cannot be read.
pub(super) fn told(path: &str, why: &str) -> String {
    format!("{path}: {why}")
}

/// The lines of standard input.
fn input(stdin: Option<&str>) -> Vec<String> {
    stdin.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The lines of a file; `None` if it is not there.
fn read(world: &mut World, host: NetnsId, path: &str) -> Option<Vec<String>> {
    let path = tidy(path);
    let own = world.files_of(host).find(|p| tidy(p) == path).map(str::to_owned);
    if let Some(text) = own.and_then(|p| world.file(host, &p)) {
        return Some(text.lines().map(str::to_owned).collect());
    }
    if let Some(name) = path.strip_prefix("proc/sys/") {
        return Some(vec![world.host_mut(host)?.sysctl_get(name).ok()?.to_string()]);
    }
    match path.as_str() {
        "proc/net/nf_conntrack" => return Some(tracked(world, host, &["-L", "-o", "extended"])),
        "proc/net/nf_conntrack_expect" => return Some(tracked(world, host, &["-L", "expect"])),
        _ => {}
    }
    let (dev, field) = path.strip_prefix("sys/class/net/")?.split_once('/')?;
    let ns = world.host(host)?;
    let d = ns.device(ns.device_by_name(dev)?)?;
    Some(vec![match field {
        "address" => d.mac.to_string(),
        "ifindex" => (d.id.0 + 1).to_string(),
        "mtu" => d.mtu.to_string(),
        "brport/hairpin_mode" if d.master.is_some() => u8::from(d.port.hairpin).to_string(),
        _ => return None,
    }])
}

/// /proc/net/nf_conntrack and /proc/net/nf_conntrack_expect: an entry is in use by who reads it, too.
fn tracked(world: &mut World, host: NetnsId, args: &[&str]) -> Vec<String> {
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
    listed.into_iter().map(line).collect()
}

/// The paths that a word stands for: itself, or what fits where it has a `*` in its last part.
fn expand(world: &mut World, host: NetnsId, word: &str) -> Vec<String> {
    let Some((folder, (before, behind))) = word
        .rsplit_once('/')
        .and_then(|(folder, last)| Some((folder, last.split_once('*')?)))
        .filter(|(_, (_, behind))| !behind.contains('*'))
    else {
        return vec![word.to_owned()];
    };
    let within = entries(world, host, folder).unwrap_or_default();
    let fits = |name: &String| {
        name.strip_prefix(before).is_some_and(|rest| rest.ends_with(behind)) && !name.starts_with('.')
    };
    let found: Vec<String> = within.into_iter().filter(fits).map(|n| format!("{folder}/{n}")).collect();
    if found.is_empty() { vec![word.to_owned()] } else { found }
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
    match () {
        () if is_folder => "Is a directory",
        () if of_device || path.starts_with("proc/") && !path.starts_with("proc/sys/") => "is not modelled",
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

/// `cat [FILE...]`
pub(super) fn cat(world: &mut World, host: NetnsId, args: &[String], stdin: Option<&str>) -> CommandOutput {
    let files = match operands(args) {
        Ok(files) if !files.is_empty() => files,
        Ok(_) if stdin.is_some() => return CommandOutput::lines(input(stdin)),
        Ok(_) => return CommandOutput::failed(1, "cat: expected names of files"),
        Err(option) => return no_option("cat", option),
    };
    let mut out = CommandOutput::default();
    for path in files.into_iter().flat_map(|w| expand(world, host, w)).collect::<Vec<_>>() {
        let read = if path == "-" { Ok(input(stdin)) } else { read_file(world, host, &path) };
        match read {
            Ok(lines) => out.stdout.extend(lines),
            Err(why) => {
                out.stderr.push(format!("cat: {}", told(&path, why)));
                out.status = 1;
            }
        }
    }
    out
}

/// `head [-n N] [FILE...]`, `tail [-f]` the same from the end
pub(super) fn head(
    world: &mut World,
    host: NetnsId,
    (program, args): (&str, &[String]),
    stdin: Option<&str>,
) -> CommandOutput {
    let (mut count, mut rest) = (10, args);
    // `-f` ends at once, as if Ctrl-C came then.
    if let [option, more @ ..] = rest
        && program == "tail"
        && matches!(option.as_str(), "-f" | "-F" | "--follow")
    {
        rest = more;
    }
    if let [n, more @ ..] = rest
        && let Some(n) = n.strip_prefix('-').and_then(|n| n.parse::<usize>().ok())
    {
        (count, rest) = (n, more);
    } else if let [option, n, more @ ..] = rest
        && option == "-n"
    {
        match n.parse::<usize>() {
            Ok(n) => (count, rest) = (n, more),
            Err(_) => return CommandOutput::failed(1, format!("{program}: invalid number of lines: ‘{n}’")),
        }
    }
    let part = |lines: Vec<String>| {
        let from = if program == "tail" { lines.len().saturating_sub(count) } else { 0 };
        lines.into_iter().skip(from).take(count)
    };
    let files = match operands(rest) {
        Ok(files) if !files.is_empty() => files,
        Ok(_) if stdin.is_some() => return CommandOutput::lines(part(input(stdin)).collect()),
        Ok(_) => return CommandOutput::failed(1, format!("{program}: expected names of files")),
        Err(option) => return no_option(program, option),
    };
    let paths: Vec<String> = files.into_iter().flat_map(|w| expand(world, host, w)).collect();
    let mut out = CommandOutput::default();
    for (n, path) in paths.iter().enumerate() {
        let Some(lines) = read(world, host, path) else {
            let what = match trouble(world, host, path) {
                "Is a directory" => format!("error reading '{path}': Is a directory"),
                why => format!("cannot open '{path}' for reading: {why}"),
            };
            out.stderr.push(format!("{program}: {what}"));
            out.status = 1;
            continue;
        };
        if paths.len() > 1 {
            if n > 0 {
                out.stdout.push(String::new());
            }
            out.stdout.push(format!("==> {path} <=="));
        }
        out.stdout.extend(part(lines));
    }
    out
}

/// `ls [PATH...]`, one name a line as into a pipe
pub(super) fn ls(world: &mut World, host: NetnsId, args: &[String]) -> CommandOutput {
    let words: Vec<String> = match operands(args) {
        Ok(words) if words.is_empty() => vec!["/".to_owned()],
        Ok(words) => words.into_iter().cloned().collect(),
        Err(option) if option == "-1" => args.iter().filter(|a| *a != "-1").cloned().collect(),
        Err(option) => return no_option("ls", option),
    };
    let paths: Vec<String> = words.iter().flat_map(|w| expand(world, host, w)).collect();
    let (mut out, mut folders) = (CommandOutput::default(), Vec::new());
    for path in &paths {
        if read(world, host, path).is_some() {
            out.stdout.push(path.clone());
        } else if let Some(names) = entries(world, host, path) {
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
        out.stdout.extend(names);
    }
    out
}
