//! The folder in which decisions are recorded: which files there are, in which order, who may write, and where the newest record
//! stands. Writing is left to `recorder`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};

use super::chain::{Head, Sealed};

/// People's addresses stand in the records.
const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const LOCK_FILE: &str = "lock";
const PREFIX: &str = "decisions-";
const SUFFIX: &str = ".jsonl";
const SEQ_DIGITS: usize = 16;
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// What is read of the end of a file at first, in bytes; more where that holds no record.
const LAST_BYTES: u64 = 64 * 1024;

/// One file of records. Its name says where it stands; a file is never renamed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordFile {
    /// The number of its first record.
    pub(crate) first: u64,
    /// When it was begun, in unix seconds.
    pub(crate) begun_at: i64,
    pub(crate) path: PathBuf,
}

impl RecordFile {
    pub(super) fn new(folder: &Path, first: u64, begun_at: i64) -> Self {
        let stamp = DateTime::from_timestamp(begun_at, 0).unwrap_or_default().format(STAMP);
        let path = folder.join(format!("{PREFIX}{first:0SEQ_DIGITS$}-{stamp}{SUFFIX}"));
        Self { first, begun_at, path }
    }

    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (first, stamp) = name.split_once('-')?;
        let first = first.parse().ok().filter(|_| first.len() >= SEQ_DIGITS)?;
        let begun_at = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?.and_utc().timestamp();
        Some(Self { first, begun_at, path })
    }

    /// Makes the file. One that is there already is never written over.
    pub(super) fn create(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(&self.path)
    }

    /// Opens the file at its end.
    pub(super) fn open(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(&self.path)
    }
}

/// The files of a folder, oldest first.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<RecordFile>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<RecordFile> =
        entries.into_iter().filter_map(|entry| RecordFile::of(entry.path())).collect();
    files.sort();
    Ok(files)
}

/// How many of the oldest files have had their time. A file is as old as its last record: as the beginning of the next.
pub(super) fn over(files: &[RecordFile], keep_files: usize, keep_for: Duration, now: i64) -> usize {
    let life = i64::try_from(keep_for.as_secs()).unwrap_or(i64::MAX);
    let surplus = files.len().saturating_sub(keep_files);
    let next = files.iter().skip(1).enumerate();
    next.take_while(|(at, next)| *at < surplus || next.begun_at.saturating_add(life) <= now).count()
}

/// The right to write in a folder, which one process has. The system takes it back when the process ends.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "holds the lock while it lives")] File);

impl Claim {
    /// Makes the folder where there is none, and claims it. None when another process has it.
    pub(super) fn of(folder: &Path) -> io::Result<Option<Self>> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let lock =
            OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(folder.join(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self(lock))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Where what was recorded ends.
#[derive(Debug, Default)]
pub(super) struct End {
    /// The newest whole record.
    pub(super) head: Head,
    /// Bytes after it, which are no record: what a crash or a full disk has left.
    pub(super) torn: u64,
    /// What comes next needs a line break first.
    pub(super) in_line: bool,
    /// The newest file and its size, and whether it holds a record.
    pub(super) newest: Option<(RecordFile, u64)>,
    pub(super) newest_is_begun: bool,
}

/// Finds the end by looking at the last bytes of the newest file, and of those before it while they hold no record.
pub(super) fn end(folder: &Path) -> io::Result<End> {
    let mut end = End::default();
    for file in files(folder)?.into_iter().rev() {
        let last = last_record(&mut File::open(&file.path)?)?;
        end.torn += last.torn;
        if end.newest.is_none() {
            end.in_line = last.in_line;
            end.newest_is_begun = last.head.is_some();
            end.newest = Some((file, last.size));
        }
        if let Some(head) = last.head {
            end.head = head;
            break;
        }
    }
    Ok(end)
}

struct Last {
    head: Option<Head>,
    size: u64,
    torn: u64,
    in_line: bool,
}

fn last_record(file: &mut File) -> io::Result<Last> {
    let size = file.metadata()?.len();
    let mut window = LAST_BYTES;
    loop {
        let begin = size.saturating_sub(window);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.by_ref().take(size - begin).read_to_end(&mut bytes)?;
        let in_line = bytes.last().is_some_and(|byte| *byte != b'\n');
        if let Some((head, end)) = newest_in(&bytes) {
            let torn = bytes.len().saturating_sub(end) as u64;
            return Ok(Last { head: Some(head), size, torn, in_line });
        }
        if begin == 0 {
            return Ok(Last { head: None, size, torn: size, in_line });
        }
        window = window.saturating_mul(4);
    }
}

/// The last record in some bytes, and where it ends with its line break. The first line may lack its beginning, and is none then.
fn newest_in(bytes: &[u8]) -> Option<(Head, usize)> {
    let mut end = bytes.len();
    loop {
        let begin = bytes.get(..end)?.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if let Some(sealed) = Sealed::read(bytes.get(begin..end)?) {
            // One that lacks nothing but the line break is whole.
            return Some((sealed.head, (end + 1).min(bytes.len())));
        }
        end = begin.checked_sub(1)?;
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::super::chain::ChainKey;
    use super::*;

    fn records(count: u64) -> (Vec<u8>, Head) {
        let key = ChainKey::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]));
        let (mut out, mut head) = (Vec::new(), Head::default());
        for seq in 1..=count {
            let begin = out.len();
            out.extend_from_slice(format!("{{\"seq\":{seq},\"record\":\"decision\"").as_bytes());
            head = key.seal(head, &mut out, begin);
        }
        (out, head)
    }

    #[test]
    fn a_name_says_where_a_file_stands() {
        let file = RecordFile::new(Path::new("/log"), 12, 1_769_903_999);
        assert_eq!(file.path, Path::new("/log/decisions-0000000000000012-20260131T235959Z.jsonl"));
        assert_eq!(RecordFile::of(file.path.clone()), Some(file));
        for other in ["lock", "decisions-12-20260131T235959Z.jsonl", "decisions-0000000000000012-x.jsonl"] {
            assert_eq!(RecordFile::of(Path::new("/log").join(other)), None, "{other}");
        }
    }

    #[test]
    fn the_end_is_the_last_whole_record_whatever_follows() {
        let folder = crate::decision_log::testing::folder();
        let file = RecordFile::new(&folder, 1, 0);
        let (mut whole, head) = records(3);
        let long = vec![b'x'; usize::try_from(5 * LAST_BYTES).unwrap()];
        for (after, in_line) in
            [(&b""[..], false), (b"{\"seq\":4,", true), (b"\n\n{\"se\n", false), (&long, true)]
        {
            let mut bytes = whole.clone();
            bytes.extend_from_slice(after);
            fs::write(&file.path, &bytes).unwrap();
            let end = end(&folder).unwrap();
            assert_eq!((end.head, end.torn, end.in_line), (head, after.len() as u64, in_line));
            assert_eq!(end.newest, Some((file.clone(), bytes.len() as u64)));
            assert!(end.newest_is_begun);
        }
        // A record without its line break is one.
        whole.pop();
        fs::write(&file.path, &whole).unwrap();
        let found = end(&folder).unwrap();
        assert_eq!((found.head, found.torn, found.in_line), (head, 0, true));
        // A file that was begun and holds nothing whole yet.
        let next = RecordFile::new(&folder, 4, 1);
        fs::write(&next.path, b"{\"seq\":4").unwrap();
        let found = end(&folder).unwrap();
        assert_eq!((found.head, found.torn, found.newest_is_begun), (head, 8, false));
        assert_eq!(found.newest.unwrap().0, next);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_go_when_they_are_too_many_or_too_old_and_the_newest_stays() {
        let files: Vec<RecordFile> = [(1, 0), (11, 100), (21, 200)]
            .map(|(first, at)| RecordFile::new(Path::new("/log"), first, at))
            .into();
        let over = |keep_files, keep_s, now| over(&files, keep_files, Duration::from_secs(keep_s), now);
        assert_eq!([over(3, 1000, 300), over(2, 1000, 300), over(1, 1000, 300)], [0, 1, 2]);
        assert_eq!([over(9, 100, 199), over(9, 100, 200), over(9, 1, 9_999)], [0, 1, 2]);
    }

    #[test]
    fn one_process_writes_in_a_folder() {
        let folder = crate::decision_log::testing::folder();
        let claim = Claim::of(&folder).unwrap();
        assert!(claim.is_some());
        assert!(Claim::of(&folder).unwrap().is_none());
        drop(claim);
        assert!(Claim::of(&folder).unwrap().is_some());
        fs::remove_dir_all(folder).unwrap();
    }
}
