//! Reading a scenario: JSON as the recordings of the real kernel use it (docs/RECORDS.md).

mod hold;

use kernel::{Era, Modules};
use packet::{Frame, Icmp, IcmpBody, Ip, L4, Mac, Payload, Protocol, Tcp, TcpFlags, TcpOptions, Udp};
use serde_json::{Map, Value};
use sim::{Backend, BridgePort, CloseHow, HostSpec, LinkSpec, Scenario, ServerMode, ServerSpec, Stimulus};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use userland::ip::IpCommand;

/// What is wrong with a scenario: the place in the document, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Path such as `hosts.node1.addrs`.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ScenarioError {}

type Result<T> = std::result::Result<T, ScenarioError>;

fn wrong<T>(place: &str, message: impl Into<String>) -> Result<T> {
    Err(ScenarioError { place: place.to_owned(), message: message.into() })
}

/// A JSON value with its place in the document.
struct Node<'a> {
    value: &'a Value,
    place: String,
}

impl<'a> Node<'a> {
    fn object(&self) -> Result<&'a Map<String, Value>> {
        match self.value.as_object() {
            Some(o) => Ok(o),
            None => wrong(&self.place, "expected an object"),
        }
    }

    fn get(&self, key: &str) -> Result<Option<Node<'a>>> {
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Ok(self.object()?.get(key).filter(|v| !v.is_null()).map(|value| Node { value, place }))
    }

    /// Nothing else stands in it than these, which are separated by blanks.
    fn only(&self, known: &str) -> Result<()> {
        let known: Vec<&str> = known.split(' ').collect();
        match self.object()?.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let place = if self.place.is_empty() { "document" } else { &self.place };
                wrong(place, format!("no such field: {key:?}; expected one of {}", known.join(", ")))
            }
        }
    }

    fn need(&self, key: &str) -> Result<Node<'a>> {
        match self.get(key)? {
            Some(n) => Ok(n),
            None => wrong(&self.place, format!("{key:?} is missing")),
        }
    }

    fn list(&self) -> Result<Vec<Node<'a>>> {
        match self.value.as_array() {
            Some(a) => Ok(a
                .iter()
                .enumerate()
                .map(|(i, value)| Node { value, place: format!("{}[{i}]", self.place) })
                .collect()),
            None => wrong(&self.place, "expected a list"),
        }
    }

    fn text(&self) -> Result<String> {
        match self.value.as_str() {
            Some(s) => Ok(s.to_owned()),
            None => wrong(&self.place, format!("expected a string, found {}", self.value)),
        }
    }

    fn flag(&self) -> Result<bool> {
        match self.value {
            Value::Bool(b) => Ok(*b),
            _ => wrong(&self.place, format!("expected true or false, found {}", self.value)),
        }
    }

    fn number<T: TryFrom<i64>>(&self) -> Result<T> {
        match self.value.as_i64().and_then(|n| T::try_from(n).ok()) {
            Some(n) => Ok(n),
            None => wrong(&self.place, format!("expected a number that fits, found {}", self.value)),
        }
    }

    fn parse<T: std::str::FromStr>(&self, what: &str) -> Result<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(v) => Ok(v),
            Err(_) => wrong(&self.place, format!("expected {what}, found {text:?}")),
        }
    }

    fn endpoint(&self) -> Result<(Ipv4Addr, u16)> {
        let text = self.text()?;
        let parsed = text.rsplit_once(':').and_then(|(a, p)| Some((a.parse().ok()?, p.parse().ok()?)));
        match parsed {
            Some(e) => Ok(e),
            None => wrong(&self.place, format!("expected ADDRESS:PORT, found {text:?}")),
        }
    }

    fn texts(&self) -> Result<Vec<String>> {
        self.list()?.iter().map(Node::text).collect()
    }

    fn or<T>(&self, key: &str, default: T, read: impl FnOnce(&Node<'a>) -> Result<T>) -> Result<T> {
        match self.get(key)? {
            Some(n) => read(&n),
            None => Ok(default),
        }
    }
}

/// Reads a scenario. The stimuli stay available as JSON for the record.
pub fn parse(value: &Value) -> Result<Scenario> {
    let root = Node { value, place: String::new() };
    if root.value.as_object().is_none() {
        return wrong("document", "expected an object with hosts, links and stimuli");
    }
    root.only("name title settle_ms nondeterministic brief kmsg drawn backend hosts links stimuli")?;
    let mut scenario = Scenario { settle_ms: root.or("settle_ms", 40, Node::number)?, ..Scenario::default() };
    let all = root.or("backend", Backend::Legacy, backend)?;
    let hosts = root.need("hosts")?;
    for (name, value) in hosts.object()? {
        let node = Node { value, place: format!("hosts.{name}") };
        let mut spec = host(name, &node)?;
        spec.backend = node.or("backend", all, backend)?;
        scenario.hosts.push(spec);
    }
    for link in root.or("links", Vec::new(), Node::list)? {
        scenario.links.push(read_link(&link)?);
    }
    for s in root.or("stimuli", Vec::new(), Node::list)? {
        scenario.stimuli.push(stimulus(&s)?);
    }
    Ok(scenario)
}

fn host(name: &str, n: &Node<'_>) -> Result<HostSpec> {
    n.only(
        "addrs routes neigh ip sysctl iptables tables ipset trace log_invalid ct_probe sniff servers files kernel backend",
    )?;
    let mut ip = Vec::new();
    if let Some(list) = n.get("addrs")? {
        for (dev, value) in list.object()? {
            let node = Node { value, place: format!("{}.{dev}", list.place) };
            for (i, addr) in node.texts()?.into_iter().enumerate() {
                ip.push(ip_command(&format!("{}[{i}]", node.place), &format!("addr add {addr} dev {dev}"))?);
            }
        }
    }
    for (key, before, after) in
        [("routes", "route add ", ""), ("neigh", "neigh replace ", " nud permanent"), ("ip", "", "")]
    {
        for (i, words) in n.or(key, Vec::new(), Node::texts)?.into_iter().enumerate() {
            ip.push(ip_command(&format!("{}.{key}[{i}]", n.place), &format!("{before}{words}{after}"))?);
        }
    }
    let mut sysctl = Vec::new();
    if let Some(list) = n.get("sysctl")? {
        for (key, value) in list.object()? {
            let node = Node { value, place: format!("{}.{key}", list.place) };
            let number = match value.as_str() {
                Some(_) => node.parse("a number")?,
                None => node.number()?,
            };
            sysctl.push((key.clone(), number));
        }
    }
    let trace = n.or("trace", n.get("iptables")?.is_some(), Node::flag)?;
    if trace && n.or("log_invalid", true, Node::flag)? {
        sysctl.push(("net.netfilter.nf_conntrack_log_invalid".to_owned(), 255));
    }
    let ipset = n.get("ipset")?.map(|t| t.text()).transpose()?;
    let iptables = n.get("iptables")?.map(|t| t.text()).transpose()?;
    let all = kernel::netfilter::xtables::TableId::ALL;
    let tables = match n.get("tables")? {
        None => all.to_vec(),
        Some(list) => {
            let mut tables = Vec::new();
            for t in list.list()? {
                let name = t.text()?;
                match kernel::netfilter::xtables::TableId::from_name(&name) {
                    Some(id) => tables.push(id),
                    None => return wrong(&t.place, format!("there is no table {name:?}")),
                }
            }
            tables
        }
    };
    let mut servers = Vec::new();
    for s in n.or("servers", Vec::new(), Node::list)? {
        servers.push(server(&s)?);
    }
    let mut files = Vec::new();
    if let Some(list) = n.get("files")? {
        for (path, value) in list.object()? {
            files.push((path.clone(), Node { value, place: format!("{}.{path}", list.place) }.text()?));
        }
    }
    Ok(HostSpec {
        name: name.to_owned(),
        files,
        daemons: Vec::new(),
        ip,
        sysctl,
        ipset,
        trace,
        iptables,
        backend: Backend::Legacy,
        ct_probe: n.or("ct_probe", false, Node::flag)?,
        era: n.or("kernel", Era::default(), era)?,
        child: true,
        machine: None,
        setup: Vec::new(),
        // As in the kernel that made the recordings.
        modules: Modules {
            br_netfilter: true,
            nf_conntrack_tftp: true,
            nf_nat_tftp: true,
            nf_conntrack_ftp: true,
            nf_nat_ftp: true,
            ..Modules::default()
        },
        tables,
        sniff: n.or("sniff", true, Node::flag)?,
        servers,
    })
}

/// What `iptables` is on a box.
fn backend(n: &Node<'_>) -> Result<Backend> {
    match n.text()?.as_str() {
        "legacy" => Ok(Backend::Legacy),
        "nft" => Ok(Backend::Nft),
        other => wrong(&n.place, format!("expected legacy or nft, found {other:?}")),
    }
}

/// A kernel's version; that of the recordings if none is given.
fn era(n: &Node<'_>) -> Result<Era> {
    let name = n.text()?;
    let known = Era::ALL.map(Era::name).join(", ");
    Era::from_name(&name)
        .map_or_else(|| wrong(&n.place, format!("kernel {name:?} is not modelled; these are: {known}")), Ok)
}

/// A line of an ip(8) batch.
fn ip_command(place: &str, line: &str) -> Result<IpCommand> {
    let argv: Vec<&str> = std::iter::once("ip").chain(line.split_whitespace()).collect();
    match userland::ip::parse_ip(&argv) {
        Ok(parsed) => Ok(parsed.command),
        Err(d) => wrong(place, format!("ip {line}: {}: {}", d.message, d.help)),
    }
}

fn server(n: &Node<'_>) -> Result<ServerSpec> {
    n.only("proto bind mode close data_addr data_port")?;
    let proto = n.need("proto")?;
    let tcp = match proto.text()?.as_str() {
        "tcp" => true,
        "udp" => false,
        other => return wrong(&proto.place, format!("expected tcp or udp, found {other:?}")),
    };
    let mode = match n.or("mode", "echo".to_owned(), Node::text)?.as_str() {
        "echo" => ServerMode::Echo,
        "sink" => ServerMode::Sink,
        "tftp" => ServerMode::Tftp {
            data: (
                n.or("data_addr", Ipv4Addr::UNSPECIFIED, |a| a.parse("an IPv4 address"))?,
                n.or("data_port", 40000, Node::number)?,
            ),
            retransmit_ms: 0,
        },
        other => {
            return wrong(
                &n.place,
                format!("server mode {other:?} is not modelled; echo, sink and tftp are"),
            );
        }
    };
    let closes = match n.get("close")? {
        Some(c) => c.text()? == "server",
        None => false,
    };
    Ok(ServerSpec { tcp, bind: n.need("bind")?.endpoint()?, mode, closes })
}

fn end(n: &Node<'_>) -> Result<(String, String)> {
    let text = n.text()?;
    match text.split_once(':') {
        Some((host, dev)) => Ok((host.to_owned(), dev.to_owned())),
        None => wrong(&n.place, format!("expected HOST:DEVICE, found {text:?}")),
    }
}

fn mac(n: &Node<'_>) -> Result<Mac> {
    n.parse("a MAC address such as 02:00:00:00:01:01")
}

fn read_link(n: &Node<'_>) -> Result<LinkSpec> {
    let kind = n.need("type")?;
    match kind.text()?.as_str() {
        "veth" => {
            n.only("type a b a_mac b_mac")?;
            Ok(LinkSpec::Veth {
                a: end(&n.need("a")?)?,
                b: end(&n.need("b")?)?,
                a_mac: n.get("a_mac")?.map(|m| mac(&m)).transpose()?,
                b_mac: n.get("b_mac")?.map(|m| mac(&m)).transpose()?,
            })
        }
        "bridge" => {
            n.only("type host name mac ports promisc opts")?;
            let mut ports = Vec::new();
            for p in n.or("ports", Vec::new(), Node::list)? {
                p.only("dev hairpin")?;
                ports.push(BridgePort {
                    dev: p.need("dev")?.text()?,
                    hairpin: p.or("hairpin", false, Node::flag)?,
                });
            }
            if let Some(opts) = n.get("opts")?
                && !opts.text()?.is_empty()
            {
                return wrong(&opts.place, format!("bridge options are not modelled: {}", opts.text()?));
            }
            Ok(LinkSpec::Bridge {
                host: n.need("host")?.text()?,
                name: n.need("name")?.text()?,
                mac: n.get("mac")?.map(|m| mac(&m)).transpose()?,
                ports,
                promisc: n.or("promisc", false, Node::flag)?,
            })
        }
        other => wrong(&kind.place, format!("expected veth or bridge, found {other:?}")),
    }
}

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::UNSPECIFIED, 0);

fn bytes(n: &Node<'_>) -> Result<Vec<u8>> {
    Ok(n.text()?.into_bytes())
}

/// The kinds of stimuli, and what each has besides `do` and `settle_ms`.
const STIMULI: [(&str, &str); 18] = [
    ("tcp", "host src dst request close hold timeout_ms"),
    ("tcpsend", "host id data timeout_ms"),
    ("udp", "host src dst payload connect count ttl reply timeout_ms linger_ms"),
    ("tftp", "host src dst file strict timeout_ms"),
    ("ping", "host src dst id seq ttl timeout_ms"),
    ("raw", "host pkt dev smac dmac"),
    ("sleep", "ms"),
    ("flush", "host"),
    ("dump", "host"),
    ("restore", "host iptables noflush"),
    ("sysctl", "host key value"),
    ("globalmax", "nf_conntrack_max nf_conntrack_buckets nf_conntrack_expect_max"),
    ("cmd", "host argv stdin"),
    ("together", "clients"),
    ("hold", "host packets at order count"),
    ("release", "host cpu"),
    ("start", "host argv"),
    ("wait", ""),
];

fn stimulus(n: &Node<'_>) -> Result<Stimulus> {
    let act = n.need("do")?;
    let kind = act.text()?;
    let Some((_, fields)) = STIMULI.iter().find(|(name, _)| *name == kind) else {
        let known = STIMULI.map(|(name, _)| name).join(", ");
        return wrong(&act.place, format!("expected one of {known}, found {kind:?}"));
    };
    n.only(&format!("do {fields} settle_ms").replace("  ", " "))?;
    let host = || n.need("host").and_then(|h| h.text());
    Ok(match kind.as_str() {
        "tcp" => {
            let close = match n.get("close")? {
                Some(c) if c.value == "server" => CloseHow::Server,
                Some(c) if c.value == "rst" => CloseHow::Reset,
                _ => CloseHow::Client,
            };
            let close = if n.or("hold", false, Node::flag)? { CloseHow::Hold } else { close };
            Stimulus::Tcp {
                host: host()?,
                src: n.or("src", ANY, Node::endpoint)?,
                dst: n.need("dst")?.endpoint()?,
                request: n.or("request", b"GET".to_vec(), bytes)?,
                close,
                timeout_ms: n.or("timeout_ms", 400, Node::number)?,
            }
        }
        "tcpsend" => Stimulus::TcpSend {
            id: n.need("id")?.number()?,
            data: n.need("data").and_then(|d| bytes(&d))?,
            timeout_ms: n.or("timeout_ms", 500, Node::number)?,
        },
        "udp" => Stimulus::Udp {
            host: host()?,
            src: n.or("src", ANY, Node::endpoint)?,
            dst: n.need("dst")?.endpoint()?,
            payload: n.or("payload", b"hello".to_vec(), bytes)?,
            connect: n.or("connect", true, Node::flag)?,
            count: n.or("count", 1, Node::number::<u32>)? as usize,
            ttl: n.get("ttl")?.map(|t| t.number()).transpose()?,
            reply: n.or("reply", true, Node::flag)?,
            timeout_ms: n.or("timeout_ms", 300, Node::number)?,
            linger_ms: n.or("linger_ms", 0, Node::number)?,
        },
        "tftp" => Stimulus::Tftp {
            host: host()?,
            src: n.or("src", ANY, Node::endpoint)?,
            dst: n.need("dst")?.endpoint()?,
            file: n.or("file", "f-1000".to_owned(), Node::text)?,
            strict: n.or("strict", false, Node::flag)?,
            retransmit_ms: 0,
            timeout_ms: n.or("timeout_ms", 600, Node::number)?,
        },
        "ping" => Stimulus::Ping {
            host: host()?,
            src: n.or("src", Ipv4Addr::UNSPECIFIED, |s| s.parse("an IPv4 address"))?,
            dst: n.need("dst")?.parse("an IPv4 address")?,
            id: n.or("id", 1, Node::number)?,
            seq: n.or("seq", 1, Node::number)?,
            ttl: n.get("ttl")?.map(|t| t.number()).transpose()?,
            timeout_ms: n.or("timeout_ms", 300, Node::number)?,
        },
        "raw" => raw(n)?,
        "sleep" => Stimulus::Sleep { ms: n.need("ms")?.number()? },
        "flush" => Stimulus::Flush { host: n.get("host")?.map(|h| h.text()).transpose()? },
        "dump" => Stimulus::Dump { host: host()? },
        "restore" => Stimulus::Restore {
            host: host()?,
            iptables: n.need("iptables")?.text()?,
            noflush: n.or("noflush", false, Node::flag)?,
        },
        "sysctl" => {
            let value = n.need("value")?;
            let value = match value.value.as_str() {
                Some(_) => value.parse("a number")?,
                None => value.number()?,
            };
            Stimulus::Sysctl { host: host()?, key: n.need("key")?.text()?, value }
        }
        "globalmax" => {
            let number = |key: &str| n.get(key)?.map(|v| v.number()).transpose();
            Stimulus::ConntrackLimits {
                max: number("nf_conntrack_max")?,
                buckets: number("nf_conntrack_buckets")?,
                expect_max: number("nf_conntrack_expect_max")?,
            }
        }
        "cmd" => Stimulus::Command {
            shell: sim::programs::shell,
            host: host()?,
            argv: n.need("argv")?.texts()?,
            stdin: n.get("stdin")?.map(|s| s.text()).transpose()?,
        },
        "together" => {
            let clients = n.need("clients")?;
            Stimulus::Together { clients: clients.list()?.iter().map(stimulus).collect::<Result<_>>()? }
        }
        "hold" => hold::hold(n)?,
        "release" => Stimulus::Release {
            host: host()?,
            cpu: n.get("cpu")?.map(|c| c.number::<u8>()).transpose()?.map(usize::from),
        },
        "start" => Stimulus::Background {
            start: sim::programs::start,
            host: host()?,
            argv: n.need("argv")?.texts()?,
        },
        _ => Stimulus::Wait { collect: sim::programs::collect },
    })
}

/// A crafted packet.
fn raw(n: &Node<'_>) -> Result<Stimulus> {
    let host = n.need("host")?.text()?;
    let pkt = n.need("pkt")?;
    let ip = crafted(&pkt)?;
    let packet = match n.get("dev")? {
        None => Stimulus::Raw { host, ip },
        Some(dev) => {
            let frame =
                Frame { src: mac(&n.need("smac")?)?, dst: mac(&n.need("dmac")?)?, payload: Payload::Ip(ip) };
            Stimulus::RawFrame { host, dev: dev.text()?, frame }
        }
    };
    let (seq, ack) = (relative(&pkt, "seq")?, relative(&pkt, "ack")?);
    match (seq, ack) {
        (None, None) => Ok(packet),
        _ => Ok(Stimulus::Relative { packet: Box::new(packet), seq, ack }),
    }
}

/// A number such as `B+34`: 34 behind the second initial number seen.
fn relative(pkt: &Node<'_>, key: &str) -> Result<Option<(usize, u32)>> {
    let Some(n) = pkt.get(key)?.filter(|n| n.value.is_string()) else { return Ok(None) };
    let text = n.text()?;
    let parsed = text.split_once('+').and_then(|(letter, d)| {
        let letter = u8::try_from(letter.parse::<char>().ok()?).ok()?.checked_sub(b'A')?;
        // Python's int(): blanks, a sign, underscores are of no use here.
        Some((usize::from(letter), d.parse().ok()?))
    });
    match parsed {
        Some(r) => Ok(Some(r)),
        None => wrong(&n.place, format!("expected a number or LETTER+DISTANCE, found {text:?}")),
    }
}

/// A number of a TCP header; 0 stands for one that is relative.
fn tcp_number(p: &Node<'_>, key: &str) -> Result<u32> {
    p.or(key, 0, |n| if n.value.is_string() { Ok(0) } else { n.number() })
}

/// Text as bytes, a character each.
fn latin1(n: &Node<'_>) -> Result<Vec<u8>> {
    let text = n.text()?;
    match text.chars().map(|c| u8::try_from(c).ok()).collect() {
        Some(bytes) => Ok(bytes),
        None => wrong(&n.place, "expected characters up to U+00FF"),
    }
}

fn crafted(p: &Node<'_>) -> Result<Ip> {
    p.only(
        "proto src dst sport dport flags seq ack win payload type code id icmp_seq rest inner full badsum ttl ipid tos df mf frag frag_slice",
    )?;
    let addr = |key: &str| -> Result<IpAddr> { p.need(key)?.parse("an IPv4 address").map(IpAddr::V4) };
    let payload = p.or("payload", Vec::new(), latin1)?;
    let checksum_ok = !p.or("badsum", false, Node::flag)?;
    let proto = p.need("proto")?;
    let name = match proto.value.as_u64() {
        Some(number) => number.to_string(),
        None => proto.text()?,
    };
    let rest: u32 = p.or("rest", 0, Node::number)?;
    let l4 = match name.as_str() {
        "udp" => L4::Udp(Udp {
            sport: p.need("sport")?.number()?,
            dport: p.need("dport")?.number()?,
            checksum_ok,
            payload: payload.into(),
        }),
        "tcp" => L4::Tcp(Tcp {
            sport: p.need("sport")?.number()?,
            dport: p.need("dport")?.number()?,
            seq: tcp_number(p, "seq")?,
            ack: tcp_number(p, "ack")?,
            flags: flags(p)?,
            window: p.or("win", 64240, Node::number)?,
            options: TcpOptions::default(),
            checksum_ok,
            payload,
        }),
        "icmp" => {
            let inner = p.get("inner")?;
            let kind = p.or("type", if inner.is_some() { 3 } else { 8 }, Node::number)?;
            let body = match inner {
                Some(inner) => {
                    // The recordings' tool quotes the IP header and eight bytes, unless told otherwise.
                    let quoted = (!inner.or("full", false, Node::flag)?).then_some(28);
                    let inner = Box::new(crafted(&inner)?);
                    let gateway = Icmp::has_gateway(kind).then_some(Ipv4Addr::from_bits(rest));
                    IcmpBody::Error { gateway, mtu: (rest & 0xffff) as u16, inner, quoted }
                }
                None => {
                    let (id, seq) = (p.or("id", 1, Node::number)?, p.or("icmp_seq", 1, Node::number)?);
                    IcmpBody::Query { id, seq, payload }
                }
            };
            L4::Icmp(Icmp { kind, code: p.or("code", 0, Node::number)?, checksum_ok, body })
        }
        other => match other.parse::<u8>() {
            Ok(n) => L4::Other(Protocol(n), payload),
            Err(_) => return wrong(&proto.place, format!("unknown protocol {other:?}")),
        },
    };
    let mut ip = Ip::new(addr("src")?, addr("dst")?, l4);
    ip.ttl = p.or("ttl", 64, Node::number)?;
    ip.id = p.or("ipid", 1, Node::number)?;
    ip.tos = p.or("tos", 0, Node::number)?;
    ip.frag.df = p.or("df", false, Node::flag)?;
    let mf = p.or("mf", false, Node::flag)?;
    let offset: u16 = p.or("frag", 0, Node::number)?;
    let slice = p.get("frag_slice")?;
    if !mf && offset == 0 && slice.is_none() {
        // A protocol given by its number may be one that has a value.
        return Ok(if matches!(ip.l4, L4::Other(..)) { ip.whole(ip.payload_bytes()) } else { ip });
    }
    let bytes = ip.payload_bytes();
    let (from, to) = match slice {
        None => (0, bytes.len()),
        Some(slice) => {
            // A slice has no DF.
            ip.frag.df = false;
            let ends: Vec<usize> = slice.list()?.iter().map(Node::number).collect::<Result<_>>()?;
            match ends[..] {
                [from, to] if from <= to => (from.min(bytes.len()), to.min(bytes.len())),
                _ => return wrong(&slice.place, "expected [START, END]"),
            }
        }
    };
    let mut part = ip.part(&bytes, from, to);
    part.frag.mf = mf;
    if p.get("frag_slice")?.is_none() {
        part.frag.offset = offset & !7;
    }
    if !part.is_fragment() {
        part = part.whole(part.payload_bytes());
    }
    Ok(part)
}

fn flags(p: &Node<'_>) -> Result<TcpFlags> {
    let text = p.or("flags", "S".to_owned(), Node::text)?;
    let mut flags = TcpFlags::default();
    for c in text.chars().filter(|c| *c != '.') {
        match "FSRPAUEC".find(c) {
            Some(bit) => flags = flags | TcpFlags(1 << bit),
            None => return wrong(&p.place, format!("unknown TCP flag {c:?} in {text:?}")),
        }
    }
    Ok(flags)
}
