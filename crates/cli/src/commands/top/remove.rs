//! Removing a segment, if it is still what was agreed to.

use coseg::Inspection;
use coseg_sysv::Stat;

use crate::commands::rm;
use crate::failure::{Failure, Result};
use crate::size;
use crate::view::{View, named, title};
use crate::who::Who;

/// Says what was done.
pub(super) fn remove(agreed: &Stat, view: &View, bytes: bool) -> Result<String> {
    let now = view.again(agreed)?.stat;
    if now != *agreed {
        let who = Who::look(&*view.facility.backend, &view.people)?.sentence(&now);
        let fact = match now.attachment_count {
            _ if now.removed => "somebody else has removed it meanwhile".to_owned(),
            0 => "it was used or changed meanwhile".to_owned(),
            _ => format!("it was used or changed meanwhile, attached by {who}"),
        };
        return Err(Failure::nothing(format!("remove {}: {fact}: nothing was removed", title(agreed))));
    }
    Inspection::remove(&view.segment(&now)).map_err(named(&now))?;
    let what = format!("{}, {}", title(&now), size::show(now.size_bytes as u64, bytes));
    Ok(rm::done("removed", &what, !rm::exists(now.id, view)))
}

#[cfg(test)]
mod tests {
    use coseg_sysv::{Key, Segment, User};

    use super::*;
    use crate::backend::Facility;

    #[test]
    fn only_what_was_agreed_to_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let user = User::at(directory.path()).unwrap();
        let facility = Facility { backend: std::sync::Arc::new(user), user: Some(user), is_fallback: false };
        let view = View::of(facility).unwrap();
        let segment = Segment::options(Key::new(7)).size(10).create(&user).unwrap();
        let agreed = segment.stat().unwrap();
        let again = || remove(&agreed, &view, false).map_err(|failure| failure.to_string());

        let memory = segment.attach().unwrap();
        let text = again().unwrap_err();
        assert!(text.contains(&format!("attached by {} ", std::process::id())), "{text}");
        memory.detach().unwrap();
        assert!(again().unwrap_err().contains("used or changed meanwhile: nothing"));
        let agreed = segment.stat().unwrap();
        let done = remove(&agreed, &view, false).unwrap();
        assert_eq!(done, format!("removed key 0x00000007 (id {}), 10B", agreed.id));
        assert!(remove(&agreed, &view, false).unwrap_err().to_string().contains("gone"));
    }
}
