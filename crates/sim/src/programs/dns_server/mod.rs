//! A DNS server with CoreDNS's plugins. It takes plain tables: who knows Kubernetes makes them.
//!
//! Plugins are asked in CoreDNS's own order (plugin.cfg), whatever the order in the Corefile. DNSSEC and zone transfers are not
//! modelled.

mod cache;
mod forward;
mod message;
mod table;
mod upstream;

pub use forward::{Forward, servers_of};
pub(crate) use message::rcode_name;
pub(super) use message::{flags, type_name};
pub use table::{Table, ptr};

use super::dns_stream;
use super::{Program, Run};
use cache::Cache;
use forward::Pending;
use kernel::socket::{Errno, Received};
use kernel::{Instant, SocketId};
use message::{DATAGRAM, MESSAGE, edns, fitted, shuffle};
use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;
use upstream::Pool;

/// What `ps` shows of it.
pub(super) const COMMAND: &str = "/coredns -conf /etc/coredns/Corefile";

/// How long a TCP connection is waited for its first query, and for each that follows (core/dnsserver).
const FIRST_QUERY: Duration = Duration::from_secs(3);
const NEXT_QUERY: Duration = Duration::from_secs(10);
/// A probe of the plugin loop that comes in more often than this tells of a loop.
const LOOP_SEEN: u32 = 2;

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
    /// `disable` of `cache`: whether refusals or answers, and below which zone they are not kept.
    pub uncached: Vec<(bool, String)>,
    /// `kubernetes`, `hosts` and `file`: tables in the order in which they are asked.
    pub tables: Vec<Rc<Table>>,
    /// `loop`: looks for a loop when it starts.
    pub detects_loop: bool,
    /// `forward`: the first that takes a name sends it on.
    pub forward: Vec<Forward>,
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
    cache: Cache,
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
            cache: Cache::default(),
            probe: None,
            probing: None,
        }
    }
}

impl Program for DnsServer {
    fn name(&self) -> &str {
        "coredns"
    }

    fn command(&self) -> Option<String> {
        Some(COMMAND.to_owned())
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
                        errno.text().to_ascii_lowercase()
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
            if let Some(answer) = self.cache.get(run.now(), at, query) {
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
        if !block.forward.is_empty() {
            last = "forward";
        }
        match self.forward_of(at, query) {
            Some(forward) => Ok(self.send_on(run, at, query, client, &forward, 0, run.now())),
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
                let denial = answer.answers.is_empty();
                let kept = |(d, zone): &(bool, String)| *d != denial || question.name.below(zone).is_none();
                if let Some(limit) = cache.filter(|_| b.uncached.iter().all(kept)) {
                    self.cache.keep(run.now(), block, query, &answer, limit);
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
}
