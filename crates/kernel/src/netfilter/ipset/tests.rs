use super::{Addrs, ElemInfo, Elems, IpSets, Mask, SetCx, SetDirs, SetError, SetOptions, SetQuery, SetType};
use crate::Instant;
use ::packet::{Ip, L4, Protocol, Udp};
use std::net::Ipv4Addr;

const T0: Instant = Instant(0);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn net(last: u8, cidr: u8) -> Addrs {
    Addrs::Net(ip(last), cidr)
}

fn elems(first: Addrs, ports: (u16, u16), second: Addrs) -> Elems {
    Elems { first, proto: Protocol::UDP, ports, second, ..Elems::default() }
}

fn set(kind: SetType, options: SetOptions) -> IpSets {
    let mut sets = IpSets::default();
    sets.create("S", kind, options, false).unwrap();
    sets
}

fn shown(sets: &IpSets, now: Instant) -> Vec<(Ipv4Addr, u8, u16)> {
    let members = sets.get("S").into_iter().flat_map(|s| s.members(now));
    let mut all: Vec<_> = members.map(|(e, _)| (e.ip, e.cidr, e.port)).collect();
    all.sort();
    all
}

fn udp(src: u8, dst: u8) -> Ip {
    let udp = Udp { sport: 1000, dport: 53, checksum_ok: true, payload: Vec::new().into() };
    Ip::new(ip(src).into(), ip(dst).into(), L4::Udp(udp))
}

fn hit(sets: &mut IpSets, (dim, src): (u8, u8), ip: &Ip) -> bool {
    let query = SetQuery { dirs: SetDirs { dim, src }, ..SetQuery::default() };
    sets.test_packet("S", &query, &SetCx { ip, devs: ("", ""), now: T0 }).is_some()
}

#[test]
fn a_range_of_addresses_becomes_networks_in_a_type_of_networks() {
    let mut sets = set(SetType::HashNet, SetOptions::default());
    let range = elems(Addrs::Range(ip(0), ip(9)), (0, 0), net(0, 32));
    assert_eq!(sets.add("S", &range, &ElemInfo::default(), false, T0), Ok(()));
    assert_eq!(shown(&sets, T0), [(ip(0), 29, 0), (ip(8), 31, 0)]);
}

#[test]
fn netmask_keeps_one_address_of_each_network() {
    let mut sets = set(SetType::HashIp, SetOptions { mask: Mask::Net(30), ..SetOptions::default() });
    let range = elems(Addrs::Range(ip(2), ip(9)), (0, 0), net(0, 32));
    assert_eq!(sets.add("S", &range, &ElemInfo::default(), false, T0), Ok(()));
    assert_eq!(shown(&sets, T0), [(ip(0), 32, 0), (ip(4), 32, 0), (ip(8), 32, 0)]);
}

#[test]
fn what_stood_before_the_refused_member_stays() {
    let mut sets = set(SetType::HashIpPort, SetOptions { maxelem: 2, ..SetOptions::default() });
    let ports = elems(net(1, 32), (5, 9), net(0, 32));
    assert_eq!(sets.add("S", &ports, &ElemInfo::default(), false, T0), Err(SetError::HashFull));
    assert_eq!(shown(&sets, T0), [(ip(1), 32, 5), (ip(1), 32, 6)]);
}

#[test]
fn the_smallest_network_decides_and_a_hole_does_not_match() {
    let mut sets = set(SetType::HashNet, SetOptions::default());
    for (cidr, nomatch) in [(24, false), (25, true), (30, false)] {
        let info = ElemInfo { nomatch, ..ElemInfo::default() };
        assert_eq!(sets.add("S", &elems(net(0, cidr), (0, 0), net(0, 32)), &info, false, T0), Ok(()));
    }
    for (last, inside) in [(2, true), (9, false), (200, true)] {
        assert_eq!(hit(&mut sets, (1, 1), &udp(last, 99)), inside, "{last}");
    }
}

#[test]
fn each_part_has_its_direction_and_none_may_be_missing() {
    let mut sets = set(SetType::HashIpPortIp, SetOptions::default());
    let member = elems(net(2, 32), (53, 53), net(1, 32));
    assert_eq!(sets.add("S", &member, &ElemInfo::default(), false, T0), Ok(()));
    // dst,dst,src; dst,dst; dst,src,src; src,dst,dst; dst,dst,src,dst
    for (dim, src, inside) in
        [(3, 0b100, true), (2, 0, false), (3, 0b110, false), (3, 1, false), (4, 0b100, true)]
    {
        assert_eq!(hit(&mut sets, (dim, src), &udp(1, 2)), inside, "{dim} {src:b}");
    }
}

#[test]
fn a_timeout_ends_a_member_and_0_keeps_it() {
    let mut sets = set(SetType::HashIp, SetOptions { timeout: Some(5), ..SetOptions::default() });
    for (last, timeout) in [(1, None), (2, Some(0)), (3, Some(9))] {
        let info = ElemInfo { timeout, ..ElemInfo::default() };
        assert_eq!(sets.add("S", &elems(net(last, 32), (0, 0), net(0, 32)), &info, false, T0), Ok(()));
    }
    let members = |s: u64| shown(&sets, Instant(s * 1_000_000)).len();
    assert_eq!([members(4), members(6), members(10)], [3, 2, 1]);
}

#[test]
fn swap_leaves_the_names_in_their_places() {
    let mut sets = set(SetType::HashIp, SetOptions::default());
    sets.create("T", SetType::HashIp, SetOptions { maxelem: 7, ..SetOptions::default() }, false).unwrap();
    sets.create("P", SetType::BitmapPort, SetOptions::default(), false).unwrap();
    assert_eq!(sets.swap("S", "T"), Ok(()));
    let list: Vec<(&str, u32)> = sets.iter().map(|s| (s.name.as_str(), s.options.maxelem)).collect();
    assert_eq!(list, [("S", 7), ("T", 65536), ("P", 65536)]);
    assert_eq!(sets.swap("S", "P"), Err(SetError::TypeMismatch));
    assert_eq!(sets.swap("S", "NO"), Err(SetError::NoSecondSet));
}

#[test]
fn a_new_set_takes_the_first_free_place() {
    let mut sets = set(SetType::HashIp, SetOptions::default());
    sets.create("T", SetType::HashIp, SetOptions::default(), false).unwrap();
    assert_eq!(sets.destroy("S", &|_| 1), Err(SetError::Busy));
    assert_eq!(sets.destroy("S", &|_| 0), Ok(()));
    sets.create("U", SetType::HashIp, SetOptions::default(), false).unwrap();
    let names: Vec<&str> = sets.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["U", "T"]);
}

#[test]
fn a_command_names_no_more_members_than_it_can_do() {
    let mut sets = set(SetType::BitmapPort, SetOptions::default());
    sets.create("H", SetType::HashIp, SetOptions { maxelem: 3, ..SetOptions::default() }, false).unwrap();
    let all = elems(Addrs::Range(Ipv4Addr::new(1, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0)), (0, 0), net(0, 32));
    assert_eq!(sets.add("H", &all, &ElemInfo::default(), false, T0), Err(SetError::HashFull));
    assert_eq!(sets.del("H", &all, true, T0), Err(SetError::NoMemory));
}

/// The order was listed by Linux 6.18 for `create S hash:ip initval 5` and `add S 10.0.0.0/28`.
#[test]
fn members_stand_in_the_order_of_the_kernels_hash() {
    let mut sets = set(SetType::HashIp, SetOptions { initval: 5, ..SetOptions::default() });
    let sixteen = elems(net(0, 28), (0, 0), net(0, 32));
    assert_eq!(sets.add("S", &sixteen, &ElemInfo::default(), false, T0), Ok(()));
    let set = sets.get("S").unwrap();
    let last: Vec<u8> = set.members(T0).iter().map(|(e, _)| e.ip.octets()[3]).collect();
    assert_eq!(last, [10, 6, 11, 9, 7, 3, 12, 5, 1, 8, 15, 0, 13, 14, 2, 4]);
}

#[test]
fn a_list_asks_its_sets_in_order_and_counts_in_both() {
    let counters = SetOptions { counters: true, ..SetOptions::default() };
    let mut sets = set(SetType::ListSet, counters.clone());
    for name in ["A", "B"] {
        sets.create(name, SetType::HashIp, counters.clone(), false).unwrap();
        sets.add(name, &elems(net(1, 32), (0, 0), net(0, 32)), &ElemInfo::default(), false, T0).unwrap();
        let member = Elems { name: name.into(), ..Elems::default() };
        sets.add("S", &member, &ElemInfo::default(), false, T0).unwrap();
    }
    assert!(hit(&mut sets, (1, 1), &udp(1, 2)));
    let packets = |name: &str| -> Vec<u64> {
        sets.get(name).unwrap().members(T0).iter().map(|(_, m)| m.packets).collect()
    };
    assert_eq!((packets("S"), packets("A"), packets("B")), (vec![1, 0], vec![1], vec![0]));
}
