"""What the generators share: fuzz.py's topology, packets and lines, with more that a line can say.

  KERNEL_TOOLS=DIR NAME.py --seed 1 --cases 1000 -o k.jsonl     DIR holds fuzz.py, oracle.py, nl.py (needs root)
  KERNEL_TOOLS=DIR NAME.py --replay k.jsonl -o again.jsonl      the stored cases once more
  nflab replay --cases k.jsonl -o e.jsonl ; DIR/compare.py cases k.jsonl e.jsonl
  common.py k.jsonl e.jsonl                                     the same comparison, which knows ranges of drawn ports

A line may have, beside what fuzz.py writes:
  probe     false: no rule of nftables looks at conntrack, so it is off until a rule of iptables asks for it
  payloads  true: what comes out has its payload too (`data`, a character a byte)
  sysctl    settings of the node, by name
  nft       text for `nft -f -`, of tables ip t and inet u; `said` is what `nft list table` of both printed at the end
  drawn     ranges out of which the kernel draws ports: two ports of one range are the same port
A step may have `wait` (milliseconds before its packet), and a step without a packet only waits.
"""
import argparse, json, os, subprocess, sys, time
sys.path.insert(0, os.environ.get("KERNEL_TOOLS", "."))

try:
    import fuzz, nl, oracle
    from nl import ns
except ImportError:                     # comparing needs none of them
    fuzz = None

OPTIONS = ("probe", "payloads", "sysctl", "drawn", "nft")
NFT_TABLES = (("ip", "t"), ("inet", "u"))
PORTS = {53, 69, 80, 1000, 5353, 40000, 40001, 3001, 3002, 3003, 700, 0, 1, 2}


class Gen(fuzz.Gen if fuzz else object):
    """One case: `rules`, then `next` for each step, until it gives None."""
    options = {}
    known = PORTS

    def __init__(self, seed, i):
        super().__init__(seed, i)
        self.seen, self.flows, self.left = [], [], None
        # Lists of xt_recent outlive a change of the rules: each case has its own.
        self.name = "%s-%s" % (seed, i)

    def next(self, k, got):
        """fuzz.py's way: an answer to what was received, a repetition, or something new"""
        R = self.r
        if self.left is None:
            self.left = R.choice([4, 6, 8, 10])
        if k >= self.left:
            return None
        self.seen += got
        st, x = None, R.random()
        if self.seen and x < .5:
            st = self.answer(self.seen[-4:])
        elif self.flows and x < .62:
            st = json.loads(json.dumps(R.choice(self.flows)))
        if st is None:
            st = self.fresh()
            self.flows.append(st)
        st = json.loads(json.dumps(st))
        st["pkt"]["ipid"] = k + 1
        return st

    def send(self, e, pkt, **more):
        """a step: the box `e` sends"""
        st = dict({"from": e, "pkt": pkt}, **more)
        if e != "local":
            st["dmac"] = self.dmac(e, pkt["dst"])
        return st


def first(text, lines):
    """the rules with others before them: {(table, chain): [rule without -A CHAIN]}"""
    out, table, todo = [], None, {}
    for l in text.splitlines():
        if l.startswith("*"):
            table = l[1:]
            todo = {c: list(v) for (t, c), v in lines.items() if t == table}
        if l == "COMMIT" or l.startswith("-A ") and not l.endswith("-j TRACE"):
            for c in list(todo):
                out += ["-A %s %s" % (c, r) for r in todo.pop(c)]
        out.append(l)
    return "\n".join(out) + "\n"


def payload_of(b):
    """what a frame carries behind the headers; all of it in a later fragment"""
    ip = b[14:]
    n, total, frag = (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big"), int.from_bytes(ip[6:8], "big")
    l4 = ip[n:total]
    if frag & 0x1fff:
        return l4
    if ip[9] == 6 and len(l4) >= 20:
        return l4[(l4[12] >> 4) * 4:]
    if ip[9] == 1 and len(l4) >= 8 and l4[0] in (3, 4, 5, 11, 12, 14):
        return b""
    return l4[8:] if ip[9] in (1, 17) else l4


class Lab(fuzz.Fuzz if fuzz else object):
    def __init__(self):
        super().__init__()
        self.probe, self.payloads, self.set, self.nft = True, False, {}, None

    def use(self, options):
        """brings the node into the state that a case asks for"""
        node = self.lab.n("node")
        with ns(node):
            probe = options.get("probe", True)
            if probe != self.probe:
                oracle.sh(["nft", "-f", "-"], oracle.CT_PROBE if probe else "delete table ip oracle\n")
                self.probe = probe
            wanted = options.get("sysctl", {})
            for k in set(self.set) | set(wanted):
                f = "/proc/sys/" + k.replace(".", "/")
                before = self.set.pop(k, None)
                old = open(f).read().strip() if before is None else before
                self.lab.wsys(k, str(wanted.get(k, old)))
                if k in wanted:
                    self.set[k] = old
        self.payloads = options.get("payloads", False)
        gone = "".join("add table %s %s\ndelete table %s %s\n" % (f, t, f, t) for f, t in NFT_TABLES) if self.nft else ""
        self.nft = options.get("nft")
        if gone:
            with ns(node):
                oracle.sh(["nft", "-f", "-"], gone)

    def load(self, text):
        err = super().load(text)
        if err or not self.nft:
            return err
        with ns(self.lab.n("node")):
            p = subprocess.run(["nft", "-f", "-"], input=self.nft, capture_output=True, text=True)
        return p.stderr if p.returncode else None

    def said(self):
        """what nft lists of the case's tables"""
        with ns(self.lab.n("node")):
            return [l for f, t in NFT_TABLES for l in subprocess.run(["nft", "list", "table", f, t], capture_output=True, text=True).stdout.splitlines()]

    def drain(self, counts, rec):
        tr, ct, out, seen = [], [], [], []
        for _ in range(2):
            for s, what in ((self.nf, "nf"), (self.ce, "ct")):
                while True:
                    try:
                        buf = s.recv(1 << 18)
                    except BlockingIOError:
                        break
                    if what == "ct":
                        for k, r in nl.ct_events_parse(buf):
                            r.pop("id", None)
                            r.pop("timeout", None)
                            ct.append(dict(ev=k, **r))
                        continue
                    for t, f, body in nl.nl_msgs(buf):
                        if t >> 8 == nl.SUB_ULOG and t & 0xff == 0:
                            tr.append(self.step(nl.nflog_parse(body), counts))
            for e, s in self.tap.items():
                while True:
                    try:
                        b, a = s.recvfrom(65536)
                    except BlockingIOError:
                        break
                    if a[2] == 4:
                        continue
                    p = nl.decode_eth(b)
                    p["_pl"] = payload_of(b)
                    o = {"to": e, "smac": p["smac"], "dmac": p["dmac"], "ttl": p.get("ttl"), "pkt": oracle.pkt_s(p)}
                    if "ack" in p:
                        o.update(seq=p["seq"], ack=p["ack"])
                    if self.payloads and p["_pl"]:
                        o["data"] = p["_pl"].decode("latin1")
                    out.append(o)
                    if p["dmac"] in (fuzz.EP[e][1], "ff:ff:ff:ff:ff:ff"):
                        seen.append((e, p))
        tr, last = [t for t in tr if t], None
        for t in tr:
            if t["pkt"] == last:
                del t["pkt"]
            else:
                last = t["pkt"]
        rec.update(trace=tr, ct=ct, out=out)
        return seen

    def one(self, gen, seed, i, stored=None):
        g = None
        if stored:
            rules, options = stored["rules"], {k: stored[k] for k in OPTIONS if k in stored}
            self.use(options)
            err = self.load(rules)
            if err:
                raise RuntimeError(err)
        else:
            for sub in range(50):
                g = gen(seed, "%d.%d" % (i, sub))
                rules = g.rules()
                rules = rules if isinstance(rules, str) else rules[0]
                options = dict(g.options)
                self.use(options)
                if self.load(rules) is None:
                    break
                self.bad += 1
            else:
                raise RuntimeError("no acceptable rules: %s\n%s" % (self.load(rules), rules))
        counts = fuzz.counts_of(rules)
        nl.ct_flush(self.cmd)
        self.drain(counts, {})
        out, got = [], []
        for k in range(1000):
            if stored:
                st = {x: y for x, y in stored["steps"][k].items() if x in ("from", "pkt", "dmac", "wait")} if k < len(stored["steps"]) else None
            else:
                st = g.next(k, got)
            if st is None:
                break
            if st.get("wait"):
                time.sleep(st["wait"] / 1000)
            if "pkt" in st:
                st["pkt"].setdefault("ipid", k + 1)
                er = self.inject(st)
                if er:
                    st["senderr"] = er
            got = self.drain(counts, st)
            out.append(st)
        with ns(self.lab.n("node")):
            tab = nl.ct_dump(self.cmd)
        for r in tab:
            r.pop("id", None)
            r.pop("timeout", None)
        tab.sort(key=lambda r: json.dumps(r, sort_keys=True))
        known = g.known | {n for a, b in options.get("drawn", []) for n in range(a, b + 1)} if g else None
        nd = stored["random_port"] if stored else any(n not in known for n in ports(tab) | ports([s["ct"] for s in out]))
        line = dict({"seed": seed, "case": i, "random_port": nd}, **options, rules=rules, steps=out, final=tab)
        if self.nft:
            line["said"] = self.said()
        return line


def ports(o):
    """every port and ICMP id below o"""
    if isinstance(o, list):
        return set().union(*map(ports, o)) if o else set()
    if isinstance(o, dict):
        return {v for k, v in o.items() if k in ("sport", "dport", "id")} | set().union(*(ports(v) for k, v in o.items() if k != "mask"))
    return set()


def main(gen):
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", default="1")
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--cases", type=int, default=100)
    ap.add_argument("--replay")
    ap.add_argument("-o")
    a = ap.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    lab, t0, n, chance = Lab(), time.time(), 0, 0
    f = open(a.o, "w") if a.o else None
    try:
        todo = [json.loads(l) for l in open(a.replay)] if a.replay else range(a.first, a.first + a.cases)
        for x in todo:
            c = lab.one(gen, x["seed"], x["case"], x) if a.replay else lab.one(gen, a.seed, x)
            n += 1
            chance += c["random_port"]
            if f:
                f.write(json.dumps(c, separators=(",", ":")) + "\n")
    finally:
        lab.close()
    print("%d cases in %.0f s, %d with a drawn port, %d rule sets refused" % (n, time.time() - t0, chance, lab.bad))


# ---------------------------------------------------------------- comparing
def masked(o, ranges):
    """ports out of a range that was drawn from become the range"""
    import re
    name = lambda n: next(("%d-%d" % (a, b) for a, b in ranges if a <= n <= b), None)
    if isinstance(o, dict):
        return {k: (name(v) or v) if k in ("sport", "dport", "id") and isinstance(v, int) else masked(v, ranges) for k, v in o.items()}
    if isinstance(o, list):
        return [masked(x, ranges) for x in o]
    if isinstance(o, str):
        return re.sub(r"(?<=:)\d+(?=[> }]|$)|(?<=id=)\d+", lambda m: name(int(m.group(0))) or m.group(0), o)
    return o


def compare(kf, ef, show=5):
    sys.path.insert(0, os.environ.get("KERNEL_TOOLS", "."))
    from compare import clean, first_difference
    eng = {(c["seed"], c["case"]): c for c in map(json.loads, open(ef))}
    same = chance = shown = n = 0
    bad = []
    for k in map(json.loads, open(kf)):
        if k["random_port"]:
            chance += 1
            continue
        n += 1
        e = eng.get((k["seed"], k["case"]))
        if e is None:
            print("case %s/%s is missing" % (k["seed"], k["case"]))
            continue
        sides = []
        for c in (k, e):
            m = masked(c, c.get("drawn") or k.get("drawn") or [])
            fin = sorted((clean(r) for r in m["final"]), key=lambda r: json.dumps(r, sort_keys=True))
            sides.append([clean({x: s.get(x) for x in ("trace", "ct", "out", "senderr")}) for s in m["steps"]] + [fin] + [{"said": l} for l in m.get("said", [])])
        if sides[0] == sides[1]:
            same += 1
            continue
        bad.append(k["case"])
        if shown < show:
            shown += 1
            i, x, y = first_difference(*sides)
            print("case %s/%s differs at step %s: %s" % (k["seed"], k["case"], i, json.dumps({q: v for q, v in k["steps"][i].items() if q in ("from", "pkt", "wait")}) if i < len(k["steps"]) else "final"))
            if isinstance(x, dict) and "said" in x or isinstance(y, dict) and "said" in y:
                print("    kernel: %s\n    engine: %s" % (x, y))
            for part in ("trace", "ct", "out", "senderr"):
                p, q = ((z or {}).get(part) if isinstance(z, dict) else z for z in (x, y))
                if p != q:
                    d = first_difference(p or [], q or []) if isinstance(p or [], list) and isinstance(q or [], list) else (0, p, q)
                    print("  %s[%s]\n    kernel: %s\n    engine: %s" % (part, d[0], json.dumps(d[1])[:600], json.dumps(d[2])[:600]))
    print("%d of %d cases the same, %d with a drawn port not counted; different: %s" % (same, n, chance, bad[:60]))
    return 0 if same == n else 1


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(compare(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5))
