//! What the demo has to tell of its services while it runs.

use std::fmt;
use std::process::ExitStatus;

use rustix::process::Pid;

use super::announcement::Announcement;

/// One thing that happened to one of them.
#[derive(Debug)]
pub(crate) enum News {
    /// It is there.
    Up {
        service: &'static str,
        pid: Pid,
        announcement: Announcement,
    },
    /// It ended before it was there.
    Failed { service: &'static str },
    /// It has ended; how, only its parent knows.
    Ended {
        service: &'static str,
        status: Option<ExitStatus>,
    },
}

impl fmt::Display for News {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { service, pid, .. } => {
                write!(formatter, "{service} was started again, process {pid}")
            }
            Self::Failed { service } => write!(formatter, "{service} did not start"),
            Self::Ended {
                service,
                status: Some(status),
            } => write!(formatter, "{service} has ended: {status}"),
            Self::Ended { service, .. } => write!(formatter, "{service} has ended"),
        }
    }
}
