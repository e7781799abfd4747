//! A packet's fields: what they are called, where their bytes are, what they say.

use super::known::{Kind, Known, known};
use packet::Mac;
use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: it is a protocol or a group.
    None,
    /// A number, or a bit.
    Number(i64),
    /// An address.
    Ip(IpAddr),
    /// A MAC address.
    Mac(Mac),
    /// Characters.
    Text(String),
    /// The bytes of the frame that it covers.
    Bytes,
    /// Microseconds.
    Time(u64),
}

/// A field of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What is known of the field.
    pub known: &'static Known,
    /// How deep it stands in the tree: 0 is a layer.
    pub depth: u8,
    /// Where its bytes begin in the frame.
    pub at: usize,
    /// How many there are; 0 if it was worked out and stands nowhere.
    pub len: usize,
    /// What it says.
    pub value: Value,
    /// What that means, if the value does not tell: `SYN`, `Echo (ping) request`.
    pub note: Cow<'static, str>,
    /// It is there for filters only (`ip.addr`).
    pub hidden: bool,
}

impl Field {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.known.name
    }

    /// Its value as Wireshark prints it in a PDML file; empty for a group.
    pub fn show(&self, frame: &[u8]) -> String {
        match (&self.value, self.known.kind) {
            (Value::None, _) => String::new(),
            (Value::Number(n), Kind::Hex(digits)) => format!("0x{n:0width$x}", width = usize::from(digits)),
            (Value::Number(n), _) => n.to_string(),
            (Value::Ip(ip), _) => ip.to_string(),
            (Value::Mac(mac), _) => mac.to_string(),
            (Value::Text(text), _) => text.clone(),
            (Value::Bytes, _) => hex(self.bytes(frame)),
            (Value::Time(us), _) => format!("{}.{:06}000", us / 1_000_000, us % 1_000_000),
        }
    }

    /// Its bytes.
    pub fn bytes<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.at..self.at.saturating_add(self.len)).unwrap_or_default()
    }
}

/// `47:45:54`
fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, b) in bytes.iter().enumerate() {
        // Writing into a text cannot fail.
        let _ = write!(out, "{}{b:02x}", if i == 0 { "" } else { ":" });
    }
    out
}

/// The big-endian number in these bytes.
pub(super) fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |n, b| n << 8 | i64::from(*b))
}

/// A tree in the making. What is missing from a frame that was cut ends its dissector: `None`.
pub(super) struct Tree<'a> {
    pub frame: &'a [u8],
    pub fields: Vec<Field>,
    depth: u8,
}

impl<'a> Tree<'a> {
    pub fn new(frame: &'a [u8]) -> Tree<'a> {
        Tree { frame, fields: Vec::new(), depth: 0 }
    }

    pub fn bytes(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.frame.get(at..at.checked_add(len)?)
    }

    pub fn byte(&self, at: usize) -> Option<u8> {
        self.frame.get(at).copied()
    }

    pub fn word(&self, at: usize) -> Option<u16> {
        Some(u16::from(self.byte(at)?) << 8 | u16::from(self.byte(at + 1)?))
    }

    /// Adds a field with a value of its own. One that is not in the table is a mistake of ours, and is left out.
    pub fn add(&mut self, name: &'static str, at: usize, len: usize, value: Value) {
        if let Some(known) = known(name) {
            let (depth, note) = (self.depth, Cow::Borrowed(""));
            self.fields.push(Field { known, depth, at, len, value, note, hidden: false });
        }
    }

    pub fn add_number(&mut self, name: &'static str, at: usize, len: usize, n: impl Into<i64>) {
        self.add(name, at, len, Value::Number(n.into()));
    }

    /// Says what the field that was added last means.
    pub fn note(&mut self, note: impl Into<Cow<'static, str>>) {
        if let Some(last) = self.fields.last_mut() {
            last.note = note.into();
        }
    }

    /// The field that was added last is for filters only.
    pub fn hide(&mut self) {
        if let Some(last) = self.fields.last_mut() {
            last.hidden = true;
        }
    }

    /// What is added from here on belongs to the field that was added last.
    pub fn open(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Closes what a dissector has left open.
    pub fn back_to(&mut self, depth: u8) {
        self.depth = depth;
    }

    /// A group of its own: its fields follow.
    pub fn group(&mut self, name: &'static str, at: usize, len: usize) {
        self.add(name, at, len, Value::None);
        self.open();
    }

    /// The number in `len` bytes.
    pub fn number(&mut self, name: &'static str, at: usize, len: usize) -> Option<i64> {
        let n = number(self.bytes(at, len)?);
        self.add_number(name, at, len, n);
        Some(n)
    }

    /// A bit of the byte at `at`.
    pub fn bit(&mut self, name: &'static str, at: usize, bit: u8) -> Option<bool> {
        let set = self.byte(at)? & bit != 0;
        self.add_number(name, at, 1, i64::from(set));
        self.note(if set { "Set" } else { "Not set" });
        Some(set)
    }

    pub fn mac(&mut self, name: &'static str, at: usize) -> Option<()> {
        let mac = *self.frame.get(at..)?.first_chunk::<6>()?;
        self.add(name, at, 6, Value::Mac(Mac(mac)));
        Some(())
    }

    pub fn ipv4(&mut self, name: &'static str, at: usize) -> Option<Ipv4Addr> {
        let addr = Ipv4Addr::from(*self.frame.get(at..)?.first_chunk::<4>()?);
        self.add(name, at, 4, Value::Ip(addr.into()));
        Some(addr)
    }

    pub fn ipv6(&mut self, name: &'static str, at: usize) -> Option<Ipv6Addr> {
        let addr = Ipv6Addr::from(*self.frame.get(at..)?.first_chunk::<16>()?);
        self.add(name, at, 16, Value::Ip(addr.into()));
        Some(addr)
    }

    /// Bytes as text.
    pub fn text(&mut self, name: &'static str, at: usize, len: usize) -> Option<()> {
        let text = String::from_utf8_lossy(self.bytes(at, len)?).into_owned();
        self.add(name, at, len, Value::Text(text));
        Some(())
    }

    /// Bytes as they are.
    pub fn raw(&mut self, name: &'static str, at: usize, len: usize) -> Option<()> {
        self.bytes(at, len)?;
        self.add(name, at, len, Value::Bytes);
        Some(())
    }
}
