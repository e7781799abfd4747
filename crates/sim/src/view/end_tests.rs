//! Every reason has an answer.

use super::end::{At, reason_of};
use super::tests::{CLIENT, run};
use crate::EventId;
use kernel::event::What;
use kernel::{DevId, DropReason, PacketId};

/// The answer for a reason, for a segment of a real run.
fn answer(reason: DropReason) -> super::End {
    let run = run(false);
    let world = &run.world;
    let frame = world.log().entries().iter().find_map(|e| match e.what() {
        Some(What::Created { frame, .. }) if frame.ip().is_some() => Some(frame.clone()),
        _ => None,
    });
    let at = At {
        world,
        ns: world.host(CLIENT).unwrap(),
        event: EventId(u32::try_from(world.log().len()).unwrap()),
        packet: PacketId(0),
        dev: Some(DevId(1)),
    };
    reason_of(&at, reason, &frame.unwrap())
}

#[test]
fn every_reason_names_who_ended_it_what_was_looked_at_and_a_way_out() {
    for reason in DropReason::ALL {
        let end = answer(reason);
        assert!(!end.by.is_empty(), "{reason}");
        assert!(!end.looked.is_empty() && !end.through.is_empty(), "{reason}: {end:?}");
        for l in &end.looked {
            assert!(!l.what.is_empty() && !l.was.is_empty() && !l.needed.is_empty(), "{reason}: {l:?}");
        }
    }
}

#[test]
fn the_list_of_reasons_has_no_one_twice_and_ends_with_the_last() {
    for (i, a) in DropReason::ALL.iter().enumerate() {
        assert!(!DropReason::ALL[i + 1..].contains(a), "{a}");
    }
    // The enum's own source: as many variants as the list has kinds.
    let source = include_str!("../../../kernel/src/fate.rs");
    let body = source.split("pub enum DropReason {").nth(1).unwrap().split("\n}").next().unwrap();
    let variants = body.lines().filter(|l| l.ends_with(',') && !l.trim_start().starts_with('/')).count();
    // Unreachable stands four times in the list.
    assert_eq!(DropReason::ALL.len(), variants + 3);
}
