#!/usr/bin/env python3
"""Random rules without conntrack: nothing asks for it, or one rule does, or every packet is exempt. See common.py."""
import common
from common import fuzz

ASKS = ("conntrack", "connmark", "-m state", "CONNMARK", "NAT", "MASQUERADE", "REDIRECT", "-j CT", "NOTRACK", "-m helper")


class Gen(common.Gen):
    def __init__(self, seed, i):
        super().__init__(seed, i)
        R = self.r
        self.kind = R.choice(["none", "none", "none", "one", "one", "notrack", "notrack", "loaded"])
        if self.kind != "notrack" or R.random() < .5:
            self.options = {"probe": False}

    def rules(self):
        R = self.r
        text, _ = super().rules()
        if self.kind in ("none", "one", "loaded"):
            text = "\n".join(l for l in text.splitlines() if not l.startswith("-A") or not any(x in l for x in ASKS)) + "\n"
        if self.kind == "one":
            more = R.choice([{("filter", "FORWARD"): ["-m conntrack --ctstate %s -j ACCEPT" % R.choice(["ESTABLISHED,RELATED", "NEW", "INVALID"])]},
                             {("filter", "INPUT"): ["-m state --state NEW"]}, {("mangle", "OUTPUT"): ["-m connmark --mark 0x1"]},
                             {("nat", "PREROUTING"): ["-d 10.9.0.1/32 -j DNAT --to-destination 10.1.0.2"]}, {("nat", "POSTROUTING"): ["-j MASQUERADE"]},
                             {("mangle", "PREROUTING"): ["-j CONNMARK --set-mark 0x2"]}, {("raw", "PREROUTING"): ["-p udp -j CT --notrack"]},
                             {("raw", "OUTPUT"): ["-j CT --helper tftp -p udp"]}, {("nat", "OUTPUT"): ["-p tcp -j REDIRECT --to-ports 80"]},
                             {("security", "INPUT"): ["-m helper --helper ftp"]}, {("raw", "PREROUTING"): ["-j CT --zone 3"]}])
            text = common.first(text, more)
        if self.kind == "notrack":
            text = common.first(text, {("raw", "PREROUTING"): [R.choice(["-j CT --notrack", "-j NOTRACK", "-i eth0 -j CT --notrack", "-p udp -j CT --notrack"])],
                                       ("raw", "OUTPUT"): [R.choice(["-j CT --notrack", "-p tcp -j CT --notrack"])]})
        return text


if __name__ == "__main__":
    common.main(Gen)
