//! `#[derive(Shared)]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DeriveInput, Error, LitInt, LitStr, Result};

use crate::attributes::{doc, fields};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !is_repr_c(input)? {
        let advice = "other programs must find the fields where this one does: add #[repr(C)]";
        return Err(Error::new_spanned(&input.ident, advice));
    }
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(parameter, "a schema tells one layout: no generic parameters"));
    }
    let name = &input.ident;
    let fields = fields(input, "Shared")?;
    if fields.is_empty() {
        return Err(Error::new_spanned(name, "a value needs at least one field"));
    }
    let names: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let told = names.iter().map(|name| name.unraw().to_string());
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let docs = fields.iter().map(|field| doc(&field.attrs));
    let units = fields.iter().map(|field| unit(field)).collect::<Result<Vec<_>>>()?;
    let room = match room(input)? {
        Some(room) => quote! {
            const ROOM: usize = {
                ::core::assert!(#room >= ::core::mem::size_of::<#name>(), "the room is smaller than the struct");
                #room
            };
        },
        None => quote! {},
    };
    Ok(quote! {
        impl ::coseg::Shared for #name {
            #room

            fn describe() -> ::coseg::schema::Type {
                ::coseg::schema::Type::Struct(::coseg::schema::Struct {
                    name: ::std::string::String::from(::core::stringify!(#name)),
                    size_bytes: ::core::mem::size_of::<#name>(),
                    fields: ::std::vec![#(
                        ::coseg::schema::Field {
                            name: ::std::string::String::from(#told),
                            offset: ::core::mem::offset_of!(#name, #names),
                            of: <#types as ::coseg::Shared>::describe(),
                            unit: ::std::string::String::from(#units),
                            doc: ::std::string::String::from(#docs),
                        },
                    )*],
                })
            }

            #[inline]
            fn store(&self, bytes: &mut [u8]) {
                #({
                    const OFFSET: usize = ::core::mem::offset_of!(#name, #names);
                    const SIZE: usize = ::core::mem::size_of::<#types>();
                    <#types as ::coseg::Shared>::store(&self.#names, &mut bytes[OFFSET..OFFSET + SIZE]);
                })*
            }

            #[inline]
            fn load(bytes: &[u8]) -> Self {
                #name {#(
                    #names: {
                        const OFFSET: usize = ::core::mem::offset_of!(#name, #names);
                        const SIZE: usize = ::core::mem::size_of::<#types>();
                        <#types as ::coseg::Shared>::load(&bytes[OFFSET..OFFSET + SIZE])
                    },
                )*}
            }
        }
    })
}

fn is_repr_c(input: &DeriveInput) -> Result<bool> {
    let mut found = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident("C");
            if meta.path.is_ident("packed") {
                return Err(meta.error("packed fields cannot be borrowed"));
            }
            if meta.input.peek(syn::token::Paren) {
                let _: proc_macro2::Group = meta.input.parse()?;
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn unit(field: &syn::Field) -> Result<String> {
    let mut unit = String::new();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("shared")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("unit") {
                return Err(meta.error("a field can have a `unit`"));
            }
            unit = meta.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(unit)
}

fn room(input: &DeriveInput) -> Result<Option<LitInt>> {
    let mut room = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("shared")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("room") {
                return Err(meta.error("a struct can have `room`"));
            }
            room = Some(meta.value()?.parse::<LitInt>()?);
            Ok(())
        })?;
    }
    Ok(room)
}
