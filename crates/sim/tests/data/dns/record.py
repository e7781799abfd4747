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


def answer_to(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += query[at] + 1
    name, kind, end = ".".join(labels).lower(), int.from_bytes(query[at + 1:at + 3], "big"), at + 5
    answer = answers.get((name, kind))
    if answer is None:  # Nobody has that name.
        flags = b"\x85\x03" if name.endswith("cluster.local") else b"\x81\x02"
        answer = b"\0\0" + flags + b"\0\1\0\0\0\0\0\0" + query[12:end]
    # Who asks with EDNS gets it back: the root, OPT and the size.
    room, opt = 512, b""
    if query[10:12] == b"\0\1":
        room, opt = int.from_bytes(query[end + 3:end + 5], "big"), query[end:end + 5] + bytes(6)
    more = int.from_bytes(answer[10:12], "big") + (1 if opt else 0)
    return query[:2] + answer[2:10] + more.to_bytes(2, "big") + answer[12:] + opt, room, end, opt


def serve():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.0.0.53", 53))
    while True:
        query, client = s.recvfrom(4096)
        answer, room, end, opt = answer_to(query)
        if len(answer) > room:  # Cut behind the question.
            answer = query[:2] + bytes([answer[2] | 2, answer[3]]) + b"\0\1" + bytes(5) + (b"\1" if opt else b"\0")
            answer += query[12:end] + opt
        s.sendto(answer, client)


def serve_tcp():
    s = socket.create_server(("10.0.0.53", 53))
    while True:
        c, _ = s.accept()
        while head := c.recv(2, socket.MSG_WAITALL):
            answer = answer_to(c.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))[0]
            c.sendall(len(answer).to_bytes(2, "big") + answer)


threading.Thread(target=serve, daemon=True).start()
threading.Thread(target=serve_tcp, daemon=True).start()
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
nslookup web.default.svc.cluster.local 10.0.0.53
dig +tcp web.default.svc.cluster.local
dig +tcp +short two.default.svc.cluster.local
dig +vc +notcp +noedns web.default.svc.cluster.local
dig +noedns many.default.svc.cluster.local
dig many.default.svc.cluster.local
dig most.default.svc.cluster.local
dig +short most.default.svc.cluster.local
dig +noedns +search +short many
nslookup many
nslookup -vc web
nslookup -vc nosuch
dig +noall +answer two.default.svc.cluster.local
dig +noall +answer +stats web.default.svc.cluster.local
dig +nocmd +noquestion web.default.svc.cluster.local
dig +nocomments web.default.svc.cluster.local
dig +nostats nosuch.default.svc.cluster.local
dig +noall +comments +question web.default.svc.cluster.local
dig +noall +cmd +answer web.default.svc.cluster.local
dig +noanswer +noall +all web.default.svc.cluster.local
dig +short +stats two.default.svc.cluster.local
dig +noall web.default.svc.cluster.local
dig +noall +answer -t FOO web.default.svc.cluster.local"""
out = ""
for command in COMMANDS.splitlines():
    run = subprocess.run(command.split(), capture_output=True, text=True)
    out += f"$ {command}\n{run.stdout}[exit {run.returncode}]\n"
open(f"{here}/printed.txt", "w").write(out)
