//! The exercises and courses that come with the program. Each is a text; docs/LABS.md describes them.

use crate::bare::bare;

/// Courses, names and texts, in the order in which they are offered.
pub const COURSES: &[(&str, &str)] = &[
    ("netfilter", bare!("course-netfilter.yaml")),
    ("article-tftp-ipvs", bare!("course-article-tftp-ipvs.yaml")),
    ("article-service", bare!("course-article-service.yaml")),
    ("article-same-node", bare!("course-article-same-node.yaml")),
    ("article-hooks", bare!("course-article-hooks.yaml")),
    ("article-load", bare!("course-article-load.yaml")),
];

/// Exercises, names and texts, in the order of their names.
pub const TEXTS: &[(&str, &str)] = &[
    ("before-conntrack", bare!("before-conntrack.yaml")),
    ("by-hand", bare!("by-hand.yaml")),
    ("chains-of-a-nodeport", bare!("chains-of-a-nodeport.yaml")),
    ("docker-was-here", bare!("docker-was-here.yaml")),
    ("early-drop", bare!("early-drop.yaml")),
    ("expected-too-much", bare!("expected-too-much.yaml")),
    ("first-match", bare!("first-match.yaml")),
    ("five-seconds", bare!("five-seconds.yaml")),
    ("inside-only", bare!("inside-only.yaml")),
    ("itself-again", bare!("itself-again.yaml")),
    ("lonely-node", bare!("lonely-node.yaml")),
    ("loop-of-forwards", bare!("loop-of-forwards.yaml")),
    ("module-without-call", bare!("module-without-call.yaml")),
    ("no-endpoints", bare!("no-endpoints.yaml")),
    ("no-forwarding", bare!("no-forwarding.yaml")),
    ("no-route", bare!("no-route.yaml")),
    ("not-on-localhost", bare!("not-on-localhost.yaml")),
    ("notrack", bare!("notrack.yaml")),
    ("number-without-pod", bare!("number-without-pod.yaml")),
    ("only-from-home", bare!("only-from-home.yaml")),
    ("pod-calls-itself", bare!("pod-calls-itself.yaml")),
    ("reset-by-stranger", bare!("reset-by-stranger.yaml")),
    ("same-node", bare!("same-node.yaml")),
    ("same-pod-please", bare!("same-pod-please.yaml")),
    ("table-full", bare!("table-full.yaml")),
    ("tftp-answer", bare!("tftp-answer.yaml")),
    ("tftp-modern", bare!("tftp-modern.yaml")),
    ("the-long-page", bare!("the-long-page.yaml")),
    ("the-office", bare!("the-office.yaml")),
    ("third-of-the-calls", bare!("third-of-the-calls.yaml")),
    ("twins", bare!("twins.yaml")),
    ("two-hooks", bare!("two-hooks.yaml")),
    ("untracked-names", bare!("untracked-names.yaml")),
    ("used-port", bare!("used-port.yaml")),
    ("way-through-a-node", bare!("way-through-a-node.yaml")),
    ("who-called", bare!("who-called.yaml")),
    ("who-refuses", bare!("who-refuses.yaml")),
    ("wrong-port", bare!("wrong-port.yaml")),
];

/// Labs that exercises stand on and that are not offered by themselves.
pub const BASES: &[(&str, &str)] = &[("classroom", bare!("classroom.yaml"))];
