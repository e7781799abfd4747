//! Puts the functions of a wasm file in an order that compresses well.
//!
//! gzip finds a repetition only within the last 32 kB, and a compiler leaves functions that are alike anywhere. So they are first
//! sorted by name (what a generic function becomes for each type stands together), and then as in "Optimizing Function Layout for
//! Mobile Applications" (Hoag, Lee, Mestre, Pupyrev; 2023): cut into two halves that have as few byte sequences as possible in common,
//! each half again, and so on.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    BinaryReader, CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, Name,
    NameSectionReader, Parser, Payload, TypeRef,
};

/// So many bytes in a row are one feature of a function.
const WINDOW: usize = 7;
/// At each cut functions change sides so often at most.
const ROUNDS: u32 = 15;

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
        features: features(body),
        right: false,
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
    features: Vec<u32>,
    /// On which side of the cut it is.
    right: bool,
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
    halve(&mut functions);
    functions.iter().map(|function| function.number).collect()
}

fn halve(functions: &mut [Function<'_>]) {
    if functions.len() < 2 {
        return;
    }
    let cut = Cut::of(functions);
    for (function, right) in functions.iter_mut().zip(cut.right) {
        function.right = right;
    }
    functions.sort_by_key(|function| function.right);
    let (left, right) = functions.split_at_mut(functions.partition_point(|function| !function.right));
    halve(left);
    halve(right);
}

/// A cut of functions into two halves.
struct Cut {
    /// Whether a function is in the right half.
    right: Vec<bool>,
    /// The features of each function, as places in `sides`.
    features: Vec<Vec<u32>>,
    /// How many functions of the left and of the right half have a feature.
    sides: Vec<[u32; 2]>,
    /// Logarithms of small numbers.
    log: Vec<f32>,
}

impl Cut {
    fn of(functions: &[Function<'_>]) -> Self {
        let n = functions.len();
        let mut all: Vec<u32> = functions.iter().flat_map(|function| &function.features).copied().collect();
        all.sort_unstable();
        // What one function has, or each, does not tell which belong together.
        let telling = all.chunk_by(|a, b| a == b).filter(|same| same.len() > 1 && same.len() < n);
        let telling: Vec<u32> = telling.map(|same| same[0]).collect();
        let place = |feature| telling.binary_search(feature).ok().and_then(|place| u32::try_from(place).ok());
        let mut cut = Self {
            right: (0..n).map(|i| i >= n / 2).collect(),
            features: functions.iter().map(|f| f.features.iter().filter_map(place).collect()).collect(),
            sides: vec![[0; 2]; telling.len()],
            log: (0..n + 2).map(|i| (i as f32 + 1.).log2()).collect(),
        };
        for (features, right) in cut.features.iter().zip(&cut.right) {
            for feature in features {
                cut.sides[*feature as usize][usize::from(*right)] += 1;
            }
        }
        for round in 0..ROUNDS {
            if !cut.exchange(round) {
                break;
            }
        }
        cut
    }

    /// What a feature costs that so many have on the left and on the right: the bits of the gaps between them.
    fn cost(&self, [left, right]: [u32; 2]) -> f32 {
        -(left as f32 * self.log[left as usize] + right as f32 * self.log[right as usize])
    }

    /// Lets functions change places that win by it. False when there are none any more.
    fn exchange(&mut self, round: u32) -> bool {
        let win = |sides: &[u32; 2], from: usize| {
            let mut then = *sides;
            if then[from] == 0 {
                return 0.;
            }
            then[from] -= 1;
            then[1 - from] += 1;
            self.cost(*sides) - self.cost(then)
        };
        let wins: Vec<[f32; 2]> = self.sides.iter().map(|sides| [win(sides, 0), win(sides, 1)]).collect();
        let mut wishes: [Vec<(f32, usize)>; 2] = Default::default();
        for (i, features) in self.features.iter().enumerate() {
            let side = usize::from(self.right[i]);
            wishes[side].push((features.iter().map(|feature| wins[*feature as usize][side]).sum(), i));
        }
        for side in &mut wishes {
            side.sort_by(|a, b| b.0.total_cmp(&a.0));
        }
        let [left, right] = wishes;
        let mut moved = false;
        for ((a, i), (b, j)) in left.into_iter().zip(right) {
            if a + b <= 0. {
                break;
            }
            // Not all at once: two that belong together would change places for ever.
            let stays =
                u32::try_from(i).unwrap_or_default().wrapping_add(round).wrapping_mul(0x9e37_79b9) >> 29 == 0;
            if !stays {
                self.change(i);
                self.change(j);
                moved = true;
            }
        }
        moved
    }

    fn change(&mut self, function: usize) {
        let from = usize::from(self.right[function]);
        self.right[function] = from == 0;
        for feature in &self.features[function] {
            self.sides[*feature as usize][from] -= 1;
            self.sides[*feature as usize][1 - from] += 1;
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
