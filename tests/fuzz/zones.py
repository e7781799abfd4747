#!/usr/bin/env python3
"""Random zones: the same addresses and ports in several zones, zones of one direction, zones by mark, with NAT, helpers and answers
that come back by another zone. See common.py."""
import common
from common import fuzz

TARGETS = ["--zone 1", "--zone 1", "--zone 2", "--zone-orig 1", "--zone-orig 2", "--zone-reply 1", "--zone-reply 2", "--zone mark", "--zone-orig mark", "--zone-reply mark",
           "--zone-orig 1", "--zone 1 --helper tftp", "--zone-orig 2 --helper tftp", "--notrack", "--zone 65535"]


class Gen(common.Gen):
    def target(self, table, hooks, pinned, subs):
        return "" if self.r.random() < .65 else super().target(table, hooks, pinned, subs)

    def ct(self):
        R = self.r
        t = R.choice(TARGETS)
        p = "-p udp " if "helper" in t else R.choice(["", "", "-p tcp ", "-p udp ", "-p icmp "])
        return p, t

    def rules(self):
        R = self.r
        text, _ = super().rules()
        more = {}
        for chain, devs in (("PREROUTING", ["-i eth0 ", "-i eth0 ", "-i br0 ", "-i eth2 ", "", "-s 10.0.0.0/24 ", "-d 10.0.0.0/24 "]), ("OUTPUT", ["", "-o eth0 ", "-o br0 ", "-o lo "])):
            lines = []
            for _ in range(R.choice([0, 1, 2, 3] if chain == "PREROUTING" else [0, 1, 1])):
                p, t = self.ct()
                d = R.choice(devs)
                if "mark" in t:
                    lines.append(d + "-j MARK --set-mark %s" % R.choice(["1", "2", "0x10001", "0"]))
                lines.append("%s%s-j CT %s" % (d, p, t))
            more[("raw", chain)] = lines
        if R.random() < .5:
            more[("nat", "PREROUTING")] = ["-d 10.9.0.1/32 %s" % R.choice(["-j DNAT --to-destination 10.1.0.2", "-p udp -j DNAT --to-destination 10.2.0.2:53", "-p tcp -j REDIRECT --to-ports 80"])]
        if R.random() < .5:
            more[("nat", "POSTROUTING")] = [R.choice(["-j MASQUERADE", "-p udp -j SNAT --to-source 10.2.0.1", "-o br0 -j SNAT --to-source 10.1.0.1"])]
        return common.first(text, more)

    def fresh(self):
        R = self.r
        st = super().fresh()
        p = st["pkt"]
        if p["proto"] != "icmp" and R.random() < .6:    # few tuples: they meet in several zones
            p["sport"], p["dport"] = R.choice([3001, 53]), R.choice([53, 69, 80])
            p["payload"] = "\0\1f\0octet\0" if p["dport"] == 69 and p["proto"] == "udp" else p["payload"]
        if st["from"] != "local" and R.random() < .3:
            p["src"] = R.choice(["10.0.0.2", "10.1.0.2", "10.2.0.2"])
            if p["dst"] == p["src"]:
                p["dst"] = "10.9.0.1"
        return st


if __name__ == "__main__":
    common.main(Gen)
