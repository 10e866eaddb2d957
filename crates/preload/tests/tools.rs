//! util-linux's `ipcs`, `ipcmk` and `ipcrm` under the library.

#[allow(dead_code, reason = "shared by several tests")]
mod common;

use common::{Scratch, succeed, told};

/// `ipcmk -M`, and the id that it tells.
fn make(scratch: &Scratch, size: &str) -> String {
    let text = succeed(scratch.command("ipcmk").args(["-M", size, "-p", "0640"]));
    text.trim().strip_prefix("Shared memory id: ").unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// The lines of `ipcs -m` that are segments, as words.
fn list(scratch: &Scratch) -> Vec<Vec<String>> {
    let text = succeed(scratch.command("ipcs").arg("-m"));
    let lines = text.lines().filter(|line| line.starts_with("0x"));
    lines.map(|line| line.split_ascii_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn made_listed_and_removed_by_id_and_by_key() {
    let scratch = Scratch::new();
    assert!(list(&scratch).is_empty());
    let (first, second) = (make(&scratch, "5000"), make(&scratch, "1048576"));

    let lines = list(&scratch);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0][1..], [first.as_str(), &owner(), "640", "5000", "0"]);
    assert_eq!(lines[1][1..], [second.as_str(), &owner(), "640", "1048576", "0"]);
    let one = succeed(scratch.command("ipcs").args(["-m", "-i", &second]));
    assert!(one.contains("bytes=1048576"), "{one}");
    let creators = succeed(scratch.command("ipcs").args(["-m", "-c"]));
    assert!(creators.contains(&owner()), "{creators}");
    for more in ["-t", "-p", "-b", "--human"] {
        succeed(scratch.command("ipcs").args(["-m", more]));
    }

    succeed(scratch.command("ipcrm").args(["-m", &first]));
    assert_eq!(list(&scratch).len(), 1);
    let key = lines[1][0].as_str();
    succeed(scratch.command("ipcrm").args(["-M", key]));
    assert!(list(&scratch).is_empty());

    let again = scratch.command("ipcrm").args(["-m", &first]).output().unwrap();
    assert!(!again.status.success(), "{}", told(&again));
    let again = scratch.command("ipcrm").args(["-M", key]).output().unwrap();
    assert!(!again.status.success(), "{}", told(&again));
}

#[test]
fn usage_and_limits() {
    let scratch = Scratch::new();
    make(&scratch, "5000");
    let usage = succeed(scratch.command("ipcs").arg("-u"));
    assert!(usage.contains("segments allocated 1\npages allocated 2\n"), "{usage}");
    let limits = succeed(scratch.command("ipcs").arg("-l"));
    assert!(limits.contains("max number of segments = "), "{limits}");
    succeed(scratch.command("ipcrm").arg("--all=shm"));
    assert!(list(&scratch).is_empty());
}

fn owner() -> String {
    succeed(std::process::Command::new("id").arg("-un")).trim().to_owned()
}
