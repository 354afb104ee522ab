//! The output of a command, stdout and stderr together: its size is counted, and its start is kept.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;

use crate::probe::redact::Redactions;
use crate::text;

/// The number of bytes that are kept.
const KEPT: usize = 4096;

/// The longest line that is shown, in characters.
const LONGEST: usize = 300;

/// The reading end of the pipe to which a command writes.
#[derive(Debug)]
pub(super) struct CommandOutput {
    pipe: Receiver,
    kept: Vec<u8>,
    total: u64,
    open: bool,
}

impl CommandOutput {
    /// Makes a command write into a new pipe.
    pub(super) fn attach(command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        Ok(Self {
            pipe: Receiver::from_owned_fd(OwnedFd::from(reader))?,
            kept: Vec::new(),
            total: 0,
            open: true,
        })
    }

    /// Reads the output; returns only when it is larger than `most` bytes.
    pub(super) async fn overflow(&mut self, most: u64) {
        let mut buffer = [0; 8192];
        while self.open {
            match self.pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => self.open = false,
                Ok(count) => self.take(buffer.get(..count).unwrap_or_default()),
            }
            if self.total > most {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Reads what is in the pipe now. It does not wait: another process may keep the other end open for ever.
    pub(super) fn read_rest(&mut self) {
        let mut buffer = [0; KEPT];
        while self.open && self.kept.len() < KEPT {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(0) => self.open = false,
                Ok(count) => self.take(buffer.get(..count).unwrap_or_default()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let room = KEPT.saturating_sub(self.kept.len());
        self.kept.extend(bytes.iter().take(room));
    }

    /// Returns the first line that is not blank, cleaned and without secrets.
    pub(super) fn first_line(&self, redactions: &Redactions) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let text = if self.kept.len() < KEPT {
            redactions.apply(&text)
        } else {
            redactions.apply_to_start(&text)
        };
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        text::clean(line.unwrap_or_default(), LONGEST)
    }
}
