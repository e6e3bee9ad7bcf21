//! Replays everything that was ever found worth keeping, and a bounded number of changes of it.

use std::fs;
use std::path::Path;

/// So many changed inputs are tried: a smoke test, and no more.
const CHANGES: usize = 2_000;

/// Texts that mean something in a PATCH.
const PIECES: [&str; 20] = [
    "[",
    "]",
    "\"",
    ".",
    ":",
    "{",
    "}",
    ",",
    "null",
    "true",
    "value",
    "primary",
    "emails",
    "members",
    "active",
    "userName",
    "urn:ietf:params:scim:schemas:core:2.0:User:",
    " eq ",
    " or ",
    "password",
];

fn roll(state: &mut u64, sides: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap() % sides.max(1)
}

/// One input changed in one to three places.
fn changed(input: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=roll(state, 2) {
        let at = roll(state, bytes.len() + 1);
        match roll(state, 3) {
            0 => drop(bytes.drain(at..(at + roll(state, 8)).min(bytes.len()))),
            1 => drop(bytes.splice(at..at, PIECES[roll(state, PIECES.len())].bytes())),
            _ => drop(bytes.splice(
                at..(at + 4).min(input.len()).max(at).min(bytes.len()),
                PIECES[roll(state, PIECES.len())].bytes(),
            )),
        }
    }
    bytes
}

#[test]
fn t96_whatever_patch_comes_a_user_stays_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/scim_patch");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    corpus.iter().for_each(|input| super::scim_patch(input));
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for number in 0..CHANGES {
        super::scim_patch(&changed(&corpus[number % corpus.len()], &mut state));
    }
}
