//! A setting read back: the value of each switch, and the command that it stands for.

use super::{SWITCHES, Setting, Switch};

/// What a switch can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these words.
    Words(Vec<&'static str>),
    /// A number from this one to that one.
    Range(u32, u32),
    /// Any number; [`Setting::set`] knows the bounds.
    Number,
}

impl Switch {
    /// [`Switch::values`], read.
    pub fn kind(&self) -> Values {
        if self.values.contains('|') {
            return Values::Words(self.values.split('|').collect());
        }
        let range = self.values.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        range.map_or(Values::Number, |(from, to)| Values::Range(from, to))
    }
}

/// The two sysctls that a pod may set for itself.
const POD_SYSCTLS: [&str; 2] =
    ["net.netfilter.nf_conntrack_udp_timeout", "net.netfilter.nf_conntrack_udp_timeout_stream"];

/// In which order the commands of a setting are typed. Both time-outs of the pods are one command.
const TYPED: [&str; 10] = [
    "kubernetes",
    "replicas",
    "nf_conntrack_expect_max",
    "nf_conntrack_max",
    "node.nf_conntrack_udp_timeout",
    "node.nf_conntrack_udp_timeout_stream",
    "nf_conntrack_buckets",
    "allowedUnsafeSysctls",
    "pod.nf_conntrack_udp_timeout",
    "externalTrafficPolicy",
];

fn on(is: bool) -> String {
    if is { "on" } else { "off" }.to_owned()
}

impl Setting {
    /// The value of a switch, as [`Setting::set`] reads it. `None` if there is no such switch, or for `iteration` if the setting
    /// is none of the article's.
    pub fn value(&self, switch: &str) -> Option<String> {
        Some(match switch {
            "iteration" => self.which()?.to_string(),
            "kubernetes" => on(self.kubernetes),
            "replicas" => self.replicas.to_string(),
            "nf_conntrack_max" => self.max.to_string(),
            "nf_conntrack_expect_max" => self.expect_max.to_string(),
            "nf_conntrack_buckets" => self.buckets.to_string(),
            "node.nf_conntrack_udp_timeout" => self.node_udp.first.to_string(),
            "node.nf_conntrack_udp_timeout_stream" => self.node_udp.stream.to_string(),
            "pod.nf_conntrack_udp_timeout" => self.pod_udp.first.to_string(),
            "pod.nf_conntrack_udp_timeout_stream" => self.pod_udp.stream.to_string(),
            "allowedUnsafeSysctls" => on(self.allowed),
            "externalTrafficPolicy" => if self.local { "Local" } else { "Cluster" }.to_owned(),
            "seconds" => self.seconds.to_string(),
            "scale" => self.scale.to_string(),
            _ => return None,
        })
    }

    /// The switches that lead from the default setting to this one, with their values: the iteration if it is one of the
    /// article's, and what else is not at its default then.
    pub fn changes(&self) -> Vec<(&'static str, String)> {
        let iteration = self.which();
        let base = iteration.and_then(Setting::iteration).unwrap_or_default();
        let first = iteration.filter(|_| base != Setting::default()).map(|n| ("iteration", n.to_string()));
        let names = SWITCHES.iter().map(|s| s.name).filter(|n| *n != "iteration").chain(["scale"]);
        let rest = names.filter_map(|name| {
            let value = self.value(name)?;
            (base.value(name).as_ref() != Some(&value)).then_some((name, value))
        });
        first.into_iter().chain(rest).collect()
    }

    /// The command that puts a switch where it stands, and the place where it is typed. A switch of the test itself has none.
    pub fn command(&self, switch: &str) -> Option<(&'static str, String)> {
        let value = self.value(switch)?;
        Some(match switch {
            "kubernetes" if self.kubernetes => ("client", "# ask the NodePort".to_owned()),
            "kubernetes" => ("client", "# ask the server on the machine itself".to_owned()),
            "replicas" => ("kubectl", format!("kubectl scale deployment tftp-server --replicas={value}")),
            "nf_conntrack_max" | "nf_conntrack_expect_max" => {
                ("node", format!("sysctl -w net.netfilter.{switch}={value}"))
            }
            "nf_conntrack_buckets" => {
                ("node", format!("echo {value} > /sys/module/nf_conntrack/parameters/hashsize"))
            }
            "allowedUnsafeSysctls" => {
                let list = if self.allowed { POD_SYSCTLS.join(", ") } else { String::new() };
                let line = format!("allowedUnsafeSysctls: [{list}]");
                (
                    "node",
                    format!("echo '{line}' >> /var/lib/kubelet/config.yaml && systemctl restart kubelet"),
                )
            }
            "externalTrafficPolicy" => {
                let spec = format!("{{\"spec\":{{\"externalTrafficPolicy\":\"{value}\"}}}}");
                ("kubectl", format!("kubectl patch service tftp-server-service -p '{spec}'"))
            }
            _ => match switch.split_once('.')? {
                ("node", key) => ("node", format!("sysctl -w net.netfilter.{key}={value}")),
                ("pod", _) => ("kubectl", self.pod_patch()),
                _ => return None,
            },
        })
    }

    /// The kubelet's configuration, when it allows pods to set both.
    pub(super) fn kubelet_config() -> String {
        let list: String = POD_SYSCTLS.iter().map(|name| format!("- {name}\n")).collect();
        format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nallowedUnsafeSysctls:\n{list}"
        )
    }

    fn pod_patch(&self) -> String {
        let values = [self.pod_udp.first, self.pod_udp.stream];
        let one = |(name, value): (&str, u32)| format!("{{\"name\":\"{name}\",\"value\":\"{value}\"}}");
        let list: Vec<String> = POD_SYSCTLS.into_iter().zip(values).map(one).collect();
        let list = list.join(",");
        let spec = format!(
            "{{\"spec\":{{\"template\":{{\"spec\":{{\"securityContext\":{{\"sysctls\":[{list}]}}}}}}}}}}"
        );
        format!("kubectl patch deployment tftp-server -p '{spec}'")
    }

    /// The commands that lead from the default setting to this one, each with the place where it is typed.
    pub fn commands(&self) -> Vec<(&'static str, String)> {
        let base = Setting::default();
        let differs = |name: &str| self.value(name) != base.value(name);
        let typed = TYPED.into_iter().filter(|name| match *name {
            "pod.nf_conntrack_udp_timeout" => self.pod_udp != base.pod_udp,
            name => differs(name),
        });
        // Without Kubernetes there is nothing else to be said.
        let most = if self.kubernetes { TYPED.len() } else { 1 };
        typed.take(most).filter_map(|name| self.command(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[(&str, &str)]) -> Setting {
        let mut setting = Setting::default();
        for (name, value) in words {
            setting.set(name, value).unwrap();
        }
        setting
    }

    #[test]
    fn a_setting_comes_back_from_its_changes() {
        for setting in [
            Setting::default(),
            set(&[("iteration", "1")]),
            set(&[("iteration", "9"), ("scale", "1"), ("seconds", "30")]),
            set(&[("iteration", "7"), ("replicas", "3"), ("externalTrafficPolicy", "Cluster")]),
            set(&[("nf_conntrack_buckets", "262144"), ("pod.nf_conntrack_udp_timeout", "5")]),
        ] {
            let mut again = Setting::default();
            for (name, value) in setting.changes() {
                again.set(name, &value).unwrap();
            }
            assert_eq!(again, setting, "{:?}", setting.changes());
        }
    }

    #[test]
    fn an_iteration_is_one_word() {
        assert_eq!(set(&[("iteration", "8")]).changes(), [("iteration", "8".to_owned())]);
        assert_eq!(Setting::default().changes(), []);
    }

    #[test]
    fn every_switch_has_a_value_and_says_what_it_can_be() {
        for switch in SWITCHES {
            assert!(Setting::default().value(switch.name).is_some(), "{}", switch.name);
        }
        assert_eq!(SWITCHES[1].kind(), Values::Words(vec!["on", "off"]));
        assert_eq!(SWITCHES[2].kind(), Values::Range(1, 3));
        assert_eq!(SWITCHES[3].kind(), Values::Number);
    }

    #[test]
    fn both_time_outs_of_the_pods_are_one_command() {
        let commands = set(&[("iteration", "8")]).commands();
        let patches = commands.iter().filter(|(_, c)| c.contains("securityContext"));
        assert_eq!(patches.count(), 1);
        assert_eq!(
            commands.first().map(|(_, c)| c.as_str()),
            Some("sysctl -w net.netfilter.nf_conntrack_expect_max=8192")
        );
    }

    #[test]
    fn without_kubernetes_there_is_one_command() {
        let commands = set(&[("kubernetes", "off"), ("replicas", "3")]).commands();
        assert_eq!(commands, [("client", "# ask the server on the machine itself".to_owned())]);
    }
}
