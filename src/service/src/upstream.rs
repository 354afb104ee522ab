//! The check of another service's health, read over HTTP (feature `upstream`).
//!
//! The answer is judged by its status code and, where its body is JSON, by its status word and by the
//! components that it names: those of the four conventions of this crate, and of others like them.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::uri::Scheme;
use axum::http::{StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::client::receive;
use crate::{Check, CheckResult, Health, Need, Service};

/// The number of components that a message names.
const MAX_NAMED: usize = 3;

type UpstreamClient = Client<HttpConnector, Empty<Bytes>>;

/// Why the health of a service cannot be read from an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The text is no address.
    #[error("`{0}` is no URL")]
    Invalid(String),
    /// The address is not one of plain HTTP.
    #[error("`{0}` does not begin with http://")]
    NotHttp(String),
}

impl Service {
    /// Registers a check that reads the health of another service from one of its health routes, such
    /// as `http://inventory:8000/health/detailed`. In all else it is like
    /// [`Service::register_check`].
    ///
    /// The other service is unhealthy when it cannot be reached, answers with another code than 200 to
    /// 299, or says so; degraded when it says so, or when it counts itself as healthy and names a
    /// component that is not. The message names the components that are not well, and the detail
    /// `failing` lists them.
    ///
    /// # Errors
    ///
    /// When the address cannot be used. Only plain HTTP is spoken.
    ///
    /// ```
    /// use std::time::Duration;
    /// use healthctl_service::{Need, Service, Settings};
    ///
    /// let service = Service::new("orders-api", "2.4.1", Settings::default());
    /// let url = "http://inventory:8000/health/detailed";
    /// let check = service.register_upstream("inventory", Need::Optional, Duration::from_secs(2), url)?;
    /// assert!(check.is_enabled());
    /// # Ok::<(), healthctl_service::UpstreamError>(())
    /// ```
    pub fn register_upstream(
        &self,
        name: &str,
        need: Need,
        timeout: Duration,
        url: &str,
    ) -> Result<Check, UpstreamError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| UpstreamError::Invalid(url.to_owned()))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(UpstreamError::NotHttp(url.to_owned()));
        }
        let client: UpstreamClient = Client::builder(TokioExecutor::new()).build_http();
        let check = move || read(client.clone(), uri.clone());
        Ok(self.register_check(name, need, timeout, check))
    }
}

/// Reads the health of a service.
///
/// # Errors
///
/// A description of why there is no answer.
async fn read(client: UpstreamClient, uri: Uri) -> Result<CheckResult, String> {
    let (code, body) = receive(client.get(uri)).await?;
    Ok(judge(code, &body))
}

/// A component of the other service that is not well.
#[derive(Debug, PartialEq)]
struct FailingComponent {
    name: String,
    health: Health,
    message: String,
}

/// Returns the health of a service that gave this answer.
fn judge(code: StatusCode, body: &[u8]) -> CheckResult {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let word = body.as_ref().and_then(status_word);
    let failing = body.as_ref().map(failing_components).unwrap_or_default();
    let health = match (code.is_success(), word.and_then(health_of)) {
        (false, _) => Health::Unhealthy,
        // A report before the first check is `null`.
        (true, None) if body == Some(Value::Null) => Health::Unknown,
        (true, None | Some(Health::Healthy)) => {
            let is_failing = failing.iter().any(|part| part.health == Health::Unhealthy);
            if is_failing {
                Health::Degraded
            } else {
                Health::Healthy
            }
        }
        (true, Some(health)) => health,
    };
    let mut result = match health {
        Health::Healthy => CheckResult::healthy(),
        Health::Degraded => CheckResult::degraded(message(code, word, &failing)),
        Health::Unhealthy => CheckResult::unhealthy(message(code, word, &failing)),
        Health::Unknown => CheckResult::unknown(message(code, word, &failing)),
    };
    result = result.with_detail("status_code", code.as_u16());
    if let Some(word) = word {
        result = result.with_detail("status", word);
    }
    // An empty list replaces that of an earlier answer.
    let names: Vec<String> = failing.into_iter().map(|part| part.name).collect();
    result.with_detail("failing", names)
}

fn message(code: StatusCode, word: Option<&str>, failing: &[FailingComponent]) -> String {
    let mut clauses = vec![match (code.is_success(), word) {
        (true, Some(word)) => format!("reports `{word}`"),
        (true, None) => "does not report its health".to_owned(),
        (false, Some(word)) => format!("answered {code}, reports `{word}`"),
        (false, None) => format!("answered {code}"),
    }];
    let named = failing.iter().take(MAX_NAMED);
    clauses.extend(named.map(|part| match part.message.as_str() {
        "" => part.name.clone(),
        message => format!("{}: {message}", part.name),
    }));
    if failing.len() > MAX_NAMED {
        clauses.push(format!("{} more", failing.len() - MAX_NAMED));
    }
    clauses.join("; ")
}

/// Returns the status word of a service or of a component.
fn status_word(value: &Value) -> Option<&str> {
    let word = value.get("status").or_else(|| value.get("Status"));
    word.and_then(Value::as_str)
}

/// Returns the meaning of a status word, `None` of one that tells nothing of health.
fn health_of(word: &str) -> Option<Health> {
    Some(match word.to_ascii_lowercase().as_str() {
        "healthy" | "ok" | "pass" | "passing" | "up" | "working" | "ready" => Health::Healthy,
        "degraded" | "warn" | "warning" => Health::Degraded,
        "unhealthy" | "fail" | "failing" | "down" | "error" | "critical" | "out_of_service"
        | "shutting_down" => Health::Unhealthy,
        "unknown" => Health::Unknown,
        _ => return None,
    })
}

/// Returns the components that an answer names and that are degraded or unhealthy.
fn failing_components(body: &Value) -> Vec<FailingComponent> {
    let maps = ["components", "Components", "checks", "dependencies"];
    let components = maps
        .iter()
        .filter_map(|key| body.get(key)?.as_object())
        .flatten();
    let failing = components.filter_map(|(name, component)| {
        let health = health_of(status_word(component)?)?;
        let text = |key: &str| component.get(key)?.as_str().filter(|text| !text.is_empty());
        let message = ["message", "Message", "error"].into_iter().find_map(text);
        (health >= Health::Degraded).then(|| FailingComponent {
            name: name.clone(),
            health,
            message: message.unwrap_or_default().to_owned(),
        })
    });
    failing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use serde_json::json;

    #[test]
    fn an_answer_is_judged_by_its_code_its_word_and_its_components() {
        use Health::{Degraded, Healthy, Unhealthy, Unknown};
        let check = |code: u16, body: &Value, health: Health, message: &str| {
            let code = StatusCode::from_u16(code).unwrap();
            let result = judge(code, body.to_string().as_bytes());
            assert_eq!(result.health, health, "{body}");
            assert_eq!(result.message.unwrap_or_default(), message, "{body}");
        };
        check(200, &json!({"status": "ok"}), Healthy, "");
        check(200, &json!("pong"), Healthy, "");
        check(200, &json!(null), Unknown, "does not report its health");
        check(404, &json!({}), Unhealthy, "answered 404 Not Found");
        let scry = json!({"status": "degraded", "components": {
            "database": {"status": "healthy", "message": "connected"},
            "celery": {"status": "degraded", "message": "1 of 4 workers"},
        }});
        check(
            200,
            &scry,
            Degraded,
            "reports `degraded`; celery: 1 of 4 workers",
        );
        let text = "answered 503 Service Unavailable, reports `degraded`; ca: expired";
        let control =
            json!({"status": "degraded", "checks": {"ca": {"status": "fail", "error": "expired"}}});
        check(503, &control, Unhealthy, text);
        let hephaestus = json!({"status": "healthy", "dependencies": {
            "qdrant": {"status": "error", "error": null}, "groq": {"status": "not_used"},
        }});
        check(200, &hephaestus, Degraded, "reports `healthy`; qdrant");
        let leaves = json!({"status": "shutting_down"});
        check(200, &leaves, Unhealthy, "reports `shutting_down`");
        let kcp = json!({"Status": "Unknown", "Components": {}});
        check(200, &kcp, Unknown, "reports `Unknown`");
        let component = json!({"Status": "Unhealthy", "Message": "lost"});
        let kcp = json!({"Status": "Unhealthy", "Components": {
            "a": component, "b": component, "c": component, "d": component, "e": component,
        }});
        check(
            200,
            &kcp,
            Unhealthy,
            "reports `Unhealthy`; a: lost; b: lost; c: lost; 2 more",
        );
    }

    #[tokio::test]
    async fn another_service_is_read_over_http() {
        let service = Service::new("orders", "1.0", crate::Settings::default());
        let (need, limit) = (Need::Required, Duration::from_secs(60));
        let refused = |url| {
            service
                .register_upstream("x", need, limit, url)
                .unwrap_err()
        };
        let told = refused("https://inventory/health").to_string();
        assert_eq!(
            told,
            "`https://inventory/health` does not begin with http://"
        );
        assert_eq!(refused("http://").to_string(), "`http://` is no URL");

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let check = service
            .register_upstream("inventory", need, limit, &url)
            .unwrap();
        let health = Router::new().route("/health", get(async || r#"{"status": "degraded"}"#));
        let server = tokio::spawn(async move { axum::serve(listener, health).await });
        check.run().await;
        let component = service.components().remove(0);
        assert_eq!(component.health, Health::Degraded);
        assert_eq!(component.message.as_deref(), Some("reports `degraded`"));
        let details = json!({"status_code": 200, "status": "degraded", "failing": []});
        assert_eq!(json!(component.details), details);

        server.abort();
        let _ = server.await;
        // The connection that was kept is gone as well, or goes now.
        while service.components()[0].health != Health::Unhealthy {
            check.run().await;
        }
        let message = service.components().remove(0).message.unwrap();
        assert!(message.contains("refused"), "{message}");
    }
}
