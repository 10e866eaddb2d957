//! What is asked of a contender.

/// What is done with messages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) shape: Shape,
    pub(super) kind: Kind,
    pub(super) size_bytes: usize,
    pub(super) waits: Waits,
    pub(super) means: Means,
}

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One process sends, the other sends back what it received.
    RoundTrip,
    /// One process sends, the other receives: so many in one call.
    OneWay { batch: usize },
    /// Both send into one queue, both receive from it.
    Crowd,
}

/// How many may send and receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OneToOne,
    /// Each message goes to one of those who receive.
    Queue,
    /// Each message goes to all who receive; here they are two, in one process.
    Broadcast,
}

/// What is done while there is no message, or no room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Spinning,
    Sleeping,
}

/// How a message gets into the shared memory, and out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// From the sender's memory and to the receiver's.
    Copy,
    /// It is written and read where it lies: only its first 8 bytes are.
    Loan,
}

/// The bytes a queue may hold, unless it is for less than two messages: they stay in a core's cache.
const DEPTH_BYTES: usize = 1 << 20;
const MOST_MESSAGES: usize = 1024;

/// How many messages that are lent a queue has room for: of each, little but its first line gets into a cache.
pub(super) const LENT_DEPTH: usize = 16;

/// How many messages of a size that are copied a queue has room for, a power of two.
pub(super) const fn depth(size_bytes: usize) -> usize {
    let fitting = DEPTH_BYTES / size_bytes;
    if fitting > MOST_MESSAGES {
        MOST_MESSAGES
    } else if fitting < 2 {
        2
    } else {
        fitting.next_power_of_two()
    }
}

/// In one turn of [`Shape::Crowd`], so many are sent before as many are received: the least of the queues has room
/// for what both send.
pub(super) const BURST: u64 = 4;

impl Course {
    /// Messages that go there and back, both sides busy.
    pub(super) const fn round_trip(size_bytes: usize) -> Course {
        Course {
            shape: Shape::RoundTrip,
            kind: Kind::OneToOne,
            size_bytes,
            waits: Waits::Spinning,
            means: Means::Copy,
        }
    }

    /// Messages that go one way.
    pub(super) const fn one_way(size_bytes: usize, batch: usize) -> Course {
        Course { shape: Shape::OneWay { batch }, ..Course::round_trip(size_bytes) }
    }

    pub(super) const fn of_kind(self, kind: Kind) -> Course {
        Course { kind, ..self }
    }

    /// Whether a contender whose every look is a system call looks again and again, rather than sleep: where small messages
    /// go one way, that takes more of the other side's time than it wins.
    pub(super) fn spins_by_calls(&self) -> bool {
        let streams = matches!(self.shape, Shape::OneWay { .. }) && self.size_bytes < 64 << 10;
        self.waits == Waits::Spinning && !streams
    }

    /// How many messages a queue has room for.
    pub(super) const fn depth(self) -> usize {
        match self.means {
            Means::Copy => depth(self.size_bytes),
            Means::Loan => LENT_DEPTH,
        }
    }

    /// How many round trips there are for each that is timed by itself: so many that looking at the clock costs
    /// nothing.
    pub(super) fn sample_interval(&self) -> u64 {
        let slow = self.waits == Waits::Sleeping || (self.size_bytes > 64 << 10 && self.means == Means::Copy);
        if slow { 1 } else { 64 }
    }

    /// How many turns of other courses one of this takes.
    pub(super) fn length(&self) -> u32 {
        if self.sample_interval() == 1 { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_room_for_a_power_of_two() {
        assert_eq!([8, 64, 1 << 10, 64 << 10, 4 << 20].map(depth), [1024, 1024, 1024, 16, 2]);
    }
}
