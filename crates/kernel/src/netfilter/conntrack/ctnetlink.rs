//! What a program tells conntrack: entries that it makes and changes (net/netfilter/nf_conntrack_netlink.c).

use super::tcp::TcpTrack;
use super::{TcpState, Tuple, Zone};
use crate::event::{CtEvent, CtEventKind};
use crate::{ConnId, Cx, Netns, PacketId};

/// An entry to be made (`conntrack -I`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Original direction.
    pub orig: Tuple,
    /// Reply direction.
    pub reply: Tuple,
    /// Time-out in seconds.
    pub timeout: u32,
    /// Bits of [`super::status`] that it has from the start.
    pub status: u32,
    /// `connmark`
    pub mark: u32,
    /// State of TCP.
    pub tcp: Option<TcpState>,
    /// Where the tuples must be free, and where the entry then stands.
    pub zone: Zone,
}

/// What shall be different of an entry (`conntrack -U`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Time-out in seconds.
    pub timeout: Option<u32>,
    /// Bits of [`super::status`] to add.
    pub status: u32,
    /// The mark: bits to clear, bits to flip.
    pub mark: Option<(u32, u32)>,
    /// State of TCP.
    pub tcp: Option<TcpState>,
}

impl Netns {
    /// `ctnetlink_create_conntrack`. False if one of its tuples is taken.
    pub fn ct_create(&mut self, new: &NewEntry, cx: &mut Cx<'_>) -> bool {
        let (now, zone) = (cx.now, new.zone);
        for id in
            [&new.orig, &new.reply].iter().filter_map(|t| self.ct.over(t, zone, now)).collect::<Vec<_>>()
        {
            self.ct_delete(id, cx);
        }
        if self.ct.find(&new.orig, zone, now).or(self.ct.find(&new.reply, zone, now)).is_some() {
            return false;
        }
        let id = self.ct.alloc(new.orig, new.reply, zone, now);
        let Some(c) = self.ct.get_mut(id) else { return false };
        c.status |= new.status;
        c.timeout = new.timeout;
        c.mark = new.mark;
        c.tcp = new.tcp.map(|state| Box::new(TcpTrack::in_state(state)));
        let _ = self.ct.insert(id, now);
        self.ct.stats.insert += 1;
        self.ct_tell(id, CtEventKind::New, cx);
        true
    }

    /// `ctnetlink_change_conntrack`. False if the entry is as it shall be already.
    pub fn ct_change(&mut self, id: ConnId, change: &Change, cx: &mut Cx<'_>) -> bool {
        let now = cx.now;
        let Some(c) = self.ct.get_mut(id) else { return false };
        let mark = change.mark.map_or(c.mark, |(clear, flip)| (c.mark & !clear) ^ flip);
        let state = c.tcp.as_ref().map(|t| t.state);
        let tcp = change.tcp.filter(|s| state.is_some_and(|old| old != *s));
        let timeout = change.timeout.filter(|t| *t != c.seconds_left(now));
        if mark == c.mark && tcp.is_none() && timeout.is_none() && c.status | change.status == c.status {
            return false;
        }
        c.mark = mark;
        c.status |= change.status;
        if let (Some(track), Some(state)) = (&mut c.tcp, tcp) {
            let told = TcpTrack::in_state(state);
            track.state = state;
            for (peer, told) in track.seen.iter_mut().zip(told.seen) {
                peer.flags |= told.flags;
            }
        }
        if let Some(timeout) = timeout {
            c.set_timeout(timeout, now);
        }
        self.ct.mod_timer(id);
        self.ct_tell(id, CtEventKind::Update, cx);
        true
    }

    fn ct_tell(&self, id: ConnId, kind: CtEventKind, cx: &mut Cx<'_>) {
        let Some(row) = self.ct.get(id).filter(|c| !c.silent).map(|c| c.row(cx.now)) else { return };
        cx.ct_event(PacketId::default(), || CtEvent { kind, row, proto: true, mark: true });
    }
}
