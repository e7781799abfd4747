//! `-m nfacct` (net/netfilter/xt_nfacct.c, nfnetlink_acct.c): counters with a name.

use super::{Checks, MatchCx};
use crate::Skb;
use crate::netfilter::xtables::{Counters, Seen};

/// `--nfacct-name`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfacctMatch {
    /// The object that counts. A rule can only name one that exists, and it cannot be deleted while one names it.
    pub name: String,
}

/// A counter with a name (`struct nf_acct`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nfacct {
    /// Its name, at most [`Nfacct::NAME_MAX`] bytes.
    pub name: String,
    /// What it has counted.
    pub counters: Counters,
    /// The rules that name it match once this is exceeded; without a quota always.
    pub quota: Option<NfacctQuota>,
    /// A packet has found the quota used up (`NFACCT_OVERQUOTA_BIT`).
    pub overquota: bool,
}

/// How much an object may count until its rules match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NfacctQuota {
    /// `packet N`
    Packets(u64),
    /// `byte N`
    Bytes(u64),
}

impl Nfacct {
    /// `NFACCT_NAME_MAX` without its final zero.
    pub const NAME_MAX: usize = 31;

    /// A new one.
    pub fn new(name: &str, quota: Option<NfacctQuota>) -> Nfacct {
        Nfacct { name: name.to_owned(), counters: Counters::default(), quota, overquota: false }
    }

    /// Its counters begin anew.
    pub fn reset(&mut self) {
        self.counters = Counters::default();
        self.overquota = false;
    }

    /// `nfnl_acct_overquota`
    fn matches(&mut self) -> bool {
        let (now, quota) = match self.quota {
            None => return true,
            Some(NfacctQuota::Packets(n)) => (self.counters.packets, n),
            Some(NfacctQuota::Bytes(n)) => (self.counters.bytes, n),
        };
        self.overquota |= now >= quota;
        now > quota
    }
}

impl NfacctMatch {
    /// Counts, whether or not it matches.
    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let len = skb.ip().map_or(0, packet::Ip::total_len);
        let Some(object) = m.ns.nfacct.iter_mut().find(|o| o.name == self.name) else {
            return checks.option(false, || Seen::Word("no such object"));
        };
        object.counters.add(len);
        let packets = object.counters.packets;
        checks.option(object.matches(), || Seen::Text(format!("packet {packets} of it")))
    }
}
