//! sysctl(8) and /proc/sys: settings that Linux has and the engine has not, and settings that decide what sockets may do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sim::World;
use sim::operator::{CommandOutput, command};

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn run(line: &str) -> CommandOutput {
    let mut world = World::new(1);
    let host = world.add_host("box");
    command(&mut world, host, &words(line), None).unwrap()
}

#[test]
fn a_setting_of_linux_that_the_engine_has_not_is_said_to_be_not_modelled() {
    for name in [
        "net.ipv4.tcp_tw_reuse",
        "net.ipv4.conf.all.arp_notify",
        "net.ipv4.conf.lo.arp_notify",
        "net.ipv4.neigh.default.gc_thresh1",
        "net.ipv6.conf.all.disable_ipv6",
        "net.core.somaxconn",
        "kernel.panic",
        "net.netfilter.nf_log.2",
    ] {
        for line in [format!("sysctl {name}"), format!("sysctl -w {name}=1"), format!("sysctl -e {name}=a")] {
            let done = run(&line);
            assert_eq!(
                (done.stderr, done.status),
                (vec![format!("sysctl: {name} is not modelled")], 1),
                "{line}"
            );
        }
        let file = format!("/proc/sys/{}", name.replace('.', "/"));
        let done = run(&format!("cat {file}"));
        assert_eq!((done.stderr, done.status), (vec![format!("cat: {file}: is not modelled")], 1));
    }
}

#[test]
fn a_name_that_linux_has_not_either_is_not_there() {
    for name in [
        "net.ipv4.tcp_tw_reused",
        "net.ipv4.tcp_tw_recycle",
        "net.ipv4.conf.eth9.arp_notify",
        "net.ipv6.conf.eth9.disable_ipv6",
        "net.ipv4.conf.arp_notify",
        "net.corey.x",
    ] {
        let (done, path) = (run(&format!("sysctl {name}")), name.replace('.', "/"));
        let said = format!("sysctl: cannot stat /proc/sys/{path}: No such file or directory");
        assert_eq!((done.stderr, done.status), (vec![said], 1));
    }
}
