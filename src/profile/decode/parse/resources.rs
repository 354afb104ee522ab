//! `resources:` as a profile writes it.

use super::Parser;
use super::places::Setting;
use crate::profile::decode::resources::Resources;
use crate::yaml::{Entry, Value};

impl Parser<'_> {
    /// Places, or a map from names of our own to places.
    pub(super) fn resources(&mut self, entry: Option<&Entry>) -> Resources {
        let by_name = entry.and_then(|entry| match &entry.value.value {
            Value::Map(named) => {
                let own = ["at", "unit", "never", "words"];
                let is_place = named.iter().any(|it| own.contains(&it.key.as_str()));
                (!is_place).then_some(named)
            }
            _ => None,
        });
        match by_name {
            None => Resources::At(self.places(entry, Setting::Text)),
            Some(named) => Resources::Named(
                named
                    .iter()
                    .map(|entry| {
                        (
                            entry.key.clone(),
                            self.places(Some(entry), Setting::Duration),
                        )
                    })
                    .collect(),
            ),
        }
    }
}
