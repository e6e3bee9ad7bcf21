//! Which application a request is for, or the end of it.
mod path;
