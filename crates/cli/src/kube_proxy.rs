//! `nflab kube-proxy`: the rules that kube-proxy writes, what a change makes of them, and which releases are known.

use clap::{Args, Subcommand};
use cluster::Diagnostic;
use cluster::kube_proxy::{
    Case, Change, Cleanup, Family, Fate, KubeProxy, Mode, NotModelled, PlaceDiff, Ruleset, SyncText, Synced,
    Version, place_name,
};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `nflab kube-proxy ...`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct KubeProxyArgs {
    #[command(subcommand)]
    command: Option<KubeProxyCommand>,
    /// Kubernetes objects, as kubectl prints them or as a manifest gives them, with a KubeProxyConfiguration; or a case that
    /// begins with `kind: KubeProxyCase`. `-` reads standard input.
    #[arg(required = true)]
    input: Option<PathBuf>,
    /// The folder to write to; it is made if it is not there.
    #[arg(long, required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

/// On which node, which release and which mode.
#[derive(Args, Default)]
pub struct Which {
    /// iptables, ipvs or nftables. If not given: the KubeProxyConfiguration's; without one all that are modelled for the
    /// version.
    #[arg(long)]
    pub mode: Option<Mode>,
    /// Which kube-proxy, such as 1.23 or v1.23.4; the newest if neither this nor the input says.
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<Version>,
    /// The Node on which kube-proxy runs; the first if not given.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

#[derive(Subcommand)]
enum KubeProxyCommand {
    /// What changes on a node when the cluster changes from OLD to NEW: rules that are added (+), removed (-) and kept, and
    /// the entries of conntrack that go.
    Diff {
        /// The cluster before.
        old: PathBuf,
        /// The cluster after.
        new: PathBuf,
        #[command(flatten)]
        which: Which,
        /// Show rules that are kept, too.
        #[arg(long)]
        all: bool,
        /// Print the text that the sync hands to the tools instead.
        #[arg(long)]
        text: bool,
    },
    /// What a full sync does to rules that somebody has changed: EDITED is iptables.txt or nftables.txt as written by this
    /// command, changed by hand.
    Resync {
        /// The cluster.
        input: PathBuf,
        /// The rules as they are on the node.
        edited: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// List the releases that are modelled, and what the text of each mode is held against.
    Versions {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// Does what is asked, and gives what goes to standard output.
pub fn run(args: KubeProxyArgs) -> Result<String, String> {
    match args.command {
        Some(KubeProxyCommand::Diff { old, new, which, all, text }) => diff(&old, &new, &which, all, text),
        Some(KubeProxyCommand::Resync { input, edited, which }) => resync(&input, &edited, &which),
        Some(KubeProxyCommand::Versions { json }) => versions(json),
        None => {
            let (Some(input), Some(out)) = (args.input, args.out) else {
                return Err("expected INPUT and --out DIR".to_owned());
            };
            write(&input, &out, &args.which).map(|()| String::new())
        }
    }
}

/// What is worth knowing besides the result.
pub fn say(note: &str) {
    // Nothing more can be done if standard error is closed.
    let _ = writeln!(std::io::stderr(), "nflab: {note}");
}

/// A cluster, and what is worth knowing about it on standard error.
pub fn read_case(path: &Path, which: &Which) -> Result<Case, String> {
    let text = super::read(path)?;
    let name = path.display().to_string();
    let mut case = Case::read(&text).map_err(|e: Box<Diagnostic>| e.show(&name, &text))?;
    case.config.version = which.kube_version.unwrap_or(case.config.version);
    if let Some(node) = &which.node {
        case.run_on(node).map_err(|e| format!("{name}: {e}"))?;
    }
    for note in case.notes() {
        say(&format!("{name}: {note}"));
    }
    Ok(case)
}

fn write(input: &Path, out: &Path, which: &Which) -> Result<(), String> {
    let case = read_case(input, which)?;
    let mode = which.mode;
    if !case.recorded && case.configuration.is_none() && case.node.is_some() {
        let cidrs: Vec<String> = case.config.cluster_cidrs.iter().map(ToString::to_string).collect();
        say(&format!("there is no KubeProxyConfiguration: clusterCIDR is taken to be {}", cidrs.join(",")));
    }
    for file in case.record(mode).map_err(|e| e.to_string())? {
        let path = out.join(&file.path);
        let folder = path.parent().unwrap_or(out);
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        std::fs::write(&path, file.text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let version = case.config.version;
    for missing in [Mode::Ipvs, Mode::Nftables] {
        if mode.is_none() && case.configuration.is_none() && !version.modes().contains(&missing) {
            say(&format!("not written: {}", NotModelled { version, mode: missing }));
        }
    }
    Ok(())
}

/// A kube-proxy that is up to date with the last step of a case, and what its rules are.
fn settled(case: &Case, mode: Mode) -> Result<(KubeProxy, Vec<(Family, Ruleset)>), String> {
    let mut proxy = case.proxy(mode).map_err(|e| e.to_string())?;
    let mut rules: Vec<(Family, Ruleset)> = Vec::new();
    for changes in case.told() {
        changes.into_iter().for_each(|change| proxy.apply(change));
        take(&mut rules, &proxy.sync());
    }
    Ok((proxy, rules))
}

/// Brings rules up to date with what a sync hands to the tools.
fn take(rules: &mut Vec<(Family, Ruleset)>, synced: &[Synced]) {
    for one in synced {
        match rules.iter_mut().find(|(family, _)| *family == one.family) {
            Some((_, known)) => known.apply(&one.text),
            None => {
                let mut known = Ruleset::default();
                known.apply(&one.text);
                rules.push((one.family, known));
            }
        }
    }
}

fn diff(old: &Path, new: &Path, which: &Which, all: bool, text: bool) -> Result<String, String> {
    let (before, after) = (read_case(old, which)?, read_case(new, which)?);
    let mut out = String::new();
    for mode in after.modes(which.mode) {
        let (mut proxy, rules) = settled(&before, mode)?;
        if before.config_for(mode) != after.config_for(mode) {
            say("the configuration differs: kube-proxy starts anew and writes everything");
            let (_, now) = settled(&after, mode)?;
            out += &show(mode, &rules, &now, &[], all);
            continue;
        }
        changes(&before, &after).into_iter().for_each(|change| proxy.apply(change));
        let synced = proxy.sync();
        if text {
            for one in &synced {
                out += &sync_text(one);
            }
            continue;
        }
        let mut now = rules.clone();
        take(&mut now, &synced);
        out += &show(mode, &rules, &now, &synced, all);
    }
    Ok(out)
}

/// What must be told to a kube-proxy that knows one cluster, for it to know the other.
fn changes(before: &Case, after: &Case) -> Vec<Change> {
    let state = |case: &Case| {
        let mut objects = cluster::Objects::default();
        case.told().iter().flatten().for_each(|change| change.apply(&mut objects));
        objects
    };
    let (old, new) = (state(before), state(after));
    let mut out = Vec::new();
    for (_, object) in new.services.iter().filter(|(k, o)| old.services.get(*k) != Some(o)) {
        out.push(Change::Apply(Box::new(cluster::Object::Service(object.clone()))));
    }
    for (_, object) in new.endpoint_slices.iter().filter(|(k, o)| old.endpoint_slices.get(*k) != Some(o)) {
        out.push(Change::Apply(Box::new(cluster::Object::EndpointSlice(object.clone()))));
    }
    for (_, object) in new.endpoints.iter().filter(|(k, o)| old.endpoints.get(*k) != Some(o)) {
        out.push(Change::Apply(Box::new(cluster::Object::Endpoints(object.clone()))));
    }
    let gone = |k: &&(String, String)| !new.services.contains_key(*k);
    out.extend(old.services.keys().filter(gone).map(|k| Change::DeleteService(k.clone())));
    let gone = |k: &&(String, String)| !new.endpoint_slices.contains_key(*k);
    out.extend(old.endpoint_slices.keys().filter(gone).map(|k| Change::DeleteEndpointSlice(k.clone())));
    let gone = |k: &&(String, String)| !new.endpoints.contains_key(*k);
    out.extend(old.endpoints.keys().filter(gone).map(|k| Change::DeleteEndpoints(k.clone())));
    out
}

fn sync_text(one: &Synced) -> String {
    let six = if one.family == Family::V6 { "6" } else { "" };
    match &one.text {
        SyncText::Iptables(text) => format!("# ip{six}tables-restore --noflush --counters\n{text}"),
        SyncText::Nftables(text) => format!("# nft -f -\n{text}"),
        SyncText::Ipvs(text) => format!(
            "# ip{six}tables-restore --noflush --counters\n{}# ipset restore\n{}# ipvsadm\n{}# addresses of kube-ipvs0\n{}",
            text.iptables, text.ipset, text.virtual_servers, text.dummy_addresses
        ),
    }
}

/// The differences as text: a heading for each place, a line for each rule, and how many there are.
fn show(
    mode: Mode,
    before: &[(Family, Ruleset)],
    after: &[(Family, Ruleset)],
    synced: &[Synced],
    all: bool,
) -> String {
    let mut out = format!("== {mode}\n");
    let empty = Ruleset::default();
    let (mut added, mut removed, mut kept) = (0, 0, 0);
    for (family, now) in after {
        let was = before.iter().find(|(f, _)| f == family).map_or(&empty, |(_, r)| r);
        for place in was.diff(now) {
            added += place.count(Fate::Added);
            removed += place.count(Fate::Removed);
            kept += place.count(Fate::Kept);
            if all || !place.is_same() {
                out += &place_text(*family, &place, all);
            }
        }
    }
    for one in synced {
        out += &conntrack_text(one);
    }
    out + &format!("{added} added, {removed} removed, {kept} kept\n")
}

fn place_text(family: Family, place: &PlaceDiff, all: bool) -> String {
    let fate = match place.fate {
        Fate::Added => " (new)",
        Fate::Removed => " (gone)",
        Fate::Kept => "",
    };
    let mut out = format!("# {}{fate}\n", place_name(family, &place.place));
    for (fate, line) in &place.lines {
        match fate {
            Fate::Added => out += &format!("+ {line}\n"),
            Fate::Removed => out += &format!("- {line}\n"),
            Fate::Kept if all => out += &format!("  {line}\n"),
            Fate::Kept => {}
        }
    }
    out
}

fn conntrack_text(one: &Synced) -> String {
    match &one.conntrack {
        Cleanup::Nothing => String::new(),
        Cleanup::Commands(commands) => {
            let lines: String = commands.iter().map(|c| format!("{c}\n")).collect();
            format!("# conntrack: entries that are deleted\n{lines}")
        }
        Cleanup::Reconcile(reconcile) => {
            let mut out =
                "# conntrack: UDP entries to these are deleted, unless one of their endpoints answers\n"
                    .to_owned();
            let list = |ips: &mut dyn Iterator<Item = &std::net::IpAddr>| {
                ips.map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            for ((ip, port), endpoints) in &reconcile.services {
                out +=
                    &format!("{}: {}\n", std::net::SocketAddr::new(*ip, *port), list(&mut endpoints.iter()));
            }
            for (port, endpoints) in &reconcile.node_ports {
                out += &format!("node port {port}: {}\n", list(&mut endpoints.iter()));
            }
            out
        }
    }
}

fn resync(input: &Path, edited: &Path, which: &Which) -> Result<String, String> {
    let case = read_case(input, which)?;
    let text = super::read(edited)?;
    let nft = text.lines().any(|l| l.starts_with("add table "));
    let mode = which.mode.unwrap_or(if nft { Mode::Nftables } else { Mode::Iptables });
    let family = if text.contains("add table ip6 ") { Family::V6 } else { which_family(&case) };
    let mut found = Ruleset::default();
    match mode {
        Mode::Nftables => found.nft(&text),
        _ => found.restore(&text),
    }
    let (mut proxy, _) = settled(&case, mode)?;
    proxy.resync_over([(family, &found)]);
    let synced = proxy.sync();
    let mut now = vec![(family, found.clone())];
    take(&mut now, &synced);
    now.retain(|(f, _)| *f == family);
    Ok(show(mode, &[(family, found)], &now, &[], false))
}

/// The family of rules that do not say theirs.
fn which_family(case: &Case) -> Family {
    case.config.families.first().copied().unwrap_or_default()
}

#[derive(Serialize)]
struct ProfileJson {
    version: &'static str,
    modes: Vec<ModeJson>,
}

#[derive(Serialize)]
struct ModeJson {
    mode: String,
    held_against: &'static str,
    detail: &'static str,
}

fn versions(json: bool) -> Result<String, String> {
    let profile = |version: Version| ProfileJson {
        version: version.name(),
        modes: Mode::ALL
            .into_iter()
            .map(|mode| {
                let held = version.held_against(mode);
                ModeJson { mode: mode.to_string(), held_against: held.name(), detail: held.detail() }
            })
            .collect(),
    };
    let all: Vec<ProfileJson> = Version::ALL.into_iter().map(profile).collect();
    if json {
        return serde_json::to_string_pretty(&all).map(|s| s + "\n").map_err(|e| e.to_string());
    }
    let mut out = String::new();
    for profile in all {
        for m in profile.modes {
            out += &format!("{:<6}{:<10}{:<14}{}\n", profile.version, m.mode, m.held_against, m.detail);
        }
    }
    Ok(out)
}
