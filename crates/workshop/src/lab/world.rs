//! How the boxes of a lab are made.

use crate::kube::{Cni, Kube, Mode, Outside, UPLINK, of_documents};
use cluster::controllers::Controllers;
use cluster::kube_proxy::Version;
use cluster::yaml::Yaml;
use cluster::{Object, Objects, Read};
use ipnet::Ipv4Net;
use kernel::{Era, Modules};
use std::net::Ipv4Addr;

/// What a lab's `world` says.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// The nodes' kernel.
    pub kernel: Era,
    /// kube-proxy's mode; `None`: there is no kube-proxy.
    pub mode: Option<Mode>,
    /// kube-proxy's version.
    pub version: Version,
    /// The kubelet's version.
    pub kubelet: Version,
    /// How pods are connected.
    pub cni: &'static Cni,
    /// The pods' networks, if kube-proxy is told.
    pub cluster_cidr: Option<Ipv4Net>,
    /// The nodes masquerade what pods send outside.
    pub nat_outgoing: bool,
    /// Hairpin mode of the pods' bridge ports.
    pub hairpin: bool,
    /// The pods' bridge is promiscuous.
    pub promisc: bool,
    /// The LAN's way to the world.
    pub gateway: Ipv4Addr,
    /// The nodes' device on the LAN.
    pub uplink: String,
    /// Computers on the LAN that are no nodes.
    pub machines: Vec<Outside>,
    /// Quiet time that ends a step, in milliseconds.
    pub settle_ms: u64,
}

impl Default for WorldSpec {
    fn default() -> WorldSpec {
        WorldSpec {
            kernel: Era::default(),
            mode: Some(Mode::default()),
            version: Version::default(),
            kubelet: Version::default(),
            cni: &Cni::BRIDGE,
            cluster_cidr: None,
            nat_outgoing: false,
            hairpin: false,
            promisc: false,
            gateway: Ipv4Addr::UNSPECIFIED,
            uplink: UPLINK.to_owned(),
            machines: Vec::new(),
            settle_ms: 40,
        }
    }
}

impl WorldSpec {
    /// The cluster of these objects, as the control plane leaves it. `Err` says what is wrong with them.
    pub fn kube(&self, documents: &[Yaml]) -> Result<Kube, String> {
        Ok(Kube {
            objects: objects(documents).map_err(|e| e.to_string())?,
            mode: self.mode,
            version: self.version,
            kubelet: self.kubelet,
            uplink: self.uplink.clone(),
            era: self.kernel,
            modules: Modules::default(),
            cni: self.cni,
            cluster_cidr: self.cluster_cidr,
            nat_outgoing: self.nat_outgoing,
            hairpin: self.hairpin,
            promisc: self.promisc || self.cni.promisc,
            tftp_rule: None,
            gateway: self.gateway,
            outside: self.machines.clone(),
        })
    }
}

/// The objects of these documents, with what controllers make of them. `Err` names what is wrong, or not modelled.
pub(super) fn objects(documents: &[Yaml]) -> Read<Objects> {
    objects_after(&mut Controllers::default(), documents)
}

/// The same after a change: the controllers know what they have made.
pub(super) fn objects_after(controllers: &mut Controllers, documents: &[Yaml]) -> Read<Objects> {
    let mut objects = of_documents(documents)?;
    if let Some(other) = objects.not_modelled.first() {
        let place = documents.iter().map(|d| d.place).find(|p| p.line == other.line).unwrap_or_default();
        let told = other.to_string();
        return Err(place.blame("", told.split_once(": ").map_or(told.as_str(), |(_, what)| what)));
    }
    let made = controllers.run(&objects);
    made.pods.into_iter().for_each(|pod| objects.apply(Object::Pod(pod)));
    made.slices.into_iter().for_each(|slice| objects.apply(Object::EndpointSlice(slice)));
    Ok(objects)
}
