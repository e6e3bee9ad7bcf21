use crate::testing::{Model, content, new_store, set_active};
use crate::{
    Change, Malformed, Seq, ServiceTokenError, ServiceTokenRecord, Store, limits, service_secret_id,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;

#[tokio::test]
async fn a_token_is_known_by_its_two_halves_together() {
    let (_folder, store) = new_store().await;
    let (ci, secret) = store.create_service_token("ci", 10 + DAY, 10).await.unwrap();
    let (backup, other) = store.create_service_token("backup", 10 + DAY, 10).await.unwrap();
    assert_eq!(ci.client_id.len(), 32 + ".access".len());
    assert!(secret.expose().starts_with("pcsvc_") && secret.expose().len() == 78);
    let id = service_secret_id(&ci.client_id, secret.expose()).unwrap();
    assert_eq!(ci.secrets.iter().map(|it| (it.id, it.expires_at)).collect::<Vec<_>>(), [(id, 10 + DAY)]);
    // The right secret beside another's client id is another token, and nobody's.
    assert_ne!(service_secret_id(&backup.client_id, secret.expose()).unwrap(), id);
    assert_ne!(service_secret_id(&ci.client_id, other.expose()).unwrap(), id);
    assert_eq!(store.list_service_tokens().unwrap().len(), 2);
}

#[tokio::test]
async fn a_typing_error_is_noticed_without_the_store() {
    let (_folder, store) = new_store().await;
    let (ci, secret) = store.create_service_token("ci", 10 + DAY, 10).await.unwrap();
    let (client_id, secret) = (ci.client_id.as_str(), secret.expose().as_str());
    for at in 0..secret.len() {
        let mut bytes = secret.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let wrong = String::from_utf8(bytes).unwrap();
        assert_eq!(service_secret_id(client_id, &wrong), Err(Malformed::Secret), "{at}");
    }
    let spelled = [
        secret.to_uppercase(),
        format!("{secret} "),
        format!("{secret}0"),
        String::new(),
        "pcsvc_é".repeat(12),
    ];
    for wrong in spelled {
        assert_eq!(service_secret_id(client_id, &wrong), Err(Malformed::Secret), "{wrong}");
    }
    for wrong in
        ["", ".access", &client_id.to_uppercase(), &client_id.replace(".access", ""), client_id.split_at(1).1]
    {
        assert_eq!(service_secret_id(wrong, secret), Err(Malformed::ClientId), "{wrong}");
    }
}

#[tokio::test]
async fn a_rotation_leaves_the_secret_before_its_grace_and_none_before_that() {
    let (_folder, store) = new_store().await;
    let (first, _) = store.create_service_token("ci", 10 + DAY, 10).await.unwrap();
    let (second, _) = store.rotate_service_token("ci", 100, 20 + DAY, 20).await.unwrap();
    assert_eq!(expiries(&second), [20 + DAY, 100]);
    assert_eq!(second.secrets[1].id, first.secrets[0].id);
    let (third, _) = store.rotate_service_token("ci", 10 * DAY, 30 + DAY, 30).await.unwrap();
    assert_eq!(expiries(&third), [30 + DAY, 20 + DAY], "grace never prolongs");
    let (fourth, _) = store.rotate_service_token("ci", 40, 40 + DAY, 40).await.unwrap();
    assert_eq!(expiries(&fourth), [40 + DAY], "no grace, nothing left");
    assert_eq!(fourth.client_id, first.client_id);
    let expired = store.rotate_service_token("ci", 50, 50, 50).await;
    assert!(matches!(expired, Err(ServiceTokenError::Expired)));
    assert_eq!(store.list_service_tokens().unwrap(), [fourth], "a rotation that failed took nothing away");
}

fn expiries(token: &ServiceTokenRecord) -> Vec<i64> {
    token.secrets.iter().map(|secret| secret.expires_at).collect()
}

#[tokio::test]
async fn a_name_belongs_to_one_token_until_that_is_revoked() {
    let (_folder, store) = new_store().await;
    let (first, _) = store.create_service_token("ci", 10 + DAY, 10).await.unwrap();
    let taken = store.create_service_token("ci", 10 + DAY, 10).await;
    assert!(matches!(taken, Err(ServiceTokenError::NameTaken(name)) if name == "ci"));
    assert_eq!(store.revoke_service_token("ci", 11).await.unwrap().revoked_at, Some(11));
    assert!(matches!(store.revoke_service_token("ci", 12).await, Err(ServiceTokenError::NotFound(_))));
    assert!(matches!(
        store.rotate_service_token("ci", 99, DAY, 12).await,
        Err(ServiceTokenError::NotFound(_))
    ));
    let (second, _) = store.create_service_token("ci", 12 + DAY, 12).await.unwrap();
    assert_ne!(first.client_id, second.client_id);
    // The revoked one is listed for a while.
    assert_eq!(store.list_service_tokens().unwrap().len(), 2);
    let later = 11 + limits::REVOKED_SERVICE_TOKEN_S;
    store.create_service_token("next", later + DAY, later).await.unwrap();
    let names: Vec<String> = store.list_service_tokens().unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["ci", "next"]);
}

#[tokio::test]
async fn one_token_over_the_limit_is_not_made() {
    let (_folder, store) = new_store().await;
    let over = "a".repeat(limits::NAME_BYTES + 1);
    assert!(matches!(store.create_service_token(&over, DAY, 1).await, Err(ServiceTokenError::TooLong(_))));
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let filled = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO service_tokens \
         (client_id, name, created_at) SELECT i || '', 'service ' || i, 1 FROM n",
        limits::SERVICE_TOKENS - 2
    );
    direct.execute_batch(&filled).unwrap();
    store.create_service_token("last", DAY, 1).await.unwrap();
    assert!(matches!(store.create_service_token("more", DAY, 1).await, Err(ServiceTokenError::TooMany)));
    store.revoke_service_token("service 0", 2).await.unwrap();
    assert!(matches!(store.create_service_token("more", DAY, 3).await, Err(ServiceTokenError::TooMany)));
}

#[tokio::test]
async fn the_secret_itself_is_nowhere_in_the_store() {
    let (folder, store) = new_store().await;
    let (record, secret) = store.create_service_token("ci", DAY, 1).await.unwrap();
    drop(store);
    let random = secret.expose().split_at(6).1.split_at(64).0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(random.len()).any(|window| window == random.as_bytes()));
    }
    assert!(!format!("{record:?}").contains(random));
}

/// The next change that the model is told.
async fn next_told(model: &Model) -> Change {
    let begun = Instant::now();
    loop {
        match model.told().as_slice() {
            [] => assert!(begun.elapsed() < Duration::from_secs(30), "nothing was told"),
            [one] => return one.clone(),
            several => panic!("{several:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_another_process_does_to_a_token_is_followed() {
    let (folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let command_line = Store::open(&folder.database()).unwrap();
    let (made, _) = command_line.create_service_token("ci", DAY, 1).await.unwrap();
    assert_eq!(next_told(&model).await, Change::ServiceToken(Arc::new(made)));
    let revoked = command_line.revoke_service_token("ci", 2).await.unwrap();
    assert_eq!(next_told(&model).await, Change::ServiceToken(Arc::new(revoked)));
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn what_another_process_did_is_told_before_what_is_done_here_afterwards() {
    let (folder, store) = new_store().await;
    let person = store.create_person("corp", content("engineer"), 1).await.unwrap();
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let command_line = Store::open(&folder.database()).unwrap();
    for round in 0..20 {
        let name = format!("service {round}");
        command_line.create_service_token(&name, DAY, 1).await.unwrap();
        // No look has to come between: the gap in the positions says it.
        set_active(&store, &person.scim_id, round % 2 == 0).await;
        assert_eq!(model.snapshot(), store.snapshot().unwrap(), "{round}");
        assert_eq!(model.snapshot().seq, store.watermark().unwrap());
    }
}

#[tokio::test]
async fn what_cannot_be_told_by_itself_is_told_by_the_whole_state() {
    let (folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let other = Store::open(&folder.database()).unwrap();
    other
        .write(|transaction| {
            // As a later version of this program might.
            transaction.connection.execute_batch(
                "UPDATE watermark SET seq = seq + 1; \
                 INSERT INTO events (seq, kind, subject, payload, at) VALUES (1, 'of_a_later_kind', '', '{}', 1)",
            )?;
            Ok::<_, crate::StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(model.snapshot().seq, Seq(1), "in force before it was acknowledged");
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    assert!(model.told().is_empty(), "the whole state, and no change");
    // And on from there, one by one.
    store.create_person("corp", content("designer"), 2).await.unwrap();
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn rotations_in_one_second_or_under_a_clock_that_was_set_back_keep_the_newest() {
    let (_folder, store) = new_store().await;
    let (ci, first) = store.create_service_token("ci", 10 + DAY, 10).await.unwrap();
    let id = |secret: &crate::Secret<String>| service_secret_id(&ci.client_id, secret.expose()).unwrap();
    let mut before = id(&first);
    for now in [10, 10, 10, 10, 10, 10, 5, 5] {
        let (record, secret) = store.rotate_service_token("ci", 100, 10 + DAY, now).await.unwrap();
        let kept: Vec<_> = record.secrets.iter().map(|it| it.id).collect();
        assert_eq!(kept, [id(&secret), before], "at {now}");
        before = id(&secret);
    }
}
