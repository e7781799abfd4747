//! Reading a scenario: JSON as the recordings of the real kernel use it (docs/RECORDS.md).

use kernel::{Era, Modules};
use packet::{Frame, Icmp, IcmpBody, Ip, L4, Mac, Payload, Protocol, Tcp, TcpFlags, TcpOptions, Udp};
use serde_json::{Map, Value};
use sim::{BridgePort, CloseHow, HostSpec, LinkSpec, Scenario, ServerMode, ServerSpec, Stimulus};
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
    let mut scenario = Scenario { settle_ms: root.or("settle_ms", 40, Node::number)?, ..Scenario::default() };
    let hosts = root.need("hosts")?;
    for (name, value) in hosts.object()? {
        let node = Node { value, place: format!("hosts.{name}") };
        scenario.hosts.push(host(name, &node)?);
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
    Ok(HostSpec {
        name: name.to_owned(),
        ip,
        sysctl,
        ipset,
        trace: n.or("trace", iptables.is_some(), Node::flag)?,
        iptables,
        ct_probe: n.or("ct_probe", false, Node::flag)?,
        era: n.or("kernel", Era::default(), era)?,
        child: true,
        setup: Vec::new(),
        // As in the kernel that made the recordings.
        modules: Modules { br_netfilter: true, nf_conntrack_tftp: true, nf_nat_tftp: true },
        tables,
        sniff: n.or("sniff", true, Node::flag)?,
        servers,
    })
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
        "veth" => Ok(LinkSpec::Veth {
            a: end(&n.need("a")?)?,
            b: end(&n.need("b")?)?,
            a_mac: n.get("a_mac")?.map(|m| mac(&m)).transpose()?,
            b_mac: n.get("b_mac")?.map(|m| mac(&m)).transpose()?,
        }),
        "bridge" => {
            let mut ports = Vec::new();
            for p in n.or("ports", Vec::new(), Node::list)? {
                ports.push(BridgePort {
                    dev: p.need("dev")?.text()?,
                    hairpin: p.or("hairpin", false, Node::flag)?,
                });
            }
            if let Some(opts) = n.get("opts")?
                && !opts.text()?.is_empty()
            {
                return wrong(&opts.place, "bridge options are not modelled");
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

fn stimulus(n: &Node<'_>) -> Result<Stimulus> {
    let kind = n.need("do")?.text()?;
    let host = || n.need("host").and_then(|h| h.text());
    Ok(match kind.as_str() {
        "tcp" => {
            let close = match n.get("close")? {
                Some(c) if c.value == "server" => CloseHow::Server,
                Some(c) if c.value == "rst" => CloseHow::Reset,
                _ => CloseHow::Client,
            };
            if n.or("hold", false, Node::flag)? {
                return Ok(Stimulus::NotRun { reason: "tcp with hold is not modelled".to_owned() });
            }
            Stimulus::Tcp {
                host: host()?,
                src: n.or("src", ANY, Node::endpoint)?,
                dst: n.need("dst")?.endpoint()?,
                request: n.or("request", b"GET".to_vec(), bytes)?,
                close,
                timeout_ms: n.or("timeout_ms", 400, Node::number)?,
            }
        }
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
            shell: sim::operator::command,
            host: host()?,
            argv: n.need("argv")?.texts()?,
            stdin: n.get("stdin")?.map(|s| s.text()).transpose()?,
        },
        other => Stimulus::NotRun { reason: format!("{other:?} is not modelled") },
    })
}

/// A crafted packet. Sequence numbers relative to those seen before are not modelled.
fn raw(n: &Node<'_>) -> Result<Stimulus> {
    let host = n.need("host")?.text()?;
    let pkt = n.need("pkt")?;
    for key in ["frag_slice", "frag"] {
        if pkt.get(key)?.is_some() {
            return Ok(Stimulus::NotRun { reason: format!("raw packets with {key} are not modelled") });
        }
    }
    for key in ["seq", "ack"] {
        if pkt.get(key)?.is_some_and(|v| v.value.is_string()) {
            let reason = format!("raw packets with a relative {key} are not modelled");
            return Ok(Stimulus::NotRun { reason });
        }
    }
    let ip = crafted(&pkt)?;
    match n.get("dev")? {
        None => Ok(Stimulus::Raw { host, ip }),
        Some(dev) => {
            let frame =
                Frame { src: mac(&n.need("smac")?)?, dst: mac(&n.need("dmac")?)?, payload: Payload::Ip(ip) };
            Ok(Stimulus::RawFrame { host, dev: dev.text()?, frame })
        }
    }
}

fn crafted(p: &Node<'_>) -> Result<Ip> {
    let addr = |key: &str| -> Result<IpAddr> { p.need(key)?.parse("an IPv4 address").map(IpAddr::V4) };
    let payload = p.or("payload", Vec::new(), bytes)?;
    let checksum_ok = !p.or("badsum", false, Node::flag)?;
    let proto = p.need("proto")?;
    let l4 = match proto.text()?.as_str() {
        "udp" => L4::Udp(Udp {
            sport: p.need("sport")?.number()?,
            dport: p.need("dport")?.number()?,
            checksum_ok,
            payload,
        }),
        "tcp" => L4::Tcp(Tcp {
            sport: p.need("sport")?.number()?,
            dport: p.need("dport")?.number()?,
            seq: p.or("seq", 0, Node::number)?,
            ack: p.or("ack", 0, Node::number)?,
            flags: flags(p)?,
            window: p.or("win", 64240, Node::number)?,
            options: TcpOptions::default(),
            checksum_ok,
            payload,
        }),
        "icmp" => {
            let inner = p.get("inner")?;
            let (default_kind, body) = match inner {
                Some(inner) => {
                    // The recordings' tool quotes the IP header and eight bytes, unless told otherwise.
                    let quoted = (!inner.or("full", false, Node::flag)?).then_some(28);
                    let inner = Box::new(crafted(&inner)?);
                    (3, IcmpBody::Error { gateway: None, mtu: 0, inner, quoted })
                }
                None => {
                    let (id, seq) = (p.or("id", 1, Node::number)?, p.or("icmp_seq", 1, Node::number)?);
                    (8, IcmpBody::Query { id, seq, payload })
                }
            };
            let kind = p.or("type", default_kind, Node::number)?;
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
    ip.frag.mf = p.or("mf", false, Node::flag)?;
    Ok(ip)
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
