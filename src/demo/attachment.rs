//! How a service comes to the demo, whoever has started it: by the control socket in the directory
//! that it runs in. The connection brings it its orders and is its life line.

use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::announcement::Announcement;
use super::fleet::Member;
use super::line::Line;
use super::{Error, Order, place};

/// What is said first on the control socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Call {
    /// A hand wants something done.
    Order(Order),
    /// A process is the service of this name from now on.
    Attach(String),
}

/// What a service is told when it comes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// All is well, until something is broken by hand.
    pub(super) calm: bool,
    /// Where it reports to, if it does.
    pub(super) control_plane: Option<SocketAddr>,
    /// Where the one before it was: it has to be in the same places.
    pub(super) before: Announcement,
    /// What was broken or mended by hand; the last word on each thing.
    pub(super) orders: Vec<Order>,
}

/// Attaches this process to the demo in whose directory it runs.
pub(super) async fn attach(member: &Member) -> Result<(Line, Assignment), Error> {
    let mut line = Line::connect(Path::new(place::SOCKET))
        .await
        .map_err(|error| {
            let here = std::env::current_dir().unwrap_or_default();
            Error::hint(
                format!(
                    "{} lives and ends with a demo, and none is running in {}: {error}",
                    member.name,
                    here.display()
                ),
                "start one: `healthctl demo`",
            )
        })?;
    let lost = |error: std::io::Error| Error::new(format!("the demo does not answer: {error}"));
    let call = Call::Attach(member.name.to_owned());
    line.say(&call).await.map_err(lost)?;
    let answer: Option<Result<Assignment, Error>> = line.hear().await.map_err(lost)?;
    let assignment = answer.unwrap_or_else(|| Err(Error::new("the demo has ended")))?;
    Ok((line, assignment))
}
