//! The lab `conntrack-load`: a TFTP server under load, nine times with other settings.
pub(crate) mod setup;

pub use setup::COST;
use sim::load::LoadSpec;

/// A setting of the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub kubernetes: bool,
    pub replicas: u32,
    pub max: u32,
    pub expect_max: u32,
    pub buckets: u32,
    pub node_udp: (u32, u32),
    pub pod_udp: (u32, u32),
    pub local: bool,
    pub scale: u32,
    pub seconds: u32,
}
impl Setting {
    pub fn spec(&self) -> Result<LoadSpec, String> {
        setup::spec(self)
    }
    pub fn iteration(n: u32) -> Setting {
        let base = Setting {
            kubernetes: true,
            replicas: 1,
            max: 131_072,
            expect_max: 1024,
            buckets: 65_536,
            node_udp: (30, 180),
            pod_udp: (30, 180),
            local: true,
            scale: 10,
            seconds: 600,
        };
        let tuned = Setting { expect_max: 8192, max: 524_288, ..base.clone() };
        let node = Setting { node_udp: (10, 20), ..tuned.clone() };
        let pod = Setting { pod_udp: (10, 20), ..node.clone() };
        match n {
            1 => Setting { kubernetes: false, ..base },
            3 => Setting { replicas: 3, ..base },
            5 => tuned,
            6 => Setting { max: 1_048_576, ..tuned },
            7 => node,
            8 => pod,
            9 => Setting { replicas: 2, ..pod },
            _ => base,
        }
    }
}
