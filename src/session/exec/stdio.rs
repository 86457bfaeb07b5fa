//! The local ends: threads, since a read from a terminal and a write to a pipe wait for as long
//! as they like, on every system.

use std::collections::VecDeque;
use std::io;
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::session::terminal::{read_stdin, write_stderr, write_stdout};

/// Bytes read at once.
const READ: usize = 16 << 10;
/// Pieces that may wait for a reader, and for a writer.
const QUEUE: (usize, usize) = (2, 64);

/// Which local stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Local {
    Stdout,
    Stderr,
}

/// Reads stdin from now on; the channel's end is stdin's.
pub(super) fn stdin() -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(QUEUE.0);
    thread::spawn(move || {
        let mut buffer = vec![0; READ];
        loop {
            let read = match read_stdin(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Ok(Bytes::copy_from_slice(&buffer[..n])),
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// Writes to stdout and stderr in the order given.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<(Local, Bytes)>>,
    done: mpsc::Receiver<io::Result<()>>,
}

impl Writer {
    pub(super) fn start() -> Self {
        let (queue, mut pieces) = mpsc::channel::<(Local, Bytes)>(QUEUE.1);
        let (told, done) = mpsc::channel(1);
        thread::spawn(move || {
            let mut result = Ok(());
            while let Some((local, bytes)) = pieces.blocking_recv() {
                let written = match local {
                    Local::Stdout => write_stdout(&bytes),
                    // A stderr that is gone is no reason to fail.
                    Local::Stderr => write_stderr(&bytes).or(Ok(())),
                };
                if written.is_err() {
                    result = written;
                    break;
                }
            }
            let _ = told.blocking_send(result);
        });
        Self { queue: Some(queue), done }
    }

    /// Waits for room, then takes what there is room for. Cancel-safe. `false`: nobody reads
    /// stdout any more.
    pub(super) async fn take(&self, pieces: &mut VecDeque<(Local, Bytes)>) -> bool {
        let Some(queue) = &self.queue else { return false };
        let Ok(mut room) = queue.reserve().await else { return false };
        while let Some(piece) = pieces.pop_front() {
            room.send(piece);
            match queue.try_reserve() {
                Ok(more) => room = more,
                Err(_) => break,
            }
        }
        true
    }

    /// Writes what is queued: how writing went, over all.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.queue = None;
        self.done.recv().await.unwrap_or(Ok(()))
    }
}
