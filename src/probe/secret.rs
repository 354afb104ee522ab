//! Secrets, read when they are used. Their text never reaches a message.

use std::borrow::Cow;
use std::path::Path;

use tokio::io::AsyncReadExt;

use crate::inventory::Secret;

use super::explain::{self, Cause};

/// No secret in a file is longer.
const LONGEST: u64 = 64 * 1024;

/// The text of a secret, or why it cannot be had: a fault on our own side.
pub(super) async fn read(secret: &Secret) -> Result<Cow<'_, str>, Cause> {
    match secret {
        Secret::Plain(text) => Ok(Cow::Borrowed(text)),
        Secret::Env(name) => std::env::var(name)
            .map(Cow::Owned)
            .map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    Cause::local(format!("the environment variable {name} is not set"))
                }
                std::env::VarError::NotUnicode(_) => not_text(name),
            }),
        Secret::EnvOr { name, otherwise } => match std::env::var(name) {
            Err(std::env::VarError::NotPresent) => Ok(Cow::Borrowed(otherwise)),
            Ok(text) => Ok(Cow::Owned(text)),
            Err(std::env::VarError::NotUnicode(_)) => Err(not_text(name)),
        },
        Secret::File(path) => from_file(path).await.map(Cow::Owned),
    }
}

/// The text of a secret, for a program that is started with it; or why it cannot be had.
pub(crate) async fn reveal(secret: &Secret) -> Result<String, String> {
    match read(secret).await {
        Ok(text) => Ok(text.into_owned()),
        Err(cause) => Err(cause.words),
    }
}

fn not_text(name: &str) -> Cause {
    Cause::local(format!("the environment variable {name} is not UTF-8"))
}

async fn from_file(path: &Path) -> Result<String, Cause> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Cause::local(format!(
            "cannot read the secret in {}: {why}",
            path.display()
        ))
    };
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| unreadable(&explain::words(&error)))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| unreadable(&explain::words(&error)))?;
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable(&format!("it is longer than {LONGEST} bytes")));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| unreadable(&"it is not UTF-8"))?;
    // One line break at the end is the editor's, not the secret's.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
