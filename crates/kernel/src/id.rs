//! Typed indices and time. Nothing here has a clock or a counter of its own: both are arguments ([`crate::Cx`]).

use std::fmt;
use std::ops::Add;
use std::time::Duration;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}#{}", stringify!($name), self.0)
            }
        }

        impl $name {
            /// The id as an index.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// A network namespace: one simulated box (host or pod).
    NetnsId(u16)
);
id!(
    /// A network device of one namespace, in the order of creation; `lo` is 0.
    DevId(u16)
);
id!(
    /// A packet, from the socket (or the kernel) that makes it to the place where it ends. NAT, links and clones
    /// do not change it.
    PacketId(u32)
);
/// A conntrack entry of one namespace: its number in the order of creation, and where it is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnId {
    number: u32,
    slot: u32,
}

impl ConnId {
    /// No entry's.
    pub(crate) const NOBODY: ConnId = ConnId { number: u32::MAX, slot: u32::MAX };

    pub(crate) fn new(number: u32, slot: u32) -> ConnId {
        ConnId { number, slot }
    }

    /// Entries are numbered from 0 in the order of their creation; no number is used twice.
    pub fn number(self) -> u32 {
        self.number
    }

    /// The place in the table, which is given to another entry later.
    pub(crate) fn slot(self) -> u32 {
        self.slot
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId#{}", self.number)
    }
}

id!(
    /// A socket of one namespace.
    SocketId(u32)
);

/// One tick of the kernel's clock in microseconds.
pub(crate) const JIFFY: u64 = 4_000;

/// Microseconds since the start of the simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// Time passed since `earlier`; zero if it lies in the future.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Whole milliseconds since the start.
    pub fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// `jiffies`: ticks of the kernel's clock, 250 in a second; the counter wraps.
    pub fn jiffies(self) -> u32 {
        ((self.0 / JIFFY) & 0xffff_ffff) as u32
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
