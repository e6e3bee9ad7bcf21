use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::check::{Fault, Findings, check};
use super::super::journal::{Journal, Texts};
use super::super::read::{RawLines, Record};
use super::super::scribe::Scribe;
use super::super::search::{Follow, Query, Search};
use super::super::testing::{batch, begin, facts, folder, key, newest, record, settings};
use super::*;
use crate::config::Unrecorded;
use crate::decision_log::journal::Batch;

const PATIENCE: Duration = Duration::from_secs(30);

fn kinds(folder: &Path) -> Vec<String> {
    let mut kinds = Vec::new();
    for file in folder::files(folder).unwrap() {
        let mut lines = RawLines::open(&file.path).unwrap();
        while let Some(line) = lines.next().unwrap() {
            kinds.push(Record::read(line.bytes).map_or_else(|| "torn".to_owned(), |record| record.record));
        }
    }
    kinds
}

fn found(folder: &Path, state: &RecordState) -> Findings {
    check(folder, &key(), Some(newest(state))).unwrap()
}

/// Lets turns go by until decisions are recorded again.
fn recover(recorder: &mut Recorder, state: &RecordState) {
    let until = Instant::now() + PATIENCE;
    while !state.records(Instant::now()) {
        assert!(Instant::now() < until, "nothing is recorded");
        recorder.end_turn(0);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_chain_goes_on_over_a_restart() {
    let folder = folder();
    let (mut recorder, _) = begin(&settings(&folder), None);
    record(&mut recorder, 0, 2);
    recorder.stop();
    let (mut recorder, state) = begin(&settings(&folder), None);
    record(&mut recorder, 2, 1);
    assert_eq!(
        kinds(&folder),
        ["opened", "started", "decision", "decision", "stopped", "started", "decision"]
    );
    let found = found(&folder, &state);
    assert_eq!((found.faults, found.records, found.decisions, found.newest.seq), (vec![], 7, 3, 7));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_crash_has_torn_is_told_and_the_chain_goes_on_after_it() {
    for torn in ["{\"seq\":5,\"timest", "\n", "x\n\ny"] {
        let folder = folder();
        let (mut recorder, _) = begin(&settings(&folder), None);
        record(&mut recorder, 0, 2);
        let path = folder::files(&folder).unwrap()[0].path.clone();
        drop(recorder);
        OpenOptions::new().append(true).open(path).unwrap().write_all(torn.as_bytes()).unwrap();
        let before = check(&folder, &key(), None).unwrap();
        assert_eq!((before.faults, before.unfinished), (vec![], torn.len() as u64), "a crash is no fault");
        let (mut recorder, state) = begin(&settings(&folder), None);
        record(&mut recorder, 2, 1);
        let found = found(&folder, &state);
        assert_eq!((found.faults, found.unfinished, found.decisions), (vec![], 0, 3), "{torn:?}");
        assert_eq!(found.torn, (torn.len() + usize::from(!torn.ends_with('\n'))) as u64);
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn files_follow_one_another_and_old_ones_go() {
    let folder = folder();
    let settings = Decisions { rotate_bytes: 4_096, keep_files: 3, ..settings(&folder) };
    let (mut recorder, state) = begin(&settings, None);
    for turn in 0..20 {
        record(&mut recorder, turn * 10, 10);
    }
    let files = folder::files(&folder).unwrap();
    assert_eq!(files.len(), 3);
    let found = found(&folder, &state);
    assert_eq!((found.faults, found.lost), (vec![], 0));
    assert!(found.first > 1 && found.first == files[0].first);
    drop(recorder);
    // By age: the next start finds that the two before have had their time.
    let settings =
        Decisions { keep_for: Duration::from_secs(1), rotate_every: Duration::from_secs(1), ..settings };
    let until = Instant::now() + PATIENCE;
    while now() < files[2].begun_at + 2 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(50));
    }
    let (recorder, state) = begin(&settings, None);
    assert!(folder::files(&folder).unwrap().len() < 3);
    let found = check(&folder, &key(), Some(newest(&state))).unwrap();
    assert_eq!(found.faults, vec![]);
    drop(recorder);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_full_disk_is_counted_told_and_got_over() {
    let folder = folder();
    let file = RecordFile::new(&folder, 1, now());
    symlink("/dev/full", &file.path).unwrap();
    let settings = Decisions { unrecorded: Unrecorded::Denied, ..settings(&folder) };
    let (mut recorder, state) = begin(&settings, None);
    assert!(!state.lets_pass(Instant::now()), "nothing can be recorded");
    record(&mut recorder, 0, 5);
    assert_eq!(state.lost(), 5);
    fs::remove_file(&file.path).unwrap();
    recover(&mut recorder, &state);
    assert!(state.lets_pass(Instant::now()));
    record(&mut recorder, 5, 2);
    let found = found(&folder, &state);
    assert_eq!((found.faults, found.lost, found.decisions), (vec![], 5, 2));
    assert_eq!(kinds(&folder), ["opened", "gap", "decision", "decision"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_write_that_stops_anywhere_leaves_a_whole_chain() {
    for share in 0..=20 {
        let folder = folder();
        let (mut recorder, state) = begin(&settings(&folder), None);
        record(&mut recorder, 0, 1);
        let mut scribe = Scribe::new(LogFormat::Json);
        for event in batch(1, 3).events() {
            recorder.decision(scribe.stamp(&event), &event);
        }
        let count = recorder.portion.bytes.len() * share / 20;
        let path = folder::files(&folder).unwrap()[0].path.clone();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&recorder.portion.bytes[..count]).unwrap();
        recorder.settle(count);
        recorder.fail(&io::ErrorKind::StorageFull.into());
        recorder.again_at = Some(Instant::now());
        recover(&mut recorder, &state);
        record(&mut recorder, 4, 1);
        let found = found(&folder, &state);
        assert_eq!((found.faults, found.decisions + found.lost), (vec![], 5), "{count} bytes");
        assert_eq!(found.lost, state.lost());
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_record_over_the_limit_is_lost_and_told() {
    let folder = folder();
    let (mut recorder, state) = begin(&settings(&folder), None);
    let journal = Journal::new(Arc::default(), 0);
    for length in [MAX_RECORD_BYTES, 1_000] {
        let path = "a".repeat(length);
        journal.record(facts(), &Texts { request: "1", path: &path, ..Texts::default() }, None);
    }
    let mut batch = Batch::default();
    journal.take(&mut batch);
    let mut scribe = Scribe::new(LogFormat::Json);
    for event in batch.events() {
        recorder.decision(scribe.stamp(&event), &event);
    }
    recorder.end_turn(7);
    let found = found(&folder, &state);
    assert_eq!((found.faults, found.decisions, found.lost, state.lost()), (vec![], 1, 8, 8));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_the_store_knows_and_the_folder_lacks_is_told_for_ever() {
    let folder = folder();
    let (mut recorder, state) = begin(&settings(&folder), None);
    record(&mut recorder, 0, 3);
    let known = newest(&state);
    drop(recorder);
    let path = folder::files(&folder).unwrap()[0].path.clone();
    let text = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(3).collect();
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    let (mut recorder, state) = begin(&settings(&folder), Some(known));
    record(&mut recorder, 3, 3);
    let found = found(&folder, &state);
    let faults: Vec<Fault> = found.faults.into_iter().map(|(_, fault)| fault).collect();
    assert_eq!(faults, [Fault::WereMissing { seq: 4, through: 5 }]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_followed_by_another_and_missed() {
    let folder = folder();
    let (mut recorder, state) = begin(&settings(&folder), None);
    record(&mut recorder, 0, 3);
    let written = state.take_newest().unsynced.pop().unwrap();
    assert!(written.is_in_place().unwrap());
    fs::remove_file(&written.path).unwrap();
    assert!(!written.is_in_place().unwrap());
    fs::write(&written.path, "another").unwrap();
    assert!(!written.is_in_place().unwrap());
    fs::remove_file(&written.path).unwrap();
    state.note_gone();
    record(&mut recorder, 3, 1);
    record(&mut recorder, 4, 1);
    let found = found(&folder, &state);
    assert_eq!((found.files, found.decisions), (1, 1));
    assert_eq!(found.faults[0].1, Fault::FilesMissing(7));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn two_do_not_record_in_one_folder() {
    let folder = folder();
    let (recorder, _) = begin(&settings(&folder), None);
    assert!(matches!(Recorder::begin(&settings(&folder), key(), None), Err(RecordError::Claimed(_))));
    drop(recorder);
    assert!(Recorder::begin(&settings(&folder), key(), None).is_ok());
    fs::remove_dir_all(folder).unwrap();
}

/// Prints what a decision costs the thread that records it: `cargo test --release -p portcullis --lib -- --ignored --nocapture
/// what_a_decision_costs`.
#[test]
#[ignore = "measures, for whoever asks"]
fn what_a_decision_costs() {
    const TURNS: usize = 50;
    const EVENTS: usize = 10_000;
    let folder = folder();
    let (mut recorder, state) = begin(&settings(&folder), None);
    let (mut scribe, batch, mut out) = (Scribe::new(LogFormat::Json), batch(0, EVENTS), Vec::new());
    let (mut lines, mut records) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TURNS {
        let begun = Instant::now();
        out.clear();
        batch.events().for_each(|event| scribe.write(&event, &mut out));
        let between = Instant::now();
        for event in batch.events() {
            recorder.decision(scribe.stamp(&event), &event);
        }
        recorder.end_turn(0);
        lines += between - begun;
        records += between.elapsed();
    }
    let each = |all: Duration| all.as_nanos() / (TURNS * EVENTS) as u128;
    println!("a line {} ns, a record {} ns, of {} bytes", each(lines), each(records), out.len() / EVENTS);
    let begun = Instant::now();
    let found = found(&folder, &state);
    println!("checking a record {} ns", each(begun.elapsed()));
    let by_reference = Query { reference: Some("none".to_owned()), ..Query::default() };
    let by_person = Query { person: Some("nobody@corp.example".to_owned()), ..Query::default() };
    for (name, query) in [("reference", by_reference), ("person", by_person)] {
        let begun = Instant::now();
        Search::new(query).all(&folder, Follow::No, &mut |_, _| panic!("nobody is found")).unwrap();
        println!("passing over a record by {name} {} ns", each(begun.elapsed()));
    }
    assert_eq!((found.faults, found.decisions), (vec![], (TURNS * EVENTS) as u64));
    fs::remove_dir_all(folder).unwrap();
}
