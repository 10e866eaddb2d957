//! Every operation on a channel, killed at every instruction that changes shared bytes, and its recovery too.
//!
//! At most the message that was just being sent may be missing; what was held comes again and says so; a message
//! received in a transaction is done exactly if the values changed; and everybody goes on.

mod acts;
mod heirs;
mod port;

pub(crate) use acts::{operate, recover};
use coseg_crash::{Death, Report, survive};
pub(crate) use heirs::{survive as survive_at, wait};

use self::port::{Dock, Scene, quay};
use crate::trials::{LIMIT, is_long, trial};
use crate::world::{Ground, On, leave_machine};

/// What is tried, and what may be left.
struct Case {
    on: On,
    scene: Scene,
    /// The channel and what is done there.
    operation: &'static str,
    /// What survivors may find, or who listened from the beginning; behind a bar, what stands in the books.
    may_be: &'static [&'static str],
    /// What they must find once the operation has returned.
    done: &'static [&'static str],
    /// Who is to be told of the death while it waits.
    waiter: Option<&'static str>,
    /// Whether each recovery is killed too, also when there is little time.
    is_nested: bool,
}

impl Case {
    fn channel(&self) -> &'static str {
        self.operation.split_once(": ").unwrap().0
    }

    fn check(&self, told: &str, death: &Death) -> Result<(), String> {
        // Who took over died with the end that receives.
        let had_the_next = death.recovery_point().is_some() && self.channel().starts_with("line");
        let unstarred = |text: &str| text.replacen('*', "", 1);
        let is_told = |&one: &&str| one == told || had_the_next && unstarred(one) == unstarred(told);
        let is_done = self.done.iter().any(is_told);
        if death.operation_completed() && !is_done {
            return Err(format!("it had returned, and yet there is {told:?}"));
        }
        if is_done || self.may_be.iter().any(is_told) { Ok(()) } else { Err(format!("there is {told:?}")) }
    }

    fn run(&self) -> Report {
        let channel = self.channel();
        let (role, recover) = (format!("operate at {}", self.operation), format!("recover at {channel}"));
        if channel == "files" {
            let world = || quay(self.on, self.operation.ends_with("receive"));
            let mut trial =
                trial(self.operation, &role, world, |world, death| self.check(&told(world, channel)?, death));
            if is_long() {
                trial = trial.recovery(|world| world.setting().play(&recover));
            }
            return trial.run().unwrap();
        }
        let listens_to = if matches!(channel, "news" | "ticks" | "wide") { channel } else { "" };
        let dock = || Dock::new(self.on, self.scene, listens_to);
        let mut trial = trial(self.operation, &role, dock, |dock: &Dock, death| {
            let heard = dock.heard();
            let left = told(dock, channel)?;
            // Who waited has had them.
            if dock.had_waiters.get() {
                return Ok(());
            }
            let all = if listens_to.is_empty() { left } else { heard + left.trim_start_matches(' ') };
            self.check(all.trim_end_matches("|0 0"), death)
        });
        if is_long() || self.is_nested {
            trial = trial.recovery(|dock| dock.setting().play(&recover));
        }
        if let Some(waiter) = self.waiter {
            trial = trial.waiters(1, LIMIT, move |dock: &Dock| {
                dock.had_waiters.set(true);
                dock.setting().play(&format!("await {waiter}"))
            });
        }
        trial.run().unwrap()
    }
}

/// What a survivor finds.
fn told(ground: &impl Ground, channel: &str) -> Result<String, String> {
    let output = survive(ground.setting().play(&format!("survive at {channel}")), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut told = text.split('<').skip(1).filter_map(|one| one.split_once('>')).map(|one| one.0);
    let messages = told.next().ok_or("nothing was told")?;
    match told.next() {
        None => Ok(messages.to_owned()),
        Some(books) => Ok(format!("{messages}|{}", books.trim_start_matches("books "))),
    }
}

macro_rules! killed {
    ($($name:ident: $on:ident $operation:literal in $scene:ident leaves $may_be:expr, then $done:expr
        $(=> $waiter:literal)? $(, $nested:ident)?;)*) => {
        $(
            #[test]
            fn $name() {
                if On::$on == On::Kernel && !leave_machine() {
                    return;
                }
                let waiter = None $(.or(Some($waiter)))?;
                let is_nested = [$(stringify!($nested))?].contains(&"nested");
                let case = Case {
                    on: On::$on,
                    scene: Scene::$scene,
                    operation: $operation,
                    may_be: &$may_be,
                    done: &$done,
                    waiter,
                    is_nested,
                };
                let report = case.run();
                println!("{:?}: {:?}: {report}", case.on, case.scene);
                report.assert_whole();
            }
        )*
    };
}

// A star: somebody may have had it before. One who dies with the end that receives may have had the next.
killed! {
    send: User "line: send" in Quiet leaves ["1 2"], then ["1 2 3"] => "for line";
    send_on_the_kernel: Kernel "line: send" in Quiet leaves ["1 2"], then ["1 2 3"];
    send_a_line: User "lines: send" in Empty leaves [""], then ["3"];
    send_a_batch: User "line: send a batch" in Quiet leaves ["1 2", "1 2 3"], then ["1 2 3 4"];
    send_lines: User "lines: send a batch" in Empty leaves ["", "3"], then ["3 4"];
    loan_and_send: User "line: loan and send" in Quiet leaves ["1 2"], then ["1 2 3"];
    loan_and_drop: User "line: loan and drop" in Quiet leaves [], then ["1 2"];
    receive: User "line: receive" in Quiet leaves ["1* 2"], then ["2*", "2"];
    receive_from_a_sender_who_waits: User "line: receive" in Full leaves ["1* 2 3 4"], then ["2* 3 4", "2 3 4"] => "to send to line";
    receive_a_line: User "lines: receive" in Quiet leaves ["1* 2"], then ["2*", "2"];
    receive_a_batch: User "line: receive a batch" in Quiet leaves ["1* 2"], then [""];
    hold: User "line: hold and be done" in Quiet leaves ["1* 2"], then ["2*", "2"];
    hold_and_drop: User "line: hold and drop" in Quiet leaves [], then ["1* 2"];
    take_and_leave: User "line: take and leave" in Quiet leaves ["1* 2"], then ["1 2"];
    close: User "line: close" in Quiet leaves ["1 2"], then ["closed 1 2"];

    send_to_a_queue: User "jobs: send" in Quiet leaves ["1 2"], then ["1 2 3"] => "for jobs";
    send_to_a_queue_on_the_kernel: Kernel "jobs: send" in Quiet leaves ["1 2"], then ["1 2 3"];
    send_a_batch_to_a_queue: User "jobs: send a batch" in Quiet leaves ["1 2", "1 2 3"], then ["1 2 3 4"];
    send_in_place_of_the_dead: User "jobs: be told of the dead and send" in Orphaned
        leaves ["1* 2 3"], then ["1* 2 3 5"];
    loan_of_a_queue: User "jobs: loan and send" in Quiet leaves ["1 2"], then ["1 2 3"];
    loan_of_a_queue_dropped: User "jobs: loan and drop" in Quiet leaves [], then ["1 2"];
    receive_from_a_queue: User "jobs: receive" in Quiet leaves ["1 2", "1* 2"], then ["2"], nested;
    receive_from_a_full_queue: User "jobs: receive" in Full leaves ["1 2 3 4", "1* 2 3 4"], then ["2 3 4"] => "to send to jobs";
    receive_a_batch_from_a_queue: User "jobs: receive a batch" in Quiet leaves ["1 2", "1* 2", "2", "2*"], then [""];
    receive_what_the_dead_held: User "jobs: receive" in Orphaned leaves ["1* 2 3"], then ["2 3"];
    receive_on_the_kernel: Kernel "jobs: receive" in Orphaned leaves ["1* 2 3"], then ["2 3"];
    hold_of_a_queue: User "jobs: hold and be done" in Quiet leaves ["1 2", "1* 2"], then ["2"];
    hold_of_a_queue_dropped: User "jobs: hold and drop" in Quiet leaves ["1 2"], then ["1* 2"];
    transaction: User "jobs: transaction" in Quiet leaves ["1 2", "1* 2"], then ["2|1 2"];
    transaction_of_two: User "jobs: transaction of two" in Quiet leaves ["1 2", "1* 2", "1* 2*"], then ["|3 0"];
    transaction_without_values: User "jobs: transaction without values" in Quiet
        leaves ["1 2", "1* 2"], then ["2"];
    transaction_rolled_back: User "jobs: transaction rolled back" in Quiet leaves ["1 2"], then ["1* 2"];
    transaction_on_the_kernel: Kernel "jobs: transaction" in Quiet leaves ["1 2", "1* 2"], then ["2|1 2"];
    take_and_leave_a_queue: User "jobs: take and leave" in Quiet leaves [], then ["1 2"];
    send_behind_the_receivers: User "wide: send" in Empty leaves [""], then ["7"];

    tell_all: User "news: send" in Quiet leaves [""], then ["3"] => "for news";
    tell_all_on_the_kernel: Kernel "news: send" in Quiet leaves [""], then ["3"];
    tell_all_a_batch: User "news: send a batch" in Quiet leaves ["", "3"], then ["3 4"];
    tell_all_in_place_of_the_dead: User "news: send in place of the dead" in Orphaned leaves [""], then ["5"];
    loan_of_a_broadcast_dropped: User "news: loan and drop" in Quiet leaves [], then [""], nested;
    hear: User "news: send and receive" in Quiet leaves [], then ["3"];
    come_to_hear_and_leave: User "news: take and leave" in Quiet leaves [], then [""];
    overwrite: User "ticks: send" in Empty leaves ["3 4 5 6", "4 5 6", "4 5 6 3"], then ["5 6 3"];
    overwrite_on_the_kernel: Kernel "ticks: send" in Empty
        leaves ["3 4 5 6", "4 5 6", "4 5 6 3"], then ["5 6 3"];

    send_a_stream: User "files: send" in Empty leaves [""], then ["3"];
    receive_a_stream: User "files: receive" in Empty leaves ["1", ""], then [""];
}
