//! One look at all segments, and at who is attached only when somebody asks.

use std::cell::OnceCell;

use coseg_sysv::{Error, Listed, Segment, Stat, Target};

use crate::args::Global;
use crate::backend::Facility;
use crate::failure::{Failure, Result};
use crate::opened;
use crate::people::People;
use crate::record::Record;
use crate::who::Who;

#[derive(Debug)]
pub(crate) struct View {
    pub(crate) facility: Facility,
    pub(crate) listed: Vec<Listed>,
    pub(crate) people: People,
    who: OnceCell<Who>,
}

impl View {
    pub(crate) fn open(global: &Global) -> Result<View> {
        View::of(Facility::open(global)?)
    }

    pub(crate) fn of(facility: Facility) -> Result<View> {
        let listed = facility.backend.list()?;
        Ok(View { facility, listed, people: People::default(), who: OnceCell::new() })
    }

    /// Lists the segments again. Who is attached is as it was: see [`View::search`].
    pub(crate) fn refresh(&mut self) -> Result<()> {
        self.listed = self.facility.backend.list()?;
        Ok(())
    }

    /// Looks again for who is attached, if anybody is.
    pub(crate) fn search(&mut self) -> Result<()> {
        let is_any = self.listed.iter().any(|listed| listed.stat.attachment_count > 0);
        let who = if is_any { Who::look(&*self.facility.backend, &self.people)? } else { Who::default() };
        self.who = OnceCell::from(who);
        Ok(())
    }

    pub(crate) fn who(&self) -> Result<&Who> {
        if let Some(who) = self.who.get() {
            return Ok(who);
        }
        let who = Who::look(&*self.facility.backend, &self.people)?;
        Ok(self.who.get_or_init(|| who))
    }

    /// A segment to work on; [`named`] gives its errors the key.
    pub(crate) fn segment(&self, stat: &Stat) -> Segment {
        Segment::of_id(&self.facility.backend, stat.id)
    }

    pub(crate) fn record(&self, listed: &Listed) -> Result<Record> {
        Ok(Record::new(listed, Some(self.who()?), &self.people))
    }

    /// The same segment as it is now; an error where it is gone.
    pub(crate) fn again(&self, stat: &Stat) -> Result<Listed> {
        let now = self.facility.backend.list()?.into_iter().find(|listed| listed.stat.id == stat.id);
        now.ok_or_else(|| {
            Failure::nothing(format!("{}: gone since it was looked up", title(stat))).hint("coseg ls")
        })
    }
}

/// For errors about a segment that was opened by id: they name its key too.
pub(crate) fn named(stat: &Stat) -> impl Fn(Error) -> Failure {
    let target = if stat.key.is_private() { Target::Id(stat.id) } else { Target::KeyId(stat.key, stat.id) };
    move |error| error.on(target).into()
}

/// `key 0x00004242 (id 3)`, or `id 3` where no key leads to it; of a dump its file first.
pub(crate) fn title(stat: &Stat) -> String {
    if let Some(opened) = opened::get() {
        return opened.title(stat);
    }
    if stat.key.is_private() {
        format!("id {}", stat.id)
    } else {
        format!("key {} (id {})", stat.key, stat.id)
    }
}
