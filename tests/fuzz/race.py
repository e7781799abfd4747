"""Two packets on two processors of the real kernel, at the same time.

  race.py -o ../data/race/recorded.json [--attempts 40] [CASE ...]        needs root, two processors, iptables (legacy), nft, conntrack

A router translates; the clients run on a processor each, and their packets are run by that same processor, as veth does it. A chain of
nf_tables between NAT and confirmation has rules that match nothing: they only take time, so that the packets overlap. Each attempt is
written as one outcome: which counters of `conntrack -S` moved, summed up, and how many packets arrived. Outcomes are counted.
"""
import argparse, collections, ctypes, json, multiprocessing, os, re, socket, struct, subprocess, time

libc = ctypes.CDLL(None, use_errno=True)
RULES = 4000


def sh(line, inp=None):
    p = subprocess.run(line, shell=True, input=inp, capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError("%s\n%s" % (line, p.stderr))
    return p.stdout


def enter(ns):
    fd = os.open("/run/netns/" + ns, os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


class Lab:
    def __init__(self, nat):
        self.p = "race%d-" % os.getpid()
        for n in ("c1", "c2", "r", "s"):
            sh("ip netns add %s%s" % (self.p, n))
            sh("ip -n %s%s link set lo up" % (self.p, n))
            sh("ip netns exec %s%s sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1" % (self.p, n))
            if n != "r":                     # nobody answers
                sh("ip netns exec %s%s nft -f -" % (self.p, n), "add table ip q\nadd chain ip q c { type filter hook prerouting priority -400; policy drop; }\n")
        for i, n in enumerate(("c1", "c2", "s")):
            self.link(n, i + 1)
        self.r("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0")
        self.r("iptables-legacy-restore", nat)
        ruleset = "add table ip slow\nadd chain ip slow c { type filter hook postrouting priority 300; }\n"
        self.r("nft -f -", ruleset + "add rule ip slow c ip daddr 198.51.100.1 counter\n" * RULES)

    def link(self, n, i):
        p, mac = self.p, "02:00:00:00:0%d:0" % i
        sh("ip link add r%d netns %sr address %s1 type veth peer name e0 netns %s%s address %s2" % (i, p, mac, p, n, mac))
        sh("ip -n %sr addr add 10.0.%d.1/24 dev r%d && ip -n %sr link set r%d up" % (p, i, i, p, i))
        sh("ip -n %s%s addr add 10.0.%d.2/24 dev e0 && ip -n %s%s link set e0 up" % (p, n, i, p, n))
        sh("ip -n %s%s addr add 10.0.%d.3/24 dev e0" % (p, n, i))
        sh("ip -n %s%s route add default via 10.0.%d.1" % (p, n, i))
        sh("ip -n %s%s neigh replace 10.0.%d.1 lladdr %s1 dev e0" % (p, n, i, mac))
        for a in (2, 3):
            sh("ip -n %sr neigh replace 10.0.%d.%d lladdr %s2 dev r%d" % (p, i, a, mac, i))

    def r(self, line, inp=None):
        return sh("ip netns exec %sr %s" % (self.p, line), inp)

    def stats(self):
        out = collections.Counter()
        for k, v in re.findall(r"(\w+)=(\d+)", self.r("conntrack -S")):
            if k in ("found", "insert_failed", "drop", "clash_resolve"):
                out[k] += int(v)
        return out

    def close(self):
        for n in ("c1", "c2", "r", "s"):
            sh("ip netns del %s%s" % (self.p, n))


def sender(p, cpu, ns, data, when):
    """one packet at a given moment"""
    os.sched_setaffinity(0, {cpu})
    enter(p + ns)
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    to = socket.inet_ntoa(data[16:20]), 0
    while time.monotonic_ns() < when:
        pass
    sock.sendto(data, to)


def csum(x):
    x += b"\0" * (len(x) % 2)
    s = sum(struct.unpack(">%dH" % (len(x) // 2), x))
    while s >> 16:
        s = (s & 65535) + (s >> 16)
    return 65535 - s


def tcp_syn(src, sport, dst, dport):
    a, b = socket.inet_aton(src), socket.inet_aton(dst)
    seg = struct.pack(">HHIIBBHHH", sport, dport, 1000, 0, 5 << 4, 2, 64240, 0, 0)
    c = csum(a + b + struct.pack(">BBH", 0, 6, len(seg)) + seg)
    seg = seg[:16] + struct.pack(">H", c) + seg[18:]
    return ip(src, dst, 6, seg)


def ip(src, dst, proto, payload):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst)) + payload


def udp(src, sport, dst, dport):
    return ip(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + 4, 0) + b"ping")


NAT = "*nat\n%s\nCOMMIT\n"
MASQ = NAT % "-A POSTROUTING -o r3 -j MASQUERADE%s"
DNS = NAT % ("-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.0.3.2:53\n"
             "-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.0.3.3:53")
ONE = NAT % "-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.0.3.2:53"
TWO = [("c1", lambda: udp("10.0.1.2", 5000, "10.0.3.2", 53)), ("c2", lambda: udp("10.0.2.2", 5000, "10.0.3.2", 53))]
SYN = [("c1", lambda: tcp_syn("10.0.1.2", 5000, "10.0.3.2", 80)), ("c2", lambda: tcp_syn("10.0.2.2", 5000, "10.0.3.2", 80))]
# From one host: the processor is that of the sender, whichever namespace it is in.
SAME = [("c1", lambda: udp("10.0.1.2", 5000, "10.96.0.10", 53))] * 2
CROSS = [("c1", lambda: udp("10.0.1.2", 5000, "10.0.2.2", 5000)), ("c2", lambda: udp("10.0.2.2", 5000, "10.0.1.2", 5000))]
CASES = {
    "masquerade-tcp": (MASQ % "", SYN),
    "masquerade-udp": (MASQ % "", TWO),
    "masquerade-random-fully-tcp": (MASQ % " --random-fully", SYN),
    "dns-two-endpoints": (DNS, SAME),
    "dns-one-endpoint": (ONE, SAME),
    "crossing": (NAT % "-A POSTROUTING -o r9 -j MASQUERADE", CROSS),
}


def run(name, attempts):
    nat, packets = CASES[name]
    lab = Lab(nat)
    outcomes = collections.Counter()
    try:
        for _ in range(attempts):
            lab.r("conntrack -F 2>/dev/null")
            before = lab.stats()
            dev = {n: int(lab.r("cat /sys/class/net/%s/statistics/tx_packets" % n)) for n in ("r1", "r2", "r3")}
            when = time.monotonic_ns() + 60_000_000
            procs = [multiprocessing.Process(target=sender, args=(lab.p, cpu, ns, make(), when))
                     for cpu, (ns, make) in enumerate(packets)]
            for proc in procs:
                proc.start()
            for proc in procs:
                proc.join()
            time.sleep(0.02)
            after = lab.stats()
            out = ("r3",) if name != "crossing" else ("r1", "r2")
            passed = sum(int(lab.r("cat /sys/class/net/%s/statistics/tx_packets" % n)) - dev[n] for n in out)
            diff = {k: after[k] - before[k] for k in sorted(after) if after[k] != before[k]}
            outcomes[json.dumps({"passed": passed, "counters": diff}, sort_keys=True)] += 1
    finally:
        lab.close()
    return [dict(json.loads(o), times=n) for o, n in outcomes.most_common()]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("cases", nargs="*")
    a.add_argument("-o")
    a.add_argument("--attempts", type=int, default=40)
    a = a.parse_args()
    out = {"kernel": os.uname().release, "cases": {n: run(n, a.attempts) for n in a.cases or CASES}}
    text = json.dumps(out, indent=1) + "\n"
    if a.o:
        open(a.o, "w").write(text)
    print(text)


if __name__ == "__main__":
    main()
