//! Sets as `ipset list` and `ipset save` print them, `create` options, and ipset's words for the kernel's errors.

use super::entry::{elem_text, proto_port};
use super::{EntryOption, SetOption};
use kernel::netfilter::ipset::{Elem, ElemInfo, IpSet, Member, SetError, SetOptions, SetType};
use kernel::{Era, Instant};
use std::fmt::Write as _;

/// The type of that name, if it is modelled.
pub fn set_type(name: &str) -> Option<SetType> {
    SetType::ALL.into_iter().find(|t| t.name() == name)
}

fn unknown(word: &str) -> String {
    format!("Unknown argument: `{word}'")
}

fn not_modelled(word: &str) -> String {
    format!("option {word} is not modelled")
}

/// The options of `create`, of which each type has its own.
pub fn create_options(kind: SetType, given: &[SetOption]) -> Result<SetOptions, String> {
    let mut out = SetOptions::default();
    let mut range = false;
    let bitmap = kind == SetType::BitmapPort;
    for option in given {
        match option {
            SetOption::FamilyInet if bitmap => return Err(unknown("family")),
            SetOption::HashSize(_) if bitmap => return Err(unknown("hashsize")),
            SetOption::MaxElem(_) if bitmap => return Err(unknown("maxelem")),
            SetOption::BucketSize(_) if bitmap => return Err(unknown("bucketsize")),
            SetOption::InitVal(_) if bitmap => return Err(unknown("initval")),
            SetOption::FamilyInet => {}
            // The kernel takes the next power of two, and at least 64.
            SetOption::HashSize(n) => out.hashsize = n.checked_next_power_of_two().unwrap_or(1 << 31).max(64),
            SetOption::MaxElem(n) => out.maxelem = *n,
            SetOption::BucketSize(n) => out.bucketsize = u8::try_from(*n).unwrap_or(u8::MAX),
            SetOption::InitVal(n) => out.initval = *n,
            SetOption::Netmask(n) => match (kind, u8::try_from(*n)) {
                (SetType::HashIp, Ok(n @ 1..=32)) => out.netmask = n,
                (SetType::HashIp, _) => {
                    let why = "netmask is out of the inclusive range of 1-32";
                    return Err(format!("Syntax error: '{n}' is out of range 1-32\nSyntax error: {why}"));
                }
                _ => return Err(unknown("netmask")),
            },
            SetOption::MarkMask(_) => return Err(unknown("markmask")),
            SetOption::Size(_) => return Err(unknown("size")),
            SetOption::Range(_) if !bitmap => return Err(unknown("range")),
            SetOption::Range(text) => {
                if !text.contains('-') {
                    return Err("Mandatory option `to' is missing".to_owned());
                }
                let (_, (a, b)) = proto_port(text)?;
                (out.range, range) = ((a.min(b), a.max(b)), true);
            }
            SetOption::Timeout(n) => out.timeout = Some(*n),
            SetOption::Counters => out.counters = true,
            SetOption::Comment => out.comment = true,
            SetOption::SkbInfo => return Err(not_modelled("skbinfo")),
            SetOption::ForceAdd => return Err(not_modelled("forceadd")),
        }
    }
    if bitmap && !range {
        return Err("Mandatory option `range' is missing".to_owned());
    }
    Ok(out)
}

/// The options of `add` and `test`.
pub fn entry_options(kind: SetType, given: &[EntryOption]) -> Result<ElemInfo, String> {
    let mut out = ElemInfo::default();
    for option in given {
        match option {
            EntryOption::Timeout(n) => out.timeout = Some(*n),
            EntryOption::Packets(n) => out.packets = Some(*n),
            EntryOption::Bytes(n) => out.bytes = Some(*n),
            EntryOption::Comment(text) if text.contains('"') => {
                return Err("Syntax error: \" character is not permitted in comments".to_owned());
            }
            EntryOption::Comment(text) => out.comment = Some(text.clone()),
            EntryOption::NoMatch if !kind.has_nomatch() => return Err(unknown("nomatch")),
            EntryOption::NoMatch => out.nomatch = true,
        }
    }
    Ok(out)
}

/// `family inet hashsize 1024 ...`
fn header(set: &IpSet, era: Era) -> String {
    let o = &set.options;
    let bitmap = set.kind == SetType::BitmapPort;
    let mut out = match bitmap {
        true => format!("range {}-{}", o.range.0, o.range.1),
        false => format!("family inet hashsize {} maxelem {}", o.hashsize, o.maxelem),
    };
    if o.netmask < 32 {
        let _ = write!(out, " netmask {}", o.netmask);
    }
    if let Some(n) = o.timeout {
        let _ = write!(out, " timeout {n}");
    }
    for (on, word) in [(o.counters, " counters"), (o.comment, " comment")] {
        out.push_str(if on { word } else { "" });
    }
    if !bitmap && era.ipset_bucket_options() {
        let _ = write!(out, " bucketsize {} initval 0x{:08x}", o.bucketsize, o.initval);
    }
    out
}

fn member_line(set: &IpSet, elem: &Elem, m: &Member, now: Instant) -> String {
    let mut out = elem_text(set.kind, elem);
    if set.options.timeout.is_some() {
        // What has less than a second left is shown with one.
        let left = m.expires.map_or(0, |at| at.since(now).as_secs().max(1));
        let _ = write!(out, " timeout {left}");
    }
    out.push_str(if m.nomatch { " nomatch" } else { "" });
    if set.options.counters {
        let _ = write!(out, " packets {} bytes {}", m.packets, m.bytes);
    }
    if let Some(text) = &m.comment {
        let _ = write!(out, " comment \"{text}\"");
    }
    out
}

/// The revision of a type (`IPSET_TYPE_REV_MAX`, net/netfilter/ipset/ip_set_*.c).
fn revision(kind: SetType, era: Era) -> u8 {
    // Two revisions came after skbinfo's: bucketsize for every hash, bitmask for some.
    let (skbinfo, newest) = match kind {
        SetType::BitmapPort => (3, 3),
        SetType::HashIp => (4, 6),
        SetType::HashIpPort => (5, 7),
        SetType::HashIpPortIp => (5, 6),
        SetType::HashIpPortNet => (7, 8),
        SetType::HashNet => (6, 7),
        SetType::HashNetPort => (7, 8),
    };
    if era.ipset_bucket_options() { newest } else { skbinfo }
}

/// What Linux 6.18 on a machine of 64 bits reports as a set's memory (`mtype_memsize`, ip_set_bitmap_gen.h and
/// ip_set_hash_gen.h), as if no two members of a hash shared a bucket.
fn memory(set: &IpSet, now: Instant) -> usize {
    let o = &set.options;
    let mut extensions = 0;
    for (on, bytes) in [(o.timeout.is_some(), 8), (o.counters, 16), (o.comment, 8)] {
        extensions += if on { bytes } else { 0 };
    }
    // A comment is kept with a header of 16 bytes and a NUL.
    let texts = set.members(now).filter_map(|(_, m)| m.comment.as_ref()).map(|text| 17 + text.len());
    // The empty set, and the bytes of a hash's element.
    let (empty, element) = match set.kind {
        SetType::BitmapPort => {
            let ports = usize::from(o.range.1 - o.range.0) + 1;
            (72 + ports.div_ceil(64) * 8 + ports * extensions, 0)
        }
        SetType::HashIp => (216, 4),
        SetType::HashIpPort => (216, 8),
        SetType::HashIpPortIp => (208, 12),
        SetType::HashIpPortNet => (464, 12),
        SetType::HashNet | SetType::HashNetPort => (456, 8),
    };
    let element = if extensions > 0 { usize::next_multiple_of(element, 8) + extensions } else { element };
    // A bucket is made with room for two elements (AHASH_INIT_SIZE).
    let bucket = if set.kind == SetType::BitmapPort { 0 } else { 32 + 2 * element };
    empty + bucket * set.members(now).count() + texts.sum::<usize>()
}

/// A set as `ipset list` prints it, without its members if `terse`.
pub fn list_set(set: &IpSet, references: usize, terse: bool, era: Era, now: Instant) -> Vec<String> {
    let members: Vec<String> = set.members(now).map(|(e, m)| member_line(set, e, m, now)).collect();
    let mut out = vec![
        format!("Name: {}", set.name),
        format!("Type: {}", set.kind.name()),
        format!("Revision: {}", revision(set.kind, era)),
        format!("Header: {}", header(set, era)),
        format!("Size in memory: {}", memory(set, now)),
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
pub fn save_set(set: &IpSet, era: Era, now: Instant) -> Vec<String> {
    let mut out = vec![format!("create {} {} {}", set.name, set.kind.name(), header(set, era))];
    out.extend(set.members(now).map(|(e, m)| format!("add {} {}", set.name, member_line(set, e, m, now))));
    out
}

/// What ipset says when the kernel refuses.
pub fn error_text(e: SetError) -> &'static str {
    match e {
        SetError::SetExists => "Set cannot be created: set with the same name already exists",
        SetError::NoSet => "The set with the given name does not exist",
        SetError::NoSecondSet => "Sets cannot be swapped: the second set does not exist",
        SetError::Busy => "Set cannot be destroyed: it is in use by a kernel component",
        SetError::Referenced => "Set cannot be renamed: it is in use by another system",
        SetError::NameTaken => "Set cannot be renamed: a set with the new name already exists",
        SetError::TypeMismatch => "The sets cannot be swapped: their type does not match",
        SetError::ElemExists => "Element cannot be added to the set: it's already added",
        SetError::NoElem => "Element cannot be deleted from the set: it's not added",
        SetError::HashFull => "Hash is full, cannot add more elements",
        SetError::NullElem => "Null-valued element, cannot be stored in a hash type of set",
        SetError::InvalidCidr => "The value of the CIDR parameter of the IP address is invalid",
        SetError::HashRange => "Invalid range, covers the whole address space",
        SetError::InvalidProto => "Invalid protocol specified",
        SetError::OutOfRange => "Element is out of the range of the set",
        SetError::NoTimeout => "Timeout cannot be used: set was created without timeout support",
        SetError::NoCounters => {
            "Packet/byte counters cannot be used: set was created without counter support"
        }
        SetError::NoComment => "Comment cannot be used: set was created without comment support",
    }
}
