#!/usr/bin/env python3
"""Random tables of nf_tables, alone or between those of iptables. See common.py."""
import common

ADDRS = ["10.0.0.2", "10.1.0.2", "10.1.0.3", "10.2.0.2", "10.9.0.1", "10.1.0.1"]
NETS = ["10.0.0.0/8", "10.1.0.0/24", "10.1.0.2/31", "10.9.0.0/16", "10.1.0.2-10.1.0.3", "10.2.0.0/15"]
SERVICES = ["53", "69", "80", "1000", "5353", "40000"]
HOOKS = {"prerouting": ["raw", "-250", "mangle", "dstnat", "-50", "filter"], "input": ["mangle", "filter", "security", "99", "110"], "forward": ["mangle", "-1", "filter", "1", "security"],
    "output": ["raw", "mangle", "-100", "filter", "security"], "postrouting": ["mangle", "90", "srcnat", "120"]}
NAT = {"prerouting": ["dstnat", "-101", "-99", "-150"], "output": ["-100", "-90"], "postrouting": ["srcnat", "110"], "input": ["100", "90"]}


class Gen(common.Gen):
    known = common.PORTS | {3001, 3002, 1053, 8080, 8053} | set(range(1000, 1004))

    def rules(self):
        R = self.r
        self.options = {"nft": self.tables()}
        if R.random() < .4:
            return super().rules()
        chains = {"raw": "PREROUTING OUTPUT", "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING", "nat": "PREROUTING INPUT OUTPUT POSTROUTING", "filter": "INPUT FORWARD OUTPUT", "security": "INPUT FORWARD OUTPUT"}
        trace = lambda t, c: "-A %s -j TRACE\n" % c if t == "raw" else ""
        return "".join("*%s\n%s%sCOMMIT\n" % (t, "".join(":%s ACCEPT [0:0]\n" % c for c in cs.split()), "".join(trace(t, c) for c in cs.split())) for t, cs in chains.items())

    def tables(self):
        R = self.r
        out = self.table("ip", "t")
        return out + self.table("inet", "u") if R.random() < .5 else out

    def table(self, family, name):
        R = self.r
        self.family = family
        regular = ["c%d" % n for n in range(R.choice([1, 2, 4, 5]))]
        self.verdicts = ["accept", "accept", "drop", "continue", "return"] + ["%s %s" % (R.choice(["jump", "jump", "goto"]), c) for c in regular]
        vmap = lambda keys: ", ".join("%s : %s" % (k, R.choice(self.verdicts)) for k in keys)
        pick = lambda xs: R.sample(xs, R.randint(1, min(4, len(xs))))
        triples = ["%s . %s . %s" % (a, p, s) for a in ADDRS for p in ("tcp", "udp", "icmp") for s in SERVICES]
        out = ["table %s %s {" % (family, name)]
        sets = {"addrs": "type ipv4_addr; elements = { %s }" % ", ".join(pick(ADDRS)), "nets": "type ipv4_addr; flags interval; auto-merge; elements = { %s }" % ", ".join(pick(NETS)),
            "ports": "type inet_service; elements = { %s }" % ", ".join(pick(SERVICES)), "ranges": "type inet_service; flags interval; elements = { %s }" % ", ".join(pick(["1-60", "69", "80-90", "1000-1003", "5000-6000"])),
            "pairs": "type ipv4_addr . inet_service; flags interval; elements = { %s . %s }" % (R.choice(NETS), R.choice(["53", "1-100", "1000-6000"])),
            "marks": "type mark; elements = { 0x1, 0x10 }", "dyn": "type ipv4_addr; flags dynamic; size %d" % R.choice([1, 2, 100]), "dyn2": "type ipv4_addr . inet_service; flags dynamic; size 50"}
        maps = {"va": "type ipv4_addr : verdict; elements = { %s }" % vmap(pick(ADDRS)), "vn": "type ipv4_addr : verdict; flags interval; elements = { %s }" % vmap(["10.1.0.0/24", "10.2.0.0/16"]),
            "vt": "type ipv4_addr . inet_proto . inet_service : verdict; elements = { %s }" % vmap(R.sample(triples, 8)), "vp": "type inet_proto . inet_service : verdict; elements = { %s }" % vmap(["udp . 53", "tcp . 80", "udp . 5353"]),
            "ma": "type ipv4_addr : ipv4_addr; elements = { 10.9.0.1 : %s, 10.1.0.1 : %s }" % (R.choice(ADDRS[:4]), R.choice(ADDRS[:4])),
            "mm": "type inet_service : mark; elements = { 53 : 0x1, 80 : 0x2 }", "mp": "type inet_service : ipv4_addr . inet_service; elements = { 53 : 10.1.0.2 . 1053, 80 : 10.1.0.3 . 8080, 5353 : 10.2.0.2 . 53 }"}
        for word, all_ in (("set", sets), ("map", maps)):
            for n, text in all_.items():
                out.append(" %s %s { %s; }" % (word, n, text))
        # a chain leads only to later ones
        for n, c in enumerate(regular):
            self.verdicts = ["accept", "drop", "return", "continue"] + ["%s %s" % (R.choice(["jump", "goto"]), x) for x in regular[n + 1:]]
            out.append(" chain %s {" % c)
            out += ["  " + self.one("any", False) for _ in range(R.randint(0, 4))]
            out.append(" }")
        self.verdicts = ["accept", "drop", "return", "continue"] + ["%s %s" % (R.choice(["jump", "jump", "goto"]), x) for x in regular]
        self.verdicts += self.verdicts[4:]
        for n in range(R.randint(1, 5)):
            nat = R.random() < .35
            hook = R.choice(list(NAT if nat else HOOKS))
            kind = "nat" if nat else "route" if hook == "output" and R.random() < .3 else "filter"
            out.append(" chain b%d { type %s hook %s priority %s; policy %s;" % (n, kind, hook, R.choice((NAT if nat else HOOKS)[hook]), "drop" if R.random() < .12 and not nat else "accept"))
            out += ["  " + self.one(hook, nat) for _ in range(R.randint(1, 6))]
            out.append(" }")
        return "\n".join(out + ["}"]) + "\n"

    def one(self, hook, nat):
        R = self.r
        self.l4 = None
        ms = [self.ask(hook) for _ in range(R.choice([0, 1, 1, 2, 2, 3]))]
        does = self.do(hook, nat)
        if R.random() < .6:
            does = "counter " + does
        if self.l4 is None and (":" in does.split("to ")[-1] or "tcp reset" in does or "@mp" in does) and does.split()[-1] != "drop":
            ms.append("meta l4proto %s" % ("tcp" if "reset" in does else R.choice(["udp", "tcp"])) if "@mp" not in does else "meta l4proto udp")
        if "@mp" in does and self.l4 == "tcp":
            does = does.replace("udp dport", "tcp dport")
        return " ".join(ms + [does])

    def ask(self, hook):
        """one question"""
        R = self.r
        neq = "!= " if R.random() < .2 else ""
        a, s = R.choice(ADDRS), R.choice(SERVICES)
        side = R.choice(["saddr", "daddr", "daddr"])
        qs = ["ip %s %s%s" % (side, neq, R.choice([a, R.choice(NETS), "@addrs", "@nets", "{ %s, %s }" % (a, "10.5.0.1"), "{ 10.1.0.0/24, %s }" % "10.9.0.1"])),
            "ip %s %s%s" % (side, neq, R.choice([a, R.choice(NETS), "@addrs", "@nets"])),
            "ct state %s" % R.choice(["new", "established", "established,related", "invalid", "!= new", "{ new, established }", "untracked"]),
            "ct status %s" % R.choice(["dnat", "snat,dnat", "! dnat", "seen-reply", "assured", "confirmed"]), "ct direction " + R.choice(["original", "reply"]),
            "ct mark %s" % R.choice(["0x1", "!= 0x0", "and 0xf == 0x1", "@marks"]), "ct original ip daddr %s%s" % (neq, a), "ct reply ip saddr " + a,
            "meta mark %s" % R.choice(["0x1", "0x10", "!= 0x0", "and 0x10 == 0x10", "and 0x11 != 0x0", "{ 0x1, 0x11 }", "0x1-0x10", "> 0x1", "@marks"]),
            "fib %s type %s%s" % (R.choice(["saddr", "daddr"]), neq, R.choice(["local", "unicast", "{ local, broadcast }"])), "ip daddr 10.0.0.0/8"] + ["fib daddr . iif type %slocal" % neq, "fib saddr . iif oif %s" % R.choice(["exists", "missing"])] * (hook in ("prerouting", "input", "forward")) + [
            "iifname %s%s" % (neq, R.choice(['"eth0"', '"br0"', '"eth*"', '{ "eth0", "eth2" }'])), "oifname %s%s" % (neq, R.choice(['"eth0"', '"br0"', '"eth2"', '{ "br0", "eth0" }'])),
            "iifname . oifname { \"eth0\" . \"br0\", \"br0\" . \"eth0\", \"br0\" . \"br0\" }", "numgen inc mod %d %d" % R.choice([(2, 0), (3, 1), (2, 1)]), "ip ttl %s" % R.choice(["63", ">= 64", "!= 64"]),
            "meta length %s" % R.choice(["28-60", "!= 28-32"]), "meta pkttype %sunicast" % neq, "ip id 1-3", "ip saddr . ip daddr { 10.0.0.2 . 10.1.0.2, 10.1.0.2 . 10.1.0.3, 10.0.0.2 . 10.9.0.1 }", "ip dscp cs0", "ip frag-off & 0x1fff == 0"]
        by = {"tcp": ["tcp %s %s%s" % (R.choice(["dport", "sport"]), neq, R.choice([s, "@ports", "@ranges", "1-100", "{ 53, 80 }"])), "tcp flags %s" % R.choice(["syn", "& (syn|ack) == syn", "== syn", "! rst", "{ syn, syn | ack, ack }", "rst,fin"])],
            "udp": ["udp %s %s%s" % (R.choice(["dport", "sport"]), neq, R.choice([s, "@ports", "@ranges", "1-100", "{ 53, 5353 }", "1-60"])), "udp length > 8"],
            "icmp": ["icmp type %s%s" % (neq, R.choice(["echo-request", "echo-reply", "{ echo-request, destination-unreachable }"])), "icmp type { echo-reply, echo-request }"]}
        x = R.random()
        if x < .3 and self.l4 is None:
            self.l4 = R.choice(["tcp", "udp", "udp", "icmp"])
            return R.choice(by[self.l4] + ["meta l4proto " + self.l4])
        if x < .3:
            return R.choice(by.get(self.l4, ["meta l4proto { tcp, udp } th dport != 53"]))
        if x < .4:
            return R.choice(["meta l4proto { tcp, udp }", "meta l4proto != icmp", "meta l4proto { tcp, udp } ip daddr . th dport @pairs"]) if self.l4 is None and not setattr(self, "l4", "th") else "ip daddr 10.0.0.0/8"
        return R.choice(qs)

    def do(self, hook, nat):
        """what the rule does"""
        R = self.r
        x = R.random()
        if x < .2:
            return R.choice(["meta mark set 0x1", "meta mark set meta mark or 0x10", "meta mark set meta mark xor 0x1", "meta mark set meta mark and 0xf0", "ct mark set 0x1", "ct mark set meta mark", "meta mark set ct mark", "ct mark set ct mark or 0x10",
                "meta mark set meta mark and 0xfffffff0 or 0x3", "meta mark set ip daddr map { 10.9.0.1 : 0x1, 10.1.0.2 : 0x10 }", "add @dyn { ip saddr }", "update @dyn { ip saddr counter }", "add @dyn { ip daddr } counter"])
        if x < .4:
            v = lambda: R.choice(self.verdicts)
            named = ["ip daddr vmap @va", "ip daddr vmap @vn"] if hook != "any" else []
            return R.choice(named + ["ip saddr vmap { %s : %s, %s : %s }" % (ADDRS[0], v(), ADDRS[1], v()), "numgen inc mod 3 vmap { 0 : %s, 1 : %s }" % (v(), v()), "ct state vmap { new : %s, established : %s }" % (v(), v()), "ip ttl vmap { 63 : %s, 64 : %s }" % (v(), v()),
                "ip daddr . meta l4proto vmap { 10.1.0.2 . udp : %s, 10.9.0.1 . tcp : %s, 10.9.0.1 . udp : %s }" % (v(), v(), v())])
        if nat and x < .85:
            ip = "ip " if self.family == "inet" else ""
            a = R.choice(ADDRS[:4] + ["10.1.0.1"])
            if hook in ("prerouting", "output"):
                return R.choice(["dnat %sto %s" % (ip, a), "dnat %sto %s:%s" % (ip, a, R.choice(["53", "80", "1053"])), "dnat %sto ip daddr map @ma" % ip, "dnat %sto numgen inc mod 2 map { 0 : 10.1.0.2, 1 : 10.1.0.3 }" % ip,
                    "redirect", "redirect to :5353", "dnat %sto 10.1.0.2-10.1.0.3" % ip, "dnat %sto %s:1000-1003" % (ip, a)])
            return R.choice(["snat %sto 10.1.0.1" % ip, "snat %sto 10.2.0.1:3001" % ip, "snat %sto 10.0.0.1" % ip] + ["masquerade", "masquerade to :3002"] * (hook == "postrouting"))
        if x < .5 and hook in ("input", "forward", "output", "prerouting") and not nat:
            kinds = ["reject", "reject with tcp reset", "reject with icmp host-unreachable", "reject with icmp admin-prohibited"] + ["reject with icmpx no-route", "reject with icmpx admin-prohibited"] * (self.family == "inet")
            return R.choice(kinds)
        if x < .54 and hook == "prerouting":
            return "notrack"
        return R.choice(self.verdicts + ["accept", "counter"])


if __name__ == "__main__":
    common.main(Gen)
