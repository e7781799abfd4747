//! A LOG rule in every chain.

use super::{KTHW, case, lab, run, scenario};
use crate::{Loaded, command, http, shell, words};
use cluster::cni;
use cluster::kube_proxy::{Case, Mode, service_chain};
use kernel::Era;
use packet::TcpFlags;
use sim::{Run, Stimulus};
use std::net::Ipv4Addr;
use workshop::{Setting, query};

const NGINX: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 23);
const TMP0: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 50);

// ---------------------------------------------------------------------- LOG in every chain

/// The article's loop: a LOG rule at the head of every chain of every table of a box, whose prefix is `EB TABLE CHAIN `.
fn log_rules(bare: &Run, host: &str) -> Vec<Stimulus> {
    let mut stimuli = Vec::new();
    for table in ["filter", "nat", "mangle", "raw", "security"] {
        let list = shell(bare, host, &format!("iptables -t {table} -L"));
        for chain in list.iter().filter_map(|l| l.strip_prefix("Chain ")?.split(' ').next()) {
            let rule = format!(
                "iptables -t {table} -I {chain} -j LOG --log-prefix \"EB {table} {chain} \" --log-tcp-options"
            );
            stimuli.push(command(host, words(&rule)));
        }
    }
    stimuli
}

/// The loop on worker-0, and then something else.
fn log_everywhere(then: Vec<Stimulus>) -> Vec<Stimulus> {
    let mut stimuli = log_rules(&run(false, Vec::new()), "worker-0");
    stimuli.extend(then);
    stimuli
}

/// The lines that dmesg shows for SYNs of tmp0 to nginx, without the time stamps; only the first SYN's.
fn logged_syn(run: &Run) -> Vec<String> {
    let lines = shell(run, "worker-0", "dmesg");
    // The node's ICMP redirect quotes the SYN; on the article's machines redirects are off.
    let of_syn =
        lines.iter().filter(|l| l.contains("SPT=50100 ") && l.contains(" SYN ") && !l.contains("PROTO=ICMP"));
    let mut texts: Vec<String> = of_syn.map(|l| l.split_once("] ").unwrap().1.to_owned()).collect();
    let first = "EB raw PREROUTING";
    let again = texts.iter().skip(1).position(|t| t.starts_with(first));
    texts.truncate(again.map_or(texts.len(), |n| n + 1));
    texts
}

fn curl_nginx() -> Vec<Stimulus> {
    vec![http("tmp0", (TMP0, 50_100), (NGINX, 80))]
}

/// The fifteen lines in the article's order. A prefix ends after 29 characters: chains with long names lose their end, and
/// `IN=` follows at once. In POSTROUTING kernels before 5.7 know no input device.
#[test]
fn a_log_in_every_chain_shows_the_articles_fifteen_lines() {
    let lines = logged_syn(&run(false, log_everywhere(curl_nginx())));
    let cni = cni::chain_name("bridge", &cni::container_id("default", "tmp0"));
    let cni = format!("EB nat {}IN= OUT=cnio0 ", &cni[..22]);
    let expected = [
        "EB raw PREROUTING IN=cnio0 OUT= ",
        "EB mangle PREROUTING IN=cnio0 OUT= ",
        "EB nat PREROUTING IN=cnio0 OUT= ",
        "EB nat KUBE-SERVICES IN=cnio0 OUT= ",
        "EB nat KUBE-SVC-4N57TFCL4MD7ZIN=cnio0 OUT= ",
        "EB nat KUBE-SEP-XB5L7FWMKIQFXIN=cnio0 OUT= ",
        "EB mangle FORWARD IN=cnio0 OUT=cnio0 ",
        "EB filter FORWARD IN=cnio0 OUT=cnio0 ",
        "EB filter KUBE-FORWARD IN=cnio0 OUT=cnio0 ",
        "EB filter KUBE-SERVICES IN=cnio0 OUT=cnio0 ",
        "EB security FORWARD IN=cnio0 OUT=cnio0 ",
        "EB mangle POSTROUTING IN= OUT=cnio0 ",
        "EB nat POSTROUTING IN= OUT=cnio0 ",
        "EB nat KUBE-POSTROUTING IN= OUT=cnio0 ",
        cni.as_str(),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, begin) in lines.iter().zip(expected) {
        assert!(line.starts_with(begin), "{line}\n{begin}");
    }
}

/// Newer kernels name the device by which a routed packet came in also in POSTROUTING.
#[test]
fn since_5_7_postrouting_knows_the_input() {
    let mut scenario = scenario(false, log_everywhere(curl_nginx()));
    for host in &mut scenario.hosts {
        host.era = Era::V6_18;
    }
    let lines = logged_syn(&scenario.run().unwrap());
    let line = lines.iter().find(|l| l.starts_with("EB nat POSTROUTING ")).unwrap();
    assert!(line.starts_with("EB nat POSTROUTING IN=cnio0 OUT=cnio0 "), "{line}");
}

/// A line as nf_log_syslog.c prints it, with the options of the segment in hexadecimal.
#[test]
fn a_logged_line_names_addresses_ports_and_options() {
    let run = run(false, log_everywhere(curl_nginx()));
    let line = &logged_syn(&run)[0];
    let stamped = shell(&run, "worker-0", "dmesg").into_iter().find(|l| l.ends_with(line)).unwrap();
    let (stamp, _) = stamped.split_once("] ").unwrap();
    assert!(stamp.len() == 13 && stamp.starts_with("[    ") && &stamp[6..7] == ".", "{stamped}");
    assert!(line.contains(" SRC=10.200.0.50 DST=10.32.0.23 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID="), "{line}");
    assert!(
        line.contains(
            " DF PROTO=TCP SPT=50100 DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0 OPT (020405B40402080A"
        ),
        "{line}"
    );
}

/// The same with br_netfilter: the ports of the bridge are named, and POSTROUTING has no input device.
#[test]
fn with_br_netfilter_the_ports_are_named_and_postrouting_has_no_input() {
    let lines = logged_syn(&run(true, log_everywhere(curl_nginx())));
    let of = |begin: &str| lines.iter().find(|l| l.starts_with(begin)).unwrap();
    assert!(of("EB mangle PREROUTING ").contains(" IN=cnio0 OUT= PHYSIN=veth-tmp0 "));
    assert!(of("EB mangle FORWARD ").contains(" IN=cnio0 OUT=cnio0 PHYSIN=veth-tmp0 PHYSOUT=veth-nginx "));
    assert!(of("EB nat POSTROUTING ").contains(" IN= OUT=cnio0 PHYSIN=veth-tmp0 PHYSOUT=veth-nginx "));
}

/// With br_netfilter, and a bridge that has forgotten where nginx is: the fifteen lines, and six more by the second copy of the
/// flooded SYN. It is not a jump back, as the article has it.
#[test]
fn with_br_netfilter_a_flooded_syn_shows_six_lines_more() {
    let setting = Setting::from_iter([("br_netfilter".to_owned(), "on".to_owned())]);
    let mut scenario = workshop::lab("same-node-clusterip").unwrap().scenario(&setting).unwrap();
    let call = std::mem::take(&mut scenario.stimuli);
    scenario.stimuli = log_rules(&scenario.run().unwrap(), "worker-2");
    scenario.stimuli.extend(call);
    let run = scenario.run().unwrap();
    let lines = shell(&run, "worker-2", "dmesg");
    let of_syn = lines.iter().filter(|l| l.contains("SPT=58096 ") && l.contains(" SYN "));
    let prefixes: Vec<&str> =
        of_syn.map(|l| l.split_once("] EB ").unwrap().1.split("IN=").next().unwrap().trim()).collect();
    assert_eq!(prefixes.len(), 21, "{prefixes:#?}");
    assert_eq!(prefixes[14], "nat CNI-b7b31389524eeb0d17");
    let six = [
        "mangle FORWARD",
        "filter FORWARD",
        "filter KUBE-FORWARD",
        "filter KUBE-SERVICES",
        "security FORWARD",
    ];
    assert_eq!((&prefixes[15..20], prefixes[20]), (&six[..], "mangle POSTROUTING"));
    assert_eq!((&prefixes[6..11], prefixes[11]), (&six[..], "mangle POSTROUTING"), "the first copy's");
}

/// The answer's own lines, which the article's list leaves out: no table nat, as its entry is known.
#[test]
fn with_br_netfilter_the_answer_meets_every_table_but_nat() {
    let run = lab("on");
    let answer = query::first_segment(&run, "worker-2", &[TcpFlags::SYN, TcpFlags::ACK]).unwrap();
    let chains: Vec<String> = query::chains_entered(&run, "worker-2", answer)
        .into_iter()
        .map(|(table, chain)| format!("{table} {chain}"))
        .collect();
    // KUBE-FORWARD accepts it as ESTABLISHED, so filter has no more chain for it.
    assert_eq!(
        chains,
        [
            "raw PREROUTING",
            "mangle PREROUTING",
            "mangle FORWARD",
            "filter FORWARD",
            "filter KUBE-FORWARD",
            "security FORWARD",
            "mangle POSTROUTING",
        ]
    );
}

/// kube-proxy overwrites what is inserted into its chains; what is inserted into the kernel's stays.
#[test]
fn a_sync_of_kube_proxy_removes_rules_from_its_chains_only() {
    let yaml = case("1.17", KTHW);
    let mut loaded = Loaded::new(&yaml);
    let svc = service_chain("default/nginx:", "tcp");
    let chains = ["PREROUTING", "KUBE-SERVICES", svc.as_str(), "KUBE-POSTROUTING"];
    for chain in chains {
        loaded.iptables(&format!("-t nat -I {chain} -j LOG"));
    }
    let has_log = |loaded: &mut Loaded| chains.map(|c| loaded.rules(c).contains(&format!("-A {c} -j LOG")));
    assert_eq!(has_log(&mut loaded), [true; 4]);
    let text = Case::read(&yaml).unwrap().record(Some(Mode::Iptables)).unwrap().pop().unwrap().text;
    loaded.restore(&text);
    assert_eq!(has_log(&mut loaded), [true, false, false, false]);
}
