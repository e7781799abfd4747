//! Words and numbers that several tools share: addresses, protocols, services, numbers, ports.

pub(crate) mod addr;
pub(crate) mod number;
pub(crate) mod port;
pub(crate) mod protocols;
pub(crate) mod services;

pub(crate) use protocols::{protocol, protocol_name};
pub(crate) use services::any_service;
pub use services::{service, service_name};
