//! A DNS server with CoreDNS's plugins. It takes plain tables: who knows Kubernetes makes them.
//!
//! Plugins are asked in CoreDNS's own order (plugin.cfg), whatever the order in the Corefile. Answers over TCP, DNSSEC and zone
//! transfers are not modelled.

use super::resolve::DNS_PORT;
use super::{Program, Run};
use kernel::socket::{Datagram, Errno};
use kernel::{Instant, SocketId};
use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

/// How long `forward` waits for one answer, and how long it tries altogether (plugin/forward).
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const FORWARD_TIMEOUT: Duration = Duration::from_secs(5);
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

/// A server that is asked over UDP.
#[derive(Clone, Debug)]
pub struct DnsServer {
    bind: (Ipv4Addr, u16),
    blocks: Vec<ServerBlock>,
    socket: Option<SocketId>,
    pending: Vec<Pending>,
    cache: Vec<Kept>,
    /// The probe of `loop`: its name, and how often it came in.
    probe: Option<(DnsName, u32)>,
    probing: Option<SocketId>,
}

/// A query that was sent on.
#[derive(Clone, Debug)]
struct Pending {
    block: usize,
    query: Dns,
    client: Datagram,
    socket: SocketId,
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
            socket: None,
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
        let socket = match self.socket {
            Some(socket) => socket,
            None => {
                let bind = self.bind;
                match run.kernel(|ns, kcx| ns.udp_bind(bind, kcx))? {
                    Ok(socket) => {
                        run.own(socket);
                        self.socket = Some(socket);
                        self.start(run);
                        socket
                    }
                    Err(errno) => {
                        let (addr, port) = bind;
                        run.print(format!(
                            "Listen: listen udp {addr}:{port}: bind: {}",
                            errno.text().to_lowercase()
                        ));
                        return Some(1);
                    }
                }
            }
        };
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(socket)) {
            if let Some(status) = self.asked(run, d) {
                return Some(status);
            }
        }
        self.listen_to_servers(run);
        // The probe's answer does not matter.
        if let Some(probing) = self.probing {
            while let Some(Some(_)) = run.kernel(|ns, _| ns.udp_recv(probing)) {}
        }
        None
    }
}

impl DnsServer {
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
    fn asked(&mut self, run: &mut Run<'_, '_>, d: Datagram) -> Option<i32> {
        let query = Dns::parse(&d.payload).filter(|q| !q.response)?;
        let Some(question) = query.questions.first() else {
            self.reply(run, &d, &Dns { rcode: rcode::FORMERR, ..query.answer() });
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
            self.reply(run, &d, &Dns { rcode: rcode::REFUSED, ..query.answer() });
            return None;
        };
        match self.answer(run, block, &query, &d) {
            Ok(said) => self.said(run, block, &query, &d, said),
            Err(status) => return Some(status),
        }
        None
    }

    /// Asks the plugins of a block in turn. `Err` ends the server.
    fn answer(
        &mut self,
        run: &mut Run<'_, '_>,
        at: usize,
        query: &Dns,
        client: &Datagram,
    ) -> Result<Said, i32> {
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

    fn said(&mut self, run: &mut Run<'_, '_>, block: usize, query: &Dns, client: &Datagram, said: Said) {
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
            let (from, len) = (client.from, client.payload.len());
            run.print(format!(
                "[INFO] {}:{} - {} \"{} IN {} udp {len} false 512\" {} - {} 0.000000000s",
                from.0,
                from.1,
                query.id,
                type_name(question.kind),
                question.name,
                rcode_name(answer.rcode),
                answer.to_bytes().len()
            ));
        }
        self.reply(run, client, &answer);
    }

    fn reply(&self, run: &mut Run<'_, '_>, client: &Datagram, answer: &Dns) {
        let Some(socket) = self.socket else { return };
        let (to, from, bytes) = (client.from, client.to, answer.to_bytes());
        run.kernel(|ns, kcx| {
            let _ = ns.udp_send(socket, Some(to), Some(from), bytes, kcx);
        });
    }

    // ------------------------------------------------------------------ forward

    #[allow(clippy::too_many_arguments, reason = "what a query is, and how far it has come")]
    fn send_on(
        &mut self,
        run: &mut Run<'_, '_>,
        block: usize,
        query: &Dns,
        client: &Datagram,
        forward: &Forward,
        tries: usize,
        begun: Instant,
    ) -> Said {
        let Some(to) = forward.to.get(tries % forward.to.len().max(1)).copied() else {
            return Said::Failed("no healthy proxies".to_owned());
        };
        let bytes = query.to_bytes();
        let sent = run.kernel(|ns, kcx| {
            let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
            let done = ns.udp_connect(socket, to).and_then(|()| ns.udp_send(socket, None, None, bytes, kcx));
            if let Err(errno) = done {
                ns.close(socket);
                return Err(errno);
            }
            Ok((socket, ns.udp_local(socket)))
        });
        let (socket, local) = match sent {
            Some(Ok((socket, local))) => (socket, local.unwrap_or((Ipv4Addr::UNSPECIFIED, 0))),
            Some(Err(errno)) => {
                return Said::Failed(format!(
                    "dial udp {}:{}: connect: {}",
                    to.0,
                    to.1,
                    errno.text().to_lowercase()
                ));
            }
            None => return Said::Later,
        };
        run.own(socket);
        let until = run.wake_after(READ_TIMEOUT);
        let (query, client) = (query.clone(), client.clone());
        self.pending.push(Pending {
            block,
            query,
            client,
            socket,
            to,
            local,
            tries: tries + 1,
            until,
            begun,
        });
        Said::Later
    }

    fn listen_to_servers(&mut self, run: &mut Run<'_, '_>) {
        for p in std::mem::take(&mut self.pending) {
            let socket = p.socket;
            let error = run.kernel(|ns, _| ns.take_error(socket)).flatten();
            let why = match (error, run.kernel(|ns, _| ns.udp_recv(socket)).flatten()) {
                (Some(e), _) => format!("read: {}", e.errno.text().to_lowercase()),
                (None, Some(d)) => {
                    match Dns::parse(&d.payload).filter(|a| a.response && a.id == p.query.id) {
                        Some(answer) => {
                            run.close(socket);
                            self.said(run, p.block, &p.query, &p.client, Said::Answer(answer));
                            continue;
                        }
                        None => {
                            self.pending.push(p);
                            continue;
                        }
                    }
                }
                (None, None) if run.now() < p.until => {
                    self.pending.push(p);
                    continue;
                }
                (None, None) => "i/o timeout".to_owned(),
            };
            run.close(socket);
            let forward = self.blocks.get(p.block).and_then(|b| b.forward.clone());
            let late = run.now().since(p.begun) >= FORWARD_TIMEOUT;
            let said = match forward {
                Some(forward) if !late => {
                    self.send_on(run, p.block, &p.query, &p.client, &forward, p.tries, p.begun)
                }
                _ => {
                    let ((a, b), (c, d)) = (p.local, p.to);
                    Said::Failed(format!("read udp {a}:{b}->{c}:{d}: {why}"))
                }
            };
            self.said(run, p.block, &p.query, &p.client, said);
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
