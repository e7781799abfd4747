//! What a packet costs: nanoseconds of a processor.

use kernel::netfilter::conntrack::CtWork;

/// What things cost. Of these figures two are calibrated, [`Cost::slowness`] and [`Cost::turn`]; the others are measured or known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// A packet goes through a box without netfilter: routing, devices, sockets.
    pub path: u64,
    /// Conntrack looks at it too.
    pub conntrack: u64,
    /// And kube-proxy's tables.
    pub tables: u64,
    /// An entry is made for it.
    pub new_conntrack: u64,
    /// And the tables are asked about a new flow.
    pub new_tables: u64,
    /// One entry of a hash chain is looked at, which is somewhere in memory.
    pub link: u64,
    /// How many times slower the machine is than the one on which the figures above were measured (but `link`), in hundredths.
    pub slowness: u64,
    /// A server reads a datagram and answers it, besides the way of the answer through the kernel.
    pub turn: u64,
    /// Everything takes so many times as long: a machine that is smaller by this factor.
    pub scale: u64,
}

/// What a box is, for its packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub conntrack: bool,
    pub tables: bool,
}

impl Cost {
    /// A packet has gone through a box where conntrack has done that. `chain` is the length of the chains of its hash, in
    /// thousandths: whoever finds his entry has looked at half of one.
    pub(super) fn pass(&self, kind: Kind, work: CtWork, chain: u64) -> u64 {
        let mut ns = self.path;
        if kind.conntrack {
            ns += self.conntrack + self.new_conntrack * work.made;
        }
        if kind.tables {
            ns += self.tables + self.new_tables * work.made;
        }
        let links = work.hits * (1000 + chain / 2) + work.misses * chain;
        (ns * self.slowness / 100 + links * self.link / 1000) * self.scale
    }

    pub(super) fn turn(&self) -> u64 {
        self.turn * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Cost = Cost {
        path: 100,
        conntrack: 20,
        tables: 30,
        new_conntrack: 7,
        new_tables: 5,
        link: 10,
        slowness: 200,
        turn: 1000,
        scale: 1,
    };

    fn pass(cost: Cost, kind: (bool, bool), (hits, misses, made): (u64, u64, u64), chain: u64) -> u64 {
        cost.pass(Kind { conntrack: kind.0, tables: kind.1 }, CtWork { hits, misses, made }, chain)
    }

    #[test]
    fn a_box_without_netfilter_costs_its_path() {
        assert_eq!(pass(COST, (false, false), (0, 0, 0), 0), 200);
    }

    #[test]
    fn a_new_flow_costs_more() {
        assert_eq!(pass(COST, (true, true), (0, 0, 0), 0), 300);
        assert_eq!(pass(COST, (true, true), (0, 0, 1), 0), 324);
    }

    #[test]
    fn who_finds_looks_at_half_a_chain_and_who_does_not_at_all_of_it() {
        let without = pass(COST, (true, false), (0, 0, 0), 8000);
        assert_eq!(pass(COST, (true, false), (1, 0, 0), 8000) - without, 50);
        assert_eq!(pass(COST, (true, false), (0, 1, 0), 8000) - without, 80);
    }

    #[test]
    fn a_smaller_machine_takes_longer_for_everything() {
        let small = Cost { scale: 10, ..COST };
        assert_eq!(
            pass(small, (true, true), (1, 1, 1), 8000),
            10 * pass(COST, (true, true), (1, 1, 1), 8000)
        );
        assert_eq!(small.turn(), 10 * COST.turn());
    }
}
