//! Objects of kinds that are not modelled. They are not refused, because a cluster's dump is full of them; but they are kept,
//! so that they can be named.

use super::NamespacedName;
use crate::diagnostic::Read;
use crate::fields::{Fields, text};
use crate::yaml::Yaml;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An object that is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NotModelledObject {
    /// `apiVersion`; may be empty.
    pub api_version: String,
    /// `kind`
    pub kind: String,
    /// Namespace and name; may be empty.
    pub name: NamespacedName,
    /// Line of the text where it begins.
    pub line: usize,
}

impl NotModelledObject {
    pub(super) fn read(document: &Yaml) -> Read<NotModelledObject> {
        let object = Fields::any(document)?;
        let metadata = object.get("metadata").map(Fields::any).transpose()?;
        let of = |key: &str| -> Read<String> {
            let v = metadata.and_then(|m| m.get(key));
            Ok(v.map(text).transpose()?.unwrap_or_default().to_owned())
        };
        Ok(NotModelledObject {
            api_version: object.text("apiVersion")?.unwrap_or_default().to_owned(),
            kind: text(object.need("kind")?)?.to_owned(),
            name: (of("namespace")?, of("name")?),
            line: document.place.line,
        })
    }

    /// What that means for the rules; empty if nothing is known of the kind.
    pub fn consequence(&self) -> &'static str {
        match self.kind.as_str() {
            "NetworkPolicy" => {
                "kube-proxy does not enforce it, a CNI plugin may: traffic that it forbids is let through here"
            }
            "Ingress" | "IngressClass" => "an ingress controller's; kube-proxy does not read it",
            "Gateway" | "HTTPRoute" | "GatewayClass" => "a gateway controller's; kube-proxy does not read it",
            "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" | "CronJob" | "ReplicationController" => {
                "no pods are made from it"
            }
            _ => "",
        }
    }
}

impl fmt::Display for NotModelledObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = &self.name;
        let slash = if namespace.is_empty() { "" } else { "/" };
        let of =
            if self.api_version.contains('/') { format!(" ({})", self.api_version) } else { String::new() };
        write!(f, "line {}: {}{of} {namespace}{slash}{name}: not modelled", self.line, self.kind)?;
        match self.consequence() {
            "" => Ok(()),
            why => write!(f, "; {why}"),
        }
    }
}
