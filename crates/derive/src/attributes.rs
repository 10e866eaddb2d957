//! What both derives read from a struct.

use syn::{Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Lit, Meta, Result};

/// The named fields of a struct.
pub(crate) fn fields<'a>(input: &'a DeriveInput, derive: &str) -> Result<Vec<&'a Field>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter().collect()),
            _ => Err(Error::new_spanned(&input.ident, format!("{derive} needs named fields"))),
        },
        _ => Err(Error::new_spanned(&input.ident, format!("{derive} can be derived for structs only"))),
    }
}

/// The first line of the documentation.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let line = attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    line.unwrap_or_default()
}
