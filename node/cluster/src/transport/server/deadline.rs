//! Request deadline: how long a caller waits, as its metadata says.

use std::time::Duration;

use gitstratum_core::limits;
use http::HeaderMap;
use tonic::Status;

/// The request's deadline from `grpc-timeout` (at most eight digits and a unit), or ours.
pub(super) fn timeout_of(headers: &HeaderMap) -> Result<Duration, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(limits::REQUEST_TIMEOUT_MAX) };
    let wrong = || Status::invalid_argument(format!("grpc-timeout {value:?} is no timeout"));
    let text = value.to_str().map_err(|_| wrong())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let timeout = match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return Err(wrong()),
    };
    Ok(timeout.min(limits::REQUEST_TIMEOUT_MAX))
}
