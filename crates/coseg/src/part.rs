//! What a region is made of: how parts are planned, found and filled.

use std::sync::Arc;

use crate::base::{Base, Shelf};
use crate::layout::Item;
use crate::schema::{Part as PartSchema, PartKind, Schema, Type};
use crate::{Cell, Shared};

/// What a region contains: a value, or a struct of parts with `#[derive(Region)]`.
pub trait Contents: Sized {
    /// What an opened region gives access to.
    type Parts;
    /// What a new region starts as.
    type Initial;

    /// Says which parts there are.
    fn plan(plan: &mut Plan);

    /// The handles of the parts, in the same order.
    fn parts(site: &mut Site) -> Self::Parts;

    /// Writes what a new region starts as. Nobody else sees the region yet.
    fn fill(parts: &Self::Parts, initial: Self::Initial);
}

/// A value alone is a region of one cell.
impl<T: Shared> Contents for T {
    type Parts = Cell<T>;
    type Initial = T;

    fn plan(plan: &mut Plan) {
        plan.name(&T::describe().to_string());
        <Cell<T> as Part>::plan(plan, "value", "");
    }

    fn parts(site: &mut Site) -> Cell<T> {
        Part::open(site)
    }

    fn fill(parts: &Cell<T>, initial: T) {
        Part::fill(parts, initial);
    }
}

/// A kind of part: a cell, a table, a lock.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no part of a region",
    note = "`Cell<T>`, `Table<T, N>`, `Map<K, V, N>`, `Counter`, `Lock`, `RwLock`, `Event` and `Channel` are: a plain value goes into a `Cell`"
)]
pub trait Part: Sized {
    /// What it starts as.
    type Initial;

    /// The start of one that was given none: zeroes.
    fn zero() -> Self::Initial;

    /// Adds one to a plan.
    fn plan(plan: &mut Plan, name: &str, doc: &str);

    /// The handle of the next part.
    fn open(site: &mut Site) -> Self;

    /// Writes what it starts as. Nobody else sees the region yet.
    fn fill(&self, initial: Self::Initial);
}

/// The parts a program expects, in order.
#[derive(Debug)]
pub struct Plan {
    schema: Schema,
}

impl Plan {
    pub(crate) fn of<C: Contents>() -> Schema {
        let mut plan = Plan { schema: Schema { name: String::new(), parts: Vec::new() } };
        C::plan(&mut plan);
        plan.schema
    }

    /// Names the whole.
    pub fn name(&mut self, name: &str) {
        name.clone_into(&mut self.schema.name);
    }

    /// Adds a part with values.
    pub(crate) fn values<T: Shared>(
        &mut self,
        kind: PartKind,
        name: &str,
        doc: &str,
        row_count: usize,
        slot_count: usize,
    ) {
        self.schema.parts.push(PartSchema {
            name: name.to_owned(),
            doc: doc.to_owned(),
            kind,
            of: Some(T::describe()),
            row_count,
            slot_count,
            room_bytes: T::ROOM.max(size_of::<T>()),
            offset: 0,
        });
    }

    /// Adds a part with values and keys.
    pub(crate) fn entries(
        &mut self,
        name: &str,
        doc: &str,
        of: Type,
        capacity: usize,
        slot_count: usize,
        room_bytes: usize,
    ) {
        self.schema.parts.push(PartSchema {
            name: name.to_owned(),
            doc: doc.to_owned(),
            kind: PartKind::Map,
            of: Some(of),
            row_count: capacity,
            slot_count,
            room_bytes,
            offset: 0,
        });
    }

    /// Adds a part with messages.
    pub(crate) fn messages(
        &mut self,
        kind: PartKind,
        name: &str,
        doc: &str,
        capacity: usize,
        of: Type,
        room_bytes: usize,
    ) {
        self.schema.parts.push(PartSchema {
            name: name.to_owned(),
            doc: doc.to_owned(),
            kind,
            of: Some(of),
            row_count: capacity,
            slot_count: 1,
            room_bytes,
            offset: 0,
        });
    }

    /// Adds a part without values.
    pub(crate) fn plain(&mut self, kind: PartKind, name: &str, doc: &str) {
        self.schema.parts.push(PartSchema {
            name: name.to_owned(),
            doc: doc.to_owned(),
            kind,
            of: None,
            row_count: 1,
            slot_count: 1,
            room_bytes: 0,
            offset: 0,
        });
    }
}

/// An opened region while its handles are made, part by part.
#[derive(Debug)]
pub struct Site {
    base: Shelf,
    next: usize,
}

/// A part of an opened region.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) base: Shelf,
    pub(crate) part: usize,
}

impl Site {
    pub(crate) fn new(base: &Shelf) -> Site {
        Site { base: Arc::clone(base), next: 0 }
    }

    pub(crate) fn next(&mut self) -> Spot {
        let part = self.next;
        self.next += 1;
        Spot { base: Arc::clone(&self.base), part }
    }
}

impl Spot {
    pub(crate) fn schema(&self) -> &PartSchema {
        &self.base.layout.schema.parts[self.part]
    }

    pub(crate) fn offset(&self) -> usize {
        self.schema().offset
    }

    pub(crate) fn item(&self, row: usize) -> Option<Item> {
        self.base.layout.item_of(self.part, row)
    }

    /// Where everything of a map lies.
    pub(crate) fn map(&self) -> Option<&crate::map::Geometry> {
        self.base.layout.map_of(self.part)
    }

    /// How errors name it.
    pub(crate) fn object(&self) -> String {
        format!("`{}` of {}", self.schema().name, self.base.object())
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }
}
