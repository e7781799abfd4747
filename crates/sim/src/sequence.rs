//! Initial sequence numbers of TCP connections, in the order in which somebody saw them.

use packet::{Ip, L4, TcpFlags};

/// The initial numbers seen so far. A number is told as one of them, by a letter, and the distance to it: `A+1`.
#[derive(Clone, Debug, Default)]
pub struct InitialNumbers {
    bases: Vec<u32>,
}

/// Numbers farther than this from a base belong to another.
const NEAR: u32 = 1 << 20;

impl InitialNumbers {
    /// Notes the initial number, if this packet is a SYN.
    pub fn see(&mut self, ip: &Ip) {
        if let L4::Tcp(t) = &*ip.headers()
            && t.flags.has(TcpFlags::SYN)
            && self.find(t.seq).is_none()
        {
            self.bases.push(t.seq);
        }
    }

    /// Which initial number is near to this one, and how far it is from that.
    pub fn find(&self, number: u32) -> Option<(usize, u32)> {
        let near = |(i, base): (usize, &u32)| {
            let d = number.wrapping_sub(*base);
            (d < NEAR).then_some((i, d))
        };
        self.bases.iter().enumerate().find_map(near)
    }

    /// The number that a pair stands for; the outer `None` if there is no such initial number.
    pub(crate) fn absolute(&self, relative: Option<(usize, u32)>) -> Option<Option<u32>> {
        match relative {
            None => Some(None),
            Some((i, d)) => self.bases.get(i).map(|base| Some(base.wrapping_add(d))),
        }
    }
}
