//! The socket buffer: a packet while it is inside one box (`struct sk_buff`, include/linux/skbuff.h).

use crate::netfilter::conntrack::{ConnInfo, CtState, Template, TemplateId};
use crate::route::Dst;
use crate::{ConnId, DevId, PacketId};
use packet::{Frame, Ip, L4, Mac, Payload};
use std::net::Ipv4Addr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// To whom the frame is addressed, from the view of the device that received it (`skb->pkt_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PktType {
    /// `PACKET_HOST`: to the device's own address.
    Host,
    /// `PACKET_BROADCAST`
    Broadcast,
    /// `PACKET_MULTICAST`
    Multicast,
    /// `PACKET_OTHERHOST`: to somebody else; the IP stack ignores it.
    OtherHost,
}

impl PktType {
    /// The word used by iptables.
    pub fn name(self) -> &'static str {
        match self {
            PktType::Host => "unicast",
            PktType::Broadcast => "broadcast",
            PktType::Multicast => "multicast",
            PktType::OtherHost => "otherhost",
        }
    }
}

/// Who has made a packet (`skb->sk`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SkbOwner {
    /// Nobody here: it came in, or it belongs to a connection that its program has left behind, or a rule made it.
    #[default]
    None,
    /// A socket of the kernel's own: ICMP, RST.
    Kernel,
    /// A program's socket.
    Program,
}

/// The conntrack reference of a packet (`skb->_nfct`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ct {
    /// No entry: conntrack has not seen the packet, or found it invalid. `--ctstate INVALID` matches.
    #[default]
    None,
    /// `IP_CT_UNTRACKED`
    Untracked,
    /// No entry, but not untouched either: an answer of the kernel to a packet without one. conntrack looks at it as at any
    /// other; the targets CT and NOTRACK leave it alone, as they do with everything that has been seen.
    Answer,
    /// A rule has told what the entry shall be that conntrack will make (`-j CT`).
    Template(Template, TemplateId),
    /// Belongs to an entry.
    Tracked {
        /// The entry.
        conn: ConnId,
        /// How the packet relates to it.
        info: ConnInfo,
    },
}

impl Ct {
    /// The entry, if there is one.
    pub fn conn(self) -> Option<ConnId> {
        match self {
            Ct::Tracked { conn, .. } => Some(conn),
            _ => None,
        }
    }

    /// The state that `--ctstate` sees.
    pub fn state(self) -> CtState {
        match self {
            Ct::None | Ct::Answer => CtState::Invalid,
            Ct::Untracked => CtState::Untracked,
            Ct::Template(..) => CtState::New,
            Ct::Tracked { info, .. } => info.state,
        }
    }
}

/// What br_netfilter remembers about a packet that came in by a bridge port (`struct nf_bridge_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NfBridge {
    /// The bridge port that received it (`physindev`).
    pub physin: DevId,
    /// The bridge port that it leaves by, once the bridge has decided (`physoutdev`).
    pub physout: Option<DevId>,
    /// The bridge is running the IP PREROUTING hook right now.
    pub in_prerouting: bool,
    /// The destination before PREROUTING; if it differs afterwards the packet was DNATed.
    pub ipv4_daddr: Option<Ipv4Addr>,
    /// DNATed to a host behind the same bridge, on its way through neighbour output: the source MAC is restored
    /// when the bridge device transmits it.
    pub bridged_dnat: bool,
    /// The sender's MAC, kept while the frame takes that way.
    pub neigh_source: Mac,
    /// The frame was addressed to somebody else before br_netfilter lent it to the IP stack.
    pub pkt_otherhost: bool,
}

/// A packet inside one box. Passed by value, so that a dropped packet cannot be used again; it is a pointer, as it is passed
/// often.
#[derive(Clone, Debug)]
pub struct Skb(Box<SkBuff>);

impl Deref for Skb {
    type Target = SkBuff;

    fn deref(&self) -> &SkBuff {
        &self.0
    }
}

impl DerefMut for Skb {
    fn deref_mut(&mut self) -> &mut SkBuff {
        &mut self.0
    }
}

/// What is known about a packet, see [`Skb`].
#[derive(Clone, Debug)]
pub struct SkBuff {
    /// Identity, see [`PacketId`].
    pub id: PacketId,
    /// The packet with its link-layer header (all zero until neighbour output fills it in).
    pub frame: Rc<Frame>,
    /// The device that the packet is at (`skb->dev`); `None` for locally made packets before output.
    pub dev: Option<DevId>,
    /// The device by which the network layer received it (`skb->skb_iif`).
    pub iif: Option<DevId>,
    /// See [`PktType`].
    pub pkt_type: PktType,
    /// The packet mark.
    pub mark: u32,
    /// Conntrack reference.
    pub ct: Ct,
    /// br_netfilter's notes.
    pub nf_bridge: Option<NfBridge>,
    /// Set by the TRACE target: later rules that match are reported.
    pub nf_trace: bool,
    /// Who has made it.
    pub owner: SkbOwner,
    /// The routing decision, once made.
    pub dst: Option<Dst>,
    /// Routing found that the packet leaves by the device it came in by, to a gateway that the sender could have
    /// used itself (`IPSKB_DOREDIRECT`).
    pub do_redirect: bool,
    /// Its sender has had an answer since: the next hop is alive (`dst_pending_confirm`).
    pub confirms_neigh: bool,
    /// IPVS has handled the packet.
    pub ipvs_property: bool,
    /// This copy goes up only because the bridge device is promiscuous.
    pub promisc_copy: bool,
    /// Put together from fragments of at most this size, header included (`IPCB(skb)->frag_max_size`); 0 if not.
    pub frag_max_size: usize,
    /// The fragments that it was put together from, and their lengths without headers (`skb_shinfo(skb)->frag_list`).
    pub frag_list: Option<Rc<[(PacketId, usize)]>>,
    /// It may be cut although it says DF (`skb->ignore_df`).
    pub ignore_df: bool,
}

impl SkBuff {
    #[inline(always)]
    fn new(id: PacketId, frame: Rc<Frame>) -> SkBuff {
        SkBuff {
            id,
            frame,
            dev: None,
            iif: None,
            pkt_type: PktType::Host,
            mark: 0,
            ct: Ct::None,
            nf_bridge: None,
            nf_trace: false,
            owner: SkbOwner::None,
            dst: None,
            do_redirect: false,
            confirms_neigh: false,
            ipvs_property: false,
            promisc_copy: false,
            frag_max_size: 0,
            frag_list: None,
            ignore_df: false,
        }
    }
}

impl Skb {
    /// A packet that the box itself has made.
    pub fn local(id: PacketId, ip: Ip, owner: SkbOwner) -> Skb {
        let frame = Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: Payload::Ip(ip) };
        let mut skb = Skb::from_frame(id, Rc::new(frame));
        skb.owner = owner;
        skb
    }

    /// A frame without any history.
    pub fn from_frame(id: PacketId, frame: Rc<Frame>) -> Skb {
        // Written where it stays: it is large, and made for every packet.
        Skb(Box::write(Box::new_uninit(), SkBuff::new(id, frame)))
    }

    /// The same memory for another frame.
    pub(crate) fn renew(&mut self, id: PacketId, frame: Rc<Frame>) {
        *self.0 = SkBuff::new(id, frame);
    }

    /// The IP packet, if it is one.
    pub fn ip(&self) -> Option<&Ip> {
        self.frame.ip()
    }

    /// The IP packet for writing (copied first if somebody else still looks at it).
    pub fn ip_mut(&mut self) -> Option<&mut Ip> {
        match &mut Rc::make_mut(&mut self.frame).payload {
            Payload::Ip(ip) => Some(ip),
            Payload::Arp(_) => None,
        }
    }

    /// The frame for writing.
    pub fn frame_mut(&mut self) -> &mut Frame {
        Rc::make_mut(&mut self.frame)
    }

    /// The TCP segment, if it is one.
    pub fn tcp(&self) -> Option<&packet::Tcp> {
        match &self.ip()?.l4 {
            L4::Tcp(t) => Some(t),
            _ => None,
        }
    }
}
