//! Of whom a rule can hold and whom an action is about: people, services, or whoever asks.
//!
//! Whether a rule does hold is left to the decision.

use crate::source::{Action, Selector};

/// Whom a selector or an action can speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// People alone.
    People,
    /// Services alone.
    Services,
    /// Whoever asks, also nobody.
    Anybody,
}

impl Action {
    /// Whom it lets in or keeps out.
    pub(crate) fn concerns(self) -> Concerns {
        match self {
            Self::Allow | Self::Block => Concerns::People,
            Self::ServiceAuth => Concerns::Services,
            Self::Bypass => Concerns::Anybody,
        }
    }
}

impl Selector {
    /// Of whom it can hold; none for a rule group, which has rules of its own. Services are nobody: also `everyone` means people.
    pub(crate) fn concerns(&self) -> Option<Concerns> {
        match self {
            Self::Everyone
            | Self::Email(_)
            | Self::EmailDomain(_)
            | Self::Subject(_)
            | Self::Group(_)
            | Self::GroupId(_)
            | Self::Attribute(_)
            | Self::LoginMethod(_)
            | Self::Acr(_)
            | Self::Amr(_)
            | Self::LoginAge(_) => Some(Concerns::People),
            Self::ServiceToken(_) | Self::AnyServiceToken => Some(Concerns::Services),
            Self::Ip(_)
            | Self::Country(_)
            | Self::Method(_)
            | Self::Path(_)
            | Self::ValidCertificate
            | Self::CommonName(_)
            | Self::TimeWindow(_)
            | Self::External(_) => Some(Concerns::Anybody),
            Self::RuleGroup(_) => None,
        }
    }

    /// Whether it can be asked without knowing who asks, as a bypass must. Also an external evaluation is asked about somebody.
    pub(crate) fn needs_nobody(&self) -> bool {
        match self {
            Self::Everyone => true,
            Self::External(_) => false,
            other => other.concerns() == Some(Concerns::Anybody),
        }
    }
}
