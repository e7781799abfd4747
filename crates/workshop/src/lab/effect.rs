//! Commands that are about the cluster and not about one box: what they change.
//!
//! `kubectl patch|apply|create|delete|scale`, `kubectl set image daemonset/kube-proxy`, `kube-proxy --proxy-mode=...`, `kubelet --hairpin-mode=...`,
//! `calicoctl patch ippool`, `apt-get install kubelet=VERSION`, `grubby --set-default=/boot/vmlinuz-VERSION` for another kernel, and `lab machine add|delete` for computers on
//! the LAN. What `kubectl apply -f -` brings is in [`super::apply`].

use super::apply::{self, Kept};
use super::kubectl::{self, Query};
use super::{Command, WorldSpec};
use crate::kube::{Cni, Mode, Outside, profile};
use cluster::Read;
use cluster::fields::{Fields, text};
use cluster::kube_proxy::Version;
use cluster::yaml::{Entry, Place, Value, Yaml, documents};
use ipnet::Ipv4Net;
use kernel::Era;

/// The annotation of an object that is not there until `kubectl apply -f` names this file.
pub const FILE: &str = "netfilter-lab/file";

/// The annotation of an object of which there are so many: `{n}` in its texts is the number of each, from 1.
pub const COPIES: &str = "netfilter-lab/copies";
/// No more copies than this.
const MAX_COPIES: u32 = 5000;

/// The programs of such commands.
const PROGRAMS: [&str; 7] = ["kubectl", "kube-proxy", "kubelet", "calicoctl", "grubby", "apt-get", "lab"];

/// An object, as kubectl names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its kind in lower-case letters, one of the short names, or the plural.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Named {
    /// It is a pod.
    pub fn is_pod(&self) -> bool {
        matches!(self.kind.to_lowercase().as_str(), "pod" | "pods" | "po")
    }

    /// Namespace and name.
    pub fn key(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

/// Where a command has objects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A file: those with the annotation [`FILE`].
    File(String),
    /// Standard input.
    Input(Vec<Yaml>),
}

impl Given {
    /// `-f FILE`, or `-f -` for standard input. `Err` says what of the latter cannot be used.
    fn of(file: String, stdin: Option<&str>) -> Result<Given, String> {
        match file.as_str() {
            "-" => apply::objects_of(stdin.unwrap_or_default()).map(Given::Input).map_err(|e| e.to_string()),
            _ => Ok(Given::File(file)),
        }
    }

    /// The objects; `files` are those that wait in files. `Err` names a file that is not there.
    fn objects<'y>(&'y self, files: &'y [Yaml]) -> Result<Vec<&'y Yaml>, String> {
        match self {
            Given::Input(objects) => Ok(objects.iter().collect()),
            Given::File(file) => {
                let found: Vec<&Yaml> = files.iter().filter(|d| file_of(d) == Some(file)).collect();
                let missing = || format!("no object has the annotation {FILE}: {file}");
                if found.is_empty() { Err(missing()) } else { Ok(found) }
            }
        }
    }

    /// Puts an object where the others are; one that is there already is another then.
    fn put(&self, documents: &mut Vec<Yaml>, object: &Yaml) {
        match self {
            Given::Input(_) => apply::apply(documents, object),
            Given::File(_) => match documents.iter_mut().find(|d| identity(d) == identity(object)) {
                Some(old) => *old = object.clone(),
                None => documents.push(object.clone()),
            },
        }
    }

    /// As kubectl names it in messages.
    fn name(&self) -> &str {
        match self {
            Given::File(file) => file,
            Given::Input(_) => "STDIN",
        }
    }
}

/// What a command changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An object gets other fields.
    Patch(Named, Yaml),
    /// An object gets other labels.
    Label(Named, Yaml),
    /// Objects are there, as they are given.
    Apply(Given),
    /// Objects are there that were not there before.
    Create(Given),
    /// An object is there no longer.
    Delete(Named),
    /// The objects that are given are there no longer.
    DeleteAll(Given),
    /// `spec.replicas` of a Deployment.
    Scale(Named, u32),
    /// Nothing: objects are only looked at.
    Get(Query),
    /// `--proxy-mode`
    ProxyMode(Mode),
    /// `--masquerade-all`
    MasqueradeAll(bool),
    /// `--cluster-cidr`
    ClusterCidr(Option<Ipv4Net>),
    /// The kubelet's `--hairpin-mode`: hairpin mode of the bridge's ports, and a promiscuous bridge.
    Hairpin(bool, bool),
    /// Calico's natOutgoing.
    NatOutgoing(bool),
    /// Another kernel.
    Kernel(Era),
    /// The image of kube-proxy's DaemonSet.
    KubeProxyVersion(Version),
    /// Another network plugin.
    Cni(&'static Cni),
    /// The package of the kubelet.
    KubeletVersion(Version),
    /// A computer on the LAN; one of the same name is another then.
    Machine(Outside),
    /// A computer on the LAN is gone.
    NoMachine(String),
}

impl Effect {
    /// It is about how boxes are made, so that it cannot come about while they run.
    pub fn remakes(&self) -> bool {
        match self {
            Effect::ProxyMode(_)
            | Effect::MasqueradeAll(_)
            | Effect::ClusterCidr(_)
            | Effect::Hairpin(..)
            | Effect::NatOutgoing(_)
            | Effect::Kernel(_)
            | Effect::KubeProxyVersion(_)
            | Effect::KubeletVersion(_)
            | Effect::Cni(_)
            | Effect::Machine(_)
            | Effect::NoMachine(_) => true,
            // A pod's spec does not change while it runs, and CoreDNS reads its file when it begins.
            Effect::Patch(o, patch) => match o.kind.as_str() {
                "pod" | "pods" | "po" => patch.get("spec").is_some(),
                kind => ["configmap", "configmaps", "cm"].contains(&kind),
            },
            Effect::Label(..)
            | Effect::Apply(_)
            | Effect::Create(_)
            | Effect::Delete(_)
            | Effect::DeleteAll(_)
            | Effect::Get(_)
            | Effect::Scale(..) => false,
        }
    }

    /// What a command changes; `None` if it is one of a box.
    ///
    /// # Errors
    /// Says which word is not read, and what was expected.
    pub fn of(command: &Command) -> Result<Option<Vec<Effect>>, String> {
        let program = command.program();
        // A forwarded port is a program of the box on which it is typed.
        let forwards = command.argv.iter().any(|w| w == "port-forward");
        if !PROGRAMS.contains(&program) || program == "kubectl" && forwards {
            return Ok(None);
        }
        let mut words = Words { argv: command.argv.get(1..).unwrap_or_default(), at: 0 };
        let effects = match program {
            "kubectl" => vec![kubectl(&mut words, command.stdin.as_deref())?],
            "kube-proxy" => options(&mut words, kube_proxy)?,
            "kubelet" => options(&mut words, kubelet)?,
            "grubby" => options(&mut words, grubby)?,
            "apt-get" => vec![apt_get(&mut words)?],
            "lab" => vec![machine(&mut words)?],
            _ => vec![calicoctl(&mut words)?],
        };
        match words.next() {
            Some(word) => Err(format!("{word:?} is not read here")),
            None => Ok(Some(effects)),
        }
    }

    /// Changes the objects; what is to be created and is there stays as it is. `Err` names an object that is not there.
    pub fn change_objects(&self, documents: &mut Vec<Yaml>, files: &[Yaml]) -> Result<(), String> {
        match self {
            Effect::Patch(named, patch) | Effect::Label(named, patch) => {
                let object = find(documents, named)?;
                let kept = Kept::of(object);
                let before = object.clone();
                merge(object, patch);
                kept.forget_address(object);
                if identity(&before).0 == "Service" {
                    let mut service = object.clone();
                    apply::patched(&mut service, &before, documents);
                    *find(documents, named)? = service;
                }
            }
            Effect::Scale(named, replicas) => {
                let place = Place::default();
                let number = Yaml { place, value: Value::Plain(replicas.to_string()), literal: false };
                let map = |key: &str, value| Yaml {
                    place,
                    value: Value::Mapping(vec![Entry { place, key: key.to_owned(), value }]),
                    literal: false,
                };
                merge(find(documents, named)?, &map("spec", map("replicas", number)));
            }
            Effect::Delete(named) => {
                let gone = find(documents, named)?.clone();
                documents.retain(|d| !is(d, named));
                apply::after_delete(documents, &gone);
            }
            Effect::Apply(given) => given.objects(files)?.iter().for_each(|o| given.put(documents, o)),
            Effect::Create(given) => {
                let (new, _) = new_and_old(documents, &given.objects(files)?);
                new.iter().for_each(|o| given.put(documents, o));
            }
            Effect::DeleteAll(given @ Given::Input(_)) => {
                for object in given.objects(files)? {
                    let (kind, namespace, name) = identity(object);
                    let [kind, namespace, name] = [kind, namespace, name].map(str::to_owned);
                    Effect::Delete(Named { kind, namespace, name }).change_objects(documents, files)?;
                }
            }
            Effect::DeleteAll(given) => {
                let gone: Vec<_> = given.objects(files)?.into_iter().map(identity).collect();
                documents.retain(|d| !gone.contains(&identity(d)));
            }
            Effect::MasqueradeAll(on) => {
                let text = format!(
                    "{{apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration, iptables: \
                     {{masqueradeAll: {on}}}, nftables: {{masqueradeAll: {on}}}}}"
                );
                let patch = documents_of(&text)?;
                let configuration = |d: &&mut Yaml| identity(d).0 == "KubeProxyConfiguration";
                match documents.iter_mut().find(configuration) {
                    Some(old) => patch.iter().for_each(|p| merge(old, p)),
                    None => documents.extend(patch),
                }
            }
            Effect::ProxyMode(_)
            | Effect::ClusterCidr(_)
            | Effect::Hairpin(..)
            | Effect::NatOutgoing(_)
            | Effect::Kernel(_)
            | Effect::KubeProxyVersion(_)
            | Effect::Cni(_)
            | Effect::KubeletVersion(_)
            | Effect::Machine(_)
            | Effect::Get(_)
            | Effect::NoMachine(_) => {}
        }
        Ok(())
    }

    /// Pods may begin by it that no document describes.
    pub fn is_about_pods(&self) -> bool {
        match self {
            Effect::Scale(..) => true,
            Effect::Patch(o, _) => singular(&o.kind.to_lowercase()) == "deployment",
            Effect::Delete(o) => o.is_pod(),
            _ => false,
        }
    }

    /// What kubectl says, of the objects as they were before; `None` if it is no command of kubectl's that a running cluster takes.
    pub fn told(&self, before: &[Yaml], files: &[Yaml]) -> Option<Vec<String>> {
        let each = |given: &Given, told: &dyn Fn(&Yaml) -> String| {
            given.objects(files).unwrap_or_default().into_iter().map(told).collect::<Vec<_>>()
        };
        let named = |object: &Yaml| {
            let (kind, _, name) = identity(object);
            resource(kind, name)
        };
        Some(match self {
            Effect::Get(_) => Vec::new(),
            Effect::Patch(o, _) => vec![format!("{} patched", o.resource())],
            Effect::Label(o, _) => vec![format!("{} labeled", o.resource())],
            Effect::Scale(o, _) => vec![format!("{} scaled", o.resource())],
            Effect::Delete(o) => vec![deleted(&o.resource())],
            Effect::DeleteAll(given) => each(given, &|o| deleted(&named(o))),
            Effect::Apply(given) => each(given, &|o| {
                let there = before.iter().any(|d| identity(d) == identity(o));
                format!("{} {}", named(o), if there { "configured" } else { "created" })
            }),
            Effect::Create(given) => {
                let (new, _) = new_and_old(before, &given.objects(files).unwrap_or_default());
                new.iter().map(|o| format!("{} created", named(o))).collect()
            }
            _ => return None,
        })
    }

    /// What the API server says of objects that cannot be created, as they are there already: a line for each, on standard error.
    pub fn conflicts(&self, before: &[Yaml], files: &[Yaml]) -> Vec<String> {
        let Effect::Create(given) = self else { return Vec::new() };
        let (_, old) = new_and_old(before, &given.objects(files).unwrap_or_default());
        let line = |object: &Yaml| {
            let (kind, _, name) = identity(object);
            let (from, kind) = (given.name(), kubectl::plural(&kind.to_lowercase()));
            format!(
                "Error from server (AlreadyExists): error when creating \"{from}\": {kind} \"{name}\" already exists"
            )
        };
        old.into_iter().map(line).collect()
    }

    /// Changes objects and world before a cluster begins.
    ///
    /// # Errors
    /// Names an object or a machine that is not there, or an object that is to be created and is there.
    pub fn set_up(
        &self,
        documents: &mut Vec<Yaml>,
        world: &mut WorldSpec,
        files: &[Yaml],
    ) -> Result<(), String> {
        if let Some(conflict) = self.conflicts(documents, files).into_iter().next() {
            return Err(conflict);
        }
        self.change_objects(documents, files)?;
        self.change_world(world)
    }

    /// Changes how the boxes are made. `Err` names a machine that is not there.
    fn change_world(&self, world: &mut WorldSpec) -> Result<(), String> {
        match self {
            Effect::ProxyMode(mode) => world.mode = Some(*mode),
            Effect::ClusterCidr(cidr) => world.cluster_cidr = *cidr,
            Effect::Hairpin(ports, promisc) => (world.hairpin, world.promisc) = (*ports, *promisc),
            Effect::NatOutgoing(on) => world.nat_outgoing = *on,
            Effect::Kernel(era) => world.kernel = *era,
            Effect::KubeProxyVersion(version) => world.version = *version,
            Effect::Cni(cni) => world.cni = cni,
            Effect::KubeletVersion(version) => world.kubelet = *version,
            Effect::Machine(machine) => {
                match world.machines.iter_mut().find(|m| m.name == machine.name) {
                    Some(old) => *old = machine.clone(),
                    None => world.machines.push(machine.clone()),
                };
            }
            Effect::NoMachine(name) => {
                if !world.machines.iter().any(|m| m.name == *name) {
                    let known: Vec<&str> = world.machines.iter().map(|m| m.name.as_str()).collect();
                    return Err(format!(
                        "there is no machine {name:?}; expected one of {}",
                        known.join(", ")
                    ));
                }
                world.machines.retain(|m| m.name != *name);
            }
            Effect::Patch(..)
            | Effect::Label(..)
            | Effect::Apply(_)
            | Effect::Create(_)
            | Effect::Delete(_)
            | Effect::DeleteAll(_)
            | Effect::Scale(..)
            | Effect::Get(_)
            | Effect::MasqueradeAll(_) => {}
        }
        Ok(())
    }
}

struct Words<'a> {
    argv: &'a [String],
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.argv.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn need(&mut self, what: &str) -> Result<&'a str, String> {
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
            "true" => Ok(Effect::MasqueradeAll(true)),
            "false" => Ok(Effect::MasqueradeAll(false)),
            _ => wrong("true or false"),
        },
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

/// `lab machine add NAME ADDRESS/PREFIX [--knows-pods]`, `lab machine delete NAME`
fn machine(words: &mut Words<'_>) -> Result<Effect, String> {
    const USAGE: &str =
        "lab machine add NAME ADDRESS/PREFIX [--knows-pods], lab machine delete NAME, or lab cni PROFILE";
    let usage = || format!("expected {USAGE}");
    match words.next() {
        Some("machine") => {}
        Some("cni") => return profile(words.need("a profile")?).map(Effect::Cni),
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

/// kubectl's commands, as far as they are read.
const KUBECTL: [&str; 9] = ["patch", "apply", "create", "delete", "scale", "set", "label", "get", "describe"];
/// Those that people look for here, and that are not read.
const UNREAD: [&str; 6] = ["expose", "edit", "logs", "rollout", "annotate", "replace"];
const USAGE: &str = "expected kubectl patch KIND NAME -p PATCH, label KIND NAME KEY=VALUE, apply -f FILE, create -f FILE, delete KIND NAME, \
                     scale deployment NAME --replicas=N, get KIND, describe service NAME, exec POD -- COMMAND or set image daemonset/kube-proxy kube-proxy=IMAGE";

fn kubectl(words: &mut Words<'_>, stdin: Option<&str>) -> Result<Effect, String> {
    let (mut namespace, mut plain) = ("default".to_owned(), Vec::new());
    let (mut all, mut output) = (false, None);
    let (mut patch, mut file, mut replicas) = (None, None, None);
    // What is not modelled at all is not told by an option of it.
    let verb = words.argv.iter().find(|w| KUBECTL.contains(&w.as_str()) || UNREAD.contains(&w.as_str()));
    if let Some(verb) = verb.filter(|verb| UNREAD.contains(&verb.as_str())) {
        return Err(format!(
            "kubectl {verb} is not modelled; the page shows all objects under Cluster. {USAGE}"
        ));
    }
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        let mut value = |what| inline.map_or_else(|| words.need(what), Ok);
        match name {
            "-n" | "--namespace" => namespace = value("a namespace")?.to_owned(),
            "-A" | "--all-namespaces" => all = true,
            "-o" | "--output" => output = Some(value("a format")?.to_owned()),
            "-owide" => output = Some("wide".to_owned()),
            "-p" | "--patch" => patch = Some(one_document(value("a patch")?)?),
            "-f" | "--filename" => file = Some(value("a file")?.to_owned()),
            "--type" => match value("a type of patch")? {
                "merge" | "strategic" => {}
                other => return Err(format!("patches of type {other:?} are not modelled")),
            },
            "--replicas" => {
                let n = value("a number")?;
                replicas = Some(n.parse().map_err(|_| format!("{n:?}: expected a number of replicas"))?);
            }
            "--overwrite" if inline.is_none() => {}
            _ if name.starts_with('-') => return Err(format!("kubectl's option {name:?} is not modelled")),
            _ => plain.push(word),
        }
    }
    let verb = plain.first().copied().unwrap_or_default();
    if let ("label", None, None, None) = (verb, &patch, &file, replicas) {
        return label(&namespace, plain.get(1..).unwrap_or_default());
    }
    let named = || {
        let (kind, name) = match plain.get(1..) {
            Some([one]) => one.split_once('/').ok_or("expected KIND/NAME or KIND NAME")?,
            Some([kind, name]) => (*kind, *name),
            _ => return Err("expected KIND NAME".to_owned()),
        };
        Ok(Named { kind: kind.to_owned(), namespace: namespace.clone(), name: name.to_owned() })
    };
    if matches!(verb, "get" | "describe") && patch.is_none() && file.is_none() && replicas.is_none() {
        let words = plain.get(1..).unwrap_or_default();
        return kubectl::query(verb, words, (&namespace, all), output.as_deref()).map(Effect::Get);
    }
    if all || output.is_some() {
        return Err(format!("kubectl {verb} has no -A and no -o here; get has"));
    }
    if let ("set", None, None, None) = (verb, &patch, &file, replicas) {
        return set_image(&namespace, plain.get(1..).unwrap_or_default());
    }
    match (verb, patch, file, replicas) {
        ("patch", Some(patch), None, None) => Ok(Effect::Patch(named()?, patch)),
        ("apply", None, Some(file), None) => Given::of(file, stdin).map(Effect::Apply),
        ("create", None, Some(file), None) => Given::of(file, stdin).map(Effect::Create),
        ("delete", None, None, None) => Ok(Effect::Delete(named()?)),
        ("delete", None, Some(file), None) => Given::of(file, stdin).map(Effect::DeleteAll),
        ("scale", None, None, Some(n)) => Ok(Effect::Scale(named()?, n)),
        _ => Err(USAGE.to_owned()),
    }
}

/// `kubectl label KIND NAME KEY=VALUE... KEY-...`: labels are set, and taken away.
fn label(namespace: &str, words: &[&str]) -> Result<Effect, String> {
    const WANT: &str = "expected kubectl label KIND NAME KEY=VALUE, or KEY- to take a label away";
    let (kind, name, labels) = match words {
        [one, labels @ ..] if one.contains('/') => {
            one.split_once('/').map(|(kind, name)| (kind, name, labels)).ok_or(WANT)?
        }
        [kind, name, labels @ ..] => (*kind, *name, labels),
        _ => return Err(WANT.to_owned()),
    };
    if labels.is_empty() {
        return Err(WANT.to_owned());
    }
    let place = Place::default();
    let yaml = |value| Yaml { place, value, literal: false };
    let entry = |key: &str, value| Entry { place, key: key.to_owned(), value: yaml(value) };
    let mut entries = Vec::new();
    for word in labels {
        entries.push(match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) if !key.is_empty() => entry(key, Value::Text(value.to_owned())),
            (None, Some(key)) if !key.is_empty() => entry(key, Value::Plain("null".to_owned())),
            _ => return Err(format!("{word:?}: {WANT}")),
        });
    }
    let labels = Value::Mapping(vec![entry("labels", Value::Mapping(entries))]);
    let patch = yaml(Value::Mapping(vec![entry("metadata", labels)]));
    let named = Named { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
    Ok(Effect::Label(named, patch))
}

/// `daemonset/kube-proxy kube-proxy=registry.k8s.io/kube-proxy:v1.17.17`: only this image matters to packets.
fn set_image(namespace: &str, words: &[&str]) -> Result<Effect, String> {
    let image = match words {
        ["image", "daemonset/kube-proxy" | "ds/kube-proxy", image] if namespace == "kube-system" => image,
        _ => {
            return Err(
                "only `kubectl -n kube-system set image daemonset/kube-proxy kube-proxy=IMAGE` is modelled"
                    .to_owned(),
            );
        }
    };
    let tag =
        image.strip_prefix("kube-proxy=").and_then(|i| i.rsplit_once("kube-proxy:")).map(|(_, tag)| tag);
    let tag = tag.ok_or_else(|| {
        format!("{image:?}: expected an image, such as kube-proxy=registry.k8s.io/kube-proxy:v1.17.17")
    })?;
    tag.parse().map(Effect::KubeProxyVersion).map_err(|e: String| format!("{tag:?}: {e}"))
}

fn documents_of(text: &str) -> Result<Vec<Yaml>, String> {
    documents(text).map_err(|e| e.to_string())
}

fn one_document(text: &str) -> Result<Yaml, String> {
    documents_of(text)?.into_iter().next().ok_or_else(|| "expected a patch in JSON or YAML".to_owned())
}

/// Kind, namespace and name.
pub(super) fn identity(document: &Yaml) -> (&str, &str, &str) {
    let metadata = document.get("metadata");
    let of = |key| metadata.and_then(|m| m.get(key)).and_then(|v| text(v).ok());
    (
        document.get("kind").map_or("", Yaml::token),
        of("namespace").unwrap_or("default"),
        of("name").unwrap_or_default(),
    )
}

/// The file that an object waits in.
pub fn file_of(document: &Yaml) -> Option<&str> {
    let annotations = document.get("metadata")?.get("annotations")?;
    annotations.get(FILE).map(Yaml::token)
}

/// Objects with their copies. `Err` is told where the number stands.
pub fn with_copies(documents: &[Yaml]) -> Read<Vec<Yaml>> {
    let mut out = Vec::new();
    for document in documents {
        let annotations = document.get("metadata").and_then(|m| m.get("annotations"));
        match annotations.and_then(|a| a.get(COPIES)) {
            None => out.push(document.clone()),
            Some(at) => {
                let wrong = || at.blame(format!("expected a number from 1 to {MAX_COPIES}"));
                let count: u32 = at.token().parse().map_err(|_| wrong())?;
                if !(1..=MAX_COPIES).contains(&count) {
                    return Err(wrong());
                }
                out.extend((1..=count).map(|n| numbered(document, n)));
            }
        }
    }
    Ok(out)
}

/// `{n}` is a number; `{a}.{b}` are the two lower bytes of an address: the number in two bytes.
fn numbered(document: &Yaml, n: u32) -> Yaml {
    let text = |t: &str| {
        t.replace("{n}", &n.to_string())
            .replace("{a}", &(n / 256).to_string())
            .replace("{b}", &(n % 256).to_string())
    };
    let value = match &document.value {
        Value::Plain(t) => Value::Plain(text(t)),
        Value::Text(t) => Value::Text(text(t)),
        Value::Sequence(items) => Value::Sequence(items.iter().map(|i| numbered(i, n)).collect()),
        Value::Mapping(entries) => {
            let entries = entries.iter().filter(|e| e.key != COPIES);
            Value::Mapping(entries.map(|e| Entry { value: numbered(&e.value, n), ..e.clone() }).collect())
        }
    };
    Yaml { value, ..document.clone() }
}

impl Named {
    fn resource(&self) -> String {
        resource(singular(&self.kind), &self.name)
    }
}

/// How kubectl names an object: the resource with its group, and the name.
fn resource(kind: &str, name: &str) -> String {
    let kind = kind.to_lowercase();
    format!("{kind}{}/{name}", kubectl::group(&kind))
}

/// Of objects that are given those that are not there, and those that are, be it by one that was given before them.
fn new_and_old<'y>(there: &[Yaml], given: &[&'y Yaml]) -> (Vec<&'y Yaml>, Vec<&'y Yaml>) {
    let (mut new, mut old): (Vec<&Yaml>, Vec<&Yaml>) = (Vec::new(), Vec::new());
    for object in given {
        let same = |d: &Yaml| identity(d) == identity(object);
        let known = there.iter().any(same) || new.iter().any(|d| same(d));
        if known { old.push(object) } else { new.push(object) }
    }
    (new, old)
}

/// `deployment.apps "web" deleted`
fn deleted(resource: &str) -> String {
    let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
    format!("{kind} \"{name}\" deleted")
}

/// A kind as it may be typed, in its long form.
pub(super) fn singular(kind: &str) -> &str {
    match kind {
        "svc" | "services" => "service",
        "po" | "pods" => "pod",
        "no" | "nodes" => "node",
        "deploy" | "deployments" | "deployment.apps" => "deployment",
        "ep" => "endpoints",
        "cm" | "configmaps" => "configmap",
        "endpointslices" => "endpointslice",
        "ns" | "namespaces" => "namespace",
        "servicecidrs" => "servicecidr",
        other => other,
    }
}

fn is(document: &Yaml, named: &Named) -> bool {
    let (kind, namespace, name) = identity(document);
    let lower = kind.to_lowercase();
    singular(&named.kind.to_lowercase()) == lower
        && name == named.name
        && (namespace == named.namespace || lower == "node")
}

fn find<'y>(documents: &'y mut [Yaml], named: &Named) -> Result<&'y mut Yaml, String> {
    documents.iter_mut().find(|d| is(d, named)).ok_or_else(|| {
        let Named { kind, namespace, name } = named;
        format!("there is no {kind} {name:?} in namespace {namespace}")
    })
}

/// A merge patch (RFC 7386); of `ports` those with the same `port` are one, as a strategic merge has it.
pub(super) fn merge(into: &mut Yaml, patch: &Yaml) {
    let Value::Mapping(changes) = &patch.value else {
        *into = patch.clone();
        return;
    };
    if !matches!(into.value, Value::Mapping(_)) {
        into.value = Value::Mapping(Vec::new());
    }
    let Value::Mapping(entries) = &mut into.value else { return };
    for change in changes {
        let at = entries.iter().position(|e| e.key == change.key);
        match (at.and_then(|i| entries.get_mut(i)), change.value.is_null()) {
            (Some(_), true) => entries.retain(|e| e.key != change.key),
            (None, true) => {}
            (Some(old), false) if change.key == "ports" => merge_ports(&mut old.value, &change.value),
            (Some(old), false) => merge(&mut old.value, &change.value),
            (None, false) => entries.push(change.clone()),
        }
    }
}

fn merge_ports(into: &mut Yaml, patch: &Yaml) {
    let (Value::Sequence(old), Value::Sequence(new)) = (&mut into.value, &patch.value) else {
        *into = patch.clone();
        return;
    };
    let key = |v: &Yaml| v.get("port").map(|p| p.token().to_owned());
    for port in new {
        match old.iter_mut().find(|o| key(o).is_some() && key(o) == key(port)) {
            Some(same) => merge(same, port),
            None => old.push(port.clone()),
        }
    }
}
