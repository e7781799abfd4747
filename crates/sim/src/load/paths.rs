//! The ways of flows through the boxes of a machine, one after the other, for their next packets: a flow and its answer are one line of
//! a processor's cache.

use kernel::{ConnId, DevId, Ends, NetnsId, Noted, WayId};

/// Boxes that a packet passes at most: a node and a pod.
const LEGS: usize = 2;
/// Pairs of places for flows: a power of two.
const PAIRS: usize = 1 << 13;

/// A packet at a box: it comes by a device, or is sent there.
pub(super) type Begin = (NetnsId, Option<DevId>);

/// A way through a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    /// The box.
    pub at: Begin,
    /// The device by which a packet leaves; without, it is for a socket there.
    pub out: Option<DevId>,
    /// What the box has noted.
    pub way: WayId,
}

/// The ways through all boxes, which many flows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    first: Leg,
    second: Option<Leg>,
}

/// A flow, and how its two directions go.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Path {
    /// As it comes, and as it leaves each box. Where the last one of a path with fewer boxes would be, it is again as it leaves.
    ends: [Ends; LEGS + 1],
    /// Its entries of conntrack.
    conns: [ConnId; LEGS],
    /// The route's number.
    there: u16,
    /// That of the answer, which comes with the reverse of the last ends and leaves with the reverse of the first, once it is known.
    back: Option<u16>,
}

const _: () = assert!(size_of::<Option<Path>>() == 64, "one line");

/// What a packet is going to meet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    path: &'a Path,
    route: &'a Route,
    /// It goes as answers do.
    back: bool,
}

impl Found<'_> {
    /// The entry of conntrack that it meets in the second box.
    #[inline]
    pub(super) fn second(&self) -> Option<(NetnsId, ConnId)> {
        let [one, other] = self.path.conns;
        Some((self.route.second?.at.0, if self.back { one } else { other }))
    }

    /// What it meets next: the way, its entry of conntrack there, and what translation makes of it.
    #[inline]
    pub(super) fn step(&self, at: usize) -> Option<(Leg, ConnId, Ends)> {
        let Path { ends: [first, middle, last], conns: [one, other], .. } = *self.path;
        let Route { first: leg, second } = *self.route;
        Some(match (at, self.back) {
            (0, false) => (leg, one, middle),
            (1, false) => (second?, other, last),
            (0, true) if second.is_some() => (leg, other, middle.reversed()),
            (0, true) => (leg, one, first.reversed()),
            (1, true) => (second?, one, first.reversed()),
            _ => return None,
        })
    }
}

/// Paths by flows.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// In each pair the one that was noted last stands first.
    known: Vec<[Option<Path>; 2]>,
    /// What the flows there are told by: most that are not known are found out by this alone, which fits into a cache.
    tags: Vec<[u16; 2]>,
    routes: Vec<Route>,
}

/// The pair of places of a packet's flow, and by what that is told from most others there (never 0, which is nobody's). They are
/// those of the peer, so that both directions of a flow have the same where its address is not translated.
fn place((_, dev): Begin, ends: Ends) -> (usize, u16) {
    let (addr, port) = if dev.is_some() { ends.from } else { ends.to };
    let hash = (u64::from(addr.to_bits()) << 16 | u64::from(port)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((hash >> 40) as usize % PAIRS, (hash >> 24) as u16 | 1)
}

impl Path {
    /// The same flow, seen from the other end.
    fn reversed(&self, legs: usize) -> ([Ends; LEGS + 1], [ConnId; LEGS]) {
        let [a, b, c] = self.ends.map(Ends::reversed);
        let [first, second] = self.conns;
        match legs {
            2 => ([c, b, a], [second, first]),
            _ => ([b, a, a], [first, second]),
        }
    }
}

impl Paths {
    pub(super) fn new() -> Paths {
        Paths { known: vec![[None; 2]; PAIRS], tags: vec![[0; 2]; PAIRS], routes: Vec::new() }
    }

    /// The route with this number, if it begins there.
    #[inline]
    fn route(&self, number: u16, at: Begin) -> Option<&Route> {
        self.routes.get(usize::from(number)).filter(|route| route.first.at == at)
    }

    /// What a packet meets from there on, if that is known.
    #[inline]
    pub(super) fn get(&self, at: Begin, ends: Ends) -> Option<Found<'_>> {
        let (pair, tag) = place(at, ends);
        for (of, path) in self.tags.get(pair)?.iter().zip(self.known.get(pair)?) {
            if *of == tag
                && let Some(path) = path
            {
                let [first, _, last] = path.ends;
                if first == ends
                    && let Some(route) = self.route(path.there, at)
                {
                    return Some(Found { path, route, back: false });
                }
                if last.reversed() == ends
                    && let Some(route) = path.back.and_then(|back| self.route(back, at))
                {
                    return Some(Found { path, route, back: true });
                }
            }
        }
        None
    }

    /// This is not so any more: the next packet of the flow goes the whole way.
    pub(super) fn forget(&mut self, at: Begin, ends: Ends) {
        let (pair, tag) = place(at, ends);
        let Some([first, second]) = self.tags.get_mut(pair) else { return };
        for of in [first, second] {
            if *of == tag {
                *of = 0;
            }
        }
    }

    /// A packet has passed these boxes, one after the other.
    pub(super) fn put(&mut self, trail: &[(NetnsId, Noted)]) {
        let (first, second) = match trail {
            [first] => (first, None),
            [first, second] => (first, Some(second)),
            _ => return,
        };
        let leg = |(host, n): &(NetnsId, Noted)| Leg { at: (*host, n.dev), out: n.out, way: n.way };
        let Some(there) = self.number(Route { first: leg(first), second: second.map(leg) }) else { return };
        let ends = [first.1.ends, first.1.becomes, second.map_or(first.1.becomes, |(_, n)| n.becomes)];
        let conns = [first.1.conn, second.map_or(ConnId::default(), |(_, n)| n.conn)];
        let path = Path { ends, conns, there, back: None };
        let (at, ends) = ((first.0, first.1.dev), ends[0]);
        let (pair, tag) = place(at, ends);
        let reversed = path.reversed(trail.len());
        let routes = &self.routes;
        let begins = |number: u16| routes.get(usize::from(number)).is_some_and(|route| route.first.at == at);
        let (Some(tags), Some(pair)) = (self.tags.get_mut(pair), self.known.get_mut(pair)) else { return };
        for (of, known) in tags.iter().zip(pair.iter_mut()) {
            if *of == tag
                && let Some(known) = known
            {
                if (known.ends, known.conns) == reversed {
                    known.back = Some(there);
                    return;
                }
                if known.ends[0] == ends && begins(known.there) {
                    *known = path;
                    return;
                }
            }
        }
        let ([first, second], [one, other]) = (tags, pair);
        (*second, *other) = (*first, *one);
        (*first, *one) = (tag, Some(path));
    }

    /// The number of a route.
    fn number(&mut self, route: Route) -> Option<u16> {
        let known = self.routes.iter().position(|known| *known == route);
        let at = known.unwrap_or_else(|| {
            self.routes.push(route);
            self.routes.len() - 1
        });
        u16::try_from(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::socket::Endpoint;
    use std::net::Ipv4Addr;

    const NODE: NetnsId = NetnsId(1);
    const POD: NetnsId = NetnsId(2);

    fn end(last: u8, port: u16) -> Endpoint {
        (Ipv4Addr::new(10, 0, 0, last), port)
    }

    fn ends(from: Endpoint, to: Endpoint) -> Ends {
        Ends { from, to }
    }

    /// What boxes note whose numbers of ways are these.
    fn noted(dev: Option<u16>, was: Ends, becomes: Ends, out: Option<u16>, conn: ConnId) -> Noted {
        let way = WayId::default();
        Noted { dev: dev.map(DevId), ends: was, becomes, out: out.map(DevId), way, conn }
    }

    type Trail = [(NetnsId, Noted); 2];

    /// A request from the wire through the node, which translates its destination, to the pod; and its answer.
    fn trails(client: Endpoint) -> (Trail, Trail) {
        let (service, pod) = (end(9, 69), end(2, 69));
        let (outer, inner) = (ends(client, service), ends(client, pod));
        let conn = ConnId::default();
        let there = [
            (NODE, noted(Some(1), outer, inner, Some(2), conn)),
            (POD, noted(Some(1), inner, inner, None, conn)),
        ];
        let back = [
            (POD, noted(None, inner.reversed(), inner.reversed(), Some(1), conn)),
            (NODE, noted(Some(2), inner.reversed(), outer.reversed(), Some(1), conn)),
        ];
        (there, back)
    }

    /// Boxes and ends on the way of a packet.
    fn walk(paths: &Paths, at: Begin, ends: Ends) -> Option<Vec<(Begin, Ends)>> {
        let found = paths.get(at, ends)?;
        Some((0..3).map_while(|n| found.step(n)).map(|(leg, _, becomes)| (leg.at, becomes)).collect())
    }

    fn wanted(trail: &[(NetnsId, Noted)]) -> Option<Vec<(Begin, Ends)>> {
        Some(trail.iter().map(|(host, n)| ((*host, n.dev), n.becomes)).collect())
    }

    #[test]
    fn a_flow_and_its_answer_go_as_they_were_noted() {
        let (there, back) = trails(end(1, 2000));
        let mut paths = Paths::new();
        let (first, answer) = ((NODE, Some(DevId(1))), (POD, None));
        assert_eq!(walk(&paths, first, there[0].1.ends), None);
        paths.put(&there);
        assert_eq!(walk(&paths, first, there[0].1.ends), wanted(&there));
        assert_eq!(walk(&paths, answer, back[0].1.ends), None);
        paths.put(&back);
        assert_eq!(walk(&paths, first, there[0].1.ends), wanted(&there));
        assert_eq!(walk(&paths, answer, back[0].1.ends), wanted(&back));
        // Both stand in one place.
        assert_eq!(paths.known.iter().flatten().flatten().count(), 1);
    }

    #[test]
    fn one_box_alone_is_a_path_too() {
        let (there, _) = trails(end(1, 2000));
        let (first, last) = (there[1], there[1].1.ends);
        let answer = (POD, noted(None, last.reversed(), last.reversed(), Some(1), ConnId::default()));
        let mut paths = Paths::new();
        paths.put(&[answer]);
        paths.put(&[first]);
        assert_eq!(walk(&paths, (POD, Some(DevId(1))), last), wanted(&[first]));
        assert_eq!(walk(&paths, (POD, None), last.reversed()), wanted(&[answer]));
    }

    #[test]
    fn it_counts_where_a_packet_comes_in() {
        let (there, _) = trails(end(1, 2000));
        let mut paths = Paths::new();
        paths.put(&there);
        assert_eq!(walk(&paths, (NODE, Some(DevId(2))), there[0].1.ends), None);
        assert_eq!(walk(&paths, (POD, Some(DevId(1))), there[0].1.ends), None);
    }

    #[test]
    fn what_is_forgotten_is_not_found_in_either_direction() {
        let (there, back) = trails(end(1, 2000));
        let mut paths = Paths::new();
        paths.put(&there);
        paths.put(&back);
        paths.forget((NODE, Some(DevId(1))), there[0].1.ends);
        assert_eq!(walk(&paths, (NODE, Some(DevId(1))), there[0].1.ends), None);
        assert_eq!(walk(&paths, (POD, None), back[0].1.ends), None);
    }

    #[test]
    fn many_flows_are_told_apart() {
        let mut paths = Paths::new();
        let flows: Vec<_> = (0..2000).map(|n| trails(end(1 + (n % 7) as u8, 2000 + n))).collect();
        for (there, back) in &flows {
            paths.put(there);
            paths.put(back);
        }
        let known = |trail: &[(NetnsId, Noted)]| {
            let (host, n) = trail[0];
            let found = walk(&paths, (host, n.dev), n.ends);
            assert!(found.is_none() || found == wanted(trail), "{n:?}");
            found.is_some()
        };
        let found = flows.iter().filter(|(there, back)| known(there) && known(back)).count();
        // Some share a pair of places with two others.
        assert!(found > 1900, "{found}");
    }
}
