//! DNS (packet-dns.c).

use super::Dissector;
use crate::wireshark::tree::{Tree, Value};

impl Dissector<'_> {
    pub(super) fn dns(&mut self, at: usize, end: usize) -> Option<()> {
        self.t.group("dns", at, end.saturating_sub(at));
        self.dns_message(at, end)
    }

    /// The messages of a segment, each behind its length. One that goes on in the next segment is data.
    pub(super) fn dns_over_tcp(&mut self, mut at: usize, end: usize) -> Option<()> {
        while at < end {
            let next = at + 2 + usize::from(self.t.word(at)?);
            if next > end {
                return self.data(at, end - at);
            }
            self.t.group("dns", at, next - at);
            self.t.number("dns.length", at, 2)?;
            self.dns_message(at + 2, next)?;
            at = next;
        }
        Some(())
    }

    fn dns_message(&mut self, at: usize, end: usize) -> Option<()> {
        let t = &mut self.t;
        t.number("dns.id", at, 2)?;
        let flags = t.number("dns.flags", at + 2, 2)?;
        let response = flags & 0x8000 != 0;
        t.note(if response { "response" } else { "query" });
        t.open();
        for (name, bit, only_in_responses) in [
            ("dns.flags.response", 0x8000, false),
            ("dns.flags.opcode", 0, false),
            ("dns.flags.authoritative", 0x0400, true),
            ("dns.flags.truncated", 0x0200, false),
            ("dns.flags.recdesired", 0x0100, false),
            ("dns.flags.recavail", 0x0080, true),
            ("dns.flags.z", 0x0040, false),
            ("dns.flags.authenticated", 0x0020, true),
            ("dns.flags.checkdisable", 0x0010, false),
        ] {
            if bit == 0 {
                t.add_number(name, at + 2, 2, flags >> 11 & 15);
            } else if response || !only_in_responses || name == "dns.flags.authenticated" && flags & bit != 0
            {
                t.add_number(name, at + 2, 2, i64::from(flags & bit != 0));
            }
        }
        if response {
            t.add_number("dns.flags.rcode", at + 2, 2, flags & 15);
            t.note(match flags & 15 {
                0 => "No error",
                1 => "Format error",
                2 => "Server failure",
                3 => "No such name",
                5 => "Refused",
                _ => "",
            });
        }
        t.close();
        let mut counts = [0; 4];
        let names = ["dns.count.queries", "dns.count.answers", "dns.count.auth_rr", "dns.count.add_rr"];
        for ((count, name), place) in counts.iter_mut().zip(names).zip((at + 4..).step_by(2)) {
            *count = t.number(name, place, 2)?;
        }
        let [queries, rest @ ..] = counts;
        let mut message = Message { t, start: at, end };
        let mut next = at + 12;
        for _ in 0..queries {
            next = message.question(next)?;
        }
        for _ in 0..rest.iter().sum::<i64>() {
            next = message.record(next)?;
        }
        self.t.close();
        Some(())
    }
}

struct Message<'t, 'a> {
    t: &'t mut Tree<'a>,
    start: usize,
    end: usize,
}

impl Message<'_, '_> {
    /// A name (RFC 1035, 4.1.4), how many bytes it takes here, and how many labels it has.
    fn name(&self, at: usize) -> Option<(String, usize, i64)> {
        let (mut name, mut place, mut taken, mut labels) = (String::new(), at, None, 0);
        // Each pointer leads back, so there are no more of them than labels fit.
        for _ in 0..128 {
            let len = self.t.byte(place).filter(|_| place < self.end)?;
            match len {
                0 => {
                    let taken = taken.unwrap_or_else(|| place + 1 - at);
                    return Some((if name.is_empty() { "<Root>".to_owned() } else { name }, taken, labels));
                }
                0xc0.. => {
                    taken.get_or_insert_with(|| place + 2 - at);
                    place = self.start + usize::from(self.t.word(place)? & 0x3fff);
                }
                _ => {
                    let label = self.t.bytes(place + 1, usize::from(len))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(&String::from_utf8_lossy(label));
                    labels += 1;
                    place += 1 + usize::from(len);
                }
            }
        }
        None
    }

    /// A field that is a name; where it ends.
    fn add_name(&mut self, field: &'static str, at: usize) -> Option<usize> {
        let (name, len, _) = self.name(at)?;
        self.t.add(field, at, len, Value::Text(name));
        Some(at + len)
    }

    fn kind(&mut self, field: &'static str, at: usize) -> Option<i64> {
        let kind = self.t.number(field, at, 2)?;
        self.t.note(type_name(kind));
        Some(kind)
    }

    fn question(&mut self, at: usize) -> Option<usize> {
        let (name, len, labels) = self.name(at)?;
        let letters = if name == "<Root>" { 6 } else { name.len() };
        self.t.add("dns.qry.name", at, len, Value::Text(name));
        self.t.open();
        self.t.add_number("dns.qry.name.len", at, len, letters as i64);
        self.t.add_number("dns.count.labels", at, len, labels);
        self.kind("dns.qry.type", at + len)?;
        self.t.number("dns.qry.class", at + len + 2, 2)?;
        self.t.note("IN");
        self.t.close();
        Some(at + len + 4)
    }

    fn record(&mut self, at: usize) -> Option<usize> {
        let mut place = self.add_name("dns.resp.name", at)?;
        self.t.open();
        let kind = self.kind("dns.resp.type", place)?;
        let t = &mut self.t;
        if kind == 41 {
            t.number("dns.rr.udp_payload_size", place + 2, 2)?;
            t.number("dns.resp.ext_rcode", place + 4, 1)?;
            t.number("dns.resp.edns0_version", place + 5, 1)?;
            t.number("dns.resp.z", place + 6, 2)?;
        } else {
            t.number("dns.resp.class", place + 2, 2)?;
            t.note("IN");
            t.number("dns.resp.ttl", place + 4, 4)?;
            t.note("seconds");
        }
        let len = usize::try_from(t.number("dns.resp.len", place + 8, 2)?).ok()?;
        place += 10;
        match kind {
            1 => drop(t.ipv4("dns.a", place)?),
            28 => drop(t.ipv6("dns.aaaa", place)?),
            2 => drop(self.add_name("dns.ns", place)?),
            5 => drop(self.add_name("dns.cname", place)?),
            12 => drop(self.add_name("dns.ptr.domain_name", place)?),
            6 => {
                let next = self.add_name("dns.soa.mname", place)?;
                let next = self.add_name("dns.soa.rname", next)?;
                let names = [
                    "dns.soa.serial_number",
                    "dns.soa.refresh_interval",
                    "dns.soa.retry_interval",
                    "dns.soa.expire_limit",
                    "dns.soa.minimum_ttl",
                ];
                for (name, at) in names.into_iter().zip((next..).step_by(4)) {
                    self.t.number(name, at, 4)?;
                }
            }
            33 => {
                for (name, at) in ["dns.srv.priority", "dns.srv.weight", "dns.srv.port"]
                    .into_iter()
                    .zip((place..).step_by(2))
                {
                    self.t.number(name, at, 2)?;
                }
                self.add_name("dns.srv.target", place + 6)?;
            }
            _ => {}
        }
        self.t.close();
        Some(place + len)
    }
}

fn type_name(kind: i64) -> &'static str {
    match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        41 => "OPT",
        _ => "",
    }
}
