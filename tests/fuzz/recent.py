#!/usr/bin/env python3
"""Random use of `recent` with time: seconds, hit counts, reaping, TTLs, masks, lists that several rules write, and lists that are full.
See common.py."""
import common
from common import fuzz

# Every rule works with a multiple of this many milliseconds and a half, packets come at multiples: no wait is near a limit.
WAITS = [0, 0, 0, 0, 0, 500, 500, 1500]


class Gen(common.Gen):
    def __init__(self, seed, i):
        super().__init__(seed, i)
        self.many = self.r.random() < .04

    def recent(self):
        R = self.r
        op = R.choice(["set", "set", "rcheck", "rcheck", "update", "update", "remove"])
        m = "-m recent %s--%s" % (self.inv(), op)
        if op in ("rcheck", "update"):
            if R.random() < .45:
                m += " --seconds %d" % R.choice([1, 1, 2, 3])
                if R.random() < .3:
                    m += " --reap"
            if R.random() < .45:
                m += " --hitcount %d" % R.choice([1, 2, 2, 3, 4, 5])
            if R.random() < .2:
                m += " --rttl"
        return m + " --name %s%s %s" % (self.name, R.choice("AAB"), R.choice(["--rsource", "--rsource", "--rdest", "", "--mask 255.255.255.0", "--mask 255.255.255.254", "--rdest --mask 255.0.0.0"]))

    def match(self, hooks):
        R = self.r
        m = []
        if R.random() < .3:
            m.append("%s-p %s" % (self.inv(), R.choice(["udp", "tcp", "icmp"])))
        if R.random() < .2:
            m.append("-m ttl --ttl-gt 60")
        if R.random() < .15:
            m.append("-m conntrack --ctstate NEW")
        if R.random() < .75:
            m.append(self.recent())
        if R.random() < .1:
            m.append(self.recent())
        return m, None

    def target(self, table, hooks, pinned, subs):
        R = self.r
        return "" if R.random() < .6 else R.choice(["-j ACCEPT", "-j RETURN", "-j DROP" if table != "nat" else "-j RETURN"] if R.random() < .5 else ["-j " + R.choice(subs)] if subs else [""])

    def fresh(self):
        R = self.r
        st = super().fresh()
        p = st["pkt"]
        p.pop("badsum", None)
        if st["from"] != "local":
            p["ttl"] = R.choice([64, 64, 64, 63, 10])
            if R.random() < .3:
                p["src"] = "10.9.0.%d" % R.randrange(2, 9) if st["from"] == "c" else p["src"]
        if self.many:
            p["src"], st["from"] = "10.7.%d.%d" % (R.randrange(2), R.randrange(1, 60)), "c"
            st["dmac"] = self.dmac("c", p["dst"])
        if p["src"] == p["dst"]:
            p["dst"] = "10.9.0.1"
        return st

    def next(self, k, got):
        if self.many and self.left is None:
            self.left = 240
        st = super().next(k, got)
        if st and not self.many:
            w = self.r.choice(WAITS)
            if w:
                st["wait"] = w + 20
        return st


if __name__ == "__main__":
    common.main(Gen)
