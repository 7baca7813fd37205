//! See `paramedic_fuzz::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::template(data));
