//! Types from C declarations, laid out as C compilers lay them out where this runs.
//!
//! What is declared last is the type: `struct point { int x, y; } [10]`, `double rates[4]`, `typedef …; Currency[]`.
//! An array without a size has as many elements as there is room for.

use std::collections::HashMap;

use coseg::schema::{Scalar, Type};

use super::Declared;
use super::layout::{
    Laid, Member, arithmetic, array, enumeration, laid_out, pointer, scalar, standard, void,
};
use super::reading::Names;
use super::tokens::{Token, Tokens};

/// A declaration that nests deeper is no honest one.
const DEPTH_MAX: usize = 16;

/// What a declaration makes of bytes.
pub(crate) fn declared(text: &str) -> Result<Declared, String> {
    let mut parser = Parser::new(text)?;
    let declared = parser.unit()?;
    declared.ok_or_else(|| "it declares nothing".to_owned())
}

/// A type that a declarator made of another.
struct Shaped {
    name: Option<String>,
    laid: Laid,
    is_open: bool,
}

struct Parser {
    tokens: Tokens,
    depth: usize,
    types: HashMap<String, Laid>,
    /// By `struct NAME`, `union NAME` and `enum NAME`.
    tags: HashMap<String, Laid>,
    constants: HashMap<String, usize>,
}

impl Parser {
    fn new(text: &str) -> Result<Parser, String> {
        let (tokens, constants) = Tokens::of(text)?;
        Ok(Parser { tokens, depth: 0, types: HashMap::new(), tags: HashMap::new(), constants })
    }

    fn unit(&mut self) -> Result<Option<Declared>, String> {
        let mut last = None;
        while self.tokens.peek().is_some() {
            if self.tokens.take(';') {
                continue;
            }
            let is_typedef = self.tokens.take_word("typedef");
            let base = self.specifiers()?;
            loop {
                let shaped = self.declarator(base.clone())?;
                if let (true, Some(name)) = (is_typedef, &shaped.name) {
                    self.types.insert(name.clone(), shaped.laid.clone());
                }
                let Laid { of, readings, .. } = shaped.laid;
                last = Some(Declared { of, is_open: shaped.is_open, readings });
                if !self.tokens.take(',') {
                    break;
                }
            }
            if self.tokens.peek().is_some() {
                self.tokens.expect(';')?;
            }
        }
        Ok(last)
    }

    /// `const unsigned long`, `struct x { … }`, a type's name.
    fn specifiers(&mut self) -> Result<Laid, String> {
        let start = self.tokens.at;
        let mut words: Vec<String> = Vec::new();
        let mut found: Option<Laid> = None;
        let mut is_atomic = false;
        while let Some(Token::Word(word)) = self.tokens.peek() {
            match word.as_str() {
                "const" | "volatile" | "static" | "extern" | "register" | "restrict" | "_Atomic" => {
                    is_atomic |= word == "_Atomic";
                    self.tokens.at += 1;
                }
                "struct" | "union" if found.is_none() && words.is_empty() => found = Some(self.compound()?),
                "enum" if found.is_none() && words.is_empty() => found = Some(self.enumeration()?),
                "unsigned" | "signed" | "short" | "long" | "int" | "char" | "float" | "double" | "void"
                | "_Bool" | "bool" | "__int128"
                    if found.is_none() =>
                {
                    words.push(word.clone());
                    self.tokens.at += 1;
                }
                name if found.is_none() && words.is_empty() => {
                    match self.types.get(name).cloned().or_else(|| standard(name)) {
                        Some(laid) => {
                            self.tokens.at += 1;
                            found = Some(laid);
                        }
                        None => {
                            return Err(self.tokens.wrong(
                                "no type is called so: declare it before, or write what it stands for",
                            ));
                        }
                    }
                }
                _ => break,
            }
        }
        if is_atomic && matches!(&found, Some(Laid { of: Type::Struct(_), .. })) {
            return Err(self.tokens.wrong("atomic structs have a layout of their own"));
        }
        if words.is_empty() {
            return found.ok_or_else(|| self.tokens.wrong("a type belongs here"));
        }
        words.sort_unstable();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        arithmetic(&words).ok_or_else(|| {
            self.tokens.at = start;
            self.tokens.wrong(&format!("`{}` is no type with values", words.join(" ")))
        })
    }

    /// Whether `__attribute__((packed))` is here. No other is known: most would change the layout.
    fn packs(&mut self) -> Result<bool, String> {
        if !self.tokens.take_word("__attribute__") {
            return Ok(false);
        }
        for sign in ['(', '('] {
            self.tokens.expect(sign)?;
        }
        if !(self.tokens.take_word("packed") || self.tokens.take_word("__packed__")) {
            return Err(self.tokens.wrong("no attribute but packed is known here"));
        }
        for sign in [')', ')'] {
            self.tokens.expect(sign)?;
        }
        Ok(true)
    }

    fn compound(&mut self) -> Result<Laid, String> {
        let is_union = matches!(self.tokens.name().as_deref(), Some("union"));
        let keyword = if is_union { "union" } else { "struct" };
        let packed_before = self.packs()?;
        let tag = self.tokens.name();
        let key = tag.as_ref().map(|tag| format!("{keyword} {tag}"));
        if !self.tokens.is('{') {
            let Some(key) = key else { return Err(self.tokens.wrong("`{` belongs here")) };
            // What nobody has declared can be pointed to.
            let known = self.tags.get(&key).cloned().or_else(|| self.tokens.is('*').then(void));
            return known.ok_or_else(|| {
                self.tokens.at -= 1;
                self.tokens.wrong(&format!("`{key}` was not declared before"))
            });
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.tokens.wrong("it is nested too deeply"));
        }
        let (opened, mut members) = (self.tokens.at, Vec::new());
        self.tokens.expect('{')?;
        while !self.tokens.take('}') {
            self.members(&mut members)?;
        }
        self.depth -= 1;
        let packs = self.packs()? || packed_before;
        let laid = laid_out(key.as_deref().unwrap_or(keyword), members, is_union, packs);
        let laid = laid.ok_or_else(|| {
            self.tokens.at = opened;
            self.tokens.wrong("it is larger than any segment, or has too many fields")
        })?;
        if let Some(key) = key {
            self.tags.insert(key, laid.clone());
        }
        Ok(laid)
    }

    fn members(&mut self, members: &mut Vec<Member>) -> Result<(), String> {
        let base = self.specifiers()?;
        loop {
            let shaped = self.declarator(base.clone())?;
            let bit_count = match self.tokens.take(':') {
                true => Some(self.bit_count(&shaped.laid)?),
                false => None,
            };
            match (shaped.name, &base.of) {
                (None, _) if bit_count.is_some() => {
                    members.push(Member { name: String::new(), laid: shaped.laid, bit_count });
                }
                (Some(_), _) if bit_count == Some(0) => {
                    return Err(self.tokens.wrong("only bit-fields without a name can have no bits"));
                }
                (Some(name), _) => members.push(Member { name, laid: shaped.laid, bit_count }),
                // The fields of one without a name are its owner's; one with a tag is only declared.
                (None, Type::Struct(of)) if ["struct", "union"].contains(&of.name.as_str()) => {
                    members.push(Member { name: String::new(), laid: shaped.laid, bit_count });
                }
                (None, Type::Struct(_)) => {}
                _ => return Err(self.tokens.wrong("a field's name belongs here")),
            }
            if !self.tokens.take(',') {
                return self.tokens.expect(';');
            }
        }
    }

    /// How many bits of its type a field has.
    fn bit_count(&mut self, of: &Laid) -> Result<usize, String> {
        let bits = match &of.of {
            Type::Scalar(Scalar::Bool) => Some(1),
            Type::Scalar(Scalar::F32 | Scalar::F64) => None,
            Type::Scalar(own) if !of.is_pointer() => Some(own.size_bytes() * 8),
            Type::Text { size_bytes: 1 } => Some(8),
            _ => None,
        };
        let Some(bits) = bits else { return Err(self.tokens.wrong("only whole numbers have bit-fields")) };
        let count = self.number()?;
        if count > bits {
            self.tokens.at -= 1;
            return Err(self.tokens.wrong("it is more bits than the field's type has"));
        }
        Ok(count)
    }

    fn enumeration(&mut self) -> Result<Laid, String> {
        self.tokens.at += 1;
        let tag = self.tokens.name();
        if self.tokens.take('{') {
            let (mut next, mut least, mut most) = (0_i128, 0_i128, 0_i128);
            let mut names = Vec::new();
            while !self.tokens.take('}') {
                let Some(name) = self.tokens.name() else {
                    return Err(self.tokens.wrong("a name belongs here"));
                };
                if self.tokens.take('=') {
                    let is_negative = self.tokens.take('-');
                    let value = self.number()? as i128;
                    next = if is_negative { -value } else { value };
                }
                (least, most) = (least.min(next), most.max(next));
                names.push((next, name.clone()));
                // A negative one is no number of elements.
                if let Ok(value) = usize::try_from(next) {
                    self.constants.insert(name, value);
                }
                next += 1;
                if !self.tokens.take(',') && !self.tokens.is('}') {
                    return Err(self.tokens.wrong("`,` or `}` belongs here"));
                }
            }
            let of = match (least < 0, i32::try_from(least).is_ok() && i32::try_from(most).is_ok()) {
                (true, true) => Scalar::I32,
                (false, _) if u32::try_from(most).is_ok() => Scalar::U32,
                (false, _) => Scalar::U64,
                (true, _) => Scalar::I64,
            };
            let laid = enumeration(of, Names::new(names));
            if let Some(tag) = tag {
                self.tags.insert(format!("enum {tag}"), laid.clone());
            }
            return Ok(laid);
        }
        match tag {
            Some(tag) => Ok(self.tags.get(&format!("enum {tag}")).cloned().unwrap_or(scalar(Scalar::I32))),
            None => Err(self.tokens.wrong("`{` belongs here")),
        }
    }

    /// `*name[3][4]`, without a name too.
    fn declarator(&mut self, base: Laid) -> Result<Shaped, String> {
        let mut laid = base;
        while self.tokens.take('*') {
            laid = pointer();
            while self.tokens.take_word("const")
                || self.tokens.take_word("volatile")
                || self.tokens.take_word("restrict")
            {}
        }
        let mut name = None;
        if self.tokens.is('(') {
            // A pointer to a function or an array is a pointer, whatever follows.
            self.tokens.at += 1;
            if !self.tokens.take('*') {
                return Err(self.tokens.wrong("`*` belongs here"));
            }
            name = self.tokens.name();
            if self.tokens.is('[') {
                return Err(self.tokens.wrong("arrays of such pointers are not known here: void *NAME[N]"));
            }
            self.tokens.skip_to(')')?;
            while self.tokens.is('(') || self.tokens.is('[') {
                let close = if self.tokens.is('(') { ')' } else { ']' };
                self.tokens.at += 1;
                self.tokens.skip_to(close)?;
            }
            return Ok(Shaped { name, laid: pointer(), is_open: false });
        }
        if self.tokens.peek() != Some(&Token::Word("__attribute__".to_owned())) {
            name = self.tokens.name().or(name);
        }
        let (mut counts, mut is_open) = (Vec::new(), false);
        while self.tokens.take('[') {
            if self.tokens.take(']') {
                if !counts.is_empty() {
                    return Err(self.tokens.wrong("only the first size may be left out"));
                }
                is_open = true;
                continue;
            }
            let mut count = self.number()?;
            while self.tokens.take('*') {
                count =
                    count.checked_mul(self.number()?).ok_or_else(|| self.tokens.wrong("it is too many"))?;
            }
            self.tokens.expect(']')?;
            counts.push(count);
        }
        if self.tokens.peek() == Some(&Token::Word("__attribute__".to_owned())) {
            return Err(self.tokens.wrong("attributes are known of structs alone, behind their `}`"));
        }
        if laid.of == void().of {
            return Err(self.tokens.wrong("`void` is no type with values"));
        }
        for &count in counts.iter().rev() {
            laid = array(laid, count)
                .ok_or_else(|| self.tokens.wrong("it is larger than any segment, or has too many fields"))?;
        }
        // Of characters, what there is is one text.
        if is_open && self.depth > 0 {
            laid = array(laid, 0)
                .ok_or_else(|| self.tokens.wrong("it is larger than any segment, or has too many fields"))?;
            is_open = false;
        }
        Ok(Shaped { name, laid, is_open })
    }

    fn number(&mut self) -> Result<usize, String> {
        let number = match self.tokens.peek() {
            Some(Token::Number(number)) => *number,
            Some(Token::Word(word)) => match self.constants.get(word) {
                Some(number) => *number,
                None => return Err(self.tokens.wrong("a number belongs here; this has no #define")),
            },
            _ => return Err(self.tokens.wrong("a number belongs here")),
        };
        self.tokens.at += 1;
        Ok(number)
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
                "{c@0 u32, n@4 text6}12",
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
            ("enum { A = 0x100000000 } e", "u64"),
            ("enum e { A = -2, B, C, N }; struct { enum e e; char t[N]; }", "{e@0 i32, t@4 text1}8"),
            ("struct s { struct in { int a; }; int b; }", "{b@0 i32}4"),
            (
                "struct { int a; unsigned b : 3, : 0, c : 31; _Bool d : 1; char e : 2; long f : 40; }",
                "{a@0 i32, b@4 u8, c@8 u32, d@11 u8, e@12 u8, f@16 u64}24",
            ),
            (
                "struct { short a : 9; int : 4; int b : 30; char c; } __attribute__((packed))",
                "{a@0 u16, b@1 u32, c@6 text1}7",
            ),
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
            ("struct { int x : 33; }", "more bits than"),
            ("struct { double x : 3; }", "only whole numbers"),
            ("struct { char x[2] : 3; }", "only whole numbers"),
            ("struct { int *x : 3; }", "only whole numbers"),
            ("struct { int a; struct {} : 0; }", "only whole numbers"),
            ("struct { int [0] : 0; }", "only whole numbers"),
            ("struct { int x : 0; }", "only bit-fields without a name"),
            ("int x[y]", "no #define"),
            ("unsigned double", "is no type with values"),
            ("void", "is no type with values"),
            ("struct x", "`struct x` was not declared before"),
            ("int x[3][]", "only the first size"),
            ("int 5", "`;` belongs here"),
            ("double x[99999999999][99999999999]", "larger than any segment"),
            ("struct { int; }", "a field's name belongs here"),
            ("#pragma pack(1)\nstruct { char c; int n; }", "only #define NAME NUMBER"),
            ("#define N 2 * 8\nchar t[N]", "only #define NAME NUMBER"),
            ("#define N 4\n#define N 8\nchar t[N]", "defined otherwise"),
            ("struct { void (*h[4])(int); }", "arrays of such pointers"),
            ("struct { int n __attribute__((packed)); }", "attributes are known of structs alone"),
            ("struct { int n; } __attribute__((aligned(64)))", "no attribute but packed"),
            ("typedef int v __attribute__((vector_size(16))); v", "attributes are known of structs alone"),
            ("_Atomic struct { int a, b; } x", "atomic structs"),
            ("struct e {}; struct { struct e e[70000000]; }", "too many fields"),
        ] {
            let told = declared(text).unwrap_err();
            assert!(told.contains(fact), "{text}: {told}");
        }
        let wide = (1..40).fold("struct s0 { char c; };".to_owned(), |text, index| {
            let inner = index - 1;
            text + &format!("struct s{index} {{ struct s{inner} a, b; }};")
        });
        assert!(declared(&wide).unwrap_err().contains("too many fields"));
        let dimensions = format!("int x{}", "[1]".repeat(40_000));
        assert!(declared(&dimensions).unwrap_err().contains("too many fields"));
        let deep = "struct {".repeat(1000);
        assert!(declared(&deep).unwrap_err().contains("nested too deeply"));
    }
}
