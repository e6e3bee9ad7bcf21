//! The answer of an external evaluation: believed when it is signed by its key, to our question, in time, and says yes or no.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{Response, StatusCode};
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;

use super::EvaluationError;
use super::keys::Keys;
use crate::web_client::WebClient;

/// The largest answer that is read, in bytes.
pub(super) const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// How far the evaluation's clock may be off, in seconds.
const LEEWAY_S: i64 = 60;

#[derive(Deserialize)]
struct Envelope {
    token: String,
}

/// What an answer claims. All of it has to be there.
#[derive(Deserialize)]
struct Claims {
    nonce: Option<String>,
    exp: Option<i64>,
    success: Option<bool>,
}

/// Reads the answer to the question with this nonce.
pub(super) async fn read(
    told: &Response<Vec<u8>>,
    nonce: &str,
    keys: &Keys,
    http: &WebClient,
    now: i64,
) -> Result<bool, EvaluationError> {
    if told.status() != StatusCode::OK {
        return Err(EvaluationError::Status(told.status().as_u16()));
    }
    if told.body().len() > MAX_ANSWER_BYTES {
        return Err(EvaluationError::TooLarge);
    }
    let Envelope { token } = serde_json::from_slice(told.body()).map_err(|_| EvaluationError::Malformed)?;
    let header = jsonwebtoken::decode_header(&token).map_err(|_| EvaluationError::Malformed)?;
    let (algorithm, key) = keys.find(header.kid.as_deref(), http, now).await?;
    if header.alg != algorithm {
        return Err(EvaluationError::Signature);
    }
    judge(&verified(&token, algorithm, &key)?, nonce, now)
}

fn verified(
    token: &str,
    algorithm: jsonwebtoken::Algorithm,
    key: &DecodingKey,
) -> Result<Claims, EvaluationError> {
    let mut validation = Validation::new(algorithm);
    // Times are compared with the time that is given, below.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation);
    decoded.map(|decoded| decoded.claims).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::Json(_) => EvaluationError::Malformed,
        _ => EvaluationError::Signature,
    })
}

fn judge(claims: &Claims, nonce: &str, now: i64) -> Result<bool, EvaluationError> {
    let answered = claims.nonce.as_deref().unwrap_or_default();
    verify_slices_are_equal(answered.as_bytes(), nonce.as_bytes()).map_err(|_| EvaluationError::Nonce)?;
    if claims.exp.is_none_or(|exp| now >= exp.saturating_add(LEEWAY_S)) {
        return Err(EvaluationError::Expired);
    }
    claims.success.ok_or(EvaluationError::Undecided)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_to_this_question_in_time_and_clear() {
        let judged = |nonce: Option<&str>, exp, success| {
            judge(&Claims { nonce: nonce.map(str::to_owned), exp, success }, "n", 100)
        };
        assert!(matches!(judged(Some("n"), Some(101), Some(true)), Ok(true)));
        assert!(matches!(judged(Some("n"), Some(101), Some(false)), Ok(false)));
        assert!(judged(Some("n"), Some(41), Some(true)).is_ok(), "clocks differ");
        for wrong in [None, Some(""), Some("N"), Some("nn")] {
            assert!(matches!(judged(wrong, Some(101), Some(true)), Err(EvaluationError::Nonce)), "{wrong:?}");
        }
        for late in [None, Some(40), Some(i64::MIN)] {
            assert!(matches!(judged(Some("n"), late, Some(true)), Err(EvaluationError::Expired)), "{late:?}");
        }
        assert!(matches!(judged(Some("n"), Some(i64::MAX), None), Err(EvaluationError::Undecided)));
    }
}
