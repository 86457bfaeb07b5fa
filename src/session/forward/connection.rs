//! One local TCP connection: a task that reads with credit and writes at the client's pace.

use std::io::{self, IoSlice};
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
/// Pieces written to a client at once: the agent sends a kilobyte in each.
const GATHER: usize = 64;
/// What a piece of data costs in memory besides its bytes.
const OVERHEAD: usize = 64;
/// How long a client may take to close after the remote end did.
const LINGER: Duration = Duration::from_secs(2);

/// What a connection's task tells the forward.
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
pub(super) struct Connection {
    /// The client's address.
    pub(super) peer: SocketAddr,
    /// Whether the remote end ever sent anything.
    pub(super) answered: bool,
    /// Since when the client sends no more and nothing has come for it.
    pub(super) half_closed: Option<Instant>,
    down: mpsc::UnboundedSender<Parcel>,
    credit: Arc<Semaphore>,
    complete: oneshot::Sender<()>,
    own: Arc<AtomicUsize>,
    backlog: Arc<Backlog>,
}

impl Connection {
    /// Starts the task of a connection. `id` comes back in all that it tells. Dropped, it is reset:
    /// `stream` is [distrusted](distrust).
    pub(super) fn start(
        id: u32,
        stream: TcpStream,
        peer: SocketAddr,
        up: mpsc::Sender<Local>,
        backlog: Arc<Backlog>,
    ) -> Self {
        let (down, from_remote) = mpsc::unbounded_channel();
        let (complete, completed) = oneshot::channel();
        let credit = Arc::new(Semaphore::new(CREDIT));
        tokio::spawn(run(id, stream, peer, up, from_remote, credit.clone(), completed));
        Self {
            peer,
            answered: false,
            half_closed: None,
            down,
            credit,
            complete,
            own: Arc::default(),
            backlog,
        }
    }

    /// Sends bytes to the client, at its pace. The caller bounds the backlog.
    pub(super) fn send(&mut self, bytes: Bytes) {
        self.answered = true;
        self.half_closed = self.half_closed.map(|_| Instant::now());
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

    /// The remote end closed: the client gets what is queued, however long it takes for that,
    /// then the end.
    pub(super) fn finish(self) {
        let _ = self.complete.send(());
    }

    /// The remote end broke: the client gets a reset, so that it cannot take what it has for all
    /// there was.
    pub(super) fn reset(self) {}
}

/// Makes a connection end with a reset, whatever becomes of this process, unless
/// [`Connection::finish`] was reached: nobody shall take a part for the whole.
pub(super) fn distrust(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn run(
    id: u32,
    mut stream: TcpStream,
    peer: SocketAddr,
    up: mpsc::Sender<Local>,
    mut down: mpsc::UnboundedReceiver<Parcel>,
    credit: Arc<Semaphore>,
    completed: oneshot::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let dropped = async {
        if completed.await.is_ok() {
            std::future::pending().await
        }
    };
    let writing = async {
        let mut parcels = Vec::new();
        while down.recv_many(&mut parcels, GATHER).await > 0 {
            write_all(&stream, &mut parcels).await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        // Dropping lets go of the other channel too, which must not pass for an orderly end.
        biased;
        () = dropped => return,
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
    let _ = SockRef::from(&stream).set_linger(None);
    let _ = stream.shutdown().await;
    let _ = timeout(LINGER, async { while !read_chunk(&stream).await.is_ok_and(|b| b.is_empty()) {} }).await;
}

/// Reads for as long as the client is there.
async fn read(id: u32, stream: &TcpStream, peer: SocketAddr, up: &mpsc::Sender<Local>, credit: &Semaphore) {
    loop {
        let Ok(permit) = credit.acquire().await else { return };
        permit.forget();
        let local = match read_chunk(stream).await {
            Ok(bytes) if bytes.is_empty() => Local::HalfClosed(id),
            Ok(bytes) => Local::Data(id, bytes),
            Err(_) => return,
        };
        let last = matches!(local, Local::HalfClosed(_));
        if up.send(local).await.is_err() {
            // The session has ended. That is no reason to keep back what came from it.
            return std::future::pending().await;
        }
        if last {
            return abandoned(stream, peer).await;
        }
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

async fn write_all(stream: &TcpStream, parcels: &mut Vec<Parcel>) -> io::Result<()> {
    // Bytes of the first that are out already.
    let mut written = 0;
    while !parcels.is_empty() {
        let all = parcels.iter().map(|parcel| &parcel.bytes[..]);
        let slices: Vec<_> =
            all.enumerate().map(|(at, b)| IoSlice::new(if at == 0 { &b[written..] } else { b })).collect();
        match stream.try_write_vectored(&slices) {
            Ok(n) => {
                written += n;
                let mut done = 0;
                while let Some(parcel) = parcels.get(done)
                    && written >= parcel.bytes.len()
                {
                    written -= parcel.bytes.len();
                    done += 1;
                }
                parcels.drain(..done);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// More than the kernel holds for a client that does not read.
    const MUCH: usize = 16 << 20;

    /// A client that has not read yet, and the connection with `MUCH` for it.
    async fn lagging() -> (TcpStream, Connection, mpsc::Receiver<Local>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        distrust(&stream);
        let (up, inbox) = mpsc::channel(1);
        let mut connection = Connection::start(3, stream, peer, up, Arc::default());
        for _ in 0..MUCH / CHUNK {
            connection.send(Bytes::from_static(&[7; CHUNK]));
        }
        (client, connection, inbox)
    }

    /// The remote end is done, and so is the session, while its last bytes wait for a slow client.
    #[tokio::test]
    async fn what_a_finished_connection_has_to_say_outlives_the_session() {
        let (mut client, connection, inbox) = lagging().await;
        connection.finish();
        drop(inbox);
        client.write_all(b"thanks, that was all").await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), MUCH);
    }

    #[tokio::test]
    async fn a_connection_that_was_not_finished_never_ends_like_one_that_was() {
        for reset in [true, false] {
            let (mut client, connection, inbox) = lagging().await;
            client.read_exact(&mut [0; 100]).await.unwrap();
            if reset {
                connection.reset();
            } else {
                drop((connection, inbox));
            }
            let error = client.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }
}
