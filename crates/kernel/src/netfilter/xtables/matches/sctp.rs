//! `-m sctp` (net/netfilter/xt_sctp.c).

use super::{Checks, eval_ports};
use crate::Skb;
use crate::netfilter::xtables::{Neg, PortRange, Seen};
use packet::{L4, Protocol, Sctp};

/// How the chunks of a packet and those of the rule have to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SctpChunks {
    /// Every chunk of the rule is there.
    #[default]
    All,
    /// One of them is there.
    Any,
    /// No other is there.
    Only,
}

/// Which flags of a chunk must be set, of those that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpChunkFlags {
    /// The chunk's type.
    pub kind: u8,
    /// These must be set.
    pub flags: u8,
    /// These are looked at.
    pub mask: u8,
}

/// `--chunk-types`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SctpChunkTypes {
    /// How they have to fit.
    pub how: SctpChunks,
    /// A bit for each type.
    pub map: [u64; 4],
    /// Flags, in the order in which they were given.
    pub flags: Vec<SctpChunkFlags>,
}

/// Options of sctp, in the order in which iptables prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SctpMatch {
    /// `--sport`
    pub sport: Option<Neg<PortRange>>,
    /// `--dport`
    pub dport: Option<Neg<PortRange>>,
    /// `--chunk-types`
    pub chunks: Option<Neg<SctpChunkTypes>>,
}

impl SctpChunkTypes {
    /// True if chunks of this type are named.
    pub fn has(&self, kind: u8) -> bool {
        self.map[usize::from(kind >> 6)] >> (kind & 63) & 1 == 1
    }

    /// Names chunks of this type.
    pub fn add(&mut self, kind: u8) {
        self.map[usize::from(kind >> 6)] |= 1 << (kind & 63);
    }

    /// True if the chunks of the packet fit; `None` if they are cut short.
    fn fits(&self, sctp: &Sctp<'_>) -> Option<bool> {
        let mut missing = self.map;
        let mut chunks = sctp.chunks().peekable();
        chunks.peek()?;
        for c in chunks {
            if c.len == 0 {
                return None;
            }
            let flags = self.flags.iter().find(|f| f.kind == c.kind);
            let fits = self.has(c.kind) && flags.is_none_or(|f| c.flags & f.mask == f.flags);
            match self.how {
                SctpChunks::Any if fits => return Some(true),
                SctpChunks::All if fits => missing[usize::from(c.kind >> 6)] &= !(1 << (c.kind & 63)),
                SctpChunks::Only if !fits => return Some(false),
                _ => {}
            }
        }
        Some(match self.how {
            SctpChunks::All => missing == [0; 4],
            SctpChunks::Any => false,
            SctpChunks::Only => true,
        })
    }
}

impl SctpMatch {
    pub(super) fn eval(&self, skb: &Skb, checks: &mut Checks) -> bool {
        let bytes = match skb.ip() {
            Some(ip) if ip.frag.offset == 0 => match &ip.l4 {
                L4::Other(Protocol::SCTP, bytes) => bytes.as_slice(),
                _ => return checks.option(false, || Seen::Word("not SCTP")),
            },
            _ => return checks.short_header(skb),
        };
        let Some(sctp) = Sctp::parse(bytes) else { return checks.short_header(skb) };
        if !eval_ports(self.sport.as_ref(), self.dport.as_ref(), (sctp.sport, sctp.dport), checks) {
            return false;
        }
        let Some(types) = &self.chunks else { return true };
        match types.value.fits(&sctp) {
            Some(fits) => checks.option(fits != types.not, || Seen::Word("chunks")),
            None => {
                checks.hotdrop = true;
                checks.option(types.not, || Seen::Word("chunk cut short"))
            }
        }
    }
}
