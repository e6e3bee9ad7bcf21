//! The one place that says which person a session belongs to. Ending sessions is left to `session::end`.
//!
//! The rule: the person of a served directory of the session's provider whose externalId is the session's `sub`; if
//! there is none, the person whose userName or e-mail address is the session's verified address. Exactly one, or
//! nobody. When any of those it could be is deactivated, there is no session. A directory may leave some of the three out (`LinkBy`):
//! then they link nothing of its people, and deny nothing.
//!
//! A link, once made, holds while the person exists: a change of e-mail address neither frees a session from its
//! person nor hands it to whoever is given the address next. Only an externalId is stronger: one that is another
//! person's, or one by which this person says that they are somebody else.
//!
//! Addresses that a login only claims, without proof, link nothing. But while a session belongs to nobody, they deny it:
//! when one of them is the userName or e-mail address of a deactivated person, there is no session, whoever else bears
//! that address too. When a person is deactivated or deleted, such a session is over.

use crate::change::Change;
use crate::model::{EndReason, Person, PersonId, SessionId, SessionRecord};
use crate::session::end;
use crate::snapshot;
use crate::sql;
use crate::transaction::WriteTransaction;
use rusqlite::{Connection, Result, Row};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the rule says about a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Whom it belongs to.
    pub(crate) person: Option<PersonId>,
    /// Whether an externalId said so.
    by_external_id: bool,
    /// Whether somebody it could belong to is deactivated.
    pub(crate) deactivated: bool,
}

/// What a person can be found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identifiers {
    pub(crate) external_id: Option<String>,
    /// The folded userName and e-mail addresses.
    pub(crate) addresses: Vec<String>,
}

/// A live session, as far as the rule looks at it.
struct Candidate {
    subject: String,
    email: Option<String>,
    person: Option<PersonId>,
}

/// Applies the rule to one session.
pub(crate) fn find(
    connection: &Connection,
    provider: &str,
    subject: &str,
    email: Option<&str>,
) -> Result<Link> {
    // The deactivated come first, so that two rows tell everything.
    let by_external_id = sql::rows(
        connection,
        "SELECT p.id, p.active FROM directories d JOIN persons p ON p.directory = d.id \
         WHERE d.identity_provider = $1 AND d.served = 1 AND d.links_by_external_id = 1 AND p.external_id = $2 ORDER BY p.active LIMIT 2",
        (provider, subject),
        read_found,
    )?;
    if !by_external_id.is_empty() {
        return Ok(Link { by_external_id: true, ..one_of(&by_external_id) });
    }
    let Some(email) = email else { return Ok(Link::default()) };
    Ok(one_of(&by_address(connection, provider, email)?))
}

/// Who bears an address, the deactivated first; two at most.
fn by_address(connection: &Connection, provider: &str, address: &str) -> Result<Vec<(PersonId, bool)>> {
    sql::rows(
        connection,
        "SELECT p.id, p.active AS active FROM directories d JOIN persons p ON p.directory = d.id \
         WHERE d.identity_provider = $1 AND d.served = 1 AND d.links_by_user_name = 1 AND p.user_name_folded = $2 \
         UNION \
         SELECT p.id, p.active AS active FROM person_emails e JOIN persons p ON p.id = e.person \
         JOIN directories d ON d.id = p.directory \
         WHERE d.identity_provider = $1 AND d.served = 1 AND d.links_by_email = 1 AND e.email = $2 ORDER BY active LIMIT 2",
        (provider, address),
        read_found,
    )
}

/// Whether one of the addresses that a login claims is a deactivated person's.
pub(crate) fn denies(connection: &Connection, provider: &str, claimed: &[String]) -> Result<bool> {
    for address in claimed {
        if one_of(&by_address(connection, provider, address)?).deactivated {
            return Ok(true);
        }
    }
    Ok(false)
}

fn claimed(connection: &Connection, session: SessionId) -> Result<Vec<String>> {
    sql::rows(connection, "SELECT address FROM session_claims WHERE session = $1", [session], |row| {
        row.get(0)
    })
}

fn read_found(row: &Row<'_>) -> Result<(PersonId, bool)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn one_of(found: &[(PersonId, bool)]) -> Link {
    let person = match found {
        [(person, _)] => Some(*person),
        _ => None,
    };
    Link { person, by_external_id: false, deactivated: found.iter().any(|(_, active)| !active) }
}

/// Looks again at every live session that a person may be concerned by, after the person was written; `before` is
/// what they could be found by until then.
pub(crate) fn relink(
    transaction: &mut WriteTransaction<'_>,
    provider: &str,
    person: PersonId,
    before: &Identifiers,
    after: &Identifiers,
    now: i64,
) -> Result<()> {
    let mut sessions = concerned(transaction.connection, provider, before, Among::Live)?;
    sessions.append(&mut concerned(transaction.connection, provider, after, Among::Live)?);
    let disowned = match (&before.external_id, &after.external_id) {
        (Some(old), Some(new)) if old != new => Some(old.as_str()),
        _ => None,
    };
    apply(
        transaction,
        provider,
        sessions,
        |session| {
            session.person == Some(person) && disowned == Some(session.subject.as_str())
                || session.person.is_none()
        },
        now,
    )
}

/// Looks again at every live session of a provider that belongs to nobody, after a directory came to that provider.
pub(crate) fn relink_unlinked(
    transaction: &mut WriteTransaction<'_>,
    provider: &str,
    now: i64,
) -> Result<()> {
    let sessions = sql::rows(
        transaction.connection,
        "SELECT id, subject, email, person FROM sessions \
         WHERE provider = $1 AND end_reason IS NULL AND person IS NULL",
        [provider],
        read_candidate,
    )?;
    apply(transaction, provider, sessions.into_iter().collect(), |_| true, now)
}

/// Looks again at one live session, after its provider has said anew whose it is.
pub(crate) fn relink_session(
    transaction: &mut WriteTransaction<'_>,
    session: &SessionRecord,
    now: i64,
) -> Result<()> {
    let candidate = Candidate {
        subject: session.subject.clone(),
        email: session.profile.email.clone(),
        person: session.person,
    };
    let sessions = BTreeMap::from([(session.id, candidate)]);
    apply(transaction, &session.provider, sessions, |session| session.person.is_none(), now)
}

/// The sessions that belong to nobody, but could be this person's. Signed out ones too: what they asked for may still be on
/// its way to them.
pub(crate) fn unlinked(
    connection: &Connection,
    provider: &str,
    identifiers: &Identifiers,
) -> Result<Vec<SessionId>> {
    let sessions = concerned(connection, provider, identifiers, Among::SignedOutToo)?;
    Ok(sessions.into_iter().filter(|(_, session)| session.person.is_none()).map(|(id, _)| id).collect())
}

/// Which sessions are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    Live,
    SignedOutToo,
}

impl Among {
    /// The condition on a row of `sessions`.
    fn condition(self) -> &'static str {
        match self {
            Self::Live => "s.end_reason IS NULL",
            Self::SignedOutToo => "(s.end_reason IS NULL OR s.end_reason = 'signed_out')",
        }
    }
}

fn concerned(
    connection: &Connection,
    provider: &str,
    identifiers: &Identifiers,
    among: Among,
) -> Result<BTreeMap<SessionId, Candidate>> {
    let among = among.condition();
    let mut sessions = BTreeMap::new();
    if let Some(subject) = &identifiers.external_id {
        sessions.extend(sql::rows(
            connection,
            &format!(
                "SELECT s.id, s.subject, s.email, s.person FROM sessions s \
                 WHERE s.provider = $1 AND s.subject = $2 AND {among}"
            ),
            (provider, subject),
            read_candidate,
        )?);
    }
    for address in &identifiers.addresses {
        sessions.extend(sql::rows(
            connection,
            &format!(
                "SELECT s.id, s.subject, s.email, s.person FROM sessions s \
                 WHERE s.provider = $1 AND s.email = $2 AND {among}"
            ),
            (provider, address),
            read_candidate,
        )?);
        sessions.extend(sql::rows(
            connection,
            &format!(
                "SELECT s.id, s.subject, s.email, s.person FROM session_claims c JOIN sessions s ON s.id = c.session \
                 WHERE s.provider = $1 AND c.address = $2 AND {among} AND s.person IS NULL"
            ),
            (provider, address),
            read_candidate,
        )?);
    }
    Ok(sessions)
}

fn read_candidate(row: &Row<'_>) -> Result<(SessionId, Candidate)> {
    Ok((row.get(0)?, Candidate { subject: row.get(1)?, email: row.get(2)?, person: row.get(3)? }))
}

fn apply(
    transaction: &mut WriteTransaction<'_>,
    provider: &str,
    sessions: BTreeMap<SessionId, Candidate>,
    is_free: impl Fn(&Candidate) -> bool,
    now: i64,
) -> Result<()> {
    let mut moved: BTreeMap<Option<PersonId>, Vec<SessionId>> = BTreeMap::new();
    let mut over = Vec::new();
    for (id, session) in sessions {
        let link = find(transaction.connection, provider, &session.subject, session.email.as_deref())?;
        if !link.by_external_id && !is_free(&session) {
            continue;
        }
        if link.person != session.person {
            sql::run(
                transaction.connection,
                "UPDATE sessions SET person = $1 WHERE id = $2",
                (link.person, id),
            )?;
            moved.entry(link.person).or_default().push(id);
        }
        let is_denied = link.deactivated
            || link.person.is_none()
                && denies(transaction.connection, provider, &claimed(transaction.connection, id)?)?;
        if is_denied {
            over.push(id);
        }
    }
    for (person, sessions) in moved {
        let person = whole(transaction.connection, person)?;
        transaction.emit(Change::SessionsLinked { sessions, person }, now)?;
    }
    end::end(transaction, &over, EndReason::Deactivated, now)?;
    Ok(())
}

/// The person whom sessions belong to from now on: whoever follows may not know them yet.
pub(crate) fn whole(connection: &Connection, person: Option<PersonId>) -> Result<Option<Arc<Person>>> {
    let Some(id) = person else { return Ok(None) };
    Ok(snapshot::person(connection, id)?.map(Arc::new))
}

#[cfg(test)]
mod tests;
