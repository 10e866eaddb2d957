//! LMDB: a B-tree in a mapped file, readers of the last commit, one writer at a time.
#![allow(unsafe_code, reason = "opening an environment, which nobody may open twice")]

use std::path::Path;

use heed::byteorder::NativeEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, IntegerComparator};

use super::store::{Store, Value, first_values};
use crate::Outcome;

type Number = U64<NativeEndian>;

pub(super) struct Lmdb {
    env: Env,
    database: Database<Number, Bytes, IntegerComparator>,
}

impl Lmdb {
    pub(super) fn open(directory: &Path) -> Outcome<Lmdb> {
        let directory = directory.join("lmdb");
        std::fs::create_dir_all(&directory)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(256 << 20);
        // SAFETY: what a crash would leave of the file is nobody's, and who writes through the map is LMDB alone.
        unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP) };
        // SAFETY: opened once in each process, and its lock is used.
        let env = unsafe { options.open(directory)? };
        let mut change = env.write_txn()?;
        let database = env
            .database_options()
            .types::<Number, Bytes>()
            .key_comparator::<IntegerComparator>()
            .create(&mut change)?;
        if database.is_empty(&change)? {
            for (key, value) in first_values() {
                database.put(&mut change, &key, bytemuck::bytes_of(&value))?;
            }
        }
        change.commit()?;
        Ok(Lmdb { env, database })
    }
}

impl Store for Lmdb {
    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        let view = self.env.read_txn()?;
        let value = self.database.get(&view, &key)?;
        // Bytes in a page need not be aligned.
        Ok(value.map(bytemuck::pod_read_unaligned))
    }

    fn put(&mut self, key: u64, value: Value) -> Outcome {
        let mut change = self.env.write_txn()?;
        self.database.put(&mut change, &key, bytemuck::bytes_of(&value))?;
        Ok(change.commit()?)
    }
}
