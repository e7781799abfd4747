//! Which real server comes next (net/netfilter/ipvs/ip_vs_rr.c, ip_vs_wrr.c).

use super::Dest;
use super::service::Service;

/// How a virtual server chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// `rr`: one after the other.
    Rr,
    /// `wrr`: the same, but heavier ones more often.
    Wrr,
}

impl Scheduler {
    /// Every scheduler that is modelled.
    pub const ALL: [Scheduler; 2] = [Scheduler::Rr, Scheduler::Wrr];

    /// The name that ipvsadm uses.
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Rr => "rr",
            Scheduler::Wrr => "wrr",
        }
    }
}

/// Where a scheduler stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Picks {
    /// The server that was chosen last; `None` is the head of the list.
    last: Option<usize>,
    /// wrr: the weight that a server needs now.
    current: u32,
    /// wrr: where `current` begins each lap.
    max: u32,
    /// wrr: by how much it falls.
    step: u32,
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

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Service {
    /// `ip_vs_wrr_dest_changed`: a server was added, removed or changed. rr goes on where it stood.
    pub(super) fn changed(&mut self) {
        if self.scheduler != Scheduler::Wrr {
            return;
        }
        let p = &mut self.picks;
        p.last = None;
        p.step = self.dests.iter().map(|d| d.weight).fold(0, gcd).max(1);
        p.max = self.dests.iter().map(|d| d.weight).max().unwrap_or(0).saturating_sub(p.step - 1);
        if p.current > p.max || p.current == 0 {
            p.current = p.max;
        } else if p.step > 1 {
            p.current = (p.current / p.step) * p.step + 1;
        }
    }

    /// The server for a new connection; `None` if no server takes one.
    pub(super) fn schedule(&mut self) -> Option<Dest> {
        match self.scheduler {
            Scheduler::Rr => self.rr(),
            Scheduler::Wrr => self.wrr(),
        }
    }

    fn rr(&mut self) -> Option<Dest> {
        let n = self.dests.len();
        let first = self.picks.last.map_or(0, |l| l + 1);
        for i in 0..n {
            let at = (first + i) % n;
            let dest = self.dests.get(at).copied().filter(|d| d.weight > 0);
            if dest.is_some() {
                self.picks.last = Some(at);
                return dest;
            }
        }
        None
    }

    fn wrr(&mut self) -> Option<Dest> {
        if self.picks.max == 0 {
            return None;
        }
        // At most one lap for each weight.
        for _ in 0..=self.picks.max {
            let first = self.picks.last.map_or(0, |l| l + 1);
            let need = self.picks.current;
            let rest = self.dests.iter().enumerate().skip(first);
            if let Some((at, dest)) =
                rest.map(|(i, d)| (i, *d)).find(|(_, d)| d.weight > 0 && d.weight >= need)
            {
                self.picks.last = Some(at);
                return Some(dest);
            }
            self.picks.last = None;
            self.picks.current = match need.checked_sub(self.picks.step) {
                Some(0) | None => self.picks.max,
                Some(less) => less,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::ipvs::{Ipvs, ServiceId};
    use packet::Protocol;
    use std::net::Ipv4Addr;

    const ID: ServiceId = ServiceId { proto: Protocol::TCP, addr: (Ipv4Addr::new(10, 96, 0, 1), 80) };

    fn dest(letter: char, weight: u32) -> Dest {
        Dest { addr: (Ipv4Addr::LOCALHOST, letter as u16), weight }
    }

    fn picks(ipvs: &mut Ipvs, n: usize) -> String {
        let service = &mut ipvs.services[0];
        let picked = (0..n).filter_map(|_| service.schedule());
        picked.map(|d| char::from(u8::try_from(d.addr.1).unwrap())).collect()
    }

    fn service(scheduler: Scheduler, weights: &[u32]) -> Ipvs {
        let mut ipvs = Ipvs::default();
        ipvs.add_service(ID, scheduler).unwrap();
        for (letter, weight) in ('A'..).zip(weights) {
            ipvs.add_dest(ID, dest(letter, *weight)).unwrap();
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
        ipvs.add_dest(ID, dest('D', 1)).unwrap();
        assert_eq!(picks(&mut ipvs, 5), "ADCBA");
        ipvs.del_dest(ID, dest('A', 1).addr).unwrap();
        assert_eq!(picks(&mut ipvs, 4), "DCBD");
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
