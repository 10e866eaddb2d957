//! The words of C declarations, and where in the text they are.

use std::collections::HashMap;

/// A word of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Number(usize),
    Sign(char),
}

/// Words, of which some have been read.
pub(super) struct Tokens {
    tokens: Vec<(usize, Token)>,
    pub(super) at: usize,
}

impl Tokens {
    /// The words of a text, and the constants that it defines.
    pub(super) fn of(text: &str) -> Result<(Tokens, HashMap<String, usize>), String> {
        let (mut tokens, mut constants) = (Vec::new(), HashMap::new());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let column = text.len() - rest.len() + 1;
            let length = if first.is_whitespace() {
                first.len_utf8()
            } else if rest.starts_with("//") || first == '#' {
                let line = rest.lines().next().unwrap_or_default();
                if first == '#' {
                    let defined = defined(line).map_err(|fact| format!("column {column}: {fact}"))?;
                    if let Some((name, value)) = defined
                        && constants.insert(name, value).is_some_and(|before| before != value)
                    {
                        return Err(format!("column {column}: it is defined otherwise before"));
                    }
                }
                line.len()
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else if first.is_ascii_digit() {
                let word = word_of(rest);
                let number = number(word).ok_or_else(|| format!("column {column}: `{word}` is no number"))?;
                tokens.push((column, Token::Number(number)));
                word.len()
            } else if first.is_ascii_alphabetic() || first == '_' {
                let word = word_of(rest);
                tokens.push((column, Token::Word(word.to_owned())));
                word.len()
            } else {
                tokens.push((column, Token::Sign(first)));
                first.len_utf8()
            };
            rest = &rest[length..];
        }
        Ok((Tokens { tokens, at: 0 }, constants))
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    pub(super) fn is(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    pub(super) fn take(&mut self, sign: char) -> bool {
        let is = self.is(sign);
        self.at += usize::from(is);
        is
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(own)) if own == word);
        self.at += usize::from(is);
        is
    }

    pub(super) fn name(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let word = word.clone();
        self.at += 1;
        Some(word)
    }

    pub(super) fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong(&format!("`{sign}` belongs here"))) }
    }

    pub(super) fn wrong(&self, fact: &str) -> String {
        match self.tokens.get(self.at) {
            Some((column, Token::Word(word))) => format!("column {column}, at `{word}`: {fact}"),
            Some((column, Token::Number(number))) => format!("column {column}, at {number}: {fact}"),
            Some((column, Token::Sign(sign))) => format!("column {column}, at `{sign}`: {fact}"),
            None => format!("at its end: {fact}"),
        }
    }

    /// Skips what is in brackets that are open.
    pub(super) fn skip_to(&mut self, close: char) -> Result<(), String> {
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

/// A constant of the preprocessor's. What else it can do to a declaration is not done here.
fn defined(line: &str) -> Result<Option<(String, usize)>, String> {
    let line = line.trim_start_matches('#').split("//").next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["include", ..] => Ok(None),
        ["define", name, value] if number(value).is_some() && !name.contains('(') => {
            Ok(number(value).map(|value| ((*name).to_owned(), value)))
        }
        _ => Err("of the preprocessor only #define NAME NUMBER is known here".to_owned()),
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
