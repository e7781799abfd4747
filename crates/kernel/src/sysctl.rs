//! The settings of a box that the engine reads, by their sysctl names (ip-sysctl.rst, nf_conntrack-sysctl.rst).

/// `net.ipv4.conf.DEV.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevConf {
    /// `forwarding`
    pub forwarding: i64,
    /// `send_redirects`
    pub send_redirects: i64,
    /// `accept_redirects`
    pub accept_redirects: i64,
    /// `secure_redirects`
    pub secure_redirects: i64,
    /// `shared_media`
    pub shared_media: i64,
    /// `rp_filter`
    pub rp_filter: i64,
    /// `accept_local`
    pub accept_local: i64,
    /// `route_localnet`
    pub route_localnet: i64,
    /// `proxy_arp`
    pub proxy_arp: i64,
    /// `net.ipv4.neigh.DEV.proxy_delay`; kept, but proxy ARP answers at once.
    pub proxy_delay: i64,
    /// `net.ipv4.neigh.DEV.base_reachable_time_ms`
    pub base_reachable_time_ms: i64,
    /// `net.ipv4.neigh.DEV.delay_first_probe_time`, in seconds
    pub delay_first_probe_time: i64,
    /// `log_martians`
    pub log_martians: i64,
    /// `src_valid_mark`
    pub src_valid_mark: i64,
    /// `arp_ignore`
    pub arp_ignore: i64,
    /// `arp_announce`
    pub arp_announce: i64,
    /// `arp_filter`
    pub arp_filter: i64,
    /// `promote_secondaries`
    pub promote_secondaries: i64,
}

impl Default for DevConf {
    fn default() -> DevConf {
        DevConf {
            forwarding: 0,
            send_redirects: 1,
            accept_redirects: 1,
            secure_redirects: 1,
            shared_media: 1,
            rp_filter: 0,
            accept_local: 0,
            route_localnet: 0,
            proxy_arp: 0,
            proxy_delay: 80,
            base_reachable_time_ms: 30_000,
            delay_first_probe_time: 5,
            log_martians: 0,
            src_valid_mark: 0,
            arp_ignore: 0,
            arp_announce: 0,
            arp_filter: 0,
            promote_secondaries: 0,
        }
    }
}

impl DevConf {
    /// The setting of that name.
    pub fn field(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "forwarding" => &mut self.forwarding,
            "send_redirects" => &mut self.send_redirects,
            "accept_redirects" => &mut self.accept_redirects,
            "secure_redirects" => &mut self.secure_redirects,
            "shared_media" => &mut self.shared_media,
            "rp_filter" => &mut self.rp_filter,
            "accept_local" => &mut self.accept_local,
            "route_localnet" => &mut self.route_localnet,
            "proxy_arp" => &mut self.proxy_arp,
            "log_martians" => &mut self.log_martians,
            "src_valid_mark" => &mut self.src_valid_mark,
            "arp_ignore" => &mut self.arp_ignore,
            "arp_announce" => &mut self.arp_announce,
            "arp_filter" => &mut self.arp_filter,
            "promote_secondaries" => &mut self.promote_secondaries,
            _ => return None,
        })
    }
}

/// Settings of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// `net.ipv4.conf.all.*`
    pub all: DevConf,
    /// `net.ipv4.conf.default.*`: what new devices get
    pub default: DevConf,
    /// `net.bridge.bridge-nf-call-iptables`
    pub bridge_nf_call_iptables: i64,
    /// `net.netfilter.nf_log_all_netns`: namespaces beside the first one of their machine log packets too.
    pub nf_log_all_netns: i64,
    /// `net.bridge.bridge-nf-call-ip6tables`
    pub bridge_nf_call_ip6tables: i64,
    /// `net.bridge.bridge-nf-call-arptables`
    pub bridge_nf_call_arptables: i64,
    /// `net.bridge.bridge-nf-filter-pppoe-tagged`; kept, but there is no PPPoE here.
    pub bridge_nf_filter_pppoe_tagged: i64,
    /// `net.bridge.bridge-nf-filter-vlan-tagged`; kept, but there are no VLANs here.
    pub bridge_nf_filter_vlan_tagged: i64,
    /// `net.bridge.bridge-nf-pass-vlan-input-dev`; kept, but there are no VLANs here.
    pub bridge_nf_pass_vlan_input_dev: i64,
    /// `net.ipv4.icmp_ratelimit`: milliseconds between two errors to one destination
    pub icmp_ratelimit: i64,
    /// `net.ipv4.icmp_ratemask`: which ICMP types it limits
    pub icmp_ratemask: i64,
    /// `net.ipv4.icmp_errors_use_inbound_ifaddr`
    pub icmp_errors_use_inbound_ifaddr: i64,
    /// `net.ipv4.icmp_msgs_per_sec`: errors a second to all destinations together
    pub icmp_msgs_per_sec: i64,
    /// `net.ipv4.icmp_msgs_burst`: how many of them at once
    pub icmp_msgs_burst: i64,
    /// `net.ipv4.icmp_echo_ignore_all`
    pub icmp_echo_ignore_all: i64,
    /// `net.ipv4.icmp_echo_ignore_broadcasts`
    pub icmp_echo_ignore_broadcasts: i64,
    /// `net.ipv4.ipfrag_time`: seconds that fragments wait for the others
    pub ipfrag_time: i64,
    /// `net.ipv4.ipfrag_max_dist`: fragments of the same sender that may come in between
    pub ipfrag_max_dist: i64,
    /// `net.ipv4.ipfrag_high_thresh`: bytes that may wait; 0 puts nothing together
    pub ipfrag_high_thresh: i64,
    /// `net.ipv4.ipfrag_low_thresh`; kept, it has had no meaning since 4.17.
    pub ipfrag_low_thresh: i64,
    /// `net.ipv4.ip_forward_use_pmtu`
    pub ip_forward_use_pmtu: i64,
    /// `net.ipv4.ip_no_pmtu_disc`
    pub ip_no_pmtu_disc: i64,
    /// `net.ipv4.route.min_pmtu`
    pub route_min_pmtu: i64,
    /// `net.ipv4.route.mtu_expires`: seconds
    pub route_mtu_expires: i64,
    /// `net.ipv4.tcp_syn_retries`
    pub tcp_syn_retries: i64,
    /// `net.ipv4.tcp_synack_retries`
    pub tcp_synack_retries: i64,
    /// `net.ipv4.tcp_syn_linear_timeouts`: how many SYNs are repeated after the same time
    pub tcp_syn_linear_timeouts: i64,
    /// `net.ipv4.tcp_retries2`
    pub tcp_retries2: i64,
    /// `net.ipv4.ip_default_ttl`
    pub ip_default_ttl: i64,
}

impl Default for Sysctl {
    fn default() -> Sysctl {
        Sysctl {
            all: DevConf::default(),
            default: DevConf::default(),
            bridge_nf_call_iptables: 1,
            nf_log_all_netns: 0,
            bridge_nf_call_ip6tables: 1,
            bridge_nf_call_arptables: 1,
            bridge_nf_filter_pppoe_tagged: 0,
            bridge_nf_filter_vlan_tagged: 0,
            bridge_nf_pass_vlan_input_dev: 0,
            icmp_ratelimit: 1000,
            icmp_ratemask: 6168,
            icmp_errors_use_inbound_ifaddr: 0,
            icmp_msgs_per_sec: 1000,
            icmp_msgs_burst: 50,
            icmp_echo_ignore_all: 0,
            icmp_echo_ignore_broadcasts: 1,
            ipfrag_time: 30,
            ipfrag_max_dist: 64,
            ipfrag_high_thresh: 4 << 20,
            ipfrag_low_thresh: 3 << 20,
            ip_forward_use_pmtu: 0,
            ip_no_pmtu_disc: 0,
            route_min_pmtu: 552,
            route_mtu_expires: 600,
            tcp_syn_retries: 6,
            tcp_synack_retries: 5,
            tcp_syn_linear_timeouts: 4,
            tcp_retries2: 15,
            ip_default_ttl: 64,
        }
    }
}

impl Sysctl {
    /// The setting of a full dotted name that belongs to no device and not to conntrack.
    pub fn scalar(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "net.bridge.bridge-nf-call-iptables" => &mut self.bridge_nf_call_iptables,
            "net.bridge.bridge-nf-call-ip6tables" => &mut self.bridge_nf_call_ip6tables,
            "net.bridge.bridge-nf-call-arptables" => &mut self.bridge_nf_call_arptables,
            "net.bridge.bridge-nf-filter-pppoe-tagged" => &mut self.bridge_nf_filter_pppoe_tagged,
            "net.bridge.bridge-nf-filter-vlan-tagged" => &mut self.bridge_nf_filter_vlan_tagged,
            "net.bridge.bridge-nf-pass-vlan-input-dev" => &mut self.bridge_nf_pass_vlan_input_dev,
            "net.ipv4.icmp_ratelimit" => &mut self.icmp_ratelimit,
            "net.ipv4.icmp_ratemask" => &mut self.icmp_ratemask,
            "net.ipv4.icmp_errors_use_inbound_ifaddr" => &mut self.icmp_errors_use_inbound_ifaddr,
            "net.ipv4.icmp_msgs_per_sec" => &mut self.icmp_msgs_per_sec,
            "net.ipv4.icmp_msgs_burst" => &mut self.icmp_msgs_burst,
            "net.ipv4.icmp_echo_ignore_all" => &mut self.icmp_echo_ignore_all,
            "net.ipv4.icmp_echo_ignore_broadcasts" => &mut self.icmp_echo_ignore_broadcasts,
            "net.ipv4.ipfrag_time" => &mut self.ipfrag_time,
            "net.ipv4.ipfrag_max_dist" => &mut self.ipfrag_max_dist,
            "net.ipv4.ipfrag_high_thresh" => &mut self.ipfrag_high_thresh,
            "net.ipv4.ipfrag_low_thresh" => &mut self.ipfrag_low_thresh,
            "net.ipv4.ip_forward_use_pmtu" => &mut self.ip_forward_use_pmtu,
            "net.ipv4.ip_no_pmtu_disc" => &mut self.ip_no_pmtu_disc,
            "net.ipv4.route.min_pmtu" => &mut self.route_min_pmtu,
            "net.ipv4.route.mtu_expires" => &mut self.route_mtu_expires,
            "net.ipv4.tcp_syn_retries" => &mut self.tcp_syn_retries,
            "net.ipv4.tcp_synack_retries" => &mut self.tcp_synack_retries,
            "net.ipv4.tcp_syn_linear_timeouts" => &mut self.tcp_syn_linear_timeouts,
            "net.ipv4.tcp_retries2" => &mut self.tcp_retries2,
            "net.ipv4.ip_default_ttl" => &mut self.ip_default_ttl,
            _ => return None,
        })
    }
}

/// A setting cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No such name here (or its module is not loaded).
    Unknown(String),
    /// The value does not fit.
    Invalid(i64),
    /// It can only be read here.
    ReadOnly(String),
}

impl std::fmt::Display for SysctlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SysctlError::Unknown(name) => {
                write!(f, "cannot stat /proc/sys/{}: No such file or directory", name.replace('.', "/"))
            }
            SysctlError::Invalid(v) => write!(f, "setting to {v}: Invalid argument"),
            SysctlError::ReadOnly(name) => write!(f, "{name}: Permission denied"),
        }
    }
}
