//! Counters and rates (`struct ip_vs_kstats`, net/netfilter/ipvs/ip_vs_est.c).

use crate::Instant;

/// The estimator looks every two seconds.
const PERIOD_US: u64 = 2_000_000;
/// After so many quiet periods every rate is 0.
const QUIET: u64 = 200;

/// What a virtual or a real server has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that were scheduled.
    pub conns: u64,
    /// Packets from clients.
    pub in_pkts: u64,
    /// Packets from real servers.
    pub out_pkts: u64,
    /// Bytes of IP from clients.
    pub in_bytes: u64,
    /// Bytes of IP from real servers.
    pub out_bytes: u64,
    zero: [u64; 5],
    last: [u64; 5],
    /// Averages, the packets and connections times 1024, the bytes times 32.
    average: [i64; 5],
    looked: Instant,
}

/// What `ipvsadm --rate` shows: per second.
pub type Rates = [u64; 5];

impl Stats {
    fn counters(&self) -> [u64; 5] {
        [self.conns, self.in_pkts, self.out_pkts, self.in_bytes, self.out_bytes]
    }

    /// The counters since they were last set to zero: connections, packets in and out, bytes in and out.
    pub fn shown(&self) -> [u64; 5] {
        let mut shown = self.counters();
        for (value, zero) in shown.iter_mut().zip(self.zero) {
            *value -= zero;
        }
        shown
    }

    /// `ip_vs_zero_stats`: shows zero from now on.
    pub(super) fn clear(&mut self) {
        self.zero = self.counters();
        (self.last, self.average) = (self.zero, [0; 5]);
    }

    /// `estimation_timer`: a quarter of each difference, at every second even second.
    pub(super) fn estimate(&mut self, now: Instant) {
        let periods = (now.0 / PERIOD_US).saturating_sub(self.looked.0 / PERIOD_US);
        self.looked = now;
        for n in 0..periods.min(QUIET) {
            let counters = self.counters();
            for (i, (average, last)) in self.average.iter_mut().zip(&mut self.last).enumerate() {
                let grown =
                    if n == 0 { i64::try_from(counters[i] - *last).unwrap_or(i64::MAX >> 9) } else { 0 };
                *last = counters[i];
                let rate = grown << if i < 3 { 9 } else { 4 };
                *average += (rate - *average) >> 2;
            }
        }
    }

    /// The rates at `now`.
    pub fn rates(mut self, now: Instant) -> Rates {
        self.estimate(now);
        let mut out = [0; 5];
        for (i, (out, average)) in out.iter_mut().zip(self.average).enumerate() {
            let rounded = if i < 3 { (average + 0x1ff) >> 10 } else { (average + 0xf) >> 5 };
            *out = u64::try_from(rounded).unwrap_or(0);
        }
        out
    }

    /// `ip_vs_in_stats`, `ip_vs_out_stats`
    pub(super) fn packet(&mut self, request: bool, bytes: usize, now: Instant) {
        self.estimate(now);
        let bytes = u64::try_from(bytes).unwrap_or(0);
        if request {
            self.in_pkts += 1;
            self.in_bytes += bytes;
        } else {
            self.out_pkts += 1;
            self.out_bytes += bytes;
        }
    }

    /// `ip_vs_conn_stats`
    pub(super) fn conn(&mut self, now: Instant) {
        self.estimate(now);
        self.conns += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_rises_and_falls_by_a_quarter_each_two_seconds() {
        let mut stats = Stats::default();
        for _ in 0..100 {
            stats.packet(true, 50, Instant(100));
        }
        // 100 packets in two seconds are 50 a second, a quarter of it is 12.5.
        assert_eq!(stats.rates(Instant(2_000_000)), [0, 12, 0, 625, 0]);
        assert_eq!(stats.rates(Instant(4_000_000))[1], 9);
        assert_eq!(stats.rates(Instant(900_000_000)), [0; 5]);
        stats.clear();
        assert_eq!((stats.shown(), stats.in_pkts), ([0; 5], 100));
    }
}
