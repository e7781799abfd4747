//! Reads the YAML of the labs (`src/labs/LAB/cluster.yaml`) and packs the objects as `LAB.objects`: what is wrong in them
//! stops the build, and the page needs no parser of YAML.

use cluster::{pack, read_objects};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/labs");
    let out = env::var("OUT_DIR")?;
    for lab in fs::read_dir("src/labs")? {
        let lab = lab?.path();
        let yaml = lab.join("cluster.yaml");
        if let (Some(name), true) = (lab.file_name(), yaml.exists()) {
            let objects = read_objects(&fs::read_to_string(&yaml)?)
                .map_err(|wrong| format!("{}: {wrong}", yaml.display()))?;
            fs::write(Path::new(&out).join(name).with_extension("objects"), pack(&objects))?;
        }
    }
    Ok(())
}
