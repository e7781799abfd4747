//! A [`Script`] is run.

use super::read::MOST;
use super::{Each, Joint, Pipeline, Redirect, Script, Simple, Values, What};
use crate::operator::{CommandOutput, read_file, text_of, write_file};
use crate::world::World;
use kernel::NetnsId;
use std::pin::Pin;

/// Runs what is no program of a box, with its standard input; `None` if it is one.
pub type Elsewhere<'e> = dyn FnMut(&mut World, NetnsId, &Simple, Option<&str>) -> Option<CommandOutput> + 'e;

/// Where lines go.
#[derive(Clone, PartialEq, Eq)]
enum Sink {
    Out,
    Err,
    File(String),
}

/// Runs a script on a box. Its output is what is printed to neither file nor pipe; its status is that of the last program.
pub async fn run(
    world: &mut World,
    host: NetnsId,
    script: &Script,
    stdin: Option<&str>,
    elsewhere: &mut Elsewhere<'_>,
) -> CommandOutput {
    Running { world, host, elsewhere }.script(script, stdin).await
}

/// A script on its way.
struct Running<'r, 'e> {
    world: &'r mut World,
    host: NetnsId,
    elsewhere: &'r mut Elsewhere<'e>,
}

impl Running<'_, '_> {
    /// A pointer, as a group in a script holds scripts.
    fn script<'a>(
        &'a mut self,
        script: &'a Script,
        stdin: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = CommandOutput> + 'a>> {
        Box::pin(async move {
            let mut out = CommandOutput::default();
            for (joint, pipeline) in &script.list {
                let run = match joint {
                    Joint::Then => true,
                    Joint::And => out.status == 0,
                    Joint::Or => out.status != 0,
                };
                if run {
                    out.then(self.pipeline(pipeline, stdin).await);
                }
            }
            out
        })
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, stdin: Option<&str>) -> CommandOutput {
        let mut input = stdin.map(str::to_owned);
        let mut out = CommandOutput::default();
        for (n, stage) in pipeline.stages.iter().enumerate() {
            if n > 0 {
                input = Some(out.printed());
            }
            let mut sinks = (Sink::Out, Sink::Err);
            let done = match (self.open(&stage.redirects, &mut input, &mut sinks), &stage.what) {
                (Err(why), _) => CommandOutput::failed(1, format!("bash: {why}")),
                (Ok(()), What::Simple(one)) => self.simple(one, input.as_deref()).await,
                (Ok(()), What::Group(group)) => self.script(group, input.as_deref()).await,
                (Ok(()), What::Each(each)) => self.each(each, input.as_deref()).await,
            };
            out = CommandOutput::ended(done.status, Vec::new(), out.stderr);
            for (sink, text) in [(sinks.0, done.printed()), (sinks.1, text_of(&done.stderr))] {
                match sink {
                    Sink::Out => out.print(&text),
                    Sink::Err => out.stderr.extend(text.split_terminator('\n').map(str::to_owned)),
                    Sink::File(path) => {
                        if let Err(why) = write_file(self.world, self.host, &path, &text, true) {
                            out.stderr.push(format!("bash: {why}"));
                            out.status = 1;
                        }
                    }
                }
            }
        }
        out
    }

    /// Does what redirections say, in their order; where one fails those before it hold.
    fn open(
        &mut self,
        redirects: &[Redirect],
        input: &mut Option<String>,
        (out, err): &mut (Sink, Sink),
    ) -> Result<(), String> {
        for redirect in redirects {
            match redirect {
                Redirect::Input(path) => {
                    let read = read_file(self.world, self.host, path);
                    *input = Some(read.map_err(|why| format!("{path}: {why}"))?);
                }
                Redirect::File { out: to_out, err: to_err, append, path } => {
                    // It is there before the program begins, and empty if nothing is appended.
                    write_file(self.world, self.host, path, "", *append)?;
                    let sink = Sink::File(path.clone());
                    if *to_out {
                        *out = sink.clone();
                    }
                    if *to_err {
                        *err = sink;
                    }
                }
                Redirect::ErrToOut => *err = out.clone(),
                Redirect::OutToErr => *out = err.clone(),
            }
        }
        Ok(())
    }

    /// A loop over words of which commands print some.
    async fn each(&mut self, each: &Each, stdin: Option<&str>) -> CommandOutput {
        let (mut out, mut values) = (CommandOutput::default(), Vec::new());
        for some in &each.values {
            match some {
                Values::Known(value) => values.push(value.clone()),
                Values::Printed(script) => {
                    let done = self.script(script, None).await;
                    out.stderr.extend(done.stderr);
                    values.extend(done.stdout.iter().flat_map(|l| l.split_whitespace()).map(str::to_owned));
                }
            }
        }
        if values.len() > MOST {
            return CommandOutput::failed(
                2,
                format!("bash: more than {MOST} words behind for {} in", each.name),
            );
        }
        for value in values {
            let body = each.body.with(&each.name, &value);
            out.then(self.script(&body, stdin).await);
        }
        out
    }

    async fn simple(&mut self, one: &Simple, stdin: Option<&str>) -> CommandOutput {
        let host = match &one.on {
            None => self.host,
            // `kubectl get -o name` prints `pod/NAME`.
            Some(name) => match self.world.host_by_name(super::base(name)) {
                Some(host) => host,
                None => return CommandOutput::failed(1, format!("there is no box {name:?}")),
            },
        };
        if let Some(done) = (self.elsewhere)(self.world, host, one, stdin) {
            return done;
        }
        super::super::shell(self.world, host, &one.argv, stdin)
            .await
            .unwrap_or_else(|why| CommandOutput::failed(127, why))
    }
}
