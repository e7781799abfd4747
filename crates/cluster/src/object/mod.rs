//! Kubernetes objects, read from YAML as `kubectl get -o yaml` prints it or as a manifest gives it.
//!
//! Fields that Kubernetes has and nothing here needs are accepted and left out; fields that Kubernetes does not have are
//! refused, and so are kinds that are not modelled. What the API server would fill in is filled in.

mod endpoint_slice;
mod endpoints;
mod node;
mod pod;
mod service;

pub use endpoint_slice::{AddressType, Endpoint, EndpointPort, EndpointSlice, Hints};
pub use endpoints::{EndpointAddress, EndpointSubset, Endpoints};
pub use node::Node;
pub use pod::{HostPort, Pod};
pub use service::{
    ClusterIp, Ingress, IpMode, Protocol, Service, ServicePort, ServiceType, SessionAffinity, TrafficPolicy,
};

use crate::diagnostic::Read;
use crate::fields::{Fields, dns_name};
use crate::yaml::{Yaml, documents};
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

impl Metadata {
    fn read(object: Fields<'_>, namespaced: bool) -> Read<Metadata> {
        const KNOWN: [&str; 15] = [
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
        let meta = Fields::new(object.need("metadata")?, &KNOWN)?;
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

/// An object of a kind that is modelled.
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
}

/// What the kinds are called, for messages.
const KINDS: &str = "Node, Pod, Service, EndpointSlice, Endpoints or List";

/// The `kind` of a document.
pub(crate) fn kind(document: &Yaml) -> Read<&str> {
    crate::fields::text(Fields::any(document)?.need("kind")?)
}

/// Reads one document, which may be a list, and adds what it holds.
pub(crate) fn read_document(document: &Yaml, out: &mut Vec<Object>) -> Read<()> {
    let any = Fields::any(document)?;
    let kind = kind(document)?;
    let version = any.text("apiVersion")?;
    let want = match kind {
        "EndpointSlice" => &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"][..],
        _ => &["v1"],
    };
    let check = |name: &str| match (version, any.get("apiVersion")) {
        (Some(given), Some(at)) if !want.contains(&given) => {
            Err(at.blame(format!("expected {} for a {name}", want.join(" or "))))
        }
        _ => Ok(()),
    };
    match kind {
        "List" | "NodeList" | "PodList" | "ServiceList" | "EndpointSliceList" | "EndpointsList" => {
            let list = Fields::new(document, &["apiVersion", "kind", "metadata", "items"])?;
            for item in list.list("items")? {
                read_document(item, out)?;
            }
            return Ok(());
        }
        "Node" => out.push(Object::Node(Node::read(document)?)),
        "Pod" => out.push(Object::Pod(Pod::read(document)?)),
        "Service" => out.push(Object::Service(Service::read(document)?)),
        "EndpointSlice" => out.push(Object::EndpointSlice(EndpointSlice::read(document)?)),
        "Endpoints" => out.push(Object::Endpoints(Endpoints::read(document)?)),
        _ => {
            let at = any.need("kind")?;
            return Err(at.blame(format!("this kind is not modelled; expected {KINDS}")));
        }
    }
    check(kind)
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
        }
    }
}
