//! Endpoints (api/core/v1/types.go), which kube-proxy read before EndpointSlices.

use super::{EndpointPort, Metadata, Protocol};
use crate::diagnostic::Read;
use crate::fields::{Fields, address, dns_name, each};
use crate::yaml::Yaml;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One of `addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointAddress {
    /// `ip`.
    pub ip: IpAddr,
    /// `nodeName`.
    pub node_name: String,
}

/// One of `subsets`: every address with every port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSubset {
    /// `addresses`: those that are ready. The others are of no use to kube-proxy.
    pub addresses: Vec<EndpointAddress>,
    /// `ports`.
    pub ports: Vec<EndpointPort>,
}

/// The endpoints of the Service of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// `subsets`.
    pub subsets: Vec<EndpointSubset>,
}

impl Endpoints {
    pub(super) fn read(document: &Yaml) -> Read<Endpoints> {
        let object = Fields::new(document, &["apiVersion", "kind", "metadata", "subsets"])?;
        Ok(Endpoints {
            metadata: Metadata::read(object, true)?,
            subsets: each(object.list("subsets")?, subset)?,
        })
    }
}

fn subset(v: &Yaml) -> Read<EndpointSubset> {
    let fields = Fields::new(v, &["addresses", "notReadyAddresses", "ports"])?;
    Ok(EndpointSubset {
        addresses: each(fields.list("addresses")?, one_address)?,
        ports: each(fields.list("ports")?, port)?,
    })
}

fn one_address(v: &Yaml) -> Read<EndpointAddress> {
    let fields = Fields::new(v, &["ip", "hostname", "nodeName", "targetRef"])?;
    Ok(EndpointAddress {
        ip: address(fields.need("ip")?)?,
        node_name: fields.text("nodeName")?.unwrap_or_default().to_owned(),
    })
}

fn port(v: &Yaml) -> Read<EndpointPort> {
    let fields = Fields::new(v, &["name", "protocol", "port", "appProtocol"])?;
    fields.need("port")?;
    Ok(EndpointPort {
        name: fields.get("name").map_or(Ok(String::new()), |v| dns_name(v, 63))?,
        protocol: fields.word("protocol", &Protocol::WORDS)?.unwrap_or_default(),
        port: fields.port("port", 1)?,
    })
}
