//! `conntrack` (conntrack-tools 1.4.7): the command line, and what it says of wrong ones.

mod options;

use crate::args::Token;
use crate::diagnostic::{Diagnostic, Fault};
use crate::words::{Words, arg_line};
use kernel::netfilter::conntrack::{TcpState, status};
use kernel::netfilter::xtables::IpMatch;
use options::{OPTIONS, Takes, What};
use packet::{Port, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConntrackOp {
    /// `-L`
    List,
    /// `-G`
    Get,
    /// `-I`
    Create,
    /// `-A`: as `-I`, but what exists already is no mistake.
    Add,
    /// `-U`
    Update,
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
    /// `-V`
    Version,
    /// `-h`, or nothing.
    Help,
}

/// Which table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConntrackTable {
    /// Connections.
    #[default]
    Connections,
    /// Expectations.
    Expectations,
    /// Entries that are on their way out of the table or into it: there are none between two commands.
    Empty,
}

/// Where a translation leads to, or comes from: an address, and a port that may be missing.
pub type NatEnd = (Ipv4Addr, Option<Port>);

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
    /// `--mark VALUE/MASK`: to look for, or, with `-I` and `-U`, to set.
    pub mark: Option<(u32, u32)>,
    /// `--status`: these bits must be set, or, with `-I` and `-U`, shall be.
    pub status: u32,
    /// `--status UNREPLIED`
    pub unreplied: bool,
    /// `--status` without any bit: the kernel refuses to look for that.
    pub no_status: bool,
    /// Words of `--status` that the tool warns of, as it does without them: SRC_NAT and DST_NAT.
    pub ignored: Vec<String>,
    /// `--zone`: of both directions.
    pub zone: Option<u16>,
    /// `--orig-zone`: of the original direction alone.
    pub orig_zone: Option<u16>,
    /// `--reply-zone`: of the reply direction alone.
    pub reply_zone: Option<u16>,
    /// `--src-nat`: the source is translated, to this.
    pub src_nat: Option<Option<NatEnd>>,
    /// `--dst-nat`: the destination is translated, to this.
    pub dst_nat: Option<Option<NatEnd>>,
    /// `--any-nat`: one of them is.
    pub any_nat: Option<Option<NatEnd>>,
    /// `-f ipv6`, or an IPv6 address: nothing fits.
    pub ipv6: bool,
}

/// What `-o` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConntrackOutput {
    /// `extended`: the family in front.
    pub extended: bool,
    /// `id`: the number at the end.
    pub id: bool,
    /// `timestamp`: the time in front of each event.
    pub timestamp: bool,
    /// `ktimestamp`: when the entry began and ended.
    pub ktimestamp: bool,
    /// `labels`
    pub labels: bool,
    /// `save`: as the options of a command that makes the entry.
    pub save: bool,
    /// `xml`
    pub xml: bool,
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
    /// `--timeout`
    pub timeout: Option<u32>,
    /// `-e`: NEW, UPDATES, DESTROY.
    pub events: [bool; 3],
    /// `-z`: counters begin anew once they are shown.
    pub zero: bool,
    /// How entries are shown.
    pub output: ConntrackOutput,
}

const OPS: [(&str, &str, ConntrackOp); 13] = [
    ("-L", "--dump", ConntrackOp::List),
    ("-G", "--get", ConntrackOp::Get),
    ("-I", "--create", ConntrackOp::Create),
    ("-A", "--add", ConntrackOp::Add),
    ("-U", "--update", ConntrackOp::Update),
    ("-D", "--delete", ConntrackOp::Delete),
    ("-F", "--flush", ConntrackOp::Flush),
    ("-S", "--stats", ConntrackOp::Stats),
    ("-C", "--count", ConntrackOp::Count),
    ("-E", "--event", ConntrackOp::Events),
    ("-V", "--version", ConntrackOp::Version),
    ("-h", "--help", ConntrackOp::Help),
    ("-L", "--list", ConntrackOp::List),
];

/// The real help is longer; this says what is modelled.
pub const CONNTRACK_HELP: &str = "\
conntrack v1.4.7 (conntrack-tools), as far as it is modelled here

  conntrack -L|-E [conntrack|expect] [FILTER] [-o extended,id,save,xml,...]   list entries, watch them
  conntrack -D [FILTER]                                       delete entries
  conntrack -G|-I|-A|-U -s ADDRESS -d ADDRESS -p PROTOCOL ... show, make, change one
  conntrack -C|-S|-F                                          count, statistics, empty the table

FILTER: -p PROTOCOL, -s|-d ADDRESS (-r|-q of the reply), --sport|--dport PORT, --state STATE, --status STATUS,
        --src-nat|--dst-nat|--any-nat [ADDRESS], --mark VALUE[/MASK], --zone NUMBER
";

/// A mistake, in the words of the tool.
fn usage(message: String, help: &str) -> Fault {
    Fault::new(message.clone(), help).usage(message)
}

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_conntrack<S: AsRef<str>>(argv: &[S]) -> Result<ConntrackCommand, Diagnostic> {
    let line = arg_line(argv)?;
    let mut words = Words::new(&line, 1);
    let mut reader = Reader { given: Vec::new(), mask: [None; 2] };
    let mut op: Option<ConntrackOp> = None;
    let mut command = ConntrackCommand {
        op: ConntrackOp::List,
        table: ConntrackTable::default(),
        filter: ConntrackFilter::default(),
        timeout: None,
        events: [true; 3],
        zero: false,
        output: ConntrackOutput::default(),
    };
    while let Some(token) = words.next() {
        let found = OPS.iter().find(|(short, long, _)| *short == token.text || *long == token.text);
        if let Some((.., new)) = found {
            if op.is_some() {
                let fault = usage("Invalid commands combination".to_owned(), "expected one command only");
                return words.blame(&token, fault);
            }
            op = Some(*new);
            command.table = table(&mut words)?;
        } else if token.text.starts_with('-') {
            reader.option(&mut words, &token, &mut command)?;
        }
        // The tool does not look at other words.
    }
    command.op = match op {
        Some(op) => op,
        None if reader.given.is_empty() => ConntrackOp::Help,
        None => {
            return words
                .blame_last(Fault::new("no command", "expected one of -L, -G, -I, -U, -D, -E, -F, -C, -S"));
        }
    };
    reader.finish(&words, &mut command)?;
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
        "dying" | "unconfirmed" => Ok(ConntrackTable::Empty),
        other => {
            let fault =
                usage(format!("unknown type `{other}'"), "expected conntrack, expect, dying or unconfirmed");
            words.blame(&token, fault)
        }
    }
}

/// What has been read so far.
struct Reader<'a> {
    given: Vec<(What, Token<'a>)>,
    /// `--mask-src`, `--mask-dst`
    mask: [Option<Ipv4Addr>; 2],
}

impl<'a> Reader<'a> {
    fn option(
        &mut self,
        words: &mut Words<'a>,
        token: &Token<'a>,
        command: &mut ConntrackCommand,
    ) -> Result<(), Diagnostic> {
        let (name, attached) = match token.text.split_once('=').filter(|_| token.text.starts_with("--")) {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (token.text.as_ref(), None),
        };
        // Options of a protocol exist once it has been named.
        let proto = command.filter.proto.map_or(0, |p| p.0);
        let Some((_, _, takes, what)) = OPTIONS.iter().find(|(short, long, _, what)| {
            (*short == name || long.contains(&name)) && what.belongs_to(proto)
        }) else {
            return words
                .blame(token, usage(format!("unknown option `{name}'"), "expected an option of conntrack"));
        };
        self.given.push((*what, token.clone()));
        let mut value = attached;
        let next_is_value = words.peek().is_some_and(|t| *takes == Takes::Value || !t.text.starts_with('-'));
        if value.is_none() && *takes != Takes::Nothing && next_is_value {
            value = words.next().map(|t| t.text.into_owned());
        }
        if *takes == Takes::Value && value.is_none() {
            let fault = usage(format!("option `{name}' requires an argument"), "expected a value behind it");
            return words.blame(token, fault);
        }
        let read = self.set(*what, name, value.as_deref(), command);
        read.or_else(|fault| words.blame(token, fault))
    }

    fn set(
        &mut self,
        what: What,
        name: &str,
        value: Option<&str>,
        c: &mut ConntrackCommand,
    ) -> Result<(), Fault> {
        let f = &mut c.filter;
        let text = value.unwrap_or_default();
        let (number, short) = (number(text), || (number(text) & 0xffff) as u16);
        match what {
            What::OrigSrc => f.orig_src = address(text, &mut f.ipv6, &self.given)?,
            What::OrigDst => f.orig_dst = address(text, &mut f.ipv6, &self.given)?,
            What::ReplySrc => f.reply_src = address(text, &mut f.ipv6, &self.given)?,
            What::ReplyDst => f.reply_dst = address(text, &mut f.ipv6, &self.given)?,
            What::Proto => f.proto = Some(proto(text)?),
            What::Timeout => c.timeout = Some(u32::try_from(number).unwrap_or(u32::MAX)),
            What::Status => statuses(text, f)?,
            What::Zero => c.zero = true,
            What::EventMask => c.events = events(text)?,
            What::Mask => self.mask[usize::from(name == "--mask-dst")] = Some(one_address(text)?),
            What::Mark => f.mark = Some(mark(text)),
            What::Family => match text {
                "ipv4" => {}
                "ipv6" => f.ipv6 = true,
                other => {
                    return Err(usage(format!("`{other}' unsupported protocol"), "expected ipv4 or ipv6"));
                }
            },
            What::SrcNat => f.src_nat = Some(nat_end(value)?),
            What::DstNat => f.dst_nat = Some(nat_end(value)?),
            What::AnyNat => f.any_nat = Some(nat_end(value)?),
            What::Output => output(text, &mut c.output)?,
            What::Zone => f.zone = Some(short()),
            What::OrigZone => f.orig_zone = Some(short()),
            What::ReplyZone => f.reply_zone = Some(short()),
            // No entry has one, and the tool does not compare it.
            What::Secmark => {}
            What::Label => {
                return Err(usage(format!("unknown label '{text}'"), "expected no label: none has a name"));
            }
            What::Sport => f.orig_sport = Some(short()),
            What::Dport => f.orig_dport = Some(short()),
            What::ReplySport => f.reply_sport = Some(short()),
            What::ReplyDport => f.reply_dport = Some(short()),
            What::State => f.state = Some(state(text)?),
            What::IcmpType => f.icmp_type = Some((number & 0xff) as u8),
            What::IcmpCode => f.icmp_code = Some((number & 0xff) as u8),
            What::IcmpId => f.icmp_id = Some(short()),
            What::Buffer => {}
            What::Tuple => {}
            What::NotModelled => {
                return Err(Fault::new(format!("{name} is not modelled"), "expected another option"));
            }
        }
        Ok(())
    }

    /// `generic_opt_check` and the protocol's own checks.
    fn finish(&self, words: &Words<'_>, c: &mut ConntrackCommand) -> Result<(), Diagnostic> {
        let has = |what: What| self.given.iter().any(|(w, _)| *w == what);
        let missing = |what: What| {
            let long = what.long_name();
            words.blame_last(usage(
                format!("You need to supply the `--{long}' option for this command"),
                &format!("expected --{long} too"),
            ))
        };
        let expect = c.table == ConntrackTable::Expectations;
        for what in options::required(c.op, expect) {
            if !has(*what) {
                return missing(*what);
            }
        }
        for (what, token) in &self.given {
            if options::illegal(c.op, expect, *what) {
                let message = format!("Illegal option `--{}' with this command", what.long_name());
                return words.blame(token, usage(message, "expected another option"));
            }
        }
        if has(What::Zero)
            && self.given.iter().any(|(w, _)| !matches!(w, What::Zero | What::Output | What::Family))
        {
            let message = "Can't use -z with filtering parameters".to_owned();
            return words.blame_last(usage(message, "expected -z alone"));
        }
        let f = &mut c.filter;
        for ((addr, mask), end) in
            [&mut f.orig_src, &mut f.orig_dst].into_iter().zip(self.mask).zip(["src", "dst"])
        {
            match (addr, mask) {
                (Some(a), Some(mask)) => *a = masked(a.addr, mask),
                (None, Some(_)) if !f.ipv6 => {
                    let message = format!("Can't use --mask-{end} without --{end}");
                    return words.blame_last(usage(message, &format!("expected --{end} too")));
                }
                _ => {}
            }
        }
        if expect || !matches!(c.op, ConntrackOp::Get | ConntrackOp::Create | ConntrackOp::Add) {
            return Ok(());
        }
        let pairs = [(What::OrigSrc, What::OrigDst), (What::ReplySrc, What::ReplyDst)];
        let ports = [(What::Sport, What::Dport), (What::ReplySport, What::ReplyDport)];
        let either = |pairs: [(What, What); 2]| pairs.iter().any(|(a, b)| has(*a) && has(*b));
        if !either(pairs) {
            let message = "you have to specify `--src' and `--dst'".to_owned();
            return words.blame_last(usage(message, "expected both ends of the flow"));
        }
        match c.filter.proto {
            Some(p) if options::has_ports(p.0) && !either(ports) => {
                let message = "you have to specify `--sport' and `--dport'".to_owned();
                return words.blame_last(usage(message, "expected both ports"));
            }
            Some(Protocol::TCP) if c.op != ConntrackOp::Get && !has(What::State) => {
                return missing(What::State);
            }
            Some(Protocol::ICMP) => {
                for what in [What::IcmpType, What::IcmpCode, What::IcmpId] {
                    if !has(what) {
                        return missing(what);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `strtoul` with base 0: what is no number is 0, and what follows it is not looked at.
fn number(text: &str) -> u64 {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None => (text, if text.starts_with('0') { 8 } else { 10 }),
    };
    digits
        .chars()
        .map_while(|c| c.to_digit(radix))
        .fold(0, |n: u64, d| n.saturating_mul(radix.into()).saturating_add(d.into()))
}

fn one_address(text: &str) -> Result<Ipv4Addr, Fault> {
    let parts: Option<Vec<u32>> = text.split('.').map(|p| p.parse().ok()).collect();
    let invalid = || usage(format!("Invalid IP address `{text}'"), "expected an address such as 10.0.0.1");
    let parts = parts.filter(|p| p.len() <= 4).ok_or_else(invalid)?;
    // As inet_aton: the last part fills what is left.
    let (last, first) = parts.split_last().ok_or_else(invalid)?;
    let room = 32 - 8 * first.len() as u32;
    if first.iter().any(|p| *p > 255) || u64::from(*last) >> room != 0 {
        return Err(invalid());
    }
    let head = first.iter().fold(0_u64, |n, p| n << 8 | u64::from(*p));
    Ok(Ipv4Addr::from_bits((head << room) as u32 | last))
}

fn masked(addr: IpAddr, mask: Ipv4Addr) -> IpMatch {
    let addr = match addr {
        IpAddr::V4(a) => IpAddr::V4(a & mask),
        v6 => v6,
    };
    IpMatch { addr, mask: IpAddr::V4(mask) }
}

fn address(text: &str, ipv6: &mut bool, given: &[(What, Token<'_>)]) -> Result<Option<IpMatch>, Fault> {
    let (addr, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    let is_v6 = addr.parse::<Ipv6Addr>().is_ok();
    let addresses = given.iter().filter(|(w, _)| w.is_address()).count();
    if addresses > 1 && is_v6 != *ipv6 {
        return Err(usage("mismatched address family".to_owned(), "expected addresses of one family"));
    }
    *ipv6 |= is_v6;
    if is_v6 {
        return Ok(None);
    }
    let addr = one_address(addr)?;
    let len = match bits.map(|b| b.parse::<u8>().ok().filter(|n| *n <= 32)) {
        None => 32,
        Some(Some(len)) => len,
        Some(None) => return Err(usage("Invalid netmask".to_owned(), "expected a length up to 32")),
    };
    let mask = Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0));
    Ok(Some(masked(IpAddr::V4(addr), mask)))
}

/// An address behind `--src-nat` and its like, with a port perhaps.
fn nat_end(text: Option<&str>) -> Result<Option<NatEnd>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let (addr, port) = text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p)));
    let port = match port {
        None => None,
        Some("") => {
            return Err(usage("No port specified after `:'".to_owned(), "expected a port behind the colon"));
        }
        Some(p) => match p.parse::<u16>() {
            Ok(n) if n > 0 => Some(n),
            _ => return Err(usage(format!("Invalid port `{p}'"), "expected a port")),
        },
    };
    Ok(Some((one_address(addr)?, port)))
}

/// The name of a protocol in the tool's lines; it knows fewer than /etc/protocols.
pub fn proto_name(proto: Protocol) -> Option<&'static str> {
    options::PROTOCOLS.iter().find(|(_, n)| *n == proto.0).map(|(name, _)| *name)
}

fn proto(text: &str) -> Result<Protocol, Fault> {
    let number = text.parse::<u8>().ok();
    let known = options::PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, n)| *n);
    known.or(number).map(Protocol).ok_or_else(|| {
        usage(format!("`{text}' unsupported protocol"), "expected a name such as tcp, udp, icmp, or a number")
    })
}

fn mark(text: &str) -> (u32, u32) {
    let small = |t| u32::try_from(number(t)).unwrap_or(u32::MAX);
    text.split_once('/').map_or((small(text), u32::MAX), |(v, m)| (small(v), small(m)))
}

fn bad(word: &str, help: &str) -> Fault {
    usage(format!("Bad parameter `{word}'"), help)
}

fn statuses(text: &str, f: &mut ConntrackFilter) -> Result<(), Fault> {
    for word in text.split(',') {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "ASSURED" => f.status |= status::ASSURED,
            "SEEN_REPLY" => f.status |= status::SEEN_REPLY,
            "EXPECTED" => f.status |= status::EXPECTED,
            "FIXED_TIMEOUT" => f.status |= status::FIXED_TIMEOUT,
            "UNREPLIED" => f.unreplied = true,
            "UNSET" => {}
            "SRC_NAT" | "DST_NAT" => f.ignored.push(upper),
            _ => {
                return Err(bad(
                    word,
                    "expected a list of ASSURED, SEEN_REPLY, EXPECTED, FIXED_TIMEOUT, UNREPLIED",
                ));
            }
        }
    }
    f.no_status = f.status == 0 && !f.unreplied;
    Ok(())
}

fn events(text: &str) -> Result<[bool; 3], Fault> {
    text.split(',').try_fold([false; 3], |[new, update, destroy], word| {
        match word.to_ascii_uppercase().as_str() {
            "ALL" => Ok([true; 3]),
            "NEW" => Ok([true, update, destroy]),
            "UPDATES" => Ok([new, true, destroy]),
            "DESTROY" => Ok([new, update, true]),
            _ => Err(bad(word, "expected a list of NEW, UPDATES, DESTROY, or ALL")),
        }
    })
}

fn output(text: &str, o: &mut ConntrackOutput) -> Result<(), Fault> {
    for word in text.split(',') {
        match word.to_ascii_lowercase().as_str() {
            "extended" => o.extended = true,
            "id" => o.id = true,
            "timestamp" => o.timestamp = true,
            "ktimestamp" => o.ktimestamp = true,
            "labels" => o.labels = true,
            "save" => o.save = true,
            "xml" => o.xml = true,
            // It concerns events alone, of which nobody knows who made them.
            "userspace" => {}
            _ => {
                let help = "expected a list of extended, id, timestamp, ktimestamp, labels, save, xml";
                return Err(bad(word, help));
            }
        }
    }
    Ok(())
}

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

fn state(text: &str) -> Result<TcpState, Fault> {
    let named = STATES.into_iter().find(|s| s.name() == text);
    // The old name of the last one.
    let found = named.or_else(|| (text == "LISTEN").then_some(TcpState::SynSent2));
    found.ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(|s| s.name()).collect();
        usage(format!("unknown TCP state `{text}'"), &format!("expected one of {}", names.join(", ")))
    })
}
