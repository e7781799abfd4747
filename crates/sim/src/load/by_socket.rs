//! What belongs to which socket: numbers of sockets ascend and those in use are near each other, so that twice the number is a good
//! hash, with room behind each.

use kernel::SocketId;

/// Places of a small table.
const FEWEST: usize = 64;

/// Values by socket.
#[derive(Clone, Debug)]
pub(super) struct BySocket<T> {
    /// A power of two; at most half of them are taken. A value stands at the place of its socket or behind it, before the next free
    /// one.
    places: Vec<Option<(SocketId, T)>>,
    count: usize,
}

impl<T> BySocket<T> {
    pub(super) fn new() -> BySocket<T> {
        BySocket { places: (0..FEWEST).map(|_| None).collect(), count: 0 }
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    /// Where a socket belongs.
    fn home(&self, socket: SocketId) -> usize {
        (socket.0 as usize).wrapping_mul(2) & self.mask()
    }

    /// Where a socket is, or would be.
    #[inline]
    fn find(&self, socket: SocketId) -> usize {
        let mut at = self.home(socket);
        while let Some(Some((other, _))) = self.places.get(at)
            && *other != socket
        {
            at = (at + 1) & self.mask();
        }
        at
    }

    #[inline]
    pub(super) fn get(&self, socket: SocketId) -> Option<&T> {
        self.places.get(self.find(socket))?.as_ref().map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, socket: SocketId) -> Option<&mut T> {
        let at = self.find(socket);
        self.places.get_mut(at)?.as_mut().map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, socket: SocketId, value: T) {
        if (self.count + 1) * 2 > self.places.len() {
            let size = self.places.len() * 2;
            let old = std::mem::replace(&mut self.places, (0..size).map(|_| None).collect());
            for (socket, value) in old.into_iter().flatten() {
                self.put(socket, value);
            }
        }
        if self.put(socket, value).is_none() {
            self.count += 1;
        }
    }

    fn put(&mut self, socket: SocketId, value: T) -> Option<(SocketId, T)> {
        let at = self.find(socket);
        self.places.get_mut(at)?.replace((socket, value))
    }

    pub(super) fn remove(&mut self, socket: SocketId) -> Option<T> {
        let mut hole = self.find(socket);
        let (_, value) = self.places.get_mut(hole)?.take()?;
        self.count -= 1;
        // What stands behind moves up, unless it would stand before where it belongs.
        let mask = self.mask();
        let mut at = (hole + 1) & mask;
        while let Some(Some((other, _))) = self.places.get(at) {
            let from_home = at.wrapping_sub(self.home(*other)) & mask;
            if from_home >= (at.wrapping_sub(hole) & mask) {
                self.places.swap(at, hole);
                hole = at;
            }
            at = (at + 1) & mask;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_until_it_is_taken_out() {
        let mut table = BySocket::new();
        // Many belong at the same places.
        let sockets: Vec<u32> = (0..300).map(|n| n % 20 * 4096 + n / 20).collect();
        for n in &sockets {
            table.insert(SocketId(*n), n + 1);
        }
        for n in sockets.iter().step_by(3) {
            assert_eq!(table.remove(SocketId(*n)), Some(n + 1));
            assert_eq!(table.remove(SocketId(*n)), None);
        }
        for (i, n) in sockets.iter().enumerate() {
            let wanted = (i % 3 != 0).then_some(n + 1);
            assert_eq!(table.get(SocketId(*n)).copied(), wanted, "{n}");
            assert_eq!(table.get_mut(SocketId(*n)).copied(), wanted, "{n}");
        }
    }

    #[test]
    fn a_socket_has_one_value() {
        let mut table = BySocket::new();
        table.insert(SocketId(7), 1);
        table.insert(SocketId(7), 2);
        assert_eq!(table.remove(SocketId(7)), Some(2));
        assert_eq!(table.get(SocketId(7)), None);
    }
}
