//! Gives what the fuzzer makes up to `fuzzing::headers`, where it is said what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis::fuzzing::headers(bytes));
