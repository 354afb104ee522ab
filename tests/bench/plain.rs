//! The plainest way to ask many services: one reqwest client, a fresh connection each, 256 at once.

use color_eyre::Result;
use color_eyre::eyre::ensure;
use futures_util::{StreamExt as _, stream};

/// Asks every URL of the file once.
pub(crate) fn run(mut words: impl Iterator<Item = String>) -> Result<()> {
    let file = words.next().unwrap_or_default();
    let urls = std::fs::read_to_string(file)?;
    // It fails only where a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (asked, good) = runtime.block_on(async {
        stream::iter(urls.lines())
            .map(|url| ask(&client, url))
            .buffer_unordered(256)
            .fold((0, 0), |(asked, good), answer| async move {
                (asked + 1, good + usize::from(answer))
            })
            .await
    });
    ensure!(asked == good, "{good} of {asked} answered");
    Ok(())
}

async fn ask(client: &reqwest::Client, url: &str) -> bool {
    let Ok(response) = client.get(url).send().await else {
        return false;
    };
    let code = response.status();
    match response.bytes().await {
        Ok(body) => {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&body);
            code.is_success() && read.is_ok()
        }
        Err(_) => false,
    }
}
