//! The bounds of a filter, with their reasons. Who obeys them is `parse` alone.

/// Longest filter, in bytes.
pub const MAX_FILTER_LENGTH: usize = 8 * 1024;

/// Deepest nesting of parentheses, brackets and `not` in a filter: the parser and the evaluator recurse this deep, never deeper.
pub const MAX_FILTER_DEPTH: usize = 32;

/// Most comparisons in one filter.
pub const MAX_FILTER_TERMS: usize = 128;
