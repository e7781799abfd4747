//! The exercises and courses that come with the program. Each is a text; docs/LABS.md describes them.

/// Courses, names and texts, in the order in which they are offered.
pub const COURSES: &[(&str, &str)] = &[("netfilter", include_str!("course-netfilter.yaml"))];

/// Exercises, names and texts.
pub const TEXTS: &[(&str, &str)] = &[("no-forwarding", include_str!("no-forwarding.yaml"))];

/// Labs that exercises stand on and that are not offered by themselves.
pub const BASES: &[(&str, &str)] = &[("classroom", include_str!("classroom.yaml"))];
