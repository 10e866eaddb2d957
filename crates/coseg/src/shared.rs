//! Values that may live in a region.

use std::fmt;

use crate::memory::Plain;
use crate::schema::{Scalar, Type};

/// A value that may live in a region: it has a fixed layout that can be told to others, and crosses by copy.
///
/// Derive it for a `#[repr(C)]` struct of such values. It is safe to implement: a value is built field by field
/// from a private copy of the bytes, so that no bytes a peer leaves there make an invalid one, and written field
/// by field, so that padding is zero.
///
/// ```
/// use coseg::Shared;
///
/// #[derive(Shared, Clone, Copy)]
/// #[repr(C)]
/// struct Data {
///     /// How many.
///     a: i32,
///     #[shared(unit = "ms")]
///     b: f64,
///     x: u8,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in a region",
    note = "numbers of a fixed width, `bool`, `Text<N>`, arrays of these, and `#[repr(C)]` structs with `#[derive(Shared)]` \
            can: for `usize` take `u64`, for an enum a number and constants, for a `char` a `u32`"
)]
pub trait Shared: Copy + 'static {
    /// Bytes to set aside for a value; more than its size lets fields be added at the end later.
    const ROOM: usize = size_of::<Self>();

    /// Whether its bytes are what is stored, and any of them make a value.
    #[doc(hidden)]
    const PLAIN: Option<Plain<Self>> = None;

    /// Its type, as a schema tells it.
    fn describe() -> Type;

    /// Writes the value's fields into its `size_of::<Self>()` zeroed bytes.
    fn store(&self, bytes: &mut [u8]);

    /// The value of its `size_of::<Self>()` bytes; any bytes have one.
    fn load(bytes: &[u8]) -> Self;
}

macro_rules! scalars {
    ($($type:ident => $scalar:ident),* $(,)?) => {$(
        impl Shared for $type {
            const PLAIN: Option<Plain<Self>> = Some(Plain::NUMBER);

            fn describe() -> Type {
                Type::Scalar(Scalar::$scalar)
            }

            #[inline]
            fn store(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }

            #[inline]
            fn load(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$type>()];
                own.copy_from_slice(bytes);
                $type::from_ne_bytes(own)
            }
        }
    )*};
}

scalars! {
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128,
    f32 => F32, f64 => F64,
}

impl Shared for bool {
    fn describe() -> Type {
        Type::Scalar(Scalar::Bool)
    }

    #[inline]
    fn store(&self, bytes: &mut [u8]) {
        bytes[0] = u8::from(*self);
    }

    #[inline]
    fn load(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}

impl<T: Shared, const N: usize> Shared for [T; N] {
    const PLAIN: Option<Plain<Self>> = match &T::PLAIN {
        Some(plain) => Some(plain.array()),
        None => None,
    };

    fn describe() -> Type {
        Type::Array { element: Box::new(T::describe()), count: N }
    }

    #[inline]
    fn store(&self, bytes: &mut [u8]) {
        if let Some(plain) = &T::PLAIN {
            return bytes.copy_from_slice(plain.bytes(self));
        }
        for (value, bytes) in self.iter().zip(bytes.chunks_exact_mut(size_of::<T>().max(1))) {
            value.store(bytes);
        }
    }

    #[inline]
    fn load(bytes: &[u8]) -> Self {
        std::array::from_fn(|index| T::load(&bytes[index * size_of::<T>()..][..size_of::<T>()]))
    }
}

/// Text of at most `N` bytes, stored as they are with zeroes behind, as C does it.
///
/// ```
/// use coseg::Text;
///
/// let name: Text<8> = "Frankfurt".into();
/// assert_eq!(name.to_string(), "Frankfur", "cut where it must be");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Text<N> = Text([0; N]);

    /// The bytes before the first zero.
    pub fn as_bytes(&self) -> &[u8] {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(N);
        &self.0[..length]
    }

    /// The text, if all of `text` has room.
    pub fn fitting(text: &str) -> Option<Text<N>> {
        (text.len() <= N).then(|| Text::from(text))
    }
}

impl<const N: usize> From<&str> for Text<N> {
    /// As much of the text as there is room for.
    fn from(text: &str) -> Text<N> {
        let text = &text[..text.floor_char_boundary(N)];
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Text(bytes)
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Text::EMPTY
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl<const N: usize> Shared for Text<N> {
    fn describe() -> Type {
        Type::Text { size_bytes: N }
    }

    #[inline]
    fn store(&self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }

    #[inline]
    fn load(bytes: &[u8]) -> Self {
        let mut own = [0; N];
        own.copy_from_slice(bytes);
        Text(own)
    }
}
