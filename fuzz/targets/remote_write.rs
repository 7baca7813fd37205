//! See `paramedic_fuzz::remote_write`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paramedic_fuzz::remote_write(data));
