//! DNS (print-domain.c).

use packet::{Dns, DnsData, DnsRecord, dns_type};

/// What is printed of a message; `verbose` is how often `-v` was given.
pub(super) fn text(bytes: &[u8], verbose: u8) -> String {
    if bytes.len() < 12 {
        return format!("domain [length {} < 12] (invalid)", bytes.len());
    }
    let Some(d) = Dns::parse(bytes) else { return format!("[|domain] ({})", bytes.len()) };
    let mut out = d.id.to_string();
    out += match d.opcode {
        0 => "",
        1 => " inv_q",
        2 => " stat",
        4 => " notify",
        5 => " update",
        _ => " op",
    };
    let question = |out: &mut String| {
        if let Some(q) = d.questions.first() {
            *out += &format!(" {}? {}", kind(q.kind), q.name);
        }
    };
    if !d.response {
        out += if d.recursion_desired { "+" } else { "" };
        out += if d.checking_disabled { "%" } else { "" };
        for (n, usual, word) in [
            (d.answers.len(), 0, "a"),
            (d.questions.len(), 1, "q"),
            (d.authority.len(), 0, "n"),
            (d.additional.len(), 0, "au"),
        ] {
            if n != usual {
                out += &format!(" [{n}{word}]");
            }
        }
        question(&mut out);
        if verbose > 2 {
            section(&mut out, " an:", &d.answers, verbose);
        }
        if verbose > 1 {
            section(&mut out, " ns:", &d.authority, verbose);
            section(&mut out, " ar:", &d.additional, verbose);
        }
    } else {
        out += match d.rcode {
            0 => "",
            1 => " FormErr",
            2 => " ServFail",
            3 => " NXDomain",
            4 => " NotImp",
            5 => " Refused",
            6 => " YXDomain",
            7 => " YXRRSet",
            8 => " NXRRSet",
            9 => " NotAuth",
            10 => " NotZone",
            _ => " Resp",
        };
        out += if d.authoritative { "*" } else { "" };
        out += if d.recursion_available { "" } else { "-" };
        out += if d.truncated { "|" } else { "" };
        out += if d.authentic { "$" } else { "" };
        if d.questions.len() != 1 {
            out += &format!(" [{}q]", d.questions.len());
        }
        if verbose > 1 && !d.questions.is_empty() {
            out += " q:";
            question(&mut out);
        }
        out += &format!(" {}/{}/{}", d.answers.len(), d.authority.len(), d.additional.len());
        section(&mut out, "", &d.answers, verbose);
        if verbose > 1 {
            section(&mut out, " ns:", &d.authority, verbose);
            section(&mut out, " ar:", &d.additional, verbose);
        }
    }
    out + &format!(" ({})", bytes.len())
}

fn section(out: &mut String, head: &str, records: &[DnsRecord], verbose: u8) {
    if records.is_empty() {
        return;
    }
    let all: Vec<String> = records.iter().map(|r| record(r, verbose)).collect();
    *out += &format!("{head} {}", all.join(", "));
}

fn record(r: &DnsRecord, verbose: u8) -> String {
    let mut out = String::new();
    if verbose > 0 {
        out += &format!("{} ", r.name);
        if verbose > 2 && r.kind != dns_type::OPT {
            out += &format!("[{}] ", duration(r.ttl));
        }
    }
    out += &kind(r.kind);
    match &r.data {
        DnsData::A(a) => out += &format!(" {a}"),
        DnsData::Aaaa(a) => out += &format!(" {a}"),
        DnsData::Name(name) => out += &format!(" {name}"),
        DnsData::Srv(priority, weight, port, target) => {
            out += &format!(" {target}:{port} {priority} {weight}")
        }
        DnsData::Soa(soa) if verbose > 0 => {
            out += &format!(" {} {}", soa.0, soa.1);
            for n in soa.2 {
                out += &format!(" {n}");
            }
        }
        DnsData::Txt(strings) => {
            for s in strings {
                out += &format!(" \"{}\"", String::from_utf8_lossy(s));
            }
        }
        DnsData::Raw(_) if r.kind == dns_type::OPT => {
            out += &format!(" UDPsize={}", r.class);
            if r.ttl & 0x8000 != 0 {
                out += " DO";
            }
        }
        DnsData::Soa(_) | DnsData::Raw(_) => {}
    }
    out
}

/// The name of a record type.
fn kind(kind: u16) -> String {
    let name = match kind {
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
        35 => "NAPTR",
        41 => "OPT",
        252 => "AXFR",
        255 => "ANY",
        n => return format!("Type{n}"),
    };
    name.to_owned()
}

/// `1h30s` (util-print.c, `unsigned_relts_print`).
fn duration(mut seconds: u32) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (letter, len) in [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
        if seconds >= len {
            out += &format!("{}{letter}", seconds / len);
            seconds %= len;
        }
    }
    out
}
