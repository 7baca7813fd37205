//! See `paramedic_fuzz::evaluation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::evaluation(data));
