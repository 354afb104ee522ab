//! `healthctl show`: one service resolved, with where each value comes from.

use super::{Context, Error};
use crate::exit::Exit;
use crate::inventory;
use crate::yaml::nearest;

/// The flags of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of a service.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Runs `healthctl show`.
#[expect(clippy::unused_async, reason = "every command is run in the same way")]
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let loaded = context.inventory()?;
    let Some(text) = inventory::show(&loaded, &args.name) else {
        let names = loaded.inventory.services.keys().map(String::as_str);
        let hint = nearest(&args.name, names.clone()).map_or_else(
            || {
                let names: Vec<&str> = names.take(20).collect();
                format!("the inventory holds: {}", names.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        let name = crate::health::text::clean(&args.name, 80);
        return Err(Error::usage_hint(
            format!("the inventory has no service `{name}`"),
            hint,
        ));
    };
    context.print(&text)?;
    Ok(Exit::Done)
}
