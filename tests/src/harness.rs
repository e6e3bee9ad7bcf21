//! Placeholder head, replaced soon.
