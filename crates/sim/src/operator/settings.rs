//! The settings of a box as files under /proc/sys.

use kernel::Netns;

/// `net.ipv4.conf.DEV.*`
const CONF: &[&str] = &[
    "accept_local",
    "accept_redirects",
    "arp_announce",
    "arp_filter",
    "arp_ignore",
    "forwarding",
    "log_martians",
    "promote_secondaries",
    "proxy_arp",
    "route_localnet",
    "rp_filter",
    "secure_redirects",
    "send_redirects",
    "shared_media",
    "src_valid_mark",
];

/// `net.ipv4.neigh.DEV.*`
const NEIGH: &[&str] = &["base_reachable_time_ms", "delay_first_probe_time", "proxy_delay"];

/// Folders with the settings in them that belong to no device.
const OTHERS: &[(&str, &str)] = &[
    (
        "net/bridge",
        "bridge-nf-call-arptables bridge-nf-call-ip6tables bridge-nf-call-iptables bridge-nf-filter-pppoe-tagged \
         bridge-nf-filter-vlan-tagged bridge-nf-pass-vlan-input-dev",
    ),
    (
        "net/ipv4",
        "icmp_echo_ignore_all icmp_echo_ignore_broadcasts icmp_errors_use_inbound_ifaddr icmp_msgs_burst icmp_msgs_per_sec \
         icmp_ratelimit icmp_ratemask ip_default_ttl ip_forward ip_forward_use_pmtu ip_no_pmtu_disc ip_nonlocal_bind ipfrag_high_thresh \
         ipfrag_low_thresh ipfrag_max_dist ipfrag_time tcp_retries2 tcp_syn_linear_timeouts tcp_syn_retries tcp_synack_retries",
    ),
    ("net/ipv4/route", "min_pmtu mtu_expires"),
    (
        "net/ipv4/vs",
        "am_droprate amemthresh backup_only cache_bypass conn_reuse_mode conntrack drop_entry drop_packet expire_nodest_conn \
         expire_quiescent_template ignore_tunneled nat_icmp_send pmtu_disc run_estimation schedule_icmp secure_tcp \
         sloppy_sctp sloppy_tcp snat_reroute sync_persist_mode sync_ports sync_qlen_max sync_refresh_period sync_retries \
         sync_sock_size sync_version",
    ),
    (
        "net/netfilter",
        "nf_conntrack_acct nf_conntrack_buckets nf_conntrack_checksum nf_conntrack_count nf_conntrack_events \
         nf_conntrack_expect_max nf_conntrack_frag6_high_thresh nf_conntrack_frag6_low_thresh nf_conntrack_frag6_timeout \
         nf_conntrack_generic_timeout nf_conntrack_gre_timeout nf_conntrack_gre_timeout_stream nf_conntrack_helper \
         nf_conntrack_icmp_timeout nf_conntrack_icmpv6_timeout nf_conntrack_log_invalid nf_conntrack_max \
         nf_conntrack_sctp_timeout_closed nf_conntrack_sctp_timeout_cookie_echoed nf_conntrack_sctp_timeout_cookie_wait \
         nf_conntrack_sctp_timeout_established nf_conntrack_sctp_timeout_heartbeat_sent \
         nf_conntrack_sctp_timeout_shutdown_ack_sent nf_conntrack_sctp_timeout_shutdown_recd \
         nf_conntrack_sctp_timeout_shutdown_sent nf_conntrack_tcp_be_liberal nf_conntrack_tcp_ignore_invalid_rst \
         nf_conntrack_tcp_loose nf_conntrack_tcp_max_retrans nf_conntrack_tcp_timeout_close \
         nf_conntrack_tcp_timeout_close_wait nf_conntrack_tcp_timeout_established nf_conntrack_tcp_timeout_fin_wait \
         nf_conntrack_tcp_timeout_last_ack nf_conntrack_tcp_timeout_max_retrans nf_conntrack_tcp_timeout_syn_recv \
         nf_conntrack_tcp_timeout_syn_sent nf_conntrack_tcp_timeout_time_wait nf_conntrack_tcp_timeout_unacknowledged \
         nf_conntrack_timestamp nf_conntrack_udp_timeout nf_conntrack_udp_timeout_stream nf_log_all_netns",
    ),
    ("net", "nf_conntrack_max"),
];

/// The settings that a box has, in the kernel's order: path under /proc/sys, and value.
pub fn settings(ns: &mut Netns) -> Vec<(String, i64)> {
    let mut names: Vec<String> = Vec::new();
    let devices: Vec<String> = ns.devices().iter().filter(|d| !d.gone).map(|d| d.name.clone()).collect();
    for dev in ["all", "default"].into_iter().chain(devices.iter().map(String::as_str)) {
        names.extend(CONF.iter().map(|field| format!("net/ipv4/conf/{dev}/{field}")));
        if dev != "all" {
            names.extend(NEIGH.iter().map(|field| format!("net/ipv4/neigh/{dev}/{field}")));
        }
    }
    for (folder, all) in OTHERS {
        names.extend(all.split_whitespace().map(|name| format!("{folder}/{name}")));
    }
    let mut found: Vec<(String, i64)> =
        names.into_iter().filter_map(|name| ns.sysctl_get(&name).ok().map(|v| (name, v))).collect();
    sorted::sort_by(&mut found, |a, b| a.0.split('/').cmp(b.0.split('/')));
    found
}

#[cfg(test)]
mod tests {
    use super::{OTHERS, settings};
    use kernel::{Modules, Netns, NetnsId};

    #[test]
    fn every_name_is_a_setting() {
        let mut ns = Netns::new(NetnsId(0), "a");
        ns.modules = Modules { br_netfilter: true, ..ns.modules };
        let found = settings(&mut ns);
        for (folder, all) in OTHERS {
            for name in all.split_whitespace() {
                // nf_conntrack_helper is there in old kernels only.
                let there = found.iter().any(|(n, _)| *n == format!("{folder}/{name}"));
                assert!(there || name == "nf_conntrack_helper", "{folder}/{name}");
            }
        }
    }
}
