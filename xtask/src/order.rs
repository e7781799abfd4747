//! Puts the functions of a wasm file in an order that compresses well.
//!
//! gzip finds a repetition only within the last 32 kB, and a compiler leaves functions that are alike anywhere. So the longest comes first,
//! and then always the one that has most byte sequences in common with the last 32 kB.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    BinaryReader, CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, Name,
    NameSectionReader, Parser, Payload, TypeRef,
};

/// So many bytes in a row are one feature of a function.
const WINDOW: usize = 7;
/// How far back gzip looks.
const REACH: usize = 32_768;
/// What more functions have tells nothing.
const COMMON: usize = 100;

/// The module with its functions in a better order, and without their names.
pub fn reorder(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut imported = 0;
    let mut bodies = Vec::new();
    let mut names = BTreeMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes().to_vec()),
            Payload::CustomSection(section) if section.name() == "name" => {
                for name in NameSectionReader::new(BinaryReader::new(section.data(), section.data_offset())) {
                    let Name::Function(functions) = name? else { continue };
                    for function in functions {
                        let function = function?;
                        names.insert(function.index, function.name);
                    }
                }
            }
            _ => {}
        }
    }
    let functions = (imported..).zip(&bodies).enumerate().map(|(number, (index, body))| Function {
        number,
        name: names.get(&index).copied().unwrap_or_default(),
        len: body.len(),
        features: features(body),
    });
    let order = order(functions.collect());
    let mut index = vec![0; order.len()];
    for (to, from) in (imported..).zip(&order) {
        index[*from] = to;
    }
    let mut module = Module::new();
    Renumber { imported, order, index }
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .context("cannot write the wasm with its functions in another order")?;
    Ok(module.finish())
}

/// Writes a module with its functions in another order.
struct Renumber {
    /// How many functions are imported. They come first and stay.
    imported: u32,
    /// For each place, which of the module's own functions comes there.
    order: Vec<usize>,
    /// The new index of each of them.
    index: Vec<u32>,
}

impl Reencode for Renumber {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let own = function.checked_sub(self.imported).and_then(|own| self.index.get(own as usize));
        Ok(own.copied().unwrap_or(function))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for from in &self.order {
            functions.function(types[*from]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for place in 0..self.order.len() {
            self.parse_function_body(code, bodies[self.order[place]].clone())?;
        }
        Ok(())
    }

    /// Names and the like are not for visitors.
    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

struct Function<'a> {
    number: usize,
    name: &'a str,
    /// How many bytes it has.
    len: usize,
    features: Vec<u32>,
}

/// The byte sequences of a function, as hashes.
fn features(body: &[u8]) -> Vec<u32> {
    let hash = |bytes: &[u8]| {
        let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let hash = bytes.iter().fold(0x811c_9dc5, fnv);
        hash ^ hash >> 15
    };
    let mut all: Vec<u32> = body.windows(WINDOW).map(hash).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// For each place, the number of the function that comes there.
fn order(mut functions: Vec<Function<'_>>) -> Vec<usize> {
    functions.sort_by_key(|function| function.name);
    let mut seen = Seen::new(&functions);
    // Of a long function less can be the same.
    let weigh = |function: &Function<'_>| 1. / ((function.len as f32).powf(0.7) + 20.);
    let weights: Vec<f32> = functions.iter().map(weigh).collect();
    let mut left: Vec<usize> = (0..functions.len()).collect();
    let (mut last, mut bytes): (VecDeque<usize>, usize) = Default::default();
    let mut order = Vec::with_capacity(functions.len());
    let longest = |at: &usize| functions.get(*at).map_or(0, |function| function.len);
    let mut next = left.iter().copied().max_by_key(longest);
    while let Some(at) = next {
        left.retain(|other| *other != at);
        order.push(functions[at].number);
        seen.count(at, true);
        last.push_back(at);
        bytes += functions[at].len;
        while bytes > REACH && last.len() > 1 {
            let Some(gone) = last.pop_front() else { break };
            bytes -= functions[gone].len;
            seen.count(gone, false);
        }
        let worth = |at: &usize| seen.shared[*at] as f32 * weights[*at];
        next = left.iter().copied().rev().max_by(|a, b| worth(a).total_cmp(&worth(b)));
    }
    order
}

/// What the last functions have.
struct Seen {
    /// The features of each function, as places in `who`.
    features: Vec<Vec<usize>>,
    /// The functions that have a feature.
    who: Vec<Vec<usize>>,
    /// How many of the last functions have it.
    times: Vec<u32>,
    /// How many features each function has in common with the last ones.
    shared: Vec<u32>,
}

impl Seen {
    fn new(functions: &[Function<'_>]) -> Self {
        let all = functions.iter().enumerate().flat_map(|(at, f)| f.features.iter().map(move |f| (*f, at)));
        let mut all: Vec<(u32, usize)> = all.collect();
        all.sort_unstable();
        let mut seen = Self {
            features: vec![Vec::new(); functions.len()],
            who: Vec::new(),
            times: Vec::new(),
            shared: vec![0; functions.len()],
        };
        for same in all.chunk_by(|a, b| a.0 == b.0).filter(|same| (2..=COMMON).contains(&same.len())) {
            for (_, at) in same {
                seen.features[*at].push(seen.who.len());
            }
            seen.who.push(same.iter().map(|(_, at)| *at).collect());
        }
        seen.times = vec![0; seen.who.len()];
        seen
    }

    /// A function has come to the last ones, or is none of them any more.
    fn count(&mut self, at: usize, comes: bool) {
        for feature in &self.features[at] {
            let times = &mut self.times[*feature];
            *times = if comes { *times + 1 } else { *times - 1 };
            if *times != u32::from(comes) {
                continue;
            }
            for other in &self.who[*feature] {
                let shared = &mut self.shared[*other];
                *shared = if comes { *shared + 1 } else { *shared - 1 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, ImportSection,
        TableSection, TableType, TypeSection,
    };

    /// Which of the module's functions are of the second kind.
    const SECOND: [i64; 4] = [1, 2, 3, 7];

    /// A module with one import and eight functions of two kinds; each calls the one before it.
    fn module() -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut imports = ImportSection::new();
        imports.import("m", "f", EntityType::Function(0));
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for index in 1..=8 {
            functions.function(0);
            let mut body = Function::new([]);
            let mut sink = body.instructions();
            for number in 0..20 {
                let kind = i64::from(SECOND.contains(&index));
                sink.i64_const(0x1234_5678_9abc * (kind + 1) + number).drop();
            }
            sink.call((index - 1) as u32).end();
            code.function(&body);
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: wasm_encoder::RefType::FUNCREF,
            minimum: 1,
            maximum: None,
            table64: false,
            shared: false,
        });
        let mut exports = ExportSection::new();
        exports.export("last", ExportKind::Func, 8);
        let mut elements = ElementSection::new();
        elements.active(Some(0), &ConstExpr::i32_const(0), Elements::Functions([8].as_slice().into()));
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&tables);
        module.section(&exports).section(&elements).section(&code);
        module.finish()
    }

    /// The bodies in their order; their calls; the indices that exports and tables name.
    fn read(wasm: &[u8]) -> (Vec<Vec<u8>>, Vec<u32>, Vec<u32>) {
        let (mut bodies, mut calls, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::CodeSectionEntry(body) => {
                    // Without the call, which changes: its two bytes, and the end.
                    let bytes = body.as_bytes();
                    bodies.push(bytes[..bytes.len() - 3].to_vec());
                    calls.push(u32::from(bytes[bytes.len() - 2]));
                }
                Payload::ExportSection(exports) => {
                    named.extend(exports.into_iter().map(|export| export.unwrap().index));
                }
                Payload::ElementSection(elements) => {
                    for element in elements {
                        if let wasmparser::ElementItems::Functions(items) = element.unwrap().items {
                            named.extend(items.into_iter().map(Result::unwrap));
                        }
                    }
                }
                _ => {}
            }
        }
        (bodies, calls, named)
    }

    #[test]
    fn what_is_alike_comes_together() {
        let (bodies, ..) = read(&reorder(&module()).unwrap());
        assert_eq!(bodies.chunk_by(|a, b| a == b).count(), 2);
    }

    #[test]
    fn who_calls_whom_stays() {
        let (bodies, calls, named) = read(&reorder(&module()).unwrap());
        // From the exported function along the calls to the import.
        let (mut at, mut way) = (named[0], Vec::new());
        while at > 0 {
            way.push(&bodies[at as usize - 1]);
            at = calls[at as usize - 1];
        }
        way.reverse();
        let second: Vec<i64> = (1..).zip(&way).filter(|(_, body)| **body == way[0]).map(|(i, _)| i).collect();
        assert_eq!((way.len(), second.as_slice()), (8, SECOND.as_slice()));
        assert_eq!(named[0], named[1]);
    }

    #[test]
    fn names_are_left_out() {
        let mut wasm = module();
        wasm.extend([0, 8, 4]);
        wasm.extend(b"name\x01\x01\x00");
        assert_eq!(reorder(&wasm).unwrap(), reorder(&module()).unwrap());
    }
}
