//! What kube-proxy knows of Services and their endpoints, and what has changed since the last sync
//! (pkg/proxy/servicechangetracker.go, pkg/proxy/endpointschangetracker.go).

use super::config::{Config, Family};
use super::endpoints::{EndpointInfo, endpoints_of};
use super::service_port::{ServicePortInfo, ports_of};
use crate::object::{
    AddressType, EndpointSlice, Endpoints, NamespacedName, Object, Objects, Protocol, Service,
};
use sorted::{Map, Set};

/// One Service and what belongs to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The Service itself; its EndpointSlices may be there before and after it.
    pub service: Option<Service>,
    /// Its EndpointSlices by name.
    pub slices: Map<String, EndpointSlice>,
    /// Its Endpoints.
    pub endpoints: Option<Endpoints>,
}

impl Known {
    /// Its slices of a family, in the order of their names.
    pub fn slices(&self, family: Family) -> impl Iterator<Item = &EndpointSlice> {
        let wanted = if family == Family::V4 { AddressType::IPv4 } else { AddressType::IPv6 };
        self.slices.values().filter(move |s| s.address_type == wanted)
    }

    fn is_nothing(&self) -> bool {
        self.service.is_none() && self.slices.is_empty() && self.endpoints.is_none()
    }
}

/// What the API server has told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    pub services: Map<NamespacedName, Known>,
    /// The Service of each EndpointSlice, by the slice's namespace and name.
    owners: Map<NamespacedName, String>,
}

impl Cache {
    /// Everything that some objects hold.
    pub fn of(objects: &Objects) -> Cache {
        let mut cache = Cache::default();
        for (key, service) in objects.services.iter() {
            cache.services.entry(key.clone()).or_default().service = Some(service.clone());
        }
        for slice in objects.endpoint_slices.values() {
            cache.apply(Object::EndpointSlice(slice.clone()));
        }
        for (key, endpoints) in objects.endpoints.iter() {
            cache.services.entry(key.clone()).or_default().endpoints = Some(endpoints.clone());
        }
        cache
    }

    /// Takes a new or changed object, and says what it changes.
    pub fn apply(&mut self, object: Object) -> Vec<Touched> {
        match object {
            Object::Service(service) => {
                let key = service.metadata.key();
                self.services.entry(key.clone()).or_default().service = Some(service);
                vec![Touched { service: key, endpoints: None }]
            }
            Object::Endpoints(new) => {
                let key = new.metadata.key();
                let endpoints = &mut self.services.entry(key.clone()).or_default().endpoints;
                let same = endpoints.as_ref().is_some_and(|old| old.subsets == new.subsets);
                *endpoints = Some(new);
                let touched = |family| Touched { service: key.clone(), endpoints: Some(family) };
                if same { Vec::new() } else { [Family::V4, Family::V6].map(touched).to_vec() }
            }
            Object::EndpointSlice(slice) => self.apply_slice(slice),
            _ => Vec::new(),
        }
    }

    fn apply_slice(&mut self, slice: EndpointSlice) -> Vec<Touched> {
        let name = slice.metadata.key();
        let mut changed = Vec::new();
        if self.owners.get(&name).is_some_and(|owner| *owner != slice.service) {
            changed = self.delete_slice(&name);
        }
        if slice.service.is_empty() {
            return changed;
        }
        let key = (name.0.clone(), slice.service.clone());
        let slices = &mut self.services.entry(key.clone()).or_default().slices;
        let same = |old: &EndpointSlice| {
            old.endpoints == slice.endpoints
                && old.ports == slice.ports
                && old.address_type == slice.address_type
        };
        if !slices.get(&name.1).is_some_and(same) {
            changed.extend(touched_by(&slice, &key));
        }
        self.owners.insert(name.clone(), slice.service.clone());
        slices.insert(name.1, slice);
        changed
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, key: &NamespacedName) -> Vec<Touched> {
        self.change(key, |known| {
            let gone = known.service.take().is_some();
            gone.then(|| Touched { service: key.clone(), endpoints: None }).into_iter().collect()
        })
    }

    /// Forgets Endpoints.
    pub fn delete_endpoints(&mut self, key: &NamespacedName) -> Vec<Touched> {
        self.change(key, |known| {
            let families = known.endpoints.take().map_or(&[][..], |_| &[Family::V4, Family::V6]);
            families.iter().map(|f| Touched { service: key.clone(), endpoints: Some(*f) }).collect()
        })
    }

    /// Forgets an EndpointSlice.
    pub fn delete_slice(&mut self, name: &NamespacedName) -> Vec<Touched> {
        let Some(owner) = self.owners.remove(name) else { return Vec::new() };
        let key = (name.0.clone(), owner);
        self.change(&key, |known| {
            known.slices.remove(&name.1).and_then(|old| touched_by(&old, &key)).into_iter().collect()
        })
    }

    fn change(
        &mut self,
        key: &NamespacedName,
        change: impl FnOnce(&mut Known) -> Vec<Touched>,
    ) -> Vec<Touched> {
        let Some(known) = self.services.get_mut(key) else { return Vec::new() };
        let touched = change(known);
        if known.is_nothing() {
            self.services.remove(key);
        }
        touched
    }
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    pub service: NamespacedName,
    /// The family whose endpoints it is about; None if it is the Service itself.
    pub endpoints: Option<Family>,
}

fn touched_by(slice: &EndpointSlice, service: &NamespacedName) -> Option<Touched> {
    let family = match slice.address_type {
        AddressType::IPv4 => Family::V4,
        AddressType::IPv6 => Family::V6,
        AddressType::Fqdn => return None,
    };
    Some(Touched { service: service.clone(), endpoints: Some(family) })
}

/// A Service port by its name and protocol. It is also the order in which rules are written; the real kube-proxy walks a Go
/// map, whose order is random.
pub(super) type PortKey = (String, Protocol);

/// A Service port and its endpoints, whatever their state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub info: ServicePortInfo,
    pub endpoints: Vec<EndpointInfo>,
}

/// The Service ports of a family.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    pub ports: Map<PortKey, Port>,
    keys: Map<NamespacedName, Vec<PortKey>>,
    /// The number of all their endpoints.
    pub endpoints: usize,
}

/// What a sync has to do with.
#[derive(Clone, Debug, Default)]
pub(super) struct Delta {
    /// The ports that are not there any more or are not what they were, as they were.
    pub old: Map<PortKey, Port>,
    /// The ports of Services that have changed, which are there now.
    pub new: Set<PortKey>,
}

impl Ports {
    /// All ports.
    pub fn all(config: &Config, family: Family, cache: &Cache) -> Ports {
        let mut all = Ports::default();
        let mut found = Vec::new();
        for (name, known) in &cache.services {
            let ports = ports_with_endpoints(config, family, known);
            if !ports.is_empty() {
                all.keys.insert(name.clone(), ports.iter().map(|(key, _)| key.clone()).collect());
            }
            found.extend(ports);
        }
        all.endpoints = found.iter().map(|(_, p)| p.endpoints.len()).sum();
        all.ports = found.into_iter().collect();
        all
    }

    /// Brings the ports of some Services up to date: by name, and whether their endpoints are not what they were.
    pub fn update(
        &mut self,
        config: &Config,
        family: Family,
        cache: &Cache,
        changed: &Map<NamespacedName, bool>,
    ) -> Delta {
        let mut delta = Delta::default();
        for (name, endpoints_changed) in changed {
            let mut old = Map::new();
            for key in self.keys.remove(name).unwrap_or_default() {
                if let Some(port) = self.ports.remove(&key) {
                    self.endpoints -= port.endpoints.len();
                    old.insert(key, port);
                }
            }
            let known = cache.services.get(name);
            let new = known.map(|k| ports_with_endpoints(config, family, k)).unwrap_or_default();
            let same = !endpoints_changed
                && new.len() == old.len()
                && new.iter().all(|(key, port)| old.get(key).is_some_and(|old| old.info == port.info));
            if !new.is_empty() {
                self.keys.insert(name.clone(), new.iter().map(|(key, _)| key.clone()).collect());
            }
            for (key, port) in new {
                self.endpoints += port.endpoints.len();
                if !same {
                    delta.new.insert(key.clone());
                }
                self.ports.insert(key, port);
            }
            if !same {
                delta.old.append(&mut old);
            }
        }
        delta
    }
}

fn ports_with_endpoints(config: &Config, family: Family, known: &Known) -> Vec<(PortKey, Port)> {
    let Some(service) = &known.service else { return Vec::new() };
    let mut ports: Vec<(PortKey, Port)> = Vec::new();
    for info in ports_of(config, family, service) {
        let endpoints = endpoints_of(config, family, known, &info);
        let key = (info.name.clone(), info.protocol);
        // Of two ports with the same name and protocol the last counts.
        ports.retain(|(other, _)| *other != key);
        ports.push((key, Port { info, endpoints }));
    }
    ports
}
