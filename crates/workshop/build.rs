//! Reads the YAML of the labs (`src/labs/LAB/cluster.yaml`) and leaves the objects as `LAB.objects`: a mistake in it stops
//! the build, and who runs labs needs no parser of YAML.

use cluster::{Object, read_objects};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/labs");
    let out = env::var("OUT_DIR")?;
    for lab in fs::read_dir("src/labs")? {
        let lab = lab?.path();
        let yaml = lab.join("cluster.yaml");
        let Some(name) = lab.file_name().filter(|_| yaml.exists()) else { continue };
        let objects = read_objects(&fs::read_to_string(&yaml)?)
            .map_err(|wrong| format!("{}: {wrong}", yaml.display()))?;
        if let Some(Object::NotModelled(other)) = objects.iter().find(|o| matches!(o, Object::NotModelled(_)))
        {
            return Err(format!("{}: {other}", yaml.display()).into());
        }
        let file = Path::new(&out).join(name).with_extension("objects");
        fs::write(file, postcard::to_allocvec(&objects)?)?;
    }
    Ok(())
}
