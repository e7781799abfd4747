#!/usr/bin/env python3
"""Random rules that lean on matches, with the kernel's answers: fuzz.py's topology, packets and format, other rules. See common.py."""
import common
from common import fuzz
from fuzz import ADDRS, EP, IFS, NETS, NODE, PORTS

MACS = [m for _, m, _ in EP.values()]
ODD = ["10.0.0.2/255.0.0.255", "10.1.0.0/255.255.0.254", "0.0.0.1/0.0.0.1", "10.0.0.0/255.0.255.0"]
TYPES = ["UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW"]
STATUS = ["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"]
STATES = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT"]
ICMP = ["any", "8", "0", "3", "3/3", "3/1", "11", "5", "13", "14", "echo-request", "destination-unreachable", "port-unreachable",
        "host-unreachable", "fragmentation-needed", "time-exceeded", "ttl-zero-during-transit", "redirect", "network-redirect", "8/0", "8/1"]


class Gen(common.Gen):
    def ports(self):
        R = self.r
        a, b = sorted(R.choice(PORTS + [0, 700, 3001, 3002, 65535]) for _ in range(2))
        return R.choice([str(a), str(b), "%d:%d" % (a, b), "%d:" % a, ":%d" % b])

    def net(self):
        return self.r.choice(ADDRS + NETS)

    def conntrack(self):
        R = self.r
        o = [lambda: self.inv() + "--ctstate " + ",".join(R.sample(STATES, R.choice([1, 2, 3]))),
             lambda: self.inv() + "--ctproto %s" % R.choice(["tcp", "udp", "1", "0", "17"]),
             lambda: self.inv() + "--ctorigsrc " + self.net(), lambda: self.inv() + "--ctorigdst " + self.net(),
             lambda: self.inv() + "--ctreplsrc " + self.net(), lambda: self.inv() + "--ctrepldst " + self.net(),
             lambda: self.inv() + "--ctorigsrcport " + self.ports(), lambda: self.inv() + "--ctorigdstport " + self.ports(),
             lambda: self.inv() + "--ctreplsrcport " + self.ports(), lambda: self.inv() + "--ctrepldstport " + self.ports(),
             lambda: self.inv() + "--ctstatus " + ",".join(R.sample(STATUS, R.choice([1, 1, 2]))),
             lambda: self.inv() + "--ctexpire %s" % R.choice(["0", "20:40", "50:130", "0:10", "100:500000", "400000:"]),
             lambda: "--ctdir " + R.choice(["ORIGINAL", "REPLY"])]
        return "-m conntrack " + " ".join(f() for f in R.sample(o, R.choice([1, 1, 2, 3])))

    def recent(self):
        R = self.r
        op = R.choice(["set", "set", "rcheck", "update", "remove"])
        m = "-m recent %s--%s" % (self.inv(), op)
        if op in ("rcheck", "update"):
            m += R.choice(["", "", " --hitcount %d" % R.choice([1, 2, 3]), " --seconds 60", " --seconds 60 --hitcount 2", " --seconds 60 --reap", " --rttl"])
        return m + " --name %s%s %s" % (self.name, R.choice("AB"), R.choice(["--rsource", "--rdest", "", "--mask 255.255.0.0"]))

    def physdev(self, hooks):
        R = self.r
        o = ["--physdev-in " + R.choice(["va", "vb", "v+", "eth0"]), "--physdev-is-in", "--physdev-is-bridged"]
        if "OUTPUT" not in hooks:
            o += ["--physdev-out " + R.choice(["va", "vb", "v+"]), "--physdev-is-out"]
        return "-m physdev " + " ".join(self.inv(.3) + x for x in R.sample(o, R.choice([1, 1, 2])))

    def owner(self):
        R = self.r
        o = ["--uid-owner " + R.choice(["0", "root", "0-10", "1000", "1-65535"]), "--gid-owner " + R.choice(["0", "5", "0-5"]), "--socket-exists"]
        return "-m owner " + " ".join(self.inv(.3) + x for x in R.sample(o, R.choice([1, 1, 2, 3])))

    def one(self, hooks, pinned):
        R = self.r
        h = set(hooks)
        k = R.choice(["ct", "ct", "ct", "iprange", "limit", "mac", "owner", "pkttype", "rpfilter", "helper", "tcp", "recent", "recent", "addrtype",
                      "addrtype", "multiport", "port", "mark", "connmark", "state", "icmp", "physdev", "ttl", "length", "set", "nth", "random"])
        if k == "ct":
            return self.conntrack()
        if k == "state":
            return "-m state %s--state %s" % (self.inv(), ",".join(R.sample(STATES[:5], R.choice([1, 2]))))
        if k == "iprange":
            a, b = sorted((R.choice(ADDRS), R.choice(ADDRS)), key=lambda x: [int(n) for n in x.split(".")])
            w = R.choice([a + "-" + b, a + "-" + b, a, b + "-" + a])
            more = " %s--dst-range %s" % (self.inv(.3), R.choice(ADDRS)) if R.random() < .2 else ""
            return "-m iprange %s--src-range %s%s" % (self.inv(.3), w, more) if more or R.random() < .5 else "-m iprange %s--dst-range %s" % (self.inv(.3), w)
        if k == "limit":
            return "-m limit --limit %s --limit-burst %d" % (R.choice(["1/hour", "3/hour", "1/min", "7/h"]), R.choice([1, 2, 3]))
        if k == "mac" and h <= {"PREROUTING", "INPUT", "FORWARD"}:
            return "-m mac %s--mac-source %s" % (self.inv(.3), R.choice(MACS))
        if k == "owner" and h <= {"OUTPUT", "POSTROUTING"}:
            return self.owner()
        if k == "pkttype":
            return "-m pkttype %s--pkt-type %s" % (self.inv(.3), R.choice(["unicast", "broadcast", "multicast", "otherhost"]))
        if k == "rpfilter" and h == {"PREROUTING"}:
            return "-m rpfilter " + " ".join(x for x in ("--loose", "--validmark", "--accept-local", "--invert") if R.random() < .35)
        if k == "helper":
            return "-m helper %s--helper %s" % (self.inv(.3), R.choice(["tftp", "tftp-69", "ftp", '""']))
        if k == "tcp" and pinned == "tcp":
            F = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"]
            return R.choice(["-m tcpmss %s--mss %s" % (self.inv(.4), R.choice(["1:536", "1460", "0:65535"])), "-m tcp %s--tcp-option %d" % (self.inv(.4), R.choice([1, 2, 3, 8])),
                             "-m tcp %s--tcp-flags %s %s" % (self.inv(.3), ",".join(R.sample(F, R.choice([1, 2, 4]))), ",".join(R.sample(F, R.choice([1, 2])))),
                             "-m tcp --tcp-flags ALL " + R.choice(["SYN", "ACK", "NONE", "ACK,SYN"]), "-m tcp %s--syn" % self.inv(.4)])
        if k == "recent":
            return self.recent()
        if k == "addrtype":
            t = lambda s: "%s--%s-type %s" % (self.inv(.2), s, ",".join(R.sample(TYPES, R.choice([1, 1, 2]))))
            lim = []
            if not h & {"PREROUTING", "INPUT"}:
                lim.append(" --limit-iface-out")
            if not h & {"OUTPUT", "POSTROUTING"}:
                lim.append(" --limit-iface-in")
            return "-m addrtype " + R.choice([t("src"), t("dst"), t("src") + " " + t("dst")]) + (R.choice(lim) if lim and R.random() < .4 else "")
        if k == "multiport" and pinned in ("udp", "tcp"):
            return "-m multiport %s--%s %s" % (self.inv(.3), R.choice(["dports", "sports", "ports"]),
                                               ",".join(R.choice(["53", "69", "80", "1000:2000", "3001:3003", "40000:65535", "0:700", "5353"]) for _ in range(R.choice([1, 2, 4, 7]))))
        if k == "port" and pinned in ("udp", "tcp"):
            return "-m %s %s--%s %s" % (pinned, self.inv(.2), R.choice(["dport", "sport"]), self.ports())
        if k in ("mark", "connmark"):
            return "-m %s %s--mark %s" % (k, self.inv(.3), R.choice(["0x0", "1", "0x1/0x1", "0x4000/0x4000", "2/0xf", "0/0xff", "0x10/0x1"]))
        if k == "icmp" and pinned == "icmp":
            return "-m icmp %s--icmp-type %s" % (self.inv(.3), R.choice(ICMP))
        if k == "physdev":
            return self.physdev(hooks)
        if k == "ttl":
            return "-m ttl " + R.choice(["--ttl-eq 64", "! --ttl-eq 63", "--ttl-lt 64", "--ttl-gt 63", "--ttl-gt 0", "--ttl-lt 1"])
        if k == "length":
            return "-m length %s--length %s" % (self.inv(.3), R.choice(["0:40", "30:60", "28", "32", ":31", "41:", "60:30"]))
        if k == "set":
            return "-m set %s--match-set %s" % (self.inv(.3), R.choice(["PORTS dst", "PORTS src", "IPPORT dst,dst", "LOOP dst,dst,src", "NETS src", "NETS dst"]))
        if k == "nth":
            n = R.choice([2, 3, 4])
            return "-m statistic --mode nth %s--every %d --packet %d" % (self.inv(.3), n, R.randrange(n))
        if k == "random":
            return "-m statistic --mode random %s--probability %d" % (self.inv(.3), R.choice([0, 1]))
        return None

    def match(self, hooks):
        R = self.r
        m, pinned = [], None
        if R.random() < .5:
            p = R.choice(["udp", "udp", "tcp", "tcp", "icmp"])
            i = self.inv(.1)
            m.append("%s-p %s" % (i, p))
            pinned = None if i else p
        for o, p in (("-s", .15), ("-d", .15)):
            if R.random() < p:
                m.append("%s%s %s" % (self.inv(.3), o, R.choice(ADDRS + NETS + ODD)))
        base = hooks[0] if len(hooks) == 1 else None
        if R.random() < .08 and base not in ("OUTPUT", "POSTROUTING"):
            m.append("%s-i %s" % (self.inv(.3), R.choice(IFS)))
        if R.random() < .08 and base not in ("PREROUTING", "INPUT"):
            m.append("%s-o %s" % (self.inv(.3), R.choice(IFS)))
        for _ in range(R.choice([1, 1, 2, 3])):
            x = self.one(hooks, pinned)
            if x:
                m.append(x)
        return list(dict.fromkeys(m)), pinned

    def target(self, table, hooks, pinned, subs):
        # Rules that only count show more of what follows.
        return "" if self.r.random() < .45 else super().target(table, hooks, pinned, subs)

    def dmac(self, src, dst):
        R = self.r
        if R.random() < .06:
            return R.choice(["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "02:00:00:00:77:77", R.choice(MACS), NODE["eth0"][1], NODE["br0"][1]])
        return super().dmac(src, dst)


if __name__ == "__main__":
    common.main(Gen)
