//! One reload, from reading the file to the answer.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::answer::{PartResult, ReloadResult, ReloadStatus};
use super::{ConfigPart, Configuration, Inner, ReloadTrigger, fingerprint};

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// Reads the file again and puts into force what it says. Who asks while another reload is under
    /// way waits for its turn; who goes away meanwhile does not break it off.
    pub async fn reload(&self, trigger: ReloadTrigger) -> ReloadResult {
        self.turn(trigger, |inner| async move { inner.read().await })
            .await
    }

    /// Puts a remembered version into force again, as a new one.
    ///
    /// ```
    /// use healthctl_service::{Service, Settings};
    /// use healthctl_service::reload::{Configuration, ConfigPart, ReloadTrigger};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("level");
    /// # std::fs::write(&path, "info")?;
    /// let service = Service::new("ingestor", "1.0", Settings::default());
    /// let parse = |text: &str| Ok::<String, String>(text.trim().to_owned());
    /// let parts = vec![ConfigPart::new("level", |level: &String| level)];
    /// let configuration = Configuration::open(&service, &path, parse, parts)?;
    /// # std::fs::write(&path, "debug")?;
    /// configuration.reload(ReloadTrigger::Program).await;
    ///
    /// let first = &configuration.versions()[0];
    /// assert_eq!(configuration.roll_back(first.number).await.version, 3);
    /// assert_eq!(*configuration.current(), "info");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn roll_back(&self, version: u64) -> ReloadResult {
        self.turn(ReloadTrigger::RollBack(version), move |inner| async move {
            let remembered = inner.history().version(version);
            remembered
                .map(|config| (*config).clone())
                .ok_or_else(|| format!("version {version} is not remembered"))
        })
        .await
    }

    async fn turn<F>(
        &self,
        trigger: ReloadTrigger,
        next: impl FnOnce(Arc<Inner<C>>) -> F + Send + 'static,
    ) -> ReloadResult
    where
        F: Future<Output = Result<C, String>> + Send,
    {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            let _turn = inner.turn.lock().await;
            let answer = match next(Arc::clone(&inner)).await {
                _ if inner.service.is_shutting_down() => inner.refuse("the service shuts down"),
                Ok(next) => inner.adopt(next, trigger).await,
                Err(reason) => inner.refuse(&reason),
            };
            inner.service.inner.reloads.record(&answer);
            tell(&answer, trigger);
            answer
        });
        task.await.unwrap_or_else(|_| {
            // What panicked is the program's own: parsing, validating, comparing, showing. Nothing has been put into
            // force by then.
            let answer = self.inner.refuse("panicked");
            self.inner.service.inner.reloads.record(&answer);
            tell(&answer, trigger);
            answer
        })
    }
}

impl<C: Clone + Send + Sync + 'static> Inner<C> {
    async fn read(&self) -> Result<C, String> {
        let text = self.text().await;
        *self.seen() = text.as_deref().ok().map(fingerprint);
        let text = text.map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        (self.parse)(&text)
    }

    async fn adopt(&self, mut next: C, trigger: ReloadTrigger) -> ReloadResult {
        let old = Arc::clone(&self.current.borrow());
        let mut parts = self.unchanged();
        for part in &self.parts {
            if let Err(reason) = part.validate(&next) {
                parts.insert(part.name().to_owned(), PartResult::Rejected(reason));
            }
        }
        if let Some(error) = rejection(&parts) {
            return ReloadResult::failed(self.history().latest(), parts, error);
        }

        let mut status = ReloadStatus::Success;
        for part in &self.parts {
            if part.hold_back(&old, &mut next) {
                status = ReloadStatus::Partial;
                parts.insert(part.name().to_owned(), PartResult::NeedsRestart);
            }
        }
        let next = Arc::new(next);
        let changed: Vec<&ConfigPart<C>> = self
            .parts
            .iter()
            .filter(|part| part.has_changed(&old, &next))
            .collect();
        // Told before anything is done: what panics in it must not leave half of it done.
        let results: Vec<(String, PartResult)> = changed
            .iter()
            .map(|part| {
                (
                    part.name().to_owned(),
                    PartResult::Reloaded(part.shown(&next)),
                )
            })
            .collect();
        if let Err((part, reason)) = apply(&changed, &old, &next).await {
            let mut parts = self.unchanged();
            let error = format!("{part}: {reason}");
            parts.insert(part, PartResult::Rejected(reason));
            return ReloadResult::failed(self.history().latest(), parts, error);
        }
        parts.extend(results);
        let version = {
            let mut history = self.history();
            if changed.is_empty() {
                history.latest()
            } else {
                history.push(Arc::clone(&next), trigger, Timestamp::now())
            }
        };
        // What belongs to no part comes along, but nobody is told of it.
        let told = !changed.is_empty();
        self.current.send_if_modified(|current| {
            *current = next;
            told
        });
        ReloadResult {
            status,
            version,
            error: None,
            parts,
        }
    }

    /// Keeps the old configuration, for a reason that lies in no single part.
    fn refuse(&self, reason: &str) -> ReloadResult {
        let rejected = PartResult::Rejected(reason.to_owned());
        let mut parts = IndexMap::from([("configuration".to_owned(), rejected)]);
        parts.extend(self.unchanged());
        ReloadResult::failed(self.history().latest(), parts, reason.to_owned())
    }

    fn unchanged(&self) -> IndexMap<String, PartResult> {
        self.parts
            .iter()
            .map(|part| (part.name().to_owned(), PartResult::Unchanged))
            .collect()
    }
}

/// What was wrong with the parts that were rejected.
fn rejection(parts: &IndexMap<String, PartResult>) -> Option<String> {
    let reasons: Vec<String> = parts
        .iter()
        .filter_map(|(name, result)| match result {
            PartResult::Rejected(reason) => Some(format!("{name}: {reason}")),
            _ => None,
        })
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Applies one part after the other; when one fails, those before it get the old version again.
async fn apply<C: Clone + Send + Sync + 'static>(
    changed: &[&ConfigPart<C>],
    old: &Arc<C>,
    next: &Arc<C>,
) -> Result<(), (String, String)> {
    for (index, part) in changed.iter().enumerate() {
        let Err(reason) = part.apply(Arc::clone(next)).await else {
            continue;
        };
        // The one that failed may have done half of it.
        for applied in changed.iter().take(index.saturating_add(1)).rev() {
            if let Err(reason) = applied.apply(Arc::clone(old)).await {
                tracing::error!(
                    part = applied.name(),
                    reason,
                    "cannot apply the old configuration"
                );
            }
        }
        return Err((part.name().to_owned(), reason));
    }
    Ok(())
}

fn tell(answer: &ReloadResult, trigger: ReloadTrigger) {
    let trigger = trigger.to_string();
    let version = answer.version;
    if let Some(reason) = &answer.error {
        tracing::error!(trigger, version, reason, "configuration rejected");
    } else {
        let status = answer.status.word();
        tracing::info!(trigger, version, status, "configuration reloaded");
    }
}
