//! What the tests of the record have in common: a folder, a key, a recorder and events for it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::Verdict;
use super::chain::{ChainKey, Head};
use super::journal::{Batch, Facts, Journal, Texts};
use super::recorder::Recorder;
use super::scribe::Scribe;
use super::state::RecordState;
use crate::config::{Decisions, LogFormat, Unrecorded};
use crate::metrics::Answer;
use crate::seal::random_text;

/// A fresh folder; whoever asks for it removes it.
pub(super) fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portcullis-record-{}", random_text::<8>().unwrap()));
    std::fs::create_dir(&folder).unwrap();
    folder
}

pub(super) fn key() -> ChainKey {
    ChainKey::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]))
}

pub(super) fn settings(folder: &Path) -> Decisions {
    Decisions {
        folder: folder.to_owned(),
        rotate_bytes: 1 << 20,
        rotate_every: Duration::from_secs(86_400),
        keep_files: 100,
        keep_for: Duration::from_secs(86_400),
        unrecorded: Unrecorded::Pass,
    }
}

pub(super) fn begin(settings: &Decisions, known: Option<Head>) -> (Recorder, Arc<RecordState>) {
    Recorder::begin(settings, key(), known).unwrap()
}

/// The newest record that the state tells of.
pub(super) fn newest(state: &RecordState) -> Head {
    state.take_newest().head
}

pub(super) fn facts() -> Facts {
    Facts {
        answered: Instant::now(),
        answer: Answer { verdict: Verdict::Allow, status: 200, micros: 1_234, upstream_micros: Some(999) },
        trace: None,
        client: Ipv4Addr::new(10, 0, 0, 7).into(),
        session: None,
        login_at: Some(1_769_900_000),
        revision: Some(0xabc),
        action: None,
        rule: None,
        reason: Some(portcullis_policy::Reason::AllowedByPolicy),
    }
}

/// A batch of so many decisions, whose paths are `/first`, and so on.
pub(super) fn batch(first: usize, count: usize) -> Batch {
    let journal = Journal::new(Arc::default(), 0);
    for number in first..first + count {
        let (request, path) = (format!("{number:016x}"), format!("/{number}"));
        let texts = Texts {
            request: &request,
            application: "wiki",
            host: "wiki.corp.example",
            method: "GET",
            path: &path,
            email: "engineer@corp.example",
            subject: "00u1a2b3c4d5e6f7",
            provider: "okta",
            policy: "engineering",
            ..Texts::default()
        };
        journal.record(facts(), &texts, None);
    }
    let mut batch = Batch::default();
    journal.take(&mut batch);
    batch
}

/// Records decisions in one turn.
pub(super) fn record(recorder: &mut Recorder, first: usize, count: usize) {
    let mut scribe = Scribe::new(LogFormat::Json);
    for event in batch(first, count).events() {
        recorder.decision(scribe.stamp(&event), &event);
    }
    recorder.end_turn(0);
}
