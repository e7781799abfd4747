//! Commands that are about the cluster and not about one box: what they change.
//!
//! `kubectl patch|apply|create|expose|delete|scale`, `kubectl set image daemonset/kube-proxy`, `kube-proxy --proxy-mode=...`, `kubelet --hairpin-mode=...`,
//! `calicoctl patch ippool`, `apt-get install kubelet=VERSION`, `grubby --set-default=/boot/vmlinuz-VERSION` for another kernel, and `lab` for what no program does:
//! computers on the LAN, the network plugin, the node of a pod. What `kubectl apply -f -` brings is in [`super::apply`].

mod command;
mod document;
mod given;
mod kubectl;
mod refusal;
mod service;

use super::WorldSpec;
use super::apply;
use super::invalid::{incomplete, invalid};
use super::kubectl::{NAMESPACES, Query, group, not_found};
use super::logs::Logs;
use super::stored::{Stored, check_pod_update, same};
use super::world::objects;
use crate::kube::{Cni, Mode, Outside};
use cluster::kube_proxy::Version;
use cluster::object::prune;
use cluster::yaml::{Value, Yaml};
use document::{documents_of, find, new_and_old};
use given::{check_update, refused, unknown_fields};
use ipnet::Ipv4Net;
use kernel::Era;
use std::net::IpAddr;

pub use command::is_about_cluster;
pub(crate) use document::identity;
pub use document::{file_of, with_copies};
pub(super) use document::{is, merge, one_document, singular};
pub use given::{Given, Maker};
pub use refusal::Refusal;
pub use service::Expose;

/// The annotation of an object that is not there until `kubectl apply -f` names this file.
pub const FILE: &str = "netfilter-lab/file";

/// The annotation of an object of which there are so many: `{n}` in its texts is the number of each, from 1.
pub const COPIES: &str = "netfilter-lab/copies";
/// The annotation of a template that says how often its pods were made anew; kubectl writes the time (`restartedAt`).
const RESTARTS: &str = "netfilter-lab/restarts";

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
        matches!(self.kind.to_ascii_lowercase().as_str(), "pod" | "pods" | "po")
    }

    /// Namespace and name.
    pub fn key(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

/// What a command changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An object gets other fields.
    Patch(Named, Yaml),
    /// An object gets other labels, also in place of those that it has (`--overwrite`).
    Label(Named, Yaml, bool),
    /// All that there is of these: `Label` of each, when the objects are known.
    LabelEach(Query, Yaml, bool),
    /// Objects are there, as they are given.
    Apply(Given),
    /// Objects are there that were not there before.
    Create(Given),
    /// A Service is there that was not there before: `Create`, when the objects are known.
    Expose(Expose),
    /// An object is there no longer.
    Delete(Named),
    /// All that there is of these: `Delete` of each, when the objects are known.
    DeleteEach(Query),
    /// The objects that are given are there no longer.
    DeleteAll(Given),
    /// `spec.replicas` of a Deployment.
    Scale(Named, u32),
    /// A Deployment's pods are made anew.
    Restart(Named),
    /// Nothing: kubectl says what is wrong with its words.
    Wrong(String),
    /// Nothing: objects are only looked at.
    Get(Query),
    /// Nothing: how far a Deployment's pods are is looked at.
    Status(Named),
    /// Nothing: what programs have printed is looked at.
    Logs(Logs),
    /// `--proxy-mode`
    ProxyMode(Mode),
    /// An option of kube-proxy, as a field of its configuration: `nodePortAddresses: [primary]`.
    Configuration(String),
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
    /// A pod has been given to another node, and has this address there. Endpoints that were written by hand follow it.
    Place(Named, String, Option<IpAddr>),
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
            | Effect::Configuration(_)
            | Effect::ClusterCidr(_)
            | Effect::Hairpin(..)
            | Effect::NatOutgoing(_)
            | Effect::Kernel(_)
            | Effect::KubeProxyVersion(_)
            | Effect::KubeletVersion(_)
            | Effect::Cni(_)
            | Effect::Machine(_)
            | Effect::Place(..)
            | Effect::NoMachine(_) => true,
            // CoreDNS reads its file when it begins.
            Effect::Patch(o, _) => singular(&o.kind) == "configmap",
            Effect::Label(..)
            | Effect::LabelEach(..)
            | Effect::Apply(_)
            | Effect::Create(_)
            | Effect::Expose(_)
            | Effect::Delete(_)
            | Effect::DeleteEach(_)
            | Effect::DeleteAll(_)
            | Effect::Wrong(_)
            | Effect::Get(_)
            | Effect::Status(_)
            | Effect::Logs(_)
            | Effect::Restart(_)
            | Effect::Scale(..) => false,
        }
    }

    /// Changes the objects; what is to be created and is there stays as it is. `Err` names an object that is not there.
    pub fn change_objects(&self, documents: &mut Vec<Yaml>, files: &[Yaml]) -> Result<(), Refusal> {
        match self {
            Effect::Patch(named, patch) | Effect::Label(named, patch, _) => {
                let before = find(documents, named)?.clone();
                let (kind, _, name) = identity(&before);
                let mut patch = patch.clone();
                match self {
                    Effect::Label(.., false) => check_labels(&before, &patch)?,
                    _ => drop(prune(&mut patch, kind)),
                }
                let mut object = before.clone();
                merge(&mut object, &patch);
                if identity(&object).2 != name {
                    return Err(Refusal::Server(format!(
                        "Error from server (BadRequest): the name of the object ({}) does not match the name on the URL ({name})",
                        identity(&object).2
                    )));
                }
                check_pod_update(&before, &object)?;
                let mut faults = match check_update(&before, &object)
                    .and_then(|()| apply::check_free(&object, documents, files))
                {
                    Err(first) => vec![first],
                    Ok(()) => {
                        if kind == "Service" {
                            apply::patched(&mut object, &before, documents);
                        }
                        invalid(&object)
                    }
                };
                let old = invalid(&before);
                faults.retain(|fault| !old.contains(fault));
                if !faults.is_empty() {
                    return Err(refused(&object, &faults));
                }
                *find(documents, named)? = object;
            }
            Effect::Place(named, node, address) => {
                let pod = find(documents, named)?;
                let old = pod.get("status").and_then(|s| s.get("podIP")).map(|ip| ip.token().to_owned());
                apply::place(pod, node, *address);
                if let (Some(old), Some(new)) = (old, address) {
                    let slices = documents.iter_mut().filter(|d| identity(d).0 == "EndpointSlice");
                    slices.for_each(|s| apply::follow(s, &old, (node, *new)));
                }
            }
            Effect::Scale(named, replicas) => {
                if singular(&named.kind) != "deployment" {
                    find(documents, named)?;
                    return Err(Refusal::Server(
                        "Error from server (NotFound): the server could not find the requested resource"
                            .to_owned(),
                    ));
                }
                let patch = one_document(&format!("{{spec: {{replicas: {replicas}}}}}"))?;
                merge(find(documents, named)?, &patch);
            }
            Effect::Restart(named) => {
                if singular(&named.kind) != "deployment" {
                    return Err(format!("only deployments are restarted here, not {:?}", named.kind).into());
                }
                let object = find(documents, named)?;
                let path = ["spec", "template", "metadata", "annotations", RESTARTS];
                let before = path.iter().try_fold(&*object, |at, key| at.get(key));
                let count = before.and_then(|v| v.token().parse::<u32>().ok()).unwrap_or(0) + 1;
                let patch = format!(
                    "{{spec: {{template: {{metadata: {{annotations: {{{RESTARTS}: '{count}'}}}}}}}}}}"
                );
                merge(object, &one_document(&patch)?);
            }
            Effect::Delete(named) => {
                let name = &named.name;
                if singular(&named.kind) == "namespace" && NAMESPACES.contains(&name.as_str()) {
                    let why = "is forbidden: this namespace may not be deleted";
                    return Err(Refusal::Server(format!(
                        "Error from server (Forbidden): namespaces \"{name}\" {why}"
                    )));
                }
                let gone = find(documents, named)?.clone();
                documents.retain(|d| !is(d, named));
                apply::after_delete(documents, &gone);
            }
            Effect::Apply(given) => {
                given.objects(files)?.iter().try_for_each(|o| given.put(documents, files, o))?;
            }
            Effect::Create(given) => {
                let (new, _) = new_and_old(documents, &given.objects(files)?);
                new.iter().try_for_each(|o| given.put(documents, files, o))?;
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
            Effect::Configuration(fields) => {
                let text = format!(
                    "{{apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration, {fields}}}"
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
            | Effect::Expose(_)
            | Effect::LabelEach(..)
            | Effect::DeleteEach(_)
            | Effect::Wrong(_)
            | Effect::Get(_)
            | Effect::Status(_)
            | Effect::Logs(_)
            | Effect::NoMachine(_) => {}
        }
        Ok(())
    }

    /// The same, where what it does depends on the objects that are there.
    pub fn expanded(&self, stored: &Stored<'_>) -> Result<Vec<Effect>, Refusal> {
        Ok(match self {
            Effect::Expose(expose) => vec![expose.create(stored.objects)?],
            Effect::DeleteEach(query) => query.named(stored).into_iter().map(Effect::Delete).collect(),
            Effect::LabelEach(query, patch, overwrite) => {
                let label = |named| Effect::Label(named, patch.clone(), *overwrite);
                query.named(stored).into_iter().map(label).collect()
            }
            other => vec![other.clone()],
        })
    }

    /// The pod that it changes or deletes, if it names one.
    pub fn pod(&self) -> Option<&Named> {
        match self {
            Effect::Patch(o, _) | Effect::Label(o, ..) | Effect::Delete(o) => Some(o).filter(|o| o.is_pod()),
            _ => None,
        }
    }

    /// Pods may begin by it that no document describes.
    pub fn is_about_pods(&self) -> bool {
        match self {
            Effect::Scale(..) | Effect::Restart(_) => true,
            Effect::Patch(o, _) if singular(&o.kind.to_ascii_lowercase()) == "deployment" => true,
            _ => self.pod().is_some(),
        }
    }

    /// What kubectl says, of the objects as they were before, as they are now, and those that were applied; `None` if it is no command of kubectl's that a running cluster takes.
    pub fn told(
        &self,
        (before, after, applied): (&[Yaml], &[Yaml], &[Yaml]),
        files: &[Yaml],
    ) -> Option<Vec<String>> {
        let stays = |is: &dyn Fn(&Yaml) -> bool| match (
            before.iter().find(|d| is(d)),
            after.iter().find(|d| is(d)),
        ) {
            (Some(before), Some(after)) => same(before, after),
            _ => false,
        };
        let each = |given: &Given, told: &dyn Fn(&Yaml) -> String| {
            given.objects(files).unwrap_or_default().into_iter().map(told).collect::<Vec<_>>()
        };
        let named = |object: &Yaml| {
            let (kind, _, name) = identity(object);
            resource(kind, name)
        };
        Some(match self {
            Effect::Get(_) | Effect::Status(_) | Effect::Logs(_) => Vec::new(),
            Effect::Patch(o, _) => {
                let same = if stays(&|d| is(d, o)) { " (no change)" } else { "" };
                vec![format!("{} patched{same}", o.resource())]
            }
            Effect::Label(o, patch, overwrite) => {
                let before = before.iter().find(|d| is(d, o)).map(labels_of).unwrap_or_default();
                let patch = labels_of(patch);
                let unknown = |(key, value): &(String, Option<String>)| {
                    (value.is_none() && before.iter().all(|(k, _)| k != key))
                        .then(|| format!("label \"{key}\" not found."))
                };
                let mut told: Vec<String> = patch.iter().filter_map(unknown).collect();
                told.push(format!("{} {}", o.resource(), relabeled(&before, &patch, *overwrite)));
                told
            }
            Effect::Scale(o, _) => vec![format!("{} scaled", o.resource())],
            Effect::Restart(o) => vec![format!("{} restarted", o.resource())],
            Effect::Delete(o) => vec![deleted(singular(&o.kind), &o.namespace, &o.name)],
            Effect::DeleteAll(given) => each(given, &|o| {
                let (kind, namespace, name) = identity(o);
                deleted(kind, namespace, name)
            }),
            Effect::Apply(given) => each(given, &|o| {
                let is = |d: &Yaml| identity(d) == identity(o);
                // Of what was not applied kubectl notes what it is given now.
                let noted = applied.iter().any(is);
                let done = match before.iter().any(is) {
                    true if noted && stays(&is) => "unchanged",
                    true => "configured",
                    false => "created",
                };
                format!("{} {done}", named(o))
            }),
            Effect::Create(given) => {
                let (new, _) = new_and_old(before, &given.objects(files).unwrap_or_default());
                let done = if matches!(given, Given::Made(_, Maker::Expose)) { "exposed" } else { "created" };
                new.iter().map(|o| format!("{} {done}", named(o))).collect()
            }
            _ => return None,
        })
    }

    /// Whether new pods that are given have containers with all that they need: while a lab runs, as its own objects may leave that out.
    ///
    /// # Errors
    /// What the API server says of the first that has not.
    pub fn check_whole(&self, documents: &[Yaml]) -> Result<(), Refusal> {
        let (Effect::Apply(given @ Given::Input(_)) | Effect::Create(given @ Given::Input(_))) = self else {
            return Ok(());
        };
        let (new, _) = new_and_old(documents, &given.objects(&[])?);
        match new
            .into_iter()
            .map(|object| (object, incomplete(object)))
            .find(|(_, faults)| !faults.is_empty())
        {
            Some((object, faults)) => Err(refused(object, &faults)),
            None => Ok(()),
        }
    }

    /// What `kubectl apply` is given.
    pub fn applied(&self, files: &[Yaml]) -> Vec<Yaml> {
        let Effect::Apply(given) = self else { return Vec::new() };
        given.objects(files).unwrap_or_default().into_iter().cloned().collect()
    }

    /// What the API server warns of: fields of a patch that it does not know.
    pub fn warnings(&self) -> Vec<String> {
        let Effect::Patch(named, patch) = self else { return Vec::new() };
        let kinds = ["Service", "Pod", "Deployment"].into_iter();
        let mut kinds = kinds.filter(|kind| kind.to_ascii_lowercase() == singular(&named.kind));
        let unknown = kinds.next().map(|kind| prune(&mut patch.clone(), kind)).unwrap_or_default();
        unknown_fields(&unknown).iter().map(|field| format!("Warning: {field}")).collect()
    }

    /// What the API server says of objects that cannot be created, as they are there already: a line for each, on standard error.
    pub fn conflicts(&self, before: &[Yaml], files: &[Yaml]) -> Vec<String> {
        let Effect::Create(given) = self else { return Vec::new() };
        let (_, old) = new_and_old(before, &given.objects(files).unwrap_or_default());
        let line = |object: &Yaml| {
            let (kind, _, name) = identity(object);
            given.conflict(kind, name)
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
        if let Effect::Expose(_) | Effect::DeleteEach(_) | Effect::LabelEach(..) = self {
            let objects = objects(documents).map_err(|e| e.to_string())?;
            let stored = Stored { documents, objects: &objects, kubelet: world.kubelet };
            let made = self.expanded(&stored).map_err(|e| e.to_string())?;
            return made.iter().try_for_each(|effect| effect.set_up(documents, world, files));
        }
        if let Effect::Wrong(why) = self {
            return Err(why.clone());
        }
        if let Some(conflict) = self.conflicts(documents, files).into_iter().next() {
            return Err(conflict);
        }
        self.change_objects(documents, files).map_err(|e| e.to_string())?;
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
            | Effect::Place(..)
            | Effect::Label(..)
            | Effect::LabelEach(..)
            | Effect::Apply(_)
            | Effect::Create(_)
            | Effect::Expose(_)
            | Effect::Delete(_)
            | Effect::DeleteEach(_)
            | Effect::DeleteAll(_)
            | Effect::Scale(..)
            | Effect::Restart(_)
            | Effect::Wrong(_)
            | Effect::Get(_)
            | Effect::Status(_)
            | Effect::Logs(_)
            | Effect::Configuration(_) => {}
        }
        Ok(())
    }
}

impl Named {
    /// What the API server says if it is not there.
    pub(super) fn not_found(&self) -> Refusal {
        Refusal::Server(not_found(singular(&self.kind), &self.name))
    }

    fn resource(&self) -> String {
        resource(singular(&self.kind), &self.name)
    }
}

/// How kubectl names an object: the resource with its group, and the name.
pub(super) fn resource(kind: &str, name: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    format!("{kind}{}/{name}", group(&kind))
}

/// `deployment.apps "web" deleted from default namespace`, as kubectl says it since 1.34.
fn deleted(kind: &str, namespace: &str, name: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    let from = match kind.as_str() {
        "node" | "namespace" | "servicecidr" => String::new(),
        _ => format!(" from {namespace} namespace"),
    };
    format!("{kind}{} \"{name}\" deleted{from}", group(&kind))
}

/// An object's labels; of a patch also those that go, without a value.
pub(super) fn labels_of(object: &Yaml) -> Vec<(String, Option<String>)> {
    let labels = object.get("metadata").and_then(|m| m.get("labels"));
    let Some(Value::Mapping(entries)) = labels.map(|l| &l.value) else { return Vec::new() };
    let value = |v: &Yaml| (!v.is_null()).then(|| v.token().to_owned());
    entries.iter().map(|e| (e.key.clone(), value(&e.value))).collect()
}

/// What kubectl refuses without `--overwrite`: another value for a label that is there (`validateNoOverwrites`, pkg/cmd/label).
fn check_labels(object: &Yaml, patch: &Yaml) -> Result<(), Refusal> {
    let patch = labels_of(patch);
    let other = |(key, value): &(String, Option<String>)| {
        patch.iter().any(|(k, new)| k == key && new.is_some() && new != value)
    };
    match labels_of(object).into_iter().find(other) {
        None => Ok(()),
        Some((key, value)) => Err(Refusal::Kubectl(format!(
            "'{key}' already has a value ({}), and --overwrite is false",
            value.unwrap_or_default()
        ))),
    }
}

/// What `kubectl label` says it has done (`updateDataChangeMsg`): an object that is shorter than before has lost labels.
fn relabeled(
    before: &[(String, Option<String>)],
    patch: &[(String, Option<String>)],
    overwrite: bool,
) -> &'static str {
    let of = |key: &str| before.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.as_ref());
    let changed: Vec<_> = patch.iter().filter(|(key, value)| of(key) != value.as_ref()).collect();
    let length = |key: &str, v: Option<&String>| v.map_or(0, |v| key.len() + v.len() + 6);
    let old: usize = changed.iter().map(|(key, _)| length(key, of(key))).sum();
    let new: usize = changed.iter().map(|(key, value)| length(key, value.as_ref())).sum();
    match changed.is_empty() {
        true => "not labeled",
        false if !overwrite && new < old => "unlabeled",
        false => "labeled",
    }
}
