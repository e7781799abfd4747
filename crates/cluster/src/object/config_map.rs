//! ConfigMap (api/core/v1/types.go).

use super::Metadata;
use crate::corefile::Corefile;
use crate::diagnostic::{Diagnostic, Read};
use crate::fields::{Fields, text};
use crate::yaml::Yaml;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

/// A ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMap {
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// `data`: files by name.
    pub data: LiteMap<String, String>,
    /// The file `Corefile`, if there is one: CoreDNS's configuration.
    pub corefile: Option<Corefile>,
}

impl ConfigMap {
    pub(super) fn read(document: &Yaml) -> Read<ConfigMap> {
        let object =
            Fields::new(document, &["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"])?;
        let mut map = ConfigMap { metadata: Metadata::read(object, true)?, ..ConfigMap::default() };
        map.data = object.texts("data")?;
        if let Some(v) = object.get("data")
            && let Some(file) = Fields::any(v)?.get("Corefile")
        {
            let wrong = |e: Box<Diagnostic>| file.blame_within("the Corefile", *e);
            map.corefile = Some(Corefile::read(text(file)?).map_err(wrong)?);
        }
        Ok(map)
    }
}
