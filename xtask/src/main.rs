//! `cargo xtask`, and, under the name `wasm-bindgen`, the wasm-bindgen that Trunk calls.

use std::process::ExitCode;

fn main() -> ExitCode {
    match xtask::cli::main() {
        Ok(code) => code,
        Err(error) => {
            xtask::run::explain(&error);
            ExitCode::FAILURE
        }
    }
}
