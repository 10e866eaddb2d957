//! iceoryx2: the messaging pattern in which a reader finds the latest value of a key.

use std::path::Path;

use iceoryx2::prelude::{Config, Node, NodeBuilder, ipc};
use iceoryx2::service::port_factory::blackboard::PortFactory;

use super::contender::{is_whole, unable};
use super::job::Job;
use crate::Outcome;
use crate::duel::Contender;
use crate::turn::{Tally, Turn};

const NAME: &str = "coseg-bench";
const KEY: u64 = 1;

pub(super) struct Iceoryx {
    service: PortFactory<ipc::Service, u64>,
    _node: Node<ipc::Service>,
}

impl Iceoryx {
    pub(super) fn open(directory: &Path) -> Outcome<Iceoryx> {
        iceoryx2::prelude::set_log_level(iceoryx2::prelude::LogLevel::Error);
        let mut config = Config::default();
        let text = directory.to_str().ok_or("a path that is no text")?;
        config.global.set_root_path(&text.try_into().map_err(|error| format!("{error:?}"))?);
        let node = NodeBuilder::new().config(&config).create::<ipc::Service>()?;
        let name = NAME.try_into()?;
        let service = match node.service_builder(&name).blackboard_opener::<u64>().open() {
            Ok(service) => service,
            Err(_) => {
                let creator = node.service_builder(&name).blackboard_creator::<u64>();
                creator.add::<[u64; 8]>(KEY, [0; 8]).create()?
            }
        };
        Ok(Iceoryx { service, _node: node })
    }
}

impl Contender<Job> for Iceoryx {
    fn work(&mut self, job: Job, turn: &Turn<'_>) -> Outcome<Tally> {
        let (mut number, mut torn_count) = (0_u64, 0);
        if job == Job::Read {
            let reader = self.service.reader_builder().create()?;
            let entry = reader.entry::<[u64; 8]>(&KEY)?;
            let tally = turn.repeat(|| {
                torn_count += u64::from(!is_whole(&entry.get()));
                Outcome::Ok(())
            })?;
            return Ok(Tally { torn_count, ..tally });
        }
        let writer = self.service.writer_builder().create()?;
        let entry = writer.entry::<[u64; 8]>(&KEY)?;
        let write = || {
            number += 1;
            entry.update_with_copy([number; 8]);
            Outcome::Ok(())
        };
        match job {
            Job::Write => turn.repeat(write),
            Job::WritePaced => turn.repeat_paced(write),
            _ => unable(job),
        }
    }
}
