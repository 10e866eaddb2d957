//! Somebody who stopped with the registry in his hands.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use coseg_sysv::{Backend, Errno, User};

use crate::peer::Peer;
use crate::{apart, create, nattch};

#[test]
fn a_stopped_holder_is_named() {
    apart("timeout::a_stopped_holder_is_named", |world| {
        let user = User::at(world.join("namespace")).unwrap();
        let id = create(&user, 1, 0o600);
        let registry = world.join("namespace/registry");
        let mut holder = Peer::start(0, |peer| {
            let file = File::open(registry).unwrap();
            // SAFETY: takes numbers.
            assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
            peer.say("held");
            peer.hear();
        });
        assert_eq!(holder.hear(), "held");
        // SAFETY: a child of ours.
        unsafe { libc::kill(holder.pid, libc::SIGSTOP) };
        let start = Instant::now();
        let error = user.limits().unwrap_err();
        let waited = start.elapsed();
        assert_eq!(error.errno(), Errno::ETIMEDOUT, "{error}");
        assert!(error.to_string().contains(&format!("process {}", holder.pid)), "{error}");
        assert!((Duration::from_secs(8)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
        // Looking needs no lock, and so waits for nobody.
        assert_eq!(nattch(&user, id), 0);
        assert!(start.elapsed() - waited < Duration::from_secs(1));
        drop(holder);
        user.limits().unwrap();
    });
}
