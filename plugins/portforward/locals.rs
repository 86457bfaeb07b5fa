//! The local ports, taken.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use ecsx::session::forward::{Destination, Forward, ListenError, Listener};
use ecsx::ui::Failure;

use crate::args::not_local;
use crate::command;
use crate::presets::Asked;
use crate::teller::{Local, Subject};

/// What is forwarded, with its local ports bound.
pub(crate) struct Locals {
    /// Each with a destination of its own.
    pub(crate) forwards: Vec<Forward>,
    /// The same, as they are spoken of.
    pub(crate) subjects: Vec<Subject>,
    /// Where each port is reached, in the order it was asked for.
    pub(crate) reachable: Vec<SocketAddr>,
}

/// Takes the local ports, and puts those together that lead to the same place: an SSM session
/// has one destination, and ECS allows few sessions.
pub(crate) fn bind(asked: Vec<Asked>) -> Result<Locals, Failure> {
    let mut locals = Locals { forwards: Vec::new(), subjects: Vec::new(), reachable: Vec::new() };
    let mut numbers: BTreeMap<Destination, usize> = BTreeMap::new();
    for asked in asked {
        let (remote, written) = (asked.spec.remote.clone(), asked.spec.written());
        let listener =
            Listener::bind(&asked.bind, asked.spec.local_port).map_err(|error| refusal(error, &asked))?;
        let number = *numbers.entry(remote.clone()).or_insert(locals.forwards.len());
        if number == locals.forwards.len() {
            locals.forwards.push(Forward { listeners: Vec::new(), remote: remote.clone() });
            locals.subjects.push(Subject { remote, local: Vec::new() });
        }
        locals.reachable.extend(listener.addresses.first().copied().map(command::reachable));
        locals.subjects[number].local.push(Local { addresses: listener.addresses.clone(), written });
        locals.forwards[number].listeners.push(listener);
    }
    Ok(locals)
}

fn refusal(error: ListenError, asked: &Asked) -> Failure {
    match (error, &asked.preset) {
        (ListenError::Other { address, source }, _) if source.kind() == io::ErrorKind::AddrNotAvailable => {
            not_local(&address.ip().to_string())
        }
        (error @ ListenError::InUse { .. }, Some(name)) => Failure::from(error)
            .hint(format!("for the preset {name}: PORT:{name}, or :{name} for a free one")),
        (error, _) => error.into(),
    }
}
