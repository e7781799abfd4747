//! What captures saw, as a file.

use sim::World;
use sim::view::Captures;

/// A pcapng file of what captures on all devices saw, or on those of `place`: `BOX` or `BOX/DEVICE`.
///
/// # Errors
/// There is no such box or device: the message names those that there are.
pub fn pcapng(world: &World, place: Option<&str>) -> Result<Vec<u8>, String> {
    let Some(place) = place else {
        return Ok(Captures::new(world, |_, _| true).pcapng(world));
    };
    let (name, device) = match place.split_once('/') {
        Some((name, device)) => (name, Some(device)),
        None => (place, None),
    };
    let Some(ns) = world.host_by_name(name).and_then(|id| world.host(id)) else {
        let known: Vec<&str> = world.hosts().iter().map(|ns| ns.name.as_str()).collect();
        return Err(format!("--capture: there is no box {name:?}; these are: {}", known.join(", ")));
    };
    let dev = match device.map(|d| (d, ns.device_by_name(d))) {
        Some((device, None)) => {
            let known: Vec<&str> = ns.devices().iter().map(|d| d.name.as_str()).collect();
            return Err(format!(
                "--capture: {name} has no device {device:?}; these are: {}",
                known.join(", ")
            ));
        }
        Some((_, dev)) => dev,
        None => None,
    };
    let (host, picked) = (ns.id, dev);
    let captures = Captures::new(world, |h, d| h == host && picked.is_none_or(|p| p == d));
    Ok(captures.pcapng(world))
}
