//! Reads secrets when they are used. Their text never reaches a message.

use std::borrow::Cow;
use std::env::VarError;
use std::path::Path;

use tokio::io::AsyncReadExt;

use crate::inventory::Secret;

use super::error::{ProbeError, system_message};

/// The longest secret in a file, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Returns the text of a secret. Any error is a fault on our own side.
pub(super) async fn read(secret: &Secret) -> Result<Cow<'_, str>, ProbeError> {
    match secret {
        Secret::Plain(text) => Ok(Cow::Borrowed(text)),
        Secret::Env(name) | Secret::EnvOr { name, .. } => match (std::env::var(name), secret) {
            (Ok(text), _) => Ok(Cow::Owned(text)),
            (Err(VarError::NotPresent), Secret::EnvOr { otherwise, .. }) => {
                Ok(Cow::Borrowed(otherwise))
            }
            (Err(error), _) => {
                let why = match error {
                    VarError::NotPresent => "not set",
                    VarError::NotUnicode(_) => "not UTF-8",
                };
                let message = format!("the environment variable {name} is {why}");
                Err(ProbeError::local(message))
            }
        },
        Secret::File(path) => from_file(path).await.map(Cow::Owned),
    }
}

/// Returns the text of a secret for a program that is started with it, or the reason why it cannot be read.
pub(crate) async fn reveal(secret: &Secret) -> Result<String, String> {
    match read(secret).await {
        Ok(text) => Ok(text.into_owned()),
        Err(error) => Err(error.message),
    }
}

async fn from_file(path: &Path) -> Result<String, ProbeError> {
    let unreadable = |why: &dyn std::fmt::Display| {
        ProbeError::local(format!(
            "cannot read the secret in {}: {why}",
            path.display()
        ))
    };
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| unreadable(&system_message(&error)))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| unreadable(&system_message(&error)))?;
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable(&format!("it is longer than {LONGEST} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it is not UTF-8"))?;
    // One line break at the end comes from the editor and is no part of the secret.
    let secret = text.strip_suffix('\n');
    let secret = secret.map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(secret.to_owned())
}
