#!/usr/bin/env python3
"""Random fragments: in order, reversed, overlapping, repeated, missing; through conntrack, NAT and the bridge, to the node and
from it, with and without conntrack. See common.py."""
import common
from common import fuzz
from fuzz import EP


class Gen(common.Gen):
    idents = 0

    def __init__(self, seed, i):
        super().__init__(seed, i)
        self.options = {"payloads": True, "sysctl": {"net.ipv4.ipfrag_time": 1}}
        if self.r.random() < .3:
            self.options["probe"] = False
        self.todo, self.incomplete, self.waited = [], False, False

    def target(self, table, hooks, pinned, subs):
        return "" if self.r.random() < .6 else super().target(table, hooks, pinned, subs)

    def match(self, hooks):
        m, pinned = super().match(hooks)
        R = self.r
        if R.random() < .25:
            m.append(R.choice(["-f", "! -f"]))
            if pinned in ("udp", "tcp"):        # -f and ports exclude each other
                m = [x for x in m if "port" not in x and "flags" not in x and "--syn" not in x]
        if R.random() < .15:
            m.append("-m length --length " + R.choice(["0:60", "61:200", "36", "100:"]))
        if not self.options.get("probe", True) and R.random() < .8:
            m = [x for x in m if "conntrack" not in x and "connmark" not in x]
        return list(dict.fromkeys(m)), pinned

    def rules(self):
        R = self.r
        text, _ = super().rules()
        if not self.options.get("probe", True) and R.random() < .7:
            # Nothing asks for conntrack: each fragment goes alone.
            text = "\n".join(l for l in text.splitlines() if not any(x in l for x in ("NAT", "MASQ", "REDIRECT", "CONNMARK", "-j CT", "connmark", "conntrack", "NOTRACK"))) + "\n"
            return text
        more = {}
        if R.random() < .5:
            more[("nat", "PREROUTING")] = ["-d 10.9.0.1/32 -p udp -j DNAT --to-destination %s" % R.choice(["10.1.0.2:53", "10.2.0.2", "10.0.0.1:5353", "10.1.0.3:80"])]
        if R.random() < .4:
            more[("nat", "POSTROUTING")] = [R.choice(["-j MASQUERADE", "-j SNAT --to-source 10.2.0.1", "-p udp -j SNAT --to-source 10.0.0.1"])]
        if R.random() < .15:
            more[("mangle", "FORWARD")] = ["-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1000"]
        if R.random() < .15:
            more[("raw", "PREROUTING")] = [R.choice(["-j CT --notrack", "-p udp -j CT --zone 1", "-i eth0 -j CT --notrack"])]
        return common.first(text, more)

    # ---------------------------------------------------------------- packets
    def pieces(self, e, p):
        """the packet as fragments, in some order, with some fault"""
        R = self.r
        head = {"udp": 8, "tcp": 20, "icmp": 8}[p["proto"]]
        size = R.choice([16, 24, 40, 48, 64, 88, 33, 57])
        p = dict(p, payload="".join(chr(97 + R.randrange(26)) for _ in range(size)))
        if p["proto"] == "icmp" and "inner" in p:
            return [self.send(e, p)]
        total = size + head
        step = R.choice([8, 16, 24, 32, 40])
        cuts = list(range(0, total, step))
        parts = [(a, min(a + step, total)) for a in cuts]
        if len(parts) > 2 and R.random() < .3:          # of different sizes
            del parts[1]
            parts[0] = (0, parts[1][0])
        Gen.idents = Gen.idents % 60000 + 1
        p["ipid"] = Gen.idents
        whole = len(parts) > 1
        steps = [dict(p, frag_slice=[a, b], mf=b < total) for a, b in parts]
        if len(parts) == 1:
            steps = [p]
        k = R.choice(["order", "order", "order", "reverse", "reverse", "shuffle", "overlap", "overlap", "again", "missing", "missing", "gap", "long", "late", "ttl", "lone"])
        if self.incomplete or R.random() < .5:          # one at a time: in which order several are given up is chance
            k = R.choice(["order", "reverse", "shuffle", "ttl"])
        if whole and k == "reverse":
            steps.reverse()
        elif whole and k in ("shuffle", "again", "overlap"):
            if k == "again":
                steps.insert(R.randrange(len(steps) + 1), dict(R.choice(steps)))
            if k == "overlap":
                x = dict(R.choice(steps))
                a, b = x["frag_slice"]
                a, b = max(0, a - R.choice([0, 8, 16])), min(total, b + R.choice([0, 8, 16]))
                x.update(frag_slice=[a, b], mf=b < total)
                if R.random() < .5:
                    x["payload"] = x["payload"][::-1]
                steps.insert(R.randrange(len(steps) + 1), x)
            if k != "again" or R.random() < .5:
                if R.random() < .6:
                    R.shuffle(steps)
        elif whole and k == "missing":
            steps.pop(R.randrange(len(steps)))
        elif whole and k == "long":                     # the end is said twice, differently
            a, b = parts[-1]
            steps.append(dict(p, payload=p["payload"] + "zzzzzzzz", frag_slice=[a, b + 8], mf=R.random() < .5))
        elif whole and k == "gap":                      # a middle piece that is no multiple of eight
            x = steps[0]
            if x["frag_slice"][1] > 12:
                x["frag_slice"] = [0, x["frag_slice"][1] - R.choice([1, 4])]
        elif whole and k == "ttl":
            for x in steps:
                x["ttl"] = R.choice([1, 2, 64, 63])
        elif k == "lone":
            steps = steps[:1] if R.random() < .5 else steps[-1:]
        if whole and k in ("missing", "gap", "lone", "long", "overlap", "again"):
            self.incomplete = True
        if whole and R.random() < .05:
            R.choice(steps)["df"] = True
        out = [self.send(e, x) for x in steps]
        if whole and k == "late" and R.random() < .5:
            self.incomplete = True
            out[-1]["wait"] = R.choice([300, 1150])
        return out

    def next(self, k, got):
        R = self.r
        self.seen += [(e, q) for e, q in got if not q.get("frag") and (q["proto"] != "tcp" or "flags" in q) and (q["proto"] != "icmp" or "type" in q)]
        if self.left is None:
            self.left = R.choice([2, 3, 4, 5])
        if self.todo:
            return self.todo.pop(0)
        if self.left == 0:
            if self.incomplete or not self.waited and not self.options.get("probe", True):
                # What is left is given up. Without conntrack a rule may have taken a piece out of any datagram.
                self.incomplete, self.waited = False, True
                return {"wait": 1150}
            return None
        self.left -= 1
        st = self.answer(self.seen[-4:]) if self.seen and R.random() < .45 else None
        if st is None and self.flows and R.random() < .3:
            st = R.choice(self.flows)
        if st is None:
            st = self.fresh()
            self.flows.append(st)
        p = dict(st["pkt"])
        Gen.idents = Gen.idents % 60000 + 1
        p["ipid"] = Gen.idents
        if R.random() < .1 or "inner" in p:
            self.todo = [self.send(st["from"], p)]
        else:
            self.todo = self.pieces(st["from"], p)
        return self.todo.pop(0)


if __name__ == "__main__":
    common.main(Gen)
