//! Places of packets, found by their names.

use kernel::NetnsId;
use sim::view::Place;

/// Where a place is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Where the packet is drawn.
    pub at: (i32, i32),
    /// Where the line of its way ends; of a stack or bridge, the level at which lines run.
    pub line: (i32, i32),
}

impl Spot {
    /// A place without extent.
    pub fn narrow(at: (i32, i32)) -> Spot {
        Spot { at, line: at }
    }
}

/// All places of a map.
#[derive(Clone, Debug, Default)]
pub struct Index {
    places: Vec<(Place, Spot)>,
    /// Boxes whose stack and bridges are one place, and those whose devices are.
    stacks: Vec<(NetnsId, Spot)>,
    devs: Vec<(NetnsId, Spot)>,
}

impl Index {
    /// Adds a place.
    pub fn put(&mut self, place: Place, spot: Spot) {
        self.places.push((place, spot));
    }

    /// Adds a box whose stack and bridges are drawn as one.
    pub fn wide_host(&mut self, host: NetnsId, spot: Spot) {
        self.stacks.push((host, spot));
    }

    /// Adds a box whose devices are drawn as one, if they have no place of their own.
    pub fn devs_of(&mut self, host: NetnsId, spot: Spot) {
        self.devs.push((host, spot));
    }

    /// Makes it ready to be asked.
    pub fn sort(&mut self) {
        sorted::sort_by_key(&mut self.places, |(p, _)| *p);
        sorted::sort_by_key(&mut self.stacks, |(h, _)| *h);
        sorted::sort_by_key(&mut self.devs, |(h, _)| *h);
    }

    /// Where a place is; `None` if it is not drawn.
    pub fn get(&self, place: Place) -> Option<Spot> {
        if let Ok(i) = self.places.binary_search_by_key(&place, |(p, _)| *p) {
            return self.places.get(i).map(|(_, s)| *s);
        }
        let (list, host) = match place {
            Place::Stack(h) | Place::Bridge(h, _) => (&self.stacks, h),
            Place::Dev(h, _) => (&self.devs, h),
        };
        let i = list.binary_search_by_key(&host, |(h, _)| *h).ok()?;
        list.get(i).map(|(_, s)| *s)
    }
}
