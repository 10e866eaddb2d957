//! What a region contains, told by the region itself: names, types, offsets, sizes, units.
//!
//! Types come from `#[derive(Shared)]`, are written into a region when it is made, and let any program read it,
//! also one that was compiled without them.

mod decode;
mod difference;
mod encode;
mod shown;

pub(crate) use decode::decode;
pub(crate) use difference::compare;
pub use difference::{Difference, Differences};
pub(crate) use encode::encode;
pub(crate) use shown::{listed, shown};

use std::fmt;

/// Deepest nesting of types.
pub(crate) const DEPTH_MAX: usize = 16;
/// Most types and fields together.
pub(crate) const NODES_MAX: usize = 4096;
/// Bytes of the number that stands before bytes of varying length.
pub(crate) const BYTES_LENGTH: usize = 8;

/// A type that may live in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// A number, or a truth value.
    Scalar(Scalar),
    /// Text of at most so many bytes, the rest of them zero.
    Text {
        /// Bytes it takes.
        size_bytes: usize,
    },
    /// So many bytes at most, behind their number; messages only.
    Bytes {
        /// The most there can be.
        max_bytes: usize,
    },
    /// So many of a type, one after the other.
    Array {
        /// The type.
        element: Box<Type>,
        /// How many.
        count: usize,
    },
    /// Named fields.
    Struct(Struct),
}

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scalar {
    /// One byte; any but 0 is true.
    Bool = 1,
    /// 8 bits, unsigned.
    U8,
    /// 16 bits, unsigned.
    U16,
    /// 32 bits, unsigned.
    U32,
    /// 64 bits, unsigned.
    U64,
    /// 128 bits, unsigned.
    U128,
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
    /// 128 bits, signed.
    I128,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
}

/// A struct's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// Bytes it takes, padding included.
    pub size_bytes: usize,
    /// Its fields, in the order of their offsets.
    pub fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Bytes from the struct's start.
    pub offset: usize,
    /// Its type.
    pub of: Type,
    /// What its numbers count: `ms`, `EUR`; empty if nothing was said.
    pub unit: String,
    /// The first line of its documentation; may be empty.
    pub doc: String,
}

/// What kind of thing a part of a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum PartKind {
    /// One value: [`Cell`](crate::Cell).
    Cell = 1,
    /// Many values of one type: [`Table`](crate::Table).
    Table,
    /// A number that only grows by atomic additions: [`Counter`](crate::Counter).
    Counter,
    /// An exclusive lock: [`Lock`](crate::Lock).
    Lock,
    /// A lock with many readers or one writer: [`RwLock`](crate::RwLock).
    RwLock,
    /// Something to wait for: [`Event`](crate::Event).
    Event,
    /// A [`Channel`](crate::Channel) with one sender and one receiver.
    OneToOne,
    /// A [`Channel`](crate::Channel) that gives each message to one of many receivers.
    Queue,
    /// A [`Channel`](crate::Channel) that shows each message to all receivers; senders wait for them.
    Broadcast,
    /// The same; receivers who fall behind lose the oldest messages.
    BroadcastDropping,
    /// The same; receivers who fall behind get an error.
    BroadcastFailing,
    /// A [`Channel`](crate::Channel) with one sender and one receiver of large byte messages.
    Stream,
    /// Values by their keys: [`Map`](crate::Map).
    Map,
}

/// A part of a region: a cell, a table, a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The first line of its documentation; may be empty.
    pub doc: String,
    /// What kind of thing it is.
    pub kind: PartKind,
    /// The type of its values or messages, if it has some; of a map, a struct of `key` and `value`.
    pub of: Option<Type>,
    /// How many values: 1, or a table's rows; of a map, how many keys it holds, and of a channel, how many messages.
    pub row_count: usize,
    /// How many versions of a value there is room for; a power of two.
    pub slot_count: usize,
    /// Bytes there are for one version: the type's size, or more to let it grow; of a map, with key and expiry.
    pub room_bytes: usize,
    /// Where it starts in the segment.
    pub offset: usize,
}

/// All a region says of its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The name of the type it was made from.
    pub name: String,
    /// Its parts, in the order of their declaration.
    pub parts: Vec<Part>,
}

impl Scalar {
    const ALL: [(Scalar, &'static str, usize); 13] = [
        (Scalar::Bool, "bool", 1),
        (Scalar::U8, "u8", 1),
        (Scalar::U16, "u16", 2),
        (Scalar::U32, "u32", 4),
        (Scalar::U64, "u64", 8),
        (Scalar::U128, "u128", 16),
        (Scalar::I8, "i8", 1),
        (Scalar::I16, "i16", 2),
        (Scalar::I32, "i32", 4),
        (Scalar::I64, "i64", 8),
        (Scalar::I128, "i128", 16),
        (Scalar::F32, "f32", 4),
        (Scalar::F64, "f64", 8),
    ];

    fn row(self) -> (Scalar, &'static str, usize) {
        Scalar::ALL[self as usize - 1]
    }

    pub(crate) fn from_code(code: u8) -> Option<Scalar> {
        Some(Scalar::ALL.get(usize::from(code).checked_sub(1)?)?.0)
    }

    /// Bytes it takes.
    pub fn size_bytes(self) -> usize {
        self.row().2
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl PartKind {
    const ALL: [(PartKind, &'static str); 13] = [
        (PartKind::Cell, "cell"),
        (PartKind::Table, "table"),
        (PartKind::Counter, "counter"),
        (PartKind::Lock, "lock"),
        (PartKind::RwLock, "rwlock"),
        (PartKind::Event, "event"),
        (PartKind::OneToOne, "one-to-one channel"),
        (PartKind::Queue, "work queue"),
        (PartKind::Broadcast, "broadcast"),
        (PartKind::BroadcastDropping, "broadcast that drops"),
        (PartKind::BroadcastFailing, "broadcast that fails"),
        (PartKind::Stream, "stream"),
        (PartKind::Map, "map"),
    ];

    pub(crate) fn from_code(code: u8) -> Option<PartKind> {
        Some(PartKind::ALL.get(usize::from(code).checked_sub(1)?)?.0)
    }

    /// Whether it has values of a type, which stay until they are changed.
    pub fn has_values(self) -> bool {
        matches!(self, PartKind::Cell | PartKind::Table | PartKind::Map)
    }

    /// Whether it has messages of a type.
    pub fn is_channel(self) -> bool {
        matches!(
            self,
            PartKind::OneToOne
                | PartKind::Queue
                | PartKind::Broadcast
                | PartKind::BroadcastDropping
                | PartKind::BroadcastFailing
                | PartKind::Stream
        )
    }

    /// Whether each receiver gets all messages.
    pub fn is_broadcast(self) -> bool {
        matches!(self, PartKind::Broadcast | PartKind::BroadcastDropping | PartKind::BroadcastFailing)
    }

    /// Whether a type belongs to it.
    pub(crate) fn has_type(self) -> bool {
        self.has_values() || self.is_channel()
    }

    /// Whether it is a lock.
    pub fn is_lock(self) -> bool {
        matches!(self, PartKind::Lock | PartKind::RwLock)
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PartKind::ALL[*self as usize - 1].1)
    }
}

impl Type {
    /// Bytes a value takes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Type::Scalar(scalar) => scalar.size_bytes(),
            Type::Text { size_bytes } => *size_bytes,
            Type::Bytes { max_bytes } => max_bytes.saturating_add(BYTES_LENGTH),
            // Checked when decoded; what a program made itself exists in its memory.
            Type::Array { element, count } => element.size_bytes().saturating_mul(*count),
            Type::Struct(of) => of.size_bytes,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Scalar(scalar) => scalar.fmt(f),
            Type::Text { size_bytes } => write!(f, "text of {size_bytes} bytes"),
            Type::Bytes { max_bytes } => write!(f, "up to {max_bytes} bytes"),
            Type::Array { element, count } => write!(f, "[{element}; {count}]"),
            Type::Struct(of) => f.write_str(&of.name),
        }
    }
}
