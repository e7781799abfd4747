//! SCTP tracking: states and verification tags (net/netfilter/nf_conntrack_proto_sctp.c; RFC 9260, 8.5).

use super::{Direction, Timeouts};
use packet::{Sctp, SctpChunk, sctp_chunk as chunk};

/// State of a tracked association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SctpState {
    /// No packet yet.
    None,
    /// INIT seen, or nothing stands.
    Closed,
    /// INIT ACK seen.
    CookieWait,
    /// COOKIE ECHO seen.
    CookieEchoed,
    /// COOKIE ACK seen.
    Established,
    /// SHUTDOWN seen from the side that began.
    ShutdownSent,
    /// SHUTDOWN seen from the other side.
    ShutdownRecd,
    /// SHUTDOWN ACK seen.
    ShutdownAckSent,
    /// HEARTBEAT seen of an association that is not known.
    HeartbeatSent,
}

impl SctpState {
    /// The name that conntrack prints.
    pub fn name(self) -> &'static str {
        match self {
            SctpState::None => "NONE",
            SctpState::Closed => "CLOSED",
            SctpState::CookieWait => "COOKIE_WAIT",
            SctpState::CookieEchoed => "COOKIE_ECHOED",
            SctpState::Established => "ESTABLISHED",
            SctpState::ShutdownSent => "SHUTDOWN_SENT",
            SctpState::ShutdownRecd => "SHUTDOWN_RECD",
            SctpState::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            SctpState::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }
}

/// SCTP part of an entry (`struct ip_ct_sctp`). What belongs to a direction is 0 for original, 1 for reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpTrack {
    /// State.
    pub state: SctpState,
    /// The tag that packets of a direction bear; 0 if it is not known.
    vtag: [u32; 2],
    /// An INIT was seen in this direction, and no newer one in the other.
    init: [bool; 2],
    /// A HEARTBEAT with another tag was seen: the association may have begun anew. In which direction.
    heartbeat_failed: Option<Direction>,
}

/// What conntrack says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SctpVerdict {
    /// Valid: the time-out to set, and whether the state changed.
    Accept { timeout: u32, changed: bool, assured: bool },
    /// Passes, and the time-out stays.
    KeepsTimeout { changed: bool },
    /// Not valid, with conntrack's reason; what its first chunks have changed stays.
    Invalid { reason: &'static str, changed: bool },
}

fn refuse(reason: &'static str, changed: bool) -> SctpVerdict {
    SctpVerdict::Invalid { reason, changed }
}

const TAG: &str = "nf_ct_sctp: verification tag check failed";

/// Chunks whose tags have rules of their own (RFC 9260, 8.5.1).
const SPECIAL: [u8; 7] = [
    chunk::INIT,
    chunk::SHUTDOWN_COMPLETE,
    chunk::COOKIE_ECHO,
    chunk::ABORT,
    chunk::SHUTDOWN_ACK,
    chunk::HEARTBEAT,
    chunk::HEARTBEAT_ACK,
];

fn index(dir: Direction) -> usize {
    match dir {
        Direction::Original => 0,
        Direction::Reply => 1,
    }
}

/// False for chunks that change no state: data, and what came after RFC 2960.
fn matters(kind: u8) -> bool {
    kind <= chunk::SHUTDOWN_COMPLETE && !matches!(kind, chunk::DATA | chunk::SACK | 12 | 13)
}

/// `sctp_new_state`: state, direction and chunk give the next state; `None` if the chunk cannot come.
fn next_state(dir: Direction, kind: u8, state: SctpState) -> Option<SctpState> {
    use SctpState::*;
    let original = dir == Direction::Original;
    // An entry that began with a HEARTBEAT knows nothing but those.
    let unknown = matches!(state, None | HeartbeatSent);
    Some(match (kind, state) {
        _ if !matters(kind) => state,
        (chunk::HEARTBEAT, None) if original => HeartbeatSent,
        (chunk::HEARTBEAT, HeartbeatSent) => HeartbeatSent,
        (chunk::HEARTBEAT_ACK, HeartbeatSent) if original => HeartbeatSent,
        (chunk::HEARTBEAT_ACK, HeartbeatSent) => Established,
        (chunk::INIT, HeartbeatSent) if original => CookieWait,
        (chunk::SHUTDOWN_ACK, None | HeartbeatSent) if original => ShutdownAckSent,
        _ if unknown && original => Closed,
        _ if unknown => return Option::None,
        (chunk::INIT, ShutdownSent | ShutdownRecd) if original => Closed,
        (chunk::INIT_ACK, Closed) if !original => CookieWait,
        (chunk::ABORT, _) => Closed,
        (chunk::SHUTDOWN, Established) if original => ShutdownSent,
        (chunk::SHUTDOWN, Established) => ShutdownRecd,
        (chunk::SHUTDOWN_ACK, ShutdownSent | ShutdownRecd) => ShutdownAckSent,
        (chunk::ERROR, CookieEchoed) if !original => Closed,
        (chunk::COOKIE_ECHO, CookieWait) => CookieEchoed,
        (chunk::COOKIE_ACK, CookieEchoed) => Established,
        (chunk::SHUTDOWN_COMPLETE, ShutdownAckSent) => Closed,
        (_, state) => state,
    })
}

/// `do_basic_checks`: which chunks are there; `None` if they cannot stand together.
fn survey(sctp: &Sctp<'_>) -> Option<u16> {
    let mut kinds = 0u16;
    let mut alone = false;
    for (n, c) in sctp.chunks().enumerate() {
        alone |= matches!(c.kind, chunk::INIT | chunk::INIT_ACK | chunk::SHUTDOWN_COMPLETE);
        let first = alone || matches!(c.kind, chunk::COOKIE_ACK | chunk::COOKIE_ECHO);
        if c.len == 0 || (first && n != 0) {
            return None;
        }
        kinds |= 1u16.checked_shl(u32::from(c.kind)).unwrap_or(0);
    }
    (sctp.chunks().count() > 0).then_some(kinds)
}

fn has(kinds: u16, kind: u8) -> bool {
    kinds >> kind & 1 == 1
}

impl SctpTrack {
    /// `sctp_new`: can a flow begin with this packet?
    fn begin(sctp: &Sctp<'_>) -> Option<SctpTrack> {
        let mut track =
            SctpTrack { state: SctpState::None, vtag: [0; 2], init: [false; 2], heartbeat_failed: None };
        for c in sctp.chunks() {
            if !matters(c.kind) {
                return None;
            }
            match c.kind {
                chunk::INIT if sctp.vtag == 0 => track.vtag[1] = c.init_tag()?,
                chunk::INIT => return None,
                chunk::HEARTBEAT => track.vtag[0] = sctp.vtag,
                // Out of the blue: the answer bears the tag that it came with.
                chunk::SHUTDOWN_ACK => track.vtag[1] = sctp.vtag,
                _ => {}
            }
        }
        Some(track)
    }

    /// `nf_conntrack_sctp_packet`; `track` is `None` for a flow that is not in the table yet.
    pub(super) fn packet(
        track: &mut Option<SctpTrack>,
        confirmed: bool,
        dir: Direction,
        sctp: &Sctp<'_>,
        is_assured: bool,
        timeouts: &Timeouts,
    ) -> SctpVerdict {
        let Some(kinds) = survey(sctp) else { return refuse("nf_ct_sctp: invalid chunks", false) };
        if !confirmed || track.is_none() {
            let stray = [chunk::ABORT, chunk::SHUTDOWN_COMPLETE, chunk::COOKIE_ACK];
            match SctpTrack::begin(sctp).filter(|_| !stray.iter().any(|k| has(kinds, *k))) {
                Some(new) => *track = Some(new),
                None => return refuse("nf_ct_sctp: not a new association", false),
            }
        }
        let Some(t) = track else { return refuse(TAG, false) };
        t.walk(confirmed, dir, sctp, kinds, is_assured, timeouts)
    }

    fn walk(
        &mut self,
        confirmed: bool,
        dir: Direction,
        sctp: &Sctp<'_>,
        kinds: u16,
        is_assured: bool,
        timeouts: &Timeouts,
    ) -> SctpVerdict {
        if !SPECIAL.iter().any(|k| has(kinds, *k)) && sctp.vtag != self.vtag[index(dir)] {
            return refuse(TAG, false);
        }
        let (mut changed, mut assured, mut keeps) = (false, false, false);
        for c in sctp.chunks() {
            match self.tag_fits(dir, sctp.vtag, &c, has(kinds, chunk::DATA) || keeps) {
                Tag::Fits => {}
                Tag::Ignore => {
                    keeps = true;
                    continue;
                }
                Tag::Wrong => return refuse(TAG, changed),
            }
            let old = self.state;
            let Some(new) = next_state(dir, c.kind, old) else {
                return refuse("nf_ct_sctp: invalid state transition", changed);
            };
            if matches!(c.kind, chunk::INIT | chunk::INIT_ACK) {
                let Some(tag) = c.init_tag() else { return refuse("nf_ct_sctp: short INIT", changed) };
                if !self.learn_tag(dir, c.kind, tag) {
                    return refuse(TAG, changed);
                }
                // An INIT again does not keep the entry alive, nor its NAT.
                keeps |= old == SctpState::Closed && new == SctpState::Closed && confirmed;
            }
            self.state = new;
            changed |= new != old;
            assured |= new == SctpState::Established && new != old && !is_assured;
        }
        if keeps {
            return SctpVerdict::KeepsTimeout { changed };
        }
        SctpVerdict::Accept { timeout: timeouts.sctp(self.state), changed, assured }
    }

    /// What the log says of a packet that was not valid, if anything. `plain` is the reason; the association is as the packet has
    /// left it. The kernel prints tags and lengths as they stand in its memory.
    pub(super) fn why(entry: Option<(SctpTrack, Direction)>, sctp: &Sctp<'_>, plain: &str) -> Option<String> {
        if plain == "invalid chunks" {
            let mut alone = false;
            let bad = sctp.chunks().enumerate().find(|(n, c)| {
                alone |= matches!(c.kind, chunk::INIT | chunk::INIT_ACK | chunk::SHUTDOWN_COMPLETE);
                let first = alone || matches!(c.kind, chunk::COOKIE_ACK | chunk::COOKIE_ECHO);
                c.len == 0 || (first && *n != 0)
            });
            let (n, c) = bad?;
            let (kind, len, flag) = (c.kind, c.len.swap_bytes(), u8::from(alone));
            return Some(format!(
                "do_basic_checks failed. chunk num {n}, type {kind}, len {len} flag {flag}\n"
            ));
        }
        // A flow that came to nothing is in no table.
        let new = || Some((SctpTrack::begin(sctp)?, Direction::Original));
        let (track, dir) = entry.or_else(new)?;
        let number = index(dir);
        if plain == "invalid state transition" {
            let bad = sctp.chunks().find(|c| next_state(dir, c.kind, track.state).is_none())?;
            return Some(format!(
                "Invalid, old_state {}, dir {number}, type {}",
                track.state as u8, bad.kind
            ));
        }
        let kinds = survey(sctp)?;
        if plain != "verification tag check failed" || SPECIAL.iter().any(|k| has(kinds, *k)) {
            return None;
        }
        let (tag, known) = (sctp.vtag.swap_bytes(), track.vtag[number].swap_bytes());
        (tag != known).then(|| format!("verification tag check failed {tag:x} vs {known:x} for dir {number}"))
    }

    /// The tag that an INIT or INIT ACK brings is what the other side's packets will bear. False if it contradicts what is
    /// known.
    fn learn_tag(&mut self, dir: Direction, kind: u8, tag: u32) -> bool {
        let (own, other) = (index(dir), index(dir.flip()));
        if kind == chunk::INIT {
            self.init[own] = true;
            self.vtag[other] = tag;
            return true;
        }
        let known = self.vtag[other];
        // Without an INIT that it answers it may only repeat; of two that cross each other the tags stand already.
        let repeats = if self.init[other] { self.init[own] } else { known != 0 };
        if repeats && known != tag {
            return false;
        }
        self.vtag[other] = tag;
        true
    }

    /// The rules about the tag that depend on the chunk (RFC 9260, 8.5.1). `strict`: a HEARTBEAT with another tag is wrong.
    fn tag_fits(&mut self, dir: Direction, vtag: u32, c: &SctpChunk<'_>, strict: bool) -> Tag {
        let (own, other) = (self.vtag[index(dir)], self.vtag[index(dir.flip())]);
        let reflected = c.flags & 1 != 0;
        let fits = match c.kind {
            chunk::INIT => vtag == 0,
            // The T bit: the sender has no association, and sends the tag back that it got.
            chunk::ABORT | chunk::SHUTDOWN_COMPLETE => vtag == if reflected { other } else { own },
            chunk::COOKIE_ECHO => vtag == own,
            chunk::COOKIE_ACK => {
                self.init = [false; 2];
                true
            }
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK if own == 0 => {
                self.vtag[index(dir)] = vtag;
                true
            }
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK if vtag == own => {
                self.heartbeat_failed = None;
                true
            }
            chunk::HEARTBEAT if !strict => {
                self.heartbeat_failed = Some(dir);
                return Tag::Ignore;
            }
            chunk::HEARTBEAT_ACK if !strict && self.heartbeat_failed == Some(dir.flip()) => {
                // The other side knows the new tag: the association has begun anew.
                self.heartbeat_failed = None;
                self.vtag[index(dir)] = vtag;
                self.vtag[index(dir.flip())] = 0;
                true
            }
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK => false,
            _ => true,
        };
        if fits { Tag::Fits } else { Tag::Wrong }
    }
}

/// What a chunk's tag is worth.
enum Tag {
    Fits,
    /// It does not fit, but the association may have begun anew: the packet passes.
    Ignore,
    Wrong,
}
