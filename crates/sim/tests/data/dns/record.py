#!/usr/bin/env python3
"""Asks dig and nslookup of this machine, against a server that gives the answers of answers.txt (name, type, message in hex).
Run it as `unshare -mn`: the server is 10.0.0.53 on lo, and /etc/resolv.conf is that of the tests."""
import os, socket, subprocess, threading
here = os.path.dirname(os.path.abspath(__file__))
answers = {}
for line in open(f"{here}/answers.txt"):
    name, kind, text = line.split()
    answers[name.lower(), int(kind)] = bytes.fromhex(text)
subprocess.run("ip link set lo up; ip addr add 10.0.0.53/32 dev lo", shell=True, check=True)
open("/tmp/resolv.tests", "w").write(
    "nameserver 10.0.0.53\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n")
subprocess.run("mount --bind /tmp/resolv.tests /etc/resolv.conf", shell=True, check=True)


def serve():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.0.0.53", 53))
    while True:
        query, client = s.recvfrom(4096)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        name, kind = ".".join(labels).lower(), int.from_bytes(query[at + 1:at + 3], "big")
        answer = answers.get((name, kind))
        if answer is None:  # Nobody has that name.
            flags = b"\x85\x03" if name.endswith("cluster.local") else b"\x81\x02"
            answer = b"\0\0" + flags + b"\0\1\0\0\0\0\0\0" + query[12:at + 5]
        s.sendto(query[:2] + answer[2:], client)


threading.Thread(target=serve, daemon=True).start()
COMMANDS = """dig web.default.svc.cluster.local
dig two.default.svc.cluster.local
dig +short two.default.svc.cluster.local
dig six.default.svc.cluster.local AAAA
dig six.default.svc.cluster.local
dig text.cluster.local TXT
dig alias.cluster.local
dig _http._tcp.web.default.svc.cluster.local SRV
dig -x 10.96.0.80
dig nosuch.default.svc.cluster.local
dig @10.0.0.53 web.default.svc.cluster.local
dig +search +short web
nslookup web
nslookup web.default.svc.cluster.local
nslookup two
nslookup six
nslookup alias
nslookup 10.96.0.80
nslookup -type=srv _http._tcp.web.default.svc.cluster.local
nslookup web.default.svc.cluster.local 10.0.0.53"""
out = ""
for command in COMMANDS.splitlines():
    run = subprocess.run(command.split(), capture_output=True, text=True)
    out += f"$ {command}\n{run.stdout}[exit {run.returncode}]\n"
open(f"{here}/printed.txt", "w").write(out)
