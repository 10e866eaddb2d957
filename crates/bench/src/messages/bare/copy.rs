//! Copying many words in the way that is fastest whatever their addresses are.
//!
//! The C library's `memcpy` uses `rep movsb` from some kilobytes on, which on AMD's Zen 3 takes up to ten times as long
//! where source and destination lie at about the same offset in their pages, as large buffers and shared memory do.

/// How words are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Into this core's cache.
    Cached,
    /// Past it, to a core that is far away.
    Past,
}

/// Copies words.
///
/// # Safety
/// So many can be read and written there, nobody writes them meanwhile, and they do not overlap. What is written past
/// the cache begins at a multiple of 32 bytes.
#[inline]
pub(super) unsafe fn copy(way: Way, from: *const u64, to: *mut u64, count: usize) {
    #[cfg(target_arch = "x86_64")]
    if count >= 1 << 8 && std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor can do it; the rest is as the caller promises.
        return unsafe { vectors::copy(way, from, to, count) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = way;
    // SAFETY: as the caller promises.
    unsafe { from.copy_to_nonoverlapping(to, count) };
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m256i, _mm_sfence, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_stream_si256,
    };

    use super::Way;

    /// Vectors in one step: two lines.
    const STEP: usize = 4;
    const VECTOR_WORDS: usize = size_of::<__m256i>() / size_of::<u64>();

    /// # Safety
    /// As for [`super::copy`]; and the processor has AVX.
    #[target_feature(enable = "avx")]
    pub(super) unsafe fn copy(way: Way, from: *const u64, to: *mut u64, count: usize) {
        let (source, target) = (from.cast::<__m256i>(), to.cast::<__m256i>());
        let vector_count = count / VECTOR_WORDS / STEP * STEP;
        for first in (0..vector_count).step_by(STEP) {
            let vectors = [0, 1, 2, 3].map(|index| {
                // SAFETY: less than the count.
                let place = unsafe { source.add(first + index) };
                // SAFETY: as the caller promises.
                unsafe { _mm256_loadu_si256(place) }
            });
            for (index, vector) in vectors.into_iter().enumerate() {
                // SAFETY: less than the count.
                let place = unsafe { target.add(first + index) };
                match way {
                    // SAFETY: as the caller promises.
                    Way::Cached => unsafe { _mm256_storeu_si256(place, vector) },
                    // SAFETY: as the caller promises; a fence follows.
                    Way::Past => unsafe { _mm256_stream_si256(place, vector) },
                }
            }
        }
        if way == Way::Past {
            _mm_sfence();
        }
        let done = vector_count * VECTOR_WORDS;
        // SAFETY: not more than the count.
        let rest = unsafe { from.add(done) };
        // SAFETY: as above.
        let there = unsafe { to.add(done) };
        // SAFETY: as the caller promises.
        unsafe { rest.copy_to_nonoverlapping(there, count - done) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Way, copy};

    #[repr(align(64))]
    struct Aligned([u64; 4097]);

    #[test]
    fn all_words_are_copied_and_no_more() {
        for way in [Way::Cached, Way::Past] {
            for count in [0, 1, 255, 256, 257, 271, 4096] {
                let from: Vec<u64> = (1..=count as u64).collect();
                let mut to = Aligned([0; 4097]);
                // SAFETY: two lists of at least so many words.
                unsafe { copy(way, from.as_ptr(), to.0.as_mut_ptr(), count) };
                assert_eq!(to.0[..count], from[..]);
                assert_eq!(to.0[count], 0);
            }
        }
    }
}
