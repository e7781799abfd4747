//! A lab from its text: a document of kind Lab, then the Kubernetes objects of its cluster.

mod command;
mod objects;
mod steps;

use super::effect::{Effect, file_of, with_copies};
use super::world::{WorldSpec, objects as read_objects};
use super::{App, Beat, Boxes, Claim, File, Goal, HttpPage, Lab, Listens, Moment, Position, Switch, When};
use crate::exercise;
use crate::fact::{Fact, Names};
use crate::kube::{Mode, Outside, profile};
use crate::prose::unclosed;
use crate::session::read_session;
use cluster::Read;
use cluster::fields::{Fields, each, network, number, text};
use cluster::kube_proxy::Version;
use cluster::yaml::{Entry, Place, Value, Yaml, documents};
pub(crate) use command::command_of;
use command::{command, commands};
use ipnet::{IpNet, Ipv4Net};
use kernel::Era;
pub(crate) use objects::check_new;
use sim::programs::dns_server::Table;
use sim::{ServerMode, ServerSpec};
use std::net::Ipv4Addr;
use steps::steps;

const API_VERSION: &str = "netfilter-lab/v1";

/// The fields of a Lab.
const FIELDS: [&str; 18] = [
    "apiVersion",
    "kind",
    "metadata",
    "title",
    "summary",
    "focus",
    "world",
    "setup",
    "files",
    "apps",
    "steps",
    "switches",
    "prose",
    "claims",
    "goals",
    "moments",
    "session",
    "exercise",
];

/// Reads a lab.
///
/// # Errors
/// Names line, column and token of the first thing that cannot be used, and what was expected.
pub fn read_lab(source: &str) -> Read<Lab> {
    let theirs = |name: &str| exercise::bases().find(|(n, _)| *n == name).map(|(_, t)| documents(t));
    let mut all = with_copies(&exercise::with_base(documents(source)?, is_lab, theirs)?)?;
    let Some(at) = all.iter().position(is_lab) else {
        let place = Place { line: 1, column: 1 };
        return Err(
            place.blame("", format!("expected a document with apiVersion: {API_VERSION} and kind: Lab"))
        );
    };
    let lab = all.remove(at);
    if let Some(second) = all.iter().find(|d| is_lab(d)) {
        return Err(second.place.blame("", "there is a Lab already; expected one"));
    }
    let at = &lab;
    let fields = Fields::strict(at, &FIELDS)?;
    match fields.need("apiVersion")? {
        v if text(v)? == API_VERSION => {}
        v => return Err(v.blame(format!("expected {API_VERSION}"))),
    }
    let metadata = Fields::strict(fields.need("metadata")?, &["name"])?;
    let world = world(&fields)?;
    let boxes = Boxes::of(at, &world, &all)?;
    objects::check(at, &all)?;
    let switches = switches(&fields, &boxes)?;
    let steps = steps(&fields, &boxes, &switches)?;
    let ids: Vec<String> = steps.iter().filter(|s| !s.id.is_empty()).map(|s| s.id.clone()).collect();
    let is_base =
        |name: &str| source.lines().any(|l| l.strip_prefix("base:").is_some_and(|b| b.trim() == name));
    let base = exercise::bases().find(|(name, _)| is_base(name)).map_or("", |(_, text)| text);
    let text = [source, base].join("\n");
    let names = Names { boxes: &boxes, steps: &ids, text: &text };
    let fact = |f: &Fields<'_>| Fact::read(f.need("that")?, &names);
    let lab = Lab {
        name: need_text(&metadata, "name")?,
        title: need_text(&fields, "title")?,
        summary: one_line(&need_text(&fields, "summary")?),
        focus: boxes.one(fields.need("focus")?)?,
        setup: commands(fields.get("setup"), &boxes, &switches, &[])?,
        files: each(fields.list("files")?, |v| file(v, &boxes, &switches))?,
        apps: each(fields.list("apps")?, |v| app(v, &boxes, &switches))?,
        beats: each(fields.list("prose")?, |v| {
            let f = Fields::strict(v, &["when", "text"])?;
            Ok(Beat { when: when(&f, &switches)?, text: prose(f.need("text")?)? })
        })?,
        claims: each(fields.list("claims")?, |v| {
            let f = Fields::strict(v, &["when", "text", "that"])?;
            Ok(Claim { text: one_line(&need_text(&f, "text")?), when: when(&f, &switches)?, that: fact(&f)? })
        })?,
        goals: each(fields.list("goals")?, |v| {
            let f = Fields::strict(v, &["text", "that"])?;
            Ok(Goal { text: one_line(&need_text(&f, "text")?), that: fact(&f)? })
        })?,
        moments: moments(&fields, &names)?,
        exercise: match fields.get("exercise") {
            None => None,
            Some(at) => {
                let around = exercise::Around { switches: &switches, names: &names };
                let command = |v: &Yaml| command(v, &boxes, &switches, &[]);
                Some(Box::new(exercise::read(at, &around, &command)?))
            }
        },
        session: fields.get("session").map(|v| read_session(v, &switches, &steps)).transpose()?,
        objects: all,
        world,
        switches,
        steps,
    };
    check_effects(&lab)?;
    Ok(lab)
}

fn is_lab(document: &Yaml) -> bool {
    let word = |key| Fields::any(document).ok().and_then(|f| f.get(key)).map(Yaml::token);
    word("kind") == Some("Lab") && word("apiVersion").is_some_and(|v| v.starts_with("netfilter-lab/"))
}

/// Text in one line: folded and plain text of YAML may end in a line feed.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in one line, with the markup of prose.
pub(crate) fn prose(v: &Yaml) -> Read<String> {
    let line = one_line(text(v)?);
    match unclosed(&line) {
        None => Ok(line),
        Some(sign) => {
            Err(v.blame(format!("{sign} is not closed; expected `code`, **strong**, [words](moment)")))
        }
    }
}

/// Text that may look like a number: versions do.
fn word(v: &Yaml) -> Read<String> {
    match &v.value {
        Value::Plain(t) | Value::Text(t) => Ok(t.clone()),
        _ => Err(v.blame("expected text")),
    }
}

fn need_text(fields: &Fields<'_>, key: &str) -> Read<String> {
    Ok(text(fields.need(key)?)?.to_owned())
}

fn ipv4(v: &Yaml) -> Read<Ipv4Addr> {
    text(v)?.parse().map_err(|_| v.blame("expected an IPv4 address"))
}

fn ipv4_net(v: &Yaml) -> Read<Ipv4Net> {
    match network(v)? {
        IpNet::V4(net) => Ok(net),
        IpNet::V6(_) => Err(v.blame("expected an IPv4 network")),
    }
}

/// Milliseconds: `5s`, `150ms`.
fn duration(v: &Yaml) -> Read<u64> {
    let given = word(v)?;
    let (digits, scale) = match given.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (given.strip_suffix('s').unwrap_or("?"), 1000),
    };
    let n: Option<u64> = digits.parse().ok();
    n.filter(|n| *n <= 86_400_000)
        .map(|n| n * scale)
        .ok_or_else(|| v.blame("expected a time, such as 5s or 40ms"))
}

fn world(lab: &Fields<'_>) -> Read<WorldSpec> {
    const KNOWN: [&str; 11] = [
        "kernel",
        "kubeProxy",
        "kubeVersion",
        "cni",
        "clusterCIDR",
        "natOutgoing",
        "hairpinMode",
        "gateway",
        "uplink",
        "machines",
        "settle",
    ];
    let default = WorldSpec::default();
    let Some(at) = lab.get("world") else { return Ok(default) };
    let f = Fields::strict(at, &KNOWN)?;
    let kernel = f.get("kernel").map(|v| {
        let known: Vec<&str> = Era::ALL.iter().map(|e| e.name()).collect();
        Era::from_name(&word(v)?).ok_or_else(|| v.blame(format!("expected one of {}", known.join(", "))))
    });
    let mode = f.get("kubeProxy").map(|v| match word(v)?.as_str() {
        "none" => Ok(None),
        name => Mode::from_name(name)
            .map(Some)
            .ok_or_else(|| v.blame("expected iptables, ipvs, nftables or none")),
    });
    let version =
        f.get("kubeVersion").map(|v| word(v)?.parse::<Version>().map_err(|e| v.blame(e.to_string())));
    let version = version.transpose()?.unwrap_or(default.version);
    let cni = f.get("cni").map(|v| profile(text(v)?).map_err(|e| v.blame(e)));
    let hairpin = f.word(
        "hairpinMode",
        &[("none", (false, false)), ("hairpin-veth", (true, false)), ("promiscuous-bridge", (false, true))],
    )?;
    let (hairpin, promisc) = hairpin.unwrap_or_default();
    Ok(WorldSpec {
        kernel: kernel.transpose()?.unwrap_or(default.kernel),
        mode: mode.transpose()?.unwrap_or(default.mode),
        version,
        kubelet: version,
        cni: cni.transpose()?.unwrap_or(default.cni),
        cluster_cidr: f.get("clusterCIDR").map(ipv4_net).transpose()?,
        nat_outgoing: f.boolean("natOutgoing")?.unwrap_or(default.nat_outgoing),
        hairpin,
        promisc,
        gateway: f.get("gateway").map(ipv4).transpose()?.unwrap_or(default.gateway),
        uplink: f.get("uplink").map(device_name).transpose()?.unwrap_or(default.uplink),
        machines: each(f.list("machines")?, machine)?,
        settle_ms: f.get("settle").map(duration).transpose()?.unwrap_or(default.settle_ms),
    })
}

/// A name that the kernel takes for a device (`dev_valid_name`).
fn device_name(v: &Yaml) -> Read<String> {
    let name = text(v)?;
    let fits =
        (1..16).contains(&name.len()) && !name.contains(['/', ':']) && !name.contains(char::is_whitespace);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(v.blame("expected a name of 1 to 15 characters, without blanks, / and :"))
    }
}

fn machine(v: &Yaml) -> Read<Outside> {
    let f = Fields::strict(v, &["name", "address", "knowsPods"])?;
    let at = f.need("address")?;
    Ok(Outside {
        name: need_text(&f, "name")?,
        addr: text(at)?
            .parse()
            .map_err(|_| at.blame("expected an address with its prefix, such as 10.0.0.9/24"))?,
        knows_pods: f.boolean("knowsPods")?.unwrap_or(false),
    })
}

fn when(fields: &Fields<'_>, switches: &[Switch]) -> Read<When> {
    let Some(at) = fields.get("when") else { return Ok(When::default()) };
    let mut out = Vec::new();
    for (switch, value) in switched(at, switches)? {
        let values = match &value.value {
            Value::Sequence(items) => each(items, |v| value_of(switch, v))?,
            _ => vec![value_of(switch, value)?],
        };
        out.push((switch.name.clone(), values));
    }
    Ok(When(out))
}

/// Switches by their names, each with what is said of it.
///
/// # Errors
/// It is no mapping, or there is no such switch.
pub(crate) fn switched<'s, 'y>(at: &'y Yaml, switches: &'s [Switch]) -> Read<Vec<(&'s Switch, &'y Yaml)>> {
    let Value::Mapping(entries) = &at.value else {
        return Err(at.blame("expected switches and their values (switch: value)"));
    };
    let one = |e: &'y Entry| match switches.iter().find(|s| s.name == e.key) {
        Some(switch) => Ok((switch, &e.value)),
        None => {
            let known: Vec<&str> = switches.iter().map(|s| s.name.as_str()).collect();
            Err(e.place.blame(&e.key, format!("no such switch; expected one of {}", known.join(", "))))
        }
    };
    entries.iter().map(one).collect()
}

/// A value of a switch.
///
/// # Errors
/// The switch has no such value.
pub(crate) fn value_of(switch: &Switch, v: &Yaml) -> Read<String> {
    let value = word(v)?;
    if switch.position(&value).is_some() {
        return Ok(value);
    }
    let known: Vec<&str> = switch.values().collect();
    Err(v.blame(format!("no such value of {}; expected one of {}", switch.name, known.join(", "))))
}

fn switches(lab: &Fields<'_>, boxes: &Boxes) -> Read<Vec<Switch>> {
    let mut out: Vec<Switch> = Vec::new();
    for v in lab.list("switches")? {
        let f = Fields::strict(v, &["name", "title", "on", "default", "values"])?;
        let hosts = f.get("on").map(|on| boxes.some(on)).transpose()?.unwrap_or_default();
        let values = f.need("values")?;
        let Value::Mapping(entries) = &values.value else {
            return Err(values.blame("expected values and their commands (value: command)"));
        };
        // The first value is the default, unless one is named.
        let mut positions = Vec::new();
        for e in entries {
            // A command may depend on switches that stand before this one.
            let commands = commands(Some(&e.value), boxes, &out, &hosts)?;
            positions.push(Position { value: e.key.clone(), commands });
        }
        let Some(first) = positions.first() else { return Err(values.blame("expected two values or more")) };
        let default = match f.get("default") {
            None => first.value.clone(),
            Some(d) => word(d)?,
        };
        if !positions.iter().any(|p| p.value == default) {
            return Err(f.need("default")?.blame("this is not one of the values"));
        }
        let once = positions.iter().flat_map(|p| &p.commands).all(|c| c.on.is_empty());
        out.push(Switch {
            name: need_text(&f, "name")?,
            title: one_line(&need_text(&f, "title")?),
            hosts: if once { Vec::new() } else { hosts },
            positions,
            default,
        });
    }
    Ok(out)
}

fn file(v: &Yaml, boxes: &Boxes, switches: &[Switch]) -> Read<File> {
    let f = Fields::strict(v, &["on", "when", "path", "text"])?;
    Ok(File {
        on: boxes.wherever(f.need("on")?)?,
        when: when(&f, switches)?,
        path: need_text(&f, "path")?,
        text: need_text(&f, "text")?,
    })
}

fn app(v: &Yaml, boxes: &Boxes, switches: &[Switch]) -> Read<App> {
    const APPS: [(&str, &[&str]); 6] = [
        ("http", &["port", "pages"]),
        ("echo", &["port", "protocol"]),
        ("sink", &["port", "protocol"]),
        ("tftp", &["port", "dataPort", "retransmit"]),
        ("dns", &["port", "zone", "records"]),
        ("coredns", &["port", "config"]),
    ];
    let any = Fields::any(v)?;
    let kind = any.need("app")?;
    let Some((name, more)) = APPS.iter().find(|(name, _)| *name == kind.token()) else {
        let known: Vec<&str> = APPS.iter().map(|(name, _)| *name).collect();
        return Err(kind.blame(format!("expected one of {}", known.join(", "))));
    };
    let known: Vec<&str> = ["on", "app", "when", "address"].iter().chain(*more).copied().collect();
    let f = Fields::strict(v, &known)?;
    let port = match (f.port("port", 1)?, *name) {
        (Some(port), _) => port,
        (None, "http") => 80,
        (None, "tftp") => 69,
        (None, "dns" | "coredns") => 53,
        _ => number(f.need("port")?, 1, 65_535).map(|n| u16::try_from(n).unwrap_or_default())?,
    };
    let bind = (f.get("address").map(ipv4).transpose()?.unwrap_or(Ipv4Addr::UNSPECIFIED), port);
    let tcp = f.word("protocol", &[("tcp", true), ("udp", false)])?.unwrap_or(true);
    let server = |tcp, mode| Listens::Server(ServerSpec { tcp, bind, mode, closes: false });
    let server = match *name {
        "http" => Listens::Http { bind, pages: each(f.list("pages")?, page)? },
        "echo" => server(tcp, ServerMode::Echo),
        "sink" => server(tcp, ServerMode::Sink),
        "tftp" => {
            let data = (Ipv4Addr::UNSPECIFIED, f.port("dataPort", 1)?.unwrap_or(32_768));
            let retransmit_ms = f.get("retransmit").map(duration).transpose()?.unwrap_or(1000);
            server(false, ServerMode::Tftp { data, retransmit_ms })
        }
        "dns" => {
            let at = f.need("records")?;
            let zone = f.text("zone")?.unwrap_or_default();
            let table = Table::parse(zone, 300, text(at)?).map_err(|e| at.blame(e))?;
            Listens::Dns { bind, table }
        }
        _ => {
            let config = f.text("config")?.unwrap_or("kube-system/coredns");
            let config = config.split_once('/').unwrap_or(("kube-system", config));
            Listens::CoreDns { bind, config: (config.0.to_owned(), config.1.to_owned()) }
        }
    };
    Ok(App { on: boxes.wherever(f.need("on")?)?, when: when(&f, switches)?, server })
}

/// A page of a web server.
fn page(v: &Yaml) -> Read<HttpPage> {
    let f = Fields::strict(v, &["path", "bytes", "after"])?;
    let bytes = number(f.need("bytes")?, 0, 10_000_000)?;
    Ok(HttpPage {
        path: need_text(&f, "path")?,
        bytes: usize::try_from(bytes).unwrap_or_default(),
        after_ms: f.get("after").map(duration).transpose()?.unwrap_or_default(),
    })
}

fn moments(lab: &Fields<'_>, names: &Names<'_>) -> Read<Vec<Moment>> {
    let Some(at) = lab.get("moments") else { return Ok(Vec::new()) };
    let Value::Mapping(entries) = &at.value else {
        return Err(at.blame("expected keys and facts (key: fact)"));
    };
    entries.iter().map(|e| Ok(Moment { key: e.key.clone(), that: Fact::read(&e.value, names)? })).collect()
}

/// The commands about the cluster of each position are tried, so that a wrong one is told where it stands.
fn check_effects(lab: &Lab) -> Read<()> {
    let all = lab.switches.iter().flat_map(|s| s.positions.iter().filter(|p| p.value != s.default));
    for position in all {
        let (mut documents, files): (Vec<Yaml>, Vec<Yaml>) =
            lab.objects.iter().cloned().partition(|d| file_of(d).is_none());
        let mut world = lab.world.clone();
        for command in &position.commands {
            let blame = |e: String| command.place.blame(&command.run, e);
            for effect in Effect::of(command).map_err(blame)?.unwrap_or_default() {
                effect.set_up(&mut documents, &mut world, &files).map_err(blame)?;
            }
            read_objects(&documents).map_err(|e| blame(e.to_string()))?;
        }
    }
    Ok(())
}
