//! What a person's browser saw, as those note it who look (`load`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::checker::{Piece, Stay, Way};

/// Pieces of each way of working that show that it works: an answer's beginning, and something that followed.
const AT_WORK: usize = 2;

/// The notes of one person.
#[derive(Debug, Default)]
pub(super) struct Notes {
    answered: AtomicUsize,
    pieces: Mutex<Vec<Piece>>,
    stays: Mutex<Vec<Stay>>,
}

impl Notes {
    pub(super) fn pieces(&self) -> Vec<Piece> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stays(&self) -> Vec<Stay> {
        self.stays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether requests are answered and everything else flows.
    pub(super) fn are_of_somebody_at_work(&self) -> bool {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let flows = |way| pieces.iter().filter(|piece| piece.way == way).count() >= AT_WORK;
        self.answered.load(Ordering::Relaxed) > 0 && Way::ALL.into_iter().all(flows)
    }

    pub(super) fn note_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_piece(&self, piece: Piece) {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
    }

    /// Notes a stream that ends now.
    pub(super) fn note_stay(&self, opened: Instant) {
        let stay = Stay { opened, closed: Instant::now() };
        self.stays.lock().unwrap_or_else(PoisonError::into_inner).push(stay);
    }
}
