//! `nflab`: the engine without a browser. The library part reads scenarios and writes records; tests use it too.

pub mod capture;
mod cases;
pub mod cluster;
pub mod cost;
pub mod exercise;
pub mod flows;
pub mod kernels;
pub mod load;
pub mod race;
pub mod record;
pub mod scenario;
pub mod serve;

pub use cases::replay_case;
use serde_json::Value;

/// Runs a scenario document and gives its record.
///
/// # Errors
/// Names the place in the document, or the line and token of a text in it, and what was expected.
pub fn replay(document: &Value) -> Result<Value, String> {
    replay_captured(document).map(|(record, _)| record)
}

/// The same, and what captures on all devices of all boxes saw as a pcapng file.
///
/// # Errors
/// As [`replay`].
pub fn replay_captured(document: &Value) -> Result<(Value, Vec<u8>), String> {
    let scenario = scenario::parse(document).map_err(|e| e.to_string())?;
    let run = scenario.run().map_err(|e| e.to_string())?;
    Ok((record::record(document, &scenario, &run), capture::pcapng(&run.world, None)?))
}
