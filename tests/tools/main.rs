//! Sessions of the real command-line tools (Debian 12, Linux 6.18), played in a simulated cluster: what each command prints.
//!
//! A session is a cluster and steps: commands, stimuli, and commands that watch while others run. What cannot be the same
//! (time, random numbers) is masked as the session says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod session;

use session::play;

/// Plays a session: as many steps as `agree` print the same, and those that do not are the `known` ones.
fn session(text: &str, agree: usize, known: &[&str]) {
    let report = play(text);
    let differ: Vec<&str> = report.differ.iter().map(|d| d.command.as_str()).collect();
    if differ != known || report.agree != agree {
        for d in &report.differ {
            if !known.contains(&d.command.as_str()) {
                println!("$ {}\n{}", d.command, d.how);
            }
        }
        panic!("{} agree, these differ: {differ:#?}", report.agree);
    }
}

macro_rules! sessions {
    ($($name:ident $file:literal $agree:literal $known:expr;)*) => {
        $(
            #[test]
            fn $name() {
                session(include_str!(concat!("../data/tools/", $file, ".json")), $agree, $known);
            }
        )*
    };
}

sessions! {
    curl "client-curl" 0 &[];
    ping "client-ping" 0 &[];
    tftp "client-tftp" 0 &[];
    tcpdump_pod "tcpdump-tcp-pod" 0 &[];
    tcpdump_cluster_ip "tcpdump-tcp-clusterip" 0 &[];
    tcpdump_tftp "tcpdump-tftp" 0 &[];
    tcpdump_dns "tcpdump-dns" 0 &[];
    tcpdump_arp "tcpdump-arp" 0 &[];
    tcpdump_usage "tcpdump-usage" 0 &[];
}
