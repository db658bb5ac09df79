//! The SDK's errors in our kinds, with what the operator has to change.

use std::error::Error as StdError;
use std::time::SystemTime;

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Error, Kind};

/// More than this and signatures are refused somewhere.
const WORTH_TELLING: i64 = 120;

/// What went wrong, in our words. The service's code comes first, because that is what people search for.
pub(super) fn explain<E>(error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let skew = raw.headers().get("date").and_then(|date| clock_is_behind(date, SystemTime::now()));
            answered(service.err().code(), service.err().message(), raw.status().as_u16(), skew)
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => Error::from_source(Kind::Failed, error),
        SdkError::ResponseError(_) | SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
            Error::from_source(Kind::Unreachable, error)
        }
        _ => Error::from_source(Kind::Failed, error),
    }
}

/// Seconds by which this machine's clock is behind (or, negative, ahead of) the service's, if it is worth telling.
fn clock_is_behind(date: &str, now: SystemTime) -> Option<i64> {
    skew_of(date, now).filter(|seconds| seconds.abs() > WORTH_TELLING)
}

/// Seconds by which the clock that wrote this `Date` is ahead of `now`.
pub(super) fn skew_of(date: &str, now: SystemTime) -> Option<i64> {
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second();
    let ours = jiff::Timestamp::try_from(now).ok()?.as_second();
    Some(theirs - ours)
}

/// The error for an answer with this code.
fn answered(code: Option<&str>, message: Option<&str>, status: u16, skew: Option<i64>) -> Error {
    let kind = kind_of(code.unwrap_or_default(), status);
    let message = message.unwrap_or_default();
    let told = match code {
        Some(code) if message.is_empty() => format!("`{code}`"),
        Some(code) => format!("`{code}`: {}", message.trim_end_matches('.')),
        None => format!("the service answered with status {status}"),
    };
    let error = Error::new(kind, told);
    if let Some(seconds) = skew {
        let direction = if seconds > 0 { "behind" } else { "ahead" };
        // Signatures are judged by time; a clock that is set right a moment later makes the same call succeed.
        let clock = format!("this machine's clock is {} s {direction}, and requests are signed with the time", seconds.abs());
        return error
            .with_kind(Kind::Unreachable)
            .doing(clock)
            .hint("let the time service set the clock before the agent starts");
    }
    if is_credentials(code.unwrap_or_default()) {
        return error.hint("the credentials are refused as such; look at the instance profile and its role");
    }
    match (kind, missing_permission(message)) {
        (Kind::Denied, Some(hint)) => error.hint(hint),
        _ => error,
    }
}

/// What sort of failure an answer with this code and status is.
pub(super) fn kind_of(code: &str, status: u16) -> Kind {
    const SLOW_DOWN: [&str; 8] = [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
        "LimitExceededException",
    ];
    if SLOW_DOWN.contains(&code) || status == 429 {
        return Kind::Throttled;
    }
    if code.contains("AccessDenied") || is_credentials(code) || matches!(status, 401 | 403) {
        return Kind::Denied;
    }
    let missing =
        ["ParameterNotFound", "ParameterVersionNotFound", "NoSuchKey", "NoSuchBucket", "ResourceNotFoundException", "NotFound"];
    if missing.contains(&code) || status == 404 {
        return Kind::Missing;
    }
    if status >= 500 || matches!(code, "RequestTimeout" | "OperationAbortedException") { Kind::Unreachable } else { Kind::Failed }
}

/// Whether the credentials are refused as such.
pub(super) fn is_credentials(code: &str) -> bool {
    ["ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"]
        .contains(&code)
}

/// The permission to grant, as far as the service says: "… is not authorized to perform: ACTION on resource: ARN …".
fn missing_permission(message: &str) -> Option<String> {
    let after =
        |marker: &str| message.split_once(marker)?.1.split_whitespace().next().map(|word| word.trim_end_matches([',', '.']));
    if message.contains("ciphertext") {
        return Some("the role needs `kms:Decrypt` on the key that encrypts it".to_owned());
    }
    let action = after("not authorized to perform: ")?;
    Some(match after("on resource: ") {
        Some(resource) => format!("the role needs `{action}` on `{resource}`"),
        None => format!("the role needs `{action}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_action_and_resource() {
        let said = "User: arn:aws:sts::1:assumed-role/r/i-1 is not authorized to perform: ssm:GetParameters on resource: \
                    arn:aws:ssm:eu-west-1:1:parameter/a because no identity-based policy allows it";
        let error = answered(Some("AccessDeniedException"), Some(said), 400, None);
        assert_eq!(error.kind(), Kind::Denied);
        assert_eq!(error.advice(), Some("the role needs `ssm:GetParameters` on `arn:aws:ssm:eu-west-1:1:parameter/a`"));
        let key =
            answered(Some("AccessDeniedException"), Some("The ciphertext refers to a customer master key that …"), 400, None);
        assert!(key.advice().is_some_and(|hint| hint.contains("kms:Decrypt")));
    }

    #[test]
    fn codes_decide_what_is_tried_again() {
        for (code, status, kind) in [
            ("ThrottlingException", 400, Kind::Throttled),
            ("SlowDown", 503, Kind::Throttled),
            ("InternalFailure", 500, Kind::Unreachable),
            ("ValidationError", 400, Kind::Failed),
            ("ParameterNotFound", 400, Kind::Missing),
            ("ExpiredTokenException", 400, Kind::Denied),
        ] {
            assert_eq!(kind_of(code, status), kind, "{code}");
        }
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        assert_eq!(clock_is_behind("Tue, 14 Nov 2023 22:23:20 GMT", now), Some(600));
        assert_eq!(clock_is_behind("Tue, 14 Nov 2023 22:13:21 GMT", now), None);
        let error = answered(Some("InvalidSignatureException"), Some("Signature expired"), 400, Some(-600));
        assert!(error.to_string().contains("clock is 600 s ahead"), "{error}");
        assert!(error.kind().is_transient());
    }
}
