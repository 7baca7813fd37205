//! See `paramedic_fuzz::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::rules(data));
