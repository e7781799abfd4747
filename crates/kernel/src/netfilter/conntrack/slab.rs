//! Where entries are kept (`kmem_cache` of `struct nf_conn`): in pieces of a fixed size, so that a large table does not move when
//! it grows.

use super::Conn;

/// Entries of a piece.
const PIECE: usize = 512;

/// Entries by their place.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab {
    pieces: Vec<Vec<Option<Conn>>>,
    len: usize,
    free: Vec<u32>,
}

impl Slab {
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Conn> {
        let slot = slot as usize;
        self.pieces.get(slot / PIECE)?.get(slot % PIECE)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Conn> {
        let slot = slot as usize;
        self.pieces.get_mut(slot / PIECE)?.get_mut(slot % PIECE)?.as_mut()
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
            piece.push(None);
        }
        self.len += 1;
        u32::try_from(self.len - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn put(&mut self, slot: u32, conn: Conn) {
        let slot = slot as usize;
        if let Some(place) = self.pieces.get_mut(slot / PIECE).and_then(|p| p.get_mut(slot % PIECE)) {
            *place = Some(conn);
        }
    }

    pub(super) fn free(&mut self, slot: u32) {
        let at = slot as usize;
        if let Some(place) = self.pieces.get_mut(at / PIECE).and_then(|p| p.get_mut(at % PIECE)) {
            *place = None;
            self.free.push(slot);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.pieces.iter().flatten().flatten()
    }

    pub(super) fn clear(&mut self) {
        *self = Slab::default();
    }
}
