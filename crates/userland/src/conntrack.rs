//! `conntrack` (conntrack-tools): listing, deleting and counting entries.

use crate::args::Token;
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::names::{addr, number, port, protocol};
use crate::words::{Words, arg_line};
use kernel::netfilter::conntrack::{TcpState, status};
use kernel::netfilter::xtables::IpMatch;
use packet::{Port, Protocol};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConntrackOp {
    /// `-L`
    List,
    /// `-D`
    Delete,
    /// `-F`
    Flush,
    /// `-S`
    Stats,
    /// `-C`
    Count,
    /// `-E`
    Events,
}

/// Which table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConntrackTable {
    /// Connections.
    #[default]
    Connections,
    /// Expectations.
    Expectations,
}

/// Which entries are meant: those that fit every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConntrackFilter {
    /// `-p`
    pub proto: Option<Protocol>,
    /// `-s`
    pub orig_src: Option<IpMatch>,
    /// `-d`
    pub orig_dst: Option<IpMatch>,
    /// `-r`
    pub reply_src: Option<IpMatch>,
    /// `-q`
    pub reply_dst: Option<IpMatch>,
    /// `--sport`
    pub orig_sport: Option<Port>,
    /// `--dport`
    pub orig_dport: Option<Port>,
    /// `--reply-port-src`
    pub reply_sport: Option<Port>,
    /// `--reply-port-dst`
    pub reply_dport: Option<Port>,
    /// `--icmp-type`
    pub icmp_type: Option<u8>,
    /// `--icmp-code`
    pub icmp_code: Option<u8>,
    /// `--icmp-id`
    pub icmp_id: Option<u16>,
    /// `--state`
    pub state: Option<TcpState>,
    /// `--mark VALUE/MASK`
    pub mark: Option<(u32, u32)>,
    /// `--status`: these bits must be set.
    pub status: u32,
    /// `--src-nat`: the source is translated.
    pub src_nat: bool,
    /// `--dst-nat`: the destination is translated.
    pub dst_nat: bool,
    /// `--any-nat`: one of them is.
    pub any_nat: bool,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConntrackCommand {
    /// What is done.
    pub op: ConntrackOp,
    /// On which table.
    pub table: ConntrackTable,
    /// With which entries.
    pub filter: ConntrackFilter,
    /// `-o extended`: the family in front.
    pub extended: bool,
    /// `-o id`: the number at the end.
    pub id: bool,
}

const OPS: [(&str, &str, ConntrackOp); 6] = [
    ("-L", "--dump", ConntrackOp::List),
    ("-D", "--delete", ConntrackOp::Delete),
    ("-F", "--flush", ConntrackOp::Flush),
    ("-S", "--stats", ConntrackOp::Stats),
    ("-C", "--count", ConntrackOp::Count),
    ("-E", "--event", ConntrackOp::Events),
];

const STATUSES: [(&str, u32); 3] =
    [("ASSURED", status::ASSURED), ("SEEN_REPLY", status::SEEN_REPLY), ("EXPECTED", status::EXPECTED)];

const STATES: [TcpState; 10] = [
    TcpState::None,
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait,
    TcpState::CloseWait,
    TcpState::LastAck,
    TcpState::TimeWait,
    TcpState::Close,
    TcpState::SynSent2,
];

const KNOWN: &[&str] = &[
    "-s",
    "-d",
    "-r",
    "-q",
    "-p",
    "-m",
    "-u",
    "-o",
    "--src-nat",
    "--dst-nat",
    "--any-nat",
    "--sport",
    "--dport",
    "--reply-port-src",
    "--reply-port-dst",
    "--state",
    "--icmp-type",
    "--icmp-code",
    "--icmp-id",
];
const NOT_MODELLED: &[&str] = &[
    "-G",
    "--get",
    "-I",
    "--create",
    "-U",
    "--update",
    "-A",
    "--add",
    "-R",
    "--load-file",
    "-z",
    "--zero",
    "-e",
    "--event-mask",
    "-b",
    "--buffer-size",
    "-t",
    "--timeout",
    "-i",
    "--id",
    "-w",
    "--zone",
    "--orig-zone",
    "--reply-zone",
    "-l",
    "--label",
    "-c",
    "--secmark",
    "--tuple-src",
    "--tuple-dst",
    "--mask-src",
    "--mask-dst",
];

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_conntrack<S: AsRef<str>>(argv: &[S]) -> Result<ConntrackCommand, Diagnostic> {
    let line = arg_line(argv)?;
    let mut words = Words::new(&line, 1);
    let mut op: Option<ConntrackOp> = None;
    let mut command = ConntrackCommand {
        op: ConntrackOp::List,
        table: ConntrackTable::default(),
        filter: ConntrackFilter::default(),
        extended: false,
        id: false,
    };
    let mut first_filter: Option<Token<'_>> = None;
    while let Some(token) = words.next() {
        let found = OPS.iter().find(|(short, long, _)| *short == token.text || *long == token.text);
        if let Some((.., new)) = found {
            if op.is_some() {
                return words
                    .blame(&token, Fault::new("two commands", "expected one of -L, -D, -F, -S, -C, -E"));
            }
            op = Some(*new);
            command.table = table(&mut words)?;
            continue;
        }
        if !matches!(token.text.as_ref(), "-o" | "--output" | "-f" | "--family") {
            first_filter.get_or_insert(token.clone());
        }
        option(&mut words, &token, &mut command)?;
    }
    let Some(op) = op else {
        return words.blame_last(Fault::new("no command", "expected one of -L, -D, -F, -S, -C, -E"));
    };
    command.op = op;
    let takes_filter = matches!(op, ConntrackOp::List | ConntrackOp::Delete | ConntrackOp::Events);
    if let Some(at) = first_filter.filter(|_| !takes_filter || command.table == ConntrackTable::Expectations)
    {
        let fault =
            Fault::new(format!("{} does not belong to this command", at.text), "expected the command alone");
        return words.blame(&at, fault);
    }
    Ok(command)
}

/// The table behind a command, if one is named.
fn table(words: &mut Words<'_>) -> Result<ConntrackTable, Diagnostic> {
    let Some(token) = words.peek().filter(|t| !t.text.starts_with('-')).cloned() else {
        return Ok(ConntrackTable::default());
    };
    words.next();
    match token.text.as_ref() {
        "conntrack" => Ok(ConntrackTable::Connections),
        "expect" => Ok(ConntrackTable::Expectations),
        _ => words.unexpected(&token, &["conntrack", "expect"], &["dying", "unconfirmed"]),
    }
}

fn option(
    words: &mut Words<'_>,
    token: &Token<'_>,
    command: &mut ConntrackCommand,
) -> Result<(), Diagnostic> {
    let f = &mut command.filter;
    let ports = f.proto.is_some_and(|p| [6, 17, 33, 132, 136].contains(&p.0));
    match token.text.as_ref() {
        "-s" | "--src" | "--orig-src" => f.orig_src = Some(words.value("an address", addr::network)?),
        "-d" | "--dst" | "--orig-dst" => f.orig_dst = Some(words.value("an address", addr::network)?),
        "-r" | "--reply-src" => f.reply_src = Some(words.value("an address", addr::network)?),
        "-q" | "--reply-dst" => f.reply_dst = Some(words.value("an address", addr::network)?),
        "-p" | "--proto" | "--protonum" => f.proto = Some(words.value("a protocol", proto)?),
        "-m" | "--mark" => f.mark = Some(words.value("a mark", mark)?),
        "-u" | "--status" => f.status = words.value("a status", statuses)?,
        "-n" | "--src-nat" => f.src_nat = true,
        "-g" | "--dst-nat" => f.dst_nat = true,
        "-j" | "--any-nat" => f.any_nat = true,
        "-o" | "--output" => return output(words, command),
        "-f" | "--family" => {
            words.value("a family", |t| match t {
                "ipv4" => Ok(()),
                _ => Err(Fault::new(format!("family {} is not modelled", q(t)), "expected ipv4")),
            })?;
        }
        "--sport" | "--orig-port-src" if ports => f.orig_sport = Some(port_of(words, f.proto)?),
        "--dport" | "--orig-port-dst" if ports => f.orig_dport = Some(port_of(words, f.proto)?),
        "--reply-port-src" if ports => f.reply_sport = Some(port_of(words, f.proto)?),
        "--reply-port-dst" if ports => f.reply_dport = Some(port_of(words, f.proto)?),
        "--state" if f.proto == Some(Protocol::TCP) => f.state = Some(words.value("a state", state)?),
        "--icmp-type" if f.proto == Some(Protocol::ICMP) => f.icmp_type = Some(small(words)?),
        "--icmp-code" if f.proto == Some(Protocol::ICMP) => f.icmp_code = Some(small(words)?),
        "--icmp-id" if f.proto == Some(Protocol::ICMP) => f.icmp_id = Some(small(words)?),
        word if word.contains("port") && KNOWN.contains(&word) => {
            return needs(words, token, "-p tcp or -p udp");
        }
        "--state" => return needs(words, token, "-p tcp"),
        word if word.starts_with("--icmp-") && KNOWN.contains(&word) => {
            return needs(words, token, "-p icmp");
        }
        _ => return words.unexpected(token, KNOWN, NOT_MODELLED),
    }
    // The address to which it is translated may follow.
    if f.src_nat || f.dst_nat || f.any_nat {
        nat_address(words)?;
    }
    Ok(())
}

fn nat_address(words: &mut Words<'_>) -> Result<(), Diagnostic> {
    let next = words.peek().filter(|t| !t.text.starts_with('-')).cloned();
    match next {
        None => Ok(()),
        Some(at) => {
            let fault = Fault::new(
                "the address of a translation is not modelled here",
                "expected --src-nat, --dst-nat or --any-nat alone",
            );
            words.blame(&at, fault)
        }
    }
}

fn needs(words: &Words<'_>, token: &Token<'_>, proto: &str) -> Result<(), Diagnostic> {
    words.blame(
        token,
        Fault::new(format!("{} without its protocol", token.text), format!("expected {proto} before it")),
    )
}

fn output(words: &mut Words<'_>, command: &mut ConntrackCommand) -> Result<(), Diagnostic> {
    let (extended, id) = words.value("a format", |t| {
        t.split(',').try_fold((false, false), |(extended, id), word| match word {
            "extended" => Ok((true, id)),
            "id" => Ok((extended, true)),
            _ => Err(Fault::new(
                format!("format {} is not modelled", q(word)),
                "expected extended, id or both",
            )),
        })
    })?;
    command.extended |= extended;
    command.id |= id;
    Ok(())
}

fn port_of(words: &mut Words<'_>, proto: Option<Protocol>) -> Result<Port, Diagnostic> {
    words.value("a port", |t| port::port(t, proto.unwrap_or(Protocol::TCP)))
}

fn small<T: TryFrom<u64>>(words: &mut Words<'_>) -> Result<T, Diagnostic> {
    words.value("a number", |t| {
        let n = number::unsigned(t, 0, u64::MAX).and_then(|n| T::try_from(n).ok());
        n.ok_or_else(|| Fault::new(format!("{} is not a number that fits", q(t)), "expected a small number"))
    })
}

fn proto(text: &str) -> Result<Protocol, Fault> {
    protocol(text).ok_or_else(|| {
        Fault::new(
            format!("unknown protocol {}", q(text)),
            "expected a name such as tcp, udp, icmp, or a number",
        )
    })
}

fn mark(text: &str) -> Result<(u32, u32), Fault> {
    number::value_mask(text).map_err(|_| {
        Fault::new(format!("{} is not a mark", q(text)), "expected a number such as 0x4000, or with a mask")
    })
}

fn statuses(text: &str) -> Result<u32, Fault> {
    text.split(',').try_fold(0, |bits, word| {
        let names: Vec<&str> = STATUSES.iter().map(|(n, _)| *n).collect();
        let found = STATUSES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, b)| *b);
        found.map(|b| bits | b).ok_or_else(|| {
            Fault::new(
                format!("unknown status {}", q(word)),
                format!("expected a list of {}", names.join(", ")),
            )
        })
    })
}

fn state(text: &str) -> Result<TcpState, Fault> {
    let found = STATES.into_iter().find(|s| s.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(|s| s.name()).collect();
        Fault::new(format!("unknown TCP state {}", q(text)), format!("expected one of {}", names.join(", ")))
    })
}
