use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::testing::{begin, folder as fresh, key, newest, record, settings};
use super::*;
use crate::config::Decisions;

/// A record of one file with seven lines, and what the store knows of it.
fn recorded() -> (PathBuf, PathBuf, Head) {
    let folder = fresh();
    let (mut recorder, state) = begin(&settings(&folder), None);
    record(&mut recorder, 0, 5);
    let file = folder::files(&folder).unwrap()[0].path.clone();
    (folder, file, newest(&state))
}

fn faults(folder: &Path, known: Head) -> Vec<(u64, Fault)> {
    let found = check(folder, &key(), Some(known)).unwrap();
    found.faults.into_iter().map(|(at, fault)| (at.line, fault)).collect()
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

fn write(file: &Path, lines: &[String]) {
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_changed_byte_is_found_in_its_line() {
    let (folder, file, known) = recorded();
    assert_eq!(faults(&folder, known), []);
    let whole = fs::read(&file).unwrap();
    let mut line = 1;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).unwrap();
        let found = faults(&folder, known);
        assert_eq!(found.first().map(|(line, _)| *line), Some(line), "byte {at}: {found:?}");
        line += u64::from(whole[at] == b'\n');
    }
    fs::remove_dir_all(folder).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_in_the_place_of_some_bytes_is_found(
        (begin, length) in (0_usize..3_000, 0_usize..1_500),
        put in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "(\n|\\{|\"seq\":[0-9]|,\"mac\":\"|\"\\}|\"record\":\"gap\"|\"torn\":[0-9]){0,9}".prop_map(String::into_bytes),
        ],
    ) {
        static RECORDED: LazyLock<(Vec<u8>, Head)> = LazyLock::new(|| {
            let (folder, file, known) = recorded();
            let whole = fs::read(file).unwrap();
            fs::remove_dir_all(folder).unwrap();
            (whole, known)
        });
        let (whole, known) = &*RECORDED;
        let mut changed = whole.clone();
        let begin = begin.min(whole.len());
        changed.splice(begin..(begin + length).min(whole.len()), put);
        let folder = fresh();
        fs::write(RecordFile::new(&folder, 1, 0).path, &changed).unwrap();
        let faults = faults(&folder, *known);
        fs::remove_dir_all(folder).unwrap();
        // What only comes on top is what a crash may leave.
        let is_whole = changed.starts_with(whole) || changed == whole[..whole.len() - 1];
        prop_assert_eq!(faults.is_empty(), is_whole, "{:?}", faults);
    }
}

#[test]
fn a_line_that_is_removed_copied_moved_or_made_up_is_found() {
    let (folder, file, known) = recorded();
    let whole = lines(&file);
    for gone in 0..whole.len() {
        let mut lines = whole.clone();
        lines.remove(gone);
        write(&file, &lines);
        let seq = gone as u64 + 1;
        let wanted = match seq {
            7 => (6, Fault::CutOff { known: 7, found: 6 }),
            1 => (1, Fault::Missing { from: 1, through: 1 }),
            _ => (seq, Fault::Missing { from: seq, through: seq }),
        };
        assert_eq!(faults(&folder, known).first(), Some(&wanted), "line {seq} removed");
    }
    let mut copied = whole.clone();
    copied.insert(4, whole[2].clone());
    write(&file, &copied);
    assert_eq!(faults(&folder, known)[0], (5, Fault::OutOfOrder { before: 4, found: 3 }));
    let mut moved = whole.clone();
    moved.swap(3, 4);
    write(&file, &moved);
    assert_eq!(faults(&folder, known)[0], (4, Fault::Missing { from: 4, through: 4 }));
    let mut made_up = whole.clone();
    made_up.insert(5, "{\"verdict\":\"allow\"}".to_owned());
    write(&file, &made_up);
    assert_eq!(faults(&folder, known), [(6, Fault::Unexplained(20))]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_end_that_is_cut_off_is_found_by_what_the_store_knows() {
    let (folder, file, known) = recorded();
    let whole = fs::read(&file).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for length in [last, last + 10, whole.len() - 2] {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(faults(&folder, known).pop().unwrap().1, Fault::CutOff { known: 7, found: 6 });
        assert!(check(&folder, &key(), None).unwrap().faults.is_empty(), "nothing else would tell");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(faults(&folder, known), [(1, Fault::CutOff { known: 7, found: 0 })]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_removed_or_exchanged_is_found() {
    let folder = fresh();
    let (mut recorder, state) = begin(&Decisions { rotate_bytes: 4_096, ..settings(&folder) }, None);
    for turn in 0..6 {
        record(&mut recorder, turn * 20, 20);
    }
    let known = newest(&state);
    let files = folder::files(&folder).unwrap();
    assert!(files.len() >= 4, "{files:?}");
    assert_eq!(faults(&folder, known), []);
    let beside = folder.join("beside");
    for (gone, file) in files.iter().enumerate() {
        fs::rename(&file.path, &beside).unwrap();
        let found = check(&folder, &key(), Some(known)).unwrap();
        let next = files.get(gone + 1);
        let wanted = match (gone, next) {
            (0, Some(next)) => (next.path.clone(), Fault::FilesMissing(next.first)),
            (_, Some(next)) => {
                (next.path.clone(), Fault::Missing { from: file.first, through: next.first - 1 })
            }
            (_, None) => {
                let found = found.newest.seq;
                (files[gone - 1].path.clone(), Fault::CutOff { known: known.seq, found })
            }
        };
        let (at, fault) = found.faults[0].clone();
        assert_eq!((at.file, fault), wanted);
        assert_eq!(found.faults.len(), 1);
        fs::rename(&beside, &file.path).unwrap();
    }
    fs::copy(&files[1].path, &files[2].path).unwrap();
    let found = check(&folder, &key(), Some(known)).unwrap();
    assert_eq!(found.faults[0].0, At { file: files[2].path.clone(), line: 1 });
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn another_key_has_written_nothing_of_it() {
    use aws_lc_rs::hmac;
    let (folder, _, known) = recorded();
    let other = ChainKey::new(hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]));
    let found = check(&folder, &other, Some(known)).unwrap();
    assert_eq!(found.faults.len(), 7);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn faults_are_told_up_to_a_limit_and_counted() {
    let (folder, file, known) = recorded();
    let line = lines(&file)[1].clone();
    write(&file, &vec![line; MAX_FAULTS * 2]);
    let found = check(&folder, &key(), Some(known)).unwrap();
    assert_eq!(found.faults.len(), MAX_FAULTS);
    assert!(found.more >= MAX_FAULTS as u64);
    fs::remove_dir_all(folder).unwrap();
}
