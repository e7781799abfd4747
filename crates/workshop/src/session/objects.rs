//! The cluster's objects as text, as a session leaves them when the steps begin.

use super::Session;
use crate::lab::LabError;
use crate::yaml_text::{Layout, yaml};
use cluster::yaml::Yaml;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectText {
    /// Its kind.
    pub kind: String,
    /// Its namespace; `default` if it says none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its YAML, as `kubectl apply -f -` takes it.
    pub yaml: String,
}

impl Session {
    /// The objects that were given, in their order; what controllers make of them is left out.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub fn objects(&self) -> Result<Vec<ObjectText>, LabError> {
        let begun = self.lab.begin(&self.changes, &self.typed)?;
        let text = |d: &Yaml| {
            let metadata = d.get("metadata");
            let of = |key: &str| metadata.and_then(|m| m.get(key)).map(|v| v.token().to_owned());
            ObjectText {
                kind: d.get("kind").map_or(String::new(), |k| k.token().to_owned()),
                namespace: of("namespace").unwrap_or_else(|| "default".to_owned()),
                name: of("name").unwrap_or_default(),
                yaml: yaml(d, Layout::Short),
            }
        };
        Ok(begun.documents.iter().map(text).collect())
    }
}
