#!/usr/bin/env python3
"""Random routing tables, rules, settings and packets: the kernel's answers against the engine's.

  routes.py --seed 1 --cases 50 [--keep DIR] [--nflab PATH] [--oracle DIR]

A case is a scenario: a router between three boxes is given random routes and rules by ip(8), some of which the kernel refuses; then it
is asked by `ip route get`, and packets are sent through it and by it. Compared are what ip(8) printed (lines and exit status) and
every facet of the record. Needs root and the recording tool (oracle.py, compare.py) in the folder --oracle.
"""
import argparse, io, json, os, random, subprocess, sys

R = ["02:00:00:00:02:0%d" % i for i in (1, 2, 3)]
EDGE = [("c", "10.0.0", "eth0", "02:00:00:00:01:01"), ("s", "10.1.0", "eth1", "02:00:00:00:03:01"), ("t", "10.2.0", "eth2", "02:00:00:00:04:01")]
DSTS = ["10.0.0.3", "10.1.0.3", "10.2.0.3", "10.9.0.1", "10.9.1.1", "10.9.1.9", "10.20.0.1", "10.20.5.5", "10.30.0.1", "192.0.2.1", "10.0.0.1",
        "10.1.0.1", "10.1.5.1", "10.0.0.255", "10.1.0.0", "127.0.0.1", "127.1.2.3", "224.0.0.1", "239.1.1.1", "255.255.255.255", "0.1.2.3"]
NETS = ["default", "10.9.0.0/16", "10.9.1.0/24", "10.9.1.1", "10.20.0.0/16", "10.20.5.0/24", "10.0.0.0/8", "10.30.0.0/16", "192.0.2.0/24", "10.1.0.0/16",
        "10.1.0.0/25", "127.1.0.0/16"]
TABLES = ["main", "main", "main", "100", "100", "200", "300", "local"]
GWS = ["10.0.0.2", "10.0.0.3", "10.1.0.2", "10.1.0.3", "10.2.0.2", "10.2.0.3", "10.9.0.7", "10.1.0.1", "10.0.0.255"]


class Gen:
    def __init__(self, seed, i):
        self.r = random.Random("routes-%s-%s" % (seed, i))

    def p(self, x):
        return self.r.random() < x

    def hop(self):
        r = self.r
        k = r.random()
        if k < .6:
            return "via " + r.choice(GWS[:6] if self.p(.85) else GWS)
        if k < .8:
            return "dev " + r.choice(["eth0", "eth1", "eth2"])
        if k < .9:
            return "via %s dev %s" % (r.choice(GWS), r.choice(["eth0", "eth1", "eth2"]))
        return "via %s dev %s onlink" % (r.choice(GWS), r.choice(["eth1", "eth2"]))

    def route(self):
        r = self.r
        net = r.choice(NETS)
        kind = r.choice([""] * 6 + ["blackhole ", "unreachable ", "prohibit ", "throw ", "local ", "broadcast ", "unicast "])
        w = "ip route %s %s%s" % (r.choice(["add"] * 5 + ["append", "replace", "change"]), kind, net)
        if kind in ("", "unicast "):
            w += " nexthop %s nexthop %s weight %d" % (self.hop(), self.hop(), r.randint(1, 4)) if self.p(.08) else " " + self.hop()
        elif kind == "local ":
            w += " dev lo"
        elif kind == "broadcast " or self.p(.05):
            w += " dev eth1"
        if self.p(.6) and kind not in ("local ", "broadcast "):
            w += " table " + r.choice(TABLES)
        elif kind == "local " and self.p(.5):
            w += " table " + r.choice(["100", "main"])
        if self.p(.25):
            w += " metric %d" % r.choice([1, 5, 100])
        if self.p(.15):
            w += " src " + r.choice(["10.0.0.1", "10.1.0.1", "10.2.0.1", "10.1.5.1", "10.77.0.1"])
        if self.p(.1):
            w += " proto " + r.choice(["static", "bird", "7"])
        if self.p(.08):
            w += " scope " + r.choice(["global", "link", "host"])
        return w

    def delete(self):
        r = self.r
        w = "ip route del " + r.choice(NETS)
        if self.p(.4):
            w += " " + self.hop()
        if self.p(.4):
            w += " table " + r.choice(TABLES[:-1])
        if self.p(.2):
            w += " metric %d" % r.choice([1, 5])
        return w

    def rule(self):
        r = self.r
        w = []
        if self.p(.1):
            w.append("not")
        if self.p(.5):
            w.append("from " + r.choice(["10.0.0.0/24", "10.0.0.3", "10.1.0.1", "10.77.0.0/16", "all", "10.1.0.0/16"]))
        if self.p(.4):
            w.append("to " + r.choice(["10.9.0.0/16", "10.9.1.1", "10.20.0.0/16", "192.0.2.0/24", "10.0.0.0/24"]))
        if self.p(.2):
            w.append("iif " + r.choice(["eth0", "eth1", "lo", "nosuch"]))
        if self.p(.1):
            w.append("oif " + r.choice(["eth1", "eth2"]))
        if self.p(.3):
            w.append("fwmark " + r.choice(["1", "0x2/0xf", "0x10/0x10", "0x0/0x1"]))
        if self.p(.1):
            w.append("tos " + r.choice(["0x10", "0x28", "8"]))
        if self.p(.12):
            w.append("ipproto " + r.choice(["udp", "tcp", "icmp", "47"]))
        if self.p(.12):
            w.append("dport " + r.choice(["53", "1000-2000"]))
        if self.p(.06):
            w.append("sport 7000-7999")
        if self.p(.7):
            w.append("pref %d" % r.choice([10, 20, 30, 40, 1000, 32766, 32800]))
        k = r.random()
        w.append("lookup " + r.choice(["100", "100", "200", "main", "300", "local", "555"]) if k < .75
                 else r.choice(["blackhole", "unreachable", "prohibit", "nop", "goto %d" % r.choice([20, 40, 1000, 32766, 5000])]))
        if k < .75 and self.p(.15):
            w.append("suppress_prefixlength %d" % r.choice([0, 16, 24]))
        return "ip rule add " + " ".join(w)

    def get(self):
        r = self.r
        w = "ip route get " + r.choice(DSTS)
        k = r.random()
        if k < .45:
            w += " from %s iif %s" % (self.src(), r.choice(["eth0", "eth0", "eth1", "eth2"]))
        elif k < .7:
            w += " from " + r.choice(["10.0.0.1", "10.1.0.1", "10.1.5.1", "10.2.0.1", "127.0.0.1", "10.0.0.9"])
        elif k < .8:
            w += " oif " + r.choice(["eth0", "eth1", "eth2"])
        if self.p(.3):
            w += " mark " + r.choice(["1", "0x12", "3", "16"])
        return w

    def src(self):
        return self.r.choice(["10.0.0.3"] * 4 + ["10.0.0.4", "10.1.0.3", "10.77.0.1", "10.9.0.1", "10.20.0.1", "10.0.0.1", "10.1.0.1", "127.0.0.1", "192.0.2.9", "10.0.0.255"])

    def l4(self):
        r = self.r
        k = r.choice(["udp", "udp", "udp", "tcp", "icmp"])
        if k == "icmp":
            return {"proto": "icmp", "id": r.randint(1, 9999)}
        return {"proto": k, "sport": r.choice([6000, 7000, 7500]) + r.randint(0, 99), "dport": r.choice([53, 53, 1500, 80])}

    def packet(self, i):
        r = self.r
        pkt = dict(self.l4(), dst=r.choice(DSTS), src=self.src(), ipid=i + 1)
        if self.p(.1):
            pkt["ttl"] = 1
        if self.p(.15):
            pkt["tos"] = r.choice([0x10, 0x28, 8, 0x12])
        k = r.random()
        if k < .7:
            n = r.choice([0, 0, 1, 2])
            host, _, dev, mac = EDGE[n]
            return {"do": "raw", "host": host, "dev": "eth0", "smac": mac, "dmac": R[n], "pkt": pkt}
        if k < .85:
            return {"do": "raw", "host": "r", "pkt": dict(pkt, src=r.choice(["10.0.0.1", "10.1.0.1", "10.77.0.7"]))}
        return {"do": "udp", "host": "r", "src": "%s:%d" % (r.choice(["0.0.0.0", "0.0.0.0", "10.1.0.1", "10.0.0.1"]), 20000 + i), "connect": self.p(.5),
                "dst": "%s:%d" % (pkt["dst"], r.choice([53, 1500])), "reply": False}

    def case(self, name, multipath=True):
        r = self.r
        cmds = [self.rule() if self.p(.4) else self.delete() if self.p(.12) else self.route() for _ in range(r.randint(6, 24))]
        cmds = [c for c in cmds if multipath or "nexthop" not in c]
        cmds += ["ip rule", "ip route show table all", "ip route show table 100", "ip route"]
        cmds += [self.get() for _ in range(40)]
        host = lambda n, i: {"addrs": {"eth0": ["%s.2/24" % n]}, "routes": ["default via %s.1" % n], "servers": [{"proto": "udp", "bind": "0.0.0.0:53", "mode": "sink"}],
                             "sysctl": {"net.ipv4.icmp_ratelimit": 0, "net.ipv4.icmp_echo_ignore_all": 1}}
        hosts = {"c": host("10.0.0", 1)}
        marks = "".join("-A %s -p udp --dport %d -j MARK --set-mark %s\n" % (h, p, m) for h, p, m in
                        (("PREROUTING", 53, r.choice(["0x1", "0x12"])), ("OUTPUT", 53, r.choice(["0x1", "0x2"])), ("PREROUTING", 80, "0x3")) if self.p(.5))
        hosts["r"] = {"addrs": {"eth0": ["10.0.0.1/24"], "eth1": ["10.1.0.1/24", "10.1.5.1/24"], "eth2": ["10.2.0.1/24"]},
                      "sysctl": {"net.ipv4.ip_forward": 1, "net.ipv4.icmp_ratelimit": 0, "net.ipv4.conf.all.rp_filter": r.choice([0, 0, 0, 1, 2]),
                                 "net.ipv4.conf.eth0.accept_local": r.choice([0, 0, 0, 1]), "net.ipv4.conf.all.src_valid_mark": r.choice([0, 0, 1]),
                                 "net.ipv4.conf.eth0.route_localnet": r.choice([0, 0, 0, 1]), "net.ipv4.conf.all.send_redirects": 0,
                                 "net.ipv4.conf.eth0.send_redirects": 0, "net.ipv4.conf.eth1.send_redirects": r.choice([0, 1])},
                      "iptables": "*mangle\n" + marks + "COMMIT\n", "neigh": []}
        for n, (h, net, dev, mac) in enumerate(EDGE):
            for a in [net + ".%d" % x for x in (2, 3, 4, 9)] + (DSTS[3:10] + ["10.9.0.7", "10.77.0.1", "192.0.2.9", "10.0.0.3", "10.1.0.3", "10.2.0.3"]):
                hosts["r"]["neigh"].append("%s lladdr %s dev %s" % (a, mac, dev))
        hosts["s"], hosts["t"] = host("10.1.0", 3), host("10.2.0", 4)
        stim = [{"do": "cmd", "host": "r", "argv": c.split()} for c in cmds] + [self.packet(i) for i in range(24)]
        return {"name": name, "title": name, "settle_ms": 4, "hosts": hosts, "stimuli": stim,
                "links": [{"type": "veth", "a": h + ":eth0", "b": "r:" + dev} for h, _, dev, _ in EDGE]}


def texts(rec):
    return [(s["i"], " ".join(s["stimulus"]["argv"]), s["outcome"].get("rc"), s["outcome"].get("stdout"), s["outcome"].get("stderr"))
            for s in rec["steps"] if s["stimulus"]["do"] == "cmd"]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", default="1")
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--cases", type=int, default=20)
    ap.add_argument("--keep", default="/tmp/routes")
    ap.add_argument("--nflab", default="nflab")
    ap.add_argument("--oracle", default=os.environ.get("KERNEL_TOOLS", "."), help="the folder of oracle.py and compare.py")
    ap.add_argument("--again", action="store_true", help="compare the kept records with the engine anew")
    a = ap.parse_args()
    sys.path.insert(0, a.oracle)
    import compare, oracle
    os.makedirs(a.keep, exist_ok=True)
    same = 0
    for i in range(a.first, a.first + a.cases):
        name = "routes-%s-%d" % (a.seed, i)
        f = os.path.join(a.keep, name)
        if not a.again:
            json.dump(Gen(a.seed, i).case(name, multipath=False), open(f + ".json", "w"), indent=1)
            json.dump(oracle.run_scenario(json.load(open(f + ".json"))), open(f + ".k.json", "w"))
        run = subprocess.run([a.nflab, "replay", f + ".json", "-o", f + ".e.json"], capture_output=True, text=True)
        out = io.StringIO()
        if run.returncode:
            print("%s: %s" % (name, run.stderr.strip()))
            continue
        k, e = json.load(open(f + ".k.json")), json.load(open(f + ".e.json"))
        bad = compare.compare_record(k, e, out)
        for x, y in zip(texts(k), texts(e)):
            if x != y:
                bad.append("text")
                out.write("  %s\n    kernel: %s\n    engine: %s\n" % (x[1], x[2:], y[2:]))
        same += not bad
        if bad:
            print("%s differs: %s\n%s" % (name, ", ".join(bad), out.getvalue()[:3000]))
    print("%d of %d cases the same" % (same, a.cases))
    return 0 if same == a.cases else 1


if __name__ == "__main__":
    sys.exit(main())
