//! A small map: pairs in the order of their coming, found by looking at each, at the youngest first. The views keep a handful of keys; a tree
//! for each kind of key would cost the page more than it gives.

/// A map for a handful of keys.
#[derive(Clone, Debug)]
pub struct Assoc<K, V>(Vec<(K, V)>);

impl<K, V> Default for Assoc<K, V> {
    fn default() -> Assoc<K, V> {
        Assoc(Vec::new())
    }
}

impl<K: PartialEq, V> Assoc<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The value of a key, for writing.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.iter_mut().rev().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Sets the value of a key.
    pub fn set(&mut self, key: K, value: V) {
        match self.get_mut(&key) {
            Some(v) => *v = value,
            None => self.0.push((key, value)),
        }
    }

    /// The value of a key, which is made if it has none.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    /// The same for values that know more than their type.
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = self.0.iter().rposition(|(k, _)| *k == key).unwrap_or_else(|| {
            self.0.push((key, make()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Keeps the pairs for which it is true.
    pub fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        self.0.retain(|(k, v)| keep(k, v));
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> + '_ {
        self.0.iter()
    }
}
