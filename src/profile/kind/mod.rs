//! Probe kinds: how each is written, checked, described and shown. The file of the same name in `probe` runs it.
//!
//! The list below declares the modules, here and in `probe`. A further kind is a file in each of the two folders and
//! one line of the list.

mod context;

pub(crate) use context::{KindContext, ProbeAddress, ProbeSpec, RawKind};

use crate::yaml::{Entry, Fields, Place, Problem, Problems};

use super::annotated::AnnotatedYaml;
use super::raw::read::{self, check_single};
use super::raw::request::HttpRequest;
use super::raw::secret::Variables;
use super::setting::{Level, Spanned, select};

/// Hands the list of kinds to a macro: the module, which is also the key in a probe, the variant, the type as written.
macro_rules! probe_kinds {
    ($generate:ident) => {
        $generate! {
            http Http RawHttp,
            tcp Tcp RawTcp,
            exec Exec RawExec,
        }
    };
}
pub(crate) use probe_kinds;

macro_rules! declare {
    ($($module:ident $variant:ident $raw:ident,)+) => {
        $(pub(crate) mod $module;)+

        /// The kind of a probe with its question.
        #[derive(Debug, Clone)]
        pub(crate) enum ProbeKind {
            $($variant(<$module::$raw as RawKind>::Spec),)+
        }

        /// The kind of a probe as written.
        #[derive(Debug, Clone)]
        pub(crate) enum RawProbeKind {
            $($variant($module::$raw),)+
        }

        /// The key of each kind, and the keys beside it to which the kind gives a meaning.
        const KINDS: &[(&str, &[&str])] = &[
            $((stringify!($module), <$module::$raw as RawKind>::KEYS),)+
        ];

        impl RawProbeKind {
            fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
                match entry.key.as_str() {
                    $(stringify!($module) => {
                        <$module::$raw as RawKind>::read(entry, problems).map(Self::$variant)
                    })+
                    _ => None,
                }
            }

            /// Returns the key of the kind.
            pub(crate) const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($module),)+
                }
            }
        }

        impl ProbeKind {
            /// Returns the key of the kind: `http`, `tcp`, `exec`.
            pub(crate) const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($module),)+
                }
            }

            fn spec(&self) -> &dyn ProbeSpec {
                match self {
                    $(Self::$variant(spec) => spec,)+
                }
            }

            /// Lets the question use the variables of an `env_file`.
            pub(crate) fn add_variables(&mut self, variables: &Variables) {
                match self {
                    $(Self::$variant(spec) => ProbeSpec::add_variables(spec, variables),)+
                }
            }

            /// Merges the levels, the weakest first; the strongest one says which kind it is.
            pub(crate) fn resolve(
                levels: &[(Level<'_>, &RawProbeKind)],
                context: &KindContext<'_>,
                problems: &mut Problems,
            ) -> Option<Self> {
                match levels.last()?.1 {
                    $(RawProbeKind::$variant(_) => {
                        let levels = of_kind!(levels, $variant);
                        RawKind::resolve(&levels, context, problems).map(Self::$variant)
                    })+
                }
            }

            /// Shows the keys that name the question.
            pub(crate) fn show(
                &self,
                levels: &[(Level<'_>, &RawProbeKind)],
                context: &KindContext<'_>,
                out: &mut AnnotatedYaml,
            ) {
                match self {
                    $(Self::$variant(spec) => {
                        <$module::$raw as RawKind>::show(spec, &of_kind!(levels, $variant), context, out);
                    })+
                }
            }
        }

        /// Returns the place of what makes every answer one without a body.
        pub(crate) fn without_body<'a>(levels: &[(Level<'a>, &'a RawProbeKind)]) -> Option<&'a Place> {
            match levels.last()?.1 {
                $(RawProbeKind::$variant(_) => RawKind::without_body(&of_kind!(levels, $variant)),)+
            }
        }
    };
}

/// The levels that name this kind.
macro_rules! of_kind {
    ($levels:expr, $variant:ident) => {{
        select($levels, |raw| match raw {
            RawProbeKind::$variant(raw) => Some(raw),
            _ => None,
        })
    }};
}

probe_kinds!(declare);

/// The key of a kind of probe that is planned; it excludes the others all the same.
pub(crate) const GRPC: &str = "grpc";

impl Default for ProbeKind {
    fn default() -> Self {
        Self::Exec(super::raw::command::Exec::default())
    }
}

impl ProbeKind {
    /// Returns what is asked, for people: no password, no control character.
    pub(crate) fn target(&self) -> String {
        crate::text::clean(&self.spec().target(), 300)
    }

    /// Returns the address that is connected to, if any.
    pub(crate) fn address(&self) -> Option<ProbeAddress<'_>> {
        self.spec().address()
    }

    /// Returns the HTTP request, if that is what is asked.
    pub(crate) fn request(&self) -> Option<&HttpRequest> {
        match self {
            Self::Http(request) => Some(request),
            _ => None,
        }
    }

    /// Shows the keys of a request beside the question, below the settings that every kind has.
    pub(crate) fn show_request(
        &self,
        levels: &[(Level<'_>, &RawProbeKind)],
        context: &KindContext<'_>,
        out: &mut AnnotatedYaml,
    ) {
        if let Self::Http(request) = self {
            http::show_request(request, &of_kind!(levels, Http), context, out);
        }
    }
}

/// Returns whether a key of a probe means something to this kind.
pub(crate) fn accepts_key(kind: &str, key: &str) -> bool {
    let owners = owners(key);
    owners.is_empty() || owners.contains(&kind)
}

impl RawProbeKind {
    /// Takes the key that names the kind. Returns whether one is written, even if it could not be read.
    pub(crate) fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> (Option<Self>, bool) {
        let keys = KINDS.iter().filter_map(|(key, _)| fields.take(key));
        let given: Vec<&Entry> = keys.collect();
        let hint = "a probe asks in one way; a second question is a second probe";
        check_single(&given, hint, problems);
        let mut kinds = given.iter().map(|entry| Self::read(entry, problems));
        let kinds: Vec<Option<Self>> = kinds.by_ref().collect();
        (kinds.into_iter().flatten().next(), !given.is_empty())
    }
}

/// Returns the kinds that give a meaning to a key, where not every kind does.
fn owners(key: &str) -> Vec<&'static str> {
    let kinds = KINDS.iter().filter(|(_, keys)| keys.contains(&key));
    kinds.map(|(kind, _)| *kind).collect()
}

/// Returns whether only some kinds give a meaning to a key.
pub(crate) fn is_kind_specific(key: &str) -> bool {
    !owners(key).is_empty()
}

/// Returns whether a key in a stronger file takes away a key of a weaker one: a probe by TCP laid over one by HTTP is
/// one by TCP.
pub(crate) fn takes_away(above: &str, below: &str) -> bool {
    let of_kind = |key: &str| KINDS.iter().find(|(kind, _)| *kind == key);
    match of_kind(above) {
        Some((_, keys)) => {
            let other = below == GRPC || (of_kind(below).is_some() && below != above);
            other || (is_kind_specific(below) && !keys.contains(&below))
        }
        None => above == GRPC && of_kind(below).is_some(),
    }
}

/// Reports keys that mean nothing to a probe of this kind.
pub(crate) fn check_keys(kind: &str, keys: &[Spanned<String>], problems: &mut Problems) {
    read::check_keys(keys, "a probe", kind, owners, problems);
}

/// Returns the problem that a probe does not say what to ask.
pub(crate) fn asks_nothing(name: &Spanned<String>) -> Problem {
    let mut kinds: Vec<String> = KINDS.iter().map(|(kind, _)| format!("`{kind}`")).collect();
    let last = kinds.pop().unwrap_or_default();
    let message = format!("the probe `{}` does not say what to ask", name.value);
    Problem::at(&name.place, message)
        .label(format!("expected {} or {last}", kinds.join(", ")))
        .hint("for example `{http: /health}` or `{tcp: \"localhost:6379\"}`")
}
