//! The control socket: how `demo break` and `demo mend` reach the demo that runs.
//!
//! The directory of the socket is its user's alone, so whoever can connect may do so.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::supervisor::Crew;
use super::{Error, Order, place};

/// More than any order needs.
const LONGEST_LINE: u64 = 4096;

type Reply = Result<(), Error>;

/// Listens beside the inventory.
pub(super) fn listen(socket: &Path) -> Result<UnixListener, Error> {
    UnixListener::bind(socket).map_err(|error| Error::file("listen on", socket, &error))
}

/// Answers one order after the other, for as long as it is let.
pub(super) async fn serve(listener: UnixListener, crew: Crew) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // Who breaks off gets no answer; the next one does.
            let _ = answer(stream, &crew).await;
        }
    }
}

async fn answer(mut stream: UnixStream, crew: &Crew) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    BufReader::new(reader.take(LONGEST_LINE))
        .read_line(&mut line)
        .await?;
    let reply: Reply = match serde_json::from_str::<Order>(&line) {
        Ok(order) => crew.carry_out(order).await,
        Err(error) => Err(Error::new(format!("not an order: {error}"))),
    };
    let mut line = serde_json::to_string(&reply)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await
}

/// Sends an order to the running demo: the one whose inventory is among the files given, else the
/// only one there is.
pub(crate) async fn send(order: &Order, files: &[PathBuf]) -> Reply {
    // Before a demo is looked for: a wrong name is wrong in all of them.
    order.check()?;
    let mut stream = find(files).await?;
    let lost = |error: std::io::Error| Error::new(format!("the demo does not answer: {error}"));
    let mut line = serde_json::to_string(order)
        .map_err(|error| Error::new(format!("cannot write the order: {error}")))?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(lost)?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE))
        .read_line(&mut line)
        .await
        .map_err(lost)?;
    serde_json::from_str(&line).unwrap_or_else(|_| Err(Error::new("the demo ended meanwhile")))
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
