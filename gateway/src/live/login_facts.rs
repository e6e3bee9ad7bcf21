//! How and when a login was made, from the claims that are kept of it. What a policy makes of that is left to the policies.

use portcullis_policy::LoginFacts;
use serde::Deserialize;

/// What of the claims speaks of the login itself. Another form than these is nothing that is known.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    acr: Option<String>,
    #[serde(default)]
    amr: Option<Vec<String>>,
    #[serde(default)]
    auth_time: Option<i64>,
}

/// Reads the facts from a session's claims. `authenticated_at` counts only if the provider told a time: it stands for the
/// beginning of the session otherwise, and somebody may have logged in at the provider long before.
pub(crate) fn login_facts(claims_json: &str, authenticated_at: i64) -> LoginFacts {
    let told: Told = serde_json::from_str(claims_json).unwrap_or_default();
    LoginFacts {
        authenticated_at: told.auth_time.map(|_| authenticated_at),
        acr: told.acr.map(Box::from),
        amr: told.amr.map(|methods| methods.into_iter().map(Box::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_provider_did_not_say_is_not_known() {
        let facts = login_facts(r#"{"acr":"phr","amr":["pwd","mfa"],"auth_time":90}"#, 100);
        assert_eq!(facts.authenticated_at, Some(100));
        assert_eq!(facts.acr.as_deref(), Some("phr"));
        assert_eq!(facts.amr.unwrap(), ["pwd", "mfa"].map(Box::from).into());
        for silent in
            ["{}", "", r#"{"amr":"pwd"}"#, r#"{"acr":["phr"],"auth_time":90}"#, r#"{"auth_time":"90"}"#]
        {
            assert_eq!(login_facts(silent, 100), LoginFacts::default(), "{silent}");
        }
    }
}
