//! Boost.Interprocess: its message queue, behind C functions that are compiled when they are needed.
#![allow(unsafe_code, reason = "a library that is loaded, and its functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;

use bytemuck::{bytes_of, bytes_of_mut};

use super::course::{Course, Shape, Waits};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;
use crate::library::Library;

const SOURCE: &str = include_str!("boost.cc");

/// The library's functions, as `boost.cc` declares them.
#[derive(Clone, Copy)]
struct Calls {
    create: unsafe extern "C" fn(*const c_char, usize, usize) -> *mut c_void,
    open: unsafe extern "C" fn(*const c_char) -> *mut c_void,
    send: unsafe extern "C" fn(*mut c_void, *const u8, usize, c_int) -> c_int,
    receive: unsafe extern "C" fn(*mut c_void, *mut u8, usize, c_int) -> c_int,
    remove: unsafe extern "C" fn(*const c_char),
}

pub(super) fn prepare<const N: usize>(course: Course, directory: &Path) -> Outcome<Prepared> {
    let calls = load(directory)?;
    Ok(Prepared::processes::<_, N>(course, move |side| {
        let there = Queue::new(calls, c"coseg-bench-there", side, course)?;
        if course.shape == Shape::Crowd {
            return Ok(Boost { calls, input: there.clone(), output: there, waits: 0 });
        }
        let back = Queue::new(calls, c"coseg-bench-back", side, course)?;
        let (input, output) = if side == Side::First { (there, back) } else { (back, there) };
        Ok(Boost { calls, input, output, waits: c_int::from(course.waits == Waits::Sleeping) })
    }))
}

fn load(directory: &Path) -> Outcome<Calls> {
    let library = Library::compiled(directory, "boost-queue", SOURCE)?;
    Ok(Calls {
        // SAFETY: as `boost.cc` declares it.
        create: unsafe { library.function(c"queue_create")? },
        // SAFETY: as above.
        open: unsafe { library.function(c"queue_open")? },
        // SAFETY: as above.
        send: unsafe { library.function(c"queue_send")? },
        // SAFETY: as above.
        receive: unsafe { library.function(c"queue_receive")? },
        // SAFETY: as above.
        remove: unsafe { library.function(c"queue_remove")? },
    })
}

/// A queue, mapped for ever, and removed by who made it.
#[derive(Clone)]
struct Queue {
    queue: *mut c_void,
    _made: Option<std::rc::Rc<Made>>,
}

struct Made(Calls, &'static CStr);

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: a name that ends.
        unsafe { (self.0.remove)(self.1.as_ptr()) };
    }
}

impl Queue {
    fn new(calls: Calls, name: &'static CStr, side: Side, course: Course) -> Outcome<Queue> {
        let size_bytes = course.size_bytes;
        let (queue, made) = match side {
            // SAFETY: a name that ends, and numbers.
            Side::First => (
                unsafe { (calls.create)(name.as_ptr(), course.depth(), size_bytes) },
                Some(std::rc::Rc::new(Made(calls, name))),
            ),
            // SAFETY: a name that ends.
            Side::Second => (unsafe { (calls.open)(name.as_ptr()) }, None),
        };
        if queue.is_null() { Err("no queue".into()) } else { Ok(Queue { queue, _made: made }) }
    }
}

struct Boost {
    calls: Calls,
    input: Queue,
    output: Queue,
    waits: c_int,
}

/// Whether a call is done, not to be made again.
fn done(result: c_int) -> Outcome<bool> {
    if result < 0 { Err("an exception".into()) } else { Ok(result == 1) }
}

impl<const N: usize> Ends<N> for Boost {
    type Place = Box<[u64; N]>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        let bytes = bytes_of(message);
        let (send, queue, start) = (self.calls.send, self.input.queue, bytes.as_ptr());
        // SAFETY: a queue that is open, and so many bytes.
        while !done(unsafe { send(queue, start, bytes.len(), self.waits) })? {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        let bytes = bytes_of_mut(&mut **message);
        let (receive, queue, start) = (self.calls.receive, self.output.queue, bytes.as_mut_ptr());
        // SAFETY: a queue that is open, and room for so many bytes; any are a message.
        while !done(unsafe { receive(queue, start, bytes.len(), self.waits) })? {
            std::hint::spin_loop();
        }
        Ok(())
    }
}
