//! The one form in which names and addresses are compared; whether two things that fold alike may both exist is
//! left to the callers.

/// Trims, then lowers each character by itself, so that `Engineer@Corp.example` and `engineer@corp.example` are one.
///
/// Two departures from plain Unicode lower case, both because folded text decides who somebody is:
/// - The two Greek small sigmas are one, whatever stands behind them.
/// - A character outside ASCII never becomes an ASCII letter: the Kelvin sign is not `k`, and the dotted capital I is
///   not `i`. Otherwise a mailbox that merely looks like another would be taken for it.
///
/// Different normal forms of one character stay different.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        match letter {
            'A'..='Z' => folded.push(letter.to_ascii_lowercase()),
            'ς' => folded.push('σ'),
            _ if letter.to_lowercase().any(|lower| lower.is_ascii()) => folded.push(letter),
            _ => folded.extend(letter.to_lowercase()),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn spellings_of_one_name_are_one() {
        assert_eq!(fold("  Engineer@CORP.example "), "engineer@corp.example");
        assert_eq!(fold("ÉTUDE"), fold("étude"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("οδοσ"), fold("οδος"));
        assert_eq!(fold("GROẞ"), fold("groß"));
    }

    #[test]
    fn look_alikes_stay_apart() {
        assert_ne!(fold("\u{212a}ey"), "key");
        assert_ne!(fold("\u{130}d"), "id");
        assert_ne!(fold("\u{131}d"), "id");
        assert_ne!(fold("gross"), fold("groß"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for letter in '\u{0}'..=char::MAX {
            let once = fold(&letter.to_string());
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(letter));
        }
    }
}
