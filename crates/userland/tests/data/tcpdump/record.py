#!/usr/bin/env python3
"""Asks the real tcpdump about frames; its answers are made anew.

frames.txt: a frame a line, in hex. filters.txt: a filter a line, and behind a tab what tcpdump says: the numbers of the frames
that pass, or `! ` and its message. talk.txt: frames again. printed.txt: `# LINK OPTIONS`, and what tcpdump prints of them; the
clock begins at 0 and a frame comes every second. SLL and SLL2: all frames come in by device 2, to this host."""
import os, re, struct, subprocess, tempfile

here = os.path.dirname(os.path.abspath(__file__))


def pcap(name, link):
    f = tempfile.NamedTemporaryFile(suffix=".pcap", delete=False)
    f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, {"EN10MB": 1, "SLL": 113, "SLL2": 276}[link]))
    for n, line in enumerate(open(f"{here}/{name}").read().split()):
        frame = bytes.fromhex(line)
        kind = frame[12:14]
        if link == "SLL":
            frame = struct.pack(">HHH", 0, 1, 6) + frame[6:12] + b"\0\0" + kind + frame[14:]
        if link == "SLL2":
            frame = kind + b"\0\0" + struct.pack(">IHBB", 2, 1, 0, 6) + frame[6:12] + b"\0\0" + frame[14:]
        f.write(struct.pack("<IIII", n, 0, len(frame), len(frame)) + frame)
    f.close()
    return f.name


frames = pcap("frames.txt", "EN10MB")
out = []
for line in open(f"{here}/filters.txt").read().splitlines():
    text = line.split("\t")[0]
    run = subprocess.run(["tcpdump", "-nntt", "-r", frames, "--", text], capture_output=True, text=True)
    if "expression rejects all packets" in run.stderr:
        out.append(f"{text}\t")  # The optimiser has seen that no packet can pass.
    elif run.returncode:
        last = run.stderr.strip().splitlines()[-1]
        out.append(f"{text}\t! {last.removeprefix('tcpdump: ')}")
    else:
        numbers = re.findall(r"^(\d+)\.000000 ", run.stdout, re.M)
        out.append(f"{text}\t{' '.join(numbers)}")
open(f"{here}/filters.txt", "w").write("\n".join(out) + "\n")

LOOKS = [
    ("EN10MB", "-nn"), ("EN10MB", "-nne ip6 or arp or net 127"), ("EN10MB", "-nnv"), ("EN10MB", "-nnvve tcp port 80 or icmp"),
    ("EN10MB", "-nnq"), ("EN10MB", "-n -t -S tcp"), ("EN10MB", "-nnqv -tt ip"), ("EN10MB", "-nn -tttt -X port 53"),
    ("EN10MB", "-nn -A -ttt port 8080"), ("EN10MB", "-n -# -K -v udp"), ("EN10MB", "-nnx -ttttt arp"),
    ("EN10MB", "-nn -vvv -XX port 69"), ("EN10MB", "-nnxx arp"), ("EN10MB", "-nnvvv port 53 or ip6"), ("EN10MB", "-nnvv udp"),
    ("EN10MB", "-t port 80 or port 69"), ("EN10MB", "-nnvvv port 21 or port 4789 or proto 4"), ("SLL", "-nn arp or icmp"),
    ("SLL", "-nne tcp port 80 or arp"), ("SLL", "-nnve udp"), ("SLL2", "-nnve udp"), ("SLL2", "-nne tcp port 80 or arp"),
    ("SLL2", "-nn tcp or ip6"),
]
out = ""
for link, options in LOOKS:
    argv = ["tcpdump", "-r", pcap("talk.txt", link)] + options.split(" ", 99)
    run = subprocess.run(argv, capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C", "PATH": os.environ["PATH"]})
    assert run.returncode == 0, run.stderr
    # The device has no name in a file; on a machine where it lives it has one.
    out += f"# {link} {options}\n" + re.sub(r"^(.{15}) (\S+) +(In|Out|P|B|M) ", r"\1 eth0  In ", run.stdout, flags=re.M)
open(f"{here}/printed.txt", "w").write(out)
