//! Kubernetes objects, read from YAML as `kubectl get -o yaml` prints it or as a manifest gives it.
//!
//! Fields that nothing here needs are accepted and left out, but not those that look like a misspelling of one that is needed.
//! Objects of kinds that are not modelled are kept by name. What the API server would fill in is filled in.

mod config_map;
mod deployment;
mod endpoint_slice;
mod endpoints;
mod node;
mod not_modelled;
mod pod;
mod service;

pub use config_map::ConfigMap;
pub use deployment::Deployment;
pub use endpoint_slice::{AddressType, Endpoint, EndpointPort, EndpointSlice, Hints};
pub use endpoints::{EndpointAddress, EndpointSubset, Endpoints};
pub use node::Node;
pub use not_modelled::NotModelledObject;
pub use pod::{ContainerPort, HostPort, Pod};
pub use service::{
    ClusterIp, Ingress, IpMode, Protocol, Service, ServicePort, ServiceType, SessionAffinity, TargetPort,
    TrafficDistribution, TrafficPolicy,
};

use crate::diagnostic::Read;
use crate::fields::{Fields, dns_name, each, meant, network};
use crate::kube_proxy::KubeProxyConfiguration;
use crate::pod_dns::ClusterDns;
use crate::yaml::{Value, Yaml, documents};
use ipnet::IpNet;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

/// Namespace and name.
pub type NamespacedName = (String, String);

/// ObjectMeta, as far as anything here needs it (apimachinery's meta/v1/types.go).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The namespace; `default` if none is given, empty for what has none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Labels.
    pub labels: LiteMap<String, String>,
    /// Annotations.
    pub annotations: LiteMap<String, String>,
}

const METADATA: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// A ServiceCIDR: networks of cluster IPs (api/networking/v1/types.go).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCidr {
    /// Name, labels, annotations.
    pub metadata: Metadata,
    /// `spec.cidrs`.
    pub cidrs: Vec<IpNet>,
}

impl ServiceCidr {
    fn read(document: &Yaml) -> Read<ServiceCidr> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let spec = Fields::new(object.need("spec")?, &["cidrs"])?;
        Ok(ServiceCidr {
            metadata: Metadata::read(object, false)?,
            cidrs: each(spec.list("cidrs")?, network)?,
        })
    }
}

impl Metadata {
    fn read(object: Fields<'_>, namespaced: bool) -> Read<Metadata> {
        let meta = Fields::new(object.need("metadata")?, &METADATA)?;
        let namespace = match meta.get("namespace") {
            Some(v) if namespaced => dns_name(v, 63)?,
            None if namespaced => "default".to_owned(),
            _ => String::new(),
        };
        Ok(Metadata {
            namespace,
            name: dns_name(meta.need("name")?, 253)?,
            labels: meta.texts("labels")?,
            annotations: meta.texts("annotations")?,
        })
    }

    /// Namespace and name.
    pub fn key(&self) -> NamespacedName {
        (self.namespace.clone(), self.name.clone())
    }
}

/// An object. Those of kinds that are not modelled are there to be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// v1 Node.
    Node(Node),
    /// v1 Pod.
    Pod(Pod),
    /// v1 Service.
    Service(Service),
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// v1 Endpoints.
    Endpoints(Endpoints),
    /// v1 Namespace.
    Namespace(Metadata),
    /// v1 ConfigMap.
    ConfigMap(ConfigMap),
    /// apps/v1 Deployment.
    Deployment(Deployment),
    /// networking.k8s.io/v1 ServiceCIDR.
    ServiceCidr(ServiceCidr),
    /// kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration, by itself or in the ConfigMap that kubeadm makes.
    KubeProxyConfiguration(Box<KubeProxyConfiguration>),
    /// kubelet.config.k8s.io/v1beta1 KubeletConfiguration.
    KubeletConfiguration(ClusterDns),
    /// Any other kind.
    NotModelled(NotModelledObject),
}

/// The kinds that are modelled, and the API versions that they are read in.
const KINDS: [(&str, &[&str]); 11] = [
    ("Node", &["v1"]),
    ("Pod", &["v1"]),
    ("Service", &["v1"]),
    ("EndpointSlice", &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"]),
    ("Endpoints", &["v1"]),
    ("Namespace", &["v1"]),
    ("ConfigMap", &["v1"]),
    ("Deployment", &["apps/v1"]),
    ("ServiceCIDR", &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"]),
    ("KubeProxyConfiguration", &["kubeproxy.config.k8s.io/v1alpha1"]),
    ("KubeletConfiguration", &["kubelet.config.k8s.io/v1beta1"]),
];

/// Takes the fields away that the API server does not know, of an object of this kind, and tells their paths: `spec.ports[0].prot`.
pub fn prune(object: &mut Yaml, kind: &str) -> Vec<String> {
    const TOP: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    let mut out = Vec::new();
    // What stands in the path, and what is known there; `[]` are the items of a list.
    let known: &[(&str, &[&str])] = match kind {
        "Service" => &[("", &TOP), ("spec", &service::SPEC), ("spec.ports[]", &service::PORT)],
        "Pod" => &[
            ("", &TOP),
            ("spec", &pod::SPEC),
            ("spec.containers[]", &pod::CONTAINER),
            ("spec.containers[].ports[]", &pod::PORT),
        ],
        "Deployment" => &[
            ("", &TOP),
            ("spec", &deployment::SPEC),
            ("spec.selector", &deployment::SELECTOR),
            ("spec.template", &["metadata", "spec"]),
            ("spec.template.spec", &pod::SPEC),
            ("spec.template.spec.containers[]", &pod::CONTAINER),
            ("spec.template.spec.containers[].ports[]", &pod::PORT),
        ],
        _ => return out,
    };
    for (path, known) in known.iter().chain(&[("metadata", &METADATA[..])]) {
        let way: Vec<&str> = path.split('.').filter(|step| !step.is_empty()).collect();
        prune_at(object, String::new(), &way, known, &mut out);
    }
    out
}

fn prune_at(at: &mut Yaml, told: String, way: &[&str], known: &[&str], out: &mut Vec<String>) {
    let Value::Mapping(entries) = &mut at.value else { return };
    let dot = if told.is_empty() { "" } else { "." };
    let Some((step, rest)) = way.split_first() else {
        entries.retain(|e| {
            let is = known.contains(&e.key.as_str());
            if !is {
                out.push(format!("{told}{dot}{}", e.key));
            }
            is
        });
        return;
    };
    let key = step.trim_end_matches("[]");
    let Some(entry) = entries.iter_mut().find(|e| e.key == key) else { return };
    let told = format!("{told}{dot}{key}");
    match &mut entry.value.value {
        Value::Sequence(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                prune_at(item, format!("{told}[{i}]"), rest, known, out);
            }
        }
        _ => prune_at(&mut entry.value, told, rest, known, out),
    }
}

/// The `kind` of a document.
pub(crate) fn kind(document: &Yaml) -> Read<&str> {
    crate::fields::text(Fields::any(document)?.need("kind")?)
}

/// Reads one document, which may be a list, and adds what it holds.
///
/// # Errors
/// Names line, column and token of what cannot be used.
pub fn read_document(document: &Yaml, out: &mut Vec<Object>) -> Read<()> {
    let any = Fields::any(document)?;
    let kind = kind(document)?;
    let version = any.text("apiVersion")?;
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    if let (Some((name, want)), Some(given), Some(at)) = (known, version, any.get("apiVersion"))
        && !want.contains(&given)
    {
        // A Service of serving.knative.dev is something else.
        if given.split('/').next() != want.first().and_then(|w| w.split('/').next()) && given.contains('.') {
            out.push(Object::NotModelled(NotModelledObject::read(document)?));
            return Ok(());
        }
        return Err(at.blame(format!("expected {} for a {name}", want.join(" or "))));
    }
    let object = match kind {
        "Node" => Object::Node(Node::read(document)?),
        "Pod" => Object::Pod(Pod::read(document)?),
        "Service" => Object::Service(Service::read(document)?),
        "EndpointSlice" => Object::EndpointSlice(EndpointSlice::read(document)?),
        "Endpoints" => Object::Endpoints(Endpoints::read(document)?),
        "Namespace" => {
            let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
            Object::Namespace(Metadata::read(object, false)?)
        }
        "ConfigMap" => {
            let map = ConfigMap::read(document)?;
            out.extend(
                KubeProxyConfiguration::in_config_map(document)?
                    .map(|c| Object::KubeProxyConfiguration(Box::new(c))),
            );
            Object::ConfigMap(map)
        }
        "Deployment" => Object::Deployment(Deployment::read(document)?),
        "ServiceCIDR" => Object::ServiceCidr(ServiceCidr::read(document)?),
        "KubeProxyConfiguration" => {
            Object::KubeProxyConfiguration(Box::new(KubeProxyConfiguration::read(document)?))
        }
        "KubeletConfiguration" => Object::KubeletConfiguration(ClusterDns::read(document)?),
        _ if any.get("items").is_some() && kind.ends_with("List") => {
            for item in any.list("items")? {
                read_document(item, out)?;
            }
            return Ok(());
        }
        _ => {
            if let Some(meant) = meant(kind, KINDS.iter().map(|(name, _)| *name)) {
                return Err(any.need("kind")?.blame(format!("there is no such kind; is {meant} meant?")));
            }
            Object::NotModelled(NotModelledObject::read(document)?)
        }
    };
    out.push(object);
    Ok(())
}

/// The objects of a text of one or more documents.
///
/// # Errors
/// Names line, column and token of the first thing that cannot be used.
pub fn read_objects(text: &str) -> Read<Vec<Object>> {
    let mut out = Vec::new();
    for document in documents(text)? {
        read_document(&document, &mut out)?;
    }
    Ok(out)
}

/// What the API server knows: the newest state of every object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Nodes by name.
    pub nodes: LiteMap<String, Node>,
    /// Pods.
    pub pods: LiteMap<NamespacedName, Pod>,
    /// Services.
    pub services: LiteMap<NamespacedName, Service>,
    /// EndpointSlices.
    pub endpoint_slices: LiteMap<NamespacedName, EndpointSlice>,
    /// Endpoints.
    pub endpoints: LiteMap<NamespacedName, Endpoints>,
    /// Namespaces by name.
    pub namespaces: LiteMap<String, Metadata>,
    /// ConfigMaps.
    pub config_maps: LiteMap<NamespacedName, ConfigMap>,
    /// Deployments.
    pub deployments: LiteMap<NamespacedName, Deployment>,
    /// ServiceCIDRs by name.
    pub service_cidrs: LiteMap<String, ServiceCidr>,
    /// The last KubeProxyConfiguration.
    pub kube_proxy: Option<Box<KubeProxyConfiguration>>,
    /// The last KubeletConfiguration.
    pub kubelet: Option<ClusterDns>,
    /// What is not modelled, in the order of the text.
    pub not_modelled: Vec<NotModelledObject>,
}

impl Objects {
    /// Creates or replaces an object.
    pub fn apply(&mut self, object: Object) {
        match object {
            Object::Node(o) => drop(self.nodes.insert(o.metadata.name.clone(), o)),
            Object::Pod(o) => drop(self.pods.insert(o.metadata.key(), o)),
            Object::Service(o) => drop(self.services.insert(o.metadata.key(), o)),
            Object::EndpointSlice(o) => drop(self.endpoint_slices.insert(o.metadata.key(), o)),
            Object::Endpoints(o) => drop(self.endpoints.insert(o.metadata.key(), o)),
            Object::Namespace(o) => drop(self.namespaces.insert(o.name.clone(), o)),
            Object::ConfigMap(o) => drop(self.config_maps.insert(o.metadata.key(), o)),
            Object::Deployment(o) => drop(self.deployments.insert(o.metadata.key(), o)),
            Object::ServiceCidr(o) => drop(self.service_cidrs.insert(o.metadata.name.clone(), o)),
            Object::KubeProxyConfiguration(o) => self.kube_proxy = Some(o),
            Object::KubeletConfiguration(o) => self.kubelet = Some(o),
            Object::NotModelled(o) => self.not_modelled.push(o),
        }
    }
}
