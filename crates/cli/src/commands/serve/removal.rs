//! Removing the segment that somebody saw, if it still is as he saw it.

use axum::http::StatusCode;
use coseg_sysv::Listed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::rm::{self, Outcome};
use crate::failure::Result;
use crate::record::Origin;
use crate::view::{View, title};

/// Which segment is meant, by what was seen of it: an id comes round to another segment some day.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    pub(super) id: i32,
    key: i32,
    size_bytes: usize,
    creator_pid: i32,
    change_time: Option<i64>,
    /// Although somebody is attached.
    #[serde(default)]
    force: bool,
}

/// What became of it.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Removal {
    #[serde(flatten)]
    origin: Origin,
    /// Null where there is no segment as it was seen.
    result: Option<Outcome>,
    error: Option<String>,
    #[serde(skip)]
    pub(super) status: StatusCode,
}

impl Removal {
    pub(super) fn has_changed(&self) -> bool {
        self.result.as_ref().is_some_and(|outcome| outcome.removed)
    }
}

impl Wish {
    fn is_of(&self, listed: &Listed) -> bool {
        let stat = &listed.stat;
        self.key == stat.key.raw()
            && self.size_bytes == stat.size_bytes
            && self.creator_pid == stat.creator_pid
            && self.change_time.unwrap_or(0) == stat.change_time
    }
}

/// Looks again, and removes it.
pub(super) fn remove(wish: &Wish, last: &View) -> Removal {
    let origin = Origin::of(&last.facility);
    let refused = |status, error: String| Removal {
        origin: Origin::of(&last.facility),
        result: None,
        error: Some(error),
        status,
    };
    let found = (|| -> Result<_> {
        let view = View::of(last.facility.clone())?;
        let listed = view.listed.iter().find(|listed| listed.stat.id.raw() == wish.id).copied();
        Ok((view, listed))
    })();
    let (view, listed) = match found {
        Ok((view, Some(listed))) => (view, listed),
        Ok((_, None)) => return refused(StatusCode::NOT_FOUND, format!("id {} is gone already", wish.id)),
        Err(failure) => return refused(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()),
    };
    if !wish.is_of(&listed) {
        let error = format!("{} is not what was seen: changed since, or another by now", title(&listed.stat));
        return refused(StatusCode::CONFLICT, error);
    }
    let outcome = rm::remove(&listed, &view, rm::How { force: wish.force, dry_run: false });
    let status = if outcome.error.is_none() { StatusCode::OK } else { StatusCode::CONFLICT };
    Removal { origin, error: outcome.error.clone(), result: Some(outcome), status }
}
