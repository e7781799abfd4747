//! What can be set, each as the command that an operator would type.

use std::fmt;

/// The time-outs of UDP flows in seconds: of one that has not been answered, and of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpTimeouts {
    /// `nf_conntrack_udp_timeout`
    pub first: u32,
    /// `nf_conntrack_udp_timeout_stream`
    pub stream: u32,
}

impl UdpTimeouts {
    /// Those of Linux 3.10.
    pub const DEFAULT: UdpTimeouts = UdpTimeouts { first: 30, stream: 180 };
    /// Those of the article's iterations 7 to 9.
    pub const SHORT: UdpTimeouts = UdpTimeouts { first: 10, stream: 20 };
}

/// A setting of the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The server runs in pods behind a NodePort; otherwise on the machine itself.
    pub kubernetes: bool,
    /// Pods, at most three.
    pub replicas: u32,
    /// `nf_conntrack_max`
    pub max: u32,
    /// `nf_conntrack_expect_max`
    pub expect_max: u32,
    /// `nf_conntrack_buckets`
    pub buckets: u32,
    /// Time-outs of the node.
    pub node_udp: UdpTimeouts,
    /// Time-outs of the pods.
    pub pod_udp: UdpTimeouts,
    /// The kubelet allows pods to set them (`allowedUnsafeSysctls`).
    pub allowed: bool,
    /// `externalTrafficPolicy: Local`: the pods see the clients' own addresses.
    pub local: bool,
    /// The machine, the clients and the limits are smaller by this factor; times are not.
    pub scale: u32,
    /// How long the test takes.
    pub seconds: u32,
}

/// The page's scale, and nflab's unless it is told another.
pub const DEFAULT_SCALE: u32 = 10;

/// Ten minutes.
const SECONDS: u32 = 600;
/// The largest scale: a limit of 1024 expectations is one of 10 then.
const MAX_SCALE: u32 = 100;

/// Something that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Its name, as in `--set NAME=VALUE`.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What it can be.
    pub values: &'static str,
}

/// All switches; `iteration` comes first, as it sets the others.
pub const SWITCHES: [Switch; 13] = [
    Switch { name: "iteration", title: "all settings of one of the article's iterations", values: "1..9" },
    Switch { name: "kubernetes", title: "the server runs in pods", values: "on|off" },
    Switch { name: "replicas", title: "pods", values: "1..3" },
    Switch { name: "nf_conntrack_max", title: "entries of each namespace", values: "N" },
    Switch { name: "nf_conntrack_expect_max", title: "expectations of each namespace", values: "N" },
    Switch { name: "nf_conntrack_buckets", title: "buckets of the hash", values: "N" },
    Switch { name: "node.nf_conntrack_udp_timeout", title: "on the node", values: "SECONDS" },
    Switch { name: "node.nf_conntrack_udp_timeout_stream", title: "on the node", values: "SECONDS" },
    Switch { name: "pod.nf_conntrack_udp_timeout", title: "in the pods", values: "SECONDS" },
    Switch { name: "pod.nf_conntrack_udp_timeout_stream", title: "in the pods", values: "SECONDS" },
    Switch { name: "allowedUnsafeSysctls", title: "the kubelet lets pods set both", values: "on|off" },
    Switch { name: "externalTrafficPolicy", title: "of the Service", values: "Local|Cluster" },
    Switch { name: "seconds", title: "how long the test takes", values: "N" },
];

/// A switch cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The switch.
    pub switch: String,
    /// The value.
    pub value: String,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: expected {}", self.switch, self.value, self.expected)
    }
}

impl std::error::Error for SettingError {}

impl Default for Setting {
    /// Iteration 2: a pod, and the defaults of Linux 3.10 on a machine with more than 4 GB, with the limit that kube-proxy sets.
    fn default() -> Setting {
        Setting {
            kubernetes: true,
            replicas: 1,
            max: 131_072,
            expect_max: 1024,
            buckets: 65_536,
            node_udp: UdpTimeouts::DEFAULT,
            pod_udp: UdpTimeouts::DEFAULT,
            allowed: false,
            local: true,
            scale: DEFAULT_SCALE,
            seconds: SECONDS,
        }
    }
}

impl Setting {
    /// One of the article's nine iterations.
    pub fn iteration(n: u32) -> Option<Setting> {
        let base = Setting::default();
        let larger = |max| Setting { expect_max: 8192, max, ..Setting::default() };
        let node = Setting { node_udp: UdpTimeouts::SHORT, ..larger(524_288) };
        let both = Setting { pod_udp: UdpTimeouts::SHORT, allowed: true, ..node.clone() };
        Some(match n {
            1 => Setting { kubernetes: false, ..base },
            2 | 4 => base,
            3 => Setting { replicas: 3, ..base },
            5 => larger(524_288),
            6 => larger(1_048_576),
            7 => node,
            8 => both,
            9 => Setting { replicas: 2, ..both },
            _ => return None,
        })
    }

    /// Which of the article's iterations this is, the first one.
    pub fn which(&self) -> Option<u32> {
        let same = |n: &u32| {
            Setting::iteration(*n)
                .is_some_and(|s| Setting { scale: self.scale, seconds: self.seconds, ..s } == *self)
        };
        (1..=9).find(same)
    }

    /// Sets a switch.
    ///
    /// # Errors
    /// There is no such switch, or it has no such value.
    pub fn set(&mut self, switch: &str, value: &str) -> Result<(), SettingError> {
        let wrong = |expected: &str| SettingError {
            switch: switch.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let on = || match value {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(wrong("on or off")),
        };
        let number = |min: u32, max: u32| {
            let n = value.parse().ok().filter(|n| (min..=max).contains(n));
            n.ok_or_else(|| wrong(&format!("a number from {min} to {max}")))
        };
        // A day: no test takes longer.
        let seconds = || number(1, 86_400);
        match switch {
            "iteration" => {
                let (scale, seconds) = (self.scale, self.seconds);
                let found = Setting::iteration(number(1, 9)?).unwrap_or_default();
                *self = Setting { scale, seconds, ..found };
            }
            "kubernetes" => self.kubernetes = on()?,
            "replicas" => self.replicas = number(1, 3)?,
            "nf_conntrack_max" => self.max = number(1024, 4_194_304)?,
            "nf_conntrack_expect_max" => self.expect_max = number(128, 1_048_576)?,
            "nf_conntrack_buckets" => self.buckets = number(1024, 4_194_304)?,
            "node.nf_conntrack_udp_timeout" => self.node_udp.first = seconds()?,
            "node.nf_conntrack_udp_timeout_stream" => self.node_udp.stream = seconds()?,
            "pod.nf_conntrack_udp_timeout" => self.pod_udp.first = seconds()?,
            "pod.nf_conntrack_udp_timeout_stream" => self.pod_udp.stream = seconds()?,
            "allowedUnsafeSysctls" => self.allowed = on()?,
            "externalTrafficPolicy" => {
                self.local = match value {
                    "Local" => true,
                    "Cluster" => false,
                    _ => return Err(wrong("Local or Cluster")),
                };
            }
            "seconds" => self.seconds = number(1, 3600)?,
            "scale" => self.scale = number(1, MAX_SCALE)?,
            _ => {
                let names: Vec<&str> = SWITCHES.iter().map(|s| s.name).collect();
                return Err(wrong(&format!("one of the switches {}", names.join(", "))));
            }
        }
        Ok(())
    }

    /// Why the kubelet does not run the pods, if it does not (`SysctlForbidden`, pkg/kubelet/sysctl): sysctls that are not known
    /// to be safe have to be allowed on the node.
    pub fn forbidden(&self) -> Option<&'static str> {
        (self.kubernetes && !self.allowed && self.pod_udp != UdpTimeouts::DEFAULT).then_some(
            "SysctlForbidden: forbidden sysctl: \"net.netfilter.nf_conntrack_udp_timeout\" not allowlisted",
        )
    }
}
