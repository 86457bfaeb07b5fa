//! A forward's life: one session after another behind ports that stay.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::ecs::{Cloud, CloudErrorKind, Refusal, Target, Ticket};
use crate::session::backoff::{Backoff, random};
use crate::session::calls::{FAREWELL, terminate};
use crate::session::{Event, Network, Session, SessionError};
use crate::ssm::channel::{Kind, Ready};

use super::advice;
use super::line::{Course, Line, stopped, word};
use super::listen::Listener;
use super::spec::Destination;
use super::status::{Report, Status};
use super::{basic, mux};
use crate::session::fate::{self, Fate, Watch};

/// How long an agent may take to take a session up.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// WebSockets that may be lost before the agent has said a word. More is a refusal.
const LOSSES: u32 = 3;
/// A session that ends sooner is followed by the next one with a growing wait.
const BRIEF: Duration = Duration::from_secs(10);

/// A target on its way.
pub type Choice = Pin<Box<dyn Future<Output = Result<Target, Refusal>> + Send>>;
/// Chooses a target again when this one is gone.
pub type Retarget = Arc<dyn Fn(Target) -> Choice + Send + Sync>;

/// What all forwards of a process share.
pub struct Setting<C> {
    /// AWS.
    pub cloud: Arc<C>,
    /// The way there.
    pub network: Arc<Network>,
    /// Chooses another target.
    pub retarget: Retarget,
    /// Is told how it goes.
    pub report: Report,
    /// How long to go on.
    pub course: watch::Receiver<Course>,
}

/// A destination and the local ports that lead to it.
#[derive(Debug)]
pub struct Forward {
    /// Bound already.
    pub listeners: Vec<Listener>,
    /// Where connections go.
    pub remote: Destination,
}

/// What a session serves.
pub(super) struct Place<'a> {
    pub(super) target: &'a Target,
    pub(super) remote: &'a Destination,
}

impl Place<'_> {
    pub(super) fn refused(&self, peer: SocketAddr) -> Status {
        Status::Refused { remote: self.remote.clone(), task: self.target.task_id.clone(), peer }
    }

    /// Whether somebody must look the destination up.
    pub(super) fn has_name(&self) -> bool {
        self.remote.host.as_ref().is_some_and(|host| host.parse::<std::net::IpAddr>().is_err())
    }
}

/// How serving a session ended.
pub(super) enum End {
    /// The word to leave came, or the one to finish, and all is done. What so many connections have
    /// sent may not have arrived.
    Stopped { unsent: usize },
    /// The session is over, and took so many connections along.
    Over { why: SessionError, reset: usize },
}

/// Failed attempts to reconnect, said once each.
#[derive(Default)]
pub(super) struct Trouble {
    said: Option<String>,
    not_the_network: bool,
}

impl Trouble {
    pub(super) fn report(&mut self, error: SessionError, line: &Line) {
        self.not_the_network = matches!(&error, SessionError::Cloud(e) if e.kind != CloudErrorKind::Network);
        let text = error.to_string();
        if self.said.as_ref() != Some(&text) {
            self.said = Some(text);
            line.report(Status::Retrying(Arc::new(error)));
        }
    }

    /// Whether AWS answers, so that asking it about the task makes sense.
    pub(super) fn is_not_the_network(&self) -> bool {
        self.not_the_network
    }
}

impl Forward {
    /// Serves until the word to leave or to finish comes. An error is one before the first session
    /// was up, that there is nothing left to go to, or, asked to finish, that it could not.
    ///
    /// A session that ends with connections alive is replaced at once; one that ends while
    /// nobody uses it (idle timeout) is replaced when somebody connects.
    pub async fn run<C: Cloud>(self, setting: &Setting<C>, mut target: Target) -> Result<(), SessionError> {
        let mut line = Line::new(self.listeners, setting.course.clone(), setting.report.clone())
            .map_err(|e| SessionError::WebSocket(format!("cannot accept connections: {e}")))?;
        let mut course = setting.course.clone();
        let Some(mut opened) = open(setting, &target, &self.remote).await? else { return Ok(()) };
        let mut brief = Backoff::default();
        let mut first = true;
        loop {
            let (mut session, ready) = opened;
            let began = Instant::now();
            line.report(Status::Ready {
                target: target.clone(),
                session_id: session.id().to_owned(),
                agent_version: ready.agent_version.clone(),
            });
            if let Some(advice) = advice::on(&ready, &self.remote) {
                line.report(Status::OldAgent(advice));
            }
            let place = Place { target: &target, remote: &self.remote };
            let mut watch = Watch::new(setting.cloud.clone(), target.clone());
            let end = match ready.kind {
                Kind::Mux { keep_alive } => {
                    mux::relay(&mut session, keep_alive, &place, &mut watch, &mut line).await
                }
                _ => basic::relay(&mut session, &place, &mut watch, &mut line).await,
            };
            let flag = !matches!(ready.kind, Kind::Basic { terminate_flag: false });
            let (why, reset) = match end {
                End::Stopped { unsent } => {
                    leave(session, flag, &line).await;
                    return if unsent > 0 {
                        Err(SessionError::Unsent { connections: unsent })
                    } else {
                        Ok(())
                    };
                }
                End::Over { why, reset } => (why, reset),
            };
            // The agent looks names up, and sees what it may not do, once the session is up.
            let hopeless = std::mem::take(&mut first) && began.elapsed() < BRIEF && why.is_the_agents();
            if hopeless || *course.borrow() != Course::On && reset > 0 {
                part(session, flag, &why, &line).await;
                return Err(why);
            }
            let why = Arc::new(why);
            // At once: whoever was reset looks here for the reason.
            line.report(Status::Ended { why: why.clone(), reset, kept: line.waiting() });
            part(session, flag, &why, &line).await;
            if began.elapsed() < BRIEF {
                tokio::select! {
                    () = tokio::time::sleep(brief.next(false, random())) => {}
                    _ = line.next(false) => {}
                    () = stopped(&mut course) => return Ok(()),
                }
            } else {
                brief = Backoff::default();
            }
            let wanted = reset > 0 || line.is_wanted();
            if !wanted {
                tokio::select! {
                    () = line.wanted() => {}
                    _ = word(&mut course, false) => return Ok(()),
                }
            }
            opened = match reopen(setting, &mut target, &self.remote, &mut line).await? {
                Some(opened) => opened,
                None => return Ok(()),
            };
        }
    }
}

type Opened<C> = (Session<C>, Ready);

/// Leaves a session that is over, if the service does not know yet: ECS counts the sessions of a
/// container.
async fn part<C: Cloud>(session: Session<C>, flag: bool, why: &SessionError, line: &Line) {
    if !matches!(why, SessionError::Closed(_) | SessionError::Over) {
        // An agent that does not answer would not take the flag either.
        let deaf = matches!(why, SessionError::TaskGone { .. } | SessionError::Mute { .. });
        leave(session, flag && !deaf, line).await;
    }
}

/// Leaves a session, and says so if the service may not know.
async fn leave<C: Cloud>(session: Session<C>, flag: bool, line: &Line) {
    let session_id = session.id().to_owned();
    if !session.leave(flag).await {
        line.report(Status::LeftOpen { session_id });
    }
}

/// A new session wherever there is a task for it, for as long as it takes. `None`: stopped.
async fn reopen<C: Cloud>(
    setting: &Setting<C>,
    target: &mut Target,
    remote: &Destination,
    line: &mut Line,
) -> Result<Option<Opened<C>>, SessionError> {
    let mut backoff = Backoff::default();
    let mut trouble = Trouble::default();
    let mut course = setting.course.clone();
    // Connections that come meanwhile wait for the outcome: `line.next(false)` takes them in.
    let mut elsewhere = tokio::select! {
        fate = fate::of(&*setting.cloud, target) => matches!(fate, Fate::Gone(_) | Fate::Leaving),
        _ = line.next(false) => false,
        () = stopped(&mut course) => return Ok(None),
    };
    loop {
        let chosen = match elsewhere {
            false => Ok(target.clone()),
            true => tokio::select! {
                chosen = (setting.retarget)(target.clone()) => chosen,
                _ = line.next(false) => continue,
                () = stopped(&mut course) => return Ok(None),
            },
        };
        let error = match chosen {
            Ok(chosen) => {
                if chosen != *target {
                    *target = chosen;
                    line.report(Status::Retargeted(target.clone()));
                }
                let opened = tokio::select! {
                    opened = open(setting, target, remote) => opened,
                    _ = line.next(false) => continue,
                };
                match opened {
                    Ok(opened) => return Ok(opened),
                    Err(error) => error,
                }
            }
            // Whoever can log in again may do so meanwhile.
            Err(refusal) if refusal.may_pass() || matches!(refusal, Refusal::Cloud(_)) => refusal.into(),
            Err(refusal) => return Err(refusal.into()),
        };
        elsewhere = match &error {
            SessionError::Cloud(e) => {
                matches!(
                    e.kind,
                    CloudErrorKind::Invalid | CloudErrorKind::NotFound | CloudErrorKind::TargetNotConnected
                )
            }
            SessionError::Silent { .. } | SessionError::NoTarget(_) => true,
            _ => elsewhere,
        };
        let wait = backoff.next(error.needs_a_person(), random()).max(Duration::from_millis(200));
        trouble.report(error, line);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = line.next(false) => {}
            () = stopped(&mut course) => return Ok(None),
        }
    }
}

/// A session that can be used, or `None` if the word to stop came first.
async fn open<C: Cloud>(
    setting: &Setting<C>,
    target: &Target,
    remote: &Destination,
) -> Result<Option<Opened<C>>, SessionError> {
    let mut course = setting.course.clone();
    let ssm_target = target.ssm_target();
    let mut starting = Box::pin(start(&*setting.cloud, ssm_target.clone(), remote));
    let ticket = tokio::select! {
        ticket = &mut starting => ticket?,
        () = stopped(&mut course) => {
            // Should a session still come of it, it must not be left behind.
            let farewell = async {
                if let Ok(ticket) = starting.await {
                    terminate(&*setting.cloud, &ticket.session_id).await;
                }
            };
            let _ = timeout(FAREWELL, farewell).await;
            return Ok(None);
        }
    };
    let mut session = Session::new(setting.cloud.clone(), setting.network.clone(), ticket, ssm_target, true)?;
    let mut trouble = None;
    let mut losses = 0;
    let ready = async {
        loop {
            match session.next().await {
                Event::Ready(ready) => return Ok(ready),
                Event::Ended(why) => return Err(why),
                Event::Lost(why) if losses == LOSSES => return Err(SessionError::WebSocket(why)),
                Event::Lost(why) => {
                    losses += 1;
                    trouble = Some(SessionError::WebSocket(why));
                }
                Event::Retrying(why) => trouble = Some(why),
                _ => {}
            }
        }
    };
    let ready = tokio::select! {
        ready = timeout(HANDSHAKE, ready) => ready.unwrap_or_else(|_| {
            let seconds = HANDSHAKE.as_secs();
            Err(trouble.unwrap_or(SessionError::Silent { container: target.container.clone(), seconds }))
        }),
        () = stopped(&mut course) => {
            session.leave(false).await;
            return Ok(None);
        }
    };
    match ready {
        Ok(ready) if matches!(ready.kind, Kind::Mux { .. } | Kind::Basic { .. }) => {
            Ok(Some((session, ready)))
        }
        Ok(_) => {
            session.leave(false).await;
            Err(SessionError::Broken("the agent offers no port forwarding in it".into()))
        }
        Err(error) => {
            session.leave(false).await;
            Err(error)
        }
    }
}

async fn start<C: Cloud>(
    cloud: &C,
    ssm_target: String,
    remote: &Destination,
) -> Result<Ticket, SessionError> {
    let mut parameters = BTreeMap::from([("portNumber".to_owned(), vec![remote.port.to_string()])]);
    let document = match &remote.host {
        Some(host) => {
            parameters.insert("host".to_owned(), vec![host.clone()]);
            "AWS-StartPortForwardingSessionToRemoteHost"
        }
        None => "AWS-StartPortForwardingSession",
    };
    let started = cloud.start_session(&ssm_target, document, parameters).await;
    Ok(started.map_err(advice::on_refusal)?)
}
