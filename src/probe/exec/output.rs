//! What a command writes, to stdout and stderr alike: counted, its beginning kept.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;

use crate::text;

use crate::probe::Masks;

/// So much of the beginning is kept.
const KEPT: usize = 4096;

/// A line is shown no longer than this.
const LONGEST: usize = 300;

/// The reading end of the pipe.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Receiver,
    kept: Vec<u8>,
    total: u64,
    open: bool,
}

impl Output {
    /// Has a command write into a new pipe.
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

    /// Takes in what comes; returns only when more than `most` bytes have come.
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

    /// Takes in what is in the pipe by now, as far as it is kept. Nothing is waited for: whoever still holds the other end may
    /// hold it for ever.
    pub(super) fn rest(&mut self) {
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

    /// The first line with something in it, fit for any terminal, and without what the command was given in confidence.
    pub(super) fn first_line(&self, masks: &Masks) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let text = if self.kept.len() < KEPT {
            masks.apply(&text)
        } else {
            masks.apply_to_beginning(&text)
        };
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        text::clean(line.unwrap_or_default(), LONGEST)
    }
}
