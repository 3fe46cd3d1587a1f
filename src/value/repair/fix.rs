//! The repairs a reader can make, each with the name that `info.fixes` tells it by.

use super::Level;

macro_rules! fixes {
    ($($variant:ident $name:literal $level:ident $doc:literal,)*) => {
        /// One kind of repair.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fix { $(#[doc = $doc] $variant,)* }

        impl Fix {
            /// Every repair, its public name, the level that first makes it, and what it does.
            pub const ALL: &'static [(Fix, &'static str, Level, &'static str)] =
                &[$((Fix::$variant, $name, Level::$level, $doc),)*];
        }
    };
}

fixes! {
    Bom "bom" Lenient "a byte order mark in front is skipped",
    Fence "fence" Lenient "the document is taken out of a code fence",
    Prose "prose" Lenient "text around the document is left out",
    Comment "comment" Lenient "`//`, `/* */` and `#` comments are skipped",
    Comma "comma" Lenient "leading and trailing commas are dropped",
    Quotes "quotes" Lenient "single, smart and backtick quotes are quotes",
    UnquotedKey "unquoted_key" Lenient "keys need no quotes",
    Literal "literal" Lenient "True, False, None, undefined, NaN, Infinity and other spellings of literals",
    ControlCharacter "control_character" Lenient "raw line breaks and control characters in strings",
    InvalidEscape "invalid_escape" Lenient "escapes JSON does not know",
    InvalidUtf8 "invalid_utf8" Lenient "bytes that are no UTF-8, and lone surrogates, become U+FFFD",
    Space "space" Lenient "white space JSON does not know",
    MissingBracket "missing_bracket" Lenient "brackets missing at the end, or before an outer one closes",
    TruncatedString "truncated_string" BestEffort "a string without its end",
    TruncatedLiteral "truncated_literal" BestEffort "a literal without its end: `tru`",
    MissingValue "missing_value" BestEffort "a key without a value",
    MissingComma "missing_comma" BestEffort "a comma between two values",
    MissingColon "missing_colon" BestEffort "a colon between key and value",
    MissingQuote "missing_quote" BestEffort "the quote at one end of a string",
    MissingOpening "missing_opening" BestEffort "the bracket in front: `\"a\": 1}`, `[\"a\": 1]`",
    UnescapedQuote "unescaped_quote" BestEffort "quotes inside of a string",
    DoubledQuotes "doubled_quotes" BestEffort "`\"\"text\"\"` and `\"\"\"text\"\"\"`",
    UnquotedString "unquoted_string" BestEffort "a value without quotes",
    Number "number" BestEffort "numbers JSON does not know: `.5`, `1.`, `+1`, `1_000`, `0x1F`",
    ExtraComma "extra_comma" BestEffort "several commas in a row, semicolons",
    ExtraBracket "extra_bracket" BestEffort "brackets that close or open nothing",
    ExtraText "extra_text" BestEffort "words between the parts of a document",
    Ellipsis "ellipsis" BestEffort "`...` where members or items were left out",
    Concatenation "concatenation" BestEffort "strings joined with `+`",
    Call "call" BestEffort "a function call around a value: JSONP, `ObjectId(\"1\")`",
    Tuple "tuple" BestEffort "Python's tuples and sets",
    Escaped "escaped" BestEffort "a document whose quotes are escaped",
    Embedded "embedded" BestEffort "a fenced document inside of quotes, not escaped",
    Merged "merged" BestEffort "members or items behind a container that was closed too early",
    Documents "documents" BestEffort "several documents become an array",
    Lines "lines" BestEffort "lines of `key: value`",
    Text "text" BestEffort "no document: the text itself",
    Depth "depth" BestEffort "containers nested too deep become null",
}

impl Fix {
    pub fn name(self) -> &'static str {
        Fix::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// The first level that makes this repair.
    pub fn level(self) -> Level {
        Fix::ALL.iter().find(|row| row.0 == self).map_or(Level::BestEffort, |row| row.2)
    }
}
