//! `nflab`

mod kube_proxy;
mod lab;

use clap::{Parser, Subcommand};
use cluster::kube_proxy::{Family, Mode, Version};
use nflab::cluster::ClusterOptions;
use nflab::flows::{self, Flow, Proto};
use nflab::kernels::{KernelJson, kernel_json, kernels_text};
use serde_json::Value;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Netfilter Lab on the command line: what Linux does to a packet.
#[derive(Parser)]
#[command(name = "nflab", version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario (JSON) and write what every host saw, in the format of the recordings of the real kernel.
    Replay {
        /// The scenario; `-` reads standard input.
        #[arg(required_unless_present = "cases")]
        scenario: Option<PathBuf>,
        /// Random cases instead: rules and packets, a JSON object a line; the output has the same lines.
        #[arg(long, value_name = "FILE.jsonl", conflicts_with = "scenario")]
        cases: Option<PathBuf>,
        /// Where to write the record; standard output if not given.
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Write what captures on all devices of all hosts saw, as a pcapng file for Wireshark and tshark.
        #[arg(long, value_name = "FILE", conflicts_with = "cases")]
        pcapng: Option<PathBuf>,
    },
    /// Run a scenario once for each order in which the packets of its first `hold` can go on, as on several processors, and print
    /// what these orders come to.
    Race {
        /// The scenario; `-` reads standard input.
        scenario: PathBuf,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Write what kube-proxy writes on a node of a cluster: iptables.txt, ipvs.*.txt, nftables.txt and
    /// nftables.transaction.txt, stepN/ for later syncs, v6/ for IPv6. `diff` shows what a change of the cluster does.
    KubeProxy(kube_proxy::KubeProxyArgs),
    /// Judge flows in each mode by following their packets through the rules that kube-proxy writes, and print JSON: which
    /// endpoints can be reached, or what else becomes of them, and whether they are marked to be masqueraded.
    Flows {
        /// What `nflab kube-proxy` reads; `-` reads standard input.
        input: PathBuf,
        /// The flows: JSON `{"flows": [{"name", "src", "dst", "port", "proto"}]}`.
        flows: PathBuf,
        /// After which sync, counted from 1.
        #[arg(long, default_value_t = 1)]
        step: usize,
        /// Whose flows: 4 or 6.
        #[arg(long, default_value = "4", value_parser = family)]
        family: Family,
    },
    /// Follow one packet through a node's rules and explain what becomes of it: each hook, each rule that matched, the answer
    /// and the rule that decided.
    Flow {
        /// What `nflab kube-proxy` reads; `-` reads standard input.
        input: PathBuf,
        /// Source address.
        #[arg(long)]
        src: IpAddr,
        /// Destination address.
        #[arg(long)]
        dst: IpAddr,
        /// Destination port.
        #[arg(long)]
        port: u16,
        /// The protocol.
        #[arg(long, default_value = "tcp")]
        proto: Proto,
        #[command(flatten)]
        which: kube_proxy::Which,
        /// After which sync, counted from 1.
        #[arg(long, default_value_t = 1)]
        step: usize,
        /// Show the rules that did not match as well.
        #[arg(long)]
        all: bool,
        /// Where chance begins: another number may choose another endpoint.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Make boxes of a cluster's YAML (Nodes with podCIDR and InternalIP, Pods, Services, EndpointSlices) and print what the usual
    /// tools show on each: devices, addresses, routes, neighbours, sets, rules.
    Cluster {
        /// Kubernetes objects; `-` reads standard input.
        #[arg(required_unless_present = "profiles")]
        input: Option<PathBuf>,
        /// List the CNI profiles.
        #[arg(long, conflicts_with = "input")]
        profiles: bool,
        /// How pods are connected: the name of a profile.
        #[arg(long, default_value = "bridge", value_parser = workshop::kube::profile, value_name = "NAME")]
        cni: &'static workshop::kube::Cni,
        /// kube-proxy's mode: iptables, ipvs or nftables. If not given: the KubeProxyConfiguration's; without one iptables.
        #[arg(long)]
        mode: Option<Mode>,
        /// Which kube-proxy and kubelet, such as 1.23 or v1.23.4; the newest if not given.
        #[arg(long, value_name = "VERSION")]
        kube_version: Option<Version>,
        /// The pods' networks. If not given: the KubeProxyConfiguration's clusterCIDR; without one the smallest network that holds
        /// all podCIDRs.
        #[arg(long, value_name = "CIDR")]
        cluster_cidr: Option<ipnet::Ipv4Net>,
        /// What pods send outside is not masqueraded (ipMasq, --ip-masq, natOutgoing off).
        #[arg(long)]
        no_nat: bool,
        /// How a pod reaches itself, as the kubelet says it: none, hairpin-veth or promiscuous-bridge; the profile's if not given.
        #[arg(long, value_name = "MODE")]
        hairpin_mode: Option<HairpinMode>,
        /// Only this node or pod.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
    },
    /// Count what packets cost in each of kube-proxy's modes as Services grow: rules that are looked at, and lookups.
    Cost {
        /// How many Services; several numbers with commas between them.
        #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000])]
        services: Vec<usize>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List the kernels that are modelled, what each does differently, and what that is held against.
    Kernels {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Labs: a cluster, its switches, what is true and what to reach.
    #[command(subcommand)]
    Lab(LabCommand),
    /// Exercises and courses.
    #[command(subcommand)]
    Exercise(ExerciseCommand),
}

#[derive(Subcommand)]
enum ExerciseCommand {
    /// List the exercises that come with the program, one a line, in the order of the courses.
    List,
    /// What a trainer needs: minutes, solutions, what people get wrong. Of one course, or of all.
    Agenda {
        /// Name of a course.
        course: Option<String>,
    },
}

#[derive(Subcommand)]
enum LabCommand {
    /// List the labs with their switches.
    List,
    /// Run a lab and judge its claims and goals. Exit status 0 if every claim holds, whatever the goals.
    Run {
        /// Name of the lab, or a file with its text.
        name: String,
        /// Position of a switch; may be given several times.
        #[arg(long = "set", value_name = "SWITCH=VALUE")]
        set: Vec<String>,
        /// A command that is typed when all steps are done, with the box it is typed on, such as "worker-2: iptables -t nat -L"; without a
        /// box one about the cluster, such as kubectl. May be given several times; what each prints is shown. In the lab conntrack-load
        /// "sleep 30" lets time pass without clients.
        #[arg(long = "type", value_name = "BOX: COMMAND")]
        typed: Vec<String>,
        /// Type the commands before the lab's first step, not at the end.
        #[arg(long, requires = "typed")]
        first: bool,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
        /// Of the lab conntrack-load: the size of the machine, 1 or 1/2 to 1/100. 1/10 unless given.
        #[arg(long, value_name = "1/N")]
        scale: Option<String>,
        /// Write what captures on all devices of all boxes saw, as a pcapng file for Wireshark and tshark.
        #[arg(long, value_name = "FILE")]
        pcapng: Option<PathBuf>,
        /// Of that, only this box, or this device of it.
        #[arg(long, value_name = "BOX[/DEVICE]", requires = "pcapng")]
        capture: Option<String>,
    },
    /// What would let it through: the smallest changes with which a run reaches its goals, or with which a step succeeds. Switches,
    /// modules, settings, policies and rules are tried, one at a time, then two, or three behind one another. Exit status 1 if nothing helps.
    Why {
        /// Name of the lab, or a file with its text.
        name: String,
        /// Position of a switch; may be given several times.
        #[arg(long = "set", value_name = "SWITCH=VALUE")]
        set: Vec<String>,
        /// The step that is to succeed, counted from 1 in the order in which steps are done; without it the goals.
        #[arg(long, value_name = "N")]
        step: Option<usize>,
    },
    /// What switches change on the nodes: rules, sets, virtual servers, modules, settings; before are the defaults.
    Diff {
        /// Name of the lab, or a file with its text.
        name: String,
        /// Position of a switch; may be given several times.
        #[arg(long = "set", value_name = "SWITCH=VALUE")]
        set: Vec<String>,
    },
    /// Try everything that labs, exercises and courses say: claims, goals, solutions, wrong turns, links. Exit status 0 if all is well.
    Check {
        /// Files with their texts, or names of those that come with the program.
        #[arg(required_unless_present = "all")]
        names: Vec<String>,
        /// All that come with the program.
        #[arg(long)]
        all: bool,
    },
    /// Show a lab, an exercise or a course on the page, anew whenever its file changes, and check it each time.
    Serve {
        /// Its file. Files beside it may be exercises of the course.
        file: String,
        /// The built page.
        #[arg(long, value_name = "FOLDER", default_value = "dist")]
        site: PathBuf,
        /// The port [default: 8090, or the next free one]
        #[arg(long)]
        port: Option<u16>,
    },
    /// Write NAME.yaml, an exercise to begin with.
    New {
        /// Its name.
        name: String,
    },
}

/// `--hairpin-mode` of the kubelet.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum HairpinMode {
    /// A pod does not reach itself by its Service.
    None,
    /// Each port of the bridge sends back what came in by it.
    HairpinVeth,
    /// The bridge is promiscuous.
    PromiscuousBridge,
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(code) => code,
        Err(message) => {
            // Nothing more can be done if standard error is closed.
            let _ = writeln!(std::io::stderr(), "nflab: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, String> {
    match command {
        Command::Replay { scenario: Some(scenario), output, pcapng, .. } => {
            replay(&scenario, output.as_deref(), pcapng.as_deref())
        }
        Command::Replay { cases: Some(cases), output, .. } => replay_cases(&cases, output.as_deref()),
        Command::Race { scenario, json } => race(&scenario, json),
        Command::Replay { .. } => Err("expected a scenario, or --cases FILE.jsonl".to_owned()),
        Command::Cluster { profiles: true, .. } => cluster_profiles(),
        Command::Cluster {
            input, cni, mode, kube_version, cluster_cidr, no_nat, hairpin_mode, node, ..
        } => {
            let input = input.unwrap_or_default();
            let objects =
                workshop::kube::objects(&read(&input)?).map_err(|e| format!("{}: {e}", input.display()))?;
            let told = objects.kube_proxy.as_ref().and_then(|c| c.mode);
            let options = ClusterOptions {
                cni,
                mode: match mode.or(told).unwrap_or_default() {
                    Mode::Iptables => workshop::kube::Mode::Iptables,
                    Mode::Ipvs => workshop::kube::Mode::Ipvs,
                    Mode::Nftables => workshop::kube::Mode::Nftables,
                },
                version: kube_version.unwrap_or_default(),
                cluster_cidr,
                nat_outgoing: !no_nat,
                hairpin: hairpin_mode == Some(HairpinMode::HairpinVeth),
                promisc: hairpin_mode.map_or(cni.promisc, |m| m == HairpinMode::PromiscuousBridge),
            };
            cluster_boxes(&input, objects, &options, node.as_deref())
        }
        Command::KubeProxy(args) => {
            print(&kube_proxy::run(args)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Flows { input, flows, step, family } => judge_flows(&input, &flows, step, family),
        Command::Flow { input, src, dst, port, proto, which, step, all, seed, json } => {
            let case = kube_proxy::read_case(&input, &which)?;
            if src.is_ipv4() != dst.is_ipv4() {
                return Err("expected --src and --dst of one family".to_owned());
            }
            let flow = Flow { name: "packet".to_owned(), src, dst, port, proto };
            let mode = case.modes(which.mode).first().copied().unwrap_or_default();
            let explained = flows::explain(&case, &flow, mode, step, seed)?;
            let text = match json {
                true => serde_json::to_string_pretty(&explained).map_err(|e| e.to_string())? + "\n",
                false => explained.text(all),
            };
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Cost { services, json } => {
            print(&nflab::cost::run(&services, json)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Kernels { json } => kernels(json),
        Command::Lab(LabCommand::List) => lab::list(),
        Command::Lab(LabCommand::Run { name, typed, json: true, .. })
            if name == workshop::load::NAME && !typed.is_empty() =>
        {
            Err(format!("--json: the lab {name:?} has none for what is typed"))
        }
        Command::Lab(LabCommand::Run { name, set, typed, first, json, scale, pcapng: None, .. })
            if name == workshop::load::NAME =>
        {
            lab::load(&set, scale.as_deref(), json, &lab::typed_lines(&typed, first))
        }
        Command::Lab(LabCommand::Run { name, pcapng: Some(_), .. }) if name == workshop::load::NAME => {
            Err(format!("--pcapng: the lab {name:?} keeps no log of its packets"))
        }
        Command::Lab(LabCommand::Run { scale: Some(_), name, .. }) => {
            Err(format!("--scale: the lab {name:?} has no scale, only {} has", workshop::load::NAME))
        }
        Command::Lab(LabCommand::Run { name, set, typed, first, json, scale: None, pcapng, capture }) => {
            let typed = lab::typed_lines(&typed, first);
            lab::run(&name, &set, typed, json, pcapng.as_deref().map(|file| (file, capture.as_deref())))
        }
        Command::Lab(LabCommand::Why { name, set, step }) => lab::why(&name, &set, step),
        Command::Lab(LabCommand::Diff { name, set }) => lab::diff(&name, &set),
        Command::Lab(LabCommand::Check { names, all }) => {
            let well = nflab::exercise::check(&names, all, |line| print(&format!("{line}\n")))?;
            Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Lab(LabCommand::Serve { file, site, port }) => {
            nflab::serve::run(&file, &site, port, print)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Lab(LabCommand::New { name }) => {
            print(&nflab::exercise::new(&name)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Exercise(ExerciseCommand::List) => {
            print(&nflab::exercise::list())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Exercise(ExerciseCommand::Agenda { course }) => {
            print(&nflab::exercise::agenda(course.as_deref())?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints text; a reader that has gone away (`nflab ... | head`) is not an error.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("standard output: {e}")),
        _ => Ok(()),
    }
}

/// The text of a file, or of standard input for `-`.
fn read(path: &Path) -> Result<String, String> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).map_err(named);
    }
    let bytes = std::fs::read(path).map_err(named)?;
    String::from_utf8(bytes).map_err(|e| format!("{}: not UTF-8: {e}", path.display()))
}

/// `4` or `6`
fn family(text: &str) -> Result<Family, String> {
    match text {
        "4" => Ok(Family::V4),
        "6" => Ok(Family::V6),
        _ => Err("expected 4 or 6".to_owned()),
    }
}

fn judge_flows(input: &Path, file: &Path, step: usize, family: Family) -> Result<ExitCode, String> {
    let case = kube_proxy::read_case(input, &kube_proxy::Which::default())?;
    let list = flows::read_flows(&read(file)?).map_err(|e| format!("{}: {e}", file.display()))?;
    let report = flows::judge(&case, &list, family, step)?;
    print(&(serde_json::to_string_pretty(&report).map_err(|e| e.to_string())? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn cluster_profiles() -> Result<ExitCode, String> {
    let line = |p: &&workshop::kube::Cni| format!("{:<16} {}\n", p.name, p.summary);
    print(&workshop::kube::PROFILES.iter().map(line).collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

fn cluster_boxes(
    input: &Path,
    mut objects: cluster::Objects,
    options: &ClusterOptions,
    node: Option<&str>,
) -> Result<ExitCode, String> {
    let named = |e: String| format!("{}: {e}", input.display());
    for kind in &objects.not_modelled {
        kube_proxy::say(&named(kind.to_string()));
    }
    for note in nflab::cluster::complete(&mut objects) {
        kube_proxy::say(&named(note));
    }
    let kube = nflab::cluster::kube(objects, options).map_err(named)?;
    let mut world = nflab::cluster::world(&kube).map_err(named)?;
    print(&nflab::cluster::text(&mut world, &kube, node).map_err(named)?)?;
    Ok(ExitCode::SUCCESS)
}

/// A JSON document.
fn read_json(path: &Path) -> Result<Value, String> {
    serde_json::from_str(&read(path)?)
        .map_err(|e| format!("{}: line {}, column {}: {e}", path.display(), e.line(), e.column()))
}

fn race(path: &Path, as_json: bool) -> Result<ExitCode, String> {
    let document = read_json(path)?;
    let explored = nflab::race::explore(&document).map_err(|e| format!("{}: {e}", path.display()))?;
    let text = match as_json {
        true => serde_json::to_string(&nflab::race::json(&explored)).map_err(|e| e.to_string())? + "\n",
        false => nflab::race::text(&explored),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn replay(path: &Path, output: Option<&Path>, pcapng: Option<&Path>) -> Result<ExitCode, String> {
    let document = read_json(path)?;
    let (record, captured) =
        nflab::replay_captured(&document).map_err(|e| format!("{}: {e}", path.display()))?;
    if let Some(file) = pcapng {
        std::fs::write(file, captured).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let not_run: Vec<String> = record["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| Some(format!("step {}: {}", s["i"], s["outcome"]["not_run"].as_str()?)))
        .collect();
    for line in not_run {
        let _ = writeln!(std::io::stderr(), "nflab: not run: {line}");
    }
    let text = serde_json::to_string_pretty(&record).map_err(|e| e.to_string())? + "\n";
    write(&text, output)?;
    Ok(ExitCode::SUCCESS)
}

/// To a file, or to standard output.
fn write(text: &str, output: Option<&Path>) -> Result<(), String> {
    match output {
        Some(file) => std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display())),
        None => print(text),
    }
}

fn replay_cases(path: &Path, output: Option<&Path>) -> Result<ExitCode, String> {
    let (mut out, mut all) = (String::new(), ExitCode::SUCCESS);
    for (n, line) in (1usize..).zip(read(path)?.lines()) {
        let case =
            serde_json::from_str(line).map_err(|e| format!("column {}: expected a case in JSON", e.column()));
        match case.and_then(|case: Value| nflab::replay_case(&case).map_err(|e| e.to_string())) {
            Ok(done) => out += &format!("{done}\n"),
            // The others can still be compared.
            Err(e) => {
                let _ = writeln!(std::io::stderr(), "nflab: not run: {}: line {n}: {e}", path.display());
                all = ExitCode::FAILURE;
            }
        }
    }
    write(&out, output)?;
    Ok(all)
}

fn kernels(as_json: bool) -> Result<ExitCode, String> {
    if as_json {
        let all: Vec<KernelJson> = kernel::Era::ALL.into_iter().map(kernel_json).collect();
        print(&(serde_json::to_string_pretty(&all).map_err(|e| e.to_string())? + "\n"))?;
    } else {
        print(&kernels_text())?;
    }
    Ok(ExitCode::SUCCESS)
}
