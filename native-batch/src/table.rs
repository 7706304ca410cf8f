//! Tables for a terminal.

use chrono::{DateTime, SecondsFormat, Utc};

/// The lines with each column as wide as its widest cell.
pub fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for line in table {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let show = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(show).collect::<Vec<_>>().join("\n")
}

/// RFC 3339, in whole seconds.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = [["a", "long"].map(String::from), ["wide", "b"].map(String::from)];
        assert_eq!(aligned(&table), "a     long\nwide  b");
    }
}
