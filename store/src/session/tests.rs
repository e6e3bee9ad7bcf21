use crate::testing::{Model, content, login, new_store, session_id, set_active};
use crate::{
    BeginApplicationSessionError, BeginSessionError, Change, EndReason, EndWhat, NewApplicationSession,
    NewSession, PersonContent, Profile, Provisioning, RenewSessionError, Renewal, SessionId, SessionRecord,
    Store, StoreError, limits, sql,
};
use std::sync::Arc;

fn part(number: u64, parent: u64) -> NewApplicationSession {
    NewApplicationSession {
        id: session_id(number),
        parent: session_id(parent),
        terminal: None,
        host: "wiki.corp.example".to_owned(),
        now: 10,
        expires_at: 5000,
        binding: None,
    }
}

fn renewal(number: u64, email: Option<&str>) -> Renewal {
    Renewal {
        id: session_id(number),
        email: email.map(str::to_owned),
        claimed: Vec::new(),
        display_name: Some("Engineer".to_owned()),
        groups: Some(vec!["Finance".to_owned()]),
        claims_json: r#"{"amr":["mfa"]}"#.to_owned(),
        authenticated_at: 1,
        now: 50,
        sealed: None,
    }
}

fn live(store: &Store) -> Vec<SessionId> {
    let snapshot = store.snapshot().unwrap();
    let parts = snapshot.application_sessions.iter().filter(|part| part.ended.is_none()).map(|part| part.id);
    let sessions =
        snapshot.sessions.iter().filter(|session| session.ended.is_none()).map(|session| session.id);
    sessions.chain(parts).collect()
}

#[tokio::test]
async fn a_session_is_kept_whole() {
    let (_folder, store) = new_store().await;
    let begun = NewSession {
        display_name: Some("Engineer".to_owned()),
        groups: vec!["Größe \"1\"".to_owned(), String::new()],
        claims_json: r#"{"amr":["mfa"]}"#.to_owned(),
        ..login(1, "00u1", Some("Engineer@corp.example"))
    };
    let record = store.begin_session(begun, Provisioning::Optional).await.unwrap();
    assert_eq!(record.profile.email.as_deref(), Some("engineer@corp.example"));
    assert_eq!(record.profile.groups.len(), 2);
    assert_eq!(store.session(session_id(1)).unwrap().as_ref(), Some(&*record));
    assert_eq!(store.sealed(session_id(1)).unwrap().as_deref(), Some(&b"sealed"[..]));
    let again = store.begin_session(login(1, "00u2", None), Provisioning::Optional).await;
    assert!(matches!(again, Err(BeginSessionError::Store(_))), "an id was given twice");
}

#[tokio::test]
async fn a_renewal_replaces_the_profile_and_nothing_else() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let begun = NewSession { claimed: vec!["old@corp.example".to_owned()], ..login(1, "00u1", None) };
    let before = store.begin_session(begun, Provisioning::Optional).await.unwrap();
    let after = store.renew_session(renewal(1, Some("New@corp.example"))).await.unwrap();
    let profile = Profile {
        email: Some("new@corp.example".to_owned()),
        display_name: Some("Engineer".to_owned()),
        groups: vec!["Finance".to_owned()],
        claims_json: r#"{"amr":["mfa"]}"#.to_owned(),
        authenticated_at: 1,
        told_at: 50,
    };
    assert_eq!(*after.profile, profile);
    assert_eq!(SessionRecord { profile: before.profile.clone(), ..(*after).clone() }, *before);
    assert_eq!(store.sealed(session_id(1)).unwrap().as_deref(), Some(&b"sealed"[..]));
    let resealed = Renewal { sealed: Some(b"anew".to_vec()), ..renewal(1, None) };
    store.renew_session(resealed).await.unwrap();
    assert_eq!(store.sealed(session_id(1)).unwrap().as_deref(), Some(&b"anew"[..]));
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    store.end_sessions(EndWhat::Session(session_id(1)), EndReason::Revoked, 60).await.unwrap();
    for number in [1, 2] {
        let refused = store.renew_session(renewal(number, None)).await;
        assert!(matches!(refused, Err(RenewSessionError::Ended)), "an ended session came to life");
    }
}

#[tokio::test]
async fn a_refresh_token_is_kept_for_a_live_session_alone() {
    let (_folder, store) = new_store().await;
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    assert_eq!(store.refresh(session_id(1)).unwrap().as_deref(), Some(&b"refresh"[..]));
    assert!(store.keep_refresh(session_id(1), b"next".to_vec()).await.unwrap());
    assert_eq!(store.refresh(session_id(1)).unwrap().as_deref(), Some(&b"next"[..]));
    let longer = store.keep_refresh(session_id(1), vec![0; limits::SEALED_BYTES + 1]).await;
    assert!(matches!(longer, Err(RenewSessionError::TooLong(_))));
    store.end_sessions(EndWhat::Session(session_id(1)), EndReason::Revoked, 20).await.unwrap();
    assert!(!store.keep_refresh(session_id(1), b"late".to_vec()).await.unwrap());
    assert_eq!(store.refresh(session_id(1)).unwrap(), None);
}

#[tokio::test]
async fn uses_are_noted_without_a_change() {
    let (_folder, store) = new_store().await;
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    let before = store.watermark().unwrap();
    assert_eq!(store.note_uses(vec![(session_id(1), 77), (session_id(9), 78)], 78).await.unwrap(), 2);
    assert_eq!(store.session(session_id(1)).unwrap().unwrap().used_at, Some(77));
    assert_eq!(store.watermark().unwrap(), before);
    let many = vec![(session_id(1), 79); super::used::USES_PER_NOTE + 1];
    assert_eq!(store.note_uses(many, 79).await.unwrap(), super::used::USES_PER_NOTE);
}

#[tokio::test]
async fn only_what_no_process_has_used_since_is_ended_as_idle() {
    let (folder, store) = new_store().await;
    let other = Store::open(&folder.database()).unwrap();
    for number in [1, 2] {
        store.begin_session(login(number, "00u1", None), Provisioning::Optional).await.unwrap();
    }
    let begun = store.last_uses().of(session_id(1)).unwrap().unwrap();
    other.note_uses(vec![(session_id(1), begun + 100)], begun + 100).await.unwrap();
    store.note_uses(vec![(session_id(1), begun + 50)], begun + 101).await.unwrap();
    let uses = store.last_uses();
    assert_eq!(
        uses.of(session_id(1)).unwrap(),
        Some(begun + 100),
        "an older use took the place of a newer one"
    );
    assert_eq!(uses.of(session_id(2)).unwrap(), Some(begun), "a session is used when it begins");
    let end = |since| {
        let sessions = vec![session_id(1), session_id(2), session_id(9)];
        store.end_sessions(EndWhat::Unused { sessions, since }, EndReason::Idle, begun + 200)
    };
    assert_eq!(end(begun - 1).await.unwrap(), 0);
    assert_eq!(end(begun + 99).await.unwrap(), 1);
    assert_eq!(store.session(session_id(2)).unwrap().unwrap().ended, Some(EndReason::Idle));
    assert_eq!(uses.of(session_id(2)).unwrap(), None, "it is over");
    assert_eq!(end(begun + 100).await.unwrap(), 1);
}

#[tokio::test]
async fn a_use_that_lies_too_far_ahead_gives_way_to_a_true_one() {
    let (_folder, store) = new_store().await;
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    let used = || store.last_uses().of(session_id(1)).unwrap().unwrap();
    let note = |at, now| store.note_uses(vec![(session_id(1), at)], now);
    note(10_000, 10_000).await.unwrap();
    note(9_880, 9_880).await.unwrap();
    assert_eq!(used(), 10_000, "the newest of several processes counts");
    note(9_879, 9_879).await.unwrap();
    assert_eq!(used(), 9_879);
}

#[tokio::test]
async fn one_write_ends_no_more_unused_sessions_than_it_may() {
    let (_folder, store) = new_store().await;
    for number in [1, 2] {
        store.begin_session(login(number, "00u1", None), Provisioning::Optional).await.unwrap();
    }
    let end = |before| {
        let mut sessions = vec![session_id(1); before];
        sessions.push(session_id(2));
        store.end_sessions(EndWhat::Unused { sessions, since: 1_000 }, EndReason::Idle, 1_000)
    };
    assert_eq!(end(limits::UNUSED_PER_WRITE).await.unwrap(), 1);
    assert_eq!(live(&store), [session_id(2)]);
    assert_eq!(end(limits::UNUSED_PER_WRITE - 1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_renewal_looks_again_at_whose_the_session_is() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let engineer = store.create_person("corp", content("engineer@corp.example"), 1).await.unwrap();
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    store.begin_session(login(2, "00u2", None), Provisioning::Optional).await.unwrap();
    let linked = store.renew_session(renewal(1, Some("engineer@corp.example"))).await.unwrap();
    assert_eq!(linked.person, Some(engineer.id), "nobody's session becomes somebody's");
    let held = store.renew_session(renewal(1, Some("other@corp.example"))).await.unwrap();
    assert_eq!(held.person, Some(engineer.id), "a link holds");
    set_active(&store, &engineer.scim_id, false).await;
    let claimed = Renewal { claimed: vec!["Engineer@corp.example".to_owned()], ..renewal(2, None) };
    let ended = store.renew_session(claimed).await.unwrap();
    assert_eq!(ended.ended, Some(EndReason::Deactivated), "the address of a deactivated person");
    assert_eq!(live(&store), []);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_renewal_forgets_no_address_and_no_group_that_it_does_not_speak_of() {
    let (_folder, store) = new_store().await;
    let engineer = store.create_person("corp", content("engineer@corp.example"), 1).await.unwrap();
    let begun = NewSession {
        claimed: vec!["Engineer@corp.example".to_owned()],
        groups: vec!["Contractors".to_owned()],
        ..login(1, "00u1", None)
    };
    let before = store.begin_session(begun, Provisioning::Optional).await.unwrap();
    let silent = || Renewal { groups: None, ..renewal(1, None) };
    let after = store.renew_session(silent()).await.unwrap();
    assert_eq!(after.profile.groups, ["Contractors"]);
    assert_eq!(after.profile.told_at, before.profile.told_at, "what was not said became younger");
    // More than there is room for pushes none out.
    claim_aliases(&store).await;
    set_active(&store, &engineer.scim_id, false).await;
    store.renew_session(silent()).await.unwrap_err();
    assert_eq!(live(&store), [], "the address of the login was forgotten");
}

/// One renewal after the other claims another address, more than are kept.
async fn claim_aliases(store: &Store) {
    for number in 1..=limits::CLAIMED_ADDRESSES_KEPT {
        let claimed = vec![format!("alias-{number}@corp.example")];
        store.renew_session(Renewal { claimed, ..renewal(1, None) }).await.unwrap();
    }
}

#[tokio::test]
async fn the_addresses_that_renewals_claim_are_bounded() {
    let (_folder, store) = new_store().await;
    let last = format!("alias-{}@corp.example", limits::CLAIMED_ADDRESSES_KEPT);
    let one_over = store.create_person("corp", content(&last), 1).await.unwrap();
    let within = store.create_person("corp", content("alias-1@corp.example"), 1).await.unwrap();
    let begun = NewSession { claimed: vec!["login@corp.example".to_owned()], ..login(1, "00u1", None) };
    store.begin_session(begun, Provisioning::Optional).await.unwrap();
    claim_aliases(&store).await;
    set_active(&store, &one_over.scim_id, false).await;
    assert_eq!(live(&store), [session_id(1)], "one over the limit was kept");
    set_active(&store, &within.scim_id, false).await;
    assert_eq!(live(&store), [], "one within the limit was not kept");
}

#[tokio::test]
async fn a_part_ends_with_its_session_and_not_after_it() {
    let (_folder, store) = new_store().await;
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    let first = store.begin_application_session(part(2, 1)).await.unwrap();
    assert_eq!(first.expires_at, 1000, "it outlives its parent");
    store.begin_application_session(part(3, 1)).await.unwrap();
    let end = |what| store.end_sessions(what, EndReason::SignedOut, 20);
    assert_eq!(end(EndWhat::ApplicationSession(session_id(2))).await.unwrap(), 1);
    assert_eq!(end(EndWhat::ApplicationSession(session_id(2))).await.unwrap(), 0);
    assert_eq!(live(&store), [session_id(1), session_id(3)]);
    assert_eq!(end(EndWhat::Session(session_id(1))).await.unwrap(), 1);
    assert_eq!(live(&store), []);
    assert_eq!(store.sealed(session_id(1)).unwrap(), None);
    assert_eq!(store.refresh(session_id(1)).unwrap(), None, "T90c: the refresh token is forgotten");
    for parent in [1, 9] {
        let refused = store.begin_application_session(part(4, parent)).await;
        assert!(matches!(refused, Err(BeginApplicationSessionError::ParentEnded)));
    }
    store.begin_session(login(5, "00u1", None), Provisioning::Optional).await.unwrap();
    let late = NewApplicationSession { now: 1000, ..part(6, 5) };
    let refused = store.begin_application_session(late).await;
    assert!(matches!(refused, Err(BeginApplicationSessionError::ParentEnded)));
}

#[tokio::test]
async fn all_sessions_of_a_subject_end_and_no_others() {
    let (_folder, store) = new_store().await;
    for (number, subject) in [(1, "00u1"), (2, "00u1"), (3, "00u2")] {
        store.begin_session(login(number, subject, None), Provisioning::Optional).await.unwrap();
    }
    let elsewhere = NewSession { provider: "other".to_owned(), ..login(4, "00u1", None) };
    store.begin_session(elsewhere, Provisioning::Optional).await.unwrap();
    let what = EndWhat::Subject { provider: "okta".to_owned(), subject: "00u1".to_owned() };
    assert_eq!(store.end_sessions(what, EndReason::Revoked, 20).await.unwrap(), 2);
    assert_eq!(live(&store), [session_id(3), session_id(4)]);
}

#[tokio::test]
async fn deactivation_ends_everything_and_reactivation_brings_nothing_back() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let engineer = PersonContent { external_id: Some("00u1".to_owned()), ..content("engineer") };
    let person = store.create_person("corp", engineer, 1).await.unwrap();
    store.begin_session(login(1, "00u1", None), Provisioning::Required).await.unwrap();
    store.begin_application_session(part(2, 1)).await.unwrap();
    set_active(&store, &person.scim_id, false).await;
    assert_eq!(live(&store), []);
    assert_eq!(store.sealed(session_id(1)).unwrap(), None);
    let refused = store.begin_session(login(3, "00u1", None), Provisioning::Optional).await;
    assert!(matches!(refused, Err(BeginSessionError::Deactivated)));
    set_active(&store, &person.scim_id, true).await;
    assert_eq!(live(&store), []);
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
    store.begin_session(login(4, "00u1", None), Provisioning::Required).await.unwrap();
    assert_eq!(live(&store), [session_id(4)]);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_beside_a_deactivation_is_ended_or_refused() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let engineer = PersonContent { external_id: Some("00u1".to_owned()), ..content("engineer") };
    let person = store.create_person("corp", engineer, 1).await.unwrap();
    let (mut refused, mut ended) = (0, 0);
    for round in 0..40 {
        set_active(&store, &person.scim_id, true).await;
        let mut logins: Vec<_> = (0..8)
            .map(|login_number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let id = round * 100 + login_number;
                    match store.begin_session(login(id, "00u1", None), Provisioning::Required).await {
                        Ok(session) => Some(session.id),
                        Err(BeginSessionError::Deactivated) => None,
                        Err(cause) => panic!("{cause}"),
                    }
                })
            })
            .collect();
        // Some logins are over when the deactivation comes, the others race with it.
        let over = usize::try_from(round % 9).unwrap();
        for login in logins.drain(..over) {
            assert!(login.await.unwrap().is_some());
            ended += 1;
        }
        set_active(&store, &person.scim_id, false).await;
        for login in logins {
            match login.await.unwrap() {
                Some(id) => {
                    assert_eq!(model.ended(id), Some(EndReason::Deactivated));
                    ended += 1;
                }
                None => refused += 1,
            }
        }
        assert_eq!(live(&store), []);
    }
    assert!(ended > 0);
    assert_eq!(refused + ended, 320);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn what_has_expired_is_forgotten() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    store
        .begin_session(NewSession { expires_at: 2000, ..login(2, "00u1", None) }, Provisioning::Optional)
        .await
        .unwrap();
    store.begin_application_session(part(3, 1)).await.unwrap();
    store.begin_application_session(NewApplicationSession { expires_at: 900, ..part(4, 2) }).await.unwrap();
    store.end_sessions(EndWhat::Session(session_id(1)), EndReason::SignedOut, 20).await.unwrap();
    assert_eq!(store.purge_expired(899).await.unwrap(), 0);
    assert_eq!(store.purge_expired(900).await.unwrap(), 1);
    assert_eq!(store.purge_expired(1000).await.unwrap(), 2);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    assert_eq!(live(&store), [session_id(2)]);
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused() {
    let (_folder, store) = new_store().await;
    let long = |limit: usize| "x".repeat(limit + 1);
    let whole = || login(1, "00u1", None);
    let too_long = [
        NewSession { provider: long(limits::NAME_BYTES), ..whole() },
        NewSession { subject: long(limits::EXTERNAL_ID_BYTES), ..whole() },
        NewSession { email: Some(long(limits::EMAIL_BYTES)), ..whole() },
        NewSession { claimed: vec![String::new(); limits::CLAIMED_ADDRESSES + 1], ..whole() },
        NewSession { claimed: vec![long(limits::EMAIL_BYTES)], ..whole() },
        NewSession { display_name: Some(long(limits::DISPLAY_NAME_BYTES)), ..whole() },
        NewSession { groups: vec![String::new(); limits::GROUPS_PER_SESSION + 1], ..whole() },
        NewSession { groups: vec![long(limits::DISPLAY_NAME_BYTES)], ..whole() },
        NewSession { claims_json: long(limits::CLAIMS_BYTES), ..whole() },
        NewSession { sealed: Some(vec![0; limits::SEALED_BYTES + 1]), ..whole() },
        NewSession { refresh: Some(vec![0; limits::SEALED_BYTES + 1]), ..whole() },
    ];
    for session in too_long {
        let refused = store.begin_session(session, Provisioning::Optional).await;
        assert!(matches!(refused, Err(BeginSessionError::TooLong(_))));
    }
    store.begin_session(login(3, "00u1", None), Provisioning::Optional).await.unwrap();
    let renewed = || renewal(3, None);
    for renewal in [
        Renewal { email: Some(long(limits::EMAIL_BYTES)), ..renewed() },
        Renewal { claimed: vec![String::new(); limits::CLAIMED_ADDRESSES + 1], ..renewed() },
        Renewal { display_name: Some(long(limits::DISPLAY_NAME_BYTES)), ..renewed() },
        Renewal { groups: Some(vec![String::new(); limits::GROUPS_PER_SESSION + 1]), ..renewed() },
        Renewal { claims_json: long(limits::CLAIMS_BYTES), ..renewed() },
        Renewal { sealed: Some(vec![0; limits::SEALED_BYTES + 1]), ..renewed() },
    ] {
        assert!(matches!(store.renew_session(renewal).await, Err(RenewSessionError::TooLong(_))));
    }
    let host = NewApplicationSession { host: long(limits::HOST_BYTES), ..part(2, 1) };
    let refused = store.begin_application_session(host).await;
    assert!(matches!(refused, Err(BeginApplicationSessionError::TooLong(_))));
    assert_eq!(live(&store), [session_id(3)]);
}

#[tokio::test]
async fn one_login_has_so_many_application_sessions_on_a_host_and_no_more() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
    store.begin_session(login(2, "00u1", None), Provisioning::Optional).await.unwrap();
    let begin = |number: u64, parent, host: &str| {
        let now = i64::try_from(number).unwrap();
        store.begin_application_session(NewApplicationSession {
            now,
            terminal: None,
            host: host.to_owned(),
            ..part(number, parent)
        })
    };
    let most = u64::try_from(limits::MAX_APPLICATION_SESSIONS_PER_HOST).unwrap();
    begin(10, 2, "wiki.corp.example").await.unwrap();
    begin(11, 1, "mail.corp.example").await.unwrap();
    for number in 100..100 + most {
        begin(number, 1, "wiki.corp.example").await.unwrap();
    }
    assert_eq!(live(&store).len(), 4 + limits::MAX_APPLICATION_SESSIONS_PER_HOST);
    model.told();
    begin(200, 1, "wiki.corp.example").await.unwrap();
    let oldest = session_id(100);
    assert!(matches!(
        model.told().as_slice(),
        [Change::SessionsEnded { sessions, reason: EndReason::SignedOut }, Change::ApplicationSessionBegun(_)]
            if *sessions == [oldest]
    ));
    let living = live(&store);
    assert_eq!(living.len(), 4 + limits::MAX_APPLICATION_SESSIONS_PER_HOST);
    assert!(
        !living.contains(&oldest) && living.contains(&session_id(10)) && living.contains(&session_id(11))
    );
    // Those that ended are forgotten too, the oldest first.
    for number in 201..301 {
        begin(number, 1, "wiki.corp.example").await.unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.application_sessions.len(), 2 + limits::APPLICATION_SESSIONS_KEPT_PER_HOST);
    assert_eq!(live(&store).len(), 4 + limits::MAX_APPLICATION_SESSIONS_PER_HOST);
    assert!(live(&store).contains(&session_id(300)));
    assert_eq!(model.snapshot(), snapshot);
}

#[tokio::test]
async fn of_the_events_the_newest_are_kept() {
    let (_folder, store) = new_store().await;
    for number in 1..=5 {
        store.begin_session(login(number, "00u1", None), Provisioning::Optional).await.unwrap();
    }
    let kept = || {
        store
            .read(|connection| {
                Ok::<_, StoreError>(sql::rows(
                    connection,
                    "SELECT seq FROM events ORDER BY seq",
                    [],
                    |row| row.get::<_, i64>(0),
                )?)
            })
            .unwrap()
    };
    let go_on = |seq: i64| {
        store.write(move |transaction| {
            sql::run(transaction.connection, "UPDATE watermark SET seq = $1", [seq])?;
            Ok::<_, StoreError>(())
        })
    };
    let most = limits::sql_count(limits::EVENTS_KEPT);
    go_on(most).await.unwrap();
    store.purge_expired(2).await.unwrap();
    assert_eq!(kept(), [1, 2, 3, 4, 5]);
    go_on(most + 3).await.unwrap();
    store.purge_expired(2).await.unwrap();
    assert_eq!(kept(), [4, 5]);
}

#[tokio::test]
async fn one_session_too_many_ends_the_oldest_of_its_subject() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let most = u64::try_from(limits::MAX_SESSIONS_PER_SUBJECT).unwrap();
    let begin = |number: u64, subject: &'static str| {
        let now = i64::try_from(number).unwrap();
        let session = NewSession { now, ..login(number, subject, None) };
        store.begin_session(session, Provisioning::Optional)
    };
    for number in 1..=most {
        begin(number, "00u1").await.unwrap();
    }
    begin(most + 1, "00u2").await.unwrap();
    assert_eq!(model.ended(session_id(1)), None, "at the limit nothing ends");
    begin(most + 2, "00u1").await.unwrap();
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Displaced));
    let others = (2..=most + 2).filter(|number| model.ended(session_id(*number)).is_some());
    assert_eq!(others.count(), 0, "only the oldest of the same subject ended");
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}
