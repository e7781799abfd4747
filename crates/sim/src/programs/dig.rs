//! dig and nslookup of BIND 9.16. Their socket is not connected: an answer from another address is seen, and said.

use super::args::not_modelled;
use super::dns_server::{rcode_name, type_name};
use super::resolve::{DNS_PORT, ResolvConf, reverse_name};
use super::{Program, Run};
use crate::operator::CommandOutput;
use kernel::{Instant, SocketId};
use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long an answer is waited for, and how often it is asked for.
const TIMEOUT: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;

const VERSION: &str = "9.16.50-Debian";

/// What a lookup is for.
#[derive(Clone, Debug)]
enum Tool {
    Dig { short: bool, line: String },
    Nslookup,
}

#[derive(Clone, Debug)]
struct Asker {
    tool: Tool,
    server: Option<Ipv4Addr>,
    port: u16,
    name: String,
    /// The types that are asked for in turn.
    kinds: Vec<u16>,
    /// The search list is used.
    search: bool,
    timeout: Duration,
    tries: u32,
    conf: Option<ResolvConf>,
    candidates: Vec<String>,
    at: (usize, usize, usize),
    tried: u32,
    asking: Option<Asking>,
    /// The head of nslookup's answer is printed once.
    headed: bool,
    answered: bool,
}

#[derive(Clone, Debug)]
struct Asking {
    socket: SocketId,
    to: (Ipv4Addr, u16),
    id: u16,
    since: Instant,
    until: Instant,
}

fn kind_of(text: &str) -> Option<u16> {
    let known = [
        dns_type::A,
        dns_type::AAAA,
        dns_type::SRV,
        dns_type::PTR,
        dns_type::TXT,
        dns_type::NS,
        dns_type::SOA,
        dns_type::CNAME,
        dns_type::MX,
        dns_type::HINFO,
        dns_type::ANY,
    ];
    known.into_iter().find(|k| type_name(*k).eq_ignore_ascii_case(text))
}

impl Asker {
    fn new(tool: Tool, name: String, search: bool) -> Asker {
        Asker {
            tool,
            server: None,
            port: DNS_PORT,
            name,
            kinds: vec![dns_type::A],
            search,
            timeout: TIMEOUT,
            tries: TRIES,
            conf: None,
            candidates: Vec::new(),
            at: (0, 0, 0),
            tried: 0,
            asking: None,
            headed: false,
            answered: false,
        }
    }
}

pub(super) fn parse_dig(argv: &[String], _: &str) -> Result<Box<dyn Program>, CommandOutput> {
    let line = argv.get(1..).unwrap_or_default().join(" ");
    let mut asker = Asker::new(Tool::Dig { short: false, line }, String::new(), false);
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0);
        if let Some(server) = word.strip_prefix('@') {
            let Ok(server) = server.parse() else { return Err(not_modelled("dig", "a server by its name")) };
            asker.server = Some(server);
        } else if let Some(option) = word.strip_prefix('+') {
            match option.split_once('=').map_or((option, None), |(n, v)| (n, number(v))) {
                ("short", _) => {
                    if let Tool::Dig { short, .. } = &mut asker.tool {
                        *short = true;
                    }
                }
                ("search", _) => asker.search = true,
                ("nosearch" | "recurse" | "noedns" | "nocookie", _) => {}
                ("time" | "timeout", Some(n)) => asker.timeout = Duration::from_secs(u64::from(n)),
                ("tries", Some(n)) => asker.tries = n,
                ("retry", Some(n)) => asker.tries = n + 1,
                _ => return Err(not_modelled("dig", word)),
            }
        } else if word == "-p" {
            match words.next().and_then(|p| p.parse().ok()) {
                Some(port) => asker.port = port,
                None => return Err(CommandOutput::failed(1, "dig: couldn't parse port number")),
            }
        } else if word == "-x" {
            let Some(Ok(addr)) = words.next().map(|a| a.parse()) else {
                return Err(CommandOutput::failed(1, "Invalid IP address"));
            };
            asker.name = reverse_name(addr);
            asker.kinds = vec![dns_type::PTR];
        } else if word == "-t" {
            match words.next().and_then(|t| kind_of(t)) {
                Some(kind) => asker.kinds = vec![kind],
                None => return Err(CommandOutput::failed(1, ";; Warning, ignoring invalid type")),
            }
        } else if word.starts_with('-') {
            return Err(not_modelled("dig", word));
        } else if word.eq_ignore_ascii_case("IN") {
        } else if let Some(kind) = kind_of(word) {
            asker.kinds = vec![kind];
        } else if asker.name.is_empty() {
            asker.name.clone_from(word);
        } else {
            return Err(not_modelled("dig", "several lookups"));
        }
    }
    if asker.name.is_empty() {
        asker.name = ".".to_owned();
        asker.kinds = vec![dns_type::NS];
    }
    Ok(Box::new(asker))
}

pub(super) fn parse_nslookup(argv: &[String], _: &str) -> Result<Box<dyn Program>, CommandOutput> {
    let mut asker = Asker::new(Tool::Nslookup, String::new(), true);
    asker.kinds = vec![dns_type::A, dns_type::AAAA];
    for word in argv.iter().skip(1) {
        if let Some(option) = word.strip_prefix('-') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match (name, value) {
                ("type" | "query" | "querytype" | "q" | "ty", t) => match kind_of(t) {
                    Some(kind) => asker.kinds = vec![kind],
                    None => return Err(CommandOutput::failed(1, format!("unknown query type: {t}"))),
                },
                ("timeout", t) => match t.parse() {
                    Ok(n) => asker.timeout = Duration::from_secs(n),
                    Err(_) => return Err(not_modelled("nslookup", word)),
                },
                ("retry", t) => match t.parse::<u32>() {
                    Ok(n) => asker.tries = n + 1,
                    Err(_) => return Err(not_modelled("nslookup", word)),
                },
                ("port", t) => match t.parse() {
                    Ok(n) => asker.port = n,
                    Err(_) => return Err(not_modelled("nslookup", word)),
                },
                ("nosearch", _) => asker.search = false,
                ("debug" | "d2" | "vc" | "norecurse", _) => return Err(not_modelled("nslookup", word)),
                _ => return Err(CommandOutput::failed(1, format!("*** Invalid option: {option}"))),
            }
        } else if asker.name.is_empty() {
            match word.parse() {
                Ok(addr) => {
                    asker.name = reverse_name(addr);
                    asker.kinds = vec![dns_type::PTR];
                    asker.search = false;
                }
                Err(_) => asker.name.clone_from(word),
            }
        } else {
            let Ok(server) = word.parse() else {
                return Err(not_modelled("nslookup", "a server by its name"));
            };
            asker.server = Some(server);
        }
    }
    if asker.name.is_empty() {
        return Err(not_modelled("nslookup", "a dialogue"));
    }
    Ok(Box::new(asker))
}

impl Program for Asker {
    fn name(&self) -> &str {
        match self.tool {
            Tool::Dig { .. } => "dig",
            Tool::Nslookup => "nslookup",
        }
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        if self.conf.is_none() {
            let conf = run.file("/etc/resolv.conf").map_or(Ok(ResolvConf::default()), ResolvConf::parse);
            match conf {
                Ok(conf) => {
                    self.candidates = if self.search {
                        conf.candidates(&self.name)
                    } else {
                        vec![self.name.trim_end_matches('.').to_owned()]
                    };
                    self.conf = Some(conf);
                }
                Err(why) => {
                    run.complain(why);
                    return Some(1);
                }
            }
        }
        loop {
            if self.asking.is_none()
                && let Some(status) = self.ask(run)
            {
                return Some(status);
            }
            let asking = self.asking.clone()?;
            let socket = asking.socket;
            // An ICMP error is not heard of: the socket is not connected.
            match run.kernel(|ns, _| ns.udp_recv(socket)).flatten() {
                Some(d) if d.from != asking.to => {
                    let ((a, p), (b, q)) = (d.from, asking.to);
                    run.print(format!(";; reply from unexpected source: {a}#{p}, expected {b}#{q}"));
                }
                Some(d) => {
                    let Some(answer) = Dns::parse(&d.payload).filter(|a| a.response && a.id == asking.id)
                    else {
                        continue;
                    };
                    run.close(socket);
                    self.asking = None;
                    if let Some(status) = self.take(run, &answer, &asking, d.payload.len()) {
                        return Some(status);
                    }
                }
                None if run.now() >= asking.until => {
                    run.close(socket);
                    self.asking = None;
                    self.next_server();
                }
                None => return None,
            }
        }
    }
}

impl Asker {
    fn servers(&self) -> Vec<Ipv4Addr> {
        let named = self.server.map(|s| vec![s]);
        named.or(self.conf.as_ref().map(|c| c.servers.clone())).unwrap_or_default()
    }

    fn next_server(&mut self) {
        self.at.2 += 1;
        if self.at.2 >= self.servers().len() {
            self.at.2 = 0;
            self.tried += 1;
        }
    }

    /// Sends the question whose turn it is; `Some` ends the program.
    fn ask(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let (kind, name, server) = self.at;
        let Some(kind) = self.kinds.get(kind).copied() else {
            return Some(self.finish(run));
        };
        if self.tried >= self.tries {
            if let Tool::Dig { short: false, line } = &self.tool {
                self.dig_head(run, &line.clone());
            }
            run.print(";; connection timed out; no servers could be reached");
            run.print("");
            return Some(if matches!(self.tool, Tool::Nslookup) { 1 } else { 9 });
        }
        let text = self.candidates.get(name).cloned().unwrap_or_default();
        let Some(qname) = DnsName::new(&text) else {
            run.complain(format!("{}: '{text}' is not a legal name (bad label)", self.tool_name()));
            return Some(10);
        };
        let to = (self.servers().get(server).copied().unwrap_or(Ipv4Addr::LOCALHOST), self.port);
        let mut query = Dns::query(run.random() as u16, qname, kind);
        if matches!(self.tool, Tool::Dig { .. }) {
            // dig asks for authentic data, and says how long an answer it takes.
            query.authentic = true;
            let root = DnsName::default();
            let data = DnsData::Raw(Vec::new());
            query.additional.push(DnsRecord { name: root, kind: dns_type::OPT, class: 4096, ttl: 0, data });
        }
        let (id, bytes) = (query.id, query.to_bytes());
        let sent = run.kernel(|ns, kcx| {
            let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
            match ns.udp_send(socket, Some(to), None, bytes, kcx) {
                Ok(()) => Ok(socket),
                Err(errno) => {
                    ns.close(socket);
                    Err(errno)
                }
            }
        });
        match sent {
            Some(Ok(socket)) => {
                run.own(socket);
                let since = run.now();
                let until = run.wake_after(self.timeout);
                self.asking = Some(Asking { socket, to, id, since, until });
            }
            _ => {
                self.next_server();
                return self.ask(run);
            }
        }
        None
    }

    fn tool_name(&self) -> &'static str {
        if matches!(self.tool, Tool::Nslookup) { "nslookup" } else { "dig" }
    }

    /// An answer. `Some` ends the program.
    fn take(&mut self, run: &mut Run<'_, '_>, answer: &Dns, asking: &Asking, len: usize) -> Option<i32> {
        // A server that fails leaves the question to the next one.
        if answer.rcode == rcode::SERVFAIL && self.at.2 + 1 < self.servers().len() {
            self.at.2 += 1;
            return None;
        }
        if answer.rcode == rcode::NXDOMAIN && self.at.1 + 1 < self.candidates.len() {
            self.at.1 += 1;
            self.tried = 0;
            return None;
        }
        match self.tool.clone() {
            Tool::Dig { short: true, .. } => {
                for r in &answer.answers {
                    run.print(data_text(&r.data));
                }
                Some(0)
            }
            Tool::Dig { short: false, line } => {
                self.dig_head(run, &line);
                print_message(run, answer);
                let ms = run.now().since(asking.since).as_millis();
                run.print(format!(";; Query time: {ms} msec"));
                run.print(format!(";; SERVER: {a}#{p}({a})", a = asking.to.0, p = asking.to.1));
                run.print(format!(";; WHEN: {}", when(run.now().0 / 1_000_000)));
                run.print(format!(";; MSG SIZE  rcvd: {len}"));
                run.print("");
                Some(0)
            }
            Tool::Nslookup => self.nslookup(run, answer, asking),
        }
    }

    fn dig_head(&self, run: &mut Run<'_, '_>, line: &str) {
        run.print("");
        run.print(format!("; <<>> DiG {VERSION} <<>> {line}"));
        if self.server.is_some() {
            run.print("; (1 server found)");
        }
        run.print(";; global options: +cmd");
    }

    fn nslookup(&mut self, run: &mut Run<'_, '_>, answer: &Dns, asking: &Asking) -> Option<i32> {
        // Who asks backwards is not told whom it asked.
        let backwards = self.name.ends_with(".arpa") && answer.rcode == rcode::NOERROR;
        if !self.headed && !backwards {
            self.headed = true;
            let (addr, port) = asking.to;
            run.print(format!("Server:\t\t{addr}"));
            run.print(format!("Address:\t{addr}#{port}"));
            run.print("");
        }
        let name = answer.questions.first().map(|q| q.name.clone()).unwrap_or_default();
        if answer.rcode != rcode::NOERROR {
            run.print(format!("** server can't find {}: {}", name.as_str(), rcode_name(answer.rcode)));
            run.print("");
            return Some(1);
        }
        if !answer.authoritative && !answer.answers.is_empty() && !self.answered {
            run.print("Non-authoritative answer:");
        }
        if answer.answers.is_empty() && !self.answered && self.kinds.len() == 1 {
            run.print(format!("*** Can't find {}: No answer", name.as_str()));
        }
        for r in &answer.answers {
            self.answered = true;
            match (&r.data, r.kind) {
                (DnsData::A(_) | DnsData::Aaaa(_), _) => {
                    run.print(format!("Name:\t{}", r.name.as_str()));
                    run.print(format!("Address: {}", data_text(&r.data)));
                }
                (DnsData::Name(to), dns_type::CNAME) => {
                    run.print(format!("{}\tcanonical name = {to}", r.name.as_str()));
                }
                (DnsData::Name(to), dns_type::PTR) => run.print(format!("{}\tname = {to}", r.name.as_str())),
                (DnsData::Srv(a, b, c, to), _) => {
                    run.print(format!("{}\tservice = {a} {b} {c} {to}", r.name.as_str()));
                }
                (data, _) => run.print(format!(
                    "{}\t{} = {}",
                    r.name.as_str(),
                    type_name(r.kind).to_lowercase(),
                    data_text(data)
                )),
            }
        }
        // The next type is asked for under the true name.
        let alias = answer.answers.iter().rev().find(|r| r.kind == dns_type::CNAME);
        if let (Some(DnsData::Name(to)), Some(place)) =
            (alias.map(|r| &r.data), self.candidates.get_mut(self.at.1))
        {
            *place = to.as_str().to_owned();
        }
        self.at.0 += 1;
        self.tried = 0;
        None
    }

    fn finish(&self, run: &mut Run<'_, '_>) -> i32 {
        if self.kinds.len() > 1 && !self.answered {
            let name = self.candidates.get(self.at.1).cloned().unwrap_or_default();
            run.print(format!("*** Can't find {name}: No answer"));
        }
        run.print("");
        0
    }
}

fn when(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (day, s) = (seconds / 86_400, seconds % 86_400);
    let name = DAYS.get((day % 7) as usize).copied().unwrap_or("Thu");
    format!("{name} Jan {:02} {:02}:{:02}:{:02} UTC 1970", day % 31 + 1, s / 3600, s / 60 % 60, s % 60)
}

fn data_text(data: &DnsData) -> String {
    match data {
        DnsData::A(a) => a.to_string(),
        DnsData::Aaaa(a) => a.to_string(),
        DnsData::Name(name) => name.to_string(),
        DnsData::Srv(a, b, c, to) => format!("{a} {b} {c} {to}"),
        DnsData::Soa(soa) => {
            let numbers: Vec<String> = soa.2.iter().map(ToString::to_string).collect();
            format!("{} {} {}", soa.0, soa.1, numbers.join(" "))
        }
        DnsData::Txt(strings) => {
            let quoted = strings.iter().map(|s| format!("\"{}\"", String::from_utf8_lossy(s)));
            quoted.collect::<Vec<_>>().join(" ")
        }
        DnsData::Raw(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
            format!("\\# {} {hex}", bytes.len())
        }
    }
}

fn print_message(run: &mut Run<'_, '_>, m: &Dns) {
    run.print(";; Got answer:");
    if m.questions.first().is_some_and(|q| q.name.below("local").is_some()) {
        run.print(";; WARNING: .local is reserved for Multicast DNS");
        run.print(";; You are currently testing what happens when an mDNS query is leaked to DNS");
    }
    let opcode = if m.opcode == 0 { "QUERY".to_owned() } else { format!("RESERVED{}", m.opcode) };
    run.print(format!(";; ->>HEADER<<- opcode: {opcode}, status: {}, id: {}", rcode_name(m.rcode), m.id));
    let flags = [
        (m.response, " qr"),
        (m.authoritative, " aa"),
        (m.truncated, " tc"),
        (m.recursion_desired, " rd"),
        (m.recursion_available, " ra"),
        (m.authentic, " ad"),
        (m.checking_disabled, " cd"),
    ];
    let flags: String = flags.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    let (q, a, n, r) = (m.questions.len(), m.answers.len(), m.authority.len(), m.additional.len());
    run.print(format!(";; flags:{flags}; QUERY: {q}, ANSWER: {a}, AUTHORITY: {n}, ADDITIONAL: {r}"));
    if m.recursion_desired && !m.recursion_available {
        run.print(";; WARNING: recursion requested but not available");
    }
    run.print("");
    if let Some(opt) = m.additional.iter().find(|r| r.kind == dns_type::OPT) {
        run.print(";; OPT PSEUDOSECTION:");
        run.print(format!("; EDNS: version: 0, flags:; udp: {}", opt.class));
    }
    if !m.questions.is_empty() {
        run.print(";; QUESTION SECTION:");
        for q in &m.questions {
            run.print(columns(&format!(";{}", q.name), None, "IN", &type_name(q.kind)));
        }
        run.print("");
    }
    for (title, list) in [("ANSWER", &m.answers), ("AUTHORITY", &m.authority), ("ADDITIONAL", &m.additional)]
    {
        let list: Vec<&DnsRecord> = list.iter().filter(|r| r.kind != dns_type::OPT).collect();
        if list.is_empty() {
            continue;
        }
        run.print(format!(";; {title} SECTION:"));
        for r in list {
            let head = columns(&r.name.to_string(), Some(r.ttl), "IN", &type_name(r.kind));
            run.print(format!("{head}{}", data_text(&r.data)));
        }
        run.print("");
    }
}

/// Moves to a column by tabs as far as they go and then by blanks, at least by one (masterdump.c, `indent`).
fn indent(out: &mut String, from: usize, to: usize) {
    let to = to.max(from + 1);
    let tabs = to / 8 - from / 8;
    let at = if tabs > 0 { to / 8 * 8 } else { from };
    *out += &"\t".repeat(tabs);
    *out += &" ".repeat(to - at);
}

/// Name, time, class and type in columns (`dns_master_style_debug`): at 24, 32 and 40.
fn columns(name: &str, ttl: Option<u32>, class: &str, kind: &str) -> String {
    let mut out = name.to_owned();
    let mut at = name.chars().count();
    let ttl = ttl.map(|t| t.to_string());
    for (column, text) in [(24, ttl.as_deref()), (32, Some(class)), (40, Some(kind))] {
        let Some(text) = text else { continue };
        indent(&mut out, at, column);
        at = column.max(at + 1) + text.chars().count();
        out.push_str(text);
    }
    // The data stand at 48.
    if ttl.is_some() {
        indent(&mut out, at, 48);
    }
    out
}
