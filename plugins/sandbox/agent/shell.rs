//! Terminal sessions: shells, and the commands of ECS Exec (protocol.md 6.1).

use std::time::Duration;

use bytes::{Buf, Bytes};
use ecsx::ssm::wire::PayloadType;
use serde::Deserialize;

use super::End;
use super::link::{Link, Over};
use super::terminal::{Keyboard, Screen, Terminal};
use super::{utf8, words};

/// The agent does not look at the terminal before.
const START: Duration = Duration::from_secs(1);
/// How long it takes to say that a command cannot be started.
const FAILURE: Duration = Duration::from_secs(2);
const READ: usize = 1024;

#[derive(Deserialize)]
struct Size {
    cols: u32,
    rows: u32,
}

/// Runs a command to its end. In a container no shell reads the line; an empty one is `sh`.
pub(super) async fn serve(link: &mut Link, command: &str) -> End {
    let words = match words::split(command) {
        Ok(words) if words.is_empty() => vec!["sh".to_owned()],
        Ok(words) => words,
        Err(error) => return failed(link, error).await,
    };
    let (terminal, screen, keyboard) = match Terminal::start(&words) {
        Ok(started) => started,
        Err(error) => return failed(link, &error).await,
    };
    relay(link, &terminal, screen, keyboard).await
}

async fn relay(link: &mut Link, terminal: &Terminal, mut screen: Screen, mut keyboard: Keyboard) -> End {
    let start = tokio::time::sleep(START);
    tokio::pin!(start);
    let mut started = false;
    let (mut typed, mut gone) = (Bytes::new(), false);
    let (mut output, mut buffer) = (Vec::new(), [0; READ]);
    loop {
        let (typing, reading) = (!typed.is_empty(), started && link.has_room());
        tokio::select! {
            input = link.input(!typing) => {
                let input = match input {
                    Ok(Some(input)) => input,
                    Ok(None) => continue,
                    Err(Over) => return End::Over,
                };
                match input.payload_type {
                    PayloadType::Output if gone => link.refuse(),
                    PayloadType::Output => typed = input.payload,
                    PayloadType::Size => match serde_json::from_slice(&input.payload) {
                        Ok(Size { cols, rows }) => {
                            terminal.resize(cols, rows);
                            link.took();
                        }
                        Err(_) => link.refuse(),
                    },
                    _ => link.took(),
                }
            }
            written = keyboard.write(&typed), if typing => match written {
                Ok(written) => {
                    typed.advance(written);
                    if typed.is_empty() {
                        link.took();
                    }
                }
                Err(_) => {
                    (typed, gone) = (Bytes::new(), true);
                    link.refuse();
                }
            },
            () = &mut start, if !started => started = true,
            read = screen.read(&mut buffer), if reading => {
                if read == 0 {
                    // An unfinished character goes down with the terminal.
                    return End::Finished;
                }
                output.extend_from_slice(&buffer[..read]);
                link.send_whole(PayloadType::Output, utf8::take(&mut output).into());
            }
        }
    }
}

/// Nothing was started: the agent says so two seconds later.
async fn failed(link: &mut Link, error: &str) -> End {
    let wait = async {
        loop {
            match link.input(true).await {
                Ok(Some(_)) => link.took(),
                Ok(None) => {}
                Err(Over) => return,
            }
        }
    };
    match tokio::time::timeout(FAILURE, wait).await {
        Ok(()) => End::Over,
        Err(_) => {
            let text =
                format!("----------ERROR-------\nUnable to start command: Failed to start pty: {error}");
            End::Failed(text)
        }
    }
}
