//! Which real server comes next (net/netfilter/ipvs/ip_vs_rr.c, ip_vs_wrr.c, ip_vs_lc.c, ip_vs_wlc.c, ip_vs_sed.c,
//! ip_vs_nq.c).

use super::Endpoint;
use super::hash::{Maglev, dh, sh};
use super::service::{Dest, Service};
use crate::Era;

/// How a virtual server chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// `rr`: one after the other.
    Rr,
    /// `wrr`: the same, but heavier ones more often.
    Wrr,
    /// `lc`: the one with the fewest connections.
    Lc,
    /// `wlc`: the fewest for its weight.
    Wlc,
    /// `sed`: the shortest expected delay.
    Sed,
    /// `nq`: one without active connections, else as sed.
    Nq,
    /// `sh`: by the client's address.
    Sh,
    /// `dh`: by the virtual address.
    Dh,
    /// `mh`: by the client's address, with a table that changes little when servers do.
    Mh,
}

/// `-b`: three flags, whose meaning is the scheduler's (`IP_VS_SVC_F_SCHED1` and so on).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedFlags(pub u8);

impl SchedFlags {
    /// `sh-fallback`, `mh-fallback`: another server if the chosen one takes no connections.
    pub const FALLBACK: SchedFlags = SchedFlags(1);
    /// `sh-port`, `mh-port`: the client's port counts too.
    pub const PORT: SchedFlags = SchedFlags(2);

    /// True if all of `other` are set.
    pub fn has(self, other: SchedFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Scheduler {
    /// Every scheduler that is modelled.
    pub const ALL: [Scheduler; 9] = [
        Scheduler::Rr,
        Scheduler::Wrr,
        Scheduler::Lc,
        Scheduler::Wlc,
        Scheduler::Sed,
        Scheduler::Nq,
        Scheduler::Sh,
        Scheduler::Dh,
        Scheduler::Mh,
    ];

    /// The name that ipvsadm uses; the module is `ip_vs_NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Rr => "rr",
            Scheduler::Wrr => "wrr",
            Scheduler::Lc => "lc",
            Scheduler::Wlc => "wlc",
            Scheduler::Sed => "sed",
            Scheduler::Nq => "nq",
            Scheduler::Sh => "sh",
            Scheduler::Dh => "dh",
            Scheduler::Mh => "mh",
        }
    }
}

/// Where a scheduler stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Picks {
    /// The server that was chosen last; `None` is the head of the list.
    last: Option<usize>,
    /// wrr: the weight that a server needs now.
    current: u32,
    /// wrr: where `current` begins each lap.
    max: u32,
    /// wrr: by how much it falls.
    step: u32,
    /// mh
    maglev: Maglev,
}

impl Picks {
    /// A server was added at the head.
    pub fn inserted(&mut self) {
        self.last = self.last.map(|l| l + 1);
    }

    /// The server at `at` is gone.
    pub fn removed(&mut self, at: usize) {
        self.last = match self.last {
            Some(l) if l >= at => l.checked_sub(1),
            other => other,
        };
    }
}

pub(super) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Service {
    /// A server was added, removed or changed (`ip_vs_wrr_dest_changed`, `ip_vs_mh_dest_changed`). rr goes on where it
    /// stood.
    pub(super) fn changed(&mut self) {
        match self.spec.scheduler {
            Scheduler::Wrr => self.wrr_changed(),
            Scheduler::Mh => self.picks.maglev = Maglev::of(&self.dests),
            _ => {}
        }
    }

    fn wrr_changed(&mut self) {
        let p = &mut self.picks;
        p.last = None;
        p.step = self.dests.iter().map(|d| d.spec.weight).fold(0, gcd).max(1);
        p.max = self.dests.iter().map(|d| d.spec.weight).max().unwrap_or(0).saturating_sub(p.step - 1);
        if p.current > p.max || p.current == 0 {
            p.current = p.max;
        } else if p.step > 1 {
            p.current = (p.current / p.step) * p.step + 1;
        }
    }

    /// The place in the list of the server for a new connection of `client` to `virt`; `None` if no server takes one.
    pub(super) fn schedule(&mut self, client: Endpoint, virt: Endpoint, era: Era) -> Option<usize> {
        let low = era.ipvs_hashes_low_bits();
        let flags = self.spec.flags;
        let port = if flags.has(SchedFlags::PORT) { client.1 } else { 0 };
        let fallback = flags.has(SchedFlags::FALLBACK);
        match self.spec.scheduler {
            Scheduler::Rr => self.rr(),
            Scheduler::Wrr => self.wrr(),
            Scheduler::Lc | Scheduler::Wlc | Scheduler::Sed | Scheduler::Nq => self.least(),
            Scheduler::Sh => sh(&self.dests, (client.0, port), fallback, low),
            Scheduler::Dh => dh(&self.dests, virt.0, low),
            Scheduler::Mh => self.picks.maglev.choose(&self.dests, (client.0, port), fallback),
        }
    }

    fn rr(&mut self) -> Option<usize> {
        let n = self.dests.len();
        let first = self.picks.last.map_or(0, |l| l + 1);
        let found =
            (0..n).map(|i| (first + i) % n).find(|at| self.dests.get(*at).is_some_and(Dest::usable))?;
        self.picks.last = Some(found);
        Some(found)
    }

    fn wrr(&mut self) -> Option<usize> {
        let heaviest = self.dests.iter().filter(|d| d.usable()).map(|d| d.spec.weight).max()?;
        if self.picks.max == 0 {
            return None;
        }
        // It ends: the needed weight falls until the heaviest usable server has it.
        loop {
            let first = self.picks.last.map_or(0, |l| l + 1);
            let need = self.picks.current;
            let fits = |d: &Dest| d.usable() && d.spec.weight >= need;
            if let Some(at) = (first..self.dests.len()).find(|at| self.dests.get(*at).is_some_and(fits)) {
                self.picks.last = Some(at);
                return Some(at);
            }
            self.picks.last = None;
            // Laps in which nobody has the weight are passed over.
            let step = self.picks.step.max(1);
            let laps = need.saturating_sub(heaviest).div_ceil(step).max(1);
            self.picks.current = match need.checked_sub(step.saturating_mul(laps)) {
                Some(0) | None => self.picks.max,
                Some(less) => less,
            };
        }
    }

    /// The least loaded, the first in the list of those that are equal.
    fn least(&self) -> Option<usize> {
        let scheduler = self.spec.scheduler;
        let load = |d: &Dest| {
            let (active, inactive) = (u64::from(d.active), u64::from(d.inactive));
            match scheduler {
                Scheduler::Sed | Scheduler::Nq => active + 1,
                // ip_vs_dest_conn_overhead
                _ => active * 256 + inactive,
            }
        };
        let weight = |d: &Dest| if scheduler == Scheduler::Lc { 1 } else { u64::from(d.spec.weight) };
        let mut least: Option<(usize, &Dest)> = None;
        for (at, d) in self.dests.iter().enumerate().filter(|(_, d)| d.usable()) {
            if scheduler == Scheduler::Nq && d.active == 0 {
                return Some(at);
            }
            if least.is_none_or(|(_, l)| load(l) * weight(d) > load(d) * weight(l)) {
                least = Some((at, d));
            }
        }
        least.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;
    use crate::netfilter::ipvs::{DestSpec, Ipvs, ServiceId, ServiceSpec};
    use packet::Protocol;
    use std::net::Ipv4Addr;

    const VIP: Endpoint = (Ipv4Addr::new(10, 96, 0, 1), 80);
    const CLIENT: Endpoint = (Ipv4Addr::new(192, 168, 1, 100), 4000);

    fn id() -> ServiceId {
        ServiceId::new(Protocol::TCP, VIP)
    }

    fn dest(letter: char, weight: u32) -> DestSpec {
        DestSpec::new((Ipv4Addr::LOCALHOST, letter as u16), weight)
    }

    fn picks(ipvs: &mut Ipvs, n: usize) -> String {
        let service = &mut ipvs.services[0];
        let picked: Vec<usize> =
            (0..n).filter_map(|_| service.schedule(CLIENT, VIP, Era::default())).collect();
        picked.iter().map(|at| char::from(u8::try_from(service.dests[*at].spec.addr.1).unwrap())).collect()
    }

    fn service(scheduler: Scheduler, weights: &[u32]) -> Ipvs {
        let mut ipvs = Ipvs::default();
        ipvs.add_service(ServiceSpec::new(id(), scheduler)).unwrap();
        for (letter, weight) in ('A'..).zip(weights) {
            ipvs.add_dest(id(), dest(letter, *weight), Instant(0)).unwrap();
        }
        ipvs
    }

    #[test]
    fn rr_begins_with_the_newest_and_skips_weight_0() {
        assert_eq!(picks(&mut service(Scheduler::Rr, &[1, 1, 1]), 6), "CBACBA");
        assert_eq!(picks(&mut service(Scheduler::Rr, &[3, 0, 1]), 4), "CACA");
        assert_eq!(picks(&mut service(Scheduler::Rr, &[0]), 1), "");
    }

    #[test]
    fn rr_goes_on_when_a_server_is_added_or_removed() {
        let mut ipvs = service(Scheduler::Rr, &[1, 1, 1]);
        assert_eq!(picks(&mut ipvs, 2), "CB");
        ipvs.add_dest(id(), dest('D', 1), Instant(0)).unwrap();
        assert_eq!(picks(&mut ipvs, 5), "ADCBA");
        ipvs.del_dest(id(), dest('A', 1).addr, Instant(0)).unwrap();
        assert_eq!(picks(&mut ipvs, 4), "DCBD");
    }

    #[test]
    fn wrr_passes_over_a_server_that_has_enough_at_once() {
        let mut ipvs = service(Scheduler::Wrr, &[0x7fff_ffff, 1]);
        ipvs.services[0].dests[1].overload = true;
        assert_eq!(picks(&mut ipvs, 4), "BBBB");
    }

    #[test]
    fn wrr_as_the_kernel_does_it() {
        for (weights, expected) in [
            (vec![3, 2, 1], "CBAABACBAABA"),
            (vec![1, 2, 3], "CBACCBCBACCB"),
            (vec![4, 3, 2], "CBAABACBA"),
            (vec![5, 1, 1], "CBAAAAA"),
            (vec![100, 50, 50], "CBAA"),
        ] {
            let found = picks(&mut service(Scheduler::Wrr, &weights), expected.len());
            assert_eq!(found, expected, "{weights:?}");
        }
    }
}
