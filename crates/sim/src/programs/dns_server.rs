//! A DNS server with CoreDNS's plugins. It takes plain tables: who knows Kubernetes makes them.
//!
//! Plugins are asked in CoreDNS's own order (plugin.cfg), whatever the order in the Corefile. DNSSEC and zone transfers are not
//! modelled.

use super::dns_stream::{self, Lost, Stream};
use super::resolve::DNS_PORT;
use super::{Program, Run};
use kernel::socket::{Errno, Received};
use kernel::{Instant, SocketId};
use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

/// How long `forward` waits for one answer, and how long it tries altogether (plugin/forward).
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const FORWARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TCP connection is waited for its first query, and for each that follows (core/dnsserver).
const FIRST_QUERY: Duration = Duration::from_secs(3);
const NEXT_QUERY: Duration = Duration::from_secs(10);
/// The longest datagram that somebody takes who does not say (RFC 1035), and the longest message over TCP.
const DATAGRAM: usize = 512;
const MESSAGE: usize = 65_535;
/// A datagram above that is compressed even if its receiver would take more (request.Scrub).
const UNFRAGMENTED: usize = 1480;
/// A probe of the plugin loop that comes in more often than this tells of a loop.
const LOOP_SEEN: u32 = 2;

/// Records of one or several zones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The zones that it answers for, without the dot at the end; the root is empty.
    pub zones: Vec<String>,
    /// The records.
    pub records: Vec<DnsRecord>,
    /// `pods insecure`: a name such as `10-244-1-2.default.pod.cluster.local` has the address that it tells.
    pub pods_insecure: bool,
    /// Zones for which a name that is not there is a matter of the next plugin.
    pub fallthrough: Vec<String>,
    /// Seconds for which answers may be kept, negative ones too.
    pub ttl: u32,
}

/// The plugin `forward`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Names below it are sent on.
    pub zone: String,
    /// Where to; the first is asked first, another after a failure.
    pub to: Vec<(Ipv4Addr, u16)>,
}

/// A server block: zones, and the plugins that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerBlock {
    /// The zones; the root is empty.
    pub zones: Vec<String>,
    /// `errors`: failures are logged.
    pub errors: bool,
    /// `log`: every query is logged.
    pub log: bool,
    /// `loadbalance`: addresses are shuffled.
    pub loadbalance: bool,
    /// `cache`: for how many seconds at most.
    pub cache: Option<u32>,
    /// `kubernetes`, `hosts` and `file`: tables in the order in which they are asked.
    pub tables: Vec<Rc<Table>>,
    /// `loop`: looks for a loop when it starts.
    pub detects_loop: bool,
    /// `forward`
    pub forward: Option<Forward>,
}

/// A server that is asked over UDP and TCP.
#[derive(Clone, Debug)]
pub struct DnsServer {
    bind: (Ipv4Addr, u16),
    blocks: Vec<ServerBlock>,
    sockets: Option<Sockets>,
    open: Vec<Connection>,
    pending: Vec<Pending>,
    cache: Vec<Kept>,
    /// The probe of `loop`: its name, and how often it came in.
    probe: Option<(DnsName, u32)>,
    probing: Option<SocketId>,
}

/// The socket of UDP, and the one that listens.
type Sockets = (SocketId, SocketId);

/// A TCP connection. Its queries are answered one after the other.
#[derive(Clone, Debug)]
struct Connection {
    socket: SocketId,
    from: (Ipv4Addr, u16),
    got: Vec<u8>,
    /// A query of it was sent on, and its answer is waited for.
    busy: bool,
    /// It is closed when nothing is asked until then.
    until: Instant,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
struct Client {
    from: (Ipv4Addr, u16),
    way: Way,
    /// How long the query is.
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By a datagram to that address.
    Udp(Ipv4Addr),
    /// Over that connection.
    Tcp(SocketId),
}

impl Client {
    fn proto(&self) -> &'static str {
        match self.way {
            Way::Udp(_) => "udp",
            Way::Tcp(_) => "tcp",
        }
    }

    /// How long an answer it takes.
    fn room(&self, query: &Dns) -> usize {
        match self.way {
            Way::Tcp(_) => MESSAGE,
            Way::Udp(_) => edns(query).map_or(DATAGRAM, |opt| usize::from(opt.class).max(DATAGRAM)),
        }
    }
}

/// The pseudo record by which a message says how long a datagram its sender takes.
fn edns(message: &Dns) -> Option<&DnsRecord> {
    message.additional.iter().find(|r| r.kind == dns_type::OPT)
}

/// A query that was sent on.
#[derive(Clone, Debug)]
struct Pending {
    block: usize,
    query: Dns,
    client: Client,
    way: Upstream,
    to: (Ipv4Addr, u16),
    local: (Ipv4Addr, u16),
    /// How many servers were tried.
    tries: usize,
    until: Instant,
    begun: Instant,
}

/// How it was sent on: as it came in.
#[derive(Clone, Debug)]
enum Upstream {
    Udp(SocketId),
    Tcp(Stream),
}

impl Upstream {
    /// The answer to a query; `None` while it is waited for.
    fn listen(&mut self, run: &mut Run<'_, '_>, id: u16) -> Option<Result<Dns, Failure>> {
        loop {
            let message = match self {
                Upstream::Udp(socket) => {
                    let socket = *socket;
                    if let Some(e) = run.kernel(|ns, _| ns.take_error(socket)).flatten() {
                        return Some(Err(Failure::Read(e.errno)));
                    }
                    run.kernel(|ns, _| ns.udp_recv(socket)).flatten()?.payload.to_vec()
                }
                Upstream::Tcp(stream) => match stream.next(run)? {
                    Ok(message) => message,
                    Err(Lost::Connect(errno)) => return Some(Err(Failure::Dial(errno))),
                    Err(Lost::Broken(errno)) => return Some(Err(Failure::Read(errno))),
                    Err(Lost::Eof) => return Some(Err(Failure::Eof)),
                },
            };
            if let Some(answer) = Dns::parse(&message).filter(|a| a.response && a.id == id) {
                return Some(Ok(answer));
            }
        }
    }

    fn close(self, run: &mut Run<'_, '_>) {
        match self {
            Upstream::Udp(socket) => run.close(socket),
            Upstream::Tcp(stream) => stream.close(run),
        }
    }
}

/// Why a server has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Dial(Errno),
    Read(Errno),
    Eof,
    Timeout,
}

impl Failure {
    /// As Go words it.
    fn text(self, proto: &str, local: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> String {
        let ((a, b), (c, d)) = (local, to);
        let read = |why: &str| format!("read {proto} {a}:{b}->{c}:{d}: {why}");
        match self {
            Failure::Dial(errno) => {
                format!("dial {proto} {c}:{d}: connect: {}", errno.text().to_lowercase())
            }
            Failure::Read(errno) => read(&format!("read: {}", errno.text().to_lowercase())),
            Failure::Eof => "EOF".to_owned(),
            Failure::Timeout => read("i/o timeout"),
        }
    }
}

/// An answer that is kept.
#[derive(Clone, Debug)]
struct Kept {
    block: usize,
    name: String,
    kind: u16,
    answer: Dns,
    at: Instant,
    until: Instant,
}

/// What a block says.
enum Said {
    Answer(Dns),
    /// Sent on, the answer comes later.
    Later,
    /// Nobody answers: the plugin that was asked last, and why.
    Failed(String),
}

impl DnsServer {
    /// A server on that address and port.
    pub fn new(bind: (Ipv4Addr, u16), blocks: Vec<ServerBlock>) -> DnsServer {
        DnsServer {
            bind,
            blocks,
            sockets: None,
            open: Vec::new(),
            pending: Vec::new(),
            cache: Vec::new(),
            probe: None,
            probing: None,
        }
    }
}

impl Program for DnsServer {
    fn name(&self) -> &str {
        "coredns"
    }

    fn reconfigure_dns(&mut self, bind: (Ipv4Addr, u16), blocks: &[ServerBlock]) {
        if self.bind == bind {
            self.blocks = blocks.to_vec();
        }
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let (udp, tcp) = match self.sockets {
            Some(sockets) => sockets,
            None => match self.listen(run)? {
                Ok(sockets) => {
                    self.sockets = Some(sockets);
                    self.start(run);
                    sockets
                }
                Err((proto, errno)) => {
                    let (addr, port) = self.bind;
                    run.print(format!(
                        "Listen: listen {proto} {addr}:{port}: bind: {}",
                        errno.text().to_lowercase()
                    ));
                    return Some(1);
                }
            },
        };
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(udp)) {
            let client = Client { from: d.from, way: Way::Udp(d.to), len: d.payload.len() };
            if let Some(status) = self.asked(run, &d.payload, client) {
                return Some(status);
            }
        }
        self.listen_to_servers(run);
        self.accept(run, tcp);
        if let Some(status) = self.listen_to_connections(run) {
            return Some(status);
        }
        // The probe's answer does not matter.
        if let Some(probing) = self.probing {
            while let Some(Some(_)) = run.kernel(|ns, _| ns.udp_recv(probing)) {}
        }
        None
    }
}

impl DnsServer {
    /// Binds its two sockets.
    fn listen(&self, run: &mut Run<'_, '_>) -> Option<Result<Sockets, (&'static str, Errno)>> {
        let bind = self.bind;
        let made = run.kernel(|ns, kcx| {
            let tcp = ns.tcp_listen(bind).map_err(|errno| ("tcp", errno))?;
            match ns.udp_bind(bind, kcx) {
                Ok(udp) => Ok((udp, tcp)),
                Err(errno) => {
                    ns.close(tcp);
                    Err(("udp", errno))
                }
            }
        })?;
        if let Ok((udp, tcp)) = made {
            run.own(udp);
            run.own(tcp);
        }
        Some(made)
    }

    fn accept(&mut self, run: &mut Run<'_, '_>, listener: SocketId) {
        while let Some(Some(socket)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
            let from = run.kernel(|ns, _| ns.tcp_info(socket)).flatten().map(|(.., from)| from);
            let from = from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            run.own(socket);
            let until = run.wake_after(FIRST_QUERY);
            self.open.push(Connection { socket, from, got: Vec::new(), busy: false, until });
        }
    }

    /// What was asked over connections. `Some` ends the server.
    fn listen_to_connections(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let mut at = 0;
        while let Some(c) = self.open.get_mut(at) {
            let socket = c.socket;
            let over = loop {
                match run.kernel(|ns, _| ns.tcp_recv(socket)) {
                    Some(Received::Data(data)) => c.got.extend(data),
                    Some(Received::Nothing) => break run.now() >= c.until,
                    _ => break true,
                }
            };
            if !c.busy
                && let Some(query) = dns_stream::take(&mut c.got)
            {
                c.busy = true;
                c.until = run.wake_after(NEXT_QUERY);
                let client = Client { from: c.from, way: Way::Tcp(socket), len: query.len() };
                if let Some(status) = self.asked(run, &query, client) {
                    return Some(status);
                }
            } else if over && !c.busy {
                run.close_tcp(socket);
                self.open.remove(at);
            } else {
                at += 1;
            }
        }
        None
    }

    /// A connection may ask its next query.
    fn done(&mut self, run: &mut Run<'_, '_>, client: Client) {
        let Way::Tcp(socket) = client.way else { return };
        if let Some(c) = self.open.iter_mut().find(|c| c.socket == socket) {
            c.busy = false;
            c.until = run.wake_after(NEXT_QUERY);
        }
    }

    /// CoreDNS's first lines, and the probe of the plugin loop.
    fn start(&mut self, run: &mut Run<'_, '_>) {
        let port = self.bind.1;
        for block in &self.blocks {
            for zone in &block.zones {
                run.print(format!("{zone}.:{port}"));
            }
        }
        let Some(block) = self.blocks.iter().find(|b| b.detects_loop) else { return };
        let zone = block.zones.first().cloned().unwrap_or_default();
        let (a, b) = (run.random() | 1, run.random() | 1);
        let dot = if zone.is_empty() { "" } else { "." };
        let Some(name) = DnsName::new(&format!("{a}.{b}{dot}{zone}")) else { return };
        let query = Dns::query(run.random() as u16, name.clone(), dns_type::HINFO);
        let to = if self.bind.0.is_unspecified() { Ipv4Addr::LOCALHOST } else { self.bind.0 };
        let sent = run.kernel(|ns, kcx| {
            let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
            ns.udp_connect(socket, (to, port))?;
            ns.udp_send(socket, None, None, query.to_bytes(), kcx)?;
            Ok::<_, Errno>(socket)
        });
        if let Some(Ok(socket)) = sent {
            run.own(socket);
            self.probing = Some(socket);
        }
        self.probe = Some((name, 0));
    }

    /// A query came in. `Some` ends the server.
    fn asked(&mut self, run: &mut Run<'_, '_>, message: &[u8], client: Client) -> Option<i32> {
        let Some(query) = Dns::parse(message).filter(|q| !q.response) else {
            self.done(run, client);
            return None;
        };
        let Some(question) = query.questions.first() else {
            self.reply(run, client, &query, Dns { rcode: rcode::FORMERR, ..query.answer() });
            return None;
        };
        let name = question.name.clone();
        // The block with the longest zone.
        let longest = |b: &ServerBlock| {
            b.zones.iter().filter(|z| name.below(z).is_some()).map(|z| z.len() + 1).max().unwrap_or(0)
        };
        let best = self
            .blocks
            .iter()
            .enumerate()
            .map(|(i, b)| (longest(b), i))
            .max_by_key(|(len, i)| (*len, usize::MAX - i));
        let Some((1.., block)) = best else {
            self.reply(run, client, &query, Dns { rcode: rcode::REFUSED, ..query.answer() });
            return None;
        };
        match self.answer(run, block, &query, client) {
            Ok(said) => self.said(run, block, &query, client, said),
            Err(status) => return Some(status),
        }
        None
    }

    /// Asks the plugins of a block in turn. `Err` ends the server.
    fn answer(&mut self, run: &mut Run<'_, '_>, at: usize, query: &Dns, client: Client) -> Result<Said, i32> {
        let (Some(block), Some(question)) = (self.blocks.get(at), query.questions.first()) else {
            return Ok(Said::Failed(String::new()));
        };
        let mut last = "";
        if block.cache.is_some() {
            last = "cache";
            if let Some(answer) = self.kept(run.now(), at, query) {
                return Ok(Said::Answer(answer));
            }
        }
        for table in &block.tables {
            last = "kubernetes";
            if table.zones.iter().any(|z| question.name.below(z).is_some())
                && let Some(answer) = table.answer(query)
            {
                return Ok(Said::Answer(answer));
            }
        }
        if block.detects_loop {
            last = "loop";
            if let Some((name, seen)) = &mut self.probe
                && *name == question.name
                && question.kind == dns_type::HINFO
            {
                *seen += 1;
                if *seen > LOOP_SEEN {
                    let zone = block.zones.first().cloned().unwrap_or_default();
                    let (from, port) = (format!("{}:{}", client.from.0, client.from.1), self.bind.1);
                    run.print(format!(
                        "[FATAL] plugin/loop: Loop ({from} -> :{port}) detected for zone \"{zone}.\", see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO {name}\""
                    ));
                    return Err(1);
                }
            }
        }
        match &block.forward {
            Some(forward) if question.name.below(&forward.zone).is_some() => {
                let forward = forward.clone();
                Ok(self.send_on(run, at, query, client, &forward, 0, run.now()))
            }
            Some(_) => Ok(Said::Failed("plugin/forward: no next plugin found".to_owned())),
            // A table that falls through, or none: nobody is left to ask.
            None if last.is_empty() => Ok(Said::Answer(Dns { rcode: rcode::REFUSED, ..query.answer() })),
            None => Ok(Said::Failed(format!("plugin/{last}: no next plugin found"))),
        }
    }

    fn said(&mut self, run: &mut Run<'_, '_>, block: usize, query: &Dns, client: Client, said: Said) {
        let Some(b) = self.blocks.get(block) else { return };
        let (errors, log, shuffles, cache) = (b.errors, b.log, b.loadbalance, b.cache);
        let Some(question) = query.questions.first() else { return };
        let what = format!("{} {}", question.name, type_name(question.kind));
        let mut answer = match said {
            Said::Later => return,
            Said::Failed(why) => {
                if errors {
                    run.print(format!("[ERROR] plugin/errors: {} {what}: {why}", rcode::SERVFAIL));
                }
                Dns { rcode: rcode::SERVFAIL, ..query.answer() }
            }
            Said::Answer(answer) => {
                if let Some(limit) = cache {
                    self.keep(run.now(), block, query, &answer, limit);
                }
                answer
            }
        };
        if shuffles {
            shuffle(&mut answer.answers, run);
        }
        if log {
            let from = client.from;
            run.print(format!(
                "[INFO] {}:{} - {} \"{} IN {} {} {} false {}\" {} {} {} 0.000000000s",
                from.0,
                from.1,
                query.id,
                type_name(question.kind),
                question.name,
                client.proto(),
                client.len,
                client.room(query),
                rcode_name(answer.rcode),
                flags(&answer),
                answer.to_plain_bytes().len()
            ));
        }
        self.reply(run, client, query, answer);
    }

    /// Sends an answer: with EDNS if the query has it, and cut to what the client takes.
    fn reply(&mut self, run: &mut Run<'_, '_>, client: Client, query: &Dns, mut answer: Dns) {
        answer.additional.retain(|r| r.kind != dns_type::OPT);
        if let Some(opt) = edns(query) {
            // The client's own record, without options and flags that nobody heeds (request.SizeAndDo).
            answer.additional.push(DnsRecord { ttl: 0, data: DnsData::Raw(Vec::new()), ..opt.clone() });
        }
        let bytes = fitted(answer, client.room(query));
        match client.way {
            Way::Udp(from) => {
                let Some((socket, _)) = self.sockets else { return };
                run.kernel(|ns, kcx| {
                    let _ = ns.udp_send(socket, Some(client.from), Some(from), bytes, kcx);
                });
            }
            Way::Tcp(socket) => {
                run.kernel(|ns, kcx| {
                    let _ = ns.tcp_send(socket, &dns_stream::framed(&bytes), kcx);
                });
            }
        }
        self.done(run, client);
    }

    // ------------------------------------------------------------------ forward

    #[allow(clippy::too_many_arguments, reason = "what a query is, and how far it has come")]
    fn send_on(
        &mut self,
        run: &mut Run<'_, '_>,
        block: usize,
        query: &Dns,
        client: Client,
        forward: &Forward,
        tries: usize,
        begun: Instant,
    ) -> Said {
        let Some(to) = forward.to.get(tries % forward.to.len().max(1)).copied() else {
            return Said::Failed("no healthy proxies".to_owned());
        };
        let sent = match client.way {
            Way::Udp(_) => datagram(run, to, query),
            Way::Tcp(_) => Stream::open(run, to, &[query.to_bytes()]).map(Upstream::Tcp),
        };
        let way = match sent {
            Ok(way) => way,
            Err(errno) => {
                let nowhere = (Ipv4Addr::UNSPECIFIED, 0);
                return Said::Failed(Failure::Dial(errno).text(client.proto(), nowhere, to));
            }
        };
        let local = run.kernel(|ns, _| match &way {
            Upstream::Udp(socket) => ns.udp_local(*socket),
            Upstream::Tcp(stream) => ns.tcp_info(stream.socket).map(|(_, local, _)| local),
        });
        let local = local.flatten().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        let until = run.wake_after(READ_TIMEOUT);
        let query = query.clone();
        self.pending.push(Pending { block, query, client, way, to, local, tries: tries + 1, until, begun });
        Said::Later
    }

    fn listen_to_servers(&mut self, run: &mut Run<'_, '_>) {
        for mut p in std::mem::take(&mut self.pending) {
            let why = match p.way.listen(run, p.query.id) {
                Some(Ok(answer)) => {
                    p.way.close(run);
                    self.said(run, p.block, &p.query, p.client, Said::Answer(answer));
                    continue;
                }
                Some(Err(why)) => why,
                None if run.now() < p.until => {
                    self.pending.push(p);
                    continue;
                }
                None => Failure::Timeout,
            };
            p.way.close(run);
            let forward = self.blocks.get(p.block).and_then(|b| b.forward.clone());
            let late = run.now().since(p.begun) >= FORWARD_TIMEOUT;
            let said = match forward {
                Some(forward) if !late => {
                    self.send_on(run, p.block, &p.query, p.client, &forward, p.tries, p.begun)
                }
                _ => Said::Failed(why.text(p.client.proto(), p.local, p.to)),
            };
            self.said(run, p.block, &p.query, p.client, said);
        }
    }

    // ------------------------------------------------------------------ cache

    /// An answer that was kept, with what is left of its time.
    fn kept(&self, now: Instant, block: usize, query: &Dns) -> Option<Dns> {
        let question = query.questions.first()?;
        let fits = |k: &&Kept| {
            k.block == block && k.kind == question.kind && question.name.is(&k.name) && k.until > now
        };
        let kept = self.cache.iter().find(fits)?;
        let age = u32::try_from(now.since(kept.at).as_secs()).unwrap_or(u32::MAX);
        let mut answer = Dns { id: query.id, questions: query.questions.clone(), ..kept.answer.clone() };
        for r in answer.answers.iter_mut().chain(&mut answer.authority).chain(&mut answer.additional) {
            r.ttl = r.ttl.saturating_sub(age);
        }
        Some(answer)
    }

    fn keep(&mut self, now: Instant, block: usize, query: &Dns, answer: &Dns, limit: u32) {
        let Some(question) = query.questions.first() else { return };
        let good = answer.rcode == rcode::NOERROR || answer.rcode == rcode::NXDOMAIN;
        let list = if answer.answers.is_empty() { &answer.authority } else { &answer.answers };
        let known = self.cache.iter().any(|k| {
            k.block == block && k.kind == question.kind && question.name.is(&k.name) && k.until > now
        });
        let Some(ttl) = list.iter().map(|r| r.ttl).min().filter(|_| good && !known && !answer.truncated)
        else {
            return;
        };
        self.cache.retain(|k| k.until > now);
        let until = now + Duration::from_secs(u64::from(ttl.min(limit)));
        let name = question.name.as_str().to_owned();
        self.cache.push(Kept { block, name, kind: question.kind, answer: answer.clone(), at: now, until });
    }
}

/// Sends a query from a socket of its own.
fn datagram(run: &mut Run<'_, '_>, to: (Ipv4Addr, u16), query: &Dns) -> Result<Upstream, Errno> {
    let bytes = query.to_bytes();
    let sent = run.kernel(|ns, kcx| {
        let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
        let done = ns.udp_connect(socket, to).and_then(|()| ns.udp_send(socket, None, None, bytes, kcx));
        if let Err(errno) = done {
            ns.close(socket);
            return Err(errno);
        }
        Ok(socket)
    });
    let socket = sent.unwrap_or(Err(Errno::EINVAL))?;
    run.own(socket);
    Ok(Upstream::Udp(socket))
}

/// The bytes of an answer for somebody who takes so many. Names are compressed only if it would not fit otherwise; what does not
/// fit then either is left out from the end, but for EDNS, and the answer says so (miekg/dns, `Truncate`).
fn fitted(mut answer: Dns, room: usize) -> Vec<u8> {
    let plain = answer.to_plain_bytes();
    if plain.len() <= room {
        let long = room < MESSAGE && plain.len() > UNFRAGMENTED;
        return if long { answer.to_bytes() } else { plain };
    }
    let mut bytes = answer.to_bytes();
    while bytes.len() > room {
        let last = answer.additional.iter().rposition(|r| r.kind != dns_type::OPT);
        if let Some(last) = last {
            answer.additional.remove(last);
        } else if answer.authority.pop().is_none() && answer.answers.pop().is_none() {
            break;
        }
        answer.truncated = true;
        bytes = answer.to_bytes();
    }
    bytes
}

/// The flags of an answer as the plugin log has them.
fn flags(answer: &Dns) -> String {
    let flags = [
        (answer.response, "qr"),
        (answer.authoritative, "aa"),
        (answer.truncated, "tc"),
        (answer.recursion_desired, "rd"),
        (answer.recursion_available, "ra"),
        (answer.authentic, "ad"),
        (answer.checking_disabled, "cd"),
    ];
    let set: Vec<&str> = flags.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    set.join(",")
}

/// `loadbalance round_robin`: A and AAAA change places among themselves.
fn shuffle(records: &mut [DnsRecord], run: &mut Run<'_, '_>) {
    let is_address = |r: &DnsRecord| r.kind == dns_type::A || r.kind == dns_type::AAAA;
    let places: Vec<usize> = (0..records.len()).filter(|i| records.get(*i).is_some_and(is_address)).collect();
    for (i, from) in places.iter().enumerate() {
        let left = u32::try_from(places.len() - i).unwrap_or(1);
        let to = i + (run.random() % left.max(1)) as usize;
        if let Some(to) = places.get(to) {
            records.swap(*from, *to);
        }
    }
}

impl Table {
    /// The answer to a query for a name in its zones. `None` if it is a matter of the next plugin.
    pub fn answer(&self, query: &Dns) -> Option<Dns> {
        let question = query.questions.first()?;
        let name = question.name.as_str();
        let mut answer = Dns { authoritative: true, ..query.answer() };
        let own: Vec<&DnsRecord> = self.records.iter().filter(|r| r.name.is(name)).collect();
        let alias = own.iter().find(|r| r.kind == dns_type::CNAME && question.kind != dns_type::CNAME);
        if let Some(alias) = alias {
            answer.answers.push((*alias).clone());
            if let DnsData::Name(target) = &alias.data {
                let target = self.records.iter().filter(|r| r.name == *target && r.kind == question.kind);
                answer.answers.extend(target.cloned());
            }
            return Some(answer);
        }
        let wanted = |r: &&&DnsRecord| r.kind == question.kind || question.kind == dns_type::ANY;
        answer.answers = own.iter().filter(wanted).map(|r| (*r).clone()).collect();
        if question.kind == dns_type::A && self.pods_insecure {
            answer.answers.extend(self.pod(&question.name));
        }
        for r in &answer.answers {
            // Where a service is, with its addresses.
            if let DnsData::Srv(_, _, _, target) = &r.data {
                let known = self.records.iter().filter(|r| r.name == *target && r.kind == dns_type::A);
                answer.additional.extend(known.cloned());
            }
        }
        if !answer.answers.is_empty() {
            return Some(answer);
        }
        let below = |r: &DnsRecord| r.name.below(name).is_some();
        let is_pod = self.pods_insecure && self.pod(&question.name).is_some();
        let zone = self.zones.iter().find(|z| question.name.below(z).is_some())?;
        let is_there = self.records.iter().any(below) || question.name.is(zone) || is_pod;
        if !is_there && self.fallthrough.iter().any(|z| question.name.below(z).is_some()) {
            return None;
        }
        answer.rcode = if is_there { rcode::NOERROR } else { rcode::NXDOMAIN };
        answer.authority.push(self.soa(zone)?);
        Some(answer)
    }

    /// The address that the name of a pod tells.
    fn pod(&self, name: &DnsName) -> Option<DnsRecord> {
        let zone = self.zones.iter().find(|z| name.below(z).is_some())?;
        let mut labels = name.below(zone)?.split('.');
        let (dashed, namespace, pod) = (labels.next()?, labels.next()?, labels.next()?);
        if labels.next().is_some() || namespace.is_empty() || !pod.eq_ignore_ascii_case("pod") {
            return None;
        }
        let addr = dashed.replace('-', ".").parse().ok()?;
        Some(DnsRecord {
            name: name.clone(),
            kind: dns_type::A,
            class: 1,
            ttl: self.ttl,
            data: DnsData::A(addr),
        })
    }

    fn soa(&self, zone: &str) -> Option<DnsRecord> {
        let name = |head: &str| DnsName::new(&format!("{head}.{zone}"));
        let numbers = [1, 7200, 1800, 86400, self.ttl];
        let data = DnsData::Soa(Box::new((name("ns.dns")?, name("hostmaster")?, numbers)));
        Some(DnsRecord { name: DnsName::new(zone)?, kind: dns_type::SOA, class: 1, ttl: self.ttl, data })
    }

    /// A table of lines `NAME TYPE DATA`, such as `www.example.com A 192.0.2.80`; names are below the zone or the zone itself.
    ///
    /// # Errors
    /// Names the line and what was expected.
    pub fn parse(zone: &str, ttl: u32, text: &str) -> Result<Table, String> {
        let mut records = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, kind, data @ ..] = words.as_slice() else {
                if words.is_empty() {
                    continue;
                }
                return Err(format!("line {number}: expected NAME TYPE DATA"));
            };
            let expected = |what: &str| format!("line {number}: expected {what} behind {kind}");
            let target =
                |text: Option<&&str>| text.and_then(|t| DnsName::new(t)).ok_or_else(|| expected("a name"));
            let (kind, data) = match *kind {
                "A" => {
                    let addr = data.first().and_then(|t| t.parse().ok());
                    (dns_type::A, DnsData::A(addr.ok_or_else(|| expected("an IPv4 address"))?))
                }
                "AAAA" => {
                    let addr = data.first().and_then(|t| t.parse().ok());
                    (dns_type::AAAA, DnsData::Aaaa(addr.ok_or_else(|| expected("an IPv6 address"))?))
                }
                "CNAME" => (dns_type::CNAME, DnsData::Name(target(data.first())?)),
                "PTR" => (dns_type::PTR, DnsData::Name(target(data.first())?)),
                "TXT" => (dns_type::TXT, DnsData::Txt(vec![data.join(" ").into_bytes()])),
                other => {
                    return Err(format!(
                        "line {number}: record type {other:?} is not modelled; A, AAAA, CNAME, PTR and TXT are"
                    ));
                }
            };
            let name = DnsName::new(name).filter(|n| n.below(zone).is_some());
            let name = name.ok_or_else(|| format!("line {number}: expected a name below {zone:?}"))?;
            records.push(DnsRecord { name, kind, class: 1, ttl, data });
        }
        Ok(Table { zones: vec![zone.to_owned()], records, ttl, ..Table::default() })
    }
}

/// The servers that /etc/resolv.conf names, for `forward . /etc/resolv.conf`.
pub fn servers_of(resolv_conf: &str) -> Vec<(Ipv4Addr, u16)> {
    super::resolve::ResolvConf::parse(resolv_conf)
        .unwrap_or_default()
        .servers
        .into_iter()
        .map(|a| (a, DNS_PORT))
        .collect()
}

/// The name of a record type.
pub(super) fn type_name(kind: u16) -> String {
    let name = match kind {
        dns_type::A => "A",
        dns_type::NS => "NS",
        dns_type::CNAME => "CNAME",
        dns_type::SOA => "SOA",
        dns_type::PTR => "PTR",
        dns_type::HINFO => "HINFO",
        dns_type::MX => "MX",
        dns_type::TXT => "TXT",
        dns_type::AAAA => "AAAA",
        dns_type::SRV => "SRV",
        dns_type::OPT => "OPT",
        dns_type::ANY => "ANY",
        n => return format!("TYPE{n}"),
    };
    name.to_owned()
}

/// The name of a response code.
pub(super) fn rcode_name(code: u8) -> String {
    let name = match code {
        rcode::NOERROR => "NOERROR",
        rcode::FORMERR => "FORMERR",
        rcode::SERVFAIL => "SERVFAIL",
        rcode::NXDOMAIN => "NXDOMAIN",
        rcode::NOTIMP => "NOTIMP",
        rcode::REFUSED => "REFUSED",
        n => return format!("RESERVED{n}"),
    };
    name.to_owned()
}

/// What a PTR record says of an address.
pub fn ptr(addr: Ipv4Addr, name: &DnsName, ttl: u32) -> Option<DnsRecord> {
    let owner = DnsName::new(&super::resolve::reverse_name(IpAddr::V4(addr)))?;
    Some(DnsRecord { name: owner, kind: dns_type::PTR, class: 1, ttl, data: DnsData::Name(name.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let text = "web.default.svc.cluster.local A 10.96.0.80\n\nalias.cluster.local CNAME web.default.svc.cluster.local\n";
        Table { pods_insecure: true, ..Table::parse("cluster.local", 5, text).unwrap() }
    }

    fn ask(name: &str, kind: u16) -> Dns {
        table().answer(&Dns::query(1, DnsName::new(name).unwrap(), kind)).unwrap()
    }

    #[test]
    fn a_name_without_that_record_is_there_nevertheless() {
        let answer = ask("web.default.svc.cluster.local", dns_type::AAAA);
        assert_eq!((answer.rcode, answer.answers.len(), answer.authority.len()), (rcode::NOERROR, 0, 1));
        assert_eq!(ask("default.svc.cluster.local", dns_type::A).rcode, rcode::NOERROR);
        assert_eq!(ask("nosuch.default.svc.cluster.local", dns_type::A).rcode, rcode::NXDOMAIN);
    }

    /// An answer with that many addresses, and EDNS.
    fn long(addresses: u8) -> Dns {
        let name = DnsName::new("web.default.svc.cluster.local").unwrap();
        let mut answer = Dns::query(1, name.clone(), dns_type::A).answer();
        let record = |name, kind, data| DnsRecord { name, kind, class: 1, ttl: 5, data };
        let a = |i| record(name.clone(), dns_type::A, DnsData::A(Ipv4Addr::new(10, 0, 0, i)));
        answer.answers = (0..addresses).map(a).collect();
        answer.additional = vec![record(DnsName::default(), dns_type::OPT, DnsData::Raw(Vec::new()))];
        answer
    }

    #[test]
    fn names_are_compressed_only_where_an_answer_would_not_fit() {
        // Head and question 47 bytes, EDNS 11, an address 16, or 45 with its name in full.
        assert_eq!(fitted(long(9), 512).len(), 47 + 11 + 9 * 45);
        assert_eq!(fitted(long(11), 512).len(), 47 + 11 + 11 * 16);
        // What would be cut into fragments is compressed even though it is taken.
        assert_eq!(fitted(long(33), 4096).len(), 47 + 11 + 33 * 16);
        assert_eq!(fitted(long(33), MESSAGE).len(), 47 + 11 + 33 * 45);
    }

    #[test]
    fn what_does_not_fit_is_left_out_but_for_edns() {
        let whole = Dns::parse(&fitted(long(28), 512)).unwrap();
        assert_eq!((whole.answers.len(), whole.truncated), (28, false));
        let cut = Dns::parse(&fitted(long(40), 512)).unwrap();
        assert_eq!((cut.answers.len(), cut.additional.len(), cut.truncated), (28, 1, true));
    }

    #[test]
    fn the_name_of_a_pod_tells_its_address() {
        let answer = ask("10-244-1-2.default.pod.cluster.local", dns_type::A);
        assert_eq!(super::super::resolve::addresses(&answer), [Ipv4Addr::new(10, 244, 1, 2)]);
        assert_eq!(ask("10-244-1.default.pod.cluster.local", dns_type::A).rcode, rcode::NXDOMAIN);
    }

    #[test]
    fn an_alias_comes_with_its_address() {
        assert_eq!(ask("alias.cluster.local", dns_type::A).answers.len(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        assert_eq!(
            Table::parse("x", 5, "a.x A nonsense").unwrap_err(),
            "line 1: expected an IPv4 address behind A"
        );
        assert!(Table::parse("x", 5, "\na.y A 1.2.3.4").unwrap_err().starts_with("line 2:"));
        assert!(Table::parse("x", 5, "a.x MX 1").unwrap_err().contains("not modelled"));
    }
}
