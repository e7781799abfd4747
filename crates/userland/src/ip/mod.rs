//! `ip` (iproute2): addresses, routes, neighbours, links.

mod addr;
mod link;
mod names;
mod neigh;
mod port;
mod route;
mod rule;
mod select;
mod tunnel;

pub use addr::{AddrCommand, AddrSpec};
pub use link::{LinkChange, LinkCommand, LinkKind, NewLink};
pub use names::{protocol_name, scope_name, table_name};
pub use neigh::{NeighCommand, NeighFilter, NeighSpec, NudWord};
pub use port::{BridgeOption, PortOption};
pub(crate) use port::{PORT_NAMES, port_option};
pub use route::{HopSpec, PrefixFilter, RouteCommand, RouteFilter, RouteSpec, defaults};
pub use rule::{RuleCommand, RuleSpec, ipproto_name};
pub use select::LinkSelect;
pub use tunnel::{IpipSpec, VxlanSpec};

use crate::args::{ArgLine, Token};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::words::{Words, arg_line};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpCommand {
    /// `ip addr ...`
    Addr(AddrCommand),
    /// `ip route ...`
    Route(RouteCommand),
    /// `ip rule ...`
    Rule(RuleCommand),
    /// `ip neigh ...`
    Neigh(NeighCommand),
    /// `ip link ...`
    Link(LinkCommand),
}

/// How a listing looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpFormat {
    /// `-br`
    pub brief: bool,
    /// `-d`
    pub details: bool,
    /// `-o`
    pub oneline: bool,
    /// `-4`
    pub v4: bool,
    /// `-6`
    pub v6: bool,
    /// `-j`
    pub json: bool,
    /// `-s`
    pub stats: bool,
}

/// A command with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpLine {
    /// The options before it.
    pub format: IpFormat,
    /// The command.
    pub command: IpCommand,
}

#[derive(Clone, Copy)]
enum Object {
    Addr,
    Link,
    Neigh,
    Route,
    Rule,
    Tunnel,
}

const OBJECTS: &[(&str, Object)] = &[
    ("address", Object::Addr),
    ("addr", Object::Addr),
    ("link", Object::Link),
    ("neighbor", Object::Neigh),
    ("neighbour", Object::Neigh),
    ("neigh", Object::Neigh),
    ("route", Object::Route),
    ("rule", Object::Rule),
    ("tunnel", Object::Tunnel),
];

const NOT_MODELLED: &[&str] = &[
    "addrlabel",
    "fou",
    "ila",
    "ioam",
    "l2tp",
    "macsec",
    "maddress",
    "monitor",
    "mptcp",
    "mroute",
    "mrule",
    "netconf",
    "netns",
    "nexthop",
    "ntable",
    "ntbl",
    "sr",
    "stats",
    "tap",
    "tcpmetrics",
    "token",
    "tuntap",
    "vrf",
    "xfrm",
];

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_ip<S: AsRef<str>>(argv: &[S]) -> Result<IpLine, Diagnostic> {
    let line = arg_line(argv)?;
    let mut words = Words::new(&line, 1);
    let (format, v6, stats) = options(&mut words)?;
    let command = command(&mut words)?;
    let counts_times = matches!(command, IpCommand::Neigh(_));
    if let Some(token) = stats.filter(|_| counts_times) {
        return words.blame(
            &token,
            Fault::new(
                "-s of neighbours is not modelled",
                "expected -s of links, addresses, routes or rules",
            ),
        );
    }
    // Of IPv6 there are no addresses to be listed, and nothing else at all.
    let shows =
        matches!(command, IpCommand::Addr(AddrCommand::Show(_)) | IpCommand::Link(LinkCommand::Show(_)));
    match v6.filter(|_| !shows) {
        Some(token) => words.blame(&token, no_option(&token.text)),
        None => Ok(IpLine { format, command }),
    }
}

/// Reads the lines of `ip -batch`, which lack the word `ip`. Empty lines and those with `#` say nothing. Every
/// command comes with its line.
pub fn parse_ip_batch(text: &str) -> (Vec<(u32, IpCommand)>, Vec<Diagnostic>) {
    let (mut commands, mut diagnostics) = (Vec::new(), Vec::new());
    if let Err(d) = crate::args::check_text(text) {
        return (commands, vec![d]);
    }
    for (n, line) in (1u32..).zip(text.lines()) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let line = ArgLine::split(n, line);
        match command(&mut Words::new(&line, 0)) {
            Ok(command) => commands.push((n, command)),
            Err(d) => diagnostics.push(d),
        }
    }
    (commands, diagnostics)
}

/// Options of ip(8) that are not modelled, without their dashes: the beginning of one is enough.
const OTHER_OPTIONS: &[&str] = &[
    "0",
    "B",
    "M",
    "Numeric",
    "all",
    "batch",
    "family",
    "force",
    "help",
    "iec",
    "loops",
    "netns",
    "pretty",
    "rcvbuf",
    "resolve",
    "timestamp",
    "tshort",
];

fn no_option(option: &str) -> Fault {
    Fault::new(
        format!("option {} is not modelled", q(option)),
        "expected one of -4, -br, -c, -d, -j, -o, -s, -V, or an object such as addr or route",
    )
}

/// The options before the object, and where -6 and -s stand.
type Options<'a> = (IpFormat, Option<Token<'a>>, Option<Token<'a>>);

fn options<'a>(words: &mut Words<'a>) -> Result<Options<'a>, Diagnostic> {
    let (mut format, mut v6, mut stats, mut human) = (IpFormat::default(), None, None, None);
    while let Some(token) = words.peek().filter(|t| t.text.starts_with('-')).cloned() {
        words.next();
        // One dash is as good as two, and the beginning of a word is enough.
        let name = token.text.trim_start_matches('-');
        match name {
            "4" => format.v4 = true,
            "6" => {
                format.v6 = true;
                v6 = Some(token.clone());
            }
            n if !n.is_empty() && "json".starts_with(n) => format.json = true,
            n if !n.is_empty() && "brief".starts_with(n) && n != "b" => format.brief = true,
            n if !n.is_empty() && "details".starts_with(n) => format.details = true,
            n if !n.is_empty() && "oneline".starts_with(n) => format.oneline = true,
            n if !n.is_empty() && ("statistics".starts_with(n) || n == "stats") => {
                if format.stats {
                    let expected =
                        "expected -s once: how errors came about and how often a link went is not modelled";
                    return words.blame(&token, Fault::new("a second -s is not modelled", expected));
                }
                format.stats = true;
                stats = Some(token.clone());
            }
            // Sizes are only printed by -s.
            n if n.len() > 1 && "human-readable".starts_with(n) || n == "h" => human = Some(token),
            // Nothing is coloured here.
            n if matches!(n.split('=').next(), Some("c" | "color")) => {}
            n => {
                let other = OTHER_OPTIONS.iter().any(|o| !n.is_empty() && o.starts_with(n));
                let says = format!("Option \"{}\" is unknown, try \"ip -help\".", token.text);
                let fault = no_option(&token.text);
                return words.blame(&token, if other { fault } else { fault.exits(255, says) });
            }
        }
    }
    match human.filter(|_| format.stats) {
        Some(token) => words.blame(&token, no_option(&token.text)),
        None => Ok((format, v6, stats)),
    }
}

fn command(words: &mut Words<'_>) -> Result<IpCommand, Diagnostic> {
    let word = words.peek().map_or(String::new(), |t| t.text.to_string());
    let object = words.choose("an object such as addr, link, neigh or route", OBJECTS, NOT_MODELLED);
    let object = object.map_err(|mut d| {
        let says = match word.as_str() {
            "" | "help" => {
                Some(ToolError::Exit(255, "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }".to_owned()))
            }
            word if NOT_MODELLED.iter().any(|n| n.starts_with(word)) => None,
            _ => Some(ToolError::Exit(1, format!("Object \"{word}\" is unknown, try \"ip help\"."))),
        };
        d.tool = says;
        d
    });
    Ok(match object? {
        Object::Addr => IpCommand::Addr(addr::command(words)?),
        Object::Link => IpCommand::Link(link::command(words)?),
        Object::Neigh => IpCommand::Neigh(neigh::command(words)?),
        Object::Route => IpCommand::Route(route::command(words)?),
        Object::Rule => IpCommand::Rule(rule::command(words)?),
        Object::Tunnel => IpCommand::Link(tunnel::command(words)?),
    })
}
