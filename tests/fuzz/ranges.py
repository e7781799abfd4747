#!/usr/bin/env python3
"""Random ranges of addresses and ports that run out: more flows than a rule has room for. Ports of a source are drawn: two out of one
range count as the same, so nobody answers to one. See common.py."""
import common
from common import fuzz
from fuzz import EP

RANGES = [(1000, 1000), (2000, 2001), (2100, 2102), (2200, 2203), (2300, 2301), (600, 601), (20, 22)]


class Gen(common.Gen):
    known = common.PORTS | {1, 2, 3001, 3002, 3003}

    def __init__(self, seed, i):
        super().__init__(seed, i)
        self.options = {"drawn": [[a, b] for a, b in RANGES if a != b]}
        self.drawn = {p for a, b in RANGES for p in range(a, b + 1)}
        self.single = self.r.random() < .3      # one port only: whatever comes back can be answered

    def target(self, table, hooks, pinned, subs):
        R = self.r
        if table != "nat":
            return "" if R.random() < .85 else super().target(table, hooks, pinned, subs)
        return super().target(table, hooks, pinned, subs) if R.random() < .2 else ""

    def range(self):
        R = self.r
        a, b = RANGES[0] if self.single else R.choice(RANGES)
        return "%d-%d" % (a, b) if a != b else str(a)

    def rules(self):
        R = self.r
        text, _ = super().rules()
        more = {}
        lines = []
        for _ in range(R.choice([1, 1, 2])):
            p = R.choice(["udp", "udp", "tcp"])
            a = R.choice(["10.0.0.1", "10.2.0.1", "10.9.0.1-10.9.0.2", "10.1.0.1", "10.9.0.1-10.9.0.3"])
            more_words = R.choice(["", "", "", " --persistent"])
            lines.append(R.choice(["-p %s -j SNAT --to-source %s:%s%s" % (p, a, self.range(), more_words), "-p %s -j SNAT --to-source :%s" % (p, self.range()),
                                   "-p %s -j MASQUERADE --to-ports %s" % (p, self.range()), "-p icmp -j SNAT --to-source " + a]))
        more[("nat", "POSTROUTING")] = lines
        if R.random() < .2:
            more[("nat", "INPUT")] = ["-p %s -j SNAT --to-source %s:%s" % (R.choice(["udp", "tcp"]), R.choice(["10.0.0.2", "10.9.0.1"]), self.range())]
        lines = []
        for _ in range(R.choice([0, 1, 2])):
            p = R.choice(["udp", "tcp"])
            a = R.choice(["10.1.0.2", "10.1.0.2-10.1.0.3", "10.2.0.2", "10.1.0.3"])
            r = R.choice(["53", "53-54", "1000-1002", "80-82", "53-53"])
            d = "-d 10.9.0.0/16 " if R.random() < .6 else ""
            lines.append(R.choice(["%s-p %s -j DNAT --to-destination %s:%s" % (d, p, a, r), "%s-p %s -j REDIRECT --to-ports %s" % (d, p, r), "%s-j DNAT --to-destination %s" % (d, a),
                                   "%s-j DNAT --to-destination %s --persistent" % (d, a)]))
        more[("nat", R.choice(["PREROUTING", "PREROUTING", "OUTPUT"]))] = lines
        self.known = common.PORTS | set(range(1000, 1003)) | {54, 81, 82} | self.drawn
        return common.first(text, more)

    def fresh(self):
        R = self.r
        st = super().fresh()
        p = st["pkt"]
        p.pop("badsum", None)
        if p["proto"] == "icmp" and R.random() < .6:
            p["proto"] = "udp"
            for k in ("type", "code", "id", "icmp_seq"):
                p.pop(k)
            p["sport"] = p["dport"] = 0
        if p["proto"] in ("udp", "tcp"):
            p["sport"] = R.choice([3001, 3002, 3003, 700, 5353, 40000, 1000])
            p["dport"] = R.choice([53, 53, 80, 1000])
            if p["proto"] == "tcp":
                p["flags"], p["ack"] = R.choice(["S", "S", "S", "S", "A"]), 0
            p["payload"] = "x"
        if st["from"] != "local":
            st["from"] = R.choice(["c", "a", "b", "s"])
            p["src"] = EP[st["from"]][0]
            p["dst"] = R.choice(["10.9.0.1", "10.9.0.1", "10.9.0.2", "10.2.0.2", "10.1.0.2", "10.0.0.2"])
            if p["dst"] == p["src"]:
                p["dst"] = "10.9.0.1"
            st["dmac"] = self.dmac(st["from"], p["dst"])
        return st

    def next(self, k, got):
        R = self.r
        if self.left is None:
            self.left = R.choice([8, 10, 14, 18])
        if k >= self.left:
            return None
        # Nobody can answer to a port that another kernel, or the engine, has not drawn.
        drawn = lambda q: any(q.get(x) in self.drawn and q.get(x) != 1000 for x in ("sport", "dport")) or "inner" in q
        self.seen += [(e, q) for e, q in got if not drawn(q) and (q["proto"] in ("tcp", "udp", "icmp"))]
        st = self.answer(self.seen[-4:]) if self.seen and R.random() < .25 else None
        if st is None and self.flows and R.random() < .1:
            st = R.choice(self.flows)
        if st is None:
            st = self.fresh()
            self.flows.append(st)
        st = common.json.loads(common.json.dumps(st))
        st["pkt"]["ipid"] = k + 1
        return st


if __name__ == "__main__":
    common.main(Gen)
