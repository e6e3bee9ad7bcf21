//! Gives what the fuzzer makes up to `fuzzing::path`, where it is said what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis::fuzzing::path(bytes));
