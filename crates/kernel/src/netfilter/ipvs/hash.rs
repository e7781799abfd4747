//! The schedulers that hash: the same client, or the same virtual address, gets the same server
//! (net/netfilter/ipvs/ip_vs_sh.c, ip_vs_dh.c, ip_vs_mh.c).

use super::Endpoint;
use super::sched::gcd;
use super::service::Dest;
use std::net::Ipv4Addr;

/// `IP_VS_SH_TAB_BITS`, `IP_VS_DH_TAB_BITS`: tables of 256.
const BITS: u32 = 8;
/// `GOLDEN_RATIO_32` (include/linux/hash.h).
const GOLDEN_RATIO: u32 = 0x61C8_8647;
/// The factor that sh and dh had before it.
const OLD_FACTOR: u32 = 2_654_435_761;
/// Entries of mh's table with `CONFIG_IP_VS_MH_TAB_INDEX=12`.
const MH_SIZE: u32 = 4093;
/// `IP_VS_MH_TAB_BITS`: turns of a server that need more bits are cut.
const MH_BITS: u32 = 6;
/// The keys of mh's two hashes, for both halves (`generate_hash_secret`).
const MH_KEYS: [u64; 2] = [2_654_435_761, 2_654_446_892];

/// `hash_32` (include/linux/hash.h)
fn hash_32(value: u32, low_bits: bool) -> u32 {
    if low_bits {
        return value.wrapping_mul(OLD_FACTOR) % (1 << BITS);
    }
    value.wrapping_mul(GOLDEN_RATIO) >> (32 - BITS)
}

/// The server at a bucket of sh's table: each has as many buckets in a row as its weight, and at least one.
fn sh_at(dests: &[Dest], bucket: u32) -> Option<usize> {
    let width = |d: &Dest| u64::from(d.spec.weight.max(1));
    let all: u64 = dests.iter().map(width).sum();
    let mut left = u64::from(bucket).checked_rem(all)?;
    dests.iter().position(|d| match left.checked_sub(width(d)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    })
}

/// `ip_vs_sh_schedule`
pub(super) fn sh(dests: &[Dest], client: Endpoint, fallback: bool, low_bits: bool) -> Option<usize> {
    let hash = |offset: u32| {
        let value = u32::from(client.0).wrapping_add(u32::from(client.1));
        offset.wrapping_add(hash_32(value, low_bits)) % (1 << BITS)
    };
    probe(dests, 1 << BITS, fallback, &|offset| (hash(offset), sh_at(dests, hash(offset))))
}

/// `ip_vs_dh_schedule`: the servers take turns in the table, whatever they weigh.
pub(super) fn dh(dests: &[Dest], virt: Ipv4Addr, low_bits: bool) -> Option<usize> {
    let at = usize::try_from(hash_32(u32::from(virt), low_bits)).ok()?.checked_rem(dests.len())?;
    dests.get(at).filter(|d| d.usable()).map(|_| at)
}

/// The server of the first bucket, or with `fallback` the next one that is usable: the table is tried from that bucket on.
fn probe(
    dests: &[Dest],
    size: u32,
    fallback: bool,
    at: &dyn Fn(u32) -> (u32, Option<usize>),
) -> Option<usize> {
    let usable = |i: &usize| dests.get(*i).is_some_and(Dest::usable);
    let (first, found) = at(0);
    if found.is_none() || found.as_ref().is_some_and(usable) || !fallback {
        return found.filter(usable);
    }
    (0..size).map(|offset| at((offset + first) % size).1).find(|f| f.as_ref().is_none_or(usable))?
}

/// mh's table: which server has which entry (Maglev hashing, NSDI 2016, section 3.4).
#[derive(Clone, Debug, Default)]
pub(super) struct Maglev {
    /// Places in the list of servers; empty if none has ever had a weight.
    table: Vec<u16>,
}

/// How a server takes its entries.
struct Taker {
    next: u32,
    skip: u32,
    turns: u32,
}

impl Maglev {
    /// `ip_vs_mh_reassign`: each server in turn takes the next free entry of its own permutation, as often in a row as its
    /// weight says. A weight of 0 that was more once keeps its part.
    pub(super) fn of(dests: &[Dest]) -> Maglev {
        let unit = dests.iter().map(|d| d.last_weight).fold(0, gcd);
        let heaviest = dests.iter().map(|d| d.last_weight).max().unwrap_or(0);
        let Some(most) = heaviest.checked_div(unit) else { return Maglev::default() };
        let shift = (u32::BITS - most.leading_zeros()).saturating_sub(MH_BITS);
        let mut takers: Vec<Taker> = dests
            .iter()
            .map(|d| Taker {
                next: mh_hash(d.spec.addr, MH_KEYS[0], 0) % MH_SIZE,
                skip: mh_hash(d.spec.addr, MH_KEYS[1], 0) % (MH_SIZE - 1) + 1,
                turns: ((d.last_weight / unit) >> shift).max(u32::from(d.last_weight != 0)),
            })
            .collect();
        let mut table: Vec<Option<u16>> = vec![None; MH_SIZE as usize];
        let mut free = MH_SIZE;
        while free > 0 {
            for (place, taker) in takers.iter_mut().enumerate() {
                let place = u16::try_from(place).unwrap_or(u16::MAX);
                for _ in 0..taker.turns.min(free) {
                    // The size is a prime, so that a permutation comes to every entry.
                    while table.get(taker.next as usize).is_some_and(Option::is_some) {
                        taker.next = (taker.next + taker.skip) % MH_SIZE;
                    }
                    if let Some(entry) = table.get_mut(taker.next as usize) {
                        *entry = Some(place);
                    }
                    free -= 1;
                }
            }
        }
        Maglev { table: table.into_iter().flatten().collect() }
    }

    /// `ip_vs_mh_schedule`
    pub(super) fn choose(&self, dests: &[Dest], client: Endpoint, fallback: bool) -> Option<usize> {
        let at = |offset| {
            let bucket = mh_hash(client, MH_KEYS[0], offset) % MH_SIZE;
            (bucket, self.table.get(bucket as usize).map(|place| usize::from(*place)))
        };
        probe(dests, MH_SIZE, fallback, &at)
    }
}

/// `ip_vs_mh_hashkey`
fn mh_hash((addr, port): Endpoint, key: u64, offset: u32) -> u32 {
    hsiphash(offset.wrapping_add(u32::from(port)).wrapping_add(u32::from(addr)), key)
}

/// SipHash-1-3 of four bytes, both halves of the key the same, cut to 32 bits: the kernel's hsiphash on 64-bit machines
/// (lib/siphash.c, Documentation/security/siphash.rst).
fn hsiphash(value: u32, key: u64) -> u32 {
    let mut v = [
        0x736f_6d65_7073_6575 ^ key,
        0x646f_7261_6e64_6f6d ^ key,
        0x6c79_6765_6e65_7261 ^ key,
        0x7465_6462_7974_6573 ^ key,
    ];
    let last = 4 << 56 | u64::from(value);
    v[3] ^= last;
    sip_round(&mut v);
    v[0] ^= last;
    v[2] ^= 0xff;
    (0..3).for_each(|_| sip_round(&mut v));
    let all = v[0] ^ v[1] ^ v[2] ^ v[3];
    (all & 0xffff_ffff) as u32
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}
