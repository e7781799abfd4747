#!/usr/bin/env python3
"""Random use of `limit` with time: rates from five a second to a day, bursts, several rules, rules in chains that are called twice.
See common.py."""
import common
from common import fuzz

# A rate of n a second gives a packet each 1000/n ms; packets come at multiples of a hundred, a little late.
RATES = ["5/s", "5/sec", "2/second", "1/s", "1/s", "10/min", "1/minute", "3/hour", "1/day"]
WAITS = [0, 0, 0, 0, 100, 200, 200, 300, 500, 1000]


class Gen(common.Gen):
    def limit(self):
        R = self.r
        rate = R.choice(RATES)
        if rate == "1/day":                     # more than four do not fit into the kernel's count
            return "-m limit --limit 1/day --limit-burst %d" % R.choice([1, 2, 4])
        return "-m limit --limit " + rate + (" --limit-burst %d" % R.choice([1, 1, 2, 3, 5, 7]) if R.random() < .85 else "")

    def match(self, hooks):
        R = self.r
        m = []
        if R.random() < .3:
            m.append("%s-p %s" % (self.inv(), R.choice(["udp", "tcp", "icmp"])))
        if R.random() < .15:
            m.append("%s-s %s" % (self.inv(), R.choice(fuzz.NETS)))
        if R.random() < .7:
            m.append(self.limit())
        if R.random() < .1:
            m.append(self.limit())
        if R.random() < .1:
            m.append("-m statistic --mode nth --every 2 --packet 0")
        return m, None

    def target(self, table, hooks, pinned, subs):
        R = self.r
        if subs and R.random() < .3:
            return R.choice(["-j ", "-g "]) + R.choice(subs)
        return "" if R.random() < .6 else R.choice(["-j ACCEPT", "-j RETURN", "-j DROP" if table != "nat" else "-j RETURN", "-j MARK --set-mark 1" if table == "mangle" else "-j RETURN"])

    def fresh(self):
        st = super().fresh()
        st["pkt"].pop("badsum", None)
        return st

    def next(self, k, got):
        if self.left is None:
            self.left = self.r.choice([8, 10, 12])
        st = super().next(k, got)
        if st:
            w = self.r.choice(WAITS)
            if w:
                st["wait"] = w + 4
        return st


if __name__ == "__main__":
    common.main(Gen)
