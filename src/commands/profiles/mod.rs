//! `healthctl profiles`: the conventions known, one in full, what it makes of a reply.

mod attempt;
mod judged;
mod listing;

use super::{Context, Error, ListFormat, surroundings};
use crate::exit::Exit;
use crate::inventory::{self, AvailableProfile};
use crate::text::{clean, nearest};

/// The flags of `profiles`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show this one in full.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// What it makes of a reply: a file as `curl -i` saves it (a mere body counts as 200, `-` is standard input), or a
    /// URL that is asked once for each probe.
    #[arg(long = "try", value_name = "FILE|URL")]
    pub(crate) attempt: Option<String>,
    /// With --try: only this probe of the profile.
    #[arg(long, value_name = "PROBE", requires = "attempt")]
    pub(crate) probe: Option<String>,
    /// Format.
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
}

/// Runs `healthctl profiles`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let known = known(context)?;
    let named = args
        .name
        .as_deref()
        .map(|name| find(&known, name))
        .transpose()?;
    if let Some(offered) = named.filter(|offered| offered.profile.is_none()) {
        context.tell_problems(&offered.problems);
        return Ok(Exit::Usage);
    }
    let probe = args.probe.as_deref();
    let text = match (&args.attempt, named) {
        (Some(what), named) => {
            let tries = if what.contains("://") {
                attempt::url(context, named, what, probe).await?
            } else {
                attempt::file(named, &known, what, probe)?
            };
            match args.output {
                _ if tries.is_empty() => return Err(Error::usage("no profile has such a probe")),
                ListFormat::Json => judged::json(&tries),
                ListFormat::Table => judged::text(&tries),
            }
        }
        (None, Some(offered)) if args.output == ListFormat::Json => listing::json_one(offered),
        // The file as it stands: a start for one's own.
        (None, Some(offered)) => offered.text.clone(),
        (None, None) if args.output == ListFormat::Json => listing::json(&known),
        (None, None) => listing::table(&known, context.color_stdout()),
    };
    if let Some(offered) = named {
        context.tell_problems(&offered.problems);
    }
    context.print(&text)?;
    Ok(Exit::Done)
}

/// All profiles within reach. One need not have an inventory to see them; one that was named has to be there.
fn known(context: &Context) -> Result<Vec<AvailableProfile>, Error> {
    surroundings::with(|around| {
        let chosen = match inventory::find(&context.global.file, around) {
            Ok(chosen) => Some(chosen),
            Err(problems) if !context.global.file.is_empty() => {
                return Err(Error::Inventory(problems));
            }
            Err(_) => None,
        };
        Ok(inventory::catalogue(chosen, around))
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
