//! See `paramedic_fuzz::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::log(data));
