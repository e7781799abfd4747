//! The exercises and courses that come with the program. Each is a text; docs/LABS.md describes them.

/// Courses, names and texts, in the order in which they are offered.
pub const COURSES: &[(&str, &str)] = &[
    ("netfilter", include_str!("course-netfilter.yaml")),
    ("article-tftp-ipvs", include_str!("course-article-tftp-ipvs.yaml")),
    ("article-service", include_str!("course-article-service.yaml")),
    ("article-same-node", include_str!("course-article-same-node.yaml")),
    ("article-hooks", include_str!("course-article-hooks.yaml")),
    ("article-load", include_str!("course-article-load.yaml")),
];

/// Exercises, names and texts, in the order of their names.
pub const TEXTS: &[(&str, &str)] = &[
    ("before-conntrack", include_str!("before-conntrack.yaml")),
    ("by-hand", include_str!("by-hand.yaml")),
    ("chains-of-a-nodeport", include_str!("chains-of-a-nodeport.yaml")),
    ("docker-was-here", include_str!("docker-was-here.yaml")),
    ("early-drop", include_str!("early-drop.yaml")),
    ("expected-too-much", include_str!("expected-too-much.yaml")),
    ("first-match", include_str!("first-match.yaml")),
    ("five-seconds", include_str!("five-seconds.yaml")),
    ("inside-only", include_str!("inside-only.yaml")),
    ("itself-again", include_str!("itself-again.yaml")),
    ("lonely-node", include_str!("lonely-node.yaml")),
    ("loop-of-forwards", include_str!("loop-of-forwards.yaml")),
    ("module-without-call", include_str!("module-without-call.yaml")),
    ("no-endpoints", include_str!("no-endpoints.yaml")),
    ("no-forwarding", include_str!("no-forwarding.yaml")),
    ("no-route", include_str!("no-route.yaml")),
    ("not-on-localhost", include_str!("not-on-localhost.yaml")),
    ("notrack", include_str!("notrack.yaml")),
    ("number-without-pod", include_str!("number-without-pod.yaml")),
    ("only-from-home", include_str!("only-from-home.yaml")),
    ("pod-calls-itself", include_str!("pod-calls-itself.yaml")),
    ("reset-by-stranger", include_str!("reset-by-stranger.yaml")),
    ("same-node", include_str!("same-node.yaml")),
    ("same-pod-please", include_str!("same-pod-please.yaml")),
    ("table-full", include_str!("table-full.yaml")),
    ("tftp-answer", include_str!("tftp-answer.yaml")),
    ("tftp-modern", include_str!("tftp-modern.yaml")),
    ("the-long-page", include_str!("the-long-page.yaml")),
    ("the-office", include_str!("the-office.yaml")),
    ("third-of-the-calls", include_str!("third-of-the-calls.yaml")),
    ("twins", include_str!("twins.yaml")),
    ("two-hooks", include_str!("two-hooks.yaml")),
    ("untracked-names", include_str!("untracked-names.yaml")),
    ("used-port", include_str!("used-port.yaml")),
    ("way-through-a-node", include_str!("way-through-a-node.yaml")),
    ("who-called", include_str!("who-called.yaml")),
    ("who-refuses", include_str!("who-refuses.yaml")),
    ("wrong-port", include_str!("wrong-port.yaml")),
];

/// Labs that exercises stand on and that are not offered by themselves.
pub const BASES: &[(&str, &str)] = &[("classroom", include_str!("classroom.yaml"))];
