//! What every error has in common.

/// One line of plain words: something that a person can read in a log or a JSON string as it is.
#[track_caller]
pub fn assert_plain(text: &str) {
    assert!(!text.trim().is_empty(), "an error without words");
    assert!(!text.contains(|c: char| c.is_control()), "an error with control characters: {text:?}");
    for debug in ["Err(", "Some(", "Error {", "panicked"] {
        assert!(!text.contains(debug), "an error that shows Rust: {text:?}");
    }
}

/// The same for an error of which every letter is ours.
#[track_caller]
pub fn assert_own(text: &str) {
    assert_plain(text);
    assert!(text.is_ascii(), "an error that repeats its input: {text:?}");
}
