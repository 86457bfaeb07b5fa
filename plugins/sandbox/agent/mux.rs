//! Multiplexed port sessions: the server end of smux version 1 (protocol.md 7.4, 7.5).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ecsx::ssm::wire::PayloadType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::End;
use super::basic::TERMINATE_SESSION;
use super::link::{Link, Over};
use super::port::Destination;

const VERSION: u8 = 1;
const SYN: u8 = 0;
const FIN: u8 = 1;
const PSH: u8 = 2;
const NOP: u8 = 3;
const UPD: u8 = 4;
const HEADER: usize = 8;
/// Largest frame sent, bytes of data.
const FRAME: usize = 32_768;
/// What all streams of a session may hold together before nothing more is read, bytes.
const BUCKET: usize = 4_194_304;
/// What a stream that waits to be accepted takes of the bucket: 1024 of them fill it.
const WAITING: usize = BUCKET / 1024;
const CONNECT_TO_PORT_ERROR: &[u8] = &[0, 0, 0, 3];

/// From a stream to the session.
enum Outgoing {
    Frame(Bytes),
    ConnectFailed,
}

/// Bytes taken from the client that no connection has taken yet. Full, the session stands still
/// until one does: smux version 1 has no flow control of single streams.
#[derive(Default)]
struct Bucket {
    held: AtomicUsize,
    freed: Notify,
}

impl Bucket {
    fn put(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.freed.notify_one();
    }

    fn has_room(&self) -> bool {
        self.held.load(Ordering::Relaxed) < BUCKET
    }
}

/// A stream that the client has opened.
struct Opened {
    id: u32,
    data: mpsc::UnboundedReceiver<Bytes>,
}

/// Serves to the session's end.
pub(super) async fn serve(link: &mut Link, destination: &Destination<'_>, keep_alive: bool) -> End {
    let bucket = Arc::new(Bucket::default());
    let (opened, accepting) = mpsc::unbounded_channel();
    let (sender, mut outgoing) = mpsc::channel(16);
    let mut demux = Demux {
        bytes: BytesMut::new(),
        streams: HashMap::new(),
        opened,
        bucket: bucket.clone(),
        broken: false,
    };
    let session = link.session.clone();
    let accept = accept(destination, &session, accepting, sender, bucket.clone());
    tokio::pin!(accept);
    let nop = Duration::from_secs(10);
    let mut nops = tokio::time::interval_at(tokio::time::Instant::now() + nop, nop);
    let mut checks = tokio::time::interval(Duration::from_secs(30));
    let mut heard = true;
    loop {
        let (taking, sending) = (bucket.has_room(), link.has_room());
        tokio::select! {
            input = link.input(taking) => {
                let input = match input {
                    Ok(Some(input)) => input,
                    Ok(None) => continue,
                    Err(Over) => return End::Over,
                };
                match (input.payload_type, &input.payload[..]) {
                    (PayloadType::Output, _) => {
                        heard = true;
                        demux.receive(&input.payload);
                    }
                    (PayloadType::Flag, TERMINATE_SESSION) => {
                        session.counters.flagged.store(true, Ordering::Relaxed);
                        link.took();
                        return End::Flag;
                    }
                    _ => {}
                }
                link.took();
            }
            () = bucket.freed.notified(), if !taking => {}
            Some(message) = outgoing.recv(), if sending => match message {
                Outgoing::Frame(frame) => link.send(PayloadType::Output, frame),
                Outgoing::ConnectFailed => link.send(PayloadType::Flag, Bytes::from_static(CONNECT_TO_PORT_ERROR)),
            },
            () = &mut accept => {}
            _ = nops.tick(), if keep_alive => link.send(PayloadType::Output, frame(NOP, 0, &[])),
            _ = checks.tick(), if keep_alive => {
                if !std::mem::take(&mut heard) {
                    return End::Finished;
                }
            }
        }
    }
}

/// Takes the client's byte stream apart.
struct Demux {
    bytes: BytesMut,
    streams: HashMap<u32, mpsc::UnboundedSender<Bytes>>,
    opened: mpsc::UnboundedSender<Opened>,
    bucket: Arc<Bucket>,
    /// The byte stream made no sense: nothing more is read, and nobody is told.
    broken: bool,
}

impl Demux {
    fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while self.bytes.len() >= HEADER && !self.broken {
            let header = &self.bytes[..HEADER];
            let (version, command) = (header[0], header[1]);
            let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
            let id = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
            if version != VERSION || command > UPD {
                self.broken = true;
                return;
            }
            // Only PSH has data; a length in other frames is not believed (a trap of the real one).
            let length = if command == PSH { length } else { 0 };
            // An update of version 2 has 8 bytes that a version 1 reader skips.
            let skipped = if command == UPD { 8 } else { 0 };
            if self.bytes.len() < HEADER + length + skipped {
                return;
            }
            self.bytes.advance(HEADER);
            let data = self.bytes.split_to(length).freeze();
            self.bytes.advance(skipped);
            match command {
                SYN => self.open(id),
                FIN => drop(self.streams.remove(&id)),
                PSH => self.push(id, data),
                _ => {}
            }
        }
    }

    fn open(&mut self, id: u32) {
        if self.streams.contains_key(&id) {
            return;
        }
        let (sender, data) = mpsc::unbounded_channel();
        self.streams.insert(id, sender);
        self.bucket.put(WAITING);
        let _ = self.opened.send(Opened { id, data });
    }

    fn push(&mut self, id: u32, data: Bytes) {
        let Some(stream) = self.streams.get(&id) else { return };
        let length = data.len();
        self.bucket.put(length);
        if length == 0 || stream.send(data).is_err() {
            self.bucket.take(length);
        }
    }
}

/// Accepts streams one after the other: a slow destination holds up those behind it.
async fn accept(
    destination: &Destination<'_>,
    session: &crate::session::Session,
    mut opened: mpsc::UnboundedReceiver<Opened>,
    sender: mpsc::Sender<Outgoing>,
    bucket: Arc<Bucket>,
) {
    let mut streams = JoinSet::new();
    loop {
        let Opened { id, data } = tokio::select! {
            Some(opened) = opened.recv() => opened,
            Some(_) = streams.join_next() => continue,
            else => return,
        };
        bucket.take(WAITING);
        match destination.dial(session).await {
            Ok(connection) => {
                streams.spawn(stream(id, connection, data, sender.clone(), bucket.clone()));
            }
            Err(_) => {
                empty(data, &bucket);
                let _ = sender.send(Outgoing::ConnectFailed).await;
                let _ = sender.send(Outgoing::Frame(frame(FIN, id, &[]))).await;
            }
        }
    }
}

/// Relays one stream until either end is done: there is no half-close.
async fn stream(
    id: u32,
    mut connection: TcpStream,
    mut data: mpsc::UnboundedReceiver<Bytes>,
    sender: mpsc::Sender<Outgoing>,
    bucket: Arc<Bucket>,
) {
    let (mut reader, mut writer) = connection.split();
    let upload = async {
        while let Some(bytes) = data.recv().await {
            let written = writer.write_all(&bytes).await;
            bucket.take(bytes.len());
            if written.is_err() {
                return;
            }
        }
    };
    let download = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(FRAME);
            match (&mut reader).take(FRAME as u64).read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if sender.send(Outgoing::Frame(frame(PSH, id, &buffer))).await.is_err() {
                return;
            }
            buffer.clear();
        }
    };
    tokio::select! {
        () = upload => {}
        () = download => {}
    }
    drop(connection);
    empty(data, &bucket);
    let _ = sender.send(Outgoing::Frame(frame(FIN, id, &[]))).await;
}

/// What waits for a closed stream goes nowhere.
fn empty(mut data: mpsc::UnboundedReceiver<Bytes>, bucket: &Bucket) {
    data.close();
    while let Ok(bytes) = data.try_recv() {
        bucket.take(bytes.len());
    }
}

fn frame(command: u8, id: u32, data: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER + data.len());
    frame.put_u8(VERSION);
    frame.put_u8(command);
    frame.put_u16_le(data.len() as u16);
    frame.put_u32_le(id);
    frame.put_slice(data);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demux() -> (Demux, mpsc::UnboundedReceiver<Opened>) {
        let (opened, accepting) = mpsc::unbounded_channel();
        let bucket = Arc::default();
        (Demux { bytes: BytesMut::new(), streams: HashMap::new(), opened, bucket, broken: false }, accepting)
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let (mut demux, mut opened) = demux();
        let bytes = [frame(SYN, 3, &[]), frame(PSH, 3, b"hello"), frame(FIN, 3, &[])].concat();
        for byte in bytes {
            demux.receive(&[byte]);
        }
        let mut stream = opened.try_recv().unwrap();
        assert_eq!(stream.id, 3);
        assert_eq!(stream.data.try_recv().unwrap(), &b"hello"[..]);
        assert_eq!(stream.data.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn a_bad_version_ends_the_reading_in_silence() {
        let (mut demux, mut opened) = demux();
        demux.receive(&[9, 0, 0, 0, 3, 0, 0, 0]);
        demux.receive(&frame(SYN, 3, &[]));
        assert!(demux.broken && opened.try_recv().is_err());
    }

    #[test]
    fn unread_bytes_fill_the_bucket_until_they_are_taken() {
        let (mut demux, mut opened) = demux();
        demux.receive(&frame(SYN, 3, &[]));
        for _ in 0..BUCKET / FRAME {
            demux.receive(&frame(PSH, 3, &[0; FRAME]));
        }
        assert!(!demux.bucket.has_room());
        empty(opened.try_recv().unwrap().data, &demux.bucket);
        assert!(demux.bucket.has_room());
    }
}
