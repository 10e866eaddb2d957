//! C's numbers in a segment's bytes, in the machine's own byte order.

/// The `int` at `offset`.
///
/// # Panics
/// It does not lie in `bytes`.
pub fn int_at(bytes: &[u8], offset: usize) -> i32 {
    i32::from_ne_bytes(array_at(bytes, offset))
}

/// The `double` at `offset`.
///
/// # Panics
/// It does not lie in `bytes`.
pub fn double_at(bytes: &[u8], offset: usize) -> f64 {
    f64::from_ne_bytes(array_at(bytes, offset))
}

/// Puts an `int` at `offset`.
///
/// # Panics
/// It does not fit in `bytes`.
pub fn put_int(bytes: &mut [u8], offset: usize, value: i32) {
    bytes[offset..offset + size_of::<i32>()].copy_from_slice(&value.to_ne_bytes());
}

/// Puts a `double` at `offset`.
///
/// # Panics
/// It does not fit in `bytes`.
pub fn put_double(bytes: &mut [u8], offset: usize, value: f64) {
    bytes[offset..offset + size_of::<f64>()].copy_from_slice(&value.to_ne_bytes());
}

/// The bytes before the first NUL, all of them where there is none: another program may have left no NUL.
pub fn string(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}
