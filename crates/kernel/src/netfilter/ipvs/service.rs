//! Virtual servers and their real servers (net/netfilter/ipvs/ip_vs_ctl.c).

use super::sched::{Picks, SchedFlags, Scheduler};
use super::stats::Stats;
use super::{Endpoint, Ipvs};
use crate::Instant;
use packet::Protocol;
use std::fmt;
use std::net::Ipv4Addr;

/// The ports of FTP, which IPVS knows.
pub(super) const FTP: u16 = 21;
pub(super) const FTP_DATA: u16 = 20;
/// `IP_VS_DEST_TRASH_PERIOD`: how long a deleted server without connections is remembered, in microseconds.
const TRASH_US: u64 = 120_000_000;

/// What a virtual server answers for: an address and a port, or a firewall mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceId {
    /// The mark of the packets; 0 if it answers for an address.
    pub fwmark: u32,
    /// TCP or UDP; 0 with a mark.
    pub proto: Protocol,
    /// Address and port; port 0 is every port.
    pub addr: Endpoint,
}

impl ServiceId {
    /// A virtual server at an address.
    pub fn new(proto: Protocol, addr: Endpoint) -> ServiceId {
        ServiceId { fwmark: 0, proto, addr }
    }

    /// A virtual server for marked packets.
    pub fn fwmark(fwmark: u32) -> ServiceId {
        ServiceId { fwmark, proto: Protocol(0), addr: (Ipv4Addr::UNSPECIFIED, 0) }
    }
}

/// `ADDRESS:PORT`, or `FWM NUMBER`.
impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fwmark {
            0 => write!(f, "{}:{}", self.addr.0, self.addr.1),
            mark => write!(f, "FWM {mark}"),
        }
    }
}

/// A virtual server as the operator describes it (`struct ip_vs_service_user`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// What it answers for.
    pub id: ServiceId,
    /// How it chooses.
    pub scheduler: Scheduler,
    /// What else the scheduler is told.
    pub flags: SchedFlags,
    /// Persistent: how long a client keeps its server, in seconds.
    pub persistent: Option<u32>,
    /// Which clients are one, for persistence.
    pub netmask: Ipv4Addr,
    /// Each datagram is scheduled anew.
    pub one_packet: bool,
}

impl ServiceSpec {
    /// One without options.
    pub fn new(id: ServiceId, scheduler: Scheduler) -> ServiceSpec {
        let flags = SchedFlags::default();
        ServiceSpec {
            id,
            scheduler,
            flags,
            persistent: None,
            netmask: Ipv4Addr::BROADCAST,
            one_packet: false,
        }
    }
}

/// A virtual server.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it answers for.
    pub id: ServiceId,
    /// How it is set up.
    pub spec: ServiceSpec,
    /// Its real servers, the newest first: they are added at the head of the list.
    pub dests: Vec<Dest>,
    /// What it has seen.
    pub stats: Stats,
    pub(super) picks: Picks,
}

/// How a packet gets to the real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forward {
    /// `-m`: its destination becomes the server.
    #[default]
    Masquerade,
    /// `-g`: only its MAC becomes that of the server.
    Route,
}

/// A real server as the operator describes it (`struct ip_vs_dest_user`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestSpec {
    /// Address and port.
    pub addr: Endpoint,
    /// Weight; 0 takes no new connections.
    pub weight: u32,
    /// How packets get there.
    pub forward: Forward,
    /// `-x`: with so many connections it takes no more; 0 is no limit.
    pub upper: u32,
    /// `-y`: with fewer it takes new ones again.
    pub lower: u32,
}

impl DestSpec {
    /// One that masquerades, without limits.
    pub fn new(addr: Endpoint, weight: u32) -> DestSpec {
        DestSpec { addr, weight, forward: Forward::Masquerade, upper: 0, lower: 0 }
    }
}

/// A real server.
#[derive(Clone, Debug)]
pub struct Dest {
    /// How it is set up.
    pub spec: DestSpec,
    /// Its number, which it keeps when it is deleted and added again.
    pub id: u32,
    /// ActiveConn
    pub active: u32,
    /// InActConn
    pub inactive: u32,
    /// Templates.
    pub persistent: u32,
    /// What it has seen.
    pub stats: Stats,
    /// The last weight that was not 0.
    pub(super) last_weight: u32,
    /// `IP_VS_DEST_F_OVERLOAD`
    pub(super) overload: bool,
    pub(super) idle_since: Instant,
}

impl Dest {
    /// True if a scheduler may choose it.
    pub(super) fn usable(&self) -> bool {
        self.spec.weight > 0 && !self.overload
    }

    fn total(&self) -> u32 {
        self.active.saturating_add(self.inactive)
    }

    /// `ip_vs_bind_dest`: it may have enough now.
    pub(super) fn note_overload(&mut self) {
        self.overload |= self.spec.upper != 0 && self.total() >= self.spec.upper;
    }

    /// `ip_vs_dest_update_overload` when a connection goes.
    pub(super) fn note_release(&mut self) {
        let (total, spec) = (u64::from(self.total()), self.spec);
        self.overload &= match (spec.lower, spec.upper) {
            (0, 0) => false,
            (0, upper) => total * 4 >= u64::from(upper) * 3,
            (lower, _) => total >= u64::from(lower),
        };
    }
}

/// A deleted real server, which its connections still know.
#[derive(Clone, Debug)]
pub(super) struct Trashed {
    service: ServiceId,
    dest: Dest,
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvsError {
    /// There is one already.
    ServiceExists,
    /// There is none.
    NoService,
    /// There is none whose servers could be changed.
    NotDefined,
    /// The service has that server already.
    DestExists,
    /// The service has no such server.
    NoDest,
    /// A limit that cannot be: the lower one is above the upper one.
    Limits,
}

impl fmt::Display for IpvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpvsError::ServiceExists => "Service already exists",
            IpvsError::NoService => "No such service",
            IpvsError::NotDefined => "Service not defined",
            IpvsError::DestExists => "Destination already exists",
            IpvsError::NoDest => "No such destination",
            IpvsError::Limits => "Numerical result out of range",
        })
    }
}

impl Ipvs {
    fn find(&mut self, id: ServiceId) -> Result<&mut Service, IpvsError> {
        self.services.iter_mut().find(|s| s.id == id).ok_or(IpvsError::NoService)
    }

    fn defined(&mut self, id: ServiceId) -> Result<&mut Service, IpvsError> {
        self.find(id).map_err(|_| IpvsError::NotDefined)
    }

    /// A real server by its number, deleted or not.
    pub(super) fn dest_mut(&mut self, id: u32) -> Option<&mut Dest> {
        let known = self.services.iter_mut().flat_map(|s| &mut s.dests);
        known.chain(self.trash.iter_mut().map(|t| &mut t.dest)).find(|d| d.id == id)
    }

    /// `IP_VS_DEST_F_AVAILABLE`: not deleted.
    pub(super) fn is_available(&self, id: u32) -> bool {
        self.dest(id).is_some()
    }

    /// A real server that is not deleted.
    pub(super) fn dest(&self, id: u32) -> Option<&Dest> {
        self.services.iter().flat_map(|s| &s.dests).find(|d| d.id == id)
    }

    pub(crate) fn add_service(&mut self, spec: ServiceSpec) -> Result<(), IpvsError> {
        if self.find(spec.id).is_ok() {
            return Err(IpvsError::ServiceExists);
        }
        let (dests, picks, stats) = (Vec::new(), Picks::default(), Stats::default());
        self.services.push(Service { id: spec.id, spec, dests, stats, picks });
        Ok(())
    }

    pub(crate) fn edit_service(&mut self, spec: ServiceSpec) -> Result<(), IpvsError> {
        let service = self.find(spec.id)?;
        let other = service.spec.scheduler != spec.scheduler;
        service.spec = spec;
        if other {
            service.picks = Picks::default();
            service.changed();
        }
        Ok(())
    }

    pub(crate) fn del_service(&mut self, id: ServiceId, now: Instant) -> Result<(), IpvsError> {
        let at = self.services.iter().position(|s| s.id == id).ok_or(IpvsError::NoService)?;
        let service = self.services.remove(at);
        for dest in service.dests {
            self.bin(id, dest, now);
        }
        Ok(())
    }

    /// `__ip_vs_del_dest`: into the trash.
    fn bin(&mut self, service: ServiceId, mut dest: Dest, now: Instant) {
        dest.idle_since = now;
        self.trash.push(Trashed { service, dest });
    }

    /// `ip_vs_dest_trash_expire`: what has had no connection for two minutes is forgotten.
    fn empty_trash(&mut self, now: Instant) {
        self.trash.retain(|t| {
            let held = t.dest.total() > 0 || t.dest.persistent > 0;
            held || t.dest.idle_since.0.saturating_add(TRASH_US) > now.0
        });
    }

    pub(crate) fn add_dest(&mut self, id: ServiceId, spec: DestSpec, now: Instant) -> Result<(), IpvsError> {
        self.empty_trash(now);
        self.defined(id)?;
        limits(&spec)?;
        if self.find(id)?.dests.iter().any(|d| d.spec.addr == spec.addr) {
            return Err(IpvsError::DestExists);
        }
        let known = self.trash.iter().position(|t| t.service == id && t.dest.spec.addr == spec.addr);
        let mut dest = match known {
            Some(at) => self.trash.remove(at).dest,
            None => {
                let number = self.next_dest;
                self.next_dest = self.next_dest.wrapping_add(1);
                Dest {
                    spec,
                    id: number,
                    active: 0,
                    inactive: 0,
                    persistent: 0,
                    stats: Stats::default(),
                    last_weight: 0,
                    overload: false,
                    idle_since: now,
                }
            }
        };
        dest.update(spec, true);
        let service = self.find(id)?;
        service.dests.insert(0, dest);
        service.picks.inserted();
        service.changed();
        Ok(())
    }

    pub(crate) fn edit_dest(&mut self, id: ServiceId, spec: DestSpec) -> Result<(), IpvsError> {
        let service = self.defined(id)?;
        limits(&spec)?;
        let old = service.dests.iter_mut().find(|d| d.spec.addr == spec.addr).ok_or(IpvsError::NoDest)?;
        old.update(spec, false);
        service.changed();
        Ok(())
    }

    pub(crate) fn del_dest(&mut self, id: ServiceId, addr: Endpoint, now: Instant) -> Result<(), IpvsError> {
        let service = self.defined(id)?;
        let at = service.dests.iter().position(|d| d.spec.addr == addr).ok_or(IpvsError::NoDest)?;
        let dest = service.dests.remove(at);
        service.picks.removed(at);
        service.changed();
        self.bin(id, dest, now);
        Ok(())
    }

    /// `ip_vs_zero_all`, or `ip_vs_zero_service` for one.
    pub fn zero(&mut self, only: Option<ServiceId>) -> Result<(), IpvsError> {
        if let Some(id) = only {
            self.find(id)?;
        } else {
            self.stats.clear();
        }
        for s in self.services.iter_mut().filter(|s| only.is_none_or(|id| id == s.id)) {
            s.stats.clear();
            s.dests.iter_mut().for_each(|d| d.stats.clear());
        }
        Ok(())
    }
}

fn limits(spec: &DestSpec) -> Result<(), IpvsError> {
    if spec.lower > spec.upper { Err(IpvsError::Limits) } else { Ok(()) }
}

impl Dest {
    /// `__ip_vs_update_dest`
    fn update(&mut self, spec: DestSpec, added: bool) {
        if added || spec.weight != 0 {
            self.last_weight = spec.weight;
        }
        if spec.upper == 0 || spec.upper > self.spec.upper {
            self.overload = false;
        }
        self.spec = spec;
    }
}
