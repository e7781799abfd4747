//! `cargo xtask zip`: the site and somebody's courses in one file, for a room without internet.
//!
//! What is in it can be served by any static web server, under any path. The zip is the same for the same files: entries in the
//! order of their names, without a time of day (APPNOTE.TXT of PKWARE, 4.3).

use crate::build;
use crate::offline;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of courses in the site.
const COURSES: &str = "courses";
/// The text for whoever unpacks it.
const README: &str = "README.txt";
/// Midnight of the first day that the format knows, 1980-01-01.
const DAY: u16 = 0x0021;

/// Builds a release, or takes a site that is built, and packs it with these course files.
pub fn main(workspace: &Workspace, courses: &[PathBuf], dist: Option<PathBuf>, out: &Path) -> Result<()> {
    let site = match dist {
        Some(dist) if dist.join("index.html").is_file() => dist,
        Some(dist) => bail!("{} has no index.html. Remedy: cargo xtask build --release", dist.display()),
        None => build::main(workspace, true, None)?,
    };
    let mut files = read(&site, "")?;
    files.retain(|(name, _)| name != README && !name.starts_with(&format!("{COURSES}/")));
    let mut names = Vec::new();
    for course in courses {
        let name = course.file_name().and_then(|n| n.to_str()).context("a course file without a name")?;
        let text = fs::read(course).with_context(|| format!("cannot read {}", course.display()))?;
        files.push((format!("{COURSES}/{name}"), text));
        names.push(name.to_owned());
    }
    files.push((README.to_owned(), readme(&names).into_bytes()));
    files.sort();
    offline::refill(&mut files)?;
    let bytes = pack(&files)?;
    fs::write(out, &bytes).with_context(|| format!("cannot write {}", out.display()))?;
    println!("{} files, {} kB: {}", files.len(), bytes.len() / 1000, out.display());
    Ok(())
}

/// What is written for whoever unpacks it.
fn readme(courses: &[String]) -> String {
    let mut out = String::from(
        "Netfilter Lab, for a room without internet.\n\n\
         Unpack this, and serve the folder with any static web server, such as\n\n    \
         python3 -m http.server 8080\n\n\
         Then open http://localhost:8080/ here, or on any computer of the room with this computer's address in its place. Browsers keep a page for\n\
         offline use only from localhost or over https; from elsewhere it works as long as the server does.\n",
    );
    if !courses.is_empty() {
        out.push_str("\nCourses of this zip, behind that address:\n\n");
        for name in courses {
            out.push_str(&format!("    ?src={COURSES}/{name}\n"));
        }
    }
    out
}

/// All files of a folder with their names in it.
fn read(folder: &Path, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|n| !n.starts_with('.')) else {
            continue;
        };
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            out.extend(read(&path, &format!("{name}/"))?);
        } else {
            out.push((name, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?));
        }
    }
    Ok(out)
}

fn short(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

fn long(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

/// The zip of these files.
fn pack(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes)?;
        let packed = encoder.finish()?;
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let at = u32::try_from(out.len())?;
        // Version 2.0, names in UTF-8, deflated.
        let mut common = Vec::new();
        short(&mut common, &[20, 1 << 11, 8, 0, DAY]);
        long(&mut common, &[crc.sum(), u32::try_from(packed.len())?, u32::try_from(bytes.len())?]);
        short(&mut common, &[u16::try_from(name.len())?, 0]);
        long(&mut out, &[0x0403_4b50]);
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(&packed);
        long(&mut directory, &[0x0201_4b50]);
        short(&mut directory, &[20]);
        directory.extend(&common);
        // No comment, the first disk, no attributes.
        short(&mut directory, &[0, 0, 0]);
        long(&mut directory, &[0, at]);
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len())?;
    let (at, len) = (u32::try_from(out.len())?, u32::try_from(directory.len())?);
    out.extend(directory);
    long(&mut out, &[0x0605_4b50]);
    short(&mut out, &[0, 0, count, count]);
    long(&mut out, &[len, at]);
    short(&mut out, &[0]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn site(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("nflab-zip-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("a")).unwrap();
        fs::write(folder.join("index.html"), "<p>page").unwrap();
        fs::write(folder.join("a/app.wasm"), vec![7; 5000]).unwrap();
        fs::write(folder.join("sw.js"), "const FILES = {\n  \"./\": \"old\"\n};\nend\n").unwrap();
        folder
    }

    #[test]
    fn the_zip_holds_the_site_and_the_courses() {
        let folder = site("whole");
        let course = folder.join("mine.yaml");
        fs::write(&course, "kind: Course\n").unwrap();
        let out = folder.join("out.zip");
        let workspace = Workspace::load().unwrap();
        let dist = folder.join("dist");
        fs::create_dir(&dist).unwrap();
        for name in ["index.html", "sw.js", "a"] {
            fs::rename(folder.join(name), dist.join(name)).unwrap();
        }
        main(&workspace, &[course], Some(dist.clone()), &out).unwrap();
        let first = fs::read(&out).unwrap();
        // Somebody else's program reads it.
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nprint(*z.namelist())\n\
                      print(z.read('a/app.wasm') == bytes([7]) * 5000)\nprint(z.read('sw.js').decode())\nprint(z.read('README.txt').decode())";
        if let Ok(read) = Command::new("python3").args(["-c", script]).arg(&out).output() {
            let text = String::from_utf8_lossy(&read.stdout).into_owned();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            assert!(
                text.starts_with("README.txt a/app.wasm courses/mine.yaml index.html sw.js\nTrue\n"),
                "{text}"
            );
            // All of it is kept for when there is no network.
            assert!(
                text.contains("\"./courses/mine.yaml\": \"sha256-") && !text.contains("\"old\""),
                "{text}"
            );
            assert!(text.contains("?src=courses/mine.yaml"), "{text}");
        }
        // The same files, the same zip.
        main(&workspace, &[folder.join("mine.yaml")], Some(dist), &out).unwrap();
        assert_eq!(fs::read(&out).unwrap(), first);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_without_a_page_is_refused() {
        let workspace = Workspace::load().unwrap();
        let empty = std::env::temp_dir();
        let wrong =
            main(&workspace, &[], Some(empty.join("no-such-folder")), Path::new("x.zip")).unwrap_err();
        assert!(wrong.to_string().contains("cargo xtask build"), "{wrong}");
    }
}
