//! ping of iputils 20221126, and that of BusyBox (networking/ping.c).

use super::args::{Args, Mistake, millis, not_modelled};
use super::resolve::{Lookup, inet_aton, name_of};
use super::{Program, Run};
use crate::operator::CommandOutput;
use kernel::route::RouteQuery;
use kernel::socket::Errno;
use kernel::{Instant, SocketId};
use litemap::LiteMap;
use packet::{IcmpBody, Ip, icmp_type};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long the last answers are waited for when none has come (`MAXWAIT`).
const LINGER: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct Options {
    target: String,
    count: Option<u16>,
    interval: Duration,
    linger: Duration,
    size: usize,
    ttl: Option<u8>,
    source: Ipv4Addr,
    device: Option<String>,
    dont_fragment: bool,
    quiet: bool,
    numeric: bool,
    stamps: bool,
    outstanding: bool,
    deadline: Option<Duration>,
    /// Nobody has said when it is to end.
    interrupted: bool,
    /// It is BusyBox's: it counts from 0 and has words of its own.
    busybox: bool,
}

#[derive(Clone, Debug)]
struct Ping {
    options: Options,
    step: Step,
    to: Ipv4Addr,
    socket: Option<SocketId>,
    begun: Instant,
    /// When each was sent, until it is answered.
    sent: LiteMap<u16, Instant>,
    transmitted: u16,
    received: u16,
    duplicates: u16,
    errors: u16,
    next: Instant,
    last: Instant,
    ends: Option<Instant>,
    /// The highest number that was answered, and the longest queue of unanswered ones.
    acked: u16,
    pipe: u16,
    /// Those that the box itself has refused to send.
    refused: Vec<u16>,
    /// Round trips in microseconds.
    trips: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Looking(Box<Lookup>),
    Pinging,
}

pub(super) fn parse(argv: &[String], _: &str) -> Result<Box<dyn Program>, CommandOutput> {
    parse_of(argv, false)
}

/// `busybox ping`; `argv` begins with `ping`.
pub(super) fn parse_busybox(argv: &[String]) -> Result<Box<dyn Program>, CommandOutput> {
    parse_of(argv, true)
}

fn parse_of(argv: &[String], busybox: bool) -> Result<Box<dyn Program>, CommandOutput> {
    let args = Args::read(argv, "qnD4O", "ciWstIMwp", &[], false).map_err(|mistake| match mistake {
        Mistake::Unknown(o) if "aAbBdfLRrUvV36hFlmQSTx".contains(o.as_str()) && o.len() == 1 => {
            not_modelled("ping", &format!("-{o}"))
        }
        Mistake::Unknown(o) => {
            CommandOutput::failed(2, format!("ping: invalid option -- '{}'", o.trim_start_matches('-')))
        }
        Mistake::NeedsValue(o) => {
            CommandOutput::failed(2, format!("ping: option requires an argument -- '{o}'"))
        }
    })?;
    let bad = |text: &str| CommandOutput::failed(1, format!("ping: invalid argument: '{text}'"));
    // What is a number, but not up to `most`, is told so.
    fn number<T: std::str::FromStr>(args: &Args, name: &str, most: &str) -> Result<Option<T>, CommandOutput> {
        let read = |t: &str| {
            t.parse().map_err(|_| {
                let range = match t.parse::<i64>() {
                    Ok(_) if !most.is_empty() => format!(": out of range: 0 <= value <= {most}"),
                    _ => String::new(),
                };
                CommandOutput::failed(1, format!("ping: invalid argument: '{t}'{range}"))
            })
        };
        args.value(&[name]).map(read).transpose()
    }
    let seconds = |name: &str| {
        args.value(&[name]).map(|t| millis(t).map(Duration::from_millis).ok_or_else(|| bad(t))).transpose()
    };
    let target = match args.rest.as_slice() {
        [target] => target.clone(),
        [] => return Err(CommandOutput::failed(1, "ping: usage error: Destination address required")),
        _ => return Err(not_modelled("ping", "a route of several hosts")),
    };
    let (mut source, mut device) = (Ipv4Addr::UNSPECIFIED, None);
    if let Some(text) = args.value(&["I"]) {
        match text.parse() {
            Ok(addr) => source = addr,
            Err(_) => device = Some(text.to_owned()),
        }
    }
    let dont_fragment = match args.value(&["M"]) {
        None | Some("dont" | "want") => false,
        Some("do") => true,
        Some(other) => return Err(CommandOutput::failed(2, format!("ping: invalid -M argument: {other}"))),
    };
    if args.has(&["p"]) {
        return Err(not_modelled("ping", "-p"));
    }
    let interval = seconds("i")?.unwrap_or(Duration::from_secs(1));
    if interval < Duration::from_millis(2) {
        return Err(not_modelled("ping", "an interval below 2 ms"));
    }
    let count = number::<u16>(&args, "c", "")?;
    if count == Some(0) {
        let text = "ping: invalid argument: '0': out of range: 1 <= value <= 9223372036854775807";
        return Err(CommandOutput::failed(1, text));
    }
    let deadline = seconds("w")?;
    // As if Ctrl-C came before the second one.
    let interrupted = count.is_none() && deadline.is_none();
    let count = if interrupted { Some(1) } else { count };
    let options = Options {
        target,
        count,
        interval,
        linger: seconds("W")?.unwrap_or(LINGER),
        size: number(&args, "s", "2147483647")?.unwrap_or(56),
        ttl: number(&args, "t", "255")?,
        source,
        device,
        dont_fragment,
        quiet: args.has(&["q"]),
        numeric: args.has(&["n"]),
        stamps: args.has(&["D"]),
        outstanding: args.has(&["O"]),
        deadline,
        interrupted,
        busybox,
    };
    let zero = Instant(0);
    Ok(Box::new(Ping {
        options,
        step: Step::Begin,
        to: Ipv4Addr::UNSPECIFIED,
        socket: None,
        begun: zero,
        sent: LiteMap::new(),
        transmitted: 0,
        received: 0,
        duplicates: 0,
        errors: 0,
        next: zero,
        last: zero,
        ends: None,
        acked: 0,
        pipe: 0,
        refused: Vec::new(),
        trips: Vec::new(),
    }))
}

impl Program for Ping {
    fn name(&self) -> &str {
        "ping"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        if let Step::Begin = self.step {
            self.step = Step::Looking(Box::new(Lookup::new(run, &self.options.target, true)));
        }
        if let Step::Looking(lookup) = &mut self.step {
            match lookup.run(run)? {
                Ok(found) => {
                    self.to = found.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                    // A socket that is connected to nothing in particular has this box at its other end.
                    if self.to.is_unspecified() && !self.options.busybox {
                        self.to = Ipv4Addr::LOCALHOST;
                    }
                    if let Err(status) = self.open(run) {
                        return Some(status);
                    }
                    self.step = Step::Pinging;
                }
                Err(_) if self.options.busybox => {
                    run.complain(format!("ping: bad address '{}'", self.options.target));
                    return Some(1);
                }
                Err(why) => {
                    run.complain(format!("ping: {}: {}", self.options.target, why.text()));
                    return Some(2);
                }
            }
        }
        while let Some(Some(ip)) = self.socket.and_then(|s| run.kernel(|ns, _| ns.ping_recv(s))) {
            self.take(&ip, run);
        }
        if self.is_over(run.now()) {
            return Some(self.finish(run));
        }
        let more = self.options.count.is_none_or(|c| self.transmitted < c);
        if more && run.now() >= self.next {
            self.send(run);
            if self.is_over(run.now()) {
                return Some(self.finish(run));
            }
        }
        None
    }
}

impl Ping {
    fn is_over(&self, now: Instant) -> bool {
        self.options.count.is_some_and(|c| self.received + self.errors >= c)
            || self.ends.is_some_and(|at| now >= at)
    }

    /// Looks for a way, as ping does by connecting a socket, and prints the head.
    fn open(&mut self, run: &mut Run<'_, '_>) -> Result<(), i32> {
        let (to, source) = (self.to, self.options.source);
        let mut oif = None;
        if let Some(dev) = self.options.device.clone() {
            let found = run.kernel(|ns, _| {
                let oif = ns.device_by_name(&dev)?;
                let way = ns.route_get(&RouteQuery { oif: Some(oif), ..RouteQuery::to(to) });
                let own = |addr| ns.device(oif).is_some_and(|d| d.addrs.iter().any(|a| a.net.addr() == addr));
                let source = way.map_or(Ipv4Addr::UNSPECIFIED, |way| way.dst.source);
                Some((oif, source, own(source)))
            });
            let Some((dev, source, own)) = found.flatten() else {
                run.complain(format!("ping: SO_BINDTODEVICE {dev}: No such device"));
                return Err(2);
            };
            (oif, self.options.source) = (Some(dev), source);
            if !own && !self.options.busybox {
                let dev = self.options.device.as_deref().unwrap_or_default();
                run.complain(format!(
                    "ping: Warning: source address might be selected on device other than: {dev}"
                ));
            }
        }
        // Port 1025, as ping's own probe has it.
        let probe = run.kernel(|ns, kcx| {
            let socket = ns.udp_bind((source, 0), kcx)?;
            let done = ns.udp_connect(socket, (to, 1025));
            ns.close(socket);
            done
        });
        match probe {
            Some(Ok(())) | None => {}
            Some(Err(Errno::EACCES)) => {
                run.complain(
                    "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules",
                );
                return Err(2);
            }
            Some(Err(Errno::EADDRNOTAVAIL)) => {
                run.complain("ping: bind: Cannot assign requested address");
                return Err(2);
            }
            Some(Err(errno)) if self.options.busybox => {
                run.print(self.head());
                run.complain(format!("ping: sendto: {}", errno.text()));
                return Err(1);
            }
            Some(Err(errno)) => {
                run.complain(format!("ping: connect: {}", errno.text()));
                return Err(2);
            }
        }
        let (local, ttl) = (self.options.source, self.options.ttl);
        if ttl == Some(0) && !self.options.busybox {
            run.complain("ping: cannot set unicast time-to-live: Invalid argument");
            return Err(2);
        }
        match run.kernel(|ns, _| ns.ping_open(local, ttl, oif)) {
            Some(Ok(socket)) => {
                run.own(socket);
                self.socket = Some(socket);
            }
            Some(Err(errno)) => {
                run.complain(format!("ping: bind: {}", errno.text()));
                return Err(2);
            }
            None => return Err(2),
        }
        run.print(self.head());
        (self.begun, self.next, self.last) = (run.now(), run.now(), run.now());
        if let Some(limit) = self.options.deadline {
            self.ends = Some(run.wake_after(limit));
        }
        Ok(())
    }

    /// The first line.
    fn head(&self) -> String {
        let Options { target, size, source, .. } = &self.options;
        let to = self.to;
        if self.options.busybox {
            let from = if source.is_unspecified() { String::new() } else { format!(" from {source}") };
            return format!("PING {target} ({to}){from}: {size} data bytes");
        }
        let from = match &self.options.device {
            Some(dev) => format!("from {source} {dev}: "),
            None if !source.is_unspecified() => format!("from {source} : "),
            None => String::new(),
        };
        format!("PING {target} ({to}) {from}{size}({}) bytes of data.", size + 28)
    }

    fn send(&mut self, run: &mut Run<'_, '_>) {
        let Some(socket) = self.socket else { return };
        self.transmitted += 1;
        let first = u16::from(!self.options.busybox);
        let (to, id, seq) = (self.to, run.pid(), self.transmitted - 1 + first);
        if self.options.outstanding && seq > 1 && self.sent.get(&(seq - 1)).is_some() {
            run.print(format!("no answer yet for icmp_seq={}", seq - 1));
        }
        let (size, whole) = (self.options.size, self.options.dont_fragment);
        let payload = (0..size).map(|i| (i & 0xff) as u8).collect();
        self.sent.insert(seq, run.now());
        self.last = run.now();
        let sent = run.kernel(|ns, kcx| {
            if whole && let Some(mtu) = ns.path_mtu(to, kcx).filter(|mtu| size + 28 > *mtu) {
                return Err(Some(mtu));
            }
            match ns.ping_send(socket, to, id, seq, payload, kcx) {
                // What no datagram holds is refused without a word in the socket's queue of errors.
                Err(Errno::EMSGSIZE) if size + 8 <= usize::from(u16::MAX) => Err(ns.path_mtu(to, kcx)),
                Err(Errno::EPERM) => Err(None),
                _ => Ok(()),
            }
        });
        match sent {
            Some(Err(Some(mtu))) => {
                self.sent.remove(&seq);
                if !self.options.quiet {
                    run.complain(format!("ping: local error: message too long, mtu={mtu}"));
                    self.errors += 1;
                }
            }
            Some(Err(None)) => self.refused.push(seq),
            _ => {}
        }
        self.next = run.wake_after(self.options.interval);
        if self.options.count == Some(self.transmitted) && self.ends.is_none() {
            // Twice the longest round trip, if there was one.
            let slowest =
                self.trips.iter().max().map(|us| Duration::from_micros(2 * us).max(self.options.interval));
            self.ends = Some(run.wake_after(slowest.unwrap_or(self.options.linger)));
        }
    }

    fn acknowledge(&mut self, seq: u16) {
        self.pipe = self.pipe.max(self.transmitted.saturating_sub(seq) + 1);
        self.acked = self.acked.max(seq);
    }

    fn take(&mut self, ip: &Ip, run: &mut Run<'_, '_>) {
        let Some(icmp) = ip.icmp() else { return };
        let from = ip.src_v4().unwrap_or(Ipv4Addr::UNSPECIFIED);
        match &icmp.body {
            IcmpBody::Query { id, seq, payload }
                if icmp.kind == icmp_type::ECHO_REPLY && *id == run.pid() =>
            {
                self.last = run.now();
                let who = self.name(from, run);
                let len = payload.len() + 8;
                let head = self.stamp(run);
                match self.sent.remove(seq) {
                    Some(at) => {
                        let us = u64::try_from(run.now().since(at).as_micros()).unwrap_or(u64::MAX);
                        self.acknowledge(*seq);
                        self.received += 1;
                        self.trips.push(us);
                        if !self.options.quiet {
                            run.print(format!("{head}{}", self.answer(len, &who, *seq, ip.ttl, us)));
                        }
                    }
                    None => {
                        self.duplicates += 1;
                        if !self.options.quiet {
                            run.print(format!(
                                "{head}{len} bytes from {who}: icmp_seq={seq} ttl={} (DUP!)",
                                ip.ttl
                            ));
                        }
                    }
                }
            }
            IcmpBody::Error { inner, mtu, .. } => {
                let Some((id, seq)) = inner.icmp().and_then(packet::Icmp::query) else { return };
                if id != run.pid() || inner.dst_v4() != Some(self.to) {
                    return;
                }
                self.last = run.now();
                self.errors += 1;
                self.acknowledge(seq);
                self.sent.remove(&seq);
                if !self.options.quiet {
                    // Of a packet that REJECT took ping says that it was not sent once the ICMP error is there; of DROP, nothing.
                    if self.refused.contains(&seq) && !self.options.busybox {
                        run.complain("ping: sendmsg: Operation not permitted");
                    }
                    let what = error_text(icmp.kind, icmp.code, *mtu);
                    let head = self.stamp(run);
                    let who = self.name(from, run);
                    run.print(format!("{head}From {who} icmp_seq={seq} {what}"));
                }
            }
            _ => {}
        }
    }

    /// The line of an answer, which took so many microseconds.
    fn answer(&self, len: usize, who: &str, seq: u16, ttl: u8, us: u64) -> String {
        match self.options.busybox {
            true => format!("{len} bytes from {who}: seq={seq} ttl={ttl} time={} ms", thousandths(us)),
            false => format!("{len} bytes from {who}: icmp_seq={seq} ttl={ttl} time={} ms", trip(us)),
        }
    }

    fn stamp(&self, run: &Run<'_, '_>) -> String {
        let at = run.now().0;
        if self.options.stamps {
            format!("[{}.{:06}] ", at / 1_000_000, at % 1_000_000)
        } else {
            String::new()
        }
    }

    /// The address, behind its name if the box's file knows one and a name was asked for.
    fn name(&self, addr: Ipv4Addr, run: &Run<'_, '_>) -> String {
        if self.options.numeric || inet_aton(&self.options.target).is_some() {
            return addr.to_string();
        }
        match run.file("/etc/hosts").and_then(|text| name_of(text, addr)) {
            Some(name) => format!("{name} ({addr})"),
            None if addr == Ipv4Addr::LOCALHOST => format!("localhost ({addr})"),
            None => addr.to_string(),
        }
    }

    fn finish(&mut self, run: &mut Run<'_, '_>) -> i32 {
        if let Some(socket) = self.socket.take() {
            run.close(socket);
        }
        run.print(if self.options.interrupted { "^C" } else { "" });
        run.print(format!("--- {} ping statistics ---", self.options.target));
        if self.options.busybox {
            self.finish_busybox(run);
            return i32::from(self.received == 0);
        }
        let mut line = format!("{} packets transmitted, {} received, ", self.transmitted, self.received);
        if self.duplicates > 0 {
            line += &format!("+{} duplicates, ", self.duplicates);
        }
        if self.errors > 0 {
            line += &format!("+{} errors, ", self.errors);
        }
        let lost = u64::from(self.transmitted.saturating_sub(self.received));
        let ms = self.last.since(self.begun).as_millis();
        line += &format!("{}% packet loss, time {ms}ms", percent(lost, u64::from(self.transmitted.max(1))));
        run.print(line);
        let pipe = if self.pipe > 1 { format!("pipe {}", self.pipe) } else { String::new() };
        if self.trips.is_empty() {
            run.print(pipe);
        } else {
            let comma = if pipe.is_empty() { "" } else { ", " };
            run.print(format!("{}{comma}{pipe}", statistics(&self.trips)));
        }
        i32::from(self.received == 0)
    }
}

impl Ping {
    fn finish_busybox(&self, run: &mut Run<'_, '_>) {
        let (sent, came) = (self.transmitted, self.received);
        let twice = match self.duplicates {
            0 => String::new(),
            n => format!("{n} duplicates, "),
        };
        let lost = u64::from(sent.saturating_sub(came)) * 100 / u64::from(sent.max(1));
        run.print(format!("{sent} packets transmitted, {came} packets received, {twice}{lost}% packet loss"));
        if let (Some(min), Some(max)) = (self.trips.iter().min(), self.trips.iter().max()) {
            let average = total(&self.trips) / self.trips.len() as u64;
            let [min, average, max] = [*min, average, *max].map(thousandths);
            run.print(format!("round-trip min/avg/max = {min}/{average}/{max} ms"));
        }
    }
}

/// Microseconds as milliseconds.
fn thousandths(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// The first address of a device.
/// Microseconds as milliseconds, as ping rounds them.
fn trip(us: u64) -> String {
    let (ms, rest) = (us / 1000, us % 1000);
    match us {
        100_000.. => ms.to_string(),
        10_000.. => format!("{ms}.{}", rest / 100),
        1000.. => format!("{ms}.{:02}", rest / 10),
        _ => format!("{ms}.{rest:03}"),
    }
}

/// `%g` of a percentage: six digits at most.
fn percent(part: u64, whole: u64) -> String {
    // Of 100 * part / whole with four to six digits behind the point.
    let value = part * 100;
    let digits = if value / whole >= 100 {
        3
    } else if value / whole >= 10 {
        4
    } else {
        5
    };
    let scale = 10_u64.pow(digits);
    let rounded = (value * scale * 2 + whole) / (whole * 2);
    let text = format!("{}.{:0width$}", rounded / scale, rounded % scale, width = digits as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn total(trips: &[u64]) -> u64 {
    trips.iter().sum()
}

/// ping's square root: it stops one step after the root.
fn llsqrt(a: u64) -> u64 {
    let (mut x, mut before) = (a, u64::MAX);
    while x > 0 && x < before {
        before = x;
        x = x.midpoint(a / x);
    }
    x
}

fn statistics(trips: &[u64]) -> String {
    let n = trips.len() as u64;
    let (min, max) = (trips.iter().min().copied().unwrap_or(0), trips.iter().max().copied().unwrap_or(0));
    let average = total(trips) / n;
    let squares = trips.iter().map(|t| t * t).sum::<u64>();
    let sum = total(trips);
    let deviation = llsqrt((squares * n).saturating_sub(sum * sum) / (n * n));
    let [min, average, max, deviation] = [min, average, max, deviation].map(thousandths);
    format!("rtt min/avg/max/mdev = {min}/{average}/{max}/{deviation} ms")
}

/// What ping says of an ICMP error (`pr_icmph`).
fn error_text(kind: u8, code: u8, mtu: u16) -> String {
    let text = match (kind, code) {
        (icmp_type::DEST_UNREACH, 0) => "Destination Net Unreachable",
        (icmp_type::DEST_UNREACH, 1) => "Destination Host Unreachable",
        (icmp_type::DEST_UNREACH, 2) => "Destination Protocol Unreachable",
        (icmp_type::DEST_UNREACH, 3) => "Destination Port Unreachable",
        (icmp_type::DEST_UNREACH, 4) => return format!("Frag needed and DF set (mtu = {mtu})"),
        (icmp_type::DEST_UNREACH, 5) => "Source Route Failed",
        (icmp_type::DEST_UNREACH, 6) => "Destination Net Unknown",
        (icmp_type::DEST_UNREACH, 7) => "Destination Host Unknown",
        (icmp_type::DEST_UNREACH, 8) => "Source Host Isolated",
        (icmp_type::DEST_UNREACH, 9) => "Destination Net Prohibited",
        (icmp_type::DEST_UNREACH, 10) => "Destination Host Prohibited",
        (icmp_type::DEST_UNREACH, 11) => "Destination Net Unreachable for Type of Service",
        (icmp_type::DEST_UNREACH, 12) => "Destination Host Unreachable for Type of Service",
        (icmp_type::DEST_UNREACH, 13) => "Packet filtered",
        (icmp_type::DEST_UNREACH, 14) => "Precedence Violation",
        (icmp_type::DEST_UNREACH, 15) => "Precedence Cutoff",
        (icmp_type::DEST_UNREACH, code) => return format!("Dest Unreachable, Bad Code: {code}"),
        (icmp_type::SOURCE_QUENCH, _) => "Source Quench",
        (icmp_type::REDIRECT, _) => "Redirect",
        (icmp_type::TIME_EXCEEDED, 0) => "Time to live exceeded",
        (icmp_type::TIME_EXCEEDED, _) => "Frag reassembly time exceeded",
        (kind, _) => return format!("Bad ICMP type: {kind}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_printed_as_printf_does() {
        for (lost, of, text) in [
            (0, 3, "0"),
            (1, 3, "33.3333"),
            (2, 3, "66.6667"),
            (3, 3, "100"),
            (1, 7, "14.2857"),
            (1, 64, "1.5625"),
            (1, 30, "3.33333"),
        ] {
            assert_eq!(percent(lost, of), text);
        }
    }

    #[test]
    fn round_trips_have_three_digits() {
        for (us, text) in [(46, "0.046"), (1234, "1.23"), (12_345, "12.3"), (123_456, "123")] {
            assert_eq!(trip(us), text);
        }
        assert_eq!(statistics(&[43, 87, 52]), "rtt min/avg/max/mdev = 0.043/0.060/0.087/0.019 ms");
    }
}
