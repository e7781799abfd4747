//! Lines of several programs: `kubectl get pods | grep web`, `iptables-save > before`, `for i in 1 2 3; do curl ...; done`.

use super::Command;
use super::effect::Effect;
use super::live::Live;
use super::run::no_box;
use kernel::NetnsId;
use sim::World;
use sim::operator::CommandOutput;
use sim::programs::sh::{self, Script, Simple};
use std::pin::Pin;

/// The box of a command: of several that it may be meant for, such as a Deployment's pods, the first that is there.
pub(super) fn box_of(world: &World, c: &Command) -> Option<NetnsId> {
    c.on.iter().find_map(|name| world.host_by_name(name))
}

/// Runs the programs of a line, on its box or wherever kubectl is.
pub(super) fn run_script<'a>(
    world: &'a mut World,
    live: &'a mut Live,
    c: &'a Command,
    script: &'a Script,
) -> Pin<Box<dyn Future<Output = CommandOutput> + 'a>> {
    Box::pin(async move {
        // Where no program needs a box, they only look at what a pipe brings: any box will do.
        let any = if c.on.is_empty() { world.hosts().first().map(|h| h.id) } else { None };
        let Some(host) = box_of(world, c).or(any) else { return CommandOutput::failed(1, no_box(world, c)) };
        let elsewhere = &mut |world: &mut World, host: NetnsId, one: &Simple, stdin: Option<&str>| {
            live.look_after(world);
            let on = world.host(host).map(|ns| ns.name.clone()).into_iter().collect();
            let (argv, stdin) = (one.argv.clone(), stdin.map(str::to_owned));
            let part = Command { on, argv, script: None, stdin, ..c.clone() };
            (!is_of_box(&part)).then(|| live.command(world, &part))
        };
        sh::run(world, host, script, c.stdin.as_deref(), elsewhere).await
    })
}

/// A box does all of it by itself.
pub(super) fn is_of_box(c: &Command) -> bool {
    match &c.script {
        None => c.program() != "systemctl" && matches!(Effect::of(c), Ok(None)),
        Some(script) => {
            let part = |one: &Simple| Command { argv: one.argv.clone(), script: None, ..c.clone() };
            script.each().into_iter().all(|(one, _)| one.on.is_none() && is_of_box(&part(one)))
        }
    }
}
