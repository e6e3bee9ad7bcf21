//! Replays everything that was ever found worth keeping, and a bounded number of changes of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each entry point is tried with changed inputs; a smoke test, and no more.
const SMOKE: Duration = Duration::from_secs(2);
/// Every machine gets at least so far, however slow it is.
const MIN_CHANGES: usize = 200;

type EntryPoint = fn(&[u8]);

const ENTRY_POINTS: [(&str, EntryPoint); 5] = [
    ("path", super::path),
    ("headers", super::headers),
    ("cookies", super::cookies),
    ("connection", super::connection),
    ("filter", super::filter),
];

/// Bytes that separate things somewhere.
const PIECES: [&[u8]; 16] = [
    b"/",
    b"%2f",
    b"%2e",
    b"..",
    b";",
    b"\\",
    b"\r\n",
    b"\n",
    b":",
    b"\0",
    b"\xff",
    b" ",
    b"__Host-portcullis=",
    b"chunked",
    b"_",
    b"0",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn roll(state: &mut u64, sides: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap() % sides.max(1)
}

/// One input changed in one to four places.
fn changed(input: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=roll(state, 3) {
        let at = roll(state, bytes.len() + 1);
        match roll(state, 4) {
            0 => drop(bytes.splice(at..at, PIECES[roll(state, PIECES.len())].iter().copied())),
            1 if at < bytes.len() => bytes[at] ^= 1 << roll(state, 8),
            2 => bytes.truncate(at),
            _ => {
                let again = bytes[..at].to_vec();
                bytes.extend_from_slice(&again[again.len() / 2..]);
            }
        }
    }
    bytes.truncate(32 * 1024);
    bytes
}

#[test]
fn the_corpus_holds_with_changes_at_random() {
    for (name, entry_point) in ENTRY_POINTS {
        let inputs = corpus(name);
        for input in &inputs {
            entry_point(input);
        }
        let (begun, mut count, mut state) = (Instant::now(), 0, 0x9e37_79b9_7f4a_7c15);
        while count < MIN_CHANGES || begun.elapsed() < SMOKE {
            let input = changed(&inputs[roll(&mut state, inputs.len())], &mut state);
            // Shown when the test fails.
            let shown = Shown(name, &input);
            entry_point(&input);
            std::mem::forget(shown);
            count += 1;
        }
        println!("{name}: {} kept, {count} changed", inputs.len());
    }
}

/// Tells the input that a panic came from.
struct Shown<'a>(&'static str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        eprintln!("{} was given `{}`", self.0, self.1.escape_ascii());
    }
}
