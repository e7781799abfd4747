//! Which commands only look. Looking is always allowed, and is no move.

use super::Move;

/// Programs that only look, or only send what any client may send.
const READERS: [&str; 36] = [
    "curl", "dig", "nc", "nslookup", "ping", "tftp", "busybox", "tcpdump", "dmesg", "lsmod", "ss", "cat",
    "head", "tail", "ls", "sleep", "echo", "true", "false", "grep", "egrep", "fgrep", "sort", "uniq", "wc",
    "cut", "diff", "awk", "uname", "less", "more", "printf", "column", "ps", "pgrep", "pidof",
];

/// Whether a move changes nothing.
pub fn looks(m: &Move) -> bool {
    match m {
        Move::Set(..) => false,
        Move::Run(c) => {
            c.each().into_iter().all(only_looks) && !c.script.as_ref().is_some_and(|s| s.has_files())
        }
    }
}

fn only_looks(argv: &[String]) -> bool {
    let Some((program, words)) = argv.split_first() else { return true };
    if program == "time" {
        return only_looks(words);
    }
    if program == "nsenter" {
        return only_looks(&sim::operator::entered(words));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let plain: Vec<&str> = words.iter().copied().filter(|w| !w.starts_with('-')).collect();
    let first = plain.first().copied().unwrap_or_default();
    let has = |known: &[&str]| words.iter().any(|w| known.contains(w));
    match program.as_str() {
        p if READERS.contains(&p) || p.starts_with("ip") && p.ends_with("-save") => true,
        // iptables(8): one of the letters is the command.
        "iptables" | "ip6tables" | "iptables-nft" | "ip6tables-nft" | "iptables-legacy"
        | "ip6tables-legacy" => one_of(&words, "LSC", "ADRIFZNXPE", &["--list", "--list-rules", "--check"]),
        // ipvsadm(8)
        "ipvsadm" => one_of(&words, "LlS", "AEDCRaedZ", &["--list", "--save"]) && !has(&["--set", "--zero"]),
        // conntrack(8)
        "conntrack" => {
            one_of(&words, "LGSCE", "DIUAF", &["--dump", "--get", "--stats", "--count", "--event"])
        }
        // ipset(8)
        "ipset" => {
            has(&["list", "save", "test"])
                || one_of(&words, "LST", "NXFEWAD", &["--list", "--save", "--test"])
        }
        // ip(8), bridge(8): what is to be done comes after the object.
        "ip" | "bridge" => !["add", "a", "del", "delete", "d", "replace", "change", "append", "set", "flush"]
            .contains(&plain.get(1).copied().unwrap_or_default()),
        "nft" => matches!(first, "list" | "get" | "describe"),
        "nfacct" => matches!(first, "list" | "get"),
        "sysctl" => !has(&["-w", "--write", "-p", "--load"]) && words.iter().all(|w| !w.contains('=')),
        // sed(1): `-i` may stand among other letters.
        "sed" => !words.iter().any(|w| w.starts_with('-') && w.contains('i')),
        "hostname" => first.is_empty(),
        "systemctl" => matches!(first, "status" | "is-active" | "show"),
        // The verb may stand behind a namespace.
        "kubectl" => {
            let at = usize::from(words.first().is_some_and(|w| matches!(*w, "-n" | "--namespace")));
            plain.get(at).is_some_and(|w| matches!(*w, "get" | "describe" | "logs"))
        }
        _ => false,
    }
}

/// Short options, some of which may stand together, have one of `look` and none of `change`; or there is one of the long ones.
fn one_of(words: &[&str], look: &str, change: &str, long: &[&str]) -> bool {
    let letters = || {
        let short = |w: &&&str| w.starts_with('-') && !w.starts_with("--");
        words.iter().filter(short).flat_map(|w| w.chars().skip(1))
    };
    let looks = letters().any(|c| look.contains(c)) || words.iter().any(|w| long.contains(w));
    looks && !letters().any(|c| change.contains(c))
}

#[cfg(test)]
mod tests {
    use super::{Move, looks as looks_at, only_looks};
    use crate::lab::command_of;

    fn looks(line: &str) -> bool {
        only_looks(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_looks() {
        for line in [
            "iptables -S",
            "iptables -t nat -nvL --line-numbers",
            "iptables-save -t raw",
            "sed -n 1p f",
            "hostname -I",
            "ps aux",
            "nsenter -t 304 -n -- ip a s",
            "ip route",
            "ip -4 route get 10.0.0.1",
            "ip addr show dev eth0",
            "bridge link",
            "bridge fdb show",
            "nft list ruleset",
            "nft -a list table inet guard",
            "conntrack -L -p udp --orig-dst 10.96.0.25",
            "conntrack -S",
            "ipvsadm -Ln",
            "ipvsadm -l --timeout",
            "ipset list",
            "sysctl net.ipv4.ip_forward",
            "sysctl -a",
            "kubectl get pods",
            "kubectl -n kube-system describe configmap coredns",
            "curl -m 1 http://10.0.0.1/",
            "systemctl status kube-proxy",
        ] {
            assert!(looks(line), "{line}");
        }
    }

    #[test]
    fn what_does_something() {
        for line in [
            "nsenter -t 304 -n ip link set eth0 down",
            "iptables -A FORWARD -j ACCEPT",
            "iptables -t nat -L -Z",
            "iptables -P FORWARD DROP",
            "ip route add 10.0.0.0/8 via 10.0.0.1",
            "ip -4 route replace default via 10.0.0.1",
            "ip link set eth0 up",
            "bridge link set dev veth-a hairpin on",
            "nft insert rule inet guard forward accept",
            "conntrack -D -p udp",
            "conntrack -F",
            "ipvsadm --set 1 1 1",
            "ipvsadm -a -t 10.96.0.80:80 -r 10.244.1.5:80 -m",
            "ipset add a 10.0.0.1",
            "sysctl -w net.ipv4.ip_forward=1",
            "sed -i s/a/b/ f",
            "tee f",
            "hostname new",
            "sysctl net.ipv4.ip_forward=1",
            "modprobe br_netfilter",
            "kubectl patch pod get -p {}",
            "kubectl delete pod web",
            "kube-proxy --proxy-mode=ipvs",
        ] {
            assert!(!looks(line), "{line}");
        }
    }

    #[test]
    fn a_line_of_several_programs_looks_if_each_does() {
        let looks =
            |line: &str| looks_at(&Move::Run(command_of(line, vec!["node".to_owned()], None).unwrap()));
        assert!(looks("iptables-save | grep KUBE 2>/dev/null | wc -l"));
        assert!(looks("for i in 1 2; do curl http://10.0.0.1/; done; kubectl get pods | sort"));
        assert!(!looks("iptables-save | iptables-restore"));
        assert!(!looks("sysctl -a | grep forward && sysctl -w net.ipv4.ip_forward=1"));
        assert!(!looks("echo 1 > /proc/sys/net/ipv4/ip_forward"));
    }
}
