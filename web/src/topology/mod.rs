//! The map: boxes, bridges, links, and the packet where it is.

mod draw;
mod layout;
mod outline;
mod path;

pub use draw::map;
pub use layout::int;
