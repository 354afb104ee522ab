//! Reads the log of a service from near its end and follows it, whatever its size, also when the file is truncated or
//! replaced.
//!
//! Lines are the raw bytes of the file: whoever displays them has to clean them.

mod excerpt;
mod lines;

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

pub(crate) use excerpt::{excerpt, last_line};
use lines::LineSplitter;
pub(crate) use lines::LogLine;

/// The number of bytes that are read at once.
const BLOCK: usize = 64 * 1024;
/// The distance in bytes within which the beginning of a line is searched backwards; of a longer line only the end
/// is read.
const MAX_SEARCH: u64 = 16 * 1024 * 1024;

/// The position in a log at which reading starts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogStart {
    /// The first byte that may be read; zero if the file is shorter, because it is another file then.
    pub(crate) offset: u64,
    /// The number of last lines to read; `None` for all.
    pub(crate) lines: Option<usize>,
}

/// The behaviour at the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogMode {
    /// Reading ends at the length that the file had when it was opened.
    ToEnd,
    /// Reading goes on with what is appended.
    Follow,
}

/// A reader of one log.
#[derive(Debug)]
pub(crate) struct LogReader {
    path: PathBuf,
    start: LogStart,
    mode: LogMode,
    open: Option<OpenLog>,
    lines: LineSplitter,
}

/// The file that is being read.
#[derive(Debug)]
struct OpenLog {
    file: File,
    /// The device and inode of the file.
    identity: (u64, u64),
    position: u64,
    /// The length of the file when it was opened.
    end: u64,
    /// Another file has this path; the rest of this one is read first.
    replaced: bool,
}

/// The result of one read.
#[derive(Debug, Default)]
pub(crate) struct LogChunk {
    pub(crate) lines: Vec<LogLine>,
    pub(crate) event: Option<LogFileEvent>,
    /// If set, the next read may return more at once.
    pub(crate) has_more: bool,
}

/// A change of the file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFileEvent {
    /// The file does not exist yet.
    Missing,
    /// Reading starts after lines of the requested range, because there are too many.
    Skipped,
    /// The file was truncated, and is read from its first byte.
    Truncated,
    /// The file was replaced, and the new one is read from its first byte.
    Replaced,
}

impl LogReader {
    /// Returns a reader of the log at this path. The file is opened by the first read.
    pub(crate) fn new(path: PathBuf, start: LogStart, mode: LogMode) -> Self {
        Self {
            path,
            start,
            mode,
            open: None,
            lines: LineSplitter::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether reading ends at the end of the log.
    pub(crate) fn ends(&self) -> bool {
        self.mode == LogMode::ToEnd
    }

    /// Reads the next block. It waits for nothing but the disk.
    ///
    /// # Errors
    ///
    /// An error if the file exists and cannot be read, or is not a regular file.
    pub(crate) fn read(&mut self) -> io::Result<LogChunk> {
        let Some(open) = &mut self.open else {
            return self.open();
        };
        let wanted = match self.mode {
            LogMode::Follow => BLOCK as u64,
            LogMode::ToEnd => open.end.saturating_sub(open.position).min(BLOCK as u64),
        };
        let mut block = vec![0; usize::try_from(wanted).unwrap_or(BLOCK)];
        let count = open.file.read_at(&mut block, open.position)?;
        if count == 0 {
            return self.at_end();
        }
        open.position += count as u64;
        Ok(LogChunk {
            lines: self.lines.push(block.get(..count).unwrap_or_default()),
            event: None,
            has_more: true,
        })
    }

    /// Takes the incomplete last line, if there is one.
    pub(crate) fn take_partial_line(&mut self) -> Option<LogLine> {
        self.lines.take_partial()
    }

    fn open(&mut self) -> io::Result<LogChunk> {
        // A file that replaces the first one is read from its first byte.
        let start = std::mem::take(&mut self.start);
        let Some((file, metadata)) = open(&self.path)? else {
            return Ok(LogChunk {
                event: Some(LogFileEvent::Missing),
                ..LogChunk::default()
            });
        };
        let length = metadata.len();
        let offset = Some(start.offset).filter(|offset| *offset <= length);
        let offset = offset.unwrap_or(0);
        let position = find_start(&file, offset, length, start.lines)?;
        self.open = Some(OpenLog {
            file,
            identity: identity(&metadata),
            position,
            end: length,
            replaced: false,
        });
        Ok(LogChunk {
            event: (position > offset).then_some(LogFileEvent::Skipped),
            has_more: true,
            ..LogChunk::default()
        })
    }

    /// Checks whether the file whose end was reached was truncated or replaced.
    fn at_end(&mut self) -> io::Result<LogChunk> {
        let Some(open) = self.open.as_mut().filter(|_| self.mode == LogMode::Follow) else {
            return Ok(LogChunk::default());
        };
        if open.file.metadata()?.len() < open.position {
            open.position = 0;
            return Ok(self.restart(LogFileEvent::Truncated));
        }
        if open.replaced {
            self.open = None;
            if self.open()?.event == Some(LogFileEvent::Missing) {
                // The new file was removed again; the next one is read when it exists.
                return Ok(LogChunk::default());
            }
            return Ok(self.restart(LogFileEvent::Replaced));
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) != open.identity => {
                // Something may have been appended to this one since the last read.
                open.replaced = true;
                Ok(LogChunk {
                    has_more: true,
                    ..LogChunk::default()
                })
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(LogChunk::default()),
        }
    }

    /// Returns a chunk with the incomplete last line, after which reading starts at the first byte.
    fn restart(&mut self, event: LogFileEvent) -> LogChunk {
        LogChunk {
            lines: self.lines.take_partial().into_iter().collect(),
            event: Some(event),
            has_more: true,
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let opened = fs::metadata(path).and_then(|metadata| {
        if metadata.is_file() {
            return File::open(path);
        }
        // A read from a pipe would block, and one from a terminal would take its input.
        Err(io::Error::other("not a regular file"))
    });
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(file) => {
            let metadata = file.metadata()?;
            Ok(Some((file, metadata)))
        }
    }
}

/// Returns the offset at which the last `lines` lines begin, searching backwards from the end.
fn find_start(file: &File, offset: u64, length: u64, lines: Option<usize>) -> io::Result<u64> {
    let Some(lines) = lines else {
        return Ok(offset);
    };
    let mut block = vec![0; BLOCK];
    let mut found = 0;
    let mut end = length;
    let mut last = length;
    while end > offset && lines > 0 {
        let start = end.saturating_sub(BLOCK as u64).max(offset);
        let part = block
            .get_mut(..usize::try_from(end - start).unwrap_or(BLOCK))
            .unwrap_or_default();
        match file.read_exact_at(part, start) {
            // The file was truncated just now, which the next read detects.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(length),
            result => result?,
        }
        let ends = part
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n');
        for at in ends.map(|(index, _)| start + index as u64) {
            // No line begins after the end of the last one.
            if at + 1 == length {
                continue;
            }
            found += 1;
            last = at;
            if found == lines {
                return Ok(at + 1);
            }
        }
        if last - start >= MAX_SEARCH {
            return Ok(start);
        }
        end = start;
    }
    Ok(if lines == 0 { length } else { offset })
}

#[cfg(test)]
mod tests;
