//! wasm-opt, the order of functions after it, and the mending of what old versions of it break.
//!
//! wasm-bindgen's scripts reach the browser's objects through an exported table of external references. Binaryen up to
//! version 108, which is what Debian 12 and Ubuntu 24.04 have, writes every exported table as table number 0: the
//! table of functions. The page then does not start.

use crate::offline;
use crate::order;
use crate::run;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::{env, fs};
use wasmparser::{ExternalKind, Parser, Payload, RefType};

/// What wasm-bindgen calls the table.
const EXTERNREFS: &str = "__wbindgen_externrefs";

/// Makes a wasm file smaller, in place.
pub fn run(program: &Path, level: &str, params: &[String], wasm: &Path) -> Result<()> {
    let small = wasm.with_extension("wasm-opt");
    let mut command = Command::new(program);
    command.arg(format!("-O{level}")).args(params).arg(wasm).arg("-o").arg(&small);
    run::run(&mut command)?;
    fs::rename(&small, wasm).with_context(|| format!("cannot replace {}", wasm.display()))?;
    mend_file(wasm)?;
    order_file(wasm)
}

/// Mends the app that Trunk has just built: Trunk.toml names this as a hook.
pub fn mend_for_trunk() -> Result<()> {
    let stage = env::var_os("TRUNK_STAGING_DIR")
        .context("this is for Trunk to call: TRUNK_STAGING_DIR is not set")?;
    let is_release = env::var_os("TRUNK_PROFILE").is_some_and(|profile| profile == "release");
    for entry in fs::read_dir(&stage).with_context(|| format!("cannot read {}", stage.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            mend_file(&path)?;
            if is_release {
                order_file(&path)?;
            }
        }
    }
    // The last one to touch the site; `trunk serve` builds for somebody who works on it.
    if is_release {
        offline::fill(Path::new(&stage))?;
    }
    Ok(())
}

fn mend_file(path: &Path) -> Result<()> {
    let wasm = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if let Some(mended) = mend(&wasm).with_context(|| format!("{}", path.display()))? {
        fs::write(path, mended).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Puts the functions in an order that compresses well, and leaves their names out.
fn order_file(path: &Path) -> Result<()> {
    let wasm = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let ordered = order::reorder(&wasm).with_context(|| format!("{}", path.display()))?;
    fs::write(path, ordered).with_context(|| format!("cannot write {}", path.display()))
}

/// The module with the table's export put right. None if nothing is wrong with it.
fn mend(wasm: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut tables = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let wasmparser::TypeRef::Table(table) = import?.ty {
                        tables.push(table.element_type);
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    tables.push(table?.ty.element_type);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    if export.kind != ExternalKind::Table || export.name != EXTERNREFS {
                        continue;
                    }
                    let is_right = tables.get(export.index as usize) == Some(&RefType::EXTERNREF);
                    return if is_right { Ok(None) } else { point(wasm, offset, &tables).map(Some) };
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Points the table's export, which begins at `offset`, to the one table of external references.
fn point(wasm: &[u8], offset: usize, tables: &[RefType]) -> Result<Vec<u8>> {
    let mut right =
        (0u8..).zip(tables).filter(|(_, table)| **table == RefType::EXTERNREF).map(|(index, _)| index);
    let (Some(index), None) = (right.next(), right.next()) else {
        bail!("wasm-opt mixed up the module's tables. Remedy: install Binaryen 110 or newer");
    };
    // The name's length (one byte) and the name, the kind, then the index; below 128 it takes one byte.
    let at = offset + 1 + EXTERNREFS.len() + 1;
    let mut mended = wasm.to_vec();
    match mended.get_mut(at) {
        Some(byte) if *byte < 128 && index < 128 => *byte = index,
        _ => bail!("wasm-opt mixed up the module's tables. Remedy: install Binaryen 110 or newer"),
    }
    Ok(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCREF: u8 = 0x70;
    const EXTERNREF: u8 = 0x6f;

    /// A module with two tables which exports one of them.
    fn module(tables: [u8; 2], exported: u8) -> Vec<u8> {
        let mut export = vec![1, EXTERNREFS.len() as u8];
        export.extend(EXTERNREFS.as_bytes());
        export.extend([1, exported]);
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([4, 7, 2, tables[0], 0, 1, tables[1], 0, 1]);
        wasm.extend([7, export.len() as u8]);
        wasm.extend(export);
        wasm
    }

    #[test]
    fn the_wrong_table_is_put_right() {
        let tables = [FUNCREF, EXTERNREF];
        assert_eq!(mend(&module(tables, 0)).unwrap(), Some(module(tables, 1)));
    }

    #[test]
    fn the_right_table_is_left_alone() {
        assert_eq!(mend(&module([FUNCREF, EXTERNREF], 1)).unwrap(), None);
        assert_eq!(mend(b"\0asm\x01\0\0\0").unwrap(), None);
    }

    #[test]
    fn without_such_a_table_there_is_a_remedy() {
        let error = mend(&module([FUNCREF, FUNCREF], 0)).unwrap_err().to_string();
        assert!(error.contains("Binaryen 110"), "{error}");
    }
}
