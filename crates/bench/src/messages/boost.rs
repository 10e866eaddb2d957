//! Boost.Interprocess: its message queue, behind C functions that are compiled when they are needed.
#![allow(unsafe_code, reason = "a library that is loaded, and its functions")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute_copy;
use std::path::Path;
use std::process::Command;

use bytemuck::{bytes_of, bytes_of_mut};

use super::course::{Course, Shape, Waits, depth};
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

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
    let calls = load(&compiled(directory)?)?;
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

/// The library's path. It is compiled once in a run.
fn compiled(directory: &Path) -> Outcome<CString> {
    let library = directory.join("boost.so");
    if !library.exists() {
        let source = directory.join("boost.cc");
        std::fs::write(&source, SOURCE)?;
        let fresh = library.with_extension("fresh");
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++17", "-O3", "-DNDEBUG", "-shared", "-fPIC", "-pthread", "-o"]);
        let done = compiler.arg(&fresh).arg(&source).arg("-lrt").output();
        let done = done.map_err(|error| format!("no C++ compiler, c++: {error}"))?;
        if !done.status.success() {
            let text = String::from_utf8_lossy(&done.stderr);
            let line = text.lines().find(|line| line.contains("error")).unwrap_or_default();
            return Err(format!("c++: {line} (Debian: apt-get install libboost-dev)").into());
        }
        std::fs::rename(fresh, &library)?;
    }
    Ok(CString::new(library.into_os_string().into_encoded_bytes())?)
}

fn load(path: &CStr) -> Outcome<Calls> {
    // SAFETY: the library is ours; nothing in it runs when it is loaded but its C++ library's beginnings.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return Err("dlopen failed".into());
    }
    let find = |name: &CStr| -> Outcome<*mut c_void> {
        // SAFETY: a library that was loaded, and a name that ends.
        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
        if found.is_null() { Err(format!("no {name:?}").into()) } else { Ok(found) }
    };
    /// # Safety
    /// The function is of this type.
    unsafe fn function<F: Copy>(found: *mut c_void) -> F {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: so the caller says.
        unsafe { transmute_copy(&found) }
    }
    Ok(Calls {
        // SAFETY: as `boost.cc` declares it.
        create: unsafe { function(find(c"queue_create")?) },
        // SAFETY: as above.
        open: unsafe { function(find(c"queue_open")?) },
        // SAFETY: as above.
        send: unsafe { function(find(c"queue_send")?) },
        // SAFETY: as above.
        receive: unsafe { function(find(c"queue_receive")?) },
        // SAFETY: as above.
        remove: unsafe { function(find(c"queue_remove")?) },
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
                unsafe { (calls.create)(name.as_ptr(), depth(size_bytes), size_bytes) },
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
