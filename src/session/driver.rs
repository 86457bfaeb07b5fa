//! One session: its machine, its timer, and the WebSocket of the moment, in the hands of one
//! task. Losing the socket is an event here, not an end: it is dialled again, with the
//! session resumed, for as long as it takes.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::time::{Sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::ecs::{Cloud, Ticket};
use crate::ssm::channel::{self, Channel, Flag, Input, Key, Output, Ready, Stream};

use super::backoff::{Backoff, random};
use super::calls::{self, Joined};
use super::dial::Network;
use super::error::SessionError;
use super::link::{Broken, Link};
use super::liveness;

/// WebSocket messages taken before the application is heard again.
const BATCH: usize = 16;
/// Refusals of ResumeSession or of the gateway that are not believed yet.
const RESUMES: u32 = 2;
/// How long the agent may take to acknowledge that the session is left. The service is told after
/// that, and must have most of [`calls::FAREWELL`] left for it.
const FAREWELL: Duration = Duration::from_millis(400);

/// What a session tells its application.
pub enum Event {
    /// It can be used.
    Ready(Ready),
    /// Bytes from the remote end, in order, once.
    Data(Stream, Bytes),
    /// The remote command's exit code.
    ExitCode(i32),
    /// A destination could not be reached; the FIN that follows says which.
    ConnectFailed,
    /// The gateway asks to stop sending (`false`), or lets go.
    Publication(bool),
    /// [`Session::capacity`] was exhausted and no longer is.
    Writable,
    /// A flag, and all that was sent before it, is acknowledged.
    FlagTaken,
    /// The agent gave a sign of life, asked for by [`Session::tell_when_heard`].
    Heard,
    /// The WebSocket is gone, why; resuming goes on in [`Session::next`].
    Lost(String),
    /// An attempt to resume failed; more follow.
    Retrying(SessionError),
    /// The session goes on, so long after it was lost: something has come through a new WebSocket.
    Resumed(Duration),
    /// It is over, for this reason. Nothing follows.
    Ended(SessionError),
}

/// The WebSocket, or what is being done about it.
enum Contact {
    Up(Box<Link>),
    Joining(Pin<Box<dyn Future<Output = Result<Joined, SessionError>> + Send>>),
    Waiting(Pin<Box<Sleep>>),
    Over,
}

type KeyAnswer = Pin<Box<dyn Future<Output = Result<Key, String>> + Send>>;

/// One session with an agent, through as many WebSockets as it takes.
pub struct Session<C> {
    cloud: Arc<C>,
    network: Arc<Network>,
    id: String,
    stream_url: String,
    ssm_target: String,
    channel: Channel,
    contact: Contact,
    /// What the application has not been told yet.
    events: VecDeque<Event>,
    holding: bool,
    exhausted: bool,
    flagged: bool,
    /// Since when a sign of life is asked for.
    asked: Option<Instant>,
    /// Since when an agent that lives would be heard: the socket is there, and is read.
    audible: Option<Instant>,
    key: Option<KeyAnswer>,
    lost: Option<Instant>,
    /// When the socket of the moment, or the last one, was opened.
    joined: Option<Instant>,
    backoff: Backoff,
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<C: Cloud> Session<C> {
    /// A session on `ticket`; `ssm_target` is the target it was asked for with.
    /// `expect_handshake`: whether the agent is sure to begin with one, as for port sessions.
    /// Nothing is dialled before the first [`Self::next`].
    pub fn new(
        cloud: Arc<C>,
        network: Arc<Network>,
        ticket: Ticket,
        ssm_target: String,
        expect_handshake: bool,
    ) -> Result<Self, SessionError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| SessionError::Broken(format!("no random numbers: {e}")))?;
        let config = channel::Config::new(seed, (Instant::now(), SystemTime::now()), expect_handshake);
        let Ticket { session_id, stream_url, token } = ticket;
        let first = calls::join(cloud.clone(), network.clone(), stream_url.clone(), token);
        Ok(Self {
            cloud,
            network,
            id: session_id,
            stream_url,
            ssm_target,
            channel: Channel::new(config),
            contact: Contact::Joining(Box::pin(first)),
            events: VecDeque::new(),
            holding: false,
            exhausted: true,
            flagged: false,
            asked: None,
            audible: None,
            key: None,
            lost: None,
            joined: None,
            backoff: Backoff::default(),
            deadline: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        })
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the WebSocket is gone, and since when.
    pub fn lost_since(&self) -> Option<Instant> {
        self.lost
    }

    /// Bytes that [`Self::write`] takes now. Once it is zero, [`Event::Writable`] tells when
    /// there is room again.
    pub fn capacity(&self) -> usize {
        self.channel.capacity()
    }

    /// Whether the agent has acknowledged everything.
    pub fn is_drained(&self) -> bool {
        self.channel.is_drained()
    }

    /// Since when the oldest unacknowledged message has waited.
    pub fn unacknowledged_since(&self) -> Option<Instant> {
        self.channel.unacknowledged_since()
    }

    /// When the agent last gave a sign of life.
    pub fn agent_heard(&self) -> Option<Instant> {
        self.channel.agent_heard()
    }

    /// Since when the agent has said nothing though it was sent something. `None` while it owes
    /// nothing, and while it could not be heard anyway: without a socket, or held. A pause that the
    /// gateway asks for is no excuse: the oldest message goes out all the same, every second.
    pub fn silent_since(&self) -> Option<Instant> {
        let since = self.channel.unacknowledged_since()?.max(self.audible?);
        Some(self.channel.agent_heard().map_or(since, |heard| heard.max(since)))
    }

    /// Asks for [`Event::Heard`] at the agent's next sign of life.
    pub fn tell_when_heard(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// Sends at most [`Self::capacity`] bytes. They go out in the next [`Self::next`].
    pub fn write(&mut self, bytes: Bytes) {
        self.channel.handle_input(Instant::now(), Input::Write(bytes));
    }

    /// Tells the agent the terminal's size.
    pub fn resize(&mut self, cols: u32, rows: u32) {
        self.channel.handle_input(Instant::now(), Input::Resize { cols, rows });
    }

    /// Sends a flag.
    pub fn flag(&mut self, flag: Flag) {
        self.flagged = true;
        self.channel.handle_input(Instant::now(), Input::Flag(flag));
    }

    /// `true`: leave what arrives in the socket, the application has enough for now.
    pub fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// Drives the session until it has something to tell. Cancel-safe; nothing moves unless it
    /// is polled.
    pub async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        // What the application has written since may have used the window up.
        self.exhausted |= self.channel.capacity() == 0;
        loop {
            let mut moved = self.poll_key(cx);
            self.drain();
            if self.events.is_empty() {
                moved |= self.poll_contact(cx);
                moved |= self.poll_timer(cx);
            }
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            let room = self.channel.capacity() > 0;
            if room && std::mem::replace(&mut self.exhausted, false) {
                return Poll::Ready(Event::Writable);
            }
            self.exhausted = !room;
            if self.flagged && self.channel.is_drained() {
                self.flagged = false;
                return Poll::Ready(Event::FlagTaken);
            }
            if self.asked.is_some() && self.channel.agent_heard() > self.asked {
                self.asked = None;
                return Poll::Ready(Event::Heard);
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// Moves the machine's outputs to where they belong.
    fn drain(&mut self) {
        while !matches!(&self.contact, Contact::Up(link) if link.is_stuck()) {
            match self.channel.poll_output() {
                Output::Transmit(frame) => self.transmit(match frame {
                    channel::Frame::Text(text) => Message::Text(text.into()),
                    channel::Frame::Binary(bytes) => Message::Binary(bytes),
                }),
                Output::Event(event) => self.on_event(event),
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
            }
        }
    }

    fn transmit(&mut self, message: Message) {
        // Without a socket it is dropped: the machine has it on record and sends it again.
        let Contact::Up(link) = &mut self.contact else { return };
        if let Err(why) = link.transmit(message, Instant::now()) {
            self.lose(why);
        }
    }

    fn on_event(&mut self, event: channel::Event) {
        self.events.push_back(match event {
            channel::Event::Ready(ready) => Event::Ready(ready),
            channel::Event::Data(stream, bytes) => Event::Data(stream, bytes),
            channel::Event::ExitCode(code) => Event::ExitCode(code),
            channel::Event::ConnectFailed => Event::ConnectFailed,
            channel::Event::Publication(on) => Event::Publication(on),
            channel::Event::KeyWanted { key_id, challenge } => {
                self.key = Some(Box::pin(calls::data_key(
                    self.cloud.clone(),
                    key_id,
                    challenge,
                    self.id.clone(),
                    self.ssm_target.clone(),
                )));
                return;
            }
            // One broken message is no news; a person who asks finds the count in the statistics.
            channel::Event::Refused(_) => return,
            channel::Event::Closed(text) => return self.end(SessionError::Closed(text)),
            channel::Event::Failed(text) => return self.end(SessionError::Broken(text)),
        });
    }

    fn end(&mut self, why: SessionError) {
        self.contact = Contact::Over;
        self.events.push_back(Event::Ended(why));
    }

    fn lose(&mut self, why: Broken) {
        if !matches!(self.contact, Contact::Up(_)) {
            return;
        }
        let now = Instant::now();
        // A socket that carried nothing is no reason to be quick again.
        if self.channel.agent_heard() > self.joined {
            self.backoff = Backoff::default();
        }
        self.channel.handle_input(now, Input::Disconnected);
        if self.lost.is_none() {
            self.lost = Some(now);
            self.events.push_back(Event::Lost(why.to_string()));
            return self.wait(false);
        }
        // Nothing ever came through it: that was one more attempt.
        let error = SessionError::from(why);
        if error.forbids_resuming() && self.backoff.attempts() > RESUMES {
            return self.end(error);
        }
        self.wait(error.needs_a_person());
        self.events.push_back(Event::Retrying(error));
    }

    /// The WebSocket of the moment works.
    fn works(&mut self) {
        if let Some(since) = self.lost.take() {
            self.events.push_back(Event::Resumed(since.elapsed()));
        }
    }

    fn wait(&mut self, person: bool) {
        let wait = self.backoff.next(person, random());
        self.contact = Contact::Waiting(Box::pin(tokio::time::sleep(wait)));
    }

    fn poll_key(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(Poll::Ready(answer)) = self.key.as_mut().map(|key| key.as_mut().poll(cx)) else {
            return false;
        };
        self.key = None;
        self.channel.handle_input(Instant::now(), Input::Key(answer));
        true
    }

    fn poll_contact(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.contact {
            Contact::Up(_) => self.poll_socket(cx),
            Contact::Waiting(sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    return false;
                }
                let (cloud, network) = (self.cloud.clone(), self.network.clone());
                let resumed = calls::resume(cloud, network, self.id.clone(), self.stream_url.clone());
                self.contact = Contact::Joining(Box::pin(resumed));
                true
            }
            Contact::Joining(joining) => {
                let Poll::Ready(joined) = joining.as_mut().poll(cx) else { return false };
                match joined {
                    Ok(joined) => self.on_joined(joined),
                    Err(e @ SessionError::Over) => self.end(e),
                    // The first socket is what the user waits for: no patience there.
                    Err(e) if self.lost.is_none() => self.end(e),
                    // Asking again changes nothing; a new session may be granted.
                    Err(e) if e.forbids_resuming() && self.backoff.attempts() > RESUMES => self.end(e),
                    Err(e) => {
                        self.wait(e.needs_a_person());
                        self.events.push_back(Event::Retrying(e));
                    }
                }
                true
            }
            Contact::Over => false,
        }
    }

    fn on_joined(&mut self, Joined { socket, token, stream_url }: Joined) {
        let now = Instant::now();
        self.contact = Contact::Up(Box::new(Link::new(socket, now, SystemTime::now())));
        self.joined = Some(now);
        self.stream_url = stream_url;
        self.channel.handle_input(now, Input::Connected { token });
        self.drain();
        // Held, it is not read, and nothing could show that it works.
        if self.holding && matches!(self.contact, Contact::Up(_)) {
            self.works();
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        for _ in 0..BATCH {
            let Contact::Up(link) = &mut self.contact else { return true };
            if self.holding {
                break;
            }
            let now = Instant::now();
            match link.poll_receive(cx, now) {
                Poll::Pending => break,
                Poll::Ready(Ok(message)) => {
                    moved = true;
                    self.works();
                    if !message.is_empty() {
                        self.channel.handle_input(now, Input::Received(message));
                        self.drain();
                    }
                }
                Poll::Ready(Err(why)) => {
                    self.lose(why);
                    return true;
                }
            }
        }
        let Contact::Up(link) = &mut self.contact else { return true };
        match link.poll_flush(cx) {
            Ok(room) => moved | room,
            Err(why) => {
                self.lose(why);
                true
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let mut moved = false;
        let audible = matches!(self.contact, Contact::Up(_)) && !self.holding;
        self.audible = audible.then(|| self.audible.unwrap_or(now));
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.channel.handle_input(now, Input::Timeout);
            moved = true;
        }
        let mut at = self.deadline;
        if let Contact::Up(link) = &mut self.contact {
            let silent = self.channel.unacknowledged_since();
            let heard = [self.channel.agent_heard(), self.joined].into_iter().flatten().max();
            if !self.holding && liveness::is_mute(now, silent, heard) {
                self.end(SessionError::Mute { seconds: liveness::MUTE.as_secs() });
                return true;
            }
            match link.check((now, SystemTime::now()), silent, self.holding) {
                Ok(Some(next)) => at = Some(at.map_or(next, |at| at.min(next))),
                Ok(None) => moved = true,
                Err(why) => {
                    self.lose(why);
                    moved = true;
                }
            }
        }
        if !moved && let Some(at) = at {
            if self.timer.deadline() != at.into() {
                self.timer.as_mut().reset(at.into());
            }
            moved = self.timer.as_mut().poll(cx).is_ready();
        }
        moved
    }

    /// Ends the session: tells the agent by flag where it understands one, then the service, and
    /// closes the socket. Takes less than 2 s, whatever the network does. `false`: the service may
    /// not know of it.
    pub async fn leave(mut self, flag: bool) -> bool {
        let goodbye = async {
            if flag && matches!(self.contact, Contact::Up(_)) {
                self.flag(Flag::TerminateSession);
                self.hold(false);
                let taken = async {
                    while !matches!(self.next().await, Event::FlagTaken | Event::Ended(_) | Event::Lost(_)) {}
                };
                let _ = timeout(FAREWELL, taken).await;
            }
            let told = calls::terminate(&*self.cloud, &self.id).await;
            if let Contact::Up(link) = self.contact {
                link.close().await;
            }
            told
        };
        timeout(calls::FAREWELL, goodbye).await.unwrap_or(false)
    }
}
