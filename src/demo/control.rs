//! The control socket: how `demo break` and `demo mend` reach the demo that runs.
//!
//! The directory of the socket is its user's alone, so whoever can connect may do so.

use std::path::{Path, PathBuf};

use rustix::process::Pid;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::attachment::Call;
use super::line::Line;
use super::order::Reply;
use super::seat::Newcomer;
use super::supervisor::Crew;
use super::{Error, Order, place};

/// Listens beside the inventory.
pub(super) fn listen(socket: &Path) -> Result<UnixListener, Error> {
    UnixListener::bind(socket).map_err(|error| Error::file("listen on", socket, &error))
}

/// Answers whoever calls, for as long as it is let.
pub(super) async fn serve(listener: UnixListener, crew: Crew) {
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                calls.spawn(answer(stream, crew.clone()));
            },
            // Who breaks off gets no answer; the next one does.
            Some(_) = calls.join_next() => {}
        }
    }
}

async fn answer(stream: UnixStream, crew: Crew) -> std::io::Result<()> {
    let caller = stream.peer_cred()?.pid().and_then(Pid::from_raw);
    let mut line = Line::new(stream);
    let reply = match line.hear().await {
        Ok(None) => return Ok(()),
        Ok(Some(Call::Order(order))) => crew.carry_out(order).await,
        Ok(Some(Call::Attach(name))) => match caller {
            Some(pid) => {
                crew.seat(&name, Newcomer { line, pid }).await;
                return Ok(());
            }
            None => Err(Error::new("it cannot be told here which process calls")),
        },
        Err(error) => Err(Error::new(format!("not to be understood: {error}"))),
    };
    line.say(&reply).await
}

/// Sends an order to the running demo: the one whose inventory is among the files given, else the
/// only one there is.
pub(crate) async fn send(order: &Order, files: &[PathBuf]) -> Reply {
    // Before a demo is looked for: a wrong name is wrong in all of them.
    order.check()?;
    let mut line = Line::new(find(files).await?);
    let lost = |error: std::io::Error| Error::new(format!("the demo does not answer: {error}"));
    line.say(&Call::Order(order.clone())).await.map_err(lost)?;
    let reply: Option<Reply> = line.hear().await.map_err(lost)?;
    reply.unwrap_or_else(|| Err(Error::new("the demo ended meanwhile")))
}

async fn find(files: &[PathBuf]) -> Result<UnixStream, Error> {
    for file in files {
        if let Ok(stream) = UnixStream::connect(place::socket_beside(file)).await {
            return Ok(stream);
        }
    }
    let mut running = Vec::new();
    for file in place::inventories() {
        if let Ok(stream) = UnixStream::connect(place::socket_beside(&file)).await {
            running.push((file, stream));
        }
    }
    if running.len() > 1 {
        let names: Vec<_> = running
            .iter()
            .map(|(file, _)| format!("  -f {}", file.display()))
            .collect();
        return Err(Error::hint(
            "several demos are running",
            format!("name one by its inventory:\n{}", names.join("\n")),
        ));
    }
    running.pop().map(|(_, stream)| stream).ok_or_else(|| {
        Error::hint(
            "no demo is running",
            "start one in another terminal: `healthctl demo`",
        )
    })
}
