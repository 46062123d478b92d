//! Tables for people, and for spreadsheets, from texts that nobody vouches for.

use std::fmt::Write as _;

use crate::say;

/// Columns as wide as their widest cell. Cells are escaped.
pub(crate) fn text(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(head.iter().map(|h| (*h).to_owned()).collect())
        .chain(rows.iter().cloned())
        .map(|row: Vec<String>| row.iter().map(|cell| say::escaped(cell)).collect())
        .collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// RFC 4180, and no cell that a spreadsheet takes for a formula.
pub(crate) fn csv(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = head.join(",") + "\r\n";
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn csv_cell(cell: &str) -> String {
    let cell = say::escaped(cell);
    // A lone dash stands for "nothing"; no spreadsheet takes it for a formula.
    let formula = cell != "-"
        && cell.trim_start().starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ]);
    let cell = if formula { format!("'{cell}") } else { cell };
    if cell.contains([',', '"', '\'', ';']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_escaped() {
        let rows = vec![
            vec!["1".to_owned(), "Zoë".to_owned()],
            vec!["22".to_owned(), "\u{1b}[2J".to_owned()],
        ];
        assert_eq!(
            text(&["NO", "NAME"], &rows),
            "NO  NAME\n1   Zoë\n22  \\u{1b}[2J\n"
        );
    }

    #[test]
    fn cells_are_neutral_to_spreadsheets() {
        assert_eq!(csv_cell("=1+1"), "\"'=1+1\"");
        assert_eq!(csv_cell(" @x"), "\"' @x\"");
        assert_eq!(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_cell("a\nb"), "a\\u{a}b");
        assert_eq!(csv_cell("plain"), "plain");
        assert_eq!(csv_cell("-"), "-");
        assert_eq!(csv_cell("-1"), "\"'-1\"");
    }
}
