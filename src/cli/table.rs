//! Tables for people: columns as wide as they need to be, numbers to the right.

use std::fmt;

/// A table with a heading, printed with two blanks between columns.
#[derive(Debug)]
pub struct Table {
    heading: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table. A column whose heading begins with `>` is aligned to the right.
    pub fn new(heading: &[&'static str]) -> Self {
        Table {
            right: heading.iter().map(|text| text.starts_with('>')).collect(),
            heading: heading
                .iter()
                .map(|text| text.trim_start_matches('>'))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing stay blank. Control characters are shown escaped, so that
    /// no stored name can move the cursor of whoever reads the table.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading: Vec<String> = self.heading.iter().map(|text| (*text).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&heading).chain(&self.rows).collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heading.len()).map(width).collect();
        for line in &lines {
            let mut text = String::new();
            for (column, &width) in widths.iter().enumerate() {
                let cell = line.get(column).map_or("", String::as_str);
                text.push_str(if column > 0 { "  " } else { "" });
                text.push_str(&if self.right[column] {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                });
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// The text with control characters escaped.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_end_flush() {
        let mut table = Table::new(&["name", ">balance", "note"]);
        table.row(["a".into(), "10.5".into(), "first".into()]);
        table.row(["longer".into(), "7".into(), String::new()]);
        assert_eq!(
            table.to_string(),
            "name    balance  note\n\
             a          10.5  first\n\
             longer        7\n"
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut table = Table::new(&["name"]);
        table.row(["\u{1b}[2Jgone\n".into()]);
        assert_eq!(table.to_string(), "name\n\\u{1b}[2Jgone\\n\n");
    }
}
