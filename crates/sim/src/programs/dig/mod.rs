//! dig and nslookup of BIND 9.16. Their socket is not connected: an answer from another address is seen, and said.

mod print;
mod read;

pub(super) use read::{parse_dig, parse_nslookup};

use super::dns_server::{rcode_name, type_name};
use super::dns_stream::{Lost, Stream};
use super::resolve::{DNS_PORT, ResolvConf};
use super::{Program, Run};
use kernel::socket::Errno;
use kernel::{Instant, SocketId};
use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use print::{data_text, print_message, when};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long an answer is waited for, over UDP and over TCP, and how often it is asked for.
const TIMEOUT: Duration = Duration::from_secs(5);
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
/// How long a datagram dig takes.
const BUFFER: u16 = 1232;

/// What dig prints: a bit for each of these, which `+NAME` and `+noNAME` set and clear.
const SHOWN: [&str; 7] = ["cmd", "comments", "question", "answer", "authority", "additional", "stats"];
const ALL: u8 = 0x7f;

/// Whether dig prints what has this name.
fn shows(show: u8, name: &str) -> bool {
    SHOWN.iter().zip(0..).any(|(n, bit)| *n == name && show & 1 << bit != 0)
}

const VERSION: &str = "9.16.50-Debian";

/// What a lookup is for.
#[derive(Clone, Debug)]
enum Tool {
    Dig { short: bool, line: String, edns: bool, show: u8 },
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
    /// As it was asked for.
    timeout: Option<Duration>,
    tries: u32,
    /// The question whose turn it is goes over TCP.
    tcp: bool,
    /// An answer that was cut is taken as it is.
    ignore: bool,
    /// A server has closed a connection instead of answering.
    closed: bool,
    conf: Option<ResolvConf>,
    candidates: Vec<String>,
    at: (usize, usize, usize),
    tried: u32,
    asking: Option<Asking>,
    /// The head of nslookup's answer is printed once.
    headed: bool,
    answered: bool,
    /// What is said before anything is asked.
    warning: Option<String>,
    /// The same, on standard output.
    remarks: Vec<String>,
}

#[derive(Clone, Debug)]
struct Asking {
    way: Way,
    to: (Ipv4Addr, u16),
    id: u16,
    since: Instant,
    until: Instant,
}

#[derive(Clone, Debug)]
enum Way {
    Udp(SocketId),
    Tcp(Stream),
}

impl Way {
    fn close(self, run: &mut Run<'_, '_>) {
        match self {
            Way::Udp(socket) => run.close(socket),
            Way::Tcp(stream) => stream.close(run),
        }
    }
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
            timeout: None,
            tries: TRIES,
            tcp: false,
            ignore: false,
            closed: false,
            conf: None,
            candidates: Vec::new(),
            at: (0, 0, 0),
            tried: 0,
            asking: None,
            headed: false,
            answered: false,
            warning: None,
            remarks: Vec::new(),
        }
    }
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
        if let Some(warning) = self.warning.take() {
            run.complain(warning);
        }
        std::mem::take(&mut self.remarks).into_iter().for_each(|line| run.print(line));
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
            let status = match self.hear(run)? {
                Heard::Answer(message) => self.heard(run, &message),
                Heard::Lost(why) => self.lost(run, why),
                Heard::Nothing => {
                    self.put_by(run);
                    self.next_server();
                    None
                }
            };
            if status.is_some() {
                return status;
            }
        }
    }
}

/// What came of a question.
enum Heard {
    Answer(Vec<u8>),
    Lost(Lost),
    /// Nothing in time.
    Nothing,
}

impl Asker {
    fn servers(&self) -> Vec<Ipv4Addr> {
        let named = self.server.map(|s| vec![s]);
        named.or(self.conf.as_ref().map(|c| c.servers.clone())).unwrap_or_default()
    }

    /// What has come from the server; `None` while something may come.
    fn hear(&mut self, run: &mut Run<'_, '_>) -> Option<Heard> {
        let asking = self.asking.as_mut()?;
        loop {
            let heard = match &mut asking.way {
                // An ICMP error is not heard of: the socket is not connected.
                Way::Udp(socket) => {
                    let socket = *socket;
                    match run.kernel(|ns, _| ns.udp_recv(socket)).flatten() {
                        Some(d) if d.from != asking.to => {
                            let ((a, p), (b, q)) = (d.from, asking.to);
                            run.print(format!(";; reply from unexpected source: {a}#{p}, expected {b}#{q}"));
                            continue;
                        }
                        heard => heard.map(|d| Ok(d.payload.to_vec())),
                    }
                }
                Way::Tcp(stream) => stream.next(run),
            };
            let is_answer = |m: &[u8]| Dns::parse(m).is_some_and(|a| a.response && a.id == asking.id);
            match heard {
                Some(Ok(message)) if is_answer(&message) => return Some(Heard::Answer(message)),
                Some(Ok(_)) => {}
                Some(Err(why)) => return Some(Heard::Lost(why)),
                None => return (run.now() >= asking.until).then_some(Heard::Nothing),
            }
        }
    }

    fn put_by(&mut self, run: &mut Run<'_, '_>) {
        if let Some(asking) = self.asking.take() {
            asking.way.close(run);
        }
    }

    /// An answer has come. `Some` ends the program.
    fn heard(&mut self, run: &mut Run<'_, '_>, message: &[u8]) -> Option<i32> {
        let (answer, asking) = Dns::parse(message).zip(self.asking.clone())?;
        self.put_by(run);
        if answer.truncated && !self.ignore && !self.tcp {
            if !matches!(self.tool, Tool::Dig { short: true, .. }) {
                run.print(";; Truncated, retrying in TCP mode.");
            }
            self.tcp = true;
            return None;
        }
        self.take(run, &answer, &asking, message.len())
    }

    /// A connection brings no answer. `Some` ends the program.
    fn lost(&mut self, run: &mut Run<'_, '_>, why: Lost) -> Option<i32> {
        let asking = self.asking.clone()?;
        self.put_by(run);
        let (addr, port) = asking.to;
        match why {
            Lost::Connect(Errno::ETIMEDOUT) => self.next_server(),
            Lost::Connect(errno) => {
                let why = match errno {
                    Errno::ENETUNREACH => "network unreachable".to_owned(),
                    Errno::EHOSTUNREACH => "host unreachable".to_owned(),
                    _ => errno.text().to_ascii_lowercase(),
                };
                let name = &self.name;
                run.print(format!(";; Connection to {addr}#{port}({addr}) for {name} failed: {why}."));
                self.at.2 += 1;
                if self.at.2 >= self.servers().len() {
                    return Some(self.give_up(run));
                }
            }
            Lost::Eof | Lost::Broken(_) => {
                let why = if why == Lost::Eof { "end of file" } else { "connection reset" };
                run.print(format!(";; communications error to {addr}#{port}: {why}"));
                // A server that just goes away is asked once more.
                if why == "connection reset" || std::mem::replace(&mut self.closed, true) {
                    return Some(self.give_up(run));
                }
            }
        }
        None
    }

    /// The status of who has asked in vain.
    fn give_up(&self, run: &mut Run<'_, '_>) -> i32 {
        match self.tool {
            Tool::Nslookup => {
                run.print("");
                1
            }
            Tool::Dig { .. } => 9,
        }
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
            if let Tool::Dig { short: false, line, show, .. } = &self.tool {
                self.dig_head(run, &line.clone(), *show);
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
        if let Tool::Dig { edns, .. } = self.tool {
            // dig asks for authentic data, and says how long an answer it takes.
            query.authentic = true;
            if edns {
                let (name, data) = (DnsName::default(), DnsData::Raw(Vec::new()));
                query.additional.push(DnsRecord { name, kind: dns_type::OPT, class: BUFFER, ttl: 0, data });
            }
        }
        let (id, bytes) = (query.id, query.to_bytes());
        let sent =
            if self.tcp { Stream::open(run, to, &[bytes]).map(Way::Tcp) } else { datagram(run, to, bytes) };
        match sent {
            Ok(way) => {
                let usual = if self.tcp { TCP_TIMEOUT } else { TIMEOUT };
                let since = run.now();
                let until = run.wake_after(self.timeout.unwrap_or(usual));
                self.asking = Some(Asking { way, to, id, since, until });
            }
            Err(_) => {
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
            Tool::Dig { short: false, line, show, .. } => {
                self.dig_head(run, &line, show);
                print_message(run, answer, show);
                if !shows(show, "stats") {
                    return Some(0);
                }
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

    fn dig_head(&self, run: &mut Run<'_, '_>, line: &str, show: u8) {
        if !shows(show, "cmd") {
            return;
        }
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
                    type_name(r.kind).to_ascii_lowercase(),
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

/// Sends a query from a socket that is not connected.
fn datagram(run: &mut Run<'_, '_>, to: (Ipv4Addr, u16), bytes: Vec<u8>) -> Result<Way, Errno> {
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
    let socket = sent.unwrap_or(Err(Errno::EINVAL))?;
    run.own(socket);
    Ok(Way::Udp(socket))
}
