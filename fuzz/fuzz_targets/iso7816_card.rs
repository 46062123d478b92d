#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::iso7816_card(data));
