//! A bucket of a hash: places for some members.

use super::elem::Elem;
use super::member::Member;

/// A bucket grows by so many places (`AHASH_INIT_SIZE`).
pub(super) const STEP: usize = 2;

/// A place in a bucket. What was kept with a member stays when the member goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    used: bool,
    pub elem: Elem,
    pub member: Member,
}

impl Slot {
    pub fn new(elem: Elem) -> Slot {
        Slot { used: true, elem, member: Member::default() }
    }

    pub fn is_used(&self) -> bool {
        self.used
    }

    /// Takes the place for a member, or gives it up. What was kept stays.
    pub fn set_used(&mut self, used: bool) {
        self.used = used;
    }
}

/// `struct hbucket`
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    pub slots: Vec<Slot>,
    /// Places from here on have not been used yet.
    pub pos: usize,
}

impl Bucket {
    /// The members.
    pub fn used(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().take(self.pos).filter(|s| s.used)
    }

    /// Gives back `STEP` places.
    pub fn shrink(&mut self) {
        let room = self.slots.len().saturating_sub(STEP);
        self.slots.retain(|s| s.used);
        self.pos = self.slots.len();
        self.slots.resize(room.max(self.pos), Slot::default());
    }
}
