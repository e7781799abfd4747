//! What tcpdump prints of a frame (tcpdump 4.99).

mod arp;
mod dns;
mod hex;
mod icmp;
mod ip;
mod tcp;
mod text;
mod udp;

use super::filter::Link;
use kernel::Instant;
use kernel::event::TapDir;
use packet::{Frame, Payload};
use tcp::Bases;

/// How time is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// The time of day.
    #[default]
    Day,
    /// `-t`: not at all.
    No,
    /// `-tt`: seconds since 1970.
    Seconds,
    /// `-ttt`: since the line before.
    Delta,
    /// `-tttt`: date and time of day.
    Date,
    /// `-ttttt`: since the first line.
    First,
}

/// Which bytes follow the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// `-x`
    Hex,
    /// `-X`
    HexAscii,
    /// `-A`
    Ascii,
}

/// How frames are printed: the options of tcpdump(8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Header in front of the packets.
    pub link: Link,
    /// `-n`: numbers instead of names.
    pub numeric: bool,
    /// `-v`, how often.
    pub verbose: u8,
    /// `-e`: the header of the link too.
    pub ether: bool,
    /// `-q`: less of protocols.
    pub quiet: bool,
    /// `-S`: sequence numbers as they are.
    pub absolute: bool,
    /// `-K`: checksums are not verified.
    pub trust: bool,
    /// `-#`: lines are counted.
    pub count: bool,
    /// How time is printed.
    pub time: Time,
    /// Bytes behind the text; true if the header of the link is among them.
    pub dump: Option<(Dump, bool)>,
}

/// A frame that a capture has seen.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// When.
    pub at: Instant,
    /// The device's name.
    pub dev: &'a str,
    /// The device's number (`ifindex`).
    pub ifindex: u32,
    /// Which way it went.
    pub dir: TapDir,
    /// The frame.
    pub frame: &'a Frame,
}

/// A tcpdump that is running: what it remembers from frame to frame.
#[derive(Clone, Debug, Default)]
pub struct Printer {
    look: Look,
    bases: Bases,
    first: Option<Instant>,
    last: Option<Instant>,
    count: u64,
}

/// The direction as LINUX_SLL2 names it.
pub fn direction(dir: TapDir) -> &'static str {
    match dir {
        TapDir::Out => "Out",
        TapDir::In => "In",
        TapDir::InBroadcast => "B",
        TapDir::InMulticast => "M",
        TapDir::InOther => "P",
    }
}

impl Printer {
    /// A tcpdump with these options.
    pub fn new(look: Look) -> Printer {
        Printer { look, ..Printer::default() }
    }

    /// The lines for a frame.
    pub fn print(&mut self, seen: Captured<'_>) -> Vec<String> {
        let mut out = String::new();
        self.count += 1;
        if self.look.count {
            out += &format!("{:>5}  ", self.count);
        }
        self.time(seen.at, &mut out);
        self.link(seen, &mut out);
        let prefix = !self.look.ether;
        self.payload(seen.frame, prefix, &mut out);
        if let Some((dump, with_link)) = self.look.dump {
            hex::dump(dump, &hex::bytes(seen, self.look.link, with_link), &mut out);
        }
        out.split('\n').map(str::to_owned).collect()
    }

    /// The same without time, device and direction.
    pub fn described(&mut self, seen: Captured<'_>) -> String {
        let mut out = String::new();
        self.header(seen, &mut out);
        self.payload(seen.frame, !self.look.ether, &mut out);
        out
    }

    fn time(&mut self, at: Instant, out: &mut String) {
        let day = |t: u64| {
            let s = t / 1_000_000;
            format!("{:02}:{:02}:{:02}.{:06}", s / 3600 % 24, s / 60 % 60, s % 60, t % 1_000_000)
        };
        let first = *self.first.get_or_insert(at);
        let last = self.last.replace(at).unwrap_or(at);
        let since = |then: Instant| format!(" {} ", day(at.0.saturating_sub(then.0)));
        match self.look.time {
            Time::No => {}
            Time::Day => *out += &format!("{} ", day(at.0)),
            Time::Seconds => *out += &format!("{}.{:06} ", at.0 / 1_000_000, at.0 % 1_000_000),
            Time::Delta => *out += &since(last),
            Time::Date => *out += &format!("{} {} ", text::date(at.0 / 1_000_000), day(at.0)),
            Time::First => *out += &since(first),
        }
    }

    /// Device and direction, and the header of the link.
    fn link(&self, seen: Captured<'_>, out: &mut String) {
        if self.look.link == Link::Cooked2 {
            *out += &format!("{:<5} {:<3} ", seen.dev, direction(seen.dir));
        }
        self.header(seen, out);
    }

    /// The header of the link, as far as it is asked for.
    fn header(&self, seen: Captured<'_>, out: &mut String) {
        let (frame, dir) = (seen.frame, direction(seen.dir));
        let len = frame.len() - 14 + self.look.link.header_len();
        let kind = match frame.ethertype() {
            0x0806 => "ARP (0x0806)",
            0x0800 => "IPv4 (0x0800)",
            _ => "IPv6 (0x86dd)",
        };
        if !self.look.ether {
            return;
        }
        *out += &match (self.look.link, self.look.quiet) {
            (Link::Ethernet, false) => {
                format!("{} > {}, ethertype {kind}, length {len}: ", frame.src, frame.dst)
            }
            (Link::Ethernet, true) => {
                let name = kind.split(' ').next().unwrap_or(kind);
                format!("{} > {}, {name}, length {len}: ", frame.src, frame.dst)
            }
            (Link::Cooked, false) => format!("{dir:>3} {} ethertype {kind}, length {len}: ", frame.src),
            (Link::Cooked, true) => format!("{dir:>3} {} length {len}: ", frame.src),
            (Link::Cooked2, false) => {
                format!("ifindex {} {} ethertype {kind}, length {len}: ", seen.ifindex, frame.src)
            }
            (Link::Cooked2, true) => format!("ifindex {} {} length {len}: ", seen.ifindex, frame.src),
        };
    }

    /// With `prefix` the name of the protocol comes first, which the link has named otherwise.
    fn payload(&mut self, frame: &Frame, prefix: bool, out: &mut String) {
        match &frame.payload {
            Payload::Arp(arp) => self.arp(arp, prefix, out),
            Payload::Ip(ip) => self.ip(ip, prefix, out),
        }
    }
}
