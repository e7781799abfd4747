//! Facts as a lab's text has them.

use super::words::{EVENTS, REASONS};
use super::{Directions, Fact, Happening, Kind, Printed, Times, Walk};
use crate::kube::PROFILES;
use crate::lab::{Boxes, split};
use cluster::Read;
use cluster::fields::{Fields, each, text};
use cluster::yaml::{Value, Yaml};
use userland::tcpdump::Filter;

/// The names in a lab's text that facts may use.
pub struct Names<'n> {
    /// The boxes.
    pub boxes: &'n Boxes,
    /// The ids of the steps.
    pub steps: &'n [String],
    /// The whole text, which may make tables of nf_tables.
    pub text: &'n str,
}

/// The tables that boxes may have without a word in the text.
const TABLES: [&str; 6] = ["raw", "mangle", "nat", "filter", "security", "kube-proxy"];
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// A table that cannot be there would make `times: 0` true and everything else false.
fn check_table(at: &Yaml, table: &str, names: &Names<'_>) -> Read<()> {
    let made = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || "\"'{},;".contains(c));
        words.any(|w| w == "table") && words.any(|w| w == table)
    };
    if TABLES.contains(&table) || table.contains('*') || names.text.lines().any(made) {
        return Ok(());
    }
    Err(at.blame(format!("there is no table {table:?}; expected one of {}, or * for any", TABLES.join(", "))))
}

/// Chains that kube-proxy and the kubelet make.
const CHAINS: [&str; 18] = [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-NODE-PORT",
    "KUBE-POSTROUTING",
    "KUBE-MARK-MASQ",
    "KUBE-MARK-DROP",
    "KUBE-FORWARD",
    "KUBE-FIREWALL",
    "KUBE-PROXY-FIREWALL",
    "KUBE-LOAD-BALANCER",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
    "KUBE-PROXY-CANARY",
    "KUBE-KUBELET-CANARY",
    "KUBE-IPTABLES-HINT",
    "KUBE-HOSTPORTS",
];
/// What the names of others begin with: kube-proxy's and kubenet's with a hash of 16 letters behind, and those of plugins.
const HASHED: [&str; 7] =
    ["KUBE-SVC-", "KUBE-SEP-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-XLB-", "KUBE-FW-", "KUBE-HP-"];
const PLUGINS: [&str; 4] = ["CNI-", "cali-", "FLANNEL-", "DOCKER-ISOLATION-"];
const DOCKER: [&str; 2] = ["DOCKER", "DOCKER-USER"];

/// kube-proxy or the kubelet makes this chain.
pub(crate) fn is_kubernetes(chain: &str) -> bool {
    let hash = |rest: &str| {
        rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
    };
    CHAINS.contains(&chain) || HASHED.iter().any(|begin| chain.strip_prefix(begin).is_some_and(hash))
}

/// The chains that the kernel has.
fn built_in(table: &str) -> &'static [&'static str] {
    match table {
        "raw" => &["PREROUTING", "OUTPUT"],
        "nat" => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        "filter" | "security" => &["INPUT", "FORWARD", "OUTPUT"],
        _ => &HOOKS,
    }
}

/// The same of a chain. Those of kube-proxy's own table, and of tables that the text makes, are not known here.
fn check_chain(at: &Yaml, table: &str, chain: &str, names: &Names<'_>) -> Read<()> {
    check_table(at, table, names)?;
    // `-N NAME`, `:NAME - [0:0]`, `chain NAME {`, `chain ip TABLE NAME`
    let made = |line: &str| {
        let split = |c: char| c.is_whitespace() || "\"'{},;".contains(c);
        let words: Vec<&str> = line.split(split).filter(|w| !w.is_empty()).collect();
        let makes = |(at, word): (usize, &&str)| {
            let behind = words.get(at + 1..).unwrap_or_default();
            match (*word, behind) {
                ("-N" | "--new" | "--new-chain" | "chain", [name, ..]) if *name == chain => true,
                ("-E" | "--rename-chain", [_, name, ..]) => *name == chain,
                ("chain", [of, name, ..]) if *of == table => *name == chain,
                ("chain", [_, of, name, ..]) => *of == table && *name == chain,
                _ => word.strip_prefix(':') == Some(chain),
            }
        };
        words.iter().enumerate().any(makes)
    };
    let known = !TABLES[..5].contains(&table)
        || chain.contains('*')
        || built_in(table).contains(&chain)
        || is_kubernetes(chain)
        || DOCKER.contains(&chain)
        || PLUGINS.iter().any(|begin| chain.starts_with(begin))
        || names.text.lines().any(made);
    match known {
        true => Ok(()),
        false => Err(at.blame(format!(
            "nobody makes a chain {chain:?} in table {table}; expected one of {}, one of kube-proxy's, or * for any",
            built_in(table).join(", ")
        ))),
    }
}

/// The same of a device.
fn check_device(at: &Yaml, dev: &str, names: &Names<'_>) -> Read<()> {
    const KNOWN: [&str; 8] =
        ["lo", "eth0", "kube-ipvs0", "tunl0", "flannel.1", "nodelocaldns", "docker0", "cbr0"];
    let bridge = PROFILES.iter().any(|p| p.bridge == Some(dev));
    let named = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || "\"'{},;:".contains(c));
        !line.contains("dev:") && words.any(|w| w == dev)
    };
    let known = KNOWN.contains(&dev)
        || bridge
        || ["veth", "cali", "p-"].iter().any(|begin| dev.starts_with(begin))
        || names.text.lines().any(named);
    match known {
        true => Ok(()),
        false => Err(at.blame(format!(
            "no box has a device {dev:?}; expected one of {}, the world's uplink, a pod's veth or one that the text names",
            KNOWN.join(", ")
        ))),
    }
}

/// What a fact is about: one of these is there.
const SUBJECTS: [&str; 20] = [
    "asked",
    "captured",
    "dropped",
    "rule",
    "enters",
    "nat",
    "event",
    "says",
    "log",
    "printed",
    "chains",
    "passes",
    "hooks",
    "conntrack",
    "command",
    "prints",
    "before",
    "every",
    "eachStep",
    "not",
];

impl Fact {
    /// Reads a fact.
    ///
    /// # Errors
    /// Names line, column and token of what cannot be used, and what was expected.
    pub fn read(at: &Yaml, names: &Names<'_>) -> Read<Fact> {
        let any = Fields::any(at)?;
        let subjects = SUBJECTS.iter().chain(&["all", "any"]);
        let Some(subject) = subjects.clone().find(|s| any.get(s).is_some()) else {
            if any.get("step").is_some() {
                return printed(at, names);
            }
            let known: Vec<&str> = subjects.copied().chain(["step"]).collect();
            return Err(at.blame(format!("expected a fact with one of {}", known.join(", "))));
        };
        match *subject {
            "not" => Ok(Fact::Not(Box::new(Fact::read(only(at, "not")?, names)?))),
            "all" => Ok(Fact::All(list(only(at, "all")?, names)?)),
            "any" => Ok(Fact::Any(list(only(at, "any")?, names)?)),
            "before" => {
                let value = only(at, "before")?;
                let mut facts = list(value, names)?.into_iter();
                match (facts.next(), facts.next(), facts.next()) {
                    (Some(a), Some(b), None) => Ok(Fact::Before(Box::new(a), Box::new(b))),
                    _ => Err(value.blame("expected two facts")),
                }
            }
            "every" => {
                let fields = Fields::strict(at, &["every", "then", "never"])?;
                let of = happening(fields.need("every")?, names)?.0;
                match (fields.get("then"), fields.get("never")) {
                    (Some(then), None) => Ok(Fact::Every(Box::new((of, happening(then, names)?.0)), true)),
                    (None, Some(never)) => Ok(Fact::Every(Box::new((of, happening(never, names)?.0)), false)),
                    _ => Err(at.blame("expected then or never")),
                }
            }
            "eachStep" => {
                let fields = Fields::strict(at, &["eachStep", "then"])?;
                let of = happening(fields.need("eachStep")?, names)?.0;
                Ok(Fact::EachStep(Box::new(of), Box::new(Fact::read(fields.need("then")?, names)?)))
            }
            "chains" | "passes" | "hooks" => walk(at, subject, names),
            "command" | "prints" | "conntrack" => printed(at, names),
            _ => {
                let (happening, times) = happening(at, names)?;
                Ok(Fact::Happened(happening, times))
            }
        }
    }
}

fn only<'y>(at: &'y Yaml, key: &str) -> Read<&'y Yaml> {
    Fields::strict(at, &[key])?.need(key)
}

fn list(at: &Yaml, names: &Names<'_>) -> Read<Vec<Fact>> {
    match &at.value {
        Value::Sequence(items) => items.iter().map(|item| Fact::read(item, names)).collect(),
        _ => Err(at.blame("expected a list of facts (- ...)")),
    }
}

fn filter(at: &Yaml) -> Read<Filter> {
    let given = text(at)?;
    Filter::parse(given).map_err(|d| at.blame(format!("{}: {}", d.message, d.help)))
}

fn one_or_more(at: &Yaml) -> Read<Vec<String>> {
    match &at.value {
        Value::Sequence(items) => each(items, |item| Ok(text(item)?.to_owned())),
        _ => Ok(vec![text(at)?.to_owned()]),
    }
}

fn step(fields: &Fields<'_>, names: &Names<'_>) -> Read<String> {
    let Some(at) = fields.get("step") else { return Ok(String::new()) };
    let id = text(at)?;
    if names.steps.iter().any(|s| s == id) {
        return Ok(id.to_owned());
    }
    Err(at.blame(format!("no step has this id; expected one of {}", names.steps.join(", "))))
}

fn times(fields: &Fields<'_>) -> Read<Option<Times>> {
    let n = |key| fields.number(key, 0, u32::MAX).map(|n| n.and_then(|n| usize::try_from(n).ok()));
    match (n("times")?, n("atLeast")?) {
        (Some(_), Some(_)) => Err(fields.at.blame("expected times or atLeast, not both")),
        (Some(n), None) => Ok(Some(Times::Exactly(n))),
        (None, Some(n)) => Ok(Some(Times::AtLeast(n))),
        (None, None) => Ok(None),
    }
}

fn happening(at: &Yaml, names: &Names<'_>) -> Read<(Happening, Times)> {
    const COMMON: [&str; 5] = ["on", "step", "packet", "times", "atLeast"];
    const KINDS: [(&str, &[&str]); 10] = [
        ("asked", &[]),
        ("printed", &[]),
        ("enters", &[]),
        ("captured", &["dir", "dev"]),
        ("dropped", &[]),
        ("rule", &["number", "target"]),
        ("nat", &[]),
        ("event", &[]),
        ("says", &[]),
        ("log", &[]),
    ];
    let any = Fields::any(at)?;
    let Some((kind, more)) = KINDS.iter().find(|(kind, _)| any.get(kind).is_some()) else {
        let known: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        return Err(at.blame(format!("expected something that happens: one of {}", known.join(", "))));
    };
    let known: Vec<&str> = [*kind].iter().chain(*more).chain(&COMMON).copied().collect();
    let fields = Fields::strict(at, &known)?;
    let value = fields.need(kind)?;
    let what = match *kind {
        "captured" => Kind::Captured {
            filter: filter(value)?,
            dir: fields.word("dir", &[("in", Directions::In), ("out", Directions::Out)])?,
            dev: match fields.get("dev") {
                None => None,
                Some(dev) => {
                    check_device(dev, text(dev)?, names)?;
                    Some(text(dev)?.to_owned())
                }
            },
        },
        "dropped" => {
            let reason = text(value)?;
            if reason != "any" && !REASONS.contains(&reason) {
                return Err(value.blame(format!("expected any or one of {}", REASONS.join(", "))));
            }
            Kind::Dropped((reason != "any").then(|| reason.to_owned()))
        }
        "rule" | "enters" | "asked" => {
            let Some((table, chain)) = text(value)?.split_once(' ') else {
                return Err(value.blame("expected a table and a chain, such as nat KUBE-SERVICES"));
            };
            let chain = chain.trim();
            check_chain(value, table, chain, names)?;
            if *kind == "enters" {
                Kind::Enters(table.to_owned(), chain.to_owned())
            } else if *kind == "asked" {
                Kind::Asked(table.to_owned(), chain.to_owned())
            } else {
                Kind::Rule {
                    table: table.to_owned(),
                    chain: chain.to_owned(),
                    number: fields.number("number", 1, u32::MAX)?,
                    target: fields.text("target")?.map(str::to_owned),
                }
            }
        }
        "nat" => Kind::Nat(filter(value)?),
        "event" => {
            let word = text(value)?;
            if !EVENTS.contains(&word) {
                return Err(value.blame(format!("expected one of {}", EVENTS.join(", "))));
            }
            Kind::Event(word.to_owned())
        }
        "says" => Kind::Says(text(value)?.to_owned()),
        "log" => Kind::Log(text(value)?.to_owned()),
        _ => Kind::Printed(text(value)?.to_owned()),
    };
    let on = match fields.get("on") {
        None => Vec::new(),
        Some(on) => names.boxes.some(on)?,
    };
    let packet = fields.get("packet").map(filter).transpose()?;
    let step = step(&fields, names)?;
    Ok((Happening { on, step, packet, what }, times(&fields)?.unwrap_or(Times::AtLeast(1))))
}

fn walk(at: &Yaml, subject: &str, names: &Names<'_>) -> Read<Fact> {
    let fields = Fields::strict(at, &[subject, "on", "packet", "step"])?;
    let walk = Walk {
        on: names.boxes.one(fields.need("on")?)?,
        packet: filter(fields.need("packet")?)?,
        step: step(&fields, names)?,
        names: one_or_more(fields.need(subject)?)?,
        exactly: subject == "chains",
    };
    for name in &walk.names {
        let at = fields.need(subject)?;
        match name.split_once(' ') {
            _ if subject == "hooks" && (HOOKS.contains(&name.as_str()) || name.contains('*')) => {}
            _ if subject == "hooks" => {
                return Err(
                    at.blame(format!("there is no hook {name:?}; expected some of {}", HOOKS.join(", ")))
                );
            }
            Some((table, chain)) => check_chain(at, table, chain.trim(), names)?,
            None => return Err(at.blame("expected tables and chains, such as nat KUBE-SERVICES")),
        }
    }
    Ok(if subject == "hooks" { Fact::Hooks(walk) } else { Fact::Chains(walk) })
}

fn printed(at: &Yaml, names: &Names<'_>) -> Read<Fact> {
    let fields =
        Fields::strict(at, &["command", "on", "step", "prints", "conntrack", "times", "atLeast", "status"])?;
    let status = fields.number("status", 0, 255)?.and_then(|n| i32::try_from(n).ok());
    let times = times(&fields)?;
    let lines = match (fields.get("prints"), fields.get("conntrack")) {
        (Some(at), None) => one_or_more(at)?,
        (None, Some(at)) => one_or_more(at)?,
        (None, None) => Vec::new(),
        (Some(_), Some(at)) => return Err(at.blame("expected prints or conntrack, not both")),
    };
    let on = || names.boxes.one(fields.need("on")?);
    let command = match (fields.get("command"), fields.get("conntrack")) {
        (Some(at), _) => Some((on()?, split(text(at)?).map_err(|e| at.blame(e))?)),
        (None, Some(_)) => Some((on()?, vec!["conntrack".to_owned(), "-L".to_owned()])),
        (None, None) => {
            fields.need("step")?;
            None
        }
    };
    if lines.is_empty() && times.is_none() && status.is_none() {
        return Err(
            at.blame("expected what is printed (prints), how many lines (times, atLeast) or the status")
        );
    }
    Ok(Fact::Prints(Printed { step: step(&fields, names)?, command, lines, times, status }))
}
