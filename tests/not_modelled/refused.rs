//! The part "Refused": what is refused there is refused here.

use crate::say;
use serde_json::json;

/// The line fails, and the word that it fails for is named.
fn refused(line: &str, word: &str) {
    let argv: Vec<&str> = line.split(' ').collect();
    let (status, text) = say(&argv, None).unwrap();
    assert_ne!(status, 0, "{line}: {text}");
    assert!(text.contains(word), "{line}: {text:?} does not name {word:?}");
}

#[test]
fn other_matches() {
    for name in [
        "hashlimit",
        "time",
        "string",
        "u32",
        "socket",
        "connlimit",
        "connbytes",
        "cgroup",
        "bpf",
        "dscp",
        "tos",
        "quota",
        "realm",
        "devgroup",
        "policy",
        "cluster",
        "osf",
        "dccp",
        "esp",
        "ah",
        "ecn",
        "cpu",
        "rateest",
        "connlabel",
    ] {
        refused(&format!("iptables -A INPUT -m {name} -j ACCEPT"), name);
    }
}

#[test]
fn other_targets() {
    for name in [
        "NFQUEUE",
        "TEE",
        "TPROXY",
        "AUDIT",
        "CLASSIFY",
        "DSCP",
        "TOS",
        "ECN",
        "HMARK",
        "IDLETIMER",
        "LED",
        "RATEEST",
        "SECMARK",
        "SYNPROXY",
        "TCPOPTSTRIP",
        "CLUSTERIP",
    ] {
        refused(&format!("iptables -t mangle -A PREROUTING -j {name}"), name);
    }
}

#[test]
fn other_types_of_sets_and_ipv6() {
    for kind in
        ["bitmap:ip,mac", "hash:mac", "hash:ip,mark", "hash:ip,mac", "hash:net,net", "hash:net,port,net"]
    {
        refused(&format!("ipset create s {kind}"), kind);
    }
    refused("ipset create s hash:ip family inet6", "inet6");
}

#[test]
fn other_helpers() {
    for name in ["sip", "irc", "amanda", "h323"] {
        let line = format!("iptables -t raw -A PREROUTING -p udp -j CT --helper {name}");
        // What iptables says where the kernel has no such helper.
        refused(&line, "No chain/target/match by that name.");
    }
}

#[test]
fn other_schedulers_and_tunnels_of_ipvs() {
    for name in ["lblc", "lblcr", "fo", "ovf", "twos"] {
        refused(&format!("ipvsadm -A -t 10.0.0.1:80 -s {name}"), name);
    }
}

#[test]
fn what_only_iptables_has() {
    for name in ["dst", "eui64", "frag", "hbh", "hl", "iprange", "ipv6header", "mh", "rpfilter", "rt", "srh"]
    {
        refused(&format!("ip6tables -A INPUT -m {name} -j ACCEPT"), name);
    }
    for name in ["DNPT", "HL", "NETMAP", "SNPT", "TCPMSS"] {
        refused(&format!("ip6tables -t mangle -A PREROUTING -j {name}"), name);
    }
}

#[test]
fn other_routes_and_rules() {
    refused("ip route add 10.9.0.0/16 tos 8 via 10.0.0.2", "tos");
    refused("ip route add 10.9.0.0/16 realm 8 via 10.0.0.2", "realm");
    refused("ip route add 10.9.0.0/16 nhid 8", "nhid");
    refused("ip rule add uidrange 0-1 lookup 5", "uidrange");
    refused("ip rule add l3mdev lookup 5", "l3mdev");
    refused("ip rule add tun_id 5 lookup 5", "tun_id");
    refused("ip maddr show", "maddr");
}

#[test]
fn the_size_of_ipvs_table() {
    refused("modprobe ip_vs conn_tab_bits=10", "conn_tab_bits");
}

#[test]
fn other_programs() {
    for program in ["tc", "netstat", "ebtables", "arptables", "ethtool"] {
        let why = say(&[program, "list"], None).unwrap_err();
        assert!(why.contains(program) && why.contains("is not modelled"), "{why}");
    }
}

#[test]
fn kubectl_but_for_port_forward() {
    let (status, text) = say(&["kubectl", "get"], None).unwrap();
    assert!(status != 0 && text.contains("get is not modelled"), "{text}");
}

#[test]
fn other_kernels() {
    let document = json!({ "name": "k", "hosts": { "h": { "kernel": "5.4" } }, "links": [], "stimuli": [] });
    let why = nflab::replay(&document).unwrap_err();
    assert!(why.contains("5.4"), "{why}");
}

#[test]
fn vlan_filtering_and_spanning_tree() {
    let scenario = |opts: &str| {
        json!({
            "name": "b",
            "hosts": { "h": {}, "p": {} },
            "links": [
                { "type": "veth", "a": "h:v0", "b": "p:eth0" },
                { "type": "bridge", "host": "h", "name": "br0", "ports": [{ "dev": "v0" }], "opts": opts },
            ],
            "stimuli": [],
        })
    };
    for opts in ["vlan_filtering 1", "stp_state 1", "mcast_snooping 1"] {
        let word = opts.split(' ').next().unwrap();
        let why = nflab::replay(&scenario(opts)).unwrap_err();
        assert!(why.contains(word), "{opts}: {why}");
    }
}

#[test]
fn other_tunnels_and_their_options() {
    for kind in ["gre", "sit", "geneve", "wireguard"] {
        refused(&format!("ip link add t type {kind}"), "not modelled");
    }
    for option in [
        "ttl 5",
        "tos 1",
        "df set",
        "external",
        "proxy",
        "l2miss",
        "srcport 1 2",
        "ageing 5",
        "group 239.1.1.1",
    ] {
        refused(&format!("ip link add v type vxlan id 1 {option}"), "not modelled");
    }
    refused("ip link add v type vxlan id 1 remote 239.1.1.1", "groups are not modelled");
    for option in ["ttl 5", "tos 1", "dev eth0", "encap fou"] {
        refused(&format!("ip link add t type ipip {option}"), "not modelled");
    }
}

/// The text fails, and the word that it fails for is named as not modelled.
fn nft_refuses(text: &str, word: &str) {
    let (status, said) = say(&["nft", "-f", "-"], Some(text)).unwrap();
    assert_ne!(status, 0, "{text}: {said}");
    assert!(said.contains("not modelled") && said.contains(word), "{text}: {said:?} does not name {word:?}");
}

#[test]
fn other_parts_of_nftables() {
    for family in ["arp", "bridge", "netdev"] {
        nft_refuses(&format!("add table {family} t\n"), family);
    }
    for object in ["counter", "quota", "limit", "flowtable"] {
        nft_refuses(&format!("add table ip t\nadd {object} ip t x\n"), object);
    }
    for command in ["monitor", "reset rules", "include \"x\"", "get element ip t s { 1.2.3.4 }"] {
        nft_refuses(&format!("{command}\n"), command.split(' ').next().unwrap());
    }
    let in_rule = |rule: &str| {
        format!("table ip t {{\n chain c {{ type filter hook input priority 0; {rule}; }}\n}}\n")
    };
    for (rule, word) in [
        ("quota over 10 bytes drop", "quota"),
        ("queue num 1", "queue"),
        ("meta mark set jhash ip saddr mod 4", "jhash"),
        ("meta priority set 1:2", "meta priority"),
        ("ip ttl set 5", "setting this"),
        ("ct helper \"ftp\" accept", "ct helper"),
        ("limit rate 5 bytes/second accept", "bytes"),
        ("icmp id 5 accept", "icmp id"),
        ("@th,16,16 80 accept", "@"),
    ] {
        nft_refuses(&in_rule(rule), word);
    }
    for program in ["arptables-nft", "ebtables-nft", "iptables-translate", "xtables-monitor"] {
        let not_run = say(&[program, "-L"], None).unwrap_err();
        assert!(not_run.contains(program), "{not_run}");
    }
    let (status, said) = say(&["nft", "-f", "-"], Some(&in_rule("counter xt target CT"))).unwrap();
    assert!(status == 1 && said.contains("/dev/stdin:2:") && said.contains("use iptables-nft"), "{said}");
}

#[test]
fn other_forms_of_a_shell() {
    for (line, word) in [
        ("while true; do echo a; done", "while"),
        ("until true; do echo a; done", "until"),
        ("if true; then echo a; fi", "if"),
        ("case a in a) echo a;; esac", "case"),
        ("select x in a; do echo a; done", "select"),
        ("function f { echo a; }", "function"),
        ("f() { echo a; }", "("),
        ("! true", "!"),
        ("[[ -f x ]]", "[["),
        ("for i; do echo a; done", "for NAME in WORDS"),
        ("echo $HOME", "$HOME"),
        ("echo $?", "$?"),
        ("echo ${x:-y}", "$x:-y"),
        ("x=1", "x=1"),
        ("echo $(cat f)", "$(cat f)"),
        ("echo `cat f`", "`"),
        ("echo $((1+2))", "$((1+2)"),
        ("echo $'a'", "$"),
        ("echo {a..c}", "{a..c}"),
        ("echo a & echo b", "&"),
        ("cat << x", "<<"),
        ("cat <<< x", "<<<"),
        ("echo a 3> f", "3>"),
        ("sed p f", "sed"),
        ("grep -P a f", "-P"),
        ("sort -V f", "-V"),
        ("cut -b1 f", "-b1"),
        ("diff -c f g", "-c"),
    ] {
        let (status, text) = say(&["sh", "-c", line], None).unwrap();
        assert_ne!(status, 0, "{line}: {text}");
        assert!(text.contains(word), "{line}: {text:?} does not name {word:?}");
    }
}
