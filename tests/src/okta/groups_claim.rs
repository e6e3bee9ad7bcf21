//! The groups claim: which names it holds, and what happens above 100 of them.

use serde::{Deserialize, Serialize};

/// The number of groups above which Okta's configurations differ.
pub const CLAIM_LIMIT: usize = 100;

/// Okta's own words for a claim that it refuses to build.
pub const TOO_MANY_GROUPS: &str =
    "The groups claim matched too many groups and must be configured to match fewer groups";

/// What an org does with a person in more than [`CLAIM_LIMIT`] groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimMode {
    /// Every name is delivered, however many.
    #[default]
    Whole,
    /// Exactly 100 names are delivered and nothing says that some are missing.
    CutAtLimit,
    /// The token request fails with [`TOO_MANY_GROUPS`].
    RefuseAboveLimit,
    /// The application has no groups claim at all.
    Absent,
}

/// Which groups the claim is configured to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupFilter {
    /// The regular expression `.*`.
    #[default]
    Everything,
    /// Names that start with this.
    StartsWith(String),
    /// The one name.
    Equals(String),
    /// Names that contain this.
    Contains(String),
}

impl GroupFilter {
    fn admits(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::StartsWith(start) => name.starts_with(start.as_str()),
            Self::Equals(whole) => name == whole,
            Self::Contains(part) => name.contains(part.as_str()),
        }
    }
}

/// The claim has too many names for an org that refuses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyGroups;

/// The value of the claim; `None` where it is absent, as Okta leaves it out when nothing matched.
pub(super) fn claim(
    mode: ClaimMode,
    filter: &GroupFilter,
    names: Vec<String>,
) -> Result<Option<Vec<String>>, TooManyGroups> {
    let mut matched = names.into_iter().filter(|name| filter.admits(name)).collect::<Vec<_>>();
    match mode {
        ClaimMode::Absent => return Ok(None),
        ClaimMode::RefuseAboveLimit if matched.len() > CLAIM_LIMIT => return Err(TooManyGroups),
        ClaimMode::CutAtLimit => matched.truncate(CLAIM_LIMIT),
        ClaimMode::Whole | ClaimMode::RefuseAboveLimit => {}
    }
    Ok((!matched.is_empty()).then_some(matched))
}
