//! `cargo xtask serve`: builds the page, serves it, builds it again when a source changes.

use crate::build::{self, Staged};
use crate::run;
use crate::server::{self, Server};
use crate::setup;
use crate::watch::Watch;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::net::TcpListener;
use std::time::Instant;

/// Where the page is unless that port is taken or another is asked for.
pub const PORT: u16 = 8080;

/// Runs until interrupted.
pub fn main(workspace: &Workspace, port: Option<u16>, release: bool) -> Result<()> {
    // Before the long part: a port that was asked for must be free.
    drop(port.map(asked).transpose()?);
    setup::wasm_target(workspace)?;
    let mut watch = Watch::new(workspace);
    let folder = workspace.cache("serve")?;
    println!(
        "building the page ({})",
        if release { "release" } else { "development; --release makes it small and fast" }
    );
    let stage = || -> Result<Staged> {
        let staged = build::stage(workspace, release, &folder)?;
        if release {
            staged.keep_offline()?;
        }
        Ok(staged)
    };
    stage()?.publish()?;

    let listener = port.map_or_else(free, asked)?;
    let server = Server::start(listener, &folder, "/")?;
    println!(
        "\nNetfilter Lab is at {}\nChange a source file and it is built again; Ctrl-C stops.",
        server.url()
    );
    loop {
        let file = watch.wait();
        println!("\n{} changed", workspace.relative(&file).display());
        let started = Instant::now();
        let built = stage().and_then(|staged| server.exclusively(|| staged.publish()));
        match built {
            Ok(()) => println!("built in {:.1} s: reload {}", started.elapsed().as_secs_f64(), server.url()),
            Err(error) => {
                run::explain(&error);
                eprintln!("{} still shows the page as it was", server.url());
            }
        }
    }
}

/// The port that was asked for.
fn asked(port: u16) -> Result<TcpListener> {
    server::listen(port).with_context(|| {
        format!(
            "cannot listen on port {port}. Remedy: another --port, or none for the first free one from {PORT}"
        )
    })
}

/// The first free port from [`PORT`] on.
fn free() -> Result<TcpListener> {
    let mut ports = PORT..=PORT + 50;
    let listener = ports.find_map(|port| server::listen(port).ok());
    listener.map_or_else(|| server::listen(0), Ok).context("this machine has no free port")
}
