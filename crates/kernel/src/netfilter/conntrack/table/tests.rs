use super::*;
use crate::netfilter::conntrack::L4Key;
use packet::Protocol;

fn tuple(sport: u16) -> Tuple {
    let key = L4Key::Ports { sport, dport: 53 };
    Tuple::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Protocol::UDP, key)
}

/// A table with one bucket, and flows from these ports; the first one is assured.
fn table(ports: &[u16]) -> (Conntrack, Vec<ConnId>) {
    let mut ct = Conntrack::new();
    ct.limits.buckets = 1;
    let mut ids = Vec::new();
    for port in ports {
        let t = tuple(*port);
        let id = ct.alloc(t, t.invert().unwrap_or(t), Zone::default(), Instant(0));
        let c = ct.get_mut(id).into_iter();
        c.for_each(|c| {
            c.timeout = 30;
            c.status |= if ids.is_empty() { status::ASSURED } else { 0 };
        });
        assert_eq!(ct.insert(id, Instant(0)), Ok(()));
        ids.push(id);
    }
    (ct, ids)
}

#[test]
fn a_full_table_gives_up_all_of_a_bucket_that_are_not_assured() {
    let (ct, ids) = table(&[1, 2, 3]);
    let (over, mut victims) = ct.early_drop(&tuple(9), Instant(1));
    victims.sort_unstable();
    assert_eq!((over, victims), (Vec::new(), vec![ids[1], ids[2]]));
}

#[test]
fn an_old_kernel_gives_up_the_oldest_of_them() {
    let (ct, ids) = table(&[1, 2, 3]);
    assert_eq!(ct.early_drop_one(&tuple(9)), Some(ids[1]));
}

#[test]
fn an_assured_entry_never_makes_room() {
    let (ct, _) = table(&[1]);
    assert_eq!(ct.early_drop_one(&tuple(9)), None);
    assert_eq!(ct.early_drop(&tuple(9), Instant(1)), (Vec::new(), Vec::new()));
}

#[test]
fn an_entry_that_got_less_time_leaves_earlier() {
    let (mut ct, ids) = table(&[1]);
    ct.get_mut(ids[0]).into_iter().for_each(|c| c.set_timeout(5, Instant(0)));
    ct.mod_timer(ids[0]);
    assert_eq!(ct.take_expired(Instant(4_999_999)), []);
    assert_eq!(ct.take_expired(Instant(5_000_000)), [ids[0]]);
}

#[test]
fn work_is_counted() {
    let (ct, _) = table(&[1, 2]);
    let before = ct.work();
    ct.find(&tuple(1), Zone::default(), Instant(1));
    ct.find(&tuple(7), Zone::default(), Instant(1));
    let now = ct.work();
    assert_eq!((now.hits - before.hits, now.misses - before.misses, now.made), (1, 1, 2));
}
