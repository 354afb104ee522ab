//! The audit file: one JSON line before anything is sent and one after, refusals too.
//!
//! Every line is cleaned and holds no secret. An action whose first line cannot be written is not carried out.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::action::{Action, Verdict};
use crate::event::InstanceInfo;
use crate::health::Identity;
use crate::host::started_at;
use crate::text;

/// The name of the file in the state directory.
const FILE: &str = "audit.jsonl";

/// The open audit file; none where nothing is recorded.
#[derive(Debug)]
pub(crate) struct Audit {
    file: Option<File>,
    actor: String,
    command: String,
}

#[derive(Debug, Serialize)]
struct AuditLine<'a> {
    at: Timestamp,
    actor: &'a str,
    pid: u32,
    command: &'a str,
    #[serde(flatten)]
    subject: &'a AuditSubject<'a>,
    after: Option<&'a InstanceInfo>,
    verdict: Option<Verdict>,
    exit_code: Option<u8>,
    text: Option<&'a str>,
}

/// The action on a service that a line is about.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AuditSubject<'a> {
    pub(super) service: &'a str,
    pub(super) action: Action,
    /// The exact request; `None` where there is none yet.
    pub(super) request: Option<String>,
    /// The instance that answered before.
    pub(super) before: Option<InstanceInfo>,
}

/// The end of an action as it is recorded.
pub(super) type AuditEnd<'a> = (Option<&'a InstanceInfo>, Verdict, &'a str);

impl Audit {
    /// Opens the file in `directory`, and creates both where they are missing. `None` records nothing.
    ///
    /// # Errors
    /// The file cannot be written: which, and why.
    pub(crate) fn open(directory: Option<&Path>, command: &str) -> Result<Self, String> {
        let open = |directory: &Path| {
            let path = directory.join(FILE);
            open(directory, &path).map_err(|error| {
                let path = path.display();
                format!("the audit file {path} cannot be written: {error}")
            })
        };
        Ok(Self {
            file: directory.map(open).transpose()?,
            actor: actor(),
            command: text::clean(command, 500),
        })
    }

    /// Records that something is about to be sent, or how the action ended.
    pub(super) fn write(
        &self,
        subject: &AuditSubject<'_>,
        end: Option<AuditEnd<'_>>,
    ) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else {
            return Ok(());
        };
        let line = AuditLine {
            at: Timestamp::now(),
            actor: &self.actor,
            pid: std::process::id(),
            command: &self.command,
            subject,
            after: end.and_then(|(after, _, _)| after),
            verdict: end.map(|(_, verdict, _)| verdict),
            exit_code: end.map(|(_, verdict, _)| verdict.exit_code()),
            text: end.map(|(_, _, text)| text),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        // One write, so that the lines of two processes do not mix.
        file.write_all(&bytes)
    }
}

fn open(directory: &Path, path: &PathBuf) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Returns the user who acts: the name where the environment has one, and always the uid, which cannot be made up.
fn actor() -> String {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var("USER") {
        Ok(name) if !name.is_empty() => format!("{} (uid {uid})", text::clean(&name, 40)),
        _ => format!("uid {uid}"),
    }
}

/// Returns an identity as it is shown and recorded.
pub(super) fn instance_info(identity: &Identity) -> InstanceInfo {
    InstanceInfo {
        address: identity.address.clone(),
        pid: identity.process.map(|process| process.pid),
        process_started_at: identity.process.and_then(started_at),
        instance: identity.instance.clone(),
        started_at: identity.start.map(|start| start.at),
        version: identity.version.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_to_a_file_that_only_its_owner_may_read() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("state/healthctl");
        let subject = AuditSubject {
            service: "api",
            action: Action::Shutdown,
            request: Some("SIGTERM to pid 4711".to_owned()),
            before: None,
        };
        for _ in 0..2 {
            let audit = Audit::open(Some(&directory), "healthctl shutdown api").unwrap();
            audit.write(&subject, None).unwrap();
            let end = (None, Verdict::Stopped, "it is gone");
            audit.write(&subject, Some(end)).unwrap();
        }
        let path = directory.join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["verdict"], serde_json::Value::Null);
        assert_eq!(lines[1]["verdict"], "stopped");
        assert_eq!(lines[1]["exit_code"], 0);
        for field in [
            "at",
            "actor",
            "pid",
            "command",
            "service",
            "action",
            "request",
            "before",
            "after",
            "verdict",
            "exit_code",
        ] {
            assert!(lines[0].get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Audit::open(Some(&file.join("healthctl")), "x").unwrap_err();
        assert!(error.contains("audit.jsonl cannot be written"), "{error}");
    }

    #[test]
    fn no_audit_records_nothing() {
        let audit = Audit::open(None, "x").unwrap();
        let subject = AuditSubject {
            service: "api",
            action: Action::Shutdown,
            request: None,
            before: None,
        };
        audit.write(&subject, None).unwrap();
    }
}
