//! What is counted: for `conntrack -S`, and for who reckons with what conntrack costs.

use super::Conntrack;

/// `conntrack -S`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStats {
    /// Tuples that NAT could not use, as another entry has them.
    pub found: u64,
    /// Packets that are invalid.
    pub invalid: u64,
    /// Entries made by `conntrack -I`.
    pub insert: u64,
    /// Entries that could not be inserted.
    pub insert_failed: u64,
    /// Packets dropped because of that, or because the table is full.
    pub drop: u64,
    /// Entries that had to make room for others.
    pub early_drop: u64,
    /// ICMP errors about no known flow, or malformed.
    pub error: u64,
    /// Flows that had been announced.
    pub expect_new: u64,
    /// Expectations made.
    pub expect_create: u64,
    /// Expectations that came or were given up.
    pub expect_delete: u64,
    /// Packets of a flow that was entered twice, which went on with the other entry.
    pub clash_resolve: u64,
}

/// What conntrack has done so far, for who reckons with what that costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtWork {
    /// Look-ups that found their entry: half a chain of the hash, on average.
    pub hits: u64,
    /// Look-ups that did not: a whole chain.
    pub misses: u64,
    /// Entries made.
    pub made: u64,
}

impl CtStats {
    fn plus(self, other: CtStats) -> CtStats {
        CtStats {
            found: self.found + other.found,
            invalid: self.invalid + other.invalid,
            insert: self.insert + other.insert,
            insert_failed: self.insert_failed + other.insert_failed,
            drop: self.drop + other.drop,
            early_drop: self.early_drop + other.early_drop,
            error: self.error + other.error,
            expect_new: self.expect_new + other.expect_new,
            expect_create: self.expect_create + other.expect_create,
            expect_delete: self.expect_delete + other.expect_delete,
            clash_resolve: self.clash_resolve + other.clash_resolve,
        }
    }
}

impl Conntrack {
    /// The sums of what `conntrack -S` shows.
    pub fn stats(&self) -> CtStats {
        self.stats_by_cpu().into_iter().reduce(CtStats::plus).unwrap_or_default()
    }

    /// What `conntrack -S` shows, a line a processor.
    pub fn stats_by_cpu(&self) -> Vec<CtStats> {
        let mut all = self.idle.clone();
        all.resize(all.len().max(1), CtStats::default());
        if let Some(mine) = all.get_mut(self.cpu) {
            *mine = CtStats { found: self.found.get(), ..self.stats };
        }
        all
    }

    /// The box has at least so many processors.
    pub(crate) fn set_cpus(&mut self, n: usize) {
        self.idle.resize(self.idle.len().max(n), CtStats::default());
    }

    /// From now on things happen on this processor.
    pub(crate) fn run_on(&mut self, cpu: usize) {
        self.set_cpus(cpu + 1);
        self.idle = self.stats_by_cpu();
        self.cpu = cpu;
        self.stats = self.idle.get(cpu).copied().unwrap_or_default();
        self.found.set(self.stats.found);
    }

    pub(super) fn count_work(&self, add: impl FnOnce(&mut CtWork)) {
        let mut work = self.work.get();
        add(&mut work);
        self.work.set(work);
    }

    /// What has been done so far.
    pub fn work(&self) -> CtWork {
        self.work.get()
    }
}
