//! The derives of [coseg](https://docs.rs/coseg): `Shared` for values, `Region` for what a region is made of.

mod attributes;
mod region;
mod shared;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a `#[repr(C)]` struct of shared values a shared value itself.
///
/// On a field, `#[shared(unit = "ms")]` says what its numbers count; the first line of its documentation goes
/// into the schema too. On the struct, `#[shared(room = 128)]` sets aside 128 bytes for it where it is the value of
/// a cell or a row, so that fields can be added at the end later without making old regions unreadable. Within an array
/// or another struct it has its own size, and cannot grow.
#[proc_macro_derive(Shared, attributes(shared))]
pub fn derive_shared(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    shared::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct of cells, tables, counters, locks and events the contents of a region, and beside it
/// a struct named `…Initial` of what they start as.
#[proc_macro_derive(Region)]
pub fn derive_region(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    region::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
