//! Filters that no packet can pass, as libpcap's optimizer notices them (optimize.c): fields that would have to have two values at once.

use super::filter::{AddrOf, Arith, Dir, Expr, Filter, Relation, bits};
use packet::{Family, Mac};

const IP: u16 = 0x0800;
const IP6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;

/// So many ways through an expression are tried; one with more is taken to let something pass.
const WAYS: u32 = 4096;

/// What must hold on one way through an expression.
#[derive(Clone, Default)]
struct Facts<'a> {
    ether: Option<u16>,
    not_ether: Vec<u16>,
    /// The protocols that are still possible; all if nothing was said.
    protos: Option<Vec<u8>>,
    not_protos: Vec<(Option<Family>, u8)>,
    /// Source and destination.
    addrs: [Vec<(u128, u128)>; 2],
    ports: [Option<u16>; 2],
    macs: [Option<Mac>; 2],
    numbers: Vec<(&'a Arith, u32)>,
}

impl Filter {
    /// True if no packet passes, so that tcpdump does not begin.
    pub fn rejects_all(&self) -> bool {
        let mut left = WAYS;
        self.expr.as_ref().is_some_and(|e| !possible(&[(e, true)], Facts::default(), &mut left))
    }
}

/// Sets what must have one value; false if it has another.
fn fix<T: PartialEq + Copy>(slot: &mut Option<T>, value: T) -> bool {
    *slot.get_or_insert(value) == value
}

/// Whether these can hold (or not hold) together with the facts.
fn possible<'a>(pending: &[(&'a Expr, bool)], mut facts: Facts<'a>, left: &mut u32) -> bool {
    let Some(((expr, holds), rest)) = pending.split_last() else { return facts.are_possible() };
    if *left == 0 {
        return true;
    }
    *left -= 1;
    let mut rest = rest.to_vec();
    match (*expr, *holds) {
        (Expr::Not(a), holds) => {
            rest.push((a, !holds));
            possible(&rest, facts, left)
        }
        (Expr::And(a, b), true) | (Expr::Or(a, b), false) => {
            rest.extend([(&**b, *holds), (&**a, *holds)]);
            possible(&rest, facts, left)
        }
        (Expr::And(a, b), false) | (Expr::Or(a, b), true) => [a, b].into_iter().any(|one| {
            let mut way = rest.clone();
            way.push((one, *holds));
            possible(&way, facts.clone(), left)
        }),
        (Expr::EtherType(t), true) => fix(&mut facts.ether, *t) && possible(&rest, facts, left),
        (Expr::EtherType(t), false) => {
            facts.not_ether.push(*t);
            possible(&rest, facts, left)
        }
        (Expr::Proto(family, n), false) => {
            facts.not_protos.push((*family, *n));
            possible(&rest, facts, left)
        }
        (leaf, true) => facts.ways(leaf).into_iter().any(|way| possible(&rest, way, left)),
        // What else does not hold leaves everything possible.
        (_, false) => possible(&rest, facts, left),
    }
}

impl<'a> Facts<'a> {
    fn of(&self, ether: u16) -> Option<Facts<'a>> {
        let mut way = self.clone();
        fix(&mut way.ether, ether).then_some(way)
    }

    fn protocols(mut self, protos: &[u8]) -> Facts<'a> {
        let now = self.protos.take().unwrap_or_else(|| protos.to_vec());
        self.protos = Some(now.into_iter().filter(|p| protos.contains(p)).collect());
        self
    }

    /// The ways in which something can hold.
    fn ways(&self, leaf: &'a Expr) -> Vec<Facts<'a>> {
        let both = |of: &[u16]| of.iter().filter_map(|t| self.of(*t)).collect::<Vec<_>>();
        match leaf {
            Expr::Never => Vec::new(),
            Expr::Proto(family, n) => {
                let ways = match family {
                    Some(Family::V4) => both(&[IP]),
                    Some(Family::V6) => both(&[IP6]),
                    None => both(&[IP, IP6]),
                };
                ways.into_iter().map(|way| way.protocols(&[*n])).collect()
            }
            Expr::Addr { of, dir, net, mask } => {
                let ways = match of {
                    _ if net.is_ipv6() => both(&[IP6]),
                    AddrOf::Any => both(&[IP, ARP, RARP]),
                    AddrOf::Ip => both(&[IP]),
                    AddrOf::Arp => both(&[ARP]),
                    AddrOf::Rarp => both(&[RARP]),
                };
                ends(ways, *dir, |way, end| {
                    way.addrs.get_mut(end).is_some_and(|said| {
                        said.push((bits(*net), *mask));
                        true
                    })
                })
            }
            Expr::Port { protos, dir, low, high } => {
                let numbers: Vec<u8> = protos.iter().map(|p| p.0).collect();
                let ways = both(&[IP, IP6]).into_iter().map(|way| way.protocols(&numbers)).collect();
                ends(ways, *dir, |way, end| {
                    low != high || way.ports.get_mut(end).is_some_and(|port| fix(port, *low))
                })
            }
            Expr::Mac(dir, mac) => ends(vec![self.clone()], *dir, |way, end| {
                way.macs.get_mut(end).is_some_and(|slot| fix(slot, *mac))
            }),
            Expr::Relation(a, Relation::Equal, Arith::Number(n)) => {
                let mut way = self.clone();
                way.numbers.push((a, *n));
                vec![way]
            }
            _ => vec![self.clone()],
        }
    }

    fn are_possible(&self) -> bool {
        let family = match self.ether {
            Some(IP) => Some(Family::V4),
            Some(IP6) => Some(Family::V6),
            _ => None,
        };
        let out = |n: &u8| {
            let not = |(of, m): &(Option<Family>, u8)| m == n && (of.is_none() || *of == family);
            self.not_protos.iter().any(not)
        };
        self.ether.is_none_or(|t| !self.not_ether.contains(&t))
            && self.protos.as_ref().is_none_or(|p| !p.iter().all(out))
            && self.addrs.iter().all(|end| agree(end))
            && agree(&self.numbers.iter().map(|(a, n)| (u128::from(*n), *a)).collect::<Vec<_>>())
    }
}

/// No two of them say different values of the same.
fn agree<K: PartialEq>(said: &[(u128, K)]) -> bool {
    said.iter().all(|(a, k)| said.iter().all(|(b, l)| k != l || a == b))
}

/// Something said of the source, the destination, one of them or both.
fn ends<'a>(ways: Vec<Facts<'a>>, dir: Dir, say: impl Fn(&mut Facts<'a>, usize) -> bool) -> Vec<Facts<'a>> {
    let choices: &[&[usize]] = match dir {
        Dir::Src => &[&[0]],
        Dir::Dst => &[&[1]],
        Dir::Either => &[&[0], &[1]],
        Dir::Both => &[&[0, 1]],
    };
    let mut out = Vec::new();
    for way in ways {
        for ends in choices {
            let mut way = way.clone();
            if ends.iter().all(|end| say(&mut way, *end)) {
                out.push(way);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Filter;

    /// As tcpdump 4.99 with libpcap 1.10 refuses them, or begins.
    #[test]
    fn a_filter_that_asks_for_two_values_of_one_field_rejects_all() {
        for text in [
            "icmp and tcp",
            "arp and port 80",
            "arp and ip",
            "icmp and port 80",
            "ip proto 6 and udp",
            "tcp port 80 and udp port 80",
            "tcp port 80 and not tcp",
            "dst port 80 and dst port 81",
            "port 80 and port 81 and port 82",
            "src host 10.0.0.1 and src host 10.0.0.2",
            "src net 10.0.0.0/24 and src net 11.0.0.0/24",
            "ether src 02:00:00:00:00:01 and ether src 02:00:00:00:00:02",
            "ip[9]=1 and ip[9]=6",
        ] {
            assert!(Filter::parse(text).unwrap().rejects_all(), "{text}");
        }
        for text in [
            "",
            "tcp or udp",
            "port 80 and port 81",
            "net 10.0.0.0/24 and net 11.0.0.0/24",
            "not ip and not arp and host 10.0.0.1",
            "greater 100 and less 50",
            "not tcp and not udp",
            "host 10.0.0.1 and not port 53 and (tcp or icmp)",
            "tcp[13] & 2 != 0 and tcp[13] & 16 = 0",
        ] {
            assert!(!Filter::parse(text).unwrap().rejects_all(), "{text}");
        }
    }
}
