//! Sets as `ipset list` and `ipset save` print them.

use super::entry::elem_text;
use super::sorted;
use kernel::netfilter::ipset::{Elem, IpSet, Mask, Member, SetType};
use kernel::{Era, Instant};

/// Words with what follows them, if anything does.
type Pairs = Vec<(&'static str, Option<String>)>;

/// `family inet hashsize 1024 ...`
fn header(set: &IpSet, era: Era) -> Pairs {
    let (o, kind) = (&set.options, set.kind);
    let mut out: Pairs = Vec::new();
    let mut with = |word, value: String| out.push((word, Some(value)));
    match kind {
        SetType::BitmapPort => with("range", format!("{}-{}", o.ports.0, o.ports.1)),
        SetType::BitmapIp => with("range", format!("{}-{}", o.ips.0, o.ips.1)),
        SetType::ListSet => with("size", o.size.to_string()),
        _ => {
            with("family", "inet".to_owned());
            with("hashsize", set.hashsize().to_string());
            with("maxelem", o.maxelem.to_string());
        }
    }
    let mask = match o.mask {
        Mask::All => None,
        Mask::Net(n) => Some(("netmask", Some(n.to_string()))),
        Mask::Bits(bits) => Some(("bitmask", Some(bits.to_string()))),
    };
    let mask_last = kind == SetType::HashIpPort;
    out.extend(mask.clone().filter(|_| !mask_last));
    out.extend(o.timeout.map(|n| ("timeout", Some(n.to_string()))));
    for (on, word) in [(o.counters, "counters"), (o.comment, "comment"), (o.skbinfo, "skbinfo")] {
        out.extend(on.then_some((word, None)));
    }
    if kind.is_hash() && era.ipset_bucket_options() {
        out.push(("bucketsize", Some(set.bucketsize().to_string())));
        out.push(("initval", Some(format!("0x{:08x}", o.initval))));
    }
    out.extend(mask.filter(|_| mask_last));
    out
}

/// What stands behind a member.
fn info(set: &IpSet, elem: &Elem, m: &Member, now: Instant) -> Pairs {
    let o = &set.options;
    let mut out: Pairs = Vec::new();
    if o.timeout.is_some() {
        // What has less than a second left is shown with one.
        let left = m.expires.map_or(0, |at| at.since(now).as_secs().max(1));
        out.push(("timeout", Some(left.to_string())));
    }
    out.extend(m.nomatch.then_some(("nomatch", None)));
    out.extend(elem.wildcard.then_some(("wildcard", None)));
    if o.counters {
        out.push(("packets", Some(m.packets.to_string())));
        out.push(("bytes", Some(m.bytes.to_string())));
    }
    out.extend(m.comment.as_ref().map(|text| ("comment", Some(format!("\"{text}\"")))));
    let skb = m.skbinfo;
    if (skb.mark, skb.mask) != (0, 0) {
        let mask = if skb.mask == u32::MAX { String::new() } else { format!("/0x{:x}", skb.mask) };
        out.push(("skbmark", Some(format!("0x{:x}{mask}", skb.mark))));
    }
    if skb.prio != 0 {
        out.push(("skbprio", Some(format!("{:x}:{:x}", skb.prio >> 16, skb.prio & 0xffff))));
    }
    if skb.queue != 0 {
        out.push(("skbqueue", Some(skb.queue.to_string())));
    }
    out
}

/// ` word value word`
fn plain(pairs: &Pairs, out: &mut String) {
    for (word, value) in pairs {
        out.push(' ');
        out.push_str(word);
        if let Some(value) = value {
            out.push(' ');
            out.push_str(value);
        }
    }
}

/// `<word>value</word><word/>`
fn tags(pairs: &Pairs, out: &mut String) {
    for (word, value) in pairs {
        match value {
            Some(value) => out.push_str(&format!("<{word}>{value}</{word}>")),
            None => out.push_str(&format!("<{word}/>")),
        }
    }
}

fn member_lines(set: &IpSet, sort: bool, now: Instant) -> Vec<String> {
    let line = |(elem, m): (&Elem, &Member)| {
        let mut out = elem_text(set.kind, elem);
        plain(&info(set, elem, m, now), &mut out);
        out
    };
    let mut lines: Vec<String> = set.members(now).into_iter().map(line).collect();
    if sort && set.kind.is_hash() {
        sorted::sort(&mut lines);
    }
    lines
}

/// The revision of a type (`IPSET_TYPE_REV_MAX`, net/netfilter/ipset/ip_set_*.c).
fn revision(kind: SetType, era: Era) -> u8 {
    // Two revisions came after skbinfo's: bucketsize for every hash, bitmask for some.
    let (skbinfo, newest) = match kind {
        SetType::BitmapIp | SetType::BitmapPort | SetType::ListSet => (3, 3),
        SetType::HashIp => (4, 6),
        SetType::HashIpPort => (5, 7),
        SetType::HashIpPortIp => (5, 6),
        SetType::HashIpPortNet => (7, 8),
        SetType::HashNet => (6, 7),
        SetType::HashNetPort => (7, 8),
        SetType::HashNetIface => (6, 8),
    };
    if era.ipset_bucket_options() { newest } else { skbinfo }
}

/// A set as `ipset list` prints it, without its members if `terse`; `sort` is `-sorted`.
pub fn list_set(
    set: &IpSet,
    references: usize,
    terse: bool,
    sort: bool,
    era: Era,
    now: Instant,
) -> Vec<String> {
    let members = member_lines(set, sort, now);
    let mut words = String::new();
    plain(&header(set, era), &mut words);
    let mut out = vec![
        format!("Name: {}", set.name),
        format!("Type: {}", set.kind.name()),
        format!("Revision: {}", revision(set.kind, era)),
        format!("Header:{words}"),
        format!("Size in memory: {}", set.memory(now)),
        format!("References: {references}"),
        format!("Number of entries: {}", members.len()),
    ];
    if !terse {
        out.push("Members:".to_owned());
        out.extend(members);
    }
    out
}

/// A set as `ipset save` prints it.
pub fn save_set(set: &IpSet, sort: bool, era: Era, now: Instant) -> Vec<String> {
    let mut create = format!("create {} {}", set.name, set.kind.name());
    plain(&header(set, era), &mut create);
    let members = member_lines(set, sort, now).into_iter().map(|m| format!("add {} {m}", set.name));
    std::iter::once(create).chain(members).collect()
}

/// A set as `ipset -output xml` prints it, between `<ipsets>` and `</ipsets>`.
pub fn list_xml(set: &IpSet, references: usize, terse: bool, era: Era, now: Instant) -> Vec<String> {
    let mut head = "<header>".to_owned();
    tags(&header(set, era), &mut head);
    let members = set.members(now);
    let mut out = vec![
        format!("<ipset name=\"{}\">", set.name),
        format!("<type>{}</type>", set.kind.name()),
        format!("<revision>{}</revision>", revision(set.kind, era)),
        head,
        format!("<memsize>{}</memsize>", set.memory(now)),
        format!("<references>{references}</references>"),
        format!("<numentries>{}</numentries>", members.len()),
        "</header>".to_owned(),
    ];
    if !terse {
        out.push("<members>".to_owned());
        out.extend(members.into_iter().map(|(elem, m)| {
            let mut line = format!("<member><elem>{}</elem>", elem_text(set.kind, elem));
            tags(&info(set, elem, m, now), &mut line);
            line + "</member>"
        }));
        out.push("</members>".to_owned());
    }
    out.push("</ipset>".to_owned());
    out
}
