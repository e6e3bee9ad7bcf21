use super::*;
use crate::testing::{Model, content, login, new_store, session_id, set_active};
use crate::{Change, StoreError, sql};
use crate::{Provisioning, Seq};
use std::time::{Duration, Instant};

const HOUR: i64 = 3_600;

/// A store with a follower, an asker (session 1) and an approver (session 2), both good until 1000.
async fn two_people() -> (crate::testing::Folder, Store, Arc<Model>) {
    let (folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    for (number, subject, email) in [(1, "00u1", "asker@corp.example"), (2, "00u2", "approver@corp.example")]
    {
        store.begin_session(login(number, subject, Some(email)), Provisioning::Optional).await.unwrap();
    }
    model.told();
    (folder, store, model)
}

fn asked(session: u64, application: &str) -> NewAccessRequest {
    NewAccessRequest {
        session: session_id(session),
        application: application.to_owned(),
        policy: "by-approval".to_owned(),
        reason: "Ticket 7".to_owned(),
        wanted_s: HOUR,
        now: 10,
    }
}

fn approver(session: u64) -> Decider {
    Decider { name: format!("session {session}"), session: Some(session_id(session)) }
}

fn administrator() -> Decider {
    Decider { name: "administrator".to_owned(), session: None }
}

async fn granted(store: &Store, until: i64) -> AccessRequest {
    let request = store.ask_for_access(asked(1, "payroll")).await.unwrap();
    store.decide_access(&request.id, AccessDecision::Grant { until }, approver(2), 20).await.unwrap()
}

#[tokio::test]
async fn a_grant_is_asked_for_given_told_and_ended() {
    let (_folder, store, model) = two_people().await;
    let request = store.ask_for_access(asked(1, "payroll")).await.unwrap();
    assert_eq!((request.subject.as_str(), request.email.as_deref()), ("00u1", Some("asker@corp.example")));
    assert_eq!(store.open_access_requests(11).unwrap(), std::slice::from_ref(&request));
    assert!(!request.is_in_force(11));
    let grant = store.decide_access(&request.id, AccessDecision::Grant { until: 500 }, approver(2), 20);
    let grant = grant.await.unwrap();
    assert!(grant.is_in_force(499) && !grant.is_in_force(500));
    assert_eq!(grant.decided_by.as_deref(), Some("session 2"));
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    let newest = store.newest_access_request(("okta", "00u1"), ("payroll", "by-approval")).unwrap();
    assert_eq!(newest, Some(grant.clone()));
    let ended = store.end_access(&grant.id, approver(2), 30).await.unwrap();
    assert_eq!((ended.state, ended.ended_by.as_deref()), (AccessState::Ended, Some("session 2")));
    let told = [request, grant, ended].map(|state| Change::Access(Arc::new(state)));
    assert_eq!(model.told(), told);
    assert!(store.open_access_requests(31).unwrap().is_empty());
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_request_is_answered_once_and_not_by_who_asked() {
    let (_folder, store, _model) = two_people().await;
    let request = store.ask_for_access(asked(1, "payroll")).await.unwrap();
    assert!(matches!(store.ask_for_access(asked(1, "payroll")).await, Err(AccessRequestError::WaitsAlready)));
    let grant = AccessDecision::Grant { until: 500 };
    // The same login, another session of the same subject, and another account with the same address.
    store.begin_session(login(3, "00u1", None), Provisioning::Optional).await.unwrap();
    let mut elsewhere = login(4, "other", Some("Asker@corp.example"));
    elsewhere.provider = "other".to_owned();
    store.begin_session(elsewhere, Provisioning::Optional).await.unwrap();
    for themselves in [1, 3, 4] {
        let refused = store.decide_access(&request.id, grant, approver(themselves), 20).await;
        assert!(matches!(refused, Err(AccessRequestError::OwnRequest)), "{themselves}");
    }
    let gone = store.decide_access(&request.id, grant, approver(9), 20).await;
    assert!(matches!(gone, Err(AccessRequestError::SessionEnded)));
    let late = store.decide_access(&request.id, grant, approver(2), 1_000).await;
    assert!(matches!(late, Err(AccessRequestError::SessionEnded)), "the approver's session is over");
    let over = store.decide_access(&request.id, AccessDecision::Grant { until: 20 }, approver(2), 20).await;
    assert!(matches!(over, Err(AccessRequestError::Expired)));
    let refused = store.decide_access(&request.id, AccessDecision::Refuse, approver(2), 20).await.unwrap();
    assert_eq!(refused.state, AccessState::Refused);
    let again = store.decide_access(&request.id, grant, approver(2), 20).await;
    assert!(matches!(again, Err(AccessRequestError::Over(AccessState::Refused))));
    assert!(matches!(
        store.end_access(&request.id, approver(2), 21).await,
        Err(AccessRequestError::Over(AccessState::Refused))
    ));
    assert!(matches!(
        store.decide_access("nobody", grant, administrator(), 20).await,
        Err(AccessRequestError::NotFound(_))
    ));
    store.ask_for_access(asked(1, "payroll")).await.unwrap();
}

#[tokio::test]
async fn only_the_asker_takes_a_request_back() {
    let (_folder, store, _model) = two_people().await;
    let request = store.ask_for_access(asked(1, "payroll")).await.unwrap();
    let other = store.withdraw_access(&request.id, session_id(2), 11).await;
    assert!(matches!(other, Err(AccessRequestError::NotFound(_))));
    let withdrawn = store.withdraw_access(&request.id, session_id(1), 11).await.unwrap();
    assert_eq!(withdrawn.state, AccessState::Withdrawn);
    let grant = AccessDecision::Grant { until: 500 };
    let late = store.decide_access(&request.id, grant, approver(2), 20).await;
    assert!(matches!(late, Err(AccessRequestError::Over(AccessState::Withdrawn))));
}

#[tokio::test]
async fn a_deactivation_ends_grants_for_good_however_the_person_is_known() {
    for (known_by, external_id, email) in
        [("sub", Some("00u1"), None), ("address", None, Some("asker@corp.example"))]
    {
        let (_folder, store, model) = two_people().await;
        let mut person = content("somebody");
        person.external_id = external_id.map(str::to_owned);
        person.emails = email.into_iter().map(str::to_owned).collect();
        let person = store.create_person("corp", person, 2).await.unwrap();
        let grant = granted(&store, 500).await;
        let mut waiting = asked(1, "canteen");
        waiting.now = 21;
        let waiting = store.ask_for_access(waiting).await.unwrap();
        model.told();
        set_active(&store, &person.scim_id, false).await;
        let states: Vec<_> =
            store.access_requests().unwrap().iter().map(|it| (it.id.clone(), it.state)).collect();
        assert!(states.contains(&(grant.id.clone(), AccessState::Ended)), "{known_by}: {states:?}");
        assert!(states.contains(&(waiting.id, AccessState::Withdrawn)), "{known_by}: {states:?}");
        let told = model.told();
        assert!(
            told.iter().any(|it| matches!(it, Change::Access(ended) if ended.id == grant.id && ended.ended_by.as_deref() == Some("deactivated"))),
            "{known_by}: {told:?}"
        );
        set_active(&store, &person.scim_id, true).await;
        assert!(
            store.open_access_requests(30).unwrap().is_empty(),
            "{known_by}: a reactivation gives nothing back"
        );
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
    }
}

#[tokio::test]
async fn a_grant_dies_with_its_person_though_nobody_is_logged_in() {
    let (_folder, store, model) = two_people().await;
    let mut person = content("asker@corp.example");
    person.external_id = Some("00u1".to_owned());
    let person = store.create_person("corp", person, 2).await.unwrap();
    granted(&store, 5_000).await;
    store.purge_expired(1_500).await.unwrap();
    assert_eq!(store.open_access_requests(1_500).unwrap().len(), 1, "a grant outlives the session");
    store.delete_person("corp", &person.scim_id, 1_600).await.unwrap();
    assert!(store.open_access_requests(1_700).unwrap().is_empty());
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_person_who_is_provisioned_as_inactive_loses_what_was_granted_before() {
    let (_folder, store, _model) = two_people().await;
    granted(&store, 5_000).await;
    store.purge_expired(1_500).await.unwrap();
    let mut person = content("asker@corp.example");
    (person.external_id, person.active) = (Some("00u1".to_owned()), false);
    store.create_person("corp", person, 1_600).await.unwrap();
    assert!(store.open_access_requests(1_700).unwrap().is_empty());
}

#[tokio::test]
async fn what_has_run_out_is_closed_and_later_forgotten() {
    let (_folder, store, model) = two_people().await;
    let grant = granted(&store, 500).await;
    let waiting = store.ask_for_access(asked(1, "canteen")).await.unwrap();
    store.purge_expired(499).await.unwrap();
    assert_eq!(store.open_access_requests(499).unwrap().len(), 2);
    let week = 10 + limits::REQUEST_WAITS_S;
    let late =
        store.decide_access(&waiting.id, AccessDecision::Grant { until: week * 2 }, administrator(), week);
    assert!(matches!(late.await, Err(AccessRequestError::Over(AccessState::Withdrawn))));
    store.purge_expired(week).await.unwrap();
    let mut states: Vec<_> =
        store.access_requests().unwrap().into_iter().map(|it| (it.id, it.state)).collect();
    states.sort_by_key(|(id, _)| *id == waiting.id);
    assert_eq!(states, [(grant.id, AccessState::Ended), (waiting.id, AccessState::Withdrawn)]);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    store.purge_expired(week + limits::REQUEST_KEPT_S).await.unwrap();
    assert!(store.access_requests().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_over_a_limit_is_not_asked() {
    let (_folder, store, _model) = two_people().await;
    let long = NewAccessRequest { reason: "r".repeat(limits::REASON_BYTES + 1), ..asked(1, "payroll") };
    assert!(matches!(store.ask_for_access(long).await, Err(AccessRequestError::TooLong(_))));
    for number in 0..limits::WAITING_REQUESTS_PER_SUBJECT {
        store.ask_for_access(asked(1, &format!("application {number}"))).await.unwrap();
    }
    assert!(matches!(store.ask_for_access(asked(1, "more")).await, Err(AccessRequestError::TooMany)));
    store.ask_for_access(asked(2, "more")).await.unwrap();
}

#[tokio::test]
async fn of_what_is_over_the_newest_are_remembered() {
    let (_folder, store, _model) = two_people().await;
    let grant = granted(&store, 900).await;
    for number in 0..=i64::try_from(limits::REQUESTS_KEPT_PER_SUBJECT).unwrap() {
        let request = NewAccessRequest { now: 20 + number, ..asked(1, "canteen") };
        let request = store.ask_for_access(request).await.unwrap();
        store.withdraw_access(&request.id, session_id(1), 20 + number).await.unwrap();
    }
    let kept = store.access_requests().unwrap();
    assert_eq!(kept.len(), limits::REQUESTS_KEPT_PER_SUBJECT);
    assert!(kept.iter().any(|it| it.id == grant.id), "what is in force is not forgotten");
}

#[tokio::test]
async fn all_waiting_requests_together_have_a_limit() {
    let (_folder, store, _model) = two_people().await;
    let full = limits::WAITING_REQUESTS;
    store
        .write(move |transaction| {
            for number in 0..full {
                sql::run(
                    transaction.connection,
                    "INSERT INTO access_requests (id, provider, subject, application, policy, reason, wanted_s, \
                     asked_at, state) VALUES ($1, 'okta', $1, 'a', 'p', 'r', 1, 9, 'waiting')",
                    [number.to_string()],
                )?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert!(matches!(store.ask_for_access(asked(1, "payroll")).await, Err(AccessRequestError::TooMany)));
}

#[tokio::test]
async fn what_another_process_grants_and_ends_is_told() {
    let (_folder, store, model) = two_people().await;
    let request = store.ask_for_access(asked(1, "payroll")).await.unwrap();
    store.give_purpose(session_id(1), "wiki", "Ticket 7", 11).await.unwrap();
    let (before, told) = (store.watermark().unwrap(), model.told().len());
    assert_eq!(told, 2);
    let other = Store::open(store.path()).unwrap();
    let grant = AccessDecision::Grant { until: 500 };
    other.decide_access(&request.id, grant, administrator(), 20).await.unwrap();
    other.give_purpose(session_id(1), "canteen", "Lunch", 21).await.unwrap();
    assert_eq!(other.watermark().unwrap(), Seq(before.0 + 2));
    let deadline = Instant::now() + Duration::from_secs(20);
    while model.snapshot() != store.snapshot().unwrap() {
        assert!(Instant::now() < deadline, "it was not told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One by one, and not by reading everything again, which would cut everything.
    let told = model.told();
    assert!(matches!(told.as_slice(), [Change::Access(_), Change::Purposes(_)]), "{told:?}");
}

#[tokio::test]
async fn what_was_judged_under_a_lease_that_is_over_is_not_written() {
    let (_folder, store, model) = two_people().await;
    let request = store.ask_for_access(asked(1, "payroll")).await.unwrap();
    let judged = store.while_leased();
    let grant = |store: &Store| {
        let store = store.clone();
        let id = request.id.clone();
        async move { store.decide_access(&id, AccessDecision::Grant { until: 500 }, approver(2), 20).await }
    };
    store.leave().await;
    let refused = grant(&judged).await;
    assert!(matches!(refused, Err(AccessRequestError::Store(StoreError::Unleased))), "{refused:?}");
    store.follow(model).await.unwrap();
    let refused = grant(&judged).await;
    assert!(
        matches!(refused, Err(AccessRequestError::Store(StoreError::Unleased))),
        "judged by older memory"
    );
    assert!(grant(&store.while_leased()).await.is_ok());
}
