//! The log of a service, read from near its end and followed, whatever its size and whatever becomes of its file.
//!
//! Its bytes are those of the file: who shows them has to clean them.

mod lines;

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

pub(crate) use lines::Line;
use lines::Lines;

/// So much is read at once.
const BLOCK: usize = 64 * 1024;
/// The beginning of a line is looked for so far back, in bytes; a longer one is shown from within.
const FARTHEST: u64 = 16 * 1024 * 1024;

/// Where in a log to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    /// Not before this byte; the first one where the file is shorter, as it is another one then.
    pub(crate) since: u64,
    /// With the last so many lines; all where there is no number.
    pub(crate) lines: Option<usize>,
}

/// Whether the log is read on when its end is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// No: what is written while it is read is not waited for.
    End,
    /// Yes.
    Ever,
}

/// A log that is read.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    begin: Begin,
    until: Until,
    open: Option<Open>,
    lines: Lines,
}

/// The file that is read now.
#[derive(Debug)]
struct Open {
    file: File,
    /// Device and number of the file.
    identity: (u64, u64),
    position: u64,
    /// It is read so far, unless it is followed.
    end: u64,
    /// Another file stands at the path; what is left in this one is read before that.
    replaced: bool,
}

/// What one look at a log has brought.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// The lines that have ended.
    pub(crate) lines: Vec<Line>,
    /// What happened to the file.
    pub(crate) news: Option<News>,
    /// There may be more at once.
    pub(crate) more: bool,
}

/// What happened to the file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// There is none yet.
    Missing,
    /// Reading begins behind lines that were asked for, as they are too many.
    Cut,
    /// It was made shorter, and is read from its first byte.
    Truncated,
    /// Another one was put in its place, and is read from its first byte.
    Replaced,
}

impl Log {
    /// The log at this path. Nothing is opened yet.
    pub(crate) fn new(path: PathBuf, begin: Begin, until: Until) -> Self {
        Self {
            path,
            begin,
            until,
            open: None,
            lines: Lines::default(),
        }
    }

    /// Where it stands.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is read to its end only.
    pub(crate) fn ends(&self) -> bool {
        self.until == Until::End
    }

    /// Reads on, a block at the most. It waits for nothing but the disk.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is none whose end can be found.
    pub(crate) fn read(&mut self) -> io::Result<Piece> {
        let Some(open) = &mut self.open else {
            return self.begin();
        };
        let wanted = match self.until {
            Until::Ever => BLOCK as u64,
            Until::End => open.end.saturating_sub(open.position).min(BLOCK as u64),
        };
        let mut block = vec![0; usize::try_from(wanted).unwrap_or(BLOCK)];
        let count = open.file.read_at(&mut block, open.position)?;
        if count == 0 {
            return self.at_end();
        }
        open.position += count as u64;
        Ok(Piece {
            lines: self.lines.take(block.get(..count).unwrap_or_default()),
            news: None,
            more: true,
        })
    }

    /// The line that was begun and is not ended, as if it ended here.
    pub(crate) fn unfinished(&mut self) -> Option<Line> {
        self.lines.unfinished()
    }

    fn begin(&mut self) -> io::Result<Piece> {
        let begin = std::mem::replace(&mut self.begin, Begin::at_first());
        let Some((file, metadata)) = open(&self.path)? else {
            return Ok(Piece {
                news: Some(News::Missing),
                ..Piece::default()
            });
        };
        let length = metadata.len();
        let since = if begin.since > length { 0 } else { begin.since };
        let position = beginning(&file, since, length, begin.lines)?;
        self.open = Some(Open::new(file, &metadata, position));
        Ok(Piece {
            news: (position > since).then_some(News::Cut),
            more: true,
            ..Piece::default()
        })
    }

    /// Finds out what became of the file whose end was reached.
    fn at_end(&mut self) -> io::Result<Piece> {
        let Some(open) = self.open.as_mut().filter(|_| self.until == Until::Ever) else {
            return Ok(Piece::default());
        };
        if open.file.metadata()?.len() < open.position {
            open.position = 0;
            return Ok(self.turn(News::Truncated));
        }
        if open.replaced {
            self.open = None;
            return match self.begin()? {
                // It has gone again; the next one is read when it comes.
                Piece {
                    news: Some(News::Missing),
                    ..
                } => Ok(Piece::default()),
                _ => Ok(self.turn(News::Replaced)),
            };
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) != open.identity => {
                // Something may have been written between the last look at this one and its end.
                open.replaced = true;
                Ok(Piece {
                    more: true,
                    ..Piece::default()
                })
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(Piece::default()),
        }
    }

    fn turn(&mut self, news: News) -> Piece {
        Piece {
            lines: self.lines.unfinished().into_iter().collect(),
            news: Some(news),
            more: true,
        }
    }
}

impl Begin {
    /// With the first byte: nothing was asked for of a file that came later.
    const fn at_first() -> Self {
        Self {
            since: 0,
            lines: None,
        }
    }
}

impl Open {
    fn new(file: File, metadata: &Metadata, position: u64) -> Self {
        Self {
            file,
            identity: identity(metadata),
            position,
            end: metadata.len(),
            replaced: false,
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
        // A pipe would be waited for, and a terminal would be read away from under its user.
        Err(io::Error::other("it is no regular file"))
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

/// Where the last lines begin, looked for from the end backwards.
fn beginning(file: &File, since: u64, length: u64, lines: Option<usize>) -> io::Result<u64> {
    let Some(lines) = lines else {
        return Ok(since);
    };
    let mut block = vec![0; BLOCK];
    let mut found = 0;
    let mut end = length;
    let mut last = length;
    while end > since && lines > 0 {
        let start = end.saturating_sub(BLOCK as u64).max(since);
        let part = block
            .get_mut(..usize::try_from(end - start).unwrap_or(BLOCK))
            .unwrap_or_default();
        match file.read_exact_at(part, start) {
            // It was made shorter just now, which reading on finds out.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(length),
            result => result?,
        }
        let ends = part
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n');
        for at in ends.map(|(index, _)| start + index as u64) {
            // The end of the last line begins no other.
            if at + 1 == length {
                continue;
            }
            found += 1;
            last = at;
            if found == lines {
                return Ok(at + 1);
            }
        }
        if last - start >= FARTHEST {
            return Ok(start);
        }
        end = start;
    }
    Ok(if lines == 0 { length } else { since })
}

#[cfg(test)]
mod tests;
