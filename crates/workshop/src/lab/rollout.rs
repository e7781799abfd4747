//! `kubectl rollout status`, and how many of a Deployment's pods run.

use super::effect::{Named, Refusal, singular};
use cluster::object::{Deployment, Objects, Pod};
use sim::operator::CommandOutput;

/// It has an address and answers.
pub(super) fn runs(pod: &Pod) -> bool {
    pod.ready && !pod.terminating && !pod.pod_ips.is_empty()
}

/// `status.availableReplicas`: its pods that run.
pub(super) fn available(d: &Deployment, objects: &Objects) -> u32 {
    let own = |p: &&Pod| {
        let labels = &p.metadata.labels;
        p.metadata.namespace == d.metadata.namespace
            && d.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    let count = objects.pods.values().filter(own).filter(|p| runs(p)).count();
    u32::try_from(count).unwrap_or(u32::MAX).min(d.replicas)
}

/// What `kubectl rollout status` prints (kubectl, pkg/polymorphichelpers/rollout_status.go). Where it would wait it ends, as if Ctrl-C came
/// then.
///
/// # Errors
/// What kubectl or the API server says of what is no Deployment, or is not there.
pub(super) fn status(named: &Named, objects: &Objects) -> Result<CommandOutput, Refusal> {
    const INTERRUPTED: i32 = 130;
    let kind = singular(&named.kind);
    if kind != "deployment" {
        return Err(format!("kubectl rollout status of {kind:?} is not modelled; expected deployment").into());
    }
    let deployment = objects.deployments.get(&named.key()).ok_or_else(|| named.not_found())?;
    let (name, wanted, runs) = (&named.name, deployment.replicas, available(deployment, objects));
    let (status, line) = match runs < wanted {
        true => (
            INTERRUPTED,
            format!(
                "Waiting for deployment \"{name}\" rollout to finish: {runs} of {wanted} updated replicas are available..."
            ),
        ),
        false => (0, format!("deployment \"{name}\" successfully rolled out")),
    };
    Ok(CommandOutput::ended(status, vec![line], Vec::new()))
}
