//! What a machine needs beyond Git, a C compiler and rustup: checked, and installed where that is possible.

use crate::apt::{Family, Wanted};
use crate::browser::Browser;
use crate::run;
use crate::trunk;
use crate::workspace::{WASM, Workspace};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const WASM_OPT: Wanted = Wanted {
    what: "wasm-opt",
    debian: &["binaryen"],
    ubuntu: &["binaryen"],
    elsewhere: |family| match family {
        Family::Mac => "brew install binaryen",
        Family::Fedora => "sudo dnf install binaryen",
        Family::Arch => "sudo pacman -S binaryen",
        _ => {
            "install Binaryen (https://github.com/WebAssembly/binaryen/releases) so that wasm-opt is on PATH"
        }
    },
};

const BROWSER: Wanted = Wanted {
    what: "Chromium with the ChromeDriver of the same version",
    debian: &["chromium", "chromium-driver", "fonts-dejavu-core"],
    ubuntu: &["chromium-browser", "chromium-chromedriver"],
    elsewhere: |family| match family {
        Family::Mac => "brew install --cask chromium chromedriver",
        Family::Fedora => "sudo dnf install chromium chromedriver",
        Family::Arch => "sudo pacman -S chromium",
        _ => {
            "install Chromium or Chrome and the ChromeDriver of the same version \
             (https://googlechromelabs.github.io/chrome-for-testing/) so that both are on PATH, \
             or name them in NFLAB_CHROME and NFLAB_CHROMEDRIVER"
        }
    },
};

const NETFILTER: Wanted = Wanted {
    what: "iptables, ipset, nft or nfacct, which the rules that are written are held against",
    debian: &["iptables", "ipset", "nftables", "nfacct"],
    ubuntu: &["iptables", "ipset", "nftables", "nfacct"],
    elsewhere: |family| match family {
        Family::Fedora => "sudo dnf install iptables-nft ipset nftables nfacct",
        Family::Arch => "sudo pacman -S iptables-nft ipset nftables nfacct",
        _ => "install iptables, ipset, nftables and nfacct, on Linux",
    },
};

const TSHARK: Wanted = Wanted {
    what: "tshark, which the capture files are held against",
    debian: &["tshark"],
    ubuntu: &["tshark"],
    elsewhere: |family| match family {
        Family::Mac => "brew install wireshark",
        Family::Fedora => "sudo dnf install wireshark-cli",
        Family::Arch => "sudo pacman -S wireshark-cli",
        _ => "install Wireshark so that tshark is on PATH",
    },
};

/// Everything that any command needs; afterwards none needs the network.
pub fn all(workspace: &Workspace) -> Result<()> {
    wasm_target(workspace)?;
    components(workspace)?;
    println!("set-up: fetching the sources of all dependencies");
    run::run(workspace.cargo().args(["fetch", "--locked"])).context(
        "not all dependencies could be fetched (no network?). Remedy: cargo fetch, with a network",
    )?;
    println!("set-up: wasm-opt is {}", wasm_opt()?.display());
    let browser = browser()?;
    println!(
        "set-up: the browser is {} {}, driven by {}",
        browser.chrome.display(),
        browser.version,
        browser.driver.display()
    );
    netfilter_tools();
    tshark();
    trunk::find_or_install(workspace)?;
    Ok(())
}

/// The compiler's part for wasm.
pub fn wasm_target(workspace: &Workspace) -> Result<()> {
    let installed = || {
        let mut command = Command::new("rustc");
        command.args(["--print", "target-libdir", "--target", WASM]).current_dir(&workspace.root);
        run::probe(&mut command).is_some_and(|folder| Path::new(folder.trim()).is_dir())
    };
    if installed() {
        return Ok(());
    }
    println!("set-up: the compiler's target {WASM} is missing; adding it with rustup");
    let remedy = format!("rustup target add {WASM}");
    rustup(workspace, &["target", "add", WASM], &remedy)?;
    if !installed() {
        bail!(
            "rustc still has no target {WASM}: is the rustc on PATH rustup's? Remedy: put ~/.cargo/bin first on PATH, then {remedy}"
        );
    }
    Ok(())
}

/// rustfmt and clippy.
pub fn components(workspace: &Workspace) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let mut command = workspace.cargo();
        if run::probe(command.args([subcommand, "--version"])).is_none() {
            println!("set-up: {component} is missing; adding it with rustup");
            let remedy = format!("rustup component add {component}");
            rustup(workspace, &["component", "add", component], &remedy)?;
        }
    }
    Ok(())
}

/// wasm-opt, which makes the app smaller.
pub fn wasm_opt() -> Result<PathBuf> {
    if run::which("wasm-opt").is_none() {
        WASM_OPT.install()?;
    }
    run::which("wasm-opt")
        .context("wasm-opt was installed but is not on PATH. Remedy: put its folder (/usr/bin) on PATH")
}

/// The real tools that must take what kube-proxy writes. The tests do without them, and say so.
pub fn netfilter_tools() {
    let tools = ["iptables-restore", "ip6tables-restore", "ipset", "nft", "nfacct"];
    if tools.into_iter().all(|tool| run::which(tool).is_some()) {
        return;
    }
    if let Err(error) = NETFILTER.install() {
        println!("set-up: {error:#}; the tests that need it are passed over");
    }
}

/// The reader of capture files. The tests do without, and say so.
pub fn tshark() {
    if run::which("tshark").is_none()
        && let Err(error) = TSHARK.install()
    {
        println!("set-up: {error:#}; the tests that need it are passed over");
    }
}

/// A browser and its driver.
pub fn browser() -> Result<Browser> {
    if let Ok(browser) = Browser::find() {
        return Ok(browser);
    }
    BROWSER.install()?;
    Browser::find().context("Chromium was installed, but it does not work")
}

fn rustup(workspace: &Workspace, args: &[&str], remedy: &str) -> Result<()> {
    let Some(rustup) = run::which("rustup") else {
        bail!("rustup is not on PATH. Remedy: install it (https://rustup.rs), then {remedy}");
    };
    run::run(Command::new(rustup).args(args).current_dir(&workspace.root))
        .with_context(|| format!("rustup could not do it (no network?). Remedy: {remedy}"))
}
