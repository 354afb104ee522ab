//! Settings: keys of the inventory that are declared once, each with its type, its default, its documentation and the
//! version that brought it.
//!
//! The macro `settings!` makes of a declaration the type as written, the resolved type, the reader, the merge of
//! several levels, the lines of `show` and the rows of the reference of keys. A default value stands in a declaration
//! and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_yaml::Value as Yaml;

use crate::health::{HotFiles, RestartCause, VerdictPolicy};
use crate::yaml::{Entry, Fields, Node, Place, Problems};

use super::annotated::AnnotatedYaml;
use super::{Connection, Proxy, Target};

/// A value and the place where it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    /// The place of the value, or of its key.
    pub(crate) place: Place,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, node: &Node) -> Self {
        Self {
            value,
            place: node.place.clone(),
        }
    }
}

impl Spanned<String> {
    pub(crate) fn key(entry: &Entry) -> Self {
        Self {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        }
    }
}

/// The level on which a value was written; a later one is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level<'a> {
    /// `defaults` of a file.
    Defaults,
    /// A profile; `own`: its probe or action. A place in one that is built in means nothing to a user.
    Profile {
        name: &'a str,
        builtin: bool,
        own: bool,
    },
    /// The service; `own`: its probe or action.
    Service { own: bool },
}

impl Level<'_> {
    /// Returns whether something is written for one probe or action alone.
    pub(crate) const fn is_own(self) -> bool {
        match self {
            Self::Defaults => false,
            Self::Profile { own, .. } | Self::Service { own } => own,
        }
    }
}

/// The origin of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// The value is the default.
    BuiltIn,
    Written(Level<'a>, &'a Place),
}

impl From<Origin<'_>> for String {
    fn from(origin: Origin<'_>) -> Self {
        match origin {
            Origin::BuiltIn => "built in".to_owned(),
            Origin::Written(Level::Defaults, place) => format!("defaults, {}", place.short()),
            Origin::Written(Level::Service { .. }, place) => place.short(),
            Origin::Written(Level::Profile { name, builtin, .. }, place) => {
                if builtin {
                    format!("profile {name}")
                } else {
                    format!("profile {name}, {}", place.short())
                }
            }
        }
    }
}

/// A value after the merge of all levels, with the origin of the one that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a, T> {
    pub(crate) value: T,
    pub(crate) origin: Origin<'a>,
}

impl<'a, T> Setting<'a, T> {
    pub(crate) const fn built_in(value: T) -> Self {
        Self {
            value,
            origin: Origin::BuiltIn,
        }
    }

    pub(crate) fn written(level: Level<'a>, at: &'a Spanned<T>) -> Setting<'a, &'a T> {
        Setting {
            value: &at.value,
            origin: Origin::Written(level, &at.place),
        }
    }
}

impl<'a, T: Copy> Setting<'a, &T> {
    pub(crate) const fn copied(self) -> Setting<'a, T> {
        Setting {
            value: *self.value,
            origin: self.origin,
        }
    }
}

/// The same part of several levels, the weakest first.
pub(crate) type Levels<'s, 'a, R> = &'s [(Level<'a>, &'a R)];

/// Returns the value of the strongest level that has one.
pub(crate) fn strongest<'a, R, T>(
    levels: Levels<'_, 'a, R>,
    get: impl Fn(&'a R) -> Option<&'a Spanned<T>>,
) -> Option<Setting<'a, &'a T>> {
    let mut levels = levels.iter().rev();
    levels.find_map(|(level, raw)| Some(Setting::<T>::written(*level, get(raw)?)))
}

/// Returns the origin of the value of the strongest level that has one.
pub(crate) fn origin<'a, R, T: 'a>(
    levels: Levels<'_, 'a, R>,
    get: impl Fn(&'a R) -> Option<&'a Spanned<T>>,
) -> Origin<'a> {
    strongest(levels, get).map_or(Origin::BuiltIn, |setting| setting.origin)
}

/// Returns the part of what each level says that `get` selects.
pub(crate) fn select<'a, R, P>(
    levels: Levels<'_, 'a, R>,
    get: impl Fn(&'a R) -> Option<&'a P>,
) -> Vec<(Level<'a>, &'a P)> {
    let levels = levels.iter();
    levels
        .filter_map(|(level, raw)| Some((*level, get(raw)?)))
        .collect()
}

/// A type of value that a key of the inventory can hold.
pub(crate) trait SettingValue {
    /// The type that the rest of the program works with.
    type Resolved;

    fn resolved(&self) -> Self::Resolved;

    /// Returns the value as it could stand in an inventory.
    fn yaml(&self) -> Yaml;

    /// Shows the key; a map shows each of its keys.
    fn show(key: &str, setting: Setting<'_, &Self>, out: &mut AnnotatedYaml) {
        out.leaf(key, setting.value.yaml(), setting.origin);
    }
}

/// Implements [`SettingValue`] for types that are the same as written and as resolved.
macro_rules! plain_values {
    ($($type:ty: |$value:ident| $yaml:expr;)*) => {
        $(impl SettingValue for $type {
            type Resolved = Self;

            fn resolved(&self) -> Self {
                self.clone()
            }

            fn yaml(&self) -> Yaml {
                let $value = self;
                $yaml.into()
            }
        })*
    };
}

plain_values! {
    bool: |value| *value;
    u32: |value| *value;
    // A size in bytes.
    u64: |value| crate::text::format_size(*value);
    // Exit statuses.
    Vec<i32>: |value| value.iter().map(|it| Yaml::from(*it)).collect::<Vec<_>>();
    String: |value| value.as_str();
    Duration: |value| crate::text::format_duration(*value).to_string();
    PathBuf: |value| path(value);
    Target: |value| value.to_string();
    VerdictPolicy: |value| value.as_str();
    Connection: |value| value.as_str();
    Proxy: |value| value.to_string();
}

/// A list of names: each counts once, in the order written.
impl SettingValue for Vec<Spanned<String>> {
    type Resolved = Vec<String>;

    fn resolved(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.len());
        for name in self {
            if !names.contains(&name.value) {
                names.push(name.value.clone());
            }
        }
        names
    }

    fn yaml(&self) -> Yaml {
        let names = self.resolved();
        names.into_iter().map(Yaml::from).collect::<Vec<_>>().into()
    }
}

/// Lists of words of a closed set.
macro_rules! word_lists {
    ($($word:ty)*) => {$(
        impl SettingValue for Vec<Spanned<$word>> {
            type Resolved = BTreeSet<$word>;

            fn resolved(&self) -> BTreeSet<$word> {
                self.iter().map(|word| word.value).collect()
            }

            fn yaml(&self) -> Yaml {
                let words = self.resolved().into_iter();
                let words = words.map(|word| Yaml::from(word.as_str()));
                words.collect::<Vec<_>>().into()
            }
        }
    )*};
}
word_lists! { RestartCause HotFiles }

/// A map from names of the user's own to text.
pub(crate) type NamedTexts = Vec<(Spanned<String>, String)>;

impl SettingValue for NamedTexts {
    type Resolved = BTreeMap<String, String>;

    fn resolved(&self) -> BTreeMap<String, String> {
        let texts = self.iter();
        texts
            .map(|(name, text)| (name.value.clone(), text.clone()))
            .collect()
    }

    fn yaml(&self) -> Yaml {
        let texts = self.iter();
        let entries = texts.map(|(name, text)| (name.value.as_str().into(), text.as_str().into()));
        Yaml::Mapping(entries.collect())
    }

    fn show(key: &str, setting: Setting<'_, &Self>, out: &mut AnnotatedYaml) {
        let first = setting.value.first();
        out.open(key, first.map(|(name, _)| name.place.short()));
        for (name, text) in setting.value {
            out.leaf(&name.value, text.as_str(), name.place.short());
        }
        out.close();
    }
}

/// Returns a path as it could stand in an inventory; the current directory is `.`.
pub(crate) fn path(path: &std::path::Path) -> String {
    if path == std::path::Path::new("") {
        return ".".to_owned();
    }
    crate::text::clean(&path.display().to_string(), 300)
}

/// The declaration of one key, for messages, `show` and the reference of keys.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "a test writes the reference of keys into the README"
    )
)]
pub(crate) struct Declaration<R: 'static> {
    pub(crate) name: &'static str,
    /// The other name of the key.
    pub(crate) alias: Option<&'static str>,
    /// The type in words: `duration`, `path`.
    pub(crate) kind: &'static str,
    pub(crate) doc: &'static str,
    /// The version that brought the key.
    pub(crate) since: &'static str,
    /// The default as it could stand in an inventory.
    pub(crate) default: fn() -> Option<Yaml>,
    pub(crate) show: fn(Levels<'_, '_, R>, &mut AnnotatedYaml),
}

/// Takes a key, by either of its names.
pub(crate) fn take<T>(
    fields: &mut Fields<'_>,
    (name, alias): (&'static str, Option<&'static str>),
    read: impl Fn(&Entry, &mut Problems) -> Option<Spanned<T>>,
    problems: &mut Problems,
) -> Option<Spanned<T>> {
    let named = fields.take(name);
    let other = alias.and_then(|alias| fields.take(alias));
    if let (Some(first), Some(second)) = (named, other) {
        second
            .problem(format!("is the other name of `{name}`"))
            .label("here again")
            .related(&first.key_place, "first here")
            .hint("keep one of them")
            .report(problems);
    }
    let named_value = named.and_then(|entry| read(entry, problems));
    let other_value = other.and_then(|entry| read(entry, problems));
    match named {
        Some(_) => named_value,
        None => other_value,
    }
}

/// Declares settings; see the documentation of this module.
///
/// A setting is `name [or "alias"]: Type, mode, "type in words", since "version", reader;` where `mode` is one of
/// `optional` (`None` where nobody wrote it), `or_empty` (the empty value, which `show` leaves out) and
/// `default(value)`. The fields of the resolved type in front of the settings are filled in by hand.
macro_rules! settings {
    (
        $(#[$raw_meta:meta])*
        raw $raw:ident;
        $(#[$meta:meta])*
        resolved $resolved:ident { $($(#[$own_meta:meta])* $own:ident: $own_type:ty = $own_default:expr,)* }
        $(
            $(#[doc = $doc:literal])+
            $name:ident $(or $alias:literal)?: $type:ty, $mode:ident $(($default:expr))?, $kind:literal,
            since $since:literal, $read:expr;
        )+
    ) => {
        $(#[$raw_meta])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $raw {
            $($(#[doc = $doc])+ pub(crate) $name: Option<$crate::profile::setting::Spanned<$type>>,)+
        }

        $(#[$meta])*
        pub(crate) struct $resolved {
            $($(#[$own_meta])* pub(crate) $own: $own_type,)*
            $($(#[doc = $doc])+ pub(crate) $name: $crate::profile::setting::resolved_type!($mode $type),)+
        }

        impl Default for $resolved {
            fn default() -> Self {
                $raw::resolve(&[])
            }
        }

        impl $raw {
            /// The declarations, in the order in which they are shown.
            pub(crate) const DECLARED: &'static [$crate::profile::setting::Declaration<Self>] = &[
                $($crate::profile::setting::Declaration {
                    name: stringify!($name),
                    alias: [$(Some($alias),)? None][0],
                    kind: $kind,
                    doc: concat!($($doc),+),
                    since: $since,
                    default: || $crate::profile::setting::default_yaml!($mode $(($default))?, $type),
                    show: |levels, out| {
                        let found = $crate::profile::setting::strongest(levels, |raw: &Self| raw.$name.as_ref());
                        $crate::profile::setting::show_setting!(
                            $mode $(($default))?, $type, stringify!($name), found, out
                        );
                    },
                },)+
            ];

            /// Takes the keys out of the fields of a map.
            pub(crate) fn take(
                fields: &mut $crate::yaml::Fields<'_>,
                problems: &mut $crate::yaml::Problems,
            ) -> Self {
                Self {
                    $($name: $crate::profile::setting::take(
                        fields,
                        (stringify!($name), [$(Some($alias),)? None][0]),
                        $read,
                        problems,
                    ),)+
                }
            }

            /// Merges the levels: of each key the strongest value counts, else the default.
            pub(crate) fn resolve(levels: $crate::profile::setting::Levels<'_, '_, Self>) -> $resolved {
                $resolved {
                    $($own: $own_default,)*
                    $($name: {
                        let found = $crate::profile::setting::strongest(levels, |raw: &Self| raw.$name.as_ref());
                        $crate::profile::setting::resolved_value!($mode $(($default))?, $type, found)
                    },)+
                }
            }
        }
    };
}

/// The resolved type of a setting.
macro_rules! resolved_type {
    (optional $type:ty) => { Option<<$type as $crate::profile::setting::SettingValue>::Resolved> };
    ($mode:ident $type:ty) => { <$type as $crate::profile::setting::SettingValue>::Resolved };
}

/// The resolved value of a setting.
macro_rules! resolved_value {
    (optional, $type:ty, $found:ident) => {
        $found.map(|setting| $crate::profile::setting::SettingValue::resolved(setting.value))
    };
    (or_empty, $type:ty, $found:ident) => {
        $found.map_or_else(Default::default, |setting| {
            $crate::profile::setting::SettingValue::resolved(setting.value)
        })
    };
    (default($default:expr), $type:ty, $found:ident) => {{
        let default: $type = $default;
        let value = $found.map_or(&default, |setting| setting.value);
        $crate::profile::setting::SettingValue::resolved(value)
    }};
}

/// The lines of a setting.
macro_rules! show_setting {
    (optional, $type:ty, $name:expr, $found:ident, $out:ident) => {
        if let Some(setting) = $found {
            <$type as $crate::profile::setting::SettingValue>::show($name, setting, $out);
        }
    };
    (or_empty, $type:ty, $name:expr, $found:ident, $out:ident) => {
        if let Some(setting) = $found.filter(|setting| *setting.value != <$type>::default()) {
            <$type as $crate::profile::setting::SettingValue>::show($name, setting, $out);
        }
    };
    (default($default:expr), $type:ty, $name:expr, $found:ident, $out:ident) => {
        let default: $type = $default;
        let setting = $found.unwrap_or($crate::profile::setting::Setting::built_in(&default));
        <$type as $crate::profile::setting::SettingValue>::show($name, setting, $out);
    };
}

/// A default as it could stand in an inventory.
macro_rules! default_yaml {
    (default($default:expr), $type:ty) => {{
        let default: $type = $default;
        Some($crate::profile::setting::SettingValue::yaml(&default))
    }};
    ($mode:ident, $type:ty) => {
        None
    };
}

pub(crate) use {default_yaml, resolved_type, resolved_value, settings, show_setting};
