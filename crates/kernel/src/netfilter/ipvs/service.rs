//! Virtual servers and their real servers (net/netfilter/ipvs/ip_vs_ctl.c).

use super::sched::{Picks, Scheduler};
use super::{Endpoint, Ipvs};
use packet::Protocol;
use std::fmt;

/// What a virtual server answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceId {
    /// TCP or UDP.
    pub proto: Protocol,
    /// Address and port.
    pub addr: Endpoint,
}

/// A virtual server.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it answers for.
    pub id: ServiceId,
    /// How it chooses.
    pub scheduler: Scheduler,
    /// Its real servers, the newest first: they are added at the head of the list.
    pub dests: Vec<Dest>,
    pub(super) picks: Picks,
}

/// A real server. Forwarding is masquerading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dest {
    /// Address and port.
    pub addr: Endpoint,
    /// Weight; 0 takes no new connections.
    pub weight: u32,
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvsError {
    /// There is one already.
    ServiceExists,
    /// There is none.
    NoService,
    /// The service has that server already.
    DestExists,
    /// The service has no such server.
    NoDest,
}

impl fmt::Display for IpvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpvsError::ServiceExists => "Service already exists",
            IpvsError::NoService => "No such service",
            IpvsError::DestExists => "Destination already exists",
            IpvsError::NoDest => "No such destination",
        })
    }
}

impl Ipvs {
    fn find(&mut self, id: ServiceId) -> Result<&mut Service, IpvsError> {
        self.services.iter_mut().find(|s| s.id == id).ok_or(IpvsError::NoService)
    }

    pub(crate) fn add_service(&mut self, id: ServiceId, scheduler: Scheduler) -> Result<(), IpvsError> {
        if self.find(id).is_ok() {
            return Err(IpvsError::ServiceExists);
        }
        self.services.push(Service { id, scheduler, dests: Vec::new(), picks: Picks::default() });
        Ok(())
    }

    pub(crate) fn edit_service(&mut self, id: ServiceId, scheduler: Scheduler) -> Result<(), IpvsError> {
        let service = self.find(id)?;
        if service.scheduler != scheduler {
            service.scheduler = scheduler;
            service.picks = Picks::default();
            service.changed();
        }
        Ok(())
    }

    pub(crate) fn del_service(&mut self, id: ServiceId) -> Result<(), IpvsError> {
        self.find(id)?;
        self.services.retain(|s| s.id != id);
        Ok(())
    }

    pub(crate) fn add_dest(&mut self, id: ServiceId, dest: Dest) -> Result<(), IpvsError> {
        let service = self.find(id)?;
        if service.dests.iter().any(|d| d.addr == dest.addr) {
            return Err(IpvsError::DestExists);
        }
        service.dests.insert(0, dest);
        service.picks.inserted();
        service.changed();
        Ok(())
    }

    pub(crate) fn edit_dest(&mut self, id: ServiceId, dest: Dest) -> Result<(), IpvsError> {
        let service = self.find(id)?;
        let old = service.dests.iter_mut().find(|d| d.addr == dest.addr).ok_or(IpvsError::NoDest)?;
        *old = dest;
        service.changed();
        Ok(())
    }

    pub(crate) fn del_dest(&mut self, id: ServiceId, addr: Endpoint) -> Result<(), IpvsError> {
        let service = self.find(id)?;
        let at = service.dests.iter().position(|d| d.addr == addr).ok_or(IpvsError::NoDest)?;
        service.dests.remove(at);
        service.picks.removed(at);
        service.changed();
        Ok(())
    }
}
