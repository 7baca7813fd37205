//! See `paramedic_fuzz::expression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::expression(data));
