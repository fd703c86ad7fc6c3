//! Every kind of input in every state, in one table.

use stentor_protocol::{CloseCode, Config, Event, Transmit};

use crate::script::{App, Bench, Heard, INIT, Step, app, client, expect_event, subscribed};

use Outcome::{Abort, Closes, Ignored, Init, OperationEnds, OperationStarts, Pings, PongHeard, Pongs};

#[test]
fn every_input_has_a_decided_outcome_in_every_state() {
    let mut wrong = Vec::new();
    for (name, input, outcomes) in MATRIX {
        for ((state, steps), expected) in states().iter().zip(outcomes) {
            let mut bench = Bench::new(Config::default());
            bench.run(steps);
            let found = outcome(&mut bench, input);
            if found != [expected].into_iter().filter(|outcome| *outcome != Ignored).collect::<Vec<_>>() {
                wrong.push(format!("{name} in {state}: expected {expected:?}, found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What an input leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Ignored,
    Init,
    OperationStarts,
    OperationEnds,
    PongHeard,
    Pongs,
    Pings,
    Abort,
    Closes(CloseCode),
}

#[derive(Clone, Copy)]
enum Input {
    Text(&'static str),
    Binary,
    /// So many seconds after the state was reached the timer fires.
    Timeout(u64),
    SocketClosed,
}

const BAD: Outcome = Closes(CloseCode::BadRequest);
const TOO_MANY: Outcome = Closes(CloseCode::TooManyInitialisationRequests);
const UNAUTHORIZED: Outcome = Closes(CloseCode::Unauthorized);

/// Columns: AwaitingInit, AwaitingDecision, Ready with the operation `a`, Ready with a ping unanswered, Closed.
const MATRIX: [(&str, Input, [Outcome; 5]); 21] = [
    ("connection_init", Input::Text(INIT), [Init, TOO_MANY, TOO_MANY, TOO_MANY, Ignored]),
    ("ping", Input::Text(r#"{"type":"ping"}"#), [Pongs, Pongs, Pongs, Pongs, Ignored]),
    ("pong", Input::Text(r#"{"type":"pong"}"#), [PongHeard, PongHeard, PongHeard, PongHeard, Ignored]),
    (
        "subscribe",
        Input::Text(r#"{"id":"b","type":"subscribe","payload":{"query":"q"}}"#),
        [UNAUTHORIZED, UNAUTHORIZED, OperationStarts, OperationStarts, Ignored],
    ),
    (
        "subscribe with a running id",
        Input::Text(r#"{"id":"a","type":"subscribe","payload":{"query":"q"}}"#),
        [
            UNAUTHORIZED,
            UNAUTHORIZED,
            Closes(CloseCode::SubscriberAlreadyExists),
            Closes(CloseCode::SubscriberAlreadyExists),
            Ignored,
        ],
    ),
    (
        "complete",
        Input::Text(r#"{"id":"a","type":"complete"}"#),
        [Ignored, Ignored, OperationEnds, OperationEnds, Ignored],
    ),
    (
        "complete with an unknown id",
        Input::Text(r#"{"id":"b","type":"complete"}"#),
        [Ignored, Ignored, Ignored, Ignored, Ignored],
    ),
    ("connection_ack", Input::Text(r#"{"type":"connection_ack"}"#), [BAD, BAD, BAD, BAD, Ignored]),
    ("next", Input::Text(r#"{"id":"a","type":"next","payload":{}}"#), [BAD, BAD, BAD, BAD, Ignored]),
    (
        "error",
        Input::Text(r#"{"id":"a","type":"error","payload":[{"message":"m"}]}"#),
        [BAD, BAD, BAD, BAD, Ignored],
    ),
    ("unknown type", Input::Text(r#"{"type":"start"}"#), [BAD, BAD, BAD, BAD, Ignored]),
    (
        "malformed connection_init",
        Input::Text(r#"{"type":"connection_init","payload":1}"#),
        [BAD, BAD, BAD, BAD, Ignored],
    ),
    ("malformed ping", Input::Text(r#"{"type":"ping","payload":1}"#), [BAD, BAD, BAD, BAD, Ignored]),
    ("malformed pong", Input::Text(r#"{"type":"pong","payload":1}"#), [BAD, BAD, BAD, BAD, Ignored]),
    ("malformed subscribe", Input::Text(r#"{"id":"b","type":"subscribe"}"#), [BAD, BAD, BAD, BAD, Ignored]),
    ("malformed complete", Input::Text(r#"{"type":"complete"}"#), [BAD, BAD, BAD, BAD, Ignored]),
    ("no JSON", Input::Text("hello"), [BAD, BAD, BAD, BAD, Ignored]),
    ("binary", Input::Binary, [BAD, BAD, BAD, BAD, Ignored]),
    (
        "3 s of silence",
        Input::Timeout(3),
        [Closes(CloseCode::ConnectionInitialisationTimeout), Ignored, Ignored, Ignored, Ignored],
    ),
    (
        "30 s of silence",
        Input::Timeout(30),
        [Closes(CloseCode::ConnectionInitialisationTimeout), Ignored, Pings, Abort, Ignored],
    ),
    ("the socket's end", Input::SocketClosed, [Ignored, Ignored, Ignored, Ignored, Ignored]),
];

fn states() -> [(&'static str, Vec<Step>); 5] {
    let pinged = vec![Step::Advance(30_000), Step::ExpectText(r#"{"type":"ping"}"#.to_owned())];
    let closed = vec![
        app(App::Close(CloseCode::ServiceRestart, "")),
        Step::ExpectClose(CloseCode::ServiceRestart, None),
    ];
    [
        ("AwaitingInit", Vec::new()),
        ("AwaitingDecision", vec![client(INIT), expect_event(Heard::Init(None))]),
        ("Ready", subscribed()),
        ("Ready, pinged", [subscribed(), pinged].concat()),
        ("Closed", [subscribed(), closed].concat()),
    ]
}

fn outcome(bench: &mut Bench, input: Input) -> Vec<Outcome> {
    let now = bench.now();
    let connection = &mut bench.connection;
    match input {
        Input::Text(text) => connection.handle_text(now, text),
        Input::Binary => connection.handle_binary(),
        Input::Timeout(seconds) => connection.handle_timeout(now + std::time::Duration::from_secs(seconds)),
        Input::SocketClosed => connection.handle_closed(),
    }
    let events = std::iter::from_fn(|| connection.poll_event()).map(|event| match event {
        Event::Init { .. } => Init,
        Event::Subscribe { .. } => OperationStarts,
        Event::Complete { .. } => OperationEnds,
        Event::Pong { .. } => PongHeard,
    });
    let events: Vec<_> = events.collect();
    let transmits = std::iter::from_fn(|| connection.poll_transmit()).map(|transmit| match transmit {
        Transmit::Text(text) if text == r#"{"type":"pong"}"# => Pongs,
        Transmit::Text(text) if text == r#"{"type":"ping"}"# => Pings,
        Transmit::Text(text) => panic!("no input alone causes {text}"),
        Transmit::Close(close) => Closes(close.code),
        Transmit::Abort => Abort,
    });
    events.into_iter().chain(transmits).collect()
}
