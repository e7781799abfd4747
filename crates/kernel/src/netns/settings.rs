//! `sysctl`: which name means which setting.

use super::Netns;
use crate::DevId;
use crate::netfilter::conntrack::UNUSED_SETTINGS;
use crate::sysctl::{DevConf, SysctlError, is_of_linux};

impl Netns {
    /// Settings of a device.
    pub(crate) fn dev_conf(&self, dev: DevId) -> &DevConf {
        self.device(dev).map_or(&self.sysctl.default, |d| &d.conf)
    }

    /// `IN_DEV_MAXCONF`: the larger of the device's and that of all.
    pub(crate) fn conf_max(&self, dev: DevId, get: impl Fn(&DevConf) -> i64) -> i64 {
        get(self.dev_conf(dev)).max(get(&self.sysctl.all))
    }

    /// `IN_DEV_ORCONF`: on for the device or for all.
    pub(crate) fn conf_or(&self, dev: DevId, get: impl Fn(&DevConf) -> i64) -> bool {
        get(self.dev_conf(dev)) != 0 || get(&self.sysctl.all) != 0
    }

    /// `sysctl -w NAME=VALUE`; slashes or dots, as sysctl(8) takes them.
    pub fn sysctl_set(&mut self, name: &str, value: i64) -> Result<(), SysctlError> {
        let key = sysctl_key(name);
        if is_forwarding(&key) {
            self.forward_all(value);
            return Ok(());
        }
        if let Some(set) = self.conntrack_limit(&key, Some(value)) {
            return set.map(|_| ());
        }
        let fits = match key.last().map(String::as_str) {
            Some("ip_default_ttl") => (1..=255).contains(&value),
            Some("ip_nonlocal_bind") => (0..=255).contains(&value),
            _ => true,
        };
        if !fits {
            return Err(SysctlError::Invalid(value));
        }
        let Some(slot) = self.sysctl_slot(&key) else { return Err(self.no_such(&key)) };
        match slot {
            Slot::Int(v) => *v = value,
            Slot::Seconds(v) => {
                // One below 0 is kept without its sign, as by `proc_dointvec_jiffies`: longer than any other where two are compared.
                let fits = i32::try_from(value).ok().filter(|n| n.unsigned_abs() <= MOST_SECONDS);
                *v = fits.ok_or(SysctlError::Invalid(value))?.cast_unsigned();
            }
            Slot::Small(v) => {
                *v = u8::try_from(value).map_err(|_| SysctlError::Invalid(value))?.into();
            }
            Slot::Byte(v, most) => {
                let fits = u8::try_from(value).ok().filter(|n| *n <= most);
                *v = fits.ok_or(SysctlError::Invalid(value))?;
            }
            Slot::Flag(v) => match value {
                0 | 1 => *v = value == 1,
                _ => return Err(SysctlError::Invalid(value)),
            },
        }
        Ok(())
    }

    /// `sysctl NAME`
    pub fn sysctl_get(&mut self, name: &str) -> Result<i64, SysctlError> {
        let key = sysctl_key(name);
        if is_forwarding(&key) {
            return Ok(self.sysctl.all.forwarding);
        }
        if let Some(got) = self.conntrack_limit(&key, None) {
            return got;
        }
        let Some(slot) = self.sysctl_slot(&key) else { return Err(self.no_such(&key)) };
        match slot {
            Slot::Int(v) => Ok(*v),
            Slot::Seconds(v) => Ok(i64::from(v.cast_signed())),
            Slot::Small(v) => Ok(i64::from(*v)),
            Slot::Flag(v) => Ok(i64::from(*v)),
            Slot::Byte(v, _) => Ok(i64::from(*v)),
        }
    }

    /// Why there is no setting of that name.
    fn no_such(&self, key: &[String]) -> SysctlError {
        let dev = |name: &str| ["all", "default"].contains(&name) || self.device_by_name(name).is_some();
        let path = key.join("/");
        let old = path == "net/ipv4/tcp_tw_recycle" && self.era.version() < (4, 12);
        let dotted: Vec<String> = key.iter().map(|k| k.replace('.', "/")).collect();
        match old || is_of_linux(&path, dev) {
            true => SysctlError::NotModelled(dotted.join(".")),
            false => SysctlError::Unknown(key.join(".")),
        }
    }

    /// `inet_forward_change`: `ip_forward` sets every device and the default.
    /// A new value of [`is_forwarding`] is that of each device.
    /// The same value again changes nothing (devinet_sysctl_forward).
    fn forward_all(&mut self, value: i64) {
        if self.sysctl.all.forwarding == value {
            return;
        }
        self.sysctl.all.accept_redirects = i64::from(value == 0);
        self.sysctl.all.forwarding = value;
        self.sysctl.default.forwarding = value;
        for d in &mut self.devices {
            d.conf.forwarding = value;
        }
    }

    fn sysctl_slot(&mut self, key: &[String]) -> Option<Slot<'_>> {
        let words: Vec<&str> = key.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["net", "ipv4", "conf", "all", field] => self.sysctl.all.field(field).map(Slot::Int),
            ["net", "ipv4", "conf", "default", field] => self.sysctl.default.field(field).map(Slot::Int),
            ["net", "ipv4", "conf", dev, field] => {
                self.devices.iter_mut().find(|d| d.name == *dev)?.conf.field(field).map(Slot::Int)
            }
            ["net", "ipv4", "neigh", dev, field] => {
                let device = self.devices.iter_mut().find(|d| d.name == *dev).map(|d| &mut d.conf);
                let conf = if *dev == "default" { &mut self.sysctl.default } else { device? };
                match *field {
                    "proxy_delay" => Some(Slot::Int(&mut conf.proxy_delay)),
                    "base_reachable_time_ms" => Some(Slot::Int(&mut conf.base_reachable_time_ms)),
                    "delay_first_probe_time" => Some(Slot::Int(&mut conf.delay_first_probe_time)),
                    _ => None,
                }
            }
            ["net", "bridge", ..] if !self.modules.br_netfilter => None,
            ["net", "ipv4", "vs", field] => self.ipvs.setting(field).map(Slot::Int),
            ["net", "netfilter", "nf_log_all_netns"] => {
                self.is_initial().then_some(Slot::Int(&mut self.sysctl.nf_log_all_netns))
            }
            ["net", "netfilter", field] => self.conntrack_slot(field),
            _ => self.sysctl.scalar(&words.join(".")).map(Slot::Int),
        }
    }

    /// The settings that a machine has once: all namespaces see the same value, only the first one may change it. `None` if
    /// it is none of these.
    fn conntrack_limit(&mut self, key: &[String], value: Option<i64>) -> Option<Result<i64, SysctlError>> {
        let words: Vec<&str> = key.iter().map(String::as_str).collect();
        let name = match words.as_slice() {
            // The old name of the same, which only the first namespace has.
            ["net", "nf_conntrack_max"] if self.is_initial() => "max",
            ["net", "netfilter", name] => name.strip_prefix("nf_conntrack_")?,
            _ => return None,
        };
        let (initial, count) = (self.is_initial(), self.ct.count());
        let limits = &mut self.ct.limits;
        let now = match name {
            "max" => limits.max,
            "buckets" => limits.buckets,
            "expect_max" => limits.expect_max,
            "count" => u32::try_from(count).unwrap_or(u32::MAX),
            _ => return None,
        };
        let Some(value) = value else { return Some(Ok(i64::from(now))) };
        if !initial || name == "count" {
            return Some(Err(SysctlError::ReadOnly(key.join("."))));
        }
        let Some(new) = u32::try_from(value).ok().filter(|n| i32::try_from(*n).is_ok()) else {
            return Some(Err(SysctlError::Invalid(value)));
        };
        match name {
            "max" => limits.max = new,
            "buckets" => limits.set_buckets(new),
            _ => limits.expect_max = new,
        }
        Some(Ok(value))
    }

    fn conntrack_slot(&mut self, field: &str) -> Option<Slot<'_>> {
        let t = &mut self.ct.timeouts;
        Some(match field.strip_prefix("nf_conntrack_")? {
            "helper" if self.era.helper_sysctl().is_some() => Slot::Flag(&mut self.ct.auto_helper),
            "acct" => Slot::Flag(&mut self.ct.settings.acct),
            "timestamp" => Slot::Flag(&mut self.ct.settings.timestamp),
            "checksum" => Slot::Flag(&mut self.ct.settings.checksum),
            "log_invalid" => Slot::Byte(&mut self.ct.settings.log_invalid, 255),
            "events" => {
                Slot::Byte(&mut self.ct.settings.events, if self.era.events_on_demand() { 2 } else { 1 })
            }
            "tcp_loose" => Slot::Flag(&mut self.ct.tcp_loose),
            "tcp_be_liberal" => Slot::Flag(&mut self.ct.tcp_be_liberal),
            "tcp_ignore_invalid_rst" if self.era.has_ignore_invalid_rst() => {
                Slot::Flag(&mut self.ct.settings.tcp_ignore_invalid_rst)
            }
            "tcp_max_retrans" => Slot::Small(&mut self.ct.tcp_max_retrans),
            "tcp_timeout_syn_sent" => Slot::Seconds(&mut t.tcp_syn_sent),
            "tcp_timeout_syn_recv" => Slot::Seconds(&mut t.tcp_syn_recv),
            "tcp_timeout_established" => Slot::Seconds(&mut t.tcp_established),
            "tcp_timeout_fin_wait" => Slot::Seconds(&mut t.tcp_fin_wait),
            "tcp_timeout_close_wait" => Slot::Seconds(&mut t.tcp_close_wait),
            "tcp_timeout_last_ack" => Slot::Seconds(&mut t.tcp_last_ack),
            "tcp_timeout_time_wait" => Slot::Seconds(&mut t.tcp_time_wait),
            "tcp_timeout_close" => Slot::Seconds(&mut t.tcp_close),
            "tcp_timeout_max_retrans" => Slot::Seconds(&mut t.tcp_max_retrans),
            "tcp_timeout_unacknowledged" => Slot::Seconds(&mut t.tcp_unacknowledged),
            "udp_timeout" => Slot::Seconds(&mut t.udp),
            "udp_timeout_stream" => Slot::Seconds(&mut t.udp_stream),
            "icmp_timeout" => Slot::Seconds(&mut t.icmp),
            "icmpv6_timeout" => Slot::Seconds(&mut t.icmpv6),
            "gre_timeout" => Slot::Seconds(&mut t.gre),
            "gre_timeout_stream" => Slot::Seconds(&mut t.gre_stream),
            "sctp_timeout_closed" => Slot::Seconds(&mut t.sctp_closed),
            "sctp_timeout_cookie_wait" => Slot::Seconds(&mut t.sctp_cookie_wait),
            "sctp_timeout_cookie_echoed" => Slot::Seconds(&mut t.sctp_cookie_echoed),
            "sctp_timeout_established" => Slot::Seconds(&mut t.sctp_established),
            "sctp_timeout_shutdown_sent" => Slot::Seconds(&mut t.sctp_shutdown_sent),
            "sctp_timeout_shutdown_recd" => Slot::Seconds(&mut t.sctp_shutdown_recd),
            "sctp_timeout_shutdown_ack_sent" => Slot::Seconds(&mut t.sctp_shutdown_ack_sent),
            "sctp_timeout_heartbeat_sent" => Slot::Seconds(&mut t.sctp_heartbeat_sent),
            "generic_timeout" => Slot::Seconds(&mut t.generic),
            name => {
                let at = UNUSED_SETTINGS.iter().position(|(known, _)| *known == name)?;
                Slot::Seconds(self.ct.settings.unused.get_mut(at)?)
            }
        })
    }
}

/// `ip_forward` and `conf/all/forwarding` are one setting.
fn is_forwarding(key: &[String]) -> bool {
    let words: Vec<&str> = key.iter().map(String::as_str).collect();
    matches!(words.as_slice(), ["net", "ipv4", "ip_forward"] | ["net", "ipv4", "conf", "all", "forwarding"])
}

/// The longest time that can be set.
const MOST_SECONDS: u32 = i32::MAX as u32 / 250;

/// A setting where it lives.
enum Slot<'a> {
    Int(&'a mut i64),
    /// A time; the kernel keeps it in ticks of 250 Hz, as an `int`.
    Seconds(&'a mut u32),
    /// A number of one byte.
    Small(&'a mut u32),
    /// A byte, and the largest value that is taken.
    Byte(&'a mut u8, u8),
    /// 0 or 1.
    Flag(&'a mut bool),
}

/// Splits a sysctl name. The first separator decides: with slashes a dot belongs to a name, with dots a slash does.
fn sysctl_key(name: &str) -> Vec<String> {
    let slashes = name.find(['.', '/']).is_some_and(|i| name.as_bytes().get(i) == Some(&b'/'));
    if slashes {
        name.split('/').map(str::to_owned).collect()
    } else {
        name.split('.').map(|w| w.replace('/', ".")).collect()
    }
}
