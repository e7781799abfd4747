//! Where entries are kept (`kmem_cache` of `struct nf_conn`): in pieces of a fixed size, so that a large table does not move when
//! it grows.

use super::Conn;
use crate::ConnId;

/// Entries of a piece.
const PIECE: usize = 512;

/// Entries by their place. A free place has an entry too, which bears nobody's number ([`Conn::vacate`]): whether it is free, the line of the
/// processor's cache tells that one more packet asks for anyway.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab {
    pieces: Vec<Vec<Conn>>,
    len: usize,
    free: Vec<u32>,
}

impl Slab {
    /// What is in a place, or was.
    #[inline]
    pub(super) fn at(&self, slot: u32) -> Option<&Conn> {
        let slot = slot as usize;
        self.pieces.get(slot / PIECE)?.get(slot % PIECE)
    }

    #[inline]
    fn at_mut(&mut self, slot: u32) -> Option<&mut Conn> {
        let slot = slot as usize;
        self.pieces.get_mut(slot / PIECE)?.get_mut(slot % PIECE)
    }

    /// The entry with this number.
    #[inline]
    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.at(id.slot()).filter(|c| c.id == id)
    }

    /// The entry with this number, to change it.
    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.at_mut(id.slot()).filter(|c| c.id == id)
    }

    /// A place for an entry, which has to be put there at once.
    pub(super) fn reserve(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        if self.len.is_multiple_of(PIECE) {
            // A small table is small; the pieces of a large one are made in full.
            let size = if self.pieces.is_empty() { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(size));
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(Conn::vacant());
        }
        self.len += 1;
        u32::try_from(self.len - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn put(&mut self, slot: u32, conn: Conn) {
        if let Some(place) = self.at_mut(slot) {
            *place = conn;
        }
    }

    /// Frees the place of an entry.
    pub(super) fn free(&mut self, id: ConnId) {
        if let Some(conn) = self.get_mut(id) {
            conn.vacate();
            self.free.push(id.slot());
        }
    }

    /// All entries, and what free places have.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.pieces.iter().flatten()
    }

    pub(super) fn clear(&mut self) {
        *self = Slab::default();
    }
}
