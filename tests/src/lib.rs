//! Support for the integration tests.

pub mod facets;
pub mod tshark;
