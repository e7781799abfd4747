//! Reading command lines, with ipvsadm's own words for what is wrong (ipvsadm.c, version 1.31).

use super::options::{CHECKED, COMMANDS, NOT_MODELLED, OPTIONS, OptionRow, Value};
use super::{IpvsadmCommand, IpvsadmError, Listing, Show};
use crate::args::ArgLine;
use crate::names::{number, service};
use kernel::netfilter::ipvs::{DestSpec, Endpoint, Forward, SchedFlags, Scheduler, ServiceId, ServiceSpec};
use packet::Protocol;
use std::net::Ipv4Addr;

/// `IPVS_SVC_PERSISTENT_TIMEOUT`, and the longest time-out: 31 days.
const PERSISTENT: u32 = 360;
const LONGEST: u64 = 86_400 * 31;
/// The largest `int`.
const INT_MAX: u64 = 0x7fff_ffff;

fn fail<T>(message: impl Into<String>) -> Result<T, IpvsadmError> {
    Err(IpvsadmError { status: 2, message: message.into() })
}

fn try_help<T>() -> Result<T, IpvsadmError> {
    let message = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.".to_owned();
    Err(IpvsadmError { status: 255, message })
}

/// Reads a command line; `argv[0]` is the name of the program.
///
/// # Errors
/// What ipvsadm says, or that an option is not modelled.
pub fn parse_ipvsadm<S: AsRef<str>>(argv: &[S]) -> Result<IpvsadmCommand, IpvsadmError> {
    let words: Vec<&str> = argv.iter().skip(1).map(AsRef::as_ref).collect();
    if words.is_empty() {
        return Ok(IpvsadmCommand::List(Listing::default()));
    }
    let mut reader = Reader { words, at: 0, letters: "", rest: Vec::new() };
    let Some(first) = reader.next()? else { return try_help() };
    if first.letter == 'h' {
        return fail("-h is not modelled: see ipvsadm(8)");
    }
    let letter = if first.letter == 'l' { 'L' } else { first.letter };
    let Some(command) = COMMANDS.iter().find(|c| c.letter == letter) else { return try_help() };
    let mut given = Given::default();
    while let Some(option) = reader.next()? {
        if COMMANDS.iter().any(|c| c.letter == option.letter) || "lh".contains(option.letter) {
            return fail(format!("invalid option `{}'", reader.spelling()));
        }
        if given.names.contains(&option.name) {
            return fail(format!("multiple '{}' options specified", option.name));
        }
        given.names.push(option.name);
        given.take(option.letter, &mut reader)?;
    }
    let name = first.name;
    if letter == '§' {
        return timeouts(&reader.rest);
    }
    if let Some(word) = reader.rest.first() {
        return fail(format!("unexpected argument {word}"));
    }
    let mut only: Option<&str> = None;
    for option in CHECKED {
        match (given.names.contains(&option), command.needs.contains(&option)) {
            (false, true) => {
                return fail(format!("You need to supply the '{option}' option for the '{name}' command"));
            }
            (true, false) if command.one_of.contains(&option) => {
                if let Some(other) = only {
                    let text = format!(
                        "The option '{option}' conflicts with the '{other}' option in the '{name}' command"
                    );
                    return fail(text);
                }
                only = Some(option);
            }
            (true, false) if !command.takes.contains(&option) => {
                return fail(format!("Illegal '{option}' option with the '{name}' command"));
            }
            _ => {}
        }
    }
    given.command(letter)
}

/// Reads what `ipvsadm -S` prints: a command in each line, which lacks the name of the program. Each comes with the number
/// of its line.
pub fn parse_ipvsadm_restore(
    text: &str,
) -> impl Iterator<Item = (u32, Result<IpvsadmCommand, IpvsadmError>)> + '_ {
    let lines = (1u32..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty());
    lines.map(|(n, line)| {
        let words = ArgLine::split(n, line);
        let name = std::iter::once("ipvsadm".to_owned());
        let argv: Vec<String> = name.chain(words.args(0).map(|t| t.text.into_owned())).collect();
        (n, parse_ipvsadm(&argv))
    })
}

/// Takes the words of a command line apart as popt does.
struct Reader<'a> {
    words: Vec<&'a str>,
    at: usize,
    /// What is left of `-Ln`.
    letters: &'a str,
    /// Words that are no options.
    rest: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<&'static OptionRow>, IpvsadmError> {
        loop {
            if let Some(letter) = self.letters.chars().next() {
                self.letters = self.letters.get(letter.len_utf8()..).unwrap_or_default();
                let known = OPTIONS.iter().find(|o| o.letter == letter && letter.is_ascii());
                return self.known(known, &letter.to_string());
            }
            let Some(word) = self.words.get(self.at).copied() else { return Ok(None) };
            self.at += 1;
            if let Some(long) = word.strip_prefix("--").filter(|l| !l.is_empty()) {
                let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
                if let Some(value) = value {
                    // The value is the next word then.
                    self.at -= 1;
                    if let Some(slot) = self.words.get_mut(self.at) {
                        *slot = value;
                    }
                }
                return self.known(OPTIONS.iter().find(|o| o.long == name), name);
            }
            match word.strip_prefix('-').filter(|l| !l.is_empty()) {
                Some(letters) => self.letters = letters,
                None => self.rest.push(word),
            }
        }
    }

    fn known(
        &self,
        option: Option<&'static OptionRow>,
        spelling: &str,
    ) -> Result<Option<&'static OptionRow>, IpvsadmError> {
        if NOT_MODELLED.contains(&spelling) {
            let dashes = if spelling.len() == 1 { "-" } else { "--" };
            return fail(format!("{dashes}{spelling} is not modelled"));
        }
        match option {
            Some(_) => Ok(option),
            None if self.at <= 1 => try_help(),
            None => {
                let message = format!("{}: unknown option", self.spelling());
                Err(IpvsadmError { status: 255, message })
            }
        }
    }

    /// The word that was read last.
    fn spelling(&self) -> &'a str {
        self.words.get(self.at.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The value of an option: what is left of its word, or the next one.
    fn value(&mut self, letter: char) -> Result<Option<&'a str>, IpvsadmError> {
        let row = OPTIONS.iter().find(|o| o.letter == letter);
        let kind = row.map_or(Value::No, |o| o.value);
        if !self.letters.is_empty() {
            let rest = std::mem::take(&mut self.letters);
            return Ok(Some(rest.strip_prefix('=').unwrap_or(rest)));
        }
        let next = self.words.get(self.at).copied();
        let next = next.filter(|w| kind == Value::Yes || !w.starts_with('-'));
        if next.is_none() && kind == Value::Yes {
            let message = format!("{}: missing argument", self.spelling());
            return Err(IpvsadmError { status: 255, message });
        }
        self.at += usize::from(next.is_some());
        Ok(next)
    }
}

#[derive(Default)]
struct Given<'a> {
    names: Vec<&'static str>,
    letters: Vec<char>,
    service: Option<ServiceId>,
    server: Option<(Ipv4Addr, Option<u16>)>,
    scheduler: Option<&'a str>,
    flags: Option<&'a str>,
    persistent: Option<u32>,
    netmask: Option<Ipv4Addr>,
    weight: Option<u32>,
    upper: u32,
    lower: u32,
}

/// A number from `min` on, as `string_to_number` reads it.
fn count(text: &str, min: u64, max: u64) -> Option<u32> {
    number::unsigned(text, min, max).and_then(|n| u32::try_from(n).ok())
}

/// `ADDRESS[:PORT]`
fn endpoint(text: &str, proto: Protocol) -> Option<(Ipv4Addr, Option<u16>)> {
    let (addr, port) = text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p)));
    let number = |p: &str| count(p, 0, 65535).and_then(|n| u16::try_from(n).ok());
    let port = match port {
        Some(p) => Some(number(p).or_else(|| service(p, proto))?),
        None => None,
    };
    Some((addr.parse().ok()?, port))
}

fn timeout(text: &str, min: u64) -> Result<u32, IpvsadmError> {
    match count(text, min, LONGEST) {
        Some(n) => Ok(n),
        None => fail(format!("invalid timeout value `{text}' specified")),
    }
}

fn timeouts(words: &[&str]) -> Result<IpvsadmCommand, IpvsadmError> {
    let &[tcp, fin, udp] = words else { return fail("--set option requires 3 timeout values") };
    Ok(IpvsadmCommand::Timeouts([timeout(tcp, 0)?, timeout(fin, 0)?, timeout(udp, 0)?]))
}

impl<'a> Given<'a> {
    fn take(&mut self, letter: char, reader: &mut Reader<'a>) -> Result<(), IpvsadmError> {
        self.letters.push(letter);
        let kind = OPTIONS.iter().find(|o| o.letter == letter).map_or(Value::No, |o| o.value);
        if kind == Value::No {
            return Ok(());
        }
        let Some(text) = reader.value(letter)? else {
            self.persistent = Some(PERSISTENT);
            return Ok(());
        };
        let or = |n: Option<u32>, name: &str| match n {
            Some(n) => Ok(n),
            None => fail(format!("illegal {name} specified")),
        };
        match letter {
            't' | 'u' => {
                let proto = if letter == 't' { Protocol::TCP } else { Protocol::UDP };
                let Some((addr, port)) = endpoint(text, proto) else {
                    return fail("illegal virtual server address[:port] specified");
                };
                self.service = Some(ServiceId::new(proto, (addr, port.unwrap_or(0))));
            }
            'f' => match count(text, 1, u64::from(u32::MAX)) {
                Some(mark) => self.service = Some(ServiceId::fwmark(mark)),
                None => return fail(format!("invalid fwmark value `{text}' specified")),
            },
            'r' => {
                let proto = self.service.map_or(Protocol::TCP, |s| s.proto);
                self.server = endpoint(text, proto);
                if self.server.is_none() {
                    return fail("illegal real server address[:port] specified");
                }
            }
            'M' => {
                // inet_aton takes one number, too.
                self.netmask = text.parse().ok().or_else(|| number::u32_of(text).map(Ipv4Addr::from_bits));
                if self.netmask.is_none() {
                    return fail("invalid netmask specified");
                }
            }
            's' => self.scheduler = Some(text),
            'b' => self.flags = Some(text),
            'p' => self.persistent = Some(timeout(text, 1)?),
            'w' => self.weight = Some(or(count(text, 0, INT_MAX), "weight")?),
            'x' => self.upper = or(count(text, 0, INT_MAX), "u_threshold")?,
            _ => self.lower = or(count(text, 0, INT_MAX), "l_threshold")?,
        }
        Ok(())
    }

    fn command(&self, letter: char) -> Result<IpvsadmCommand, IpvsadmError> {
        let id = self.service;
        Ok(match (letter, id) {
            ('A' | 'E', Some(id)) => IpvsadmCommand::Service { spec: self.service(id)?, edit: letter == 'E' },
            ('D', Some(id)) => IpvsadmCommand::DeleteService(id),
            ('a' | 'e', Some(id)) => {
                let dest = self.dest(id, false);
                IpvsadmCommand::Server { id, dest, edit: letter == 'e' }
            }
            ('d', Some(id)) => IpvsadmCommand::DeleteServer(id, self.dest(id, true).addr),
            ('C', _) => IpvsadmCommand::Clear,
            ('S', _) => IpvsadmCommand::Save { numeric: self.letters.contains(&'n') },
            ('R', _) => IpvsadmCommand::Restore,
            ('Z', _) => IpvsadmCommand::Zero(id),
            ('v', _) => IpvsadmCommand::Version,
            _ => IpvsadmCommand::List(self.listing()?),
        })
    }

    fn service(&self, id: ServiceId) -> Result<ServiceSpec, IpvsadmError> {
        let name = self.scheduler.unwrap_or("wlc");
        let flags = self.flags.map_or(Ok(SchedFlags::default()), |f| sched_flags(f, name))?;
        if id.fwmark == 0 && id.addr.1 == 0 && self.persistent.is_none() {
            return fail("Zero port specified for non-persistent service");
        }
        let one_packet = self.letters.contains(&'o');
        if one_packet && id.fwmark == 0 && id.proto != Protocol::UDP {
            return fail("One-Packet Scheduling is only for UDP virtual services");
        }
        let Some(scheduler) = Scheduler::ALL.into_iter().find(|s| s.name() == name) else {
            let message = match name {
                "fo" | "ovf" | "lblc" | "lblcr" | "twos" => format!("scheduler {name} is not modelled"),
                _ => "Scheduler or persistence engine not found".to_owned(),
            };
            return Err(IpvsadmError { status: 255, message });
        };
        let netmask = self.netmask.unwrap_or(Ipv4Addr::BROADCAST);
        Ok(ServiceSpec { id, scheduler, flags, persistent: self.persistent, netmask, one_packet })
    }

    fn dest(&self, id: ServiceId, deletes: bool) -> DestSpec {
        // The default of ipvsadm is direct routing, which cannot change the port.
        let forward = if self.letters.contains(&'m') { Forward::Masquerade } else { Forward::Route };
        let (addr, port) = self.server.unwrap_or((Ipv4Addr::UNSPECIFIED, None));
        let asked: Endpoint = id.addr;
        let forced = forward == Forward::Route && id.fwmark == 0 && !deletes;
        let port = if forced { asked.1 } else { port.unwrap_or(asked.1) };
        DestSpec {
            addr: (addr, port),
            weight: self.weight.unwrap_or(1),
            forward,
            upper: self.upper,
            lower: self.lower,
        }
    }

    fn listing(&self) -> Result<Listing, IpvsadmError> {
        let has = |c: char| self.letters.contains(&c);
        let kinds = [
            ('c', Show::Connections),
            ('σ', Show::Stats),
            ('ρ', Show::Rate),
            ('θ', Show::Thresholds),
            ('π', Show::Persistent),
            ('τ', Show::Timeout),
            ('δ', Show::Daemon),
        ];
        let mut asked = kinds.into_iter().filter(|(c, _)| has(*c));
        let what = asked.next().map_or(Show::Servers, |(_, show)| show);
        if asked.next().is_some() {
            return fail("options conflicts in the list command");
        }
        Ok(Listing { what, only: self.service, numeric: has('n'), exact: has('X'), unsorted: has('ν') })
    }
}

fn sched_flags(text: &str, scheduler: &str) -> Result<SchedFlags, IpvsadmError> {
    let mut flags = 0;
    for word in text.split(',') {
        let known = match word {
            "flag-1" => 1,
            "flag-2" => 2,
            "flag-3" => 4,
            "sh-fallback" | "mh-fallback" => 1,
            "sh-port" | "mh-port" => 2,
            _ => return fail(format!("invalid scheduler flag `{word}'")),
        };
        let of = word.split('-').next().unwrap_or_default();
        if of != "flag" && of != scheduler {
            return fail(format!("incompatible scheduler flag `{word}'"));
        }
        flags |= known;
    }
    Ok(SchedFlags(flags))
}
