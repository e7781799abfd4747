//! What `dmesg` prints: the lines of the kernel's ring buffer, which the log holds.

use super::{CommandOutput, refused_option};
use crate::world::World;
use kernel::event::What;
use kernel::{Instant, NetnsId};

/// `dmesg`
pub(super) fn dmesg(world: &World, host: NetnsId, args: &[String]) -> CommandOutput {
    if let Some(arg) = args.first() {
        return refused_option("dmesg", arg);
    }
    let lines = world.log().entries().iter().filter(|e| e.host == host).filter_map(|e| match e.what()? {
        What::KernelLog(line) => Some(format!("{} {line}", stamp(e.at))),
        _ => None,
    });
    CommandOutput::lines(lines.collect())
}

/// `[    1.000234]`: seconds since the start (kernel/printk/printk.c, `print_time`).
fn stamp(at: Instant) -> String {
    format!("[{:>5}.{:06}]", at.0 / 1_000_000, at.0 % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::stamp;
    use kernel::Instant;

    #[test]
    fn time_is_printed_as_the_kernel_does() {
        assert_eq!(stamp(Instant(1_000_234)), "[    1.000234]");
        assert_eq!(stamp(Instant(21_256_871_187)), "[21256.871187]");
    }
}
