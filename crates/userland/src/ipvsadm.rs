//! `ipvsadm`: its commands as values, and what it prints.

use crate::args::ArgLine;
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::words::{Words, arg_line};
use kernel::Instant;
use kernel::netfilter::ipvs::{Dest, Endpoint, Ipvs, IpvsConn, IpvsState, Scheduler, Service, ServiceId};
use packet::Protocol;
use std::fmt::Write;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpvsadmCommand {
    /// `-A`, `-E`
    Service {
        /// The virtual server.
        id: ServiceId,
        /// `-s`
        scheduler: Scheduler,
        /// `-E`
        edit: bool,
    },
    /// `-D`
    DeleteService(ServiceId),
    /// `-a`, `-e`
    Server {
        /// The virtual server.
        id: ServiceId,
        /// The real server.
        dest: Dest,
        /// `-e`
        edit: bool,
    },
    /// `-d`
    DeleteServer(ServiceId, Endpoint),
    /// `-C`
    Clear,
    /// `-L`, `-L -c`
    List {
        /// Connections.
        conns: bool,
    },
    /// `-S`
    Save,
    /// `-R`: commands on standard input.
    Restore,
}

const KNOWN: &[&str] = &["-A", "-E", "-D", "-a", "-e", "-d", "-C", "-L", "-S", "-R"];
const NOT_MODELLED: &[&str] = &["-Z", "--set", "--start-daemon", "--stop-daemon", "-h"];
const OPTIONS: &[&str] = &["-t", "-u", "-s", "-r", "-m", "-w", "-n", "-c"];
const OPTIONS_NOT_MODELLED: &[&str] = &[
    "-f",
    "-p",
    "-M",
    "-O",
    "-o",
    "-b",
    "-g",
    "-i",
    "-x",
    "-y",
    "-6",
    "--pe",
    "--stats",
    "--rate",
    "--timeout",
];

/// The long spellings, and the short ones that mean the same.
const LONG: [(&str, &str); 18] = [
    ("--add-service", "-A"),
    ("--edit-service", "-E"),
    ("--delete-service", "-D"),
    ("--add-server", "-a"),
    ("--edit-server", "-e"),
    ("--delete-server", "-d"),
    ("--clear", "-C"),
    ("--list", "-L"),
    ("-l", "-L"),
    ("--save", "-S"),
    ("--restore", "-R"),
    ("--tcp-service", "-t"),
    ("--udp-service", "-u"),
    ("--scheduler", "-s"),
    ("--real-server", "-r"),
    ("--masquerading", "-m"),
    ("--weight", "-w"),
    ("--numeric", "-n"),
];

#[derive(Default)]
struct Given {
    service: Option<ServiceId>,
    server: Option<Endpoint>,
    scheduler: Option<Scheduler>,
    weight: Option<u32>,
    conns: bool,
}

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_ipvsadm<S: AsRef<str>>(argv: &[S]) -> Result<IpvsadmCommand, Diagnostic> {
    let line = arg_line(argv)?;
    command(&mut Words::new(&line, 1))
}

/// Reads what `ipvsadm -S` prints: a command in each line, which lacks the name of the program.
pub fn parse_ipvsadm_restore(text: &str) -> Result<Vec<IpvsadmCommand>, Diagnostic> {
    crate::args::check_text(text)?;
    let lines = (1u32..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    lines.map(|(n, line)| command(&mut Words::new(&ArgLine::split(n, line), 0))).collect()
}

/// `-Ln` is `-L -n`.
fn short(text: &str) -> Vec<String> {
    let long = LONG.iter().find(|(name, _)| *name == text).map(|(_, s)| *s);
    if long.is_some() || text.starts_with("--") || !text.starts_with('-') {
        return vec![long.unwrap_or(text).to_owned()];
    }
    let letters = text.chars().skip(1).map(|c| format!("-{c}"));
    letters
        .map(|s| LONG.iter().find(|(name, _)| *name == s).map_or(s, |(_, short)| (*short).to_owned()))
        .collect()
}

fn command(words: &mut Words<'_>) -> Result<IpvsadmCommand, Diagnostic> {
    let (mut verb, mut given) = (String::new(), Given::default());
    while let Some(token) = words.next() {
        for option in short(&token.text) {
            match option.as_str() {
                "-t" => given.service = Some(service(words, Protocol::TCP)?),
                "-u" => given.service = Some(service(words, Protocol::UDP)?),
                "-r" => given.server = Some(words.value("a real server", endpoint)?),
                "-s" => given.scheduler = Some(words.value("a scheduler", scheduler)?),
                "-w" => given.weight = Some(words.number("a weight")?),
                "-c" => given.conns = true,
                "-m" | "-n" => {}
                o if KNOWN.contains(&o) && verb.is_empty() => verb = option,
                o if KNOWN.contains(&o) => {
                    return words.blame(&token, Fault::new("a second command", "expected only one command"));
                }
                o if NOT_MODELLED.contains(&o) || OPTIONS_NOT_MODELLED.contains(&o) => {
                    let help = format!("expected one of {}", OPTIONS.join(", "));
                    return words.blame(&token, Fault::new(format!("{} is not modelled", q(o)), help));
                }
                _ => return words.unexpected(&token, KNOWN, NOT_MODELLED),
            }
        }
    }
    let need_service = |words: &Words<'_>| match given.service {
        Some(id) => Ok(id),
        None => words.blame_last(Fault::new("no virtual server", "expected -t or -u with ADDRESS:PORT")),
    };
    let need_server = |words: &Words<'_>| match given.server {
        Some(server) => Ok(server),
        None => words.blame_last(Fault::new("no real server", "expected -r ADDRESS:PORT")),
    };
    Ok(match verb.as_str() {
        "-A" | "-E" => IpvsadmCommand::Service {
            id: need_service(words)?,
            // wlc is ipvsadm's own default.
            scheduler: match given.scheduler {
                Some(s) => s,
                None => {
                    return words
                        .blame_last(Fault::new("scheduler wlc is not modelled", "expected -s rr or -s wrr"));
                }
            },
            edit: verb == "-E",
        },
        "-D" => IpvsadmCommand::DeleteService(need_service(words)?),
        "-a" | "-e" => IpvsadmCommand::Server {
            id: need_service(words)?,
            dest: Dest { addr: need_server(words)?, weight: given.weight.unwrap_or(1) },
            edit: verb == "-e",
        },
        "-d" => IpvsadmCommand::DeleteServer(need_service(words)?, need_server(words)?),
        "-C" => IpvsadmCommand::Clear,
        "-S" => IpvsadmCommand::Save,
        "-R" => IpvsadmCommand::Restore,
        // Without a command it lists.
        _ => IpvsadmCommand::List { conns: given.conns },
    })
}

fn service(words: &mut Words<'_>, proto: Protocol) -> Result<ServiceId, Diagnostic> {
    Ok(ServiceId { proto, addr: words.value("a virtual server", endpoint)? })
}

fn endpoint(text: &str) -> Result<Endpoint, Fault> {
    let parsed = text.rsplit_once(':').and_then(|(a, p)| Some((a.parse().ok()?, p.parse().ok()?)));
    parsed.ok_or_else(|| {
        Fault::new(
            format!("{} is not an address with a port", q(text)),
            "expected something like 10.96.0.10:53",
        )
    })
}

fn scheduler(text: &str) -> Result<Scheduler, Fault> {
    Scheduler::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| {
        let known: Vec<&str> = Scheduler::ALL.iter().map(|s| s.name()).collect();
        Fault::new(
            format!("scheduler {} is not modelled", q(text)),
            format!("expected {}", known.join(" or ")),
        )
    })
}

// ---------------------------------------------------------------------- printing

/// ipvsadm sorts by protocol and address, addresses compared as signed numbers.
fn sorted(ipvs: &Ipvs) -> Vec<&Service> {
    let mut all: Vec<&Service> = ipvs.services().iter().collect();
    crate::order::sort_by(&mut all, |a, b| {
        let key = |s: &Service| (s.id.proto, s.id.addr.1);
        let addr = |s: &Service| s.id.addr.0.to_bits();
        let by_addr = (addr(a).wrapping_sub(addr(b)) as i32).cmp(&0);
        key(a).0.cmp(&key(b).0).then(by_addr).then(key(a).1.cmp(&key(b).1))
    });
    all
}

fn servers(service: &Service) -> Vec<Dest> {
    let mut all = service.dests.clone();
    crate::order::sort_by(&mut all, |a, b| a.addr.cmp(&b.addr));
    all
}

fn at(e: Endpoint) -> String {
    format!("{}:{}", e.0, e.1)
}

/// `ipvsadm -Ln`, with the connections that are to be counted.
pub fn print_list(ipvs: &Ipvs, conns: &[IpvsConn]) -> String {
    let mut out = String::from(
        "IP Virtual Server version 1.2.1 (size=4096)\n\
         Prot LocalAddress:Port Scheduler Flags\n  \
         -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
    );
    for s in sorted(ipvs) {
        let proto = s.id.proto.to_string().to_ascii_uppercase();
        let _ = writeln!(out, "{proto:<4} {} {}", at(s.id.addr), s.scheduler.name());
        for d in servers(s) {
            let mine = || conns.iter().filter(|c| c.service == s.id && c.dest == d.addr);
            let active = mine().filter(|c| c.state == IpvsState::Established).count();
            let rest = mine().count() - active;
            let _ = writeln!(out, "  -> {:<28} Masq    {:<6} {active:<10} {rest:<10}", at(d.addr), d.weight);
        }
    }
    out
}

/// `ipvsadm -Lnc`
pub fn print_conns(conns: &[IpvsConn], now: Instant) -> String {
    let mut out = String::from(
        "IPVS connection entries\npro expire state       source             virtual            destination\n",
    );
    for c in conns {
        let left = c.expires.since(now).as_secs();
        let proto = c.service.proto.to_string().to_ascii_uppercase();
        let (minutes, seconds) = (left / 60, left % 60);
        let _ = writeln!(
            out,
            "{proto:<3} {minutes:02}:{seconds:02}  {:<11} {:<18} {:<18} {}",
            c.state.name(),
            at(c.client),
            at(c.service.addr),
            at(c.dest)
        );
    }
    out
}

/// `ipvsadm -S -n`
pub fn print_save(ipvs: &Ipvs) -> String {
    let mut out = String::new();
    for s in sorted(ipvs) {
        let kind = if s.id.proto == Protocol::UDP { "-u" } else { "-t" };
        let _ = writeln!(out, "-A {kind} {} -s {}", at(s.id.addr), s.scheduler.name());
        for d in servers(s) {
            let _ = writeln!(out, "-a {kind} {} -r {} -m -w {}", at(s.id.addr), at(d.addr), d.weight);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<IpvsadmCommand, (String, String)> {
        let argv: Vec<&str> = text.split(' ').collect();
        parse_ipvsadm(&argv).map_err(|d| (d.token.clone(), d.message.clone()))
    }

    #[test]
    fn commands_in_short_and_long() {
        let id = ServiceId { proto: Protocol::UDP, addr: ([10, 96, 0, 10].into(), 53) };
        let service = IpvsadmCommand::Service { id, scheduler: Scheduler::Rr, edit: false };
        assert_eq!(parse("ipvsadm -A -u 10.96.0.10:53 -s rr"), Ok(service.clone()));
        assert_eq!(parse("ipvsadm --add-service --udp-service 10.96.0.10:53 --scheduler rr"), Ok(service));
        let dest = Dest { addr: ([10, 244, 1, 2].into(), 53), weight: 3 };
        let server = IpvsadmCommand::Server { id, dest, edit: true };
        assert_eq!(parse("ipvsadm -e -u 10.96.0.10:53 -r 10.244.1.2:53 -m -w 3"), Ok(server));
        assert_eq!(parse("ipvsadm -Ln"), Ok(IpvsadmCommand::List { conns: false }));
        assert_eq!(parse("ipvsadm -Lnc"), Ok(IpvsadmCommand::List { conns: true }));
        assert_eq!(parse("ipvsadm"), Ok(IpvsadmCommand::List { conns: false }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let says = |text: &str| parse(text).map_err(|(token, message)| format!("{token}|{message}"));
        for (text, expected) in [
            ("ipvsadm -A -t 10.96.0.10 -s rr", "10.96.0.10|\"10.96.0.10\" is not an address with a port"),
            ("ipvsadm -A -t 1.2.3.4:80 -s mh", "mh|scheduler \"mh\" is not modelled"),
            ("ipvsadm -A -t 1.2.3.4:80", "1.2.3.4:80|scheduler wlc is not modelled"),
            ("ipvsadm -A -s rr", "rr|no virtual server"),
            ("ipvsadm -a -t 1.2.3.4:80 -r 1.1.1.1:1 -g", "-g|\"-g\" is not modelled"),
            ("ipvsadm -A -D -t 1.2.3.4:80", "-D|a second command"),
        ] {
            assert_eq!(says(text), Err(expected.to_owned()), "{text}");
        }
    }
}
