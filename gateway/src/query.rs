//! The query of a request to one of our own endpoints. A name that comes twice has no value: which of the two would count?

use url::form_urlencoded;

/// The most pairs that are looked at.
const MAX_PAIRS: usize = 32;

/// Decoded pairs.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        // One more than the limit is kept, so that `only` can tell.
        Self(pairs.take(MAX_PAIRS + 1).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Whether a name comes at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether a name comes more than once.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        self.0.iter().filter(|(known, _)| known == name).count() > 1
    }

    /// The value of a name that comes once.
    pub(crate) fn only(&self, name: &str) -> Option<&str> {
        if self.0.len() > MAX_PAIRS {
            return None;
        }
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { None } else { first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t59_a_name_that_comes_twice_has_no_value() {
        let query = Query::parse(Some("state=a%20b&code=1&code=2&&="));
        assert_eq!(query.only("state"), Some("a b"));
        assert_eq!(query.only("code"), None);
        assert!(query.repeats("code") && !query.repeats("state"));
        assert_eq!(query.only("missing"), None);
        assert_eq!(Query::parse(None).only("state"), None);
    }

    #[test]
    fn a_query_over_the_limit_has_no_values() {
        let pairs = |count: usize| format!("state=x{}", "&a=b".repeat(count - 1));
        assert_eq!(Query::parse(Some(&pairs(MAX_PAIRS))).only("state"), Some("x"));
        assert_eq!(Query::parse(Some(&pairs(MAX_PAIRS + 1))).only("state"), None);
    }
}
