//! Types of sets.

/// A type of set that is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetType {
    /// `bitmap:ip`
    BitmapIp,
    /// `bitmap:port`
    BitmapPort,
    /// `hash:ip`
    HashIp,
    /// `hash:ip,port`
    HashIpPort,
    /// `hash:ip,port,ip`
    HashIpPortIp,
    /// `hash:ip,port,net`
    HashIpPortNet,
    /// `hash:net`
    HashNet,
    /// `hash:net,iface`
    HashNetIface,
    /// `hash:net,port`
    HashNetPort,
    /// `list:set`
    ListSet,
}

impl SetType {
    /// Every type.
    pub const ALL: [SetType; 10] = [
        SetType::BitmapIp,
        SetType::BitmapPort,
        SetType::HashIp,
        SetType::HashIpPort,
        SetType::HashIpPortIp,
        SetType::HashIpPortNet,
        SetType::HashNet,
        SetType::HashNetIface,
        SetType::HashNetPort,
        SetType::ListSet,
    ];

    /// Its name in `create`.
    pub fn name(self) -> &'static str {
        match self {
            SetType::BitmapIp => "bitmap:ip",
            SetType::BitmapPort => "bitmap:port",
            SetType::HashIp => "hash:ip",
            SetType::HashIpPort => "hash:ip,port",
            SetType::HashIpPortIp => "hash:ip,port,ip",
            SetType::HashIpPortNet => "hash:ip,port,net",
            SetType::HashNet => "hash:net",
            SetType::HashNetIface => "hash:net,iface",
            SetType::HashNetPort => "hash:net,port",
            SetType::ListSet => "list:set",
        }
    }

    /// How many parts a member has; a rule needs as many directions.
    pub fn dimension(self) -> u8 {
        match self {
            SetType::BitmapIp
            | SetType::BitmapPort
            | SetType::HashIp
            | SetType::HashNet
            | SetType::ListSet => 1,
            SetType::HashIpPort | SetType::HashNetIface | SetType::HashNetPort => 2,
            SetType::HashIpPortIp | SetType::HashIpPortNet => 3,
        }
    }

    /// True if it is a bitmap.
    pub fn is_bitmap(self) -> bool {
        matches!(self, SetType::BitmapIp | SetType::BitmapPort)
    }

    /// True if it is a hash.
    pub fn is_hash(self) -> bool {
        !self.is_bitmap() && self != SetType::ListSet
    }

    /// True if a member begins with an address.
    pub fn has_addr(self) -> bool {
        !matches!(self, SetType::BitmapPort | SetType::ListSet)
    }

    /// True if that address is a network.
    pub fn first_is_net(self) -> bool {
        matches!(self, SetType::HashNet | SetType::HashNetIface | SetType::HashNetPort)
    }

    /// True if a member has a port.
    pub fn has_port(self) -> bool {
        !matches!(
            self,
            SetType::BitmapIp | SetType::HashIp | SetType::HashNet | SetType::HashNetIface | SetType::ListSet
        )
    }

    /// True if a member has an address behind its port.
    pub fn has_second(self) -> bool {
        self.dimension() == 3
    }

    /// True if `nomatch` is known (`IPSET_TYPE_NOMATCH`): a part of the member is a network.
    pub fn has_nomatch(self) -> bool {
        self.first_is_net() || self == SetType::HashIpPortNet
    }

    /// True if `netmask` is known.
    pub fn has_netmask(self) -> bool {
        self == SetType::BitmapIp || self.has_bitmask()
    }

    /// True if `bitmask` is known.
    pub fn has_bitmask(self) -> bool {
        matches!(self, SetType::HashIp | SetType::HashIpPort)
    }

    /// True if two sets can be swapped: their members have the same parts (`features`).
    pub(super) fn swaps_with(self, other: SetType) -> bool {
        let plain = |kind| matches!(kind, SetType::BitmapIp | SetType::HashIp);
        self == other || (plain(self) && plain(other))
    }
}
