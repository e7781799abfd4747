//! What a packet costs as Services grow, in each of kube-proxy's modes (kubernetes.io of 28 February 2025 on mode nftables).

use workshop::cost::{Work, cost};
use workshop::kube::Mode;

const SERVICES: [usize; 3] = [1, 20, 150];

#[test]
fn iptables_asks_one_rule_more_for_each_service_before() {
    let last = SERVICES.map(|n| cost(Mode::Iptables, n).unwrap().last.rules);
    assert_eq!([last[1] - last[0], last[2] - last[0]], [19, 149]);
}

#[test]
fn the_first_service_costs_the_same_however_many_follow() {
    let first = SERVICES.map(|n| cost(Mode::Iptables, n).unwrap().first);
    assert_eq!(first, [first[0]; 3]);
}

#[test]
fn ipvs_and_nftables_look_up_instead() {
    for mode in [Mode::Ipvs, Mode::Nftables] {
        let all = SERVICES.map(|n| cost(mode, n).unwrap());
        for c in all {
            assert_eq!((c.first, c.last, c.later), (all[0].first, all[0].first, all[0].later), "{mode:?}");
            assert!(c.first.lookups > 0);
        }
    }
}

#[test]
fn later_packets_cost_the_same_in_every_mode_whatever_the_number() {
    for mode in [Mode::Iptables, Mode::Ipvs, Mode::Nftables] {
        let later = SERVICES.map(|n| cost(mode, n).unwrap().later);
        assert_eq!(later, [later[0]; 3], "{mode:?}");
        assert!(later[0].rules < cost(mode, 1).unwrap().first.rules);
    }
}

#[test]
fn iptables_looks_nothing_up() {
    let c = cost(Mode::Iptables, 20).unwrap();
    assert_eq!([c.first.lookups, c.last.lookups, c.later.lookups], [0; 3]);
}

#[test]
fn more_services_than_addresses_are_refused() {
    assert_eq!(cost(Mode::Iptables, 0).unwrap_err(), "expected 1 to 60000 Services, found 0");
    assert_ne!(Work::default(), cost(Mode::Nftables, 1).unwrap().first);
}
