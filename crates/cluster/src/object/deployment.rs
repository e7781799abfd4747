//! Deployment (api/apps/v1/types.go), as far as its pods go.

use super::{Metadata, Pod};
use crate::diagnostic::Read;
use crate::fields::{Fields, dns_name};
use crate::yaml::Yaml;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// `spec.replicas`.
    pub replicas: u32,
    /// `spec.selector.matchLabels`.
    pub selector: LiteMap<String, String>,
    /// `spec.template`. Its pod has neither name nor address.
    pub template: Pod,
}

pub(super) const SELECTOR: [&str; 2] = ["matchLabels", "matchExpressions"];

pub(super) const SPEC: [&str; 8] = [
    "minReadySeconds",
    "paused",
    "progressDeadlineSeconds",
    "replicas",
    "revisionHistoryLimit",
    "selector",
    "strategy",
    "template",
];

impl Deployment {
    pub(super) fn read(document: &Yaml) -> Read<Deployment> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "spec", "status"])?;
        let metadata = Metadata::read(object, true)?;
        let spec = Fields::new(object.need("spec")?, &SPEC)?;
        let selector = Fields::new(spec.need("selector")?, &SELECTOR)?;
        if let Some(v) = selector.get("matchExpressions").filter(|_| !is_empty(selector)) {
            return Err(v.place.blame("matchExpressions", "not modelled; expected matchLabels alone"));
        }
        let labels = selector.texts("matchLabels")?;
        let template = Fields::new(spec.need("template")?, &["metadata", "spec"])?;
        let mut pod = Pod { metadata: template_metadata(template)?, ..Pod::default() };
        pod.metadata.namespace.clone_from(&metadata.namespace);
        if let Some(given) = template.get("spec") {
            pod.read_spec(given)?;
        }
        if labels.is_empty() || labels.iter().any(|(k, v)| pod.metadata.labels.get(k) != Some(v)) {
            let at = spec.need("selector")?;
            return Err(at.place.blame("", "expected matchLabels that the template's labels have"));
        }
        Ok(Deployment {
            metadata,
            replicas: spec.number("replicas", 0, 100_000)?.unwrap_or(1),
            selector: labels,
            template: pod,
        })
    }
}

fn is_empty(selector: Fields<'_>) -> bool {
    selector.list("matchExpressions").is_ok_and(<[Yaml]>::is_empty)
}

/// A template's metadata has no name of its own.
fn template_metadata(template: Fields<'_>) -> Read<Metadata> {
    let mut metadata = Metadata::default();
    if let Some(v) = template.get("metadata") {
        let fields = Fields::new(
            v,
            &["name", "namespace", "labels", "annotations", "creationTimestamp", "generateName"],
        )?;
        if let Some(name) = fields.get("name") {
            dns_name(name, 253)?;
        }
        metadata.labels = fields.texts("labels")?;
        metadata.annotations = fields.texts("annotations")?;
    }
    Ok(metadata)
}
