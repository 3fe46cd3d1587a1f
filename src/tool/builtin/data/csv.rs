//! CSV (RFC 4180): rows as objects by the names of the first line.

use serde_json::{Map, Value};

use super::trouble;
use crate::error::{Result, quoted};

/// Cells that are written as JSON writes numbers become numbers.
pub fn read(text: &str, delimiter: char) -> Result<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines { text, delimiter, line: 1 };
    let Some(head) = lines.row()? else { return Ok(Value::Array(Vec::new())) };
    let names = names(head)?;
    let mut rows = Vec::new();
    while let Some(cells) = lines.row()? {
        if cells.len() > names.len() {
            let (cells, names) = (cells.len(), names.len());
            let row = rows.len() + 1;
            return Err(trouble(format!("row {row} has {cells} cells, the first line {names}")));
        }
        let row = names.iter().cloned().zip(cells.into_iter().map(value));
        rows.push(Value::Object(row.collect::<Map<_, _>>()));
    }
    Ok(Value::Array(rows))
}

fn names(head: Vec<Cell>) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::with_capacity(head.len());
    for (i, cell) in head.into_iter().enumerate() {
        let name = cell.text.trim().to_owned();
        let name = if name.is_empty() { format!("column_{}", i + 1) } else { name };
        if names.contains(&name) {
            return Err(trouble(format!("two columns are named {}", quoted(&name))));
        }
        names.push(name);
    }
    Ok(names)
}

struct Cell {
    text: String,
    was_quoted: bool,
}

fn value(cell: Cell) -> Value {
    let starts = cell.text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let ends = cell.text.ends_with(|c: char| c.is_ascii_digit());
    let number = (starts && ends && !cell.was_quoted).then(|| serde_json::from_str(&cell.text));
    match number {
        Some(Ok(number @ Value::Number(_))) => number,
        _ => cell.text.into(),
    }
}

struct Lines<'t> {
    text: &'t str,
    delimiter: char,
    line: usize,
}

impl<'t> Lines<'t> {
    /// The next row; empty lines are none.
    fn row(&mut self) -> Result<Option<Vec<Cell>>> {
        while let Some(rest) = self.text.strip_prefix("\r\n").or(self.text.strip_prefix('\n')) {
            self.text = rest;
            self.line += 1;
        }
        if self.text.is_empty() {
            return Ok(None);
        }
        let mut cells = Vec::new();
        loop {
            cells.push(self.cell()?);
            match self.text.strip_prefix(self.delimiter) {
                Some(rest) => self.text = rest,
                None => return Ok(Some(cells)),
            }
        }
    }

    fn cell(&mut self) -> Result<Cell> {
        if let Some(inner) = self.text.strip_prefix('"') {
            return self.quoted(inner);
        }
        let stops = |c: char| c == self.delimiter || c == '\n';
        let end = self.text.find(stops).unwrap_or(self.text.len());
        let (text, rest) = self.text.split_at_checked(end).unwrap_or((self.text, ""));
        self.text = rest;
        let text = if rest.starts_with('\n') || rest.is_empty() {
            text.strip_suffix('\r').unwrap_or(text)
        } else {
            text
        };
        Ok(Cell { text: text.to_owned(), was_quoted: false })
    }

    fn quoted(&mut self, mut inner: &'t str) -> Result<Cell> {
        let mut text = String::new();
        let begun = self.line;
        loop {
            let unclosed = || trouble(format!("line {begun}: a quote is not closed"));
            let (part, rest) = inner.split_once('"').ok_or_else(unclosed)?;
            text.push_str(part);
            self.line += part.matches('\n').count();
            let Some(again) = rest.strip_prefix('"') else {
                self.text = rest.strip_prefix('\r').filter(|r| r.starts_with('\n')).unwrap_or(rest);
                break;
            };
            text.push('"');
            inner = again;
        }
        let ends = self.text.is_empty() || self.text.starts_with([self.delimiter, '\n']);
        match ends {
            true => Ok(Cell { text, was_quoted: true }),
            false => Err(trouble(format!("line {}: something follows a closing quote", self.line))),
        }
    }
}

/// Rows that are objects or arrays; nested values are written as JSON.
pub fn write(value: &Value, delimiter: char) -> Result<String> {
    let rows = value.as_array().ok_or_else(|| trouble("to: csv takes an array of rows"))?;
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut out = String::new();
    if !names.is_empty() {
        put_row(&mut out, names.iter().map(|name| (*name).to_owned()), delimiter);
    }
    for row in rows {
        match row {
            Value::Array(cells) => put_row(&mut out, cells.iter().map(written), delimiter),
            Value::Object(members) => {
                let cell = |name: &&str| members.get(*name).map_or_else(String::new, written);
                put_row(&mut out, names.iter().map(cell), delimiter);
            }
            cell => put_row(&mut out, std::iter::once(written(cell)), delimiter),
        }
    }
    Ok(out)
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn put_row(out: &mut String, cells: impl Iterator<Item = String>, delimiter: char) {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            out.push(delimiter);
        }
        let quotes = cell.contains([delimiter, '"', '\n', '\r']) || cell.trim() != cell;
        match quotes {
            true => out.push_str(&format!("\"{}\"", cell.replace('"', "\"\""))),
            false => out.push_str(&cell),
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_read_by_the_names_of_the_first_line() {
        let text = "\u{feff}name,age,\r\n\"Doe, \"\"J\"\"\",42,x\r\n\r\nb,007\n\"two\nlines\",-1.5e2,\"3\"";
        let expected = json!([
            { "name": "Doe, \"J\"", "age": 42, "column_3": "x" },
            { "name": "b", "age": "007" },
            { "name": "two\nlines", "age": -150.0, "column_3": "3" },
        ]);
        assert_eq!(read(text, ',').unwrap(), expected);
        assert_eq!(read("a;b\n1;x,y", ';').unwrap(), json!([{ "a": 1, "b": "x,y" }]));
        assert_eq!(read("", ',').unwrap(), json!([]));
        assert_eq!(read("a,b\n", ',').unwrap(), json!([]));
    }

    #[test]
    fn what_is_no_table_says_where() {
        let why = |text: &str| read(text, ',').unwrap_err().message().to_owned();
        assert!(why("a\n1,2").contains("row 1 has 2 cells"));
        assert!(why("a\n\n\"x").contains("line 3"));
        assert!(why("a\n\"x\"y").contains("follows"));
        assert!(why("a,a\n").contains("two columns"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let rows = json!([{ "a": "x,\"y\"", "b": 1 }, { "b": "two\r\nlines", "c": [1] }]);
        let text = write(&rows, ',').unwrap();
        assert_eq!(text, "a,b,c\n\"x,\"\"y\"\"\",1,\n,\"two\r\nlines\",[1]\n");
        assert_eq!(read(&text, ',').unwrap()[1]["b"], "two\r\nlines");
        assert!(write(&json!({}), ',').is_err());
    }
}
