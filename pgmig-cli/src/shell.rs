//! Writes an argument so that a shell reads it as one word, for commands that the operator can copy.

use pgmig_core::text::is_unprintable;
use std::fmt::Write as _;

/// The word, quoted where a shell would read it in another way.
pub(crate) fn word(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    if !argument.chars().any(is_unprintable) {
        return format!("'{}'", argument.replace('\'', r"'\''"));
    }
    // Such a character would be shown escaped, so the shell has to undo the escape.
    let mut quoted = "$'".to_owned();
    let mut bytes = [0; 4];
    for c in argument.chars() {
        if is_unprintable(c) {
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        } else {
            if matches!(c, '\'' | '\\') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(word("store_1a2b3c4d_previous"), "store_1a2b3c4d_previous");
        assert_eq!(word("./postgres.yaml"), "./postgres.yaml");
        assert_eq!(word("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_shell_reads_the_same_word() {
        for argument in
            ["", "a b", "it's \"odd\"; $(x) `y` \\", "a\nb'\u{1b}[2J\\", "é\u{202e}ü", "*?[a]", "~", "#x"]
        {
            let word = word(argument);
            assert!(!word.chars().any(is_unprintable), "{word:?}");
            let output = Command::new("bash").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), argument, "{word}");
        }
    }
}
