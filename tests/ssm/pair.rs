//! A channel, and smux on top, against the model agent over bad networks: every byte arrives once
//! and in order both ways, in bounded memory, whatever the seed.
//!
//! `ECSX_SEEDS=100000 cargo test --test ssm pair` tries more; `ECSX_SEED=17` one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use ecsx::ssm::channel::{Channel, Config, Event, Frame, Input, Key, Kind, Output, WINDOW};
use ecsx::ssm::smux::{Client, Event as Smux};
use ecsx::ssm::wire::MessageType;

use crate::model::{Agent, DATA_KEY, Mode, Network, Plan, Random, To, pattern, service};

const SEEDS: u64 = 2000;
/// Half an hour of bad luck is a stall.
const PATIENCE: Duration = Duration::from_secs(1800);

struct Pair {
    seed: u64,
    mode: Mode,
    plan: Plan,
    start: Instant,
    now: Instant,
    random: Random,
    channel: Channel,
    deadline: Option<Instant>,
    smux: Option<Client>,
    ready: bool,
    closed: bool,
    written: usize,
    got: BTreeMap<u32, Vec<u8>>,
    finished: usize,
    agent: Agent,
    network: Network,
    /// When the client's connection, or the agent's, is next lost or back.
    client_turns: Instant,
    client_up: bool,
    agent_turns: Instant,
    agent_up: bool,
    cuts_left: u32,
    timeouts: u64,
}

impl Pair {
    fn new(seed: u64, start: Instant) -> Self {
        let mut random = Random(seed);
        let mode =
            [Mode::Shell, Mode::Silent, Mode::Encrypted, Mode::Mux, Mode::Mux][random.below(5) as usize];
        let mut plan = Plan::default();
        let streams = if mode == Mode::Mux { 1 + random.below(4) as u32 } else { 1 };
        for stream in 0..streams {
            let id = if mode == Mode::Mux { 3 + 2 * stream } else { 0 };
            let size = |random: &mut Random| {
                let largest = if random.percent(20) { 60_000 } else { 6_000 };
                1 + random.below(largest) as usize
            };
            plan.up.insert(id, pattern(random.next(), size(&mut random)));
            plan.down.insert(id, pattern(random.next(), size(&mut random)));
        }
        let mut config = Config::new([seed as u8; 32], (start, UNIX_EPOCH), mode == Mode::Mux);
        config.window = WINDOW >> random.below(5);
        let cut = |random: &mut Random| start + random.millis(10_000);
        Self {
            seed,
            mode,
            start,
            now: start,
            channel: Channel::new(config),
            deadline: None,
            smux: None,
            ready: false,
            closed: false,
            written: 0,
            got: BTreeMap::new(),
            finished: 0,
            agent: Agent::new(mode, plan.clone(), start, seed),
            network: Network::new(seed),
            client_turns: start,
            client_up: false,
            agent_turns: cut(&mut random),
            agent_up: true,
            cuts_left: random.below(4) as u32,
            timeouts: 0,
            plan,
            random,
        }
    }

    fn run(mut self) {
        while !(self.closed && self.channel.is_drained()) {
            assert!(
                self.now - self.start < PATIENCE,
                "seed {} stalls: {:?}",
                self.seed,
                self.channel.statistics()
            );
            self.connections();
            while let Some((to, frame)) = self.network.deliver(self.now) {
                match to {
                    To::Client if self.client_up => self.input(Input::Received(frame)),
                    To::Agent if self.agent_up => self.agent.receive(self.now, frame),
                    _ => {}
                }
            }
            self.agent.tick(self.now);
            self.agent.speak(self.now);
            while let Some(frame) = self.agent.poll() {
                if self.agent_up && self.client_up {
                    self.network.carry(self.now, To::Client, frame);
                }
            }
            if self.deadline.is_some_and(|at| at <= self.now) {
                self.timeouts += 1;
                self.input(Input::Timeout);
            }
            self.converse();
            self.check_bounds();
            if self.complete() && !self.closed {
                assert_eq!(
                    self.channel.statistics().early,
                    0,
                    "seed {}: something is kept for ever",
                    self.seed
                );
                self.input(Input::Received(service(MessageType::ChannelClosed)));
                assert!(self.closed, "seed {}", self.seed);
            }
            self.advance();
        }
        let virtual_time = (self.now - self.start).as_millis() as u64;
        assert!(self.timeouts <= 1000 + 2 * virtual_time, "seed {}: a busy loop", self.seed);
    }

    /// Connections are lost, and come back. The first time the client's comes with the start.
    fn connections(&mut self) {
        if self.now >= self.client_turns {
            if self.client_up && self.cuts_left == 0 {
                self.client_turns = self.now + PATIENCE;
                return;
            }
            self.client_up = !self.client_up;
            if self.client_up {
                self.input(Input::Connected { token: "token".into() });
                if self.random.percent(70) {
                    self.input(Input::Received(service(MessageType::StartPublication)));
                }
                self.client_turns = self.now + self.random.millis(8000);
            } else {
                self.cuts_left -= 1;
                self.network.cut();
                self.input(Input::Disconnected);
                self.client_turns = self.now + self.random.millis(3000);
            }
        }
        if self.now >= self.agent_turns {
            self.agent_up = !self.agent_up;
            self.network.cut();
            if self.agent_up {
                self.agent_turns = self.now + PATIENCE;
                // It need not come, and the session must not wait for it.
                if self.client_up && self.random.percent(50) {
                    self.input(Input::Received(service(MessageType::StartPublication)));
                }
            } else {
                self.agent_turns = self.now + self.random.millis(5000);
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.channel.handle_input(self.now, input);
        loop {
            match self.channel.poll_output() {
                Output::Transmit(Frame::Text(_)) => assert!(self.client_up),
                Output::Transmit(Frame::Binary(frame)) => {
                    assert!(self.client_up);
                    if self.agent_up {
                        self.network.carry(self.now, To::Agent, frame);
                    } else if self.random.percent(30) {
                        // The gateway's answer when the agent is gone.
                        self.network.carry(self.now, To::Client, service(MessageType::PausePublication));
                    }
                }
                Output::Event(event) => self.event(event),
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "seed {}", self.seed);
                    self.deadline = at;
                    return;
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Ready(ready) => {
                // Presumed at first, if the handshake is that late.
                assert!(!self.ready || self.mode == Mode::Encrypted, "seed {}: ready twice", self.seed);
                self.ready = true;
                assert_eq!(matches!(ready.kind, Kind::Mux { .. }), self.mode == Mode::Mux);
                self.smux = (self.mode == Mode::Mux).then(|| Client::new(self.now, false));
                if let Some(smux) = &mut self.smux {
                    for (id, bytes) in &self.plan.up {
                        assert_eq!(smux.open(), Some(*id));
                        smux.write(*id, Bytes::copy_from_slice(bytes));
                    }
                }
            }
            Event::Data(_, bytes) => match &mut self.smux {
                Some(smux) => smux.receive(bytes),
                None => self.got.entry(0).or_default().extend_from_slice(&bytes),
            },
            Event::KeyWanted { .. } => {
                let key =
                    Key { plaintext: DATA_KEY, ciphertext: b"blob".to_vec(), challenge_acknowledged: true };
                self.channel.handle_input(self.now, Input::Key(Ok(key)));
            }
            Event::Publication(_) => {}
            Event::Closed(_) => self.closed = true,
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    /// Both applications of the client's side: write what there is room for, read what has come.
    fn converse(&mut self) {
        while let room @ 1.. = self.channel.capacity() {
            let limit = room.min(1 + self.random.below(3000) as usize).max(9.min(room));
            let chunk = match &mut self.smux {
                Some(smux) => smux.poll_transmit(self.now, limit.max(9)),
                None => {
                    let all = &self.plan.up[&0];
                    let chunk = &all[self.written..all.len().min(self.written + limit)];
                    self.written += chunk.len();
                    (!chunk.is_empty()).then(|| Bytes::copy_from_slice(chunk))
                }
            };
            let Some(chunk) = chunk else { break };
            self.input(Input::Write(chunk));
        }
        while let Some(event) = self.smux.as_mut().and_then(Client::poll_event) {
            match event {
                Smux::Data(id, bytes) => self.got.entry(id).or_default().extend_from_slice(&bytes),
                Smux::Finished(id, _) => {
                    self.finished += 1;
                    self.smux.as_mut().unwrap().close(id);
                }
                Smux::Closed(_) => {}
                Smux::Broken(why) => panic!("seed {}: {why}", self.seed),
            }
        }
    }

    fn check_bounds(&self) {
        let statistics = self.channel.statistics();
        // The smallest window is 16 KiB; size, handshake and challenge come on top of data.
        let largest = WINDOW + 4096;
        assert!(statistics.unacknowledged <= largest, "seed {}: {statistics:?}", self.seed);
        assert!(statistics.early <= 9 << 20, "seed {}: {statistics:?}", self.seed);
        assert_eq!(statistics.refused, 0, "seed {}", self.seed);
        for (id, got) in &self.got {
            assert!(self.plan.down[id].starts_with(got), "seed {}: stream {id} is damaged", self.seed);
        }
    }

    fn complete(&self) -> bool {
        let streams = if self.mode == Mode::Mux { self.plan.up.len() } else { 0 };
        self.client_up
            && self.finished == streams
            && self.got == self.plan.down
            && self.agent.is_done()
            && self.agent.is_drained()
            && self.channel.is_drained()
    }

    fn advance(&mut self) {
        let mut next = self.agent.deadline(self.now).min(self.client_turns).min(self.agent_turns);
        next = next.min(self.deadline.unwrap_or(next)).min(self.network.arrives().unwrap_or(next));
        self.now = next.max(self.now + Duration::from_micros(1));
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_byte_arrives_both_ways_whatever_the_network_does() {
    let start = Instant::now();
    if let Some(seed) = number("ECSX_SEED") {
        return Pair::new(seed, start).run();
    }
    let seeds = number("ECSX_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                (thread..seeds).step_by(threads as usize).for_each(|seed| Pair::new(seed, start).run());
            });
        }
    });
}
