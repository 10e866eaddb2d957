//! iceoryx2's blackboard: values by their keys, all there from the beginning.

use std::path::Path;

use hashbrown::HashMap;
use iceoryx2::port::reader::{EntryHandle, Reader};
use iceoryx2::port::writer::{EntryHandleMut, Writer};
use iceoryx2::prelude::{Config, LogLevel, Node, NodeBuilder, ipc, set_log_level};
use iceoryx2::service::port_factory::blackboard::PortFactory;

use super::store::{Job, Store, Value, first_values};
use crate::Outcome;

const NAME: &str = "coseg-bench-map";

type ReadHandle = EntryHandle<ipc::Service, u64, Value>;
type WriteHandle = EntryHandleMut<ipc::Service, u64, Value>;

/// Each key is looked for anew.
pub(super) struct Blackboard {
    reader: Reader<ipc::Service, u64>,
    /// There may be one.
    writer: Option<Writer<ipc::Service, u64>>,
    service: PortFactory<ipc::Service, u64>,
    _node: Node<ipc::Service>,
}

impl Blackboard {
    pub(super) fn open(directory: &Path) -> Outcome<Blackboard> {
        set_log_level(LogLevel::Error);
        let mut config = Config::default();
        let directory = directory.join("iceoryx2");
        let text = directory.to_str().ok_or("a path that is no text")?;
        config.global.set_root_path(&text.try_into().map_err(|error| format!("{error:?}"))?);
        let node = NodeBuilder::new().config(&config).create::<ipc::Service>()?;
        let name = NAME.try_into()?;
        let service = match node.service_builder(&name).blackboard_opener::<u64>().open() {
            Ok(service) => service,
            Err(_) => {
                let creator = node.service_builder(&name).blackboard_creator::<u64>();
                first_values().fold(creator, |creator, (key, value)| creator.add(key, value)).create()?
            }
        };
        Ok(Blackboard { reader: service.reader_builder().create()?, writer: None, service, _node: node })
    }

    fn writer(&mut self) -> Outcome<&Writer<ipc::Service, u64>> {
        if self.writer.is_none() {
            self.writer = Some(self.service.writer_builder().create()?);
        }
        self.writer.as_ref().ok_or_else(|| "no writer".into())
    }
}

impl Store for Blackboard {
    const IS_SLOW: bool = true;

    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        Ok(Some(*self.reader.entry::<Value>(&key)?.get()))
    }

    fn put(&mut self, key: u64, value: Value) -> Outcome {
        self.writer()?.entry::<Value>(&key)?.update_with_copy(value);
        Ok(())
    }
}

/// Each key was looked for once, and the process remembers its handle.
pub(super) struct WithHandles {
    readable: HashMap<u64, ReadHandle>,
    writable: HashMap<u64, WriteHandle>,
    blackboard: Blackboard,
}

impl WithHandles {
    pub(super) fn open(directory: &Path) -> Outcome<WithHandles> {
        let blackboard = Blackboard::open(&directory.join("handles"))?;
        Ok(WithHandles { readable: HashMap::new(), writable: HashMap::new(), blackboard })
    }
}

impl Store for WithHandles {
    fn prepare(&mut self, job: Job) -> Outcome {
        let WithHandles { readable, writable, blackboard } = self;
        match job {
            Job::Get if readable.is_empty() => {
                for (key, _) in first_values() {
                    readable.insert(key, blackboard.reader.entry(&key)?);
                }
            }
            Job::Put if writable.is_empty() => {
                for (key, _) in first_values() {
                    writable.insert(key, blackboard.writer()?.entry(&key)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn get(&mut self, key: u64) -> Outcome<Option<Value>> {
        Ok(self.readable.get(&key).map(|entry| *entry.get()))
    }

    #[inline]
    fn put(&mut self, key: u64, value: Value) -> Outcome {
        self.writable.get(&key).ok_or("a key is not there")?.update_with_copy(value);
        Ok(())
    }
}
