#!/usr/bin/env python3
"""Random rule sets for targets and NAT: ranges, shifted ports, NETMAP, zones, TTL, shifts of CONNMARK. See common.py."""
import common


class Gen(common.Gen):
    known = common.PORTS | set(range(1000, 2001)) | set(range(50, 61))

    def target(self, table, hooks, pinned, subs):
        R = self.r
        if R.random() < .45:
            return super().target(table, hooks, pinned, subs)
        ports = pinned in ("udp", "tcp")
        if table == "raw":
            return R.choice(["-j CT --zone 1", "-j CT --zone 2", "-j CT --zone-orig 2", "-j CT --zone-reply 3", "-j CT --zone mark", "-j CT --zone-orig mark", "-j CT", "-j NOTRACK", "-j CT --zone 1 --notrack", "-j MARK --set-mark 0x10001"])
        if table == "mangle":
            return R.choice(["-j TTL --ttl-set 1", "-j TTL --ttl-set 64", "-j TTL --ttl-inc 3", "-j TTL --ttl-dec 1", "-j TTL --ttl-dec 63", "-j TTL --ttl-inc 255", "-j CHECKSUM --checksum-fill",
                "-j CONNMARK --save-mark --left-shift-mark 4", "-j CONNMARK --restore-mark --right-shift-mark 1 --nfmask 0xff --ctmask 0xff", "-j CONNMARK --set-mark 0x3 --left-shift-mark 2", "-j CONNMARK --set-xmark 0x3/0xf --right-shift-mark 1", "-j CONNMARK --and-mark 0x3", "-j CONNMARK --or-mark 0x30", "-j CONNMARK --xor-mark 0x5"])
        if table == "nat":
            if R.random() < .2:
                return "-j NETMAP --to " + R.choice(["10.1.0.0/24", "10.2.0.0/24", "10.0.0.0/16", "10.9.0.1/32"])
            if set(hooks) <= {"PREROUTING", "OUTPUT"}:
                a = R.choice(["10.1.0.2-10.1.0.3", "10.1.0.2-10.1.0.5", "10.2.0.2", "10.0.0.1-10.0.0.2", "10.1.0.3"])
                t = ["-j DNAT --to-destination " + a, "-j DNAT --persistent --to-destination " + a]
                if ports:
                    p = R.choice(["1000-1003", "50-60", "53-53", "1000-1100/53", "1000-1003/69", "1000-2000/5353"])
                    t += ["-j DNAT --to-destination %s:%s" % (a, p), "-j DNAT --to-destination :%s" % p, "-j REDIRECT --to-ports " + p.split("/")[0]]
                return R.choice(t)
            if set(hooks) <= {"POSTROUTING", "INPUT"}:
                a = R.choice(["10.1.0.1-10.1.0.4", "10.2.0.1-10.2.0.2", "10.0.0.1", "10.9.0.1-10.9.0.9"])
                t = ["-j SNAT --to-source " + a, "-j SNAT --persistent --to-source " + a]
                if ports:
                    t += ["-j SNAT --to-source %s:3001" % a, "-j SNAT --to-source :3002", "-j SNAT --to-source %s:1000-1100/5" % a]
                if hooks == ["POSTROUTING"]:
                    t += ["-j MASQUERADE"] + (["-j MASQUERADE --to-ports 3003"] if ports else [])
                return R.choice(t)
        return super().target(table, hooks, pinned, subs)


if __name__ == "__main__":
    common.main(Gen)
