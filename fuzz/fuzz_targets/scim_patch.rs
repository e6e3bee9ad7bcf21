//! Gives what the fuzzer makes up to `fuzzing::scim_patch` of the SCIM sink, where it is said what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_scim_sink::fuzzing::scim_patch(bytes));
