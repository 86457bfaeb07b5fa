//! Variables of an environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Variables by name. They hold secrets: `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    texts: BTreeMap<String, String>,
    /// The names of those that are set to what is not UTF-8.
    others: BTreeSet<String>,
}

impl Variables {
    /// Whether a variable is set, but to what is not UTF-8.
    pub fn is_no_text(&self, name: &str) -> bool {
        self.others.contains(name) && !self.texts.contains_key(name)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.texts.keys()).finish()
    }
}

impl Deref for Variables {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.texts
    }
}

impl DerefMut for Variables {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.texts
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { texts: variables.into_iter().collect(), others: BTreeSet::new() }
    }
}

/// As the system has them. One with a name that is not UTF-8 nobody can ask for.
impl FromIterator<(OsString, OsString)> for Variables {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let mut all = Self::default();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(all.texts.insert(name, value)),
                Err(_) => drop(all.others.insert(name)),
            }
        }
        all
    }
}
