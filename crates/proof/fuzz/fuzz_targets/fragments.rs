#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| netstack_proof::fuzz::fragments(data));
