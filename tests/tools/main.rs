//! Sessions of the real command-line tools (Debian 12, Linux 6.18), played in a simulated cluster: what each command prints.
//!
//! A session is a cluster and steps: commands, stimuli, and commands that watch while others run. What cannot be the same
//! (time, random numbers) is masked as the session says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api_server;
mod kubectl;
mod kubectl_output;
mod kubectl_words;
mod machine;
mod session;
mod typed;

use session::play;

/// Plays a session: as many steps as `agree` print the same, and those that do not are the `known` ones.
fn session(text: &str, agree: usize, known: &[&str]) {
    let report = play(text);
    let differ: Vec<&str> = report.differ.iter().map(|d| d.command.as_str()).collect();
    if differ != known || report.agree != agree {
        for d in &report.differ {
            if !known.contains(&d.command.as_str()) {
                println!("$ {}\n{}", d.command, d.how);
            }
        }
        panic!("{} agree, these differ: {differ:#?}", report.agree);
    }
}

macro_rules! sessions {
    ($($name:ident $file:literal $agree:literal $known:expr;)*) => {
        $(
            #[test]
            fn $name() {
                session(include_str!(concat!("../data/tools/", $file, ".json")), $agree, $known);
            }
        )*
    };
}

sessions! {
    curl "client-curl" 36 &[
    "client: curl -sS -m 2 telnet://10.96.0.99:80",
];
    ping "client-ping" 55 &[
    "client: ping -c 1 -R 192.168.0.2",
    "client: ping -c 1 -p ff 192.168.0.2",
    "client: ping -6 -c 1 ::1",
    "client: ping -z",
    "client: ping -V",
    "client: ping -c 2 -i 0.2 -v 192.168.0.2",
];
    conntrack_events "conntrack-events" 67 &[
    "node1: conntrack -E",
    "node1: conntrack -E -e DESTROY -o extended",
    "node1: conntrack -E -e ALL -p tcp",
    "node1: conntrack -E",
    "node1: conntrack -E -e DESTROY -o extended",
    "node1: conntrack -E",
    "node1: conntrack -E -e DESTROY -o extended",
    "node1: conntrack -E -e ALL -p tcp",
    "node1: conntrack -E",
    "node1: conntrack -E -e DESTROY -o extended",
    "node1: conntrack -E -e ALL -p tcp",
    "node1: conntrack -E",
    "node1: conntrack -E -e DESTROY -o extended",
    "node1: conntrack -E",
    "node1: conntrack -E -e DESTROY -o extended",
    "node1: conntrack -E",
    "node1: conntrack -E -b 65536",
];
    conntrack_list "conntrack-list" 101 &[
    "node1: conntrack -S",
    "node1: conntrack -S",
    "node1: conntrack -L -o save",
    "node1: conntrack -L --id 5",
    "node1: conntrack -I -p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 --state ESTABLISHED --timeout 60",
    "node1: conntrack -I -p gre -s 10.0.0.1 -d 10.0.0.2 --srckey 1 --dstkey 2 --timeout 60",
    "node1: conntrack -L",
    "node1: conntrack -L -o extended",
    "node1: conntrack -L -p gre",
    "node1: cat /proc/net/nf_conntrack",
    "node1: conntrack -S",
    "node1: conntrack --stats",
];
    tftp "client-tftp" 13 &[
    "node1: conntrack -L -p udp",
    "node1: iptables -t raw -nvL PREROUTING",
];
    tcpdump_pod "tcpdump-tcp-pod" 24 &[];
    tcpdump_cluster_ip "tcpdump-tcp-clusterip" 24 &[];
    tcpdump_tftp "tcpdump-tftp" 11 &[
    "node1: tcpdump -nn -i eth0 -t -T tftp udp",
];
    tcpdump_dns "tcpdump-dns" 23 &[
    "node1: tcpdump -nnvve -i cni0",
];
    tcpdump_arp "tcpdump-arp" 12 &[];
    tcpdump_usage "tcpdump-usage" 24 &[
    "node1: tcpdump -D",
    "node1: tcpdump --version",
    "node1: tcpdump -h",
    "node1: tcpdump -L -i eth0",
    "node1: tcpdump -L -i any",
    "node1: tcpdump -d -i eth0 udp port 53",
    "node1: tcpdump -d -i eth0 tcp",
    "node1: tcpdump -d -i any icmp",
    "node1: tcpdump -ddd -i eth0 arp",
    "node1: tcpdump -r /nosuch",
    "node1: tcpdump -d -i eth0 'port 70000'",
    "node1: tcpdump -d -i eth0 'net 10.0.0.0/8'",
    "node1: tcpdump -d -i eth0 'net 10.0.0.1/8'",
    "node1: tcpdump -d -i eth0 'src host 10.0.0.1 and (tcp port 80 or udp port 53)'",
    "node1: tcpdump -d -i eth0 'portrange 30000-32767'",
    "node1: tcpdump -d -i eth0 'ether host 02:00:00:00:00:01'",
    "node1: tcpdump -d -i eth0 'tcp[tcpflags] & tcp-syn != 0'",
    "node1: tcpdump -d -i eth0 'not (icmp or arp)'",
    "node1: tcpdump -d -i eth0 'dst portrange 1-5 or vlan'",
    "node1: tcpdump -d -i eth0 'ip proto 17'",
    "node1: tcpdump -d -i eth0 'broadcast'",
    "node1: tcpdump -nn -i eth0 -c 1 -w x.pcap icmp",
    "node1: tcpdump -nn -r x.pcap",
    "node1: tcpdump -nne -r x.pcap",
    "node1: tcpdump -r x.pcap -t icmp",
];
    dmesg "dmesg-log" 8 &[];
    sysctl "sysctl" 39 &[
    "node1: sysctl",
    "node1: sysctl -a -r '^net.ipv4.conf.all'",
    "node1: sysctl -a -r '^net.ipv4.conf.eth0'",
    "node1: sysctl -a -r '^net.ipv4.conf.cni0'",
    "node1: sysctl -a -r '^net.ipv4.ip_'",
    "node1: sysctl -a -r '^net.netfilter'",
    "node1: sysctl -a --pattern forward",
    "node1: sysctl net.ipv4.conf.lo",
    "node1: ls /proc/sys/net/netfilter",
    "node1: ls /proc/sys/net/ipv4/conf/eth0",
    "node1: cat /proc/sys/net/netfilter/nf_log/2",
    "node1: sysctl net.netfilter.nf_log.2",
    "node1: sysctl net.ipv4.ip_local_port_range",
    "node1: sysctl -w net.ipv4.ip_local_port_range='30000 40000'",
    "node1: sysctl net.ipv4.ip_local_port_range",
    "node1: cat /proc/sys/net/ipv4/ip_local_port_range",
    "node1: sysctl net.ipv4.ip_local_reserved_ports",
    "node1: sysctl --system --nosuch",
    "node1: cat /proc/net/route",
    "node1: cat /proc/net/arp",
    "node1: cat /proc/net/ip_tables_names",
    "node1: ls /proc/net/stat",
];
    ip_show "ip-show-client" 100 &[
    "client: ip addr",
    "client: ip link",
    "client: ip -4 addr",
    "client: ip -4 link",
    "client: ip -c=never addr",
    "client: ip -c=never link",
    "client: ip -o link",
    "client: ip -d addr",
    "client: ip -d link",
    "client: ip -s addr",
    "client: ip -s link",
    "client: ip -s -s addr",
    "client: ip -s -s link",
    "client: ip -j -p addr",
    "client: ip -j -p link",
    "client: ip -6 link",
    "client: ip addr show eth0",
    "client: ip addr show dev eth0",
    "client: ip link show eth0",
    "client: ip -d link show eth0",
    "client: ip a s eth0",
    "client: cat /sys/class/net/eth0/operstate",
    "client: cat /sys/class/net/eth0/iflink",
    "client: ip a",
    "client: ip l",
    "client: ip -s neigh",
    "client: ip link show type veth",
    "client: ip link show up",
    "client: ip addr show up",
    "client: ip addr show scope global",
    "client: ip addr show type veth",
    "client: ip netns",
    "client: ip maddr",
    "client: ip tunnel",
    "arp -n",
    "route -n",
    "ifconfig eth0",
    "netstat -rn",
    "brctl show",
    "client: ip route get 10.0.0.0/8",
    "client: ip route get fe80::1",
    "client: ip route get fibmatch 10.244.2.9",
    "client: ip route get 8.8.8.8 uid 1000",
    "client: bridge -s fdb show br cni0",
    "client: bridge mdb",
    "client: bridge fdb get 02:00:00:00:04:01 br cni0",
    "brctl show cni0",
    "brctl showmacs cni0",
    "brctl showstp cni0",
];
    conntrack_tftp "conntrack-tftp" 39 &[];
    ipset_kube_dns "ipset-kube-016-kube-dns" 43 &[];
}
