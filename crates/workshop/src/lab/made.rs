//! Commands about pods that controllers have made: those stand in no document.

use super::effect::{Effect, Named, Refusal, labels_of};
use super::stored::Stored;
use cluster::controllers::Controllers;
use cluster::yaml::Yaml;

/// The pod that a command names, if controllers have made it: its name, and its object as the API server has it.
#[derive(Debug, Default)]
pub(super) struct Made(Option<(Named, Vec<Yaml>)>);

impl Made {
    /// The pod of this command.
    pub fn of(effect: &Effect, controllers: &Controllers, stored: &Stored<'_>) -> Made {
        let named = effect.pod().filter(|o| controllers.has(&o.key()));
        let tree = |named: &Named| stored.get("pod", &named.key()).into_iter().collect();
        Made(named.map(|named| (named.clone(), tree(named))))
    }

    /// The objects before the command: these documents, and the pod.
    pub fn before(&self, documents: &[Yaml]) -> Vec<Yaml> {
        let pod = self.0.iter().flat_map(|(_, pod)| pod);
        documents.iter().chain(pod).cloned().collect()
    }

    /// Does what the command says: to the documents, or to the pod. `Err` says who refuses it.
    pub fn change(
        self,
        effect: &Effect,
        documents: &mut Vec<Yaml>,
        controllers: &mut Controllers,
        files: &[Yaml],
    ) -> Result<(), Refusal> {
        let Some((named, mut pod)) = self.0 else { return effect.change_objects(documents, files) };
        if let Effect::Delete(_) = effect {
            controllers.delete(&named.key());
            return Ok(());
        }
        effect.change_objects(&mut pod, files)?;
        // Nothing else of a pod's object changes what is made of it.
        let labels = pod.iter().flat_map(labels_of).filter_map(|(key, value)| Some((key, value?)));
        controllers.relabel(&named.key(), labels.collect());
        Ok(())
    }
}
