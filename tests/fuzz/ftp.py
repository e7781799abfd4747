#!/usr/bin/env python3
"""Random FTP: command connections through helper and NAT, announcements whole, in pieces, repeated and wrong, and the data
connections that follow them. See common.py."""
import re
import common
from common import fuzz
from fuzz import EP

DATA = [1025, 1026, 2000, 4000, 53, 20000, 65535]
ADDR = {"c": "10.0.0.2", "a": "10.1.0.2", "b": "10.1.0.3", "s": "10.2.0.2", "local": "10.0.0.1"}


class Gen(common.Gen):
    options = {"payloads": True}
    known = common.PORTS | set(DATA) | {20, 21, 2121, 1500, 1501}

    def target(self, table, hooks, pinned, subs):
        # Mostly rules that only count.
        return "" if self.r.random() < .8 else super().target(table, hooks, pinned, subs)

    def one_match(self):
        R = self.r
        return R.choice(["-m conntrack --ctstate RELATED", "-m conntrack --ctstate NEW", "-m helper --helper ftp", "-m conntrack --ctstatus EXPECTED", "-m helper ! --helper ftp",
                         "-p tcp -m tcp --dport 21", "-p tcp -m conntrack --ctstate RELATED,ESTABLISHED", "-m conntrack --ctstatus EXPECTED,CONFIRMED -m mark --mark 0",
                         "-m conntrack --ctorigdstport 21", "-m connmark --mark 0x7", "-m conntrack --ctstate INVALID", "-m conntrack --ctstate DNAT", "-m conntrack --ctstate SNAT"])

    def rules(self):
        R = self.r
        text, _ = super().rules() if R.random() < .5 else (self.empty(), 0)
        more = {}
        put = lambda t, c, r: more.setdefault((t, c), []).append(r)
        ports = R.choice(["21", "21", "21", "2121"])
        if R.random() < .9:
            put("raw", "PREROUTING", "-p tcp -m tcp --dport %s -j CT --helper ftp%s" % (ports, R.choice(["", "", " --zone 1"]) if R.random() < .1 else ""))
        if R.random() < .8:
            put("raw", "OUTPUT", "-p tcp -m tcp --dport 21 -j CT --helper ftp")
        for _ in range(R.choice([0, 1, 1, 2])):
            to = R.choice(["10.1.0.2", "10.1.0.3", "10.2.0.2", "10.0.0.2", "10.2.0.2:2121", "10.1.0.2:21", "10.2.0.2-10.2.0.2"])
            put("nat", R.choice(["PREROUTING", "PREROUTING", "OUTPUT"]), "%s-p tcp -m tcp --dport %s -j DNAT --to-destination %s" % (R.choice(["-d 10.9.0.1 ", "-d 10.9.0.1 ", ""]), R.choice(["21", "21", "20:30"]), to))
        for _ in range(R.choice([0, 1, 1, 2])):
            put("nat", R.choice(["POSTROUTING", "POSTROUTING", "INPUT"]), R.choice(["-p tcp -j SNAT --to-source 10.2.0.1", "-p tcp -m tcp --dport 21 -j SNAT --to-source 10.9.0.8",
                                                                     "-j SNAT --to-source 10.1.0.1", "-p tcp -m tcp --dport 21 -j SNAT --to-source 10.200.100.200", "-j SNAT --to-source 10.9.0.9"]))
        if R.random() < .3:
            more[("nat", "POSTROUTING")] = ["-j MASQUERADE"]
        if R.random() < .15:
            put("mangle", "PREROUTING", "-p tcp -m tcp --dport 21 -j CONNMARK --set-mark 0x7")
        for _ in range(R.choice([1, 2, 3])):
            put("filter", R.choice(["FORWARD", "FORWARD", "INPUT", "OUTPUT"]), self.one_match() + R.choice(["", "", "", " -j ACCEPT", " -j DROP" if R.random() < .2 else ""]))
        return common.first(text, more)

    def empty(self):
        return common.oracle.full_ruleset("")

    # ---------------------------------------------------------------- the conversation
    def next(self, k, got):
        R = self.r
        if k == 0:
            self.talks, self.data, self.n = [], [], R.choice([10, 14, 18, 24])
            self.pending = None
        if k >= self.n:
            return None
        if self.pending:
            self.pending(got)
            self.pending = None
        live = [t for t in self.talks if t["state"] != "dead"]
        if not live and len(self.talks) < 4 or R.random() < .04:
            return self.open()
        if not live:
            return self.stray()
        t = R.choice(live)
        if t["state"] == "syn":
            return self.reply_syn(t)
        if t["state"] == "synack":
            return self.establish(t)
        x = R.random()
        if self.data and x < .45:
            return self.data_step(R.choice(self.data[-3:]))
        if x < .95:
            return self.line(t)
        return self.stray()

    def remember(self, t, other):
        """notes what the other side receives: who, from where, how far"""
        def see(got):
            mine = [(e, p) for e, p in got if p["proto"] == "tcp" and "seq" in p and e == other.get("who", e)]
            if not mine:
                return
            e, p = mine[-1]
            n = p["plen"] + ("S" in p["flags"]) + ("F" in p["flags"])
            end = (p["seq"] + n) & 0xffffffff
            other.update(who=e, peer=(p["src"], p["sport"]), me=(p["dst"], p["dport"]), ack=end)
            if p["_pl"]:
                other["text"] = p["_pl"].decode("latin1")
                self.heard(t, other, p)
        return see

    def open(self, kind="command", e=None, src=None, dst=None):
        R = self.r
        e = e or R.choice(["c", "c", "a", "b", "s", "local"])
        dst = dst or (R.choice(["10.9.0.1", "10.9.0.1", "10.2.0.2", "10.1.0.2", "10.1.0.3"] + (["10.2.0.1"] if e != "local" else [])), R.choice([21, 21, 21, 2121]))
        src = src or (ADDR[e], R.choice([1500, 1501, 3001]))
        t = {"state": "syn", "kind": kind, "cl": {"who": e, "me": src, "peer": dst, "seq": 1000, "ack": 0}, "sv": {"seq": 5000}}
        if kind == "command":
            self.talks.append(t)
        if kind == "data":
            self.data.append(t)
        def see(got):
            self.remember(t, t["sv"])(got)
            if "who" not in t["sv"]:
                t["state"] = "dead"
        self.pending = see
        return self.segment(t, "cl", "S")

    def segment(self, t, side, flags, payload="", seq=None):
        x = t[side]
        p = {"proto": "tcp", "ttl": 64, "src": x["me"][0], "sport": x["me"][1], "dst": x["peer"][0], "dport": x["peer"][1], "flags": flags,
             "seq": x["seq"] if seq is None else seq, "ack": x["ack"] if "A" in flags else 0, "payload": payload}
        if seq is None:
            x["seq"] = (x["seq"] + len(payload) + ("S" in flags) + ("F" in flags)) & 0xffffffff
        other = t["sv" if side == "cl" else "cl"]
        if other.get("who") == "local":         # whose packets nobody shows us
            other["ack"] = x["seq"]
        if self.pending is None:
            self.pending = self.remember(t, other)
        return self.send(x["who"], p)

    def reply_syn(self, t):
        t["state"] = "synack"
        if self.r.random() < .06:
            t["state"] = "dead"
            return self.segment(t, "sv", "RA")
        return self.segment(t, "sv", "SA")

    def establish(self, t):
        t["state"] = "open"
        return self.segment(t, "cl", "A")

    def numbers(self, a, p):
        return a.replace(".", ",") + ",%d,%d" % (p >> 8, p & 255)

    def line(self, t):
        R = self.r
        if t.get("rest"):                       # the second piece of a line
            side, text = t.pop("rest")
            return self.segment(t, side, "PA", text)
        if R.random() < .08 and t.get("last"):  # once more
            side, text, seq = t["last"]
            return self.segment(t, side, "PA", text, seq)
        side = R.choice(["cl", "cl", "sv", "sv"])
        me = t[side]["me"][0]
        a = me if R.random() < .85 else R.choice(["10.0.0.2", "10.1.0.2", "10.2.0.1", "10.9.0.1"])
        p = R.choice(DATA) if R.random() < .97 else 0
        n = self.numbers(a, p)
        if side == "cl":
            text = R.choice(["PORT %s\r\n" % n] * 6 + ["EPRT |1|%s|%d|\r\n" % (a, p)] * 4 + ["port %s\r\n" % n, "PASV\r\n", "EPSV\r\n", "USER x\r\n", "PORT %s\n" % n, R.choice(["PORT %s" % n, "PO", "PORT\r\n",
                             "EPRT |2|::1|%d|\r\n" % p]), "EPRT !1!%s!%d!\r\n" % (a, p), "USER x\r\nPORT %s\r\n" % n, "PORT %s\r\nUSER y\r\n" % n, "  PORT %s\r\n" % n, "PORT  %s\r\n" % n, "227 (%s)\r\n" % n])
        else:
            text = R.choice(["227 Entering Passive Mode (%s).\r\n" % n] * 6 + ["229 Entering Extended Passive Mode (|||%d|)\r\n" % p] * 5 + ["227 %s\r\n" % n, "227 = %s\r\n" % n, "220 hello\r\n", "229 (|||x|)\r\n",
                             R.choice(["227 no\r\n", "22", "227"]), "229 Entering (|1|%s|%d|)\r\n" % (a, p), "200 ok\r\n227 (%s)\r\n" % n, "227 (%s)\r\n200 ok\r\n" % n, "229 ok (!!!%d!)\r\n" % p, "PORT %s\r\n" % n, "227 x(%s" % n])
        if R.random() < .12 and len(text) > 4:
            cut = R.randrange(1, len(text))
            t["rest"] = (side, text[cut:])
            text = text[:cut]
        t["last"] = (side, text, t[side]["seq"])
        if R.random() < .05:                    # a hole
            t[side]["seq"] += R.choice([1, 10])
        if R.random() < .04:
            return self.segment(t, side, R.choice(["FA", "A", "R", "RA"]), R.choice(["", text]))
        return self.segment(t, side, "PA", text)

    def heard(self, t, side, p):
        """an announcement came through: where somebody now waits"""
        if t["kind"] != "command":
            return
        m = re.search(r"(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)", side["text"])
        x = re.search(r"\|(?:1\|([\d.]+)|\|)\|(\d+)\|", side["text"])
        if m:
            v = [int(n) for n in m.groups()]
            if max(v) < 256:
                t["said"] = (side["who"], ".".join(map(str, v[:4])), v[4] * 256 + v[5], side is t["sv"])
        elif x:
            t["said"] = (side["who"], x.group(1) or side["peer"][0], int(x.group(2)), side is t["sv"])
        if t.get("said"):
            self.data.append(t)

    def data_step(self, t):
        R = self.r
        if t["kind"] == "data":
            if t["state"] == "syn":
                return self.reply_syn(t)
            if t["state"] == "synack":
                return self.establish(t)
            if t["state"] == "dead":
                self.data.remove(t)
                return self.stray()
            if R.random() < .3:
                return self.segment(t, R.choice(["cl", "sv"]), R.choice(["FA", "FA", "R"]))
            return self.segment(t, R.choice(["cl", "sv"]), "PA", "data\r\n")
        who, addr, port, active = t["said"]
        self.data.remove(t)
        x = t["sv" if active else "cl"]
        src = (x["me"][0], 20 if active else R.choice([1500, 1501, 3001, 3002]))
        if R.random() < .07:
            who = R.choice(["c", "a", "b", "s"])
            src = (ADDR[who], src[1])
        if R.random() < .03:
            port = port % 65535 + 1
        self.known = self.known | {port}
        return self.open("data", who, src, (addr, port))

    def stray(self):
        st = self.fresh()
        st["pkt"].pop("badsum", None)
        return st


if __name__ == "__main__":
    common.main(Gen)
