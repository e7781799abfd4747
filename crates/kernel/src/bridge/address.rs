//! The addresses of a bridge and of its ports (net/bridge/br_fdb.c, br_stp_if.c).

use crate::bridge::FdbEntry;
use crate::netns::Netns;
use crate::{DevId, Instant};
use packet::Mac;

impl Netns {
    /// `ip link set DEV address MAC`. A bridge keeps what it was given here.
    pub fn set_mac(&mut self, id: DevId, mac: Mac) {
        if let Some(b) = self.bridge_mut(id) {
            b.mac_set_by_user = true;
        }
        self.change_mac(id, mac);
    }

    /// A device has another address: its neighbours are forgotten (`neigh_changeaddr`), and a bridge hears of it.
    fn change_mac(&mut self, id: DevId, mac: Mac) {
        let Some(d) = self.devices.get_mut(id.index()) else { return };
        let (old, master) = (std::mem::replace(&mut d.mac, mac), d.master);
        self.neigh.forget(id);
        if self.bridge(id).is_some() {
            self.fdb_delete_local(id, id, old);
            self.fdb_add_local(id, id, mac);
        }
        if let Some(master) = master {
            self.fdb_delete_local(master, id, old);
            self.fdb_add_local(master, id, mac);
            self.br_stp_recalculate_bridge_id(master);
        }
    }

    /// `br_stp_recalculate_bridge_id`: a bridge that was given no address has the lowest of its ports, and without any none.
    pub(crate) fn br_stp_recalculate_bridge_id(&mut self, bridge: DevId) {
        let Some(b) = self.bridge(bridge).filter(|b| !b.mac_set_by_user) else { return };
        let ports = b.ports.iter().filter_map(|p| self.device(*p));
        let lowest = ports.map(|d| d.mac).min().unwrap_or(Mac::ZERO);
        if self.device(bridge).is_some_and(|d| d.mac != lowest) {
            self.change_mac(bridge, lowest);
        }
    }

    /// `fdb_add_local`: frames to the address of a bridge or of a port go up. Who was first with it keeps it.
    pub(crate) fn fdb_add_local(&mut self, bridge: DevId, dev: DevId, mac: Mac) {
        let Some(b) = self.bridge_mut(bridge) else { return };
        if mac != Mac::ZERO && !b.fdb.get(mac).is_some_and(|e| e.local) {
            b.fdb.set(mac, FdbEntry { dev, local: true, is_static: true, updated: Instant(0) });
        }
    }

    /// `fdb_delete_local`: an address that a device had. Another port with the same one has it now, or else the bridge.
    pub(crate) fn fdb_delete_local(&mut self, bridge: DevId, dev: DevId, mac: Mac) {
        let Some(b) = self.bridge(bridge) else { return };
        let Some(entry) = b.fdb.get(mac).filter(|e| e.local && e.dev == dev) else { return };
        let has_it = |d: &DevId| *d != dev && self.device(*d).is_some_and(|d| d.mac == mac);
        let next = b.ports.iter().rev().copied().chain([bridge]).find(has_it);
        let Some(b) = self.bridge_mut(bridge) else { return };
        match next {
            Some(dev) => b.fdb.set(mac, FdbEntry { dev, ..entry }),
            None => _ = b.fdb.remove(mac),
        }
    }
}
