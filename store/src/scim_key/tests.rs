use crate::testing::{Model, new_store};
use crate::{Change, KeyError, Seq, Store, limits};
use std::sync::Arc;

#[tokio::test]
async fn a_key_opens_its_directory_and_no_other() {
    // T93
    let (_folder, store) = new_store().await;
    let (record, token) = store.create_scim_key("corp", "main", 10).await.unwrap();
    let token = token.expose();
    assert_eq!(token.len(), 4 + 8 + 1 + 43);
    assert!(token.starts_with(&format!("pcs_{}_", record.key_id)));
    assert_eq!(store.verify_scim_key("corp", token, 10).unwrap().unwrap().key_id, record.key_id);
    assert_eq!(store.verify_scim_key("annex", token, 10).unwrap(), None);
    assert_eq!(store.verify_scim_key("Corp", token, 10).unwrap(), None);
}

#[tokio::test]
async fn anything_but_the_whole_token_opens_nothing() {
    let (_folder, store) = new_store().await;
    let (_, token) = store.create_scim_key("corp", "main", 10).await.unwrap();
    let (_, other) = store.create_scim_key("corp", "second", 10).await.unwrap();
    let token = token.expose().as_str();
    let swapped = format!("{}{}", token.split_at(13).0, other.expose().split_at(13).1);
    let mut wrong = vec![String::new(), format!("{token}A"), format!(" {token}"), swapped];
    wrong.push(token.to_uppercase());
    wrong.extend((1..token.len()).map(|end| token.split_at(end).0.to_owned()));
    for at in 0..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        wrong.push(String::from_utf8(bytes).unwrap());
    }
    wrong.push("pcs_00000000_é".to_owned());
    wrong.push(format!("pcs_{}_{}", "é".repeat(4), "A".repeat(43)));
    for presented in wrong {
        assert_eq!(store.verify_scim_key("corp", &presented, 10).unwrap(), None, "{presented}");
    }
    assert!(store.verify_scim_key("corp", token, 10).unwrap().is_some());
}

#[tokio::test]
async fn a_revocation_by_another_process_is_effective_at_once() {
    let (folder, store) = new_store().await;
    let (record, token) = store.create_scim_key("corp", "main", 10).await.unwrap();
    assert!(store.verify_scim_key("corp", token.expose(), 11).unwrap().is_some());
    let command_line = Store::open(&folder.database()).unwrap();
    let revoked = command_line.revoke_scim_key(&record.key_id, 12).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(12));
    assert_eq!(store.verify_scim_key("corp", token.expose(), 12).unwrap(), None);
    assert_eq!(command_line.revoke_scim_key(&record.key_id, 13).await.unwrap().revoked_at, Some(12));
    assert!(matches!(store.revoke_scim_key("00000000", 13).await, Err(KeyError::NotFound)));
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let (_folder, store) = new_store().await;
    let (_, token) = store.create_scim_key_until("corp", "short", 10, Some(20)).await.unwrap();
    assert!(store.verify_scim_key("corp", token.expose(), 19).unwrap().is_some());
    assert_eq!(store.verify_scim_key("corp", token.expose(), 20).unwrap(), None);
}

#[tokio::test]
async fn keys_are_listed_without_their_secret_and_with_their_last_use() {
    let (folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let (first, token) = store.create_scim_key("corp", "main", 10).await.unwrap();
    let (second, _) = store.create_scim_key("lab", "second", 11).await.unwrap();
    assert_eq!(model.told().len(), 2);
    store.verify_scim_key("corp", token.expose(), 500).unwrap();
    // The note of the use is queued before this write, which waits its turn.
    store.revoke_scim_key(&second.key_id, 501).await.unwrap();
    assert!(matches!(model.told().as_slice(), [Change::Key { record }] if record.revoked_at == Some(501)));
    assert_eq!(store.watermark().unwrap(), Seq(3), "a noted use is no change");
    let listed = store.list_scim_keys().unwrap();
    assert_eq!(listed.iter().map(|key| key.last_used_at).collect::<Vec<_>>(), [Some(500), None]);
    assert_eq!(listed[0].key_id, first.key_id);
    let secret = token.expose().split_at(13).1.to_owned();
    assert!(!format!("{listed:?} {token:?}").contains(&secret));
    drop(store);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn a_name_over_its_limit_is_refused() {
    let (_folder, store) = new_store().await;
    let name = "x".repeat(limits::NAME_BYTES + 1);
    assert!(matches!(store.create_scim_key("corp", &name, 1).await, Err(KeyError::TooLong(_))));
    assert!(matches!(store.create_scim_key(&name, "main", 1).await, Err(KeyError::TooLong(_))));
    assert!(store.create_scim_key("corp", name.split_at(1).1, 1).await.is_ok());
}
