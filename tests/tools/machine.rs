//! A node and its pods are namespaces of one machine, and a node sees its pods' processes.

use crate::typed::typed;

const LAB: &str = "same-node-clusterip";
const PS: &str = "ps aux | grep '[n]ginx: master'";

fn outputs(lab: &str, lines: &[(&str, &str)]) -> Vec<String> {
    typed(lab, &[], lines).iter().map(|lines| lines.join("\n")).collect()
}

/// The number of the process of nginx2.
fn nginx() -> String {
    outputs(LAB, &[("worker-2", PS)])[0].split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn a_pod_has_the_kernel_of_its_node() {
    let pod = "tftp-server-69d49ffb8b-44m45";
    let out = outputs("tftp-ipvs", &[("learn-k8s-2", "uname -r"), (pod, "uname -r")]);
    assert!(out[0].starts_with("3.10.0-"), "{out:?}");
    assert_eq!(out[0], out[1]);
}

#[test]
fn limits_of_conntrack_are_set_on_the_node_for_all() {
    let key = "net.netfilter.nf_conntrack_max";
    let out = outputs(
        LAB,
        &[
            ("worker-2", "sysctl -w net.netfilter.nf_conntrack_max=4711"),
            ("tmp2", "sysctl net.netfilter.nf_conntrack_max"),
            ("tmp2", "sysctl -w net.netfilter.nf_conntrack_max=5"),
            ("worker-2", "echo 4712 > /proc/sys/net/netfilter/nf_conntrack_max"),
            ("tmp2", "cat /proc/sys/net/netfilter/nf_conntrack_max"),
            ("nginx1", "sysctl net.netfilter.nf_conntrack_max"),
        ],
    );
    assert_eq!(out[1], format!("{key} = 4711"));
    assert_eq!(out[2], format!("sysctl: setting key \"{key}\": Invalid argument"));
    assert_eq!(out[4], "4712");
    // Another machine has its own.
    assert_eq!(out[5], format!("{key} = 262144"));
}

#[test]
fn timeouts_of_conntrack_are_the_namespaces_own() {
    let key = "net.netfilter.nf_conntrack_udp_timeout";
    let out =
        outputs(LAB, &[("worker-2", &format!("sysctl -w {key}=10")), ("tmp2", &format!("sysctl {key}"))]);
    assert_eq!(out[1], format!("{key} = 30"));
}

#[test]
fn a_module_is_loaded_for_all_namespaces() {
    let loaded = ("tmp2", "lsmod | grep -c br_netfilter");
    let lines =
        [loaded, ("worker-2", "modprobe br_netfilter"), loaded, ("worker-2", "rmmod br_netfilter"), loaded];
    let out = outputs(LAB, &lines);
    assert_eq!([&out[0], &out[2], &out[4]], ["0", "1", "0"]);
}

#[test]
fn there_is_one_ring_buffer_and_log_in_a_pod_prints_nothing() {
    let lines = [
        ("worker-2", "iptables -t raw -I PREROUTING -p tcp -j LOG --log-prefix 'node '"),
        ("tmp2", "iptables -I OUTPUT -j LOG --log-prefix 'pod '"),
        ("tmp2", "curl -s -m 1 http://10.32.0.101/"),
        ("tmp2", "dmesg"),
        ("worker-2", "dmesg"),
        ("tmp2", "dmesg -C"),
        ("worker-2", "dmesg"),
        ("worker-1", "dmesg"),
        ("worker-2", "sysctl -w net.netfilter.nf_log_all_netns=1"),
        ("tmp2", "curl -s -m 1 http://10.32.0.101/"),
        ("worker-2", "dmesg"),
    ];
    let out = outputs(LAB, &lines);
    assert!(out[10].contains("pod IN= OUT=eth0"), "{}", out[10]);
    assert!(out[3].contains("node IN=cnio0") && !out[3].contains("pod IN="), "{}", out[3]);
    assert_eq!(out[3], out[4]);
    assert_eq!([&out[6], &out[7]], ["", ""]);
}

/// `devconf_inherit_init_net` is 0: as seen on Linux 6.18 with `unshare -n`.
#[test]
fn a_pod_begins_with_the_settings_that_its_node_has_then() {
    let key = "net.ipv4.conf.all.log_martians";
    let lines = [
        ("worker-2", format!("sysctl -w {key}=1")),
        ("tmp2", format!("sysctl {key}")),
        ("", "kubectl delete pod tmp2".to_owned()),
        ("", "kubectl apply -f tmp2.yaml".to_owned()),
        ("tmp2", format!("sysctl {key}")),
        ("tmp2", "sysctl net.ipv4.ip_forward".to_owned()),
    ];
    let out = outputs(LAB, &lines.each_ref().map(|(on, line)| (*on, line.as_str())));
    assert_eq!(
        [&out[1], &out[4], &out[5]],
        [&format!("{key} = 0"), &format!("{key} = 1"), "net.ipv4.ip_forward = 1"]
    );
}

/// 002: `ps aux | grep "[n]ginx: master"`
#[test]
fn a_node_sees_the_programs_of_its_pods() {
    let lines = [("worker-2", PS), ("nginx2", PS), ("tmp2", PS), ("worker-1", PS)];
    let out = outputs(LAB, &lines);
    let line = out[0].trim_end();
    assert!(
        line.starts_with("root ")
            && line.ends_with(" ?        Ss   00:00   0:00 nginx: master process nginx -g daemon off;"),
        "{line}"
    );
    assert_eq!(out[0], out[1]);
    assert_eq!(out[2], "");
    // nginx1, which is another process.
    assert!(out[3].contains("nginx: master") && out[3] != out[0], "{out:?}");
}

/// 002: `nsenter -t 2595 -n -- ip a s`
#[test]
fn nsenter_shows_the_pods_addresses() {
    let lines =
        [("nginx2", "ip a s".to_owned()), ("worker-2", format!("nsenter -t {} -n -- ip a s", nginx()))];
    let out = outputs(LAB, &lines.each_ref().map(|(on, line)| (*on, line.as_str())));
    assert!(
        out[1].contains("link/ether fa:ce:1c:2d:05:eb brd ff:ff:ff:ff:ff:ff link-netnsid 0"),
        "{}",
        out[1]
    );
    assert_eq!(out[0], out[1]);
}

#[test]
fn the_forms_of_nsenter_are_the_same() {
    let pid = nginx();
    let forms = [
        format!("nsenter -t {pid} -n ip -br link"),
        format!("nsenter --net -t{pid} ip -br link"),
        format!("nsenter -nt {pid} ip -br link"),
        format!("nsenter --target={pid} --all -- ip -br link"),
        "for P in $(pgrep nginx); do nsenter -t $P -n ip -br link; done".to_owned(),
        "for P in $(pidof nginx); do /usr/bin/nsenter -at $P ip -br link | cat; done".to_owned(),
    ];
    let lines: Vec<(&str, &str)> = forms.iter().map(|line| ("worker-2", line.as_str())).collect();
    let out = outputs(LAB, &lines);
    assert!(out[0].starts_with("lo ") && out[0].contains("eth0@"), "{out:?}");
    for (form, printed) in forms.iter().zip(&out) {
        assert_eq!(printed, &out[0], "{form}");
    }
}

#[test]
fn nsenter_into_the_network_keeps_the_files_and_the_processes() {
    let pid = nginx();
    let lines = [
        ("worker-2", "echo of the node > /tmp/where".to_owned()),
        ("nginx2", "echo of the pod > /tmp/where".to_owned()),
        ("worker-2", format!("nsenter -t {pid} -n cat /tmp/where")),
        ("worker-2", format!("nsenter -t {pid} -n -m cat /tmp/where")),
        ("worker-2", format!("nsenter -t {pid} -n ps -e | grep -c kube-proxy")),
        ("worker-2", format!("nsenter -t {pid} -n cat /proc/sys/net/ipv4/conf/eth0/forwarding")),
        ("worker-2", format!("nsenter -t {pid} -n curl -s -m 1 http://10.32.0.101/")),
        ("worker-2", format!("nsenter -t {pid} -m ip -br addr show cnio0")),
    ];
    let out = outputs(LAB, &lines.each_ref().map(|(on, line)| (*on, line.as_str())));
    assert_eq!(out[2..6], ["of the node", "of the pod", "1", "1"]);
    assert_eq!(out[6], "hello from nginx1, you are 10.200.2.65");
    assert!(out[7].contains("10.200.2.1/24"), "{}", out[7]);
}

#[test]
fn nsenter_watches_beside_what_follows() {
    let line = format!("nsenter -t {} -n tcpdump -nn -i eth0 -c 1 tcp &", nginx());
    let lines = [("worker-2", line.as_str()), ("tmp2", "curl -s -m 1 http://10.200.2.65/"), ("", "wait")];
    let out = outputs(LAB, &lines);
    assert!(out[0].contains("IP 10.200.2.63.") && out[0].contains("> 10.200.2.65.80: Flags [S]"), "{out:?}");
}

#[test]
fn what_nsenter_cannot_do_it_says() {
    let lines = [
        ("worker-2", "nsenter -t 99 -n ip a"),
        ("worker-2", "nsenter -t x -n ip a"),
        ("worker-2", "nsenter -n ip a"),
        ("worker-2", "nsenter -q ip a"),
        ("worker-2", "nsenter -n -t"),
    ];
    let says = [
        "nsenter: cannot open /proc/99/ns/net: No such file or directory",
        "nsenter: failed to parse pid: 'x'",
        "nsenter: neither filename nor target pid supplied for ns/net",
        "nsenter: invalid option -- 'q'",
        "nsenter: option requires an argument -- 't'",
    ];
    assert_eq!(outputs(LAB, &lines), says);
}

#[test]
fn ps_has_the_columns_that_are_asked_for() {
    let pid = nginx();
    let lines = [
        ("worker-2", "ps".to_owned()),
        ("worker-2", format!("ps -o pid,comm= -p {pid}")),
        ("worker-2", "ps -C nginx -o comm=NAME,tty".to_owned()),
        ("worker-2", format!("ps -fp {pid}")),
        ("worker-2", "ps -p 99".to_owned()),
        ("worker-2", "ps -eo pid,nosuch".to_owned()),
        ("worker-2", "ps -p x".to_owned()),
        ("worker-2", "ps -Z".to_owned()),
        ("worker-2", "pgrep -c .".to_owned()),
        ("worker-2", "pidof nonesuch".to_owned()),
    ];
    let out = outputs(LAB, &lines.each_ref().map(|(on, line)| (*on, line.as_str())));
    assert!(
        out[0].starts_with("  PID TTY          TIME CMD\n") && out[0].ends_with(" pts/0    00:00:00 ps"),
        "{}",
        out[0]
    );
    assert_eq!(out[1], format!("  PID \n{pid:>5} nginx"));
    assert_eq!(out[2], "NAME            TTY\nnginx           ?");
    assert!(out[3].starts_with("UID        PID  PPID  C STIME TTY          TIME CMD\nroot "), "{}", out[3]);
    assert_eq!(out[4], "  PID TTY          TIME CMD");
    assert_eq!(out[5], "error: unknown user-defined format specifier \"nosuch\"");
    assert_eq!(out[6], "error: process ID list syntax error: \"x\"; expected numbers");
    assert_eq!(out[7], "error: unsupported SysV option 'Z'; expected aux, -e, -f, -p, -C or -o");
    // nginx, CoreDNS and kube-proxy.
    assert_eq!([&out[8], &out[9]], ["3", ""]);
}

#[test]
fn a_kube_proxy_that_is_stopped_is_not_there() {
    let count = ("worker-2", "ps -e | grep -c kube-proxy");
    let lines = [
        count,
        ("worker-2", "systemctl stop kube-proxy"),
        count,
        ("worker-2", "systemctl start kube-proxy"),
        count,
    ];
    let out = outputs(LAB, &lines);
    assert_eq!([&out[0], &out[2], &out[4]], ["1", "0", "1"]);
}

#[test]
fn a_program_in_the_background_is_listed_with_its_line() {
    let lines =
        [("tmp2", "sleep 100 &"), ("worker-2", "ps -C sleep -o tty,args"), ("tmp2", "pgrep -f 'sleep 1+0'")];
    let out = outputs(LAB, &lines);
    assert_eq!(out[1], "TTY      COMMAND\npts/0    sleep 100");
    assert!(out[2].parse::<u16>().is_ok(), "{out:?}");
}
