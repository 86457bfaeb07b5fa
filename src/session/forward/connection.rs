//! One local TCP connection: a task that reads with credit and writes at the client's pace.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::holder;

/// Largest piece read at once, bytes.
pub(super) const CHUNK: usize = 16 * 1024;
/// Pieces a connection may have read and not sent on.
const CREDIT: usize = 2;
/// What a piece of data costs in memory besides its bytes.
const OVERHEAD: usize = 64;
/// How long a client may take to close after the remote end did.
const LINGER: Duration = Duration::from_secs(2);

/// What a connection's task tells the forward.
#[derive(Debug)]
pub(super) enum Local {
    /// Bytes from the client. Costs one credit; [`Connection::grant`] gives it back.
    Data(u32, Bytes),
    /// The client sends no more. It may still read.
    HalfClosed(u32),
    /// The client is gone.
    Gone(u32),
}

/// Bytes that local clients have not taken yet, over all connections of a forward.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    total: AtomicUsize,
    fell: Notify,
}

impl Backlog {
    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Waits until some of it was taken.
    pub(super) async fn fell(&self) {
        self.fell.notified().await;
    }
}

/// Bytes on their way to a client; counted in the backlog until they are dropped.
#[derive(Debug)]
struct Parcel {
    bytes: Bytes,
    own: Arc<AtomicUsize>,
    backlog: Arc<Backlog>,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let weight = self.bytes.len() + OVERHEAD;
        self.own.fetch_sub(weight, Ordering::Relaxed);
        self.backlog.total.fetch_sub(weight, Ordering::Relaxed);
        self.backlog.fell.notify_one();
    }
}

/// The forward's hold on a connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The client's address.
    pub(super) peer: SocketAddr,
    /// Whether the remote end ever sent anything.
    pub(super) answered: bool,
    down: mpsc::UnboundedSender<Parcel>,
    credit: Arc<Semaphore>,
    abort: oneshot::Sender<()>,
    own: Arc<AtomicUsize>,
    backlog: Arc<Backlog>,
}

impl Connection {
    /// Starts the task of a connection. `id` comes back in all that it tells.
    pub(super) fn start(
        id: u32,
        stream: TcpStream,
        peer: SocketAddr,
        up: mpsc::Sender<Local>,
        backlog: Arc<Backlog>,
    ) -> Self {
        let (down, from_remote) = mpsc::unbounded_channel();
        let (abort, aborted) = oneshot::channel();
        let credit = Arc::new(Semaphore::new(CREDIT));
        tokio::spawn(run(id, stream, peer, up, from_remote, credit.clone(), aborted));
        Self { peer, answered: false, down, credit, abort, own: Arc::default(), backlog }
    }

    /// Sends bytes to the client, at its pace. The caller bounds the backlog.
    pub(super) fn send(&mut self, bytes: Bytes) {
        self.answered = true;
        let weight = bytes.len() + OVERHEAD;
        let own = self.own.fetch_add(weight, Ordering::Relaxed);
        self.backlog.total.fetch_add(weight, Ordering::Relaxed);
        // A slice keeps the whole buffer alive that it was cut from: not for a client that lags.
        let bytes = if own > 0 { Bytes::copy_from_slice(&bytes) } else { bytes };
        let _ = self.down.send(Parcel { bytes, own: self.own.clone(), backlog: self.backlog.clone() });
    }

    /// Gives back the credit of one [`Local::Data`].
    pub(super) fn grant(&self) {
        self.credit.add_permits(1);
    }

    /// Bytes that the client has not taken yet.
    pub(super) fn backlog(&self) -> usize {
        self.own.load(Ordering::Relaxed)
    }

    /// The remote end closed: the client gets what is queued, then the end.
    pub(super) fn finish(self) {}

    /// The remote end broke: the client gets a reset, so that it cannot take what it has for all
    /// there was.
    pub(super) fn reset(self) {
        let _ = self.abort.send(());
    }
}

/// Closes a client's connection with a reset.
pub(super) fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

async fn run(
    id: u32,
    mut stream: TcpStream,
    peer: SocketAddr,
    up: mpsc::Sender<Local>,
    mut down: mpsc::UnboundedReceiver<Parcel>,
    credit: Arc<Semaphore>,
    aborted: oneshot::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let aborted = async {
        match aborted.await {
            Ok(()) => {}
            // Finished in an orderly way: never mind.
            Err(_) => std::future::pending().await,
        }
    };
    let writing = async {
        while let Some(parcel) = down.recv().await {
            write_all(&stream, &parcel.bytes).await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        // A reset lets go of the other channel too, which must not pass for an orderly end.
        biased;
        () = aborted => return reset(stream),
        () = read(id, &stream, peer, &up, &credit) => {
            let _ = up.send(Local::Gone(id)).await;
            return;
        }
        written = writing => if written.is_err() {
            let _ = up.send(Local::Gone(id)).await;
            return;
        }
    }
    // All was written. Closing with unread bytes in the socket would be a reset and could take
    // back what the client has not read yet, so those are read first.
    let _ = stream.shutdown().await;
    let _ = timeout(LINGER, async { while !read_chunk(&stream).await.is_ok_and(|b| b.is_empty()) {} }).await;
}

/// Reads for as long as the client is there.
async fn read(id: u32, stream: &TcpStream, peer: SocketAddr, up: &mpsc::Sender<Local>, credit: &Semaphore) {
    loop {
        let Ok(permit) = credit.acquire().await else { return };
        permit.forget();
        match read_chunk(stream).await {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                if up.send(Local::Data(id, bytes)).await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    if up.send(Local::HalfClosed(id)).await.is_ok() {
        abandoned(stream, peer).await;
    }
}

/// Waits until a client that has shut down its sending side is gone altogether: where the
/// system tells, at once; elsewhere when the system's probes find nobody (a minute or two).
async fn abandoned(stream: &TcpStream, peer: SocketAddr) {
    let since = Instant::now();
    let ours = stream.local_addr();
    let probes =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(15));
    let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
    // The usual end is the remote one's answer to this: it should come first.
    let mut pause = Duration::from_millis(100);
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
        if stream.take_error().is_ok_and(|error| error.is_some()) {
            return;
        }
        if let Ok(ours) = ours
            && holder::is_abandoned(ours, peer, since) == Some(true)
        {
            return;
        }
    }
}

async fn read_chunk(stream: &TcpStream) -> io::Result<Bytes> {
    loop {
        stream.readable().await?;
        // On the stack, so that a thousand idle connections cost nothing.
        let mut buffer = [0; CHUNK];
        match stream.try_read(&mut buffer) {
            Ok(n) => return Ok(Bytes::copy_from_slice(&buffer[..n])),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
