//! `bridge`, `sysctl`, `conntrack`, `ipset`: what their words mean; and that any words are understood or refused.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use kernel::netfilter::conntrack::{TcpState, status};
use kernel::netfilter::ipset::{SetType, SkbInfo};
use packet::Protocol;
use proptest::collection::vec;
use proptest::prelude::*;
use userland::Diagnostic;
use userland::bridge::{BridgeCommand, FdbSpec, FdbState, parse_bridge};
use userland::conntrack::{ConntrackOp, ConntrackTable, parse_conntrack};
use userland::ip::{parse_ip, parse_ip_batch};
use userland::ipset::{IpsetCommand, IpsetFlags, IpsetLine, parse_ipset_restore};
use userland::sysctl::{SysctlKey, parse_sysctl, parse_sysctl_conf};

fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|w| !w.is_empty()).collect()
}

/// Column, token, message, help.
fn parts(d: Diagnostic) -> (u32, String, String, String) {
    (d.span.col, d.token.clone(), d.message.clone(), d.help.clone())
}

#[test]
fn bridges() {
    let bridge = |line: &str| parse_bridge(&words(line)).map(|l| l.command).map_err(|d| parts(d).2);
    let mac = "02:00:00:00:00:09".parse().unwrap();
    let spec = FdbSpec {
        mac,
        dev: "vetha".to_owned(),
        master: true,
        own: false,
        state: FdbState::Static,
        dst: None,
    };
    let line = "bridge fdb add 02:00:00:00:00:09 dev vetha master static";
    assert_eq!(bridge(line), Ok(BridgeCommand::FdbAdd(spec.clone())));
    let own = FdbSpec { master: false, own: true, state: FdbState::Permanent, ..spec };
    assert_eq!(bridge("bridge fdb del 02:00:00:00:00:09 dev vetha self"), Ok(BridgeCommand::FdbDel(own)));
    let br = Some("cni0".to_owned());
    assert_eq!(bridge("bridge fdb show br cni0"), Ok(BridgeCommand::FdbShow { br, dev: None }));
    assert_eq!(bridge("bridge fdb"), Ok(BridgeCommand::FdbShow { br: None, dev: None }));
    let set = BridgeCommand::LinkSet {
        dev: "vetha".to_owned(),
        options: vec![(userland::ip::PortOption::Hairpin, true)],
    };
    assert_eq!(bridge("bridge link set dev vetha hairpin on"), Ok(set));
    assert_eq!(bridge("bridge link"), Ok(BridgeCommand::LinkShow { dev: None }));
    for (line, message) in [
        ("bridge mdb", "\"mdb\" is not modelled"),
        ("bridge vlan add dev vetha vid 2", "\"add\" is not modelled"),
        ("bridge -d vlan", "-d of VLANs is not modelled"),
        ("bridge -s fdb", "-s of entries is not modelled"),
        ("bridge foo", "unknown word \"foo\""),
        ("bridge link set dev vetha guard on", "\"guard\" is not modelled"),
        ("bridge link set hairpin on", "the command ends too early"),
        ("bridge fdb add 02:00 dev vetha", "\"02:00\" is not a MAC address"),
    ] {
        assert_eq!(bridge(line), Err(message.to_owned()), "{line}");
    }
}

#[test]
fn sysctls() {
    let key = |text: &str| SysctlKey::parse(text).map(|k| (k.dotted(), k.path()));
    let both = |d: &str, p: &str| Some((d.to_owned(), p.to_owned()));
    assert_eq!(key("net.ipv4.ip_forward"), both("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"));
    assert_eq!(key("net/ipv4/ip_forward"), both("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"));
    let vlan = both("net.ipv4.conf.eth0/100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
    assert_eq!(key("net.ipv4.conf.eth0/100.rp_filter"), vlan);
    assert_eq!(key("net/ipv4/conf/eth0.100/rp_filter"), vlan);
    for bad in ["", "net..x", "net/../x", "a b"] {
        assert_eq!(key(bad), None, "{bad}");
    }
    let sysctl = |line: &str| parse_sysctl(&words(line));
    let set = sysctl("sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0").unwrap();
    let items: Vec<_> = set.items.iter().map(|i| (i.key.dotted(), i.value.clone())).collect();
    assert_eq!(
        items,
        [
            ("net.ipv4.ip_forward".to_owned(), Some("1".to_owned())),
            ("net.ipv4.conf.all.rp_filter".to_owned(), Some("0".to_owned())),
        ]
    );
    assert!(sysctl("sysctl -n net.ipv4.ip_forward").unwrap().values_only);
    assert!(sysctl("sysctl -a").unwrap().all);
    for (line, message) in [
        ("sysctl -w net.ipv4.ip_forward = 1", "\"net.ipv4.ip_forward\" has no value"),
        ("sysctl -w net.ipv4.ip_forward=", "\"net.ipv4.ip_forward\" has an empty value"),
        ("sysctl -p", "option \"-p\" is not modelled"),
        ("sysctl", "nothing to read or write"),
    ] {
        assert_eq!(parts(sysctl(line).unwrap_err()).2, message, "{line}");
    }
    let (items, wrong) = parse_sysctl_conf("# c\nnet.ipv4.ip_forward = 1\n; c\nfoo\n\nnet.bridge.x=\n");
    assert_eq!((items.len(), items[0].0), (1, 2));
    assert_eq!(wrong.iter().map(|d| d.span.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn conntracks() {
    let conntrack = |line: &str| parse_conntrack(&words(line));
    let c =
        conntrack("conntrack -L -p tcp --dport 80 --state ESTABLISHED -s 10.0.0.0/8 -o extended,id").unwrap();
    assert_eq!(
        (c.op, c.table, c.output.extended, c.output.id),
        (ConntrackOp::List, ConntrackTable::Connections, true, true)
    );
    assert_eq!((c.filter.proto, c.filter.orig_dport), (Some(Protocol::TCP), Some(80)));
    assert_eq!(c.filter.state, Some(TcpState::Established));
    assert!(c.filter.orig_src.is_some_and(|n| n.contains([10, 1, 2, 3].into())));
    let c = conntrack("conntrack -D -d 10.96.0.80 -u ASSURED,SEEN_REPLY -m 1/3").unwrap();
    assert_eq!(
        (c.op, c.filter.status, c.filter.mark),
        (ConntrackOp::Delete, status::ASSURED | status::SEEN_REPLY, Some((1, 3)))
    );
    assert_eq!(conntrack("conntrack --flush").unwrap().op, ConntrackOp::Flush);
    assert_eq!(conntrack("conntrack -C expect").unwrap().table, ConntrackTable::Expectations);
    assert_eq!(conntrack("conntrack -p icmp --icmp-id 9 -L").unwrap().filter.icmp_id, Some(9));
    for (line, message) in [
        ("conntrack -p tcp", "no command"),
        ("conntrack -L -D", "Invalid commands combination"),
        ("conntrack -L --dport 53", "unknown option `--dport'"),
        ("conntrack -L -p icmp --dport 53", "unknown option `--dport'"),
        ("conntrack -L -p udp --state NEW", "unknown option `--state'"),
        ("conntrack -L -p foo", "`foo' unsupported protocol"),
        ("conntrack -L -s 10.0.0.300", "Invalid IP address `10.0.0.300'"),
        ("conntrack -L -s 10.0.0.0/33", "Invalid netmask"),
        ("conntrack -L -d", "option `-d' requires an argument"),
        ("conntrack -L foo", "unknown type `foo'"),
        ("conntrack -F -p udp", "Illegal option `--protonum' with this command"),
        ("conntrack -I -p udp", "You need to supply the `--timeout' option for this command"),
        ("conntrack -L -o json", "Bad parameter `json'"),
        ("conntrack -L -i 5", "-i is not modelled"),
    ] {
        assert_eq!(parts(conntrack(line).unwrap_err()).2, message, "{line}");
    }
}

/// Reads a line about the sets S (hash:net,iface), P (hash:ip,port) and L (list:set).
fn ipset(line: &str) -> Result<IpsetCommand, String> {
    let argv = words(line).into_iter().skip(1).map(str::to_owned).collect();
    let kind_of = |name: &str| match name {
        "S" => Some(SetType::HashNetIface),
        "P" => Some(SetType::HashIpPort),
        "L" => Some(SetType::ListSet),
        _ => None,
    };
    let line = IpsetLine::parse(argv, &mut IpsetFlags::default(), false);
    line.and_then(|l| l.command(&kind_of)).map_err(|e| e.says)
}

#[test]
fn ipsets() {
    let line = "ipset create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 128 maxelem 7 -exist";
    let Ok(IpsetCommand::Create { name, kind, options }) = ipset(line) else { panic!("no create") };
    assert_eq!((name.as_str(), kind), ("KUBE-CLUSTER-IP", SetType::HashIpPort));
    assert_eq!((options.hashsize, options.maxelem), (128, 7));
    let line = "ipset add S 10.0.0.0/8,physdev:eth0 timeout 5 nomatch wildcard skbmark 0x5/0xff";
    let Ok(IpsetCommand::Add { elems, info, .. }) = ipset(line) else { panic!("no add") };
    assert_eq!((&*elems.name, elems.physdev, elems.wildcard), ("eth0", true, true));
    assert_eq!((info.timeout, info.nomatch), (Some(5), true));
    assert_eq!(info.skbinfo, Some(SkbInfo { mark: 5, mask: 0xff, ..SkbInfo::default() }));
    let Ok(IpsetCommand::Add { elems, .. }) = ipset("ipset -! add L A before B") else { panic!("no add") };
    assert_eq!(elems.place, Some((true, "B".into())));
    assert_eq!(ipset("ipset list -n"), Ok(IpsetCommand::List(None)));
    assert_eq!(ipset("ipset swap A B"), Ok(IpsetCommand::Swap("A".to_owned(), "B".to_owned())));
    for (line, says) in [
        ("ipset", "No command specified."),
        ("ipset foo", "No command specified: unknown argument foo"),
        ("ipset create S hash:foo", "Syntax error: typename 'hash:foo' is unknown"),
        ("ipset create S hash:mac", "type hash:mac is not modelled"),
        ("ipset create S hash:ip family inet6", "family inet6 is not modelled"),
        ("ipset create S hash:ip hashsize x", "Syntax error: 'x' is invalid as number"),
        ("ipset add P 1.1.1.1,80 wildcard", "Unknown argument: `wildcard'"),
        ("ipset add NO 1.1.1.1", "The set with the given name does not exist"),
        ("ipset destroy A B", "Unknown argument B"),
    ] {
        assert_eq!(ipset(line), Err(says.to_owned()), "{line}");
    }
}

#[test]
fn an_ipset_text_is_read_up_to_its_first_mistake() {
    let text = "create S hash:ip\nadd S 1.1.1.1 comment \"a b\" -exist\n# x\nlist\nfoo\nlist\n";
    let (lines, wrong) = parse_ipset_restore(text, &mut IpsetFlags::default());
    let read: Vec<(u32, bool, usize)> =
        lines.iter().map(|(n, flags, line)| (*n, flags.exist, line.words.len())).collect();
    // -exist holds from its line on.
    assert_eq!(read, [(1, false, 2), (2, true, 4), (4, true, 0)]);
    assert_eq!(lines[1].2.words[3], "a b");
    assert_eq!(wrong.map(|(n, e)| (n, e.usage)), Some((5, true)));
}

const WORDS: [&str; 64] = [
    "addr",
    "route",
    "neigh",
    "link",
    "add",
    "del",
    "set",
    "show",
    "flush",
    "replace",
    "get",
    "dev",
    "via",
    "src",
    "metric",
    "scope",
    "table",
    "main",
    "onlink",
    "default",
    "blackhole",
    "10.0.0.1",
    "10.0.0.0/8",
    "eth0",
    "lladdr",
    "02:00:00:00:00:01",
    "nud",
    "stale",
    "up",
    "down",
    "promisc",
    "on",
    "off",
    "type",
    "veth",
    "peer",
    "name",
    "bridge",
    "bridge_slave",
    "hairpin",
    "fdb",
    "master",
    "self",
    "static",
    "-w",
    "net.ipv4.ip_forward=1",
    "-L",
    "-D",
    "-p",
    "tcp",
    "--dport",
    "80",
    "-s",
    "--state",
    "ESTABLISHED",
    "-o",
    "extended",
    "create",
    "S",
    "hash:ip",
    "timeout",
    "5",
    "-exist",
    "-4",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn any_words_are_understood_or_refused(mut argv in vec(prop_oneof![
        9 => (0..WORDS.len()).prop_map(|i| WORDS[i].to_owned()),
        1 => "\\PC{0,6}",
    ], 0..9)) {
        argv.insert(0, "tool".to_owned());
        let all = [
            parse_ip(&argv).err(),
            parse_bridge(&argv).err(),
            parse_sysctl(&argv).err(),
            parse_conntrack(&argv).err(),
        ];
        let text = argv.join(" ");
        let lists = [parse_ip_batch(&text).1, parse_sysctl_conf(&text).1];
        for line in [ipset(&text), ipset(&format!("ipset add S {text}")), ipset(&format!("ipset create S {text}"))] {
            prop_assert!(line.err().is_none_or(|says| !says.is_empty()), "{argv:?}");
        }
        for d in all.into_iter().flatten().chain(lists.into_iter().flatten()) {
            prop_assert!(!d.token.is_empty() && !d.message.is_empty() && d.help.starts_with("expected "), "{argv:?} {d:?}");
            prop_assert!(d.span.line == 1 && d.span.col >= 1, "{argv:?} {d:?}");
        }
    }
}
