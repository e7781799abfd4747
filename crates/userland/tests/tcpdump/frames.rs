//! Packets of every kind.

use packet::{
    Arp, ArpOp, Dns, DnsData, DnsName, DnsRecord, Frame, Icmp, Icmp6, IcmpBody, Ip, L4, Mac, Payload,
    Protocol, Tcp, TcpFlags, TcpOptions, Udp, Vxlan, dns_type, rcode,
};
use std::net::IpAddr;
fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

fn ip(src: &str, dst: &str, l4: L4) -> Ip {
    Ip::new(src.parse::<IpAddr>().unwrap(), dst.parse::<IpAddr>().unwrap(), l4)
}

fn frame(ip: Ip) -> Frame {
    Frame { src: mac(1), dst: mac(2), payload: Payload::Ip(ip) }
}

fn tcp(sport: u16, dport: u16, flags: TcpFlags, payload: &[u8]) -> L4 {
    let options = if flags.has(TcpFlags::SYN) {
        TcpOptions { mss: Some(1460), sack_ok: true, ts: Some((9, 0)), wscale: Some(7) }
    } else {
        TcpOptions::default()
    };
    let payload = payload.to_vec();
    L4::Tcp(Tcp { sport, dport, seq: 1000, ack: 77, flags, window: 502, options, checksum_ok: true, payload })
}

fn udp(sport: u16, dport: u16, payload: &[u8]) -> L4 {
    L4::Udp(Udp { sport, dport, checksum_ok: true, payload: payload.into() })
}

fn icmp(kind: u8, code: u8, body: IcmpBody) -> L4 {
    L4::Icmp(Icmp { kind, code, checksum_ok: true, body })
}

fn arp(op: ArpOp, src: &str, dst: &str) -> Frame {
    let (spa, tpa) = (src.parse().unwrap(), dst.parse().unwrap());
    let arp = Arp { op, sha: mac(1), spa, tha: Mac::ZERO, tpa };
    Frame { src: mac(1), dst: Mac::BROADCAST, payload: Payload::Arp(arp) }
}

/// Packets of every kind, with addresses and ports that many filters ask for.
pub fn frames() -> Vec<Frame> {
    let (a, b, c) = ("10.0.0.1", "10.0.0.2", "192.168.1.9");
    let (six, seven) = ("fd00::1", "fd00::2");
    let all = [TcpFlags::SYN, TcpFlags::SYN | TcpFlags::ACK, TcpFlags::ACK, TcpFlags::PSH | TcpFlags::ACK]
        .into_iter()
        .chain([TcpFlags::FIN | TcpFlags::ACK, TcpFlags::RST, TcpFlags::RST | TcpFlags::ACK, TcpFlags::URG])
        .chain([TcpFlags::ECE | TcpFlags::CWR | TcpFlags::SYN]);
    let mut out: Vec<Frame> = all.map(|f| frame(ip(a, b, tcp(40000, 80, f, b"")))).collect();
    out.push(frame(ip(b, a, tcp(80, 40000, TcpFlags::PSH | TcpFlags::ACK, &[b'x'; 900]))));
    out.push(frame(ip(a, c, tcp(22, 443, TcpFlags::ACK, b"GET / HTTP/1.1\r\n"))));
    out.push(frame(ip(c, a, udp(53, 5353, b"answer"))));
    out.push(frame(ip(a, c, udp(5353, 53, b""))));
    out.push(frame(ip(a, b, udp(1069, 69, b"\0\x01file\0octet\0"))));
    out.push(frame(ip(b, b, udp(80, 80, &[0; 40]))));
    out.push(frame(ip(a, "224.0.0.251", udp(5353, 5353, b"m"))));
    out.push(frame(ip(a, "255.255.255.255", udp(68, 67, &[1; 240]))));
    let query = IcmpBody::Query { id: 7, seq: 1, payload: vec![0; 56] };
    out.push(frame(ip(a, b, icmp(8, 0, query.clone()))));
    out.push(frame(ip(b, a, icmp(0, 0, query.clone()))));
    let inner = ip(a, c, udp(5353, 53, b"q"));
    for (kind, code, mtu) in [(3, 3, 0), (3, 4, 1400), (3, 1, 0), (11, 0, 0)] {
        let body = IcmpBody::Error { gateway: None, mtu, inner: Box::new(inner.clone()), quoted: None };
        out.push(frame(ip(c, a, icmp(kind, code, body))));
    }
    let mut first = ip(a, b, udp(9, 80, &[3; 64]));
    let bytes = first.payload_bytes();
    out.extend([(0, 24), (24, 72)].map(|(from, to)| frame(first.part(&bytes, from, to))));
    first.frag.df = true;
    out.push(frame(first));
    let mut odd = ip(a, b, tcp(1, 2, TcpFlags::default(), b""));
    (odd.ttl, odd.tos, odd.id) = (1, 0xb8, 0xbeef);
    out.push(frame(odd));
    out.push(frame(ip(
        a,
        b,
        L4::Other(Protocol::SCTP, vec![0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 4]),
    )));
    out.push(frame(ip(a, b, L4::Other(Protocol::GRE, vec![0, 0, 8, 0]))));
    out.push(frame(ip(a, b, L4::Other(Protocol::ESP, vec![1; 20]))));
    out.push(frame(ip(a, b, L4::Other(Protocol::DCCP, vec![0, 80, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0]))));
    out.push(frame(ip(a, "224.0.0.1", L4::Other(Protocol::IGMP, vec![0x11, 0, 0, 0, 0, 0, 0, 0]))));
    out.push(frame(ip(six, seven, tcp(40000, 80, TcpFlags::SYN, b""))));
    out.push(frame(ip(seven, six, tcp(80, 40000, TcpFlags::SYN | TcpFlags::ACK, b""))));
    out.push(frame(ip(six, "ff02::fb", udp(53, 53, b"six"))));
    out.push(frame(ip(six, seven, L4::Icmp6(Icmp6 { kind: 128, code: 0, checksum_ok: true, body: query }))));
    out.push(arp(ArpOp::Request, a, b));
    out.push(arp(ArpOp::Reply, b, a));
    out.push(arp(ArpOp::Request, c, "10.1.0.0"));
    let mut back = frame(ip(b, a, tcp(443, 22, TcpFlags::ACK, b"")));
    (back.src, back.dst) = (mac(2), mac(1));
    out.push(back);
    let mut group = frame(ip(c, "239.1.2.3", udp(4000, 8000, &[9; 100])));
    group.dst = Mac([1, 0, 0x5e, 1, 2, 3]);
    out.push(group);
    out
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn dns_name(text: &str) -> DnsName {
    DnsName::new(text).unwrap()
}

fn record(owner: &str, kind: u16, data: DnsData) -> DnsRecord {
    DnsRecord { name: dns_name(owner), kind, class: 1, ttl: 30, data }
}

/// Queries and answers, and a TCP connection that asks too.
fn dns() -> Vec<Frame> {
    let (client, server) = ("10.0.0.1", "10.96.0.10");
    let ask = |dns: &Dns| frame(ip(client, server, udp(40010, 53, &dns.to_bytes())));
    let say = |dns: &Dns| frame(ip(server, client, udp(53, 40010, &dns.to_bytes())));
    let (web, kubernetes) = ("web.default.svc.cluster.local", "kubernetes.default.svc.cluster.local");
    let mut out = Vec::new();
    let query = Dns::query(4660, dns_name(web), dns_type::A);
    out.push(ask(&query));
    let mut answer = Dns { authoritative: true, ..query.answer() };
    answer.answers.push(record(web, dns_type::A, DnsData::A([10, 96, 0, 80].into())));
    out.push(say(&answer));
    answer.answers.push(record(web, dns_type::A, DnsData::A([10, 96, 0, 81].into())));
    (answer.authoritative, answer.recursion_available) = (false, true);
    answer.authentic = true;
    out.push(say(&answer));
    answer.truncated = true;
    answer.recursion_desired = false;
    out.push(say(&answer));
    for (id, kind) in
        [(1, dns_type::AAAA), (2, dns_type::SRV), (3, dns_type::PTR), (4, dns_type::TXT), (5, 257)]
    {
        out.push(ask(&Dns::query(id, dns_name(kubernetes), kind)));
    }
    for kind in
        [dns_type::HINFO, dns_type::MX, dns_type::NS, dns_type::SOA, dns_type::ANY, dns_type::CNAME, 65]
    {
        out.push(ask(&Dns::query(6, dns_name("x.y"), kind)));
    }
    let soa = DnsData::Soa(Box::new((
        dns_name("ns.dns.cluster.local"),
        dns_name("hostmaster.cluster.local"),
        [9, 8, 7, 6, 5],
    )));
    for code in [rcode::NXDOMAIN, rcode::SERVFAIL, rcode::REFUSED, rcode::FORMERR, rcode::NOTIMP, 6, 9] {
        let mut no = Dns { rcode: code, recursion_available: true, ..query.answer() };
        if code == rcode::NXDOMAIN {
            no.authority.push(record("cluster.local", dns_type::SOA, soa.clone()));
        }
        out.push(say(&no));
    }
    let mut many =
        Dns::query(7, dns_name("_http._tcp.web.default.svc.cluster.local"), dns_type::SRV).answer();
    many.answers.push(record(web, dns_type::SRV, DnsData::Srv(0, 50, 80, dns_name(kubernetes))));
    many.answers.push(record(web, dns_type::CNAME, DnsData::Name(dns_name("a.b"))));
    many.answers.push(record(web, dns_type::PTR, DnsData::Name(dns_name("c.d"))));
    many.answers.push(record(web, dns_type::NS, DnsData::Name(dns_name("e.f"))));
    many.answers.push(record(web, dns_type::TXT, DnsData::Txt(vec![b"v=1".to_vec(), b"two words".to_vec()])));
    many.answers.push(record(web, dns_type::AAAA, DnsData::Aaaa("fd00::5".parse().unwrap())));
    many.additional.push(record(kubernetes, dns_type::A, DnsData::A([10, 96, 0, 1].into())));
    out.push(say(&many));
    let mut root = Dns::query(8, dns_name("."), dns_type::NS);
    root.recursion_desired = false;
    out.push(ask(&root));
    root.checking_disabled = true;
    root.additional.push(DnsRecord {
        name: dns_name("."),
        kind: dns_type::OPT,
        class: 1232,
        ttl: 0,
        data: DnsData::Raw(vec![]),
    });
    out.push(ask(&root));
    out.push(ask(&Dns { opcode: 4, ..query.clone() }));
    let empty = Dns { id: 77, ..Dns::default() };
    out.push(ask(&empty));
    out.push(say(&Dns { response: true, ..empty }));
    let long = query.to_bytes();
    let mut stream = (long.len() as u16).to_be_bytes().to_vec();
    stream.extend(&long);
    out.push(frame(ip(client, server, tcp(40011, 53, TcpFlags::PSH | TcpFlags::ACK, &stream))));
    out.push(frame(ip(client, server, udp(40010, 53, b"garbage"))));
    out
}

/// TFTP on its port and beside it.
fn tftp() -> Vec<Frame> {
    let (client, server) = ("10.0.0.1", "10.0.0.2");
    let ask = |b: &[u8]| frame(ip(client, server, udp(40000, 69, b)));
    let say = |b: &[u8]| frame(ip(server, client, udp(69, 40000, b)));
    vec![
        ask(b"\0\x01dummy.txt\0octet\0"),
        ask(b"\0\x01dummy.txt\0netascii\0blksize\x001428\0tsize\x000\0"),
        ask(b"\0\x02up\0octet\0"),
        say(&[&b"\0\x03\0\x01"[..], &[b'x'; 512]].concat()),
        say(b"\0\x03\x01\0end"),
        ask(b"\0\x04\0\x01"),
        say(b"\0\x05\0\x01File not found\0"),
        say(b"\0\x05\0\x00odd\0"),
        say(b"\0\x05\0\x63odd\0"),
        say(b"\0\x06blksize\x001428\0"),
        say(b"\0\x09what"),
        say(b"\0"),
        frame(ip(server, client, udp(40001, 40000, b"\0\x03\0\x01data"))),
    ]
}

/// Two connections with HTTP in them.
fn http() -> Vec<Frame> {
    let mut out = Vec::new();
    let get = b"GET / HTTP/1.1\r\nHost: nginx\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
    let ok = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 6\r\n\r\nhello\n";
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    for (client, sport, dport) in [("10.0.0.1", 40000, 80), ("10.0.0.9", 40001, 8080), ("10.0.0.1", 7, 9000)]
    {
        let server = "10.0.0.2";
        let (mut seq, mut other) = (1_000_000_u32, 4_294_967_290_u32);
        let mut send = |ours: bool, flags: TcpFlags, payload: &[u8]| {
            let (a, b, s, d) =
                if ours { (client, server, sport, dport) } else { (server, client, dport, sport) };
            let mut l4 = tcp(s, d, flags, payload);
            if let L4::Tcp(t) = &mut l4 {
                (t.seq, t.ack) = if ours { (seq, other) } else { (other, seq) };
                if !flags.has(ack) {
                    t.ack = 0;
                }
                if !flags.has(syn) {
                    t.options.ts = Some((5, 6));
                }
                let len = t.seq_len();
                if ours { seq = seq.wrapping_add(len) } else { other = other.wrapping_add(len) }
            }
            out.push(frame(ip(a, b, l4)));
        };
        send(true, syn, b"");
        send(false, syn | ack, b"");
        send(true, ack, b"");
        send(true, TcpFlags::PSH | ack, get);
        send(false, ack, b"");
        send(false, TcpFlags::PSH | ack, ok);
        send(false, ack, b"<html>\n<head><title>Welcome to nginx!</title></head>\n");
        send(false, ack, &[0, 1, 2, 200]);
        send(true, TcpFlags::FIN | ack, b"");
        send(false, TcpFlags::RST, b"");
        send(true, TcpFlags::RST | ack, b"");
    }
    out
}

/// ICMP of every kind that is known, about packets of every kind.
fn icmps() -> Vec<Frame> {
    let (router, host) = ("10.0.0.254", "10.0.0.1");
    let mut out = Vec::new();
    let inners = [
        ip(host, "10.9.9.9", udp(40000, 53, b"query")),
        ip(host, "10.9.9.9", tcp(40000, 80, TcpFlags::SYN, b"")),
        ip(host, "10.9.9.9", icmp(8, 0, IcmpBody::Query { id: 3, seq: 4, payload: vec![0; 8] })),
        ip(host, "10.9.9.9", L4::Other(Protocol::ESP, vec![0; 12])),
        ip(host, "10.9.9.9", udp(40000, 69, b"\0\x01dummy.txt\0octet\0")),
    ];
    let error = |kind, code, mtu, inner: &Ip| {
        let body = IcmpBody::Error { gateway: None, mtu, inner: Box::new(inner.clone()), quoted: None };
        frame(ip(router, host, icmp(kind, code, body)))
    };
    for code in 0..16 {
        out.push(error(3, code, if code == 4 { 1400 } else { 0 }, &inners[0]));
    }
    out.push(error(3, 4, 0, &inners[1]));
    for inner in &inners {
        out.push(error(3, 3, 0, inner));
        out.push(error(3, 2, 0, inner));
    }
    out.push(error(11, 0, 0, &inners[1]));
    out.push(error(11, 1, 0, &inners[0]));
    out.push(error(4, 0, 0, &inners[0]));
    for code in 0..5 {
        let gateway = Some([10, 0, 0, 253].into());
        let body = IcmpBody::Error { gateway, mtu: 0, inner: Box::new(inners[0].clone()), quoted: None };
        out.push(frame(ip(router, host, icmp(5, code, body))));
    }
    let body = IcmpBody::Error {
        gateway: Some([20, 0, 0, 0].into()),
        mtu: 0,
        inner: Box::new(inners[0].clone()),
        quoted: None,
    };
    out.push(frame(ip(router, host, icmp(12, 0, body))));
    for kind in [13, 14, 15, 16, 17, 18, 40] {
        out.push(frame(ip(router, host, icmp(kind, 0, IcmpBody::Raw(vec![0; 16])))));
    }
    out
}

/// Frames of protocols that are not read: SCTP, GRE, DCCP, IGMP, BOOTP and mDNS.
const NOT_READ: &[usize] = &[15, 16, 27, 28, 30, 31];

/// What is printed: all that filters were shown, and conversations.
pub fn talk() -> Vec<Frame> {
    let read = |(n, frame)| (!NOT_READ.contains(&n)).then_some(frame);
    let mut out: Vec<Frame> = frames().into_iter().enumerate().filter_map(read).collect();
    out.extend(http());
    out.extend(dns());
    out.extend(tftp());
    out.extend(icmps());
    let mut bad = ip("10.0.0.1", "10.0.0.2", udp(1000, 2000, b"bad"));
    if let L4::Udp(u) = &mut bad.l4 {
        u.checksum_ok = false;
    }
    out.push(frame(bad));
    let mut bad = ip("10.0.0.1", "10.0.0.2", tcp(1000, 2000, TcpFlags::ACK, b"bad"));
    if let L4::Tcp(t) = &mut bad.l4 {
        t.checksum_ok = false;
    }
    out.push(frame(bad));
    for tos in [1, 2, 3, 0x10] {
        let mut ip = ip("127.0.0.1", "127.0.0.1", udp(1000, 2000, b""));
        ip.tos = tos;
        out.push(Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: Payload::Ip(ip) });
    }
    for line in [&b"220 ftp ready\r\n"[..], b"PORT 10,0,0,1,4,1\r\nrest", b"no end"] {
        out.push(frame(ip("10.0.0.1", "10.0.0.2", tcp(1000, 21, TcpFlags::ACK, line))));
    }
    let inner = frame(ip("10.244.0.2", "10.244.1.2", tcp(1000, 2000, TcpFlags::SYN, b"")));
    for inner in [inner, arp(ArpOp::Request, "10.244.0.2", "10.244.1.2")] {
        if let Payload::Ip(ip) = &inner.payload {
            out.push(frame(crate::frames::ip(
                "10.0.0.1",
                "10.0.0.2",
                L4::Other(Protocol::IPIP, ip.to_bytes().unwrap()),
            )));
        }
        let vxlan = Vxlan { vni: 1, frame: inner }.to_bytes().unwrap();
        out.push(frame(ip("10.0.0.1", "10.0.0.2", udp(50000, 4789, &vxlan))));
        out.push(frame(ip("10.0.0.1", "10.0.0.2", udp(50000, 8472, &vxlan))));
    }
    let inner = ip("fd00::1", "fd00::9", udp(40000, 53, b"query"));
    for (kind, code) in [(1, 0), (1, 1), (1, 3), (1, 4), (2, 0), (3, 0)] {
        let body = IcmpBody::Error { gateway: None, mtu: 1400, inner: Box::new(inner.clone()), quoted: None };
        out.push(frame(ip("fd00::2", "fd00::1", L4::Icmp6(Icmp6 { kind, code, checksum_ok: true, body }))));
    }
    out.push(arp(ArpOp::Request, "0.0.0.0", "10.0.0.7"));
    out.push(arp(ArpOp::Request, "10.0.0.7", "10.0.0.7"));
    out
}
