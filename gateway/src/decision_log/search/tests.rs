use super::super::read::decisions;
use super::super::testing::{begin, folder as fresh, record, settings};
use super::*;
use crate::config::Decisions;

/// Sixty decisions for `/0` to `/59` in several files.
fn recorded() -> PathBuf {
    let folder = fresh();
    let (mut recorder, _) = begin(&Decisions { rotate_bytes: 4_096, ..settings(&folder) }, None);
    for turn in 0..6 {
        record(&mut recorder, turn * 10, 10);
    }
    assert!(folder::files(&folder).unwrap().len() > 2);
    folder
}

fn paths(folder: &Path, query: Query, limit: Option<usize>) -> Vec<String> {
    let (search, mut paths) = (Search::new(query), Vec::new());
    let mut show = |line: &str, record: &Record| {
        assert_eq!(Record::read(line.as_bytes()).as_ref(), Some(record));
        paths.push(record.path.clone());
        Ok(())
    };
    match limit {
        Some(limit) => search.newest(folder, limit, &mut show).unwrap(),
        None => search.all(folder, Follow::No, &mut show).unwrap(),
    }
    paths
}

#[test]
fn decisions_are_found_by_what_they_say() {
    let folder = recorded();
    let all: Vec<String> = (0..60).map(|number| format!("/{number}")).collect();
    let some = |text: &str| Some(text.to_owned());
    let none = Query::default;
    let hits = [
        none(),
        Query { person: some("Engineer@CORP.example"), ..none() },
        Query { person: some("00u1a2b3c4d5e6f7"), ..none() },
        Query { application: some("wiki"), verdict: some("allow"), policy: some("engineering"), ..none() },
        Query { reason: some("allowed_by_policy"), host: some("wiki.corp.example"), ..none() },
        Query { path: some("/*"), ..none() },
        Query { path: some("*"), ..none() },
        Query { since: Some(0), until: Some(i64::MAX), ..none() },
    ];
    for query in hits {
        assert_eq!(paths(&folder, query.clone(), None), all, "{query:?}");
    }
    let misses = [
        Query { person: some("engineer"), ..none() },
        Query { application: some("wik"), ..none() },
        Query { verdict: some("engineering"), ..none() },
        Query { path: some("/6"), reference: some("none"), ..none() },
        Query { until: Some(1_000), ..none() },
        Query { since: Some(i64::MAX), ..none() },
    ];
    for query in misses {
        assert_eq!(paths(&folder, query.clone(), None), [""; 0], "{query:?}");
    }
    let reference = format!("{:016x}", 33);
    assert_eq!(paths(&folder, Query { reference: Some(reference), ..none() }, None), ["/33"]);
    assert_eq!(paths(&folder, Query { path: some("/1*"), ..none() }, None).len(), 11);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_newest_come_last_and_no_more_than_asked_for() {
    let folder = recorded();
    assert_eq!(paths(&folder, Query::default(), Some(3)), ["/57", "/58", "/59"]);
    assert_eq!(paths(&folder, Query::default(), Some(45)).len(), 45);
    assert_eq!(paths(&folder, Query::default(), Some(1_000)).len(), 60);
    let in_one = folder::files(&folder).unwrap().remove(0).path;
    assert_eq!(paths(&in_one, Query::default(), Some(1_000))[0], "/0");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_reader_gives_typed_decisions_over_all_files() {
    let folder = recorded();
    let read: Vec<Record> = decisions(&folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 60);
    assert!(read.is_sorted_by_key(|record| record.seq));
    let first = &read[0];
    assert_eq!(
        (first.status, first.login_at, first.revision.as_str()),
        (200, Some(1_769_900_000), "0000000000000abc")
    );
    assert_eq!(first.client, Some(std::net::Ipv4Addr::new(10, 0, 0, 7).into()));
    assert!(first.at().unwrap() > 1_700_000_000);
    // What the log on standard output tells as JSON is read too, and what is no decision is passed over.
    let file = folder.join("captured.log");
    std::fs::write(
        &file,
        "{\"timestamp\":\"2026-01-31T09:00:00.000001Z\",\"level\":\"INFO\",\"message\":\"request\",\"request\":\"00ff\",\"verdict\":\"deny\"}\n\
         {\"timestamp\":\"2026-01-31T09:00:00.000001Z\",\"level\":\"INFO\",\"message\":\"serving\"}\nno JSON\n",
    )
    .unwrap();
    let read: Vec<String> = decisions(&file).unwrap().map(|record| record.unwrap().request).collect();
    assert_eq!(read, ["00ff"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_grows_is_followed_over_its_files() {
    let folder = fresh();
    let (mut recorder, _) = begin(&Decisions { rotate_bytes: 4_096, ..settings(&folder) }, None);
    record(&mut recorder, 0, 10);
    let (sender, receiver) = std::sync::mpsc::channel();
    let place = folder.clone();
    let follower = thread::spawn(move || {
        let mut show = |_: &str, record: &Record| {
            sender.send(record.path.clone()).map_err(|_| io::ErrorKind::BrokenPipe.into())
        };
        Search::new(Query::default()).all(&place, Follow::Yes, &mut show).unwrap_err().kind()
    });
    for turn in 1..4 {
        record(&mut recorder, turn * 10, 10);
    }
    for number in 0..40 {
        assert_eq!(receiver.recv_timeout(Duration::from_secs(30)).unwrap(), format!("/{number}"));
    }
    drop(receiver);
    record(&mut recorder, 40, 1);
    assert_eq!(follower.join().unwrap(), io::ErrorKind::BrokenPipe);
    std::fs::remove_dir_all(folder).unwrap();
}
