//! An error in one line with what caused it, for people who must act on it: names, certificates and refused connections stand in
//! the causes. Who is told, and what to do, is left to the callers.

use std::error::Error;

/// An error and its causes. One that its own error has quoted already is not said twice.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
