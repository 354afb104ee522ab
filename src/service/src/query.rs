//! Truth values in the query of a request, in the spellings and with the refusal of FastAPI.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The query of a request, by name.
pub(crate) type QueryValues = HashMap<String, String>;

/// Returns the truth value of this name, false where the query does not have it.
///
/// # Errors
///
/// The response to a request whose value is none.
pub(crate) fn flag(query: &QueryValues, name: &str) -> Result<bool, Box<Response>> {
    let Some(value) = query.get(name) else {
        return Ok(false);
    };
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(Box::new(not_a_boolean(name, value))),
    }
}

fn not_a_boolean(name: &str, value: &str) -> Response {
    let body = json!({"detail": [{
        "type": "bool_parsing",
        "loc": ["query", name],
        "msg": "Input should be a valid boolean, unable to interpret input",
        "input": value,
    }]});
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}
