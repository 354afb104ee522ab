//! The signals that end watching, or tell that the shell has continued us.

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::commands::Error;
use crate::exit::Exit;

/// Installed before the terminal is taken, so that no signal can leave it changed.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    resumed: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// To end with this code.
    End(Exit),
    /// Nothing, but somebody else had the terminal meanwhile.
    Resumed,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn install() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::usage(format!("cannot listen to signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            resumed: listen(SignalKind::from_raw(Number::CONT.as_raw()))?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End(Exit::Interrupted),
            _ = self.terminate.recv() => Told::End(Exit::Terminated),
            // 128 and the number of the signal, as a shell would tell it.
            _ = self.hangup.recv() => Told::End(Exit::Code(129)),
            _ = self.resumed.recv() => Told::Resumed,
        }
    }
}
