//! ipc-channel: a Unix socket for each channel, shared memory for what is large.

use bytemuck::bytes_of;
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};

use super::course::Course;
use super::ends::{Ends, Side};
use super::pair::Prepared;
use crate::Outcome;

pub(super) fn prepare<const N: usize>(course: Course) -> Outcome<Prepared> {
    let (there, back) = (bytes_channel()?, bytes_channel()?);
    let spins = course.spins_by_calls();
    Ok(Prepared::processes::<_, N>(course, move |side| {
        Ok(match side {
            Side::First => IpcChannel { sender: there.0, receiver: back.1, spins },
            Side::Second => IpcChannel { sender: back.0, receiver: there.1, spins },
        })
    }))
}

struct IpcChannel {
    sender: IpcBytesSender,
    receiver: IpcBytesReceiver,
    spins: bool,
}

impl<const N: usize> Ends<N> for IpcChannel {
    type Place = Vec<u8>;

    fn send(&mut self, message: &[u64; N]) -> Outcome {
        Ok(self.sender.send(bytes_of(message))?)
    }

    fn receive(&mut self, message: &mut Self::Place) -> Outcome {
        *message = if self.spins {
            loop {
                match self.receiver.try_recv() {
                    Ok(bytes) => break bytes,
                    Err(TryRecvError::Empty) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        } else {
            self.receiver.recv()?
        };
        Ok(())
    }
}
