//! Types from C declarations, laid out as C compilers lay them out where this runs.
//!
//! What is declared last is the type: `struct point { int x, y; } [10]`, `double rates[4]`, `typedef …; Currency[]`.
//! An array without a size has as many elements as there is room for.

use std::collections::HashMap;

use coseg::schema::{Scalar, Type};

use super::Declared;
use super::layout::{Laid, arithmetic, array, laid_out, pointer, scalar, standard, void};

/// A declaration that nests deeper is no honest one.
const DEPTH_MAX: usize = 16;
/// What a declaration makes of bytes.
pub(crate) fn declared(text: &str) -> Result<Declared, String> {
    let mut parser = Parser::new(text)?;
    let declared = parser.unit()?;
    declared.ok_or_else(|| "it declares nothing".to_owned())
}

/// A type that a declarator made of another; `None` as its last count: as many as there is room for.
struct Shaped {
    name: Option<String>,
    laid: Laid,
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(usize),
    Sign(char),
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    types: HashMap<String, Laid>,
    /// By `struct NAME`, `union NAME` and `enum NAME`.
    tags: HashMap<String, Laid>,
    constants: HashMap<String, usize>,
}

impl Parser {
    fn new(text: &str) -> Result<Parser, String> {
        let mut parser = Parser {
            tokens: Vec::new(),
            at: 0,
            depth: 0,
            types: HashMap::new(),
            tags: HashMap::new(),
            constants: HashMap::new(),
        };
        parser.tokenize(text)?;
        Ok(parser)
    }

    fn tokenize(&mut self, text: &str) -> Result<(), String> {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let column = text.len() - rest.len() + 1;
            let length = if first.is_whitespace() {
                first.len_utf8()
            } else if rest.starts_with("//") || first == '#' {
                let line = rest.lines().next().unwrap_or_default();
                self.define(line);
                line.len()
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else if first.is_ascii_digit() {
                let word = word_of(rest);
                let number = number(word).ok_or_else(|| format!("column {column}: `{word}` is no number"))?;
                self.tokens.push((column, Token::Number(number)));
                word.len()
            } else if first.is_ascii_alphabetic() || first == '_' {
                let word = word_of(rest);
                self.tokens.push((column, Token::Word(word.to_owned())));
                word.len()
            } else {
                self.tokens.push((column, Token::Sign(first)));
                first.len_utf8()
            };
            rest = &rest[length..];
        }
        Ok(())
    }

    /// A constant of the preprocessor's; all else that it is told concerns no types.
    fn define(&mut self, line: &str) {
        let mut words = line.trim_start_matches('#').split_whitespace();
        if let (Some("define"), Some(name), Some(value)) = (words.next(), words.next(), words.next())
            && let Some(value) = number(value)
        {
            self.constants.insert(name.to_owned(), value);
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn is(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn take(&mut self, sign: char) -> bool {
        let is = self.is(sign);
        self.at += usize::from(is);
        is
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(own)) if own == word);
        self.at += usize::from(is);
        is
    }

    fn name(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let word = word.clone();
        self.at += 1;
        Some(word)
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong(&format!("`{sign}` belongs here"))) }
    }

    fn wrong(&self, fact: &str) -> String {
        match self.tokens.get(self.at) {
            Some((column, Token::Word(word))) => format!("column {column}, at `{word}`: {fact}"),
            Some((column, Token::Number(number))) => format!("column {column}, at {number}: {fact}"),
            Some((column, Token::Sign(sign))) => format!("column {column}, at `{sign}`: {fact}"),
            None => format!("at its end: {fact}"),
        }
    }

    fn unit(&mut self) -> Result<Option<Declared>, String> {
        let mut last = None;
        while self.peek().is_some() {
            if self.take(';') {
                continue;
            }
            let is_typedef = self.take_word("typedef");
            let base = self.specifiers()?;
            loop {
                let shaped = self.declarator(base.clone())?;
                if let (true, Some(name)) = (is_typedef, &shaped.name) {
                    self.types.insert(name.clone(), shaped.laid.clone());
                }
                last = Some(Declared { of: shaped.laid.of, is_open: shaped.is_open, bits: Vec::new() });
                if !self.take(',') {
                    break;
                }
            }
            if self.peek().is_some() {
                self.expect(';')?;
            }
        }
        Ok(last)
    }

    /// `const unsigned long`, `struct x { … }`, a type's name.
    fn specifiers(&mut self) -> Result<Laid, String> {
        let start = self.at;
        let mut words: Vec<String> = Vec::new();
        let mut found: Option<Laid> = None;
        while let Some(Token::Word(word)) = self.peek() {
            match word.as_str() {
                "const" | "volatile" | "static" | "extern" | "register" | "restrict" | "_Atomic"
                | "inline" => {
                    self.at += 1;
                }
                "__attribute__" => {
                    self.attributes()?;
                }
                "struct" | "union" if found.is_none() && words.is_empty() => found = Some(self.compound()?),
                "enum" if found.is_none() && words.is_empty() => found = Some(self.enumeration()?),
                "unsigned" | "signed" | "short" | "long" | "int" | "char" | "float" | "double" | "void"
                | "_Bool" | "bool" | "__int128"
                    if found.is_none() =>
                {
                    words.push(word.clone());
                    self.at += 1;
                }
                name if found.is_none() && words.is_empty() => {
                    match self.types.get(name).cloned().or_else(|| standard(name)) {
                        Some(laid) => {
                            self.at += 1;
                            found = Some(laid);
                        }
                        None => {
                            return Err(self.wrong(
                                "no type is called so: declare it before, or write what it stands for",
                            ));
                        }
                    }
                }
                _ => break,
            }
        }
        if words.is_empty() {
            return found.ok_or_else(|| self.wrong("a type belongs here"));
        }
        words.sort_unstable();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        arithmetic(&words).ok_or_else(|| {
            self.at = start;
            self.wrong(&format!("`{}` is no type with values", words.join(" ")))
        })
    }

    /// Skips attributes; whether one of them packs.
    fn attributes(&mut self) -> Result<bool, String> {
        let mut packs = false;
        while self.take_word("__attribute__") {
            let mut open = 0;
            loop {
                match self.peek() {
                    Some(Token::Sign('(')) => open += 1,
                    Some(Token::Sign(')')) => open -= 1,
                    Some(Token::Word(word)) if word.contains("packed") => packs = true,
                    Some(Token::Word(word)) if word.contains("aligned") => {
                        return Err(self.wrong("types that are aligned otherwise are not known here"));
                    }
                    Some(_) => {}
                    None => return Err(self.wrong("`)` belongs here")),
                }
                self.at += 1;
                if open == 0 {
                    break;
                }
            }
        }
        Ok(packs)
    }

    fn compound(&mut self) -> Result<Laid, String> {
        let is_union = matches!(self.name().as_deref(), Some("union"));
        let keyword = if is_union { "union" } else { "struct" };
        let packed_before = self.attributes()?;
        let tag = self.name();
        let key = tag.as_ref().map(|tag| format!("{keyword} {tag}"));
        if !self.is('{') {
            let Some(key) = key else { return Err(self.wrong("`{` belongs here")) };
            // What nobody has declared can be pointed to.
            let known = self.tags.get(&key).cloned().or_else(|| self.is('*').then(void));
            return known.ok_or_else(|| {
                self.at -= 1;
                self.wrong(&format!("`{key}` was not declared before"))
            });
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("it is nested too deeply"));
        }
        let (opened, mut members) = (self.at, Vec::new());
        self.expect('{')?;
        while !self.take('}') {
            self.members(&mut members)?;
        }
        self.depth -= 1;
        let packs = self.attributes()? || packed_before;
        let laid = laid_out(key.as_deref().unwrap_or(keyword), members, is_union, packs);
        let laid = laid.ok_or_else(|| {
            self.at = opened;
            self.wrong("it is larger than any segment")
        })?;
        if let Some(key) = key {
            self.tags.insert(key, laid.clone());
        }
        Ok(laid)
    }

    fn members(&mut self, members: &mut Vec<(String, Laid)>) -> Result<(), String> {
        let base = self.specifiers()?;
        loop {
            let shaped = self.declarator(base.clone())?;
            if self.is(':') {
                return Err(self.wrong(
                    "bit-fields have no layout that all compilers agree on: declare what holds them",
                ));
            }
            match (shaped.name, &base.of) {
                (Some(name), _) => members.push((name, shaped.laid)),
                // The fields of one without a name are its owner's.
                (None, Type::Struct(_)) => members.push((String::new(), shaped.laid)),
                _ => return Err(self.wrong("a field's name belongs here")),
            }
            if !self.take(',') {
                return self.expect(';');
            }
        }
    }

    fn enumeration(&mut self) -> Result<Laid, String> {
        self.at += 1;
        let tag = self.name();
        if self.take('{') {
            let mut next = 0;
            while !self.take('}') {
                let Some(name) = self.name() else { return Err(self.wrong("a name belongs here")) };
                if self.take('=') {
                    // Negative ones are no sizes.
                    if !self.take('-') {
                        next = self.number()?;
                    } else {
                        self.number()?;
                    }
                }
                self.constants.insert(name, next);
                next = next.saturating_add(1);
                if !self.take(',') && !self.is('}') {
                    return Err(self.wrong("`,` or `}` belongs here"));
                }
            }
        } else if tag.is_none() {
            return Err(self.wrong("`{` belongs here"));
        }
        Ok(scalar(Scalar::I32))
    }

    /// `*name[3][4]`, without a name too.
    fn declarator(&mut self, base: Laid) -> Result<Shaped, String> {
        let mut laid = base;
        while self.take('*') {
            laid = pointer();
            while self.take_word("const") || self.take_word("volatile") || self.take_word("restrict") {}
        }
        let mut name = None;
        if self.is('(') {
            // A pointer to a function or an array is a pointer, whatever follows.
            self.at += 1;
            if !self.take('*') {
                return Err(self.wrong("`*` belongs here"));
            }
            name = self.name();
            self.skip_to(')')?;
            while self.is('(') || self.is('[') {
                let close = if self.is('(') { ')' } else { ']' };
                self.at += 1;
                self.skip_to(close)?;
            }
            return Ok(Shaped { name, laid: pointer(), is_open: false });
        }
        if !matches!(self.peek(), Some(Token::Word(word)) if word == "__attribute__") {
            name = self.name().or(name);
        }
        let (mut counts, mut is_open) = (Vec::new(), false);
        while self.take('[') {
            if self.take(']') {
                if !counts.is_empty() {
                    return Err(self.wrong("only the first size may be left out"));
                }
                is_open = true;
                continue;
            }
            let mut count = self.number()?;
            while self.take('*') {
                count = count.checked_mul(self.number()?).ok_or_else(|| self.wrong("it is too many"))?;
            }
            self.expect(']')?;
            counts.push(count);
        }
        self.attributes()?;
        if laid.of == void().of {
            return Err(self.wrong("`void` is no type with values"));
        }
        for &count in counts.iter().rev() {
            laid = array(laid, count).ok_or_else(|| self.wrong("it is larger than any segment"))?;
        }
        // Of characters, what there is is one text.
        if is_open && self.depth > 0 {
            laid = array(laid, 0).ok_or_else(|| self.wrong("it is larger than any segment"))?;
            is_open = false;
        }
        Ok(Shaped { name, laid, is_open })
    }

    fn number(&mut self) -> Result<usize, String> {
        let number = match self.peek() {
            Some(Token::Number(number)) => *number,
            Some(Token::Word(word)) => match self.constants.get(word) {
                Some(number) => *number,
                None => return Err(self.wrong("a number belongs here; this has no #define")),
            },
            _ => return Err(self.wrong("a number belongs here")),
        };
        self.at += 1;
        Ok(number)
    }

    fn skip_to(&mut self, close: char) -> Result<(), String> {
        let mut open = 1;
        while open > 0 {
            match self.peek() {
                Some(Token::Sign('(' | '[')) => open += 1,
                Some(Token::Sign(')' | ']')) => open -= 1,
                Some(_) => {}
                None => return Err(self.wrong(&format!("`{close}` belongs here"))),
            }
            self.at += 1;
        }
        Ok(())
    }
}

fn word_of(text: &str) -> &str {
    let end = text.find(|own: char| !own.is_ascii_alphanumeric() && own != '_').unwrap_or(text.len());
    &text[..end]
}

fn number(word: &str) -> Option<usize> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => usize::from_str_radix(digits, 16).ok(),
        None if digits.len() > 1 && digits.starts_with('0') => usize::from_str_radix(digits, 8).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use coseg::schema::Type;

    use super::*;

    /// `name@offset type`, of a struct and the structs in it.
    fn shown(of: &Type) -> String {
        match of {
            Type::Struct(of) => {
                let fields = of
                    .fields
                    .iter()
                    .map(|field| format!("{}@{} {}", field.name, field.offset, shown(&field.of)));
                format!("{{{}}}{}", fields.collect::<Vec<_>>().join(", "), of.size_bytes)
            }
            Type::Array { element, count } => format!("{}[{count}]", shown(element)),
            Type::Text { size_bytes } => format!("text{size_bytes}"),
            scalar => scalar.to_string(),
        }
    }

    fn layout(text: &str) -> String {
        let Declared { of, is_open, .. } = declared(text).unwrap();
        shown(&of) + if is_open { "…" } else { "" }
    }

    #[test]
    fn types_are_laid_out_as_compilers_do() {
        for (text, expected) in [
            ("int", "i32"),
            ("long unsigned int long", "u64"),
            ("const double[4]", "f64[4]"),
            ("char text[1024];", "text1024"),
            ("char names[4][16]", "text16[4]"),
            ("struct Data {int a; double b; char x;}", "{a@0 i32, b@8 f64, x@16 text1}24"),
            ("struct { double sell, buy, stock; } [4]", "{sell@0 f64, buy@8 f64, stock@16 f64}24[4]"),
            ("struct { double sell; } []", "{sell@0 f64}8…"),
            ("struct s { char c; short d[3]; char *p; };", "{c@0 text1, d@2 i16[3], p@8 u64}16"),
            ("typedef struct { char c; int n; } __attribute__((packed)) t; t[2]", "{c@0 text1, n@1 i32}5[2]"),
            ("union { int i; double d; char b[3]; }", "{i@0 i32, d@0 f64, b@0 text3}8"),
            (
                "struct { int a; struct { short x, y; }; union { float f; uint32_t u; }; }",
                "{a@0 i32, x@4 i16, y@6 i16, f@8 f32, u@8 u32}12",
            ),
            (
                "enum color { RED, GREEN = 5, BLUE }; struct { enum color c; char n[BLUE]; }",
                "{c@0 i32, n@4 text6}12",
            ),
            (
                "#define N 3\n#include <x.h>\n/* a */ struct point { int x; // b\n int y; }; struct { struct point p[N], *q; }",
                "{p@0 {x@0 i32, y@4 i32}8[3], q@24 u64}32",
            ),
            (
                "struct { void (*handler)(int, char *); int (*table)[4]; long double wide; }",
                "{handler@0 u64, table@8 u64, wide@16 u8[16]}32",
            ),
            ("struct { int n; char rest[]; }", "{n@0 i32, rest@4 text0}4"),
            ("struct { struct unknown *next; }", "{next@0 u64}8"),
            ("time_t", "i64"),
        ] {
            assert_eq!(layout(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_declaration_says_where_and_why() {
        for (text, fact) in [
            ("", "it declares nothing"),
            ("struct {", "at its end: a type belongs here"),
            ("struct { foo x; }", "column 10, at `foo`: no type is called so"),
            ("struct { int x : 3; }", "bit-fields"),
            ("int x[y]", "no #define"),
            ("unsigned double", "is no type with values"),
            ("void", "is no type with values"),
            ("struct x", "`struct x` was not declared before"),
            ("int x[3][]", "only the first size"),
            ("int 5", "`;` belongs here"),
            ("double x[99999999999][99999999999]", "larger than any segment"),
            ("struct { int; }", "a field's name belongs here"),
        ] {
            let told = declared(text).unwrap_err();
            assert!(told.contains(fact), "{text}: {told}");
        }
        let deep = "struct {".repeat(1000);
        assert!(declared(&deep).unwrap_err().contains("nested too deeply"));
    }
}
