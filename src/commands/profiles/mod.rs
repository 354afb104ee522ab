//! `healthctl profiles`: lists the profiles, shows one in full, and tries them on a saved reply or a running service.

mod trial;

use serde_json::{Value, json};

use super::{Context, Error, ListFormat, environment};
use crate::exit::Exit;
use crate::inventory::{self, AvailableProfile};
use crate::profile::{Profile, ProfileSource};
use crate::text::{TextTable, clean, nearest};

/// The flags of `profiles`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show this profile in full.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Try the profile on a reply: a file as `curl -i` saves it (a body alone counts as 200, `-` is standard input), or a
    /// URL that is probed once by each probe.
    #[arg(long = "try", value_name = "FILE|URL")]
    pub(crate) attempt: Option<String>,
    /// With --try: only this probe of the profile.
    #[arg(long, value_name = "PROBE", requires = "attempt")]
    pub(crate) probe: Option<String>,
    /// Format of the list.
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let known = known(context)?;
    let name = args.name.as_deref();
    let named = name.map(|name| find(&known, name)).transpose()?;
    if let Some(offered) = named.filter(|offered| offered.profile.is_none()) {
        context.print_problems(&offered.problems);
        return Ok(Exit::Usage);
    }
    let json = args.output == ListFormat::Json;
    let probe = args.probe.as_deref();
    let text = match (&args.attempt, named) {
        (Some(reply), named) => {
            let trials = if reply.contains("://") {
                trial::of_url(context, named, reply, probe).await?
            } else {
                trial::of_file(named, &known, reply, probe)?
            };
            if trials.is_empty() {
                return Err(Error::usage("no profile has such a probe"));
            }
            if json {
                trial::json(&trials)
            } else {
                trial::text(&trials)
            }
        }
        (None, Some(offered)) if json => json_one(offered),
        // The file as it stands, to begin a profile of one's own with.
        (None, Some(offered)) => offered.text.clone(),
        (None, None) if json => {
            let profiles: Vec<Value> = known.iter().map(entry).collect();
            format!("{}\n", json!({"schema_version": 1, "profiles": profiles}))
        }
        (None, None) => table(&known, context.color_stdout()),
    };
    if let Some(offered) = named {
        context.print_problems(&offered.problems);
    }
    context.print(&text)?;
    Ok(Exit::Done)
}

/// Returns all profiles within reach. They need no inventory; but one that was named has to be there.
fn known(context: &Context) -> Result<Vec<AvailableProfile>, Error> {
    environment::with(|environment| {
        let chosen = match inventory::find(&context.global.file, environment) {
            Ok(chosen) => Some(chosen),
            Err(problems) if !context.global.file.is_empty() => {
                return Err(Error::Inventory(problems));
            }
            Err(_) => None,
        };
        Ok(inventory::catalogue(chosen, environment))
    })
}

fn find<'a>(known: &'a [AvailableProfile], name: &str) -> Result<&'a AvailableProfile, Error> {
    let names = known.iter().map(|offered| offered.name.as_str());
    let hint = nearest(name, names.clone()).map_or_else(
        || format!("known profiles: {}", names.collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    let found = known.iter().find(|offered| offered.name == name);
    found.ok_or_else(|| {
        Error::usage_hint(format!("there is no profile `{}`", clean(name, 80)), hint)
    })
}

fn table(known: &[AvailableProfile], color: bool) -> String {
    let titles = ["PROFILE", "TITLE", "SOURCE", "PROBES", "ACTIONS", "FROM"];
    let mut table = TextTable::new(&titles, color);
    for offered in known {
        let profile = offered.profile.as_deref();
        let title = match profile {
            Some(profile) => profile.title.clone(),
            None => Some(unusable(offered.problems.error_count())),
        };
        let source = profile.and_then(|profile| profile.source);
        table.add_texts([
            Some(offered.name.clone()),
            title,
            source.map(|source| source.as_str().to_owned()),
            profile.map(|profile| probes(profile).join(" ")),
            profile.map(|profile| actions(profile).join(" ")),
            Some(offered.origin.clone()),
        ]);
    }
    table.to_string()
}

fn unusable(mistakes: usize) -> String {
    let plural = if mistakes == 1 { "" } else { "s" };
    format!("cannot be used: {mistakes} mistake{plural}, see `healthctl validate`")
}

/// Returns one profile with its text.
fn json_one(offered: &AvailableProfile) -> String {
    let mut entry = entry(offered);
    if let Some(map) = entry.as_object_mut() {
        map.insert("schema_version".to_owned(), json!(1));
        map.insert("yaml".to_owned(), json!(offered.text));
    }
    format!("{entry}\n")
}

fn entry(offered: &AvailableProfile) -> Value {
    let profile = offered.profile.as_deref();
    json!({
        "name": offered.name,
        "title": profile.and_then(|profile| profile.title.as_deref()),
        "source": profile.and_then(|profile| profile.source).map(ProfileSource::as_str),
        "probes": profile.map(probes),
        "actions": profile.map(actions),
        "from": offered.origin,
        "mistakes": offered.problems.error_count(),
    })
}

fn probes(profile: &Profile) -> Vec<&str> {
    profile.probes.keys().map(String::as_str).collect()
}

fn actions(profile: &Profile) -> Vec<&str> {
    let actions = profile.actions.0.iter();
    actions.map(|action| action.name.value.as_str()).collect()
}
