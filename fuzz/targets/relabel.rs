//! See `paramedic_fuzz::relabel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::relabel(data));
