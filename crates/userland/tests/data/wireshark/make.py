#!/usr/bin/env python3
"""Asks tshark what it reads in capture files: NAME.pcapng.gz -> NAME.fields.gz, NAME.filters.

    make.py [--nflab PROGRAM] [NAME ...]

With --nflab the files NAME.pcapng.gz are made anew by the commands of files.txt. A NAME with a star is asked all filters,
which takes minutes. Made with tshark 4.0.17. Fields are those whose names
stand in known.rs: name, place, length, value. Filters are those of filters.txt, each with the numbers of the packets that pass,
or the word "refused". Fragments and segments are not put together, and a segment that was captured twice is read like the
first, as each packet is shown for itself.
"""
import gzip
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).parent
KNOWN = HERE.parents[2] / "src/wireshark/known.rs"
OPTIONS = ["-n", "-o", "ip.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
           "-o", "tcp.no_subdissector_on_error:FALSE",
           # Flannel's port, which Wireshark does not know by itself.
           "-d", "udp.port==8472,vxlan"]


def tshark(file, *args):
    run = subprocess.run(["tshark", "-r", file, *OPTIONS, *args], capture_output=True)
    return run.stdout if run.returncode == 0 else None


def plain(text):
    """Without characters that would end a line, and not too long."""
    text = "".join(c if c.isprintable() else " " for c in text).replace("  ", " ").rstrip()
    return text if len(text) <= 60 else f"{text[:60]}.. {len(text)}"


def fields(file, known):
    out = []
    for number, packet in enumerate(tree.fromstring(tshark(file, "-T", "pdml")).iter("packet"), 1):
        out.append(f"#{number}")
        for e in packet.iter():
            name = e.get("name")
            if name not in known or e.get("pos") is None and name != "data":
                continue
            if name == "data":
                continue
            value = e.get("show") if e.tag == "field" and e.get("show") is not None else ""
            if known[name] == "Group":
                value = ""
            place = f"{e.get('pos')} {e.get('size')}"
            out.append(f"{name} {place} {plain(value)}".rstrip())
    return "\n".join(out) + "\n"


def filters(file):
    out = []
    for line in (HERE / "filters.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        found = tshark(file, "-Y", line, "-T", "fields", "-e", "frame.number")
        numbers = "refused" if found is None else found.decode().replace("\n", " ").strip()
        out.append(f"{line}\n    {numbers}".rstrip())
    return "\n".join(out) + "\n"


def make(program, name, words):
    scenarios = HERE.parents[4] / "tests/data/kernel/scenarios"
    words = [str(scenarios / w) if w.endswith(".json") else w for w in words]
    # A lab whose claims fail ends with 1.
    file = HERE / f"{name}.pcapng"
    subprocess.run([program, *words, "--pcapng", file], stdout=subprocess.DEVNULL)
    if words[0] == "replay":
        # The beginning will do.
        subprocess.run(["tshark", "-r", file, "-c", "150", "-w", f"{file}.cut"], stderr=subprocess.DEVNULL)
        pathlib.Path(f"{file}.cut").rename(file)
    (HERE / f"{name}.pcapng.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    file.unlink()


def main():
    names = sys.argv[1:]
    program = None
    if names[:1] == ["--nflab"]:
        program, names = names[1], names[2:]
    for line in (HERE / "files.txt").read_text().splitlines():
        name, *words = line.split()
        star, name = name.endswith("*"), name.rstrip("*")
        if name == "#" or names and name not in names:
            continue
        if program:
            make(program, name, words)
        file = HERE / f"{name}.pcapng.gz"
        packed = gzip.compress(fields(file, KNOWN_FIELDS).encode(), mtime=0)
        (HERE / f"{name}.fields.gz").write_bytes(packed)
        if star:
            (HERE / f"{name}.filters").write_text(filters(file))


KNOWN_FIELDS = dict(re.findall(r'f\("([^"]+)", "[^"]*", (\w+)', KNOWN.read_text()))
main()
