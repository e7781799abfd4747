//! tcpdump over a run: what the captures of one box have seen, as the real tool prints it.

use crate::operator::CommandOutput;
use crate::{EventId, World};
use kernel::dev::DevKind;
use kernel::event::{TapDir, What};
use kernel::{DevId, Netns, NetnsId};
use userland::ToolError;
use userland::tcpdump::{Captured, Command, Filter, Link, Printer, parse_command};

/// What a tcpdump has printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dumped {
    /// Each packet: the event, and its lines.
    pub packets: Vec<(EventId, Vec<String>)>,
    /// The command's whole output, as after Ctrl-C.
    pub output: CommandOutput,
}

/// Runs the command line `argv` of tcpdump over what the log holds from `from` on.
///
/// # Errors
/// What tcpdump prints when it refuses.
pub fn tcpdump<S: AsRef<str>>(
    world: &World,
    host: NetnsId,
    from: EventId,
    argv: &[S],
) -> Result<Dumped, CommandOutput> {
    let Some(ns) = world.host(host) else { return Ok(Dumped::default()) };
    let refused = |d: &userland::Diagnostic| match &d.tool {
        Some(ToolError::Usage(says)) => CommandOutput::failed(1, format!("tcpdump: {says}")),
        _ => CommandOutput::failed(1, format!("tcpdump: {}: {}", d.message, d.help)),
    };
    let command = parse_command(argv).map_err(|d| refused(&d))?;
    let device = device(ns, &command)?;
    let filter = Filter::parse_for(&command.filter, command.look.link).map_err(|d| refused(&d))?;
    if filter.rejects_all() {
        let rejected = "tcpdump: expression rejects all packets".to_owned();
        let said = link_said(&command).into_iter().chain([rejected]).collect();
        return Err(CommandOutput::ended(1, Vec::new(), said));
    }
    let mut printer = Printer::new(command.look.clone());
    let mut packets = Vec::new();
    let mut passed = 0_u64;
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()).skip(from.index()) {
        let Some(What::Tap { dev, dir, frame }) = entry.what() else { continue };
        if entry.host != host || device.is_some_and(|d| d != *dev) || !filter.matches(frame) {
            continue;
        }
        if command.count.is_some_and(|n| packets.len() as u64 >= n) {
            break;
        }
        passed += 1;
        if command.incoming.is_some_and(|incoming| incoming == (*dir == TapDir::Out)) {
            continue;
        }
        let seen = Captured {
            at: entry.at,
            dev: ns.dev_name(*dev),
            ifindex: u32::from(dev.0) + 1,
            dir: *dir,
            frame,
        };
        packets.push((event, printer.print(seen)));
    }
    let output = output(&command, device.map_or("any", |d| ns.dev_name(d)), &packets, passed);
    Ok(Dumped { packets, output })
}

/// The one device that a command line listens on, if it makes it promiscuous.
pub(crate) fn promiscuous(ns: &Netns, argv: &[String]) -> Option<DevId> {
    let command = parse_command(argv).ok()?;
    if command.not_promiscuous {
        return None;
    }
    device(ns, &command).ok()?
}

/// The device that is listened on; `None` are all.
fn device(ns: &Netns, command: &Command) -> Result<Option<DevId>, CommandOutput> {
    match command.device.as_deref() {
        Some("any") => Ok(None),
        Some(name) => match ns.device_by_name(name) {
            Some(dev) => Ok(Some(dev)),
            None => {
                let text = format!("tcpdump: {name}: No such device exists\n(No such device exists)");
                Err(CommandOutput::failed(1, text))
            }
        },
        None => Ok(usual_device(ns)),
    }
}

/// The device that is listened on if none is named: the first that is up and no loopback, by its number (libpcap's order).
fn usual_device(ns: &Netns) -> Option<DevId> {
    let there = ns.devices().iter().filter(|d| !d.gone);
    there.min_by_key(|d| (!d.up, matches!(d.kind, DevKind::Loopback))).map(|d| d.id)
}

fn link_name(command: &Command) -> &'static str {
    match command.look.link {
        Link::Ethernet => "EN10MB (Ethernet)",
        Link::Cooked => "LINUX_SLL (Linux cooked v1)",
        Link::Cooked2 => "LINUX_SLL2 (Linux cooked v2)",
    }
}

/// What is said first of what captures of all devices look like.
fn link_said(command: &Command) -> Option<String> {
    let name = link_name(command).split(' ').next()?;
    (command.look.link != Link::Ethernet).then(|| format!("tcpdump: data link type {name}"))
}

fn output(command: &Command, device: &str, packets: &[(EventId, Vec<String>)], passed: u64) -> CommandOutput {
    let link = link_name(command);
    let mut stderr: Vec<String> = link_said(command).into_iter().collect();
    let listening = format!("listening on {device}, link-type {link}, snapshot length 262144 bytes");
    if command.look.verbose == 0 {
        stderr.push("tcpdump: verbose output suppressed, use -v[v]... for full protocol decode".to_owned());
        stderr.push(listening);
    } else {
        stderr.push(format!("tcpdump: {listening}"));
    }
    let packets_word = |n: u64| if n == 1 { "packet" } else { "packets" };
    let shown = packets.len() as u64;
    stderr.push(format!("{shown} {} captured", packets_word(shown)));
    stderr.push(format!("{passed} {} received by filter", packets_word(passed)));
    stderr.push("0 packets dropped by kernel".to_owned());
    let mut stdout: Vec<String> = packets.iter().flat_map(|(_, lines)| lines.clone()).collect();
    // Ctrl-C leaves the cursor behind; with -c it ends by itself.
    if command.count.is_none_or(|n| n > shown) {
        stdout.push(String::new());
    }
    CommandOutput::ended(0, stdout, stderr)
}
