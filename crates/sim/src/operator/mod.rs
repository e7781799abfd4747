//! Commands that an operator types on a box: what they do, and what they print.
//!
//! The texts are read by `userland`; here is what they change.

mod bridge;
mod conntrack;
mod dmesg;
mod exec;
mod files;
mod ip;
mod ipset;
mod ipvsadm;
mod json;
mod modprobe;
mod nfacct;
#[cfg(feature = "nft")]
mod nft;
mod nsenter;
mod ps;
mod said;
mod settings;
mod ss;
mod sysctl;
mod text;
mod watch;

pub(crate) use conntrack::conntrack as conntrack_since;
pub(crate) use dmesg::{dmesg_of, syslog_line};
pub use exec::executed;
pub(crate) use files::{read_file, write_file};
pub use ip::{brief_addresses, route_text, rule_text};
pub use nsenter::entered;
pub(crate) use nsenter::{Entered, nsenter};
pub use settings::settings;
pub(crate) use watch::{watch, watched};

use crate::EventId;
use crate::scenario::{Backend, Doing};
use crate::world::World;
use kernel::netfilter::conntrack::Helper;
use kernel::netfilter::xtables::{LoadedTable, TableId};
use kernel::{Instant, Netns, NetnsId, PacketId};
use packet::Family;
use userland::ip::IpCommand;
use userland::iptables::{TableStore, iptables_restore_in_parts, iptables_save};
use userland::{Diagnostic, ToolError};

/// What a command printed, and its exit status.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CommandOutput {
    /// Exit status.
    pub status: i32,
    /// Lines on standard output.
    pub stdout: Vec<String>,
    /// Lines on standard error.
    pub stderr: Vec<String>,
    /// No line feed stands behind the last line of `stdout`.
    pub open: bool,
}

impl CommandOutput {
    /// It ended with this status, and printed whole lines on both streams.
    pub fn ended(status: i32, stdout: Vec<String>, stderr: Vec<String>) -> CommandOutput {
        CommandOutput { status, stdout, stderr, open: false }
    }

    /// It worked and printed whole lines.
    pub fn lines(stdout: Vec<String>) -> CommandOutput {
        CommandOutput::ended(0, stdout, Vec::new())
    }

    /// It worked and printed a text.
    pub(crate) fn text(text: &str) -> CommandOutput {
        let mut out = CommandOutput::default();
        out.print(text);
        out
    }

    /// Prints one more text.
    pub(crate) fn print(&mut self, text: &str) {
        let mut lines = text.split_terminator('\n').map(str::to_owned);
        if self.open
            && let Some(last) = self.stdout.last_mut()
        {
            last.extend(lines.next());
        }
        self.stdout.extend(lines);
        self.open = if text.is_empty() { self.open } else { !text.ends_with('\n') };
    }

    /// What it has printed on standard output, as a text.
    pub(crate) fn printed(&self) -> String {
        let mut text = text_of(&self.stdout);
        if self.open {
            text.pop();
        }
        text
    }

    /// What is run next prints, and its status is that of both.
    pub(crate) fn then(&mut self, next: CommandOutput) {
        self.print(&next.printed());
        self.stderr.extend(next.stderr);
        self.status = next.status;
    }

    /// It failed with this message.
    pub fn failed(status: i32, message: impl Into<String>) -> CommandOutput {
        CommandOutput::ended(status, Vec::new(), message.into().lines().map(str::to_owned).collect())
    }
}

/// Whole lines as a text.
pub(crate) fn text_of(lines: &[String]) -> String {
    lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect()
}

/// Programs that are modelled.
pub const PROGRAMS: &[&str] = &[
    "ip",
    "bridge",
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    #[cfg(feature = "nft")]
    "iptables-nft",
    #[cfg(feature = "nft")]
    "iptables-nft-save",
    #[cfg(feature = "nft")]
    "iptables-nft-restore",
    #[cfg(feature = "nft")]
    "ip6tables-nft",
    #[cfg(feature = "nft")]
    "ip6tables-nft-save",
    #[cfg(feature = "nft")]
    "ip6tables-nft-restore",
    "ipset",
    "ipvsadm",
    #[cfg(feature = "nft")]
    "nft",
    "conntrack",
    "sysctl",
    "modprobe",
    "rmmod",
    "lsmod",
    "nfacct",
    "dmesg",
    "ps",
    "pgrep",
    "pidof",
    "ss",
    "cat",
    "head",
    "tail",
    "ls",
    "echo",
    "grep",
    "egrep",
    "fgrep",
    "sort",
    "uniq",
    "wc",
    "cut",
    "column",
    "diff",
    "awk",
    "sed",
    "less",
    "more",
    "tee",
    "printf",
    "hostname",
    "uname",
    "true",
    "false",
    "watch",
];

/// A program that only looks at the lines that a pipe brings.
pub fn is_filter(argv: &[String]) -> bool {
    argv.first().is_some_and(|p| {
        text::PROGRAMS.contains(&p.as_str())
            || matches!(p.as_str(), "head" | "tail" | "cat" | "less" | "more")
    })
}

/// Runs a command on a box, in parts if it is one that may take long: what a scenario's [`crate::Shell`] is.
pub fn shell<'a>(
    world: &'a mut World,
    host: NetnsId,
    argv: &'a [String],
    stdin: Option<&'a str>,
) -> Doing<'a> {
    Box::pin(async move {
        let name = argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program));
        match Iptables::called(name).filter(|which| which.what == Some("restore")) {
            Some(which) if which.is_legacy(world, host) => {
                Ok(restore(world, host, which.family, argv, stdin.unwrap_or_default()).await)
            }
            _ => command(world, host, argv, stdin),
        }
    })
}

/// Runs a command on a box. `Err` if the program is not modelled.
pub fn command(
    world: &mut World,
    host: NetnsId,
    argv: &[String],
    stdin: Option<&str>,
) -> Result<CommandOutput, String> {
    let done = on_box(world, host, argv, stdin);
    world.share(host);
    done
}

fn on_box(
    world: &mut World,
    host: NetnsId,
    argv: &[String],
    stdin: Option<&str>,
) -> Result<CommandOutput, String> {
    let Some((program, args)) = argv.split_first() else { return Err("an empty command".to_owned()) };
    let name = program.rsplit('/').next().unwrap_or(program);
    match name {
        "ip" => Ok(ip::ip(world, host, argv, stdin)),
        "ipset" => Ok(ipset::ipset(world, host, argv, stdin)),
        "bridge" => Ok(bridge::bridge(world, host, argv)),
        "sysctl" => Ok(sysctl::sysctl(world, host, argv)),
        "ipvsadm" => Ok(ipvsadm::ipvsadm(world, host, argv, stdin)),
        #[cfg(feature = "nft")]
        "nft" => Ok(nft::nft(world, host, argv, stdin)),
        "conntrack" => Ok(conntrack::conntrack(world, host, EventId(0), argv)),
        "modprobe" => Ok(modprobe::modprobe(world, host, args)),
        "rmmod" => Ok(modprobe::rmmod(world, host, args)),
        "lsmod" => Ok(world.host(host).map(modprobe::lsmod).unwrap_or_default()),
        "nfacct" => Ok(nfacct::nfacct(world, host, args)),
        "cat" | "less" | "more" => Ok(files::cat(world, host, (name, args), stdin)),
        "tee" => Ok(files::tee(world, host, args, stdin)),
        "head" | "tail" => Ok(files::head(world, host, (name, args), stdin)),
        "ls" => Ok(files::ls(world, host, args)),
        "echo" => Ok(said::echo(args)),
        "printf" => Ok(said::printf(args)),
        "hostname" => Ok(said::hostname(world, host, args)),
        "uname" => Ok(said::uname(world, host, args)),
        "true" | "false" => {
            Ok(CommandOutput { status: i32::from(name == "false"), ..CommandOutput::default() })
        }
        name if text::PROGRAMS.contains(&name) => Ok(text::run(world, host, name, args, stdin)),
        "ss" => Ok(ss::ss(world, host, argv)),
        "ps" => Ok(ps::ps(world, world.rooted(host), args)),
        "pgrep" | "pidof" => Ok(ps::pgrep(world, world.rooted(host), name, args)),
        "dmesg" => Ok(dmesg::dmesg(world, host, args)),
        "watch" => {
            let name = world.host(host).map_or(String::new(), |ns| ns.name.clone());
            watch(world.now(), &name, args, |inner| match executed(inner)? {
                None => command(world, host, inner, stdin),
                Some((pod, inner)) => match world.host_by_name(&pod) {
                    Some(pod) => command(world, pod, &inner, stdin),
                    None => Err(format!("there is no box {pod:?}")),
                },
            })
        }
        name if let Some(which) = Iptables::called(name) => which.run(world, host, argv, stdin),
        other => Err(format!("{other:?} is not modelled; these are: {}", PROGRAMS.join(", "))),
    }
}

/// One command of ip(8) that has been read already.
pub(crate) fn ip_command(world: &mut World, host: NetnsId, command: &IpCommand) -> Result<(), String> {
    ip::change(world, host, command)
}

/// `ipset restore` while a box is set up. `Err` is what ipset says.
pub(crate) fn ipset_restore(ns: &mut Netns, text: &str) -> Result<(), String> {
    ipset::load(ns, text, Instant(0)).map(|_| ()).map_err(|output| output.stderr.join("\n"))
}

/// `ipvsadm -R` while a box is set up. `Err` is what ipvsadm says.
pub(crate) fn ipvsadm_restore(ns: &mut Netns, text: &str) -> Result<(), String> {
    ipvsadm::restore(ns, text)
}

#[cfg(feature = "nft")]
/// `nft -f -` on a box. `Err` is what is wrong with the text.
pub fn nft_load(ns: &mut Netns, text: &str) -> Result<(), Diagnostic> {
    nft::load(ns, text)
}

/// `iptables-nft-restore` while a box is set up. `Err` is what is wrong with the text.
#[cfg(feature = "nft")]
pub(crate) fn nft_restore(ns: &mut Netns, text: &str, options: &[&str]) -> Result<(), String> {
    let argv: Vec<String> = ["iptables-nft-restore"].iter().chain(options).map(|w| (*w).to_owned()).collect();
    let done = nft::iptables(ns, (Family::V4, Some("restore")), &argv, text, Instant(0));
    match done.diagnostics.first() {
        Some(d) => Err(d.to_string()),
        None if done.status != 0 => Err(done.stderr),
        None => Ok(()),
    }
}

/// An option that is not modelled.
fn refused_option(program: &str, option: &str) -> CommandOutput {
    CommandOutput::failed(1, format!("{program} {option} is not modelled"))
}

/// A command line that cannot be read.
fn refused(status: i32, diagnostic: &Diagnostic) -> CommandOutput {
    if let Some(ToolError::Exit(status, text)) = &diagnostic.tool {
        return CommandOutput::failed(*status, text);
    }
    CommandOutput::failed(status, format!("{}: {}", diagnostic.message, diagnostic.help))
}

/// The sets that rules may refer to.
pub(crate) fn set_names(ns: &Netns) -> Vec<String> {
    ns.ipsets.iter().map(|s| s.name.clone()).collect()
}

/// The objects of nfacct that rules may refer to.
pub(crate) fn nfacct_names(ns: &Netns) -> Vec<String> {
    ns.nfacct.iter().map(|o| o.name.clone()).collect()
}

/// The tables of a box, for the commands of iptables and ip6tables.
struct Tables<'a>(&'a mut Netns, Family);

impl TableStore for Tables<'_> {
    fn family(&self) -> Family {
        self.1
    }

    fn get(&self, table: TableId) -> Option<&LoadedTable> {
        self.0.table_of(self.1, table)
    }

    fn replace(&mut self, table: TableId, loaded: LoadedTable) {
        debug_assert_eq!(loaded.rules.table, table);
        // userland has checked the set as the kernel does.
        let _ = self.0.load_table_with_state(loaded);
    }

    fn sets(&self) -> Option<Vec<String>> {
        Some(set_names(self.0))
    }

    fn nfacct(&self) -> Option<Vec<String>> {
        Some(nfacct_names(self.0))
    }

    fn helpers(&self) -> Option<Vec<Helper>> {
        Some(self.0.helpers())
    }

    fn loaded(&self) -> Vec<TableId> {
        self.0.loaded_tables_of(self.1).to_vec()
    }
}

/// The date that iptables-save prints: the simulation has none, so it is always this one.
const SAVE_DATE: &str = "Thu Jan  1 00:00:00 1970";

/// What iptables-save prints before and behind each table.
pub(crate) fn save_lines() -> [String; 2] {
    // The same as `iptables_save` writes.
    [format!("# Generated by iptables-save v1.8.9 on {SAVE_DATE}"), format!("# Completed on {SAVE_DATE}")]
}

/// One of the programs of iptables, by its name.
struct Iptables<'a> {
    family: Family,
    /// The back end, where the name says it.
    #[cfg_attr(not(feature = "nft"), allow(dead_code, reason = "there is one"))]
    backend: Option<Backend>,
    /// `save`, `restore`
    what: Option<&'a str>,
}

impl<'a> Iptables<'a> {
    fn called(name: &'a str) -> Option<Iptables<'a>> {
        let mut parts = name.split('-').peekable();
        let family = match parts.next() {
            Some("iptables") => Family::V4,
            Some("ip6tables") => Family::V6,
            _ => return None,
        };
        let backend = match parts.peek().copied() {
            Some("legacy") => Some(Backend::Legacy),
            #[cfg(feature = "nft")]
            Some("nft") => Some(Backend::Nft),
            _ => None,
        };
        if backend.is_some() {
            parts.next();
        }
        let what = parts.next();
        (matches!(what, None | Some("save" | "restore")) && parts.next().is_none()).then_some(Iptables {
            family,
            backend,
            what,
        })
    }

    /// Whether it is about the tables of x_tables on a box.
    #[cfg_attr(not(feature = "nft"), allow(clippy::unused_self, reason = "there is one back end"))]
    fn is_legacy(&self, world: &World, host: NetnsId) -> bool {
        #[cfg(feature = "nft")]
        return self.backend.unwrap_or_else(|| world.backend(host)) == Backend::Legacy;
        #[cfg(not(feature = "nft"))]
        true
    }

    fn run(
        self,
        world: &mut World,
        host: NetnsId,
        argv: &[String],
        stdin: Option<&str>,
    ) -> Result<CommandOutput, String> {
        let text = stdin.unwrap_or_default();
        #[cfg(feature = "nft")]
        if !self.is_legacy(world, host) {
            let now = world.now();
            let Some(ns) = world.host_mut(host) else { return Ok(CommandOutput::default()) };
            return Ok(printed(nft::iptables(ns, (self.family, self.what), argv, text, now)));
        }
        Ok(iptables(world, host, self, argv, text))
    }
}

fn printed(done: userland::iptables::Output) -> CommandOutput {
    CommandOutput {
        stdout: done.stdout.lines().map(str::to_owned).collect(),
        ..CommandOutput::failed(i32::from(done.status), done.stderr)
    }
}

fn iptables(
    world: &mut World,
    host: NetnsId,
    which: Iptables<'_>,
    argv: &[String],
    stdin: &str,
) -> CommandOutput {
    if which.what == Some("restore") {
        return parts::finish(restore(world, host, which.family, argv, stdin));
    }
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let mut store = Tables(ns, which.family);
    let done = match which.what {
        Some("save") => iptables_save(&mut store, argv, SAVE_DATE),
        _ => userland::iptables::iptables(&mut store, argv),
    };
    logged(world, host, done)
}

async fn restore(
    world: &mut World,
    host: NetnsId,
    family: Family,
    argv: &[String],
    stdin: &str,
) -> CommandOutput {
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let done = iptables_restore_in_parts(&mut Tables(ns, family), argv, stdin).await;
    logged(world, host, done)
}

/// What a tool has printed; what the kernel has said meanwhile stands in its ring buffer.
fn logged(world: &mut World, host: NetnsId, done: userland::iptables::Output) -> CommandOutput {
    // Of several mistakes the tool meets only the first.
    if let Some(line) = done.diagnostics.first().and_then(|d| d.logs.clone()) {
        world.with(host, |_, cx| cx.printk(PacketId::default(), || line));
    }
    printed(done)
}
