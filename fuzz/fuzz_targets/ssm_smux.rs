//! Any bytes from the agent, any use by the application: no panic, no output past its limit, and
//! every byte written comes out in a frame of its stream.
#![no_main]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ecsx::ssm::smux::{Client, Event};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
enum Step {
    Open,
    Write(u8, Vec<u8>),
    Close(u8),
    Receive(Vec<u8>),
    Frame { command: u8, stream: u8, length: u16 },
    Transmit(u16),
    Pass(u16),
}

#[derive(Debug)]
struct Case {
    keep_alive: bool,
    steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let keep_alive = u.arbitrary()?;
        let mut steps = Vec::new();
        while !u.is_empty() {
            steps.push(Step::arbitrary(u)?);
        }
        Ok(Self { keep_alive, steps })
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let bytes = |u: &mut Unstructured<'a>| {
            let length = usize::from(u.arbitrary::<u8>()?).min(u.len());
            Ok(u.bytes(length)?.to_vec())
        };
        // Few streams, so that they are met again.
        let stream = |u: &mut Unstructured<'a>| Ok(u.arbitrary::<u8>()? % 16);
        Ok(match u.arbitrary::<u8>()? % 7 {
            0 => Self::Open,
            1 => Self::Write(stream(u)?, bytes(u)?),
            2 => Self::Close(stream(u)?),
            3 => Self::Receive(bytes(u)?),
            4 => Self::Frame { command: u.arbitrary()?, stream: stream(u)?, length: u.arbitrary()? },
            5 => Self::Transmit(u.arbitrary()?),
            _ => Self::Pass(u.arbitrary()?),
        })
    }
}

fuzz_target!(|case: Case| {
    let mut now = Instant::now();
    let mut client = Client::new(now, case.keep_alive);
    let (mut received, mut read) = (0, 0);
    let mut queued = HashMap::<u32, usize>::new();
    for step in case.steps {
        match step {
            Step::Open => {
                client.open();
            }
            Step::Write(stream, bytes) => client.write(u32::from(stream), bytes.into()),
            Step::Close(stream) => client.close(u32::from(stream)),
            Step::Receive(bytes) => {
                received += bytes.len();
                client.receive(bytes.into());
            }
            Step::Frame { command, stream, length } => {
                let mut frame = vec![1, command % 5];
                frame.extend_from_slice(&length.to_le_bytes());
                frame.extend_from_slice(&u32::from(stream).to_le_bytes());
                frame.resize(8 + if command % 5 == 2 { usize::from(length) } else { 0 }, 7);
                received += frame.len();
                client.receive(Bytes::from(frame));
            }
            Step::Transmit(limit) => {
                let limit = usize::from(limit);
                for stream in 0..16 {
                    queued.insert(stream, client.queued(stream));
                }
                if let Some(bytes) = client.poll_transmit(now, limit) {
                    assert!(!bytes.is_empty() && bytes.len() <= limit);
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        assert_eq!(rest[0], 1, "whole frames");
                        let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
                        let stream = u32::from_le_bytes(rest[4..8].try_into().unwrap());
                        if rest[1] == 2 {
                            *queued.get_mut(&stream).expect("a stream that was opened") -= length;
                        } else {
                            assert_eq!(length, 0);
                        }
                        rest = &rest[8 + length..];
                    }
                    for (stream, left) in &queued {
                        assert_eq!(*left, client.queued(*stream), "what is not sent is kept");
                    }
                }
            }
            Step::Pass(time) => now += Duration::from_millis(time.into()),
        }
        while let Some(event) = client.poll_event() {
            if let Event::Data(_, bytes) = event {
                read += bytes.len();
            }
        }
        assert!(read <= received);
    }
});
