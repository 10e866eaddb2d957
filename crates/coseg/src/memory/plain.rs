//! Types whose values are copied as they lie.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Says of a type that it has no padding, and that any bytes make a value of it. Whoever has one cannot have made it up.
#[derive(Debug)]
pub struct Plain<T>(PhantomData<fn(T) -> T>);

/// A type without padding, of which any bytes make a value.
///
/// # Safety
/// It is so.
pub unsafe trait Number {}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        // SAFETY: all bits of it are part of the number, whatever they are.
        unsafe impl Number for $type {}
    )*};
}

numbers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

impl<T: Number> Plain<T> {
    pub(crate) const NUMBER: Plain<T> = Plain(PhantomData);
}

impl<T> Plain<T> {
    /// An array has no padding but its elements'.
    pub(crate) const fn array<const N: usize>(&self) -> Plain<[T; N]> {
        Plain(PhantomData)
    }

    pub(crate) fn bytes<'v>(&self, values: &'v [T]) -> &'v [u8] {
        // SAFETY: a `T` has no padding, so all of these bytes are initialised.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
    }

    pub(crate) fn bytes_mut<'v>(&self, value: &'v mut T) -> &'v mut [u8] {
        // SAFETY: a `T` has no padding, so all of these bytes are initialised, and whatever is written makes one.
        unsafe { std::slice::from_raw_parts_mut(std::ptr::from_mut(value).cast(), size_of::<T>()) }
    }

    /// The value that was written into its place.
    ///
    /// # Safety
    /// All bytes of the place are initialised.
    pub(super) unsafe fn made(&self, place: MaybeUninit<T>) -> T {
        // SAFETY: as the caller promises, and any bytes make one.
        unsafe { place.assume_init() }
    }

    /// Puts values at the end of a list, written by `write`.
    ///
    /// # Safety
    /// `write` initialises all bytes that it is given.
    pub(super) unsafe fn append(
        &self,
        values: &mut Vec<T>,
        count: usize,
        write: impl FnOnce(&mut [MaybeUninit<u8>]),
    ) {
        values.reserve(count);
        let places = &mut values.spare_capacity_mut()[..count];
        // SAFETY: of the same layout; nothing but bytes is written while they are lent.
        write(unsafe { std::slice::from_raw_parts_mut(places.as_mut_ptr().cast(), size_of_val(places)) });
        // SAFETY: there is room for them; all of their bytes were written, as the caller promises, and any make a `T`.
        unsafe { values.set_len(values.len() + count) };
    }
}
