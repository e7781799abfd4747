//! Names of hosts: /etc/hosts, /etc/resolv.conf, and the stub resolver of glibc (getaddrinfo(3), resolv.conf(5)).

mod conf;

pub use conf::{ResolvConf, in_hosts_file, name_of};

use super::Run;
use super::dns_stream::Stream;
use kernel::socket::Errno;
use kernel::{Instant, SocketId};
use packet::{Dns, DnsData, DnsName, dns_type, rcode};
use std::net::{IpAddr, Ipv4Addr};

/// The port of DNS.
pub const DNS_PORT: u16 = 53;

/// Why a name has no address (getaddrinfo(3)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAddress {
    /// `EAI_NONAME`: nobody knows it.
    Unknown,
    /// `EAI_NODATA`: it has no address of that family.
    NoData,
    /// `EAI_AGAIN`: no server answers, or they fail.
    Again,
    /// The resolver's file asks for what is not modelled.
    NotModelled(String),
}

impl NoAddress {
    /// The text of gai_strerror(3).
    pub fn text(&self) -> &str {
        match self {
            NoAddress::Unknown => "Name or service not known",
            NoAddress::NoData => "No address associated with hostname",
            NoAddress::Again => "Temporary failure in name resolution",
            NoAddress::NotModelled(why) => why,
        }
    }
}

/// inet_aton(3): one to four numbers, decimal, octal (`0`) or hexadecimal (`0x`), of which the last fills what is left.
pub fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| {
        let (digits, radix) = match part.strip_prefix("0x").or(part.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None => (part, if part.starts_with('0') { 8 } else { 10 }),
        };
        u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
    };
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let room = 32 - 8 * u32::try_from(first.len()).ok().filter(|n| *n < 4)?;
    if first.iter().any(|p| *p > 255) || u64::from(*last) >> room != 0 {
        return None;
    }
    let head = first.iter().fold(0_u64, |n, p| n << 8 | u64::from(*p));
    Some(Ipv4Addr::from_bits((head << room) as u32 | last))
}

/// A name that is being looked up.
#[derive(Clone, Debug)]
pub struct Lookup {
    conf: ResolvConf,
    names: Vec<String>,
    /// AAAA is asked too.
    both: bool,
    /// Which name, which attempt, which server.
    at: (usize, u32, usize),
    /// The server that is the first for this name; `rotate` moves it on with each name.
    first: usize,
    /// This name is asked for over TCP.
    circuit: bool,
    asking: Option<Way>,
    /// Sockets of servers that were silent: they are asked again from the same ones, until the name changes (`nssocks`).
    kept: Vec<(Ipv4Addr, SocketId)>,
    found: Option<Result<Vec<Ipv4Addr>, NoAddress>>,
    /// Some server failed, some name had no such record.
    failed: bool,
    no_data: bool,
}

/// How a server is asked.
#[derive(Clone, Debug)]
enum Way {
    /// Over UDP.
    Datagrams(Asking),
    /// Over TCP, all questions at once (`send_vc`). Nothing limits how long that takes but the kernel.
    Circuit { stream: Stream, questions: Questions },
}

/// The questions about a name, A and perhaps AAAA, by their identifiers, and what was answered.
#[derive(Clone, Debug)]
struct Questions {
    ids: [u16; 2],
    both: bool,
    answers: [Option<Dns>; 2],
}

impl Questions {
    /// Notes an answer to one of them; false if it is none.
    fn take(&mut self, dns: &Dns) -> bool {
        let Some(which) = self.ids.iter().position(|id| *id == dns.id) else { return false };
        if let Some(place) = self.answers.get_mut(which) {
            *place = Some(dns.clone());
        }
        true
    }

    /// The answers, once they are all there.
    fn all(&self) -> Option<Vec<Dns>> {
        let answers = self.some();
        (answers.len() > usize::from(self.both)).then_some(answers)
    }

    fn some(&self) -> Vec<Dns> {
        self.answers.iter().flatten().cloned().collect()
    }
}

/// A server that is asked over UDP: A, then AAAA.
#[derive(Clone, Debug)]
struct Asking {
    server: Ipv4Addr,
    socket: SocketId,
    /// The second socket of `single-request-reopen`.
    other: Option<SocketId>,
    questions: Questions,
    /// The second question has left.
    second: bool,
    until: Instant,
}

/// What became of one server.
enum Said {
    /// It has answered all.
    Answers(Vec<Dns>),
    /// It fails (SERVFAIL, REFUSED, NOTIMP).
    Fails,
    /// It cannot be reached.
    Nothing,
    /// It says nothing in time.
    Silent,
    /// It has answered one of two questions in time.
    Half(Vec<Dns>),
    /// An answer was cut: it is to be asked again over TCP, with the same identifiers.
    Truncated([u16; 2]),
}

impl Lookup {
    /// Looks a name up on this box; with `both` the two families, as getaddrinfo(3) with `AF_UNSPEC` does.
    pub fn new(run: &mut Run<'_, '_>, name: &str, both: bool) -> Lookup {
        let conf = run.file("/etc/resolv.conf").map_or(Ok(ResolvConf::default()), ResolvConf::parse);
        let known = run.file("/etc/hosts").and_then(|text| in_hosts_file(text, name));
        let known = known.or(name.eq_ignore_ascii_case("localhost").then_some(Ipv4Addr::LOCALHOST));
        let found = match (inet_aton(name).or(known), &conf) {
            (Some(addr), _) => Some(Ok(vec![addr])),
            (None, Err(why)) => Some(Err(NoAddress::NotModelled(why.clone()))),
            // A name that DNS cannot carry, or one that looks like a broken address, is nobody's.
            (None, _) if DnsName::new(name).is_none() || name.is_empty() => Some(Err(NoAddress::Unknown)),
            // Without the file nobody is asked.
            (None, _) if run.file("/etc/resolv.conf").is_none() => Some(Err(NoAddress::Unknown)),
            _ => None,
        };
        let conf = conf.unwrap_or_default();
        let names = conf.candidates(name);
        // Where a process begins is chance (nameserver_offset).
        let first = if conf.rotate && conf.servers.len() > 1 && found.is_none() {
            run.random() as usize % conf.servers.len()
        } else {
            0
        };
        Lookup {
            both: both && !conf.no_aaaa,
            circuit: conf.use_vc,
            conf,
            names,
            at: (0, 0, 0),
            first,
            asking: None,
            kept: Vec::new(),
            found,
            failed: false,
            no_data: false,
        }
    }

    /// Goes on as far as it can: the addresses of IPv4, or why there are none.
    pub fn run(&mut self, run: &mut Run<'_, '_>) -> Option<Result<Vec<Ipv4Addr>, NoAddress>> {
        loop {
            if let Some(found) = &self.found {
                return Some(found.clone());
            }
            let Some(asking) = &mut self.asking else {
                self.ask(run, None);
                continue;
            };
            let single = self.conf.single_request || self.conf.single_request_reopen;
            let said = match asking {
                Way::Datagrams(asking) => {
                    asking.listen(run, single, &self.conf, self.names.get(self.at.0))?
                }
                Way::Circuit { stream, questions } => hear(run, stream, questions)?,
            };
            let name = self.at.0;
            match self.asking.take() {
                Some(Way::Datagrams(asking)) => self.put_by(run, &asking, &said),
                Some(Way::Circuit { stream, .. }) => stream.close(run),
                None => {}
            }
            let again = match said {
                Said::Truncated(ids) => Some(ids),
                _ => None,
            };
            self.take(said);
            if self.at.0 != name || self.found.is_some() || again.is_some() {
                self.kept.drain(..).for_each(|(_, socket)| run.close(socket));
            }
            if self.at.0 != name {
                self.circuit = self.conf.use_vc;
                self.first += usize::from(self.conf.rotate);
            }
            if again.is_some() {
                self.ask(run, again);
            }
        }
    }

    /// What becomes of the sockets of a server that was asked over UDP.
    fn put_by(&mut self, run: &mut Run<'_, '_>, asking: &Asking, said: &Said) {
        let (server, socket, other) = (asking.server, asking.socket, asking.other);
        match (said, other) {
            (Said::Silent, None) => self.kept.push((server, socket)),
            (Said::Half(_), None) if !self.conf.single_request => self.kept.push((server, socket)),
            (Said::Silent | Said::Half(_), Some(second)) => {
                run.close(socket);
                self.kept.push((server, second));
            }
            _ => [Some(socket), other].into_iter().flatten().for_each(|s| run.close(s)),
        }
    }

    /// Sends the questions to the server whose turn it is; those of `ids` again, if they are given.
    fn ask(&mut self, run: &mut Run<'_, '_>, ids: Option<[u16; 2]>) {
        let (name, attempt, server) = self.at;
        let Some(text) = self.names.get(name).cloned() else {
            // All names are through.
            let no = match (self.failed, self.no_data) {
                (_, true) => NoAddress::NoData,
                (true, _) => NoAddress::Again,
                _ => NoAddress::Unknown,
            };
            self.found = Some(Err(no));
            return;
        };
        let Some(qname) = DnsName::new(&text) else {
            self.at = (name + 1, 0, 0);
            return;
        };
        let count = self.conf.servers.len();
        let index = (self.first + server) % count.max(1);
        let Some(to) = self.conf.servers.get(index).copied().filter(|_| server < count) else {
            // Over TCP each server is asked once.
            self.at = (name, if self.circuit { self.conf.attempts } else { attempt + 1 }, 0);
            return;
        };
        if attempt >= self.conf.attempts {
            // Nobody has answered: that ends the search, unless a server had failed.
            if self.failed {
                self.at = (name + 1, 0, 0);
            } else {
                self.found = Some(Err(NoAddress::Again));
            }
            return;
        }
        let single = self.conf.single_request || self.conf.single_request_reopen;
        let ids = ids.unwrap_or_else(|| [run.random() as u16, run.random() as u16]);
        let questions = Questions { ids, both: self.both, answers: [None, None] };
        if self.circuit {
            let kinds = [dns_type::A, dns_type::AAAA];
            let asked = ids.into_iter().zip(kinds).take(1 + usize::from(self.both));
            let messages: Vec<Vec<u8>> =
                asked.map(|(id, kind)| Dns::query(id, qname.clone(), kind).to_bytes()).collect();
            match Stream::open(run, (to, DNS_PORT), &messages) {
                Ok(stream) => self.asking = Some(Way::Circuit { stream, questions }),
                Err(_) => self.take(Said::Nothing),
            }
            return;
        }
        let kept = self.kept.iter().position(|(server, _)| *server == to).map(|at| self.kept.remove(at).1);
        let socket = match kept.map_or_else(|| open(run, to), Ok) {
            Ok(socket) => socket,
            Err(_) => return self.take(Said::Nothing),
        };
        let mut sent = send(run, socket, ids[0], qname.clone(), dns_type::A);
        let second = self.both && !single;
        if second && sent.is_ok() {
            sent = send(run, socket, ids[1], qname, dns_type::AAAA);
        }
        if sent.is_err() {
            run.close(socket);
            return self.take(Said::Nothing);
        }
        let until = run.wake_after(self.conf.patience(index));
        let asking = Asking { server: to, socket, other: None, questions, second, until };
        self.asking = Some(Way::Datagrams(asking));
    }

    /// Goes on after one server.
    fn take(&mut self, said: Said) {
        let (name, attempt, server) = self.at;
        match said {
            Said::Nothing | Said::Silent => self.at = (name, attempt, server + 1),
            Said::Truncated(_) => self.circuit = true,
            // Perhaps it cannot take two questions at once: they are asked one after the other, then from two sockets
            // (resolv/res_send.c, send_dg).
            Said::Half(answers) => {
                if !self.conf.single_request {
                    self.conf.single_request = true;
                } else if !self.conf.single_request_reopen {
                    self.conf.single_request_reopen = true;
                } else {
                    self.take(Said::Answers(answers));
                }
            }
            Said::Fails => {
                self.failed = true;
                self.at = (name, attempt, server + 1);
            }
            Said::Answers(answers) => {
                let found: Vec<Ipv4Addr> = answers.iter().flat_map(addresses).collect();
                if !found.is_empty() {
                    self.found = Some(Ok(found));
                    return;
                }
                // Over TCP a server that fails has answered: no other one is asked.
                self.failed = answers.iter().any(|a| a.rcode == rcode::SERVFAIL);
                self.no_data |= answers.iter().any(|a| a.rcode == rcode::NOERROR);
                let usual = |a: &Dns| [rcode::NOERROR, rcode::NXDOMAIN, rcode::SERVFAIL].contains(&a.rcode);
                self.at = (if answers.iter().all(usual) { name + 1 } else { self.past_search(name) }, 0, 0);
            }
        }
    }
}

impl Lookup {
    /// Which name follows one that a server refused over TCP: what is left of the search list is passed over, but not the name
    /// as it was given (`__res_context_search`).
    fn past_search(&self, at: usize) -> usize {
        let Some((refused, last)) = self.names.get(at).zip(self.names.last()) else { return at + 1 };
        let given = |given: &str, name: &str| given.len() < name.len() && name.starts_with(given);
        match self.names.get(at + 1) {
            Some(_) if given(last, refused) => self.names.len() - 1,
            Some(next) if given(refused, next) => at + 1,
            _ => self.names.len(),
        }
    }
}

impl Asking {
    /// What the server has said; `None` while it may say more.
    fn listen(
        &mut self,
        run: &mut Run<'_, '_>,
        single: bool,
        conf: &ResolvConf,
        name: Option<&String>,
    ) -> Option<Said> {
        loop {
            let socket = self.other.unwrap_or(self.socket);
            if run.kernel(|ns, _| ns.take_error(socket)).flatten().is_some() {
                return Some(Said::Nothing);
            }
            let Some(datagram) = run.kernel(|ns, _| ns.udp_recv(socket)).flatten() else { break };
            let Some(dns) = Dns::parse(&datagram.payload).filter(|d| d.response) else { continue };
            if !self.questions.ids.contains(&dns.id) {
                continue;
            }
            if [rcode::SERVFAIL, rcode::REFUSED, rcode::NOTIMP].contains(&dns.rcode) {
                return Some(Said::Fails);
            }
            if dns.truncated {
                return Some(Said::Truncated(self.questions.ids));
            }
            self.questions.take(&dns);
            if self.questions.both && single && !self.second {
                self.second = true;
                self.ask_again(run, conf.single_request_reopen, name?)?;
            }
        }
        if let Some(answers) = self.questions.all() {
            return Some(Said::Answers(answers));
        }
        let answers = self.questions.some();
        (run.now() >= self.until).then_some(if answers.is_empty() {
            Said::Silent
        } else {
            Said::Half(answers)
        })
    }

    /// The second question, which waited for the first answer.
    fn ask_again(&mut self, run: &mut Run<'_, '_>, reopen: bool, name: &str) -> Option<()> {
        let name = DnsName::new(name)?;
        if reopen {
            self.other = open(run, self.server).ok();
        }
        let socket = self.other.unwrap_or(self.socket);
        send(run, socket, self.questions.ids[1], name, dns_type::AAAA).ok()
    }
}

/// What a server has said over TCP; `None` while it may say more.
fn hear(run: &mut Run<'_, '_>, stream: &mut Stream, questions: &mut Questions) -> Option<Said> {
    while let Ok(message) = stream.next(run)? {
        if let Some(dns) = Dns::parse(&message).filter(|d| d.response) {
            questions.take(&dns);
        }
        if let Some(answers) = questions.all() {
            return Some(Said::Answers(answers));
        }
    }
    Some(Said::Nothing)
}

fn open(run: &mut Run<'_, '_>, server: Ipv4Addr) -> Result<SocketId, Errno> {
    let made = run.kernel(|ns, kcx| {
        let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
        ns.udp_options(socket, true, None);
        match ns.udp_connect(socket, (server, DNS_PORT)) {
            Ok(()) => Ok(socket),
            Err(errno) => {
                ns.close(socket);
                Err(errno)
            }
        }
    });
    let socket = made.unwrap_or(Err(Errno::EINVAL))?;
    run.own(socket);
    Ok(socket)
}

fn send(run: &mut Run<'_, '_>, socket: SocketId, id: u16, name: DnsName, kind: u16) -> Result<(), Errno> {
    let bytes = Dns::query(id, name, kind).to_bytes();
    run.kernel(|ns, kcx| ns.udp_send(socket, None, None, bytes, kcx)).unwrap_or(Ok(()))
}

/// The IPv4 addresses of an answer.
pub fn addresses(dns: &Dns) -> Vec<Ipv4Addr> {
    let a = |data: &DnsData| match data {
        DnsData::A(addr) => Some(*addr),
        _ => None,
    };
    dns.answers.iter().filter_map(|r| a(&r.data)).collect()
}

/// The name under which an address is asked for: `1.0.0.10.in-addr.arpa`.
pub fn reverse_name(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(a) => {
            let nibbles = a.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            nibbles.map(|n| format!("{n:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_for_backwards() {
        assert_eq!(reverse_name(IpAddr::from([10, 96, 0, 1])), "1.0.96.10.in-addr.arpa");
        assert!(reverse_name("fd00::1".parse().unwrap()).starts_with("1.0.0.0."));
    }
}
