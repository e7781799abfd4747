#!/usr/bin/env python3
"""Random TFTP: requests with and without the helper, several per client, answers from new ports, from the old one, from strangers;
requests again while an answer is expected, announcements that meet in one tuple. See common.py."""
import common
from common import fuzz
from fuzz import EP


class Gen(common.Gen):
    def target(self, table, hooks, pinned, subs):
        return "" if self.r.random() < .75 else super().target(table, hooks, pinned, subs)

    def rules(self):
        R = self.r
        text, _ = super().rules()
        more = {}
        if R.random() < .9:
            more[("raw", "PREROUTING")] = ["-p udp -m udp --dport %s -j CT --helper tftp%s" % (R.choice(["69", "69", "69", "53:80"]), R.choice(["", "", "", " --zone 1", " --zone-orig 1"]))]
        if R.random() < .7:
            more[("raw", "OUTPUT")] = ["-p udp -m udp --dport 69 -j CT --helper tftp"]
        if R.random() < .6:
            more[("nat", "PREROUTING")] = ["-d 10.9.0.1/32 -p udp -j DNAT --to-destination %s" % R.choice(["10.1.0.2", "10.2.0.2", "10.2.0.2:69", "10.1.0.3:53", "10.1.0.2-10.1.0.3", "10.0.0.1"])]
        if R.random() < .6:
            more[("nat", "POSTROUTING")] = [R.choice(["-j MASQUERADE", "-p udp -j SNAT --to-source 10.2.0.1", "-p udp -j SNAT --to-source 10.1.0.1:3001", "-p udp -m udp --dport 69 -j SNAT --to-source 10.9.0.9"])]
        more[("filter", R.choice(["FORWARD", "INPUT"]))] = [R.choice(["-m conntrack --ctstate RELATED", "-m helper --helper tftp", "-m helper --helper tftp-69", "-m conntrack --ctstatus EXPECTED"]) +
                                                            R.choice(["", "", " -j ACCEPT", " -j DROP" if R.random() < .2 else ""])]
        return common.first(text, more)

    def fresh(self):
        R = self.r
        st = super().fresh()
        p = st["pkt"]
        if R.random() < .75:
            for k in ("type", "code", "id", "icmp_seq", "flags", "seq", "ack"):
                p.pop(k, None)
            p.update(proto="udp", sport=R.choice([3001, 3001, 3002, 53]), dport=R.choice([69, 69, 69, 69, 53]), payload=R.choice(["\0\1f\0octet\0"] * 5 + ["\0\2f\0octet\0", "\0\3\0\1x", "\0", "\0\1", ""]))
            if st["from"] != "local" and R.random() < .6:
                p["dst"] = R.choice(["10.9.0.1", "10.2.0.2", "10.1.0.2"]) if p["src"] not in ("10.2.0.2", "10.1.0.2") else "10.9.0.1"
                st["dmac"] = self.dmac(st["from"], p["dst"])
        return st

    def answer(self, seen):
        R = self.r
        e, q = R.choice(seen)
        if q["proto"] == "udp" and "sport" in q and R.random() < .7:
            p = {"proto": "udp", "ttl": 64, "src": q["dst"], "dst": q["src"], "sport": R.choice([40000, 40000, 40001, 69, q["dport"]]), "dport": q["sport"], "payload": R.choice(["\0\3\0\1data", "\0\4\0\1", "\0\1g\0octet\0"])}
            if R.random() < .15:
                e = R.choice(list(EP))
                p["src"] = EP[e][0]
            if R.random() < .1:
                p["dport"] = R.choice([3001, 3002, 69])
            if p["src"] == p["dst"]:
                return None
            return self.send(e, p)
        return super().answer(seen)

    def next(self, k, got):
        if self.left is None:
            self.left = self.r.choice([6, 10, 14])
        return super().next(k, got)


if __name__ == "__main__":
    common.main(Gen)
