#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shortlink_fuzz::owned::link_change(data));
