//! The files of the project, and how Rust source is looked at without a parser.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A text file of the project.
pub(crate) struct File {
    /// The path from the root, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Every file that git tracks or would track, whose name ends with one of `endings`.
///
/// Files that are not UTF-8 are left out.
pub(crate) fn tracked(endings: &[&str]) -> Vec<File> {
    let root = root();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root)
        .output();
    let Ok(listed) = listed else {
        return Vec::new();
    };
    let mut files: Vec<File> = String::from_utf8_lossy(&listed.stdout)
        .split('\0')
        .filter(|path| !path.is_empty() && endings.iter().any(|ending| path.ends_with(ending)))
        .filter_map(|path| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(File {
                path: path.to_owned(),
                text,
            })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Whether the whole file is test code.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// The lines before the first `#[cfg(test)]`: tests stand last in a file.
pub(crate) fn without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"))
}

/// The line without a comment and without what is inside string literals.
pub(crate) fn code_of(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            // A quote as a character literal opens no string.
            '\'' if !in_string && chars.peek() == Some(&'"') => {
                chars.next();
                chars.next();
            }
            '"' => {
                in_string = !in_string;
                code.push('"');
            }
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => code.push(c),
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(code_of("let a = 1; // std::fs"), "let a = 1; ");
        assert_eq!(code_of("//! std::fs"), "");
        assert_eq!(code_of(r#"f("std::fs // \" x", b)"#), r#"f("", b)"#);
        assert_eq!(code_of(r#"a == '"' && std::fs::x"#), "a ==  && std::fs::x");
    }

    #[test]
    fn lines_stop_at_the_tests() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {}\n";
        assert_eq!(
            without_tests(text).map(|(n, _)| n).collect::<Vec<_>>(),
            [1, 2]
        );
    }
}
