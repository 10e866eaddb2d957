//! A list that allocates only when it grows beyond a few.

/// Most transactions and snapshots reach a few values.
const FEW: usize = 4;

/// Elements in the order they were pushed.
#[derive(Debug)]
pub(crate) struct Few<T> {
    count: usize,
    few: [T; FEW],
    more: Vec<T>,
}

impl<T: Copy> Few<T> {
    /// None yet; `filler` stands in the places that are not used.
    #[inline(always)]
    pub(crate) fn new(filler: T) -> Few<T> {
        Few { count: 0, few: [filler; FEW], more: Vec::new() }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.few[..self.count.min(FEW)].iter().chain(&self.more)
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, element: T) {
        match self.few.get_mut(self.count) {
            Some(place) => *place = element,
            None => self.more.push(element),
        }
        self.count += 1;
    }

    /// Puts an element in the place of one that is there; that one.
    #[inline]
    pub(crate) fn replace(&mut self, index: usize, element: T) -> T {
        let place = self.few.get_mut(index).unwrap_or_else(|| &mut self.more[index - FEW]);
        std::mem::replace(place, element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_kept_in_their_order() {
        let mut list = Few::new(0);
        for number in 1..=2 * FEW {
            list.push(number);
            assert_eq!(list.len(), number);
            assert!(list.iter().copied().eq(1..=number));
            assert_eq!(list.replace(number - 1, 99), number);
            assert_eq!(list.replace(number - 1, number), 99);
        }
    }
}
