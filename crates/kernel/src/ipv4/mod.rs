//! net/ipv4: the way of a packet through the network layer.

mod forward;
mod icmp;
mod input;
mod output;
mod reject;

pub(crate) use icmp::icmp_send;
pub(crate) use input::ip_rcv;
pub(crate) use output::{ip_local_out, ip_local_out_from, ip_output, ip_route_me_harder};
pub(crate) use reject::nf_send_reset;
