//! Typed, self-describing regions of System V shared memory: an update is never lost and never half done, whoever is
//! killed and whenever.
//!
//! A *region* is a segment with a header that says what is inside. Processes that open it agree on its types or get
//! an error that shows where they differ. Values cross by copy; there is no reference into memory that another process
//! writes. Reads take no lock. Changes are exclusive and all or nothing: a process killed at any instruction
//! leaves the old value or the new one, and the next to come is told who died in what.
//!
//! ```
//! use std::time::Duration;
//!
//! use coseg::{Cell, Counter, Key, Region, Rows, Shared, Table};
//!
//! #[derive(Shared, Clone, Copy)]
//! #[repr(C)]
//! struct Currency {
//!     /// What one unit costs who buys it.
//!     #[shared(unit = "p")]
//!     buy: u64,
//!     stock: u64,
//! }
//!
//! #[derive(Shared, Clone, Copy)]
//! #[repr(C)]
//! struct Trader {
//!     #[shared(unit = "p")]
//!     balance: u64,
//!     holding: u64,
//! }
//!
//! /// Several parts, one segment, one transaction over them.
//! #[derive(Region)]
//! struct Office {
//!     board: Cell<[Currency; 4]>,
//!     ledger: Table<Trader, 64>,
//!     trades: Counter,
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let backend = coseg_sysv::User::at(dir.path())?;
//! let office = Region::<Office>::at(Key::new(0x4558)).backend(&backend).open_or_create(|| OfficeInitial {
//!     board: [Currency { buy: 1890, stock: 20_000 }; 4],
//!     ledger: Rows(vec![Trader { balance: 100_000, holding: 0 }]),
//!     ..OfficeInitial::default()
//! })?;
//!
//! let trader = office.ledger.row(0)?;
//! office.transaction(|change| {
//!     change.update(&office.board, |board| board[1].stock -= 10)?;
//!     change.update(&trader, |own| {
//!         own.balance -= 18_900;
//!         own.holding += 10;
//!     })
//! })?;
//! office.trades.add(1)?;
//!
//! assert_eq!(office.board.read()[1].stock + trader.read().holding, 20_000);
//! office.board.wait_while(|board| board[1].stock > 19_990, Some(Duration::from_secs(1)))?;
//! # office.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod bell;
mod cell;
#[cfg(feature = "async")]
mod changes;
mod channel;
mod counter;
#[cfg(all(test, coseg_crowd))]
mod crowds;
mod encode;
mod error;
mod event;
mod few;
mod guard;
mod header;
mod identity;
mod inspect;
mod item;
mod label;
mod layout;
mod lock;
mod log;
mod map;
mod membership;
mod memory;
#[cfg(all(test, coseg_model))]
mod models;
#[cfg(coseg_crowd)]
mod mortal;
mod mutex;
mod open;
mod os;
mod part;
mod participants;
#[cfg(feature = "async")]
mod polled;
mod region;
mod rwlock;
pub mod schema;
mod shared;
mod snapshot;
mod sync;
mod table;
mod transaction;
mod value;
mod wiped;

// The derives name this crate, also inside it.
extern crate self as coseg;

pub use base::{Acquired, Recovery};
pub use cell::{Cell, Place, Reach};
#[cfg(feature = "async")]
pub use changes::Changes;
pub use channel::{
    Blank, Broadcast, Bytes, Channel, DropOldest, Fail, Held, Kind, Loan, Message, OneToOne, Policy, Queue,
    Receiver, Refusal, Sender, Stream, UntypedChannel, UntypedReceiver, UntypedSender, Wait, Whole, Written,
};
#[cfg(feature = "derive")]
pub use coseg_derive::{Region, Shared};
pub use coseg_sysv::{Key, Mode};
pub use counter::Counter;
pub use encode::encode;
pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use inspect::{ChannelEnd, ChannelView, Holder, Inspection, LockView};
pub use label::{Label, Peek};
pub use log::Settled;
pub use map::{Map, MapChange, MapView, Stamp, Swap, UntypedEntry, UntypedMap};
pub use mutex::{Lock, LockGuard};
pub use open::RegionOptions;
pub use part::{Contents, Part, Plan, Site};
pub use participants::{PARTICIPANTS_MAX, Participant, Waiting};
pub use region::Region;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use shared::{Shared, Text};
pub use snapshot::Snapshot;
pub use table::{Row, Rows, Table};
pub use transaction::Transaction;
pub use value::{Value, decode};
