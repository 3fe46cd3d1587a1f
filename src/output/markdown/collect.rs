//! One walk over the events of a text.

use std::ops::Range;

use crate::value::MAX_DEPTH;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

#[derive(Clone, Debug, Default)]
pub struct Markdown {
    pub sections: Vec<Section>,
    pub code_blocks: Vec<CodeBlock>,
    pub tables: Vec<Table>,
    pub lists: Vec<List>,
    pub links: Vec<Link>,
    pub text: String,
}

#[derive(Clone, Debug, Default)]
pub struct Section {
    pub level: usize,
    pub heading: String,
    pub content: String,
}

#[derive(Clone, Debug, Default)]
pub struct CodeBlock {
    /// Empty if none is named.
    pub language: String,
    pub content: String,
    pub line: usize,
    pub fenced: bool,
    /// Bytes of the whole block in the text.
    pub range: Range<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    pub headers: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug, Default)]
pub struct List {
    /// Number of the first item.
    pub start: Option<u64>,
    pub level: usize,
    pub items: Vec<String>,
    /// The list and the item it is in, from 1.
    pub within: Option<(usize, usize)>,
}

#[derive(Clone, Debug, Default)]
pub struct Link {
    pub text: String,
    pub url: String,
    pub title: String,
}

/// The parts of `text` from byte `body` on; lines are counted from its beginning.
pub fn collect(text: &str, body: usize) -> Markdown {
    let mut collector = Collector::new(text, body);
    let options = Options::ENABLE_TABLES;
    for (event, range) in Parser::new_ext(&text[body..], options).into_offset_iter() {
        collector.event(event, range.start + body..range.end + body);
    }
    collector.finish()
}

/// Text that is being gathered for something.
struct Gathered {
    text: String,
}

struct Collector<'t> {
    text: &'t str,
    found: Markdown,
    gathered: Vec<Gathered>,
    /// For the document, each quote and each item around: the section that is open in it, and
    /// where its content begins.
    sections: Vec<Option<(usize, usize)>>,
    /// The lists around, as numbers.
    lists: Vec<usize>,
    /// Lists around that are nested deeper than any value may be: their items are text.
    too_deep: usize,
    links: Vec<usize>,
    /// Images around: their descriptions hold no links.
    images: usize,
    row: Vec<String>,
    /// Up to where lines were counted, and their number.
    counted: (usize, usize),
    in_code: bool,
}

impl<'t> Collector<'t> {
    fn new(text: &'t str, body: usize) -> Collector<'t> {
        Collector {
            text,
            found: Markdown::default(),
            gathered: Vec::new(),
            sections: vec![None],
            lists: Vec::new(),
            too_deep: 0,
            links: Vec::new(),
            images: 0,
            row: Vec::new(),
            counted: (0, 1),
            in_code: false,
        }
        .counting_from(body)
    }

    fn counting_from(mut self, body: usize) -> Self {
        self.line(body);
        self
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, range),
            Event::Text(text) if self.in_code => self.code(&text),
            Event::Text(text) | Event::Code(text) => self.append(&text),
            Event::SoftBreak => self.append(" "),
            Event::HardBreak => self.append("\n"),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.close_section(range.start);
                self.found.sections.push(Section { level: level as usize, ..Section::default() });
                self.block();
                self.gather();
            }
            Tag::BlockQuote(_) => self.sections.push(None),
            Tag::CodeBlock(kind) => self.code_block(&kind, range),
            Tag::List(_) if self.lists.len() >= MAX_DEPTH => self.too_deep += 1,
            Tag::List(start) => self.list(start),
            Tag::Item => {
                self.sections.push(None);
                self.line_break();
                if self.too_deep == 0 {
                    self.gather();
                }
            }
            Tag::Table(_) => {
                self.found.tables.push(Table::default());
                self.block();
            }
            Tag::TableHead | Tag::TableRow => self.row.clear(),
            Tag::TableCell => self.gather(),
            Tag::Image { .. } => self.images += 1,
            Tag::Link { link_type, dest_url, title, .. } if self.images == 0 => {
                self.link(link_type, &dest_url, &title);
                self.gather();
            }
            Tag::Paragraph => self.block(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        match tag {
            TagEnd::Heading(_) => self.heading(range.end),
            TagEnd::BlockQuote(_) => self.close_container(range.end),
            TagEnd::CodeBlock => self.in_code = false,
            TagEnd::List(_) if self.too_deep > 0 => self.too_deep -= 1,
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Item => {
                self.close_container(range.end);
                if self.too_deep == 0 {
                    self.item();
                }
            }
            TagEnd::TableCell => {
                let cell = self.taken().trim().to_owned();
                self.row.push(cell);
                self.found.text.push('\t');
            }
            TagEnd::TableHead | TagEnd::TableRow => self.table_row(tag == TagEnd::TableHead),
            TagEnd::Image => self.images = self.images.saturating_sub(1),
            TagEnd::Link if self.images == 0 => {
                let text = self.taken();
                self.gathered_more(&text);
                let link = self.links.pop().and_then(|link| self.found.links.get_mut(link));
                if let Some(link) = link {
                    link.text = text;
                }
            }
            _ => {}
        }
    }

    /// Text that stands in the document and in what is being gathered.
    fn append(&mut self, text: &str) {
        self.found.text.push_str(text);
        self.gathered_more(text);
    }

    fn gathered_more(&mut self, text: &str) {
        if let Some(gathered) = self.gathered.last_mut() {
            gathered.text.push_str(text);
        }
    }

    fn gather(&mut self) {
        self.gathered.push(Gathered { text: String::new() });
    }

    fn taken(&mut self) -> String {
        self.gathered.pop().map(|gathered| gathered.text).unwrap_or_default()
    }

    /// A block begins: an empty line in the document, a line in an item.
    fn block(&mut self) {
        let fresh = self.gathered.last().is_some_and(|gathered| gathered.text.is_empty());
        if let Some(gathered) = self.gathered.last_mut()
            && !fresh
            && !gathered.text.ends_with('\n')
        {
            gathered.text.push('\n');
        }
        // The first block of an item stands on the item's line.
        if !fresh {
            separate(&mut self.found.text, "\n\n");
        }
    }

    fn line_break(&mut self) {
        separate(&mut self.found.text, "\n");
    }

    fn heading(&mut self, end: usize) {
        let heading = self.taken().trim().to_owned();
        self.gathered_more(&heading);
        let number = self.found.sections.len().saturating_sub(1);
        if let Some(section) = self.found.sections.get_mut(number) {
            section.heading = heading;
        }
        if let Some(open) = self.sections.last_mut() {
            *open = Some((number, end));
        }
    }

    /// The section beside which something at `end` begins or ends.
    fn close_section(&mut self, end: usize) {
        let Some((number, start)) = self.sections.last_mut().and_then(Option::take) else { return };
        let content = self.text.get(start..end.max(start)).unwrap_or_default();
        if let Some(section) = self.found.sections.get_mut(number) {
            section.content = without_blank_lines(content).to_owned();
        }
    }

    fn close_container(&mut self, end: usize) {
        self.close_section(end);
        self.sections.pop();
    }

    fn code_block(&mut self, kind: &CodeBlockKind<'_>, range: Range<usize>) {
        self.in_code = true;
        let (language, fenced) = match kind {
            CodeBlockKind::Fenced(info) => (first_word(info), true),
            CodeBlockKind::Indented => (String::new(), false),
        };
        let line = self.line(range.start);
        let content = String::new();
        self.found.code_blocks.push(CodeBlock { language, content, line, fenced, range });
        self.block();
    }

    fn code(&mut self, text: &str) {
        if let Some(block) = self.found.code_blocks.last_mut() {
            block.content.push_str(text);
        }
        self.append(text);
    }

    /// The number of the line a byte is in. Asked for in the order of the text.
    fn line(&mut self, at: usize) -> usize {
        let (from, line) = self.counted;
        let between = self.text.as_bytes().get(from..at).unwrap_or_default();
        self.counted = (at.max(from), line + memchr::memchr_iter(b'\n', between).count());
        self.counted.1
    }

    fn list(&mut self, start: Option<u64>) {
        let within = self.lists.last().and_then(|list| {
            let items = self.found.lists.get(*list)?.items.len();
            Some((list + 1, items + 1))
        });
        self.lists.push(self.found.lists.len());
        let level = self.lists.len();
        self.found.lists.push(List { start, level, items: Vec::new(), within });
        if level == 1 {
            self.block();
        }
    }

    fn item(&mut self) {
        let text = self.taken().trim().to_owned();
        if let Some(list) = self.lists.last().and_then(|list| self.found.lists.get_mut(*list)) {
            list.items.push(text);
        }
    }

    fn table_row(&mut self, is_head: bool) {
        let row = std::mem::take(&mut self.row);
        if self.found.text.ends_with('\t') {
            self.found.text.pop();
        }
        self.found.text.push('\n');
        if let Some(table) = self.found.tables.last_mut() {
            match is_head {
                true => table.headers = row,
                false => table.rows.push(row),
            }
        }
    }

    fn link(&mut self, kind: LinkType, url: &CowStr<'_>, title: &CowStr<'_>) {
        let mail = if kind == LinkType::Email { "mailto:" } else { "" };
        self.links.push(self.found.links.len());
        let (url, title) = (format!("{mail}{url}"), title.to_string());
        self.found.links.push(Link { text: String::new(), url, title });
    }

    fn finish(mut self) -> Markdown {
        self.close_section(self.text.len());
        self.found.text.truncate(self.found.text.trim_end().len());
        self.found
    }
}

fn first_word(info: &str) -> String {
    info.split_whitespace().next().unwrap_or_default().to_owned()
}

/// As many line feeds as `separator` has, those that are there already included.
fn separate(text: &mut String, separator: &str) {
    if !text.is_empty() {
        let have = text.len() - text.trim_end_matches('\n').len();
        text.push_str(separator.get(have..).unwrap_or_default());
    }
}

fn without_blank_lines(text: &str) -> &str {
    let text = text.trim_end();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() {
            break;
        }
        start += line.len();
    }
    &text[start..]
}
