//! From a key to its place: the hash, and the words that name entries.

/// Odd, and without a pattern.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const LAST_FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// The hash of a key's stored bytes, in words of eight, the last one filled up with zeroes.
///
/// The seed is the region's own, so that nobody outside can find keys that meet.
#[inline]
pub(crate) fn hash(seed: u64, key: &[u8]) -> u64 {
    let (words, tail) = key.as_chunks::<8>();
    let mut hash = seed;
    for word in words {
        hash = fold(hash ^ u64::from_ne_bytes(*word), FACTOR);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = fold(hash ^ u64::from_ne_bytes(word), FACTOR);
    }
    fold(hash, LAST_FACTOR)
}

/// Both halves of the product, one over the other.
#[inline]
fn fold(word: u64, factor: u64) -> u64 {
    let product = u128::from(word) * u128::from(factor);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let halves = (product ^ product >> 64) as u64;
    halves
}

/// A key's stored bytes, and their hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedKey<'k> {
    pub(crate) bytes: &'k [u8],
    pub(crate) hash: u64,
}

impl<'k> HashedKey<'k> {
    #[inline]
    pub(crate) fn new(seed: u64, bytes: &'k [u8]) -> HashedKey<'k> {
        HashedKey { bytes, hash: hash(seed, bytes) }
    }
}

/// A word that names an entry: the upper half of its key's hash, and its number plus one; 0 names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(pub(crate) u64);

const ENTRY_MASK: u64 = u32::MAX as u64;

impl Link {
    #[inline]
    pub(crate) fn new(hash: u64, entry: usize) -> Link {
        Link(hash & !ENTRY_MASK | (entry as u64 + 1))
    }

    /// The entry; `None`: none, or one that a map of this capacity does not have.
    #[inline]
    pub(crate) fn entry(self, capacity: usize) -> Option<usize> {
        let entry = ((self.0 & ENTRY_MASK) as usize).wrapping_sub(1);
        (entry < capacity).then_some(entry)
    }

    /// Whether the entry's key may have this hash.
    #[inline]
    pub(crate) fn may_be(self, hash: u64) -> bool {
        (self.0 ^ hash) <= ENTRY_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also told by FORMAT.md, so that others can check what they wrote.
    #[test]
    fn the_hash_is_fixed() {
        // As the bytes are on a machine that begins with the lowest.
        assert_eq!(hash(2, &1_u64.to_le_bytes()), 0xa7bb_9b26_fa59_a3e1);
        assert_eq!(hash(5, b"EURUSD"), 0x8e84_b777_1382_ca33);
        assert_eq!(hash(5, b"a longer key, of several words"), 0xb1cb_679a_b182_921d);
        assert_eq!(hash(5, b""), 0x328c_f999_ffc1_f3db);
    }

    #[test]
    fn usual_keys_spread_over_buckets_and_tags() {
        const BUCKETS: usize = 1024;
        let sequences: [fn(u64) -> u64; 5] =
            [|n| n, |n| n << 32, |n| n << 48 | n, |n| n * 4096, |n| n.reverse_bits()];
        for seed in [0, 1, 0x0123_4567_89ab_cdef] {
            for sequence in sequences {
                let (mut fullest, mut tags) = ([0_u32; BUCKETS], std::collections::HashSet::new());
                for number in 0..3500 {
                    let hash = hash(seed, &sequence(number).to_ne_bytes());
                    fullest[usize::try_from(hash % BUCKETS as u64).unwrap()] += 1;
                    tags.insert(hash >> 32);
                }
                // Of a random function, one in ten thousand runs has a bucket with more than 16.
                let most = fullest.into_iter().max().unwrap();
                assert!(most <= 16, "{most} in one bucket, seed {seed:x}");
                assert!(tags.len() >= 3498, "{} tags", tags.len());
            }
        }
    }

    #[test]
    fn links_name_entries_that_are_there() {
        let link = Link::new(0xaaaa_bbbb_cccc_dddd, 6);
        assert_eq!((link.entry(7), link.entry(6)), (Some(6), None));
        assert!(link.may_be(0xaaaa_bbbb_0000_0000) && !link.may_be(0xaaaa_bbbc_cccc_dddd));
        assert_eq!(Link(0).entry(usize::MAX), None);
        assert_eq!(Link(u64::MAX).entry(u32::MAX as usize - 1), None);
    }
}
