//! EndpointSlice (api/discovery/v1/types.go).

use super::{Metadata, Protocol};
use crate::diagnostic::Read;
use crate::fields::{Fields, address, dns_name, each, text};
use crate::yaml::Yaml;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// `addressType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressType {
    /// IPv4 addresses.
    #[default]
    IPv4,
    /// IPv6 addresses.
    IPv6,
    /// Names, which kube-proxy ignores.
    Fqdn,
}

/// `hints`: who should use the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// `forZones`.
    pub zones: Vec<String>,
    /// `forNodes`.
    pub nodes: Vec<String>,
}

/// One of `endpoints`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The first of `addresses`; the others are ignored by every consumer.
    pub address: Option<IpAddr>,
    /// `conditions.ready`; unknown counts as true.
    pub ready: bool,
    /// `conditions.serving`; unknown counts as `ready`.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// `nodeName`.
    pub node_name: String,
    /// `zone`.
    pub zone: String,
    /// `hints`.
    pub hints: Hints,
}

/// One of `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPort {
    /// `name`; the Service's port of the same name.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`; without a number it is ignored.
    pub port: Option<u16>,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSlice {
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// The label `kubernetes.io/service-name`; empty if it belongs to no Service.
    pub service: String,
    /// `addressType`.
    pub address_type: AddressType,
    /// `endpoints`.
    pub endpoints: Vec<Endpoint>,
    /// `ports`.
    pub ports: Vec<EndpointPort>,
}

impl EndpointSlice {
    pub(super) fn read(document: &Yaml) -> Read<EndpointSlice> {
        let object =
            Fields::new(document, &["apiVersion", "kind", "metadata", "addressType", "endpoints", "ports"])?;
        let metadata = Metadata::read(object, true)?;
        let types = [("IPv4", AddressType::IPv4), ("IPv6", AddressType::IPv6), ("FQDN", AddressType::Fqdn)];
        object.need("addressType")?;
        let address_type = object.word("addressType", &types)?.unwrap_or_default();
        Ok(EndpointSlice {
            service: metadata.labels.get("kubernetes.io/service-name").cloned().unwrap_or_default(),
            metadata,
            address_type,
            endpoints: each(object.list("endpoints")?, |v| endpoint(v, address_type))?,
            ports: each(object.list("ports")?, port)?,
        })
    }
}

fn endpoint(v: &Yaml, address_type: AddressType) -> Read<Endpoint> {
    const KNOWN: [&str; 9] = [
        "addresses",
        "conditions",
        "deprecatedTopology",
        "hints",
        "hostname",
        "nodeName",
        "targetRef",
        "topology",
        "zone",
    ];
    let fields = Fields::new(v, &KNOWN)?;
    let mut first = None;
    for a in fields.list("addresses")? {
        let ip = match address_type {
            AddressType::Fqdn => continue,
            _ => address(a)?,
        };
        if ip.is_ipv4() != (address_type == AddressType::IPv4) {
            return Err(a.blame("the address is not of the slice's addressType"));
        }
        first = first.or(Some(ip));
    }
    let conditions = fields.fields("conditions", &["ready", "serving", "terminating"])?;
    let condition = |key: &str| conditions.map_or(Ok(None), |c| c.boolean(key));
    let ready = condition("ready")?.unwrap_or(true);
    let mut hints = Hints::default();
    if let Some(h) = fields.fields("hints", &["forZones", "forNodes"])? {
        hints = Hints { zones: names(h, "forZones")?, nodes: names(h, "forNodes")? };
    }
    Ok(Endpoint {
        address: first,
        ready,
        serving: condition("serving")?.unwrap_or(ready),
        terminating: condition("terminating")?.unwrap_or(false),
        node_name: fields.text("nodeName")?.unwrap_or_default().to_owned(),
        zone: fields.text("zone")?.unwrap_or_default().to_owned(),
        hints,
    })
}

/// The `name`s of a list of hints.
fn names(hints: Fields<'_>, key: &str) -> Read<Vec<String>> {
    each(hints.list(key)?, |v| Ok(text(Fields::new(v, &["name"])?.need("name")?)?.to_owned()))
}

fn port(v: &Yaml) -> Read<EndpointPort> {
    let fields = Fields::new(v, &["name", "protocol", "port", "appProtocol"])?;
    Ok(EndpointPort {
        name: fields.get("name").map_or(Ok(String::new()), |v| {
            if text(v)?.is_empty() { Ok(String::new()) } else { dns_name(v, 63) }
        })?,
        protocol: fields.word("protocol", &Protocol::WORDS)?.unwrap_or_default(),
        port: fields.port("port", 1)?,
    })
}
