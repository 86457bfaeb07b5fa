//! Basic port sessions: one connection at a time, raw (protocol.md 7.3).
//!
//! Old agents forward so, and every agent serves AWS-StartSSHSession so.

use bytes::{Buf, Bytes, BytesMut};
use ecsx::ssm::wire::PayloadType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::End;
use super::link::{Link, Over};
use super::port::Destination;
use crate::session::Session;

const DISCONNECT_TO_PORT: &[u8] = &[0, 0, 0, 1];
pub(super) const TERMINATE_SESSION: &[u8] = &[0, 0, 0, 2];

/// Serves to the session's end. `once`: it ends with the first connection, as ssh's does.
pub(super) async fn serve(link: &mut Link, destination: &Destination<'_>, once: bool) -> End {
    let session = link.session.clone();
    let mut connection = match dial(destination, &session).await {
        Ok(connection) => Some(connection.into_split()),
        Err(end) => return end,
    };
    let mut pending = Bytes::new();
    let mut buffer = BytesMut::new();
    loop {
        let (mut reader, mut writer) = match &mut connection {
            Some((reader, writer)) => (Some(reader), Some(writer)),
            None => (None, None),
        };
        let (reading, writing) = (link.has_room(), !pending.is_empty());
        tokio::select! {
            input = link.input(!writing) => {
                let input = match input {
                    Ok(Some(input)) => input,
                    Ok(None) => continue,
                    Err(Over) => return End::Over,
                };
                match (input.payload_type, &input.payload[..]) {
                    (PayloadType::Output, _) => {
                        if connection.is_none() {
                            match dial(destination, &session).await {
                                Ok(stream) => connection = Some(stream.into_split()),
                                Err(end) => return end,
                            }
                        }
                        pending = input.payload;
                        continue;
                    }
                    (PayloadType::Flag, DISCONNECT_TO_PORT) => connection = None,
                    (PayloadType::Flag, TERMINATE_SESSION) => {
                        link.took();
                        return End::Flag;
                    }
                    _ => {}
                }
                link.took();
            }
            written = async { match &mut writer {
                Some(writer) => writer.write(&pending).await,
                None => Ok(pending.len()),
            } }, if writing => {
                match written {
                    Ok(written) => pending.advance(written),
                    Err(_) => (connection, pending) = (None, Bytes::new()),
                }
                if pending.is_empty() {
                    link.took();
                }
            }
            more = read(&mut reader, &mut buffer), if reader.is_some() && reading => {
                match more {
                    Some(bytes) => link.send(PayloadType::Output, bytes),
                    None if once => return End::Finished,
                    // The client is not told: it will notice when it writes (a habit of the real one).
                    None => connection = None,
                }
            }
        }
    }
}

async fn read(reader: &mut Option<&mut OwnedReadHalf>, buffer: &mut BytesMut) -> Option<Bytes> {
    let reader = reader.as_mut()?;
    buffer.reserve(1024);
    match reader.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(buffer.split().freeze()),
    }
}

async fn dial(destination: &Destination<'_>, session: &Session) -> Result<TcpStream, End> {
    let failed =
        |error| End::Failed(format!("----------ERROR-------\nUnable to connect to specified port: {error}"));
    destination.dial(session).await.map_err(failed)
}
