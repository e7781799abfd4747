//! Builds the site the way Trunk does, without Trunk.

use crate::bindgen;
use crate::html;
use crate::offline;
use crate::run;
use crate::setup;
use crate::site::{App, Asset, Site};
use crate::sizes::Sizes;
use crate::wasm_opt;
use crate::workspace::{Package, Workspace};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where a site is put together before it takes the old one's place, inside its folder as with Trunk.
const STAGE: &str = ".stage";

/// A finished site that is not in its place yet.
#[derive(Debug)]
pub struct Staged {
    stage: PathBuf,
    dist: PathBuf,
    /// What it weighs.
    pub sizes: Sizes,
}

impl Staged {
    /// Lets the page keep this site for when there is no network. Whoever builds again every minute does not want that.
    pub fn keep_offline(&self) -> Result<()> {
        offline::fill(&self.stage)
    }

    /// Takes the place of what was in the folder.
    pub fn publish(self) -> Result<()> {
        let moved = || -> std::io::Result<()> {
            for entry in fs::read_dir(&self.dist)? {
                let path = entry?.path();
                if path != self.stage {
                    remove(&path)?;
                }
            }
            for entry in fs::read_dir(&self.stage)? {
                let entry = entry?;
                fs::rename(entry.path(), self.dist.join(entry.file_name()))?;
            }
            fs::remove_dir(&self.stage)
        };
        moved().with_context(|| format!("cannot put the site into {}", self.dist.display()))
    }
}

/// `cargo xtask build`: sets up, builds into `dist/` (or another folder), prints the sizes.
pub fn main(workspace: &Workspace, release: bool, dist: Option<PathBuf>) -> Result<PathBuf> {
    setup::wasm_target(workspace)?;
    let dist = match dist {
        Some(dist) => std::path::absolute(dist)?,
        None => Site::read(&workspace.root)?.dist,
    };
    let staged = stage(workspace, release, &dist)?;
    staged.sizes.print();
    if release {
        staged.sizes.check()?;
    }
    staged.keep_offline()?;
    staged.publish()?;
    println!("the site is in {}", workspace.relative(&dist).display());
    Ok(dist)
}

/// Builds the site next to where it goes.
pub fn stage(workspace: &Workspace, release: bool, dist: &Path) -> Result<Staged> {
    let site = Site::read(&workspace.root)?;
    let app = site.app()?;
    let wasm_opt = match &app.wasm_opt {
        Some(level) if release => Some((setup::wasm_opt()?, level)),
        _ => None,
    };
    let profile = if release { &app.release_profile } else { &app.dev_profile };
    let wasm = compile(workspace, app, profile)?;

    let stage = dist.join(STAGE);
    if stage.exists() {
        remove(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    fs::create_dir_all(&stage).with_context(|| format!("cannot make {}", stage.display()))?;

    let name = format!("{}-{}", app.bin, hash(&read(&wasm)?));
    eprintln!("     $ wasm-bindgen --target=web {}", workspace.relative(&wasm).display());
    bindgen::generate(&wasm, &stage, &name)?;
    if let Some((program, level)) = wasm_opt {
        wasm_opt::run(&program, level, &app.wasm_opt_params, &stage.join(format!("{name}_bg.wasm")))?;
    }
    let page = assemble(&site, &stage, &name)?;
    fs::write(stage.join("index.html"), page).context("cannot write the page")?;
    Ok(Staged { sizes: Sizes::of(&stage)?, stage, dist: dist.to_owned() })
}

/// Compiles the app; the path of its wasm.
fn compile(workspace: &Workspace, app: &App, profile: &str) -> Result<PathBuf> {
    let mut command = workspace.cargo_wasm("build");
    command.arg("--manifest-path").arg(&app.manifest).args(["--bin", &app.bin, "--profile", profile]);
    eprintln!("     $ {}", run::show(&command));
    command.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the app does not compile: see above");
    }
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not text")?;
    artifact(&messages, &app.bin)
        .with_context(|| format!("cargo named no wasm file for the binary {}", app.bin))
}

/// The wasm file of a binary in what cargo prints as JSON.
fn artifact(messages: &str, bin: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut artifacts = messages.filter(|message| {
        message["reason"] == "compiler-artifact"
            && message["target"]["name"] == bin
            && message["target"]["kind"][0] == "bin"
    });
    let artifact = artifacts.next()?;
    let mut files = artifact["filenames"].as_array()?.iter().filter_map(Value::as_str);
    files.find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Copies the assets and returns the finished page.
fn assemble(site: &Site, stage: &Path, name: &str) -> Result<String> {
    let mut parts: Vec<(Range<usize>, String)> = Vec::new();
    let base = &site.public_url;
    let fill = |pattern: &str| {
        let pattern = pattern.replace("{base}", base).replace("{js}", &format!("{name}.js"));
        pattern.replace("{wasm}", &format!("{name}_bg.wasm"))
    };
    for (element, asset) in &site.assets {
        let attributes = |skip: &[&str]| -> String {
            let kept = element
                .attributes
                .iter()
                .filter(|(name, _)| !name.starts_with("data-") && !skip.contains(&name.as_str()));
            kept.map(|(name, value)| match value.as_str() {
                "" => format!(" {name}"),
                value => format!(" {name}=\"{}\"", html::escape(value)),
            })
            .collect()
        };
        let text = match asset {
            Asset::Rust(_) => fill(&site.pattern_script),
            Asset::Css(path) => {
                format!(
                    r#"<link rel="stylesheet" href="{base}{}"{} />"#,
                    copy_hashed(path, stage)?,
                    attributes(&["rel", "href"])
                )
            }
            Asset::Icon(path) => {
                format!(
                    r#"<link rel="icon" href="{base}{}"{} />"#,
                    copy_hashed(path, stage)?,
                    attributes(&["rel", "href"])
                )
            }
            Asset::Script(path) => {
                format!(
                    r#"<script src="{base}{}"{}></script>"#,
                    copy_hashed(path, stage)?,
                    attributes(&["src"])
                )
            }
            Asset::Copy(path, to) => {
                copy(path, &stage.join(to.as_deref().unwrap_or_default()))?;
                String::new()
            }
            Asset::Inline(path, kind) => inline(path, kind)?,
        };
        parts.push((element.range.clone(), text));
    }
    if !site.pattern_preload.is_empty() {
        let end = site.page.find("</head>").context("the page has no </head>")?;
        parts.push((end..end, fill(&site.pattern_preload)));
        parts.sort_by_key(|(range, _)| range.start);
    }
    Ok(html::replace(&site.page, &parts))
}

/// The text that a file becomes in the page.
fn inline(path: &Path, kind: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(match kind {
        "html" | "svg" => text,
        "css" => format!("<style>{text}</style>"),
        "js" => format!("<script>{text}</script>"),
        "mjs" | "module" => format!(r#"<script type="module">{text}</script>"#),
        other => bail!("{}: cannot make a file of type {other:?} part of the page", path.display()),
    })
}

/// Copies a file under a name with its hash; that name.
fn copy_hashed(path: &Path, to: &Path) -> Result<String> {
    let bytes = read(path)?;
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let name = format!("{}-{}.{}", part(path.file_stem()), hash(&bytes), part(path.extension()));
    fs::write(to.join(&name), bytes).with_context(|| format!("cannot write {name}"))?;
    Ok(name)
}

/// Copies a file into a folder, or a folder's content.
fn copy(path: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    if path.is_file() {
        let name = path.file_name().context("a file without a name")?;
        fs::copy(path, to.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        let inner = entry.path();
        copy(&inner, &if inner.is_dir() { to.join(entry.file_name()) } else { to.to_owned() })?;
    }
    Ok(())
}

/// The part of a file's name that changes with its content.
fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// The packages whose sources end up in the page.
pub fn sources(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.engine().chain(workspace.packages.iter().filter(|package| package.name == "web"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wasm_is_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"web","kind":["lib"]},"filenames":["/t/libweb.rlib"]}
not json
{"reason":"compiler-artifact","target":{"name":"lab","kind":["bin"]},"filenames":["/t/lab.d","/t/lab.wasm"]}"#;
        assert_eq!(artifact(messages, "lab"), Some(PathBuf::from("/t/lab.wasm")));
        assert_eq!(artifact(messages, "web"), None);
    }

    #[test]
    fn the_page_names_the_built_files() {
        let folder = std::env::temp_dir().join(format!("nflab-build-{}", std::process::id()));
        let stage = folder.join("stage");
        fs::create_dir_all(&stage).unwrap();
        fs::write(folder.join("a.css"), "p{}").unwrap();
        let page = r#"<head><link data-trunk rel="css" href="a.css" media="print"><link data-trunk rel="rust" href="."></head>"#;
        let elements = html::trunk_elements(page).unwrap();
        let app = App {
            manifest: PathBuf::new(),
            bin: "lab".into(),
            release_profile: "release".into(),
            dev_profile: "dev".into(),
            wasm_opt: None,
            wasm_opt_params: Vec::new(),
        };
        let assets = vec![Asset::Css(folder.join("a.css")), Asset::Rust(app)];
        let site = Site {
            page: page.into(),
            public_url: "./".into(),
            dist: PathBuf::new(),
            pattern_script: "<meta content='{base}{js}' data-wasm='{base}{wasm}'>".into(),
            pattern_preload: "<!-- {wasm} -->".into(),
            assets: elements.into_iter().zip(assets).collect(),
        };
        let page = assemble(&site, &stage, "lab-1").unwrap();
        let css = format!("a-{}.css", hash(b"p{}"));
        assert!(stage.join(&css).is_file());
        assert_eq!(
            page,
            format!(
                r#"<head><link rel="stylesheet" href="./{css}" media="print" /><meta content='./lab-1.js' data-wasm='./lab-1_bg.wasm'><!-- lab-1_bg.wasm --></head>"#
            )
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
