//! See `paramedic_fuzz::exposition`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::exposition(data));
