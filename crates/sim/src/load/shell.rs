//! What an operator types on a box of a load test. No time passes meanwhile.

use super::{LoadRun, Warning};
use crate::operator::{self, CommandOutput};
use crate::programs::sh::{self, Script, Simple};
use crate::world::World;
use kernel::{Instant, NetnsId};

/// Where rsyslog writes what the kernel says.
const MESSAGES: &str = "/var/log/messages";

impl LoadRun {
    /// Runs a command on a box, as it stands. The machine has one kernel: `dmesg` in each of its namespaces, and `/var/log/messages`
    /// of the node, have the lines of all of them, and a limit that is set on the node is that of the pods.
    ///
    /// # Errors
    /// The program is not modelled.
    pub fn command(&mut self, host: NetnsId, argv: &[String]) -> Result<CommandOutput, String> {
        match sh::line_of(argv) {
            Some(line) => Ok(self.script(host, &line.and_then(sh::read)?)),
            None => self.program(host, argv, None),
        }
    }

    /// Several programs in one line.
    fn script(&mut self, host: NetnsId, script: &Script) -> CommandOutput {
        // A program is run by the test, whose world it is; between two of them the script has it.
        let mut world = std::mem::replace(&mut self.world, World::new(0));
        let each = &mut |world: &mut World, host: NetnsId, one: &Simple, stdin: Option<&str>| {
            std::mem::swap(&mut self.world, world);
            let done = self.program(host, &one.argv, stdin);
            std::mem::swap(&mut self.world, world);
            Some(done.unwrap_or_else(|why| CommandOutput::failed(127, why)))
        };
        let done = parts::finish(sh::run(&mut world, host, script, None, each));
        self.world = world;
        done
    }

    fn program(
        &mut self,
        host: NetnsId,
        argv: &[String],
        stdin: Option<&str>,
    ) -> Result<CommandOutput, String> {
        let lines = self.warnings();
        match argv {
            [program, args @ ..] if program == "dmesg" && self.machine.boxes().contains(&host) => {
                let kept = lines.iter().skip(self.dmesg_from).map(|w| (w.at, w.line.as_str()));
                let (output, cleared) = operator::dmesg_of(kept, args);
                if cleared {
                    self.dmesg_from = lines.len();
                }
                return Ok(output);
            }
            [program, args @ ..] if program == "watch" => {
                let name = self.world.host(host).map_or(String::new(), |ns| ns.name.clone());
                return operator::watch(self.world.now(), &name, args, |inner| {
                    match operator::executed(inner)? {
                        None => self.program(host, inner, None),
                        Some((pod, inner)) => match self.world.host_by_name(&pod) {
                            Some(pod) => self.program(pod, &inner, None),
                            None => Err(format!("there is no box {pod:?}")),
                        },
                    }
                });
            }
            _ => {}
        }
        if let Some((id, node)) = self.node().and_then(|id| Some((id, self.world.host(id)?))) {
            let line = |w: &Warning| operator::syslog_line(w.at, &node.name, &w.line) + "\n";
            let text: String = lines.iter().map(line).collect();
            self.world.write_file(id, MESSAGES, text);
        }
        let done = operator::command(&mut self.world, host, argv, stdin)?;
        self.share_limits();
        // It may have changed anything.
        for ns in self.world.hosts_mut() {
            ns.forget_shortcuts();
        }
        self.machine.look(&self.world);
        Ok(done)
    }

    /// The clients go and the servers fall silent, and time passes: until then, or not at all if it is past.
    pub fn rest(&mut self, until: Instant) {
        while self.world.step(until) {}
        self.world.set_now(until.max(self.world.now()));
        for host in self.machine.boxes() {
            self.world.with(*host, |ns, cx| ns.ct_gc(cx));
        }
        self.count_shortcuts();
    }

    fn share_limits(&mut self) {
        let Some(limits) = self.node().and_then(|id| self.world.host(id)).map(|ns| ns.ct.limits) else {
            return;
        };
        for host in self.machine.boxes() {
            if let Some(ns) = self.world.host_mut(*host) {
                ns.ct.limits = limits;
            }
        }
    }

    fn node(&self) -> Option<NetnsId> {
        self.machine.boxes().first().copied()
    }
}
