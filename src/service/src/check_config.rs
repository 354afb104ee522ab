//! The settings of checks that a configuration file or a request changes while the service runs.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Check, Need, Service};

/// The settings of one check, as a configuration file or a request gives them. Each may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckConfig {
    /// Says whether the check runs at all; while it does not, its component counts as not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The time in seconds that one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// The time in seconds between two attempts, for a schedule of the check's own; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<f64>,
}

impl CheckConfig {
    /// Returns the present settings of a check.
    pub(crate) fn of(check: &Check) -> Self {
        let interval = check.interval().unwrap_or_default();
        Self {
            enabled: Some(check.is_enabled()),
            timeout_seconds: Some(check.timeout().as_secs_f64()),
            interval_seconds: Some(interval.as_secs_f64()),
        }
    }

    /// Returns these settings, with those that are left out taken from the registration of a check.
    fn or_registered(self, check: &Check) -> Self {
        let timeout = check.registered_timeout().as_secs_f64();
        Self {
            enabled: self.enabled.or(Some(true)),
            timeout_seconds: self.timeout_seconds.or(Some(timeout)),
            interval_seconds: self.interval_seconds.or(Some(0.0)),
        }
    }

    /// Gives a check the settings that are not left out.
    ///
    /// # Errors
    ///
    /// A time that cannot be; the check is as before then.
    fn apply(self, check: &Check) -> Result<(), String> {
        let timeout = self.timeout()?;
        let interval = self.interval()?;
        if let Some(timeout) = timeout {
            check.set_timeout(timeout);
        }
        if let Some(interval) = interval {
            check.set_interval((!interval.is_zero()).then_some(interval));
        }
        if let Some(enabled) = self.enabled {
            check.set_enabled(enabled);
        }
        Ok(())
    }

    fn timeout(self) -> Result<Option<Duration>, String> {
        match duration("timeout_seconds", self.timeout_seconds)? {
            Some(Duration::ZERO) => Err("timeout_seconds: must be more than 0".to_owned()),
            timeout => Ok(timeout),
        }
    }

    fn interval(self) -> Result<Option<Duration>, String> {
        duration("interval_seconds", self.interval_seconds)
    }
}

fn duration(name: &str, seconds: Option<f64>) -> Result<Option<Duration>, String> {
    let duration = seconds.map(Duration::try_from_secs_f64).transpose();
    duration.map_err(|error| format!("{name}: {error}"))
}

impl Service {
    /// Returns the routes `GET path`, which answers with the settings of all checks, and `PATCH
    /// path/NAME`, which changes those that its JSON body names (see [`CheckConfig`]) and answers with
    /// all of that check; 404 where there is no such check, 422 where a setting cannot be.
    ///
    /// A change holds until the next one, by a request or by a reloaded configuration.
    pub fn check_routes(&self, path: &str) -> Router {
        Router::new()
            .route(path, get(list))
            .route(&format!("{path}/{{name}}"), patch(change))
            .with_state(self.clone())
    }

    /// Returns an error unless these settings can be given to the checks of these names.
    pub(crate) fn validate_checks(
        &self,
        settings: &IndexMap<String, CheckConfig>,
    ) -> Result<(), String> {
        for (name, config) in settings {
            if self.check(name).is_none() {
                return Err(format!("there is no check `{name}`"));
            }
            let valid = config.timeout().and_then(|_| config.interval());
            valid.map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// Gives each check these settings, and those with which it was registered where they leave some
    /// out. They are to be valid.
    pub(crate) fn configure_checks(&self, settings: &IndexMap<String, CheckConfig>) {
        for check in self.checks() {
            let config = settings.get(check.name()).copied().unwrap_or_default();
            if let Err(reason) = config.or_registered(&check).apply(&check) {
                tracing::error!(check = check.name(), reason, "cannot configure a check");
            }
        }
    }
}

async fn list(State(service): State<Service>) -> Json<Value> {
    let checks = service.checks();
    let checks = checks
        .iter()
        .map(|check| (check.name().to_owned(), payload(check)));
    let checks: Map<String, Value> = checks.collect();
    Json(json!({"checks": checks}))
}

async fn change(
    State(service): State<Service>,
    Path(name): Path<String>,
    body: Result<Json<CheckConfig>, JsonRejection>,
) -> Response {
    let refuse =
        |code: StatusCode, detail: String| (code, Json(json!({"detail": detail}))).into_response();
    let Some(check) = service.check(&name) else {
        return refuse(StatusCode::NOT_FOUND, format!("there is no check `{name}`"));
    };
    let applied = body
        .map_err(|rejection| rejection.body_text())
        .and_then(|Json(config)| config.apply(&check));
    if let Err(reason) = applied {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, reason);
    }
    let settings = payload(&check);
    tracing::info!(check = name, settings = %settings, "check changed by a request");
    Json(settings).into_response()
}

fn payload(check: &Check) -> Value {
    let mut payload = json!(CheckConfig::of(check));
    payload["required"] = (check.dependency().need() == Need::Required).into();
    payload
}
