//! What etcd bounds, and who else uses it.

use std::sync::Arc;

use cinclus_env::OsClock;
use cinclus_meta::{
    ChangeKind, CommitOutcome, DynMetaStore, EtcdConfig, EtcdMetaStore, EtcdUser, MetaError, OpenError,
    Revision, Txn, WatchError,
};

use super::server::{Server, free_port};

async fn committed(store: &DynMetaStore, txn: Txn) -> Revision {
    store.commit(txn).await.unwrap().committed().unwrap()
}

fn puts(count: usize, value: &str) -> Txn {
    (0..count).fold(Txn::new(), |txn, n| txn.put(format!("key/{n:05}"), value.to_owned()))
}

#[tokio::test]
async fn a_transaction_of_thousands_of_writes_is_one_revision() {
    let server = Server::start(&[]).await;
    let store = server.open("p/").await;
    for count in [128, 129, 1000, 4096] {
        let before = store.scan("").await.unwrap().0;
        let value = count.to_string();
        let revision = committed(&store, puts(count, &value).require_absent("none")).await;
        assert_eq!(revision, before.next());
        let (_, entries) = store.scan("key/").await.unwrap();
        assert_eq!(entries.len(), count);
        assert!(entries.iter().all(|entry| entry.modified == revision && entry.value == value));
        let mut watch = store.watch("", before).await.unwrap();
        assert_eq!(watch.next().await.unwrap().len(), count, "one commit for watchers too");
    }
    let refused = store.commit(puts(2000, "x").require_absent("key/00000")).await.unwrap();
    assert_eq!(refused, CommitOutcome::Conflict(vec![0]), "and all or nothing");
    let too_many = store.commit(puts(4097, "x")).await;
    assert!(
        matches!(&too_many, Err(MetaError::Invalid(text)) if text.contains("--max-txn-ops")),
        "{too_many:?}"
    );
    let (_, entries) = store.scan("key/").await.unwrap();
    assert!(entries.iter().all(|entry| entry.value == "4096"));
}

#[tokio::test]
async fn what_etcd_finds_too_large_had_no_effect() {
    let server = Server::start(&["--max-txn-ops", "10"]).await;
    let store = server.open("p/").await;
    for txn in [
        puts(11, "1"),
        Txn::new().put("large", vec![0; 1600 << 10]),
        Txn::new().put("huge", vec![0; 3 << 20]),
    ] {
        let refused = store.commit(txn).await;
        assert!(matches!(&refused, Err(MetaError::Invalid(_))), "{refused:?}");
    }
    committed(&store, puts(10, "1")).await;
    assert_eq!(store.scan("").await.unwrap().1.len(), 10);
}

#[tokio::test]
async fn stores_with_other_prefixes_do_not_see_each_other() {
    let server = Server::start(&[]).await;
    let (one, other, all) = (server.open("p/").await, server.open("p0").await, server.open("").await);
    committed(&one, Txn::new().put("a", "1")).await;
    committed(&other, Txn::new().put("a", "2")).await;
    let mut watch = one.watch("", Revision(0)).await.unwrap();
    assert_eq!(watch.next().await.unwrap()[0].key(), "a");
    assert_eq!(one.get("a").await.unwrap().unwrap().value, "1");
    let keys =
        |entries: Vec<cinclus_meta::Entry>| entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>();
    assert_eq!(keys(all.scan("").await.unwrap().1), ["p/a", "p0a"]);
    let deleted = committed(&one, Txn::new().delete_prefix("")).await;
    let changes = watch.next().await.unwrap();
    assert_eq!(
        (changes.len(), changes[0].revision),
        (1, deleted),
        "the change of the other store is not told"
    );
    assert_eq!(keys(all.scan("").await.unwrap().1), ["p0a"]);
    // "3", "\xff" under p/: not text, so it is nobody's of us.
    server.post("kv/put", r#"{"key":"cC//","value":"Mw=="}"#).await;
    assert_eq!(one.scan("").await.unwrap().1, []);
    committed(&one, Txn::new().put("b", "1")).await;
    assert_eq!(watch.next().await.unwrap()[0].key(), "b");
}

#[tokio::test]
async fn a_scan_of_many_pages_is_one_revision() {
    let server = Server::start(&[]).await;
    let store = server.open("p/").await;
    committed(&store, puts(3000, "0")).await;
    let write = async {
        for n in 1..=20 {
            committed(&store, puts(3000, &n.to_string())).await;
        }
    };
    let read = async {
        for _ in 0..20 {
            let (revision, entries) = store.scan("key/").await.unwrap();
            assert_eq!(entries.len(), 3000);
            assert!(entries.iter().all(|e| e.value == entries[0].value && e.modified == revision));
        }
    };
    futures::join!(write, read);
}

#[tokio::test]
async fn a_watch_far_behind_is_given_everything_in_whole_commits() {
    let server = Server::start(&[]).await;
    let store = server.open("p/").await;
    let start = store.scan("").await.unwrap().0;
    let large = vec![7; 400 << 10];
    for n in 0..60 {
        let txn = Txn::new().put("b", large.clone()).put("a", large.clone()).put("c", n.to_string());
        committed(&store, txn).await;
    }
    let mut watch = store.watch("", start).await.unwrap();
    for n in 0..60_u64 {
        let changes = watch.next().await.unwrap();
        let keys: Vec<&str> = changes.iter().map(cinclus_meta::Change::key).collect();
        assert_eq!((keys, changes[0].revision), (vec!["a", "b", "c"], Revision(start.0 + 1 + n)));
    }
}

#[tokio::test]
async fn a_delete_at_the_compacted_revision_is_told_or_compacted() {
    let server = Server::start(&[]).await;
    let store = server.open("p/").await;
    let made = committed(&store, Txn::new().put("a", "1")).await;
    let deleted = committed(&store, Txn::new().delete("a")).await;
    server.compact(deleted).await;
    let mut watch = store.watch("", made).await.unwrap();
    assert_eq!(watch.next().await, Err(WatchError::Compacted { oldest: deleted }));
    let mut watch = store.watch("", deleted).await.unwrap();
    let put = committed(&store, Txn::new().put("a", "2")).await;
    assert_eq!(watch.next().await.unwrap()[0].revision, put);
}

#[tokio::test]
async fn users_log_in_and_again_when_their_token_is_gone() {
    let mut server = Server::start(&[]).await;
    for (path, body) in [
        ("auth/user/add", r#"{"name":"root","password":"r"}"#),
        ("auth/role/add", r#"{"name":"root"}"#),
        ("auth/user/grant", r#"{"user":"root","role":"root"}"#),
        ("auth/user/add", r#"{"name":"cinclus","password":"secret"}"#),
        ("auth/role/add", r#"{"name":"ours"}"#),
        // "p/" to "p0".
        (
            "auth/role/grant",
            r#"{"name":"ours","perm":{"permType":"READWRITE","key":"cC8=","range_end":"cDA="}}"#,
        ),
        ("auth/user/grant", r#"{"user":"cinclus","role":"ours"}"#),
        ("auth/enable", "{}"),
    ] {
        server.post(path, body).await;
    }
    let user = |password: &str| Some(EtcdUser { name: "cinclus".to_owned(), password: password.to_owned() });
    let config = |prefix: &str, password| EtcdConfig { user: user(password), ..server.config(prefix) };
    for refused in [config("p/", "wrong"), config("q/", "secret"), server.config("p/")] {
        let refused = EtcdMetaStore::open(&refused, Arc::new(OsClock)).await.map(drop);
        assert!(matches!(refused, Err(OpenError::Refused { .. })), "{refused:?}");
    }
    let config = config("p/", "secret");
    assert!(!format!("{config:?}").contains("secret"));
    let store: DynMetaStore = Arc::new(EtcdMetaStore::open(&config, Arc::new(OsClock)).await.unwrap());
    let start = committed(&store, Txn::new().put("a", "1")).await;
    let mut watch = store.watch("", start).await.unwrap();
    assert!(futures::poll!(std::pin::pin!(watch.next())).is_pending());
    // Tokens live in memory.
    server.kill_and_start().await;
    committed(&store, Txn::new().put("a", "2")).await;
    let changes = watch.next().await.unwrap();
    assert!(matches!(&changes[0].kind, ChangeKind::Put(entry) if entry.value == "2"), "{changes:?}");
}

#[tokio::test]
async fn any_member_that_answers_is_enough_and_none_is_said() {
    let server = Server::start(&[]).await;
    let dead = format!("127.0.0.1:{}", free_port());
    let mut config = server.config("p/");
    config.endpoints.insert(0, dead.clone());
    let store: DynMetaStore = Arc::new(EtcdMetaStore::open(&config, Arc::new(OsClock)).await.unwrap());
    committed(&store, Txn::new().put("a", "1")).await;
    config.endpoints = vec![dead.clone()];
    let refused = EtcdMetaStore::open(&config, Arc::new(OsClock)).await.map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::Unreachable { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&dead), "{refused}");
}
