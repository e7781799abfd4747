#!/usr/bin/env python3
"""kube-proxy's rules under real packets: a case (input.yaml with the iptables.txt that kube-proxy writes for it) as a scenario.

  kube.py make CASE -o scenario.json                       the scenario alone
  KERNEL_TOOLS=DIR kube.py run CASE... --nflab BIN [-o OUT]    each on the kernel and in the engine, and what differs (root)

CASE is a folder with input.yaml and iptables.txt (stepN/iptables.txt for later syncs). DIR has oracle.py and compare.py.

The boxes: node1, whose rules these are, with its pods on the bridge cni0; node2 with pods of its own; a client outside of the
cluster; `api` for endpoints that are no pods. Every pod that a chosen endpoint needs exists and echoes. Packets go from a pod, an
endpoint, node1, its loopback, node2, a pod there and the client to each cluster IP, external IP, load balancer IP and node port.

A choice at random is made to fall (--choose K: the Kth of each chain's endpoints): its probability becomes 0 or 1. Ports that
--random-fully draws make the scenario `nondeterministic`: records are the same if one renaming of ports makes them so; servers
then only listen, as an echo that names the port would have another length. --kept-ports leaves --random-fully out of the rules.
--load cmd loads the rules by `cmd iptables-legacy-restore`; then the recording does not know their text.
--mode nftables takes nftables.transaction.txt, loaded by `cmd nft -f -`; there endpoints are taken in turn (`numgen inc`).
"""
import argparse, ipaddress, json, os, re, subprocess, sys

NODE, NODE2, CLIENT, API = "192.168.0.2", "192.168.0.3", "192.168.0.50", "192.168.0.60"
POD, POD2, OUTSIDE = "10.244.1.99", "10.244.2.99", "203.0.113.2"
JUMPS = [
    ("filter", "INPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES'),
    ("filter", "FORWARD", '-m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES'),
    ("filter", "INPUT", '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS'),
    ("filter", "FORWARD", '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'),
    ("filter", "OUTPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'),
    ("filter", "FORWARD", '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'),
    ("filter", "INPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL'),
    ("filter", "OUTPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL'),
    ("filter", "FORWARD", '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL'),
    ("nat", "OUTPUT", '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'),
    ("nat", "PREROUTING", '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'),
    ("nat", "POSTROUTING", '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'),
    ("filter", "INPUT", "-j KUBE-FIREWALL"),
    ("filter", "OUTPUT", "-j KUBE-FIREWALL"),
]


def jumps(text):
    """the jumps to chains that the text has, as iptables-restore takes them"""
    have = set()
    table = None
    for l in text.splitlines():
        table = l[1:] if l[:1] == "*" else table
        if l[:1] == ":":
            have.add((table, l[1:].split()[0]))
    out = ""
    for t in ("filter", "nat"):
        rules = ["-I %s %s\n" % (c, r) for (u, c, r) in JUMPS if t == u and (t, r.rsplit(" ", 1)[1]) in have]
        out += "*%s\n%sCOMMIT\n" % (t, "".join(rules))
    return out


def choose(text, k):
    """every draw among a chain's endpoints falls on the Kth"""
    chains, lines = {}, text.splitlines()
    rule = re.compile(r"^-A (KUBE-(?:SVC|SVL)-\S+) (?!.* --rcheck ).*-j KUBE-SEP-")
    for i, l in enumerate(lines):
        m = rule.match(l)
        if m:
            chains.setdefault(m.group(1), []).append(i)
    for at in chains.values():
        c = k % len(at)
        for n, i in enumerate(at):
            lines[i] = re.sub(r"--probability [0-9.]+", "--probability %s" % ("1" if n == c else "0"), lines[i])
    return "\n".join(lines) + "\n"


def reached(text):
    """the endpoints that rules can lead to: [(proto, ip, port)]"""
    never = set()
    for l in text.splitlines():
        if " --probability 0 " in l:
            never.add((l.split()[1], l.split()[-1]))
    used = {l.split()[-1] for l in text.splitlines() if " -j KUBE-SEP-" in l and (l.split()[1], l.split()[-1]) not in never
            and "--rcheck" not in l}
    out, after = [], False
    for l in text.splitlines():
        m = re.match(r"-A (KUBE-SEP-\S+) .*-p (\w+) .*--to-destination ([0-9.]+):(\d+)", l)
        if m and m.group(1) in used:
            out.append((m.group(2), m.group(3), int(m.group(4))))
    # What follows a certain choice is out of reach.
    sure = {}
    for l in text.splitlines():
        if " --probability 1 " in l:
            sure[l.split()[1]] = l.split()[-1]
    if sure:
        keep = set(sure.values())
        blocked = set()
        for l in text.splitlines():
            if " -j KUBE-SEP-" in l and l.split()[1] in sure and l.split()[-1] not in keep:
                blocked.add(l.split()[-1])
        free = {l.split()[-1] for l in text.splitlines() if " -j KUBE-SEP-" in l and l.split()[1] not in sure
                and (l.split()[1], l.split()[-1]) not in never and "--rcheck" not in l}
        gone = blocked - free
        back = {}
        for l in text.splitlines():
            m = re.match(r"-A (KUBE-SEP-\S+) .*-p (\w+) .*--to-destination ([0-9.]+):(\d+)", l)
            if m:
                back[(m.group(2), m.group(3), int(m.group(4)))] = m.group(1)
        out = [e for e in out if back[e] not in gone]
    return list(dict.fromkeys(out))


def reached_nft(text):
    """the same of a transaction of nft"""
    found = re.findall(r"meta l4proto (\w+) dnat to ([0-9.]+):(\d+)", text)
    return list(dict.fromkeys((proto, ip, int(port)) for proto, ip, port in found))


def documents(folder):
    """(config, [objects of each sync])"""
    import yaml
    config, steps = {}, [{}]
    for d in yaml.safe_load_all(open(os.path.join(folder, "input.yaml"))):
        if not d:
            continue
        meta = d.get("metadata", {})
        key = (d["kind"], meta.get("namespace", "default"), meta.get("name"))
        if d["kind"] == "KubeProxyCase":
            config = d
        elif d["kind"] == "Step":
            steps.append(dict(steps[-1]))
        elif d["kind"] == "Delete":
            for kind, field in (("Service", "service"), ("EndpointSlice", "endpointSlice")):
                if field in d:
                    steps[-1].pop((kind,) + tuple(d[field].split("/")), None)
        elif d["kind"] == "List":
            for x in d["items"]:
                steps[-1][(x["kind"], x["metadata"].get("namespace", "default"), x["metadata"]["name"])] = x
        else:
            steps[-1][key] = d
    return config, steps


def v4(a):
    try:
        return a and ipaddress.ip_address(a).version == 4
    except ValueError:
        return False


class Scenario:
    def __init__(self, folder, k=0, load="restore", ports=6, kept=False, mode="iptables"):
        self.folder, self.k, self.load, self.ports, self.nft = folder, k, load, ports, mode == "nftables"
        file = "nftables.transaction.txt" if self.nft else "iptables.txt"
        self.config, self.steps = documents(folder)
        self.name = os.path.basename(os.path.normpath(folder))
        self.sport = 40000
        self.stimuli = []
        self.texts = [self.text(file)]
        n = 2
        while os.path.exists(os.path.join(folder, "step%d/%s" % (n, file))):
            self.texts.append(self.text("step%d/%s" % (n, file)))
            n += 1
        if kept:
            self.texts = [t.replace(" --random-fully", "").replace(" fully-random", "") for t in self.texts]
        self.random = any("--random-fully" in t or "fully-random" in t for t in self.texts)
        if self.nft:
            self.texts = [t.replace("numgen random mod", "numgen inc mod") for t in self.texts]
        else:
            # A probability that a partial sync leaves alone was changed before: each chain alone is chosen from.
            self.texts = [choose(t, k) for t in self.texts]
        self.local, self.remote, self.other = {}, {}, {}
        nodes = {}
        for objects in self.steps:
            for (kind, _, _), o in objects.items():
                for e in (o.get("endpoints") or []) if kind == "EndpointSlice" else []:
                    for a in e["addresses"]:
                        nodes[a] = e.get("nodeName")
        for text in self.texts:
            for proto, ip, port in (reached_nft if self.nft else reached)(text):
                mine = nodes.get(ip) == "node1"
                there = ip.startswith("10.244.") or nodes.get(ip) and not ip.startswith("192.168.0.")
                to = self.local if mine else self.remote if there else self.other
                if len(to) < 12 or ip in to:
                    to.setdefault(ip, set()).add((proto, port))
        self.local.setdefault(POD, set())
        self.remote.setdefault(POD2, set())
        self.health = set()
        self.outside = {OUTSIDE}

    def text(self, path):
        return open(os.path.join(self.folder, path)).read()

    # ---------------------------------------------------------------- packets
    def send(self, host, src, dst, port, proto):
        if proto == "sctp":
            pl = self.sport.to_bytes(2, "big") + int(port).to_bytes(2, "big") + b"\0\0\0\0\0\0\0\0" + b"\x01\0\0\x14" + b"\0\0\0\1" + b"\0\1\0\0" + b"\0\1\0\1" + b"\0\0\0\1"
            s = {"do": "raw", "host": host, "pkt": {"proto": 132, "src": src, "dst": dst, "payload": pl.decode("latin1"), "ipid": self.sport}}
        else:
            s = {"do": proto, "host": host, "src": "%s:%d" % (src, self.sport), "dst": "%s:%d" % (dst, port)}
        self.sport += 1
        self.stimuli.append(s)

    def sources(self, to_world):
        """who sends: [(host, source address)]"""
        own = [("pod", POD), ("node1", "0.0.0.0"), ("client", OUTSIDE)]
        chosen = next((ip for ip in self.local if ip != POD), None)
        if chosen:
            own.append((self.names[chosen], chosen))
        if to_world:
            own += [("node2", NODE2), ("pod2", POD2)] + [("client", a) for a in sorted(self.outside - {OUTSIDE})]
        return own

    def packets(self, objects):
        done = 0
        for (kind, ns, name), s in sorted(objects.items(), key=lambda x: x[0]):
            if kind != "Service":
                continue
            spec = s["spec"]
            ips = [a for a in spec.get("clusterIPs") or [spec.get("clusterIP")] if v4(a)]
            if not ips:
                continue
            world = [a for a in spec.get("externalIPs") or [] if v4(a)]
            world += [i["ip"] for i in ((s.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [] if v4(i.get("ip"))]
            for p in spec.get("ports") or []:
                if done >= self.ports:
                    return
                done += 1
                proto, port = p.get("protocol", "TCP").lower(), p["port"]
                for dst, there in [(ips[0], False)] + [(a, True) for a in world]:
                    for host, src in self.sources(there):
                        self.send(host, NODE if host == "node1" and proto == "sctp" else src, dst, port, proto)
                if p.get("nodePort"):
                    for host, src in self.sources(True):
                        self.send(host, NODE if host == "node1" and proto == "sctp" else src, NODE, p["nodePort"], proto)
                    self.send("node1", "127.0.0.1", "127.0.0.1", p["nodePort"], proto)
                    self.send("pod", POD, "10.244.1.254", p["nodePort"], proto)
            self.send("pod", POD, ips[0], 4711, "tcp")
            if spec.get("healthCheckNodePort"):
                self.send("client", OUTSIDE, NODE, spec["healthCheckNodePort"], "tcp")

    def rules(self, text):
        if self.nft:
            self.stimuli.append({"do": "cmd", "host": "node1", "argv": ["nft", "-f", "-"], "stdin": text})
            return
        for n in dict.fromkeys(re.findall(r"--nfacct-name (\S+)", text)):
            self.stimuli.append({"do": "cmd", "host": "node1", "argv": ["nfacct", "add", n]})
        for t in (text, jumps(text)) if text is self.texts[0] else (text,):
            if self.load == "cmd":
                self.stimuli.append({"do": "cmd", "host": "node1", "argv": ["iptables-legacy-restore", "--noflush", "--counters"], "stdin": t})
            else:
                self.stimuli.append({"do": "restore", "host": "node1", "iptables": t, "noflush": True})

    # ---------------------------------------------------------------- boxes
    def servers(self, ip, ports):
        out = []
        for proto, port in sorted(ports):
            if proto in ("tcp", "udp"):
                out.append({"proto": proto, "bind": "%s:%d" % (ip, port), "mode": self.mode()})
        return out

    def mode(self):
        return "sink" if self.random else "echo"

    def make(self):
        for objects in self.steps:
            for (kind, _, _), o in objects.items():
                if kind != "Service":
                    continue
                if o["spec"].get("healthCheckNodePort"):
                    self.health.add(o["spec"]["healthCheckNodePort"])
                for r in o["spec"].get("loadBalancerSourceRanges") or []:
                    net = ipaddress.ip_network(r.strip(), strict=False)
                    if net.version == 4 and 8 < net.prefixlen < 32 and not net.overlaps(ipaddress.ip_network("10.0.0.0/8")) \
                            and not net.overlaps(ipaddress.ip_network("192.168.0.0/16")):
                        self.outside.add(str(net[9]))
        self.names = {POD: "pod", POD2: "pod2"}
        for ip in list(self.local) + list(self.remote):
            self.names.setdefault(ip, "e-" + ip.replace(".", "-"))
        taken = {NODE, NODE2, CLIENT, API, "10.244.1.254", "10.244.2.254"}
        quiet = {"net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.eth0.send_redirects": 0, "net.ipv4.conf.cni0.send_redirects": 0}
        localhost = self.config.get("localhostNodePorts", True)
        hosts = {"lan": {"sysctl": {"net.bridge.bridge-nf-call-iptables": 0}, "sniff": False}}
        hosts["client"] = {"addrs": {"eth0": [CLIENT + "/24"] + [a + "/32" for a in sorted(self.outside)]}, "routes": ["default via " + NODE]}
        routes = ["default via " + CLIENT] + ["%s via %s" % (ip, API) for ip in self.other if not ip.startswith("192.168.0.")]
        away = [ip for ip in self.remote if not ip.startswith("10.244.2.")]
        here = [ip for ip in self.local if not ip.startswith("10.244.1.")]
        hosts["node1"] = {
            "addrs": {"eth0": [NODE + "/24"], "cni0": ["10.244.1.254/24"]},
            "routes": ["10.244.2.0/24 via " + NODE2] + ["%s via %s" % (ip, NODE2) for ip in away] + ["%s dev cni0" % ip for ip in here] + routes,
            "sysctl": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1,
                       "net.ipv4.conf.all.route_localnet": int(bool(localhost)), **quiet},
            "iptables": "",
            "servers": [{"proto": "tcp", "bind": "0.0.0.0:%d" % p, "mode": self.mode()} for p in sorted(self.health)]}
        hosts["node2"] = {
            "addrs": {"eth0": [NODE2 + "/24"], "cni0": ["10.244.2.254/24"]},
            "routes": ["10.244.1.0/24 via " + NODE] + ["%s via %s" % (ip, NODE) for ip in here] + ["%s dev cni0" % ip for ip in away] + routes,
            "sysctl": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 0, **quiet}}
        links, lan = [], ["client", "node1", "node2"]
        for group, node, gw, net in ((self.local, "node1", "10.244.1.254", "10.244.1."), (self.remote, "node2", "10.244.2.254", "10.244.2.")):
            ports = []
            for n, (ip, served) in enumerate(sorted(group.items())):
                name = self.names[ip]
                near = ip.startswith(net)
                hosts[name] = {"addrs": {"eth0": [ip + ("/24" if near else "/32")]}, "servers": self.servers(ip, served),
                               "routes": ([] if near else [gw + " dev eth0"]) + ["default via " + gw]}
                links.append({"type": "veth", "a": "%s:veth%d" % (node, n), "b": name + ":eth0"})
                ports.append({"dev": "veth%d" % n, "hairpin": True})
            links.append({"type": "bridge", "host": node, "name": "cni0", "ports": ports})
        if self.other:
            addrs = [API + "/24"] + [ip + ("/24" if ip.startswith("192.168.0.") else "/32") for ip in sorted(self.other) if ip not in taken]
            hosts["api"] = {"addrs": {"eth0": addrs}, "routes": ["default via " + NODE],
                            "servers": [s for ip, ports in sorted(self.other.items()) for s in self.servers(ip, ports)]}
            lan.append("api")
        for n in lan:
            links.append({"type": "veth", "a": n + ":eth0", "b": "lan:p-" + n})
        links.append({"type": "bridge", "host": "lan", "name": "br0", "ports": [{"dev": "p-" + n} for n in lan]})
        for text, objects in zip(self.texts, self.steps):
            self.rules(text)
            self.packets(objects)
        return {"name": "K-" + self.name, "title": self.config.get("description", self.name), "nondeterministic": self.random,
                "hosts": hosts, "links": links, "stimuli": self.stimuli}


def parts(scenario, size):
    """the scenario with some packets at a time, each time after all the rules that were loaded before them"""
    rules, packets, out = [], [], []
    for st in scenario["stimuli"]:
        if st["do"] in ("cmd", "restore"):
            if packets:
                out.append(rules + packets)
                packets = []
            rules = rules + [st]
            continue
        packets.append(st)
        if len(packets) == size:
            out.append(rules + packets)
            packets = []
    if packets or not out:
        out.append(rules + packets)
    return [dict(scenario, name="%s-%d" % (scenario["name"], n + 1) if len(out) > 1 else scenario["name"], stimuli=s) for n, s in enumerate(out)]


def ambiguous(path):
    """two initial sequence numbers lie so near to each other that the record's relative ones are not to be told apart"""
    return re.search(r'"(?:seq|ack)": "[A-Z]\+\d{5,}"', open(path).read()) is not None


def hold(sc, nflab, out):
    """one scenario on both sides; what differs, or the word same"""
    tools = os.environ["KERNEL_TOOLS"]
    p = {k: os.path.join(out, "%s.%s.json" % (sc["name"], k)) for k in ("scenario", "kernel", "engine")}
    def shifted(st, n):
        """from another port: that moves the initial sequence numbers"""
        host, _, port = st.get("src", "").rpartition(":")
        return dict(st, src="%s:%d" % (host, int(port) + 97 * n)) if host else st

    for n in range(16):
        # Each ping moves the engine's draws on, and with them the ports that rules draw.
        pings = [{"do": "ping", "host": "client", "dst": NODE, "id": 100 + i} for i in range(n)]
        json.dump(dict(sc, stimuli=pings + [shifted(s, n) for s in sc["stimuli"]]), open(p["scenario"], "w"), indent=1)
        r = subprocess.run([nflab, "replay", p["scenario"], "-o", p["engine"]], capture_output=True, text=True)
        if r.returncode or r.stderr:
            return "engine: " + r.stderr.strip()
        if ambiguous(p["engine"]):
            continue
        for _ in range(4):
            r = subprocess.run(["flock", "/tmp/oracle.lock", "python3", os.path.join(tools, "oracle.py"), "run", p["scenario"], "-o", p["kernel"]],
                               capture_output=True, text=True)
            if r.returncode:
                return "kernel: " + r.stderr.strip()[-1500:]
            if not ambiguous(p["kernel"]):
                r = subprocess.run(["python3", os.path.join(tools, "compare.py"), "record", p["kernel"], p["engine"]], capture_output=True, text=True)
                return "same" if r.returncode == 0 else r.stdout.strip() or r.stderr
    return "no record without ambiguous sequence numbers"


def run(cases, nflab, out, size, **options):
    same = total = packets = 0
    os.makedirs(out, exist_ok=True)
    for case in cases:
        file = "nftables.transaction.txt" if options.get("mode") == "nftables" else "iptables.txt"
        if not os.path.exists(os.path.join(case, file)):
            continue
        try:
            whole = Scenario(case, **options).make()
            found = [(sc, hold(sc, nflab, out)) for sc in parts(whole, size)]
        except Exception as x:
            found = [({"name": case}, "no scenario: %r" % x)]
        n = sum(s["do"] not in ("cmd", "restore") for s in whole["stimuli"])
        bad = [(sc["name"], why) for sc, why in found if why != "same"]
        total, same, packets = total + 1, same + (not bad), packets + n
        print("%-44s %3d packets in %d  %s" % (whole["name"], n, len(found), "same" if not bad else "DIFFERS"), flush=True)
        for name, why in bad:
            print("  %s: %s" % (name, why), flush=True)
    print("%d of %d cases the same, %d packets" % (same, total, packets))
    return 0 if same == total else 1


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("do", choices=["make", "run"])
    a.add_argument("case", nargs="+")
    a.add_argument("-o", "--output", default="/tmp/kube-records")
    a.add_argument("--nflab", default="nflab")
    a.add_argument("--choose", type=int, default=0)
    a.add_argument("--load", choices=["restore", "cmd"], default="restore")
    a.add_argument("--mode", choices=["iptables", "nftables"], default="iptables")
    a.add_argument("--kept-ports", action="store_true")
    a.add_argument("--ports", type=int, default=6, help="so many ports of Services at most are tried")
    a.add_argument("--size", type=int, default=12, help="packets of one scenario; in a long one sequence numbers come too near to each other")
    x = a.parse_args()
    options = dict(k=x.choose, load=x.load, ports=x.ports, kept=x.kept_ports, mode=x.mode)
    if x.do == "make":
        json.dump(Scenario(x.case[0], **options).make(), open(x.output, "w"), indent=1)
        return 0
    return run(x.case, x.nflab, x.output, x.size, **options)


if __name__ == "__main__":
    sys.exit(main())
