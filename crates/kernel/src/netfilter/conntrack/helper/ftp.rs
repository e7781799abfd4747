//! FTP: one side says in the command connection where it waits for the data connection
//! (net/netfilter/nf_conntrack_ftp.c; RFC 959, RFC 2428).

use super::{Helper, nf_ct_helper_drop};
use crate::netfilter::conntrack::expect::{Expect, nf_ct_expect_related};
use crate::netfilter::conntrack::{ConnInfo, CtState, Direction, L4Key, Tuple, status};
use crate::netfilter::nat::nf_nat_ftp;
use crate::{ConnId, Cut, Cx, Netns, Skb};
use packet::Protocol;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

/// Where lines begin in what each side sends: the last two places behind a line's end (`struct nf_ct_ftp_master`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FtpLines {
    after_newline: [[Option<u32>; 2]; 2],
}

impl FtpLines {
    fn of(&mut self, dir: Direction) -> &mut [Option<u32>; 2] {
        let [original, reply] = &mut self.after_newline;
        match dir {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }

    /// `update_nl_seq`: a line ends before `seq`; of two others the older is forgotten, unless this one is older still.
    fn note(&mut self, dir: Direction, seq: u32) {
        let known = self.of(dir);
        if known.contains(&Some(seq)) {
            return;
        }
        match known {
            [first @ None, _] => *first = Some(seq),
            [_, second @ None] => *second = Some(seq),
            [Some(a), Some(b)] => {
                let before = |x: u32, y: u32| (x.wrapping_sub(y) as i32) < 0;
                let older = if before(*a, *b) { a } else { b };
                if before(*older, seq) {
                    *older = seq;
                }
            }
        }
    }
}

/// How an address and a port are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FtpType {
    /// `PORT 10,0,0,1,4,1`
    Port,
    /// `227 Entering Passive Mode (10,0,0,1,4,1).`
    Pasv,
    /// `EPRT |1|10.0.0.1|1025|`
    Eprt,
    /// `229 Entering Extended Passive Mode (|||1025|)`
    Epsv,
}

/// What each side may say, with the character behind which the numbers begin.
const SEARCH: [(Direction, &str, u8, FtpType); 4] = [
    (Direction::Original, "PORT", b' ', FtpType::Port),
    (Direction::Original, "EPRT", b' ', FtpType::Eprt),
    (Direction::Reply, "227 ", 0, FtpType::Pasv),
    (Direction::Reply, "229 ", b'(', FtpType::Epsv),
];

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    kind: FtpType,
    /// `None` for the sender's own.
    addr: Option<Ipv4Addr>,
    port: u16,
    /// Where the numbers stand in the payload.
    place: Range<usize>,
}

/// What looking for a pattern gave.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The line begins like it, and then is cut off or not understood.
    Partial,
    Said(Said),
}

/// `try_number`: numbers with separators between them, and how long they are altogether. They end before `term`, or, if that is
/// 0, before anything.
fn numbers<const N: usize>(text: &[u8], sep: u8, term: u8) -> Option<([u32; N], usize)> {
    let mut all = [0_u32; N];
    let mut i = 0;
    for (at, &c) in text.iter().enumerate() {
        if c.is_ascii_digit() {
            let n = all.get_mut(i)?;
            *n = n.wrapping_mul(10).wrapping_add(u32::from(c - b'0'));
        } else if c == sep {
            i += 1;
            if i >= N {
                return None;
            }
        } else {
            return ((c == term || term == 0) && i + 1 == N).then_some((all, at));
        }
    }
    None
}

/// `try_rfc959`: four numbers of an address, two of a port. What is larger than a byte runs into its neighbour.
fn rfc959(text: &[u8], term: u8) -> Option<(Ipv4Addr, u16, usize)> {
    let ([a, b, c, d, high, low], len) = numbers::<6>(text, b',', term)?;
    Some((Ipv4Addr::from_bits(a << 24 | b << 16 | c << 8 | d), (high << 8 | low) as u16, len))
}

/// `get_port`: a port between `from` and the delimiter, and the place behind that.
fn port(text: &[u8], from: usize, delim: u8) -> Option<(u16, usize)> {
    let mut port = 0_u16;
    for (at, &c) in text.iter().enumerate().skip(from) {
        if c == delim {
            return (port != 0).then_some((port, at + 1));
        }
        if !c.is_ascii_digit() {
            return None;
        }
        port = port.wrapping_mul(10).wrapping_add(u16::from(c - b'0'));
    }
    None
}

/// The delimiter of RFC 2428: any printable character that is no digit.
fn delimiter(text: &[u8], others: &[usize]) -> Option<u8> {
    let delim = *text.first().filter(|c| c.is_ascii_graphic() && !c.is_ascii_digit())?;
    (text.len() > 3 && others.iter().all(|i| text.get(*i) == Some(&delim))).then_some(delim)
}

fn eprt(text: &[u8]) -> Option<(Ipv4Addr, u16, usize)> {
    let delim = delimiter(text, &[2]).filter(|_| text.get(1) == Some(&b'1'))?;
    let ([a, b, c, d], len) = numbers::<4>(text.get(3..)?, b'.', delim)?;
    let (port, end) = port(text, 3 + len + 1, delim)?;
    Some((Ipv4Addr::from_bits(a << 24 | b << 16 | c << 8 | d), port, end))
}

/// `find_pattern`
fn find_pattern(text: &[u8], pattern: &str, skip: u8, kind: FtpType) -> Found {
    let n = text.len().min(pattern.len());
    let begins = text.get(..n).is_some_and(|t| t.eq_ignore_ascii_case(&pattern.as_bytes()[..n]));
    if text.is_empty() || !begins {
        return Found::Nothing;
    }
    let rest = text.get(pattern.len()..).unwrap_or_default();
    // Where the numbers may begin.
    let skipped = match kind {
        FtpType::Pasv => rest.iter().position(u8::is_ascii_digit),
        _ => rest.iter().position(|c| *c == skip).map(|i| i + 1),
    };
    let Some(begin) = skipped.map(|i| i + pattern.len()).filter(|i| *i < text.len()) else {
        return Found::Partial;
    };
    let text = text.get(begin..).unwrap_or_default();
    let read = match kind {
        FtpType::Port => rfc959(text, b'\r').map(|(a, p, n)| (Some(a), p, n)),
        FtpType::Pasv => rfc959(text, 0).map(|(a, p, n)| (Some(a), p, n)),
        FtpType::Eprt => eprt(text).map(|(a, p, n)| (Some(a), p, n)),
        FtpType::Epsv => delimiter(text, &[1, 2]).and_then(|d| port(text, 3, d)).map(|(p, n)| (None, p, n)),
    };
    match read {
        Some((addr, port, len)) => Found::Said(Said { kind, addr, port, place: begin..begin + len }),
        None => Found::Partial,
    }
}

/// Only a line's beginning is looked at, and only that of an established connection. Who names another address than its own is
/// not believed, unless the module was loaded with `loose`.
pub(super) fn help(
    ns: &mut Netns,
    skb: Skb,
    conn: ConnId,
    info: ConnInfo,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let Some(tcp) = skb.tcp().filter(|t| info.state == CtState::Established && !t.payload.is_empty()) else {
        return Ok(skb);
    };
    let dir = info.dir;
    let ends_line = tcp.payload.ends_with(b"\n");
    let (seq, end) = (tcp.seq, tcp.seq.wrapping_add(u32::try_from(tcp.payload.len()).unwrap_or(0)));
    let Some(c) = ns.ct.get_mut(conn) else { return Ok(skb) };
    let at_line = c.extras_mut().ftp.of(dir).contains(&Some(seq));
    let skb = match at_line {
        true => read_line(ns, skb, conn, dir, cx)?,
        false => Ok(skb),
    };
    // Where the line ends is noted even if nobody can be expected, but not of one that is cut off.
    if ends_line && let Some(lines) = ns.ct.get_mut(conn).and_then(|c| c.extras.as_mut()) {
        lines.ftp.note(dir, end);
    }
    skb
}

/// Announces what the line says. The outer error is that of a line that is not understood.
fn read_line(
    ns: &mut Netns,
    skb: Skb,
    conn: ConnId,
    dir: Direction,
    cx: &mut Cx<'_>,
) -> Result<Result<Skb, Cut>, Cut> {
    let helper = ns.ct.get(conn).and_then(|c| c.helper).unwrap_or(Helper::FTP);
    let payload = skb.tcp().map_or(&[][..], |t| &t.payload);
    let mut said = None;
    for (_, pattern, skip, kind) in SEARCH.iter().filter(|(d, ..)| *d == dir) {
        match find_pattern(payload, pattern, *skip, *kind) {
            Found::Nothing => {}
            Found::Partial => {
                let why = format!("partial matching of `{pattern}'");
                return Err(nf_ct_helper_drop(ns, &skb, helper, &why, cx));
            }
            Found::Said(it) => {
                said = Some(it);
                break;
            }
        }
    }
    let Some((said, c)) = said.zip(ns.ct.get(conn)) else { return Ok(Ok(skb)) };
    let (this, other) = (*c.tuple(dir), *c.tuple(dir.flip()));
    let mut dst = other.dst();
    if let Some(addr) = said.addr.map(IpAddr::V4).filter(|a| *a != this.src()) {
        if !ns.modules.ftp_loose {
            return Ok(Ok(skb));
        }
        dst = addr;
    }
    let key = L4Key::Ports { sport: 0, dport: said.port };
    let expect = Expect {
        master: conn,
        tuple: Tuple::new(other.src(), dst, Protocol::TCP, key),
        helper,
        nat: None,
        expires: cx.now + Duration::from_secs(helper.timeout()),
    };
    if ns.modules.nf_nat_ftp && c.status & status::NAT_MASK != 0 {
        return Ok(nf_nat_ftp(ns, skb, dir, (said.kind, said.place), expect, cx));
    }
    Ok(match nf_ct_expect_related(ns, &skb, expect, cx) {
        Ok(()) => Ok(skb),
        Err(_) => Err(nf_ct_helper_drop(ns, &skb, helper, "cannot add expectation", cx)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Found {
        let reply = text.starts_with('2');
        let found = SEARCH.iter().filter(|(d, ..)| (*d == Direction::Reply) == reply);
        let mut all =
            found.map(|(_, pattern, skip, kind)| find_pattern(text.as_bytes(), pattern, *skip, *kind));
        all.find(|f| *f != Found::Nothing).unwrap_or(Found::Nothing)
    }

    fn said(text: &str) -> Option<(Option<Ipv4Addr>, u16, String)> {
        match look(text) {
            Found::Said(s) => Some((s.addr, s.port, text[s.place].to_owned())),
            _ => None,
        }
    }

    #[test]
    fn addresses_and_ports_are_read_as_they_are_written() {
        let me = Some(Ipv4Addr::new(10, 0, 0, 2));
        for (text, addr, port, numbers) in [
            ("PORT 10,0,0,2,4,1\r\n", me, 1025, "10,0,0,2,4,1"),
            ("port 10,0,0,2,4,1\r\n", me, 1025, "10,0,0,2,4,1"),
            ("EPRT |1|10.0.0.2|1025|\r\n", me, 1025, "|1|10.0.0.2|1025|"),
            ("EPRT !1!10.0.0.2!1025!\r\n", me, 1025, "!1!10.0.0.2!1025!"),
            ("227 Entering Passive Mode (10,0,0,2,4,1).\r\n", me, 1025, "10,0,0,2,4,1"),
            ("227 =10,0,0,2,4,1\r\n", me, 1025, "10,0,0,2,4,1"),
            ("229 Entering Extended Passive Mode (|||1025|)\r\n", None, 1025, "|||1025|"),
        ] {
            assert_eq!(said(text), Some((addr, port, numbers.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_begins_so_and_is_not_understood_is_partial() {
        for text in [
            "PO",
            "PORT",
            "PORT ",
            "PORT 10,0,0,2,4",
            "PORT 10,0,0,2,4,1",
            "PORT 10,0,0,2,4,1\n",
            "PORT x\r\n",
            "EPRT |2|::1|1025|\r\n",
            "EPRT |1|10.0.0.2|0|\r\n",
            "227 no numbers\r\n",
            "229 (|||x|)\r\n",
        ] {
            assert_eq!(look(text), Found::Partial, "{text:?}");
        }
        for text in ["USER x\r\n", "220 hello\r\n", "", "XPORT 1,2,3,4,5,6\r\n"] {
            assert_eq!(look(text), Found::Nothing, "{text:?}");
        }
    }

    #[test]
    fn the_last_two_line_ends_are_remembered() {
        let mut lines = FtpLines::default();
        for seq in [10, 20, 30] {
            lines.note(Direction::Original, seq);
        }
        assert_eq!(*lines.of(Direction::Original), [Some(30), Some(20)]);
        assert_eq!(*lines.of(Direction::Reply), [None, None]);
        // A line that comes again, of long ago.
        lines.note(Direction::Original, 15);
        assert_eq!(*lines.of(Direction::Original), [Some(30), Some(20)]);
    }
}
