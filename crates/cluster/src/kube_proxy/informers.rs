//! What kube-proxy is told of the objects that the API server has: not of those that are another proxy's, but also of those
//! that the control plane makes.

use super::Change;
use crate::controllers::Controllers;
use crate::object::{EndpointSlice, Metadata, NamespacedName, Object, Objects};
use sorted::Map;

/// What kube-proxy's informers have told, of what the API server knows.
#[derive(Default)]
pub(super) struct Informers {
    objects: Objects,
    controllers: Controllers,
    /// EndpointSlices that the control plane has made.
    made: Map<NamespacedName, EndpointSlice>,
}

/// Services with another value are another proxy's.
const LABEL_PROXY: &str = "service.kubernetes.io/service-proxy-name";

impl Informers {
    /// The changes, and what they make the control plane do. Objects that are another proxy's are taken for gone
    /// (cmd/kube-proxy/app/server.go: the informers ask for those without the label).
    pub fn tell(&mut self, changes: &[Change], proxy_name: &str) -> Vec<Change> {
        let ours = |metadata: &Metadata| {
            let given = metadata.labels.get(LABEL_PROXY);
            if proxy_name.is_empty() { given.is_none() } else { given.is_some_and(|v| v == proxy_name) }
        };
        let mut told = Vec::new();
        for change in changes {
            change.apply(&mut self.objects);
            told.push(match change {
                Change::Apply(object) => match &**object {
                    Object::Service(o) if !ours(&o.metadata) => Change::DeleteService(o.metadata.key()),
                    Object::EndpointSlice(o) if !ours(&o.metadata) => {
                        Change::DeleteEndpointSlice(o.metadata.key())
                    }
                    _ => change.clone(),
                },
                _ => change.clone(),
            });
        }
        let made = self.controllers.run(&self.objects).slices;
        let made: Map<_, _> = made.into_iter().map(|s| (s.metadata.key(), s)).collect();
        for (key, slice) in &made {
            if self.made.get(key) != Some(slice) {
                told.push(Change::Apply(Box::new(Object::EndpointSlice(slice.clone()))));
            }
        }
        let gone = self.made.keys().filter(|key| !made.contains_key(*key));
        told.extend(gone.map(|key| Change::DeleteEndpointSlice(key.clone())));
        self.made = made;
        told
    }
}
