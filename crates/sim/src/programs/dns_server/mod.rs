//! A DNS server with CoreDNS's plugins. It takes plain tables: who knows Kubernetes makes them.
//!
//! Plugins are asked in CoreDNS's own order (plugin.cfg), whatever the order in the Corefile. DNSSEC and zone transfers are not
//! modelled.

mod message;
mod table;
mod upstream;

pub(super) use message::{flags, rcode_name, type_name};
pub use table::{Table, ptr};

use super::dns_stream::{self, Stream};
use super::resolve::DNS_PORT;
use super::{Program, Run};
use kernel::socket::{Errno, Received};
use kernel::{Instant, SocketId};
use message::{DATAGRAM, MESSAGE, edns, fitted, shuffle};
use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;
use upstream::{Failure, Line, Pool, Upstream, datagram};

/// How long `forward` waits for one answer, and how long it tries altogether (plugin/forward).
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const FORWARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TCP connection is waited for its first query, and for each that follows (core/dnsserver).
const FIRST_QUERY: Duration = Duration::from_secs(3);
const NEXT_QUERY: Duration = Duration::from_secs(10);
/// A probe of the plugin loop that comes in more often than this tells of a loop.
const LOOP_SEEN: u32 = 2;

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
    pool: Option<Pool>,
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

/// A query that was sent on.
#[derive(Clone, Debug)]
struct Pending {
    block: usize,
    query: Dns,
    client: Client,
    way: Upstream,
    /// The socket was used before.
    reused: bool,
    to: (Ipv4Addr, u16),
    local: (Ipv4Addr, u16),
    /// How many servers were tried.
    tries: usize,
    until: Instant,
    begun: Instant,
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
            pool: None,
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
                    self.pool = Some(Pool::new(run.now()));
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
        if let Some(pool) = &mut self.pool {
            pool.look(run);
        }
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
                flags(&answer).join(","),
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
        let line = Line { block, to, tcp: matches!(client.way, Way::Tcp(_)) };
        let kept = self.pool.as_mut().and_then(|pool| pool.ask(run, line, query));
        if let Some(Err(_)) = kept {
            return self.send_on(run, block, query, client, forward, tries + 1, begun);
        }
        let reused = kept.is_some();
        let sent = match (kept, client.way) {
            (Some(way), _) => way,
            (None, Way::Udp(_)) => datagram(run, to, query),
            (None, Way::Tcp(_)) => Stream::open(run, to, &[query.to_bytes()]).map(Upstream::Tcp),
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
        let tries = tries + 1;
        self.pending.push(Pending { block, query, client, way, reused, to, local, tries, until, begun });
        Said::Later
    }

    fn listen_to_servers(&mut self, run: &mut Run<'_, '_>) {
        for mut p in std::mem::take(&mut self.pending) {
            let why = match p.way.listen(run, p.query.id) {
                Some(Ok(answer)) => {
                    let line = Line { block: p.block, to: p.to, tcp: matches!(p.client.way, Way::Tcp(_)) };
                    match &mut self.pool {
                        Some(pool) => pool.give(run, line, p.way),
                        None => p.way.close(run),
                    }
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
            // A server that has closed a connection which was kept is asked once more, by another.
            let tries = p.tries - usize::from(p.reused && why == Failure::Eof);
            let said = match forward {
                Some(forward) if !late => {
                    self.send_on(run, p.block, &p.query, p.client, &forward, tries, p.begun)
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

/// The servers that /etc/resolv.conf names, for `forward . /etc/resolv.conf`.
pub fn servers_of(resolv_conf: &str) -> Vec<(Ipv4Addr, u16)> {
    super::resolve::ResolvConf::parse(resolv_conf)
        .unwrap_or_default()
        .servers
        .into_iter()
        .map(|a| (a, DNS_PORT))
        .collect()
}
