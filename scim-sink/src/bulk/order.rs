//! The order in which operations are performed: what makes a resource before what refers to it (RFC 7644 section 3.7.2).
//!
//! In a circle, one is performed without what it refers to, and completed when all others were performed; so each is sent twice at most.

use std::collections::HashMap;

use super::job::Operation;
use super::references::{named_in, named_in_path};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Perform(usize),
    Complete(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// What it needs is being looked at.
    Open,
    Done,
}

/// By index; operations that need nothing stay in the order of the request.
pub(super) fn order(operations: &[Operation]) -> Vec<Step> {
    let needs = needs(operations);
    let mut states = vec![State::New; needs.len()];
    let (mut steps, mut incomplete) = (Vec::new(), Vec::new());
    for first in 0..needs.len() {
        // A stack of our own, for a chain may be as long as the job.
        let mut stack = Vec::new();
        if states.get(first) == Some(&State::New) {
            set(&mut states, first, State::Open);
            stack.push((first, 0));
        }
        while let Some((index, next)) = stack.last_mut() {
            let index = *index;
            match needs.get(index).and_then(|needed| needed.get(*next)).copied() {
                Some(needed) => {
                    *next += 1;
                    match states.get(needed) {
                        Some(State::New) => {
                            set(&mut states, needed, State::Open);
                            stack.push((needed, 0));
                        }
                        Some(State::Open) if incomplete.last() != Some(&index) => incomplete.push(index),
                        _ => {}
                    }
                }
                None => {
                    set(&mut states, index, State::Done);
                    steps.push(Step::Perform(index));
                    stack.pop();
                }
            }
        }
    }
    incomplete.sort_unstable();
    incomplete.dedup();
    steps.extend(incomplete.into_iter().map(Step::Complete));
    steps
}

fn set(states: &mut [State], index: usize, state: State) {
    if let Some(held) = states.get_mut(index) {
        *held = state;
    }
}

/// For each operation, those that make what it refers to.
fn needs(operations: &[Operation]) -> Vec<Vec<usize>> {
    let makers: HashMap<&str, usize> = operations
        .iter()
        .enumerate()
        .filter_map(|(index, operation)| Some((operation.bulk_id.as_deref()?, index)))
        .collect();
    operations
        .iter()
        .map(|operation| {
            let mut names = Vec::new();
            names.extend(named_in_path(&operation.path));
            named_in(&operation.data, &mut names);
            let mut needed: Vec<usize> = names.iter().filter_map(|name| makers.get(name)).copied().collect();
            needed.sort_unstable();
            needed.dedup();
            needed
        })
        .collect()
}
