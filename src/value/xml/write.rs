//! A value as XML, the way it would be read.

use super::super::tape::{Kind, Ref};
use super::super::yaml::sorted;
use super::{in_name, is_character, starts_name};
use crate::error::{Code, Error, Result, quoted};

/// Name of the elements of an array that has no name of its own.
const ITEM: &str = "item";
const DEFAULT_ROOT: &str = "root";

/// Without a name for the root, a table with one member that is no array is the root itself.
pub fn write(value: Ref<'_>, root: Option<&str>) -> Result<String> {
    let mut writer = Writer { out: String::new(), path: "value".to_owned() };
    let only = match (root, value.members().next()) {
        (None, Some((key, member))) if value.len() == 1 && !member.is_array() => {
            Some((key.to_text(), member)).filter(|(key, _)| is_name(key))
        }
        _ => None,
    };
    match only {
        Some((name, member)) => writer.within(&name, |writer| writer.element(&name, member, 0))?,
        None => writer.element(root.unwrap_or(DEFAULT_ROOT), value, 0)?,
    }
    Ok(writer.out)
}

struct Writer {
    out: String,
    /// To the value being written, for errors.
    path: String,
}

impl Writer {
    fn within(&mut self, key: &str, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.path.len();
        match key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            true => self.path.push_str(&format!(".{key}")),
            false => self.path.push_str(&format!("[{}]", quoted(key))),
        }
        write(self)?;
        self.path.truncate(before);
        Ok(())
    }

    fn failed(&self, reason: &str) -> Error {
        Error::new(Code::ConversionError, format!("{}: {reason}", self.path))
    }

    /// An element, on lines of its own.
    fn element(&mut self, name: &str, value: Ref<'_>, indent: usize) -> Result<()> {
        if !is_name(name) {
            return Err(self.failed(&format!("{} cannot name an element", quoted(name))));
        }
        self.indent(indent);
        self.out.push('<');
        self.out.push_str(name);
        match value.kind() {
            Kind::Object if !value.is_empty() => self.object(name, value, indent)?,
            Kind::Array if !value.is_empty() => {
                self.out.push_str(">\n");
                self.items(ITEM, value, indent + 2)?;
                self.indent(indent);
                self.end(name);
            }
            Kind::Array | Kind::Object | Kind::Empty | Kind::Null => self.out.push_str("/>"),
            _ => {
                self.out.push('>');
                self.text(value)?;
                self.end(name);
            }
        }
        self.out.push('\n');
        Ok(())
    }

    fn object(&mut self, name: &str, value: Ref<'_>, indent: usize) -> Result<()> {
        let members = sorted(value);
        for (key, member) in &members {
            let key = key.to_text();
            if let Some(attribute) = key.strip_prefix('@') {
                self.within(&key, |writer| writer.attribute(attribute, *member))?;
            }
        }
        let (mut text, mut children) = (None, Vec::new());
        for (key, member) in members {
            match key.to_text() {
                key if key == "#text" => text = Some(member),
                key if !key.starts_with('@') => children.push((key, member)),
                _ => {}
            }
        }
        self.content(name, text, &children, indent)
    }

    fn content(
        &mut self,
        name: &str,
        text: Option<Ref<'_>>,
        children: &[(String, Ref<'_>)],
        indent: usize,
    ) -> Result<()> {
        if text.is_none() && children.is_empty() {
            self.out.push_str("/>");
            return Ok(());
        }
        self.out.push('>');
        if let Some(text) = text {
            self.within("#text", |writer| writer.text(text))?;
        }
        if !children.is_empty() {
            self.out.push('\n');
            for (key, member) in children {
                self.within(key, |writer| writer.member(key, *member, indent + 2))?;
            }
            self.indent(indent);
        }
        self.end(name);
        Ok(())
    }

    fn member(&mut self, name: &str, value: Ref<'_>, indent: usize) -> Result<()> {
        match value.kind() == Kind::Array && !value.is_empty() {
            true => self.items(name, value, indent),
            false => self.element(name, value, indent),
        }
    }

    fn items(&mut self, name: &str, value: Ref<'_>, indent: usize) -> Result<()> {
        for (i, item) in value.items().enumerate() {
            let before = self.path.len();
            self.path.push_str(&format!("[{}]", i + 1));
            self.element(name, item, indent)?;
            self.path.truncate(before);
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: Ref<'_>) -> Result<()> {
        if !is_name(name) {
            return Err(self.failed(&format!("{} cannot name an attribute", quoted(name))));
        }
        let text = self.scalar(value)?;
        self.out.push_str(&format!(" {name}=\""));
        self.escaped(&text, true);
        self.out.push('"');
        Ok(())
    }

    fn text(&mut self, value: Ref<'_>) -> Result<()> {
        let text = self.scalar(value)?;
        // Space at the ends is kept in CDATA only.
        if text.trim() != text && !text.contains("]]>") && !text.contains('\r') {
            self.out.push_str(&format!("<![CDATA[{text}]]>"));
        } else {
            self.escaped(&text, false);
        }
        Ok(())
    }

    fn scalar(&self, value: Ref<'_>) -> Result<String> {
        let text = match value.kind() {
            Kind::Str => value.to_text(),
            Kind::Null => String::new(),
            Kind::Bool | Kind::Int | Kind::Float => value.to_json().to_string(),
            _ => return Err(self.failed("a table cannot be text")),
        };
        match text.chars().find(|c| !is_character(*c)) {
            Some(c) => Err(self.failed(&format!("XML has no character U+{:04X}", u32::from(c)))),
            None => Ok(text),
        }
    }

    fn escaped(&mut self, text: &str, attribute: bool) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' if attribute => self.out.push_str("&quot;"),
                '\r' => self.out.push_str("&#13;"),
                '\n' if attribute => self.out.push_str("&#10;"),
                '\t' if attribute => self.out.push_str("&#9;"),
                c => self.out.push(c),
            }
        }
    }

    fn end(&mut self, name: &str) {
        self.out.push_str(&format!("</{name}>"));
    }

    fn indent(&mut self, spaces: usize) {
        self.out.extend(std::iter::repeat_n(' ', spaces));
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(starts_name) && name.chars().all(in_name)
}
