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
    /// `net.ipv4.ip_nonlocal_bind`: a socket may have any address
    pub ip_nonlocal_bind: i64,
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
            ip_nonlocal_bind: 0,
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
            "net.ipv4.ip_nonlocal_bind" => &mut self.ip_nonlocal_bind,
            _ => return None,
        })
    }
}

/// Folders of /proc/sys of which the engine has nothing. What is in them is not looked at.
const NOTHING_OF: &[&str] =
    &["abi", "debug", "dev", "fs", "kernel", "user", "vm", "net/core", "net/ipv6", "net/mptcp", "net/unix"];

/// How the paths of other settings begin, with how they go on; `*` is a device, `all` or `default`.
const NOT_MODELLED: &[(&str, &str)] = &[
    (
        "net/ipv4/",
        "cipso_cache_bucket_size cipso_cache_enable cipso_rbm_optfmt cipso_rbm_strictvalid fib_multipath_hash_fields \
         fib_multipath_hash_policy fib_multipath_hash_seed fib_multipath_use_neigh fib_notify_on_flag_change fib_sync_mem \
         fwmark_reflect icmp_echo_enable_probe icmp_ignore_bogus_error_responses igmp_link_local_mcast_reports \
         igmp_max_memberships igmp_max_msf igmp_qrv inet_peer_maxttl inet_peer_minttl inet_peer_threshold \
         ip_autobind_reuse ip_dynaddr ip_early_demux ip_forward_update_priority ip_local_port_range \
         ip_local_reserved_ports ip_unprivileged_port_start ipfrag_secret_interval nexthop_compat_mode ping_group_range \
         raw_l3mdev_accept udp_child_hash_entries udp_early_demux udp_hash_entries udp_l3mdev_accept udp_mem udp_rmem_min \
         udp_wmem_min vs/sync_threshold vs/est_cpulist vs/est_nice xfrm4_gc_thresh",
    ),
    (
        "net/ipv4/route/",
        "error_burst error_cost flush gc_elasticity gc_interval gc_min_interval gc_min_interval_ms gc_thresh gc_timeout \
         max_size min_adv_mss redirect_load redirect_number redirect_silence",
    ),
    (
        "net/ipv4/tcp_",
        "abort_on_overflow adv_win_scale allowed_congestion_control app_win autocorking available_congestion_control \
         available_ulp backlog_ack_defer base_mss challenge_ack_limit child_ehash_entries comp_sack_delay_ns comp_sack_nr \
         comp_sack_slack_ns congestion_control dsack early_demux early_retrans ecn ecn_fallback ecn_option \
         ecn_option_beacon ehash_entries fack fastopen fastopen_blackhole_timeout_sec fastopen_key fin_timeout frto \
         fwmark_accept invalid_ratelimit keepalive_intvl keepalive_probes keepalive_time l3mdev_accept limit_output_bytes \
         low_latency max_orphans max_reordering max_syn_backlog max_tw_buckets mem migrate_req min_rtt_wlen min_snd_mss \
         min_tso_segs moderate_rcvbuf mtu_probe_floor mtu_probing no_metrics_save no_ssthresh_metrics_save notsent_lowat \
         orphan_retries pacing_ca_ratio pacing_ss_ratio pingpong_thresh plb_cong_thresh plb_enabled \
         plb_idle_rehash_rounds plb_rehash_rounds plb_suspend_rto_sec probe_interval probe_threshold recovery reflect_tos \
         reordering retrans_collapse retries1 rfc1337 rmem rto_max_ms rto_min_us sack shrink_window slow_start_after_idle \
         stdurg syncookies thin_linear_timeouts timestamps tso_rtt_log tso_win_divisor tw_reuse tw_reuse_delay \
         window_scaling wmem workaround_signed_windows",
    ),
    (
        "net/ipv4/conf/*/",
        "accept_source_route arp_accept arp_evict_nocarrier arp_notify bc_forwarding bootp_relay disable_policy disable_xfrm \
         drop_gratuitous_arp drop_unicast_in_l2_multicast force_igmp_version igmpv2_unsolicited_report_interval \
         igmpv3_unsolicited_report_interval ignore_routes_with_linkdown mc_forwarding medium_id proxy_arp_pvlan tag",
    ),
    (
        "net/ipv4/neigh/*/",
        "anycast_delay app_solicit base_reachable_time gc_interval gc_stale_time gc_thresh1 gc_thresh2 gc_thresh3 \
         interval_probe_time_ms locktime mcast_resolicit mcast_solicit proxy_qlen retrans_time retrans_time_ms \
         ucast_solicit unres_qlen unres_qlen_bytes",
    ),
    (
        "net/netfilter/nf_",
        "hooks_lwtunnel log/0 log/1 log/2 log/3 log/4 log/5 log/6 log/7 log/8 log/9 log/10 flowtable_tcp_timeout \
         flowtable_udp_timeout conntrack_sctp_timeout_heartbeat_acked",
    ),
];

/// Whether Linux has a setting of that path under /proc/sys, of those that the engine has not. `dev` knows the names of devices.
pub(crate) fn is_of_linux(path: &str, dev: impl Fn(&str) -> bool) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    if let ["net", "ipv4" | "ipv6", "conf" | "neigh", name, ..] = parts.as_mut_slice() {
        if !dev(name) {
            return false;
        }
        *name = "*";
    }
    let path = parts.join("/");
    let within =
        |folder: &&str| path.strip_prefix(*folder).is_some_and(|p| p.is_empty() || p.starts_with('/'));
    let known = |(begin, ends): &(&str, &str)| {
        path.strip_prefix(*begin).is_some_and(|end| ends.split_whitespace().any(|e| e == end))
    };
    NOTHING_OF.iter().any(within) || NOT_MODELLED.iter().any(known)
}

/// A setting cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No such name here (or its module is not loaded).
    Unknown(String),
    /// Linux has it, the engine does not.
    NotModelled(String),
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
            SysctlError::NotModelled(name) => write!(f, "{name} is not modelled"),
            SysctlError::Invalid(v) => write!(f, "setting to {v}: Invalid argument"),
            SysctlError::ReadOnly(name) => write!(f, "{name}: Permission denied"),
        }
    }
}
