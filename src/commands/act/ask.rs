//! The questions to the person at the terminal. Silence, an end of input and anything but yes mean no.

use std::io::{self, IsTerminal, Write};

use crate::action::{MissingConsent, Proposal, ProposedAction};
use crate::commands::Context;
use crate::text;

/// Tells whether there is a person to ask.
pub(super) fn possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Shows what would be done to each service and, for several services, in which order.
pub(super) fn show(context: &Context, proposal: &Proposal) {
    for offer in &proposal.offers {
        let protected = if offer.protected { " (protected)" } else { "" };
        let then = match &offer.then {
            Some(then) => format!("\n  then     {then}"),
            None => String::new(),
        };
        let more = |label, text: &Option<String>| match text {
            Some(text) => format!("\n  {label:<9}{text}"),
            None => String::new(),
        };
        let after_reply = more("then", &offer.after_reply);
        let otherwise = more("or", &offer.otherwise);
        context.message(&format!(
            "{} {}{protected}\n  means    {}\n  request  {}{after_reply}{otherwise}{then}\n  target   {}\n  at most  {}",
            offer.action,
            offer.service,
            offer.means,
            offer.request,
            offer.target,
            text::format_duration(offer.timeout),
        ));
    }
    if proposal.offers.len() > 1 {
        context.message(&format!("in this order: {}", proposal.sequence()));
    }
}

/// Asks for all consent that is missing. Returns true where everything was agreed to.
pub(super) async fn all(
    context: &Context,
    offers: &[ProposedAction],
    missing: &MissingConsent,
) -> bool {
    for name in &missing.type_names {
        let prompt = format!("`{name}` is protected. Type its name to go on: ");
        if answer(context, prompt).await.as_deref() != Some(name.as_str()) {
            return false;
        }
    }
    if !missing.agree {
        return true;
    }
    let prompt = match offers {
        [one] => format!("{} {}? [y/N] ", one.action, one.service),
        several => format!("Go on with these {}? [y/N] ", several.len()),
    };
    let answer = answer(context, prompt).await.unwrap_or_default();
    matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Reads the line that is typed after a prompt; `None` at the end of input.
async fn answer(context: &Context, prompt: String) -> Option<String> {
    // Nobody can answer what cannot be read.
    write!(io::stderr().lock(), "{prompt}").ok()?;
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let count = io::stdin().read_line(&mut line).ok()?;
        (count > 0).then(|| line.trim().to_owned())
    })
    .await
    .ok()?;
    if line.is_none() {
        context.message("");
    }
    line
}
