//! A [`Script`] is run.

use super::{Joint, Pipeline, Redirect, Script, Simple, What, unread};
use crate::operator::{CommandOutput, write_file};
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
///
/// A pointer, as a group in a script holds scripts, and all who run one have the same code.
pub fn run<'a>(
    world: &'a mut World,
    host: NetnsId,
    script: &'a Script,
    stdin: Option<&'a str>,
    elsewhere: &'a mut Elsewhere<'_>,
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
                let done = run_pipeline(world, host, pipeline, stdin, elsewhere).await;
                out.status = done.status;
                out.stdout.extend(done.stdout);
                out.stderr.extend(done.stderr);
            }
        }
        out
    })
}

async fn run_pipeline(
    world: &mut World,
    host: NetnsId,
    pipeline: &Pipeline,
    stdin: Option<&str>,
    elsewhere: &mut Elsewhere<'_>,
) -> CommandOutput {
    let mut input = stdin.map(str::to_owned);
    let (mut printed, mut stderr, mut status) = (Vec::new(), Vec::new(), 0);
    for (n, stage) in pipeline.stages.iter().enumerate() {
        if n > 0 {
            input = Some(text(&printed));
        }
        let (mut out, mut err) = (Sink::Out, Sink::Err);
        // A file that is written is there, and empty, before the program begins.
        for redirect in &stage.redirects {
            match redirect {
                Redirect::Input(path) => match crate::operator::read_file(world, host, path) {
                    Ok(lines) => input = Some(text(&lines)),
                    Err(why) => return unread(&format!("{path}: {why}")),
                },
                Redirect::File { out: o, err: e, append, path } => {
                    if !append && let Err(why) = write_file(world, host, path, &[], false) {
                        return unread(&why);
                    }
                    let sink = Sink::File(path.clone());
                    if *o {
                        out = sink.clone();
                    }
                    if *e {
                        err = sink;
                    }
                }
                Redirect::ErrToOut => err = out.clone(),
                Redirect::OutToErr => out = err.clone(),
            }
        }
        let done = match &stage.what {
            What::Simple(one) => simple(world, host, one, input.as_deref(), elsewhere).await,
            What::Group(group) => run(world, host, group, input.as_deref(), elsewhere).await,
        };
        status = done.status;
        printed = Vec::new();
        for (sink, lines) in [(out, done.stdout), (err, done.stderr)] {
            match sink {
                Sink::Out => printed.extend(lines),
                Sink::Err => stderr.extend(lines),
                Sink::File(path) => {
                    if let Err(why) = write_file(world, host, &path, &lines, true) {
                        stderr.extend(unread(&why).stderr);
                        status = 1;
                    }
                }
            }
        }
    }
    CommandOutput { status, stdout: printed, stderr }
}

async fn simple(
    world: &mut World,
    host: NetnsId,
    one: &Simple,
    stdin: Option<&str>,
    elsewhere: &mut Elsewhere<'_>,
) -> CommandOutput {
    let host = match &one.on {
        None => host,
        Some(name) => match world.host_by_name(name) {
            Some(host) => host,
            None => return CommandOutput::failed(1, format!("there is no box {name:?}")),
        },
    };
    if let Some(done) = elsewhere(world, host, one, stdin) {
        return done;
    }
    super::super::shell(world, host, &one.argv, stdin)
        .await
        .unwrap_or_else(|why| CommandOutput::failed(127, why))
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect()
}
