//! The site's description: `Trunk.toml` and the `data-trunk` elements of `index.html`.
//!
//! This understands the part of Trunk's language that the site uses, and says so where it meets another part.

use crate::html::{self, Element};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Site {
    /// The source page.
    pub page: String,
    /// What precedes every address in the page.
    pub public_url: String,
    /// The folder that a release is built into.
    pub dist: PathBuf,
    /// What takes the place of the app's link; `{base}`, `{js}` and `{wasm}` are filled in.
    pub pattern_script: String,
    /// What is added to the end of the head, filled in likewise.
    pub pattern_preload: String,
    /// The `data-trunk` elements.
    pub assets: Vec<(Element, Asset)>,
}

/// What an element asks for. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asset {
    /// The app itself.
    Rust(App),
    /// A style sheet: copied under a hashed name.
    Css(PathBuf),
    /// An icon: copied under a hashed name.
    Icon(PathBuf),
    /// A script: copied under a hashed name.
    Script(PathBuf),
    /// A file or folder that is copied as it is, to a folder in the site if one is given.
    Copy(PathBuf, Option<String>),
    /// A file that becomes part of the page.
    Inline(PathBuf, String),
}

/// The app: a binary of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The package's Cargo.toml.
    pub manifest: PathBuf,
    /// The binary, also the first part of the names of its files.
    pub bin: String,
    /// The Cargo profile of a release.
    pub release_profile: String,
    /// The Cargo profile otherwise.
    pub dev_profile: String,
    /// wasm-opt's level in a release.
    pub wasm_opt: Option<String>,
    /// Further arguments of wasm-opt.
    pub wasm_opt_params: Vec<String>,
}

impl Site {
    /// Reads Trunk.toml and the page that it names.
    pub fn read(root: &Path) -> Result<Self> {
        let config = read(&root.join("Trunk.toml"))?;
        let config: toml::Table = config.parse().context("Trunk.toml")?;
        let empty = toml::Table::new();
        let build = config.get("build").and_then(toml::Value::as_table).unwrap_or(&empty);
        let setting = |name: &str| build.get(name).and_then(toml::Value::as_str);
        let target = root.join(setting("target").unwrap_or("index.html"));
        let Some(pattern_script) = setting("pattern_script") else {
            bail!(
                "Trunk.toml has no build.pattern_script: Trunk's own loader is an inline script, and the page forbids those"
            );
        };
        let page = read(&target)?;
        let folder = target.parent().unwrap_or(root);
        let elements = html::trunk_elements(&page).with_context(|| format!("{}", target.display()))?;
        let assets = elements.into_iter().map(|element| {
            let asset = Asset::of(&element, folder)
                .with_context(|| format!("{}: {}", target.display(), &page[element.range.clone()]))?;
            Ok((element, asset))
        });
        Ok(Self {
            assets: assets.collect::<Result<_>>()?,
            public_url: setting("public_url").unwrap_or("/").to_owned(),
            dist: root.join(setting("dist").unwrap_or("dist")),
            pattern_script: pattern_script.to_owned(),
            pattern_preload: setting("pattern_preload").unwrap_or_default().to_owned(),
            page,
        })
    }

    /// The one app.
    pub fn app(&self) -> Result<&App> {
        let mut apps = self.assets.iter().filter_map(|(_, asset)| match asset {
            Asset::Rust(app) => Some(app),
            _ => None,
        });
        match (apps.next(), apps.next()) {
            (Some(app), None) => Ok(app),
            (None, _) => bail!("index.html has no <link data-trunk rel=\"rust\">"),
            _ => bail!("index.html has more than one <link data-trunk rel=\"rust\">"),
        }
    }
}

impl Asset {
    fn of(element: &Element, folder: &Path) -> Result<Self> {
        let file = |name: &str| -> Result<PathBuf> {
            let path = element.get(name).with_context(|| format!("the attribute {name} is missing"))?;
            let path = folder.join(path);
            if !path.exists() {
                bail!("{} does not exist", path.display());
            }
            Ok(path)
        };
        if element.name == "script" {
            return Ok(Self::Script(file("src")?));
        }
        let to = || element.get("data-target-path").map(|to| to.trim_end_matches('/').to_owned());
        Ok(match element.get("rel") {
            Some("rust") => Self::Rust(App::of(element, file("href")?)?),
            Some("css") => Self::Css(file("href")?),
            Some("icon") => Self::Icon(file("href")?),
            Some("copy-file") => Self::Copy(file("href")?, to()),
            Some("copy-dir") => {
                let path = file("href")?;
                let name = path.file_name().context("the folder has no name")?.to_string_lossy().into_owned();
                Self::Copy(path, Some(to().unwrap_or(name)))
            }
            Some("inline") => {
                let path = file("href")?;
                let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
                let kind = element.get("type").map(str::to_owned).or(extension).unwrap_or_default();
                Self::Inline(path, kind)
            }
            Some(other) => bail!(
                "rel={other:?} is not known to xtask, which knows rust, css, icon, copy-file, copy-dir, inline and \
                 <script>; teach it in xtask/src/site.rs and build.rs"
            ),
            None => bail!("the attribute rel is missing"),
        })
    }
}

impl App {
    fn of(element: &Element, manifest: PathBuf) -> Result<Self> {
        const KNOWN: [&str; 10] = [
            "data-trunk",
            "rel",
            "href",
            "data-bin",
            "data-cargo-profile",
            "data-cargo-profile-release",
            "data-cargo-profile-dev",
            "data-wasm-opt",
            "data-wasm-opt-params",
            "data-integrity",
        ];
        if let Some(other) = element.attributes.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            bail!(
                "the attribute {other} is not known to xtask, which knows {}; teach it in xtask/src/site.rs",
                KNOWN.join(", ")
            );
        }
        let profile = |name: &str, otherwise: &str| -> String {
            element.get(name).or_else(|| element.get("data-cargo-profile")).unwrap_or(otherwise).to_owned()
        };
        Ok(Self {
            manifest: if manifest.is_dir() { manifest.join("Cargo.toml") } else { manifest },
            bin: element
                .get("data-bin")
                .context("the attribute data-bin is missing: it names the binary")?
                .to_owned(),
            release_profile: profile("data-cargo-profile-release", "release"),
            dev_profile: profile("data-cargo-profile-dev", "dev"),
            wasm_opt: element.get("data-wasm-opt").filter(|level| *level != "0").map(str::to_owned),
            wasm_opt_params: element
                .get("data-wasm-opt-params")
                .map(|params| params.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn the_real_site_is_understood() {
        let root = Workspace::load().unwrap().root;
        let site = Site::read(&root).unwrap();
        assert_eq!(site.public_url, "./", "the site must work from any folder");
        assert_eq!(site.app().unwrap().release_profile, "wasm-release");
        assert!(
            site.assets.iter().any(|(_, asset)| matches!(asset, Asset::Icon(_))),
            "or the browser asks for /favicon.ico"
        );
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let page = r#"<link data-trunk rel="sass" href="Cargo.toml">"#;
        let element = html::trunk_elements(page).unwrap().remove(0);
        let error = Asset::of(&element, Path::new(".")).unwrap_err().to_string();
        assert!(error.contains("\"sass\"") && error.contains("copy-dir"), "{error}");
    }
}
