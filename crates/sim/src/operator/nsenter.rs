//! `nsenter` (util-linux 2.38): a program in the network of a process.

use super::CommandOutput;
use crate::world::World;
use kernel::NetnsId;

/// What `nsenter` runs.
pub(crate) struct Entered {
    /// In whose network.
    pub host: NetnsId,
    /// It has the files of that box too, by `-m`; else it has those of the box on which it was typed.
    pub files: bool,
    /// The program.
    pub argv: Vec<String>,
}

/// `nsenter -t PID -n [--] PROGRAM...`; `None` for another program. `Err` is what nsenter says.
pub(crate) fn nsenter(
    world: &World,
    host: NetnsId,
    argv: &[String],
) -> Option<Result<Entered, CommandOutput>> {
    let (program, args) = argv.split_first()?;
    (program.rsplit('/').next() == Some("nsenter"))
        .then(|| read(world, host, args).map_err(|why| CommandOutput::failed(1, format!("nsenter: {why}"))))
}

/// Each namespace that may be entered: its letter, its word and its file.
const KINDS: [(char, &str, &str); 8] = [
    ('m', "mount", "mnt"),
    ('u', "uts", "uts"),
    ('i', "ipc", "ipc"),
    ('n', "net", "net"),
    ('p', "pid", "pid"),
    ('U', "user", "user"),
    ('C', "cgroup", "cgroup"),
    ('T', "time", "time"),
];

/// The program that `nsenter` with these words runs; none if they are not read.
pub fn entered(args: &[String]) -> Vec<String> {
    parse(args).map(|words| words.argv).unwrap_or_default()
}

/// What nsenter's words say.
struct Words {
    target: Option<String>,
    /// Of [`KINDS`].
    kinds: Vec<(char, &'static str, &'static str)>,
    argv: Vec<String>,
}

fn parse(args: &[String]) -> Result<Words, String> {
    let (mut target, mut kinds) = (None, Vec::new());
    let mut rest = args.iter();
    let mut argv = Vec::new();
    while let Some(word) = rest.next() {
        let mut next = |own: Option<&str>| {
            let word = own.map(str::to_owned).or_else(|| rest.next().cloned());
            word.ok_or("option requires an argument -- 't'")
        };
        match word.strip_prefix("--") {
            Some("") => break,
            Some("all") => kinds.extend(KINDS),
            Some(long) if long == "target" || long.starts_with("target=") => {
                target = Some(next(long.strip_prefix("target="))?);
            }
            Some(long) => match KINDS.iter().find(|(_, name, _)| *name == long) {
                Some(kind) => kinds.push(*kind),
                None => return Err(format!("unrecognized option '{word}'")),
            },
            None => match word.strip_prefix('-') {
                Some(letters) => {
                    for (at, letter) in letters.char_indices() {
                        match KINDS.iter().find(|(own, ..)| *own == letter) {
                            Some(kind) => kinds.push(*kind),
                            None if letter == 'a' => kinds.extend(KINDS),
                            None if letter == 't' => {
                                target = Some(next(letters.get(at + 1..).filter(|own| !own.is_empty()))?);
                                break;
                            }
                            None => return Err(format!("invalid option -- '{letter}'")),
                        }
                    }
                }
                None => {
                    argv.push(word.clone());
                    break;
                }
            },
        }
    }
    argv.extend(rest.cloned());
    Ok(Words { target, kinds, argv })
}

fn read(world: &World, host: NetnsId, args: &[String]) -> Result<Entered, String> {
    let Words { target, kinds, argv } = parse(args)?;
    let enters = |letter: char| kinds.iter().any(|(own, ..)| *own == letter);
    let of = match &target {
        Some(target) => {
            let pid: u16 = target.parse().map_err(|_| format!("failed to parse pid: '{target}'"))?;
            world.running(host).into_iter().find(|p| p.pid == pid).map(|p| p.host)
        }
        None => match kinds.first() {
            Some((.., file)) => {
                return Err(format!("neither filename nor target pid supplied for ns/{file}"));
            }
            None => Some(host),
        },
    };
    let of = of.ok_or_else(|| {
        let file = kinds.first().map_or("", |(.., file)| file);
        format!("cannot open /proc/{}/ns/{file}: No such file or directory", target.unwrap_or_default())
    })?;
    if argv.is_empty() {
        return Err("expected a program: a shell that somebody types into is not modelled".to_owned());
    }
    Ok(Entered { host: if enters('n') { of } else { host }, files: enters('m'), argv })
}
