//! What is typed on a box of the test.

use super::Test;
use crate::lab::{command_of, is_about_cluster, no_box, split};
use kernel::Instant;
use sim::operator::{CommandOutput, PROGRAMS};

/// Nobody waits longer for a table to become empty: a day.
const LONGEST: u64 = 86_400;

impl Test {
    /// Runs a line that somebody types, on a box; with `kubectl exec POD -- COMMAND` or `sleep SECONDS` there is none. It is typed when
    /// the test is where it is, and takes no time. After `sleep` the clients are gone: nothing is asked any more, and time has passed.
    ///
    /// # Errors
    /// What of the line is not read, and what was expected.
    pub fn command(&mut self, on: Option<&str>, line: &str) -> Result<CommandOutput, String> {
        let words = split(line)?;
        if let [program, args @ ..] = words.as_slice()
            && program == "sleep"
        {
            return self.sleep(args);
        }
        let command = command_of(line, on.map(str::to_owned).into_iter().collect(), None)?;
        if command.background {
            return Err("'&': in this lab nothing runs in the background".to_owned());
        }
        for argv in command.each() {
            let program = argv.first().map_or("", String::as_str);
            if is_about_cluster(program) {
                return Err(format!("{program}: in this lab the switches are its commands"));
            }
            if !PROGRAMS.contains(&program.rsplit('/').next().unwrap_or_default()) {
                let known = PROGRAMS.join(", ");
                return Err(format!("{program} is not run in this lab; expected sleep, {known}"));
            }
        }
        let name = command.on.first().map_or("", String::as_str);
        let world = self.run.world();
        let host = world.host_by_name(name).ok_or_else(|| no_box(world, &command))?;
        self.run.command(host, &command.argv)
    }

    fn sleep(&mut self, args: &[String]) -> Result<CommandOutput, String> {
        let seconds = match args {
            [one] => one.parse::<u64>().ok().filter(|s| *s <= LONGEST),
            _ => None,
        };
        let seconds =
            seconds.ok_or_else(|| format!("sleep: expected a number of seconds, {LONGEST} at most"))?;
        self.run.rest(Instant(self.run.progress().now.0 + seconds * 1_000_000));
        Ok(CommandOutput::default())
    }
}
