//! Commands that are about the cluster, as they are typed.

use super::document::one_document;
use super::{Effect, Named, kubectl};
use crate::kube::{Mode, Outside, profile};
use crate::lab::Command;
use crate::session::quoted;
use cluster::fields::Fields;
use ipnet::IpNet;
use kernel::Era;

/// The programs of such commands.
const PROGRAMS: [&str; 7] = ["kubectl", "kube-proxy", "kubelet", "calicoctl", "grubby", "apt-get", "lab"];

/// Whether it is the name of one of them.
pub fn is_about_cluster(program: &str) -> bool {
    PROGRAMS.contains(&program)
}

impl Effect {
    /// What a command changes; `None` if it is one of a box.
    ///
    /// # Errors
    /// Says which word is not read, and what was expected.
    pub fn of(command: &Command) -> Result<Option<Vec<Effect>>, String> {
        let program = command.program();
        // A forwarded port is a program of the box on which it is typed.
        let forwards = command.argv.iter().any(|w| w == "port-forward");
        if !is_about_cluster(program) || program == "kubectl" && forwards {
            return Ok(None);
        }
        let mut words = Words { all: &command.argv, argv: command.argv.get(1..).unwrap_or_default(), at: 0 };
        let effects = match program {
            "kubectl" => kubectl::read(&mut words, command.stdin.as_deref())?,
            "kube-proxy" => options(&mut words, kube_proxy)?,
            "kubelet" => options(&mut words, kubelet)?,
            "grubby" => options(&mut words, grubby)?,
            "apt-get" => vec![apt_get(&mut words)?],
            "lab" => vec![lab(&mut words)?],
            _ => vec![calicoctl(&mut words)?],
        };
        match words.next() {
            Some(word) => Err(format!("{word:?} is not read here")),
            None => Ok(Some(effects)),
        }
    }
}

/// The words of a command, one after the other.
pub(super) struct Words<'a> {
    /// With the program.
    pub all: &'a [String],
    pub argv: &'a [String],
    at: usize,
}

impl<'a> Words<'a> {
    pub fn next(&mut self) -> Option<&'a str> {
        let word = self.argv.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    pub fn need(&mut self, what: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("expected {what}"))
    }
}

/// `--name=value` or `--name value` until the words end.
fn options(
    words: &mut Words<'_>,
    read: impl Fn(&str, &str) -> Option<Result<Effect, String>>,
) -> Result<Vec<Effect>, String> {
    let mut out = Vec::new();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value),
            None if word == "--masquerade-all" => (word, "true"),
            None => (word, words.need("a value")?),
        };
        out.push(read(name, value).unwrap_or_else(|| Err(format!("{name:?} is not modelled")))?);
    }
    if out.is_empty() { Err("expected an option".to_owned()) } else { Ok(out) }
}

fn kube_proxy(name: &str, value: &str) -> Option<Result<Effect, String>> {
    let wrong = |what: &str| Err(format!("{value:?}: expected {what}"));
    Some(match name {
        "--proxy-mode" => match Mode::from_name(value) {
            Some(mode) => Ok(Effect::ProxyMode(mode)),
            None => wrong("a mode: iptables, ipvs or nftables"),
        },
        "--masquerade-all" => match value {
            "true" | "false" => {
                let all = format!("{{masqueradeAll: {value}}}");
                Ok(Effect::Configuration(format!("iptables: {all}, nftables: {all}")))
            }
            _ => wrong("true or false"),
        },
        "--nodeport-addresses" => {
            let is_network = |word: &str| word.parse::<IpNet>().is_ok();
            match value {
                "" | "primary" => Ok(Effect::Configuration(format!("nodePortAddresses: [{value}]"))),
                _ if value.split(',').all(is_network) => {
                    let all = value.split(',').map(quoted).collect::<Vec<_>>().join(", ");
                    Ok(Effect::Configuration(format!("nodePortAddresses: [{all}]")))
                }
                _ => wrong("networks with commas between, such as 10.0.0.0/24, or primary"),
            }
        }
        "--cluster-cidr" if value.is_empty() => Ok(Effect::ClusterCidr(None)),
        "--cluster-cidr" => match value.parse() {
            Ok(net) => Ok(Effect::ClusterCidr(Some(net))),
            Err(_) => wrong("a network, such as 10.244.0.0/16"),
        },
        _ => return None,
    })
}

fn kubelet(name: &str, value: &str) -> Option<Result<Effect, String>> {
    (name == "--hairpin-mode").then(|| match value {
        "none" => Ok(Effect::Hairpin(false, false)),
        "hairpin-veth" => Ok(Effect::Hairpin(true, false)),
        "promiscuous-bridge" => Ok(Effect::Hairpin(false, true)),
        _ => Err(format!("{value:?}: expected none, hairpin-veth or promiscuous-bridge")),
    })
}

fn grubby(name: &str, value: &str) -> Option<Result<Effect, String>> {
    (name == "--set-default").then(|| {
        let version = value.strip_prefix("/boot/vmlinuz-").unwrap_or(value);
        Era::from_name(version).map(Effect::Kernel).ok_or_else(|| {
            let known: Vec<String> = Era::ALL.iter().map(|e| format!("/boot/vmlinuz-{}", e.name())).collect();
            format!("{value:?}: expected one of {}", known.join(", "))
        })
    })
}

fn calicoctl(words: &mut Words<'_>) -> Result<Effect, String> {
    for want in ["patch", "ippool"] {
        if words.need(want)? != want {
            return Err(format!("only `calicoctl patch ippool NAME -p PATCH` is modelled; expected {want}"));
        }
    }
    words.need("the pool's name")?;
    if !matches!(words.need("-p")?, "-p" | "--patch") {
        return Err("expected -p and a patch".to_owned());
    }
    let patch = one_document(words.need("a patch")?)?;
    let spec =
        Fields::strict(&patch, &["spec"]).and_then(|f| Fields::strict(f.need("spec")?, &["natOutgoing"]));
    let on = spec.and_then(|f| f.boolean("natOutgoing")).map_err(|e| e.to_string())?;
    on.map(Effect::NatOutgoing).ok_or_else(|| "expected natOutgoing in the patch's spec".to_owned())
}

/// `apt-get install [-y] [--allow-downgrades] kubelet=1.23.17-1.1`: the kubelets' release.
fn apt_get(words: &mut Words<'_>) -> Result<Effect, String> {
    const USAGE: &str = "expected apt-get install kubelet=VERSION";
    if words.next() != Some("install") {
        return Err(USAGE.to_owned());
    }
    let mut word = words.need("a package")?;
    while matches!(word, "-y" | "--allow-downgrades") {
        word = words.need("a package")?;
    }
    let version = word.strip_prefix("kubelet=").ok_or(USAGE)?;
    let release = version.split('-').next().unwrap_or(version);
    release.parse().map(Effect::KubeletVersion).map_err(|e: String| format!("{version:?}: {e}"))
}

/// `lab`: what no program does.
fn lab(words: &mut Words<'_>) -> Result<Effect, String> {
    const USAGE: &str = "lab machine add NAME ADDRESS/PREFIX [--knows-pods], lab machine delete NAME, \
                         lab pod [NAMESPACE/]NAME NODE [ADDRESS], or lab cni PROFILE";
    let usage = || format!("expected {USAGE}");
    match words.next() {
        Some("machine") => {}
        Some("cni") => return profile(words.need("a profile")?).map(Effect::Cni),
        Some("pod") => {
            let name = words.need("the pod's name")?;
            let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
            let pod =
                Named { kind: "pod".to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
            let node = words.need("a node")?.to_owned();
            let address = words.next().map(|w| w.parse().map_err(|_| format!("{w:?}: expected an address")));
            return Ok(Effect::Place(pod, node, address.transpose()?));
        }
        _ => return Err(usage()),
    }
    match words.next() {
        Some("delete") => Ok(Effect::NoMachine(words.need("the machine's name")?.to_owned())),
        Some("add") => {
            let name = words.need("the machine's name")?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(format!("{name:?}: expected a name of letters, digits and -"));
            }
            let given = words.need("its address")?;
            let addr = given.parse().map_err(|_| {
                format!("{given:?}: expected an address with its prefix, such as 10.0.0.9/24")
            })?;
            let knows_pods = match words.next() {
                None => false,
                Some("--knows-pods") => true,
                Some(word) => return Err(format!("{word:?}: expected --knows-pods or nothing")),
            };
            Ok(Effect::Machine(Outside { name: name.to_owned(), addr, knows_pods }))
        }
        _ => Err(usage()),
    }
}
