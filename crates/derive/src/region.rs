//! `#[derive(Region)]`

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{DeriveInput, Error, Result};

use crate::attributes::{doc, fields};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(parameter, "a schema tells one layout: no generic parameters"));
    }
    let (name, visibility) = (&input.ident, &input.vis);
    let initial = format_ident!("{name}Initial");
    let fields = fields(input, "Region")?;
    let names: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let told: Vec<_> = names.iter().map(|name| name.unraw().to_string()).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let docs: Vec<_> = fields.iter().map(|field| doc(&field.attrs)).collect();
    let about = format!("What a new [`{name}`] starts as; all zero by default.");
    Ok(quote! {
        #[doc = #about]
        #visibility struct #initial {
            #(#[doc = #docs] #visibility #names: <#types as ::coseg::Part>::Initial,)*
        }

        impl ::core::default::Default for #initial {
            fn default() -> Self {
                #initial { #(#names: <#types as ::coseg::Part>::zero(),)* }
            }
        }

        impl ::coseg::Contents for #name {
            type Parts = Self;
            type Initial = #initial;

            fn plan(plan: &mut ::coseg::Plan) {
                plan.name(::core::stringify!(#name));
                #(<#types as ::coseg::Part>::plan(plan, #told, #docs);)*
            }

            fn parts(site: &mut ::coseg::Site) -> Self {
                #name { #(#names: <#types as ::coseg::Part>::open(site),)* }
            }

            fn fill(parts: &Self, initial: #initial) {
                #(<#types as ::coseg::Part>::fill(&parts.#names, initial.#names);)*
            }
        }
    })
}
