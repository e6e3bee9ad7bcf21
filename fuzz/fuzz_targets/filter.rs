//! Reads what the fuzzer makes up as a filter, a PATCH path and a predicate of a policy: each is refused, or reads as it is written.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis::fuzzing::filter(bytes));
